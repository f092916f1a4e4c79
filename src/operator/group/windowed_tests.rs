//! Changing windows: what is sent when, over spills and restarts. Tests of `windowed`.

use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, TimestampMillisecondArray};
use arrow::datatypes::{Field, Int64Type, Schema};

use super::*;
use crate::ids::{Epoch, OperatorId};
use crate::operator::Counters;
use crate::operator::aggregate::{Aggregate, Function};
use crate::operator::window::window_bound_type;
use crate::state::store::StateMemory;
use crate::time::Watermark;

fn operator(early: Pace, late: Pace, lateness_ms: i64) -> WindowedGroups {
    let field = |name| Field::new(name, DataType::Int64, true);
    let windows = WindowedSpec { end: 1, zone: None, early, late, lateness_ms };
    let sum = Aggregate::plain(Function::Sum, Some(2), DataType::Int64, DataType::Int64);
    let spec = GroupSpec {
        operator: OperatorId::FIRST,
        key_types: vec![DataType::Int64, window_bound_type()],
        aggregates: vec![sum],
        retracts: true,
        ttl: None,
        bundle_rows: None,
        windows: Some(windows.clone()),
        output: Arc::new(Schema::new(vec![
            field("k"),
            Field::new("we", window_bound_type(), true),
            field("s"),
        ])),
    };
    WindowedGroups::new(spec, windows)
}

fn batch(keys: ArrayRef, end_ms: i64, values: ArrayRef) -> RecordBatch {
    let ends = Arc::new(TimestampMillisecondArray::from_value(end_ms, keys.len())) as ArrayRef;
    RecordBatch::try_from_iter([("k", keys), ("we", ends), ("v", values)]).expect("a batch")
}

struct Bench {
    operator: WindowedGroups,
    db: StateDb,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new(operator: WindowedGroups) -> Bench {
        let folder = tempfile::tempdir().expect("folder");
        let db = StateDb::open(folder.path(), &StateMemory::new(1 << 20, 1)).expect("opens");
        Bench { operator, db, _folder: folder }
    }

    /// Gives an event and returns the changes that follow.
    fn send(&mut self, event: Event, now_ms: i64) -> Vec<String> {
        let (mut out, mut failed, mut counters) = (Vec::new(), Vec::new(), Counters::default());
        let mut cx = Context {
            out: &mut out,
            db: &self.db,
            failed: &mut failed,
            counters: &mut counters,
            room_bytes: usize::MAX,
            operator: "test",
            now_ms,
        };
        self.operator.on_event(event, &mut cx).expect("takes it");
        while self.operator.has_work() {
            self.operator.work(&mut cx).expect("works");
        }
        let rows =
            out.iter().filter_map(|e| if let Event::Rows(rows) = e { Some(rows) } else { None });
        let number = |rows: &Rows, c: usize, i: usize| {
            rows.batch.column(c).as_primitive::<Int64Type>().value(i)
        };
        rows.flat_map(|rows| {
            (0..rows.len()).map(move |i| {
                format!("{} {} {}", rows.op(i).name(), number(rows, 0, i), number(rows, 2, i))
            })
        })
        .collect()
    }

    fn rows(&mut self, end_ms: i64, rows: &[(i64, i64, Op)], now_ms: i64) -> Vec<String> {
        let column = |f: fn(&(i64, i64, Op)) -> i64| {
            Arc::new(rows.iter().map(|r| Some(f(r))).collect::<Int64Array>()) as ArrayRef
        };
        let batch = batch(column(|r| r.0), end_ms, column(|r| r.1));
        let ops = rows.iter().map(|r| r.2).collect();
        self.send(Event::Rows(Rows { ops: Some(ops), ..Rows::new(batch) }), now_ms)
    }

    fn add(&mut self, end_ms: i64, key: i64, value: i64, now_ms: i64) -> Vec<String> {
        self.rows(end_ms, &[(key, value, Op::Insert)], now_ms)
    }

    fn spill(&mut self) {
        let mut changes = self.db.batch();
        assert!(self.operator.spill(&mut changes).expect("spills"));
        self.db.write(changes).expect("writes");
    }

    /// The operator as it is after a checkpoint and a restart.
    fn restart(&mut self, fresh: WindowedGroups) {
        self.send(Event::Barrier(Epoch::new(1)), 0);
        let mut changes = self.db.batch();
        while !self.operator.write_frozen(&mut changes).expect("writes") {}
        self.db.write(changes).expect("writes");
        let state = self.operator.marks();
        self.operator = fresh;
        self.operator.restore(&state, &self.db).expect("restores");
    }

