//! The bytes of an aggregate, as the Kinesis Producer Library writes them: read, and written.
//!
//! Read by the step of this folder, written by the sink of streams. Magic, a protobuf message, and
//! the MD5 of the message:
//!
//! ```text
//! AggregatedRecord  1 repeated string partition_key_table   2 repeated string explicit_hash_key_table   3 repeated Record
//! Record            1 required uint64 partition_key_index   2 optional uint64 explicit_hash_key_index   3 required bytes data
//!                   4 repeated Tag
//! ```
//!
//! What always holds: whatever the bytes are, reading ends, and what it gives lies within them.
//! What is no such message throughout is no aggregate.

use std::ops::Range;

use md5::{Digest, Md5};

const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
const DIGEST_BYTES: usize = 16;

/// Wire types of protobuf.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

/// What is in an aggregate.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Aggregate<'a> {
    pub keys: Vec<&'a str>,
    pub hash_keys: Vec<&'a str>,
    pub records: Vec<Inner>,
}

/// A record in an aggregate. Its indices may lead out of the tables.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Inner {
    pub key: u64,
    pub hash_key: Option<u64>,
    /// Where its payload stands in the aggregate.
    pub data: Range<usize>,
}

/// True for what may be an aggregate.
#[inline]
pub(crate) fn has_magic(record: &[u8]) -> bool {
    record.starts_with(&MAGIC)
}

/// Reads an aggregate. None: the record is none, and means what it is.
pub(crate) fn read(record: &[u8]) -> Option<Aggregate<'_>> {
    if !has_magic(record) {
        return None;
    }
    let end = record.len().checked_sub(DIGEST_BYTES).filter(|end| *end >= MAGIC.len())?;
    let message = &record[MAGIC.len()..end];
    if Md5::digest(message)[..] != record[end..] {
        return None;
    }
    let mut aggregate = Aggregate::default();
    let mut fields = Fields { bytes: &record[..end], at: MAGIC.len() };
    while !fields.is_empty() {
        match fields.next()? {
            (1, Value::Bytes(range)) => aggregate.keys.push(text(record, range)?),
            (2, Value::Bytes(range)) => aggregate.hash_keys.push(text(record, range)?),
            (3, Value::Bytes(range)) => aggregate.records.push(inner(record, range)?),
            (1..=3, _) => return None,
            _ => {}
        }
    }
    Some(aggregate)
}

fn text(record: &[u8], range: Range<usize>) -> Option<&str> {
    std::str::from_utf8(&record[range]).ok()
}

fn inner(record: &[u8], range: Range<usize>) -> Option<Inner> {
    let (mut key, mut hash_key, mut data) = (None, None, None);
    let mut fields = Fields { bytes: &record[..range.end], at: range.start };
    while !fields.is_empty() {
        match fields.next()? {
            (1, Value::Number(index)) => key = Some(index),
            (2, Value::Number(index)) => hash_key = Some(index),
            (3, Value::Bytes(range)) => data = Some(range),
            (1..=3, _) => return None,
            // Tags are for nobody here.
            _ => {}
        }
    }
    Some(Inner { key: key?, hash_key, data: data? })
}

enum Value {
    Number(u64),
    Bytes(Range<usize>),
    Other,
}

/// The fields of a message.
struct Fields<'a> {
    /// Up to the end of the message.
    bytes: &'a [u8],
    at: usize,
}

impl Fields<'_> {
    fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// The next field's number and value. None: there is no field.
    fn next(&mut self) -> Option<(u64, Value)> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            VARINT => Value::Number(self.varint()?),
            FIXED64 => self.skip(8)?,
            FIXED32 => self.skip(4)?,
            BYTES => {
                let length = usize::try_from(self.varint()?).ok()?;
                let start = self.at;
                self.skip(length)?;
                Value::Bytes(start..self.at)
            }
            _ => return None,
        };
        (tag >> 3 != 0).then_some((tag >> 3, value))
    }

    fn skip(&mut self, length: usize) -> Option<Value> {
        self.at = self.at.checked_add(length).filter(|end| *end <= self.bytes.len())?;
        Some(Value::Other)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
}

fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn varint_bytes(number: u64) -> usize {
    (64 - (number | 1).leading_zeros() as usize).div_ceil(7)
}

