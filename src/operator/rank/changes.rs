//! What does one row change among the best of its partition?
//!
//! The algorithms of Flink's AppendOnlyTopNFunction, FastTop1Function, RetractableTopNFunction and
//! SinkUpsertMaterializer (2.3), change for change.

use std::ops::Bound;

use super::sorted::Sorted;
use super::{Keeping, RankSpec};
use crate::operator::Op;

/// Changes with the rows' bytes and their numbers, in order.
#[derive(Default)]
pub(crate) struct RankChanges {
    pub changes: Vec<(Op, Box<[u8]>, usize)>,
}

impl RankChanges {
    fn add(&mut self, spec: &RankSpec, op: Op, row: &[u8], number: usize) {
        if (spec.start..=spec.end).contains(&number) {
            self.changes.push((op, row.into(), number));
        }
    }
}

/// A row is added to a partition. False if it changes nothing there.
pub fn insert(
    spec: &RankSpec,
    sorted: &mut Sorted,
    sort: &[u8],
    row: &[u8],
    out: &mut RankChanges,
) -> bool {
    match spec.keeping {
        Keeping::First { ties_replace } => first(spec, sorted, sort, row, ties_replace, out),
        Keeping::Best => best(spec, sorted, sort, row, out),
        Keeping::All => {
            sorted.insert(sort, row);
            moved_down(spec, sorted, sort, row, out);
            true
        }
        Keeping::Newest => {
            match sorted.last() {
                Some(before) => {
                    out.add(spec, Op::UpdateBefore, before, 1);
                    out.add(spec, Op::UpdateAfter, row, 1);
                }
                None => out.add(spec, Op::Insert, row, 1),
            }
            sorted.insert(sort, row);
            true
        }
    }
}

fn first(
    spec: &RankSpec,
    sorted: &mut Sorted,
    sort: &[u8],
    row: &[u8],
    ties_replace: bool,
    out: &mut RankChanges,
) -> bool {
    let Some((held_sort, held)) = sorted.iter().next() else {
        sorted.insert(sort, row);
        out.add(spec, Op::Insert, row, 1);
        return true;
    };
    let replaces = sort < held_sort || ties_replace && sort == held_sort;
    if replaces {
        out.add(spec, Op::UpdateBefore, held, 1);
        *sorted = Sorted::default();
        sorted.insert(sort, row);
        out.add(spec, Op::UpdateAfter, row, 1);
    }
    replaces
}

fn best(
    spec: &RankSpec,
    sorted: &mut Sorted,
    sort: &[u8],
    row: &[u8],
    out: &mut RankChanges,
) -> bool {
    let is_full = sorted.len() >= spec.end;
    if is_full && sorted.rows.last_key_value().is_none_or(|(worst, _)| sort >= worst.as_slice()) {
        return false;
    }
    sorted.insert(sort, row);
    if numbered(spec) {
        moved_down(spec, sorted, sort, row, out);
        if is_full {
            sorted.pop_last();
        }
        return true;
    }
    if is_full && let Some(last) = sorted.pop_last() {
        // The row itself, if all before it compare lower: it never came out.
        if *last == *row {
            return true;
        }
        out.add(spec, Op::Delete, &last, 1);
    }
    out.add(spec, Op::Insert, row, 1);
    true
}

/// Rows move when one comes or goes: with numbers each is sent again, without them only who enters
/// and leaves.
fn numbered(spec: &RankSpec) -> bool {
    spec.with_number || spec.start > 1
}

/// Changes after a row has been put behind those that compare equal.
fn moved_down(spec: &RankSpec, sorted: &Sorted, sort: &[u8], row: &[u8], out: &mut RankChanges) {
    let mut number = 0;
    let mut entries = sorted.rows.iter();
    for (key, rows) in entries.by_ref() {
        number += rows.len();
        if key.as_slice() == sort {
            break;
        }
        if number >= spec.end {
            // All that come out are before it.
            return;
        }
    }
    if number > spec.end {
        return;
    }
    let behind = entries.flat_map(|(_, rows)| rows);
    if !numbered(spec) {
        let dropped = behind.take(spec.end + 1 - number).nth(spec.end - number);
        if let Some(dropped) = dropped {
            out.add(spec, Op::Delete, dropped, 1);
        }
        return out.add(spec, Op::Insert, row, 1);
    }
    let mut current = row;
    for next in behind {
        if number > spec.end {
            return;
        }
        out.add(spec, Op::UpdateBefore, next, number);
        out.add(spec, Op::UpdateAfter, current, number);
        current = next;
        number += 1;
    }
    if number <= spec.end {
        out.add(spec, Op::Insert, current, number);
    }
}

