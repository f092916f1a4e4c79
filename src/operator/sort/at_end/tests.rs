//! Is what comes out what is there, in order, whatever came and went, spilled and restarted?

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::SortOptions;
use arrow::datatypes::{Field, Int64Type, Schema};

use super::*;
use crate::change::Op;
use crate::ids::{Epoch, OperatorId};
use crate::operator::Counters;
use crate::operator::sort::Slice;
use crate::state::store::StateMemory;

fn spec(order: Option<Vec<(usize, SortOptions)>>, skip: u64, fetch: Option<u64>) -> AtEndSpec {
    let rows = Arc::new(Schema::new(vec![
        Field::new("k", DataType::Utf8, true),
        Field::new("v", DataType::Int64, true),
    ]));
    AtEndSpec {
        operator: OperatorId::FIRST,
        order,
        slice: Slice { skip, fetch },
        if_empty: None,
        rows,
    }
}

type Row = (&'static str, i64);

fn rows(spec: &AtEndSpec, changes: &[(Op, Row)]) -> Event {
    let keys = StringArray::from_iter_values(changes.iter().map(|(_, (k, _))| *k));
    let values = Int64Array::from_iter_values(changes.iter().map(|(_, (_, v))| *v));
    let batch = RecordBatch::try_new(spec.rows.clone(), vec![Arc::new(keys), Arc::new(values)]);
    let ops = Some(changes.iter().map(|(op, _)| *op).collect());
    Event::Rows(Rows { ops, ..Rows::new(batch.expect("rows")) })
}

struct Bench {
    operator: AtEnd,
    db: StateDb,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn new(spec: AtEndSpec) -> Bench {
        let dir = tempfile::tempdir().expect("folder");
        let db = StateDb::open(dir.path(), &StateMemory::new(1 << 20, 1)).expect("opens");
        Bench { operator: AtEnd::new(spec, OfNoKey::ComeHere), db, _dir: dir }
    }

    /// Sends an event; returns the rows that come out.
    fn send(&mut self, event: Event) -> Vec<(String, i64)> {
        let (mut out, mut failed, mut counters) = (Vec::new(), Vec::new(), Counters::default());
        let mut cx = Context {
            out: &mut out,
            db: &self.db,
            failed: &mut failed,
            counters: &mut counters,
            room_bytes: 0,
            operator: "test",
            now_ms: 0,
        };
        self.operator.on_event(event, &mut cx).expect("takes it");
        while self.operator.has_work() {
            self.operator.work(&mut cx).expect("works");
        }
        let mut found = Vec::new();
        for event in out {
            if let Event::Rows(rows) = event {
                assert!(rows.ops.is_none(), "a row at the end is a new one");
                let (keys, values) = (rows.batch.column(0), rows.batch.column(1));
                let keys = keys.as_string::<i32>().iter().flatten().map(str::to_string);
                found.extend(keys.zip(values.as_primitive::<Int64Type>().values().to_vec()));
            }
        }
        found
    }

    fn spill(&mut self) {
        let mut changes = self.db.changes();
        self.operator.spill(&mut changes).expect("spills");
        self.db.write(changes).expect("writes");
    }

    /// A checkpoint, and a start from it.
    fn restart(&mut self) {
        assert_eq!(self.send(Event::Barrier(Epoch::START)), []);
        let mut changes = self.db.batch();
        while !self.operator.write_frozen(&mut changes).expect("writes") {}
        self.db.write(changes).expect("writes");
        let marks = self.operator.marks();
        self.operator = AtEnd::new(self.operator.spec.clone(), OfNoKey::ComeHere);
        self.operator.restore(&marks, &self.db).expect("restores");
    }
}

fn descending() -> Option<Vec<(usize, SortOptions)>> {
    Some(vec![(1, SortOptions { descending: true, nulls_first: false })])
}

#[test]
fn what_was_taken_back_does_not_come_out_and_the_rest_is_in_order() {
    for (spills, restarts) in [(false, false), (true, false), (false, true), (true, true)] {
        let spec = spec(descending(), 0, None);
        let mut bench = Bench::new(spec.clone());
        let batches: [&[(Op, Row)]; 4] = [
            &[(Op::Insert, ("a", 1)), (Op::Insert, ("b", 2)), (Op::Insert, ("b", 2))],
            &[(Op::UpdateBefore, ("a", 1)), (Op::UpdateAfter, ("a", 7))],
            &[(Op::Delete, ("b", 2)), (Op::Insert, ("c", 7)), (Op::Insert, ("d", -1))],
            &[(Op::Delete, ("d", -1))],
        ];
        for batch in batches {
            assert_eq!(bench.send(rows(&spec, batch)), []);
            if spills {
                bench.spill();
            }
            if restarts {
                bench.restart();
            }
        }
        let found = bench.send(Event::Watermark(Watermark::END));
        let wanted = [("a", 7), ("c", 7), ("b", 2)].map(|(k, v)| (k.to_string(), v));
        assert_eq!(found, wanted, "spills {spills}, restarts {restarts}");
        // A checkpoint behind the end has nothing more to give.
        bench.restart();
        assert_eq!(bench.send(Event::Watermark(Watermark::END)), []);
    }
}

#[test]
fn a_slice_counts_rows_that_are_there_several_times() {
    for (skip, fetch, wanted) in [
        (0, None, "c b b b a"),
        (1, Some(2), "b b"),
        (3, None, "b a"),
        (4, Some(9), "a"),
        (5, None, ""),
        (0, Some(0), ""),
    ] {
        let spec = spec(descending(), skip, fetch);
        let mut bench = Bench::new(spec.clone());
        let adds = [("a", 1), ("b", 2), ("b", 2), ("c", 3), ("b", 2)].map(|row| (Op::Insert, row));
        bench.send(rows(&spec, &adds));
        let found = bench.send(Event::Watermark(Watermark::END));
        let found: Vec<&str> = found.iter().map(|(k, _)| k.as_str()).collect();
        assert_eq!(found.join(" "), wanted, "skip {skip}, fetch {fetch:?}");
    }
}

#[test]
fn rows_of_many_steps_and_of_all_key_groups_come_out_once() {
    let spec = spec(None, 0, None);
    let mut bench = Bench::new(spec.clone());
    let mut wanted: BTreeMap<i64, usize> = BTreeMap::new();
    for round in 0..4 {
        let changes: Vec<(Op, Row)> = (0..7000)
            .map(|i| (if round == 2 && i % 3 == 0 { Op::Delete } else { Op::Insert }, ("k", i)))
            .collect();
        for (op, (_, v)) in &changes {
            let count = wanted.entry(*v).or_default();
            if op.adds() { *count += 1 } else { *count -= 1 }
        }
        bench.send(rows(&spec, &changes));
        bench.spill();
    }
    let mut found: BTreeMap<i64, usize> = BTreeMap::new();
    for (_, v) in bench.send(Event::Watermark(Watermark::END)) {
        *found.entry(v).or_default() += 1;
    }
    assert_eq!(found, wanted);
}

#[test]
fn an_aggregate_of_nothing_has_a_result_where_it_belongs() {
    let mut spec = spec(None, 0, None);
    let columns: [arrow::array::ArrayRef; 2] =
        [Arc::new(StringArray::from(vec!["none"])), Arc::new(Int64Array::from(vec![0]))];
    spec.if_empty = Some(RecordBatch::try_new(spec.rows.clone(), columns.to_vec()).expect("a row"));
    let end = || Event::Watermark(Watermark::END);
    for (of_no_key, row, wanted) in [
        (OfNoKey::ComeHere, None, vec![("none".to_string(), 0)]),
        (OfNoKey::GoElsewhere, None, vec![]),
        (OfNoKey::ComeHere, Some(("a", 1)), vec![("a".to_string(), 1)]),
    ] {
        let mut bench = Bench::new(spec.clone());
        bench.operator = AtEnd::new(spec.clone(), of_no_key);
        if let Some(row) = row {
            bench.send(rows(&spec, &[(Op::Insert, row)]));
        }
        assert_eq!(bench.send(end()), wanted, "{of_no_key:?} {row:?}");
    }
}
