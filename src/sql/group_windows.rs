//! The older windows: `GROUP BY TUMBLE(ts, INTERVAL ...)` with `TUMBLE_START(ts, ...)` and its like
//! in the SELECT.
//!
//! Called by `bind` on every query before it is planned. They become the table-valued windows: the
//! table in FROM is wrapped in the window function, the group window becomes the columns of its
//! start and end, its auxiliary functions become those columns and that of its time. What always
//! holds: a query without group windows stays as it is.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments,
    GroupByExpr, Ident, ObjectName, Query, Select, SelectItem, SetExpr, Spanned, TableAlias,
    TableFactor, TableWithJoins, VisitMut, VisitorMut, WildcardAdditionalOptions,
    visit_expressions_mut,
};

use super::dialect::TABLE_ARGUMENT;
use super::error::{SqlError, TextPlace};

/// Before the name of a window function that comes from a GROUP BY: there a HOP may have any slide.
pub(crate) const GROUP_PREFIX: &str = "__GROUP_";

/// Rewrites all group windows of a query.
pub(crate) fn rewrite(query: &mut Query) -> Result<(), SqlError> {
    query.visit(&mut Rewriter).break_value().map_or(Ok(()), Err)
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        match body(&mut query.body) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn body(body: &mut SetExpr) -> Result<(), SqlError> {
    match body {
        SetExpr::Select(query) => select(query),
        SetExpr::SetOperation { left, right, .. } => {
            self::body(left)?;
            self::body(right)
        }
        _ => Ok(()),
    }
}

/// A group window: `TUMBLE(ts, ...)` and its like.
#[derive(Clone)]
struct GroupWindow {
    kind: &'static str,
    /// With the name of its table, if that is said.
    rowtime: Vec<Ident>,
    arguments: Vec<Expr>,
    place: Option<TextPlace>,
}

impl GroupWindow {
    fn of(expression: &Expr) -> Result<Option<GroupWindow>, SqlError> {
        let Expr::Function(function) = expression else { return Ok(None) };
        let name = function.name.to_string().to_uppercase();
        let Some(kind) = KINDS.into_iter().find(|kind| *kind == name) else { return Ok(None) };
        let place = place_of(expression);
        let mut arguments = plain_arguments(function).into_iter();
        match arguments.next().and_then(|rowtime| column_parts(&rowtime)) {
            Some(rowtime) => {
                Ok(Some(GroupWindow { kind, rowtime, arguments: arguments.collect(), place }))
            }
            None => Err(SqlError::new(format!(
                "the first argument of '{kind}' in GROUP BY is a rowtime column"
            ))
            .at(place)),
        }
    }

    /// What an auxiliary function stands for: a window column, or the processing time.
    fn column(
        &self,
        function: &Function,
        place: Option<TextPlace>,
    ) -> Result<Option<Auxiliary>, SqlError> {
        let name = function.name.to_string().to_uppercase();
        let Some((kind, part)) = part_of(&name) else { return Ok(None) };
        let column = match part {
            "START" => Auxiliary::Column(GROUP_WINDOW_COLUMNS[0]),
            "END" => Auxiliary::Column(GROUP_WINDOW_COLUMNS[1]),
            "ROWTIME" => Auxiliary::Column(GROUP_WINDOW_COLUMNS[2]),
            _ => Auxiliary::Proctime,
        };
        let mut arguments = plain_arguments(function).into_iter();
        let rowtime = arguments.next().and_then(|e| column_name(&e));
        let same_arguments =
            arguments.map(|e| e.to_string()).eq(self.arguments.iter().map(ToString::to_string));
        if kind != self.kind
            || rowtime.map(|r| r.value) != self.rowtime.last().map(|r| r.value.clone())
            || !same_arguments
        {
            let message = format!(
                "'{name}' has no window: its arguments must be those of the '{}' in GROUP BY",
                self.kind
            );
            return Err(SqlError::new(message).at(place));
        }
        Ok(Some(column))
    }
}

/// The window, and the part of it, that the name of an auxiliary function names: `TUMBLE_START`.
pub(crate) fn part_of(name: &str) -> Option<(&str, &str)> {
    let (kind, part) = name.split_once('_')?;
    let known = KINDS.contains(&kind) && ["START", "END", "ROWTIME", "PROCTIME"].contains(&part);
    known.then_some((kind, part))
}

const KINDS: [&str; 3] = ["TUMBLE", "HOP", "SESSION"];

/// What an auxiliary function of a group window stands for.
enum Auxiliary {
    Column(&'static str),
    Proctime,
}

fn select(select: &mut Select) -> Result<(), SqlError> {
    let GroupByExpr::Expressions(groups, _) = &mut select.group_by else { return Ok(()) };
    let mut window = None;
    for (index, group) in groups.iter().enumerate() {
        if let Some(found) = GroupWindow::of(group)? {
            if window.is_some() {
                return Err(SqlError::new("GROUP BY takes one window").at(found.place));
            }
            window = Some((index, found));
        }
    }
    let Some((index, window)) = window else { return Ok(()) };
    groups.remove(index);
    let mut partition = Vec::new();
    if window.kind == "SESSION" {
        for group in groups.iter() {
            let Some(column) = column_parts(group) else {
                let message = format!("GROUP BY SESSION takes columns beside it, not '{group}'");
                return Err(SqlError::new(message)
                    .at(place_of(group))
                    .help("compute it in a subquery"));
            };
            partition.push(column);
        }
    }
    let mut uses_time = false;
    let mut replace = |expression: &mut Expr| -> ControlFlow<SqlError> {
        let place = place_of(expression);
        let Expr::Function(function) = expression else { return ControlFlow::Continue(()) };
        match window.column(function, place) {
            Err(error) => return ControlFlow::Break(error),
            Ok(Some(Auxiliary::Column(column))) => {
                uses_time |= column == GROUP_WINDOW_COLUMNS[2];
                *expression = Expr::Identifier(Ident::with_quote('`', column));
            }
            Ok(Some(Auxiliary::Proctime)) => *expression = call("PROCTIME", vec![]),
            Ok(None) => {}
        }
        ControlFlow::Continue(())
    };
    for (number, item) in select.projection.iter_mut().enumerate() {
        // The column's name is not that of the window column it becomes.
        if let SelectItem::UnnamedExpr(expr @ Expr::Function(_)) = item {
            *item = SelectItem::ExprWithAlias {
                expr: expr.clone(),
                alias: Ident::with_quote('`', format!("EXPR${number}")),
            };
        }
        if let ControlFlow::Break(error) = visit_expressions_mut(item, &mut replace) {
            return Err(error);
        }
    }
    if let Some(having) = &mut select.having
        && let ControlFlow::Break(error) = visit_expressions_mut(having, &mut replace)
    {
        return Err(error);
    }
    let columns = GROUP_WINDOW_COLUMNS.iter().take(if uses_time { 3 } else { 2 });
    let columns: Vec<Expr> =
        columns.map(|c| Expr::Identifier(Ident::with_quote('`', *c))).collect();
    groups.splice(index..index, columns);
    // WHERE stands before the windows: a session is made of the rows that it leaves.
    if select.selection.is_none()
        && let [from] = select.from.as_mut_slice()
        && from.joins.is_empty()
        && let Some(relation) = windowed(&from.relation, &window, &partition)
    {
        from.relation = relation;
        return Ok(());
    }
    if select.from.is_empty() {
        let message = format!("GROUP BY {} needs a table in FROM", window.kind);
        return Err(SqlError::new(message).at(window.place));
    }
    // Columns keep the names of their tables.
    let rows = rows_of(select);
    let relation = in_window(Expr::Subquery(Box::new(rows)), None, &window, &partition);
    select.from = vec![TableWithJoins { relation, joins: vec![] }];
    Ok(())
}

/// All columns of the rows that are grouped: takes FROM and WHERE out of the query.
fn rows_of(select: &mut Select) -> Query {
    let rows = Select {
        from: std::mem::take(&mut select.from),
        selection: select.selection.take(),
        distinct: None,
        projection: vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())],
        group_by: GroupByExpr::Expressions(vec![], vec![]),
        having: None,
        named_window: vec![],
        ..select.clone()
    };
    Query {
        with: None,
        body: Box::new(SetExpr::Select(Box::new(rows))),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: vec![],
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: vec![],
    }
}

