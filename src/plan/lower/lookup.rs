//! Lookup joins: which equations of the condition make the key that a table is asked by, and what is looked at afterwards.
//!
//! What always holds: the key is the table's primary key or its first column; every other condition is looked at for each pair,
//! so the result does not depend on which equations have become the key.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion_common::{Column, DFSchema, JoinType, ScalarValue};
use datafusion_expr::utils::{conjunction, split_conjunction};
use datafusion_expr::{Expr, ExprSchemable, Join, LogicalPlan, Operator};

use super::rows::asks_marks;
use super::sources::source_plan;
use super::{Fragment, Lowering, PlanResult, Role, physical, unsupported};
use crate::lookup::LookupSpec;
use crate::operator::join::lookup::LookupJoinSpec;
use crate::plan::connectors::KnownConnectors;
use crate::plan::fingerprint;
use crate::plan::physical::{LookupPlan, OperatorPlan};
use crate::sql::catalog::{ColumnKind, PlannedLookup, Table};
use crate::sql::hints;

/// The table that is looked up, if the right side of a join is one.
pub(super) fn looked_up(plan: &LogicalPlan) -> Option<&Arc<Table>> {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => looked_up(&alias.input),
        LogicalPlan::TableScan(scan) => scan.source.downcast_ref::<PlannedLookup>().map(|PlannedLookup(table)| table),
        _ => None,
    }
}

/// The condition of a lookup join.
struct Condition {
    /// An expression over the left side for each column of the key.
    keys: Vec<Expr>,
    /// Over the left side alone.
    left: Vec<Expr>,
    rest: Vec<Expr>,
}

impl Lowering<'_> {
    pub(super) fn lookup_join(&mut self, join: &Join, table: &Arc<Table>) -> PlanResult<Fragment> {
        let name = hints::base_name(&table.name);
        let outer = match join.join_type {
            JoinType::Inner => false,
            JoinType::Left => true,
            other => return unsupported(format!("a {other} JOIN with '{name}': a lookup join is INNER or LEFT")),
        };
        check_table(table, self.connectors)?;
        let right = join.right.schema();
        let columns: Vec<usize> =
            right.fields().iter().filter_map(|f| table.columns.iter().position(|c| c.name == *f.name())).collect();
        for &column in &columns {
            if !matches!(table.columns[column].kind, ColumnKind::Physical) {
                let column = &table.columns[column].name;
                return unsupported(format!(
                    "column '{column}' of '{name}' is computed or metadata: such columns cannot be looked up"
                ));
            }
        }
        let condition = take_apart(join, table)?;
        for expression in condition.keys.iter().chain(&condition.left).chain(&condition.rest) {
            if asks_marks(expression)? {
                return unsupported(format!(
                    "the time of day in the ON of a lookup join with '{name}': compute it in a subquery before"
                ));
            }
        }
        let left = self.plan(&join.left)?;
        // A column of a window that is looked at must be there.
        let of_left = |c: &&Column| left.schema.has_column(c);
        let looked_at = condition.rest.iter().flat_map(Expr::column_refs).collect::<BTreeSet<_>>();
        let looked_at: Vec<Expr> = looked_at.into_iter().filter(of_left).map(|c| Expr::Column(c.clone()).is_not_null()).collect();
        let mut left = self.windows_for(left, condition.keys.iter().chain(&condition.left).chain(&looked_at))?;
        // Rows that cannot match need not be asked for.
        let mut rest = condition.rest;
        match conjunction(condition.left) {
            Some(of_left) if outer => rest.push(of_left),
            Some(of_left) => {
                let predicate = Some(physical(&of_left, &left.batch_schema()?)?);
                self.push(&left, OperatorPlan::Calc { predicate, projection: None, output: left.arrow_schema()? });
            }
            None => {}
        }
        let width = left.batch_schema()?.fields().len();
        let (keys, _) = self.key_columns(&left, &condition.keys)?;
        let before = width - usize::from(left.hidden_rowtime.is_some());
        let added = columns.len();
        left.rowtime = left.rowtime.map(|at| if at >= before { at + added } else { at });
        left.roles.extend(std::iter::repeat_n(Role::Plain, added));
        let schema = Arc::new(arrow::datatypes::Schema::new(
            right
                .fields()
                .iter()
                .map(|f| f.as_ref().clone().with_nullable(true).with_metadata(Default::default()))
                .collect::<Vec<_>>(),
        ));
        let primary_key = table.upsert_key().to_vec();
        let key_names = primary_key[..keys.len()].to_vec();
        // The condition names them, so they are among the columns.
        let key_indexes = key_names.iter().map(|key| schema.index_of(key)).collect::<Result<Vec<_>, _>>()?;
        let spec = LookupSpec { table: name.to_string(), keys: key_indexes, schema, primary_key };
        let is_unique = spec.is_unique();
        let to = Fragment { schema: join.schema.clone(), key: left.key.clone().filter(|_| is_unique), ..left };
        let condition = conjunction(rest).map(|c| physical(&c, &to.batch_schema()?)).transpose()?;
        let output = to.arrow_schema()?;
        let join =
            LookupJoinSpec { table: name.to_string(), key_names, keys, before, width, outer, condition, is_unique, output };
        self.push(&to, OperatorPlan::LookupJoin(join, self.lookups.len()));
        self.fingerprint.push_str(&format!("look up {name} {}\n", fingerprint::identity(table)));
        let key_columns = table.columns.iter().enumerate().filter(|(_, c)| spec.primary_key.contains(&c.name)).map(|(i, _)| i);
        let read: BTreeSet<usize> = columns.into_iter().chain(key_columns).collect();
        self.lookups.push(LookupPlan { source: source_plan(table, read)?, spec });
        Ok(to)
    }
}

