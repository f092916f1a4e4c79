//! CURRENT_WATERMARK(rowtime) as the planner sees it. Never run: `plan::lower` puts a column in its
//! place.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion_common::{Result, not_impl_err, plan_err};
use datafusion_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

pub(crate) const NAME: &str = "current_watermark";

pub(crate) fn udf() -> ScalarUDF {
    ScalarUDF::from(CurrentWatermark { signature: Signature::any(1, Volatility::Volatile) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CurrentWatermark {
    signature: Signature,
}

impl ScalarUDFImpl for CurrentWatermark {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [DataType::Timestamp(_, zone)] => {
                Ok(DataType::Timestamp(TimeUnit::Millisecond, zone.clone()))
            }
            _ => plan_err!("'CURRENT_WATERMARK' takes a rowtime"),
        }
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        not_impl_err!("'CURRENT_WATERMARK' in this place; SELECT it in a subquery of the table")
    }
}
