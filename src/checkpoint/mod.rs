//! What survives? Epochs, manifests and what to do with them after a crash.
//!
//! In reading order: `manifest` (what a checkpoint says about itself), `codec` (its bytes), `depot` (where checkpoints are
//! kept) and `folder` (the depot on the local disk), `store` (the checkpoints of a job), `own` (what in a state directory is
//! ours), `found` (is it whole), `decide` (a pure function from what is there to what to do), `contents` (all of it, for
//! people). Called by `runtime::job` and `paceline checkpoints`.
//!
//! A checkpoint exists when its manifest does: the manifest is put last, when all that it names is durable.

pub mod codec;
pub mod contents;
pub mod decide;
pub mod depot;
pub mod durable;
pub mod folder;
mod format2;
mod found;
pub mod manifest;
mod own;
pub mod store;
