//! GROUPING() and GROUPING_ID() as the planner sees them. Never run: they become bits of the
//! grouping set's number.

use arrow::datatypes::DataType;
use datafusion_common::{Result, not_impl_err};
use datafusion_expr::function::AccumulatorArgs;
use datafusion_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

pub(crate) fn udaf() -> AggregateUDF {
    AggregateUDF::from(Grouping { signature: Signature::variadic_any(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Grouping {
    signature: Signature,
}

impl AggregateUDFImpl for Grouping {
    fn name(&self) -> &'static str {
        "grouping"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int32)
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        not_impl_err!("'GROUPING' outside GROUP BY")
    }
}
