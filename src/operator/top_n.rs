//! Window Top-N: ROW_NUMBER() OVER (PARTITION BY window, keys ORDER BY ...) with a bound on the number.
//!
//! Two instances work together. The one behind the aggregation keeps the best N per key of this worker's rows and sends
//! them on with the watermark; the one behind the exchange numbers the best of all. What always holds: the order is total
//! (after ORDER BY, the row's other columns decide; where the first or last row of a key in event time is asked for, its
//! place in the order of arrival does before them), so the result does not depend on batches and workers; NULL sorts lowest; rows wait
//! here for their window only, and only N per key plus one batch's worth are kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, UInt32Array};
use arrow::compute::{SortOptions, concat_batches, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};

use super::{Context, Event, Operator, OperatorError, OperatorState, Rows, State, Steps};
use crate::floats::one_nan;
use crate::operator::aggregate::arrival::{ArrivalPlaces, WindowPart};
use crate::operator::window::local_watermark;
use crate::state::KeyGroup;
use crate::state::key_group::row_key_groups;
use crate::state::layout::{self, StateKey, StateKind, StatePlace, StateTable};
use crate::state::packed::{pack, unpack};
use crate::state::rocks::{Changes, StateDb};
use crate::time::zone::Zone;

/// A window Top-N, resolved. Column numbers are those of the input.
#[derive(Debug, Clone)]
pub struct TopNSpec {
    pub operator: u32,
    /// The zone in which the windows lie; None: on event time as it is.
    pub zone: Option<Zone>,
    /// PARTITION BY columns besides the window's.
    pub partition_by: Vec<usize>,
    pub order_by: Vec<(usize, SortOptions)>,
    pub limit: usize,
    /// The last column of `input` and of the ORDER BY is the place in the order of arrival, which rows do not have yet
    /// when they come to the first stage.
    pub by_arrival: bool,
    pub input: SchemaRef,
    /// The input's columns without the place, then the row number if the query selects it.
    pub output: SchemaRef,
}

/// Which of the two this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopNStage {
    /// Before the exchange: prunes, keeps the input's columns, holds nothing over a watermark or a barrier.
    Prune,
    /// After it: numbers rows, keeps state.
    Number,
}

/// Rows of a window kept unpruned, beyond what the limit needs.
const UNPRUNED_ROWS_MAX: usize = 65_536;

pub struct TopN {
    spec: TopNSpec,
    stage: TopNStage,
    waiting: BTreeMap<i64, Waiting>,
    frozen: Vec<(i64, RecordBatch)>,
    /// Ends of windows that have rows in the store.
    stored: std::collections::BTreeSet<i64>,
    fired_mark_ms: Option<i64>,
    next_generation: u32,
    firing: Option<i64>,
}

#[derive(Default)]
struct Waiting {
    batches: Vec<RecordBatch>,
    rows: usize,
}

impl TopN {
    pub fn new(spec: TopNSpec, stage: TopNStage) -> TopN {
        TopN {
            spec,
            stage,
            waiting: BTreeMap::new(),
            frozen: Vec::new(),
            stored: Default::default(),
            fired_mark_ms: None,
            next_generation: 0,
            firing: None,
        }
    }

    fn add(&mut self, rows: Rows, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let end = rows.window_end_ms.ok_or_else(|| OperatorError::kernel("a row without a window"))?;
        if self.fired_mark_ms.is_some_and(|mark| end - 1 <= mark) {
            cx.counters.late_by_fired_mark += rows.batch.num_rows() as u64;
            return Ok(());
        }
        let batch = if self.spec.by_arrival { self.with_places(&rows)? } else { rows.batch };
        let waiting = self.waiting.entry(end).or_default();
        waiting.rows += batch.num_rows();
        waiting.batches.push(batch);
        if waiting.rows > UNPRUNED_ROWS_MAX {
            let batches = std::mem::take(&mut waiting.batches);
            let (pruned, _) = self.best(&batches)?;
            let waiting = self.waiting.entry(end).or_default();
            // Counting from zero again bounds the work where the limit keeps nearly everything.
            waiting.rows = 0;
            waiting.batches = vec![pruned];
        }
        Ok(())
    }

