//! The time of FOR SYSTEM_TIME AS OF, among the conditions of its join; beside it, where versions are
//! joined, the rowtime of the right side. Never run: `lookup_join` checks it and takes it away, or
//! the lowering does.

use arrow::datatypes::DataType;
use datafusion_common::{Result, not_impl_err};
use datafusion_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// No SQL text can call it.
pub(crate) const NAME: &str = "(as of)";

pub(crate) fn udf() -> ScalarUDF {
    ScalarUDF::from(AsOf { signature: Signature::variadic_any(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct AsOf {
    signature: Signature,
}

impl ScalarUDFImpl for AsOf {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        not_impl_err!("FOR SYSTEM_TIME AS OF in this place")
    }
}
