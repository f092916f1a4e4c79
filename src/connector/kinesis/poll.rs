//! How is one shard read? The loop of GetShardIterator and GetRecords, until the shard or the
//! bounds end.
//!
//! Run by `source` as one task per open shard; fills a [`Queue`] and wakes the worker. Calls
//! go through [`StreamApi`], so tests script the replies.
//!
//! What always holds: a record is pushed once and in order, because a new iterator is asked for
//! after the last record received; errors that may pass are waited out for ever, with growing
//! pauses and a log line a minute; all others end the split.

use std::sync::Arc;
use std::time::Duration;

use crate::time::timer::{self, sleep, sleep_until};
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use crate::connector::kinesis::api::{Failure, StreamApi};
use crate::connector::kinesis::coverage::Audits;
use crate::connector::kinesis::gaps::{Gap, Gaps, Stop};
use crate::connector::kinesis::position::{ShardPlace, ShardPosition};
use crate::connector::kinesis::queue::{
    Finished, NEWS_BYTES_MAX, Queue, REPLY_BYTES_MAX, Record, ShardEnd,
};
use crate::source::budget::Held;
use crate::source::{SplitId, SplitSeed};
use crate::time::clock::SharedClock;
use crate::time::seldom::Seldom;
use crate::wake::Wake;

/// What a shard holds behind a reply.
#[derive(Clone, Copy)]
enum Rest {
    /// Nothing for now: the reply was empty and not behind.
    Nothing,
    Unknown,
}

/// Pauses of the loop.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// From call to call: a shard answers five GetRecords a second, to all its readers together.
    pub between_calls: Duration,
    pub after_empty: Duration,
    pub backoff_min: Duration,
    pub backoff_max: Duration,
    /// Before the shards are listed again when a shard has ended without children.
    pub relist: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            between_calls: Duration::from_millis(200),
            after_empty: Duration::from_millis(250),
            backoff_min: Duration::from_millis(250),
            backoff_max: Duration::from_secs(10),
            relist: Duration::from_secs(1),
        }
    }
}

/// How well the time of the service is known: the header `Date` has seconds, and clocks that agree
/// to two of them are left as they are.
const CLOCK_GRAIN_MS: i64 = 3000;
/// How far the server's clock may be behind ours: requests with a greater difference are refused as
/// wrongly signed.
const CLOCK_SKEW_MS_MAX: i64 = 15 * 60 * 1000;

/// Everything the task of one shard needs.
pub(crate) struct Shard {
    pub stream: Arc<dyn StreamApi>,
    /// For log lines.
    pub table: String,
    /// When all shards together said last that calls are tried again.
    pub retries_told: Arc<Seldom>,
    pub id: SplitId,
    pub start: ShardPlace,
    pub gaps: Arc<Gaps>,
    pub audited: Audits,
    /// Records that arrived at this time or later do not belong to the job.
    pub to_ms: Option<i64>,
    pub pace: Pace,
    pub clock: SharedClock,
    pub queue: Arc<Queue>,
    pub wake: Wake,
}

impl Shard {
    /// Reads until the end and puts the outcome into the queue. Stays behind that, since a pause
    /// gives up what was not taken, the outcome too: then it is read again. Ends when it is aborted.
    pub async fn run(self) {
        let mut start = self.start.clone();
        loop {
            self.to_the_end(start).await;
            start = self.queue.restart().await;
        }
    }

    /// Reads on from a place until the end, unless a pause has given up what lies before it.
    async fn to_the_end(&self, start: ShardPlace) {
        if self.queue.finish(self.outcome(start).await) == Finished::Now {
            (self.wake)();
        }
    }

    async fn outcome(&self, start: ShardPlace) -> ShardEnd {
        match self.read(start).await {
            Ok(children) => ShardEnd::End { children },
            Err(Stop::Failed(reason)) => ShardEnd::Failed(reason),
            Err(Stop::Gap(gap)) => ShardEnd::Gap(gap),
        }
    }

