//! The columns of two inputs side by side.
//!
//! Used by the joins that keep rows of either input (`interval`, `versioned`, `regular`).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Schema};

use super::JoinSpec;
use crate::operator::OperatorError;
use crate::state::key::decode_keys;

impl JoinSpec {
    /// The columns of rows of an input, from the encoding in which they wait.
    pub(super) fn decoded<'a>(
        &self,
        input: usize,
        rows: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Vec<ArrayRef>, OperatorError> {
        let fields = self.inputs[input].fields();
        let types: Vec<DataType> = fields.iter().map(|f| f.data_type().clone()).collect();
        Ok(decode_keys(&types, rows)?)
    }

    /// Rows of an input beside as many of the other, as the condition sees them.
    pub(super) fn side_by_side(
        &self,
        input: usize,
        own: Vec<ArrayRef>,
        other: Vec<ArrayRef>,
    ) -> Result<RecordBatch, OperatorError> {
        let rows = own.first().or(other.first()).map_or(0, |c| c.len());
        let (left, right) = if input == 0 { (own, other) } else { (other, own) };
        let fields: Vec<_> = self.inputs.iter().flat_map(|s| s.fields().iter().cloned()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let columns = [left, right].concat();
        Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?)
    }
}

/// The values at `picks`, NULL where a pick is.
pub(super) fn picked(
    columns: &[ArrayRef],
    picks: &UInt32Array,
) -> Result<Vec<ArrayRef>, OperatorError> {
    let pick = |column: &ArrayRef| {
        // Nothing can be taken from no rows, but for NULLs.
        if picks.null_count() == picks.len() {
            return Ok(new_null_array(column.data_type(), picks.len()));
        }
        Ok(take(column, picks, None)?)
    };
    columns.iter().map(pick).collect()
}
