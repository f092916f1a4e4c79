//! `FROM t CROSS JOIN UNNEST(t.a) AS u (x)`: from joins to a node of the logical plan.
//!
//! DataFusion plans the two sides of a join apart, so that UNNEST cannot see the left one.
//! [`rewrite`] puts the left side into the relation itself, which [`UnnestPlanner`] plans as an
//! [`Unnest`] over it; `plan::lower` makes an operator of that. What always holds: the node's
//! columns are those of its input, then those of the elements.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion_common::{DFSchema, DFSchemaRef, Result, TableReference, plan_err};
use datafusion_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion_expr::{Expr, ExprSchemable, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use sqlparser::ast::{
    BinaryOperator, Expr as SqlExpr, ExprWithAlias, FunctionArg, FunctionArgExpr, Ident, Join,
    JoinConstraint, JoinOperator, Query, SetExpr, TableAlias, TableFactor, TableFunctionArgs,
    TableWithJoins, Value, ValueWithSpan, VisitMut, VisitorMut,
};

use sqlparser::parser::Parser;

use super::dialect::FlinkDialect;
use super::error::SqlError;
use super::flink_types;
use crate::operator::unnest::element_types;
use crate::sql::statement::place_of;
use crate::types::sql_name;

/// Marks the relation that stands for a join with UNNEST. No SQL text can write it.
const INNER: &str = "(unnest)";
const OUTER: &str = "(left unnest)";
/// The name of an UNNEST that has none and nothing before it.
const ALONE: &str = "(unnest alone)";
/// Marks WITH ORDINALITY.
const ORDINALITY: &str = "(ordinality)";

/// Puts the left sides of UNNESTs into them.
pub(crate) fn rewrite(query: &mut Query) -> std::result::Result<(), SqlError> {
    query.visit(&mut Rewriter).break_value().map_or(Ok(()), Err)
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = SqlError;

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        match body(&mut query.body) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn body(body: &mut SetExpr) -> std::result::Result<(), SqlError> {
    match body {
        SetExpr::Select(select) => {
            let mut from: Vec<TableWithJoins> = Vec::new();
            for mut table in std::mem::take(&mut select.from) {
                without_lateral(&mut table.relation);
                table.joins.iter_mut().for_each(|join| without_lateral(&mut join.relation));
                match from.last_mut() {
                    // `FROM t, UNNEST(t.a)` is a CROSS JOIN.
                    Some(left) if is_unnest(&table.relation) => {
                        let join_operator = JoinOperator::CrossJoin(JoinConstraint::None);
                        left.joins.push(Join {
                            relation: table.relation,
                            global: false,
                            join_operator,
                        });
                        left.joins.extend(table.joins);
                    }
                    None if is_unnest(&table.relation) => {
                        table.relation = alone(table.relation)?;
                        from.push(table);
                    }
                    _ => from.push(table),
                }
            }
            for table in &mut from {
                for condition in fold(table)? {
                    let condition = SqlExpr::Nested(Box::new(condition));
                    select.selection = Some(match select.selection.take() {
                        None => condition,
                        Some(given) => SqlExpr::BinaryOp {
                            left: Box::new(SqlExpr::Nested(Box::new(given))),
                            op: BinaryOperator::And,
                            right: Box::new(condition),
                        },
                    });
                }
            }
            select.from = from;
            Ok(())
        }
        SetExpr::SetOperation { left, right, .. } => {
            self::body(left)?;
            self::body(right)
        }
        _ => Ok(()),
    }
}

/// `LATERAL UNNEST(...)` is UNNEST, which sees what stands before it anyway.
fn without_lateral(factor: &mut TableFactor) {
    if let TableFactor::Function { lateral: true, name, args, with_ordinality, alias } = factor
        && name.to_string().eq_ignore_ascii_case("UNNEST")
    {
        *factor = TableFactor::Table {
            name: name.clone(),
            alias: alias.take(),
            args: Some(TableFunctionArgs { args: std::mem::take(args), settings: None }),
            with_hints: vec![],
            version: None,
            with_ordinality: *with_ordinality,
            partitions: vec![],
            json_path: None,
            sample: None,
            index_hints: vec![],
        };
    }
}

/// An UNNEST with nothing before it: behind a row of its own, which does not show.
fn alone(mut unnest: TableFactor) -> std::result::Result<TableFactor, SqlError> {
    let TableFactor::Table { alias, .. } = &mut unnest else { return Ok(unnest) };
    let called = alias.get_or_insert_with(|| TableAlias {
        explicit: true,
        name: Ident::with_quote('`', ALONE),
        columns: vec![],
        at: None,
    });
    let outer = TableAlias { columns: vec![], ..called.clone() };
    let name = outer.name.value.replace('`', "``");
    let text = format!("SELECT `{name}`.* FROM (VALUES (0)) AS `{ALONE} row`");
    let parsed = Parser::new(&FlinkDialect)
        .try_with_sql(&text)
        .and_then(|mut parser| parser.parse_query())
        .map_err(|e| SqlError::from_parser(&e))?;
    let mut subquery = *parsed;
    if let SetExpr::Select(select) = subquery.body.as_mut()
        && let Some(row) = select.from.first_mut()
    {
        let join_operator = JoinOperator::CrossJoin(JoinConstraint::None);
        row.joins.push(Join { relation: unnest, global: false, join_operator });
    }
    body(&mut subquery.body)?;
    let subquery = Box::new(subquery);
    Ok(TableFactor::Derived { lateral: false, subquery, alias: Some(outer), sample: None })
}

fn is_unnest(factor: &TableFactor) -> bool {
    matches!(factor, TableFactor::Table { name, args: Some(_), .. } if name.to_string().eq_ignore_ascii_case("UNNEST"))
}

/// Returns the conditions of inner joins, which are as good behind all joins of the table.
fn fold(table: &mut TableWithJoins) -> std::result::Result<Vec<SqlExpr>, SqlError> {
    let mut conditions = Vec::new();
    let keeps_right = table.joins.iter().any(|join| {
        matches!(
            join.join_operator,
            JoinOperator::Right(_) | JoinOperator::RightOuter(_) | JoinOperator::FullOuter(_)
        )
    });
    for join in std::mem::take(&mut table.joins) {
        if !is_unnest(&join.relation) {
            table.joins.push(join);
            continue;
        }
        let TableFactor::Table {
            alias,
            args: Some(TableFunctionArgs { args, .. }),
            with_ordinality,
            name,
            ..
        } = join.relation
        else {
            continue;
        };
        let place = name.0.first().and_then(|n| n.as_ident()).and_then(place_of);
        let wrong = |message: &str| SqlError::new(message.to_string()).at(place);
        let always = |on: &JoinConstraint| match on {
            JoinConstraint::On(SqlExpr::Value(ValueWithSpan {
                value: Value::Boolean(true),
                ..
            })) => true,
            on => *on == JoinConstraint::None,
        };
        let kind = match &join.join_operator {
            JoinOperator::CrossJoin(on) | JoinOperator::Join(on) | JoinOperator::Inner(on)
                if always(on) =>
            {
                INNER
            }
            JoinOperator::Left(on) | JoinOperator::LeftOuter(on) if always(on) => OUTER,
            JoinOperator::Join(JoinConstraint::On(on))
            | JoinOperator::Inner(JoinConstraint::On(on))
                if !keeps_right =>
            {
                conditions.push(on.clone());
                INNER
            }
            _ => {
                return Err(wrong(
                    "UNNEST is joined by CROSS JOIN, by JOIN ... ON, or by LEFT JOIN ... ON TRUE",
                ));
            }
        };
        let [FunctionArg::Unnamed(FunctionArgExpr::Expr(value))] = args.as_slice() else {
            return Err(wrong("UNNEST takes one ARRAY, MAP or MULTISET"));
        };
        let left = std::mem::take(&mut table.joins);
        let relation = match left.is_empty() {
            true => table.relation.clone(),
            false => TableFactor::NestedJoin {
                table_with_joins: Box::new(TableWithJoins {
                    relation: table.relation.clone(),
                    joins: left,
                }),
                alias: None,
            },
        };
        let name =
            |name: &str| ExprWithAlias { expr: SqlExpr::Identifier(Ident::new(name)), alias: None };
        let mut columns: Vec<ExprWithAlias> = Vec::new();
        if with_ordinality {
            columns.push(name(ORDINALITY));
        }
        // The alias, then its columns.
        if let Some(alias) = &alias {
            columns.push(name(&alias.name.value));
            columns.extend(alias.columns.iter().map(|c| name(&c.name.value)));
        }
        table.relation = TableFactor::Unpivot {
            table: Box::new(relation),
            value: value.clone(),
            name: Ident::new(kind),
            columns,
            null_inclusion: None,
            alias: None,
        };
    }
    Ok(conditions)
}

/// Plans the relations that [`rewrite`] makes.
#[derive(Debug)]
pub(crate) struct UnnestPlanner;

impl RelationPlanner for UnnestPlanner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let TableFactor::Unpivot { table, value, name, columns, .. } = relation else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        if name.value != INNER && name.value != OUTER {
            return plan_err!("UNPIVOT is not supported");
        }
        let mut names = columns.into_iter().map(|c| match c.expr {
            SqlExpr::Identifier(name) => name.value,
            other => other.to_string(),
        });
        let mut alias = names.next();
        let ordinality = alias.as_deref() == Some(ORDINALITY);
        if ordinality {
            alias = names.next();
        }
        let input = context.plan(*table)?;
        let value = context.sql_to_expr(value, input.schema())?;
        let value = flink_types::expression(value, input.schema())?;
        let names = (names.collect(), alias);
        let clauses = Clauses { outer: name.value == OUTER, ordinality };
        let node = Unnest::try_new(value, clauses, names, input)?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(
            LogicalPlan::Extension(Extension { node: Arc::new(node) }),
            None,
        ))))
    }
}

