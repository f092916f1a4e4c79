//! The loop of a shard against scripted replies.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::*;
use crate::connector::OnGap;
use crate::connector::kinesis::api::{
    Answer as Given, Child, Described, Entry, HashRange, ListedShard, Reply,
};
use crate::connector::kinesis::queue::Taken;
use crate::source::budget::ReadBudget;
use crate::time::clock::SetClock;

/// What the server answers to one call.
enum Answer {
    Iterator(Result<&'static str, Failure>),
    Records(Result<Reply, Failure>),
    Children(Result<Vec<Child>, Failure>),
}

/// Answers in the order they are asked for; notes the calls. A call that the script does not expect
/// fails the shard.
struct Script {
    answers: Mutex<VecDeque<Answer>>,
    calls: Arc<Mutex<Vec<String>>>,
}

impl Script {
    fn next(&self, call: String) -> Option<Answer> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

fn unexpected() -> Failure {
    Failure::Fatal("the script expected another call".into())
}

impl StreamApi for Script {
    fn describe(&self) -> Given<'_, Option<Described>> {
        Box::pin(async { Err(unexpected()) })
    }

    fn get_iterator<'a>(&'a self, _: &'a str, at: &'a ShardPosition) -> Given<'a, String> {
        let place = match at {
            ShardPosition::After { sequence_number } => format!("after {sequence_number}"),
            ShardPosition::Time { arrival_ms } => format!("time {arrival_ms}"),
            _ => "horizon".into(),
        };
        Box::pin(async move {
            match self.next(format!("iterator {place}")) {
                Some(Answer::Iterator(answer)) => answer.map(str::to_owned),
                _ => Err(unexpected()),
            }
        })
    }

    fn get_records<'a>(&'a self, iterator: &'a str) -> Given<'a, Reply> {
        Box::pin(async move {
            match self.next(format!("records {iterator}")) {
                Some(Answer::Records(answer)) => answer,
                _ => Err(unexpected()),
            }
        })
    }

    fn list_shards(&self) -> Given<'_, Vec<ListedShard>> {
        Box::pin(async {
            let Some(Answer::Children(answer)) = self.next("children".into()) else {
                return Err(unexpected());
            };
            let listed = |child: Child| ListedShard {
                id: child.id,
                parents: child.parents,
                open: true,
                hashes: child.hashes,
            };
            answer.map(|children| children.into_iter().map(listed).collect())
        })
    }

    fn put_records<'a>(&'a self, _: &'a [Entry]) -> Given<'a, Vec<Option<String>>> {
        Box::pin(async { Err(unexpected()) })
    }
}

/// What came of a run: sequence numbers, the outcome, the calls.
struct Ran {
    records: Vec<String>,
    outcome: ShardEnd,
    calls: Vec<String>,
}

impl Ran {
    fn children(&self) -> Vec<&str> {
        match &self.outcome {
            ShardEnd::End { children } => children.iter().map(|c| &*c.id.0).collect(),
            ShardEnd::Failed(reason) | ShardEnd::Gap(reason) => panic!("failed: {reason}"),
        }
    }
}

const NOW_MS: i64 = 1_000_000_000;

