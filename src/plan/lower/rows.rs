//! Rows before any aggregation: scans, projections, UNNEST.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DFSchema, DFSchemaRef, DataFusionError, TableReference};
use datafusion_expr::{
    Aggregate as AggregateNode, Expr, ExprSchemable, LogicalPlan, Projection, lit,
};

use super::fragment::HIDDEN_ROWTIME;
use super::{Fragment, Lowering, PlanResult, Role, physical, unsupported};
use crate::ingest::NOW;
use crate::operator::marks::Mark;
use crate::operator::unnest::{Elements, UnnestSpec};
use crate::plan::physical::{ChainInput, OperatorPlan};
use crate::plan::values;
use crate::sql::catalog::Table;
use crate::sql::functions::{clock, current_watermark, random};
use crate::sql::hints;
use crate::sql::unnest::Unnest;

impl Lowering<'_> {
    /// Rows that stand in the query.
    pub(super) fn values(
        &mut self,
        rows: &[Vec<Expr>],
        schema: &DFSchemaRef,
    ) -> PlanResult<Fragment> {
        let number = self.sources.iter().filter(|s| s.rows.is_some()).count();
        self.sources.push(values::source(number, rows, schema, physical)?);
        Ok(self.read(self.sources.len() - 1, schema))
    }

    /// A chain that begins at a source.
    pub(super) fn read(&mut self, source: usize, schema: &DFSchemaRef) -> Fragment {
        Fragment::new(self.chains.begin(ChainInput::Source(source)), schema)
    }

    /// A table as a source, cut to the columns of this query where others read more.
    pub(super) fn scan(&mut self, table: &Table, schema: &DFSchemaRef) -> PlanResult<Fragment> {
        let source = self.sources.iter().position(|s| s.table.name == table.name);
        let source = source.ok_or_else(|| {
            DataFusionError::Internal(format!("'{}' was not planned as a source", table.name))
        })?;
        let mut fragment = self.read(source, schema);
        if table.change_format().is_some() {
            if self.is_batch() {
                let name = hints::base_name(&table.name);
                return unsupported(format!(
                    "table '{name}' in batch mode: its records take rows back, and batch mode reads tables that only grow"
                ));
            }
            fragment.updates = true;
            fragment.key = key_in(table, schema);
        }
        let has = self.sources[source].ingest.schema.clone();
        if schema.fields().len() != has.fields().len() {
            // Other queries read more columns of the table.
            let name = TableReference::bare(table.name.as_str());
            let all = DFSchema::try_from_qualified_schema(name.clone(), &has)?;
            let columns = schema
                .fields()
                .iter()
                .map(|f| physical(&Expr::Column(Column::new(Some(name.clone()), f.name())), &all));
            let projection = Some(columns.collect::<PlanResult<Vec<_>>>()?);
            let output = fragment.arrow_schema()?;
            self.push(&fragment, OperatorPlan::Calc { predicate: None, projection, output });
        }
        Ok(fragment)
    }

    /// Puts columns in the place of CURRENT_WATERMARK, of functions of the clock and of random
    /// ones, if an expression asks for them. Returns the expressions and the columns they are over.
    pub(super) fn with_marks(
        &mut self,
        fragment: &Fragment,
        exprs: &[Expr],
    ) -> PlanResult<(Vec<Expr>, DFSchema)> {
        let mut schema = fragment.batch_schema()?;
        let mut marks: Vec<(Mark, String, DataType)> = Vec::new();
        let mut column = |e: Expr| {
            let Some(mark) = mark_of(&e) else { return Ok(Transformed::no(e)) };
            let (name, data_type) = match mark {
                Mark::Watermark => ("(watermark)".to_string(), e.get_type(&schema)?),
                Mark::Now => (NOW.to_string(), clock::now_type()),
                // Each call draws for itself.
                Mark::Random(draw) => (format!("(random {})", marks.len()), draw.data_type()),
            };
            let column = Expr::Column(Column::from_name(&name));
            if !marks.iter().any(|(_, known, _)| *known == name) {
                marks.push((mark, name, data_type));
            }
            Ok(Transformed::yes(match mark {
                Mark::Watermark => column,
                Mark::Now => clock::over(&e, column.clone()).unwrap_or(column),
                Mark::Random(_) => random::over(&e, column),
            }))
        };
        let exprs = exprs
            .iter()
            .map(|e| Ok(e.clone().transform_up(&mut column)?.data))
            .collect::<PlanResult<_>>()?;
        for (mark, name, data_type) in marks {
            match mark {
                Mark::Watermark if fragment.fired.is_some() || fragment.updates => {
                    return unsupported(
                        "'CURRENT_WATERMARK' of rows that do not come straight from a table",
                    );
                }
                Mark::Now | Mark::Random(_) if fragment.updates => {
                    return unsupported(
                        "a function of the clock, or a random one, over rows that are updated: what is taken back would differ",
                    );
                }
                _ => {}
            }
            let fields = schema.iter().map(|(q, f)| (q.cloned(), f.clone()));
            let fields =
                fields.chain([(None, Arc::new(Field::new(name, data_type, true)))]).collect();
            schema = DFSchema::new_with_metadata(fields, HashMap::new())?;
            self.push(fragment, OperatorPlan::Marks(mark, schema.inner().clone()));
        }
        Ok((exprs, schema))
    }

    /// The columns of a SELECT list. Columns of a window that are still virtual are not computed,
    /// and the rowtime that they are made from stays, also where the query does not name it.
    pub(super) fn project(
        &mut self,
        from: Fragment,
        exprs: &[Expr],
        schema: &DFSchemaRef,
    ) -> PlanResult<Fragment> {
        let from = self.windows_for(from, exprs)?;
        let roles = exprs.iter().map(|e| from.role_of(e)).collect::<PlanResult<Vec<_>>>()?;
        let columns = exprs.iter().map(|e| from.column_of(e)).collect::<PlanResult<Vec<_>>>()?;
        let (exprs, batch_schema) = self.with_marks(&from, exprs)?;
        let mut projection = Vec::new();
        for (expression, role) in exprs.iter().zip(&roles) {
            if from.pending.is_none() || !role.is_window() {
                projection.push(physical(expression, &batch_schema)?);
            }
        }
        let mut pending = from.pending.clone();
        if let Some(pending) = &mut pending {
            let is_rowtime =
                |c: usize| !from.is_virtual(c) && from.batch_index(c) == pending.rowtime;
            let named = (0..columns.len())
                .find(|&i| !roles[i].is_window() && columns[i].is_some_and(is_rowtime));
            (pending.rowtime, pending.hidden_rowtime) = match named {
                Some(i) => ((0..i).filter(|&c| !roles[c].is_window()).count(), None),
                None => {
                    let (qualifier, field) = batch_schema.qualified_field(pending.rowtime);
                    let rowtime = Expr::Column(Column::new(qualifier.cloned(), field.name()));
                    projection.push(physical(&rowtime, &batch_schema)?);
                    let hidden =
                        Arc::new(Field::new(HIDDEN_ROWTIME, field.data_type().clone(), true));
                    (projection.len() - 1, Some(hidden))
                }
            };
        }
        let in_place = columns
            .iter()
            .filter_map(|c| c.filter(|&c| !from.is_virtual(c)).map(|c| from.batch_index(c)));
        let unchanged =
            projection.len() == batch_schema.fields().len() && in_place.eq(0..projection.len());
        let key = kept_key(&from, &columns, &roles);
        let to = Fragment { schema: schema.clone(), roles, pending, key, ..from };
        let output = to.arrow_schema()?;
        debug_assert_eq!(
            projection.len(),
            output.fields().len(),
            "a column of the batches for each that is not virtual"
        );
        let renamed = batch_schema.inner().fields() != output.fields();
        if !unchanged || renamed {
            self.push(
                &to,
                OperatorPlan::Calc { predicate: None, projection: Some(projection), output },
            );
        }
        Ok(to)
    }

    /// A projection that adds the value, whose rows may be refused, and the operator that takes it
    /// apart.
    pub(super) fn unnest(&mut self, from: Fragment, node: &Unnest) -> PlanResult<Fragment> {
        let from = self.windows_for(from, [&node.value])?;
        let input = from.batch_schema()?;
        let value = physical(&node.value, &input)?;
        let data_type = value.data_type(input.inner())?;
        let columns = input
            .iter()
            .map(|(q, f)| physical(&Expr::Column(Column::new(q.cloned(), f.name())), &input));
        let mut projection = columns.collect::<PlanResult<Vec<_>>>()?;
        projection.push(value);
        let mut fields = input.inner().fields().to_vec();
        fields.push(Arc::new(Field::new("(unnest)", data_type.clone(), true)));
        let output = Arc::new(Schema::new(fields));
        self.push(
            &from,
            OperatorPlan::Calc { predicate: None, projection: Some(projection), output },
        );
        let column = input.fields().len();
        let before = column - usize::from(from.hidden_rowtime().is_some());
        let mut roles = from.roles.clone();
        roles.extend(std::iter::repeat_n(Role::Plain, node.added()));
        let schema = datafusion_expr::UserDefinedLogicalNodeCore::schema(node).clone();
        let mut to = Fragment { schema, roles, key: None, ..from };
        to.insert_columns(before, node.added());
        let spec = UnnestSpec {
            column,
            before,
            outer: node.clauses.outer,
            ordinality: node.clauses.ordinality,
            output: to.arrow_schema()?,
        };
        self.push(&to, OperatorPlan::Unnest(spec, Elements::of(&data_type)));
        Ok(to)
    }
}

