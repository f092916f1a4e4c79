//! How many requests are on their way at once, and what happens when DynamoDB says no?
//!
//! A worker pushes items and goes on; tasks on the network runtime send them, in the order that `lanes` gives. What always
//! holds: an item is settled only when it is acknowledged, superseded or rejected; an item that cannot be taken does not
//! hold up the others; throttling and errors of the server are tried again for ever.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use super::WriteMode;
use super::client::{Failure, TableClient};
use super::item::Item;
use super::lanes::Lanes;
use crate::sink::Rejected;

/// What may wait in one writer, bytes. Some seconds of a table that takes 1000 items a second; several writers share memory
/// with the state.
pub const BUFFER_BYTES_MAX: usize = 8 << 20;
const RETRY_DELAY_MIN: Duration = Duration::from_millis(50);
/// Long enough to let a throttled table recover, short enough to notice soon. Jitter adds up to as much again.
const RETRY_DELAY_MAX: Duration = Duration::from_secs(5);

/// One writer's items, shared with the tasks that send them.
pub struct Outbox {
    lanes: Mutex<Lanes>,
    /// Told when a request ends.
    changed: Condvar,
    client: Arc<TableClient>,
    key_names: Vec<Arc<str>>,
    batch_size: usize,
    requests_max: usize,
    runtime: tokio::runtime::Handle,
    table: String,
    superseded: Arc<AtomicU64>,
    retries: AtomicU64,
}

/// Limits and surroundings of an outbox.
pub struct OutboxConfig {
    pub mode: WriteMode,
    /// Names of the table's key attributes, in the order of its key schema.
    pub key_names: Vec<Arc<str>>,
    pub batch_size: usize,
    pub requests_max: usize,
    pub runtime: tokio::runtime::Handle,
    /// For log lines.
    pub table: String,
    /// Counts items that were not written because something newer was there.
    pub superseded: Arc<AtomicU64>,
}

impl Outbox {
    pub fn new(client: Arc<TableClient>, config: OutboxConfig) -> Arc<Outbox> {
        Arc::new(Outbox {
            lanes: Mutex::new(Lanes::new(config.mode)),
            changed: Condvar::new(),
            client,
            key_names: config.key_names,
            // Conditions and order need requests of their own.
            batch_size: if config.mode == WriteMode::Unique { config.batch_size } else { 1 },
            requests_max: config.requests_max,
            runtime: config.runtime,
            table: config.table,
            superseded: config.superseded,
            retries: AtomicU64::default(),
        })
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes items over, in order. Never waits. Errors: what made all writing impossible.
    pub fn push(self: &Arc<Self>, items: Vec<Item>) -> Result<(), String> {
        let mut lanes = self.lanes();
        if let Some(failure) = &lanes.failure {
            return Err(failure.clone());
        }
        let superseded = items.into_iter().map(|item| u64::from(lanes.push(item))).sum();
        self.superseded.fetch_add(superseded, Ordering::Relaxed);
        self.send_more(lanes);
        Ok(())
    }

    pub fn has_room(&self) -> bool {
        self.lanes().bytes < BUFFER_BYTES_MAX
    }

    /// Waits until nothing waits or is on its way.
    pub fn flush(self: &Arc<Self>) -> Result<(), String> {
        let mut lanes = self.lanes();
        lanes.flushing = true;
        self.send_more(lanes);
        let mut lanes = self.lanes();
        while lanes.failure.is_none() && !lanes.is_empty() {
            lanes = self.changed.wait(lanes).unwrap_or_else(PoisonError::into_inner);
        }
        lanes.flushing = false;
        lanes.failure.clone().map_or(Ok(()), Err)
    }

    pub fn reject(&self, rejected: Rejected) {
        self.lanes().rejected.push(rejected);
    }

    pub fn take_rejected(&self) -> Vec<Rejected> {
        std::mem::take(&mut self.lanes().rejected)
    }

    /// Sends nothing more, not even again.
    pub fn close(&self) {
        self.lanes().closed = true;
    }

    /// Starts as many requests as there is reason to.
    fn send_more(self: &Arc<Self>, mut lanes: MutexGuard<'_, Lanes>) {
        let mut requests = Vec::new();
        while lanes.requests < self.requests_max && !lanes.closed && lanes.failure.is_none() {
            // A request that is not full waits for company while others are on their way.
            if lanes.ready.len() < self.batch_size && lanes.requests > 0 && !lanes.flushing {
                break;
            }
            let items = lanes.next_request(self.batch_size);
            if items.is_empty() {
                break;
            }
            lanes.requests += 1;
            requests.push(Request { outbox: self.clone(), items });
        }
        // A runtime that has stopped drops a task at once, and the request then wants the lock.
        drop(lanes);
        for request in requests {
            self.runtime.spawn(request.send());
        }
    }

    fn log_retry(&self, reason: &str) {
        let retries = self.retries.fetch_add(1, Ordering::Relaxed) + 1;
        // Lines grow with the logarithm of the failures.
        if retries.is_power_of_two() {
            tracing::warn!(table = self.table, retries, "DynamoDB did not take a write, trying again: {reason}");
        }
    }
}

/// Items on their way together. When it ends, however it ends, the outbox learns of it.
struct Request {
    outbox: Arc<Outbox>,
    /// Not settled yet.
    items: Vec<Item>,
}

impl Request {
    async fn send(mut self) {
        let mut delays = delays();
        let mut one_by_one = self.items.len() == 1;
        while !self.items.is_empty() && !self.outbox.lanes().closed {
            let before = self.items.len();
            let failure = if one_by_one { self.put_first().await } else { self.put_all().await };
            let pause = match failure {
                // The reason is known only item by item.
                Some(Failure::Refused(_)) if !one_by_one => {
                    one_by_one = true;
                    continue;
                }
                Some(Failure::Fatal(reason)) => {
                    self.outbox.lanes().failure.get_or_insert(reason);
                    return;
                }
                Some(Failure::Retry(reason)) => {
                    self.outbox.log_retry(&reason);
                    true
                }
                Some(Failure::Superseded | Failure::Refused(_)) | None => false,
            };
            if self.items.len() < before {
                delays = self::delays();
            }
            if pause {
                tokio::time::sleep(delays.next().unwrap_or(RETRY_DELAY_MAX)).await;
            }
        }
    }

