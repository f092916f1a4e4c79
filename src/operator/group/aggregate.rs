//! The changelog GROUP BY: folds rows into their groups and says how each changed.
//!
//! Row by row as Flink has it, or bundle by bundle (mini-batch): a bundle's rows are folded
//! together, and its groups change once. A bundle ends with its last row, at a watermark and at a
//! barrier, so nothing of it is in a checkpoint.

use arrow::compute::concat_batches;

use super::GroupSpec;
use super::changes::{ChangeSet, Fate, rounds};
use super::fold::{GroupedRows, apply};
use super::keyed::{KeyedGroups, Nothing};
use crate::operator::{Context, Event, Operator, OperatorError, Rows, State};
use crate::state::store::Changes;

pub(crate) struct GroupAggregate {
    spec: GroupSpec,
    groups: KeyedGroups<Nothing>,
    /// Rows that wait for their bundle to fill.
    bundle: Vec<Rows>,
    bundled: usize,
}

impl GroupAggregate {
    pub fn new(spec: GroupSpec) -> GroupAggregate {
        GroupAggregate { groups: KeyedGroups::new(spec.clone()), spec, bundle: vec![], bundled: 0 }
    }

    fn take(&mut self, rows: Rows, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let Some(size) = self.spec.bundle_rows else { return self.fold(&rows, false, cx) };
        let mut from = 0;
        while from < rows.len() {
            let n = (size - self.bundled).min(rows.len() - from);
            self.bundle.push(rows.slice(from, n));
            self.bundled += n;
            from += n;
            if self.bundled == size {
                self.end_bundle(cx)?;
            }
        }
        Ok(())
    }

    fn end_bundle(&mut self, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        self.bundled = 0;
        let parts = std::mem::take(&mut self.bundle);
        let Some(first) = parts.first() else { return Ok(()) };
        let batch = concat_batches(&first.batch.schema(), parts.iter().map(|r| &r.batch))?;
        let ops = parts.iter().flat_map(|r| (0..r.len()).map(|i| r.op(i))).collect();
        let rows = Rows { ops: Some(ops), ..Rows::new(batch) };
        self.fold(&rows, true, cx)
    }

    /// Folds a batch in, row by row or (`together`) as one change of each group.
    fn fold(
        &mut self,
        rows: &Rows,
        together: bool,
        cx: &mut Context<'_>,
    ) -> Result<(), OperatorError> {
        let key_columns = &rows.batch.columns()[..self.spec.key_types.len()];
        let input = GroupedRows::find(key_columns, rows, &mut self.groups, cx)?;
        let mut set = ChangeSet::default();
        let rounds =
            if together { vec![(0..rows.len() as u32).collect()] } else { rounds(&input.groups) };
        for picks in rounds {
            self.round(&input, &picks, &mut set, cx.now_ms)?;
        }
        if let Some(changes) = set.finish(key_columns, &self.spec.output)? {
            cx.out.push(Event::Rows(changes));
        }
        Ok(())
    }

    /// Folds the rows at `picks` in; each group they belong to changes once.
    fn round(
        &mut self,
        input: &GroupedRows<'_>,
        picks: &[u32],
        set: &mut ChangeSet,
        now_ms: i64,
    ) -> Result<(), OperatorError> {
        let state = &mut self.groups;
        // What takes back a row of a group that was never there is dropped, up to the group's first
        // row that adds.
        let mut changing: Vec<Changing> = Vec::with_capacity(picks.len());
        let mut kept = Vec::with_capacity(picks.len());
        for &row in picks {
            let (group, adds) = (input.groups[row as usize], input.adds[row as usize]);
            let known = state.place_of(group, changing.len() as u32);
            if known as usize == changing.len() {
                let count = state.rows(group);
                if count.is_none() && !adds {
                    state.forget_place(group);
                    continue;
                }
                changing.push(Changing {
                    group,
                    cause: row,
                    existed: count.is_some(),
                    rows: count.unwrap_or(0),
                });
            }
            changing[known as usize].rows += if adds { 1 } else { -1 };
            kept.push(row);
        }
        let groups: Vec<u32> = changing.iter().map(|c| c.group).collect();
        groups.iter().for_each(|&group| state.forget_place(group));
        if kept.is_empty() {
            return Ok(());
        }
        let before = state.compared(&groups)?;
        apply(&self.spec, state, input, &kept)?;
        let after = state.compared(&groups)?;
        let mut fates = Vec::with_capacity(changing.len());
        for change in &changing {
            // Over a table that only grows, a group's row stays for ever.
            let is_there = change.rows != 0 || !self.spec.retracts;
            if is_there {
                state.changed(change.group, change.rows, now_ms);
            } else {
                state.remove(change.group);
            }
            fates.push(match (change.existed, is_there) {
                (false, true) => Fate::Appears,
                (true, true) => Fate::Stays,
                (true, false) => Fate::Disappears,
                (false, false) => Fate::Absent,
            });
        }
        let causes: Vec<u32> = changing.iter().map(|c| c.cause).collect();
        // With a TTL an equal result is sent again: it keeps whoever waits for it from forgetting
        // it.
        set.add(&causes, &fates, before, after, self.spec.ttl.is_some())
            .map_err(OperatorError::from)
    }
}

