//! What does Flink's grammar say with forms that DataFusion's planner does not take?
//!
//! Goes over a parsed query before it is planned: select items get Flink's names (`item_names`),
//! special forms become calls (`EXTRACT(DAY FROM x)`, `FLOOR(x TO DAY)`), intervals become milliseconds or months, numbers
//! with an exponent DOUBLEs, and long chains of AND and OR balanced trees. Called by `parse`. What always holds: nothing
//! after it recurses deeper than [`DEPTH_MAX`].

use std::ops::ControlFlow;

use arrow::datatypes::DataType;
use sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, CeilFloorKind, DataType as SqlType, DateTimeField, Expr, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArguments, Ident, Interval, LimitClause, ObjectName, Query, Subscript, TableFactor,
    TimezoneInfo, TypedString, UnaryOperator, Value, ValueWithSpan, VisitMut, VisitorMut,
};

use super::error::{Place, SqlError};
use super::functions::cast::read;
use super::functions::intervals::{self};
use super::functions::{clock, nested};
use super::interval::{Amount, amount};
use super::planned_cast::{CAST, TRY_CAST};
use super::types::arrow_type;
use super::{constant_types, item_names, overlaps, refused};
use crate::sql::statement::{ColumnDefKind, Statement};
use crate::sql::syntax::{call, cast, constant_interval, text};
use crate::sql::types::nested as nested_types;

/// Levels that an expression may be nested. `a + b + c` has as many levels as operators; AND and OR count their logarithm.
pub const DEPTH_MAX: usize = 128;

/// What TIMESTAMPADD and TIMESTAMPDIFF count in.
const UNITS: [&str; 8] = ["YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND"];

/// Rewrites the queries and expressions of a statement in place.
pub fn statement(statement: &mut Statement) -> Result<(), SqlError> {
    match statement {
        Statement::Set { .. } => Ok(()),
        Statement::CreateView { query, .. } | Statement::Insert { query, .. } | Statement::Select(query) => run(query),
        Statement::CreateTable(table) => {
            if let Some((_, expression)) = &mut table.watermark {
                run(expression)?;
            }
            for column in &mut table.columns {
                if let ColumnDefKind::Computed(expression) = &mut column.kind {
                    run(expression)?;
                }
            }
            Ok(())
        }
    }
}

fn run(ast: &mut impl VisitMut) -> Result<(), SqlError> {
    ast.visit(&mut Rewriter { depth: 0 }).break_value().map_or(Ok(()), Err)
}

struct Rewriter {
    depth: usize,
}

impl VisitorMut for Rewriter {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        item_names::give(&mut query.body);
        flow(refused::query(query).and_then(|()| limit(query)))
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<SqlError> {
        flow(refused::table(factor))
    }

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<SqlError> {
        balance(expression);
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let message = format!("the expression is nested more than {DEPTH_MAX} levels deep");
            let error = SqlError::new(message).at(place(expression));
            return ControlFlow::Break(error.help("compute parts of it in a subquery or a view"));
        }
        flow(refused::expression(expression))
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<SqlError> {
        self.depth -= 1;
        match rewritten(expression) {
            Ok(Some(new)) => *expression = new,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error.at(place(expression))),
        }
        ControlFlow::Continue(())
    }
}

