//! The bytes of a manifest: the only place that knows bincode.
//!
//! ```text
//! file = magic "PCLN" | format (1) | length (8, little-endian) | body | CRC-32C of all before (4, little-endian)
//! body = manifest | first looks, which manifests of earlier versions do not have; both in bincode 2.0's standard encoding
//! ```

use super::manifest::Manifest;

const MAGIC: &[u8; 4] = b"PCLN";
/// Version of the manifest's structure and of everything in a checkpoint (state keys, packed values).
const FORMAT: u8 = 2;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    #[error("not a manifest, or cut short")]
    Damaged,
    #[error("checksum does not match")]
    Checksum,
    #[error("written in format {found}, this version reads format {FORMAT}")]
    Format { found: u8 },
}

pub fn encode(manifest: &Manifest) -> Vec<u8> {
    // Plain data in memory always encodes.
    let mut body = bincode::serde::encode_to_vec(manifest, bincode::config::standard()).unwrap_or_default();
    body.extend(bincode::serde::encode_to_vec(&manifest.first_looks, bincode::config::standard()).unwrap_or_default());
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
pub fn is_manifest(bytes: &[u8]) -> bool {
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
    if *format != FORMAT {
        return Err(CodecError::Format { found: *format });
    }
    let (length, body) = rest.split_first_chunk::<8>().ok_or(CodecError::Damaged)?;
    if u64::from_le_bytes(*length) != body.len() as u64 {
        return Err(CodecError::Damaged);
    }
    let (manifest, length): (Manifest, usize) = part(body)?;
    let first_looks = if length == body.len() { vec![] } else { part(&body[length..])?.0 };
    Ok(Manifest { first_looks, ..manifest })
}

/// What stands at the start of some bytes, and how many of them it takes.
fn part<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<(T, usize), CodecError> {
    bincode::serde::decode_from_slice(bytes, bincode::config::standard()).map_err(|_| CodecError::Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::manifest::FirstLook;
    use crate::source::Look;

    fn manifest() -> Manifest {
        Manifest {
            run_ms: 5,
            epoch: 3,
            finished: false,
            plan: "p".into(),
            workers: 2,
            key_groups: 128,
            sources: vec![],
            operators: vec![(1, Default::default())],
            files: vec![],
            staged: vec![("s".into(), vec![vec![1, 2]])],
            first_looks: vec![FirstLook { table: "t".into(), split: "a".into(), look: Look { size_bytes: 7, modified_ms: 8 } }],
        }
    }

    #[test]
    fn a_manifest_without_first_looks_is_read() {
        // As it was written before they were noted.
        let body = bincode::serde::encode_to_vec(manifest(), bincode::config::standard()).unwrap();
        let mut bytes = [MAGIC.as_slice(), &[FORMAT], &(body.len() as u64).to_le_bytes(), &body].concat();
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        assert_eq!(decode(&bytes), Ok(Manifest { first_looks: vec![], ..manifest() }));
        assert!(is_manifest(&bytes) && !is_manifest(b"notes"));
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
