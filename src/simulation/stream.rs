//! A stream of Kinesis whose whole life is known: what would the service say now?
//!
//! Shards, records and reshards are laid down by `scenario` with the times at which they happen, and
//! every answer is what can be seen of them at the present moment: so nothing has to happen while a
//! world runs, and a process that is killed changes nothing. On top of that calls fail, hang and lie
//! in the ways in which the service's do, as [`StreamFaults`] says. Facts are those of the API
//! reference and the developer guide of Kinesis Data Streams.
//!
//! What always holds: a call sees a record at the earliest when it has arrived, and never twice at
//! one iterator; without faults each answer is the best that the service can give.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::open_calls::OpenCalls;
use crate::aws::clock::ServerClock;
use crate::connector::kinesis::KinesisOptions;
use crate::connector::kinesis::api::{
    Answer, Child, Described, Entry, Failure, HashRange, ListedShard, Reply, StreamApi, Streams,
};
use crate::connector::kinesis::position::ShardPosition;
use crate::connector::kinesis::queue::Record;
use crate::planted::{self, Bug};
use crate::tasks::{Stopped, Tasks};
use crate::time::timer::sleep;
use crate::time::virtual_time::VirtualTime;

/// An iterator is good for so long.
const ITERATOR_AGE_MAX_MS: i64 = 5 * 60 * 1000;
/// The name under which reading is counted.
const RECORDS: &str = "records";
/// A call that hangs is given up by the client after so long.
const HANG: Duration = Duration::from_secs(30);

/// A shard with all that will ever happen to it. Times are the service's, ms since the epoch.
#[derive(Debug, Clone)]
pub(crate) struct Shard {
    pub id: String,
    pub parents: Vec<String>,
    pub hashes: HashRange,
    pub opened_ms: i64,
    pub closed_ms: Option<i64>,
    /// By arrival.
    pub records: Vec<Record>,
}

/// A stream with all that will ever happen to it.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    pub created_ms: i64,
    pub retention_ms: i64,
    pub shards: Vec<Shard>,
}

/// How the service misbehaves: shares of calls, between 0 and 1.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StreamFaults {
    pub throttled: f64,
    /// The server fails, or the answer is lost.
    pub failed: f64,
    /// Nothing comes until the client gives up.
    pub hangs: f64,
    /// An iterator that is not old is said to be.
    pub iterator_expired: f64,
    /// An empty reply though there are records.
    pub empty: f64,
    /// The last reply of a shard names no children.
    pub childless: f64,
    /// A listing shows the stream as it was so long ago, some shards by the present.
    pub listing_lag_ms: i64,
    /// A call takes up to this long.
    pub latency_ms: u64,
    /// Records of a reply, at most.
    pub records_max: usize,
    /// Faults end then, so that a world does; ms since the epoch.
    pub until_ms: i64,
}

/// The service.
pub(crate) struct Service {
    time: Arc<VirtualTime>,
    /// The service's time at the beginning, ms since the epoch.
    start_ms: i64,
    life: Mutex<Life>,
    faults: StreamFaults,
    rng: Mutex<ChaCha8Rng>,
    /// What was written, in its order.
    written: Mutex<Vec<Entry>>,
    /// Calls by their outcome, for people.
    seen: Mutex<BTreeMap<&'static str, u64>>,
}

/// What happens to a call beside its answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Luck {
    Good,
    Throttled,
    Failed,
    Hangs,
}

impl Service {
    pub fn new(
        time: Arc<VirtualTime>,
        start_ms: i64,
        life: Life,
        faults: StreamFaults,
        seed: u64,
    ) -> Arc<Service> {
        Arc::new(Service {
            time,
            start_ms,
            life: Mutex::new(life),
            faults,
            rng: Mutex::new(ChaCha8Rng::seed_from_u64(seed)),
            written: Mutex::default(),
            seen: Mutex::default(),
        })
    }

    /// The service's time of day.
    pub fn now_ms(&self) -> i64 {
        self.start_ms + self.time.elapsed().as_millis() as i64
    }

    /// Deletes the stream and makes it again, with nothing in it but its name.
    pub fn make_again(&self) {
        self.life().created_ms = self.now_ms();
    }

