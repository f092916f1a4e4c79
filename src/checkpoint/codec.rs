//! The bytes of a manifest: the only place that knows bincode.
//!
//! ```text
//! file = magic "PCLN" | format (1) | length (8, little-endian) | body | CRC-32C of all before (4, little-endian)
//! body = manifest in bincode 2.0's standard encoding; format 3 ended before `begun`, format 2 had its own (`format2`)
//! ```

use super::format2::Manifest2;
use super::manifest::Manifest;
use crate::who::{Again, Who};

const MAGIC: &[u8; 4] = b"PCLN";
/// Version of the manifest's structure and of everything in a checkpoint (state keys, packed
/// values).
const FORMAT: u8 = 4;
/// Those before, which are read too.
const FORMAT_WITHOUT_BEGUN: u8 = 3;
const FORMER_FORMAT: u8 = 2;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    #[error("not a manifest, or cut short")]
    Damaged,
    #[error("checksum does not match")]
    Checksum,
    #[error("written in format {found}, this version reads format {FORMAT}")]
    Format { found: u8 },
}

impl CodecError {
    pub fn who(&self) -> Who {
        match self {
            CodecError::Damaged | CodecError::Checksum | CodecError::Format { .. } => {
                Who::Stored(Again::IsInVain)
            }
        }
    }
}