async fn run(start: ShardPosition, to_ms: Option<i64>, answers: Vec<Answer>) -> Ran {
    let calls = Arc::new(Mutex::default());
    let queue = Arc::new(Queue::new(ReadBudget::new(usize::MAX)));
    let wakes = Arc::new(AtomicUsize::new(0));
    let tick = Duration::from_millis(1);
    let shard = Shard {
        stream: Arc::new(Script { answers: Mutex::new(answers.into()), calls: calls.clone() }),
        table: "rides".into(),
        retries_told: Arc::default(),
        id: SplitId("shard-0".into()),
        start: ShardPlace { at: start, read_to_ms: None },
        gaps: Arc::new(Gaps::new("rides", OnGap::Refuse)),
        audited: Audits::default(),
        to_ms,
        pace: Pace {
            between_calls: tick,
            after_empty: tick,
            backoff_min: tick,
            backoff_max: tick,
            relist: tick,
        },
        clock: Arc::new(SetClock::at(NOW_MS)),
        queue: queue.clone(),
        wake: Arc::new({
            let wakes = wakes.clone();
            move || {
                wakes.fetch_add(1, Ordering::Relaxed);
            }
        }),
    };
    shard.to_the_end(shard.start.clone()).await;
    assert!(wakes.load(Ordering::Relaxed) > 0);
    let mut records = vec![];
    let outcome = loop {
        match queue.take(3) {
            Taken::Records(some) => records.extend(some.into_iter().map(|r| r.sequence_number)),
            Taken::Ended(outcome) => break outcome,
            Taken::Nothing { .. } => panic!("the loop ended without an outcome"),
        }
    };
    let calls = calls.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ran { records, outcome, calls }
}

fn record(number: i64, arrival_ms: i64) -> Record {
    let sequence_number = number.to_string();
    Record {
        sequence_number,
        partition_key: "k".into(),
        arrival_ms: Some(arrival_ms),
        data: b"{}".to_vec(),
    }
}

fn reply(numbers: &[i64], next: Option<&str>) -> Reply {
    let records = numbers.iter().map(|&n| record(n, n)).collect();
    Reply { records, next_iterator: next.map(str::to_owned), behind_ms: Some(0), children: vec![] }
}

fn records(numbers: &[i64], next: Option<&str>) -> Answer {
    Answer::Records(Ok(reply(numbers, next)))
}

fn failed(failure: Failure) -> Answer {
    Answer::Records(Err(failure))
}

fn child(id: &str, parents: &[&str]) -> Child {
    Child {
        id: id.into(),
        parents: parents.iter().map(|p| (*p).to_owned()).collect(),
        hashes: None,
    }
}

fn last(numbers: &[i64], children: Vec<Child>) -> Answer {
    Answer::Records(Ok(Reply { children, ..reply(numbers, None) }))
}

fn throttled() -> Failure {
    Failure::Retry("ProvisionedThroughputExceededException".into())
}

#[tokio::test]
async fn an_expired_iterator_is_replaced_after_the_last_record() {
    let answers = vec![
        Answer::Iterator(Ok("a")),
        failed(Failure::Expired),
        Answer::Iterator(Ok("b")),
        records(&[1, 2], Some("c")),
        failed(Failure::Expired),
        Answer::Iterator(Ok("d")),
        records(&[], Some("e")),
        failed(Failure::Expired),
        Answer::Iterator(Ok("f")),
        last(&[3], vec![child("shard-1", &["shard-0"])]),
    ];
    let ran = run(ShardPosition::Time { arrival_ms: 0 }, None, answers).await;
    assert_eq!(ran.records, ["1", "2", "3"]);
    let iterators: Vec<&String> = ran.calls.iter().filter(|c| c.starts_with("iterator")).collect();
    assert_eq!(
        iterators,
        ["iterator time 0", "iterator time 0", "iterator after 2", "iterator after 2"]
    );
}

#[tokio::test]
async fn throttling_is_waited_out_with_the_same_iterator() {
    let mut answers = vec![Answer::Iterator(Err(throttled())), Answer::Iterator(Ok("a"))];
    answers.extend((0..40).map(|_| failed(throttled())));
    answers.push(records(&[1], Some("b")));
    answers.push(failed(throttled()));
    answers.push(last(&[2], vec![child("shard-1", &["shard-0"])]));
    let ran = run(ShardPosition::Horizon, None, answers).await;
    assert_eq!(
        (ran.records.as_slice(), ran.children()),
        (["1".to_owned(), "2".to_owned()].as_slice(), vec!["shard-1"])
    );
    assert_eq!(ran.calls.iter().filter(|c| *c == "records a").count(), 41);
    assert_eq!(ran.calls.iter().filter(|c| *c == "records b").count(), 2);
}

