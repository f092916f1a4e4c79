//! How is a worker told that there is something to do? A call that any thread may make, as often as
//! it likes.
//!
//! Made by `runtime` for each worker; called by the I/O tasks of sources, sinks and lookups.

use std::sync::Arc;

/// Wakes the worker that owns a split, a writer or a lookup. Cheap when it is awake.
pub type Wake = Arc<dyn Fn() + Send + Sync>;
