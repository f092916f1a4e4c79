//! What happens to rows? Operators: plain synchronous state machines, driven by one closed
//! [`Event`] enum.
//!
//! Built by `runtime::graph` from the physical plan and driven by `runtime::worker`. An operator
//! knows time and state; it has no async, no sockets and no clock. What always holds: an operator's
//! output depends only on the sequence of events it was given; everything it must remember over a
//! crash is in its store and its [`OperatorState`].
//!
//! In reading order: `event` (what arrives), `calc` (filter and project), `unnest` (one row for
//! each element), `aggregate` (kernels), `window` (slices, tables, firing), `top_n`, `sort`.

pub mod aggregate;
pub mod calc;
pub mod event;
pub mod expand;
pub mod group;
pub mod join;
pub mod keyed;
pub mod marks;
pub mod over;
pub mod pattern;
pub mod processing_time;
pub mod rank;
pub mod session;
pub mod sort;
pub mod top_n;
pub mod unnest;
pub mod window;

use std::fmt;

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};

use crate::lookup::LookupError;
use crate::state::StateError;
use crate::state::key::KeyError;
use crate::state::packed::PackedError;
use crate::state::store::{Changes, StateDb};
use crate::time::Watermark;
use crate::who::{Again, Mistake, Who};
pub use event::{Entries, Event, Op, Ops, Partials, Rows};

/// One step of a query on one worker. What holds nothing and answers each event at once is
/// [`Operator::on_event`] alone; an operator that goes on by itself offers its [`Steps`], one that
/// a checkpoint has to know offers its [`State`].
///
/// ```text
///              a chain: events from the left, each operator's output is the next one's input
///
///   rows, watermark, barrier --> [calc] --> [window aggregate] --> [top-n] --> edge or sink
///                                             |           ^
///                          a watermark begins |           | work, work, ... until has_work is false:
///                          a fire             +-----------+ then the watermark is passed on
/// ```
pub trait Operator: Send {
    /// Takes one event and appends what follows from it to `cx.out`. A watermark or a barrier is
    /// passed on after the output it causes; where that output takes several steps,
    /// [`Steps::has_work`] turns true and [`Steps::work`] passes it on.
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError>;

    /// Its further steps, if an event may cause more output than one call should make.
    fn steps(&mut self) -> Option<&mut dyn Steps> {
        None
    }

    /// What a checkpoint has to keep of it, if anything.
    fn state(&mut self) -> Option<&mut dyn State> {
        None
    }

    /// Bytes of accumulators and rows that it holds in memory.
    fn memory_bytes(&self) -> usize {
        0
    }
}

/// An operator whose output to one event may take several steps.
pub trait Steps {
    /// True while a fire is under way. No event may be given to the operator then.
    fn has_work(&self) -> bool;

    /// True while [`Steps::work`] would do nothing, because it waits for an answer from outside:
    /// the worker is woken when that has come.
    fn is_waiting(&self) -> bool {
        false
    }

    /// Goes on with the fire for one bounded step.
    fn work(&mut self, cx: &mut Context<'_>) -> Result<(), OperatorError>;
}

/// An operator that remembers something over a crash.
///
/// ```text
///   barrier --> on_event sets the tables aside (frozen) and goes on with fresh ones
///                  |
///                  | write_frozen, a table at a time, between the batches behind the barrier
///                  v
///                store --> hard links --> manifest, with the marks of every operator
///                  ^
///                  | spill, when memory runs short; never between a barrier and its checkpoint
///                hot tables
/// ```
pub trait State {
    /// Adds some of the state that was frozen at the last barrier to `changes`. Returns true when
    /// nothing is left.
    fn write_frozen(&mut self, _changes: &mut Changes) -> Result<bool, OperatorError> {
        Ok(true)
    }

    /// Moves a part of its accumulators to the store by adding it to `changes`, because memory runs
    /// short. Returns false if it has none to move. Never called between a barrier and the
    /// checkpoint it is for.
    fn spill(&mut self, _changes: &mut Changes) -> Result<bool, OperatorError> {
        Ok(false)
    }

    /// What a checkpoint keeps besides the store. Called between the barrier and the next event.
    fn marks(&self) -> OperatorState {
        OperatorState::default()
    }

    /// Takes up the state of a checkpoint; `db` holds the entries of this worker's key groups.
    fn restore(&mut self, _marks: &OperatorState, _db: &StateDb) -> Result<(), OperatorError> {
        Ok(())
    }
}

/// What an operator is given besides the event.
pub struct Context<'a> {
    pub out: &'a mut Vec<Event>,
    /// The name of the operator, as plans and messages have it.
    pub operator: &'a str,
    pub db: &'a StateDb,
    /// Rows that failed; the worker writes them to the error stream.
    pub failed: &'a mut Vec<FailedRows>,
    pub counters: &'a mut Counters,
    /// Bytes that may be taken into memory from the store.
    pub room_bytes: usize,
    /// Processing time, ms since the epoch: for state that is forgotten when it is not used.
    pub now_ms: i64,
}

impl Context<'_> {
    /// The same for an operator of this name, whose output goes to `out`.
    pub fn of<'b>(&'b mut self, operator: &'b str, out: &'b mut Vec<Event>) -> Context<'b> {
        Context {
            out,
            operator,
            db: self.db,
            failed: self.failed,
            counters: self.counters,
            ..*self
        }
    }

    /// Hands rows that the operator cannot use to the error stream.
    pub fn fail(&mut self, rows: RecordBatch, reason: String) {
        self.failed.push(FailedRows { operator: self.operator.to_string(), rows, reason });
    }
}

