//! What does planning have to know of the systems that tables stand for?
//!
//! Asked by `lower`, answered by the list of connectors, which stands on a floor above.

/// How tables of a connector may be used, as far as a plan depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uses {
    /// How rows reach it.
    pub rows: RowsTaken,
    /// It has no rows to read from beginning to end; it is asked for some by their key.
    pub is_looked_up: bool,
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
        Uses { rows: RowsTaken::Keyed, is_looked_up: false }
    }
}

/// The connectors that tables may name.
pub trait KnownConnectors {
    /// An unknown connector has the default; it is refused when it is connected.
    fn uses(&self, connector: &str) -> Uses;
}
