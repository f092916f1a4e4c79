//! ROW_NUMBER, RANK, DENSE_RANK and LAG as the planner sees them. Never run by DataFusion:
//! `plan::lower` turns them into a Top-N or into the calls of an OVER operator.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::{Result, not_impl_err};
use datafusion_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion_expr::{PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl};

pub const ROW_NUMBER: &str = "row_number";
pub(crate) const RANK: &str = "rank";
pub(crate) const DENSE_RANK: &str = "dense_rank";
pub(crate) const LAG: &str = "lag";

/// Aggregates that the planner looks for among window functions; they become aggregates at once.
pub(crate) const EDGES: [&str; 2] = ["first_value", "last_value"];

pub fn all() -> impl Iterator<Item = WindowUDF> {
    [ROW_NUMBER, RANK, DENSE_RANK, LAG].into_iter().chain(EDGES).map(|name| {
        let signature = match name {
            LAG | "first_value" | "last_value" => Signature::variadic_any(Volatility::Immutable),
            _ => Signature::nullary(Volatility::Immutable),
        };
        WindowUDF::from(Planned { name, signature })
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Planned {
    name: &'static str,
    signature: Signature,
}

impl WindowUDFImpl for Planned {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn partition_evaluator(
        &self,
        _: PartitionEvaluatorArgs,
    ) -> Result<Box<dyn PartitionEvaluator>> {
        not_impl_err!("'{}' in this place", self.name.to_uppercase())
    }

    fn field(&self, field: WindowUDFFieldArgs) -> Result<FieldRef> {
        let (data_type, nullable) = match field.input_fields().first() {
            Some(argument) if self.name == LAG => (argument.data_type().clone(), true),
            _ => (DataType::Int64, false),
        };
        Ok(Arc::new(Field::new(field.name(), data_type, nullable)))
    }
}
