//! What does planning have to know of the systems that tables stand for?
//!
//! Asked by `lower`, answered by the list of connectors, which stands on a floor above.

use crate::sql::catalog::Table;

/// How tables of a connector may be used, as far as a plan depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uses {
    /// How rows reach it.
    pub rows: RowsTaken,
    pub access: Access,
    /// Its records may come with watermarks: what `SOURCE_WATERMARK()` stands for.
    pub has_watermarks: bool,
}

/// How rows are got from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// From beginning to end.
    Read,
    /// It is asked for some by the columns that its key begins with.
    LookedUp,
    /// As the query wants it; when it is asked for some, by any of its columns.
    Either,
}

/// What rows a sink takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowsTaken {
    /// New rows only, wherever they come from.
    New,
    /// Rows of a declared key, which later ones take the place of.
    Keyed,
    /// Each change as it is, with or without a key.
    Changes,
}

impl Default for Uses {
    fn default() -> Uses {
        Uses { rows: RowsTaken::Keyed, access: Access::Read, has_watermarks: false }
    }
}

/// The connectors that tables may name.
pub trait KnownConnectors {
    /// A table of an unknown connector is used as its declaration allows; it is refused when it is
    /// connected, unless something stands in for it.
    fn uses(&self, table: &Table) -> Uses;
}
