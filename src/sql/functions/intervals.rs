//! Intervals as values: the difference of two times, parts of an interval, its text, and which of two is longer.
//!
//! Flink has two kinds, months and milliseconds, and one Arrow type holds both. `flink_types` therefore asks [`family`]
//! which one an expression is wherever that matters; a difference says it in its field. What always holds: where the kind
//! is not known the call is refused at planning.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, PrimitiveArray};
use arrow::datatypes::{DataType, Field, FieldRef, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit};
use datafusion_common::{DFSchema, Result, ScalarValue, exec_err, plan_err};
use datafusion_expr::{
    ColumnarValue, Expr, ExprSchemable, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, lit,
};

use super::interval_times;
use super::rows::ParameterKind::{Interval, Text};
use super::rows::{Answer, Body, Definition, Row, function};
use crate::sql::functions::months::months_from;
use crate::time::MS_PER_DAY;
use crate::types::{EXACT, sql_name};

/// The difference of two times: both, and the kind of interval. No SQL text can write this name.
pub const NAME: &str = "(time_difference)";

/// The two kinds of intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    Months,
    Milliseconds,
}

impl Family {
    /// As Flink writes it in the name of the type, behind `INTERVAL`.
    pub fn name(self) -> &'static str {
        match self {
            Family::Months => "MONTH",
            Family::Milliseconds => "SECOND(3)",
        }
    }

    fn of_name(name: &str) -> Option<Family> {
        [Family::Months, Family::Milliseconds].into_iter().find(|f| f.name() == name)
    }

    /// The length of an interval of this kind: months or ms.
    fn length(self, interval: IntervalMonthDayNano) -> i64 {
        match self {
            Family::Months => interval.months.into(),
            Family::Milliseconds => i64::from(interval.days) * MS_PER_DAY + interval.nanoseconds / 1_000_000,
        }
    }

    /// The units that EXTRACT takes out of such an interval.
    fn units(self) -> &'static [&'static str] {
        match self {
            Family::Months => &["YEAR", "QUARTER", "MONTH"],
            Family::Milliseconds => &["DAY", "HOUR", "MINUTE", "SECOND", "MILLISECOND"],
        }
    }
}

const TEXT: Definition = function("(interval_text)", &[Text, Interval], Body::Text(text));
const LENGTH: Definition = function(
    "(interval_length)",
    &[Text, Interval],
    Body::Long(|row| Ok(Family::of_name(row.text(0)).zip(row.interval(1)).map(|(family, interval)| family.length(interval)))),
);

/// `+1 02:03:04.500` or `-1-02`.
fn text(row: &Row<'_>) -> Answer<String> {
    Ok(Family::of_name(row.text(0)).zip(row.interval(1)).map(|(family, interval)| text_of(family, family.length(interval))))
}

/// The text of so many months or milliseconds.
pub fn text_of(family: Family, length: i64) -> String {
    let (sign, length) = (if length < 0 { '-' } else { '+' }, length.unsigned_abs());
    match family {
        Family::Months => format!("{sign}{}-{:02}", length / 12, length % 12),
        Family::Milliseconds => {
            let (seconds, ms) = (length / 1000, length % 1000);
            let (hours, minutes, seconds) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
            format!("{sign}{} {hours:02}:{minutes:02}:{seconds:02}.{ms:03}", length / MS_PER_DAY as u64)
        }
    }
}

/// One part of an interval, cut off toward zero.
pub fn part(unit: &str, interval: IntervalMonthDayNano) -> Answer<i64> {
    let (months, ms) = (Family::Months.length(interval), Family::Milliseconds.length(interval));
    Ok(Some(match unit {
        "YEAR" => months / 12,
        "QUARTER" => (months % 12 - 1) / 3 + 1,
        "MONTH" => months % 12,
        "DAY" => ms / MS_PER_DAY,
        "HOUR" => ms % MS_PER_DAY / 3_600_000,
        "MINUTE" => ms % 3_600_000 / 60_000,
        "SECOND" => ms % 60_000 / 1000,
        "MILLISECOND" => ms % 1000,
        other => return Err(format!("'{other}' is no part of an INTERVAL")),
    }))
}

pub fn is_interval(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(_))
}

/// Which kind of interval an expression gives; None if that cannot be told: of a zero, for one.
pub fn family(expression: &Expr, schema: &DFSchema) -> Result<Option<Family>> {
    Ok(match expression {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(v)), _) => match (v.months, v.days, v.nanoseconds) {
            (0, 0, 0) => None,
            (0, ..) => Some(Family::Milliseconds),
            _ => Some(Family::Months),
        },
        Expr::Negative(inner) => family(inner, schema)?,
        Expr::Alias(alias) => family(&alias.expr, schema)?,
        Expr::BinaryExpr(e) if matches!(e.op, Operator::Plus | Operator::Minus) => {
            family(&e.left, schema)?.or(family(&e.right, schema)?)
        }
        Expr::ScalarFunction(call) if call.name() == interval_times::NAME => match call.args.as_slice() {
            [_, interval] => family(interval, schema)?,
            _ => None,
        },
        other => {
            let (_, field) = other.to_field(schema)?;
            field.metadata().get(EXACT).and_then(|name| Family::of_name(name.strip_prefix("INTERVAL ")?))
        }
    })
}

/// CAST of an interval to STRING.
pub fn to_text(expression: Expr, schema: &DFSchema) -> Result<Expr> {
    match family(&expression, schema)? {
        Some(family) => Ok(TEXT.udf().call(vec![lit(family.name()), expression])),
        None => plan_err!("cannot cast INTERVAL to STRING where it may be months or milliseconds"),
    }
}

