//! Hints behind SELECT: `SELECT /*+ STATE_TTL('o' = '1d'), LOOKUP('table' = 'd') */ ...`.
//!
//! [`check`] is called by `hints` where it meets one in the text, [`rewrite`] by `bind` for each
//! query. STATE_TTL reaches the plan as a second name of the relation that it speaks of, which
//! [`ttl_of`] reads where a join or an aggregation keeps the relation's rows. What always holds: a
//! hint names relations of its own FROM; of LOOKUP nothing changes a result, and what is of no
//! effect is told.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::Duration;

use datafusion_expr::LogicalPlan;
use sqlparser::ast::{
    Ident, OptimizerHintStyle, Query, Select, SetExpr, TableAlias, TableFactor, TableWithJoins,
    VisitMut, VisitorMut,
};
use sqlparser::tokenizer::{Token, Tokenizer};

use super::dialect::FlinkDialect;
use super::error::{SqlError, TextPlace};
use super::hinted_name::base_name;
use crate::config::duration;

/// Hints that choose among ways to the same result.
const HARMLESS: [&str; 5] =
    ["BROADCAST", "SHUFFLE_HASH", "SHUFFLE_MERGE", "NEST_LOOP", "MULTI_JOIN"];
const STATE_TTL: &str = "STATE_TTL";
const LOOKUP: &str = "LOOKUP";
/// Begins the second name of a relation with a state TTL, before its milliseconds. No SQL name does.
const MARK: &str = "(state ttl) ";
/// Begins the name of a subquery that has none, before its number.
const BLOCK: &str = "(subquery) ";

/// One hint.
struct Hint {
    /// In upper case.
    name: String,
    arguments: Vec<(String, String)>,
}

/// The options of LOOKUP with what they take, beside `table`.
const LOOKUP_OPTIONS: [(&str, Takes); 9] = [
    ("async", Takes::OneOf(&["true", "false"])),
    ("output-mode", Takes::OneOf(&["ordered", "allow_unordered"])),
    ("capacity", Takes::Number),
    ("timeout", Takes::Duration),
    ("retry-predicate", Takes::OneOf(&["lookup_miss"])),
    ("retry-strategy", Takes::OneOf(&["fixed_delay"])),
    ("fixed-delay", Takes::Duration),
    ("max-attempts", Takes::Number),
    ("shuffle", Takes::OneOf(&["true", "false"])),
];

#[derive(Clone, Copy)]
enum Takes {
    OneOf(&'static [&'static str]),
    Number,
    Duration,
}

/// Checks the hints of one comment. Returns what of them is of no effect, a sentence each.
pub(super) fn check(comment: &str) -> Result<Vec<String>, String> {
    let mut notes = Vec::new();
    for hint in parse(comment)? {
        match hint.name.as_str() {
            STATE_TTL => drop(ttls(&hint)?),
            LOOKUP => notes.extend(lookup(&hint)?),
            name if HARMLESS.contains(&name) => {}
            "OPTIONS" => return Err("the hint OPTIONS stands behind the name of a table".into()),
            name => {
                return Err(format!(
                    "the hint {name} is not supported; OPTIONS('key' = 'value') behind a table, STATE_TTL('table' = '1 d') and \
                     LOOKUP('table' = 'name') behind SELECT are"
                ));
            }
        }
    }
    Ok(notes)
}

