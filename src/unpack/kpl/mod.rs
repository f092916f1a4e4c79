//! Aggregates of the Kinesis Producer Library: many records of users in one record of a stream.
//!
//! Made by `connect` for every table of streams, as Amazon's own readers do it. What always holds:
//! what is in an aggregate keeps its order and has its own partition key, and the sequence number
//! and arrival of the record it came in; what is no aggregate is passed on as it is, and a batch
//! without any costs a look at four bytes of each record.

pub(crate) mod message;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use md5::{Digest, Md5};
use message::Aggregate;

use super::{Counts, Unpack, Unpacked};
use crate::record::{HashRange, Parts, Places, RawBatch, Span, Unusable};

/// The metadata of a record that an aggregate has for each of its own.
pub(crate) const PARTITION_KEY: &str = "partition-key";
/// The metadata that counts records within their aggregate, from 0.
pub(crate) const SUB_SEQUENCE_NUMBER: &str = "sub-sequence-number";

/// Records that should come of a batch, about.
const RECORDS_WANTED: usize = 8192;
/// All partition keys of an aggregate's records, written out, may be so many times as long as the
/// aggregate. What producers write stays below: a key has 256 characters, a record 6 bytes. It keeps
/// the keys of a batch, which is no longer than a reply and what lay before it, within 2 GiB.
const KEYS_GROWTH_MAX: usize = 64;

/// What becomes of a record whose key belongs to another shard, as after a reshard, or where a
/// producer did not look at the shards at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misplaced {
    Kept,
    /// As the Kinesis Client Library does, since it may have been sent again to its own shard.
    Dropped,
}

/// Opens aggregates.
pub(crate) struct Kpl {
    misplaced: Misplaced,
    /// Which of the batch's metadata are to be those of the records in an aggregate.
    partition_key: Option<usize>,
    sub_sequence_number: Option<usize>,
    /// Records that came of each, in the newest batch: so many come of the next ones too, perhaps.
    growth: usize,
}

impl Kpl {
    /// `metadata`: the keys of the table's metadata columns, in the order of the batch.
    pub fn new(metadata: &[String], misplaced: Misplaced) -> Kpl {
        let index = |wanted: &str| metadata.iter().position(|key| key == wanted);
        Kpl {
            misplaced,
            partition_key: index(PARTITION_KEY),
            sub_sequence_number: index(SUB_SEQUENCE_NUMBER),
            growth: 1,
        }
    }
}

impl Unpack for Kpl {
    fn records_max(&self) -> Option<usize> {
        (self.growth > 1).then(|| (RECORDS_WANTED / self.growth).max(1))
    }

    fn unpack(&mut self, raw: RawBatch) -> Unpacked {
        let is_any = (0..raw.len()).any(|i| message::has_magic(raw.record(i)));
        if !is_any {
            self.growth = 1;
            return Unpacked { raw, ..Unpacked::default() };
        }
        let mut opening = Opening {
            step: self,
            hashes: raw.places.hashes(),
            raw: &raw,
            spans: Vec::with_capacity(raw.len()),
            records: Vec::with_capacity(raw.len()),
            numbers: Vec::with_capacity(raw.len()),
            keys: Vec::new(),
            unusable: Vec::new(),
            counts: Counts::default(),
        };
        for i in 0..raw.len() {
            match message::read(raw.record(i)) {
                Some(aggregate) => opening.aggregate(i, &aggregate),
                None => opening.plain(i),
            }
        }
        let metadata = opening.metadata();
        let Opening { spans, records, numbers, unusable, counts, .. } = opening;
        self.growth = spans.len().div_ceil(raw.len().max(1)).max(1);
        let parts = Some(Parts { what: "sub-sequence number", numbers });
        let RawBatch { bytes, places, .. } = raw;
        let places = Places::Within { source: Box::new(places), records, parts };
        Unpacked { raw: RawBatch { bytes, spans, places, metadata, ops: None }, unusable, counts }
    }
}

/// What comes of a batch. Payloads stay where they are: each new record is a span of an old one.
struct Opening<'a> {
    step: &'a Kpl,
    hashes: Option<HashRange>,
    raw: &'a RawBatch,
    spans: Vec<Span>,
    records: Vec<u32>,
    numbers: Vec<Option<u32>>,
    /// Where somebody asks for them: each new record's, None for that of its source record.
    keys: Vec<Option<&'a str>>,
    unusable: Vec<Unusable<'static>>,
    counts: Counts,
}

