//! Which expressions see the session's time zone?
//!
//! A TIMESTAMP_LTZ is a point in time, held in UTC. Functions of the calendar work on it as if the
//! session were in UTC; this pass puts a shift to local time before those that look at its date or
//! time of day, and one back behind those that make a TIMESTAMP_LTZ. Called by `bind` for every
//! plan and every computed column, unless the session is in UTC.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::binary;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Int64Type, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType,
};
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, Result, exec_err};
use datafusion_expr::expr::{Cast, ScalarFunction};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

use crate::time::zone::Zone;

/// Functions of the date or the time of day of their argument.
const OF_THE_CALENDAR: [&str; 15] = [
    "extract",
    "year",
    "quarter",
    "month",
    "week",
    "dayofyear",
    "dayofmonth",
    "dayofweek",
    "hour",
    "minute",
    "second",
    "dayname",
    "floor_to",
    "ceil_to",
    "date_format",
];

/// A plan in a time zone.
pub fn plan(plan: LogicalPlan, zone: &Zone) -> Result<LogicalPlan> {
    Ok(plan.transform_up_with_subqueries(|node| self::node(node, zone))?.data)
}

fn node(plan: LogicalPlan, zone: &Zone) -> Result<Transformed<LogicalPlan>> {
    if matches!(plan, LogicalPlan::TableScan(_) | LogicalPlan::Limit(_)) {
        return Ok(Transformed::no(plan));
    }
    let schema = merge_schema(&plan.inputs());
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|e| {
        let name = names.save(&e);
        Ok(Transformed::yes(name.restore(expression(e, &schema, zone)?)))
    })
}

/// An expression over these columns in a time zone.
pub fn expression(expression: Expr, schema: &DFSchema, zone: &Zone) -> Result<Expr> {
    Ok(expression.transform_up(|e| localized(e, schema, zone).map(Transformed::yes))?.data)
}

fn is_ltz(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(_, Some(_)))
}

fn localized(expression: Expr, schema: &DFSchema, zone: &Zone) -> Result<Expr> {
    let shift = |e: Expr, to: Shift| ScalarUDF::from(Shifted::new(to, zone)).call(vec![e]);
    match expression {
        Expr::ScalarFunction(ScalarFunction { func, args }) => {
            let name = func.name();
            let is_cast =
                args.len() == 1 && (name.starts_with("cast ") || name.starts_with("try_cast "));
            let takes_ltz = args
                .iter()
                .map(|a| Ok(is_ltz(&a.get_type(schema)?)))
                .collect::<Result<Vec<_>>>()?;
            let call = |args| Expr::ScalarFunction(ScalarFunction { func: func.clone(), args });
            let gives_ltz = |e: &Expr| {
                Ok::<_, datafusion_common::DataFusionError>(is_ltz(&e.get_type(schema)?))
            };
            match name {
                "from_unixtime" => {
                    let shifted = args
                        .into_iter()
                        .enumerate()
                        .map(|(i, a)| if i == 0 { shift(a, Shift::ToLocal) } else { a });
                    Ok(call(shifted.collect()))
                }
                // Back by the offset there was, also where the result lies beyond a change.
                "floor_to" | "ceil_to" if takes_ltz[1] => {
                    let original = args[1].clone();
                    let shifted = args
                        .into_iter()
                        .zip(takes_ltz)
                        .map(|(a, ltz)| if ltz { shift(a, Shift::ToLocal) } else { a });
                    Ok(ScalarUDF::from(Shifted::new(Shift::Back, zone))
                        .call(vec![call(shifted.collect()), original]))
                }
                "unix_timestamp" => Ok(shift(call(args), Shift::FromLocal)),
                _ if is_cast || OF_THE_CALENDAR.contains(&name) => {
                    let both = is_cast && takes_ltz[0] && gives_ltz(&call(args.clone()))?;
                    if both {
                        return Ok(call(args));
                    }
                    let shifted = args.into_iter().zip(takes_ltz);
                    let done = call(
                        shifted
                            .map(|(a, ltz)| if ltz { shift(a, Shift::ToLocal) } else { a })
                            .collect(),
                    );
                    Ok(if gives_ltz(&done)? { shift(done, Shift::FromLocal) } else { done })
                }
                _ => Ok(call(args)),
            }
        }
        // Where the two kinds of timestamps are compared.
        Expr::Cast(Cast { expr, field }) => {
            let (from, to) = (is_ltz(&expr.get_type(schema)?), is_ltz(field.data_type()));
            let inner = if from && !to { shift(*expr, Shift::ToLocal) } else { *expr };
            let cast = Expr::Cast(Cast { expr: Box::new(inner), field });
            Ok(if to && !from { shift(cast, Shift::FromLocal) } else { cast })
        }
        other => Ok(other),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Shift {
    ToLocal,
    FromLocal,
    /// By the offset at the second argument.
    Back,
}

/// Shifts timestamps, or BIGINT seconds.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Shifted {
    name: String,
    shift: Shift,
    zone: Zone,
    signature: Signature,
}

impl Shifted {
    fn new(shift: Shift, zone: &Zone) -> Shifted {
        let name = format!("({shift:?} {zone:?})");
        Shifted {
            name,
            shift,
            zone: zone.clone(),
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }

    /// What is added to a time in ms.
    fn difference_ms(&self, ms: i64) -> i64 {
        match self.shift {
            Shift::ToLocal => self.zone.local(ms) - ms,
            Shift::FromLocal => self.zone.instant(ms) - ms,
            Shift::Back => ms - self.zone.local(ms),
        }
    }

    /// Shifts timestamps of so many ticks in a millisecond by what `at` says.
    fn timestamps<T: ArrowPrimitiveType<Native = i64>>(
        &self,
        array: &ArrayRef,
        at: &ArrayRef,
        per_ms: i64,
    ) -> Result<ArrayRef> {
        let each = |v: i64, at: i64| {
            v.wrapping_add(self.difference_ms(at.div_euclid(per_ms)).wrapping_mul(per_ms))
        };
        let shifted: PrimitiveArray<T> =
            binary(array.as_primitive::<T>(), at.as_primitive::<T>(), each)?;
        Ok(Arc::new(shifted.with_data_type(array.data_type().clone())))
    }

    /// What no time could be read from stays what it is.
    fn seconds(&self, array: &ArrayRef) -> ArrayRef {
        let each = |v: i64| v.checked_mul(1000).map_or(v, |ms| v + self.difference_ms(ms) / 1000);
        Arc::new(array.as_primitive::<Int64Type>().unary::<_, Int64Type>(each))
    }
}

impl ScalarUDFImpl for Shifted {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        Ok(arguments.to_vec())
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments[0].clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let (Some(array), Some(at)) = (arrays.first(), arrays.last()) else {
            return exec_err!("a shift without a time");
        };
        let shifted = match array.data_type() {
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                self.timestamps::<TimestampMillisecondType>(array, at, 1)?
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                self.timestamps::<TimestampMicrosecondType>(array, at, 1000)?
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                self.timestamps::<TimestampNanosecondType>(array, at, 1_000_000)?
            }
            DataType::Int64 => self.seconds(array),
            other => return exec_err!("no shift of {other}"),
        };
        Ok(ColumnarValue::Array(shifted))
    }
}
