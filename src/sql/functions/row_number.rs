//! ROW_NUMBER() as the planner sees it. Never run by DataFusion: `plan::lower` turns it into a Top-N.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::{Result, not_impl_err};
use datafusion_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion_expr::{PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl};

pub fn udwf() -> WindowUDF {
    WindowUDF::from(RowNumber { signature: Signature::nullary(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RowNumber {
    signature: Signature,
}

impl WindowUDFImpl for RowNumber {
    fn name(&self) -> &str {
        "row_number"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn partition_evaluator(&self, _: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        not_impl_err!("'ROW_NUMBER' outside a Top-N")
    }

    fn field(&self, field: WindowUDFFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(field.name(), DataType::Int64, false)))
    }
}
