//! `r.*` of a ROW: its fields as columns. And names of items that only the columns in FROM decide.
//!
//! Only the planner knows which columns a FROM has, so `bind` plans the FROM of such a query once
//! more by itself. What always holds: a `*` of a table stays; a name that is neither table nor ROW
//! is left for the planner to refuse.

use std::ops::ControlFlow;

use arrow::datatypes::DataType;
use datafusion_common::{DFSchema, Result};
use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    Cte, Expr, Ident, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    TableFactor, VisitMut, VisitorMut, WildcardAdditionalOptions, With,
};

use super::item_names::{is_star, is_table, rename, tell_apart};

/// What the expansion asks of the binder.
pub(crate) trait Known {
    /// The columns of a query.
    fn schema_of(&self, query: Query) -> Result<DFSchema>;
    /// The columns of a table or view.
    fn has_column(&self, table: &str, column: &str) -> bool;
}

/// Puts the fields for each such `*`, and tells items apart that have the name of a column in a
/// `*`.
pub(crate) fn expand(query: &mut Query, known: &dyn Known) {
    let mut expander = Expander { known, with: Vec::new() };
    // The visit never breaks.
    let _ = query.visit(&mut expander);
}

struct Expander<'a> {
    known: &'a dyn Known,
    /// What the WITH of each query around declares.
    with: Vec<Vec<Cte>>,
}

impl VisitorMut for Expander<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(with) = &mut query.with {
            // Each sees those before it, and the query all of them as they then are.
            for one in 0..with.cte_tables.len() {
                self.with.push(with.cte_tables[..one].to_vec());
                let _ = with.cte_tables[one].query.visit(self);
                self.with.pop();
            }
        }
        self.with.push(query.with.iter().flat_map(|w| w.cte_tables.iter().cloned()).collect());
        ControlFlow::Continue(())
    }

    /// Queries in FROM have been seen to already.
    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let whole = query.clone();
        self.body(&mut query.body, &whole);
        self.with.pop();
        ControlFlow::Continue(())
    }
}

impl Expander<'_> {
    /// What all queries around declare; an inner name stands before an outer one.
    fn visible(&self) -> Option<With> {
        let mut cte_tables: Vec<Cte> = Vec::new();
        for cte in self.with.iter().rev().flat_map(|with| with.iter().rev()) {
            if cte_tables.iter().all(|c| c.alias.name.value != cte.alias.name.value) {
                cte_tables.push(cte.clone());
            }
        }
        cte_tables.reverse();
        (!cte_tables.is_empty()).then(|| With {
            with_token: AttachedToken::empty(),
            recursive: false,
            cte_tables,
        })
    }

    fn body(&self, body: &mut SetExpr, whole: &Query) {
        let select = match body {
            SetExpr::Select(select) => select,
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left, whole);
                return self.body(right, whole);
            }
            _ => return,
        };
        self.name_fields(select);
        let asks = select.projection.iter().any(|item| row_name(item, select).is_some())
            || (select.projection.len() > 1 && select.projection.iter().any(is_star));
        if !asks {
            return;
        }
        let mut rows_of =
            Query { body: Box::new(SetExpr::Select(Box::new(from_only(select)))), ..whole.clone() };
        rows_of.with = self.visible();
        rows_of.order_by = None;
        rows_of.limit_clause = None;
        let Ok(schema) = self.known.schema_of(rows_of) else { return };
        let mut items = Vec::new();
        for item in std::mem::take(&mut select.projection) {
            match row_name(&item, select).and_then(|name| fields(&name, &schema)) {
                Some(fields) => items.extend(fields),
                None => items.push(item),
            }
        }
        select.projection = tell_apart(items, |star| columns_of(star, &schema));
    }

    /// `r.f` where `r` is a table with a ROW of that name in it, and no column `f`.
    fn name_fields(&self, select: &mut Select) {
        let tables: Vec<Ident> = (select.from.iter())
            .flat_map(|t| std::iter::once(&t.relation).chain(t.joins.iter().map(|j| &j.relation)))
            .filter_map(|factor| match factor {
                TableFactor::Table { name, alias: None, .. } => {
                    name.0.last().and_then(|p| p.as_ident()).cloned()
                }
                _ => None,
            })
            .collect();
        for item in &mut select.projection {
            let SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) = &*item else { continue };
            let [table, field] = parts.as_slice() else { continue };
            let has = |column: &Ident| self.known.has_column(&table.value, &column.value);
            if tables.iter().any(|t| t.value == table.value) && has(table) && !has(field) {
                let name = field.value.clone();
                rename(item, name);
            }
        }
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

/// The columns that the `*` of all tables or of one stands for, each with its table.
fn columns_of(star: &SelectItem, schema: &DFSchema) -> Vec<Vec<Ident>> {
    let table = match star {
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
            name.0.last().and_then(|p| p.as_ident()).map(|n| n.value.as_str())
        }
        _ => None,
    };
    let stands = schema
        .iter()
        .filter(|(q, _)| table.is_none_or(|table| q.is_some_and(|q| q.table() == table)));
    let quoted = |name: &str| Ident::with_quote('`', name);
    stands
        .map(|(q, field)| {
            q.map(|q| quoted(q.table())).into_iter().chain([quoted(field.name())]).collect()
        })
        .collect()
}

/// The parts of the name before `.*`, if it is not that of a table in FROM.
fn row_name(item: &SelectItem, select: &Select) -> Option<Vec<Ident>> {
    let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) = item
    else {
        return None;
    };
    let parts: Vec<Ident> = name.0.iter().filter_map(|p| p.as_ident().cloned()).collect();
    let of_table = parts.len() == 1 && is_table(&parts[0], select);
    (!of_table).then_some(parts)
}

/// The fields of a row column as items; None if there is no such column.
fn fields(name: &[Ident], schema: &DFSchema) -> Option<Vec<SelectItem>> {
    let is = |qualifier: Option<&str>, column: &str| {
        schema
            .iter()
            .find(|(q, f)| {
                f.name() == column
                    && qualifier.is_none_or(|wanted| q.is_some_and(|q| q.table() == wanted))
            })
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