/// The table in FROM inside the window function. None: it is neither a table nor a subquery.
fn windowed(
    table: &TableFactor,
    window: &GroupWindow,
    partition: &[Vec<Ident>],
) -> Option<TableFactor> {
    let (argument, alias) = match table {
        // Within the function its alias is not known yet, and there is no other table.
        TableFactor::Table { name, alias, .. } => {
            let parts: Vec<Ident> = name.0.iter().filter_map(|p| p.as_ident().cloned()).collect();
            // Columns may be qualified with the table's name.
            let name = TableAlias {
                explicit: true,
                name: parts.last()?.clone(),
                columns: vec![],
                at: None,
            };
            (Expr::CompoundIdentifier(parts), Some(alias.clone().unwrap_or(name)))
        }
        TableFactor::Derived { subquery, alias, .. } => {
            (Expr::Subquery(subquery.clone()), alias.clone())
        }
        _ => return None,
    };
    let own = alias.as_ref().map(|alias| alias.name.value.as_str());
    let unqualified = |parts: &Vec<Ident>| match parts.as_slice() {
        [table, column] if own == Some(table.value.as_str()) => vec![column.clone()],
        _ => parts.clone(),
    };
    let window = GroupWindow { rowtime: unqualified(&window.rowtime), ..window.clone() };
    let partition: Vec<Vec<Ident>> = partition.iter().map(unqualified).collect();
    Some(in_window(argument, alias, &window, &partition))
}

