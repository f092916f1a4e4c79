//! Which forms does the parser take that Flink SQL, or this engine, has not?
//!
//! Called by `rewrite` for every query and expression, and by `bind`, which knows the functions.
//! What always holds: what is named here is refused with its own name; without this the planner
//! would leave some of it out.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Distinct, Expr, Function, FunctionArguments, GroupByExpr, JoinOperator, Query, Select,
    SelectItem, SetExpr, Spanned, TableFactor, Value, Visit, Visitor,
};

use super::error::{SqlError, TextPlace};
use crate::sql::statement::place_of;

fn refuse<T>(what: &str) -> Result<T, SqlError> {
    Err(SqlError::new(format!("{what} is not supported")))
}

fn starts(node: &impl Spanned) -> Option<TextPlace> {
    let start = node.span().start;
    (start.line > 0).then_some(TextPlace { line: start.line, column: start.column })
}

/// A query's clauses; queries within it are asked for themselves.
pub fn query(query: &Query) -> Result<(), SqlError> {
    if query.with.as_ref().is_some_and(|with| with.recursive) {
        return refuse("WITH RECURSIVE")
            .map_err(|e: SqlError| e.at(query.with.as_ref().and_then(starts)));
    }
    let clauses = [
        (!query.locks.is_empty(), "FOR UPDATE"),
        (query.for_clause.is_some(), "FOR XML and the like"),
        (query.settings.is_some(), "SETTINGS in a query"),
        (query.format_clause.is_some(), "FORMAT in a query"),
        (!query.pipe_operators.is_empty(), "'|>'"),
    ];
    match clauses.iter().find(|(is_there, _)| *is_there) {
        Some((_, what)) => refuse(what),
        None => body(&query.body),
    }
}

fn body(body: &SetExpr) -> Result<(), SqlError> {
    match body {
        SetExpr::Select(one) => {
            select(one).map_err(|e| e.at(one.projection.first().and_then(starts)))
        }
        SetExpr::SetOperation { left, right, .. } => {
            self::body(left).and_then(|()| self::body(right))
        }
        _ => Ok(()),
    }
}

fn select(select: &Select) -> Result<(), SqlError> {
    let place = match (&select.into, &select.distinct, &select.prewhere) {
        (Some(into), ..) => starts(&into.name),
        (_, Some(Distinct::On(on)), _) => on.first().and_then(starts),
        (.., Some(prewhere)) => starts(prewhere),
        _ => None,
    };
    let clauses = [
        (matches!(select.distinct, Some(Distinct::On(_))), "DISTINCT ON"),
        (select.top.is_some(), "TOP"),
        (select.exclude.is_some(), "EXCLUDE"),
        (select.into.is_some(), "SELECT INTO"),
        (!select.lateral_views.is_empty(), "LATERAL VIEW"),
        (select.prewhere.is_some(), "PREWHERE"),
        (!select.connect_by.is_empty(), "CONNECT BY"),
        (!select.cluster_by.is_empty(), "CLUSTER BY"),
        (!select.distribute_by.is_empty(), "DISTRIBUTE BY"),
        (!select.sort_by.is_empty(), "SORT BY"),
        (select.value_table_mode.is_some(), "SELECT AS"),
        (matches!(select.group_by, GroupByExpr::All(_)), "GROUP BY ALL"),
    ];
    if let Some((_, what)) = clauses.iter().find(|(is_there, _)| *is_there) {
        return refuse(what).map_err(|e: SqlError| e.at(place));
    }
    for join in select.from.iter().flat_map(|table| &table.joins) {
        let what = match &join.join_operator {
            JoinOperator::AsOf { .. } => "ASOF JOIN",
            JoinOperator::CrossApply | JoinOperator::OuterApply => "APPLY",
            JoinOperator::StraightJoin(_) => "STRAIGHT_JOIN",
            JoinOperator::Semi(_) | JoinOperator::LeftSemi(_) | JoinOperator::RightSemi(_) => {
                return Err(half_join("SEMI JOIN", "IN").at(starts(&join.relation)));
            }
            JoinOperator::Anti(_) | JoinOperator::LeftAnti(_) | JoinOperator::RightAnti(_) => {
                return Err(half_join("ANTI JOIN", "NOT IN").at(starts(&join.relation)));
            }
            _ => continue,
        };
        return refuse(what).map_err(|e: SqlError| e.at(starts(&join.relation)));
    }
    for item in &select.projection {
        if let SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) = item {
            let changed = options.opt_exclude.is_some()
                || options.opt_except.is_some()
                || options.opt_replace.is_some()
                || options.opt_rename.is_some()
                || options.opt_ilike.is_some();
            if changed {
                return refuse("EXCLUDE, EXCEPT, REPLACE or RENAME of a '*'")
                    .map_err(|e: SqlError| e.at(starts(item)));
            }
        }
    }
    Ok(())
}