    fn stored(&self) -> usize {
        let mut keys = 0;
        self.db
            .scan_all(|_, _| {
                keys += 1;
                Ok::<_, crate::state::StateError>(())
            })
            .expect("scans");
        keys
    }
}

#[test]
fn changes_wait_for_their_delay_and_come_once() {
    let after = Pace::After { delay_ms: 100 };
    for interruption in ["none", "spill", "restart"] {
        let mut bench = Bench::new(operator(after, after, 50));
        let interrupt = |bench: &mut Bench| match interruption {
            "spill" => bench.spill(),
            "restart" => bench.restart(operator(after, after, 50)),
            _ => {}
        };
        assert!(bench.add(1000, 7, 1, 0).is_empty());
        assert!(bench.add(1000, 7, 2, 60).is_empty());
        assert!(bench.send(Event::Tick(99), 99).is_empty() || interruption == "restart");
        interrupt(&mut bench);
        assert_eq!(bench.send(Event::Tick(100), 100), ["+I 7 3"], "{interruption}");
        assert!(bench.send(Event::Tick(300), 300).is_empty(), "nothing changed");
        assert!(bench.add(1000, 7, 4, 300).is_empty());
        interrupt(&mut bench);
        // What still waits comes when the window closes.
        assert_eq!(
            bench.send(Event::Watermark(Watermark::at(999)), 310),
            ["-U 7 3", "+U 7 7"],
            "{interruption}"
        );
        assert!(bench.send(Event::Tick(500), 500).is_empty(), "it has been sent");
        assert!(bench.add(1000, 7, 5, 500).is_empty());
        interrupt(&mut bench);
        assert_eq!(bench.send(Event::Tick(600), 600), ["-U 7 7", "+U 7 12"], "{interruption}");
        assert!(bench.send(Event::Watermark(Watermark::at(1049)), 700).is_empty());
        assert!(bench.add(1000, 7, 1, 800).is_empty(), "the window takes no more");
        assert!(bench.send(Event::Watermark(Watermark::END), 900).is_empty());
        assert!(bench.operator.open.is_empty() && bench.operator.members.is_empty());
        if interruption != "none" {
            bench.spill();
        }
        assert_eq!(bench.stored(), 0, "{interruption}");
    }
}

#[test]
fn a_final_window_has_only_what_is_left_when_it_closes() {
    for interruption in [false, true] {
        let mut bench = Bench::new(operator(Pace::Never, Pace::EachRow, 0));
        // Taken back before it was added, as two ways of a query can deliver it.
        bench.rows(1000, &[(1, 5, Op::UpdateBefore), (2, 3, Op::Insert)], 0);
        bench.rows(2000, &[(11, 8, Op::UpdateAfter)], 0);
        if interruption {
            bench.spill();
            bench.rows(1000, &[(1, 5, Op::Insert), (1, 6, Op::Insert), (2, 3, Op::Delete)], 0);
            bench.restart(operator(Pace::Never, Pace::EachRow, 0));
        } else {
            bench.rows(1000, &[(1, 5, Op::Insert), (1, 6, Op::Insert), (2, 3, Op::Delete)], 0);
        }
        assert_eq!(bench.send(Event::Watermark(Watermark::at(1500)), 0), ["+I 1 6"]);
        assert!(bench.add(1000, 1, 1, 0).is_empty());
        assert_eq!(bench.send(Event::Watermark(Watermark::END), 0), ["+I 11 8"]);
    }
}

#[test]
fn a_late_row_changes_what_was_sent() {
    let mut bench = Bench::new(operator(Pace::Never, Pace::EachRow, 100));
    bench.add(1000, 1, 1, 0);
    // The second row's own split has closed the window: the first one comes out before.
    let column = |values: [i64; 2]| Arc::new(Int64Array::from(values.to_vec())) as ArrayRef;
    let marks = Some(vec![998, 999].into());
    let rows =
        Rows { watermarks_ms: marks, ..Rows::new(batch(column([1, 1]), 1000, column([2, 4]))) };
    assert_eq!(bench.send(Event::Rows(rows), 0), ["+I 1 3", "-U 1 3", "+U 1 7"]);
    assert!(bench.send(Event::Watermark(Watermark::at(1000)), 0).is_empty());
    assert_eq!(bench.add(1000, 2, 9, 0), ["+I 2 9"]);
    assert_eq!(bench.rows(1000, &[(2, 9, Op::Delete)], 0), ["-D 2 9"]);
}
