//! Does a regular join hold what SQL says, whatever comes and goes in which batches? Seeded jobs
//! against a naive join of what there is.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, Int64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion_expr::Operator as Comparison;
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::{BinaryExpr, Column};

use super::*;
use crate::ids::{Epoch, OperatorId};
use crate::operator::Counters;
use crate::operator::join::JoinKind;
use crate::state::store::{StateDb, StateMemory};

/// `(key, value)` of a row; how often it is there.
type Table = BTreeMap<(Option<i64>, i64), i64>;
/// The columns of a row that comes out.
type Joined = Vec<Option<i64>>;

const KINDS: [JoinKind; 6] = [
    JoinKind::Inner,
    JoinKind::Left,
    JoinKind::Right,
    JoinKind::Full,
    JoinKind::Semi,
    JoinKind::Anti,
];

fn schema(names: &[&str]) -> SchemaRef {
    let field = |name: &&str| Field::new(*name, DataType::Int64, true);
    Arc::new(Schema::new(names.iter().map(field).collect::<Vec<_>>()))
}

/// `l.k = r.k`, and with a condition `l.v < r.v`.
fn join(kind: JoinKind, nulls_match: bool, with_condition: bool) -> RegularJoin {
    let less: Arc<dyn PhysicalExpr> = Arc::new(BinaryExpr::new(
        Arc::new(Column::new("v", 1)),
        Comparison::Lt,
        Arc::new(Column::new("w", 3)),
    ));
    let output = if kind.only_left() { schema(&["k", "v"]) } else { schema(&["k", "v", "q", "w"]) };
    RegularJoin::new(RegularSpec {
        join: JoinSpec {
            operator: OperatorId::FIRST,
            zone: None,
            kind,
            keys: [vec![0], vec![0]],
            inputs: [schema(&["k", "v"]), schema(&["q", "w"])],
            widths: [2, 2],
            condition: with_condition.then_some(less),
            output,
        },
        nulls_match,
        ttls: [None, None],
    })
}

/// The join of what there is, row by row.
fn naive(
    kind: JoinKind,
    nulls_match: bool,
    condition: bool,
    tables: &[Table; 2],
) -> BTreeMap<Joined, i64> {
    let mut out: BTreeMap<Joined, i64> = BTreeMap::new();
    let mut add = |row: Joined, count: i64| {
        *out.entry(row).or_default() += count;
    };
    let meets = |l: &(Option<i64>, i64), r: &(Option<i64>, i64)| {
        l.0 == r.0 && (l.0.is_some() || nulls_match) && (!condition || l.1 < r.1)
    };
    let [left, right] = tables;
    for (l, times) in left {
        let matches: Vec<_> = right.iter().filter(|(r, _)| meets(l, r)).collect();
        match kind {
            JoinKind::Semi if !matches.is_empty() => add(vec![l.0, Some(l.1)], *times),
            JoinKind::Anti if matches.is_empty() => add(vec![l.0, Some(l.1)], *times),
            JoinKind::Semi | JoinKind::Anti => {}
            _ => {
                for (r, count) in &matches {
                    add(vec![l.0, Some(l.1), r.0, Some(r.1)], times * *count);
                }
                if matches.is_empty() && kind.keeps_left() {
                    add(vec![l.0, Some(l.1), None, None], *times);
                }
            }
        }
    }
    if kind.keeps_right() {
        for (r, times) in right.iter().filter(|(r, _)| !left.keys().any(|l| meets(l, r))) {
            add(vec![None, None, r.0, Some(r.1)], *times);
        }
    }
    out
}

struct Bench {
    operator: RegularJoin,
    db: StateDb,
    /// What has come out so far.
    out: BTreeMap<Joined, i64>,
}

impl Bench {
    fn send(&mut self, event: Event, room_bytes: usize) {
        let (mut out, mut failed, mut counters) = (Vec::new(), Vec::new(), Counters::default());
        let mut cx = Context {
            out: &mut out,
            db: &self.db,
            failed: &mut failed,
            counters: &mut counters,
            room_bytes,
            operator: "test",
            now_ms: 0,
        };
        self.operator.on_event(event, &mut cx).expect("takes it");
        while self.operator.has_work() {
            self.operator.work(&mut cx).expect("works");
        }
        for event in out {
            let Event::Rows(rows) = event else { continue };
            for row in 0..rows.len() {
                let columns = rows.batch.columns().iter();
                let value = |c: &ArrayRef| {
                    c.is_valid(row).then(|| c.as_primitive::<Int64Type>().value(row))
                };
                let count = self.out.entry(columns.map(value).collect()).or_default();
                *count += if rows.op(row).adds() { 1 } else { -1 };
                assert!(*count >= 0, "a row is taken back that is not there");
            }
        }
        self.out.retain(|_, count| *count != 0);
    }

