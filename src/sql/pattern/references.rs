//! What conditions and measures say of the rows of a match: `A.price`, `LAST(B.price, 1)`,
//! `SUM(A.price)`.
//!
//! Each is taken out of its expression, and a column stands in its place. What always holds: what is
//! asked of each row by itself is a value, computed before the pattern is looked for; a reference says
//! of which rows it is.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::Field;
use datafusion_common::{DFSchema, Result, plan_err};
use datafusion_expr::planner::RelationPlannerContext;
use datafusion_expr::simplify::SimplifyContext;
use datafusion_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion_optimizer::simplify_expressions::ExprSimplifier;
use sqlparser::ast::{
    Expr as SqlExpr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Value,
    VisitMut, VisitorMut,
};

use super::node::{Condition, Operand, Reference, What, measure_name};
use crate::sql::flink_types;

/// Where an expression stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The condition of this variable: names without one are of the row that is looked at.
    Define(usize),
    /// Names without a variable are of the last row.
    Measures,
}

/// What has been found so far.
pub(super) struct References<'a> {
    variables: &'a [&'a str],
    input: &'a LogicalPlan,
    rowtime: &'a Expr,
    context: &'a mut dyn RelationPlannerContext,
    values: Vec<Expr>,
    aggregates: Vec<Expr>,
    measures: Vec<Reference>,
    /// Those of the condition that is being read.
    operands: Vec<(String, Operand)>,
}

