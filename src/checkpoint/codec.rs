//! The bytes of a manifest: the only place that knows bincode.
//!
//! ```text
//! file = magic "PCLN" | format (1) | length (8, little-endian) | bincode 2.0 standard encoding | CRC-32C of all before (4, little-endian)
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
    let body = bincode::serde::encode_to_vec(manifest, bincode::config::standard()).unwrap_or_default();
    let mut out = Vec::with_capacity(body.len() + 17);
    out.extend_from_slice(MAGIC);
    out.push(FORMAT);
    out.extend_from_slice(&(body.len() as u64).to_le_bytes());
    out.extend_from_slice(&body);
    let crc = crc32c::crc32c(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
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
    let (manifest, _) = bincode::serde::decode_from_slice(body, bincode::config::standard()).map_err(|_| CodecError::Damaged)?;
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_single_byte_of_damage_is_noticed() {
        let manifest = Manifest {
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
        };
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
