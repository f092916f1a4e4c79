//! How do records get into the stream, and what happens when it says no?
//!
//! Records are pushed and their owner goes on; tasks make the calls. What always holds: throttling
//! and errors of the server are tried again for ever, after a growing pause, unless the table says
//! that they end the job; what can never succeed ends it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use super::api::{Entry, Failure, StreamApi};
use super::backlog::{Backlog, Batch, Order, Together};
use crate::tasks::Tasks;
use crate::time::timer::sleep;
use crate::wake::Wake;
use crate::who::{Again, Who};

/// What may wait in one writer, bytes.
const BUFFER_BYTES_MAX: usize = 16 << 20;
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(3);

pub(super) struct PutterConfig {
    pub stream: Arc<dyn StreamApi>,
    pub stream_name: String,
    pub order: Order,
    pub together: Together,
    pub batch_max: usize,
    pub batch_bytes_max: usize,
    pub calls_max: usize,
    pub records_max: usize,
    pub fail_on_error: bool,
    pub tasks: Tasks,
    pub wake: Wake,
}

/// Why nothing more can be written, and who has to act.
#[derive(Debug, Clone)]
pub(super) struct Lost {
    pub reason: String,
    pub who: Who,
}

#[derive(Default)]
struct State {
    backlog: Backlog,
    failure: Option<Lost>,
    /// The writer is gone.
    closed: bool,
    /// Calls in a row that the stream took nothing of; None: it takes records.
    pauses: Option<ExponentialBackoff>,
    /// Nothing is sent until a pause is over.
    is_pausing: bool,
}

/// The records of one writer, shared with the tasks that send them.
pub(super) struct Putter {
    state: Mutex<State>,
    config: PutterConfig,
}

impl Putter {
    pub fn new(config: PutterConfig) -> Arc<Putter> {
        Arc::new(Putter { state: Mutex::default(), config })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes records over, in order. Never waits.
    pub fn push(self: &Arc<Self>, entries: Vec<Entry>) -> Result<(), Lost> {
        let mut state = self.state();
        if let Some(failure) = &state.failure {
            return Err(failure.clone());
        }
        entries.into_iter().for_each(|entry| state.backlog.push(entry));
        self.send_more(state);
        Ok(())
    }

    pub fn has_room(&self) -> bool {
        let state = self.state();
        state.backlog.bytes < BUFFER_BYTES_MAX && state.backlog.records < self.config.records_max
    }

    pub fn memory_bytes(&self) -> usize {
        self.state().backlog.bytes
    }

    pub fn begin_barrier(&self) {
        self.state().backlog.begin_barrier();
    }

    /// True if the stream has everything from before the barrier.
    pub fn poll_prepared(&self) -> Result<bool, Lost> {
        let state = self.state();
        match &state.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(state.backlog.is_prepared()),
        }
    }

    pub fn close(&self) {
        self.state().closed = true;
    }

    fn send_more(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let mut calls = Vec::new();
        let config = &self.config;
        while state.backlog.calls < config.calls_max
            && !state.closed
            && !state.is_pausing
            && state.failure.is_none()
            && let Some(batch) = state.backlog.next(
                config.order,
                config.together,
                config.batch_max,
                config.batch_bytes_max,
            )
        {
            calls.push(Call { putter: self.clone(), batch: Some(batch), pauses: false });
        }
        // A runtime that has stopped drops a task at once, and the call then wants the lock.
        drop(state);
        for call in calls {
            self.config.tasks.spawn(call.make());
        }
    }

    /// Ends a call. `refusals`: why each record was refused, if it was.
    fn ended(self: &Arc<Self>, batch: Batch, refusals: &[Option<String>]) -> Option<Duration> {
        let mut state = self.state();
        let refused = refusals.iter().flatten().count();
        if refused > 0 && self.config.fail_on_error {
            let reason = refusals.iter().flatten().next().cloned().unwrap_or_default();
            state.failure.get_or_insert(Lost {
                reason: format!("PutRecords refused {refused} records: {reason}"),
                who: Who::Outside(Again::MayHelp),
            });
        }
        state.backlog.end(batch, refusals.iter().map(Option::is_some));
        if refused < refusals.len() {
            state.pauses = None;
        }
        if refused == 0 {
            return None;
        }
        let pauses = state.pauses.get_or_insert_with(pauses);
        let pause = pauses.next().unwrap_or(PAUSE_MAX);
        state.is_pausing = true;
        Some(pause)
    }

    fn failed(&self, reason: String, who: Who) {
        self.state().failure.get_or_insert(Lost { reason, who });
    }
}

fn pauses() -> ExponentialBackoff {
    let pauses = ExponentialBuilder::new().with_jitter();
    pauses.with_min_delay(PAUSE_MIN).with_max_delay(PAUSE_MAX).without_max_times().build()
}

/// Records on their way. When that ends, however it ends, the putter learns of it.
struct Call {
    putter: Arc<Putter>,
    batch: Option<Batch>,
    /// Nothing is sent until it ends.
    pauses: bool,
}

impl Call {
    async fn make(mut self) {
        let Some(entries) = self.batch.as_ref().map(Batch::entries) else { return };
        let putter = self.putter.clone();
        let stream = &putter.config.stream_name;
        let refusals = match putter.config.stream.put_records(&entries).await {
            Ok(refusals) => refusals,
            Err(Failure::Retry(reason)) => vec![Some(reason); entries.len()],
            Err(Failure::Expired) => vec![Some("unexpected answer".to_string()); entries.len()],
            Err(Failure::Missing(reason)) => {
                let reason = format!(
                    "there is no stream '{stream}': create it, or check its name and the account ({reason})"
                );
                return putter.failed(reason, Who::Outside(Again::IsInVain));
            }
            Err(Failure::Argument(reason) | Failure::Fatal(reason)) => {
                let reason = format!(
                    "stream '{stream}' refuses to be written; check the credentials and their policy ({reason})"
                );
                return putter.failed(reason, Who::Outside(Again::IsInVain));
            }
        };
        if let Some(reason) = refusals.iter().flatten().next() {
            tracing::debug!(stream, "records are sent again: {reason}");
        }
        let Some(batch) = self.batch.take() else { return };
        if let Some(pause) = putter.ended(batch, &refusals) {
            self.pauses = true;
            sleep(pause).await;
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut state = self.putter.state();
        if self.pauses {
            state.is_pausing = false;
        }
        if let Some(batch) = self.batch.take() {
            let count = batch.len();
            state.backlog.end(batch, std::iter::repeat_n(true, count));
            if !state.closed && state.failure.is_none() {
                // Nobody will send it: better an error than a barrier that never ends.
                let reason = "the network runtime stopped before all records were written".into();
                state.failure = Some(Lost { reason, who: Who::Us });
            }
        }
        self.putter.send_more(state);
        (self.putter.config.wake)();
    }
}

#[cfg(test)]
#[path = "put_tests.rs"]
mod tests;
