//! What lies between the task that reads a shard and the worker that polls it: records, then how it
//! ended.
//!
//! `poll` fills it, `source` empties it. What always holds: records leave in the order they came;
//! the end is seen only after the last record; answers that nothing is left are kept only while the
//! queue is empty and no call has failed since.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::connector::kinesis::position::ShardPlace;
use crate::source::SplitSeed;
use crate::source::budget::{Held, ReadBudget};
use crate::time::idle::EmptyAnswers;

/// Read ahead for one shard at most. While it holds more, no call is made; so the most is this and
/// one reply.
pub(crate) const QUEUE_BYTES: usize = 8 << 20;
/// What a record takes in memory beside its payload: sequence number, partition key, headers. Small
/// records count too.
const RECORD_OVERHEAD_BYTES: usize = 256;
/// The largest reply: 10 MiB of payload, or 10,000 records.
pub(crate) const REPLY_BYTES_MAX: usize = (10 << 20) + 10_000 * RECORD_OVERHEAD_BYTES;
/// What a shard is expected to give that was caught up a moment ago: it takes a mebibyte a second.
pub(crate) const NEWS_BYTES_MAX: usize = 512 << 10;

/// A record as the server gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// Decimal text of up to 129 digits.
    pub sequence_number: String,
    pub partition_key: String,
    /// ms since the epoch by the server's clock; may go backwards from record to record.
    pub arrival_ms: Option<i64>,
    pub data: Vec<u8>,
}

/// How reading a shard ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ShardEnd {
    End {
        children: Vec<SplitSeed>,
    },
    Failed(String),
    /// Records have expired before they were read, or may have; nobody has agreed to go on without
    /// them.
    Gap(String),
}

/// Whether a shard has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finished {
    Now,
    NotYet,
}

/// What the worker finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Records(Vec<Record>),
    Nothing { empty: Option<EmptyAnswers> },
    Ended(ShardEnd),
}

pub(crate) struct Queue {
    state: Mutex<State>,
    /// Told when there may be room again, or a pause has ended.
    room: Notify,
    limit_bytes: usize,
    budget: Arc<ReadBudget>,
}

#[derive(Default)]
struct State {
    records: VecDeque<Record>,
    bytes: usize,
    empty: Option<EmptyAnswers>,
    outcome: Option<ShardEnd>,
    lag_ms: Option<i64>,
    /// The service's time when its last answer was that nothing lies behind what was pushed.
    complete_ms: Option<i64>,
    paused: bool,
    /// What was read ahead was given up: reading goes on from here.
    restart: Option<ShardPlace>,
    /// For the records, and for those that are on their way.
    held: Held,
}

impl Queue {
    pub fn new(budget: Arc<ReadBudget>) -> Queue {
        // Half of a small budget at most, so that two shards can be read at a time.
        let limit_bytes = QUEUE_BYTES.min(budget.bytes() / 2).max(1);
        Queue { state: Mutex::default(), room: Notify::new(), limit_bytes, budget }
    }

    /// Waits for a part of the budget of all readers.
    pub(crate) async fn reserve(&self, bytes: usize) -> Held {
        self.budget.reserve(bytes).await
    }

    /// Nothing in here panics half-way through a change, so a poisoned state is a sound one.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the worker has made room for another reply and does not pause. Only the task
    /// that fills the queue calls this.
    pub async fn has_room(&self) {
        while self.is_closed() {
            // A notice that comes between the look and the wait is kept.
            self.room.notified().await;
        }
    }

    fn is_closed(&self) -> bool {
        let state = self.state();
        state.paused || state.bytes >= self.limit_bytes
    }

    /// The worker takes nothing for a while, and goes on from `place` then: what is beyond that is
    /// given up.
    pub(crate) fn begin_pause(&self, place: ShardPlace) {
        let mut state = self.state();
        *state =
            State { paused: true, restart: Some(place), lag_ms: state.lag_ms, ..State::default() };
    }

    pub(crate) fn end_pause(&self) {
        self.state().paused = false;
        self.room.notify_one();
    }

    /// Waits until what was read ahead is given up, and the pause has ended. Gives where reading is
    /// to go on.
    pub(crate) async fn restart(&self) -> ShardPlace {
        loop {
            if !self.state().paused
                && let Some(place) = self.take_restart()
            {
                return place;
            }
            self.room.notified().await;
        }
    }

    /// Where reading is to go on, if what was read ahead was given up since the last call.
    pub(crate) fn take_restart(&self) -> Option<ShardPlace> {
        self.state().restart.take()
    }

    /// True if what was read ahead was given up: what arrives now is behind a gap.
    pub(crate) fn is_given_up(&self) -> bool {
        self.state().restart.is_some()
    }

    /// Appends records, for which `held` was reserved.
    pub fn push(&self, records: Vec<Record>, held: Held) {
        let mut state = self.state();
        if state.restart.is_some() {
            return;
        }
        state.empty = None;
        state.complete_ms = None;
        state.bytes += records.iter().map(size_bytes).sum::<usize>();
        state.records.extend(records);
        state.held.add(held);
        let bytes = state.bytes;
        state.held.shrink_to(bytes);
    }

    /// Notes that a reply said that nothing is left, at this reading of the clock. Returns true for
    /// the first in a row.
    pub(crate) fn answered_empty(&self, now: Duration) -> bool {
        let mut state = self.state();
        if state.restart.is_some() {
            return false;
        }
        let before = state.empty;
        state.empty = Some(EmptyAnswers::and_one(before, now));
        before.is_none()
    }