    /// How many calls there were, by what came of them.
    pub fn calls(&self) -> BTreeMap<&'static str, u64> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, what: &'static str) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += 1;
    }

    fn is_quiet(&self) -> bool {
        self.now_ms() >= self.faults.until_ms
    }

    fn happens(&self, share: f64) -> bool {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        rng.random_bool(share) && !self.is_quiet()
    }

    fn up_to(&self, most: u64) -> u64 {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        rng.random_range(0..=most)
    }

    fn luck(&self) -> Luck {
        let StreamFaults { throttled, failed, hangs, .. } = self.faults;
        if self.happens(throttled) {
            Luck::Throttled
        } else if self.happens(failed) {
            Luck::Failed
        } else if self.happens(hangs) {
            Luck::Hangs
        } else {
            Luck::Good
        }
    }

    /// The way of a call to the service and back.
    async fn call<T>(
        &self,
        name: &'static str,
        clock: &ServerClock,
        answer: impl FnOnce(&Service, i64) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        sleep(Duration::from_millis(self.up_to(self.faults.latency_ms))).await;
        let luck = self.luck();
        if luck == Luck::Hangs {
            self.count("hung");
            sleep(HANG).await;
            return Err(Failure::Retry("no answer within 30 s".into()));
        }
        clock.note_date(&http_date(self.now_ms()));
        let answered = match luck {
            Luck::Throttled => {
                self.count("throttled");
                Err(Failure::Retry("ProvisionedThroughputExceededException".into()))
            }
            Luck::Failed => {
                self.count("failed");
                Err(Failure::Retry("InternalFailure".into()))
            }
            _ => {
                self.count(name);
                answer(self, self.now_ms())
            }
        };
        sleep(Duration::from_millis(self.up_to(self.faults.latency_ms))).await;
        answered
    }

    fn list(&self, now_ms: i64) -> Vec<ListedShard> {
        let life = self.life();
        let horizon_ms = now_ms - life.retention_ms;
        let shards = life.shards.iter().filter_map(|shard| {
            // A listing may be old for one shard and not for another.
            let lag_ms = if self.happens(0.5) { self.faults.listing_lag_ms } else { 0 };
            let seen_ms = now_ms - lag_ms;
            let is_listed = shard.opened_ms <= seen_ms.max(life.created_ms)
                && shard.closed_ms.is_none_or(|closed_ms| closed_ms > horizon_ms);
            is_listed.then(|| ListedShard {
                id: shard.id.clone(),
                parents: shard.parents.clone(),
                open: shard.closed_ms.is_none_or(|closed_ms| closed_ms > seen_ms),
                hashes: Some(shard.hashes),
            })
        });
        shards.collect()
    }

    fn iterator(&self, id: &str, at: &ShardPosition, now_ms: i64) -> Result<String, Failure> {
        let life = self.life();
        let horizon_ms = now_ms - life.retention_ms;
        let shard = life.shard(id, now_ms)?;
        let index = match at {
            ShardPosition::Horizon => 0,
            ShardPosition::Time { arrival_ms } if *arrival_ms > now_ms => {
                return Err(Failure::Argument("the timestamp lies in the future".into()));
            }
            ShardPosition::Time { arrival_ms } => shard
                .records
                .iter()
                .position(|r| r.arrival_ms.is_some_and(|ms| ms >= *arrival_ms))
                .unwrap_or(shard.records.len()),
            ShardPosition::After { sequence_number, .. } => {
                let at = shard.records.iter().position(|r| r.sequence_number == *sequence_number);
                let at = at.ok_or_else(|| {
                    Failure::Argument("the sequence number is not the shard's".into())
                })?;
                at + usize::from(!planted::has(Bug::ResumesAtLastRecord))
            }
        };
        let index = index.max(shard.first_after(horizon_ms));
        Ok(format!("{id}/{index}/{now_ms}"))
    }

    fn records(&self, iterator: &str, now_ms: i64) -> Result<Reply, Failure> {
        let wrong = || Failure::Argument("the iterator is none of this stream's".into());
        let mut parts = iterator.split('/');
        let (Some(id), Some(index), Some(made_ms)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong());
        };
        let index: usize = index.parse().map_err(|_| wrong())?;
        let made_ms: i64 = made_ms.parse().map_err(|_| wrong())?;
        if now_ms - made_ms > ITERATOR_AGE_MAX_MS || self.happens(self.faults.iterator_expired) {
            self.count("iterator expired");
            return Err(Failure::Expired);
        }
        let life = self.life();
        let shard = life.shard(id, now_ms)?;
        let first = index.max(shard.first_after(now_ms - life.retention_ms));
        let arrived = shard.records.partition_point(|r| r.arrival_ms.unwrap_or(0) <= now_ms);
        let most = if self.happens(self.faults.empty) {
            0
        } else {
            1 + self.up_to(self.faults.records_max as u64 - 1) as usize
        };
        let next = arrived.min(first + most).max(first);
        let records = shard.records[first..next].to_vec();
        let waiting = shard.records[next..arrived].first();
        let behind_ms = waiting.map_or(0, |r| (now_ms - r.arrival_ms.unwrap_or(now_ms)).max(1));
        let is_over = next == shard.records.len()
            && shard.closed_ms.is_some_and(|closed_ms| closed_ms <= now_ms);
        let children = || {
            let of_shard = |s: &&Shard| s.parents.iter().any(|p| p == id) && s.opened_ms <= now_ms;
            let children = life.shards.iter().filter(of_shard);
            let child = |s: &Shard| Child {
                id: s.id.clone(),
                parents: s.parents.clone(),
                hashes: Some(s.hashes),
            };
            let forgotten = usize::from(planted::has(Bug::ForgetsAChild));
            children.skip(forgotten).map(child).collect()
        };
        Ok(Reply {
            records,
            next_iterator: (!is_over).then(|| format!("{id}/{next}/{now_ms}")),
            behind_ms: Some(behind_ms),
            children: if is_over && !self.happens(self.faults.childless) {
                children()
            } else {
                vec![]
            },
        })
    }
}

