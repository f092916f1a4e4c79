//! TYPEOF: the type of a value, as Flink writes it. A constant once types are known: `flink_types` asks for it.
//!
//! Flink's text says whether a value may be NULL and how long a CHAR is. What always holds: where that is not known for
//! certain, the call is refused.

use arrow::datatypes::DataType;
use datafusion_common::{DFSchema, ExprSchema, Result, ScalarValue, exec_err, plan_err};
use datafusion_expr::{
    ColumnarValue, Expr, ExprSchemable, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::{arithmetic, cast};
use crate::sql::types::{NULLABLE, field_sql_name};

pub const NAME: &str = "typeof";

pub fn udf() -> ScalarUDF {
    ScalarUDF::from(TypeOf { signature: Signature::user_defined(Volatility::Immutable) })
}

/// The text that a call stands for. Its arguments have their types.
pub fn text(args: &[Expr], schema: &DFSchema) -> Result<Expr> {
    let (value, is_serializable) = match args {
        [value] => (value, false),
        [value, Expr::Literal(ScalarValue::Boolean(Some(flag)), _)] => (value, *flag),
        _ => return plan_err!("'TYPEOF' takes a value, and TRUE or FALSE"),
    };
    let (Some(nullable), Some(name)) = (nullable(value, schema)?, name(value, schema)?) else {
        return plan_err!("'TYPEOF' takes columns of tables that may be NULL, numbers, CASTs and calculations with these");
    };
    let name = match name.as_str() {
        "STRING" if is_serializable => "VARCHAR(2147483647)".into(),
        "BYTES" if is_serializable => "VARBINARY(2147483647)".into(),
        "TIME" => "TIME(0)".into(),
        _ => match name.strip_prefix("TIMESTAMP_LTZ") {
            Some(precision) if is_serializable => format!("TIMESTAMP{precision} WITH LOCAL TIME ZONE"),
            _ => name,
        },
    };
    Ok(datafusion_expr::lit(if nullable { name } else { format!("{name} NOT NULL") }))
}

/// Whether Flink's type lets a value be NULL; None if that is not known.
fn nullable(expression: &Expr, schema: &DFSchema) -> Result<Option<bool>> {
    let any = |parts: &[&Expr]| -> Result<Option<bool>> {
        let parts = parts.iter().map(|part| nullable(part, schema)).collect::<Result<Option<Vec<_>>>>()?;
        Ok(parts.map(|parts| parts.contains(&true)))
    };
    match expression {
        Expr::Column(column) => Ok(schema.field_from_column(column)?.metadata().contains_key(NULLABLE).then_some(true)),
        Expr::Literal(value, _) => Ok(Some(value.is_null())),
        Expr::IsNull(_) | Expr::IsNotNull(_) => Ok(Some(false)),
        Expr::Negative(inner) | Expr::Not(inner) => any(&[inner]),
        // A type that holds all values of the other.
        Expr::Cast(cast) => any(&[&cast.expr]),
        Expr::BinaryExpr(e) if matches!(e.op, Operator::IsDistinctFrom | Operator::IsNotDistinctFrom) => Ok(Some(false)),
        Expr::BinaryExpr(e) if e.op != Operator::StringConcat => any(&[&e.left, &e.right]),
        Expr::ScalarFunction(call) => match (cast::is_cast(&call.func), call.args.as_slice()) {
            (Some(or_null), [inner]) => Ok(if or_null { Some(true) } else { any(&[inner])? }),
            (None, [left, right]) if arithmetic::is_call(&call.func) => any(&[left, right]),
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

/// The name of the type without what is said of NULL; None if it is not known.
fn name(expression: &Expr, schema: &DFSchema) -> Result<Option<String>> {
    let (_, field) = expression.to_field(schema)?;
    Ok(match (expression, field.data_type()) {
        (_, data_type) if data_type.is_nested() || matches!(data_type, DataType::Interval(_) | DataType::Duration(_)) => None,
        // A CAST of a constant to STRING leaves it as it is, and its length would be wrong.
        (
            Expr::Literal(..),
            DataType::Utf8 | DataType::Binary | DataType::Timestamp(..) | DataType::Time32(_) | DataType::Null,
        ) => None,
        (Expr::Column(_) | Expr::ScalarFunction(_) | Expr::Literal(..), _) => Some(field_sql_name(&field)),
        // Calculations say nothing of lengths and digits.
        (_, DataType::Utf8 | DataType::Binary | DataType::Timestamp(..) | DataType::Time32(_)) => None,
        _ => Some(field_sql_name(&field)),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TypeOf {
    signature: Signature,
}

impl ScalarUDFImpl for TypeOf {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        Ok(arguments.to_vec())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("'TYPEOF' is planned as a constant")
    }
}