    async fn put_first(&mut self) -> Option<Failure> {
        let outcome = self.outbox.client.put(&self.items[0]).await;
        match &outcome {
            Ok(()) => {}
            Err(Failure::Superseded) => drop(self.outbox.superseded.fetch_add(1, Ordering::Relaxed)),
            Err(Failure::Refused(reason)) => {
                self.outbox.reject(Rejected { row: self.items[0].to_json(), reason: reason.clone() });
            }
            Err(Failure::Retry(_) | Failure::Fatal(_)) => return outcome.err(),
        }
        let item = self.items.swap_remove(0);
        self.settle(&[item]);
        outcome.err()
    }

    async fn put_all(&mut self) -> Option<Failure> {
        match self.outbox.client.put_batch(&self.items, &self.outbox.key_names).await {
            Err(failure) => Some(failure),
            Ok(left) => {
                let (mut settled, mut unprocessed) = (Vec::new(), Vec::new());
                for (i, item) in std::mem::take(&mut self.items).into_iter().enumerate() {
                    if left.contains(&i) { &mut unprocessed } else { &mut settled }.push(item);
                }
                self.items = unprocessed;
                self.settle(&settled);
                (!left.is_empty()).then(|| Failure::Retry(format!("{} items of a batch were not processed", left.len())))
            }
        }
    }

    fn settle(&self, items: &[Item]) {
        let mut lanes = self.outbox.lanes();
        items.iter().for_each(|item| lanes.settle(item));
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let mut lanes = self.outbox.lanes();
        lanes.requests -= 1;
        if !self.items.is_empty() && !lanes.closed {
            // Nobody will send them: better an error than a barrier that never ends.
            lanes.failure.get_or_insert_with(|| "the network runtime stopped before all rows were written".into());
        }
        self.outbox.send_more(lanes);
        self.outbox.changed.notify_all();
    }
}

fn delays() -> ExponentialBackoff {
    let delays = ExponentialBuilder::new().with_jitter().with_min_delay(RETRY_DELAY_MIN).with_max_delay(RETRY_DELAY_MAX);
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
