//! What do sinks do once a checkpoint is durable? They publish what they staged, and say what the
//! outside refused.
//!
//! Made by `job` for what is stored, on whose thread for that it runs, and by `recovery` for what a
//! killed process may not have published. What always holds: the error stream comes after the others,
//! so that it has what they could not publish; all of it may be repeated.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::errors;
use super::graph::{named_sinks, staged_of};
use super::options::Connected;
use crate::checkpoint::manifest::StagedOfSinks;
use crate::ids::Epoch;
use crate::plan::physical::PhysicalPlan;
use crate::sink::{Sink, SinkError, Staged};

/// What is staged of each sink, up to an epoch.
pub(crate) struct Publication {
    epoch: Epoch,
    /// By name, in the order of the plan.
    sinks: Vec<(String, Arc<dyn Sink>, Vec<Staged>)>,
    errors: Arc<dyn Sink>,
    /// Rows that were refused before, in all publications.
    refused: Arc<AtomicU64>,
}

impl Publication {
    /// Of what a manifest has staged, `epoch` and `staged` of that or of what it names as begun.
    pub fn of(
        epoch: Epoch,
        staged: &StagedOfSinks,
        plan: &PhysicalPlan,
        connected: &Connected,
    ) -> Publication {
        let sinks = named_sinks(plan, connected)
            .map(|(name, sink)| (name.to_owned(), sink.clone(), staged_of(staged, name).to_vec()));
        Publication {
            epoch,
            sinks: sinks.collect(),
            errors: connected.errors.clone(),
            refused: connected.refused.clone(),
        }
    }

    /// Publishes by [`Sink::commit`] or [`Sink::recommit`], which `publish` calls for each table. Returns how many rows were refused: these
    /// are in the error stream.
    pub fn publish(
        &self,
        publish: impl Fn(&str, &dyn Sink, &[Staged]) -> Result<(), SinkError>,
    ) -> Result<u64, SinkError> {
        let mut refused = Vec::new();
        for (name, sink, staged) in &self.sinks {
            publish(name, sink.as_ref(), staged)?;
            let rows = sink.take_refused().into_iter();
            refused.extend(rows.map(|rejected| (name.as_str(), rejected)));
        }
        let count = refused.len() as u64;
        let before = self.refused.fetch_add(count, Ordering::Relaxed);
        errors::publish_refused(self.errors.as_ref(), self.epoch, &refused, before)?;
        Ok(count)
    }

    /// Hands every sink what it had staged, published or not.
    pub fn resume(&self) -> Result<(), SinkError> {
        self.sinks.iter().try_for_each(|(_, sink, staged)| sink.resume(staged))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Mutex;

    use super::*;
    use crate::connector::filesystem::sink::FileSink;
    use crate::files::on_disk;
    use crate::runtime::graph::ERRORS;
    use crate::sink::{Guarantee, Rejected, SinkWriter};
    use crate::wake::Wake;

    /// Refuses what it is to commit.
    #[derive(Default)]
    struct Refusing(Mutex<Vec<Rejected>>);

    impl Sink for Refusing {
        fn guarantee(&self) -> Guarantee {
            Guarantee::EffectivelyOnce
        }
        fn writer(&self, _: usize, _: Wake) -> Result<Box<dyn SinkWriter>, SinkError> {
            unreachable!("nothing is written")
        }
        fn commit(&self, staged: &[Staged]) -> Result<(), SinkError> {
            let rejected = staged.iter().map(|part| Rejected {
                row: String::from_utf8_lossy(part).into_owned(),
                reason: "no".into(),
            });
            self.0.lock().expect("it is free").extend(rejected);
            Ok(())
        }
        fn take_refused(&self) -> Vec<Rejected> {
            std::mem::take(&mut *self.0.lock().expect("it is free"))
        }
    }

    #[test]
    fn what_is_refused_is_in_the_error_stream_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = dir.path().join("errors");
        let errors = FileSink::errors(on_disk(), folder, "run", errors::schema());
        let errors: Arc<dyn Sink> = Arc::new(errors.expect("a sink"));
        let staged = vec![b"{\"n\":1}".to_vec(), b"{\"n\":2}".to_vec()];
        let publication = Publication {
            epoch: Epoch::new(3),
            sinks: vec![
                ("board".into(), Arc::new(Refusing::default()), staged),
                (ERRORS.into(), errors.clone(), vec![]),
            ],
            errors,
            refused: Arc::default(),
        };
        // The process may be killed before it has noted that it was done.
        for _ in 0..2 {
            let refused = publication.publish(|_, sink, staged| sink.commit(staged));
            assert_eq!(refused.expect("published"), 2);
        }
        let files = std::fs::read_dir(dir.path().join("errors")).expect("a folder");
        let paths = files.map(|file| file.expect("a file").path());
        // What begins with a dot is not published.
        let is_published = |path: &PathBuf| path.extension().is_some_and(|e| e == "jsonl");
        let texts = paths.filter(is_published).map(std::fs::read_to_string);
        let text = texts.collect::<Result<String, _>>().expect("text");
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("board") && text.contains("no"), "{text}");
    }
}
