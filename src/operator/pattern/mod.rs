//! MATCH_RECOGNIZE: rows of a key that follow each other in a pattern, as one row.
//!
//! Rows wait until the watermark has passed them, and are then looked at in order, as OVER does. In
//! reading order: `automaton` (which variable may the next row be), `partial` (how far each beginning
//! has come, which match counts), `values` (what conditions and measures see), `kept` (what is stored
//! of a key), `operator`. What always holds: for the same rows of a key in order, the matches that
//! Flink finds; a row that comes at or behind the watermark of its split is dropped and counted.

pub mod automaton;
mod kept;
pub mod operator;
pub mod partial;
mod values;

use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;
use datafusion_physical_expr::PhysicalExpr;

use super::aggregate::Aggregate;
use super::over::OverSpec;
use automaton::{Automaton, Variable};
use partial::Skip;

/// A value of the rows that a match has.
#[derive(Debug, Clone)]
pub struct Reference {
    /// Of the rows of this variable; None: of all.
    pub variable: Option<usize>,
    pub what: What,
}

#[derive(Debug, Clone)]
pub enum What {
    /// A column of a row, counted from 0 from either end.
    Nth {
        column: usize,
        offset: u64,
        from_end: bool,
    },
    Aggregate(Aggregate),
}

/// A column that a condition sees.
#[derive(Debug, Clone)]
pub enum Operand {
    /// Of the row that is looked at.
    Current(usize),
    /// Of the rows so far, that row as the variable that is asked for among them.
    Of(Reference),
}

/// Under which condition a row is a variable.
#[derive(Debug, Clone)]
pub struct Condition {
    pub operands: Vec<Operand>,
    /// Over the operands.
    pub expr: Arc<dyn PhysicalExpr>,
    pub schema: SchemaRef,
}

impl Condition {
    /// It goes by the row alone.
    fn is_of_the_row(&self) -> bool {
        self.operands.iter().all(|operand| matches!(operand, Operand::Current(_)))
    }
}

/// A MATCH_RECOGNIZE, resolved. Column numbers are those of the input.
#[derive(Debug, Clone)]
pub struct PatternSpec {
    /// How rows wait: operator, partition, rowtime and input.
    pub waiting: OverSpec,
    /// What rows of the same time are ordered by.
    pub order: Vec<(usize, SortOptions)>,
    pub variables: Vec<Variable>,
    pub automaton: Automaton,
    /// For each variable; None: any row.
    pub conditions: Vec<Option<Condition>>,
    pub skip: Skip,
    /// A match has less than so much time between its first row and its last, ms.
    pub within_ms: Option<i64>,
    pub measures: Vec<Reference>,
    /// The partition's columns, then the measures.
    pub output: SchemaRef,
}
