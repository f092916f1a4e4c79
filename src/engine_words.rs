//! What does a message of the engine say in SQL's words?
//!
//! Names are resolved, types checked and expressions evaluated by DataFusion and Arrow, whose messages speak of their own types,
//! plans and settings. `error` asks here for what planning refuses, `runtime` and `operator` for what a row is refused for. What
//! always holds: no such word gets through; a message that says nothing in SQL's words becomes [`UNSUPPORTED`].

mod sql_text;

use arrow::error::ArrowError;
use datafusion_common::DataFusionError;

pub use sql_text::in_sql;
use sql_text::type_end;

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

/// What stands between two pieces of a text.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let rest = text.split_once(before)?.1;
    Some(if after.is_empty() { rest } else { rest.split_once(after)?.0 })
}

/// A name of a column without its table, a call in capitals.
fn short(name: &str) -> String {
    let name = in_sql(name);
    match name.split_once('(') {
        Some((call, _)) if !call.is_empty() && call.chars().all(|c| c.is_alphanumeric() || c == '_') => call.to_uppercase(),
        _ => name.rsplit('.').next().unwrap_or(&name).trim_matches(['(', ')', '"', '`']).to_string(),
    }
}

/// Messages that have words of our own.
fn known(text: &str) -> Option<Words> {
    let plain = |message: &str| Some(Words::new(message));
    for (start, own) in [
        ("Physical plan does not support logical expression InSubquery", "'IN' with a subquery is not supported in this place"),
        ("Physical plan does not support logical expression Exists", "'EXISTS' is not supported in this place"),
        ("Physical plan does not support logical expression ScalarSubquery", "a subquery as a value is not supported"),
        (
            "Physical plan does not support logical expression OuterReference",
            "a subquery that uses outer columns is not supported in this place",
        ),
        (
            "Physical plan does not support logical expression WindowFunction",
            "a function with 'OVER' in this place; compute it in a subquery",
        ),
        ("Physical plan does not support logical expression", UNSUPPORTED),
        ("Cannot create filter with non-boolean predicate", "'WHERE' and 'HAVING' take a condition that is true or false"),
        ("Projections require unique expression names", "two columns have the same name; give one of them another with AS"),
        ("could not parse compound identifier", "a column has no fields here"),
        ("Unsupported Interval Expression", "this form of INTERVAL is not supported"),
        ("Unsupported interval argument", "an INTERVAL takes its number in quotes"),
        ("Table Functions are not supported", "a function in 'FROM' stands in TABLE(...), and UNNEST behind a table"),
        ("Recursive CTE", "WITH RECURSIVE is not supported"),
        ("Recursive CTEs are not enabled", "WITH RECURSIVE is not supported"),
        ("Too many columns! The subquery", "a subquery in this place has one column, and this one has several"),
        ("Aggregate functions are not allowed in the WHERE clause", "aggregate functions are not allowed in 'WHERE'; use HAVING"),
        ("Qualified functions are not supported", "a function has a name without catalog and database"),
    ] {
        if text.starts_with(start) {
            return plain(own);
        }
    }
    let capital = |name: &str| name.trim_matches(['\'', '`', '"', '(', ')']).to_uppercase();
    if let Some(column) = between(text, "While expanding wildcard, column \"", "\" must appear") {
        return Some(ungrouped(column));
    }
    if let Some(column) = between(text, "HAVING clause references: ", " must appear in the GROUP BY") {
        return Some(ungrouped(column));
    }
    if text.starts_with("Aggregate function calls cannot be nested") {
        let inner = short(between(text, "nested: '", "' is nested")?);
        return Some(Words::new(format!("'{inner}' within another aggregate function")).help("aggregate in a subquery first"));
    }
    if text.starts_with("Argument ") && text.contains(" to grouping function is not in grouping columns") {
        let column = short(between(text, "Argument ", " to grouping")?);
        return Some(Words::new(format!("GROUPING takes columns of GROUP BY, and '{column}' is none")));
    }
    if let Some(rest) = text.strip_prefix("Cannot infer common argument type for comparison operation ") {
        let (left, op, right) = operands(rest)?;
        return Some(
            Words::new(format!("cannot compare {left} and {right} with '{op}'")).help("did you mean to CAST one of them?"),
        );
    }
    if let Some(rest) = text.strip_prefix("Cannot infer common argument type for logical boolean operation ") {
        let (left, op, right) = operands(rest)?;
        let wrong = if left == "BOOLEAN" { right } else { left };
        return Some(Words::new(format!("'{op}' takes conditions that are true or false, not {wrong}")));
    }
    if let Some((left, right)) = between(text, "to coerce ", " in LIKE").and_then(|t| t.split_once(" and ")) {
        let (left, right) = (in_sql(left), in_sql(right));
        return Some(Words::new(format!("'LIKE' takes text, not {}", if left == "STRING" { right } else { left })));
    }
    if let Some(found) = between(text, "Unary operator '", "' requires a boolean expression, got ") {
        let given = in_sql(between(text, ", got ", "").unwrap_or_default());
        return Some(Words::new(format!("'{found}' takes a condition that is true or false, not {given}")));
    }
    if let Some(sign) = between(text, "Unary operator '", "' only supports") {
        return Some(Words::new(format!("'{sign}' takes a number or an INTERVAL")));
    }
    if let Some(given) = text.strip_prefix("Join condition must be boolean type, but got ") {
        return Some(Words::new(format!("'ON' takes a condition that is true or false, not {}", in_sql(given))));
    }
    if let Some(rest) = text.strip_prefix("Incompatible inputs for Union: Previous inputs were of type ") {
        let (before, rest) = rest.split_once(", but got incompatible type ")?;
        let (now, column) = rest.rsplit_once(" on column ")?;
        return Some(Words::new(format!("'UNION' cannot bring {} and {} together: {column}", in_sql(before), in_sql(now))));
    }
    if let Some(name) = text.strip_suffix(" queries have different number of columns") {
        return Some(Words::new(format!("the sides of '{}' have different numbers of columns", capital(name))));
    }
    if let Some(name) = text.strip_prefix("Invalid qualifier ") {
        return Some(Words::new(format!("'{}' is no table of this FROM and no ROW: it has no '*'", name.trim())));
    }
    if let Some(name) = between(text, "The window ", " is not defined") {
        return Some(
            Words::new(format!("window '{name}' is not defined")).help("declare it behind the query: WINDOW w AS (...)"),
        );
    }
    if let Some(name) = between(text, "The window ", " is defined multiple times") {
        return Some(Words::new(format!("window '{name}' is defined twice")));
    }
    if let Some(name) = between(text, "WITH query name \"", "\" specified more than once") {
        return Some(Words::new(format!("'{name}' is declared twice in WITH")));
    }
    if let Some((has, names)) =
        between(text, "Source table contains ", " names given").and_then(|t| t.split_once(" columns but only "))
    {
        return Some(Words::new(format!("the alias names {names} columns, and there are {has}")));
    }
    if let Some(rest) = text.strip_prefix("Inconsistent data length across values list: got ") {
        let (got, rest) = rest.split_once(" values in row ")?;
        let (row, wanted) = rest.split_once(" but expected ")?;
        let row = row.parse::<usize>().ok()? + 1;
        return Some(Words::new(format!("row {row} of 'VALUES' has {got} values, the first has {wanted}")));
    }
    if let Some((asked, most)) = between(text, "Cannot find column with position ", "").and_then(|t| t.split_once(" in SELECT")) {
        let most = most.rsplit(' ').next().unwrap_or_default();
        return Some(Words::new(format!("'GROUP' BY {asked}: the SELECT has {most} columns")));
    }
    if let Some((asked, most)) =
        between(text, "Order by column out of bounds, specified: ", "").and_then(|t| t.split_once(", max: "))
    {
        return Some(Words::new(format!("'ORDER' BY {asked}: the SELECT has {most} columns")));
    }
    if let Some(columns) = between(text, "For SELECT DISTINCT, ORDER BY expressions ", " must appear in select list") {
        return Some(Words::new(format!("ORDER BY of a SELECT DISTINCT takes its columns, and '{}' is none", short(columns))));
    }
    if let Some(name) = between(text, "unction '", "' does not support named arguments") {
        return Some(Words::new(format!("'{}' takes no named arguments", capital(name))));
    }
    if let Some((name, rest)) = between(text, "The function '", "").and_then(|t| t.split_once("' expected ")) {
        let (wanted, got) = rest.split_once(" argument")?;
        let got = got.rsplit(' ').next().unwrap_or_default();
        return Some(Words::new(format!("'{}' takes {wanted} arguments, not {got}", capital(name))));
    }
    if let Some(name) = between(text, "'", "' does not support zero arguments") {
        return Some(Words::new(format!("'{}' takes arguments", capital(name))));
    }
    if let Some(digits) = between(text, "Invalid HexStringLiteral '", "'") {
        return Some(Words::new(format!("X'{digits}' is not made of pairs of hexadecimal digits")));
    }
    if let Some(name) = between(text, "Placeholder '", "' was not provided") {
        return Some(Words::new(format!("'{name}': a query here has no parameters")));
    }
    if let Some((name, given)) = between(text, "Failed to coerce arguments to satisfy a call to '", " to the signature")
        .and_then(|t| t.split_once("' function: coercion from "))
    {
        return Some(Words::new(format!("'{}' does not take {}", capital(name), in_sql(given))));
    }
    if let Some(name) = between(text, "NULLS are not permitted for ", "") {
        return Some(Words::new(format!("IGNORE NULLS or RESPECT NULLS in '{}' is not supported", capital(name))));
    }
    for end in [" not supported by ExprPlanner", " could not be planned by registered expr planner"] {
        if let Some((what, _)) = text.split_once(end) {
            return Some(Words::new(format!("'{}' is not supported", what.to_uppercase())));
        }
    }
    None
}

fn ungrouped(column: &str) -> Words {
    let column = short(column);
    Words::new(format!("'{column}' is neither in GROUP BY nor in an aggregate function"))
        .help(format!("add {column} to GROUP BY, or write MAX({column}), say"))
}

/// `Int64 IS DISTINCT FROM Boolean`, taken apart.
fn operands(text: &str) -> Option<(String, String, String)> {
    let left_end = type_end(text)?;
    let (left, rest) = text.split_at(left_end);
    let rest = rest.trim();
    // The operator ends where the other type begins.
    let at = (0..rest.len())
        .filter(|&i| rest.is_char_boundary(i))
        .find(|&i| (i == 0 || rest[..i].ends_with(' ')) && type_end(&rest[i..]).is_some_and(|end| end == rest.len() - i))?;
    Some((in_sql(left), rest[..at].trim().to_string(), in_sql(&rest[at..])))
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
