//! From a stream of changes to upserts by key: what is replaced needs no word, what vanishes is
//! deleted.
//!
//! Stands before a sink that keeps one row for each key. A row that is taken back says nothing new
//! where another row of its key follows. Where none does, because a filter or a row's failure
//! stands between the two sides of an update, it is the last that is heard of the key: it becomes a
//! deletion. Holds nothing: both sides of an update come in one batch, and where they do not, the
//! key is deleted first and written again by the next batch.
//!
//! What always holds: rows out are additions and deletions only, and those of a key leave it as all
//! rows in would.

use std::collections::HashSet;

use arrow::array::{ArrayRef, BooleanArray};

use crate::operator::{Context, Event, Op, Operator, OperatorError, Rows};
use crate::state::key::{KeyBuf, encode_keys};

pub(crate) struct Upserts {
    /// Columns of the sink's key.
    key: Vec<usize>,
    /// Those of a batch's rows.
    keys: KeyBuf,
}

impl Upserts {
    pub fn new(key: Vec<usize>) -> Upserts {
        Upserts { key, keys: KeyBuf::default() }
    }

    fn apply(&mut self, rows: &Rows) -> Result<Rows, OperatorError> {
        let n = rows.len();
        let taken_back = |row: usize| !rows.op(row).adds();
        if !(0..n).any(taken_back) {
            return Ok(rows.clone());
        }
        let columns: Vec<ArrayRef> =
            self.key.iter().map(|&c| rows.batch.column(c).clone()).collect();
        encode_keys(&columns, n, &mut self.keys);
        let keys = &self.keys;
        // Nearly always the next row is the other side of the update; only rows that stand alone
        // are looked for.
        let is_replaced_next = |row: usize| row + 1 < n && keys.get(row) == keys.get(row + 1);
        let mut stays = vec![true; n];
        let mut alone = false;
        for (row, stays) in stays.iter_mut().enumerate() {
            if taken_back(row) {
                *stays = !is_replaced_next(row);
                alone |= *stays;
            }
        }
        if alone {
            let mut later: HashSet<&[u8]> = HashSet::new();
            for row in (0..n).rev() {
                let is_new = later.insert(keys.get(row));
                stays[row] &= is_new || !taken_back(row);
            }
        }
        let stays = BooleanArray::from(stays);
        let mut kept = rows.filter(&stays)?;
        let upsert = |op: Op| if op == Op::UpdateBefore { Op::Delete } else { op };
        kept.ops = Some((0..kept.len()).map(|row| upsert(kept.op(row))).collect());
        Ok(kept)
    }
}

impl Operator for Upserts {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        cx.out.push(match event {
            Event::Rows(rows) if rows.ops.is_some() => Event::Rows(self.apply(&rows)?),
            other => other,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};

    use super::*;

    /// `+I a 1, -U b 2` and so on.
    fn rows(text: &str) -> Rows {
        let parts: Vec<Vec<&str>> = text.split(", ").map(|row| row.split(' ').collect()).collect();
        let ops = [Op::Insert, Op::UpdateBefore, Op::UpdateAfter, Op::Delete];
        let op = |name: &str| ops.into_iter().find(|op| op.name() == name).expect("an op");
        let schema = Schema::new(vec![
            Field::new("k", DataType::Utf8, true),
            Field::new("n", DataType::Int64, true),
        ]);
        let keys = StringArray::from_iter(parts.iter().map(|p| (p[1] != "null").then_some(p[1])));
        let numbers = Int64Array::from_iter_values(
            parts.iter().map(|p| p[2].parse::<i64>().expect("a number")),
        );
        let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(keys), Arc::new(numbers)])
            .expect("a batch");
        Rows { ops: Some(parts.iter().map(|p| op(p[0])).collect()), ..Rows::new(batch) }
    }

    fn text(rows: &Rows) -> String {
        let (keys, numbers) = (
            rows.batch.column(0).as_string::<i32>(),
            rows.batch.column(1).as_primitive::<Int64Type>(),
        );
        let key = |row| keys.iter().nth(row).flatten().unwrap_or("null");
        let row = |row| format!("{} {} {}", rows.op(row).name(), key(row), numbers.value(row));
        (0..rows.len()).map(row).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_row_that_nothing_replaces_is_deleted() {
        for (key, changes, upserts) in [
            (vec![0], "+I a 1, +U b 2, -D c 3", "+I a 1, +U b 2, -D c 3"),
            (
                vec![0],
                "-D a 1, +I a 2, -D a 2, -D b 1, +I c 1, +I b 2",
                "+I a 2, -D a 2, +I c 1, +I b 2",
            ),
            (vec![0], "-U a 1, +U a 2", "+U a 2"),
            (vec![0], "-U a 1", "-D a 1"),
            (vec![0], "-U a 1, -U b 1, +U b 2", "-D a 1, +U b 2"),
            // The other side comes later, behind rows of other keys.
            (vec![0], "-U a 1, -U b 1, +U a 2, -U c 3", "-D b 1, +U a 2, -D c 3"),
            (vec![0], "-U a 1, +U b 1, -D a 2", "+U b 1, -D a 2"),
            (vec![0], "-U a 1, +U a 2, -U a 2", "+U a 2, -D a 2"),
            (vec![0], "-U null 1, +U null 2, -U null 2", "+U null 2, -D null 2"),
            // An update that moves a row to another key.
            (vec![0, 1], "-U a 1, +U a 2", "-D a 1, +U a 2"),
            (vec![0, 1], "-U a 1, +U a 2, -U a 2, +U a 1", "+U a 2, -D a 2, +U a 1"),
            // A table of one row.
            (vec![], "-U a 1, +U b 2", "+U b 2"),
            (vec![], "-U a 1", "-D a 1"),
        ] {
            let changes = rows(changes);
            let upserted = Upserts::new(key).apply(&changes).expect("takes them");
            assert_eq!(text(&upserted), upserts);
        }
    }
}
