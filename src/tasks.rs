//! Where does work that waits for the outside run?
//!
//! Sources, sinks and lookups hand their network calls to [`Tasks`]; workers never wait for one. A
//! process runs them on tokio's threads; a test may run them on its own thread, in an order of its
//! own, by another [`Executor`]. What always holds: a task that is aborted, or whose executor is
//! gone, is dropped without having run to its end, so that what it holds can say so.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, mpsc};

/// A future that can be sent to another thread.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Runs futures beside the workers.
pub trait Executor: Send + Sync {
    /// Starts a task. Never waits, and never runs a part of it before it returns.
    fn spawn(&self, task: BoxFuture<'static, ()>) -> Box<dyn Running>;
    /// Does what keeps a thread busy or has it wait for the disk, where no other task waits for that.
    fn block(&self, work: Box<dyn FnOnce() + Send>) {
        self.spawn(Box::pin(async move { work() }));
    }
    /// Returns when a task that was spawned has ended or was dropped, which `ended` tells by an
    /// answer or a hang-up. Not called from a task.
    fn wait(&self, ended: &mpsc::Receiver<()>);
}

/// A task that was started.
pub trait Running: Send + Sync {
    fn abort(&self);
    /// True if it has run to its end, has panicked, or was aborted.
    fn is_finished(&self) -> bool;
}

/// A handle on where tasks run.
#[derive(Clone)]
pub struct Tasks(Arc<dyn Executor>);

/// The executor has ended before the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the network runtime has stopped")]
pub struct Stopped;

impl Tasks {
    pub fn on(executor: Arc<dyn Executor>) -> Tasks {
        Tasks(executor)
    }

    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Box<dyn Running> {
        self.0.spawn(Box::pin(task))
    }

    /// Has something done that takes a thread its time, such as a sync of a large file.
    pub fn block(&self, work: impl FnOnce() + Send + 'static) {
        self.0.block(Box::new(work));
    }

    /// Runs network work and returns what it gives. Not to be called from a task: it would wait
    /// for the thread it is on.
    pub fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Stopped> {
        let (give, given) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let _running = self.spawn(async move {
            // Whoever waited may be gone.
            let _ = give.send(work.await);
            let _ = end.send(());
        });
        self.0.wait(&ended);
        given.try_recv().map_err(|_| Stopped)
    }
}

/// Tasks run on tokio's threads. The runtime needs one that is not the caller's.
impl From<tokio::runtime::Handle> for Tasks {
    fn from(handle: tokio::runtime::Handle) -> Tasks {
        Tasks(Arc::new(handle))
    }
}

impl Executor for tokio::runtime::Handle {
    fn spawn(&self, task: BoxFuture<'static, ()>) -> Box<dyn Running> {
        Box::new(tokio::runtime::Handle::spawn(self, task))
    }

    fn block(&self, work: Box<dyn FnOnce() + Send>) {
        self.spawn_blocking(work);
    }

    fn wait(&self, ended: &mpsc::Receiver<()>) {
        // A hang-up is an end too.
        let _ = ended.recv();
    }
}

impl Running for tokio::task::JoinHandle<()> {
    fn abort(&self) {
        tokio::task::JoinHandle::abort(self);
    }

    fn is_finished(&self) -> bool {
        tokio::task::JoinHandle::is_finished(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_waited_for_and_its_end_is_noticed() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build();
        let runtime = runtime.expect("a thread");
        let tasks = Tasks::from(runtime.handle().clone());
        assert_eq!(tasks.wait(async { 7 }), Ok(7));
        let (give, given) = mpsc::channel();
        let (begin, begun) = mpsc::channel::<()>();
        tasks.block(move || {
            let _ = begun.recv();
            let _ = give.send(7);
        });
        assert_eq!(tasks.wait(async { 7 }), Ok(7), "though the only thread of tasks would wait");
        begin.send(()).expect("it waits");
        assert_eq!(given.recv(), Ok(7));
        let running = tasks.spawn(std::future::pending());
        assert!(!running.is_finished());
        running.abort();
        while !running.is_finished() {
            std::thread::yield_now();
        }
        runtime.shutdown_background();
        assert_eq!(tasks.wait(async { 7 }), Err(Stopped));
    }
}
