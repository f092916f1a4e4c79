//! INTERSECT ALL and EXCEPT ALL: how often is a row there?
//!
//! DataFusion plans INTERSECT and EXCEPT as joins by all columns, NULLs included, over distinct rows
//! of the left side; those are regular joins. With ALL the left rows are not distinct, and a join
//! would let out each of them or none: they are counted instead.

use std::collections::BTreeSet;

use datafusion_common::{JoinType, NullEquality};
use datafusion_expr::{Distinct, Join, LogicalPlan};

use super::{Fragment, Lowering, PlanResult, Route, check_columns, unsupported};
use crate::operator::join::multiset::{MultisetSpec, SetOperation};
use crate::plan::physical::OperatorPlan;
use crate::state::key::is_key_type;

/// What a join stands for, if it is a set operation that counts rows.
pub(super) fn set_operation(join: &Join) -> Option<SetOperation> {
    let by_all = join.null_equality == NullEquality::NullEqualsNull && join.filter.is_none();
    let is_distinct = matches!(join.left.as_ref(), LogicalPlan::Distinct(Distinct::All(_)));
    match join.join_type {
        _ if !by_all || is_distinct => None,
        JoinType::LeftSemi => Some(SetOperation::Intersect),
        JoinType::LeftAnti => Some(SetOperation::Except),
        _ => None,
    }
}

impl Lowering<'_> {
    pub(super) fn set_operation(
        &mut self,
        join: &Join,
        operation: SetOperation,
    ) -> PlanResult<Fragment> {
        let left = self.join_input(&join.left)?;
        let right = self.join_input(&join.right)?;
        let (schema, other) = (left.arrow_schema()?, right.arrow_schema()?);
        let types = |schema: &arrow::datatypes::Schema| -> Vec<arrow::datatypes::DataType> {
            schema.fields().iter().map(|f| f.data_type().clone()).collect()
        };
        if types(&schema) != types(&other) {
            return unsupported(
                "INTERSECT ALL or EXCEPT ALL of columns with different types: CAST those of one side to the types of the other",
            );
        }
        check_columns("INTERSECT ALL or EXCEPT ALL of rows", &schema, is_key_type)?;
        let all: Vec<usize> = (0..schema.fields().len()).collect();
        let route = || Route::Keys(all.clone());
        let chain = self.chains.join(vec![(left.chain, route()), (right.chain, route())]);
        let updates = left.updates || right.updates || operation == SetOperation::Except;
        let after = Fragment {
            key: None::<BTreeSet<usize>>,
            updates,
            scattered: false,
            on_clock: left.on_clock || right.on_clock,
            is_timeless: true,
            ..Fragment::new(chain, &join.schema)
        };
        let spec = MultisetSpec {
            operator: self.next_operator(),
            operation,
            ttl: self.config.state_ttl,
            output: after.arrow_schema()?,
        };
        self.push(&after, OperatorPlan::Multiset(spec));
        Ok(after)
    }
}