/// A group that a round changes.
struct Changing {
    group: u32,
    /// Its first row in the round.
    cause: u32,
    existed: bool,
    /// Rows added minus rows taken back.
    rows: i64,
}

impl Operator for GroupAggregate {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        match event {
            Event::Rows(rows) if rows.is_empty() => {}
            Event::Rows(rows) => self.take(rows, cx)?,
            Event::Watermark(w) => {
                self.end_bundle(cx)?;
                cx.out.push(Event::Watermark(w));
            }
            tick @ Event::Tick(_) => cx.out.push(tick),
            Event::Barrier(epoch) => {
                self.end_bundle(cx)?;
                self.groups.sweep(cx.now_ms, cx.db)?;
                self.groups.freeze();
                cx.out.push(Event::Barrier(epoch));
            }
            Event::Partials(_) => return Err(OperatorError::no_place_for_partials()),
        }
        Ok(())
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }

    fn memory_bytes(&self) -> usize {
        let bundle: usize = self.bundle.iter().map(|r| r.batch.get_array_memory_size()).sum();
        self.groups.memory_bytes() + bundle
    }
}

impl State for GroupAggregate {
    fn write_frozen(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        Ok(self.groups.write_frozen(changes))
    }

    fn spill(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        Ok(self.groups.spill(changes))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::ids::{Epoch, OperatorId};
    use crate::operator::Counters;
    use crate::operator::aggregate::{Aggregate, Function};
    use crate::state::store::{StateDb, StateMemory};
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use arrow::datatypes::{DataType, Field, Schema};

    fn spec(ttl: Option<Duration>) -> GroupSpec {
        let field = |name| Field::new(name, DataType::Int64, true);
        GroupSpec {
            operator: OperatorId::FIRST,
            key_types: vec![DataType::Int64],
            aggregates: vec![Aggregate::plain(
                Function::Count,
                None,
                DataType::Int64,
                DataType::Int64,
            )],
            retracts: false,
            ttl,
            bundle_rows: None,
            windows: None,
            output: Arc::new(Schema::new(vec![field("k"), field("n")])),
        }
    }

    fn send(operator: &mut GroupAggregate, event: Event, now_ms: i64, db: &StateDb) -> Vec<String> {
        let (mut out, mut failed, mut counters) = (Vec::new(), Vec::new(), Counters::default());
        let mut cx = Context {
            out: &mut out,
            db,
            failed: &mut failed,
            counters: &mut counters,
            room_bytes: usize::MAX,
            operator: "test",
            now_ms,
        };
        operator.on_event(event, &mut cx).expect("takes it");
        let texts = out
            .iter()
            .filter_map(|e| if let Event::Rows(rows) = e { Some(rows) } else { None })
            .flat_map(|rows| {
                let number = |column: usize, i: usize| {
                    format!(
                        "{:?}",
                        rows.batch.column(column).slice(i, 1).to_data().buffers()[0]
                            .typed_data::<i64>()[0]
                    )
                };
                (0..rows.len())
                    .map(move |i| {
                        format!("{} {} {}", rows.op(i).name(), number(0, i), number(1, i))
                    })
                    .collect::<Vec<_>>()
            });
        texts.collect()
    }

    fn row(key: i64) -> Event {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![key]));
        Event::Rows(Rows::new(RecordBatch::try_from_iter([("k", column)]).expect("a batch")))
    }

    fn store(operator: &mut GroupAggregate, now_ms: i64, db: &StateDb) {
        send(operator, Event::Barrier(Epoch::new(1)), now_ms, db);
        let mut changes = db.batch();
        while !operator.write_frozen(&mut changes).expect("writes") {}
        db.write(changes).expect("writes");
    }

    #[test]
    fn groups_that_got_no_row_for_the_ttl_begin_anew_and_leave_the_store() {
        let dir = tempfile::tempdir().expect("folder");
        let db = StateDb::open(dir.path(), &StateMemory::new(1 << 20, 1)).expect("opens");
        let mut groups = GroupAggregate::new(spec(Some(Duration::from_secs(8))));
        assert_eq!(send(&mut groups, row(1), 0, &db), ["+I 1 1"]);
        assert_eq!(send(&mut groups, row(1), 7_999, &db), ["-U 1 1", "+U 1 2"]);
        assert_eq!(send(&mut groups, row(2), 8_000, &db), ["+I 2 1"]);
        store(&mut groups, 9_000, &db);
        // From the store, as after a restart.
        let mut groups = GroupAggregate::new(spec(Some(Duration::from_secs(8))));
        assert_eq!(send(&mut groups, row(1), 15_000, &db), ["-U 1 2", "+U 1 3"]);
        assert_eq!(
            send(&mut groups, row(2), 16_000, &db),
            ["+I 2 1"],
            "eight seconds later it is forgotten"
        );
        store(&mut groups, 17_000, &db);
        store(&mut groups, 40_000, &db);
        let mut left = 0;
        db.scan_all(|_, _| {
            left += 1;
            Ok::<_, crate::state::StateError>(())
        })
        .expect("scans");
        assert_eq!(left, 0);
    }
}