impl Service {
    /// Takes records one by one. A shard that is throttled refuses some of them.
    fn put(&self, entries: &[Entry]) -> Vec<Option<String>> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let each = entries.iter().map(|entry| {
            if self.happens(self.faults.throttled) {
                return Some("ProvisionedThroughputExceededException".to_string());
            }
            written.push(entry.clone());
            None
        });
        each.collect()
    }

    /// All records that were written, in the order in which the service took them.
    pub fn written(&self) -> Vec<Entry> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Life {
    /// A shard that can be read now.
    fn shard(&self, id: &str, now_ms: i64) -> Result<&Shard, Failure> {
        let is_there = |shard: &&Shard| {
            shard.id == id
                && shard.opened_ms <= now_ms
                && shard.closed_ms.is_none_or(|closed| closed > now_ms - self.retention_ms)
        };
        self.shards
            .iter()
            .find(is_there)
            .ok_or_else(|| Failure::Missing(format!("there is no shard {id}")))
    }
}

impl Shard {
    /// The first record that is retained when those up to this time are not.
    fn first_after(&self, horizon_ms: i64) -> usize {
        self.records.partition_point(|r| r.arrival_ms.unwrap_or(0) <= horizon_ms)
    }
}

/// A time as the header `Date` has it.
pub(super) fn http_date(ms: i64) -> String {
    let at = chrono::DateTime::from_timestamp_millis(ms).unwrap_or_default();
    at.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Opens the stream for one process.
#[derive(Clone)]
pub(crate) struct Reads {
    pub service: Arc<Service>,
    pub open: Arc<OpenCalls>,
}

/// The service as one process sees it.
struct Connection {
    service: Arc<Service>,
    clock: Arc<ServerClock>,
    open: Arc<OpenCalls>,
}

impl Connection {
    /// A call of which it is known that it is under way.
    async fn call<T>(
        &self,
        name: &'static str,
        answer: impl FnOnce(&Service, i64) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let _open = self.open.begin(name == RECORDS);
        self.service.call(name, &self.clock, answer).await
    }
}

impl StreamApi for Connection {
    fn describe(&self) -> Answer<'_, Option<Described>> {
        Box::pin(self.call("describe", |service, _| {
            let life = service.life();
            Ok(Some(Described {
                created_s: life.created_ms.div_euclid(1000),
                retention_hours: life.retention_ms / 3_600_000,
            }))
        }))
    }

    fn list_shards(&self) -> Answer<'_, Vec<ListedShard>> {
        Box::pin(self.call("list", |service, now_ms| Ok(service.list(now_ms))))
    }

    fn get_iterator<'a>(&'a self, shard: &'a str, at: &'a ShardPosition) -> Answer<'a, String> {
        Box::pin(self.call("iterator", |service, now_ms| service.iterator(shard, at, now_ms)))
    }

    fn get_records<'a>(&'a self, iterator: &'a str) -> Answer<'a, Reply> {
        Box::pin(async {
            let reply = self.call(RECORDS, |service, now_ms| service.records(iterator, now_ms));
            let reply = reply.await?;
            self.open.note_reply(&reply.records);
            Ok(reply)
        })
    }

    fn put_records<'a>(&'a self, entries: &'a [Entry]) -> Answer<'a, Vec<Option<String>>> {
        Box::pin(self.service.call("put", &self.clock, move |service, _| Ok(service.put(entries))))
    }
}

impl Streams for Reads {
    fn open(
        &self,
        _: &KinesisOptions,
        clock: Arc<ServerClock>,
        _: &Tasks,
    ) -> Result<Arc<dyn StreamApi>, Stopped> {
        let Reads { service, open } = self.clone();
        Ok(Arc::new(Connection { service, clock, open }))
    }
}