    /// Notes how far a reply was behind the newest record, ms of arrival time.
    pub(crate) fn note_lag(&self, behind_ms: Option<i64>) {
        self.state().lag_ms = behind_ms;
    }

    /// The last record that was read ahead.
    #[cfg(test)]
    pub(crate) fn last_number(&self) -> Option<String> {
        self.state().records.back().map(|record| record.sequence_number.clone())
    }

    /// Notes that what has arrived up to this time of the service's has been pushed.
    pub(crate) fn note_complete(&self, server_ms: i64) {
        let mut state = self.state();
        state.complete_ms = Some(server_ms).filter(|_| state.restart.is_none());
    }

    /// Up to when the shard has been read, where all that was pushed has been taken.
    pub(crate) fn read_to_ms(&self) -> Option<i64> {
        let state = self.state();
        state.complete_ms.filter(|_| state.records.is_empty())
    }

    pub fn lag_ms(&self) -> Option<i64> {
        self.state().lag_ms
    }

    /// What was left is not known any more: a call failed, or the reply was behind.
    pub(crate) fn may_have_more(&self) {
        self.state().empty = None;
    }

    /// Ends the shard behind its last record, unless records before the end were given up: then
    /// reading has to go on.
    pub fn finish(&self, outcome: ShardEnd) -> Finished {
        let mut state = self.state();
        if state.restart.is_some() {
            return Finished::NotYet;
        }
        state.empty = None;
        state.outcome = Some(outcome);
        Finished::Now
    }

    /// Up to `max` records, or why there is none. Never waits.
    pub fn take(&self, max: usize) -> Taken {
        let mut state = self.state();
        if state.records.is_empty() {
            return match &state.outcome {
                Some(outcome) => Taken::Ended(outcome.clone()),
                None => Taken::Nothing { empty: state.empty },
            };
        }
        let count = max.max(1).min(state.records.len());
        let taken: Vec<Record> = state.records.drain(..count).collect();
        state.bytes -= taken.iter().map(size_bytes).sum::<usize>();
        let bytes = state.bytes;
        state.held.shrink_to(bytes);
        drop(state);
        self.room.notify_one();
        Taken::Records(taken)
    }
}

fn size_bytes(record: &Record) -> usize {
    record.data.len() + RECORD_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::kinesis::position::ShardPosition;

    fn queue() -> Queue {
        Queue::new(ReadBudget::new(usize::MAX))
    }

    fn record(n: u32) -> Record {
        Record {
            sequence_number: n.to_string(),
            partition_key: String::new(),
            arrival_ms: None,
            data: vec![0; 100],
        }
    }

    #[test]
    fn the_end_comes_after_the_last_record() {
        let queue = queue();
        assert_eq!(queue.take(5), Taken::Nothing { empty: None });
        queue.push(vec![record(1), record(2), record(3)], Held::default());
        queue.finish(ShardEnd::End { children: vec![] });
        assert_eq!(queue.take(2), Taken::Records(vec![record(1), record(2)]));
        assert_eq!(queue.take(2), Taken::Records(vec![record(3)]));
        assert_eq!(queue.take(2), Taken::Ended(ShardEnd::End { children: vec![] }));
    }

    #[test]
    fn emptiness_ends_with_the_next_record_or_failure() {
        let at = Duration::from_secs;
        let queue = queue();
        assert!(queue.answered_empty(at(1)));
        assert!(!queue.answered_empty(at(2)), "it was before");
        let Taken::Nothing { empty: Some(answers) } = queue.take(1) else {
            panic!("known to be empty")
        };
        assert!(answers.are_idle(at(1), at(2)));
        queue.push(vec![record(1)], Held::default());
        queue.take(1);
        assert_eq!(queue.take(1), Taken::Nothing { empty: None });
        queue.answered_empty(at(3));
        queue.may_have_more();
        assert_eq!(queue.take(1), Taken::Nothing { empty: None });
    }

    #[tokio::test]
    async fn a_full_queue_holds_the_reader_until_the_worker_takes() {
        // Half of it holds two records, and part of a third.
        let queue = Arc::new(Queue::new(ReadBudget::new(2048)));
        queue.push(vec![record(1), record(2), record(3)], Held::default());
        let reader = tokio::spawn({
            let queue = queue.clone();
            async move { queue.has_room().await }
        });
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(!reader.is_finished());
        queue.take(1);
        reader.await.expect("goes on");
    }

    #[tokio::test]
    async fn a_pause_holds_the_reader_until_it_ends() {
        let queue = Arc::new(queue());
        queue.answered_empty(Duration::from_secs(1));
        queue.push(vec![record(1)], Held::default());
        let place = ShardPlace { at: ShardPosition::Horizon, read_to_ms: None };
        queue.begin_pause(place.clone());
        assert_eq!(
            queue.take(1),
            Taken::Nothing { empty: None },
            "a paused shard does not become idle"
        );
        let reader = tokio::spawn({
            let queue = queue.clone();
            async move { queue.has_room().await }
        });
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(!reader.is_finished());
        queue.push(vec![record(2)], Held::default());
        let end = ShardEnd::End { children: vec![] };
        assert_eq!(queue.finish(end.clone()), Finished::NotYet, "record 1 was given up");
        queue.end_pause();
        reader.await.expect("goes on");
        assert_eq!(queue.take(5), Taken::Nothing { empty: None }, "record 2 came behind a gap");
        assert_eq!(queue.take_restart(), Some(place));
        queue.push(vec![record(1), record(2)], Held::default());
        assert_eq!(queue.finish(end), Finished::Now);
        assert_eq!(queue.take(5), Taken::Records(vec![record(1), record(2)]));
    }
}
