//! Aggregate functions as the planner sees them: names, numbers of arguments and Flink's result
//! types.
//!
//! They are never run by DataFusion: `plan::lower` replaces them by the kernels of
//! `operator::aggregate`.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::{Result, ScalarValue, not_impl_err, plan_err};
use datafusion_expr::function::AccumulatorArgs;
use datafusion_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

use crate::operator::aggregate::{Function, NullValues, percentile, result_type};
use crate::sql::functions::arity::{Arity, between, exactly};
use crate::state::key::is_key_type;
use crate::types::nested::multiset_of;
use crate::types::sql_name;

/// How a JSON aggregate takes its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonAggregate {
    /// NULL ON NULL keeps them.
    pub nulls: NullValues,
    pub values: JsonValues,
}

/// What the values of a JSON aggregate are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonValues {
    /// Values of SQL, of which JSON is made.
    ToBeWritten,
    /// JSON already, made by a JSON function.
    Written,
}

/// The fractions that a PERCENTILE is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Percentiles {
    One,
    Array,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedAggregate {
    pub function: Function,
    /// For the JSON aggregates.
    pub json: Option<JsonAggregate>,
}

struct Named {
    name: &'static str,
    planned: PlannedAggregate,
    takes: Arity,
}

const fn plain(name: &'static str, function: Function, most: usize) -> Named {
    Named { name, planned: PlannedAggregate { function, json: None }, takes: between(1, most) }
}

const fn json(
    name: &'static str,
    function: Function,
    arguments: usize,
    nulls: NullValues,
    values: JsonValues,
) -> Named {
    let json = Some(JsonAggregate { nulls, values });
    Named { name, planned: PlannedAggregate { function, json }, takes: exactly(arguments) }
}

const FUNCTIONS: [Named; 25] = [
    plain("count", Function::Count, 1),
    plain("sum", Function::Sum, 1),
    plain("avg", Function::Avg, 1),
    plain("min", Function::Min, 1),
    plain("max", Function::Max, 1),
    plain("stddev_pop", Function::StddevPop, 1),
    plain("stddev_samp", Function::StddevSamp, 1),
    plain("stddev", Function::StddevSamp, 1),
    plain("var_pop", Function::VarPop, 1),
    plain("var_samp", Function::VarSamp, 1),
    plain("variance", Function::VarSamp, 1),
    plain("first_value", Function::FirstValue, 1),
    plain("last_value", Function::LastValue, 1),
    plain("listagg", Function::ListAgg, 2),
    plain("percentile", Function::Percentile, 3),
    plain("array_agg", Function::ArrayAgg, 1),
    plain("collect", Function::Collect, 1),
    // What `sql::rewrite` makes of JSON_ARRAYAGG and JSON_OBJECTAGG with their clauses.
    json(
        "json_arrayagg_absent",
        Function::JsonArray,
        1,
        NullValues::Skipped,
        JsonValues::ToBeWritten,
    ),
    json("json_arrayagg_null", Function::JsonArray, 1, NullValues::Kept, JsonValues::ToBeWritten),
    json(
        "json_arrayagg_absent_json",
        Function::JsonArray,
        1,
        NullValues::Skipped,
        JsonValues::Written,
    ),
    json("json_arrayagg_null_json", Function::JsonArray, 1, NullValues::Kept, JsonValues::Written),
    json(
        "json_objectagg_absent",
        Function::JsonObject,
        2,
        NullValues::Skipped,
        JsonValues::ToBeWritten,
    ),
    json("json_objectagg_null", Function::JsonObject, 2, NullValues::Kept, JsonValues::ToBeWritten),
    json(
        "json_objectagg_absent_json",
        Function::JsonObject,
        2,
        NullValues::Skipped,
        JsonValues::Written,
    ),
    json(
        "json_objectagg_null_json",
        Function::JsonObject,
        2,
        NullValues::Kept,
        JsonValues::Written,
    ),
];

/// Functions that Flink refuses over streams.
const REFUSED: [(&str, &str); 1] =
    [("approx_count_distinct", "COUNT(DISTINCT ...) counts exactly")];

const COUNT: &str = "count";

/// COUNT, for passes that count rows.
pub(crate) fn count() -> Arc<AggregateUDF> {
    let is_count = |f: &AggregateUDF| f.name() == COUNT;
    Arc::new(all().find(is_count).expect("COUNT is among the functions"))
}

/// The aggregate functions.
pub fn all() -> impl Iterator<Item = AggregateUDF> {
    let signature = || Signature::user_defined(Volatility::Immutable);
    let known = (0..FUNCTIONS.len()).map(move |f| {
        AggregateUDF::from(Planned {
            name: FUNCTIONS[f].name,
            function: Some(f),
            signature: signature(),
        })
    });
    let refused = REFUSED.iter().map(move |(name, _)| {
        AggregateUDF::from(Planned {
            name,
            function: None,
            signature: Signature::user_defined(Volatility::Immutable),
        })
    });
    known.chain(refused)
}

/// The kernel that a planned aggregate stands for.
pub fn planned_aggregate(udf: &AggregateUDF) -> Option<PlannedAggregate> {
    FUNCTIONS.iter().find(|f| f.name == udf.name()).map(|f| f.planned)
}

/// Flink's result type of an aggregate, or None if it does not take the argument.
pub fn aggregate_type(
    function: Function,
    argument: &DataType,
    percentiles: Percentiles,
) -> Option<DataType> {
    match function {
        Function::Percentile if percentiles == Percentiles::Array => {
            result_type(function, argument).map(|_| percentile::array_type())
        }
        Function::Collect => is_key_type(argument).then(|| multiset_of(argument.clone())),
        _ => result_type(function, argument),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Planned {
    name: &'static str,
    /// Index in [`FUNCTIONS`]; None for the refused ones.
    function: Option<usize>,
    signature: Signature,
}

impl AggregateUDFImpl for Planned {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let name = self.name.to_uppercase();
        let Some(named) = self.function.map(|f| &FUNCTIONS[f]) else {
            let instead = REFUSED
                .iter()
                .find(|(name, _)| *name == self.name)
                .map_or("", |(_, instead)| instead);
            return not_impl_err!("'{name}' is not for streams, as in Flink; {instead}");
        };
        if named.takes.takes(arguments.len()) {
            return Ok(arguments.to_vec());
        }
        let takes = if named.takes == exactly(1) {
            "one argument".to_string()
        } else {
            format!("{} arguments", named.takes)
        };
        plan_err!("'{name}' takes {takes}, not {}", arguments.len())
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let name = self.name.to_uppercase();
        let (Some(named), Some(first)) = (self.function.map(|f| &FUNCTIONS[f]), arguments.first())
        else {
            return not_impl_err!("'{name}'");
        };
        let percentiles = match arguments.get(1) {
            Some(DataType::List(_)) => Percentiles::Array,
            _ => Percentiles::One,
        };
        match aggregate_type(named.planned.function, first, percentiles) {
            Some(data_type) => Ok(data_type),
            None => plan_err!("'{name}' does not take {}", sql_name(first)),
        }
    }

    /// Of no rows.
    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        if self.name == COUNT { Ok(ScalarValue::Int64(Some(0))) } else { data_type.try_into() }
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.name == "array_agg"
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        not_impl_err!("'{}' outside a window aggregation", self.name.to_uppercase())
    }
}
