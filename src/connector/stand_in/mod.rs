//! What takes the place of a remote system under `--local`: rows made from a schema, an embedded
//! table.

pub mod generate;
pub mod guess;
pub mod names;
pub mod table;
