//! OVER ordered by a column that is no time: a row that comes later may stand earlier, and shifts
//! the results behind it.
//!
//! Runs behind an exchange by key. Each row is sent with its result at once, and all rows whose
//! result it changes are sent again, change for change as Flink's
//! NonTimeRangeUnboundedPrecedingFunction and NonTimeRowsUnboundedPrecedingFunction (2.3) have it.
//! Rows may be taken back. `ordered` keeps the rows, `running` folds them. What always holds: what
//! was sent for a row and not taken back is the result over the rows of its key up to it.
//!
//! A row costs time in the number of rows of its key. A step of output is bounded, whatever a batch
//! of rows changes.

mod ordered;
mod running;

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, SchemaRef};

use super::OverCall;
use crate::ids::OperatorId;
use crate::operator::aggregate::Aggregate;
use crate::operator::aggregate::arrival::{ArrivalPlaces, WindowPart};
use crate::operator::keyed::KeyedCache;
use crate::operator::over::by_value::ordered::{OrderPlace, Ordered, order_values};
use crate::operator::over::by_value::running::Running;
use crate::operator::{Context, Event, Op, Operator, OperatorError, Rows, State, Steps};
use crate::state::key::{KeyBuf, decode_keys, encode_keys, hash_key};
use crate::state::layout::KeyedKind;
use crate::state::store::Changes;

/// An OVER clause ordered by a value, resolved. Column numbers are those of the input.
#[derive(Debug, Clone)]
pub struct ByValueSpec {
    /// Stable number of the operator within the query; part of stored keys.
    pub operator: OperatorId,
    pub partition: Vec<usize>,
    pub order: usize,
    pub nulls_first: bool,
    /// ROWS: rows that compare equal have results of their own. RANGE: they share one.
    pub by_row: bool,
    pub calls: Vec<OverCall>,
    /// Aggregates that no one sees: a result is sent again if one of them changed, as if they came
    /// out.
    pub unseen: Vec<Aggregate>,
    /// Rows are only added: those that compare equal are in the order in which they arrived in
    /// their splits.
    pub by_arrival: bool,
    /// A key is forgotten when nothing changed there for so long (`table.exec.state.ttl`); None:
    /// never. Flink forgets row by row.
    pub ttl: Option<Duration>,
    pub input: SchemaRef,
    /// Columns of the input that come out; those behind them were added for the functions.
    pub width: usize,
    /// Those columns, then the results.
    pub output: SchemaRef,
}

/// Rows of output after which a step ends: between two steps they can be sent on.
const STEP_ROWS: usize = 16_384;

pub(crate) struct OverByValue {
    spec: Arc<ByValueSpec>,
    partitions: KeyedCache<Ordered>,
    running: Running,
    pending: Option<Pending>,
}

/// Rows that are being folded in.
struct Pending {
    rows: Rows,
    keys: KeyBuf,
    hashes: Vec<u64>,
    values: KeyBuf,
    next: usize,
}

/// Changes, in order.
#[derive(Default)]
struct ValueChanges {
    ops: Vec<Op>,
    rows: Vec<RecordBatch>,
    results: Vec<Arc<[u8]>>,
}

impl OverByValue {
    pub fn new(spec: ByValueSpec) -> OverByValue {
        let spec = Arc::new(spec);
        let partitions = KeyedCache::new(spec.operator, KeyedKind::Over, spec.clone(), spec.ttl);
        OverByValue { running: Running::new(&spec), spec, partitions, pending: None }
    }

