//! TYPEOF: the type of a value, as Flink writes it. A constant once types are known: `flink_types`
//! asks for it.
//!
//! Flink's text says whether a value may be NULL and how long a CHAR is. What always holds: where
//! that is not known for certain, the call is refused.

use arrow::datatypes::DataType;
use datafusion_common::{DFSchema, ExprSchema, Result, ScalarValue, exec_err, plan_err};
use datafusion_expr::{
    ColumnarValue, Expr, ExprSchemable, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

use super::cast::{self, Unreadable};
use super::{arithmetic, clock, nested};
use crate::types::{NULLABLE, field_sql_name};

pub(crate) const NAME: &str = "typeof";

/// Functions with Flink's type that are NULL where an argument is.
const OF_ARGUMENTS: [&str; 15] = [
    "abs",
    "btrim",
    "ceil",
    "char_length",
    "concat",
    "extract",
    "floor",
    "lower",
    "power",
    "round",
    "sign",
    "sqrt",
    "trim",
    "truncate",
    "upper",
];
/// Functions with Flink's type that may be NULL for any argument.
const ALWAYS_NULLABLE: [&str; 2] = ["to_timestamp", "to_timestamp_ltz"];

pub(crate) fn udf() -> ScalarUDF {
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
        return plan_err!(
            "'TYPEOF' does not know all of this type; it takes columns of tables that may be NULL, constants, CASTs and what is made of them"
        );
    };
    let name = match name.as_str() {
        "STRING" if is_serializable => "VARCHAR(2147483647)".into(),
        "BYTES" if is_serializable => "VARBINARY(2147483647)".into(),
        "TIME" => "TIME(0)".into(),
        _ => match name.strip_prefix("TIMESTAMP_LTZ") {
            Some(precision) if is_serializable => {
                format!("TIMESTAMP{precision} WITH LOCAL TIME ZONE")
            }
            _ => name,
        },
    };
    Ok(datafusion_expr::lit(if nullable { name } else { format!("{name} NOT NULL") }))
}

