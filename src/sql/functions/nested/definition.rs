//! One function over nested values, and how the planner and a running query see it.
//!
//! Used by the families of this folder, and by functions elsewhere that take or give nested values.

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use datafusion_common::{Result, exec_err, plan_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::sql::functions::arity::Arity;
use crate::types::sql_name;

/// One function.
pub struct Definition {
    pub name: &'static str,
    /// How many arguments it takes.
    pub takes: Arity,
    /// The types its arguments are cast to, given those in the query.
    pub arguments: fn(&[DataType]) -> std::result::Result<Vec<DataType>, String>,
    /// Its type, given those of its arguments.
    pub result: fn(&[DataType]) -> DataType,
    pub run: fn(&Call<'_>) -> std::result::Result<ArrayRef, String>,
}

impl Definition {
    /// The types that its arguments are cast to.
    pub fn casts(&self, given: &[DataType]) -> std::result::Result<Vec<DataType>, String> {
        let title = || self.name.trim_matches(['(', ')']).to_uppercase();
        if !self.takes.takes(given.len()) {
            return Err(format!("'{}' takes {} arguments, not {}", title(), self.takes, given.len()));
        }
        let wanted = (self.arguments)(given);
        wanted.map_err(|reason| {
            let types: Vec<String> = given.iter().map(sql_name).collect();
            format!("'{}' does not take ({}): {reason}", title(), types.join(", "))
        })
    }
}

/// A call under way.
pub struct Call<'a> {
    pub args: &'a [ArrayRef],
    pub rows: usize,
    pub result: &'a DataType,
}

impl<'a> Call<'a> {
    pub fn list(&self, at: usize) -> &'a ListArray {
        self.args[at].as_list()
    }
    pub fn map(&self, at: usize) -> &'a MapArray {
        self.args[at].as_map()
    }
    /// The rows in which none of the arguments is NULL.
    pub fn valid(&self) -> Option<NullBuffer> {
        self.args.iter().fold(None, |all, a| NullBuffer::union(all.as_ref(), a.nulls()))
    }
}

struct Nested {
    definition: &'static Definition,
    name: &'static str,
    signature: Signature,
}

impl std::fmt::Debug for Nested {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Nested {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Nested {}

impl std::hash::Hash for Nested {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Nested {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        Ok(given.to_vec())
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        match self.definition.casts(given) {
            Ok(types) => Ok((self.definition.result)(&types)),
            Err(reason) => plan_err!("{reason}"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let arrays = args.args.iter().map(|a| a.to_array(rows)).collect::<Result<Vec<_>>>()?;
        match (self.definition.run)(&Call { args: &arrays, rows, result: args.return_field.data_type() }) {
            Ok(array) => Ok(ColumnarValue::Array(array)),
            Err(reason) => exec_err!("{}: {reason}", self.name.trim_matches(['(', ')']).to_uppercase()),
        }
    }
}

pub(super) fn udf(definition: &'static Definition) -> ScalarUDF {
    ScalarUDF::from(Nested { definition, name: definition.name, signature: Signature::user_defined(Volatility::Immutable) })
}
