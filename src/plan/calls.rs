//! What does an aggregate call ask for, besides the columns it reads?
//!
//! Called by `lower` for every call. Arguments that must be constants (a separator, fractions) are taken out of the plan
//! here; what is left are one or two columns. What always holds: a call that is not understood whole is refused.

use std::borrow::Cow;

use arrow::datatypes::DataType;
use datafusion_common::{DataFusionError, ScalarValue};
use datafusion_expr::Expr;
use datafusion_expr::expr::{AggregateFunction, NullTreatment};

use crate::operator::aggregate::form::Form;
use crate::operator::aggregate::percentile::Fractions;
use crate::operator::aggregate::{Aggregate, Fixed, Function, NullValues};
use crate::operator::window::Windows;
use crate::operator::window::slice::WindowKind;
use crate::sql::functions::{
    JsonAggregate, JsonValues, Percentiles, PlannedAggregate, aggregate_type, json as json_functions, nested, planned_aggregate,
};

use crate::sql::window_tvf::TvfWindow;
use crate::state::key::is_key_type;
use crate::types::sql_name;

type PlanResult<T> = Result<T, DataFusionError>;

fn refused<T>(what: impl Into<String>) -> PlanResult<T> {
    Err(DataFusionError::NotImplemented(what.into()))
}

/// A call taken apart.
pub struct Call<'a> {
    pub function: Function,
    name: String,
    /// None is COUNT(*).
    pub argument: Option<Cow<'a, Expr>>,
    pub second: Option<Cow<'a, Expr>>,
    pub filter: Option<&'a Expr>,
    distinct: bool,
    nulls: Option<NullTreatment>,
    json: Option<JsonAggregate>,
    /// Separator or fractions.
    constant: Option<Constant>,
}

enum Constant {
    One(ScalarValue),
    /// `ARRAY[...]`
    List(Vec<ScalarValue>),
}

impl Constant {
    fn of(expression: &Expr) -> Option<Constant> {
        let literal = |e: &Expr| if let Expr::Literal(value, _) = strip_cast(e) { Some(value.clone()) } else { None };
        match strip_cast(expression) {
            Expr::ScalarFunction(array) if array.name() == nested::ARRAY => {
                array.args.iter().map(literal).collect::<Option<_>>().map(Constant::List)
            }
            other => literal(other).map(Constant::One),
        }
    }

    fn fractions(&self) -> Option<Vec<f64>> {
        let values = match self {
            Constant::One(value) => std::slice::from_ref(value),
            Constant::List(values) => values,
        };
        let fraction = |value: &ScalarValue| match value.cast_to(&DataType::Float64) {
            Ok(ScalarValue::Float64(fraction)) => fraction.filter(|f| (0.0..=1.0).contains(f)),
            _ => None,
        };
        values.iter().map(fraction).collect()
    }
}

impl<'a> Call<'a> {
    pub fn new(call: &'a AggregateFunction) -> PlanResult<Call<'a>> {
        let name = call.func.name().to_uppercase();
        let Some(PlannedAggregate { function, json }) = planned_aggregate(&call.func) else {
            return refused(format!("'{name}'"));
        };
        if !call.params.order_by.is_empty() {
            return refused(format!("ORDER BY inside '{name}'"));
        }
        let arguments = call.params.args.as_slice();
        let (argument, second, constant) = match (function, arguments) {
            // COUNT(*). With DISTINCT a constant is a value like others: it is counted once.
            (Function::Count, [Expr::Literal(v, _)]) if !v.is_null() && !call.params.distinct => (None, None, None),
            (Function::ListAgg | Function::Percentile, [argument, constant, rest @ ..]) if rest.len() < 2 => {
                let Some(constant) = Constant::of(constant) else {
                    return refused(format!("the second argument of '{name}' is a constant"));
                };
                (Some(argument), rest.first(), Some(constant))
            }
            (Function::JsonObject, [key, value]) => (Some(key), Some(value), None),
            (Function::Percentile | Function::JsonObject, _) => return refused(format!("'{name}' with these arguments")),
            (_, [argument]) => (Some(argument), None, None),
            _ => return refused(format!("'{name}' with several arguments")),
        };
        let json_value = |e: &'a Expr| match json {
            Some(JsonAggregate { values: JsonValues::ToBeWritten, .. }) => Cow::Owned(json_functions::text_of(e.clone())),
            _ => Cow::Borrowed(e),
        };
        let (argument, second) = match function {
            Function::JsonObject => {
                (argument.map(|key| Cow::Owned(json_functions::text_of(key.clone()))), second.map(json_value))
            }
            _ => (argument.map(json_value), second.map(Cow::Borrowed)),
        };
        let params = &call.params;
        let (filter, nulls) = (params.filter.as_deref(), params.null_treatment);
        Ok(Call { function, name, argument, second, filter, distinct: params.distinct, nulls, json, constant })
    }

