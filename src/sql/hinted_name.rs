//! How does the name of a table go on that has a hint behind it?
//!
//! Made by `hints`, read by whoever wants the table's own name. What always holds: no SQL name has
//! the mark in it.

use std::borrow::Cow;

/// How a hinted name goes on after the table's own.
pub(super) const MARK: &str = " /*+ ";

/// The table behind a name, without its hint.
pub(crate) fn base_name(name: &str) -> &str {
    name.split_once(MARK).map_or(name, |(base, _)| base)
}

/// A name for files: the table's own, with a number if there is a hint.
pub(crate) fn short_name(name: &str) -> Cow<'_, str> {
    match name.split_once(MARK) {
        None => Cow::Borrowed(name),
        Some((base, hint)) => {
            Cow::Owned(format!("{base}_{:016x}", xxhash_rust::xxh3::xxh3_64(hint.as_bytes())))
        }
    }
}
