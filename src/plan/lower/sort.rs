//! ORDER BY without LIMIT, and what batch mode makes of changes.
//!
//! A stream can be ordered by its rowtime alone, since only of time it is known what cannot come any
//! more. In batch mode the input ends: rows are ordered by anything then, and behind every operator
//! that takes rows back stands one that lets out those that are there at the end. So what always
//! holds in batch mode: no operator gets a row that is taken back.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, new_null_array};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use datafusion_expr::{Aggregate, Expr, LogicalPlan, Sort};

use super::rank::sort_columns;
use super::{Above, Fragment, Late, Lowering, PlanResult, check_columns, unsupported};
use crate::config::RuntimeMode;
use crate::operator::over::{Frame, OverSpec};
use crate::operator::sort::{AtEndSpec, ByTimeSpec, Slice};
use crate::plan::physical::OperatorPlan;
use crate::state::key::is_row_type;
use crate::state::packed::is_packable;

impl Lowering<'_> {
    pub(super) fn is_batch(&self) -> bool {
        self.config.mode == RuntimeMode::Batch
    }

    /// ORDER BY without LIMIT.
    pub(super) fn sort(&mut self, sort: &Sort) -> PlanResult<Fragment> {
        let fragment = self.plan(&sort.input, Above::default())?;
        let fragment = self.assign_windows(fragment, Late::Kept)?;
        let order = sort_columns(&fragment, &sort.expr)?;
        if self.is_batch() {
            return self.in_order_at_end(fragment, order, Slice::default());
        }
        match order.split_first() {
            Some(((time, options), then)) if !options.descending && !fragment.updates => {
                if fragment.is_rowtime(*time) {
                    return self.sort_by_time(fragment, *time, then.to_vec());
                }
                // By processing time they come in order.
                if fragment.is_proctime(*time) && then.is_empty() {
                    return Ok(fragment);
                }
            }
            _ => {}
        }
        unsupported(
            "'ORDER BY' of a stream has no end to wait for, unless it begins with the rowtime, ascending: add LIMIT, or SET \
             'execution.runtime-mode' = 'batch' if the input ends",
        )
    }

    /// Rows in order of their rowtime.
    fn sort_by_time(
        &mut self,
        fragment: Fragment,
        rowtime: usize,
        then: Vec<(usize, SortOptions)>,
    ) -> PlanResult<Fragment> {
        let input = fragment.arrow_schema()?;
        check_columns("ORDER BY of rows", &input, is_packable)?;
        self.mark_arrivals();
        let operator = self.next_operator();
        let mut after = fragment;
        self.exchange(&mut after, vec![]);
        let waiting = OverSpec {
            operator,
            frame: Frame::UnboundedRows,
            first_only: false,
            partition: vec![],
            rowtime,
            calls: vec![],
            width: input.fields().len(),
            output: input.clone(),
            input,
        };
        self.push(&after, OperatorPlan::SortByTime(ByTimeSpec { waiting, then }));
        Ok(after)
    }

    /// All rows of one worker, in order, once the input has ended.
    pub(super) fn in_order_at_end(
        &mut self,
        mut fragment: Fragment,
        order: Vec<(usize, SortOptions)>,
        slice: Slice,
    ) -> PlanResult<Fragment> {
        self.exchange(&mut fragment, vec![]);
        self.at_end(fragment, Some(order), slice, None)
    }

    /// The rows that are there once the input has ended. Each goes to the worker that its values say:
    /// those that add it and those that take it back come from the same operator of the same worker,
    /// in their order.
    pub(super) fn settled(
        &mut self,
        plan: &LogicalPlan,
        mut fragment: Fragment,
    ) -> PlanResult<Fragment> {
        let schema = fragment.arrow_schema()?;
        let if_empty = match plan {
            LogicalPlan::Aggregate(node) if node.group_expr.is_empty() => {
                Some(of_no_rows(node, &schema)?)
            }
            _ => None,
        };
        if if_empty.is_some() {
            // The worker that has rows without a key says what there is.
            self.exchange(&mut fragment, vec![]);
            return self.at_end(fragment, Some(vec![]), Slice::default(), if_empty);
        }
        let all = (0..schema.fields().len()).collect();
        self.exchange(&mut fragment, all);
        self.at_end(fragment, None, Slice::default(), None)
    }

    fn at_end(
        &mut self,
        fragment: Fragment,
        order: Option<Vec<(usize, SortOptions)>>,
        slice: Slice,
        if_empty: Option<RecordBatch>,
    ) -> PlanResult<Fragment> {
        let rows = fragment.arrow_schema()?;
        check_columns("a result in batch mode", &rows, is_row_type)?;
        let operator = self.next_operator();
        let spec = AtEndSpec { operator, order, slice, if_empty, rows };
        self.push(&fragment, OperatorPlan::AtEnd(spec));
        Ok(Fragment { updates: false, scattered: false, fired: None, ..fragment })
    }
}

/// What aggregates without keys give for no rows.
fn of_no_rows(node: &Aggregate, schema: &SchemaRef) -> PlanResult<RecordBatch> {
    let column = |(call, field): (&Expr, &FieldRef)| {
        let name = match call.clone().unalias() {
            Expr::AggregateFunction(call) => call.func.name().to_string(),
            _ => String::new(),
        };
        let of_text = |text: &str| Arc::new(StringArray::from(vec![text])) as ArrayRef;
        match (name.as_str(), field.data_type()) {
            ("count", DataType::Int64) => Arc::new(Int64Array::from(vec![0])),
            (name, DataType::Utf8) if name.starts_with("json_objectagg") => of_text("{}"),
            (name, DataType::Utf8) if name.starts_with("json_arrayagg") => of_text("[]"),
            (_, data_type) => new_null_array(data_type, 1),
        }
    };
    let columns = node.aggr_expr.iter().zip(schema.fields()).map(column).collect();
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}