#[tokio::test]
async fn a_refusal_fails_the_split() {
    let refusal = failed(Failure::Fatal("AccessDeniedException: no".into()));
    let ran = run(
        ShardPosition::Horizon,
        None,
        vec![Answer::Iterator(Ok("a")), records(&[1], Some("b")), refusal],
    )
    .await;
    assert_eq!(ran.records, ["1"]);
    assert_eq!(ran.outcome, ShardEnd::Failed("GetRecords: AccessDeniedException: no".into()));
}

#[tokio::test]
async fn children_come_from_the_last_reply_with_all_their_parents() {
    let merged = child("shard-2", &["shard-0", "shard-1"]);
    let ran = run(
        ShardPosition::Horizon,
        None,
        vec![Answer::Iterator(Ok("a")), last(&[7], vec![merged])],
    )
    .await;
    assert_eq!(ran.records, ["7"]);
    let ShardEnd::End { children } = &ran.outcome else { panic!("{:?}", ran.outcome) };
    let parents = vec![SplitId("shard-0".into()), SplitId("shard-1".into())];
    // The last record arrived at 7.
    let start = ShardPlace { at: ShardPosition::Horizon, read_to_ms: Some(7) };
    let expected = SplitSeed { id: SplitId("shard-2".into()), parents, start: start.into() };
    assert_eq!(children, &[expected]);
}

#[tokio::test]
async fn children_that_the_last_reply_does_not_name_are_listed() {
    let children = vec![child("shard-1", &["shard-0"]), child("shard-2", &["shard-0"])];
    let answers = vec![
        Answer::Iterator(Ok("a")),
        last(&[1], vec![]),
        Answer::Children(Ok(vec![child("shard-0", &[])])),
        Answer::Children(Err(throttled())),
        Answer::Children(Ok([vec![child("shard-0", &[])], children.clone()].concat())),
    ];
    assert_eq!(run(ShardPosition::Horizon, None, answers).await.children(), ["shard-1", "shard-2"]);
    // A listing that has the shard itself no more may lack some of its children too: it is believed
    // once it says the same again and again.
    let mut answers = vec![
        Answer::Iterator(Ok("a")),
        last(&[1], vec![]),
        Answer::Children(Ok(children[..1].to_vec())),
    ];
    answers.extend((0..3).map(|_| Answer::Children(Ok(children.clone()))));
    assert_eq!(run(ShardPosition::Horizon, None, answers).await.children(), ["shard-1", "shard-2"]);
    // However often a listing names none, the keys of the shard belong to somebody.
    let half = HashRange { first: 0, last: 49 };
    let one_of_two = Child { hashes: Some(half), ..child("shard-1", &["shard-0"]) };
    let other =
        Child { hashes: Some(HashRange { first: 50, last: 99 }), ..child("shard-2", &["shard-0"]) };
    let own = Child { hashes: Some(HashRange { first: 0, last: 99 }), ..child("shard-0", &[]) };
    let mut answers = vec![Answer::Iterator(Ok("a")), last(&[1], vec![])];
    answers.extend((0..50).map(|_| Answer::Children(Ok(vec![own.clone()]))));
    answers.push(Answer::Children(Ok(vec![own.clone(), one_of_two.clone()])));
    answers.push(Answer::Children(Ok(vec![own, one_of_two, other])));
    let ran = run(ShardPosition::Horizon, None, answers).await;
    assert_eq!((ran.children(), ran.calls.len()), (vec!["shard-1", "shard-2"], 2 + 52));
}

