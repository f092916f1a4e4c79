//! How many writes are on their way at once, and what happens when DynamoDB says no?
//!
//! Items are pushed and their owner goes on; tasks send them, one in a call, since each is
//! conditional on its version, in the order that `lanes` gives. Used by a worker's writer for
//! results of windows, and by `commit` for what waited for a checkpoint. What always holds: an item
//! is settled only when it is acknowledged, superseded or rejected; an item that cannot be taken
//! does not hold up the others; throttling and errors of the server are tried again for ever.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::sync::Notify;

use super::describe::describe;
use crate::connector::dynamodb::api::{Failure, TableApi, TableKey};
use crate::connector::dynamodb::item::Put;
use crate::connector::dynamodb::lanes::KeyLanes;
use crate::connector::dynamodb::lost::Lost;
use crate::connector::dynamodb::staged::{self, SentBy};
use crate::sink::version::Tally;
use crate::sink::{Prepared, Rejected};
use crate::tasks::Tasks;
use crate::time::seldom::Seldom;
use crate::time::timer;
use crate::wake::Wake;
use crate::who::{Again, Mistake, Who};

/// How much more than its buffer may wait in one writer when a barrier is on its way to it: some
/// lanes full of what comes before the barrier. Past that the barrier waits for the table.
const STAGED_BUFFERS_MAX: usize = 4;
const RETRY_DELAY_MIN: Duration = Duration::from_millis(50);
/// Long enough to let a throttled table recover, short enough to notice soon. Jitter adds up to as
/// much again.
const RETRY_DELAY_MAX: Duration = Duration::from_millis(2500);

/// Items to be sent, shared with the tasks that send them.
pub(crate) struct Sender {
    lanes: Mutex<KeyLanes>,
    config: SenderConfig,
    /// Told when a request has ended.
    ended: Notify,
}

/// Limits and surroundings of a sender.
pub(crate) struct SenderConfig {
    pub api: Arc<dyn TableApi>,
    /// The table's key as it was found, which is that of the items.
    pub key: TableKey,
    pub requests_max: usize,
    /// Items that may wait or be on their way.
    pub items_max: usize,
    /// Their bytes.
    pub bytes_max: usize,
    /// A failed request is not sent again, and an item that cannot be taken is a failure.
    pub fail_on_error: bool,
    pub tasks: Tasks,
    /// Called when a request has ended.
    pub wake: Wake,
    /// For log lines.
    pub table: String,
    /// When all senders of the table together said last that writes are tried again.
    pub retries_told: Arc<Seldom>,
    pub tally: Arc<Tally>,
}

impl Sender {
    pub fn new(config: SenderConfig) -> Arc<Sender> {
        Arc::new(Sender { lanes: Mutex::default(), config, ended: Notify::new() })
    }

    fn lanes(&self) -> MutexGuard<'_, KeyLanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes items over, in order. Never waits. Errors: what made all writing impossible.
    pub fn push(self: &Arc<Self>, puts: Vec<Put>) -> Result<(), Lost> {
        let mut lanes = self.lanes();
        if let Some(failure) = &lanes.failure {
            return Err(failure.clone());
        }
        for put in puts {
            if let Some(standing) = lanes.push(put) {
                self.config.tally.add(standing);
            }
        }
        self.send_more(lanes);
        Ok(())
    }

    /// Whoever waits for room learns at its next push what made all writing impossible.
    pub fn has_room(&self) -> bool {
        let lanes = self.lanes();
        if lanes.failure.is_some() {
            return true;
        }
        lanes.bytes < self.config.bytes_max && lanes.items < self.config.items_max
    }

    /// The same for what comes before a barrier, which stages what is held.
    pub fn has_room_before_barrier(&self) -> bool {
        let lanes = self.lanes();
        lanes.failure.is_some() || lanes.bytes < STAGED_BUFFERS_MAX * self.config.bytes_max
    }

    /// What it occupies.
    pub fn memory_bytes(&self) -> usize {
        self.lanes().bytes
    }

