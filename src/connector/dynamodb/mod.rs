//! Connector `dynamodb`: a table that is written by key, and looked up by key.
//!
//! In reading order: `options` (what WITH may say), `client` (the calls), `describe` (what table it is); of `sink`: `value` and `item`
//! (rows to items), `faults` (whose fault a refusal is), `lanes` (order), `outbox` (requests and retries); of `lookup`: `read` (its calls).

pub(crate) mod client;
mod describe;
mod faults;
mod item;
mod lanes;
pub mod lookup;
pub(crate) mod options;
mod outbox;
pub(crate) mod read;
pub mod sink;
pub(crate) mod value;
