//! A scalar function of one's own.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion_common::DataFusionError;
use datafusion_expr::{ColumnarValue, ScalarUDF, SimpleScalarUDF, Volatility};

type Compute = Arc<dyn Fn(&[ArrayRef]) -> Result<ArrayRef, String> + Send + Sync>;

/// A function from columns to a column. Equal arguments give equal results, or replays differ from the run before.
#[derive(Clone)]
pub struct Function {
    name: String,
    arguments: Vec<DataType>,
    result: DataType,
    compute: Compute,
}

impl Function {
    /// `name` is written in any case. `compute` gets one array for each argument, all of the same length and of the types named
    /// here, and gives one of that length; its error, about some row of them, diverts that row to the error stream.
    pub fn new(
        name: impl Into<String>,
        arguments: impl Into<Vec<DataType>>,
        result: DataType,
        compute: impl Fn(&[ArrayRef]) -> Result<ArrayRef, String> + Send + Sync + 'static,
    ) -> Function {
        let name = name.into().to_lowercase();
        Function { name, arguments: arguments.into(), result, compute: Arc::new(compute) }
    }

    pub(super) fn to_scalar(&self) -> ScalarUDF {
        let compute = self.compute.clone();
        let call = move |values: &[ColumnarValue]| {
            let columns = ColumnarValue::values_to_arrays(values)?;
            let rows = columns.first().map_or(1, |column| column.len());
            let result = compute(&columns).map_err(DataFusionError::Execution)?;
            if result.len() != rows {
                return Err(DataFusionError::Execution(format!("it gave {} rows for {rows}", result.len())));
            }
            Ok(ColumnarValue::Array(result))
        };
        let (arguments, result) = (self.arguments.clone(), self.result.clone());
        SimpleScalarUDF::new(&self.name, arguments, result, Volatility::Immutable, Arc::new(call)).into()
    }
}