/// Rows that a kernel refused, with the reason.
pub struct FailedRows {
    pub operator: String,
    pub rows: RecordBatch,
    pub reason: String,
}

/// What an operator counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Rows dropped because their own split's watermark had closed all their windows.
    pub late_rows: u64,
    /// Partial aggregates dropped because the operator had fired their windows (splits that were
    /// idle, absent or new).
    pub late_by_fired_mark: u64,
    pub windows_fired: u64,
}

/// The part of an operator's state that is in the manifest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorState {
    /// The fired mark: everything up to this watermark has fired and never fires again. None before
    /// the first watermark.
    pub fired_mark: Option<Watermark>,
    /// The generation that the next write to the store carries: two writes never share a key.
    pub next_generation: u32,
}

impl OperatorState {
    /// The state of an operator whose key groups come from two workers.
    pub fn join(self, other: OperatorState) -> OperatorState {
        OperatorState {
            fired_mark: self.fired_mark.max(other.fired_mark),
            next_generation: self.next_generation.max(other.next_generation),
        }
    }
}

/// Why an operator cannot go on. It does not say which operator: the chain that runs it knows
/// ([`OperatorFailure`]).
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// Stored state is not what this operator writes.
    #[error("{0}")]
    Damaged(String),
    /// Values of the rows, of which the query has no result.
    #[error("{0}")]
    Data(String),
    /// What no plan should lead to.
    #[error("{0}")]
    Kernel(String),
}

impl OperatorError {
    pub fn who(&self) -> Who {
        match self {
            OperatorError::State(e) => e.who(),
            OperatorError::Lookup(e) => e.who(),
            // It was read from the store of a worker: the next start takes a checkpoint, whose
            // files are checked.
            OperatorError::Damaged(_) => Who::Stored(Again::MayHelp),
            OperatorError::Data(_) => Who::User(Mistake::Data),
            OperatorError::Kernel(_) => Who::Us,
        }
    }

    pub(crate) fn data(reason: impl ToString) -> OperatorError {
        OperatorError::Data(reason.to_string())
    }

    pub fn damaged(reason: impl ToString) -> OperatorError {
        OperatorError::Damaged(reason.to_string())
    }

    pub(crate) fn kernel(reason: impl ToString) -> OperatorError {
        OperatorError::Kernel(reason.to_string())
    }

    /// Partial aggregates came to an operator that takes rows: a plan that lowering does not make.
    pub(crate) fn no_place_for_partials() -> OperatorError {
        OperatorError::kernel("partial aggregates where rows belong")
    }

    /// The failure of the operator of this name.
    pub fn of(self, operator: &str) -> OperatorFailure {
        OperatorFailure { operator: operator.to_string(), error: self }
    }
}

impl From<ArrowError> for OperatorError {
    fn from(e: ArrowError) -> Self {
        let is_of_the_values = matches!(
            e,
            ArrowError::ArithmeticOverflow(_)
                | ArrowError::CastError(_)
                | ArrowError::DictionaryKeyOverflowError
                | ArrowError::DivideByZero
                | ArrowError::OffsetOverflowError(_)
                | ArrowError::ParseError(_)
                | ArrowError::RunEndIndexOverflowError
        );
        if is_of_the_values { OperatorError::data(e) } else { OperatorError::kernel(e) }
    }
}

impl From<KeyError> for OperatorError {
    fn from(e: KeyError) -> Self {
        OperatorError::damaged(e)
    }
}

impl From<PackedError> for OperatorError {
    fn from(e: PackedError) -> Self {
        OperatorError::damaged(e)
    }
}

/// A failure that ends the job: an error, and the operator that it happened to.
#[derive(Debug)]
pub struct OperatorFailure {
    operator: String,
    error: OperatorError,
}

impl OperatorFailure {
    pub fn who(&self) -> Who {
        self.error.who()
    }
}

impl std::error::Error for OperatorFailure {}

impl fmt::Display for OperatorFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            // A store and a table outside say themselves where they are.
            OperatorError::State(_) | OperatorError::Lookup(_) => self.error.fmt(f),
            OperatorError::Damaged(reason)
            | OperatorError::Data(reason)
            | OperatorError::Kernel(reason) => {
                write!(f, "operator {}: {reason}", self.operator)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_whose_it_is_unless_the_error_does() {
        let store = StateError { path: "state/live-0".into(), reason: "disk full".into() };
        for (error, text) in [
            (OperatorError::kernel("too large"), "operator rank 3: too large"),
            (OperatorError::damaged("an unknown key"), "operator rank 3: an unknown key"),
            (store.into(), "state store in state/live-0: disk full"),
        ] {
            assert_eq!(error.of("rank 3").to_string(), text);
        }
    }

    #[test]
    fn values_without_a_result_are_the_users_and_other_errors_of_kernels_ours() {
        for (error, who) in [
            (ArrowError::DivideByZero, Who::User(Mistake::Data)),
            (ArrowError::ArithmeticOverflow("x".into()), Who::User(Mistake::Data)),
            (ArrowError::InvalidArgumentError("x".into()), Who::Us),
        ] {
            assert_eq!(OperatorError::from(error).of("rank 3").who(), who);
        }
    }
}