/// Both sides of a comparison of intervals, as numbers.
pub fn lengths(left: Expr, right: Expr, schema: &DFSchema) -> Result<[Expr; 2]> {
    // A zero is as long in months as in milliseconds.
    let zero = |e: &Expr| matches!(e, Expr::Literal(..));
    let family = match (family(&left, schema)?, family(&right, schema)?) {
        (Some(a), Some(b)) if a != b => return plan_err!("cannot compare INTERVAL {} and INTERVAL {}", a.name(), b.name()),
        (Some(family), Some(_)) => family,
        (Some(family), None) if zero(&right) => family,
        (None, Some(family)) if zero(&left) => family,
        (None, None) if zero(&left) && zero(&right) => Family::Months,
        _ => return plan_err!("cannot compare INTERVALs that may be months or milliseconds"),
    };
    Ok([left, right].map(|side| LENGTH.udf().call(vec![lit(family.name()), side])))
}

/// Refuses EXTRACT of a unit that an interval has not.
pub fn check_part(unit: &Expr, interval: &Expr, schema: &DFSchema) -> Result<()> {
    let Expr::Literal(ScalarValue::Utf8(Some(unit)), _) = unit else { return Ok(()) };
    let family = family(interval, schema)?;
    let families = family.map_or(vec![Family::Months, Family::Milliseconds], |family| vec![family]);
    if families.iter().any(|family| family.units().contains(&unit.as_str())) {
        return Ok(());
    }
    let name = family.map_or(String::new(), |family| format!(" {}", family.name()));
    plan_err!("'EXTRACT' takes no {unit} from an INTERVAL{name}")
}

pub fn difference() -> ScalarUDF {
    ScalarUDF::from(Difference { signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Difference {
    signature: Signature,
}

impl ScalarUDFImpl for Difference {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let kind = |t: &DataType| match t {
            DataType::Timestamp(_, None) => Some("TIMESTAMP"),
            DataType::Timestamp(_, Some(_)) => Some("TIMESTAMP_LTZ"),
            DataType::Date32 => Some("DATE"),
            DataType::Time32(_) => Some("TIME"),
            _ => None,
        };
        match arguments {
            [a, b, text] if kind(a).is_some() && kind(a) == kind(b) => Ok(vec![a.clone(), b.clone(), text.clone()]),
            [a, b, _] => {
                plan_err!("there is no difference between {} and {}: both have to be times of one kind", sql_name(a), sql_name(b))
            }
            _ => plan_err!("a difference is between two times"),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Interval(IntervalUnit::MonthDayNano))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let family = match args.scalar_arguments {
            [_, _, Some(ScalarValue::Utf8(Some(name)))] => Family::of_name(name),
            _ => None,
        };
        let Some(family) = family else { return plan_err!("the kind of a difference is a constant") };
        if family == Family::Months && !matches!(args.arg_fields[0].data_type(), DataType::Timestamp(_, None) | DataType::Date32)
        {
            let name = sql_name(args.arg_fields[0].data_type());
            return plan_err!("the difference of {name} in months is not supported; CAST to TIMESTAMP(3)");
        }
        let exact = HashMap::from([(EXACT.to_string(), format!("INTERVAL {}", family.name()))]);
        let nullable = args.arg_fields.iter().any(|f| f.is_nullable());
        Ok(Arc::new(Field::new(NAME, self.return_type(&[])?, nullable).with_metadata(exact)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = args.args.iter().map(|a| a.to_array(args.number_rows)).collect::<Result<Vec<_>>>()?;
        let [later, earlier, _] = arrays.as_slice() else { return exec_err!("a difference is between two times") };
        let Some(ColumnarValue::Scalar(ScalarValue::Utf8(Some(name)))) = args.args.get(2) else {
            return exec_err!("the kind of a difference is a constant");
        };
        let each = (0..args.number_rows).map(|row| {
            if later.is_null(row) || earlier.is_null(row) {
                return None;
            }
            let times = Row::new(&arrays, row);
            let (to, from) = (times.time(0), times.time(1));
            Some(match Family::of_name(name)? {
                Family::Months => IntervalMonthDayNano::new(months_from(from, to) as i32, 0, 0),
                // Nanoseconds alone would hold 292 years.
                Family::Milliseconds => {
                    let ms = to.saturating_sub(from);
                    IntervalMonthDayNano::new(0, (ms / MS_PER_DAY) as i32, ms % MS_PER_DAY * 1_000_000)
                }
            })
        });
        Ok(ColumnarValue::Array(Arc::new(each.collect::<PrimitiveArray<IntervalMonthDayNanoType>>())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_flinks() {
        for (family, length, expected) in [
            (Family::Months, 0, "+0-00"),
            (Family::Months, -647, "-53-11"),
            (Family::Milliseconds, 0, "+0 00:00:00.000"),
            (Family::Milliseconds, -1, "-0 00:00:00.001"),
            (Family::Milliseconds, 2_913_144 * MS_PER_DAY - 1, "+2913143 23:59:59.999"),
        ] {
            assert_eq!(text_of(family, length), expected);
        }
    }

    #[test]
    fn parts_are_cut_toward_zero() {
        let months = |n| IntervalMonthDayNano::new(n, 0, 0);
        let ms = IntervalMonthDayNano::new(0, -3, -41_103_211_000_000);
        for (unit, interval, expected) in [
            ("YEAR", months(-647), -53),
            ("MONTH", months(-647), -11),
            ("QUARTER", months(-647), -3),
            ("QUARTER", months(0), 1),
            ("DAY", ms, -3),
            ("HOUR", ms, -11),
            ("MINUTE", ms, -25),
            ("SECOND", ms, -3),
            ("MILLISECOND", ms, -211),
        ] {
            assert_eq!(part(unit, interval), Ok(Some(expected)), "{unit}");
        }
    }
}
