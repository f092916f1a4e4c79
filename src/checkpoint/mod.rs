//! What survives? Epochs, manifests and what to do with them after a crash.
//!
//! In reading order: `manifest` (what a checkpoint says about itself), `codec` (its bytes), `store` (folders, hard links,
//! fsync, rename), `own` (what in a state directory is ours), `found` (is it whole), `decide` (a pure function from what is on disk to what to do),
//! `contents` (all of it, for people). Called by `runtime::job` and `paceline checkpoints`.
//!
//! A checkpoint exists when its manifest does: the manifest is written last, to a temporary name, made durable with its
//! folder, and renamed.

pub mod codec;
pub mod contents;
pub mod decide;
pub mod durable;
mod format2;
mod found;
pub mod manifest;
mod own;
pub mod store;
