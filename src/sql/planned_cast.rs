//! CAST and TRY_CAST as the planner sees them: calls with the type in text.
//!
//! DataFusion's own CAST has the name of what it casts, so `COUNT(x)` and `COUNT(CAST(x AS INT))`
//! would be one column. `rewrite` makes these calls, `bind` registers them beside the functions,
//! and `flink_types` puts the real casts (`functions::cast`) in their place. What always holds: no
//! plan that is run has one of them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::{Result, ScalarValue, exec_err, plan_err};
use datafusion_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::types::{arrow_field, data_type};

/// The names of the calls. No SQL text can write them.
pub const CAST: &str = "(cast)";
pub const TRY_CAST: &str = "(try_cast)";

pub fn all() -> impl Iterator<Item = ScalarUDF> {
    [CAST, TRY_CAST].into_iter().map(|name| {
        ScalarUDF::from(Planned { name, signature: Signature::user_defined(Volatility::Immutable) })
    })
}

/// The field of a type in text.
pub fn target(text: &ScalarValue) -> Result<Field> {
    let ScalarValue::Utf8(Some(text)) = text else { return plan_err!("CAST needs a type") };
    match data_type(text).map_err(|e| e.to_string()).and_then(|t| arrow_field(&t)) {
        Ok(field) => Ok(field),
        Err(reason) => plan_err!("{reason}"),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Planned {
    name: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for Planned {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        Ok(arguments.to_vec())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        plan_err!("the type of a CAST is in its arguments")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        match args.scalar_arguments {
            [_, Some(text)] => Ok(Arc::new(target(text)?.with_name(self.name))),
            _ => plan_err!("CAST needs a type"),
        }
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("'{}' is planned as another function", self.name)
    }
}
