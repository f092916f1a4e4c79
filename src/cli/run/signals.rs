//! How does a running job hear that it has to stop?
//!
//! Called by `run` once. What always holds: the first signal asks for a last checkpoint, the second ends the process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Exit;

/// Sets `stop` at the first SIGINT or SIGTERM; a second one ends the process at once.
pub(super) fn stop_on_signals(runtime: &tokio::runtime::Runtime, stop: Arc<AtomicBool>) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let _guard = runtime.enter();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    runtime.spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if stop.swap(true, Ordering::AcqRel) {
                std::process::exit(i32::from(Exit::Failed as u8));
            }
            tracing::info!("stopping: taking a last checkpoint (a second signal stops at once)");
        }
    });
    Ok(())
}
