//! ROW_NUMBER with a bound: within windows, or kept up to date.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion_expr::Window;
use datafusion_expr::expr::WindowFunctionParams;

use super::rank::{NumberBound, sort_columns};
use super::{Fragment, Lowering, PlanResult, Role, over, unsupported};
use crate::operator::top_n::{TopNSpec, TopNStage};
use crate::plan::physical::OperatorPlan;
use crate::sql::catalog::is_rowtime;
use crate::state::packed::is_packable;
use crate::types::sql_name;

impl Lowering<'_> {
    pub(super) fn top_n(&mut self, fragment: Fragment, window: &Window, bound: NumberBound) -> PlanResult<Fragment> {
        let schema = &window.schema;
        let [expression] = window.window_expr.as_slice() else { return unsupported("several functions beside a Top-N") };
        let WindowFunctionParams { partition_by, order_by, .. } = &over::function(expression)?.params;
        let partition = partition_by.iter().map(|e| fragment.column_of(e)).collect::<PlanResult<Option<Vec<_>>>>()?;
        let Some(partition) = partition else {
            return unsupported("PARTITION BY of 'ROW_NUMBER' takes columns; compute others in a subquery");
        };
        let has = |role| partition.iter().any(|&c| fragment.roles[c] == role);
        let is_in_windows = has(Role::WindowTime) || has(Role::WindowStart) && has(Role::WindowEnd);
        let fragment = self.assign_windows(fragment, is_in_windows)?;
        let mut order = sort_columns(&fragment, order_by)?;
        let zone = match &fragment.fired {
            Some(fired) if is_in_windows && !fragment.updates => fired.zone.clone(),
            _ => {
                self.number_is_bound = true;
                return self.rank(fragment, partition, order, &bound, schema, true);
            }
        };
        let limit = bound.end;
        let input = fragment.arrow_schema()?;
        // The first or last row of a key in event time: of several at once, the one that came first or last.
        let by_time = |c: usize| is_rowtime(fragment.schema.field(c));
        let by_arrival = limit == 1 && order.len() == 1 && by_time(order[0].0);
        if let Some(field) = input.fields().iter().find(|f| !is_packable(f.data_type())) {
            return unsupported(format!(
                "a Top-N of rows with a column of type {}: '{}'",
                sql_name(field.data_type()),
                field.name()
            ));
        }
        self.operators += 1;
        let mut output = input.fields().to_vec();
        let mut input = input;
        if by_arrival {
            self.mark_arrivals();
            order.push((output.len(), order[0].1));
            let place = Arc::new(Field::new("(place)", DataType::Binary, true));
            input = Arc::new(Schema::new(output.iter().cloned().chain([place]).collect::<Vec<_>>()));
        }
        output.push(Arc::new(Field::new(schema.field(schema.fields().len() - 1).name(), DataType::Int64, true)));
        let keys: Vec<usize> = partition.iter().copied().filter(|&c| !fragment.roles[c].is_window()).collect();
        let spec = TopNSpec {
            operator: self.operators,
            zone,
            partition_by: keys.clone(),
            order_by: order,
            limit,
            by_arrival,
            input,
            output: Arc::new(Schema::new(output)),
        };
        let number = fragment.roles.len();
        let mut roles = fragment.roles.clone();
        roles.push(Role::Plain);
        let mut after = Fragment {
            schema: schema.clone(),
            roles,
            key: Some(keys.iter().copied().chain(std::iter::once(number)).collect()),
            ..fragment
        };
        if self.workers > 1 {
            self.push(&after, OperatorPlan::TopN(spec.clone(), TopNStage::Prune));
            self.exchange(&mut after, keys);
        }
        self.push(&after, OperatorPlan::TopN(spec, TopNStage::Number));
        self.end_by_clock(&after);
        Ok(after)
    }
}
