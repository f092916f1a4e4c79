//! What happens to rows? Operators: plain synchronous state machines, driven by one closed [`Event`] enum.
//!
//! Built by `runtime::graph` from the physical plan and driven by `runtime::worker`. An operator knows time and state; it
//! has no async, no sockets and no clock. What always holds: an operator's output depends only on the sequence of events
//! it was given; everything it must remember over a crash is in its store and its [`OperatorState`].
//!
//! In reading order: `event` (what arrives), `calc` (filter and project), `unnest` (one row for each element), `aggregate` (kernels), `window` (slices, tables,
//! firing), `top_n`.

pub mod aggregate;
pub mod calc;
pub mod event;
pub mod expand;
pub mod group;
pub mod join;
pub mod keyed;
pub mod marks;
pub mod over;
pub mod processing_time;
pub mod rank;
pub mod session;
pub mod top_n;
pub mod unnest;
pub mod window;

use serde::{Deserialize, Serialize};

use crate::lookup::LookupError;
use crate::state::key::KeyError;
use crate::state::packed::PackedError;
use crate::state::rocks::{Changes, StateDb, StateError};
pub use event::{Event, Op, Ops, Partials, Rows};

/// One step of a query on one worker.
pub trait Operator: Send {
    /// Takes one event and appends what follows from it to `cx.out`. A watermark or a barrier is passed on after the
    /// output it causes; where that output takes several steps, [`Operator::has_work`] turns true and `work` passes it on.
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError>;

    /// True while a fire is under way. No event may be given to the operator then.
    fn has_work(&self) -> bool {
        false
    }

    /// True while [`Operator::work`] would do nothing, because it waits for an answer from outside: the worker is woken when
    /// that has come.
    fn is_waiting(&self) -> bool {
        false
    }

    /// Goes on with the fire for one bounded step.
    fn work(&mut self, _cx: &mut Context<'_>) -> Result<(), OperatorError> {
        Ok(())
    }

    /// Adds some of the state that was frozen at the last barrier to `changes`. Returns true when nothing is left.
    fn write_frozen(&mut self, _changes: &mut Changes) -> Result<bool, OperatorError> {
        Ok(true)
    }

    /// Moves a part of its accumulators to the store by adding it to `changes`, because memory runs short. Returns false if
    /// it has none to move. Never called between a barrier and the checkpoint it is for.
    fn spill(&mut self, _changes: &mut Changes) -> Result<bool, OperatorError> {
        Ok(false)
    }

    /// Bytes of accumulators in memory.
    fn memory_bytes(&self) -> usize {
        0
    }

    /// What a checkpoint keeps besides the store. Called between the barrier and the next event.
    fn state(&self) -> OperatorState {
        OperatorState::default()
    }

    /// Takes up the state of a checkpoint; `db` holds the entries of this worker's key groups.
    fn restore(&mut self, _state: &OperatorState, _db: &StateDb) -> Result<(), OperatorError> {
        Ok(())
    }
}

/// What an operator is given besides the event.
pub struct Context<'a> {
    pub out: &'a mut Vec<Event>,
    pub db: &'a StateDb,
    /// Rows that failed; the worker writes them to the error stream.
    pub failed: &'a mut Vec<FailedRows>,
    pub counters: &'a mut Counters,
    /// Bytes that may be taken into memory from the store.
    pub room_bytes: usize,
    /// Processing time, ms since the epoch: for state that is forgotten when it is not used.
    pub now_ms: i64,
}

/// Rows that a kernel refused, with the reason.
pub struct FailedRows {
    pub operator: String,
    pub rows: arrow::record_batch::RecordBatch,
    pub reason: String,
}

/// What an operator counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Rows dropped because their own split's watermark had closed all their windows.
    pub late_rows: u64,
    /// Partial aggregates dropped because the operator had fired their windows (splits that were idle, absent or new).
    pub late_by_fired_mark: u64,
    pub windows_fired: u64,
}

/// The part of an operator's state that is in the manifest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorState {
    /// The fired mark: everything up to this watermark has fired and never fires again. None before the first watermark.
    pub fired_mark_ms: Option<i64>,
    /// The generation that the next write to the store carries: two writes never share a key.
    pub next_generation: u32,
}

impl OperatorState {
    /// The state of an operator whose key groups come from two workers.
    pub fn join(self, other: OperatorState) -> OperatorState {
        OperatorState {
            fired_mark_ms: self.fired_mark_ms.max(other.fired_mark_ms),
            next_generation: self.next_generation.max(other.next_generation),
        }
    }
}

/// A failure that ends the job (exit code 1).
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Lookup(#[from] LookupError),
    #[error("operator {operator}: {reason}")]
    Damaged { operator: String, reason: String },
    #[error("operator {operator}: {reason}")]
    Kernel { operator: String, reason: String },
}

impl OperatorError {
    pub fn damaged(operator: u32, reason: impl ToString) -> OperatorError {
        OperatorError::Damaged { operator: operator.to_string(), reason: reason.to_string() }
    }
}

impl From<KeyError> for OperatorError {
    fn from(e: KeyError) -> Self {
        OperatorError::Damaged { operator: "state".into(), reason: e.to_string() }
    }
}

impl From<PackedError> for OperatorError {
    fn from(e: PackedError) -> Self {
        OperatorError::Damaged { operator: "state".into(), reason: e.to_string() }
    }
}