impl<'a> Opening<'a> {
    fn plain(&mut self, i: usize) {
        self.push(i, self.raw.spans[i], None, None);
    }

    fn push(&mut self, i: usize, span: Span, number: Option<u32>, key: Option<&'a str>) {
        self.spans.push(span);
        self.records.push(i as u32);
        self.numbers.push(number);
        if self.step.partition_key.is_some() {
            self.keys.push(key);
        }
    }

    fn aggregate(&mut self, i: usize, aggregate: &Aggregate<'a>) {
        let record = self.raw.record(i);
        let lengths = aggregate.records.iter().filter_map(|r| get(&aggregate.keys, r.key));
        if lengths.map(str::len).sum::<usize>() > record.len().saturating_mul(KEYS_GROWTH_MAX) {
            let reason = "its records name partition keys that are far longer than it is: no producer does that";
            return self.unusable.push(self.raw.unusable(i, reason.into()));
        }
        let mut at_home = AtHome::new(self.hashes, aggregate);
        let start = self.raw.spans[i].start;
        for (number, inner) in aggregate.records.iter().enumerate() {
            let data = &inner.data;
            let key = get(&aggregate.keys, inner.key);
            let hash_key = inner.hash_key.map(|index| get(&aggregate.hash_keys, index));
            let (Some(key), true) = (key, hash_key != Some(None)) else {
                self.unusable.push(Unusable {
                    place: format!("{}, sub-sequence number {number}", self.raw.places.describe(i)),
                    bytes: record[data.clone()].to_vec().into(),
                    reason: "its key is not in the aggregate, as a correct producer writes it"
                        .into(),
                });
                continue;
            };
            if !at_home.is(inner.key, key, hash_key.flatten()) {
                self.counts.misplaced += 1;
                if self.step.misplaced == Misplaced::Dropped {
                    continue;
                }
            }
            let span = Span { start: start + data.start as u32, end: start + data.end as u32 };
            self.push(i, span, Some(number as u32), Some(key));
        }
    }

    /// That of the source's records, but for what an aggregate has of its own.
    fn metadata(&self) -> Vec<ArrayRef> {
        let of = |(column, outer): (usize, &ArrayRef)| -> ArrayRef {
            if Some(column) == self.step.partition_key {
                let outer = outer.as_string::<i32>();
                let keys = self.keys.iter().zip(&self.records);
                let keys = keys.map(|(key, &i)| key.or_else(|| present(outer, i as usize)));
                return Arc::new(keys.collect::<StringArray>());
            }
            if Some(column) == self.step.sub_sequence_number {
                let numbers = self.numbers.iter().map(|number| i64::from(number.unwrap_or(0)));
                return Arc::new(numbers.collect::<Int64Array>());
            }
            RawBatch::metadata_at(outer, &self.records)
        };
        self.raw.metadata.iter().enumerate().map(of).collect()
    }
}

fn present(keys: &StringArray, i: usize) -> Option<&str> {
    keys.is_valid(i).then(|| keys.value(i))
}

fn get<'a>(table: &[&'a str], index: u64) -> Option<&'a str> {
    table.get(usize::try_from(index).ok()?).copied()
}

/// Whether records belong to the shard they came from. A key is hashed once for each aggregate.
struct AtHome {
    range: Option<HashRange>,
    known: Vec<Option<bool>>,
}

impl AtHome {
    fn new(range: Option<HashRange>, aggregate: &Aggregate<'_>) -> AtHome {
        let known = if range.is_some() { vec![None; aggregate.keys.len()] } else { vec![] };
        AtHome { range, known }
    }

    fn is(&mut self, index: u64, key: &str, hash_key: Option<&str>) -> bool {
        let Some(range) = self.range else { return true };
        match hash_key {
            Some(text) => text.parse().is_ok_and(|hash| range.contains(hash)),
            None => *self.known[index as usize].get_or_insert_with(|| range.contains(hash(key))),
        }
    }
}

/// Where Kinesis puts a partition key.
pub(crate) fn hash(key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(key.as_bytes()).into())
}

#[cfg(test)]
mod tests;