/// The columns' names as the query gives them, and the table's.
type Names = (Vec<String>, Option<String>);

/// What stands around UNNEST.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Clauses {
    /// LEFT JOIN: a row without elements comes out once, with NULLs.
    pub outer: bool,
    /// WITH ORDINALITY.
    pub ordinality: bool,
}

/// One row for each element of a value.
#[derive(Debug, Clone)]
pub(crate) struct Unnest {
    pub value: Expr,
    pub clauses: Clauses,
    names: Names,
    pub input: LogicalPlan,
    schema: DFSchemaRef,
}

impl Unnest {
    fn try_new(value: Expr, clauses: Clauses, names: Names, input: LogicalPlan) -> Result<Unnest> {
        let data_type = value.get_type(input.schema())?;
        let Some(mut types) = element_types(&data_type) else {
            let message =
                format!("UNNEST takes an ARRAY, a MAP or a MULTISET, not {}", sql_name(&data_type));
            return Err(flink_types::at(datafusion_common::DataFusionError::Plan(message), &value));
        };
        let is_of_one_column = types.len() == 1;
        if clauses.ordinality {
            types.push((Some("ORDINALITY".into()), DataType::Int32));
        }
        if !names.0.is_empty() && names.0.len() != types.len() {
            return plan_err!(
                "'UNNEST' gives {} columns, its alias names {}",
                types.len(),
                names.0.len()
            );
        }
        let qualifier = names.1.as_ref().map(|name| TableReference::bare(name.as_str()));
        let mut fields: Vec<_> =
            input.schema().iter().map(|(q, f)| (q.cloned(), f.clone())).collect();
        for (at, (own, data_type)) in types.into_iter().enumerate() {
            // An element that is no row is called as its table is.
            let called = names.1.clone().filter(|name| name != ALONE);
            // So is a row of one column, as any table of one column that has a name is in Flink.
            let own = own.filter(|_| at > 0 || !is_of_one_column || called.is_none());
            let of_table = || called.unwrap_or_else(|| format!("EXPR${at}"));
            let name = names.0.get(at).cloned().or(own).unwrap_or_else(of_table);
            fields.push((qualifier.clone(), Arc::new(Field::new(name, data_type, true))));
        }
        let schema = Arc::new(DFSchema::new_with_metadata(fields, HashMap::new())?);
        Ok(Unnest { value, clauses, names, input, schema })
    }