/// Joins of one side's columns have no form of their own in Flink.
fn half_join(what: &str, operator: &str) -> SqlError {
    SqlError::new(format!("Flink SQL has no {what}"))
        .help(format!("write WHERE x {operator} (SELECT y FROM ...), or EXISTS"))
}

/// What stands in FROM.
pub fn table(factor: &TableFactor) -> Result<(), SqlError> {
    let (what, place) = match factor {
        TableFactor::Table { sample: Some(_), .. }
        | TableFactor::Derived { sample: Some(_), .. } => ("TABLESAMPLE", starts(factor)),
        TableFactor::Pivot { table, .. } => ("PIVOT", starts(&**table)),
        TableFactor::Unpivot { table, .. } => ("UNPIVOT", starts(&**table)),
        TableFactor::JsonTable { .. } => ("JSON_TABLE", starts(factor)),
        TableFactor::OpenJsonTable { .. } => ("OPENJSON", starts(factor)),
        TableFactor::XmlTable { .. } => ("XMLTABLE", starts(factor)),
        TableFactor::SemanticView { .. } => ("SEMANTIC_VIEW", starts(factor)),
        _ => return Ok(()),
    };
    refuse(what).map_err(|e: SqlError| e.at(place))
}

/// Expressions that Flink SQL has not.
pub fn expression(expression: &Expr) -> Result<(), SqlError> {
    let error = match expression {
        Expr::AtTimeZone { .. } => SqlError::new("AT TIME ZONE is not supported")
            .help("write CONVERT_TZ, or SET 'table.local-time-zone'"),
        Expr::Collate { .. } => SqlError::new("COLLATE is not supported"),
        Expr::Array(array) if !array.named => {
            SqlError::new("'[' begins no value").help("write ARRAY[...]")
        }
        Expr::Value(value) if matches!(value.value, Value::Placeholder(_)) => {
            SqlError::new(format!("'{}': a query here has no parameters", value.value))
        }
        Expr::Struct { .. } => SqlError::new("STRUCT is not supported").help("write ROW(...)"),
        Expr::Dictionary(_) => {
            SqlError::new("'{' begins no value").help("write MAP[key, value, ...]")
        }
        Expr::Lambda(_) => SqlError::new("'->' is no operator of Flink SQL"),
        Expr::MatchAgainst { .. } => SqlError::new("MATCH ... AGAINST is not supported"),
        Expr::RLike { .. } => {
            SqlError::new("RLIKE is no operator of Flink SQL").help("write REGEXP(text, pattern)")
        }
        Expr::Convert { .. } => {
            SqlError::new("CONVERT is not supported").help("write CAST(... AS ...)")
        }
        Expr::IsNormalized { .. } => SqlError::new("IS NORMALIZED is not supported"),
        Expr::Prior(_) => SqlError::new("PRIOR is not supported"),
        Expr::OuterJoin(_) => SqlError::new("(+) is not supported").help("write LEFT JOIN"),
        Expr::MemberOf(_) => {
            SqlError::new("MEMBER OF is not supported").help("write ARRAY_CONTAINS")
        }
        Expr::InUnnest { .. } => {
            SqlError::new("IN UNNEST is not supported").help("write ARRAY_CONTAINS")
        }
        Expr::JsonAccess { .. } => SqlError::new("':' is no operator of Flink SQL")
            .help("write JSON_VALUE(text, '$.path')"),
        _ => return Ok(()),
    };
    Err(error.at(starts(expression)))
}

/// OVER, FILTER and the like behind calls that take none: the planner would leave them out.
pub fn calls(query: &Query, takes_none: &dyn Fn(&str) -> bool) -> Result<(), SqlError> {
    match query.visit(&mut Calls { takes_none }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Calls<'a> {
    takes_none: &'a dyn Fn(&str) -> bool,
}

impl Visitor for Calls<'_> {
    type Break = SqlError;

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<SqlError> {
        let Expr::Function(function) = expression else { return ControlFlow::Continue(()) };
        let name = function.name.to_string();
        let Some(clause) = clause(function).filter(|_| (self.takes_none)(&name)) else {
            return ControlFlow::Continue(());
        };
        let place = function.name.0.first().and_then(|p| p.as_ident()).and_then(place_of);
        let name = name.to_uppercase();
        ControlFlow::Break(
            SqlError::new(format!("'{name}' is no aggregate function: it takes no {clause}"))
                .at(place),
        )
    }
}

fn clause(function: &Function) -> Option<&'static str> {
    let list = match &function.args {
        FunctionArguments::List(list) => Some(list),
        _ => None,
    };
    let clauses = [
        (function.over.is_some(), "OVER"),
        (function.filter.is_some(), "FILTER"),
        (!function.within_group.is_empty(), "WITHIN GROUP"),
        (list.is_some_and(|l| l.duplicate_treatment.is_some()), "DISTINCT"),
    ];
    clauses.iter().find(|(is_there, _)| *is_there).map(|(_, what)| *what)
}