    /// Flink refuses functions that cannot be merged where windows share rows or join.
    pub fn check_window(&self, window: &TvfWindow) -> PlanResult<()> {
        match window {
            TvfWindow::Sliced(Windows { kind: WindowKind::Tumble { .. }, .. }) => Ok(()),
            _ if !self.function.is_for_tumble_only() => Ok(()),
            _ => refused(format!("'{}' in HOP, CUMULATE and SESSION windows, as in Flink; TUMBLE has it", self.name)),
        }
    }

    /// The aggregate over these columns and types of the first and second argument.
    pub fn over(
        self,
        argument: Option<(usize, DataType)>,
        second: Option<(usize, DataType)>,
        filter: Option<usize>,
    ) -> PlanResult<Aggregate> {
        let name = &self.name;
        let (argument, input_type) = argument.map_or((None, DataType::Int64), |(column, t)| (Some(column), t));
        let fixed = self.fixed(&input_type)?;
        if let (Function::Percentile, Some((_, times))) = (self.function, &second)
            && !times.is_integer()
        {
            return refused(format!("'{name}' takes an integer as frequency, not {}", sql_name(times)));
        }
        if self.nulls.is_some() && self.function != Function::ArrayAgg {
            return refused(format!("IGNORE NULLS or RESPECT NULLS in '{name}'"));
        }
        // Smallest and largest are the same with and without.
        let distinct = self.distinct && !matches!(self.function, Function::Min | Function::Max);
        let first_seen = distinct && self.function.goes_by_arrival();
        if distinct && (second.is_some() || self.json.is_some()) {
            return refused(format!("DISTINCT in '{name}' with these arguments"));
        }
        if distinct && !is_key_type(&input_type) {
            return refused(format!("DISTINCT over a column of type {input_type}"));
        }
        let percentiles = match fixed {
            Fixed::Fractions(Fractions { as_array: true, .. }) => Percentiles::Array,
            _ => Percentiles::One,
        };
        let output_type = aggregate_type(self.function, &input_type, percentiles);
        let Some(output_type) = output_type else { return refused(format!("'{name}' of {}", sql_name(&input_type))) };
        Ok(Aggregate {
            function: self.function,
            argument,
            second: second.map(|(column, _)| column),
            fixed,
            filter,
            distinct: distinct && !first_seen,
            first_seen,
            input_type,
            output_type,
        })
    }

    fn fixed(&self, input_type: &DataType) -> PlanResult<Fixed> {
        let name = &self.name;
        let nulls = self.json.map_or(NullValues::Skipped, |json| json.nulls);
        Ok(match (self.function, &self.constant) {
            (Function::ListAgg, None) => Fixed::Form(Form::Text { separator: ",".into() }),
            (Function::ListAgg, Some(Constant::One(ScalarValue::Utf8(Some(separator))))) => {
                Fixed::Form(Form::Text { separator: separator.clone() })
            }
            (Function::ListAgg, Some(_)) => return refused(format!("the separator of '{name}' is a text")),
            (Function::Percentile, Some(constant)) => {
                let as_array = matches!(constant, Constant::List(_));
                let Some(fractions) = constant.fractions() else {
                    return refused(format!("the second argument of '{name}' lies between 0 and 1"));
                };
                Fixed::Fractions(Fractions { fractions, as_array })
            }
            (Function::ArrayAgg, _) => {
                let nulls = match self.nulls {
                    Some(NullTreatment::IgnoreNulls) => NullValues::Skipped,
                    _ => NullValues::Kept,
                };
                Fixed::Form(Form::Array { item: input_type.clone(), nulls })
            }
            (Function::JsonArray, _) => Fixed::Form(Form::JsonArray { nulls }),
            (Function::JsonObject, _) => Fixed::Form(Form::JsonObject { nulls }),
            _ => Fixed::Nothing,
        })
    }
}

/// What is below casts that the types of a comparison have brought in.
pub(super) fn strip_cast(expression: &Expr) -> &Expr {
    match expression {
        Expr::Cast(cast) => strip_cast(&cast.expr),
        Expr::ScalarFunction(call) if call.name().starts_with("cast ") && call.args.len() == 1 => strip_cast(&call.args[0]),
        other => other,
    }
}