fn in_window(
    table: Expr,
    alias: Option<TableAlias>,
    window: &GroupWindow,
    partition: &[Vec<Ident>],
) -> TableFactor {
    let column = |parts: &Vec<Ident>| match parts.as_slice() {
        [name] => Expr::Identifier(name.clone()),
        _ => Expr::CompoundIdentifier(parts.clone()),
    };
    let table = std::iter::once(table).chain(partition.iter().map(column)).collect();
    let descriptor = call("DESCRIPTOR", vec![column(&window.rowtime)]);
    let arguments =
        [call(TABLE_ARGUMENT, table), descriptor].into_iter().chain(window.arguments.clone());
    TableFactor::TableFunction {
        expr: call(&format!("{GROUP_PREFIX}{}", window.kind), arguments.collect()),
        alias,
    }
}

fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments
                .into_iter()
                .map(|a| FunctionArg::Unnamed(FunctionArgExpr::Expr(a)))
                .collect(),
            clauses: vec![],
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}

fn plain_arguments(function: &Function) -> Vec<Expr> {
    let FunctionArguments::List(list) = &function.args else { return vec![] };
    let plain = list.args.iter().filter_map(|a| match a {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => Some(e.clone()),
        _ => None,
    });
    plain.collect()
}

/// The parts of a column's name.
fn column_parts(expression: &Expr) -> Option<Vec<Ident>> {
    match expression {
        Expr::Identifier(name) => Some(vec![name.clone()]),
        Expr::CompoundIdentifier(parts) => Some(parts.clone()),
        _ => None,
    }
}

fn column_name(expression: &Expr) -> Option<Ident> {
    column_parts(expression)?.pop()
}

fn place_of(expression: &Expr) -> Option<TextPlace> {
    let start = expression.span().start;
    (start.line > 0).then_some(TextPlace { line: start.line, column: start.column })
}

/// Those of the older form, which has no names for them: rows that came out of another window may
/// have columns of that name.
pub(crate) const GROUP_WINDOW_COLUMNS: [&str; 3] =
    ["(window_start)", "(window_end)", "(window_time)"];
