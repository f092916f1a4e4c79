//! What happens to a stream: which records arrive, and which shards split and merge meanwhile?
//!
//! Drawn for `scenario` and `further`. What always holds: a record is in the shard that its key
//! belonged to when it arrived; the shards that are open at any moment share all hash keys among
//! them.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::stream::{Life, Shard};
use crate::connector::kinesis::api::HashRange;
use crate::connector::kinesis::queue::Record;
use crate::unpack::kpl::hash;

/// When a world begins, by the service's clock: ms since the epoch.
pub(super) const START_MS: i64 = 1_760_000_000_000;
pub(super) const DAY_MS: i64 = 24 * 3_600_000;

/// A partition key and what it is hashed to.
struct Key {
    text: String,
    hash: u128,
}

impl Key {
    fn of(text: String) -> Key {
        Key { hash: hash(&text), text }
    }
}

/// A stream that gets records for so long.
pub(super) fn life(rng: &mut ChaCha8Rng, lasts_ms: i64) -> Life {
    let mut shards: Vec<Shard> = Vec::new();
    let first = rng.random_range(1..=4u128);
    for n in 0..first {
        let share = u128::MAX / first;
        let hashes = HashRange {
            first: n * share + u128::from(n > 0),
            last: if n + 1 == first { u128::MAX } else { (n + 1) * share },
        };
        open(&mut shards, vec![], hashes, START_MS - 60_000);
    }
    let keys: Vec<Key> =
        (0..rng.random_range(1..12)).map(|n| Key::of(format!("rider-{n}"))).collect();
    let mut happens: Vec<(i64, Happens)> = (0..rng.random_range(10..150))
        .map(|_| (rng.random_range(0..lasts_ms), Happens::Record))
        .collect();
    for _ in 0..[0, 1, 3, 8, 20][rng.random_range(0..5)] {
        let what = if rng.random_bool(0.5) { Happens::Split } else { Happens::Merge };
        happens.push((rng.random_range(0..lasts_ms), what));
    }
    happens.sort_by_key(|(at_ms, _)| *at_ms);
    let disorder_ms = [0, 1500, 6000][rng.random_range(0..3)];
    let is_spoilt = rng.random_bool(0.3);
    let mut number: u64 = 0;
    for (after_ms, what) in happens {
        let now_ms = START_MS + after_ms;
        match what {
            Happens::Record => {
                let Some(key) = keys.choose(rng) else { continue };
                // Some clocks are broken: what they stamp must not close the others' windows.
                let is_absurd = is_spoilt && rng.random_bool(0.03);
                let ahead_ms = if is_absurd { 400 * 24 * 3_600_000 } else { 0 };
                let event_ms = now_ms - rng.random_range(0..=disorder_ms) + ahead_ms;
                let mut data = payload(&key.text, rng.random_range(-20..100), event_ms);
                if is_spoilt && rng.random_bool(0.05) {
                    data.truncate(data.len() / 2);
                }
                // A producer that got no answer writes again.
                for _ in 0..if rng.random_bool(0.05) { 2 } else { 1 } {
                    number += 1;
                    put(&mut shards, key, data.clone(), now_ms, number);
                }
            }
            Happens::Split => split(rng, &mut shards, now_ms),
            Happens::Merge => merge(rng, &mut shards, now_ms),
        }
    }
    Life { created_ms: START_MS - 3_600_000, retention_ms: DAY_MS, shards }
}

enum Happens {
    Record,
    Split,
    Merge,
}

fn payload(key: &str, value: i64, event_ms: i64) -> Vec<u8> {
    let at = chrono::DateTime::from_timestamp_millis(event_ms).unwrap_or_default();
    let at = at.format("%Y-%m-%d %H:%M:%S%.3f");
    format!(r#"{{"k":"{key}","v":{value},"ts":"{at}"}}"#).into_bytes()
}

fn open(shards: &mut Vec<Shard>, parents: Vec<String>, hashes: HashRange, now_ms: i64) {
    let id = format!("shardId-{:012}", shards.len());
    let records = Vec::new();
    shards.push(Shard { id, parents, hashes, opened_ms: now_ms, closed_ms: None, records });
}

fn put(shards: &mut [Shard], key: &Key, data: Vec<u8>, now_ms: i64, number: u64) {
    let takes = |shard: &&mut Shard| shard.closed_ms.is_none() && shard.hashes.contains(key.hash);
    if let Some(shard) = shards.iter_mut().find(takes) {
        shard.records.push(Record {
            // As long as those of the service, so that no reader takes them for machine numbers.
            sequence_number: format!("4965012345678901234567890123456789{number:022}"),
            partition_key: key.text.clone(),
            arrival_ms: Some(now_ms),
            data,
        });
    }
}

fn open_shards(shards: &[Shard]) -> Vec<usize> {
    let mut open: Vec<usize> =
        (0..shards.len()).filter(|&s| shards[s].closed_ms.is_none()).collect();
    open.sort_by_key(|&s| shards[s].hashes.first);
    open
}

fn split(rng: &mut ChaCha8Rng, shards: &mut Vec<Shard>, now_ms: i64) {
    let Some(&parent) = open_shards(shards).choose(rng) else { return };
    let HashRange { first, last } = shards[parent].hashes;
    shards[parent].closed_ms = Some(now_ms);
    let id = shards[parent].id.clone();
    let middle = first + (last - first) / 2;
    open(shards, vec![id.clone()], HashRange { first, last: middle }, now_ms);
    open(shards, vec![id], HashRange { first: middle + 1, last }, now_ms);
}

fn merge(rng: &mut ChaCha8Rng, shards: &mut Vec<Shard>, now_ms: i64) {
    let open_now = open_shards(shards);
    if open_now.len() < 2 {
        return;
    }
    let left = rng.random_range(0..open_now.len() - 1);
    let (a, b) = (open_now[left], open_now[left + 1]);
    for parent in [a, b] {
        shards[parent].closed_ms = Some(now_ms);
    }
    let hashes = HashRange { first: shards[a].hashes.first, last: shards[b].hashes.last };
    let parents = vec![shards[a].id.clone(), shards[b].id.clone()];
    open(shards, parents, hashes, now_ms);
}
