//! Where are checkpoints kept?
//!
//! A depot holds objects under names with slashes, such as `00000007/manifest`. [`super::store`]
//! puts checkpoints there, lists them and takes them back; it knows no folders. [`super::folder`]
//! is the depot in a state directory. What always holds: an object never changes, so what was
//! listed or verified once stays so until it is deleted; and what one call has put is durable
//! before the call returns, so a manifest that is put after its files never names what a crash took
//! away.

use std::io::Read;
use std::path::Path;
use std::time::SystemTime;

use super::durable::StoreError;

/// Objects by name. Where calls go over a network, they retry what can be retried, within a bound
/// of their own.
pub(crate) trait Depot: Send + Sync {
    /// Puts objects that are not there, all durable on return, in no order. Stops at a name that is
    /// taken and leaves that object as it is; which others were put by then is open.
    fn put_if_absent(&self, objects: &[(String, Content<'_>)]) -> Result<Put, StoreError>;

    /// Makes an object durable that is there: whoever put it may have been killed before the call
    /// returned.
    fn make_durable(&self, name: &str) -> Result<(), StoreError>;

    /// The bytes of an object; None if it is not there.
    fn get(&self, name: &str) -> Result<Option<Box<dyn Read>>, StoreError>;

    /// Gives an object as a local file, which must not exist. A table ([`super::own::is_table`])
    /// may share its bytes with the depot, since nobody writes to one; any other file is the
    /// caller's own.
    fn fetch(&self, name: &str, to: &Path) -> Result<(), StoreError>;

    /// Objects whose names begin with `prefix` (empty: all), ordered by name.
    fn list(&self, prefix: &str) -> Result<Vec<Object>, StoreError>;

    /// Removes objects, one after the other; those that are gone already count as removed.
    fn delete(&self, names: &[String]) -> Result<(), StoreError>;
}

/// What is put.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Content<'a> {
    Bytes(&'a [u8]),
    /// A local file that its writer has synced and that never changes again; it may become shared
    /// with the depot.
    Synced(&'a Path),
    /// A local file that never changes again and is not durable yet.
    Unsynced(&'a Path),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Put {
    Done,
    /// This name was taken.
    Taken(String),
}

/// An object as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub name: String,
    pub size_bytes: u64,
    /// When it was put, by the clock of whoever keeps it.
    pub put_at: SystemTime,
}