pub fn encode(manifest: &Manifest) -> Vec<u8> {
    // Plain data in memory always encodes.
    let body =
        bincode::serde::encode_to_vec(manifest, bincode::config::standard()).unwrap_or_default();
    let mut out = Vec::with_capacity(body.len() + 17);
    out.extend_from_slice(MAGIC);
    out.push(FORMAT);
    out.extend_from_slice(&(body.len() as u64).to_le_bytes());
    out.extend_from_slice(&body);
    let crc = crc32c::crc32c(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

/// True for what [`encode`] made, in whatever version, damaged or not.
pub(crate) fn is_manifest(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

pub fn decode(bytes: &[u8]) -> Result<Manifest, CodecError> {
    let (content, crc) = bytes.split_last_chunk::<4>().ok_or(CodecError::Damaged)?;
    let (magic, rest) = content.split_first_chunk::<4>().ok_or(CodecError::Damaged)?;
    let (format, rest) = rest.split_first().ok_or(CodecError::Damaged)?;
    if magic != MAGIC {
        return Err(CodecError::Damaged);
    }
    if crc32c::crc32c(content) != u32::from_le_bytes(*crc) {
        return Err(CodecError::Checksum);
    }
    if ![FORMAT, FORMAT_WITHOUT_BEGUN, FORMER_FORMAT].contains(format) {
        return Err(CodecError::Format { found: *format });
    }
    let (length, body) = rest.split_first_chunk::<8>().ok_or(CodecError::Damaged)?;
    if u64::from_le_bytes(*length) != body.len() as u64 {
        return Err(CodecError::Damaged);
    }
    if *format == FORMER_FORMAT {
        let (manifest, length): (Manifest2, usize) = part(body)?;
        let first_looks = if length == body.len() { vec![] } else { part(&body[length..])?.0 };
        return Ok(manifest.into_manifest(first_looks));
    }
    let with_begun;
    let body = if *format == FORMAT_WITHOUT_BEGUN {
        // The one field that it lacks is the last, and a zero says that there is none.
        with_begun = [body, &[0]].concat();
        &with_begun
    } else {
        body
    };
    let (manifest, length) = part(body)?;
    if length == body.len() { Ok(manifest) } else { Err(CodecError::Damaged) }
}

/// A hundred times what ten thousand shards and all that sinks have on its way take. Without a
/// limit, a length that nobody wrote would have as much memory reserved.
const BODY_BYTES_MAX: usize = 1 << 30;

/// What stands at the start of some bytes, and how many of them it takes.
fn part<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<(T, usize), CodecError> {
    let config = bincode::config::standard().with_limit::<BODY_BYTES_MAX>();
    bincode::serde::decode_from_slice(bytes, config).map_err(|_| CodecError::Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::manifest::Begun;
    use crate::ids::{Epoch, OperatorId};
    use crate::source::{Position, RunState};
    use crate::support::damage::{ANY, damage};
    use crate::support::seeds::each_seed;
    use crate::support::tier::by_tier;
    use crate::time::Watermark;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn manifest() -> Manifest {
        Manifest {
            run_ms: 5,
            epoch: Epoch::new(3),
            finished: false,
            plan: "p".into(),
            workers: 2,
            key_groups: 128,
            sources: vec![],
            operators: vec![(OperatorId::FIRST, Default::default())],
            files: vec![],
            staged: vec![("s".into(), vec![vec![1, 2]])],
            begun: None,
        }
    }

    /// Bytes of the former format, written field by field.
    fn former(position: &[u8], first_looks: &[u8]) -> Vec<u8> {
        let body = [
            // run_ms 5 (zigzag), epoch 3, not finished, plan "p", one worker, 128 key groups
            &[10, 3, 0, 1, b'p', 1, 128][..],
            // one source "t" with one split "a" without parents
            &[1, 1, b't', 1, 1, b'a', 0],
            position,
            // watermark 7, two rows, not peeked, not finished, no children
            &[14, 2, 0, 0, 0],
            // no operators, no files, nothing staged
            &[0, 0, 0],
            first_looks,
        ]
        .concat();
        let mut bytes =
            [MAGIC.as_slice(), &[FORMER_FORMAT], &(body.len() as u64).to_le_bytes(), &body]
                .concat();
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    #[test]
    fn manifests_that_name_nothing_as_begun_are_read() {
        let begun = Begun { epoch: Epoch::new(2), staged: manifest().staged };
        let with_begun = Manifest { begun: Some(begun), ..manifest() };
        assert_eq!(decode(&encode(&with_begun)), Ok(with_begun));
        let bytes = encode(&manifest());
        let body = &bytes[13..bytes.len() - 5];
        let older = [MAGIC.as_slice(), &[FORMAT_WITHOUT_BEGUN], &(body.len() as u64).to_le_bytes()];
        let mut older = [&older.concat(), body].concat();
        older.extend_from_slice(&crc32c::crc32c(&older).to_le_bytes());
        assert_eq!(decode(&older), Ok(manifest()));
    }

    #[test]
    fn manifests_of_the_former_format_are_read() {
        let shard = |content: serde_json::Value| Position::new("shard", 1, &content);
        for (bytes, position) in [
            (
                &[0, 9, 2][..],
                Position::new("file", 1, &serde_json::json!({ "offset": 9, "lines": 2 })),
            ),
            (&[1], shard("Horizon".into())),
            (&[2, 16], shard(serde_json::json!({ "Time": { "arrival_ms": 8 } }))),
            (
                &[3, 2, b'4', b'2'],
                shard(serde_json::json!({ "After": { "sequence_number": "42" } })),
            ),
            (&[4, 6], Position::after_records(6)),
            (&[5, 1, 1, b'f'], Position::new("folder", 1, &serde_json::json!({ "seen": ["f"] }))),
        ] {
            let manifest = decode(&former(bytes, &[])).unwrap();
            let split = &manifest.sources[0].splits[0];
            assert_eq!(
                (&split.position, split.watermark, split.rows),
                (&position, Watermark::at(7), 2)
            );
            assert_eq!(
                (manifest.run_ms, manifest.key_groups, &manifest.sources[0].run),
                (5, 128, &None)
            );
        }
        // One look: table "t", split "a", 7 bytes, modified at 8.
        let manifest = decode(&former(&[1], &[1, 1, b't', 1, b'a', 7, 16])).unwrap();
        let looks = serde_json::json!({ "a": { "size_bytes": 7, "modified_ms": 8 } });
        assert_eq!(manifest.sources[0].run, Some(RunState::new("files", 1, &looks)));
        assert!(is_manifest(&former(&[1], &[])) && !is_manifest(b"notes"));
    }

    /// A checksum guards against chance, not against another version's bytes: what stands behind it
    /// is looked at too.
    #[test]
    fn a_body_that_no_version_wrote_is_an_error_or_a_manifest() {
        let bodies = [
            (FORMAT, encode(&manifest())),
            (FORMER_FORMAT, former(&[0, 9, 2], &[1, 1, b't', 1, b'a', 7, 16])),
        ];
        each_seed(0..by_tier(500, 2000, 500_000), |seed| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            for (format, bytes) in &bodies {
                let mut body = bytes[13..bytes.len() - 4].to_vec();
                damage(&mut rng, &mut body, ANY);
                let mut changed =
                    [MAGIC.as_slice(), &[*format], &(body.len() as u64).to_le_bytes(), &body]
                        .concat();
                changed.extend_from_slice(&crc32c::crc32c(&changed).to_le_bytes());
                if let Ok(manifest) = decode(&changed) {
                    assert_eq!(decode(&encode(&manifest)), Ok(manifest));
                }
            }
        });
    }

    #[test]
    fn every_single_byte_of_damage_is_noticed() {
        let manifest = manifest();
        let bytes = encode(&manifest);
        assert_eq!(decode(&bytes), Ok(manifest));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(decode(&changed).is_err(), "byte {at}");
            assert!(decode(&bytes[..at]).is_err(), "cut at {at}");
        }
    }
}
