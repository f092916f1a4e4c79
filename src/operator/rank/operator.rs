//! The operator: rows in, changes of the best rows out.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, new_null_array};
use arrow::datatypes::DataType;

use super::RankSpec;
use super::changes::{RankChanges, insert, remove};
use super::sorted::{Sorted, sort_keys};
use crate::operator::keyed::KeyedCache;
use crate::operator::{Context, Event, Operator, OperatorError, Rows, State};
use crate::rows::batch_of;
use crate::state::key::{KeyBuf, decode_keys, encode_keys, hash_key};
use crate::state::layout::KeyedKind;
use crate::state::store::Changes;

pub(crate) struct Rank {
    spec: RankSpec,
    partitions: KeyedCache<Sorted>,
}

impl Rank {
    pub fn new(spec: RankSpec) -> Rank {
        Rank { partitions: KeyedCache::new(spec.operator, KeyedKind::Rank, (), spec.ttl), spec }
    }

    fn fold(&mut self, rows: &Rows, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let n = rows.len();
        let mut partitions = KeyBuf::default();
        let columns: Vec<ArrayRef> =
            self.spec.partition.iter().map(|&c| rows.batch.column(c).clone()).collect();
        encode_keys(&columns, n, &mut partitions);
        let hashes: Vec<u64> = partitions.iter().map(hash_key).collect();
        self.partitions.load(&partitions, &hashes, cx.now_ms, cx.db)?;
        let mut encoded = KeyBuf::default();
        encode_keys(rows.batch.columns(), n, &mut encoded);
        let order: Vec<_> = self
            .spec
            .order
            .iter()
            .map(|&(c, options)| (rows.batch.column(c).clone(), options))
            .collect();
        let sorts = sort_keys(&order, n);
        let mut out = RankChanges::default();
        let mut causes: Vec<u32> = Vec::new();
        for row in 0..n {
            let key = partitions.get(row);
            let mut sorted = self.partitions.take(key).unwrap_or_default();
            let changed = if rows.op(row).adds() {
                insert(&self.spec, &mut sorted, sorts.get(row), encoded.get(row), &mut out)
            } else {
                remove(&self.spec, &mut sorted, sorts.get(row), encoded.get(row), &mut out);
                true
            };
            let sorted = (!sorted.rows.is_empty()).then_some(sorted);
            if changed {
                self.partitions.put(key, sorted, cx.now_ms);
            } else {
                // A duplicate keeps no state alive.
                self.partitions.put_back(key, sorted);
            }
            causes.resize(out.changes.len(), row as u32);
        }
        if out.changes.is_empty() {
            return Ok(());
        }
        let types: Vec<DataType> =
            self.spec.input.fields().iter().map(|f| f.data_type().clone()).collect();
        let mut columns = decode_keys(&types, out.changes.iter().map(|(_, row, _)| row.as_ref()))?;
        if self.spec.output.fields().len() > columns.len() {
            columns.push(if self.spec.with_number {
                Arc::new(
                    out.changes
                        .iter()
                        .map(|(_, _, number)| Some(*number as i64))
                        .collect::<Int64Array>(),
                )
            } else {
                new_null_array(&DataType::Int64, out.changes.len())
            });
        }
        // Of a query that wants none of the columns only the number of rows is left.
        let batch = batch_of(self.spec.output.clone(), columns, out.changes.len())?;
        let ops = out.changes.iter().map(|(op, _, _)| *op).collect();
        // Windows behind are closed for a change as they are for the row that caused it.
        let watermarks_ms = rows
            .watermarks_ms
            .as_ref()
            .map(|w| causes.iter().map(|&row| w[row as usize]).collect());
        cx.out.push(Event::Rows(Rows { ops: Some(ops), watermarks_ms, ..Rows::new(batch) }));
        Ok(())
    }
}

impl Operator for Rank {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        match event {
            Event::Rows(rows) if rows.is_empty() => {}
            Event::Rows(rows) => self.fold(&rows, cx)?,
            Event::Barrier(epoch) => {
                self.partitions.sweep(cx.now_ms, cx.db)?;
                self.partitions.freeze();
                cx.out.push(Event::Barrier(epoch));
            }
            other => cx.out.push(other),
        }
        Ok(())
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }

    fn memory_bytes(&self) -> usize {
        self.partitions.memory_bytes()
    }
}

impl State for Rank {
    fn write_frozen(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        Ok(self.partitions.write_frozen(changes))
    }

    fn spill(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        Ok(self.partitions.spill(changes))
    }
}
