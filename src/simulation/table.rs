//! A DynamoDB in memory whose every write is remembered: did a row ever go back?
//!
//! A [`Service`] has tables, and a [`Caller`] of each process opens them for its sinks and lookups.
//! Calls take their time, fail, hang and lie in the ways in which the service's do, as
//! [`TableFaults`] says. Facts are those of DynamoDB's API reference and developer guide.
//!
//! ```text
//! put ── on its way ──▶ arrives, condition looked at, written ── answer on its way ──▶ client
//!        lost: it never arrives                                  lost: the client gives up after 10 s
//!        late: it arrives when the client has given up and has perhaps written something newer
//! ```
//!
//! What always holds: a write that is on its way arrives whether or not its process lives; writes
//! arrive in the order of their times; without faults each answer is the best that the service can
//! give.

mod held;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(crate) use held::{Change, What};
use held::{Table, get, is_own, is_tombstone, json, only};

use super::dies::{Dies, Sent};
use super::open_calls::OpenCalls;
use crate::aws::clock::ServerClock;
use crate::connector::dynamodb::api::{
    Answer, Attributes, BATCH_KEYS_MAX, BUFFER_BYTES_MAX, CALL_TIMEOUT, Described, Failure, Found,
    Page, TableApi, TableKey, Tables, Wanted,
};
use crate::connector::dynamodb::item::Put;
use crate::connector::dynamodb::options::DynamoDbOptions;
use crate::connector::dynamodb::value::Value;
use crate::planted::{self, Bug};
use crate::sink::version::Standing;
use crate::time::timer::{self, Instant, sleep};

/// How the service misbehaves: shares of calls, between 0 and 1.
#[derive(Debug, Clone, Default)]
pub(crate) struct TableFaults {
    /// Refused because too much was asked for; nothing is written.
    pub throttled: f64,
    /// The server fails; nothing is written.
    pub failed: f64,
    /// The server fails after it has written.
    pub failed_after: f64,
    /// Nothing arrives, and nothing comes until the client gives up.
    pub lost: f64,
    /// It is written, but the answer is lost: nothing comes until the client gives up.
    pub answer_lost: f64,
    /// It is written only after the client has given up.
    pub late: f64,
    /// By how much at most, ms.
    pub late_ms_max: u64,
    /// Items of a batch, or keys of one, that are left out though the call succeeds.
    pub unprocessed: f64,
    /// Writes of items that hold this text are refused as invalid, in words that nobody knows.
    pub refused_text: Option<String>,
    /// A call takes up to this long each way.
    pub latency_ms: u64,
    /// Items of a Query's answer, at most; 0: all.
    pub page_items: usize,
}

/// The service.
pub(crate) struct Service {
    begun: Instant,
    /// The service's time at the beginning, ms since the epoch.
    start_ms: i64,
    state: Mutex<State>,
}

struct State {
    tables: BTreeMap<String, Table>,
    /// Writes on their way, by the time at which they arrive and the order in which they were sent.
    on_their_way: BTreeMap<(i64, u64), Write>,
    sent: u64,
    faults: TableFaults,
    rng: ChaCha8Rng,
    calls: BTreeMap<&'static str, u64>,
    /// By caller and table.
    told: BTreeMap<(String, String), Told>,
}

/// What a caller has been answered of its writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub newer: u64,
    pub same: u64,
    pub newer_window: u64,
    pub other_run: u64,
}

impl Told {
    fn add(&mut self, answer: &Result<Standing, Failure>) {
        match answer {
            Ok(Standing::Newer) => self.newer += 1,
            Ok(Standing::Same) => self.same += 1,
            Err(Failure::Superseded(Standing::BehindWindow)) => self.newer_window += 1,
            Err(Failure::Superseded(Standing::BehindRun)) => self.other_run += 1,
            _ => {}
        }
    }
}

/// A write that was sent.
struct Write {
    table: String,
    who: String,
    put: Put,
    /// The table's key as the client knows it.
    key: TableKey,
    /// Where the client looks for what came of it.
    outcome: Arc<Mutex<Option<Result<Standing, Failure>>>>,
}

/// What happens to a call beside its answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Luck {
    Good,
    Throttled,
    Failed,
    FailedAfter,
    Lost,
    AnswerLost,
    Late,
}

impl Service {
    pub fn new(start_ms: i64, faults: TableFaults, seed: u64) -> Arc<Service> {
        let state = State {
            tables: BTreeMap::new(),
            on_their_way: BTreeMap::new(),
            sent: 0,
            faults,
            rng: ChaCha8Rng::seed_from_u64(seed),
            calls: BTreeMap::new(),
            told: BTreeMap::new(),
        };
        Arc::new(Service { begun: timer::now(), start_ms, state: Mutex::new(state) })
    }

