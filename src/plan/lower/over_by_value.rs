//! OVER ordered by a column that is no time: what of it Flink takes, and what an operator must know
//! of it.

use std::collections::BTreeSet;

use arrow::datatypes::DataType;
use datafusion_expr::expr::{WindowFunction, WindowFunctionParams};
use datafusion_expr::{ExprSchemable, Window};

use super::over::{self, Inputs};
use super::rank::NumberBound;
use super::{Fragment, Late, Lowering, PlanResult, Role, unsupported};
use crate::operator::aggregate::{Aggregate, Fixed, Function};
use crate::operator::over::by_value::ByValueSpec;
use crate::operator::over::{Frame, OverCall};
use crate::plan::physical::OperatorPlan;
use crate::state::key::is_key_type;

/// Whose a result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ResultOf {
    EachRow,
    /// Rows that compare equal share it.
    EqualRows,
}

fn result_of(function: &WindowFunction, call: &OverCall) -> PlanResult<ResultOf> {
    match (call, over::frame(function)?) {
        (OverCall::RowNumber, _) => Ok(ResultOf::EachRow),
        (OverCall::Rank, _) => Ok(ResultOf::EqualRows),
        (_, Frame::UnboundedRows) => Ok(ResultOf::EachRow),
        (_, Frame::UnboundedRange) => Ok(ResultOf::EqualRows),
        _ => unsupported(
            "a bounded frame of 'OVER' where rows are ordered by a column that is no time attribute, as in Flink",
        ),
    }
}

/// Flink keeps an accumulator for each row. Those it finds again wrong, or fails on, are refused.
fn check(function: &WindowFunction, call: &OverCall, of: ResultOf) -> PlanResult<()> {
    let name = || function.fun.name().to_uppercase();
    let aggregate = match call {
        OverCall::RowNumber | OverCall::Rank => return Ok(()),
        OverCall::Lag { .. } => {
            return unsupported("LAG ordered by a column that is no time attribute, as in Flink");
        }
        OverCall::Aggregate(aggregate) => aggregate,
    };
    if aggregate.distinct {
        return unsupported(format!(
            "DISTINCT in '{}' ordered by a column that is no time attribute: Flink counts a value again with each row",
            name()
        ));
    }
    use Function::{
        Avg, Count, FirstValue, LastValue, ListAgg, Max, Min, StddevPop, StddevSamp, Sum, VarPop,
        VarSamp,
    };
    match aggregate.function {
        Count | Sum | Avg | Min | Max | StddevPop | StddevSamp | VarPop | VarSamp => Ok(()),
        FirstValue | LastValue | ListAgg if of == ResultOf::EqualRows => Ok(()),
        FirstValue | LastValue | ListAgg => unsupported(format!(
            "'{}' over ROWS ordered by a column that is no time attribute, as in Flink",
            name()
        )),
        _ => unsupported(format!(
            "'{}' ordered by a column that is no time attribute, as in Flink",
            name()
        )),
    }
}

/// What Flink keeps beside the result of a function: when it changes, the row is sent again.
fn unseen(
    function: &WindowFunction,
    call: &OverCall,
    window: &Window,
) -> PlanResult<Option<Aggregate>> {
    let OverCall::Aggregate(aggregate) = call else { return Ok(None) };
    let counts = match aggregate.function {
        // It is NULL where its COUNT is 0, unless it cannot be.
        Function::Sum => match function.params.args.as_slice() {
            [argument] => argument.nullable(window.input.schema().as_ref())?,
            _ => true,
        },
        Function::Avg
        | Function::StddevPop
        | Function::StddevSamp
        | Function::VarPop
        | Function::VarSamp => true,
        _ => false,
    };
    Ok(counts.then(|| Aggregate {
        function: Function::Count,
        output_type: DataType::Int64,
        second: None,
        fixed: Fixed::Nothing,
        ..aggregate.clone()
    }))
}

