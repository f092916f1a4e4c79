//! What are the columns of a SELECT called? As in Flink: by the column or field that stands there,
//! else `EXPR$0`.
//!
//! Called by `rewrite` for every query, before forms of Flink's become calls, and by `row_stars`,
//! which asks what is a table. What always holds: no two items of a SELECT have one name (`k`,
//! `k0`); parentheses around a name change nothing; `r.f` is called `f`, whether `r` is a ROW or a
//! table.

use std::mem;

use sqlparser::ast::{Expr, Ident, Select, SelectItem, SetExpr, TableFactor, Value};

/// Names the items of a SELECT, or of all that are put together.
pub fn give(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => {
            let mut items = mem::take(&mut select.projection);
            // What is behind a `*` shows later: then they are told apart.
            let mut taken = (!items.iter().any(is_star)).then(Vec::new);
            for (index, item) in items.iter_mut().enumerate() {
                name(item, index, select, &mut taken);
            }
            select.projection = items;
        }
        SetExpr::SetOperation { left, right, .. } => {
            give(left);
            give(right);
        }
        _ => {}
    }
}

pub(crate) fn is_star(item: &SelectItem) -> bool {
    matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
}

fn name(item: &mut SelectItem, index: usize, select: &Select, taken: &mut Option<Vec<String>>) {
    let (name, as_it_is) = match &*item {
        SelectItem::UnnamedExpr(expression) => match name_of(expression) {
            // The planner calls a column of a table what it is called; of a field it does not know
            // that.
            Some((name, path)) => {
                (name, path.len() == 1 || (path.len() == 2 && is_table(&path[0], select)))
            }
            None => (format!("EXPR${index}"), false),
        },
        SelectItem::ExprWithAlias { alias, .. } => (alias.value.clone(), true),
        _ => return,
    };
    let unique = taken.as_ref().map_or_else(|| name.clone(), |taken| unique(&name, taken));
    let keeps = as_it_is && unique == name;
    taken.iter_mut().for_each(|taken| taken.push(unique.clone()));
    if !keeps {
        rename(item, unique);
    }
}

/// The name that stands in a SELECT, and all its parts.
fn name_of(expression: &Expr) -> Option<(String, &[Ident])> {
    match expression {
        Expr::Nested(inner) => name_of(inner),
        Expr::Identifier(name) => Some((name.value.clone(), std::slice::from_ref(name))),
        Expr::CompoundIdentifier(parts) => Some((parts.last()?.value.clone(), parts)),
        _ => None,
    }
}

fn unique(name: &str, taken: &[String]) -> String {
    let numbered = (0..).map(|number| format!("{name}{number}"));
    std::iter::once(name.to_string())
        .chain(numbered)
        .find(|n| !taken.contains(n))
        .unwrap_or_default()
}

/// Gives other names to items that are called like one before them. `of_star` says which columns a
/// `*` stands for: they take its place if one of them needs another name.
pub(crate) fn tell_apart(
    items: Vec<SelectItem>,
    of_star: impl Fn(&SelectItem) -> Vec<Vec<Ident>>,
) -> Vec<SelectItem> {
    let mut taken: Vec<String> = Vec::new();
    let mut out = Vec::new();
    let put = |mut item: SelectItem, name: String, taken: &mut Vec<String>| {
        let unique = unique(&name, taken);
        taken.push(unique.clone());
        let keeps = match &item {
            SelectItem::ExprWithAlias { alias, .. } => alias.value == unique,
            _ => unique == name,
        };
        if !keeps {
            rename(&mut item, unique);
        }
        item
    };
    for item in items {
        let name = match &item {
            SelectItem::UnnamedExpr(expression) => name_of(expression).map(|(name, _)| name),
            SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
            star => {
                let columns = of_star(star);
                let names = || columns.iter().filter_map(|c| c.last()).map(|n| n.value.clone());
                if names().any(|name| taken.contains(&name)) {
                    for (column, name) in columns.iter().zip(names()) {
                        let column = match column.as_slice() {
                            [name] => Expr::Identifier(name.clone()),
                            _ => Expr::CompoundIdentifier(column.clone()),
                        };
                        out.push(put(SelectItem::UnnamedExpr(column), name, &mut taken));
                    }
                    continue;
                }
                taken.extend(names());
                None
            }
        };
        out.push(match name {
            Some(name) => put(item, name, &mut taken),
            None => item,
        });
    }
    out
}

