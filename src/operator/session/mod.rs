//! Sessions: which rows of a key belong together because no gap lies between them?
//!
//! A row at `ts` stands for the interval `[ts, ts + gap)`. Rows of one key whose intervals overlap or touch form a session.
//! Used behind an exchange by key: one worker sees all rows of a key, those of one split in their order, each with the
//! watermark its own split had before it. In reading order: `fragments` (what is known of each key), `aggregate` (the
//! operator: rows, fires), `stored` (the packed form in the store), `rows` (sessions without an aggregation).
//!
//! **One split** follows Flink row by row: a row joins the key's *open* sessions that it touches, which may merge them; a
//! session is open while the watermark is below its end - 1. A row that touches no open session begins one, unless its own
//! interval is closed already: then it is late. So a row far behind the watermark counts if it touches an open session, and
//! a row that touches only a closed one begins a second, overlapping session.
//!
//! **Several splits.** The rows of each split form *fragments* by that rule alone, with the split's own watermark, so a
//! fragment is a function of its split's records. Fragments A and B of different splits are joined if their intervals
//! touch, and A's split had not closed B's interval when A reached its final start, nor B's split A's:
//!
//! ```text
//! joined(A, B) = A.start <= B.end and B.start <= A.end and A.start_watermark < B.end - 1 and B.start_watermark < A.end - 1
//! ```
//!
//! A session is a connected set of fragments. It fires when the watermark of the whole source reaches its end - 1; every
//! fragment of it is closed in its own split then, and whatever comes later has a `start_watermark` that joins it to none
//! of them. So a fired session never changes, and the result does not depend on how the splits interleave.

pub mod aggregate;
mod fragments;
pub mod rows;
mod stored;

use arrow::datatypes::{DataType, SchemaRef};

use super::aggregate::Aggregate;
use super::window::GroupColumn;
use crate::ids::OperatorId;
use crate::time::zone::Zone;

/// A session aggregation, resolved. Input columns are, in this order: the rowtime, the keys, then arguments and filters.
#[derive(Debug, Clone)]
pub struct SessionSpec {
    /// Stable number of the operator within the query; part of stored keys.
    pub operator: OperatorId,
    pub gap_ms: i64,
    /// The zone on whose local time gaps are measured. None: on the rowtime as it is.
    pub zone: Option<Zone>,
    pub key_types: Vec<DataType>,
    pub aggregates: Vec<Aggregate>,
    /// The columns before the aggregates in the output.
    pub group_columns: Vec<GroupColumn>,
    pub output: SchemaRef,
}
