//! What is kept? Encodings of state and the store that holds it.
//!
//! `key` encodes group keys, `packed` encodes columns of partial aggregates, `layout` says which bytes stand where in the
//! store, `rocks` is the only door to RocksDB. Used by operators (through [`rocks::StateDb`]) and by checkpoints.
//! Everything written here is read again by later versions: a change of layout needs a new version byte.

pub mod key;
pub mod layout;
pub mod packed;
pub mod rocks;

/// Key groups that work is divided into. Fixed for the life of a state directory: it is part of stored keys.
pub const KEY_GROUPS: u16 = 128;

/// The key group of a key hash. Uses bits that the hash tables do not rely on.
#[inline]
pub fn key_group(hash: u64) -> u16 {
    ((((hash >> 24) & 0xffff) * u64::from(KEY_GROUPS)) >> 16) as u16
}

/// The worker that owns a key group when there are `workers` of them: contiguous ranges.
#[inline]
pub fn owner_of(key_group: u16, workers: usize) -> usize {
    usize::from(key_group) * workers / usize::from(KEY_GROUPS)
}
