//! GROUP BY without a window: a table of groups that changes with every row, sent on as a stream of changes.
//!
//! Runs behind an exchange by key, so one worker sees all rows of a key. In reading order: `keyed` (groups in memory and in
//! the store), `changes` (from rows to what they change), `fold` (rows into accumulators), `aggregate` (the operator), `windowed` with
//! `of_windows` (the same for groups that belong to windows), `upserts` (changes by key). What always holds: for each row, in
//! order, the change that Flink prints: +I for a group's first row; -U and +U when its result differs; -D when its last row
//! is taken back. No row is ever late here.

pub mod aggregate;
mod changes;
mod fold;
pub mod keyed;
mod of_windows;
pub mod upserts;
pub mod windowed;

use std::time::Duration;

use arrow::datatypes::{DataType, SchemaRef};

use super::aggregate::Aggregate;
use crate::ids::OperatorId;
use crate::time::zone::Zone;

/// A GROUP BY without a window, resolved. Input columns are, in this order: the keys, then arguments and filters.
#[derive(Debug, Clone)]
pub struct GroupSpec {
    /// Stable number of the operator within the query; part of stored keys.
    pub operator: OperatorId,
    pub key_types: Vec<DataType>,
    pub aggregates: Vec<Aggregate>,
    /// Rows of the input may be taken back.
    pub retracts: bool,
    /// A group is forgotten when it got no row for so long (`table.exec.state.ttl`); None: never.
    pub ttl: Option<Duration>,
    /// Rows that are folded together before anything is sent (`table.exec.mini-batch.size`); None: each by itself.
    pub bundle_rows: Option<usize>,
    /// Rows belong to windows, whose groups are forgotten when those are over.
    pub windows: Option<WindowedSpec>,
    /// The keys, then the aggregates.
    pub output: SchemaRef,
}

/// When the groups of windows are sent, and how long they are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowedSpec {
    /// Index of the window's end among the keys.
    pub end: usize,
    /// The zone in which the windows lie. None: on the rowtime as it is.
    pub zone: Option<Zone>,
    /// Before the window closes.
    pub early: Pace,
    /// After that.
    pub late: Pace,
    /// How long after its end a window still takes rows, ms of event time.
    pub lateness_ms: i64,
}

impl WindowedSpec {
    /// A window's result comes once and is final.
    pub fn is_final(&self) -> bool {
        self.early == Pace::Never && self.lateness_ms == 0
    }
}

/// When a change is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Not of itself; when the window closes.
    Never,
    EachRow,
    /// So long after it, ms of processing time, with all that follow until then.
    After {
        delay_ms: i64,
    },
}
