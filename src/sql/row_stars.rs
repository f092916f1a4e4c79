//! `r.*` of a ROW: its fields as columns.
//!
//! Only the planner knows which columns a FROM has, so `bind` plans the FROM of such a query once more by itself. What always
//! holds: a `*` of a table stays; a name that is neither table nor ROW is left for the planner to refuse.

use std::ops::ControlFlow;

use arrow::datatypes::DataType;
use datafusion_common::{DFSchema, Result};
use sqlparser::ast::{
    Expr, Ident, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableFactor, VisitMut, VisitorMut,
    WildcardAdditionalOptions, With,
};

/// Puts the fields for each such `*`. `schema_of` plans a query and says which columns it has.
pub fn expand(query: &mut Query, schema_of: &mut dyn FnMut(Query) -> Result<DFSchema>) {
    let mut expander = Expander { schema_of, with: Vec::new() };
    // The visit never breaks.
    let _ = query.visit(&mut expander);
}

struct Expander<'a> {
    schema_of: &'a mut dyn FnMut(Query) -> Result<DFSchema>,
    /// The WITH of each query around.
    with: Vec<Option<With>>,
}

impl VisitorMut for Expander<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.with.push(query.with.clone());
        let whole = query.clone();
        if let SetExpr::Select(select) = &mut *query.body
            && select.projection.iter().any(|item| row_name(item, select).is_some())
        {
            let mut rows_of = Query { body: Box::new(SetExpr::Select(Box::new(from_only(select)))), ..whole };
            rows_of.with = self.with.iter().rev().find_map(Clone::clone);
            rows_of.order_by = None;
            rows_of.limit_clause = None;
            if let Ok(schema) = (self.schema_of)(rows_of) {
                let items = std::mem::take(&mut select.projection);
                for item in items {
                    match row_name(&item, select).and_then(|name| fields(&name, &schema)) {
                        Some(fields) => select.projection.extend(fields),
                        None => select.projection.push(item),
                    }
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.with.pop();
        ControlFlow::Continue(())
    }
}

fn from_only(select: &Select) -> Select {
    Select {
        projection: vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())],
        selection: None,
        having: None,
        group_by: sqlparser::ast::GroupByExpr::Expressions(vec![], vec![]),
        ..select.clone()
    }
}

/// The parts of the name before `.*`, if it is not that of a table in FROM.
fn row_name(item: &SelectItem, select: &Select) -> Option<Vec<Ident>> {
    let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) = item else { return None };
    let parts: Vec<Ident> = name.0.iter().filter_map(|p| p.as_ident().cloned()).collect();
    let is_table = |factor: &TableFactor| match factor {
        TableFactor::Table { alias: None, name, .. } => {
            name.0.last().and_then(|p| p.as_ident()).is_some_and(|n| parts.len() == 1 && n.value == parts[0].value)
        }
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::TableFunction { alias: Some(alias), .. }
        | TableFactor::UNNEST { alias: Some(alias), .. } => parts.len() == 1 && alias.name.value == parts[0].value,
        _ => false,
    };
    let mut factors = select.from.iter().flat_map(|t| std::iter::once(&t.relation).chain(t.joins.iter().map(|j| &j.relation)));
    (!factors.any(is_table)).then_some(parts)
}

/// The fields of a row column as items; None if there is no such column.
fn fields(name: &[Ident], schema: &DFSchema) -> Option<Vec<SelectItem>> {
    let is = |qualifier: Option<&str>, column: &str| {
        schema
            .iter()
            .find(|(q, f)| f.name() == column && qualifier.is_none_or(|wanted| q.is_some_and(|q| q.table() == wanted)))
            .map(|(_, f)| f.data_type().clone())
    };
    // `t.r.q.*` or `r.q.*`.
    let (mut data_type, rest) = match name {
        [table, column, rest @ ..] if is(Some(&table.value), &column.value).is_some() => {
            (is(Some(&table.value), &column.value)?, rest)
        }
        [column, rest @ ..] => (is(None, &column.value)?, rest),
        [] => return None,
    };
    for part in rest {
        let DataType::Struct(fields) = &data_type else { return None };
        data_type = fields.iter().find(|f| *f.name() == part.value)?.data_type().clone();
    }
    let DataType::Struct(fields) = data_type else { return None };
    let item = |field: &str| {
        let field = Ident::with_quote('`', field);
        let mut parts = name.to_vec();
        parts.push(field.clone());
        SelectItem::ExprWithAlias { expr: Expr::CompoundIdentifier(parts), alias: field }
    };
    Some(fields.iter().map(|f| item(f.name())).collect())
}
