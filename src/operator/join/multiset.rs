//! INTERSECT ALL and EXCEPT ALL: a row comes out as often as both inputs have it, or as often as the
//! left one has it more.
//!
//! Runs behind an exchange by all columns. Kept are two counts for each row that is there. What
//! always holds: a row that comes in brings one in or out at most.

use std::time::Duration;

use arrow::array::{RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;

use crate::ids::OperatorId;
use crate::operator::keyed::{KeyedCache, KeyedValue};
use crate::operator::{Context, Event, Op, Operator, OperatorError, Rows, State};
use crate::state::key::{KeyBuf, encode_keys, hash_key};
use crate::state::layout::KeyedKind;
use crate::state::store::Changes;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetOperation {
    Intersect,
    Except,
}

/// A set operation that counts rows, resolved.
#[derive(Debug, Clone)]
pub struct MultisetSpec {
    /// Stable number of the operator within the query; part of stored keys.
    pub operator: OperatorId,
    pub operation: SetOperation,
    /// A row is forgotten when its counts did not change for so long (`table.exec.state.ttl`); None:
    /// never.
    pub ttl: Option<Duration>,
    pub output: SchemaRef,
}

impl SetOperation {
    /// How often a row comes out that the inputs have so often.
    fn times(self, [left, right]: [i64; 2]) -> i64 {
        match self {
            SetOperation::Intersect => left.min(right),
            SetOperation::Except => left - right,
        }
        .max(0)
    }
}

/// How often each input has a row. Stored as two little-endian numbers of eight bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts([i64; 2]);

impl KeyedValue for Counts {
    type Types = ();

    fn encode(&self) -> Vec<u8> {
        self.0.iter().flat_map(|count| count.to_le_bytes()).collect()
    }

    fn decode(bytes: &[u8], (): &()) -> Result<Counts, OperatorError> {
        let count = |at: usize| {
            let bytes = bytes.get(at..at + 8).and_then(|b| b.try_into().ok());
            bytes.map(i64::from_le_bytes).ok_or_else(|| OperatorError::damaged("counts of a row"))
        };
        Ok(Counts([count(0)?, count(8)?]))
    }

    fn memory_bytes(&self) -> usize {
        size_of::<Counts>()
    }
}

pub(crate) struct Multiset {
    spec: MultisetSpec,
    counts: KeyedCache<Counts>,
}

impl Multiset {
    pub fn new(spec: MultisetSpec) -> Multiset {
        Multiset { counts: KeyedCache::new(spec.operator, KeyedKind::Joined, (), spec.ttl), spec }
    }

    fn count(&mut self, rows: &Rows, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let input = usize::from(rows.input & 1);
        let mut keys = KeyBuf::default();
        encode_keys(rows.batch.columns(), rows.len(), &mut keys);
        let hashes: Vec<u64> = keys.iter().map(hash_key).collect();
        self.counts.load(&keys, &hashes, cx.now_ms, cx.db)?;
        let (mut picks, mut ops) = (Vec::new(), Vec::new());
        for row in 0..rows.len() {
            let key = keys.get(row);
            let mut counts = self.counts.take(key).unwrap_or_default();
            let before = self.spec.operation.times(counts.0);
            counts.0[input] += if rows.op(row).adds() { 1 } else { -1 };
            let after = self.spec.operation.times(counts.0);
            self.counts.put(key, (counts != Counts::default()).then_some(counts), cx.now_ms);
            debug_assert!((before - after).abs() <= 1, "one row brings several in or out");
            if before != after {
                picks.push(row as u32);
                ops.push(if after > before { Op::Insert } else { Op::Delete });
            }
        }
        if picks.is_empty() {
            return Ok(());
        }
        let watermarks_ms = rows
            .watermarks_ms
            .as_ref()
            .map(|marks| picks.iter().map(|&row| marks[row as usize]).collect());
        let options = RecordBatchOptions::new().with_row_count(Some(picks.len()));
        let picks = UInt32Array::from(picks);
        let columns = rows.batch.columns().iter().map(|c| take(c, &picks, None));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let batch = RecordBatch::try_new_with_options(self.spec.output.clone(), columns, &options)?;
        let ops = Some(ops.into_iter().collect());
        cx.out.push(Event::Rows(Rows { ops, watermarks_ms, ..Rows::new(batch) }));
        Ok(())
    }
}

impl Operator for Multiset {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        match event {
            Event::Rows(rows) if rows.is_empty() => {}
            Event::Rows(rows) => self.count(&rows, cx)?,
            Event::Barrier(epoch) => {
                self.counts.sweep(cx.now_ms, cx.db)?;
                self.counts.freeze();
                cx.out.push(Event::Barrier(epoch));
            }
            Event::Partials(_) => return Err(OperatorError::no_place_for_partials()),
            other => cx.out.push(other),
        }
        Ok(())
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }

    fn memory_bytes(&self) -> usize {
        self.counts.memory_bytes()
    }
}

impl State for Multiset {
    fn write_frozen(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        Ok(self.counts.write_frozen(changes))
    }

    fn spill(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        Ok(self.counts.spill(changes))
    }
}
