//! The clauses of MATCH_RECOGNIZE that stand for themselves: PATTERN, PARTITION BY, ORDER BY, WITHIN.

use datafusion_common::{DFSchema, ExprSchema, Result, plan_err};
use datafusion_expr::planner::RelationPlannerContext;
use datafusion_expr::{Expr, LogicalPlan};
use sqlparser::ast::{
    Expr as SqlExpr, MatchRecognizePattern, MatchRecognizeSymbol, OrderByExpr,
    RepetitionQuantifier, SymbolDefinition,
};

use super::node::Order;
use crate::operator::pattern::automaton::{Automaton, Variable};
use crate::sql::catalog::{is_proctime, is_rowtime};
use crate::sql::window_tvf::interval_ms;

/// The variables of a PATTERN, in order.
pub(super) fn variables(pattern: &MatchRecognizePattern) -> Result<Vec<Variable>> {
    let parts = match pattern {
        MatchRecognizePattern::Concat(parts) => parts.as_slice(),
        single => std::slice::from_ref(single),
    };
    let variables = parts.iter().map(variable).collect::<Result<Vec<Variable>>>()?;
    for (at, variable) in variables.iter().enumerate() {
        if variables[..at].iter().any(|before| before.name == variable.name) {
            return plan_err!(
                "'{}' stands in the PATTERN twice: give the second one a name of its own",
                variable.name
            );
        }
    }
    match variables.last() {
        Some(last) if Automaton::is_greedy(last) => plan_err!(
            "'{}' is greedy and the last of the PATTERN, which never ends then, as in Flink: write {}+? or *?, or add a variable \
             behind it",
            last.name,
            last.name
        ),
        _ if variables.iter().all(|v| v.least == 0) => {
            plan_err!("the PATTERN matches no rows at all: one of its variables needs a row")
        }
        _ => Ok(variables),
    }
}

fn variable(pattern: &MatchRecognizePattern) -> Result<Variable> {
    use MatchRecognizePattern as P;
    let (pattern, reluctant) = match pattern {
        P::Repetition(inner, RepetitionQuantifier::AtMostOne)
            if matches!(inner.as_ref(), P::Repetition(..)) =>
        {
            (inner.as_ref(), true)
        }
        other => (other, false),
    };
    let (symbol, least, most) = match pattern {
        P::Repetition(inner, quantifier) => {
            let (least, most) = match quantifier {
                RepetitionQuantifier::ZeroOrMore => (0, None),
                RepetitionQuantifier::OneOrMore => (1, None),
                RepetitionQuantifier::AtMostOne => (0, Some(1)),
                RepetitionQuantifier::Exactly(n) => (*n, Some(*n)),
                RepetitionQuantifier::AtLeast(n) => (*n, None),
                RepetitionQuantifier::AtMost(n) => (0, Some(*n)),
                RepetitionQuantifier::Range(from, to) => (*from, Some(*to)),
            };
            (inner.as_ref(), least, most)
        }
        single => (single, 1, Some(1)),
    };
    let name = match symbol {
        P::Symbol(MatchRecognizeSymbol::Named(name)) => name.value.clone(),
        P::Symbol(_) => {
            return plan_err!("'^' and '$' in a PATTERN are not supported, as in Flink");
        }
        P::Exclude(_) => {
            return plan_err!("an exclusion in a PATTERN is not supported, as in Flink");
        }
        P::Permute(_) => return plan_err!("'PERMUTE' is not supported, as in Flink"),
        P::Alternation(_) => {
            return plan_err!(
                "'|' in a PATTERN is not supported, as in Flink: make it one variable whose condition has OR"
            );
        }
        P::Concat(_) | P::Group(_) => {
            return plan_err!("a group in a PATTERN is not supported, as in Flink");
        }
        P::Repetition(..) => return plan_err!("a quantifier behind a quantifier in a PATTERN"),
    };
    if most.is_some_and(|most| most == 0 || most < least) {
        return plan_err!("the quantifier of '{name}' in the PATTERN takes no rows");
    }
    let variable = Variable { name, least, most, greedy: !reluctant };
    if reluctant && (least, most) == (0, Some(1)) {
        return plan_err!(
            "'{}??' is not supported, as in Flink: write {}?",
            variable.name,
            variable.name
        );
    }
    Ok(variable)
}

/// The columns of PARTITION BY.
pub(super) fn partition(
    exprs: Vec<SqlExpr>,
    input: &LogicalPlan,
    context: &mut dyn RelationPlannerContext,
) -> Result<Vec<Expr>> {
    let mut columns = Vec::new();
    for expr in exprs {
        match context.sql_to_expr(expr, input.schema())? {
            column @ Expr::Column(_) => columns.push(column),
            other => {
                return plan_err!(
                    "PARTITION BY of MATCH_RECOGNIZE takes columns, not '{other}': compute it in a subquery"
                );
            }
        }
    }
    Ok(columns)
}

/// The columns of ORDER BY, of which the first is a time attribute.
pub(super) fn order(
    exprs: Vec<OrderByExpr>,
    input: &LogicalPlan,
    context: &mut dyn RelationPlannerContext,
) -> Result<Vec<Order>> {
    let mut order: Vec<Order> = Vec::new();
    for OrderByExpr { expr, options, .. } in exprs {
        let descending = options.asc == Some(false);
        let column = context.sql_to_expr(expr, input.schema())?;
        let Expr::Column(name) = &column else {
            return plan_err!("ORDER BY of MATCH_RECOGNIZE takes columns, not '{column}'");
        };
        let field = input.schema().field_from_column(name)?;
        if order.is_empty() && (descending || !is_rowtime(field) && !is_proctime(field)) {
            return plan_err!(
                "ORDER BY of MATCH_RECOGNIZE begins with a time attribute, ascending: '{}' is none. Declare WATERMARK FOR it",
                name.name
            );
        }
        let nulls_first = options.nulls_first.unwrap_or(!descending);
        order.push((column, arrow::compute::SortOptions { descending, nulls_first }));
    }
    if order.is_empty() {
        return plan_err!("MATCH_RECOGNIZE needs ORDER BY with a time attribute");
    }
    Ok(order)
}

/// The interval of WITHIN, ms.
pub(super) fn within_ms(
    within: Vec<SymbolDefinition>,
    context: &mut dyn RelationPlannerContext,
) -> Result<Option<i64>> {
    let Some(within) = within.into_iter().next() else { return Ok(None) };
    let interval = context.sql_to_expr(within.definition, &DFSchema::empty())?;
    match interval_ms(&interval) {
        Ok(ms) if ms > 0 => Ok(Some(ms)),
        Ok(_) => plan_err!("WITHIN takes an interval that is longer than nothing"),
        Err(reason) => plan_err!("WITHIN: {reason}"),
    }
}