impl<'a> References<'a> {
    pub fn new(
        variables: &'a [&'a str],
        input: &'a LogicalPlan,
        rowtime: &'a Expr,
        context: &'a mut dyn RelationPlannerContext,
    ) -> References<'a> {
        References {
            variables,
            input,
            rowtime,
            context,
            values: vec![],
            aggregates: vec![],
            measures: vec![],
            operands: vec![],
        }
    }

    /// Values of rows, aggregates, and what the measures refer to.
    pub fn finish(self) -> (Vec<Expr>, Vec<Expr>, Vec<Reference>) {
        (self.values, self.aggregates, self.measures)
    }

    /// The condition of a variable.
    pub fn condition(&mut self, variable: usize, expr: SqlExpr) -> Result<Condition> {
        let rewritten = self.rewritten(expr, Place::Define(variable))?;
        let operands = std::mem::take(&mut self.operands);
        let mut fields = Vec::new();
        for (name, operand) in &operands {
            let data_type = match operand {
                Operand::Current(value) => self.values[*value].get_type(self.input.schema())?,
                Operand::Of(Reference { what: What::Nth { value, .. }, .. }) => {
                    self.values[*value].get_type(self.input.schema())?
                }
                Operand::Of(Reference { what: What::Aggregate(number), .. }) => {
                    self.aggregates[*number].get_type(self.input.schema())?
                }
            };
            fields.push((None, Arc::new(Field::new(name, data_type, true))));
        }
        let schema = DFSchema::new_with_metadata(fields, HashMap::new())?;
        let expr = self.context.sql_to_expr(rewritten, &schema)?;
        let expr = flink_types::expression(expr, &schema)?;
        let context = SimplifyContext::builder().with_schema(Arc::new(schema.clone())).build();
        let expr = ExprSimplifier::new(context).coerce(expr, &schema)?;
        let data_type = expr.get_type(&schema)?;
        if data_type != arrow::datatypes::DataType::Boolean && !data_type.is_null() {
            return plan_err!(
                "the condition of '{}' is not true or false",
                self.variables[variable]
            );
        }
        let operands = operands.into_iter().map(|(_, operand)| operand).collect();
        Ok(Condition { operands, expr, schema: Arc::new(schema) })
    }

    /// The expression with columns in the place of what it says of rows.
    pub fn rewritten(&mut self, mut expr: SqlExpr, place: Place) -> Result<SqlExpr> {
        match expr.visit(&mut Taking { references: self, place }) {
            ControlFlow::Continue(()) => Ok(expr),
            ControlFlow::Break(error) => Err(error),
        }
    }

    /// What stands for a part of an expression; None if it refers to no rows itself.
    fn taken(&mut self, expr: &SqlExpr, place: Place) -> Result<Option<SqlExpr>> {
        match expr {
            SqlExpr::Identifier(name) if name.value.starts_with('(') => Ok(None),
            SqlExpr::Identifier(_) => self.column(None, expr.clone(), place).map(Some),
            SqlExpr::CompoundIdentifier(parts) => {
                let variable = self.variable_of(parts);
                let column =
                    if variable.is_some() { without_variable(parts) } else { expr.clone() };
                self.column(variable, column, place).map(Some)
            }
            SqlExpr::Function(function) => self.function(function, place),
            _ => Ok(None),
        }
    }

    fn variable_of(&self, parts: &[Ident]) -> Option<usize> {
        let [first, _, ..] = parts else { return None };
        self.variables.iter().position(|name| *name == first.value)
    }

    /// A column of the row that is looked at, or of the last row of a variable.
    fn column(
        &mut self,
        variable: Option<usize>,
        column: SqlExpr,
        place: Place,
    ) -> Result<SqlExpr> {
        let value = self.value(column)?;
        let is_current = match place {
            Place::Define(own) => variable.is_none_or(|variable| variable == own),
            Place::Measures => false,
        };
        Ok(if is_current {
            self.operand(Operand::Current(value))
        } else {
            let what = What::Nth { value, offset: 0, from_end: true };
            self.refer(Reference { variable, what, is_match_time: false }, place)
        })
    }

    fn function(&mut self, function: &Function, place: Place) -> Result<Option<SqlExpr>> {
        let name = function.name.to_string().to_uppercase();
        if function.over.is_some() {
            return Ok(None);
        }
        match name.as_str() {
            "MATCH_ROWTIME" | "MATCH_PROCTIME" => {
                let value = self.known_value(self.rowtime.clone());
                let what = What::Nth { value, offset: 0, from_end: true };
                let reference = Reference { variable: None, what, is_match_time: true };
                Ok(Some(self.refer(reference, place)))
            }
            "FIRST" | "LAST" => self.nth(function, name == "LAST", place).map(Some),
            "PREV" | "NEXT" => plan_err!(
                "'{name}' is not supported, as in Flink: write LAST(X.column, 1) for the row of X before its last"
            ),
            "CLASSIFIER" | "MATCH_NUMBER" => plan_err!("'{name}' is not supported, as in Flink"),
            _ if self
                .context
                .context_provider()
                .get_aggregate_meta(&name.to_lowercase())
                .is_some() =>
            {
                self.aggregate(function, place).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// FIRST(X.column [, n]) and LAST.
    fn nth(&mut self, function: &Function, from_end: bool, place: Place) -> Result<SqlExpr> {
        let name = function.name.to_string().to_uppercase();
        let (of, offset) = match arguments(function).as_slice() {
            [of] => (of.clone(), 0),
            [of, SqlExpr::Value(number)] => match &number.value {
                Value::Number(number, _) => match number.parse() {
                    Ok(offset) => (of.clone(), offset),
                    Err(_) => {
                        return plan_err!("the second argument of '{name}' is a number of rows");
                    }
                },
                _ => return plan_err!("the second argument of '{name}' is a number of rows"),
            },
            _ => {
                return plan_err!(
                    "'{name}' takes a column, and a number of rows that is a constant"
                );
            }
        };
        let (variable, of) = self.of_one_variable(of, &name)?;
        let value = self.value(of)?;
        if matches!(place, Place::Define(own) if Some(own) == variable) && from_end && offset == 0 {
            return Ok(self.operand(Operand::Current(value)));
        }
        let what = What::Nth { value, offset, from_end };
        Ok(self.refer(Reference { variable, what, is_match_time: false }, place))
    }

    fn aggregate(&mut self, function: &Function, place: Place) -> Result<SqlExpr> {
        let name = function.name.to_string().to_uppercase();
        let whole = SqlExpr::Function(function.clone());
        let (variable, plain) = self.of_one_variable(whole, &name)?;
        let plain = count_of_all(plain);
        let call = self.context.sql_to_expr(plain, self.input.schema())?;
        let call = flink_types::expression(call, self.input.schema())?;
        let number = match self.aggregates.iter().position(|known| *known == call) {
            Some(known) => known,
            None => {
                self.aggregates.push(call);
                self.aggregates.len() - 1
            }
        };
        let what = What::Aggregate(number);
        Ok(self.refer(Reference { variable, what, is_match_time: false }, place))
    }

    /// An expression over rows of one variable, without its name. None: of all rows.
    fn of_one_variable(&self, mut expr: SqlExpr, name: &str) -> Result<(Option<usize>, SqlExpr)> {
        let mut found: Vec<Option<usize>> = Vec::new();
        let strip = |e: &mut SqlExpr| {
            match e {
                SqlExpr::CompoundIdentifier(parts) => {
                    let variable = self.variable_of(parts);
                    found.push(variable);
                    if variable.is_some() {
                        *e = without_variable(parts);
                    }
                }
                SqlExpr::Identifier(_) => found.push(None),
                _ => {}
            }
            ControlFlow::<()>::Continue(())
        };
        let _ = sqlparser::ast::visit_expressions_mut(&mut expr, strip);
        found.dedup();
        match found.as_slice() {
            [] => Ok((None, expr)),
            [one] => Ok((*one, expr)),
            _ => plan_err!("'{name}' takes columns of one variable of the PATTERN"),
        }
    }

    fn value(&mut self, expr: SqlExpr) -> Result<usize> {
        let value = self.context.sql_to_expr(expr, self.input.schema())?;
        let value = flink_types::expression(value, self.input.schema())?;
        Ok(self.known_value(value))
    }

    fn known_value(&mut self, value: Expr) -> usize {
        match self.values.iter().position(|known| *known == value) {
            Some(known) => known,
            None => {
                self.values.push(value);
                self.values.len() - 1
            }
        }
    }

    fn refer(&mut self, reference: Reference, place: Place) -> SqlExpr {
        match place {
            Place::Define(_) => self.operand(Operand::Of(reference)),
            Place::Measures => {
                let number = match self.measures.iter().position(|known| *known == reference) {
                    Some(known) => known,
                    None => {
                        self.measures.push(reference);
                        self.measures.len() - 1
                    }
                };
                named(measure_name(number))
            }
        }
    }

    fn operand(&mut self, operand: Operand) -> SqlExpr {
        if let Some((name, _)) = self.operands.iter().find(|(_, known)| *known == operand) {
            return named(name.clone());
        }
        let name = format!("(row {})", self.operands.len());
        self.operands.push((name.clone(), operand));
        named(name)
    }
}

/// Takes references out of an expression, from the outside in.
struct Taking<'a, 'b> {
    references: &'a mut References<'b>,
    place: Place,
}

impl VisitorMut for Taking<'_, '_> {
    type Break = datafusion_common::DataFusionError;

    fn pre_visit_expr(&mut self, expr: &mut SqlExpr) -> ControlFlow<Self::Break> {
        match self.references.taken(expr, self.place) {
            Ok(Some(taken)) => *expr = taken,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

fn named(name: String) -> SqlExpr {
    SqlExpr::Identifier(Ident::with_quote('`', name))
}

fn without_variable(parts: &[Ident]) -> SqlExpr {
    match &parts[1..] {
        [column] => SqlExpr::Identifier(column.clone()),
        fields => SqlExpr::CompoundIdentifier(fields.to_vec()),
    }
}

fn arguments(function: &Function) -> Vec<SqlExpr> {
    let FunctionArguments::List(list) = &function.args else { return vec![] };
    let plain = list.args.iter().filter_map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => Some(e.clone()),
        _ => None,
    });
    plain.collect()
}

/// COUNT(X.*) and COUNT(*) count rows.
fn count_of_all(mut expr: SqlExpr) -> SqlExpr {
    if let SqlExpr::Function(function) = &mut expr
        && let FunctionArguments::List(list) = &mut function.args
    {
        for argument in &mut list.args {
            if matches!(argument, FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(_))) {
                *argument = FunctionArg::Unnamed(FunctionArgExpr::Wildcard);
            }
        }
    }
    expr
}
