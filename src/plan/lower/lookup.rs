//! Lookup joins: which equations of the condition make the key that a table is asked by, and what
//! is looked at afterwards.
//!
//! What always holds: a table that can be asked by its key alone is asked by the primary key or its
//! first column, any other by all columns that have an equation; every other condition is looked at
//! for each pair, so the result does not depend on which equations have become the key.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema};
use datafusion_common::{Column, DFSchema, JoinType, ScalarValue};
use datafusion_expr::utils::{conjunction, split_conjunction};
use datafusion_expr::{Expr, ExprSchemable, Join, LogicalPlan, Operator};

use super::rows::asks_marks;
use super::sources::source_plan;
use super::{Above, Fragment, Lowering, PlanResult, Role, RowsUse, physical, unsupported};
use crate::lookup::LookupSpec;
use crate::operator::join::lookup::LookupJoinSpec;
use crate::plan::connectors::{Access, KnownConnectors};
use crate::plan::fingerprint;
use crate::plan::physical::{LookupPlan, OperatorPlan};
use crate::sql::catalog::{ColumnKind, PlannedLookup, Table};
use crate::sql::hints;

/// The table that is looked up, if the right side of a join is one.
pub(super) fn looked_up(plan: &LogicalPlan) -> Option<&Arc<Table>> {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => looked_up(&alias.input),
        LogicalPlan::TableScan(scan) => {
            scan.source.downcast_ref::<PlannedLookup>().map(|lookup| &lookup.table)
        }
        _ => None,
    }
}

/// The condition of a lookup join.
struct LookupCondition {
    /// The columns that the table is asked by.
    key_names: Vec<String>,
    /// An expression over the left side for each of them.
    keys: Vec<Expr>,
    /// Over the left side alone.
    left: Vec<Expr>,
    rest: Vec<Expr>,
}

/// A lookup join with what is known of it before its left side is lowered.
struct LookedUp<'a> {
    join: &'a Join,
    table: &'a Arc<Table>,
    /// Numbers of the table's columns that are read.
    columns: Vec<usize>,
    /// Left rows without a match come out too.
    outer: bool,
    asked_by: AskedBy,
}

/// Which columns a table can be asked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AskedBy {
    /// Those that its key begins with.
    Key,
    AnyColumns,
}

impl LookedUp<'_> {
    /// The name as the query writes it, without hints.
    fn name(&self) -> &str {
        hints::base_name(&self.table.name)
    }

    /// What identifies a row, as far as the declaration says.
    fn primary_key(&self) -> &[String] {
        match self.asked_by {
            AskedBy::Key => self.table.upsert_key(),
            // Rows of files may be partitioned by what many of them share.
            AskedBy::AnyColumns => &self.table.primary_key,
        }
    }

    /// How the table is asked by these columns.
    fn spec(&self, keys: &[String]) -> PlanResult<LookupSpec> {
        let plain =
            |f: &FieldRef| f.as_ref().clone().with_nullable(true).with_metadata(Default::default());
        let schema = Arc::new(Schema::new(
            self.join.right.schema().fields().iter().map(plain).collect::<Vec<_>>(),
        ));
        let primary_key = self.primary_key().to_vec();
        // The condition names them, so they are among the columns.
        let keys = keys.iter().map(|key| schema.index_of(key)).collect::<Result<Vec<_>, _>>()?;
        Ok(LookupSpec { table: self.name().to_string(), keys, schema, primary_key })
    }
}

