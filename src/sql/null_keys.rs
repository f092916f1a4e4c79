//! What becomes of `MAP[NULL, 1]` in a JSON sink? `json.map-null-key.mode` of its table says it.
//!
//! A MAP here holds no NULL as a key: the constructor refuses the row, which is what FAIL asks for. With DROP and LITERAL a
//! constructor that an INSERT writes straight into the sink leaves such keys out, or takes a text for them. Called by `bind`
//! for every INSERT, and by `connect` to check the options. What always holds: a MAP made elsewhere has no NULL keys.

use std::collections::BTreeMap;

use datafusion_common::Result;
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{Expr, LogicalPlan, Projection, lit, when};

use super::catalog::Table;
use super::functions::{Functions, cast, nested};

pub const MODE: &str = "json.map-null-key.mode";
pub const LITERAL: &str = "json.map-null-key.literal";

/// `json.map-null-key.mode` with its literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NullKeys {
    Fail,
    Drop,
    Literal(String),
}

impl NullKeys {
    /// The mode of a table's options, or what is wrong with it.
    pub fn of(options: &BTreeMap<String, String>) -> std::result::Result<NullKeys, String> {
        match options.get(MODE).map(|mode| mode.to_uppercase()).as_deref() {
            None | Some("FAIL") => Ok(NullKeys::Fail),
            Some("DROP") => Ok(NullKeys::Drop),
            Some("LITERAL") => Ok(NullKeys::Literal(options.get(LITERAL).cloned().unwrap_or_else(|| "null".into()))),
            Some(other) => Err(format!("'{MODE}' is FAIL, DROP or LITERAL, not '{other}'")),
        }
    }
}

/// The rows of an INSERT whose maps have the keys that the sink wants.
pub fn for_sink(plan: LogicalPlan, target: &Table, functions: &Functions) -> Result<LogicalPlan> {
    // An option that is wrong is refused with the table.
    let mode = NullKeys::of(&target.options).unwrap_or(NullKeys::Fail);
    match plan {
        LogicalPlan::Projection(projection) if mode != NullKeys::Fail => {
            let exprs = projection.expr.into_iter().map(|e| keys(e, &mode, functions)).collect::<Result<Vec<_>>>()?;
            Projection::try_new(exprs, projection.input).map(LogicalPlan::Projection)
        }
        other => Ok(other),
    }
}

/// A constructor, maybe cast and named, with other keys. What is no constructor stays.
fn keys(expression: Expr, mode: &NullKeys, functions: &Functions) -> Result<Expr> {
    match expression {
        Expr::Alias(mut alias) => {
            alias.expr = Box::new(keys(*alias.expr, mode, functions)?);
            Ok(Expr::Alias(alias))
        }
        Expr::ScalarFunction(ScalarFunction { func, args }) if cast::is_cast(&func).is_some() => {
            let args = args.into_iter().map(|e| keys(e, mode, functions)).collect::<Result<_>>()?;
            Ok(Expr::ScalarFunction(ScalarFunction { func, args }))
        }
        Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == nested::MAP => match mode {
            NullKeys::Fail => Ok(Expr::ScalarFunction(ScalarFunction { func, args })),
            NullKeys::Drop => {
                let func = functions.scalar(nested::MAP_OF_KEYS).unwrap_or(func);
                Ok(Expr::ScalarFunction(ScalarFunction { func, args }))
            }
            NullKeys::Literal(text) => {
                let given = |e: Expr| when(e.clone().is_null(), lit(text.as_str())).otherwise(e);
                let args = args.into_iter().enumerate().map(|(at, e)| if at % 2 == 0 { given(e) } else { Ok(e) });
                Ok(Expr::ScalarFunction(ScalarFunction { func, args: args.collect::<Result<_>>()? }))
            }
        },
        other => Ok(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_in_any_case_and_unknown_ones() {
        let of =
            |options: &[(&str, &str)]| NullKeys::of(&options.iter().map(|(k, v)| ((*k).to_string(), (*v).to_string())).collect());
        assert_eq!(of(&[]), Ok(NullKeys::Fail));
        assert_eq!(of(&[(MODE, "drop")]), Ok(NullKeys::Drop));
        assert_eq!(of(&[(MODE, "Literal")]), Ok(NullKeys::Literal("null".into())));
        assert_eq!(of(&[(MODE, "LITERAL"), (LITERAL, "none")]), Ok(NullKeys::Literal("none".into())));
        assert!(of(&[(MODE, "SKIP")]).is_err());
    }
}
