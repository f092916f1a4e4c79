//! OVER: functions of the rows of a key up to each row, in order of the rowtime.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::expr::{AggregateFunction, AggregateFunctionParams, WindowFunction};
use datafusion_expr::{Expr, Window, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition};
use datafusion_physical_expr::PhysicalExpr;

use super::{
    Fragment, Late, Lowering, PlanResult, Role, check_columns, column_of, physical, unsupported,
};
use crate::operator::over::{Frame, OverCall, OverSpec};
use crate::plan::calls::{Call, strip_cast};
use crate::plan::physical::OperatorPlan;

use crate::sql::functions::ranks;
use crate::sql::window_tvf::interval_ms;
use crate::state::key::is_key_type;
use crate::state::packed::is_packable;

pub(super) fn function(expression: &Expr) -> PlanResult<&WindowFunction> {
    match expression {
        Expr::Alias(alias) => function(&alias.expr),
        Expr::WindowFunction(function) => Ok(function),
        other => unsupported(format!("'{other}'")),
    }
}

/// True if the only function of a node is a ROW_NUMBER.
pub(crate) fn is_row_number(window: &Window) -> bool {
    let [expression] = window.window_expr.as_slice() else { return false };
    function(expression).is_ok_and(|f| matches!(&f.fun, WindowFunctionDefinition::WindowUDF(f) if f.name() == ranks::ROW_NUMBER))
}

/// The columns of PARTITION BY; None if it computes some.
pub(crate) fn partition_columns(
    window: &Window,
    schema: &DFSchema,
) -> PlanResult<Option<BTreeSet<usize>>> {
    let Some(first) = window.window_expr.first() else { return Ok(None) };
    function(first)?.params.partition_by.iter().map(|e| column_of(e, schema)).collect()
}

/// True if PARTITION BY names the window of the rows.
pub(crate) fn names_window(window: &Window, schema: &DFSchema, roles: &[Role]) -> PlanResult<bool> {
    let columns = partition_columns(window, schema)?.unwrap_or_default();
    let has = |role| columns.iter().any(|&c| roles[c] == role);
    Ok(has(Role::WindowTime) || has(Role::WindowStart) && has(Role::WindowEnd))
}

/// The time attribute that the functions of a node are ordered by, ascending; None if it is none.
pub(crate) fn time_order(window: &Window, fragment: &Fragment) -> PlanResult<Option<usize>> {
    let Some(first) = window.window_expr.first() else { return Ok(None) };
    let [order] = function(first)?.params.order_by.as_slice() else { return Ok(None) };
    let Some(column) = fragment.column_of(&order.expr)? else { return Ok(None) };
    let is_time = fragment.is_rowtime(column) || fragment.is_proctime(column);
    Ok((order.asc && is_time).then_some(column))
}

/// Which rows of a key come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    All,
    /// Deduplication.
    First,
}