impl Lowering<'_> {
    /// A join with a table that is asked for the rows of each left row.
    pub(super) fn lookup_join(
        &mut self,
        join: &Join,
        table: &Arc<Table>,
        rows_use: RowsUse,
    ) -> PlanResult<Fragment> {
        let looked_up = check_join(join, table, self.connectors)?;
        let LookupCondition { key_names, keys, left: of_left, rest } = take_apart(&looked_up)?;
        check_marks(looked_up.name(), keys.iter().chain(&of_left).chain(&rest))?;
        let left = self.plan(&join.left, Above::using(rows_use))?;
        // A column of a window that is looked at must be there.
        let has = |c: &&Column| left.schema.has_column(c);
        let looked_at = rest.iter().flat_map(Expr::column_refs).collect::<BTreeSet<_>>();
        let looked_at: Vec<Expr> = looked_at
            .into_iter()
            .filter(has)
            .map(|c| Expr::Column(c.clone()).is_not_null())
            .collect();
        let left = self.windows_for(left, keys.iter().chain(&of_left).chain(&looked_at))?;
        let rest = self.spare_lookups(&left, &looked_up, of_left, rest)?;
        self.look_up(looked_up, left, (key_names, keys), rest)
    }

    /// Leaves out rows that cannot match, which need not be asked for; where they come out anyway
    /// their condition is one of the pair. Returns what is looked at for each pair.
    fn spare_lookups(
        &mut self,
        left: &Fragment,
        looked_up: &LookedUp<'_>,
        of_left: Vec<Expr>,
        mut rest: Vec<Expr>,
    ) -> PlanResult<Vec<Expr>> {
        match conjunction(of_left) {
            Some(of_left) if looked_up.outer => rest.push(of_left),
            Some(of_left) => {
                let predicate = Some(physical(&of_left, &left.batch_schema()?)?);
                self.push(
                    left,
                    OperatorPlan::Calc {
                        predicate,
                        projection: None,
                        output: left.arrow_schema()?,
                    },
                );
            }
            None => {}
        }
        Ok(rest)
    }

    /// The operator that asks by the keys and looks at the rest, and the table among those that are
    /// asked.
    fn look_up(
        &mut self,
        looked_up: LookedUp<'_>,
        mut left: Fragment,
        (key_names, keys): (Vec<String>, Vec<Expr>),
        rest: Vec<Expr>,
    ) -> PlanResult<Fragment> {
        let width = left.batch_schema()?.fields().len();
        let (keys, _) = self.key_columns(&left, &keys)?;
        let before = width - usize::from(left.hidden_rowtime().is_some());
        let added = looked_up.columns.len();
        left.insert_columns(before, added);
        left.roles.extend(std::iter::repeat_n(Role::Plain, added));
        let spec = looked_up.spec(&key_names)?;
        let is_unique = spec.is_unique();
        let schema = looked_up.join.schema.clone();
        let to = Fragment { schema, key: left.key.clone().filter(|_| is_unique), ..left };
        let condition = conjunction(rest).map(|c| physical(&c, &to.batch_schema()?)).transpose()?;
        let table = looked_up.name().to_string();
        let (outer, output) = (looked_up.outer, to.arrow_schema()?);
        let join = LookupJoinSpec {
            table,
            key_names,
            keys,
            before,
            width,
            outer,
            condition,
            is_unique,
            output,
        };
        self.push(&to, OperatorPlan::LookupJoin(join, self.lookups.len()));
        let LookedUp { table, columns, .. } = &looked_up;
        self.fingerprint.push_str(&format!(
            "look up {} {}\n",
            looked_up.name(),
            fingerprint::identity(table)
        ));
        let key_columns = table
            .columns
            .iter()
            .enumerate()
            .filter(|(_, c)| spec.primary_key.contains(&c.name))
            .map(|(i, _)| i);
        let read: BTreeSet<usize> = columns.iter().copied().chain(key_columns).collect();
        self.lookups.push(LookupPlan { source: source_plan(table, read)?, spec });
        Ok(to)
    }
}

/// Refuses a join, a table or a column of it that cannot be looked up.
fn check_join<'a>(
    join: &'a Join,
    table: &'a Arc<Table>,
    connectors: &dyn KnownConnectors,
) -> PlanResult<LookedUp<'a>> {
    let name = hints::base_name(&table.name);
    let outer = match join.join_type {
        JoinType::Inner => false,
        JoinType::Left => true,
        other => {
            return unsupported(format!(
                "a {other} JOIN with '{name}': a lookup join is INNER or LEFT"
            ));
        }
    };
    let asked_by = check_table(table, connectors)?;
    let fields = join.right.schema().fields();
    let columns: Vec<usize> = fields
        .iter()
        .filter_map(|f| table.columns.iter().position(|c| c.name == *f.name()))
        .collect();
    debug_assert_eq!(columns.len(), fields.len(), "the right side has columns of the table alone");
    for column in columns.iter().map(|&column| &table.columns[column]) {
        if !matches!(column.kind, ColumnKind::Physical) {
            let column = &column.name;
            return unsupported(format!(
                "column '{column}' of '{name}' is computed or metadata: such columns cannot be looked up"
            ));
        }
    }
    Ok(LookedUp { join, table, columns, outer, asked_by })
}

/// Refuses what is not a column in the condition of a lookup join.
fn check_marks<'e>(name: &str, condition: impl Iterator<Item = &'e Expr>) -> PlanResult<()> {
    for expression in condition {
        if asks_marks(expression)? {
            return unsupported(format!(
                "the time of day in the ON of a lookup join with '{name}': compute it in a subquery before"
            ));
        }
    }
    Ok(())
}