fn check_table(table: &Table, connectors: &dyn KnownConnectors) -> PlanResult<()> {
    let name = hints::base_name(&table.name);
    if !connectors.uses(table.connector()).is_looked_up {
        return unsupported(format!(
            "table '{name}' ({}) cannot be looked up: FOR SYSTEM_TIME AS OF works with tables of the connector dynamodb",
            table.connector()
        ));
    }
    if table.upsert_key().is_empty() {
        return unsupported(format!(
            "table '{name}' is looked up by its key: add PRIMARY KEY (...) NOT ENFORCED to its columns, the partition key first"
        ));
    }
    Ok(())
}

fn take_apart(join: &Join, table: &Table) -> PlanResult<Condition> {
    let right = join.right.schema();
    let mut conjuncts: Vec<Expr> = join.on.iter().map(|(l, r)| l.clone().eq(r.clone())).collect();
    conjuncts.extend(join.filter.iter().flat_map(split_conjunction).cloned());
    let mut candidates: Vec<Option<(String, Expr)>> = Vec::new();
    for conjunct in &conjuncts {
        candidates.push(match conjunct {
            Expr::BinaryExpr(e) if e.op == Operator::Eq => {
                let one_way = equation(&e.left, &e.right, right, &join.schema)?;
                if one_way.is_some() { one_way } else { equation(&e.right, &e.left, right, &join.schema)? }
            }
            _ => None,
        });
    }
    let primary_key = table.upsert_key();
    let mut taken = vec![false; conjuncts.len()];
    let mut keys = Vec::new();
    for column in primary_key {
        let Some(at) = candidates.iter().position(|c| c.as_ref().is_some_and(|(name, _)| name == column)) else { break };
        taken[at] = true;
        keys.extend(candidates[at].take().map(|(_, value)| value));
    }
    if keys.is_empty() {
        let (name, key) = (hints::base_name(&table.name), &primary_key[0]);
        let rest = if primary_key.len() > 1 { ", and better to all of it" } else { "" };
        return unsupported(format!(
            "the lookup join with '{name}' needs in its ON an equation for '{key}', the first column of its key{rest}: \
             its column alone on one side, a value of the same type from the left table or a constant on the other (CAST it)"
        ));
    }
    let mut condition = Condition { keys, left: vec![], rest: vec![] };
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

/// `column = value`: a column of the table, and a value of its type that is known before the table is asked.
fn equation(column: &Expr, value: &Expr, right: &DFSchema, both: &DFSchema) -> PlanResult<Option<(String, Expr)>> {
    let Expr::Column(column) = column else { return Ok(None) };
    let of_right = |e: &Expr| e.column_refs().iter().any(|c| right.has_column(c));
    let Some(index) = right.maybe_index_of_column(column) else { return Ok(None) };
    if of_right(value) || value.get_type(both)? != *right.field(index).data_type() {
        return Ok(None);
    }
    Ok(Some((column.name.clone(), value.clone())))
}
