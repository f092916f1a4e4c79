//! Filter and project: DataFusion's expressions over a batch.
//!
//! What always holds: a row that an expression refuses (a bad CAST, a division by zero) never stops
//! the job and never takes its neighbours with it: the batch is halved until the row stands alone,
//! and the row goes to the error stream.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::prep_null_mask_filter;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion_common::DataFusionError;
use datafusion_physical_expr::PhysicalExpr;

use super::{Context, Event, Operator, OperatorError, Rows};
use crate::engine_words;
use crate::rows::batch_of;

pub(crate) struct Calc {
    predicate: Option<Arc<dyn PhysicalExpr>>,
    /// None passes all columns on.
    projection: Option<Vec<Arc<dyn PhysicalExpr>>>,
    output: SchemaRef,
}

impl Calc {
    /// `output` names and types the projected columns; without a projection it is the input's
    /// schema.
    pub fn new(
        predicate: Option<Arc<dyn PhysicalExpr>>,
        projection: Option<Vec<Arc<dyn PhysicalExpr>>>,
        output: SchemaRef,
    ) -> Calc {
        Calc { predicate, projection, output }
    }

    fn apply(&self, rows: &Rows) -> Result<Rows, DataFusionError> {
        let mut rows = rows.clone();
        if let Some(predicate) = &self.predicate {
            let mask = predicate.evaluate(&rows.batch)?.into_array(rows.len())?;
            let mask: BooleanArray = match mask.as_boolean() {
                m if m.null_count() > 0 => prep_null_mask_filter(m),
                m => m.clone(),
            };
            if mask.true_count() < rows.len() {
                rows = rows.filter(&mask)?;
            }
        }
        if let Some(projection) = &self.projection {
            let n = rows.len();
            let columns = projection
                .iter()
                .map(|e| e.evaluate(&rows.batch)?.into_array(n))
                .collect::<Result<Vec<ArrayRef>, _>>()?;
            rows = rows.with_batch(batch_of(self.output.clone(), columns, n)?);
        }
        Ok(rows)
    }

    /// Applies to the rows one half at a time until what fails is a single row.
    fn isolate(&self, rows: &Rows, error: &DataFusionError, cx: &mut Context<'_>) {
        let n = rows.batch.num_rows();
        if n == 1 {
            if !rows.op(0).adds() {
                // It failed when it was added, and is in the error stream since then.
                return;
            }
            cx.fail(rows.batch.clone(), engine_words::reason(error));
            return;
        }
        for (from, len) in [(0, n / 2), (n / 2, n - n / 2)] {
            let half = rows.slice(from, len);
            match self.apply(&half) {
                Ok(done) => push(done, cx),
                Err(e) => self.isolate(&half, &e, cx),
            }
        }
    }
}

/// Where a condition over pairs of rows is true. One that it refuses is set apart by halving, and
/// does not hold.
pub(crate) fn condition_mask(
    condition: &Arc<dyn PhysicalExpr>,
    rows: &RecordBatch,
    cx: &mut Context<'_>,
) -> BooleanArray {
    let n = rows.num_rows();
    match condition.evaluate(rows).and_then(|mask| mask.into_array(n)) {
        Ok(mask) => match mask.as_boolean() {
            mask if mask.null_count() > 0 => prep_null_mask_filter(mask),
            mask => mask.clone(),
        },
        Err(e) if n <= 1 => {
            cx.fail(rows.clone(), engine_words::reason(&e));
            BooleanArray::from(vec![false; n])
        }
        Err(_) => {
            let halves = [(0, n / 2), (n / 2, n - n / 2)];
            let masks =
                halves.map(|(from, len)| condition_mask(condition, &rows.slice(from, len), cx));
            masks.iter().flatten().collect()
        }
    }
}

fn push(rows: Rows, cx: &mut Context<'_>) {
    if rows.batch.num_rows() > 0 {
        cx.out.push(Event::Rows(rows));
    }
}

impl Operator for Calc {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        match event {
            Event::Rows(rows) if rows.batch.num_rows() > 0 => match self.apply(&rows) {
                Ok(done) => push(done, cx),
                Err(e) => self.isolate(&rows, &e, cx),
            },
            Event::Rows(_) => {}
            other => cx.out.push(other),
        }
        Ok(())
    }
}
