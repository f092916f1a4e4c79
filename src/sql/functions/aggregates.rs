//! COUNT, SUM, AVG, MIN and MAX as the planner sees them: names and Flink's result types.
//!
//! They are never run by DataFusion: `plan::lower` replaces them by the kernels of `operator::aggregate`.

use arrow::datatypes::DataType;
use datafusion_common::{Result, not_impl_err, plan_err};
use datafusion_expr::function::AccumulatorArgs;
use datafusion_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

use crate::operator::aggregate::{Function, result_type};
use crate::sql::types::sql_name;

const FUNCTIONS: [(&str, Function); 5] =
    [("count", Function::Count), ("sum", Function::Sum), ("avg", Function::Avg), ("min", Function::Min), ("max", Function::Max)];

/// The aggregate functions.
pub fn all() -> impl Iterator<Item = AggregateUDF> {
    FUNCTIONS.into_iter().map(|(name, function)| {
        AggregateUDF::from(Planned {
            name,
            function: function as usize,
            signature: Signature::user_defined(Volatility::Immutable),
        })
    })
}

/// The kernel that a planned aggregate stands for.
pub fn planned_function(udf: &AggregateUDF) -> Option<Function> {
    FUNCTIONS.iter().find(|(name, _)| *name == udf.name()).map(|(_, f)| *f)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Planned {
    name: &'static str,
    /// Index in [`FUNCTIONS`].
    function: usize,
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
        match arguments {
            [_] => Ok(arguments.to_vec()),
            _ => plan_err!("'{}' takes one argument, not {}", self.name.to_uppercase(), arguments.len()),
        }
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let (_, function) = FUNCTIONS[self.function];
        match arguments {
            [argument] => match result_type(function, argument) {
                Some(data_type) => Ok(data_type),
                None => plan_err!("'{}' does not take {}", self.name.to_uppercase(), sql_name(argument)),
            },
            _ => plan_err!("'{}' takes one argument, not {}", self.name.to_uppercase(), arguments.len()),
        }
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        not_impl_err!("'{}' outside a window aggregation", self.name.to_uppercase())
    }
}