    /// Ends an epoch, with what is on its way and what waits as the writer's part of it.
    pub fn stage(&self, sent_by: SentBy) -> Result<Prepared, Lost> {
        let mut lanes = self.lanes();
        if let Some(failure) = &lanes.failure {
            return Err(failure.clone());
        }
        let staged = staged::encode(lanes.unsettled(), sent_by);
        Ok(Prepared::Part { staged, rejected: lanes.take_rejected() })
    }

    /// Returns when everything has arrived, with the rows that can never be in the table. For one
    /// caller, when nothing is pushed any more.
    pub async fn settled(&self) -> Result<Vec<Rejected>, Lost> {
        loop {
            {
                let mut lanes = self.lanes();
                if let Some(failure) = &lanes.failure {
                    return Err(failure.clone());
                }
                if lanes.items == 0 {
                    return Ok(lanes.take_rejected());
                }
                if lanes.closed {
                    let reason = "its writer ended before all rows were written".into();
                    return Err(Lost { reason, who: Who::Us });
                }
            }
            self.ended.notified().await;
        }
    }

    /// Notes a row that cannot be an item.
    pub(crate) fn reject(&self, rejected: Rejected) {
        self.lanes().reject(rejected);
    }

    pub fn take_rejected(&self) -> Vec<Rejected> {
        self.lanes().take_rejected()
    }

    /// Sends nothing more, not even again.
    pub fn close(&self) {
        self.lanes().closed = true;
        self.ended.notify_one();
    }

    /// The same, and whoever waits for what is on its way gets this for an answer.
    pub fn give_up(&self, lost: Lost) {
        let mut lanes = self.lanes();
        lanes.closed = true;
        lanes.failure.get_or_insert(lost);
        drop(lanes);
        self.ended.notify_one();
        (self.config.wake)();
    }

    /// Starts as many requests as there is reason to.
    fn send_more(self: &Arc<Self>, mut lanes: MutexGuard<'_, KeyLanes>) {
        let mut requests = Vec::new();
        while lanes.requests < self.config.requests_max
            && !lanes.closed
            && lanes.failure.is_none()
            && let Some(sent) = lanes.next_request()
        {
            lanes.requests += 1;
            requests.push(Request { sender: self.clone(), sent, is_settled: false });
        }
        // A runtime that has stopped drops a task at once, and the request then wants the lock.
        drop(lanes);
        for request in requests {
            self.config.tasks.spawn(request.send());
        }
    }

    /// Why the table takes nothing of this job any more, if that is why it refused a request. Its
    /// description may be some seconds old.
    async fn unfit(&self, reason: &str, refusal: Refusal) -> Option<String> {
        let SenderConfig { table, key, api, .. } = &self.config;
        match describe(api.clone()).await {
            Ok(found) if found.key != *key => Some(format!(
                "DynamoDB table '{table}' has changed while the job ran: its key is {}, the query writes {key} ({reason}). \
                 Give the table its former key, or the query that of the table, and start again",
                found.key
            )),
            Ok(_) if refusal == Refusal::Unclear => None,
            Ok(_) => Some(format!(
                "DynamoDB table '{table}' does not take rows of this query, whose key is {key}: {reason}"
            )),
            // Whoever may write need not be allowed to look.
            Err(Lost { reason: why, .. }) if refusal == Refusal::OfTheKey => Some(format!(
                "DynamoDB table '{table}' does not take rows with the key {key}: {reason} ({why})"
            )),
            Err(_) => None,
        }
    }

    fn log_retry(&self, reason: &str) {
        let SenderConfig { table, retries_told, .. } = &self.config;
        if let Some(retries) = retries_told.count() {
            tracing::warn!(table, retries, "DynamoDB did not take a write, trying again: {reason}");
        }
    }
}

/// What a refused request says of the table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// Its key is not that of the query.
    OfTheKey,
    /// Perhaps that, perhaps something of the item.
    Unclear,
}