#[tokio::test]
async fn a_shard_that_has_expired_is_a_gap_that_is_named() {
    let gone = || Failure::Missing("ResourceNotFoundException: no such shard".into());
    let answers = vec![
        Answer::Iterator(Ok("a")),
        records(&[1], Some("b")),
        failed(gone()),
        Answer::Iterator(Err(gone())),
        Answer::Children(Ok(vec![child("shard-9", &["shard-3"])])),
    ];
    let ran = run(ShardPosition::Horizon, None, answers).await;
    assert_eq!(ran.records, ["1"]);
    let ShardEnd::Gap(reason) = &ran.outcome else { panic!("{:?}", ran.outcome) };
    assert!(reason.contains("shard-0") && reason.contains("--accept-gaps"), "{reason}");
}

#[tokio::test]
async fn the_upper_bound_is_the_first_record_at_it() {
    // Arrival times go back after record 30: what follows the first one at the bound does not
    // belong to the job.
    let answers = vec![
        Answer::Iterator(Ok("a")),
        records(&[10, 20], Some("b")),
        records(&[29, 30, 25], Some("c")),
    ];
    let ran = run(ShardPosition::Horizon, Some(30), answers).await;
    assert_eq!(ran.records, ["10", "20", "29"]);
    assert!(ran.children().is_empty());
}

#[tokio::test]
async fn past_the_upper_bound_an_empty_shard_ends_but_a_closed_one_has_children() {
    let behind = Answer::Records(Ok(Reply { behind_ms: Some(5), ..reply(&[], Some("b")) }));
    let answers = vec![
        Answer::Iterator(Ok("a")),
        behind,
        records(&[], Some("c")),
        records(&[1], Some("d")),
        records(&[], Some("e")),
        records(&[], Some("f")),
    ];
    let ran = run(ShardPosition::Horizon, Some(NOW_MS - CLOCK_GRAIN_MS), answers).await;
    assert_eq!((ran.records.as_slice(), ran.children().len()), (["1".to_owned()].as_slice(), 0));
    assert_eq!(ran.calls.len(), 6);

    let closed = vec![
        Answer::Iterator(Ok("a")),
        records(&[], Some("b")),
        last(&[], vec![child("shard-1", &["shard-0"])]),
    ];
    assert_eq!(
        run(ShardPosition::Horizon, Some(NOW_MS - CLOCK_GRAIN_MS), closed).await.children(),
        ["shard-1"]
    );
}

#[tokio::test]
async fn before_the_upper_bound_an_empty_shard_is_waited_for() {
    let answers = vec![
        Answer::Iterator(Ok("a")),
        records(&[], Some("b")),
        records(&[], Some("c")),
        records(&[], Some("d")),
        records(&[NOW_MS, NOW_MS + 1], Some("e")),
    ];
    let ran = run(ShardPosition::Horizon, Some(NOW_MS + 1), answers).await;
    assert_eq!(ran.records, [NOW_MS.to_string()]);
}

#[tokio::test]
async fn records_from_before_the_start_time_are_dropped_until_the_first_that_is_not() {
    let first = Reply { records: vec![record(1, 1000), record(2, 2999)], ..reply(&[], Some("b")) };
    // 5000 is in the second of the start time: servers that round arrival times down mean 5500 by
    // it.
    let second = Reply {
        records: vec![record(3, 4999), record(4, 5000), record(5, 3000)],
        ..reply(&[], Some("c"))
    };
    let third = Reply { records: vec![record(6, 2000)], ..reply(&[], None) };
    let children = vec![child("shard-1", &["shard-0"])];
    let answers = vec![
        Answer::Iterator(Ok("a")),
        Answer::Records(Ok(first)),
        Answer::Records(Ok(second)),
        Answer::Records(Ok(Reply { children, ..third })),
    ];
    assert_eq!(
        run(ShardPosition::Time { arrival_ms: 5400 }, None, answers).await.records,
        ["4", "5", "6"]
    );
}