impl Lowering<'_> {
    /// Functions with OVER in order of a time attribute.
    pub(super) fn over(
        &mut self,
        window: &Window,
        fragment: Fragment,
        rowtime: usize,
        rows: Rows,
    ) -> PlanResult<Fragment> {
        let mut fragment = self.assign_windows(fragment, Late::Kept)?;
        if fragment.updates {
            return unsupported("OVER of rows that are updated is not supported yet");
        }
        let on_clock = fragment.is_proctime(rowtime);
        if on_clock {
            self.go_by_clock(&mut fragment, rowtime)?;
        }
        let functions = window.window_expr.iter().map(function).collect::<PlanResult<Vec<_>>>()?;
        let Some(first) = functions.first() else { return unsupported("OVER without a function") };
        let mut inputs = Inputs::of(&fragment)?;
        let partition = inputs.partition(first)?;
        let mut frame = frame(first)?;
        if on_clock && frame == Frame::UnboundedRange {
            // By processing time rows come one after the other: as in Flink none has peers (LAG
            // below likewise).
            frame = Frame::UnboundedRows;
        }
        let mut calls = Vec::new();
        for call in &functions {
            calls.push(over_call(call, &mut inputs)?);
        }
        let lags = calls.iter().filter_map(|c| {
            if let OverCall::Lag { offset, .. } = c { Some(*offset) } else { None }
        });
        if let Some(furthest) = lags.max() {
            if !calls.iter().all(|c| matches!(c, OverCall::Lag { .. })) {
                return unsupported(
                    "LAG beside other functions of the same OVER; put them into a subquery",
                );
            }
            frame = if on_clock {
                Frame::Rows { preceding: furthest }
            } else {
                Frame::RowsBeforePeers { preceding: furthest }
            };
        }
        if matches!(frame, Frame::Range { .. } | Frame::Rows { .. })
            && calls.iter().any(|c| matches!(c, OverCall::RowNumber | OverCall::Rank))
        {
            return unsupported("a rank over a bounded frame");
        }
        self.mark_arrivals();
        let operator = self.next_operator();
        let (input, width, output) = self.with_results(window, &fragment, inputs, &calls);
        let mut roles = fragment.roles.clone();
        roles.resize(window.schema.fields().len(), Role::Plain);
        let mut after = Fragment { schema: window.schema.clone(), roles, fired: None, ..fragment };
        self.exchange(&mut after, partition.clone());
        let first_only = rows == Rows::First;
        if first_only {
            after.key = partition_columns(window, &after.schema)?;
        }
        let spec = OverSpec {
            operator,
            frame,
            first_only,
            partition,
            rowtime,
            calls,
            input,
            width,
            output,
        };
        self.push(&after, OperatorPlan::Over(spec));
        Ok(after)
    }

    /// Computes what the functions read. Gives the columns that the operator gets, how many of them
    /// come out, and those with the results.
    pub(super) fn with_results(
        &mut self,
        window: &Window,
        fragment: &Fragment,
        inputs: Inputs,
        calls: &[OverCall],
    ) -> (SchemaRef, usize, SchemaRef) {
        let Inputs { fields, exprs, width, .. } = inputs;
        let types = calls.iter().map(|call| match call {
            OverCall::Aggregate(aggregate) => aggregate.output_type.clone(),
            OverCall::Lag { column, .. } => fields[*column].data_type().clone(),
            OverCall::RowNumber | OverCall::Rank => DataType::Int64,
        });
        let results = window
            .schema
            .fields()
            .iter()
            .skip(width)
            .zip(types)
            .map(|(f, t)| Field::new(f.name(), t, true));
        let output = Arc::new(Schema::new(
            fields[..width].iter().cloned().chain(results).collect::<Vec<_>>(),
        ));
        let input = Arc::new(Schema::new(fields));
        if exprs.len() > width {
            self.push(
                fragment,
                OperatorPlan::Calc {
                    predicate: None,
                    projection: Some(exprs),
                    output: input.clone(),
                },
            );
        }
        (input, width, output)
    }
}

/// The columns that an OVER reads: those that there are, then what it computes.
pub(super) struct Inputs {
    schema: DFSchema,
    fields: Vec<Field>,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    width: usize,
}

impl Inputs {
    pub(super) fn of(fragment: &Fragment) -> PlanResult<Inputs> {
        let schema = fragment.batch_schema()?;
        let fields: Vec<Field> = schema.fields().iter().map(|f| f.as_ref().clone()).collect();
        check_columns("OVER of rows", schema.inner(), is_packable)?;
        let exprs = schema
            .columns()
            .into_iter()
            .map(|c| physical(&Expr::Column(c), &schema))
            .collect::<PlanResult<Vec<_>>>()?;
        Ok(Inputs { schema, width: fields.len(), fields, exprs })
    }

    /// The number and the type of a column with the values of an expression.
    pub(super) fn column(&mut self, expression: &Expr) -> PlanResult<(usize, DataType)> {
        if let Expr::Column(c) = expression {
            let at = self.schema.index_of_column(c)?;
            return Ok((at, self.schema.field(at).data_type().clone()));
        }
        let expr = physical(expression, &self.schema)?;
        let data_type = expr.data_type(self.schema.inner())?;
        self.fields.push(Field::new(format!("over {}", self.exprs.len()), data_type.clone(), true));
        self.exprs.push(expr);
        Ok((self.exprs.len() - 1, data_type))
    }

