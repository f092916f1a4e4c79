//! Does a lookup join keep order, whatever the table's answers do? Against a table whose answers
//! are given by hand.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion_expr::Operator as Comparison;
use datafusion_physical_expr::expressions::{binary, col, lit};

use super::{LookupJoin, LookupJoinSpec};
use crate::connector::in_memory::table::MemoryTable;
use crate::ids::Epoch;
use crate::lookup::options::CacheOptions;
use crate::lookup::{Lookup, LookupError, LookupSpec, LookupTable, Reply};
use crate::operator::{Context, Counters, Event, Op, Operator, OperatorError, Rows, Steps};
use crate::state::store::{StateDb, StateMemory};
use crate::time::Watermark;
use crate::time::clock::SystemClock;
use crate::who::{Again, Who};

/// Answers from `rows`, when it is told to.
struct Scripted {
    rows: MemoryTable,
    open: Mutex<Vec<(RecordBatch, Reply)>>,
    asked: AtomicUsize,
}

impl LookupTable for Scripted {
    fn ask(&self, keys: RecordBatch, reply: Reply) {
        self.asked.fetch_add(keys.num_rows(), Ordering::Relaxed);
        self.open.lock().expect("open questions").push((keys, reply));
    }
}

impl Scripted {
    fn answer(&self) -> bool {
        let Some((keys, reply)) = self.open.lock().expect("open questions").pop() else {
            return false;
        };
        self.rows.ask(keys, reply);
        true
    }
}

fn schema(fields: &[(&str, DataType)]) -> SchemaRef {
    Arc::new(Schema::new(
        fields.iter().map(|(n, t)| Field::new(*n, t.clone(), true)).collect::<Vec<_>>(),
    ))
}

/// What a test varies: LEFT JOIN, `v > 25` among the conditions, several rows for a key, the cache.
#[derive(Clone, Copy, Default)]
struct Case {
    outer: bool,
    condition: bool,
    several: bool,
    cache: bool,
}

struct World {
    table: Arc<Scripted>,
    join: LookupJoin,
    woken: Arc<AtomicUsize>,
    _dir: tempfile::TempDir,
    db: StateDb,
}

/// The table's rows: (k, s, v); its key is k, or (k, s).
const TABLE: [(&str, i64, i64); 6] =
    [("b", 2, 5), ("a", 1, 20), ("b", 1, 30), ("c", 1, 40), ("d", 2, 8), ("d", 1, 9)];

impl World {
    fn new(case: Case) -> World {
        let of_table =
            schema(&[("k", DataType::Utf8), ("s", DataType::Int64), ("v", DataType::Int64)]);
        let names: &[&str] = if case.several { &["k", "s"] } else { &["k"] };
        let primary_key = names.iter().map(|n| (*n).to_owned()).collect();
        let spec = LookupSpec {
            table: "dim".into(),
            schema: of_table.clone(),
            keys: vec![0],
            primary_key,
        };
        let rows = RecordBatch::try_new(
            of_table,
            vec![
                Arc::new(StringArray::from_iter_values(TABLE.iter().map(|r| r.0))),
                Arc::new(Int64Array::from_iter_values(TABLE.iter().map(|r| r.1))),
                Arc::new(Int64Array::from_iter_values(TABLE.iter().map(|r| r.2))),
            ],
        )
        .expect("rows");
        let rows = MemoryTable::new(&spec, &rows).expect("table");
        let table =
            Arc::new(Scripted { rows, open: Mutex::default(), asked: AtomicUsize::default() });
        let cache = CacheOptions {
            rows_max: Some(10),
            expire_after_write: None,
            expire_after_access: None,
            keeps_missing: true,
        };
        let lookup =
            Lookup::new(spec, table.clone(), case.cache.then_some(cache), SystemClock::shared());
        let woken = Arc::new(AtomicUsize::default());
        let wake = woken.clone();
        let asker = Arc::new(lookup).asker(Arc::new(move || {
            wake.fetch_add(1, Ordering::Relaxed);
        }));
        let asker = asker.expect("asker");
        let fields = [("id", DataType::Int64), ("k", DataType::Utf8)];
        let of_table = [("dk", DataType::Utf8), ("s", DataType::Int64), ("v", DataType::Int64)];
        let output = schema(&[fields.as_slice(), &of_table].concat());
        let above = || {
            binary(col("v", &output).expect("column"), Comparison::Gt, lit(25i64), &output)
                .expect("condition")
        };
        let spec = LookupJoinSpec {
            table: "dim".into(),
            key_names: vec!["k".into()],
            keys: vec![1],
            before: 2,
            width: 2,
            outer: case.outer,
            condition: case.condition.then(above),
            is_unique: !case.several,
            output: output.clone(),
        };
        let dir = tempfile::tempdir().expect("folder");
        let db = StateDb::open(dir.path(), &StateMemory::new(1 << 20, 1)).expect("opens");
        World { table, join: LookupJoin::new(spec, asker), woken, _dir: dir, db }
    }

