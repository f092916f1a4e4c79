//! What moves it? Threads, queues and the life of a job.
//!
//! In reading order: `inbox` (queues between workers), `exchange` (who gets which rows), `chain` (operators in a row),
//! `ingest` (from raw records to rows with watermarks), `worker` (the loop), `control` (what workers and the job tell each other), `graph` (from the plan to workers), `job` (epochs, from start to end), `inputs`
//! (what has changed outside since), `crash`
//! (named points at which tests kill a job). The binary and the tests start jobs through [`job::run`].

pub mod chain;
pub mod control;
pub mod crash;
pub mod error;
pub mod errors;
pub mod exchange;
pub mod graph;
pub mod inbox;
mod inputs;
pub mod job;
pub mod options;
pub mod worker;