fn put_bytes(field: u64, bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(field << 3 | BYTES, out);
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// What a field of so many bytes takes.
fn field_bytes(length: usize) -> usize {
    1 + varint_bytes(length as u64) + length
}

/// Writes records, keys and payloads, into an aggregate.
pub(crate) fn write<'a>(records: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let (mut keys, mut inner) = (Vec::new(), Vec::new());
    for (key, data) in records {
        // Mostly it is the newest.
        let index = keys.iter().rposition(|known| *known == key).unwrap_or_else(|| {
            keys.push(key);
            keys.len() - 1
        });
        put_varint(3 << 3 | BYTES, &mut inner);
        put_varint(record_bytes(index, data.len()) as u64, &mut inner);
        put_varint(1 << 3 | VARINT, &mut inner);
        put_varint(index as u64, &mut inner);
        put_bytes(3, data, &mut inner);
    }
    let mut out = MAGIC.to_vec();
    keys.iter().for_each(|key| put_bytes(1, key.as_bytes(), &mut out));
    out.append(&mut inner);
    let digest = Md5::digest(&out[MAGIC.len()..]);
    out.extend_from_slice(&digest);
    out
}

/// Bytes of an aggregate whose records have this key, before the first of them.
pub(crate) fn head_bytes(key: &str) -> usize {
    MAGIC.len() + field_bytes(key.len()) + DIGEST_BYTES
}

/// What a record of such an aggregate adds.
pub(crate) fn added_bytes(data: &[u8]) -> usize {
    field_bytes(record_bytes(0, data.len()))
}

fn record_bytes(index: usize, data: usize) -> usize {
    1 + varint_bytes(index as u64) + field_bytes(data)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::support::damage::{ANY, damage};
    use crate::support::seeds::each_seed;
    use crate::support::tier::by_tier;

    fn sealed(message: &[u8]) -> Vec<u8> {
        [&MAGIC[..], message, &Md5::digest(message)].concat()
    }

    fn written() -> Vec<u8> {
        let keys = ["a", "b", "a", "ü"].into_iter().enumerate();
        let records: Vec<_> = keys.map(|(n, key)| (key, vec![b'x'; n * 100])).collect();
        write(records.iter().map(|(key, data)| (*key, &data[..])))
    }

    #[test]
    fn lengths_are_known_before() {
        for length in [0, 1, 100, 127, 128, 300, 16_383, 16_384, 50_000] {
            let data = vec![b'x'; length];
            let bytes = head_bytes("key") + 3 * added_bytes(&data);
            assert_eq!(write(std::iter::repeat_n(("key", &data[..]), 3)).len(), bytes);
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = written();
        let aggregate = read(&bytes).expect("an aggregate");
        assert_eq!(aggregate.keys, ["a", "b", "ü"]);
        let keys: Vec<u64> = aggregate.records.iter().map(|r| r.key).collect();
        assert_eq!(keys, [0, 1, 0, 2]);
        let lengths: Vec<usize> = aggregate.records.iter().map(|r| r.data.len()).collect();
        assert_eq!(lengths, [0, 100, 200, 300]);
    }

    #[test]
    fn what_is_no_aggregate_throughout_is_none() {
        let good = written();
        assert!(read(&good[..good.len() - 1]).is_none(), "its digest is cut");
        assert!(read(&[&good[..], b"x"].concat()).is_none());
        assert!(read(&MAGIC).is_none() && read(b"").is_none());
        for (message, what) in [
            (&b"\x0a"[..], "a length is missing"),
            (b"\x0a\x05ab", "a key is cut"),
            (b"\x0a\x02\xff\xfe", "a key is no text"),
            (b"\x08\x01", "a key is a number"),
            (b"\x1a\x02\x08\x00", "a record has no data"),
            (b"\x1a\x02\x1a\x00", "a record has no key"),
            (b"\x1a\x06\x08\x00\x1a\x05ab", "data goes on behind its record"),
            (b"\x0b\x0c", "a group"),
            (b"\x00\x00", "field 0"),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "a number without an end"),
        ] {
            assert!(read(&sealed(message)).is_none(), "{what}");
        }
        // A field that is not known, and one that comes twice: the later counts.
        let odd = sealed(b"\x0a\x01a\x2a\x01z\x31\x00\x00\x00\x00\x00\x00\x00\x00\x1a\x08\x08\x05\x08\x00\x1a\x02hi");
        let read = read(&odd).expect("an aggregate");
        assert_eq!(
            (read.keys, read.records[0].key, &odd[read.records[0].data.clone()]),
            (vec!["a"], 0, &b"hi"[..])
        );
        assert_eq!(super::read(&sealed(b"")), Some(Aggregate::default()));
    }

    /// Damage that the digest would give away is sealed again, so that the reader itself is asked.
    #[test]
    fn damaged_messages() {
        each_seed(0..by_tier(300, 300, 20_000), |seed| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let good = written();
            let mut message = good[MAGIC.len()..good.len() - DIGEST_BYTES].to_vec();
            damage(&mut rng, &mut message, ANY);
            let bytes = sealed(&message);
            if let Some(aggregate) = read(&bytes) {
                for record in aggregate.records {
                    assert!(record.data.end <= MAGIC.len() + message.len());
                }
            }
            let mut bytes = good;
            damage(&mut rng, &mut bytes, ANY);
            read(&bytes);
        });
    }
}