    fn checkpoint(&mut self) {
        self.send(Event::Barrier(Epoch::START), usize::MAX);
        let mut changes = self.db.batch();
        while !self.operator.write_frozen(&mut changes).expect("writes") {}
        self.db.write(changes).expect("writes");
    }
}

#[test]
fn what_comes_out_is_the_join_of_what_there_is() {
    let dir = tempfile::tempdir().expect("a folder");
    for seed in 0..90 {
        let mut random = fastrand::Rng::with_seed(seed);
        let kind = KINDS[seed as usize % KINDS.len()];
        let (nulls_match, condition) = (random.bool(), random.bool());
        let folder = dir.path().join(seed.to_string());
        let db = StateDb::open(&folder, &StateMemory::new(1 << 20, 1)).expect("opens");
        let operator = join(kind, nulls_match, condition);
        let mut bench = Bench { operator, db, out: BTreeMap::new() };
        let mut tables = [Table::new(), Table::new()];
        for step in 0..60 {
            let input = random.usize(..2);
            let mut rows: Vec<(Option<i64>, i64, Op)> = Vec::new();
            for _ in 0..random.usize(1..7) {
                let table = &mut tables[input];
                let known: Vec<_> = table.keys().copied().collect();
                let row = if !known.is_empty() && random.u8(..3) == 0 {
                    known[random.usize(..known.len())]
                } else {
                    ((random.u8(..5) > 0).then(|| random.i64(..3)), random.i64(..4))
                };
                let goes = table.contains_key(&row) && random.bool();
                let count = table.entry(row).or_default();
                *count += if goes { -1 } else { 1 };
                if *count == 0 {
                    table.remove(&row);
                }
                let op = match (goes, random.bool()) {
                    (true, true) => Op::UpdateBefore,
                    (true, false) => Op::Delete,
                    (false, true) => Op::UpdateAfter,
                    (false, false) => Op::Insert,
                };
                rows.push((row.0, row.1, op));
            }
            let keys: Int64Array = rows.iter().map(|row| row.0).collect();
            let values: Int64Array = rows.iter().map(|row| Some(row.1)).collect();
            let schema = bench.operator.spec.join.inputs[input].clone();
            let batch = RecordBatch::try_new(schema, vec![Arc::new(keys), Arc::new(values)]);
            let ops = Some(rows.iter().map(|row| row.2).collect());
            let rows = Rows { ops, input: input as u8, ..Rows::new(batch.expect("a batch")) };
            // With room for the rows of the keys, and without.
            bench.send(Event::Rows(rows), if random.bool() { usize::MAX } else { 0 });
            let expected = naive(kind, nulls_match, condition, &tables);
            assert_eq!(bench.out, expected, "{kind:?} nulls {nulls_match} seed {seed} step {step}");
            match random.u8(..8) {
                0 => bench.checkpoint(),
                1 => {
                    let mut changes = bench.db.batch();
                    bench.operator.spill(&mut changes).expect("spills");
                    bench.db.write(changes).expect("writes");
                }
                // As after a crash: what was in the checkpoint is all there is.
                2 => {
                    bench.checkpoint();
                    bench.operator = join(kind, nulls_match, condition);
                }
                _ => {}
            }
        }
    }
}

#[test]
fn a_row_with_many_matches_is_worked_off_in_steps() {
    let dir = tempfile::tempdir().expect("a folder");
    let db = StateDb::open(dir.path(), &StateMemory::new(1 << 20, 1)).expect("opens");
    let mut bench =
        Bench { operator: join(JoinKind::Left, false, false), db, out: BTreeMap::new() };
    let many = STEP_PAIRS as i64 * (STEPS_AT_ONCE as i64 + 2);
    let batch = |operator: &RegularJoin, input: usize, values: Vec<i64>| {
        let keys = Int64Array::from(vec![7; values.len()]);
        let schema = operator.spec.join.inputs[input].clone();
        let columns: Vec<ArrayRef> = vec![Arc::new(keys), Arc::new(Int64Array::from(values))];
        let batch = RecordBatch::try_new(schema, columns).expect("a batch");
        Event::Rows(Rows { input: input as u8, ..Rows::new(batch) })
    };
    let right = batch(&bench.operator, 1, (0..many).collect());
    bench.send(right, usize::MAX);
    let left = batch(&bench.operator, 0, vec![1, 2]);
    bench.send(left, usize::MAX);
    assert_eq!(bench.out.len() as i64, 2 * many);
    // The same where memory has no room for the rows of the key.
    bench.checkpoint();
    bench.operator = join(JoinKind::Left, false, false);
    let left = batch(&bench.operator, 0, vec![3]);
    bench.send(left, 0);
    assert_eq!(bench.out.len() as i64, 3 * many);
}