    /// Folds rows in until they are done or enough has come out.
    fn step(&mut self, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let Some(mut pending) = self.pending.take() else { return Ok(()) };
        let spec = self.spec.clone();
        let running = &mut self.running;
        // Each time: memory may have been given back since.
        self.partitions.load(&pending.keys, &pending.hashes, cx.now_ms, cx.db)?;
        let mut out = ValueChanges::default();
        while pending.next < pending.rows.len() && out.ops.len() < STEP_ROWS {
            let at = pending.next;
            pending.next += 1;
            let key = pending.keys.get(at);
            let mut ordered = self.partitions.take(key).unwrap_or_else(|| Ordered::new(&spec));
            let row = take_record_batch(&pending.rows.batch, &UInt32Array::from(vec![at as u32]))?;
            let mut change = OneRow { spec: &spec, ordered: &mut ordered, running, out: &mut out };
            change.find_results()?;
            let value = pending.values.get(at);
            match pending.rows.op(at) {
                op if op.adds() => {
                    let arrival = match spec.by_arrival {
                        true => ArrivalPlaces::new(&pending.rows, &WindowPart::Whole).of(at).into(),
                        false => Box::default(),
                    };
                    change.insert(&row, OrderPlace { value: value.into(), arrival }, op)?;
                }
                _ => change.remove(&row, value)?,
            }
            debug_assert_eq!(
                ordered.results.len(),
                ordered.len(),
                "a row without the result that was sent for it"
            );
            ordered.weigh();
            self.partitions.put(key, (ordered.len() > 0).then_some(ordered), cx.now_ms);
        }
        if pending.next < pending.rows.len() {
            self.pending = Some(pending);
        }
        self.send(out, cx)
    }

    fn finish(&mut self, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        while self.pending.is_some() {
            self.step(cx)?;
        }
        Ok(())
    }

    fn send(&self, out: ValueChanges, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        if out.ops.is_empty() {
            return Ok(());
        }
        let spec = &self.spec;
        let rows = concat_batches(&out.rows[0].schema(), &out.rows)?;
        let types: Vec<DataType> =
            spec.output.fields().iter().skip(spec.width).map(|f| f.data_type().clone()).collect();
        let results = decode_keys(&types, out.results.iter().map(AsRef::as_ref))?;
        let columns = rows.columns()[..spec.width].iter().cloned().chain(results).collect();
        let batch = RecordBatch::try_new(spec.output.clone(), columns)?;
        cx.out.push(Event::Rows(Rows {
            ops: Some(out.ops.into_iter().collect()),
            ..Rows::new(batch)
        }));
        Ok(())
    }
}

/// One row comes or goes.
struct OneRow<'a> {
    spec: &'a ByValueSpec,
    ordered: &'a mut Ordered,
    running: &'a mut Running,
    out: &'a mut ValueChanges,
}

