//! What moves it? Threads, queues and the life of a job.
//!
//! In reading order: `inbox` (queues between workers), `exchange` (who gets which rows), `chain`
//! (operators in a row), `worker` (the loop), `control` (what workers and the job tell each other),
//! `graph` (from the plan to workers), `job` (from start to end), `recovery` (what a start finds),
//! `epochs` (what is done when: it decides, `job` acts), `publication` (what sinks do then),
//! `holds` (what a checkpoint waits for), `driver` (threads), `inputs` (what has changed outside since), `crash` (named points at which
//! tests kill a job), `spans` (who writes a log line). The binary and the tests start jobs through [`job::run`].

pub mod chain;
pub mod control;
pub mod crash;
mod driver;
pub(crate) mod epochs;
pub mod error;
pub mod errors;
pub mod exchange;
pub mod graph;
pub(crate) mod holds;
pub mod inbox;
mod inputs;
pub mod job;
mod observer;
pub mod options;
mod publication;
pub(crate) mod recovery;
mod spans;
pub mod worker;