/// What came of a call.
enum Outcome {
    /// The item is settled.
    Settled,
    /// The same call may succeed later.
    Again(String),
    /// No write can succeed any more.
    Failed(Lost),
}

/// An item on its way. When that ends, however it ends, the sender learns of it.
struct Request {
    sender: Arc<Sender>,
    sent: Arc<Put>,
    is_settled: bool,
}

impl Request {
    async fn send(mut self) {
        let mut delays = delays();
        while !self.sender.lanes().closed {
            match self.put().await {
                Outcome::Settled => {
                    self.is_settled = true;
                    self.sender.lanes().settle(&self.sent);
                    return;
                }
                Outcome::Again(reason) => {
                    self.sender.log_retry(&reason);
                    timer::sleep(delays.next().unwrap_or(RETRY_DELAY_MAX)).await;
                }
                Outcome::Failed(lost) => {
                    self.sender.lanes().failure.get_or_insert(lost);
                    return;
                }
            }
        }
    }

    async fn put(&self) -> Outcome {
        let (sender, config) = (&self.sender, &self.sender.config);
        let in_vain = |reason| Outcome::Failed(Lost::outside(Again::IsInVain, reason));
        match config.api.put(&self.sent, &config.key).await {
            Ok(standing) | Err(Failure::Superseded(standing)) => {
                config.tally.add(standing);
                Outcome::Settled
            }
            Err(Failure::Retry(reason)) if config.fail_on_error => {
                Outcome::Failed(Lost::outside(Again::MayHelp, reason))
            }
            Err(Failure::Retry(reason)) => Outcome::Again(reason),
            Err(Failure::Fatal(reason)) => in_vain(reason),
            Err(Failure::Unfit(reason)) => {
                in_vain(sender.unfit(&reason, Refusal::OfTheKey).await.unwrap_or(reason))
            }
            Err(Failure::Missing(reason)) => in_vain(format!(
                "DynamoDB table '{}' does not exist any more: create it with the key {} and start again ({reason})",
                config.table, config.key
            )),
            Err(Failure::Unclear(reason)) => match sender.unfit(&reason, Refusal::Unclear).await {
                Some(reason) => in_vain(reason),
                None => self.refuse(reason),
            },
            Err(Failure::Refused(reason)) => self.refuse(reason),
        }
    }

    /// What becomes of an item that can never be taken.
    fn refuse(&self, reason: String) -> Outcome {
        let item = &self.sent.item;
        // A row that is deleted and could not be one was rejected when it was added.
        if !item.deletes {
            let row = item.to_json();
            if self.sender.config.fail_on_error {
                let reason = format!("{reason}: {row}");
                return Outcome::Failed(Lost { reason, who: Who::User(Mistake::Data) });
            }
            self.sender.lanes().reject(Rejected { row, reason });
        }
        Outcome::Settled
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let mut lanes = self.sender.lanes();
        lanes.requests -= 1;
        if !self.is_settled && !lanes.closed {
            // Nobody will send it: better an error than a commit that never ends.
            lanes.failure.get_or_insert_with(|| {
                let reason = "the network runtime stopped before all rows were written".into();
                Lost { reason, who: Who::Us }
            });
        }
        self.sender.send_more(lanes);
        self.sender.ended.notify_one();
        (self.sender.config.wake)();
    }
}

fn delays() -> ExponentialBackoff {
    let delays = ExponentialBuilder::new()
        .with_jitter()
        .with_min_delay(RETRY_DELAY_MIN)
        .with_max_delay(RETRY_DELAY_MAX);
    delays.without_max_times().build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_cap_and_never_end() {
        let delays: Vec<Duration> = delays().take(200).collect();
        assert_eq!(delays.len(), 200);
        assert!(delays[0] >= RETRY_DELAY_MIN && delays[0] <= RETRY_DELAY_MIN * 2);
        assert!(delays[100..].iter().all(|d| (RETRY_DELAY_MAX..=RETRY_DELAY_MAX * 2).contains(d)));
    }
}
