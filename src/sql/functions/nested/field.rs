//! `r.f`: a field of a ROW by its name.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::{Result, ScalarValue, exec_err, plan_err};
use datafusion_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use crate::sql::functions::nested::lists::masked;
use crate::suggest::nearest;
use crate::types::sql_name;

/// The name of the call; its arguments are the row and the field's name.
pub const FIELD: &str = "(field)";

pub(crate) fn udf() -> ScalarUDF {
    ScalarUDF::from(RowField { signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RowField {
    signature: Signature,
}

impl ScalarUDFImpl for RowField {
    fn name(&self) -> &str {
        FIELD
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        Ok(given.to_vec())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        plan_err!("the type of a field depends on its name")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [_, Some(ScalarValue::Utf8(Some(name)))] = args.scalar_arguments else {
            return plan_err!("a field has a name");
        };
        let given = args.arg_fields[0].data_type();
        let DataType::Struct(fields) = given else {
            return plan_err!("{} has no field '{name}'", sql_name(given));
        };
        match fields.iter().find(|f| f.name() == name) {
            Some(field) => Ok(Arc::new(Field::new(name, field.data_type().clone(), true))),
            None => match nearest(name, fields.iter().map(|f| f.name().as_str())) {
                Some(near) => {
                    plan_err!("{} has no field '{name}'\nDid you mean '{near}'?", sql_name(given))
                }
                None => plan_err!("{} has no field '{name}'", sql_name(given)),
            },
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [row, ColumnarValue::Scalar(ScalarValue::Utf8(Some(name)))] = args.args.as_slice()
        else {
            return exec_err!("a field has a name");
        };
        let rows = row.to_array(args.number_rows)?;
        let rows = rows.as_struct();
        match rows.column_by_name(name) {
            Some(field) => {
                Ok(ColumnarValue::Array(masked(field, arrow::array::Array::nulls(rows))))
            }
            None => exec_err!("no field '{name}'"),
        }
    }
}
