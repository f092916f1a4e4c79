//! Aggregates as the Kinesis Producer Library writes them, by a writer that shares nothing with the
//! reader under test.
//!
//! Used by tests that play producer. Magic, a protobuf message of two tables and the records, and
//! its MD5.

use md5::{Digest, Md5};

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 128 {
        out.push((length % 128) as u8 | 128);
        length /= 128;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
    out
}

/// An aggregate of records: partition key, payload. At most 127 keys.
pub fn aggregate(records: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut message: Vec<u8> =
        records.iter().flat_map(|(key, _)| field(1, key.as_bytes())).collect();
    for (index, (_, data)) in records.iter().enumerate() {
        message.extend(field(3, &[&[8, index as u8][..], &field(3, data)].concat()));
    }
    [&[0xf3, 0x89, 0x9a, 0xc2], &message[..], &Md5::digest(&message)].concat()
}

/// The payloads in an aggregate, or the record itself.
pub fn opened(record: &[u8]) -> Vec<Vec<u8>> {
    let Some(rest) = record.strip_prefix(&[0xf3, 0x89, 0x9a, 0xc2]) else {
        return vec![record.to_vec()];
    };
    let (message, digest) = rest.split_at(rest.len() - 16);
    assert_eq!(Md5::digest(message)[..], *digest);
    let mut payloads = Vec::new();
    fields(message, &mut |number, bytes| {
        if number == 3 {
            fields(bytes, &mut |number, bytes| {
                if number == 3 {
                    payloads.push(bytes.to_vec());
                }
            });
        }
    });
    payloads
}

fn fields(mut message: &[u8], seen: &mut dyn FnMut(u8, &[u8])) {
    let number = |message: &mut &[u8]| {
        let (mut number, mut shift) = (0usize, 0);
        loop {
            let byte = message[0];
            *message = &message[1..];
            number |= usize::from(byte & 127) << shift;
            shift += 7;
            if byte < 128 {
                return number;
            }
        }
    };
    while !message.is_empty() {
        let tag = number(&mut message);
        let value = number(&mut message);
        if tag & 7 == 2 {
            let (bytes, rest) = message.split_at(value);
            seen((tag >> 3) as u8, bytes);
            message = rest;
        }
    }
}
