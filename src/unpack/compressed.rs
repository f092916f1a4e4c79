//! Records that are compressed by themselves, as many producers and subscriptions of CloudWatch Logs
//! write them: gzip and zstd.
//!
//! Made by `connect` where a setting says so. What always holds: a record becomes one record; one
//! that is not compressed throughout, or that grows past the length of a record, is unusable as a
//! whole. What was in one aggregate grows to no more than that together.

use std::io::Read;

use flate2::read::MultiGzDecoder;

use super::{Unpack, Unpacked};
use crate::config::Compression;
use crate::record::{Places, RECORD_BYTES_MAX, RawBatch};

/// Records of the source opened at a time. Each may become as long as a record can be, so a batch
/// stays within a quarter of a gibibyte whatever is in it; beside the work of opening one, small
/// batches cost little.
const RECORDS_MAX: usize = 16;

/// Opens compressed records.
pub(crate) struct Compressed {
    codec: Codec,
}

enum Codec {
    Gzip,
    /// With room for one record, which is not touched before it is needed.
    Zstd {
        decompressor: Box<zstd::bulk::Decompressor<'static>>,
        room: Vec<u8>,
    },
}

impl Compressed {
    /// None where records are not compressed.
    pub fn new(compression: Compression) -> std::io::Result<Option<Compressed>> {
        let codec = match compression {
            Compression::None => return Ok(None),
            Compression::Gzip => Codec::Gzip,
            Compression::Zstd => Codec::Zstd {
                decompressor: Box::new(zstd::bulk::Decompressor::new()?),
                room: Vec::new(),
            },
        };
        Ok(Some(Compressed { codec }))
    }

    /// Appends what is in a record, of at most so many bytes.
    fn open(&mut self, record: &[u8], out: &mut Vec<u8>, most: usize) -> Result<(), String> {
        let start = out.len();
        match &mut self.codec {
            Codec::Gzip => {
                MultiGzDecoder::new(record).take(most as u64).read_to_end(out).map_err(|e| {
                    format!(
                        "the record is no whole gzip file, as 'compression' = 'gzip' asks for: {e}"
                    )
                })?;
            }
            Codec::Zstd { decompressor, room } => {
                let not_whole = |e: &dyn std::fmt::Display| {
                    format!(
                        "the record is no whole zstd file, as 'compression' = 'zstd' asks for: {e}"
                    )
                };
                if record.is_empty() {
                    return Err(not_whole(&"it is empty"));
                }
                room.clear();
                room.reserve_exact(RECORD_BYTES_MAX);
                match decompressor.decompress_to_buffer(record, room) {
                    // Asked of the room, since the codec tells by the text of an error alone.
                    Ok(length) if length < most => out.extend_from_slice(room),
                    Ok(_) => return Err(too_long()),
                    Err(e) if e.to_string().contains("too small") => return Err(too_long()),
                    Err(e) => return Err(not_whole(&e)),
                }
            }
        }
        if out.len() - start >= most { Err(too_long()) } else { Ok(()) }
    }
}

fn too_long() -> String {
    format!(
        "decompressed, the record (with those before it in its aggregate) has {RECORD_BYTES_MAX} bytes or more"
    )
}

impl Unpack for Compressed {
    fn records_max(&self) -> Option<usize> {
        Some(RECORDS_MAX)
    }