    /// For the connector of a process or a job, which the history calls `who`.
    pub fn caller(self: &Arc<Self>, who: &str) -> Caller {
        let (service, who) = (self.clone(), who.into());
        let open = Arc::default();
        Caller { service, who, open, buffer_bytes_max: BUFFER_BYTES_MAX, dies: None }
    }

    /// The service's time of day.
    pub fn now_ms(&self) -> i64 {
        self.start_ms + (timer::now() - self.begun).as_millis() as i64
    }

    /// From now on all goes well.
    pub fn quiet(&self) {
        self.set_faults(TableFaults::default());
    }

    pub fn set_faults(&self, faults: TableFaults) {
        self.state().faults = faults;
    }

    /// Creates a table, in the place of one of that name: types are `S`, `N` or `B`, hash before
    /// range. What is on its way to the other one may still arrive.
    pub fn create(&self, table: &str, key: &[(&str, &str)]) {
        let key = key.iter().map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned())).collect();
        let made_ms = self.now_ms();
        let made = Table { key, made_ms, items: BTreeMap::new(), history: BTreeMap::new() };
        self.settled().tables.insert(table.into(), made);
    }

    pub fn delete(&self, table: &str) {
        self.settled().tables.remove(table);
    }

    /// How many calls there were, by what came of them.
    pub fn calls(&self) -> BTreeMap<&'static str, u64> {
        self.state().calls.clone()
    }

    /// What a caller has been answered of its writes to a table.
    pub fn told(&self, who: &str, table: &str) -> Told {
        self.state().told.get(&(who.into(), table.into())).copied().unwrap_or_default()
    }

    /// Has a table hold an item that no job has written.
    pub fn hold(&self, table: &str, item: Attributes) {
        if let Some(table) = self.settled().tables.get_mut(table)
            && let Ok(place) = table.place(&item)
        {
            table.items.insert(place, item);
        }
    }

    /// The rows of a table by their key, as JSON objects without what the sink adds; tombstones are
    /// none.
    pub fn rows(&self, table: &str) -> BTreeMap<String, String> {
        let state = self.settled();
        let Some(table) = state.tables.get(table) else { return BTreeMap::new() };
        let live = table.items.values().filter(|item| !is_tombstone(item));
        live.map(|item| (json(item, |name| table.has_key(name)), json(item, is_own))).collect()
    }

    /// The keys of a table's tombstones.
    pub fn tombstones(&self, table: &str) -> Vec<String> {
        let state = self.settled();
        let Some(table) = state.tables.get(table) else { return vec![] };
        let dead = table.items.values().filter(|item| is_tombstone(item));
        dead.map(|item| json(item, |name| table.has_key(name))).collect()
    }

    /// What a table has held, by key in the form of its items.
    pub fn history(&self, table: &str) -> Vec<Vec<Change>> {
        let state = self.settled();
        state.tables.get(table).map_or(vec![], |t| t.history.values().cloned().collect())
    }

    /// The first key of any table that went from a version to an older one, or to none, in words.
    pub fn went_back(&self) -> Option<String> {
        let state = self.settled();
        let histories =
            state.tables.iter().flat_map(|(name, t)| t.history.values().map(move |h| (name, h)));
        for (name, history) in histories {
            let mut newest: Option<&Change> = None;
            for change in history.iter().filter(|change| change.what != What::Gone) {
                if let Some(before) = newest.filter(|before| change.version < before.version) {
                    return Some(format!("table {name}: {before:?}, then {change:?}"));
                }
                newest = Some(change);
            }
        }
        None
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state with what has arrived by now.
    fn settled(&self) -> MutexGuard<'_, State> {
        let now_ms = self.now_ms();
        let mut state = self.state();
        let State { tables, on_their_way, .. } = &mut *state;
        while let Some(entry) = on_their_way.first_entry().filter(|e| e.key().0 <= now_ms) {
            let ((at_ms, _), write) = entry.remove_entry();
            let outcome = match tables.get_mut(&write.table) {
                Some(table) => table.put(&write.put, &write.key, &write.who, at_ms),
                None => Err(missing(&write.table)),
            };
            *write.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        }
        tables.values_mut().for_each(|table| table.expire(now_ms));
        state
    }

    /// Sends a write, which arrives after so long.
    fn send(
        &self,
        caller: &Opened,
        put: &Put,
        key: &TableKey,
        after: Duration,
    ) -> Arc<Mutex<Option<Result<Standing, Failure>>>> {
        let outcome = Arc::default();
        let write = Write {
            table: caller.table.clone(),
            who: caller.who.clone(),
            put: caller.sent(put),
            key: key.clone(),
            outcome: Arc::clone(&outcome),
        };
        let mut state = self.state();
        state.sent += 1;
        let place = (self.now_ms() + after.as_millis() as i64, state.sent);
        state.on_their_way.insert(place, write);
        outcome
    }

    /// A time that a call takes in one direction.
    fn latency(&self) -> Duration {
        let mut state = self.state();
        let most_ms = state.faults.latency_ms;
        Duration::from_millis(state.rng.random_range(0..=most_ms))
    }

    fn luck(&self, is_write: bool) -> Luck {
        let mut state = self.state();
        let State { faults, rng, .. } = &mut *state;
        let mut happens = |share: f64| rng.random_bool(share);
        if happens(faults.throttled) {
            Luck::Throttled
        } else if happens(faults.failed) {
            Luck::Failed
        } else if happens(faults.lost) {
            Luck::Lost
        } else if happens(faults.answer_lost) {
            Luck::AnswerLost
        } else if is_write && happens(faults.failed_after) {
            Luck::FailedAfter
        } else if is_write && happens(faults.late) {
            Luck::Late
        } else {
            Luck::Good
        }
    }

    fn is_left_out(&self) -> bool {
        let mut state = self.state();
        let share = state.faults.unprocessed;
        state.rng.random_bool(share)
    }

    fn count(&self, what: &'static str) {
        *self.state().calls.entry(what).or_default() += 1;
    }

    /// Writes one item.
    async fn put(&self, caller: &Opened, put: &Put, key: &TableKey) -> Result<Standing, Failure> {
        let (there, back) = (self.latency(), self.latency());
        match self.luck(true) {
            Luck::Throttled if planted::has(Bug::DropsThrottledWrites) => {
                return Ok(Standing::Newer);
            }
            Luck::Throttled => return self.throttled(there + back).await,
            Luck::Failed => return self.failed(there + back).await,
            Luck::Lost => return self.gives_up("lost").await,
            Luck::Late => {
                let late_ms = {
                    let mut state = self.state();
                    let most_ms = state.faults.late_ms_max;
                    state.rng.random_range(0..=most_ms)
                };
                self.send(caller, put, key, CALL_TIMEOUT + Duration::from_millis(late_ms));
                return self.gives_up("late").await;
            }
            Luck::AnswerLost => {
                self.send(caller, put, key, there);
                return self.gives_up("answer lost").await;
            }
            Luck::FailedAfter => {
                self.send(caller, put, key, there);
                return self.failed(there + back).await;
            }
            Luck::Good => {}
        }
        let outcome = self.send(caller, put, key, there);
        sleep(there).await;
        drop(self.settled());
        self.count("put");
        caller.tell();
        sleep(back).await;
        let outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        let outcome = outcome.unwrap_or_else(|| Err(Failure::Retry("it has not arrived".into())));
        let told = (caller.who.clone(), caller.table.clone());
        self.state().told.entry(told).or_default().add(&outcome);
        outcome
    }

    /// A call that only looks.
    async fn look<T>(
        &self,
        caller: &Opened,
        name: &'static str,
        answer: impl FnOnce(&Table) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let (there, back) = (self.latency(), self.latency());
        match self.luck(false) {
            Luck::Throttled => return self.throttled(there + back).await,
            Luck::Failed => return self.failed(there + back).await,
            Luck::Lost | Luck::AnswerLost => return self.gives_up("lost").await,
            _ => {}
        }
        sleep(there).await;
        self.count(name);
        caller.tell();
        let answered = match self.settled().tables.get(&caller.table) {
            Some(table) => answer(table),
            None => Err(missing(&caller.table)),
        };
        sleep(back).await;
        answered
    }

    async fn throttled<T>(&self, after: Duration) -> Result<T, Failure> {
        self.count("throttled");
        sleep(after).await;
        Err(Failure::Retry("ProvisionedThroughputExceededException".into()))
    }

    async fn failed<T>(&self, after: Duration) -> Result<T, Failure> {
        self.count("failed");
        sleep(after).await;
        Err(Failure::Retry("InternalServerError".into()))
    }

    async fn gives_up<T>(&self, why: &'static str) -> Result<T, Failure> {
        self.count(why);
        sleep(CALL_TIMEOUT).await;
        Err(Failure::Retry(format!("no answer within {} s", CALL_TIMEOUT.as_secs())))
    }
}