    async fn read(&self, start: ShardPlace) -> Result<Vec<SplitSeed>, Stop> {
        let ShardPlace { at: mut position, mut read_to_ms } = start;
        let mut skip_before_ms = skip_before_ms(&position);
        let mut iterator: Option<String> = None;
        let mut patience = Patience::new(self);
        let mut empty_past_end = 0;
        let mut was_missing = false;
        let mut expected = REPLY_BYTES_MAX;
        // The arrival of the last record.
        let mut arrived_ms: Option<i64> = None;
        loop {
            self.queue.has_room().await;
            if let Some(place) = self.queue.take_restart() {
                (position, read_to_ms) = (place.at, place.read_to_ms);
                skip_before_ms = self::skip_before_ms(&position);
                (iterator, expected) = (None, REPLY_BYTES_MAX);
            }
            let current = match &iterator {
                Some(current) => current,
                None => match self.iterator_at(&position, &mut read_to_ms).await? {
                    Ok(new) => iterator.insert(new),
                    Err(Failure::Missing(reason)) => {
                        let start = first_place(&position, None);
                        return self.gone(read_to_ms, start, reason, &mut patience).await;
                    }
                    Err(failure) => {
                        patience.after("GetShardIterator", failure).await?;
                        continue;
                    }
                },
            };
            let held = self.queue.reserve(expected).await;
            let called = timer::now();
            let called_ms = self.clock.wall_ms();
            let mut reply = match self.stream.get_records(current).await {
                Ok(reply) => reply,
                Err(failure) => {
                    // Nothing has come, and others may need the room during the pause.
                    drop(held);
                    match failure {
                        Failure::Expired => {
                            iterator = None;
                            // An iterator that is born expired must not make a tight loop.
                            sleep_until(called + self.pace.between_calls).await;
                        }
                        // A new iterator says whether the shard is gone.
                        Failure::Missing(_) if !was_missing => {
                            (iterator, was_missing) = (None, true);
                        }
                        failure => patience.after("GetRecords", failure).await?,
                    }
                    continue;
                }
            };
            patience.reset();
            was_missing = false;
            if self.queue.is_given_up() {
                continue;
            }
            let empty = reply.records.is_empty();
            if let Some(last) = reply.records.last() {
                position = ShardPosition::After { sequence_number: last.sequence_number.clone() };
                read_to_ms = read_to_ms.max(last.arrival_ms);
                arrived_ms = arrived_ms.max(last.arrival_ms);
            }
            skip_older(&mut reply.records, &mut skip_before_ms);
            let bound = self.cut(&mut reply.records);
            self.queue.note_lag(reply.behind_ms);
            let rest =
                if empty && reply.behind_ms == Some(0) { Rest::Nothing } else { Rest::Unknown };
            self.deliver(reply.records, held, rest);
            expected = REPLY_BYTES_MAX;
            if reply.behind_ms == Some(0) {
                expected = NEWS_BYTES_MAX;
                // A record may have arrived while the service looked, and its clock is known to the
                // second.
                read_to_ms = read_to_ms.max(Some(called_ms - CLOCK_GRAIN_MS));
                self.queue.note_complete(called_ms - CLOCK_GRAIN_MS);
            }
            if bound {
                return Ok(vec![]);
            }
            let Some(next) = reply.next_iterator else {
                let start = first_place(&position, arrived_ms);
                return self.children(reply.children, start, &mut patience).await;
            };
            iterator = Some(next);
            // Some servers say 0 in the reply before the one that ends a shard: only the second in
            // a row is believed, or the children would be lost.
            let nothing_left = empty
                && reply.behind_ms == Some(0)
                && self.to_ms.is_some_and(|to| self.clock.wall_ms() >= to + CLOCK_GRAIN_MS);
            empty_past_end = if nothing_left { empty_past_end + 1 } else { 0 };
            if empty_past_end == 2 {
                return Ok(vec![]);
            }
            let pause = if empty { self.pace.after_empty } else { self.pace.between_calls };
            sleep_until(called + pause).await;
        }
    }

    /// An iterator, unless records have expired that nobody has agreed to go on without.
    async fn iterator_at(
        &self,
        position: &ShardPosition,
        read_to_ms: &mut Option<i64>,
    ) -> Result<Result<String, Failure>, Stop> {
        if self.gaps.has_expired(*read_to_ms, self.clock.wall_ms()) {
            self.gaps.pass(self.gap(*read_to_ms, None))?;
            // The next look starts from here.
            *read_to_ms = None;
        }
        Ok(match (self.stream.get_iterator(&self.id.0, position).await, position) {
            // The start lies after the server's clock, because of `--from` or because ours is
            // ahead: it will be reached.
            (Err(Failure::Argument(text)), ShardPosition::Time { arrival_ms })
                if *arrival_ms >= self.clock.wall_ms() - CLOCK_SKEW_MS_MAX =>
            {
                Err(Failure::Retry(text))
            }
            (answer, _) => answer,
        })
    }