impl Lowering<'_> {
    /// Functions with OVER in order of other values, kept up to date. `bound` is what a filter
    /// above says of a result.
    pub(super) fn over_by_value(
        &mut self,
        window: &Window,
        fragment: Fragment,
        bound: Option<&NumberBound>,
    ) -> PlanResult<Fragment> {
        let fragment = self.assign_windows(fragment, Late::Kept)?;
        let functions =
            window.window_expr.iter().map(over::function).collect::<PlanResult<Vec<_>>>()?;
        let Some(first) = functions.first() else { return unsupported("OVER without a function") };
        let WindowFunctionParams { order_by, .. } = &first.params;
        let [order] = order_by.as_slice() else {
            return unsupported("'OVER' is ordered by a single column, as in Flink");
        };
        if !order.asc {
            return unsupported("OVER is ordered in ascending order, as in Flink");
        }
        let mut inputs = Inputs::of(&fragment)?;
        let partition = inputs.partition(first)?;
        let (order_column, order_type) = inputs.column(&order.expr)?;
        if !is_key_type(&order_type) {
            return unsupported(format!(
                "OVER ordered by a value of type {order_type}: '{}'",
                order.expr
            ));
        }
        let (mut calls, mut frames, mut counts) = (Vec::new(), BTreeSet::new(), Vec::new());
        for function in functions {
            let call = over::over_call(function, &mut inputs)?;
            let of = result_of(function, &call)?;
            check(function, &call, of)?;
            if bound.is_some() && matches!(call, OverCall::Rank) {
                return unsupported(
                    "a Top-N by RANK or DENSE_RANK, as in Flink; ROW_NUMBER has it",
                );
            }
            counts.extend(unseen(function, &call, window)?);
            calls.push(call);
            frames.insert(of);
        }
        if frames.len() > 1 {
            return unsupported(
                "functions over ROWS and over RANGE in one query, as in Flink; ROW_NUMBER is one over ROWS",
            );
        }
        let by_arrival = !fragment.updates;
        if by_arrival {
            self.mark_arrivals();
        }
        let operator = self.next_operator();
        let (input, width, output) = self.with_results(window, &fragment, inputs, &calls);
        if let Some(field) =
            input.fields().iter().find(|f| fragment.updates && !is_key_type(f.data_type()))
        {
            return unsupported(format!(
                "OVER of rows that change with a column of type {}: '{}'",
                field.data_type(),
                field.name()
            ));
        }
        let mut roles = fragment.roles.clone();
        roles.resize(window.schema.fields().len(), Role::Plain);
        let (key, scattered) = (row_key(&fragment), fragment.scatters(&partition));
        let mut after = Fragment {
            schema: window.schema.clone(),
            roles,
            fired: None,
            key,
            updates: true,
            scattered,
            ..fragment
        };
        self.exchange(&mut after, partition.clone());
        let spec = ByValueSpec {
            operator,
            partition,
            order: order_column,
            nulls_first: order.nulls_first,
            by_row: frames.contains(&ResultOf::EachRow),
            calls,
            unseen: counts,
            by_arrival,
            ttl: self.config.state_ttl,
            input,
            width,
            output,
        };
        self.push(&after, OperatorPlan::OverByValue(spec));
        Ok(after)
    }
}

/// Columns that tell a row from all others: each comes out once.
fn row_key(fragment: &Fragment) -> Option<BTreeSet<usize>> {
    let mut key = fragment.key.clone()?;
    if let Some(fired) = &fragment.fired {
        let names = |role: &Role| match role {
            Role::WindowEnd | Role::WindowTime => true,
            Role::WindowStart => fired.start_is_unique(),
            Role::Plain | Role::SessionKey(_) | Role::Rank(_) | Role::RankKey(_) => false,
        };
        key.insert(fragment.roles.iter().position(names)?);
    } else if !fragment.updates {
        return None;
    }
    Some(key)
}