impl OneRow<'_> {
    /// The results of rows that were read from the store.
    fn find_results(&mut self) -> Result<(), OperatorError> {
        if self.ordered.results.len() == self.ordered.len() {
            return Ok(());
        }
        self.running.clear();
        let mut from = 0;
        while from < self.ordered.len() {
            let to = self.together(from);
            self.running.fold(&self.ordered.rows, from, to - from);
            let result = self.running.result()?;
            self.ordered.results.resize(to, result);
            from = to;
        }
        Ok(())
    }

    /// The end of the rows from `from` on that have one result.
    fn together(&self, from: usize) -> usize {
        if self.spec.by_row {
            return from + 1;
        }
        let places = &self.ordered.places;
        let peers = places[from..].iter().take_while(|p| p.value == places[from].value).count();
        from + peers
    }

    fn insert(
        &mut self,
        row: &RecordBatch,
        place: OrderPlace,
        op: Op,
    ) -> Result<(), OperatorError> {
        let (first, _) = self.ordered.peers(&place.value);
        let at = self.ordered.insert(row, place)?;
        self.shift(if self.spec.by_row { at } else { first }, at, op)
    }

    /// A row that is not there changes nothing.
    fn remove(&mut self, row: &RecordBatch, value: &[u8]) -> Result<(), OperatorError> {
        let (first, end) = self.ordered.peers(value);
        let (mut wanted, mut held) = (KeyBuf::default(), KeyBuf::default());
        encode_keys(row.columns(), 1, &mut wanted);
        encode_keys(self.ordered.rows.slice(first, end - first).columns(), end - first, &mut held);
        let mut equal = held
            .iter()
            .enumerate()
            .filter(|(_, row)| *row == wanted.get(0))
            .map(|(i, _)| first + i);
        // Of several equal rows Flink takes the first where each has its own result, else the last.
        let Some(at) = (if self.spec.by_row { equal.next() } else { equal.last() }) else {
            return Ok(());
        };
        self.shift(if self.spec.by_row { at } else { first }, at, Op::Delete)?;
        self.ordered.remove(at)
    }

    /// Finds the results from row `from` on again and sends what changed, until a row that did not
    /// change has the result it had: then so do all behind it. The row at `changed` came or, with
    /// [`Op::Delete`], goes.
    fn shift(&mut self, from: usize, changed: usize, op: Op) -> Result<(), OperatorError> {
        let goes = op == Op::Delete;
        self.running.clear();
        self.running.fold(&self.ordered.rows, 0, from);
        let mut picks: Vec<u32> = Vec::new();
        let mut send = |row: usize, op: Op, result: &Arc<[u8]>| {
            picks.push(row as u32);
            self.out.ops.push(op);
            self.out.results.push(result.clone());
        };
        let mut start = from;
        while start < self.ordered.len() {
            let end = match self.spec.by_row {
                true => start + 1,
                false => self.ordered.peers(&self.ordered.places[start].value).1,
            };
            let has_changed = (start..end).contains(&changed);
            if has_changed && goes {
                self.running.fold(&self.ordered.rows, start, changed - start);
                self.running.fold(&self.ordered.rows, changed + 1, end - changed - 1);
            } else {
                self.running.fold(&self.ordered.rows, start, end - start);
            }
            let result = self.running.result()?;
            let other = (start..end).find(|&row| row != changed);
            let is_new = other.is_some_and(|row| self.ordered.results[row] != result);
            if !has_changed && !is_new {
                break;
            }
            for row in start..end {
                if row == changed {
                    send(row, op, if goes { &self.ordered.results[row] } else { &result });
                } else if is_new {
                    send(row, Op::UpdateBefore, &self.ordered.results[row]);
                    send(row, Op::UpdateAfter, &result);
                }
                self.ordered.results[row] = result.clone();
            }
            start = end;
        }
        self.out.rows.push(take_record_batch(&self.ordered.rows, &UInt32Array::from(picks))?);
        Ok(())
    }
}

impl Operator for OverByValue {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        match event {
            Event::Rows(rows) if rows.is_empty() => {}
            Event::Rows(rows) => {
                // An operator before it in the chain may send several batches at once.
                self.finish(cx)?;
                let columns: Vec<ArrayRef> =
                    self.spec.partition.iter().map(|&c| rows.batch.column(c).clone()).collect();
                let mut keys = KeyBuf::default();
                encode_keys(&columns, rows.len(), &mut keys);
                let hashes = keys.iter().map(hash_key).collect();
                let values = order_values(&self.spec, &rows.batch);
                self.pending = Some(Pending { rows, keys, hashes, values, next: 0 });
                self.step(cx)?;
            }
            Event::Barrier(epoch) => {
                self.finish(cx)?;
                self.partitions.sweep(cx.now_ms, cx.db)?;
                self.partitions.freeze();
                cx.out.push(Event::Barrier(epoch));
            }
            other => {
                self.finish(cx)?;
                cx.out.push(other);
            }
        }
        Ok(())
    }

    fn steps(&mut self) -> Option<&mut dyn Steps> {
        Some(self)
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }

    fn memory_bytes(&self) -> usize {
        self.partitions.memory_bytes()
    }
}

impl Steps for OverByValue {
    fn has_work(&self) -> bool {
        self.pending.is_some()
    }

    fn work(&mut self, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        self.step(cx)
    }
}

impl State for OverByValue {
    fn write_frozen(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        Ok(self.partitions.write_frozen(changes))
    }