/// Whether Flink's type lets a value be NULL; None if that is not known.
fn nullable(expression: &Expr, schema: &DFSchema) -> Result<Option<bool>> {
    let any = |parts: &[&Expr]| -> Result<Option<bool>> {
        let parts =
            parts.iter().map(|part| nullable(part, schema)).collect::<Result<Option<Vec<_>>>>()?;
        Ok(parts.map(|parts| parts.contains(&true)))
    };
    match expression {
        Expr::Column(column) => {
            Ok(schema.field_from_column(column)?.metadata().contains_key(NULLABLE).then_some(true))
        }
        Expr::Literal(value, _) => Ok(Some(value.is_null())),
        Expr::IsNull(_) | Expr::IsNotNull(_) => Ok(Some(false)),
        Expr::Negative(inner) | Expr::Not(inner) => any(&[inner]),
        // A type that holds all values of the other.
        Expr::Cast(cast) => any(&[&cast.expr]),
        Expr::BinaryExpr(e)
            if matches!(e.op, Operator::IsDistinctFrom | Operator::IsNotDistinctFrom) =>
        {
            Ok(Some(false))
        }
        Expr::BinaryExpr(e) if e.op != Operator::StringConcat => any(&[&e.left, &e.right]),
        Expr::Case(case) => {
            let Some(otherwise) = &case.else_expr else { return Ok(Some(true)) };
            // COALESCE: what is looked at is no NULL where it is given.
            let given = case
                .when_then_expr
                .iter()
                .filter(|(when, then)| !is_present(when, then))
                .map(|(_, then)| then.as_ref());
            any(&given.chain([otherwise.as_ref()]).collect::<Vec<_>>())
        }
        call if clock::over(call, datafusion_expr::lit(0)).is_some() => Ok(Some(false)),
        Expr::ScalarFunction(call) => match (cast::unreadable(&call.func), call.args.as_slice()) {
            (Some(Unreadable::IsNull), [_]) => Ok(Some(true)),
            (Some(Unreadable::RefusesRow), [inner]) => any(&[inner]),
            (None, [left, right]) if arithmetic::is_call(&call.func) => any(&[left, right]),
            (None, args) if OF_ARGUMENTS.contains(&call.name()) => {
                any(&args.iter().collect::<Vec<_>>())
            }
            _ if ALWAYS_NULLABLE.contains(&call.name()) => Ok(Some(true)),
            _ if matches!(call.name(), nested::ARRAY | nested::MAP | nested::ROW) => {
                Ok(Some(false))
            }
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

/// The name of the type without what is said of NULL; None if it is not known.
fn name(expression: &Expr, schema: &DFSchema) -> Result<Option<String>> {
    let (_, field) = expression.to_field(schema)?;
    if let Expr::ScalarFunction(call) = expression {
        match (call.name(), call.args.as_slice()) {
            ("upper" | "lower", [text]) => return name(text, schema),
            ("trim" | "btrim", [text, ..]) => {
                return Ok(name(text, schema)?.map(|name| {
                    name.replacen("CHAR(", "VARCHAR(", usize::from(name.starts_with("CHAR(")))
                }));
            }
            (nested::ARRAY | nested::MAP | nested::ROW, parts) => {
                return constructed(call.name(), parts, field.data_type(), schema);
            }
            _ => {}
        }
    }
    Ok(match (expression, field.data_type()) {
        (_, data_type)
            if data_type.is_nested()
                || matches!(data_type, DataType::Interval(_) | DataType::Duration(_)) =>
        {
            None
        }
        // A CAST of a constant to STRING leaves it as it is, and its length would be wrong.
        (
            Expr::Literal(..),
            DataType::Utf8
            | DataType::Binary
            | DataType::Timestamp(..)
            | DataType::Time32(_)
            | DataType::Null,
        ) => None,
        (Expr::Column(_) | Expr::ScalarFunction(_) | Expr::Literal(..), _) => {
            Some(field_sql_name(&field))
        }
        // Calculations say nothing of lengths and digits.
        (_, DataType::Utf8 | DataType::Binary | DataType::Timestamp(..) | DataType::Time32(_)) => {
            None
        }
        _ => Some(field_sql_name(&field)),
    })
}

/// The name of what a constructor makes: its parts with their names.
fn constructed(
    constructor: &str,
    parts: &[Expr],
    made: &DataType,
    schema: &DFSchema,
) -> Result<Option<String>> {
    // One name for parts that have all the same type, without what is said of NULL.
    let one = |parts: &[&Expr]| -> Result<Option<String>> {
        let names =
            parts.iter().map(|part| name(part, schema)).collect::<Result<Option<Vec<_>>>>()?;
        let nulls =
            parts.iter().map(|part| nullable(part, schema)).collect::<Result<Option<Vec<_>>>>()?;
        Ok(names
            .zip(nulls)
            .filter(|(names, _)| names.windows(2).all(|pair| pair[0] == pair[1]))
            .and_then(|(names, nulls)| {
                let name = names.into_iter().next()?;
                Some(if nulls.contains(&true) { name } else { format!("{name} NOT NULL") })
            }))
    };
    let side = |from: usize| one(&parts.iter().skip(from).step_by(2).collect::<Vec<_>>());
    Ok(match (constructor, made) {
        (nested::ARRAY, _) => {
            one(&parts.iter().collect::<Vec<_>>())?.map(|item| format!("ARRAY<{item}>"))
        }
        (nested::MAP, _) => {
            side(0)?.zip(side(1)?).map(|(key, value)| format!("MAP<{key}, {value}>"))
        }
        (_, DataType::Struct(fields)) => {
            let named = fields.iter().zip(parts).map(|(field, part)| {
                Ok(one(&[part])?.map(|part| format!("`{}` {part}", field.name())))
            });
            named
                .collect::<Result<Option<Vec<_>>>>()?
                .map(|fields| format!("ROW<{}>", fields.join(", ")))
        }
        _ => None,
    })
}

/// True for `WHEN x IS NOT NULL THEN x`, where x may be cast.
fn is_present(when: &Expr, then: &Expr) -> bool {
    let Expr::IsNotNull(looked_at) = when else { return false };
    match then {
        then if then == looked_at.as_ref() => true,
        Expr::Cast(cast) => is_present(when, &cast.expr),
        Expr::ScalarFunction(call)
            if cast::unreadable(&call.func) == Some(Unreadable::RefusesRow) =>
        {
            call.args.iter().any(|a| is_present(when, a))
        }
        _ => false,
    }
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