    fn unpack(&mut self, raw: RawBatch) -> Unpacked {
        let mut opened = RawBatch::default();
        let mut kept = Vec::with_capacity(raw.len());
        let mut unusable = Vec::new();
        // What the source's record has grown to, of which these records are.
        let (mut origin, mut grown) = (None, 0);
        for i in 0..raw.len() {
            if origin.replace(raw.places.origin(i)) != Some(raw.places.origin(i)) {
                grown = 0;
            }
            let start = opened.bytes.len();
            match self.open(raw.record(i), &mut opened.bytes, RECORD_BYTES_MAX - grown) {
                Ok(()) => {
                    grown += opened.bytes.len() - start;
                    opened.end_record(start);
                    kept.push(i as u32);
                }
                Err(reason) => {
                    opened.bytes.truncate(start);
                    unusable.push(raw.unusable(i, reason));
                }
            }
        }
        opened.metadata = raw.metadata_of(&kept);
        opened.places = Places::Within { source: Box::new(raw.places), records: kept, parts: None };
        Unpacked { raw: opened, unusable, ..Unpacked::default() }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use arrow::array::{Array, AsArray, StringArray};
    use flate2::write::GzEncoder;

    use super::*;
    use crate::record::{Parts, Span};

    fn zipped(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn pressed(text: &[u8]) -> Vec<u8> {
        // As a producer does that does not know the length when it begins.
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn raw(records: &[Vec<u8>]) -> RawBatch {
        let mut raw = RawBatch::default();
        for record in records {
            raw.push(|bytes| bytes.extend_from_slice(record));
        }
        raw.places = Places::Lines { numbers: (10..10 + records.len() as u64).collect() };
        raw
    }

    fn step(compression: Compression) -> Compressed {
        Compressed::new(compression).unwrap().unwrap()
    }

    #[test]
    fn whole_files_are_opened_and_others_come_back_with_their_place() {
        for (compression, pack) in
            [(Compression::Gzip, zipped as fn(&[u8]) -> Vec<u8>), (Compression::Zstd, pressed)]
        {
            let long = pack(&vec![b'x'; RECORD_BYTES_MAX]);
            let records = [
                pack(b"{\"a\":1}"),
                b"{\"a\":2}".to_vec(),
                pack(b"{\"a\":3, \"b\":\"long enough\"}")[..20].to_vec(),
                [pack(b"{\"a\":4}"), pack(b"{\"a\":5}")].concat(),
                long,
                vec![],
                pack(b""),
            ];
            let mut raw = raw(&records);
            raw.metadata =
                vec![Arc::new(StringArray::from(vec!["a", "b", "c", "d", "e", "f", "g"]))];
            let Unpacked { raw: opened, unusable, .. } = step(compression).unpack(raw);
            let texts: Vec<&[u8]> = (0..opened.len()).map(|i| opened.record(i)).collect();
            assert_eq!(texts, [&b"{\"a\":1}"[..], b"{\"a\":4}{\"a\":5}", b""], "{compression:?}");
            let keys = opened.metadata[0].as_string::<i32>();
            assert_eq!(
                (keys.len(), keys.value(0), keys.value(1), keys.value(2)),
                (3, "a", "d", "g")
            );
            assert_eq!(
                (opened.places.describe(1), opened.places.describe(2)),
                ("line 13".into(), "line 16".into())
            );
            let not_whole = format!("no whole {} file", compression.name());
            let told: Vec<(&str, bool)> =
                unusable.iter().map(|u| (&*u.place, u.reason.contains(&not_whole))).collect();
            assert_eq!(
                told,
                [("line 11", true), ("line 12", true), ("line 14", false), ("line 15", true)],
                "{unusable:?}"
            );
            assert_eq!(&*unusable[0].bytes, b"{\"a\":2}");
            assert!(
                unusable[2].reason.contains("16777216 bytes or more"),
                "{}",
                unusable[2].reason
            );
        }
    }

    #[test]
    fn what_was_in_one_record_grows_to_no_more_than_one() {
        for (compression, pack) in
            [(Compression::Gzip, zipped as fn(&[u8]) -> Vec<u8>), (Compression::Zstd, pressed)]
        {
            let half = pack(&vec![b'x'; RECORD_BYTES_MAX / 2]);
            let mut raw = raw(&[half.clone(), half.clone(), half]);
            let spans: Vec<Span> = raw.spans.clone();
            raw.spans = vec![spans[0], spans[1], spans[2]];
            let parts = Some(Parts { what: "part", numbers: vec![Some(0), Some(1), None] });
            let source = Box::new(Places::Lines { numbers: vec![7, 8] });
            raw.places = Places::Within { source, records: vec![0, 0, 1], parts };
            let Unpacked { raw: opened, unusable, .. } = step(compression).unpack(raw);
            assert_eq!((opened.len(), unusable.len()), (2, 1));
            assert_eq!(unusable[0].place, "line 7, part 1");
            assert_eq!(opened.places.describe(1), "line 8");
        }
    }
}
