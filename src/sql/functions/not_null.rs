//! A value on its way into a column that is NOT NULL: it passes, or its row is refused.
//!
//! Put around the columns of an INSERT by `bind`; it cannot be called in SQL. Flink's job fails at
//! such a row (`table.exec.sink.not-null-enforcer` is ERROR); here the row alone goes to the error
//! stream.

use arrow::array::Array;
use arrow::datatypes::DataType;
use datafusion_common::{Result, ScalarValue, exec_err};
use datafusion_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};

const NAME: &str = "not_null";

/// The check around a value for the column of this name.
pub fn call(value: Expr, column: &str) -> Expr {
    ScalarUDF::from(NotNull { signature: Signature::any(2, Volatility::Immutable) })
        .call(vec![value, lit(column)])
}

/// The value inside the check.
pub fn inside(expression: &Expr) -> Option<&Expr> {
    match expression {
        Expr::ScalarFunction(f) if f.name() == NAME => f.args.first(),
        _ => None,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct NotNull {
    signature: Signature,
}

impl ScalarUDFImpl for NotNull {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments[0].clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let nulls = match &args.args[0] {
            ColumnarValue::Array(array) => array.null_count(),
            ColumnarValue::Scalar(value) => usize::from(value.is_null()),
        };
        if nulls > 0 {
            let ColumnarValue::Scalar(ScalarValue::Utf8(Some(column))) = &args.args[1] else {
                return exec_err!("NULL in a column that is NOT NULL");
            };
            return exec_err!("column '{column}' is NOT NULL, and the value is NULL");
        }
        Ok(args.args[0].clone())
    }
}
