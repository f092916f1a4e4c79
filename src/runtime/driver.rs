//! How do workers get their turns? A thread each, or all of them in one thread in an order that
//! follows from a seed.
//!
//! Called by `job`, which hears from workers through it. What always holds: a worker that ends by a
//! panic ends the job; what is published runs beside the workers, one epoch at a time, and has
//! ended when `join` returns.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::control::{Control, Report};
use super::inbox::Parker;
use super::worker::Worker;
use crate::runtime::error::JobError;
use crate::runtime::options::Scheduling;

/// Gives workers their turns: threads of their own, or one seeded thread.
#[expect(clippy::large_enum_variant, reason = "there is one in a process")]
pub(crate) enum Driver {
    Threads {
        handles: Vec<JoinHandle<()>>,
        parkers: Vec<Arc<Parker>>,
        publisher: Option<JoinHandle<()>>,
    },
    Seeded {
        workers: Vec<Worker>,
        rng: ChaCha8Rng,
        idle_steps: usize,
    },
}

/// Steps in a row that found nothing to do, after which workers in one thread are stuck: each had a
/// hundred and more.
const IDLE_STEPS_MAX: usize = 2000;

impl Driver {
    pub fn start(workers: Vec<Worker>, control: &Arc<Control>, scheduling: Scheduling) -> Driver {
        if let Scheduling::Seeded(seed) = scheduling {
            return Driver::Seeded { workers, rng: ChaCha8Rng::seed_from_u64(seed), idle_steps: 0 };
        }
        let parkers = workers.iter().map(Worker::parker).collect();
        let spawn = |worker: Worker| {
            let control = control.clone();
            std::thread::spawn(move || {
                // A panic in a worker must end the job, not leave it waiting.
                struct StopOnPanic(Arc<Control>);
                impl Drop for StopOnPanic {
                    fn drop(&mut self) {
                        if std::thread::panicking() {
                            self.0.stop.store(true, Ordering::Release);
                        }
                    }
                }
                let _guard = StopOnPanic(control);
                worker.run();
            })
        };
        Driver::Threads {
            handles: workers.into_iter().map(spawn).collect(),
            parkers,
            publisher: None,
        }
    }

    /// The next report, or None if there is none at the moment (after a short wait, or some seeded
    /// steps).
    pub(crate) fn next_report(
        &mut self,
        reports: &Receiver<Report>,
    ) -> Result<Option<Report>, JobError> {
        match self {
            Driver::Threads { handles, publisher, .. } => {
                match reports.recv_timeout(Duration::from_millis(5)) {
                    Ok(report) => Ok(Some(report)),
                    Err(RecvTimeoutError::Timeout)
                        if handles.iter().chain(publisher.as_ref()).any(|h| h.is_finished()) =>
                    {
                        // Each of these ends only after a report.
                        reports.try_recv().map(Some).map_err(|_| JobError::WorkerGone)
                    }
                    Err(RecvTimeoutError::Timeout) => Ok(None),
                    Err(RecvTimeoutError::Disconnected) => Err(JobError::WorkerGone),
                }
            }
            Driver::Seeded { workers, rng, idle_steps } => {
                let turn = rng.random_range(0..workers.len());
                *idle_steps = if workers[turn].step()? { 0 } else { *idle_steps + 1 };
                let report = reports.try_recv().ok();
                if report.is_none() && *idle_steps > IDLE_STEPS_MAX {
                    return Err(JobError::Stuck);
                }
                Ok(report)
            }
        }
    }

    pub fn wake(&self) {
        if let Driver::Threads { parkers, .. } = self {
            parkers.iter().for_each(|p| p.wake());
        }
    }

    /// Runs what may take its time, while workers go on. It ends with a report.
    pub(crate) fn publish(&mut self, work: impl FnOnce() + Send + 'static) {
        match self {
            Driver::Threads { publisher, .. } => {
                debug_assert!(publisher.is_none(), "two epochs are published at a time");
                *publisher = Some(std::thread::spawn(work));
            }
            Driver::Seeded { .. } => work(),
        }
    }

    /// The report of what was to be published has come.
    pub fn published(&mut self) {
        if let Driver::Threads { publisher, .. } = self
            && let Some(publisher) = publisher.take()
        {
            let _ = publisher.join();
        }
    }

    pub fn join(self) {
        self.wake();
        if let Driver::Threads { handles, publisher, .. } = self {
            for handle in handles.into_iter().chain(publisher) {
                // A panic was reported by its own thread.
                let _ = handle.join();
            }
        }
    }
}