    /// Rows with their place in the order of arrival as the last column.
    fn with_places(&self, rows: &Rows) -> Result<RecordBatch, OperatorError> {
        let mut columns = rows.batch.columns().to_vec();
        if columns.len() < self.spec.input.fields().len() {
            let places = ArrivalPlaces::new(rows, &WindowPart::Whole);
            columns.push(Arc::new(BinaryArray::from_iter_values((0..rows.len()).map(|row| places.of(row)))));
        }
        RecordBatch::try_new(self.spec.input.clone(), columns).map_err(OperatorError::kernel)
    }

    /// The best rows of each partition in order, with their numbers.
    fn best(&self, batches: &[RecordBatch]) -> Result<(RecordBatch, Int64Array), OperatorError> {
        best_rows(&self.spec, batches).map_err(OperatorError::kernel)
    }

    fn emit(&mut self, end: i64, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let mut batches = self.waiting.remove(&end).map(|w| w.batches).unwrap_or_default();
        if self.stored.remove(&end) {
            let (from, to) = StatePlace::at(self.spec.operator, StateKind::Rows, end).range();
            let types: Vec<_> = self.spec.input.fields().iter().map(|f| f.data_type().clone()).collect();
            cx.db.scan(&from, &to, |_, value| {
                let columns = unpack(value, &types)?;
                batches.push(RecordBatch::try_new(self.spec.input.clone(), columns)?);
                Ok::<_, OperatorError>(())
            })?;
            let mut changes = Changes::default();
            changes.delete_range(&from, &to);
            cx.db.write(changes)?;
        }
        if batches.is_empty() {
            return Ok(());
        }
        let (mut rows, numbers) = self.best(&batches)?;
        if self.stage == TopNStage::Number {
            let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
            if self.spec.by_arrival {
                columns.pop();
            }
            if self.spec.output.fields().len() > columns.len() {
                columns.push(Arc::new(numbers));
            }
            rows = RecordBatch::try_new(self.spec.output.clone(), columns)?;
        }
        cx.out.push(Event::Rows(Rows { window_end_ms: Some(end), ..Rows::new(rows) }));
        Ok(())
    }

    fn emit_all(&mut self, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        while let Some(&end) = self.waiting.keys().next() {
            self.emit(end, cx)?;
        }
        Ok(())
    }

    fn next_due(&self, watermark_ms: i64) -> Option<i64> {
        let first = self.waiting.keys().next().into_iter().chain(self.stored.iter().next()).min().copied();
        first.filter(|&end| end - 1 <= watermark_ms)
    }
}

impl Operator for TopN {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        match (event, self.stage) {
            (Event::Rows(rows), _) if rows.batch.num_rows() == 0 => {}
            (Event::Rows(rows), _) => self.add(rows, cx)?,
            (Event::Watermark(w), TopNStage::Prune) => {
                self.emit_all(cx)?;
                cx.out.push(Event::Watermark(w));
            }
            (Event::Barrier(e), TopNStage::Prune) => {
                self.emit_all(cx)?;
                cx.out.push(Event::Barrier(e));
            }
            (Event::Watermark(w), TopNStage::Number) => self.firing = Some(w),
            (Event::Barrier(e), TopNStage::Number) => {
                for (end, waiting) in std::mem::take(&mut self.waiting) {
                    let (rows, _) = self.best(&waiting.batches)?;
                    self.frozen.push((end, rows));
                }
                cx.out.push(Event::Barrier(e));
            }
            (tick @ Event::Tick(_), _) => cx.out.push(tick),
            (Event::Partials(_), _) => return Err(OperatorError::no_place_for_partials()),
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
        let waiting = self.waiting.values().flat_map(|w| &w.batches);
        waiting.chain(self.frozen.iter().map(|(_, b)| b)).map(|b| b.get_array_memory_size()).sum()
    }
}

