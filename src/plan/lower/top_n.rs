//! ROW_NUMBER with a bound: within windows, or kept up to date.

use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion_expr::Window;
use datafusion_expr::expr::WindowFunctionParams;

use super::rank::{Number, NumberBound, sort_columns};
use super::{Fragment, Late, Lowering, PlanResult, Role, check_columns, over, unsupported};
use crate::operator::top_n::{TopNSpec, TopNStage};
use crate::plan::physical::OperatorPlan;
use crate::state::packed::is_packable;
use crate::time::zone::Zone;

impl Lowering<'_> {
    /// The rows whose ROW_NUMBER is within the bound. Of rows in the windows that PARTITION BY
    /// names they are known once the window closes; of others they change with each row.
    pub(super) fn top_n(
        &mut self,
        fragment: Fragment,
        window: &Window,
        bound: NumberBound,
    ) -> PlanResult<Fragment> {
        let [expression] = window.window_expr.as_slice() else {
            return unsupported("several functions beside a Top-N");
        };
        let WindowFunctionParams { partition_by, order_by, .. } =
            &over::function(expression)?.params;
        let partition = partition_by
            .iter()
            .map(|e| fragment.column_of(e))
            .collect::<PlanResult<Option<Vec<_>>>>()?;
        let Some(partition) = partition else {
            return unsupported(
                "PARTITION BY of 'ROW_NUMBER' takes columns; compute others in a subquery",
            );
        };
        let has = |role| partition.iter().any(|&c| fragment.roles[c] == role);
        let is_in_windows = has(Role::WindowTime) || has(Role::WindowStart) && has(Role::WindowEnd);
        let late = if is_in_windows { Late::Dropped } else { Late::Kept };
        let fragment = self.assign_windows(fragment, late)?;
        let order = sort_columns(&fragment, order_by)?;
        match &fragment.fired {
            Some(fired) if is_in_windows && !fragment.updates => {
                let zone = fired.zone.clone();
                self.window_top_n(fragment, window, partition, order, bound.end, zone)
            }
            _ => {
                let best = self.rank(
                    fragment,
                    partition,
                    order,
                    &bound,
                    &window.schema,
                    Number::IsColumn,
                )?;
                Ok(Fragment { is_within_bound: true, ..best })
            }
        }
    }

    /// A Top-N that ends with its window. The filter above looks at the numbers too, so more than
    /// the bound's may come out.
    fn window_top_n(
        &mut self,
        fragment: Fragment,
        window: &Window,
        partition: Vec<usize>,
        mut order: Vec<(usize, SortOptions)>,
        limit: usize,
        zone: Option<Zone>,
    ) -> PlanResult<Fragment> {
        let mut input = fragment.arrow_schema()?;
        // The first or last row of a key in event time: of several at once, the one that came first
        // or last.
        let by_time = |c: usize| fragment.is_rowtime(c);
        let by_arrival = limit == 1 && order.len() == 1 && by_time(order[0].0);
        check_columns("a Top-N of rows", &input, is_packable)?;
        let mut output = input.fields().to_vec();
        if by_arrival {
            self.mark_arrivals();
            order.push((output.len(), order[0].1));
            let place = Arc::new(Field::new("(place)", DataType::Binary, true));
            input =
                Arc::new(Schema::new(output.iter().cloned().chain([place]).collect::<Vec<_>>()));
        }
        let number = fragment.roles.len();
        debug_assert_eq!(number + 1, window.schema.fields().len(), "the number is the last column");
        output.push(Arc::new(Field::new(
            window.schema.field(number).name(),
            DataType::Int64,
            true,
        )));
        let keys: Vec<usize> =
            partition.into_iter().filter(|&c| !fragment.roles[c].is_window()).collect();
        let spec = TopNSpec {
            operator: self.next_operator(),
            zone,
            partition_by: keys.clone(),
            order_by: order,
            limit,
            by_arrival,
            input,
            output: Arc::new(Schema::new(output)),
        };
        let mut roles = fragment.roles.clone();
        // The rank is one of these rows from now on.
        for role in roles.iter_mut().filter(|r| matches!(r, Role::Rank(_) | Role::RankKey(_))) {
            *role = Role::Plain;
        }
        for (n, &c) in keys.iter().enumerate() {
            if roles[c] == Role::Plain {
                roles[c] = Role::RankKey(n);
            }
        }
        roles.push(Role::Rank(keys.len()));
        let key = Some(keys.iter().copied().chain(std::iter::once(number)).collect());
        let mut after = Fragment { schema: window.schema.clone(), roles, key, ..fragment };
        if self.config.workers > 1 {
            self.push(&after, OperatorPlan::TopN(spec.clone(), TopNStage::Prune));
            self.exchange(&mut after, keys);
        }
        self.push(&after, OperatorPlan::TopN(spec, TopNStage::Number));
        self.end_by_clock(&after);
        Ok(after)
    }
}
