//! What is left at the end of input, each row once and in order: what batch mode gives.
//!
//! Stands behind every operator that takes rows back, so that no other has to know of changes, and
//! where ORDER BY is. Rows are counted as they come and go; when the input has ended those that are
//! there leave, a page at a time. After that nothing comes out any more, also when a checkpoint of
//! that time is gone on from.

use arrow::datatypes::DataType;

use super::counts::Counts;
use super::{AtEndSpec, OfNoKey};
use crate::operator::rank::sorted::sort_keys;
use crate::operator::{Context, Event, Operator, OperatorError, OperatorState, Rows, State, Steps};
use crate::rows::batch_of;
use crate::state::KeyGroup;
use crate::state::key::{KeyBuf, decode_keys, encode_keys, hash_key};
use crate::state::key_group::of_no_key;
use crate::state::store::{Changes, StateDb};
use crate::time::Watermark;

/// Rows that leave in one step.
const STEP_ROWS: usize = 8192;

pub(crate) struct AtEnd {
    spec: AtEndSpec,
    counts: Counts,
    passed: Option<Watermark>,
    next_generation: u32,
    /// What is still to come out, once the input has ended.
    leaving: Option<Leaving>,
}

/// A row that is there several times may leave in several steps.
struct Leaving {
    page: std::vec::IntoIter<(Box<[u8]>, u64)>,
    is_last: bool,
    skip: u64,
    fetch: u64,
    has_given: bool,
}

impl AtEnd {
    pub fn new(mut spec: AtEndSpec, of_no_key: OfNoKey) -> AtEnd {
        let counts = Counts::new(spec.operator);
        // Nothing is missing where nothing belongs.
        spec.if_empty = spec.if_empty.filter(|_| of_no_key == OfNoKey::ComeHere);
        AtEnd { spec, counts, passed: None, next_generation: 0, leaving: None }
    }

    fn count(&mut self, rows: &Rows) {
        let n = rows.len();
        let mut encoded = KeyBuf::default();
        encode_keys(rows.batch.columns(), n, &mut encoded);
        let sorts = self.spec.order.as_ref().map(|order| {
            let columns: Vec<_> =
                order.iter().map(|&(c, options)| (rows.batch.column(c).clone(), options)).collect();
            sort_keys(&columns, n)
        });
        // Rows in an order are all with the worker that has the rows without a key.
        let of_all = of_no_key();
        for row in 0..n {
            let by = if rows.op(row).adds() { 1 } else { -1 };
            let bytes = encoded.get(row);
            match &sorts {
                Some(sorts) => self.counts.add(of_all, sorts.get(row), bytes, by),
                None => self.counts.add(KeyGroup::of_hash(hash_key(bytes)), &[], bytes, by),
            }
        }
    }

    /// The next rows that leave.
    fn next_rows(&mut self, cx: &Context<'_>) -> Result<Vec<Box<[u8]>>, OperatorError> {
        let Some(leaving) = &mut self.leaving else { return Ok(vec![]) };
        let mut out: Vec<Box<[u8]>> = Vec::new();
        while out.len() < STEP_ROWS && leaving.fetch > 0 {
            let Some((row, times)) = leaving.page.next() else {
                if leaving.is_last {
                    break;
                }
                let page = self.counts.next_page(STEP_ROWS, &mut self.next_generation, cx.db)?;
                leaving.is_last = page.is_last;
                leaving.page = page.rows.into_iter();
                continue;
            };
            let skipped = times.min(leaving.skip);
            leaving.skip -= skipped;
            let times = (times - skipped).min(leaving.fetch);
            leaving.fetch -= times;
            out.extend(std::iter::repeat_n(row, times as usize));
        }
        leaving.has_given |= !out.is_empty();
        Ok(out)
    }
}

impl Operator for AtEnd {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        match event {
            Event::Rows(rows) if rows.is_empty() => {}
            Event::Rows(rows) => self.count(&rows),
            Event::Watermark(Watermark::END) if self.passed != Some(Watermark::END) => {
                let (skip, fetch) =
                    (self.spec.slice.skip, self.spec.slice.fetch.unwrap_or(u64::MAX));
                let page = Vec::new().into_iter();
                self.leaving =
                    Some(Leaving { page, is_last: false, skip, fetch, has_given: false });
            }
            Event::Barrier(epoch) => {
                self.counts.freeze(&mut self.next_generation);
                cx.out.push(Event::Barrier(epoch));
            }
            Event::Partials(_) => return Err(OperatorError::no_place_for_partials()),
            other => cx.out.push(other),
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
        self.counts.memory_bytes()
    }
}

impl Steps for AtEnd {
    fn has_work(&self) -> bool {
        self.leaving.is_some()
    }

    fn work(&mut self, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let rows = self.next_rows(cx)?;
        if rows.is_empty() {
            let has_given = self.leaving.take().is_some_and(|leaving| leaving.has_given);
            if let Some(instead) = self.spec.if_empty.clone().filter(|_| !has_given) {
                cx.out.push(Event::Rows(Rows::new(instead)));
            }
            self.passed = Some(Watermark::END);
            cx.out.push(Event::Watermark(Watermark::END));
            return Ok(());
        }
        let types: Vec<DataType> =
            self.spec.rows.fields().iter().map(|f| f.data_type().clone()).collect();
        let columns = decode_keys(&types, rows.iter().map(AsRef::as_ref))?;
        // Of a query that wants none of the columns only the number of rows is left.
        let batch = batch_of(self.spec.rows.clone(), columns, rows.len())?;
        cx.out.push(Event::Rows(Rows::new(batch)));
        Ok(())
    }
}

impl State for AtEnd {
    fn write_frozen(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        Ok(self.counts.write_frozen(changes))
    }

    fn spill(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        Ok(self.counts.spill(&mut self.next_generation, changes))
    }

    fn marks(&self) -> OperatorState {
        OperatorState { fired_mark: self.passed, next_generation: self.next_generation }
    }

    fn restore(&mut self, marks: &OperatorState, _db: &StateDb) -> Result<(), OperatorError> {
        self.passed = marks.fired_mark;
        self.next_generation = marks.next_generation;
        self.counts.restore(marks.next_generation > 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