    /// What has expired. `gone`: the shard itself, in the service's words.
    pub(super) fn gap(&self, read_to_ms: Option<i64>, gone: Option<String>) -> Gap {
        Gap { shard: self.id.to_string(), from_ms: read_to_ms, now_ms: self.clock.wall_ms(), gone }
    }

    /// Drops what arrived at the upper bound or later, from the first such record on. True if there
    /// was one.
    fn cut(&self, records: &mut Vec<Record>) -> bool {
        let Some(to_ms) = self.to_ms else { return false };
        match records.iter().position(|r| r.arrival_ms.is_some_and(|ms| ms >= to_ms)) {
            Some(first) => {
                records.truncate(first);
                true
            }
            None => false,
        }
    }

    fn deliver(&self, records: Vec<Record>, held: Held, rest: Rest) {
        let has_news = match rest {
            _ if !records.is_empty() => {
                self.queue.push(records, held);
                true
            }
            Rest::Nothing => self.queue.answered_empty(self.clock.monotonic()),
            Rest::Unknown => {
                self.queue.may_have_more();
                false
            }
        };
        if has_news {
            (self.wake)();
        }
    }
}

/// Where the children of a shard begin that was read up to a place. `arrived_ms`: when its last
/// record came.
fn first_place(parent: &ShardPosition, arrived_ms: Option<i64>) -> ShardPlace {
    let at = match parent {
        // The parent had no record behind the time that was asked for: it may have been closed
        // before, and children that were there by then have older records too.
        ShardPosition::Time { .. } => parent.clone(),
        ShardPosition::Horizon | ShardPosition::After { .. } => ShardPosition::Horizon,
    };
    // What children hold arrived after what their parent held, but not after its end was seen.
    ShardPlace { at, read_to_ms: arrived_ms }
}

/// A start time as the oldest arrival that is believed, floored to the second. Servers with arrival
/// times in whole seconds need the floor; those that give old records if there is none at or after
/// the time asked for need the check.
fn skip_before_ms(start: &ShardPosition) -> Option<i64> {
    match start {
        ShardPosition::Time { arrival_ms } => Some(arrival_ms.div_euclid(1000) * 1000),
        _ => None,
    }
}

/// Drops leading records from before the start time. From the first that is not, arrival times may
/// go backwards.
fn skip_older(records: &mut Vec<Record>, before_ms: &mut Option<i64>) {
    let Some(start_ms) = *before_ms else { return };
    let first = records.iter().position(|r| r.arrival_ms.is_none_or(|ms| ms >= start_ms));
    records.drain(..first.unwrap_or(records.len()));
    if first.is_some() {
        *before_ms = None;
    }
}

/// Failures in a row, and the pauses after them.
pub(super) struct Patience<'a> {
    shard: &'a Shard,
    pauses: ExponentialBackoff,
    has_failed: bool,
}

impl<'a> Patience<'a> {
    fn new(shard: &'a Shard) -> Self {
        Patience { shard, pauses: Self::pauses(&shard.pace), has_failed: false }
    }

    fn pauses(pace: &Pace) -> ExponentialBackoff {
        let growing = ExponentialBuilder::new()
            .with_min_delay(pace.backoff_min)
            .with_max_delay(pace.backoff_max);
        growing.with_jitter().without_max_times().build()
    }

    /// Pauses if the call may be tried again; otherwise says why not.
    pub(super) async fn after(&mut self, call: &str, failure: Failure) -> Result<(), Stop> {
        let reason = match failure {
            Failure::Fatal(reason) | Failure::Argument(reason) | Failure::Missing(reason) => {
                return Err(Stop::Failed(format!("{call}: {reason}")));
            }
            Failure::Retry(reason) => reason,
            Failure::Expired => "the iterator expired".into(),
        };
        // What was left a moment ago is not known any more.
        self.shard.queue.may_have_more();
        self.has_failed = true;
        let Shard { table, id, retries_told, .. } = self.shard;
        if let Some(failures) = retries_told.count() {
            tracing::warn!(table, shard = %id, failures, "{call} is tried again: {reason}");
        }
        sleep(self.pauses.next().unwrap_or(self.shard.pace.backoff_max)).await;
        Ok(())
    }

    pub(super) fn reset(&mut self) {
        if std::mem::take(&mut self.has_failed) {
            self.pauses = Self::pauses(&self.shard.pace);
        }
    }
}

#[cfg(test)]
#[path = "poll_tests.rs"]
mod tests;
