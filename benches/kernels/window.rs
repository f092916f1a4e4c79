//! A tumbling window by itself: keys, folding rows in, firing, and moving a window into RocksDB at
//! a barrier.

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, TimestampMillisecondArray};
use arrow::record_batch::RecordBatch;
use criterion::{BatchSize, Criterion, Throughput};
use paceline::config::Config;
use paceline::ids::Epoch;
use paceline::operator::window::WindowAggregateSpec;
use paceline::operator::window::aggregate::WindowAggregate;
use paceline::operator::{Context, Counters, Event, Operator, Rows, State, Steps};
use paceline::plan::lower::lower;
use paceline::plan::physical::OperatorPlan;
use paceline::sql::bind::bind;
use paceline::state::key::{KeyBuf, encode_keys};
use paceline::state::store::{StateDb, StateMemory};
use paceline::time::Watermark;

const ROWS: i64 = 4096;
const KEYS: i64 = 1000;

const QUERY: &str = "
CREATE TABLE race (racer BIGINT, resistance BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)
WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = 'in');
SELECT window_end, racer, SUM(resistance), COUNT(*), MAX(resistance)
FROM TABLE(TUMBLE(TABLE race, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, racer;";

fn spec() -> WindowAggregateSpec {
    let script = bind(QUERY).expect("the query is right");
    let config = Config::resolve(&script.settings, 1).expect("no settings");
    let plan = lower(&script, QUERY, &config, &paceline::connector::Connectors::built_in())
        .expect("the query is right");
    let operators = plan.chains.into_iter().flat_map(|c| c.operators);
    let mut specs = operators.filter_map(|o| {
        if let OperatorPlan::WindowAggregate(spec) = o { Some(spec) } else { None }
    });
    specs.next().expect("one aggregation")
}

/// One window's rows: rowtime, key, argument.
fn rows(spec: &WindowAggregateSpec) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new((0..ROWS).map(|i| Some(i * 2)).collect::<TimestampMillisecondArray>()),
        Arc::new((0..ROWS).map(|i| Some(i * 7919 % KEYS)).collect::<Int64Array>()),
        Arc::new((0..ROWS).map(|i| Some(i % 53)).collect::<Int64Array>()),
    ];
    assert_eq!(spec.key_types.len(), 1);
    RecordBatch::try_from_iter(["ts", "racer", "resistance"].into_iter().zip(columns))
        .expect("columns of one length")
}

struct World {
    db: StateDb,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().expect("temporary folder");
        let db = StateDb::open(&folder.path().join("db"), &StateMemory::new(64 << 20, 1))
            .expect("opens");
        World { db, _folder: folder }
    }

    /// The rows that come out.
    fn feed(&self, operator: &mut WindowAggregate, event: Event) -> usize {
        let (mut out, mut failed, mut counters) = (Vec::new(), Vec::new(), Counters::default());
        let mut cx = Context {
            out: &mut out,
            operator: "window",
            db: &self.db,
            failed: &mut failed,
            counters: &mut counters,
            room_bytes: usize::MAX,
            now_ms: 0,
        };
        operator.on_event(event, &mut cx).expect("no failure");
        while operator.has_work() {
            operator.work(&mut cx).expect("no failure");
        }
        out.iter().map(|e| if let Event::Rows(rows) = e { rows.batch.num_rows() } else { 0 }).sum()
    }
}

fn filled(world: &World, spec: &WindowAggregateSpec, batch: &RecordBatch) -> WindowAggregate {
    let mut operator = WindowAggregate::new(spec.clone());
    world.feed(&mut operator, Event::Rows(Rows::new(batch.clone())));
    operator
}

pub fn keys(c: &mut Criterion) {
    let batch = rows(&spec());
    let columns = &batch.columns()[1..];
    let mut out = KeyBuf::default();
    let mut group = c.benchmark_group("keys");
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("encode_two_bigints", |b| {
        b.iter(|| encode_keys(black_box(columns), ROWS as usize, &mut out))
    });
    group.finish();
}

pub fn window(c: &mut Criterion) {
    let (world, spec) = (World::new(), spec());
    let batch = rows(&spec);
    let mut group = c.benchmark_group("tumble");

    group.throughput(Throughput::Elements(ROWS as u64));
    let mut operator = filled(&world, &spec, &batch);
    group.bench_function("fold_4096_rows_of_1000_keys", |b| {
        b.iter(|| world.feed(&mut operator, Event::Rows(Rows::new(black_box(&batch).clone()))));
    });

    group.throughput(Throughput::Elements(KEYS as u64));
    let fire = |mut operator: WindowAggregate| {
        assert_eq!(
            world.feed(&mut operator, Event::Watermark(Watermark::at(10_000))),
            KEYS as usize
        )
    };
    group.bench_function("fire_1000_keys", |b| {
        b.iter_batched(|| filled(&world, &spec, &batch), fire, BatchSize::SmallInput);
    });

    let store = |mut operator: WindowAggregate| {
        world.feed(&mut operator, Event::Barrier(Epoch::new(1)));
        let mut done = false;
        while !done {
            let mut changes = world.db.batch();
            done = operator.write_frozen(&mut changes).expect("no failure");
            world.db.write(changes).expect("writes");
        }
    };
    group.bench_function("store_1000_keys", |b| {
        b.iter_batched(|| filled(&world, &spec, &batch), store, BatchSize::SmallInput);
    });
    group.finish();
}
