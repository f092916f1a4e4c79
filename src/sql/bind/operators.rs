//! What do Flink's operators and forms mean where DataFusion's planner leaves them to extensions,
//! or means something else?
//!
//! Part of the planner's context (`names`). What always holds: operands that Flink's operators do
//! not take are refused here, before DataFusion finds a meaning for them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion_common::{Column, DFSchema, DataFusionError, Result as PlanResult, TableReference};
use datafusion_expr::expr::{AggregateFunction, AggregateFunctionParams};
use datafusion_expr::planner::{
    ExprPlanner, PlannerResult, RawAggregateExpr, RawBinaryExpr, RawWindowExpr,
};
use datafusion_expr::{
    AggregateUDF, Expr, ExprSchemable, Operator, ScalarUDF, WindowFunctionDefinition, lit,
};
use sqlparser::ast::BinaryOperator;

use crate::sql::flink_types::check_operands;
use crate::sql::functions::{Functions, interval_times, nested, ranks};
use crate::sql::window_tvf::interval_ms;

/// Flink's forms that DataFusion's planner leaves to extensions.
#[derive(Debug)]
pub(super) struct FlinkExprPlanner {
    time_plus: Option<Arc<ScalarUDF>>,
    /// FIRST_VALUE and LAST_VALUE.
    edges: Vec<Arc<AggregateUDF>>,
    interval_times: Option<Arc<ScalarUDF>>,
    field: Option<Arc<ScalarUDF>>,
}

impl FlinkExprPlanner {
    /// With the functions that stand for the forms; a form whose function is not there stays
    /// DataFusion's.
    pub(super) fn new(functions: &Functions) -> FlinkExprPlanner {
        FlinkExprPlanner {
            time_plus: functions.scalar("time_plus"),
            edges: ranks::EDGES.iter().filter_map(|name| functions.aggregate(name)).collect(),
            interval_times: functions.scalar(interval_times::NAME),
            field: functions.scalar(nested::FIELD),
        }
    }
}

/// DataFusion's name of an operator that Flink has too.
fn operator(op: &BinaryOperator) -> Option<Operator> {
    Some(match op {
        BinaryOperator::Plus => Operator::Plus,
        BinaryOperator::Minus => Operator::Minus,
        BinaryOperator::Multiply => Operator::Multiply,
        BinaryOperator::Divide => Operator::Divide,
        BinaryOperator::Modulo => Operator::Modulo,
        BinaryOperator::StringConcat => Operator::StringConcat,
        BinaryOperator::Eq => Operator::Eq,
        BinaryOperator::NotEq => Operator::NotEq,
        BinaryOperator::Lt => Operator::Lt,
        BinaryOperator::LtEq => Operator::LtEq,
        BinaryOperator::Gt => Operator::Gt,
        BinaryOperator::GtEq => Operator::GtEq,
        _ => return None,
    })
}

/// Whether a call counts rows: `COUNT(*)`, or COUNT without an argument.
fn counts_rows(name: &str, args: &[Expr]) -> bool {
    #[expect(deprecated, reason = "the wildcard is how COUNT(*) arrives here")]
    let of_rows = matches!(args, [] | [Expr::Wildcard { .. }]);
    name == "count" && of_rows
}

impl ExprPlanner for FlinkExprPlanner {
    /// Refuses operands that Flink's operators do not take, before DataFusion finds a meaning for
    /// them.
    fn plan_binary_op(
        &self,
        raw: RawBinaryExpr,
        schema: &DFSchema,
    ) -> PlanResult<PlannerResult<RawBinaryExpr>> {
        let Some(op) = operator(&raw.op) else { return Ok(PlannerResult::Original(raw)) };
        check_operands(op, &raw.op.to_string(), &raw.left, &raw.right, schema)?;
        // The sum of a TIME and an interval goes round the clock.
        if let (Operator::Plus | Operator::Minus, DataType::Time32(_)) =
            (op, raw.left.get_type(schema)?)
            && let Ok(ms) = interval_ms(&raw.right)
            && let Some(plus) = self.time_plus.clone()
        {
            let ms = if op == Operator::Minus { -ms } else { ms };
            return Ok(PlannerResult::Planned(plus.call(vec![raw.left, lit(ms)])));
        }
        if op == Operator::Multiply
            && let Some(times) = self.interval_times.clone()
        {
            let is_interval = |e: &Expr| {
                Ok::<_, DataFusionError>(matches!(e.get_type(schema)?, DataType::Interval(_)))
            };
            if is_interval(&raw.right)? {
                return Ok(PlannerResult::Planned(times.call(vec![raw.left, raw.right])));
            }
            if is_interval(&raw.left)? {
                return Ok(PlannerResult::Planned(times.call(vec![raw.right, raw.left])));
            }
        }
        Ok(PlannerResult::Original(raw))
    }

    /// COUNT(*) counts rows here too; FIRST_VALUE and LAST_VALUE are aggregates.
    fn plan_window(&self, mut raw: RawWindowExpr) -> PlanResult<PlannerResult<RawWindowExpr>> {
        let edge = match &raw.func_def {
            WindowFunctionDefinition::WindowUDF(udf) => {
                self.edges.iter().find(|e| e.name() == udf.name())
            }
            WindowFunctionDefinition::AggregateUDF(_) => None,
        };
        if let Some(edge) = edge {
            raw.func_def = WindowFunctionDefinition::AggregateUDF(edge.clone());
        }
        if counts_rows(raw.func_def.name(), &raw.args) {
            raw.args = vec![lit(1i64)];
        }
        Ok(PlannerResult::Original(raw))
    }

    /// `r.f`: a field of a ROW. A name that it does not have is found when the types are.
    fn plan_compound_identifier(
        &self,
        field: &Field,
        qualifier: Option<&TableReference>,
        nested: &[String],
    ) -> PlanResult<PlannerResult<Vec<Expr>>> {
        let Some(call) = &self.field else { return Ok(PlannerResult::Original(vec![])) };
        let row = Expr::Column(Column::new(qualifier.cloned(), field.name()));
        Ok(PlannerResult::Planned(
            nested.iter().fold(row, |row, name| call.call(vec![row, lit(name.as_str())])),
        ))
    }

    /// COUNT(*) counts rows: as COUNT of a constant.
    fn plan_aggregate(&self, raw: RawAggregateExpr) -> PlanResult<PlannerResult<RawAggregateExpr>> {
        if !counts_rows(raw.func.name(), &raw.args) {
            return Ok(PlannerResult::Original(raw));
        }
        let params = AggregateFunctionParams {
            args: vec![lit(1i64)],
            distinct: raw.distinct,
            filter: raw.filter,
            order_by: raw.order_by,
            null_treatment: raw.null_treatment,
        };
        Ok(PlannerResult::Planned(Expr::AggregateFunction(AggregateFunction {
            func: raw.func,
            params,
        })))
    }
}
