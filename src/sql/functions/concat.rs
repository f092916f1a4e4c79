//! CONCAT(a, b, ...): NULL if any argument is, unlike DataFusion's, which leaves NULLs out.

use std::sync::Arc;

use arrow::array::{Array, AsArray, StringBuilder};
use arrow::datatypes::DataType;
use datafusion_common::{Result, plan_err};
use datafusion_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

pub(crate) fn udf() -> ScalarUDF {
    ScalarUDF::from(Concat { signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Concat {
    signature: Signature,
}

impl ScalarUDFImpl for Concat {
    fn name(&self) -> &str {
        "concat"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        if arguments.is_empty() {
            return plan_err!("'CONCAT' takes at least one argument");
        }
        Ok(vec![DataType::Utf8; arguments.len()])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let parts =
            args.args.iter().map(|a| a.to_array(args.number_rows)).collect::<Result<Vec<_>>>()?;
        let mut out = StringBuilder::with_capacity(args.number_rows, args.number_rows * 16);
        let mut text = String::new();
        for row in 0..args.number_rows {
            if parts.iter().any(|p| p.is_null(row)) {
                out.append_null();
                continue;
            }
            text.clear();
            for part in &parts {
                text.push_str(part.as_string::<i32>().value(row));
            }
            out.append_value(&text);
        }
        Ok(ColumnarValue::Array(Arc::new(out.finish())))
    }
}