fn flow(outcome: Result<(), SqlError>) -> ControlFlow<SqlError> {
    match outcome {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

/// Makes LIMIT of FETCH NEXT n ROWS ONLY.
fn limit(query: &mut Query) -> Result<(), SqlError> {
    let Some(fetch) = query.fetch.take() else { return Ok(()) };
    let Some(quantity) = fetch.quantity.filter(|_| !fetch.with_ties && !fetch.percent) else {
        return Err(SqlError::new("of FETCH only FETCH NEXT n ROWS ONLY is supported"));
    };
    match &mut query.limit_clause {
        None => {
            query.limit_clause = Some(LimitClause::LimitOffset { limit: Some(quantity), offset: None, limit_by: vec![] });
        }
        Some(LimitClause::LimitOffset { limit: limit @ None, .. }) => *limit = Some(quantity),
        Some(_) => return Err(SqlError::new("LIMIT and FETCH in one query")),
    }
    Ok(())
}

/// Turns `a OR b OR c OR d`, which nests as deep as it is long, into a balanced tree.
fn balance(expression: &mut Expr) {
    let op = match expression {
        Expr::BinaryOp { op: op @ (BinaryOperator::And | BinaryOperator::Or), left, .. } if matches!(&**left, Expr::BinaryOp { op: inner, .. } if inner == op) => {
            op.clone()
        }
        _ => return,
    };
    let mut terms = Vec::new();
    let mut rest = std::mem::replace(expression, Expr::Value(Value::Null.into()));
    loop {
        match rest {
            Expr::BinaryOp { left, op: inner, right } if inner == op => {
                terms.push(*right);
                rest = *left;
            }
            last => {
                terms.push(last);
                break;
            }
        }
    }
    terms.reverse();
    while terms.len() > 1 {
        let mut pairs = Vec::with_capacity(terms.len().div_ceil(2));
        let mut each = terms.into_iter();
        while let Some(left) = each.next() {
            pairs.push(match each.next() {
                Some(right) => {
                    // Parentheses keep the tree from being taken for a chain again.
                    let pair = Expr::BinaryOp { left: Box::new(left), op: op.clone(), right: Box::new(right) };
                    Expr::Nested(Box::new(pair))
                }
                None => left,
            });
        }
        terms = pairs;
    }
    if let Some(tree) = terms.pop() {
        *expression = tree;
    }
}

/// The place of the first word of an expression that has one.
fn place(expression: &Expr) -> Option<Place> {
    let mut at = expression;
    // Down the left side, step by step: this may be as deep as what is refused for its depth.
    loop {
        at = match at {
            Expr::BinaryOp { left, .. } => left,
            Expr::Nested(e) | Expr::UnaryOp { expr: e, .. } | Expr::IsNull(e) | Expr::IsNotNull(e) => e,
            Expr::Cast { expr, .. } | Expr::Between { expr, .. } | Expr::InList { expr, .. } | Expr::Like { expr, .. } => expr,
            Expr::Identifier(name) => return crate::sql::statement::place_of(name),
            Expr::CompoundIdentifier(parts) => return parts.first().and_then(crate::sql::statement::place_of),
            Expr::Function(f) => return f.name.0.first().and_then(|p| p.as_ident()).and_then(crate::sql::statement::place_of),
            Expr::Interval(interval) => &interval.value,
            Expr::Value(value) | Expr::TypedString(TypedString { value, .. }) => {
                let start = value.span.start;
                return (start.line > 0).then_some(Place { line: start.line, column: start.column });
            }
            _ => return None,
        };
    }
}

fn not(negated: bool, expression: Expr) -> Expr {
    if negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(expression) } } else { expression }
}

fn is_flinks(op: &BinaryOperator) -> bool {
    use BinaryOperator::{And, Divide, Eq, Gt, GtEq, Lt, LtEq, Minus, Modulo, Multiply, NotEq, Or, Plus, StringConcat};
    matches!(op, And | Or | Plus | Minus | Multiply | Divide | Modulo | StringConcat | Eq | NotEq | Lt | LtEq | Gt | GtEq)
}

/// The name of a unit of time, in the singular and in upper case.
fn unit(field: &DateTimeField) -> String {
    let name = field.to_string().to_uppercase();
    name.strip_suffix('S').map(String::from).unwrap_or(name)
}

