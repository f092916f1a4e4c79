//! RAND, RAND_INTEGER and UUID as the planner sees them. Never run: `plan::lower` puts a column
//! with random values in the place of each call, or a call that draws where a table's column is
//! computed as its rows are read ([`drawn`]).
//!
//! With a seed they are refused: Flink's sequence then depends on how its tasks share the rows.

use arrow::datatypes::DataType;
use datafusion_common::{Result, not_impl_err, plan_err};
use datafusion_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility, cast,
};

use crate::operator::marks::{Draw, randomness};

const RAND: &str = "rand";
const RAND_INTEGER: &str = "rand_integer";
const UUID: &str = "uuid";

pub fn all() -> impl Iterator<Item = ScalarUDF> {
    let function = |name| {
        let any = vec![TypeSignature::Nullary, TypeSignature::VariadicAny];
        ScalarUDF::from(Random { name, signature: Signature::one_of(any, Volatility::Volatile) })
    };
    [RAND, RAND_INTEGER, UUID].into_iter().map(function)
}

/// What is drawn for a call; None if it is another function.
pub(crate) fn draw_of(call: &Expr) -> Option<Draw> {
    let Expr::ScalarFunction(function) = call else { return None };
    match function.name() {
        RAND | RAND_INTEGER => Some(Draw::Fraction),
        UUID => Some(Draw::Uuid),
        _ => None,
    }
}

/// What a call becomes over a column with what was drawn.
pub fn over(call: &Expr, drawn: Expr) -> Expr {
    match call {
        Expr::ScalarFunction(function) if function.name() == RAND_INTEGER => {
            match function.args.as_slice() {
                // A fraction below 1 of the bound, cut to an integer.
                [bound] => cast(drawn * cast(bound.clone(), DataType::Float64), DataType::Int32),
                _ => drawn,
            }
        }
        _ => drawn,
    }
}

/// A call that draws for each row when it is run.
pub fn drawn(draw: Draw) -> Expr {
    let signature = Signature::nullary(Volatility::Volatile);
    ScalarUDF::from(Drawn { draw, signature }).call(vec![])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Drawn {
    draw: Draw,
    signature: Signature,
}

impl ScalarUDFImpl for Drawn {
    fn name(&self) -> &str {
        "(random)"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.draw.data_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Array(self.draw.values(args.number_rows, &mut randomness())))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Random {
    name: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for Random {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match (self.name, arguments) {
            (RAND, []) => Ok(DataType::Float64),
            (UUID, []) => Ok(DataType::Utf8),
            (RAND_INTEGER, [bound]) if bound.is_integer() => Ok(DataType::Int32),
            (RAND, [_]) | (RAND_INTEGER, [_, _]) => {
                plan_err!(
                    "'{}' with a seed: its sequence would depend on how workers share the rows; leave the seed out",
                    self.name.to_uppercase()
                )
            }
            (RAND_INTEGER, _) => plan_err!("'RAND_INTEGER' takes the bound, an integer"),
            (name, _) => plan_err!("'{}' takes no arguments", name.to_uppercase()),
        }
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        not_impl_err!(
            "'{}' in this place; SELECT it in a subquery of the table",
            self.name.to_uppercase()
        )
    }
}