/// The key of rows behind a projection, if all of it is still there. In the key of changing windows
/// one of their columns stands for another.
fn kept_key(from: &Fragment, columns: &[Option<usize>], roles: &[Role]) -> Option<BTreeSet<usize>> {
    let kept = |&k: &usize| {
        let of_window =
            || roles.iter().position(|role| role.is_window()).filter(|_| from.roles[k].is_window());
        columns.iter().position(|c| *c == Some(k)).or_else(of_window)
    };
    from.key.as_ref()?.iter().map(kept).collect()
}

/// What an expression asks for beside the columns, if it is such a call.
fn mark_of(expression: &Expr) -> Option<Mark> {
    match expression {
        Expr::ScalarFunction(call) if call.name() == current_watermark::NAME => {
            Some(Mark::Watermark)
        }
        call if clock::over(call, lit(0)).is_some() => Some(Mark::Now),
        call => random::draw_of(call).map(Mark::Random),
    }
}

pub(super) fn asks_marks(expression: &Expr) -> PlanResult<bool> {
    Ok(asked_mark(expression)?.is_some())
}

/// The name of the first such call in an expression.
pub(super) fn asked_mark(expression: &Expr) -> PlanResult<Option<String>> {
    let mut name = None;
    expression.apply(|e| {
        if let (Expr::ScalarFunction(call), Some(_)) = (e, mark_of(e)) {
            name = Some(clock::name_of(call.name()));
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(name)
}

/// An aggregation whose calls of the clock are made below it, once for each row.
pub(super) fn clock_below(node: &AggregateNode) -> PlanResult<Option<AggregateNode>> {
    let exprs = || node.group_expr.iter().chain(&node.aggr_expr);
    let mut asks = false;
    for expression in exprs() {
        asks |= expression.exists(|e| Ok(mark_of(e) == Some(Mark::Now)))?;
    }
    if !asks {
        return Ok(None);
    }
    let columns = node.input.schema().columns().into_iter().map(Expr::Column);
    let projection = columns.chain([clock::call().alias(NOW)]).collect();
    let input = LogicalPlan::Projection(Projection::try_new(projection, node.input.clone())?);
    let told = |e: &Expr| {
        let over = |e: Expr| {
            let told = clock::over(&e, Expr::Column(Column::from_name(NOW)));
            Ok(told.map_or_else(|| Transformed::no(e), Transformed::yes))
        };
        Ok(e.clone().transform_up(over)?.data)
    };
    let group = node.group_expr.iter().map(told).collect::<PlanResult<Vec<_>>>()?;
    let aggregates = node.aggr_expr.iter().map(told).collect::<PlanResult<Vec<_>>>()?;
    Ok(Some(AggregateNode::try_new_with_schema(
        Arc::new(input),
        group,
        aggregates,
        node.schema.clone(),
    )?))
}

/// The columns of the table's primary key, if all of them are read.
fn key_in(table: &Table, schema: &DFSchema) -> Option<BTreeSet<usize>> {
    let column = |name: &String| schema.fields().iter().position(|f| f.name() == name);
    let key: Option<BTreeSet<usize>> = table.primary_key.iter().map(column).collect();
    key.filter(|key| !key.is_empty())
}
