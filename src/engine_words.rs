//! What does a message of the engine say in SQL's words?
//!
//! Names are resolved, types checked and expressions evaluated by DataFusion and Arrow, whose messages speak of their own types,
//! plans and settings. `error` asks here for what planning refuses, `runtime` and `operator` for what a row is refused for. What
//! always holds: no such word gets through; a message that says nothing in SQL's words becomes [`UNSUPPORTED`].
//!
//! Which messages have words of our own is data: tables of phrases, by what the message is about (`unsupported`, `clauses`,
//! `operators`, `calls`). All others have their types and constants written as in SQL (`sql_text`).

mod calls;
mod clauses;
mod operators;
mod phrase;
mod sql_text;
mod unsupported;

use arrow::error::ArrowError;
use datafusion_common::DataFusionError;

pub use sql_text::in_sql;

/// What is left of a message that speaks of the engine alone.
pub const UNSUPPORTED: &str = "this form is not supported here";

/// A message, and what to write instead if that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    pub message: String,
    pub help: Option<String>,
}

impl Words {
    fn new(message: impl Into<String>) -> Words {
        Words { message: message.into(), help: None }
    }

    fn help(self, help: impl Into<String>) -> Words {
        Words { help: Some(help.into()), ..self }
    }
}

/// An error of planning.
pub fn of(error: &DataFusionError) -> Words {
    let text = root_text(error);
    let (text, help) = match text.split_once("\nDid you mean ") {
        Some((text, near)) => (text.to_string(), Some(format!("did you mean {near}"))),
        None => (text, None),
    };
    // TRIM(BOTH ...) is a call of another function below.
    let text = text.replace("'BTRIM'", "'TRIM'");
    let mut words = known(text.trim()).unwrap_or_else(|| Words::new(in_sql(text.trim())));
    if is_engines(&words.message) {
        tracing::debug!("the engine's own words: {text}");
        words = Words::new(UNSUPPORTED);
    }
    Words { help: words.help.or(help), ..words }
}

/// Why a value or a row was refused.
pub fn reason(error: &DataFusionError) -> String {
    let text = in_sql(root_text(error).trim());
    if is_engines(&text) { "the value cannot be computed".into() } else { text }
}

/// The message at the bottom of an error, without what says which part of the engine it is of.
fn root_text(error: &DataFusionError) -> String {
    match error.find_root() {
        DataFusionError::ArrowError(error, _) => arrow_text(error),
        DataFusionError::Plan(text)
        | DataFusionError::NotImplemented(text)
        | DataFusionError::Execution(text)
        | DataFusionError::Configuration(text)
        | DataFusionError::Internal(text) => without_traces(text),
        DataFusionError::External(error) => error.to_string(),
        other => without_traces(&other.strip_backtrace()),
    }
}

fn arrow_text(error: &ArrowError) -> String {
    match error {
        ArrowError::DivideByZero => "division by zero".into(),
        ArrowError::ArithmeticOverflow(_) => "the result does not fit its type".into(),
        ArrowError::ComputeError(text)
        | ArrowError::CastError(text)
        | ArrowError::ParseError(text)
        | ArrowError::InvalidArgumentError(text)
        | ArrowError::NotYetImplemented(text) => without_traces(text),
        ArrowError::ExternalError(error) => error.to_string(),
        _ => UNSUPPORTED.into(),
    }
}

fn without_traces(text: &str) -> String {
    let text = text.split("\n\nbacktrace:").next().unwrap_or(text);
    let text = text.split("\nThis issue was likely caused by").next().unwrap_or(text);
    let text = text.split_once("coercion failed with: ").map_or(text, |(_, reason)| reason);
    let text = text.split(". No function matches the given name").next().unwrap_or(text);
    let text = text.split(" No function matches the given name").next().unwrap_or(text);
    let mut text = text.split(". Hint: ").next().unwrap_or(text).trim();
    for prefix in ["Error during planning: ", "Execution error: ", "External error: ", "Internal error: ", "Schema error: "] {
        text = text.strip_prefix(prefix).unwrap_or(text);
    }
    text.to_string()
}

/// Messages that have words of our own.
fn known(text: &str) -> Option<Words> {
    let tables = [unsupported::PHRASES, clauses::PHRASES, operators::PHRASES, calls::PHRASES];
    tables.into_iter().flatten().find_map(|phrase| phrase.words(text)).or_else(|| operators::taken_apart(text))
}

/// True if a message still speaks of the engine.
fn is_engines(message: &str) -> bool {
    const WORDS: [&str; 34] = [
        "DataFusion",
        "datafusion",
        "Arrow",
        "arrow::",
        "sqlparser",
        "Utf8",
        "Int8",
        "Int16",
        "Int32",
        "Int64",
        "UInt",
        "Float32",
        "Float64",
        "Decimal128",
        "MonthDayNano",
        "LogicalPlan",
        "ogical plan",
        "hysical plan",
        "ogical expression",
        "type_coercion",
        "SchemaError",
        "ExprPlanner",
        "ast node",
        "sqltorel",
        "ScalarFunction",
        "AggregateFunction",
        "ScalarValue",
        "Some(",
        "Bare {",
        "RecordBatch",
        "Candidate functions",
        "coercion",
        "Failed to coerce",
        " { ",
    ];
    WORDS.iter().any(|word| message.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beneath_says_it() {
        let plan = |text: &str| DataFusionError::Plan(text.to_string());
        for (error, message) in [
            (plan("no").context("type_coercion"), "no"),
            (
                plan("Cannot infer common argument type for comparison operation Int64 IS DISTINCT FROM Timestamp(ms)"),
                "cannot compare BIGINT and TIMESTAMP(3) with 'IS DISTINCT FROM'",
            ),
            (DataFusionError::Internal("Some(LogicalPlan)".into()), UNSUPPORTED),
            (
                DataFusionError::from(ArrowError::CastError("Can't cast value -1 to type UInt64".into())),
                "Can't cast value -1 to type BIGINT",
            ),
            (
                plan("Column in SELECT: While expanding wildcard, column \"t.id\" must appear in"),
                "'id' is neither in GROUP BY nor in an aggregate function",
            ),
        ] {
            assert_eq!(of(&error).message, message, "{error}");
        }
        assert_eq!(reason(&DataFusionError::from(ArrowError::DivideByZero)), "division by zero");
    }
}