/// `NAME('key' = 'value', name, ...), NAME(...)`.
fn parse(comment: &str) -> Result<Vec<Hint>, String> {
    let tokens = Tokenizer::new(&FlinkDialect, comment).tokenize().map_err(|e| e.to_string())?;
    let mut tokens = tokens.into_iter().filter(|t| !matches!(t, Token::Whitespace(_))).peekable();
    let mut hints = Vec::new();
    while let Some(token) = tokens.next() {
        let Token::Word(word) = token else {
            return Err(format!("a hint is NAME('key' = 'value', ...), not '{token}'"));
        };
        let mut hint = Hint { name: word.value.to_uppercase(), arguments: vec![] };
        let broken = |name: &str| format!("the hint {name}: write {name}('key' = 'value', ...)");
        if tokens.next_if_eq(&Token::LParen).is_some() {
            loop {
                let text = |token: Option<Token>| match token {
                    Some(Token::SingleQuotedString(text)) => Some(text),
                    Some(Token::Word(word)) => Some(word.value),
                    _ => None,
                };
                let key = text(tokens.next()).ok_or_else(|| broken(&hint.name))?;
                let value = match tokens.next_if_eq(&Token::Eq) {
                    Some(_) => text(tokens.next()).ok_or_else(|| broken(&hint.name))?,
                    None => String::new(),
                };
                hint.arguments.push((key, value));
                match tokens.next() {
                    Some(Token::Comma) => {}
                    Some(Token::RParen) => break,
                    _ => return Err(broken(&hint.name)),
                }
            }
        }
        hints.push(hint);
        tokens.next_if_eq(&Token::Comma);
    }
    Ok(hints)
}

/// How long rows of which relation are kept; zero: for ever.
fn ttls(hint: &Hint) -> Result<Vec<(String, Duration)>, String> {
    let one = |(table, ttl): &(String, String)| match duration(ttl) {
        Ok(kept) => Ok((table.clone(), kept)),
        Err(e) => Err(format!("the hint STATE_TTL: '{table}' = '{ttl}': {e}")),
    };
    if hint.arguments.is_empty() {
        return Err("the hint STATE_TTL: write STATE_TTL('table' = '1 d', ...)".into());
    }
    hint.arguments.iter().map(one).collect()
}

/// Checks the options of LOOKUP and says which do nothing here.
fn lookup(hint: &Hint) -> Result<Option<String>, String> {
    let table =
        table_of(hint).ok_or("the hint LOOKUP needs 'table': the table that is looked up")?;
    let mut without_effect = Vec::new();
    for (key, value) in hint.arguments.iter().filter(|(key, _)| key != "table") {
        let Some((_, takes)) = LOOKUP_OPTIONS.iter().find(|(name, _)| name == key) else {
            let known: Vec<&str> = LOOKUP_OPTIONS.iter().map(|(name, _)| *name).collect();
            return Err(format!(
                "the hint LOOKUP has no option '{key}' (options: table, {})",
                known.join(", ")
            ));
        };
        let lower = value.to_lowercase();
        let (fits, what) = match takes {
            Takes::OneOf(values) => (values.contains(&lower.as_str()), values.join(" or ")),
            Takes::Number => {
                (value.parse::<u32>().is_ok_and(|n| n > 0), "a whole number from 1 on".into())
            }
            Takes::Duration => {
                (duration(value).is_ok_and(|d| !d.is_zero()), "a duration such as '10 s'".into())
            }
        };
        if !fits {
            return Err(format!("the hint LOOKUP: '{key}' is {what}, not '{value}'"));
        }
        without_effect.push(format!("'{key}'"));
    }
    let has = |key: &str| hint.arguments.iter().any(|(known, _)| known == key);
    let retry = ["retry-predicate", "retry-strategy", "fixed-delay", "max-attempts"];
    let missing: Vec<&str> = retry.into_iter().filter(|key| !has(key)).collect();
    if !missing.is_empty() && missing.len() < retry.len() {
        return Err(format!(
            "the hint LOOKUP: '{}' {} missing: retries need '{}'",
            missing.join("', '"),
            if missing.len() == 1 { "is" } else { "are" },
            retry.join("', '")
        ));
    }
    Ok((!without_effect.is_empty()).then(|| {
        format!(
            "the hint LOOKUP of table '{table}': of no effect here: {} (rows are looked up many at a time and keep their order; a \
             key without a row is not asked for again)",
            without_effect.join(", ")
        )
    }))
}

fn table_of(hint: &Hint) -> Option<&str> {
    hint.arguments.iter().find(|(key, _)| key == "table").map(|(_, table)| table.as_str())
}

