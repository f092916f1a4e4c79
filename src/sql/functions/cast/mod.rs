//! CAST and TRY_CAST with Flink's meaning: what becomes of a value in another type?
//!
//! `flink_types` puts these in place of every CAST of a query and of the implicit casts of INSERT.
//! `number`, `text` and `parse` hold the three families. What always holds: a value that cannot be
//! read refuses its row (CAST) or is NULL (TRY_CAST); a DECIMAL that does not fit is NULL in both;
//! integers wrap in both.

mod nested;
mod number;
mod parse;
pub mod read;
mod text;
mod time;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, new_null_array};
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion_common::{Result, exec_err, plan_err};
use datafusion_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use crate::types::{EXACT, field_sql_name, sql_name};

pub use text::append as append_text;

/// What becomes of a value that cannot be read in the other type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unreadable {
    /// CAST: its row is refused.
    RefusesRow,
    /// TRY_CAST: NULL stands for it.
    IsNull,
}

/// A type as casts see it: Arrow's, and what Arrow's does not say.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Type {
    pub data_type: DataType,
    /// `CHAR(3)`, `TIMESTAMP(1)`: see [`EXACT`].
    exact: Option<String>,
}

impl Type {
    pub fn of(field: &Field) -> Type {
        Type { data_type: field.data_type().clone(), exact: field.metadata().get(EXACT).cloned() }
    }

    /// The number in the exact type's parentheses, if the type is of this name.
    fn modifier(&self, name: &str) -> Option<usize> {
        self.exact
            .as_deref()?
            .strip_prefix(name)?
            .strip_prefix('(')?
            .strip_suffix(')')?
            .parse()
            .ok()
    }

    /// Digits after the second of a timestamp.
    fn precision(&self) -> usize {
        self.modifier("TIMESTAMP")
            .or_else(|| self.modifier("TIMESTAMP_LTZ"))
            .unwrap_or(precision(&self.data_type))
    }

    /// A type whose fields have no exact types of their own.
    fn plain(data_type: &DataType) -> Type {
        Type { data_type: data_type.clone(), exact: None }
    }

    fn name(&self) -> String {
        self.exact.clone().unwrap_or_else(|| sql_name(&self.data_type))
    }
}

/// Digits after the second that an Arrow type keeps.
fn precision(data_type: &DataType) -> usize {
    match data_type {
        DataType::Timestamp(TimeUnit::Second, _) => 0,
        DataType::Timestamp(TimeUnit::Millisecond, _) => 3,
        DataType::Timestamp(TimeUnit::Microsecond, _) => 6,
        _ => 9,
    }
}

/// The cast of an expression of one type to another; a plan error if Flink has no such cast.
pub fn call(expression: Expr, from: &Field, to: &Field, unreadable: Unreadable) -> Result<Expr> {
    let (from, to) = (Type::of(from), Type::of(to));
    if from == to {
        return Ok(expression);
    }
    if !castable(&from.data_type, &to.data_type) {
        return plan_err!("cannot cast {} to {}", from.name(), to.name());
    }
    let name = format!(
        "{} {} as {}",
        if unreadable == Unreadable::IsNull { "try_cast" } else { "cast" },
        from.name(),
        to.name()
    );
    let cast = Cast {
        name,
        from,
        to,
        unreadable,
        signature: Signature::user_defined(Volatility::Immutable),
    };
    Ok(ScalarUDF::from(cast).call(vec![expression]))
}

/// Of a function that casts: what becomes of what it cannot read. None of others.
pub(crate) fn unreadable(function: &ScalarUDF) -> Option<Unreadable> {
    function.inner().downcast_ref::<Cast>().map(|cast| cast.unreadable)
}

/// True if there is a cast between the types.
fn castable(from: &DataType, to: &DataType) -> bool {
    use DataType::{Binary, Boolean, Date32, Duration, Interval, Null, Time32, Timestamp, Utf8};
    let number = |t: &DataType| t.is_numeric();
    match (from, to) {
        (Interval(_) | Duration(_), _) => false,
        (Null, _) => true,
        (from, to) if from.is_nested() => nested::castable(from, to),
        (_, Utf8) => true,
        (Utf8, to) => {
            number(to) || matches!(to, Boolean | Binary | Date32 | Time32(_) | Timestamp(..))
        }
        (from, to) if number(from) && (number(to) || *to == Boolean) => true,
        (Boolean, to) => number(to) || *to == Boolean,
        (Date32, Date32 | Timestamp(..)) | (Time32(_), Time32(_) | Timestamp(..)) => true,
        (Timestamp(..), Timestamp(..) | Date32 | Time32(_)) | (Binary, Binary) => true,
        _ => false,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Cast {
    name: String,
    from: Type,
    to: Type,
    unreadable: Unreadable,
    signature: Signature,
}

impl ScalarUDFImpl for Cast {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        Ok(arguments.to_vec())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.to.data_type.clone())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        let field = Field::new(&self.name, self.to.data_type.clone(), true);
        Ok(Arc::new(match &self.to.exact {
            Some(exact) => field.with_metadata(HashMap::from([(EXACT.to_string(), exact.clone())])),
            None => field,
        }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [argument] = args.args.as_slice() else { return exec_err!("CAST takes one argument") };
        // A constant is cast once, and stays a constant.
        let rows = if matches!(argument, ColumnarValue::Scalar(_)) { 1 } else { args.number_rows };
        let array = argument.to_array(rows)?;
        let out = self.cast(&array)?;
        Ok(match argument {
            ColumnarValue::Scalar(_) => {
                ColumnarValue::Scalar(datafusion_common::ScalarValue::try_from_array(&out, 0)?)
            }
            ColumnarValue::Array(_) => ColumnarValue::Array(out),
        })
    }
}

impl Cast {
    fn cast(&self, array: &ArrayRef) -> Result<ArrayRef> {
        convert(array, &self.from, &self.to, self.unreadable)
            .or_else(|reason| exec_err!("{reason}"))
    }
}

/// The values in another type, or why a row is refused.
fn convert(
    array: &ArrayRef,
    from: &Type,
    to: &Type,
    unreadable: Unreadable,
) -> std::result::Result<ArrayRef, String> {
    match (array.data_type(), &to.data_type) {
        (DataType::Null, to) => Ok(new_null_array(to, array.len())),
        (_, DataType::Utf8) => text::cast(array, from, to),
        (from, _) if from.is_nested() => nested::cast(array, to, unreadable),
        (DataType::Utf8, _) => parse::cast(array.as_string(), to, unreadable),
        (DataType::Binary, DataType::Binary) => Ok(parse::cut_bytes(array.as_binary(), to)),
        (DataType::Date32 | DataType::Time32(_) | DataType::Timestamp(..), _) => {
            time::cast(array, to)
        }
        _ => number::cast(array, &to.data_type, unreadable),
    }
}

/// The same for values inside others, which have no exact types.
fn convert_inside(array: &ArrayRef, to: &DataType) -> std::result::Result<ArrayRef, String> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    convert(array, &Type::plain(array.data_type()), &Type::plain(to), Unreadable::RefusesRow)
}

/// Why a constant text cannot be cast, if it cannot.
pub fn constant(text: &str, to: &Field) -> Option<String> {
    let array = arrow::array::StringArray::from(vec![text]);
    match to.data_type() {
        DataType::Utf8 => None,
        _ => parse::cast(&array, &Type::of(to), Unreadable::RefusesRow).err(),
    }
}

/// The SQL names of both sides, for a message.
pub fn describe(from: &Field, to: &Field) -> String {
    format!("{} to {}", field_sql_name(from), field_sql_name(to))
}
