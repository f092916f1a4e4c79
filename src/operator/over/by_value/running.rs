//! The results of rows in the order of a value: all functions, folded row by row.
//!
//! Called by `by_value` for one partition at a time, from its first row on. A result is bytes (the
//! encoding of keys): those of the functions, then what else decides whether it is sent again.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};

use crate::operator::aggregate::arrival::{ArrivalPlaces, WindowPart};
use crate::operator::aggregate::retract::Accumulators;
use crate::operator::aggregate::retracting::{Retraction, accumulators};
use crate::operator::aggregate::{Aggregate, Selected};
use crate::operator::event::Arrivals;
use crate::operator::over::OverCall;
use crate::operator::over::by_value::ByValueSpec;
use crate::operator::{OperatorError, Rows};
use crate::state::key::{KeyBuf, encode_keys};

pub(crate) struct Running {
    /// None counts rows.
    calls: Vec<Option<(Aggregate, Accumulators)>>,
    rows: i64,
    /// As many zeros as rows were folded at once: they are all of one group.
    zeros: Vec<u32>,
    encoded: KeyBuf,
}

impl Running {
    pub fn new(spec: &ByValueSpec) -> Running {
        let aggregates = spec.calls.iter().map(|call| match call {
            OverCall::Aggregate(aggregate) => Some(aggregate),
            // Each is the number of rows so far: what "so far" means is the frame's to say.
            OverCall::RowNumber | OverCall::Rank | OverCall::Lag { .. } => None,
        });
        let start = |aggregate: Option<&Aggregate>| {
            let aggregate = aggregate?;
            let mut accumulators = accumulators(aggregate, Retraction::Never);
            accumulators.kernel_mut().resize(1);
            Some((aggregate.clone(), accumulators))
        };
        let calls = aggregates.chain(spec.unseen.iter().map(Some)).map(start).collect();
        Running { calls, rows: 0, zeros: vec![], encoded: KeyBuf::default() }
    }

    /// Back to no rows.
    pub fn clear(&mut self) {
        self.rows = 0;
        self.calls
            .iter_mut()
            .flatten()
            .for_each(|(_, accumulators)| accumulators.kernel_mut().clear(0));
    }

    /// Folds `len` rows in, from row `from`.
    pub(crate) fn fold(&mut self, rows: &RecordBatch, from: usize, len: usize) {
        if len == 0 {
            return;
        }
        if self.zeros.len() < len {
            self.zeros.resize(len, 0);
        }
        for (aggregate, accumulators) in self.calls.iter_mut().flatten() {
            let column = aggregate.argument.map(|a| rows.column(a).slice(from, len));
            let kernel = accumulators.kernel_mut();
            if aggregate.function.goes_by_arrival() {
                // Here the order is that of the value.
                let numbers = (self.rows as u64..self.rows as u64 + len as u64).collect();
                let times_ms = std::iter::repeat_n(0, len).collect();
                let dealt = Rows {
                    arrivals: Some(Arrivals { times_ms, numbers }),
                    ..Rows::new(rows.slice(from, len))
                };
                let selected = Selected::of(
                    aggregate,
                    dealt.batch.columns(),
                    ArrivalPlaces::new(&dealt, &WindowPart::Whole),
                );
                kernel.update(&self.zeros[..len], column.as_ref(), selected);
            } else {
                kernel.update(&self.zeros[..len], column.as_ref(), Selected::ALL);
            }
        }
        self.rows += len as i64;
    }

    /// The result of the rows folded so far.
    pub fn result(&mut self) -> Result<Arc<[u8]>, OperatorError> {
        let results = self.calls.iter().map(|call| match call {
            Some((_, accumulators)) => accumulators.kernel().evaluate(&[0]),
            None => Ok(Arc::new(Int64Array::from(vec![self.rows])) as ArrayRef),
        });
        let results = results.collect::<Result<Vec<_>, _>>()?;
        encode_keys(&results, 1, &mut self.encoded);
        Ok(self.encoded.get(0).into())
    }
}
