//! How do workers get their turns? A thread each, or all of them in one thread, in an order that
//! [`Turns`] gives.
//!
//! Called by `job`, which hears from workers through it. What always holds: a worker that ends by a
//! panic ends the job; what is published runs beside the workers, one publication at a time, and has
//! ended when `join` returns. On one thread it has a turn of its own, some steps of workers later.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::control::{Control, Report};
use super::crash::CrashPoint;
use super::inbox::Parker;
use super::worker::Worker;
use crate::runtime::error::JobError;
use crate::runtime::options::{OneThread, Scheduling, Turn, Turns};

/// Gives workers their turns: threads of their own, or one seeded thread.
pub(crate) enum Driver {
    Threads {
        handles: Vec<JoinHandle<()>>,
        parkers: Vec<Arc<Parker>>,
        publisher: Option<JoinHandle<()>>,
    },
    OneThread {
        workers: Vec<Worker>,
        turns: Arc<dyn Turns>,
        idle_steps: usize,
        /// What is to be published, until it has its turn.
        publication: Option<Box<dyn FnOnce() + Send>>,
    },
}

/// Steps in a row that found nothing to do, after which workers in one thread are stuck: each had a
/// hundred and more.
const IDLE_STEPS_MAX: usize = 2000;

/// How often a publication that waits has its turn: workers make some steps before, and now and
/// then another epoch is complete by then.
const PUBLICATION_SHARE: f64 = 0.05;

/// Any worker, until all are stuck.
struct Shuffled(Mutex<ChaCha8Rng>);

impl Turns for Shuffled {
    fn next(&self, stands: OneThread) -> Turn {
        let is_idle = stands.idle > IDLE_STEPS_MAX;
        let mut rng = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if stands.publishes && (is_idle || rng.random_bool(PUBLICATION_SHARE)) {
            return Turn::Publication;
        }
        if is_idle {
            return Turn::Nothing;
        }
        Turn::Worker(rng.random_range(0..stands.workers))
    }
}

impl Driver {
    pub fn start(workers: Vec<Worker>, control: &Arc<Control>, scheduling: Scheduling) -> Driver {
        let turns: Arc<dyn Turns> = match scheduling {
            Scheduling::Threads => return Driver::threads(workers, control),
            Scheduling::Seeded(seed) => {
                Arc::new(Shuffled(Mutex::new(ChaCha8Rng::seed_from_u64(seed))))
            }
            Scheduling::Turns(turns) => turns,
        };
        Driver::OneThread { workers, turns, idle_steps: 0, publication: None }
    }

    fn threads(workers: Vec<Worker>, control: &Arc<Control>) -> Driver {
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
            Driver::OneThread { workers, turns, idle_steps, publication } => {
                if let Ok(report) = reports.try_recv() {
                    return Ok(Some(report));
                }
                let stands = OneThread {
                    workers: workers.len(),
                    idle: *idle_steps,
                    publishes: publication.is_some(),
                };
                match turns.next(stands) {
                    Turn::Publication => {
                        publication.take().into_iter().for_each(|publish| publish());
                        *idle_steps = 0;
                    }
                    Turn::Worker(worker) if workers[worker].step()? => *idle_steps = 0,
                    Turn::Worker(_) => *idle_steps += 1,
                    Turn::Outside => *idle_steps = 0,
                    Turn::Killed => return Err(JobError::Crashed(CrashPoint::AnyTurn)),
                    Turn::Nothing => return Err(JobError::Stuck),
                }
                Ok(reports.try_recv().ok())
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
            Driver::OneThread { publication, .. } => {
                debug_assert!(publication.is_none(), "two epochs are published at a time");
                *publication = Some(Box::new(work));
            }
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