/// Gives the relations of a query the names that their state TTL reaches the plan by.
pub(crate) fn rewrite(query: &mut Query) -> Result<(), SqlError> {
    query.visit(&mut Rewriter).break_value().map_or(Ok(()), Err)
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = SqlError;

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        match body(&mut query.body) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn body(body: &mut SetExpr) -> Result<(), SqlError> {
    match body {
        SetExpr::Select(select) => of_select(select),
        SetExpr::SetOperation { left, right, .. } => {
            self::body(left)?;
            self::body(right)
        }
        _ => Ok(()),
    }
}

fn of_select(select: &mut Select) -> Result<(), SqlError> {
    close_blocks(select);
    // Of two hints about a relation the first says, within one hint the last.
    let mut marked: BTreeSet<String> = BTreeSet::new();
    let start = select.select_token.0.span.start;
    let place = (start.line > 0).then_some(TextPlace { line: start.line, column: start.column });
    for comment in std::mem::take(&mut select.optimizer_hints) {
        if comment.style != OptimizerHintStyle::MultiLine || !comment.prefix.is_empty() {
            continue;
        }
        let wrong = |message: String| SqlError::new(message).at(place);
        for hint in parse(&comment.text).map_err(wrong)? {
            match hint.name.as_str() {
                STATE_TTL => {
                    let of_hint: BTreeMap<String, Duration> =
                        ttls(&hint).map_err(wrong)?.into_iter().collect();
                    for (name, ttl) in of_hint {
                        let found = relation(&mut select.from, &name, &hint).map_err(wrong)?;
                        if marked.insert(name.clone()) {
                            mark(found, &name, ttl);
                        }
                    }
                }
                LOOKUP => {
                    let table = table_of(&hint).unwrap_or_default();
                    relation(&mut select.from, table, &hint).map_err(wrong)?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Gives subqueries without a name one where a hint of theirs would be taken for one of this SELECT.
fn close_blocks(select: &mut Select) {
    for (number, relation) in relations(&mut select.from).into_iter().enumerate() {
        let TableFactor::Derived { subquery, alias: alias @ None, .. } = relation else { continue };
        let SetExpr::Select(inner) = subquery.body.as_mut() else { continue };
        if relations(&mut inner.from).into_iter().any(|r| is_marked(r)) {
            let name = Ident::with_quote('`', format!("{BLOCK}{number}"));
            *alias = Some(TableAlias { explicit: true, name, columns: vec![], at: None });
        }
    }
}

fn is_marked(relation: &TableFactor) -> bool {
    let TableFactor::NestedJoin { table_with_joins, .. } = relation else { return false };
    let inner = &table_with_joins.relation;
    name_of(inner).is_some_and(|name| name.starts_with(MARK))
}

/// The relation of a FROM that a hint names.
fn relation<'a>(
    from: &'a mut [TableWithJoins],
    name: &str,
    hint: &Hint,
) -> Result<&'a mut TableFactor, String> {
    let is_named = |relation: &&mut TableFactor| name_of(relation).is_some_and(|own| own == name);
    let names: Vec<String> = relations(from).iter().filter_map(|r| name_of(r)).collect();
    relations(from).into_iter().find(is_named).ok_or_else(|| {
        let (kind, names) = (&hint.name, names.join(", "));
        format!("the hint {kind} names '{name}', which is not in the FROM of its SELECT ({names})")
    })
}

/// The relations of a FROM, those beside an UNNEST or under a MATCH_RECOGNIZE among them.
fn relations(from: &mut [TableWithJoins]) -> Vec<&mut TableFactor> {
    let mut all = Vec::new();
    from.iter_mut().for_each(|table| of_table(table, &mut all));
    all
}

fn of_table<'a>(table: &'a mut TableWithJoins, all: &mut Vec<&'a mut TableFactor>) {
    of_factor(&mut table.relation, all);
    table.joins.iter_mut().for_each(|join| of_factor(&mut join.relation, all));
}

fn of_factor<'a>(factor: &'a mut TableFactor, all: &mut Vec<&'a mut TableFactor>) {
    match factor {
        TableFactor::Unpivot { table, .. } | TableFactor::MatchRecognize { table, .. } => {
            of_factor(table, all);
        }
        TableFactor::NestedJoin { table_with_joins, alias: None } => {
            of_table(table_with_joins, all);
        }
        factor => all.push(factor),
    }
}

/// What columns of a relation are called by.
fn name_of(relation: &TableFactor) -> Option<String> {
    let (TableFactor::Table { alias, .. }
    | TableFactor::Derived { alias, .. }
    | TableFactor::TableFunction { alias, .. }
    | TableFactor::NestedJoin { alias, .. }) = relation
    else {
        return None;
    };
    match (alias, relation) {
        (Some(alias), _) => Some(alias.name.value.clone()),
        (None, TableFactor::Table { name, .. }) => {
            name.0.last().and_then(|n| n.as_ident()).map(|n| base_name(&n.value).to_string())
        }
        _ => None,
    }
}

/// Puts a relation into one that is called as it was, itself being called by its TTL.
fn mark(relation: &mut TableFactor, name: &str, ttl: Duration) {
    let (TableFactor::Table { alias, .. }
    | TableFactor::Derived { alias, .. }
    | TableFactor::TableFunction { alias, .. }
    | TableFactor::NestedJoin { alias, .. }) = &mut *relation
    else {
        return;
    };
    let called = |name: String| TableAlias {
        explicit: true,
        name: Ident::with_quote('`', name),
        columns: vec![],
        at: None,
    };
    let marked = called(format!("{MARK}{}", ttl.as_millis()));
    let outer = alias.replace(marked).unwrap_or_else(|| called(name.to_string()));
    let inner = TableWithJoins { relation: relation.clone(), joins: vec![] };
    *relation = TableFactor::NestedJoin { table_with_joins: Box::new(inner), alias: Some(outer) };
}

/// How long the rows of an input are kept where a join or an aggregation keeps them, if its relation
/// has a hint; None in it: for ever.
pub(crate) fn ttl_of(input: &LogicalPlan) -> Option<Option<Duration>> {
    let mut names = 0;
    let mut plan = input;
    loop {
        plan = match plan {
            LogicalPlan::Projection(node) => &node.input,
            LogicalPlan::Filter(node) => &node.input,
            LogicalPlan::SubqueryAlias(alias) => {
                if let Some(ms) = alias.alias.table().strip_prefix(MARK) {
                    let ttl = Duration::from_millis(ms.parse().ok()?);
                    return Some((!ttl.is_zero()).then_some(ttl));
                }
                names += 1;
                // What has another name below is a relation of another FROM.
                if names > 1 {
                    return None;
                }
                &alias.input
            }
            _ => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_checked_and_what_does_nothing_is_told() {
        let notes = check(
            "LOOKUP('table'='d', 'async'='true', 'capacity'='10'), STATE_TTL('a' = '1d', 'b'='12 h') BROADCAST(t)",
        );
        let notes = notes.expect("all are known");
        assert!(notes.len() == 1 && notes[0].contains("'async', 'capacity'"), "{notes:?}");
        assert_eq!(check("LOOKUP('table'='d')"), Ok(vec![]));
        for (hint, words) in [
            ("LOOKUP('async'='true')", "needs 'table'"),
            ("LOOKUP('table'='d', 'asinc'='true')", "no option 'asinc'"),
            ("LOOKUP('table'='d', 'async'='maybe')", "true or false, not 'maybe'"),
            ("LOOKUP('table'='d', 'timeout'='5 moons')", "a duration"),
            (
                "LOOKUP('table'='d', 'max-attempts'='3')",
                "'retry-predicate', 'retry-strategy', 'fixed-delay' are missing",
            ),
            ("STATE_TTL('a'='soon')", "'a' = 'soon'"),
            ("STATE_TTL", "write STATE_TTL("),
            ("STATE_TTL('a'", "the hint STATE_TTL"),
            ("FAST(a)", "the hint FAST is not supported"),
            ("OPTIONS('a'='b')", "behind the name of a table"),
        ] {
            let error = check(hint).expect_err(hint);
            assert!(error.contains(words), "{hint}: {error}");
        }
    }
}