    fn spill(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        Ok(self.partitions.spill(changes))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::{Field, Int64Type, Schema};

    use crate::operator::aggregate::Function;
    use crate::operator::{Counters, Ops};
    use crate::state::store::{StateDb, StateMemory};

    fn sums_by_value() -> OverByValue {
        let fields = |names: &[&str]| {
            Arc::new(Schema::new(
                names.iter().map(|n| Field::new(*n, DataType::Int64, true)).collect::<Vec<_>>(),
            ))
        };
        let sum = Aggregate::plain(Function::Sum, Some(0), DataType::Int64, DataType::Int64);
        OverByValue::new(ByValueSpec {
            operator: OperatorId::FIRST,
            partition: vec![],
            order: 0,
            nulls_first: true,
            by_row: false,
            calls: vec![OverCall::Aggregate(sum)],
            unseen: vec![],
            by_arrival: false,
            ttl: None,
            input: fields(&["v"]),
            width: 1,
            output: fields(&["v", "s"]),
        })
    }

    /// Sends rows and applies what comes out to `table`, a count of each row. The number of steps
    /// that it took.
    fn send(
        operator: &mut OverByValue,
        rows: &[(Op, i64)],
        db: &StateDb,
        table: &mut BTreeMap<(i64, i64), i64>,
    ) -> usize {
        let column: ArrayRef = Arc::new(rows.iter().map(|(_, v)| Some(*v)).collect::<Int64Array>());
        let batch = RecordBatch::try_from_iter([("v", column)]).expect("a batch");
        let ops: Ops = rows.iter().map(|(op, _)| *op).collect();
        let (mut out, mut failed, mut counters) = (Vec::new(), Vec::new(), Counters::default());
        let mut cx = Context {
            out: &mut out,
            db,
            failed: &mut failed,
            counters: &mut counters,
            room_bytes: usize::MAX,
            operator: "test",
            now_ms: 0,
        };
        operator
            .on_event(Event::Rows(Rows { ops: Some(ops), ..Rows::new(batch) }), &mut cx)
            .expect("takes it");
        let mut steps = 1;
        while operator.has_work() {
            operator.work(&mut cx).expect("goes on");
            steps += 1;
        }
        for event in &out {
            let Event::Rows(rows) = event else { panic!("{event:?}") };
            let column = |c: usize| rows.batch.column(c).as_primitive::<Int64Type>();
            for row in 0..rows.len() {
                let count = table.entry((column(0).value(row), column(1).value(row))).or_default();
                *count += if rows.op(row).adds() { 1 } else { -1 };
            }
        }
        table.retain(|_, count| *count != 0);
        steps
    }

    #[test]
    fn each_row_shifts_those_behind_it_in_bounded_steps_and_from_the_store() {
        let dir = tempfile::tempdir().expect("folder");
        let db = StateDb::open(dir.path(), &StateMemory::new(1 << 20, 1)).expect("opens");
        let (mut operator, mut table) = (sums_by_value(), BTreeMap::new());
        let falling: Vec<(Op, i64)> = (1..=200).rev().map(|v| (Op::Insert, v)).collect();
        assert!(
            send(&mut operator, &falling, &db, &mut table) > 2,
            "40 000 changes come in several steps"
        );
        let expected = |values: &[i64]| -> BTreeMap<(i64, i64), i64> {
            let sum = |v: i64| values.iter().filter(|&&w| w <= v).sum();
            let mut table = BTreeMap::new();
            values.iter().for_each(|&v| *table.entry((v, sum(v))).or_default() += 1);
            table
        };
        let mut values: Vec<i64> = (1..=200).collect();
        assert_eq!(table, expected(&values));

        operator.partitions.freeze();
        let mut changes = db.batch();
        while !operator.write_frozen(&mut changes).expect("writes") {}
        operator.spill(&mut changes).expect("spills");
        db.write(changes).expect("writes");
        assert_eq!(operator.memory_bytes(), 0);
        // Of two equal rows one goes; one that never was changes nothing.
        send(
            &mut operator,
            &[
                (Op::Insert, 7),
                (Op::UpdateBefore, 7),
                (Op::Delete, 50),
                (Op::Delete, 1000),
                (Op::Insert, 9),
            ],
            &db,
            &mut table,
        );
        values.retain(|&v| v != 50);
        values.push(9);
        assert_eq!(table, expected(&values));
    }
}