/// A row is taken back. One that is not there changes nothing.
pub fn remove(
    spec: &RankSpec,
    sorted: &mut Sorted,
    sort: &[u8],
    row: &[u8],
    out: &mut RankChanges,
) {
    let Some(at) = sorted.rows.get(sort).and_then(|rows| rows.iter().position(|r| **r == *row))
    else {
        return;
    };
    if spec.keeping == Keeping::Newest {
        let was_shown = at + 1 == sorted.len();
        sorted.remove(sort, row);
        match sorted.last().filter(|_| was_shown) {
            Some(before) => {
                out.add(spec, Op::UpdateBefore, row, 1);
                out.add(spec, Op::UpdateAfter, before, 1);
            }
            None if was_shown => out.add(spec, Op::Delete, row, 1),
            None => {}
        }
        return;
    }
    let mut number = at + 1;
    for (_, rows) in sorted.rows.range::<[u8], _>((Bound::Unbounded, Bound::Excluded(sort))) {
        number += rows.len();
        if number > spec.end {
            // All that come out are before it.
            break;
        }
    }
    sorted.remove(sort, row);
    if number > spec.end {
        return;
    }
    let mut behind = sorted.iter().skip(number - 1).map(|(_, row)| row);
    if !numbered(spec) {
        out.add(spec, Op::Delete, row, 1);
        if let Some(entered) = behind.nth(spec.end - number) {
            out.add(spec, Op::Insert, entered, 1);
        }
        return;
    }
    let mut current = row;
    for next in behind {
        if number > spec.end {
            return;
        }
        out.add(spec, Op::UpdateBefore, current, number);
        out.add(spec, Op::UpdateAfter, next, number);
        current = next;
        number += 1;
    }
    if number <= spec.end {
        out.add(spec, Op::Delete, current, number);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::Schema;

    use super::*;
    use crate::ids::OperatorId;

    fn spec(keeping: Keeping, with_number: bool) -> RankSpec {
        let schema = Arc::new(Schema::empty());
        RankSpec {
            operator: OperatorId::FIRST,
            partition: vec![],
            order: vec![],
            start: 1,
            end: if keeping == Keeping::Newest { 1 } else { 2 },
            with_number,
            keeping,
            ttl: None,
            input: schema.clone(),
            output: schema,
        }
    }

    fn text(out: &RankChanges) -> String {
        let text = |(op, row, n): &(Op, Box<[u8]>, usize)| {
            format!("{} {} {n}", op.name(), String::from_utf8_lossy(row))
        };
        out.changes.iter().map(text).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn the_newest_row_stands_for_all_that_are_there() {
        let spec = spec(Keeping::Newest, false);
        let mut sorted = Sorted::default();
        for (row, adds, changes) in [
            ("a", true, "+I a 1"),
            ("b", true, "-U a 1, +U b 1"),
            ("a", true, "-U b 1, +U a 1"),
            // Of equal rows the first goes.
            ("a", false, ""),
            ("a", false, "-U a 1, +U b 1"),
            ("x", false, ""),
            ("b", false, "-D b 1"),
        ] {
            let mut out = RankChanges::default();
            if adds {
                insert(&spec, &mut sorted, b"", row.as_bytes(), &mut out);
            } else {
                remove(&spec, &mut sorted, b"", row.as_bytes(), &mut out);
            }
            assert_eq!(text(&out), changes);
        }
    }

    #[test]
    fn only_rows_that_came_out_change_something_when_they_go() {
        let spec = |with_number| spec(Keeping::All, with_number);
        let changes = |with_number: bool, row: &str| {
            let mut sorted = Sorted::default();
            for row in ["a1", "b1", "b2", "c1"] {
                sorted.insert(&row.as_bytes()[..1], row.as_bytes());
            }
            let mut out = RankChanges::default();
            remove(&spec(with_number), &mut sorted, &row.as_bytes()[..1], row.as_bytes(), &mut out);
            (text(&out), sorted.len())
        };
        for (row, numbered, plain, left) in [
            ("a1", "-U a1 1, +U b1 1, -U b1 2, +U b2 2", "-D a1 1, +I b2 1", 3),
            ("b1", "-U b1 2, +U b2 2", "-D b1 1, +I b2 1", 3),
            ("b2", "", "", 3),
            ("c1", "", "", 3),
            ("x1", "", "", 4),
        ] {
            assert_eq!(changes(true, row), (numbered.to_string(), left));
            assert_eq!(changes(false, row), (plain.to_string(), left));
        }
    }
}
