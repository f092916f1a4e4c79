//! What a query brings itself: rows of VALUES as a source, and the rows of a bare SELECT as they
//! are printed.

pub mod select;
pub mod values;
