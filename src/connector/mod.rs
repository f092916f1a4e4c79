//! The systems outside, a folder for each: how a table of it is read, written, or looked up.
//!
//! Called by `connect`. `inline` holds what a query brings itself (VALUES, the rows of a bare SELECT), `stand_in` what takes the
//! place of a remote system under `--local`.

pub mod alleycat;
pub mod blackhole;
pub mod datagen;
pub mod dynamodb;
pub mod filesystem;
pub mod inline;
pub mod kinesis;
pub mod print;
pub mod stand_in;
