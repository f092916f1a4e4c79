//! MATCH_RECOGNIZE: what is computed of each row, and the operator that looks for the pattern.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_expr::{Expr, UserDefinedLogicalNodeCore};
use datafusion_physical_expr::PhysicalExpr;

use super::{Above, Fragment, Late, Lowering, PlanResult, check_columns, physical, unsupported};
use crate::operator::aggregate::Aggregate;
use crate::operator::over::{Frame, OverSpec};
use crate::operator::pattern::automaton::Automaton;
use crate::operator::pattern::{Condition, Operand, PatternSpec, Reference, What};
use crate::plan::calls::Call;
use crate::plan::physical::OperatorPlan;
use crate::sql::pattern as sql;
use crate::sql::pattern::MatchRecognize;
use crate::sql::zones;
use crate::state::key::is_key_type;

/// What the operator gets: columns that are computed of each row.
struct Columns<'a> {
    from: &'a Fragment,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    fields: Vec<Field>,
}

impl Columns<'_> {
    fn add(&mut self, expression: &Expr) -> PlanResult<(usize, DataType)> {
        self.from.refuse_virtual(expression)?;
        let schema = self.from.batch_schema()?;
        let expr = physical(expression, &schema)?;
        let data_type = expr.data_type(schema.inner())?;
        let known = self.exprs.iter().position(|known| known.to_string() == expr.to_string());
        if let Some(known) = known {
            return Ok((known, data_type));
        }
        self.fields.push(Field::new(
            format!("value {}", self.exprs.len()),
            data_type.clone(),
            true,
        ));
        self.exprs.push(expr);
        Ok((self.exprs.len() - 1, data_type))
    }
}

impl Lowering<'_> {
    pub(super) fn match_recognize(&mut self, node: &MatchRecognize) -> PlanResult<Fragment> {
        let parts = &node.parts;
        let fragment = self.plan(&node.input, Above::default())?;
        let mut fragment = self.assign_windows(fragment, Late::Kept)?;
        if fragment.updates {
            return unsupported("MATCH_RECOGNIZE over rows that are updated, as in Flink");
        }
        let Some((time, order)) = parts.order.split_first() else {
            return unsupported("MATCH_RECOGNIZE without ORDER BY");
        };
        let time_column = match fragment.column_of(&time.0)? {
            Some(column) if fragment.is_rowtime(column) => column,
            Some(column) if fragment.is_proctime(column) => {
                self.go_by_clock(&mut fragment, column)?;
                column
            }
            _ => {
                return unsupported(
                    "MATCH_RECOGNIZE over a JOIN without a bound in time: its rows are in no order of time",
                );
            }
        };
        debug_assert!(!fragment.is_virtual(time_column), "windows have been given to the rows");
        if parts.within_ms.is_none() {
            self.warnings.push(
                "MATCH_RECOGNIZE without WITHIN keeps the rows of matches that have begun for ever; write PATTERN (...) WITHIN \
                 INTERVAL '1' HOUR"
                    .into(),
            );
        }
        self.mark_arrivals();
        let mut columns = Columns { from: &fragment, exprs: vec![], fields: vec![] };
        let mut places = |exprs: &mut dyn Iterator<Item = &Expr>| {
            exprs.map(|e| columns.add(e).map(|(at, _)| at)).collect::<PlanResult<Vec<usize>>>()
        };
        let partition = places(&mut parts.partition.iter())?;
        let rowtime = places(&mut std::iter::once(&time.0))?[0];
        let order_columns = places(&mut order.iter().map(|(column, _)| column))?;
        let values = places(&mut parts.values.iter())?;
        let aggregates = parts
            .aggregates
            .iter()
            .map(|call| aggregate(call, &mut columns))
            .collect::<PlanResult<Vec<Aggregate>>>()?;
        let Columns { exprs, fields, .. } = columns;
        let input: SchemaRef = Arc::new(Schema::new(fields));
        check_columns("MATCH_RECOGNIZE of rows", &input, is_key_type)?;
        let operator = self.next_operator();
        let calc =
            OperatorPlan::Calc { predicate: None, projection: Some(exprs), output: input.clone() };
        self.push(&fragment, calc);
        let resolved = |reference: &sql::Reference| Reference {
            variable: reference.variable,
            what: match &reference.what {
                sql::What::Nth { value, offset, from_end } => {
                    What::Nth { column: values[*value], offset: *offset, from_end: *from_end }
                }
                sql::What::Aggregate(number) => What::Aggregate(aggregates[*number].clone()),
            },
        };
        let conditions = parts
            .conditions
            .iter()
            .map(|condition| {
                let condition = condition.as_ref();
                condition.map(|c| self.condition(c, &values, &resolved)).transpose()
            })
            .collect::<PlanResult<Vec<_>>>()?;
        let Some(automaton) = Automaton::new(&parts.variables) else {
            return unsupported("a quantifier of more than 10000 rows in a PATTERN");
        };
        let mut after = Fragment {
            on_clock: fragment.on_clock,
            ..Fragment::new(fragment.chain, UserDefinedLogicalNodeCore::schema(node))
        };
        self.exchange(&mut after, partition.clone());
        let spec = PatternSpec {
            waiting: OverSpec {
                operator,
                frame: Frame::UnboundedRows,
                first_only: false,
                partition,
                rowtime,
                calls: vec![],
                width: input.fields().len(),
                input: input.clone(),
                output: input,
            },
            order: order_columns
                .into_iter()
                .zip(order.iter().map(|(_, options)| *options))
                .collect(),
            variables: parts.variables.clone(),
            automaton,
            conditions,
            skip: parts.skip,
            within_ms: parts.within_ms,
            measures: parts.measures.iter().map(resolved).collect(),
            output: after.arrow_schema()?,
        };
        self.push(&after, OperatorPlan::Pattern(spec));
        Ok(after)
    }

    fn condition(
        &self,
        condition: &sql::Condition,
        values: &[usize],
        resolved: &impl Fn(&sql::Reference) -> Reference,
    ) -> PlanResult<Condition> {
        let operands = condition.operands.iter().map(|operand| match operand {
            sql::Operand::Current(value) => Operand::Current(values[*value]),
            sql::Operand::Of(reference) => Operand::Of(resolved(reference)),
        });
        let expr = match &self.zone {
            Some(zone) => zones::expression(condition.expr.clone(), &condition.schema, zone)?,
            None => condition.expr.clone(),
        };
        Ok(Condition {
            operands: operands.collect(),
            expr: physical(&expr, &condition.schema)?,
            schema: condition.schema.inner().clone(),
        })
    }
}

/// An aggregate over the rows of a variable.
fn aggregate(expression: &Expr, columns: &mut Columns<'_>) -> PlanResult<Aggregate> {
    let mut inner = expression;
    while let Expr::Alias(alias) = inner {
        inner = &alias.expr;
    }
    let Expr::AggregateFunction(call) = inner else {
        return unsupported(format!("'{expression}' in MATCH_RECOGNIZE"));
    };
    let call = Call::new(call)?;
    let filter = call.filter.map(|e| columns.add(e)).transpose()?.map(|(column, _)| column);
    let argument = call.argument.as_deref().map(|e| columns.add(e)).transpose()?;
    let second = call.second.as_deref().map(|e| columns.add(e)).transpose()?;
    call.over(argument, second, filter)
}
