//! UNION ALL: from several fragments to one chain that all of them feed.

use std::sync::Arc;

use datafusion_common::{Column, DFSchemaRef};
use datafusion_expr::{Expr, LogicalPlan};

use super::fragment::plain_schema;
use super::{
    Above, Fired, Fragment, Late, Lowering, OperatorPlan, PlanResult, Role, Route, physical,
};

impl Lowering<'_> {
    /// UNION ALL: rows of all inputs, each with the watermark of its own split. Columns go by
    /// position.
    pub(super) fn union(
        &mut self,
        inputs: &[Arc<LogicalPlan>],
        schema: &DFSchemaRef,
    ) -> PlanResult<Fragment> {
        let mut fragments = Vec::new();
        for input in inputs {
            let fragment = self.plan(input, Above::default())?;
            fragments.push(self.assign_windows(fragment, Late::Kept)?);
        }
        let same_role = |column: usize| {
            let mut roles = fragments.iter().map(|f| f.roles[column]);
            let first = roles.next().unwrap_or(Role::Plain);
            if roles.all(|role| role == first) { first } else { Role::Plain }
        };
        let roles = (0..schema.fields().len()).map(same_role).collect();
        let fired: Option<Vec<Fired>> = fragments.iter().map(|f| f.fired.clone()).collect();
        // Windows on different clocks, or of different shapes, are no windows together.
        let fired = fired.filter(|all| all.windows(2).all(|pair| pair[0] == pair[1]));
        let fired = fired.and_then(|all| all.into_iter().next());
        let output = plain_schema(schema)?;
        let mut ends = Vec::new();
        for fragment in &fragments {
            let batch_schema = fragment.batch_schema()?;
            if batch_schema.inner() != output.inner() {
                let all = batch_schema.iter().map(|(q, f)| {
                    physical(&Expr::Column(Column::new(q.cloned(), f.name())), &batch_schema)
                });
                let projection = Some(all.collect::<PlanResult<Vec<_>>>()?);
                self.push(
                    fragment,
                    OperatorPlan::Calc {
                        predicate: None,
                        projection,
                        output: output.inner().clone(),
                    },
                );
            }
            ends.push((fragment.chain, Route::Stay));
        }
        let (on_clock, updates) =
            (fragments.iter().any(|f| f.on_clock), fragments.iter().any(|f| f.updates));
        Ok(Fragment {
            roles,
            fired,
            on_clock,
            updates,
            ..Fragment::new(self.chains.join(ends), schema)
        })
    }
}
