//! FOR SYSTEM_TIME AS OF a rowtime: rows with what a table said at their time.
//!
//! The right side is a table with a primary key, or rows of which one is kept for each key. What
//! always holds: the join names the whole key, so one version at most is in force for a left row.

use std::collections::BTreeSet;

use datafusion_common::JoinType;
use datafusion_expr::{Expr, Join, LogicalPlan};

use super::join::take_apart;
use super::{Fragment, Lowering, PlanResult, check_columns, unsupported};
use crate::operator::join::JoinKind;
use crate::operator::join::versioned::VersionedSpec;
use crate::plan::physical::OperatorPlan;
use crate::sql::catalog::PlannedTable;
use crate::state::key::is_row_type;

impl Lowering<'_> {
    /// `join` with the rowtimes of its sides.
    pub(super) fn versioned_join(
        &mut self,
        join: &Join,
        times: [&Expr; 2],
    ) -> PlanResult<Fragment> {
        let kind = match join.join_type {
            JoinType::Inner => JoinKind::Inner,
            JoinType::Left => JoinKind::Left,
            other => {
                return unsupported(format!(
                    "a {other} JOIN FOR SYSTEM_TIME AS OF: it is INNER or LEFT"
                ));
            }
        };
        let left = self.join_input(&join.left)?;
        let right = self.join_input(&join.right)?;
        let rowtime = |side: &Fragment, time: &Expr| match side.column_of(time)? {
            Some(column) if side.is_rowtime(column) => Ok(column),
            _ => unsupported(format!(
                "FOR SYSTEM_TIME AS OF '{time}', which is no rowtime here: rows of a JOIN without a bound in time come out long after it"
            )),
        };
        let rowtimes = [rowtime(&left, times[0])?, rowtime(&right, times[1])?];
        let mut condition = take_apart(join, &left, &right)?;
        condition.keys.append(&mut condition.bounds);
        check_key(&condition.keys, &right, declared_key(&join.right))?;
        let spec = self.join_spec(join, kind, condition, None, [&left, &right])?;
        for input in &spec.inputs {
            check_columns("a JOIN of versions", input, is_row_type)?;
        }
        let chain = self.meet(&spec, [&left, &right]);
        let after = Fragment {
            key: left.key.clone(),
            updates: left.updates,
            scattered: left.scatters(&spec.keys[0]),
            on_clock: left.on_clock,
            ..Fragment::new(chain, &join.schema)
        };
        self.push(&after, OperatorPlan::VersionedJoin(VersionedSpec { join: spec, rowtimes }));
        Ok(after)
    }
}

/// The primary key of a table that is the side of a join, as columns of its schema.
fn declared_key(side: &LogicalPlan) -> Option<BTreeSet<usize>> {
    match side {
        LogicalPlan::SubqueryAlias(alias) => declared_key(&alias.input),
        LogicalPlan::TableScan(scan) => {
            let PlannedTable(table) = scan.source.downcast_ref::<PlannedTable>()?;
            let column = |name: &String| {
                scan.projected_schema.fields().iter().position(|f| f.name() == name)
            };
            let key = table.primary_key.iter().map(column).collect::<Option<BTreeSet<usize>>>()?;
            (!key.is_empty()).then_some(key)
        }
        _ => None,
    }
}

/// Refuses a join that does not name the key of its right side.
fn check_key(
    keys: &[(Expr, Expr)],
    right: &Fragment,
    declared: Option<BTreeSet<usize>>,
) -> PlanResult<()> {
    let named = keys
        .iter()
        .filter_map(|(_, of_right)| right.column_of(of_right).transpose())
        .collect::<PlanResult<BTreeSet<usize>>>()?;
    let Some(key) = declared.or_else(|| right.key.clone()) else {
        return unsupported(
            "FOR SYSTEM_TIME AS OF a rowtime joins the versions of a table with a key, and this one is not known to have one: \
             declare PRIMARY KEY (...) NOT ENFORCED and name all of it in ON, or join a view that keeps one row for each key, with \
             ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts DESC) = 1",
        );
    };
    let missing: Vec<String> = key
        .difference(&named)
        .map(|&column| format!("'{}'", right.schema.field(column).name()))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    unsupported(format!(
        "FOR SYSTEM_TIME AS OF joins one version of a row: ON must have an equation for each column of the right side's key, and has \
         none for {}",
        missing.join(", ")
    ))
}
