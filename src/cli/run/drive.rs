//! A connected job, run to its end with its progress shown.
//!
//! Called by `run` as its last step; gives the counts, or the exit code of a job that could not
//! start or go on.

use std::sync::Arc;

use super::Exit;
use crate::cli::board::Board;
use crate::cli::exit::ended;
use crate::cli::progress::{Counts, Progress};
use crate::embed::start::Started;
use crate::observe::health::Health;
use crate::plan::physical::PhysicalPlan;
use crate::runtime::job;
use crate::runtime::job::Outcome;

/// A job whose folder is locked and whose ends are connected.
pub(super) struct Ready<'a> {
    pub plan: &'a PhysicalPlan,
    pub started: Started,
    pub health: Arc<Health>,
}

impl Ready<'_> {
    pub(super) fn drive(self) -> Result<Counts, Exit> {
        let Ready { plan, started: Started { connection, options, store, run_ms }, health } = self;
        let bounded = connection.connected.sources.iter().all(|s| s.bounded());
        let bytes = connection
            .connected
            .sources
            .iter()
            .map(|s| s.size_hint_bytes())
            .sum::<Option<u64>>()
            .filter(|_| bounded);
        let names = plan.sinks.iter().map(|sink| sink.name.clone());
        let sinks = names.zip(connection.connected.sinks.iter().cloned()).collect();
        let board = Board::new(connection.tables);
        let mut progress = Progress::new(bytes, board, options.clock.clone(), health, sinks);
        let outcome = job::run(plan, &connection.connected, &options, store, run_ms, &mut progress);
        let counts = progress.counts;
        let message = match &outcome {
            Ok(Outcome::Finished) => "finished",
            Ok(Outcome::AlreadyFinished) => "finished before: nothing to do (--fresh starts over)",
            Ok(Outcome::Stopped) => "stopped; start again on the same state directory to go on",
            Err(_) => "failed",
        };
        if let Some(board) = &mut progress.board {
            board.finish(message);
        }
        drop(progress);
        match outcome {
            Ok(_) => {
                tracing::info!("{message}: {}", counts.summary());
                Ok(counts)
            }
            Err(e) => Err(ended(&e, e.who())),
        }
    }
}
