//! Records that are gzip files, as many producers and subscriptions of CloudWatch Logs write them.
//!
//! Made by `connect` where a setting says so. What always holds: a record becomes one record; one that is not gzip throughout,
//! or that grows past the length of a record, is unusable as a whole.

use std::io::Read;

use flate2::read::MultiGzDecoder;

use super::{Unpack, Unpacked};
use crate::record::{Places, RECORD_BYTES_MAX, RawBatch, Unusable};

/// Records opened at a time. Each may become as long as a record can be, so a batch stays within a quarter of a gibibyte
/// whatever is in it; beside the work of opening one, small batches cost little.
const RECORDS_MAX: usize = 16;

/// Opens records that are gzip files.
pub struct Gzip;

impl Unpack for Gzip {
    fn records_max(&self) -> Option<usize> {
        Some(RECORDS_MAX)
    }

    fn unpack(&mut self, raw: RawBatch) -> Unpacked {
        let mut opened = RawBatch::default();
        let mut kept = Vec::with_capacity(raw.len());
        let mut unusable = Vec::new();
        for i in 0..raw.len() {
            let start = opened.bytes.len();
            match open(raw.record(i), &mut opened.bytes) {
                Ok(()) => {
                    opened.end_record(start);
                    kept.push(i as u32);
                }
                Err(reason) => {
                    opened.bytes.truncate(start);
                    unusable.push(Unusable { place: raw.places.describe(i), bytes: raw.record(i).to_vec().into(), reason });
                }
            }
        }
        opened.metadata = raw.metadata_of(&kept);
        opened.places = Places::Within { source: Box::new(raw.places), records: kept };
        Unpacked { raw: opened, unusable }
    }
}

/// Appends what is in a gzip file.
fn open(record: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let start = out.len();
    MultiGzDecoder::new(record)
        .take(RECORD_BYTES_MAX as u64)
        .read_to_end(out)
        .map_err(|e| format!("the record is no whole gzip file, as 'compression' = 'gzip' asks for: {e}"))?;
    if out.len() - start == RECORD_BYTES_MAX {
        return Err(format!("decompressed, the record has {RECORD_BYTES_MAX} bytes or more"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use arrow::array::{Array, AsArray, StringArray};
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn zipped(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn whole_files_are_opened_and_others_come_back_with_their_place() {
        let long = zipped(&vec![b'x'; RECORD_BYTES_MAX]);
        let records = [
            zipped(b"{\"a\":1}"),
            b"{\"a\":2}".to_vec(),
            zipped(b"{\"a\":3}")[..20].to_vec(),
            [zipped(b"{\"a\":4}"), zipped(b"{\"a\":5}")].concat(),
            long,
            vec![],
            zipped(b""),
        ];
        let mut raw = RawBatch::default();
        for record in &records {
            raw.push(|bytes| bytes.extend_from_slice(record));
        }
        raw.places = Places::Lines { numbers: (10..17).collect() };
        raw.metadata = vec![Arc::new(StringArray::from(vec!["a", "b", "c", "d", "e", "f", "g"]))];
        let Unpacked { raw: opened, unusable } = Gzip.unpack(raw);
        let texts: Vec<&[u8]> = (0..opened.len()).map(|i| opened.record(i)).collect();
        assert_eq!(texts, [&b"{\"a\":1}"[..], b"{\"a\":4}{\"a\":5}", b""]);
        let keys = opened.metadata[0].as_string::<i32>();
        assert_eq!((keys.len(), keys.value(0), keys.value(1), keys.value(2)), (3, "a", "d", "g"));
        assert_eq!((opened.places.describe(1), opened.places.describe(2)), ("line 13".into(), "line 16".into()));
        let told: Vec<(&str, bool)> = unusable.iter().map(|u| (&*u.place, u.reason.contains("no whole gzip file"))).collect();
        assert_eq!(told, [("line 11", true), ("line 12", true), ("line 14", false), ("line 15", true)]);
        assert_eq!(&*unusable[0].bytes, b"{\"a\":2}");
        assert!(unusable[2].reason.contains("16777216 bytes or more"), "{}", unusable[2].reason);
    }
}
