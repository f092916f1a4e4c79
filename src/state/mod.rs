//! What is kept? Encodings of state and the store that holds it.
//!
//! `key` encodes group keys, `key_group` deals them among workers, `packed` encodes columns of
//! partial aggregates, `layout` says which bytes stand where in the store, `store` is a worker's
//! store, for which `rocks` is the only door to RocksDB. Used by operators (through
//! [`store::StateDb`]) and by checkpoints. Everything written here is read again by later versions: a
//! change of layout needs a new format of the manifest, by which a state directory says what it was
//! written with.

pub mod key;
pub mod key_group;
pub mod layout;
#[cfg(test)]
mod memory;
pub mod packed;
pub(crate) mod rocks;
pub mod store;

pub use key_group::{KEY_GROUPS, KeyGroup, KeyGroups, owner_of};

use crate::who::{Again, Who};

/// What a store failed at.
#[derive(Debug, thiserror::Error)]
#[error("state store in {path}: {reason}")]
pub struct StateError {
    pub path: String,
    pub reason: String,
}

impl StateError {
    /// A start takes the newest checkpoint, never what is in the stores of workers.
    pub fn who(&self) -> Who {
        Who::Stored(Again::MayHelp)
    }
}
