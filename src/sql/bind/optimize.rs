//! Which of DataFusion's rules does a plan go through before it is lowered?
//!
//! Those that resolve and check, and the few that a stream can do with. What always holds: no rule
//! that assumes batch operators is among them, and the columns of a plan stay as they are.

use std::sync::Arc;

use datafusion_common::Result;
use datafusion_common::config::ConfigOptions;
use datafusion_expr::LogicalPlan;
use datafusion_optimizer::analyzer::resolve_grouping_function::ResolveGroupingFunction;
use datafusion_optimizer::analyzer::type_coercion::TypeCoercion;
use datafusion_optimizer::analyzer::{Analyzer, AnalyzerRule};
use datafusion_optimizer::decorrelate_lateral_join::DecorrelateLateralJoin;
use datafusion_optimizer::decorrelate_predicate_subquery::DecorrelatePredicateSubquery;
use datafusion_optimizer::optimize_projections::OptimizeProjections;
use datafusion_optimizer::scalar_subquery_to_join::ScalarSubqueryToJoin;
use datafusion_optimizer::{Optimizer, OptimizerContext, OptimizerRule};

use crate::sql::{join_filters, lateral, rank_keys, subquery_conditions};

/// The plan with subqueries as joins, conditions at their joins, and without columns that nobody
/// reads.
pub(super) fn optimize(plan: LogicalPlan) -> Result<LogicalPlan> {
    let width = plan.schema().fields().len();
    let rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> =
        vec![Arc::new(ResolveGroupingFunction::new()), Arc::new(TypeCoercion::new())];
    let plan = Analyzer::with_rules(rules).execute_and_check(
        subquery_conditions::turn(plan)?,
        &ConfigOptions::default(),
        |_, _| {},
    )?;
    let by = |rule: Arc<dyn OptimizerRule + Send + Sync>, plan| {
        let mut options = ConfigOptions::default();
        // A stream's value changes: all subqueries are joined.
        options.optimizer.enable_physical_uncorrelated_scalar_subquery = false;
        let context = OptimizerContext::new_with_config_options(Arc::new(options));
        Optimizer::with_rules(vec![rule]).optimize(plan, &context, |_, _| {})
    };
    // LATERAL becomes a join.
    let plan = by(Arc::new(DecorrelateLateralJoin::new()), lateral::as_flink_joins(plan)?)?;
    lateral::check(&plan)?;
    // IN and EXISTS become joins, and so do subqueries with one value.
    let plan = by(Arc::new(DecorrelatePredicateSubquery::new()), plan)?;
    let plan = by(Arc::new(ScalarSubqueryToJoin::new()), plan)?;
    let plan = rank_keys::as_columns(join_filters::gather(plan)?)?;
    // Column pruning alone. The other rules assume batch operators: one turns COUNT(DISTINCT x)
    // into two aggregations.
    let plan = by(Arc::new(OptimizeProjections::new()), plan)?;
    debug_assert_eq!(
        plan.schema().fields().len(),
        width,
        "a sink takes the columns of its query by position"
    );
    Ok(plan)
}