    /// How many columns an element has, and its ordinal.
    pub fn added(&self) -> usize {
        self.schema.fields().len() - self.input.schema().fields().len()
    }

    fn identity(&self) -> (&Expr, Clauses, &Names, &LogicalPlan) {
        (&self.value, self.clauses, &self.names, &self.input)
    }
}

impl PartialEq for Unnest {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}
impl Eq for Unnest {}
impl PartialOrd for Unnest {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.input.partial_cmp(&other.input)
    }
}
impl Hash for Unnest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl UserDefinedLogicalNodeCore for Unnest {
    fn name(&self) -> &str {
        "Unnest"
    }
    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }
    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }
    fn expressions(&self) -> Vec<Expr> {
        vec![self.value.clone()]
    }
    fn fmt_for_explain(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let kind = if self.clauses.outer { "left " } else { "" };
        let ordinality = if self.clauses.ordinality { " with ordinality" } else { "" };
        write!(f, "Unnest: {kind}{}{ordinality}", self.value)
    }
    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let (Some(value), Some(input)) = (exprs.into_iter().next(), inputs.into_iter().next())
        else {
            return plan_err!("UNNEST needs one value and one input");
        };
        Unnest::try_new(value, self.clauses, self.names.clone(), input)
    }
    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let input = self.input.schema();
        let mut needed: Vec<usize> =
            output_columns.iter().copied().filter(|&c| c < input.fields().len()).collect();
        needed.extend(
            self.value.column_refs().into_iter().filter_map(|c| input.maybe_index_of_column(c)),
        );
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}