/// What stands for an expression whose parts are rewritten already; None leaves it.
fn rewritten(expression: &mut Expr) -> Result<Option<Expr>, SqlError> {
    // Takes a part out of an expression that is thrown away.
    let take = |e: &mut Box<Expr>| std::mem::replace(&mut **e, Expr::Value(Value::Null.into()));
    Ok(match expression {
        Expr::Value(ValueWithSpan { value: Value::Number(number, _), .. }) if number.contains(['e', 'E']) => {
            let number = number.clone();
            Some(cast(CAST, text(number), &SqlType::Double(sqlparser::ast::ExactNumberInfo::None)))
        }
        Expr::Cast { kind: CastKind::DoubleColon, .. } => {
            return Err(SqlError::new("'::' is no operator of Flink SQL").help("write CAST(... AS ...)"));
        }
        Expr::Cast { kind, expr, data_type, .. } => {
            let of_type = match data_type {
                SqlType::Custom(name, _) => name.0.first().and_then(|p| p.as_ident()).and_then(crate::sql::statement::place_of),
                _ => None,
            };
            let target = arrow_type(data_type).map_err(|e| SqlError::new(e).at(of_type))?;
            if let SqlType::Custom(name, _) = &*data_type
                && let Some(text) = name.0.first().and_then(|p| p.as_ident()).filter(|p| nested_types::is_nested(&p.value))
            {
                nested_types::check_cast(&text.value).map_err(|e| SqlError::new(e).at(of_type))?;
            }
            let kind = if *kind == CastKind::Cast { CAST } else { TRY_CAST };
            // Of a constant the kind is known here, and for a zero here alone.
            if let (Expr::Interval(interval), DataType::Utf8) = (&**expr, target)
                && let Some((family, length)) = constant_interval(interval)
            {
                return Ok(Some(cast(kind, text(intervals::text_of(family, length)), data_type)));
            }
            Some(cast(kind, take(expr), data_type))
        }
        Expr::CompoundFieldAccess { root, access_chain } => {
            let mut value = take(root);
            for access in std::mem::take(access_chain) {
                value = match access {
                    AccessExpr::Subscript(Subscript::Index { index }) => call(nested::ELEMENT, vec![value, index]),
                    AccessExpr::Dot(Expr::Identifier(name)) => call(nested::FIELD, vec![value, text(name.value)]),
                    other => return Err(SqlError::new(format!("'{other}' is no element of a value"))),
                };
            }
            Some(value)
        }
        Expr::Tuple(parts) => Some(call(nested::ROW, std::mem::take(parts))),
        Expr::BinaryOp { left, op: BinaryOperator::Overlaps, right } => Some(overlaps::condition(left, right)?),
        Expr::BinaryOp { op, .. } if !is_flinks(op) => {
            return Err(SqlError::new(format!("'{op}' is no operator of Flink SQL")));
        }
        Expr::Interval(interval) => normal_interval(interval)?,
        Expr::TypedString(TypedString { data_type: SqlType::Timestamp(p @ None, TimezoneInfo::None), value, .. }) => {
            // The digits that are written are the precision.
            let written = value.clone().into_string().unwrap_or_default();
            *p = Some(written.split_once('.').map_or(0, |(_, f)| f.len().min(9) as u64));
            if !read::is_timestamp_literal(&written) {
                return Err(SqlError::new(format!("'{written}' is no TIMESTAMP of the years 1 to 9999"))
                    .help("write TIMESTAMP 'yyyy-MM-dd HH:mm:ss', with a day that the month has"));
            }
            None
        }
        Expr::TypedString(TypedString { data_type: SqlType::Date, value, .. }) => {
            let written = value.clone().into_string().unwrap_or_default();
            if !read::is_date_literal(&written) {
                return Err(SqlError::new(format!("'{written}' is no DATE of the years 1 to 9999"))
                    .help("write DATE 'yyyy-MM-dd', with a day that the month has"));
            }
            None
        }
        Expr::Extract { field, expr, .. } => Some(call("extract", vec![text(unit(field)), take(expr)])),
        Expr::Floor { expr, field: CeilFloorKind::DateTimeField(field) } if *field != DateTimeField::NoDateTime => {
            Some(call("floor_to", vec![text(unit(field)), take(expr)]))
        }
        Expr::Ceil { expr, field: CeilFloorKind::DateTimeField(field) } if *field != DateTimeField::NoDateTime => {
            Some(call("ceil_to", vec![text(unit(field)), take(expr)]))
        }
        Expr::Substring { expr, substring_from, substring_for, .. } => {
            let mut args = vec![take(expr)];
            args.push(match substring_from {
                Some(from) => take(from),
                None => Expr::Value(Value::Number("1".into(), false).into()),
            });
            args.extend(substring_for.as_mut().map(take));
            Some(call("substring", args))
        }
        Expr::Position { expr, r#in } => Some(call("position", vec![take(expr), take(r#in)])),
        Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
            let mut args = vec![take(expr), take(overlay_what), take(overlay_from)];
            args.extend(overlay_for.as_mut().map(take));
            Some(call("overlay", args))
        }
        Expr::SimilarTo { negated, expr, pattern, escape_char } => {
            let mut args = vec![take(expr), take(pattern)];
            args.extend(escape_char.take().map(Expr::Value));
            Some(not(*negated, call("similar", args)))
        }
        Expr::Like { negated, any: false, expr, pattern, escape_char } => {
            // Flink's LIKE has no escape character unless it names one; DataFusion's has the backslash.
            let plain = matches!(&**pattern, Expr::Value(v)
                if matches!(&v.value, Value::SingleQuotedString(p) if !p.contains('\\')));
            if plain && escape_char.is_none() {
                return Ok(None);
            }
            let mut args = vec![take(expr), take(pattern)];
            args.extend(escape_char.take().map(Expr::Value));
            Some(not(*negated, call("like", args)))
        }
        Expr::Function(function) => {
            let name = function.name.to_string().to_uppercase();
            if let FunctionArguments::List(list) = &function.args
                && list.clauses.iter().any(|c| matches!(c, FunctionArgumentClause::IgnoreOrRespectNulls(_)))
                && name != "ARRAY_AGG"
            {
                return Err(SqlError::new(format!("IGNORE NULLS or RESPECT NULLS in '{name}' is not supported")));
            }
            // Local times are casts of the time of day. Flink declares TIME(0) and gives milliseconds.
            let local = match name.as_str() {
                "LOCALTIMESTAMP" => Some(SqlType::Timestamp(Some(3), TimezoneInfo::None)),
                "CURRENT_DATE" => Some(SqlType::Date),
                "CURRENT_TIME" | "LOCALTIME" => Some(SqlType::Time(Some(3), TimezoneInfo::None)),
                _ => None,
            };
            if let Some(local) = local {
                return Ok(Some(cast(CAST, call("current_timestamp", vec![]), &local)));
            }
            let is_empty = matches!(&function.args, FunctionArguments::List(list) if list.args.is_empty());
            if name == "UNIX_TIMESTAMP" && is_empty {
                return Ok(Some(call(clock::UNIX_SECONDS, vec![])));
            }
            if matches!(name.as_str(), "GROUPING" | "GROUPING_ID") {
                let mut grouping = function.clone();
                grouping.name = ObjectName::from(vec![Ident::new("grouping")]);
                return Ok(Some(cast(CAST, Expr::Function(grouping), &SqlType::BigInt(None))));
            }
            if name == "TYPEOF"
                && let FunctionArguments::List(list) = &mut function.args
                && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(first))) = list.args.first_mut()
            {
                if let Some(name) = constant_types::of(first) {
                    return Ok(Some(text(format!("{name} NOT NULL"))));
                }
                constant_types::lengths(first);
            }
            if matches!(name.as_str(), "TIMESTAMPDIFF" | "TIMESTAMPADD")
                && let FunctionArguments::List(list) = &mut function.args
                && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(first))) = list.args.first_mut()
                && let Expr::Identifier(unit) = first
            {
                let unit = unit.value.to_uppercase();
                let unit = unit.strip_prefix("SQL_TSI_").unwrap_or(&unit).to_string();
                if !UNITS.contains(&unit.as_str()) {
                    return Err(
                        SqlError::new(format!("'{unit}' is no unit of time")).help(format!("units are {}", UNITS.join(", ")))
                    );
                }
                // A DATE becomes a TIMESTAMP where a part of a day is added.
                if name == "TIMESTAMPADD" && matches!(unit.as_str(), "HOUR" | "MINUTE" | "SECOND") {
                    function.name = ObjectName::from(vec![Ident::new("timestampadd_clock")]);
                }
                *first = text(unit);
            }
            None
        }
        _ => None,
    })
}

