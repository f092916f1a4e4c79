//! MATCH_RECOGNIZE as a node of the logical plan.
//!
//! Its columns are those of PARTITION BY, then one for each reference of the measures. What always
//! holds: what it computes of single rows is among its expressions, so that types and the columns that
//! are read follow from them; conditions are over their operands alone.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::Field;
use datafusion_common::{DFSchema, DFSchemaRef, Result, plan_err};
use datafusion_expr::{Expr, ExprSchemable, LogicalPlan, UserDefinedLogicalNodeCore};

use crate::operator::pattern::automaton::Variable;
use crate::operator::pattern::partial::Skip;

/// A column to order by.
pub(crate) type Order = (Expr, SortOptions);

/// A value of the rows of a match.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Reference {
    /// Of the rows of this variable; None: of all.
    pub variable: Option<usize>,
    pub what: What,
    /// The time of the match, which is a time attribute again.
    pub is_match_time: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum What {
    /// A value of a row, counted from 0 from either end.
    Nth { value: usize, offset: u64, from_end: bool },
    /// One of the node's aggregates.
    Aggregate(usize),
}

/// A column that a condition sees.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Operand {
    /// A value of the row that is looked at.
    Current(usize),
    Of(Reference),
}

/// The condition of a variable: over columns for its operands, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    pub operands: Vec<Operand>,
    pub expr: Expr,
    pub schema: DFSchemaRef,
}

/// Everything but the input and what follows from it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parts {
    pub partition: Vec<Expr>,
    /// The time attribute, then what rows of the same time are ordered by.
    pub order: Vec<Order>,
    /// Values of single rows.
    pub values: Vec<Expr>,
    pub aggregates: Vec<Expr>,
    pub variables: Vec<Variable>,
    /// For each variable; None: any row.
    pub conditions: Vec<Option<Condition>>,
    pub skip: Skip,
    pub within_ms: Option<i64>,
    pub measures: Vec<Reference>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MatchRecognize {
    pub parts: Parts,
    pub input: LogicalPlan,
    schema: DFSchemaRef,
}

/// The column of a measure's reference. No SQL column is called that.
pub(super) fn measure_name(number: usize) -> String {
    format!("(measure {number})")
}

impl MatchRecognize {
    pub(super) fn try_new(parts: Parts, input: LogicalPlan) -> Result<MatchRecognize> {
        let mut fields = Vec::new();
        for column in &parts.partition {
            let (_, field) = column.to_field(input.schema())?;
            fields.push((None, field));
        }
        for (number, reference) in parts.measures.iter().enumerate() {
            let of = match &reference.what {
                What::Nth { value, .. } => &parts.values[*value],
                What::Aggregate(number) => &parts.aggregates[*number],
            };
            let name = measure_name(number);
            let (_, field) = of.to_field(input.schema())?;
            let field = if reference.is_match_time {
                field.as_ref().clone().with_name(name)
            } else {
                Field::new(name, field.data_type().clone(), true)
            };
            fields.push((None, Arc::new(field)));
        }
        let schema = Arc::new(DFSchema::new_with_metadata(fields, HashMap::new())?);
        Ok(MatchRecognize { parts, input, schema })
    }

    pub fn partition_len(&self) -> usize {
        self.parts.partition.len()
    }

    pub(super) fn output(&self) -> &DFSchema {
        &self.schema
    }
}

impl Eq for MatchRecognize {}
impl PartialOrd for MatchRecognize {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.input.partial_cmp(&other.input)
    }
}
impl Hash for MatchRecognize {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Parts { partition, values, aggregates, variables, skip, within_ms, measures, .. } =
            &self.parts;
        (partition, values, aggregates, variables, skip, within_ms, measures).hash(state);
        self.input.hash(state);
    }
}

impl UserDefinedLogicalNodeCore for MatchRecognize {
    fn name(&self) -> &str {
        "MatchRecognize"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        let Parts { partition, order, values, aggregates, .. } = &self.parts;
        let order = order.iter().map(|(column, _)| column);
        partition.iter().chain(order).chain(values).chain(aggregates).cloned().collect()
    }

    fn fmt_for_explain(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Parts { partition, order, variables, conditions, skip, within_ms, measures, .. } =
            &self.parts;
        write!(
            f,
            "MatchRecognize: partition {partition:?} order {order:?} pattern {variables:?} skip {skip:?} within {within_ms:?} \
             measures {measures:?} where"
        )?;
        for condition in conditions {
            match condition {
                Some(condition) => write!(f, " {} over {:?};", condition.expr, condition.operands)?,
                None => f.write_str(" any;")?,
            }
        }
        Ok(())
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let Some(input) = inputs.into_iter().next() else {
            return plan_err!("MATCH_RECOGNIZE needs an input");
        };
        let mut exprs = exprs.into_iter();
        let mut parts = self.parts.clone();
        let places = parts
            .partition
            .iter_mut()
            .chain(parts.order.iter_mut().map(|(column, _)| column))
            .chain(&mut parts.values)
            .chain(&mut parts.aggregates);
        for place in places {
            match exprs.next() {
                Some(expr) => *place = expr,
                None => return plan_err!("MATCH_RECOGNIZE lacks an expression"),
            }
        }
        MatchRecognize::try_new(parts, input)
    }

    fn necessary_children_exprs(&self, _: &[usize]) -> Option<Vec<Vec<usize>>> {
        let input = self.input.schema();
        let exprs = UserDefinedLogicalNodeCore::expressions(self);
        let columns = exprs.iter().flat_map(Expr::column_refs);
        let mut needed: Vec<usize> =
            columns.filter_map(|c| input.maybe_index_of_column(c)).collect();
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}
