//! Top-N where no window closes: ROW_NUMBER with a bound, ORDER BY with LIMIT, deduplication.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion_common::{DFSchemaRef, ScalarValue};
use datafusion_expr::expr::Sort as SortExpr;
use datafusion_expr::utils::{conjunction, split_conjunction};
use datafusion_expr::{Expr, Limit, LogicalPlan, Operator};

use super::{Above, Fragment, Late, Lowering, PlanResult, Role, check_columns, unsupported};
use crate::operator::rank::{Keeping, RankSpec};
use crate::operator::sort::Slice;
use crate::plan::calls::strip_cast;
use crate::plan::physical::OperatorPlan;
use crate::state::key::{is_key_type, is_row_type};
use crate::types::sql_name;

/// What a filter says about the ROW_NUMBER below it.
#[derive(Debug, Clone)]
pub(crate) struct NumberBound {
    /// The first and the last number that pass, from 1.
    pub start: usize,
    pub end: usize,
    /// The number is used above the filter.
    pub with_number: bool,
    /// The filter without what it says about the number.
    pub rest: Option<Expr>,
}

/// The bound that a filter sets on a ROW_NUMBER below it; `required` are the columns that are used
/// above the filter, if known.
pub(crate) fn number_bound(
    predicate: &Expr,
    input: &LogicalPlan,
    required: Option<&BTreeSet<usize>>,
) -> PlanResult<Option<NumberBound>> {
    let (mut start, mut end, mut number, mut rest) = (1.0f64, f64::INFINITY, None, Vec::new());
    for conjunct in split_conjunction(predicate) {
        let bounds = match conjunct {
            Expr::BinaryExpr(comparison) => {
                match (strip_cast(&comparison.left), strip_cast(&comparison.right)) {
                    (Expr::Column(c), Expr::Literal(v, _)) => vec![(c, v, comparison.op)],
                    (Expr::Literal(v, _), Expr::Column(c)) => {
                        vec![(c, v, comparison.op.swap().unwrap_or(comparison.op))]
                    }
                    _ => vec![],
                }
            }
            Expr::Between(between) if !between.negated => {
                match (
                    strip_cast(&between.expr),
                    strip_cast(&between.low),
                    strip_cast(&between.high),
                ) {
                    (Expr::Column(c), Expr::Literal(low, _), Expr::Literal(high, _)) => {
                        vec![(c, low, Operator::GtEq), (c, high, Operator::LtEq)]
                    }
                    _ => vec![],
                }
            }
            _ => vec![],
        };
        let mut is_bound = false;
        for (column, literal, op) in bounds {
            let Some(index) = input.schema().maybe_index_of_column(column) else { continue };
            if !is_row_number(input, index)? {
                continue;
            }
            let ScalarValue::Float64(Some(value)) = literal.cast_to(&DataType::Float64)? else {
                continue;
            };
            (start, end) = match op {
                Operator::LtEq => (start, end.min(value.floor())),
                Operator::Lt => (start, end.min(value.ceil() - 1.0)),
                Operator::GtEq => (start.max(value.ceil()), end),
                Operator::Gt => (start.max(value.floor() + 1.0), end),
                Operator::Eq => (start.max(value), end.min(value)),
                _ => continue,
            };
            is_bound = true;
            number = Some(index);
        }
        if !is_bound {
            rest.push(conjunct.clone());
        }
    }
    let Some(number) = number.filter(|_| end.is_finite()) else { return Ok(None) };
    let used_by_rest = rest
        .iter()
        .flat_map(Expr::column_refs)
        .any(|c| input.schema().maybe_index_of_column(c) == Some(number));
    Ok(Some(NumberBound {
        start: start.max(1.0) as usize,
        end: end.max(0.0) as usize,
        with_number: used_by_rest || required.is_none_or(|columns| columns.contains(&number)),
        rest: conjunction(rest),
    }))
}

/// Columns and directions of an ORDER BY.
pub(crate) fn sort_columns(
    fragment: &Fragment,
    order_by: &[SortExpr],
) -> PlanResult<Vec<(usize, SortOptions)>> {
    let mut order = Vec::new();
    for SortExpr { expr, asc, nulls_first } in order_by {
        let Some(column) = fragment.column_of(expr)? else {
            return unsupported("ORDER BY of a Top-N takes columns; compute others in a subquery");
        };
        let field = fragment.schema.field(column);
        if !is_key_type(field.data_type()) {
            return unsupported(format!(
                "ORDER BY '{}', a {}, which has no order",
                field.name(),
                sql_name(field.data_type())
            ));
        }
        order.push((column, SortOptions { descending: !asc, nulls_first: *nulls_first }));
    }
    Ok(order)
}

