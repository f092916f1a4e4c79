//! COALESCE, IFNULL, NULLIF, IF and MOD: planned only, since `flink_types` writes them as CASE and as an operator.
//!
//! As CASE they evaluate what they need and no more, and a row that another branch would refuse is not refused.

use arrow::datatypes::DataType;
use datafusion_common::{Result, ScalarValue, exec_err, plan_err};
use datafusion_expr::expr::{BinaryExpr, Case};
use datafusion_expr::{ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::sql::functions::arity::{Arity, at_least, exactly};
use crate::types::common::common_type;
use crate::types::sql_name;

/// Names, and how many arguments each takes.
const NAMES: [(&str, Arity); 5] =
    [("coalesce", at_least(1)), ("ifnull", exactly(2)), ("nullif", exactly(2)), ("if", exactly(3)), ("mod", exactly(2))];

pub fn all() -> impl Iterator<Item = ScalarUDF> {
    NAMES.into_iter().map(|(name, takes)| {
        ScalarUDF::from(Conditional { name, takes, signature: Signature::user_defined(Volatility::Immutable) })
    })
}

/// The CASE of a call of this name; the arguments themselves if it is another function.
pub fn as_case(name: &str, mut args: Vec<Expr>) -> std::result::Result<Expr, Vec<Expr>> {
    let case = |when_then: Vec<(Expr, Expr)>, otherwise: Expr| {
        let when_then_expr = when_then.into_iter().map(|(w, t)| (Box::new(w), Box::new(t))).collect();
        Expr::Case(Case { expr: None, when_then_expr, else_expr: Some(Box::new(otherwise)) })
    };
    match (name, args.len()) {
        ("coalesce", 1) => Ok(args.remove(0)),
        ("coalesce" | "ifnull", 2..) => {
            let Some(last) = args.pop() else { return Err(args) };
            let first = args.into_iter().map(|a| (Expr::IsNotNull(Box::new(a.clone())), a));
            Ok(case(first.collect(), last))
        }
        ("nullif", 2) => {
            let (a, b) = (args.remove(0), args.remove(0));
            let equal = Expr::BinaryExpr(BinaryExpr::new(Box::new(a.clone()), Operator::Eq, Box::new(b)));
            Ok(case(vec![(equal, Expr::Literal(ScalarValue::Null, None))], a))
        }
        ("if", 3) => {
            let (condition, then, otherwise) = (args.remove(0), args.remove(0), args.remove(0));
            Ok(case(vec![(condition, then)], otherwise))
        }
        _ => Err(args),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Conditional {
    name: &'static str,
    takes: Arity,
    signature: Signature,
}

impl ScalarUDFImpl for Conditional {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let name = self.name.to_uppercase();
        if !self.takes.takes(arguments.len()) {
            return plan_err!("'{name}' takes {} arguments, not {}", self.takes, arguments.len());
        }
        if self.name == "if" && !matches!(arguments[0], DataType::Boolean | DataType::Null) {
            return plan_err!("the first argument of '{name}' is a BOOLEAN, not {}", sql_name(&arguments[0]));
        }
        if self.name == "mod" && arguments.iter().any(|a| !a.is_numeric() && !a.is_null()) {
            return plan_err!("'{name}' takes numbers, not {} and {}", sql_name(&arguments[0]), sql_name(&arguments[1]));
        }
        Ok(arguments.to_vec())
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let results = match self.name {
            "if" => &arguments[1..],
            "nullif" => &arguments[..1],
            _ => arguments,
        };
        let mut out = DataType::Null;
        for data_type in results {
            out = match common_type(&out, data_type) {
                Some(out) => out,
                None => {
                    return plan_err!(
                        "'{}' cannot bring {} and {} together",
                        self.name.to_uppercase(),
                        sql_name(&out),
                        sql_name(data_type)
                    );
                }
            };
        }
        Ok(out)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("'{}' is planned as CASE", self.name.to_uppercase())
    }
}