/// The names of all columns, each once; None if they are already.
pub(crate) fn each_once<'a>(names: impl Iterator<Item = &'a str>) -> Option<Vec<String>> {
    let mut taken: Vec<String> = Vec::new();
    let mut changed = false;
    for name in names {
        let unique = unique(name, &taken);
        changed |= unique != name;
        taken.push(unique);
    }
    changed.then_some(taken)
}

/// Gives an item that has an expression another name.
pub fn rename(item: &mut SelectItem, name: String) {
    let placeholder = SelectItem::UnnamedExpr(Expr::Value(Value::Null.into()));
    *item = match mem::replace(item, placeholder) {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
            SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('`', name) }
        }
        other => other,
    };
}

/// True for the name of a table in FROM.
pub(crate) fn is_table(name: &Ident, select: &Select) -> bool {
    fn named(factor: &TableFactor, name: &str) -> bool {
        match factor {
            TableFactor::Table { alias: None, name: table, .. } => {
                table.0.last().and_then(|p| p.as_ident()).is_some_and(|n| n.value == name)
            }
            TableFactor::Table { alias: Some(alias), .. }
            | TableFactor::Derived { alias: Some(alias), .. }
            | TableFactor::TableFunction { alias: Some(alias), .. }
            | TableFactor::UNNEST { alias: Some(alias), .. }
            | TableFactor::Function { alias: Some(alias), .. } => alias.name.value == name,
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                named(&table_with_joins.relation, name)
                    || table_with_joins.joins.iter().any(|j| named(&j.relation, name))
            }
            TableFactor::NestedJoin { alias: Some(alias), .. } => alias.name.value == name,
            _ => false,
        }
    }
    let mut factors = select
        .from
        .iter()
        .flat_map(|t| std::iter::once(&t.relation).chain(t.joins.iter().map(|j| &j.relation)));
    factors.any(|factor| named(factor, &name.value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse::parse;
    use crate::sql::statement::Statement;

    /// The names that the items of a SELECT get; `-` is one that the planner gives.
    fn names(sql: &str) -> Vec<String> {
        let parsed = parse(sql).unwrap().statements;
        let Statement::Select(query) = &parsed[0].statement else { panic!("{sql}") };
        let SetExpr::Select(select) = &*query.body else { panic!("{sql}") };
        let name = |item: &SelectItem| match item {
            SelectItem::ExprWithAlias { alias, .. } => alias.value.clone(),
            _ => "-".to_string(),
        };
        select.projection.iter().map(name).collect()
    }

    #[test]
    fn names_seen_in_flink() {
        for (items, expected) in [
            ("r.a", "a"),
            ("t.r.a, q.r.b.c", "a c"),
            ("t.id, q.id", "- id0"),
            ("r.a, id, r.a AS a, r.a", "a - a0 a1"),
            ("r.a AS a0, r.a, r.a", "a0 a a1"),
            ("(id), ((k))", "- -"),
            ("(r.a), ((r.b.c))", "a c"),
            ("(r).a, (r.b).c, ar[1].p", "EXPR$0 EXPR$1 EXPR$2"),
            ("id + 1, id, -id", "EXPR$0 - EXPR$2"),
            ("id AS `EXPR$1`, id + 1, id + 2", "EXPR$1 EXPR$10 EXPR$2"),
            ("id, id, id0", "- id0 id00"),
            ("`x y`.`p q`", "p q"),
        ] {
            let all = names(&format!("SELECT {items} FROM t JOIN u AS q ON TRUE"));
            assert_eq!(all.join(" "), expected, "{items}");
        }
    }

    #[test]
    fn tables_of_every_form_are_known() {
        for from in [
            "x",
            "y AS x",
            "(SELECT * FROM y) AS x",
            "y, x",
            "y JOIN x ON TRUE",
            "(y CROSS JOIN x)",
        ] {
            assert_eq!(names(&format!("SELECT x.a FROM {from}")), ["-"], "{from}");
            assert_eq!(names(&format!("SELECT z.a FROM {from}")), ["a"], "{from}");
        }
    }
}