fn missing(table: &str) -> Failure {
    Failure::Missing(format!("ResourceNotFoundException: there is no table {table}"))
}

/// Opens tables for one process or job.
#[derive(Clone)]
pub(crate) struct Caller {
    service: Arc<Service>,
    who: String,
    /// Its calls.
    pub open: Arc<OpenCalls>,
    /// What may wait in one of its writers.
    pub buffer_bytes_max: usize,
    /// It dies at one of its writes.
    pub dies: Option<Arc<Dies>>,
}

impl Tables for Caller {
    fn buffer_bytes_max(&self) -> usize {
        self.buffer_bytes_max
    }

    fn open(&self, options: &DynamoDbOptions, clock: Arc<ServerClock>) -> Arc<dyn TableApi> {
        Arc::new(Opened {
            service: self.service.clone(),
            who: self.who.clone(),
            table: options.table_name.clone(),
            clock,
            open: self.open.clone(),
            dies: self.dies.clone(),
            emissions: AtomicU64::new(0),
        })
    }
}

/// A table as one caller sees it.
struct Opened {
    service: Arc<Service>,
    who: String,
    table: String,
    clock: Arc<ServerClock>,
    open: Arc<OpenCalls>,
    dies: Option<Arc<Dies>>,
    /// Writes of this process, for a fault.
    emissions: AtomicU64,
}

