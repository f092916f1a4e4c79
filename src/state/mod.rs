//! What is kept? Encodings of state and the store that holds it.
//!
//! `key` encodes group keys, `key_group` deals them among workers, `packed` encodes columns of
//! partial aggregates, `layout` says which bytes stand where in the store, `rocks` is the only door
//! to RocksDB. Used by operators (through [`rocks::StateDb`]) and by checkpoints. Everything
//! written here is read again by later versions: a change of layout needs a new format of the
//! manifest, by which a state directory says what it was written with.

pub mod key;
pub mod key_group;
pub mod layout;
pub mod packed;
pub mod rocks;

pub use key_group::{KEY_GROUPS, KeyGroup, KeyGroups, owner_of};