impl Steps for TopN {
    fn has_work(&self) -> bool {
        self.firing.is_some()
    }

    fn work(&mut self, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let Some(watermark) = self.firing else { return Ok(()) };
        let local = local_watermark(self.spec.zone.as_ref(), watermark);
        if let Some(end) = self.next_due(local) {
            cx.counters.windows_fired += 1;
            return self.emit(end, cx);
        }
        self.firing = None;
        self.fired_mark_ms = self.fired_mark_ms.max(Some(local));
        cx.out.push(Event::Watermark(watermark));
        Ok(())
    }
}

impl State for TopN {
    fn write_frozen(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        if let Some((end, rows)) = self.frozen.pop() {
            let generation = self.next_generation;
            self.next_generation += 1;
            for (group, picks) in rows_by_key_group(&self.spec.partition_by, &rows) {
                let part = take_record_batch(&rows, &UInt32Array::from(picks))?;
                let mut value = Vec::new();
                pack(part.columns(), part.num_rows(), &mut value);
                let place = StatePlace::at(self.spec.operator, StateKind::Rows, end);
                let key = StateKey { place, key_group: group, table: StateTable::Main, generation, chunk: 0 };
                changes.put(&key.encode(), &value);
            }
            self.stored.insert(end);
        }
        Ok(self.frozen.is_empty())
    }

    fn marks(&self) -> OperatorState {
        OperatorState { fired_mark_ms: self.fired_mark_ms, next_generation: self.next_generation }
    }

    fn restore(&mut self, state: &OperatorState, db: &StateDb) -> Result<(), OperatorError> {
        self.fired_mark_ms = state.fired_mark_ms;
        self.next_generation = state.next_generation;
        let (from, to) = layout::kind_range(self.spec.operator, StateKind::Rows);
        db.scan(&from, &to, |key, _| {
            let key = StateKey::decode(key).ok_or_else(|| OperatorError::damaged("an unknown key"))?;
            self.stored.insert(key.place.time_ms);
            Ok(())
        })
    }
}

fn rows_by_key_group(columns: &[usize], rows: &RecordBatch) -> BTreeMap<KeyGroup, Vec<u32>> {
    let mut by_group: BTreeMap<KeyGroup, Vec<u32>> = BTreeMap::new();
    for (row, group) in row_key_groups(columns, rows).into_iter().enumerate() {
        by_group.entry(group).or_default().push(row as u32);
    }
    by_group
}

/// The order of rows by some of their columns.
fn encoded(all: &RecordBatch, columns: &[(usize, SortOptions)]) -> Result<arrow::row::Rows, ArrowError> {
    let fields = columns.iter().map(|&(c, o)| SortField::new_with_options(all.column(c).data_type().clone(), o)).collect();
    let arrays: Vec<ArrayRef> = columns.iter().map(|&(c, _)| one_nan(all.column(c))).collect();
    RowConverter::new(fields)?.convert_columns(&arrays)
}

/// Of rows without a PARTITION BY those that may be among the first: up to the last of these in the ORDER BY, with all that
/// are equal to it. Found in linear time, so that only few rows are compared by all their columns.
fn candidates(spec: &TopNSpec, all: RecordBatch) -> Result<RecordBatch, ArrowError> {
    if !spec.partition_by.is_empty() || spec.limit == 0 || all.num_rows() / 2 <= spec.limit {
        return Ok(all);
    }
    let order = encoded(&all, &spec.order_by)?;
    let mut indices: Vec<u32> = (0..all.num_rows() as u32).collect();
    let (_, &mut last, _) =
        indices.select_nth_unstable_by(spec.limit - 1, |&a, &b| order.row(a as usize).cmp(&order.row(b as usize)));
    let last = order.row(last as usize);
    let picks: UInt32Array =
        (0..all.num_rows() as u32).filter(|&row| order.row(row as usize) <= last).collect::<Vec<u32>>().into();
    take_record_batch(&all, &picks)
}