    /// The columns of PARTITION BY.
    pub(super) fn partition(&mut self, function: &WindowFunction) -> PlanResult<Vec<usize>> {
        let mut partition = Vec::new();
        for key in &function.params.partition_by {
            let (at, data_type) = self.column(key)?;
            if !is_key_type(&data_type) {
                return unsupported(format!("PARTITION BY a value of type {data_type}: '{key}'"));
            }
            partition.push(at);
        }
        Ok(partition)
    }
}

pub(super) fn frame(function: &WindowFunction) -> PlanResult<Frame> {
    let frame = &function.params.window_frame;
    let unsupported_frame = || {
        unsupported(format!(
            "this frame of '{}' BETWEEN; a frame of ROWS begins at UNBOUNDED or a number PRECEDING, one of RANGE at UNBOUNDED or an \
             INTERVAL PRECEDING, and both end at CURRENT ROW",
            frame.units
        ))
    };
    if frame.end_bound != WindowFrameBound::CurrentRow {
        return unsupported_frame();
    }
    Ok(match (frame.units, &frame.start_bound) {
        (WindowFrameUnits::Range, bound) if bound.is_unbounded() => Frame::UnboundedRange,
        (WindowFrameUnits::Rows, bound) if bound.is_unbounded() => Frame::UnboundedRows,
        (WindowFrameUnits::Rows, WindowFrameBound::Preceding(ScalarValue::UInt64(Some(n))))
            if *n <= ROWS_MAX =>
        {
            Frame::Rows { preceding: *n as usize }
        }
        (WindowFrameUnits::Range, WindowFrameBound::Preceding(by)) => {
            match interval_ms(&Expr::Literal(by.clone(), None)) {
                Ok(preceding_ms) if preceding_ms >= 0 => Frame::Range { preceding_ms },
                _ => return unsupported_frame(),
            }
        }
        _ => return unsupported_frame(),
    })
}

/// Rows that a frame may reach back: they are kept for each key.
const ROWS_MAX: u64 = 1_000_000;

pub(super) fn over_call(function: &WindowFunction, inputs: &mut Inputs) -> PlanResult<OverCall> {
    let params = &function.params;
    match &function.fun {
        WindowFunctionDefinition::AggregateUDF(udf) => {
            let call = AggregateFunction {
                func: udf.clone(),
                params: AggregateFunctionParams {
                    args: params.args.clone(),
                    distinct: params.distinct,
                    filter: params.filter.clone(),
                    order_by: vec![],
                    null_treatment: params.null_treatment,
                },
            };
            if params.filter.is_some() {
                return unsupported("FILTER before OVER, as in Flink");
            }
            let call = Call::new(&call)?;
            let argument = call.argument.as_deref().map(|e| inputs.column(e)).transpose()?;
            let second = call.second.as_deref().map(|e| inputs.column(e)).transpose()?;
            Ok(OverCall::Aggregate(call.over(argument, second, None)?))
        }
        WindowFunctionDefinition::WindowUDF(udf) => match (udf.name(), params.args.as_slice()) {
            (ranks::ROW_NUMBER, _) => Ok(OverCall::RowNumber),
            (ranks::RANK | ranks::DENSE_RANK, _) => Ok(OverCall::Rank),
            (ranks::LAG, [value, rest @ ..]) if rest.len() <= 2 => {
                let offset = match rest.first().map(strip_cast) {
                    None => 1,
                    Some(Expr::Literal(n, _)) => match n.cast_to(&DataType::UInt64)? {
                        ScalarValue::UInt64(Some(n)) if n <= ROWS_MAX => n as usize,
                        _ => {
                            return unsupported("the second argument of 'LAG' is a number of rows");
                        }
                    },
                    Some(_) => return unsupported("the second argument of 'LAG' is a constant"),
                };
                let (at, data_type) = inputs.column(value)?;
                let default = match rest.get(1) {
                    Some(default) => {
                        let (default, default_type) = inputs.column(default)?;
                        if default_type != data_type {
                            return unsupported(
                                "the default of 'LAG' must have the type of its value; write a CAST",
                            );
                        }
                        Some(default)
                    }
                    None => None,
                };
                Ok(OverCall::Lag { column: at, offset, default })
            }
            (name, _) => unsupported(format!("'{}' with these arguments", name.to_uppercase())),
        },
    }
}