/// Whether the plan has the number of a row as a column, the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    IsColumn,
    /// ORDER BY with LIMIT numbers no rows.
    Absent,
}

impl Lowering<'_> {
    /// A Top-N that is kept up to date.
    pub(super) fn rank(
        &mut self,
        fragment: Fragment,
        partition: Vec<usize>,
        order: Vec<(usize, SortOptions)>,
        bound: &NumberBound,
        schema: &DFSchemaRef,
        number: Number,
    ) -> PlanResult<Fragment> {
        let input = fragment.arrow_schema()?;
        check_columns("a Top-N of rows", &input, is_row_type)?;
        let in_key = partition.iter().map(|&c| input.field(c).clone()).collect::<Vec<_>>();
        check_columns("PARTITION BY", &Schema::new(in_key), is_key_type)?;
        let by_time = match order.as_slice() {
            [(column, options)] => Some((*column, options.descending)),
            _ => None,
        };
        let newest = by_time.is_some_and(|(column, descending)| {
            descending && (fragment.is_rowtime(column) || fragment.is_proctime(column))
        });
        // Deduplication by processing time goes by the order in which rows come: all of them
        // compare equal.
        let by_clock = bound.end == 1
            && !fragment.updates
            && by_time.is_some_and(|(column, _)| fragment.is_proctime(column));
        let order = if by_clock { vec![] } else { order };
        let keeping = match bound.end {
            _ if fragment.updates => Keeping::All,
            // Of rows of the same time the last one stays: deduplication.
            1 => Keeping::First { ties_replace: newest },
            _ => Keeping::Best,
        };
        let mut fields = input.fields().to_vec();
        let number_column = fields.len();
        if number == Number::IsColumn {
            fields.push(Arc::new(Field::new(
                schema.field(number_column).name(),
                DataType::Int64,
                true,
            )));
        }
        let output = Arc::new(Schema::new(fields));
        let with_number = number == Number::IsColumn && bound.with_number;
        let mut key: Option<BTreeSet<usize>> = fragment.key.clone().filter(|_| fragment.updates);
        let mut scattered = fragment.scatters(&partition);
        if with_number {
            key = Some(partition.iter().copied().chain([number_column]).collect());
            scattered = false;
        } else if bound.end == 1 {
            key = Some(partition.iter().copied().collect());
            scattered = false;
        }
        let operator = self.next_operator();
        let mut roles = vec![Role::Plain; schema.fields().len()];
        roles[..fragment.roles.len()].copy_from_slice(&fragment.roles);
        let mut after = Fragment {
            schema: schema.clone(),
            roles,
            fired: None,
            key,
            // Without an order the first rows stay, by the clock unless the newest are asked for.
            updates: if by_clock { newest } else { fragment.updates || !order.is_empty() },
            scattered,
            ..fragment
        };
        self.exchange(&mut after, partition.clone());
        let (start, end) = (bound.start, bound.end);
        let ttl = self.config.state_ttl;
        let spec = RankSpec {
            operator,
            partition,
            order,
            start,
            end,
            with_number,
            keeping,
            ttl,
            input,
            output,
        };
        self.push(&after, OperatorPlan::Rank(spec));
        Ok(after)
    }

    /// Puts the changes of each row of a key in order where they come from several workers: of the
    /// rows that the key has for now, the first stands for all until it is taken back.
    pub(super) fn gather(&mut self, fragment: &mut Fragment, key: &[usize]) -> PlanResult<()> {
        self.one_of_each(fragment, key, Keeping::All)
    }

    /// Keeps all rows that share a key, of which the one that came last is shown: what Flink's
    /// SinkUpsertMaterializer does.
    pub(super) fn keep_newest(&mut self, fragment: &mut Fragment, key: &[usize]) -> PlanResult<()> {
        self.one_of_each(fragment, key, Keeping::Newest)
    }

    /// One row of those that a key has for now.
    fn one_of_each(
        &mut self,
        fragment: &mut Fragment,
        key: &[usize],
        keeping: Keeping,
    ) -> PlanResult<()> {
        let schema = fragment.arrow_schema()?;
        if let Some(field) = schema.fields().iter().find(|f| !is_row_type(f.data_type())) {
            return unsupported(format!(
                "rows that change their place, with a column of type {}, in a table with a key: '{}'",
                field.data_type(),
                field.name()
            ));
        }
        self.exchange(fragment, key.to_vec());
        let spec = RankSpec {
            operator: self.next_operator(),
            partition: key.to_vec(),
            order: vec![],
            start: 1,
            end: 1,
            with_number: false,
            keeping,
            ttl: self.config.state_ttl,
            input: schema.clone(),
            output: schema,
        };
        self.push(fragment, OperatorPlan::Rank(spec));
        fragment.scattered = false;
        Ok(())
    }

    /// ORDER BY with LIMIT: the best rows of all. Without ORDER BY those that come first, as in Flink.
    pub(super) fn limit(&mut self, limit: &Limit) -> PlanResult<Fragment> {
        // A column to order by that is not selected is dropped between the two.
        let (mut projections, mut input) = (Vec::new(), limit.input.as_ref());
        while let LogicalPlan::Projection(projection) = input {
            projections.push(projection);
            input = projection.input.as_ref();
        }
        let (sorted, by) = match input {
            LogicalPlan::Sort(sort) => (sort.input.as_ref(), sort.expr.as_slice()),
            other => (other, [].as_slice()),
        };
        let constant = |expression: &Option<Box<Expr>>| match expression.as_deref().map(strip_cast)
        {
            None => Ok(None),
            Some(Expr::Literal(value, _)) => match value.cast_to(&DataType::UInt64) {
                Ok(ScalarValue::UInt64(Some(n))) => Ok(Some(n as usize)),
                _ => unsupported("'LIMIT' and 'OFFSET' take a number that is not negative"),
            },
            Some(_) => unsupported("'LIMIT' and 'OFFSET' take a constant"),
        };
        let skip = constant(&limit.skip)?.unwrap_or(0);
        let fetch = constant(&limit.fetch)?;
        if self.is_batch() && fetch.is_none() {
            let mut rest = self.rest(sorted, by, skip)?;
            for projection in projections.into_iter().rev() {
                rest = self.project(rest, &projection.expr, &projection.schema)?;
            }
            return Ok(rest);
        }
        let Some(fetch) = fetch else {
            return unsupported("ORDER BY with OFFSET needs a LIMIT");
        };
        if by.is_empty() {
            self.warnings.push(
                "LIMIT without ORDER BY lets the rows out that come first: which these are is not repeatable, a replay may give others"
                    .into(),
            );
        }
        let fragment = self.plan(sorted, Above::default())?;
        let fragment = self.assign_windows(fragment, Late::Kept)?;
        let order = sort_columns(&fragment, by)?;
        let bound = NumberBound {
            start: skip.saturating_add(1),
            end: skip.saturating_add(fetch),
            with_number: false,
            rest: None,
        };
        let schema = fragment.schema.clone();
        let mut best =
            self.rank(fragment, vec![], order.clone(), &bound, &schema, Number::Absent)?;
        if self.is_batch() && !order.is_empty() {
            best = self.in_order_at_end(best, order, Slice::default())?;
        }
        for projection in projections.into_iter().rev() {
            best = self.project(best, &projection.expr, &projection.schema)?;
        }
        Ok(best)
    }
}

impl Lowering<'_> {
    /// In batch mode: OFFSET without LIMIT.
    fn rest(&mut self, input: &LogicalPlan, by: &[SortExpr], skip: usize) -> PlanResult<Fragment> {
        let fragment = self.plan(input, Above::default())?;
        let fragment = self.assign_windows(fragment, Late::Kept)?;
        let order = sort_columns(&fragment, by)?;
        self.in_order_at_end(fragment, order, Slice { skip: skip as u64, fetch: None })
    }
}

/// True if a column comes from a ROW_NUMBER further down.
fn is_row_number(plan: &LogicalPlan, column: usize) -> PlanResult<bool> {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => is_row_number(&alias.input, column),
        LogicalPlan::Filter(filter) => is_row_number(&filter.input, column),
        LogicalPlan::Projection(projection) => {
            let mut expression = &projection.expr[column];
            while let Expr::Alias(alias) = expression {
                expression = &alias.expr;
            }
            match expression {
                Expr::Column(c) => {
                    is_row_number(&projection.input, projection.input.schema().index_of_column(c)?)
                }
                _ => Ok(false),
            }
        }
        LogicalPlan::Window(window) => Ok(column >= window.input.schema().fields().len()),
        _ => Ok(false),
    }
}