/// Refuses a table that no connector looks up, or that has no key to do it by.
fn check_table(table: &Table, connectors: &dyn KnownConnectors) -> PlanResult<AskedBy> {
    let name = hints::base_name(&table.name);
    match connectors.uses(table).access {
        Access::Read => unsupported(format!(
            "table '{name}' ({}) cannot be looked up: FOR SYSTEM_TIME AS OF a processing time works with tables of the connectors \
             dynamodb, filesystem, faker and datagen",
            table.connector()
        )),
        Access::LookedUp if table.upsert_key().is_empty() => unsupported(format!(
            "table '{name}' is looked up by its key: add PRIMARY KEY (...) NOT ENFORCED to its columns, the partition key first"
        )),
        Access::LookedUp => Ok(AskedBy::Key),
        Access::Either => Ok(AskedBy::AnyColumns),
    }
}

/// Which equations make the key, and what is looked at on the left side or for each pair.
fn take_apart(looked_up: &LookedUp<'_>) -> PlanResult<LookupCondition> {
    let (join, table) = (looked_up.join, looked_up.table);
    let right = join.right.schema();
    let mut conjuncts: Vec<Expr> = join.on.iter().map(|(l, r)| l.clone().eq(r.clone())).collect();
    conjuncts.extend(join.filter.iter().flat_map(split_conjunction).cloned());
    let mut candidates: Vec<Option<(String, Expr)>> = Vec::new();
    for conjunct in &conjuncts {
        candidates.push(match conjunct {
            Expr::BinaryExpr(e) if e.op == Operator::Eq => {
                let one_way = equation(&e.left, &e.right, right, &join.schema)?;
                if one_way.is_some() {
                    one_way
                } else {
                    equation(&e.right, &e.left, right, &join.schema)?
                }
            }
            _ => None,
        });
    }
    let asked: Vec<&String> = match looked_up.asked_by {
        AskedBy::Key => table.upsert_key().iter().collect(),
        AskedBy::AnyColumns => table.columns.iter().map(|c| &c.name).collect(),
    };
    let mut taken = vec![false; conjuncts.len()];
    let (mut key_names, mut keys) = (Vec::new(), Vec::new());
    for column in asked {
        let found =
            candidates.iter().position(|c| c.as_ref().is_some_and(|(name, _)| name == column));
        let Some(at) = found else {
            match looked_up.asked_by {
                AskedBy::Key => break,
                AskedBy::AnyColumns => continue,
            }
        };
        taken[at] = true;
        key_names.push(column.clone());
        keys.extend(candidates[at].take().map(|(_, value)| value));
    }
    if keys.is_empty() {
        return unsupported(without_key(looked_up));
    }
    let mut condition = LookupCondition { key_names, keys, left: vec![], rest: vec![] };
    for (conjunct, _) in conjuncts.into_iter().zip(taken).filter(|(_, taken)| !taken) {
        let is_true = matches!(&conjunct, Expr::Literal(ScalarValue::Boolean(Some(true)), _));
        let of_left = !conjunct.column_refs().iter().any(|c| right.has_column(c));
        match (is_true, of_left) {
            (true, _) => {}
            (_, true) => condition.left.push(conjunct),
            _ => condition.rest.push(conjunct),
        }
    }
    Ok(condition)
}

fn without_key(looked_up: &LookedUp<'_>) -> String {
    let which = match looked_up.asked_by {
        AskedBy::Key => {
            let key = looked_up.primary_key();
            let rest = if key.len() > 1 { ", and better to all of it" } else { "" };
            format!("for '{}', the first column of its key{rest}", key[0])
        }
        AskedBy::AnyColumns => "for one of its columns".to_string(),
    };
    format!(
        "the lookup join with '{}' needs in its ON an equation {which}: its column alone on one side, a value of the same type \
         from the left table or a constant on the other (CAST it)",
        looked_up.name()
    )
}

/// `column = value`: a column of the table, and a value of its type that is known before the table
/// is asked.
fn equation(
    column: &Expr,
    value: &Expr,
    right: &DFSchema,
    both: &DFSchema,
) -> PlanResult<Option<(String, Expr)>> {
    let Expr::Column(column) = column else { return Ok(None) };
    let of_right = |e: &Expr| e.column_refs().iter().any(|c| right.has_column(c));
    let Some(index) = right.maybe_index_of_column(column) else { return Ok(None) };
    if of_right(value) || value.get_type(both)? != *right.field(index).data_type() {
        return Ok(None);
    }
    Ok(Some((column.name.clone(), value.clone())))
}