fn best_rows(spec: &TopNSpec, batches: &[RecordBatch]) -> Result<(RecordBatch, Int64Array), ArrowError> {
    let all = candidates(spec, concat_batches(&spec.input, batches)?)?;
    let groups = row_key_groups(&spec.partition_by, &all);
    let plain = SortOptions { descending: false, nulls_first: true };
    let partition = match spec.partition_by.as_slice() {
        [] => None,
        columns => Some(encoded(&all, &columns.iter().map(|&c| (c, plain)).collect::<Vec<_>>())?),
    };
    // The other columns break ties, so that the order is total.
    let rest = (0..all.num_columns()).filter(|c| !spec.order_by.iter().any(|(o, _)| o == c)).map(|c| (c, plain));
    let order = encoded(&all, &spec.order_by.iter().copied().chain(rest).collect::<Vec<_>>())?;
    let same_partition = |a: u32, b: u32| partition.as_ref().is_none_or(|p| p.row(a as usize) == p.row(b as usize));
    let mut indices: Vec<u32> = (0..all.num_rows() as u32).collect();
    indices.sort_unstable_by(|&a, &b| {
        let (x, y) = (a as usize, b as usize);
        let by_partition = partition.as_ref().map_or(std::cmp::Ordering::Equal, |p| p.row(x).cmp(&p.row(y)));
        groups[x].cmp(&groups[y]).then(by_partition).then_with(|| order.row(x).cmp(&order.row(y)))
    });
    let mut picks: Vec<u32> = Vec::new();
    let mut numbers = Vec::new();
    let mut number = 0;
    for (i, &row) in indices.iter().enumerate() {
        number = if i > 0 && same_partition(indices[i - 1], row) { number + 1 } else { 1 };
        if number <= spec.limit as i64 {
            picks.push(row);
            numbers.push(number);
        }
    }
    Ok((take_record_batch(&all, &UInt32Array::from(picks))?, Int64Array::from(numbers)))
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};
    use rand::{Rng, SeedableRng};

    use super::*;

    /// Many ties, and more rows than are asked for: the rows are those that sorting all of them gives.
    #[test]
    fn the_best_rows_are_those_of_a_full_sort() {
        let field = |name: &str| Field::new(name, DataType::Int64, true);
        let schema = Arc::new(Schema::new(vec![field("key"), field("count")]));
        for seed in 0..200 {
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let (rows, limit) = (rng.random_range(1..200), rng.random_range(1..20));
            let mut pairs: Vec<(i64, Option<i64>)> =
                (0..rows).map(|key| (key, rng.random_bool(0.9).then(|| rng.random_range(0..12)))).collect();
            let spec = TopNSpec {
                operator: 1,
                zone: None,
                partition_by: vec![],
                order_by: vec![(1, SortOptions { descending: true, nulls_first: false })],
                limit,
                by_arrival: false,
                input: schema.clone(),
                output: schema.clone(),
            };
            let column =
                |f: fn(&(i64, Option<i64>)) -> Option<i64>| -> ArrayRef { Arc::new(pairs.iter().map(f).collect::<Int64Array>()) };
            let batch = RecordBatch::try_new(schema.clone(), vec![column(|p| Some(p.0)), column(|p| p.1)]).expect("two columns");
            let cut = rng.random_range(0..=batch.num_rows());
            let batches = [batch.slice(cut, batch.num_rows() - cut), batch.slice(0, cut)];
            let (best, numbers) = best_rows(&spec, &batches).expect("sorts");
            pairs.sort_by_key(|(key, count)| (std::cmp::Reverse(*count), *key));
            let expected: Vec<i64> = pairs.iter().take(limit).map(|(key, _)| *key).collect();
            assert_eq!(best.column(0).as_primitive::<Int64Type>().values().to_vec(), expected, "seed {seed}");
            assert_eq!(numbers.len(), expected.len());
        }
    }
}