impl Opened {
    /// What is sent for a put.
    fn sent(&self, put: &Put) -> Put {
        let mut put = put.clone();
        if planted::has(Bug::CountsEmissionsAsRevisions)
            && let Some((of_window, _)) = put.version.rsplit_once('-')
        {
            let emission = self.emissions.fetch_add(1, Ordering::Relaxed);
            put.version = format!("{of_window}-{emission:016x}").into();
        }
        put
    }

    /// Tells the caller's clock what time it is, as the head of an answer does.
    fn tell(&self) {
        let now = chrono::DateTime::from_timestamp_millis(self.service.now_ms());
        let now = now.unwrap_or_default().format("%a, %d %b %Y %H:%M:%S GMT");
        self.clock.note_date(&now.to_string());
    }
}

impl TableApi for Opened {
    fn describe(&self) -> Answer<'_, Described> {
        let described = |table: &Table| {
            let key = TableKey { attributes: table.key.clone() };
            Ok(Described { key, made_ms: Some(table.made_ms) })
        };
        Box::pin(self.service.look(self, "describe", described))
    }

    fn put<'a>(&'a self, put: &'a Put, key: &'a TableKey) -> Answer<'a, Standing> {
        let refused = self.service.state().faults.refused_text.clone();
        if refused.is_some_and(|text| put.item.to_json().contains(&text)) {
            let reason = "ValidationException: on purpose".into();
            return Box::pin(async { Err(Failure::Unclear(reason)) });
        }
        Box::pin(async {
            let _open = self.open.begin(false);
            if let Some(dies) = self.dies.as_ref().filter(|dies| dies.is_now()) {
                if dies.sent == Sent::Yes {
                    self.service.send(self, put, key, self.service.latency());
                }
                dies.process.kill();
                return std::future::pending().await;
            }
            self.service.put(self, put, key).await
        })
    }

    fn get_batch<'a>(&'a self, keys: &'a [Attributes], wanted: &'a Wanted) -> Answer<'a, Found> {
        assert!(keys.len() <= BATCH_KEYS_MAX, "{} keys in a batch", keys.len());
        let (left, asked): (Vec<_>, Vec<_>) =
            keys.iter().cloned().partition(|_| self.service.is_left_out());
        Box::pin(self.service.look(self, "get", move |table| {
            let places = asked.iter().map(|key| table.place(key)).collect::<Result<Vec<_>, _>>()?;
            let items = places.iter().filter_map(|place| table.read(place, wanted)).collect();
            Ok(Found { items, left })
        }))
    }

    fn query<'a>(
        &'a self,
        partition: &'a (String, Value),
        wanted: &'a Wanted,
        from: Option<&'a Attributes>,
    ) -> Answer<'a, Page> {
        let most = match self.service.state().faults.page_items {
            0 => usize::MAX,
            most => most,
        };
        Box::pin(self.service.look(self, "query", move |table| {
            let from = from.map(|key| table.place(key)).transpose()?;
            let is_asked = |item: &&Attributes| get(item, &partition.0) == Some(&partition.1);
            let mut rest = table
                .items
                .iter()
                .filter(|(place, _)| from.as_ref().is_none_or(|from| *place > from))
                .map(|(_, item)| item)
                .filter(is_asked)
                .peekable();
            let page: Vec<&Attributes> = rest.by_ref().take(most).collect();
            let last = page.last().filter(|_| rest.peek().is_some());
            let names: Vec<String> = table.key.iter().map(|(name, _)| name.clone()).collect();
            Ok(Page {
                items: page.iter().map(|item| only(item, wanted)).collect(),
                next: last.map(|item| only(item, &names)),
            })
        }))
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