    fn call(
        &mut self,
        act: impl FnOnce(&mut LookupJoin, &mut Context<'_>) -> Result<(), OperatorError>,
    ) -> Result<Vec<Event>, OperatorError> {
        let (mut out, mut failed, mut counters) = (Vec::new(), Vec::new(), Counters::default());
        let mut cx = Context {
            out: &mut out,
            db: &self.db,
            failed: &mut failed,
            counters: &mut counters,
            room_bytes: 0,
            operator: "lookup join",
            now_ms: 0,
        };
        act(&mut self.join, &mut cx).map(|()| out)
    }

    fn send(&mut self, event: Event) -> Vec<Event> {
        self.call(|join, cx| join.on_event(event, cx)).expect("taken")
    }

    /// Answers and works until nothing is left to do.
    fn run(&mut self) -> Vec<Event> {
        let mut out = Vec::new();
        while self.join.has_work() {
            assert_eq!(self.join.is_waiting(), self.table.answer());
            out.extend(self.call(|join, cx| join.work(cx)).expect("works"));
        }
        out
    }
}

fn rows(from: i64, keys: &[Option<&str>]) -> Rows {
    let ids = Int64Array::from_iter_values(from..from + keys.len() as i64);
    let columns: Vec<Arc<dyn Array>> =
        vec![Arc::new(ids), Arc::new(StringArray::from(keys.to_vec()))];
    Rows::new(
        RecordBatch::try_new(schema(&[("id", DataType::Int64), ("k", DataType::Utf8)]), columns)
            .expect("rows"),
    )
}

/// `id:k-v` of each row, `w` and a watermark, `b` and a barrier.
fn texts(events: &[Event]) -> Vec<String> {
    let text = |event: &Event| match event {
        Event::Rows(rows) => {
            let ids = rows.batch.column(0).as_primitive::<Int64Type>();
            let (keys, values) = (
                rows.batch.column(2).as_string::<i32>(),
                rows.batch.column(4).as_primitive::<Int64Type>(),
            );
            let cell = |row: usize| {
                if keys.is_null(row) {
                    "none".into()
                } else {
                    format!("{}-{}", keys.value(row), values.value(row))
                }
            };
            (0..rows.len()).map(|row| format!("{}:{}", ids.value(row), cell(row))).collect()
        }
        Event::Watermark(w) => vec![format!("w{w}")],
        Event::Barrier(e) => vec![format!("b{e}")],
        Event::Partials(_) | Event::Tick(_) => vec![],
    };
    events.iter().flat_map(text).collect()
}

#[test]
fn everything_waits_for_the_answer_in_its_order() {
    let mut world = World::new(Case::default());
    assert_eq!(texts(&world.send(Event::Watermark(Watermark::at(1)))), ["w1"]);
    assert!(
        world
            .send(Event::Rows(rows(1, &[Some("c"), None, Some("x"), Some("a"), Some("c")])))
            .is_empty()
    );
    assert!(world.join.has_work() && world.join.is_waiting());
    // What operators before it make of one event.
    assert!(world.send(Event::Rows(rows(6, &[Some("a")]))).is_empty());
    assert!(world.send(Event::Watermark(Watermark::at(2))).is_empty());
    assert!(world.send(Event::Barrier(Epoch::new(7))).is_empty());
    // Nothing is done before its time, and nobody is woken.
    assert!(world.call(|join, cx| join.work(cx)).expect("works").is_empty());
    assert_eq!(
        (world.woken.load(Ordering::Relaxed), world.table.asked.load(Ordering::Relaxed)),
        (0, 3)
    );
    assert_eq!(texts(&world.run()), ["1:c-40", "4:a-20", "5:c-40", "6:a-20", "w2", "b7"]);
    assert_eq!(world.woken.load(Ordering::Relaxed), 2);
    assert!(!world.join.has_work() && !world.join.is_waiting());
}

#[test]
fn each_kind_of_join() {
    let keys = [Some("b"), Some("x"), None, Some("a")];
    let case = Case::default();
    for (case, want) in [
        // Of two rows with one primary key the last one counts.
        (case, vec!["1:b-30", "4:a-20"]),
        (Case { outer: true, ..case }, vec!["1:b-30", "2:none", "3:none", "4:a-20"]),
        (Case { several: true, ..case }, vec!["1:b-30", "1:b-5", "4:a-20"]),
        (Case { several: true, condition: true, ..case }, vec!["1:b-30"]),
        (
            Case { several: true, outer: true, condition: true, cache: true },
            vec!["1:b-30", "2:none", "3:none", "4:none"],
        ),
    ] {
        let mut world = World::new(case);
        assert!(world.send(Event::Rows(rows(1, &keys))).is_empty());
        assert_eq!(texts(&world.run()), want);
    }
}

#[test]
fn a_row_whose_matches_all_fail_the_condition_stays_once() {
    let mut world = World::new(Case { outer: true, condition: true, several: true, cache: false });
    assert!(
        world.send(Event::Rows(rows(1, &[Some("d"), Some("b"), Some("d"), Some("d")]))).is_empty()
    );
    assert_eq!(texts(&world.run()), ["1:none", "2:b-30", "3:none", "4:none"]);
}

#[test]
fn an_op_stays_with_its_row() {
    let mut world = World::new(Case { outer: true, ..Case::default() });
    let ops = [Op::Insert, Op::Delete, Op::UpdateAfter];
    let changes = Rows {
        ops: Some(ops.into_iter().collect()),
        ..rows(1, &[Some("a"), Some("x"), Some("c")])
    };
    world.send(Event::Rows(changes));
    let out = world.run();
    let [Event::Rows(out)] = out.as_slice() else { panic!("{out:?}") };
    assert_eq!([0, 1, 2].map(|row| out.op(row)), ops);
}

#[test]
fn many_keys_are_asked_for_in_parts() {
    let names: Vec<String> = (0..2500).map(|n| format!("k{n}")).collect();
    let mut keys: Vec<Option<&str>> = names.iter().map(|n| Some(n.as_str())).collect();
    keys.push(Some("a"));
    let mut world = World::new(Case { outer: true, ..Case::default() });
    world.send(Event::Rows(rows(0, &keys)));
    assert_eq!(world.table.asked.load(Ordering::Relaxed), 1000);
    let out = texts(&world.run());
    assert_eq!(
        (out.len(), out[2499].as_str(), out[2500].as_str()),
        (2501, "2499:none", "2500:a-20")
    );
    assert_eq!(world.woken.load(Ordering::Relaxed), 3);
}

#[test]
fn the_cache_answers_what_it_knows() {
    let mut world = World::new(Case { cache: true, ..Case::default() });
    for (keys, asked) in [(["a", "x"], 2), (["x", "a"], 2), (["c", "a"], 3)] {
        world.send(Event::Rows(rows(1, &keys.map(Some))));
        let out = texts(&world.run());
        assert_eq!(out.iter().any(|row| row.ends_with("a-20")), keys.contains(&"a"), "{out:?}");
        assert_eq!(world.table.asked.load(Ordering::Relaxed), asked, "{keys:?}");
    }
}

#[test]
fn a_failed_or_forgotten_question_ends_the_job() {
    for drops in [true, false] {
        let mut world = World::new(Case::default());
        world.send(Event::Rows(rows(1, &[Some("a")])));
        let (_, reply) = world.table.open.lock().expect("open questions").pop().expect("asked");
        let failed = LookupError::Key {
            table: "dim".into(),
            key: "a".into(),
            reason: "no answer".into(),
            who: Who::Outside(Again::MayHelp),
        };
        if drops {
            drop(reply)
        } else {
            reply.send(Err(failed))
        }
        assert!(!world.join.is_waiting());
        let error = world.call(|join, cx| join.work(cx)).expect_err("fails").to_string();
        assert!(
            if drops {
                error.contains("stopped")
            } else {
                error == "lookup in table 'dim' of a: no answer"
            },
            "{error}"
        );
    }
}