#[tokio::test]
async fn a_start_after_the_servers_clock_is_waited_for_and_other_arguments_are_not() {
    let argument = || Failure::Argument("InvalidArgumentException".into());
    let children = || vec![child("shard-1", &["shard-0"])];
    let answers =
        vec![Answer::Iterator(Err(argument())), Answer::Iterator(Ok("a")), last(&[], children())];
    let ran = run(ShardPosition::Time { arrival_ms: NOW_MS - 100 }, None, answers).await;
    assert_eq!(ran.children(), ["shard-1"]);
    for start in [
        ShardPosition::Time { arrival_ms: 0 },
        ShardPosition::After { sequence_number: "1".into() },
    ] {
        let ran = run(start, None, vec![Answer::Iterator(Err(argument()))]).await;
        assert!(
            matches!(ran.outcome, ShardEnd::Failed(reason) if reason.starts_with("GetShardIterator: Invalid"))
        );
    }
}

/// Replies in order; notes before each call what the worker would be told.
struct Told {
    replies: Mutex<VecDeque<Result<Reply, Failure>>>,
    queue: Arc<Queue>,
    known_empty: Arc<Mutex<Vec<bool>>>,
}

impl StreamApi for Told {
    fn describe(&self) -> Given<'_, Option<Described>> {
        Box::pin(async { Err(unexpected()) })
    }
    fn get_iterator<'a>(&'a self, _: &'a str, _: &'a ShardPosition) -> Given<'a, String> {
        Box::pin(async { Ok("i".into()) })
    }
    fn get_records<'a>(&'a self, _: &'a str) -> Given<'a, Reply> {
        let known_empty = matches!(self.queue.take(1), Taken::Nothing { empty: Some(_) });
        self.known_empty.lock().unwrap_or_else(PoisonError::into_inner).push(known_empty);
        let mut replies = self.replies.lock().unwrap_or_else(PoisonError::into_inner);
        let reply = replies.pop_front().unwrap_or(Err(unexpected()));
        Box::pin(async { reply })
    }
    fn list_shards(&self) -> Given<'_, Vec<ListedShard>> {
        Box::pin(async { Err(unexpected()) })
    }
    fn put_records<'a>(&'a self, _: &'a [Entry]) -> Given<'a, Vec<Option<String>>> {
        Box::pin(async { Err(unexpected()) })
    }
}

#[tokio::test]
async fn a_shard_that_is_throttled_or_behind_is_not_known_to_be_empty() {
    let queue = Arc::new(Queue::new(ReadBudget::new(usize::MAX)));
    let known_empty: Arc<Mutex<Vec<bool>>> = Arc::default();
    let empty = || Ok(reply(&[], Some("i")));
    let behind = Reply { behind_ms: Some(500), ..reply(&[], Some("i")) };
    let unsaid = Reply { behind_ms: None, ..reply(&[], Some("i")) };
    let replies = [
        empty(),
        Err(throttled()),
        empty(),
        Ok(behind),
        empty(),
        Ok(unsaid),
        empty(),
        Err(Failure::Fatal("gone".into())),
    ];
    let tick = Duration::from_millis(1);
    let shard = Shard {
        stream: Arc::new(Told {
            replies: Mutex::new(replies.into()),
            queue: queue.clone(),
            known_empty: known_empty.clone(),
        }),
        table: "rides".into(),
        retries_told: Arc::default(),
        id: SplitId("shard-0".into()),
        start: ShardPlace { at: ShardPosition::Horizon, read_to_ms: None },
        gaps: Arc::new(Gaps::new("rides", OnGap::Refuse)),
        audited: Audits::default(),
        to_ms: None,
        pace: Pace {
            between_calls: tick,
            after_empty: tick,
            backoff_min: tick,
            backoff_max: tick,
            relist: tick,
        },
        clock: Arc::new(SetClock::at(NOW_MS)),
        queue,
        wake: Arc::new(|| {}),
    };
    shard.to_the_end(shard.start.clone()).await;
    let told = known_empty.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert_eq!(told, [false, true, false, true, false, true, false, true]);
}