/// An interval as one number of milliseconds or months. Text that is no such interval is an error.
fn normal_interval(interval: &Interval) -> Result<Option<Expr>, SqlError> {
    let Interval { value, leading_field: Some(from), last_field: to, .. } = interval else { return Ok(None) };
    let (text_value, negative) = match &**value {
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => (text, false),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match &**expr {
            Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => (text, true),
            _ => return Ok(None),
        },
        _ => return Err(SqlError::new("an INTERVAL takes its number in quotes").help("write INTERVAL '5' SECOND")),
    };
    let (from, to) = (unit(from), to.as_ref().map(unit));
    let Some(amount) = amount(text_value, &from, to.as_deref()) else {
        let range = to.map(|to| format!(" TO {to}")).unwrap_or_default();
        let message = format!("'{text_value}' is no INTERVAL of {from}{range}");
        return Err(SqlError::new(message));
    };
    let sign = if negative { -1 } else { 1 };
    let normal = match amount {
        Amount::Months(months) => format!("{} months", sign * months),
        Amount::Milliseconds(ms) => {
            let ms = sign * ms;
            format!("{}{}.{:03} seconds", if ms < 0 { "-" } else { "" }, ms.abs() / 1000, ms.abs() % 1000)
        }
    };
    Ok(Some(Expr::Interval(Interval {
        value: Box::new(text(normal)),
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    })))
}
