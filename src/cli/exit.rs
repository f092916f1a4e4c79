//! How does a process end?
//!
//! Every command says here what went wrong and gets its exit code. What always holds: the code is
//! that of who has to act, which the error knows; no command looks at kinds of errors for it.

use std::fmt::Display;

use super::variables::hidden;
use crate::bounded::{MESSAGE_BYTES_MAX, bounded};
use crate::who::{Again, Mistake, Who};

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Finished, or stopped in order.
    Done = 0,
    /// The job failed; starting it again goes on from the newest checkpoint.
    Failed = 1,
    /// The query or its options are wrong.
    Wrong = 2,
    /// Stored state does not fit.
    State = 3,
}

pub(super) const EXIT_CODES: &str = "Exit codes:
  0  finished, or stopped in order
  1  the job failed; starting it again goes on from the newest checkpoint
  2  the query or its options are wrong
  3  stored state does not fit the query, or is damaged beyond what can be used";

impl From<Who> for Exit {
    fn from(who: Who) -> Exit {
        match who {
            Who::User(Mistake::Asked) => Exit::Wrong,
            Who::Stored(Again::IsInVain) => Exit::State,
            Who::User(Mistake::Data) | Who::Outside(_) | Who::Stored(Again::MayHelp) | Who::Us => {
                Exit::Failed
            }
        }
    }
}

/// Says what went wrong.
pub(super) fn ended(error: impl Display, who: Who) -> Exit {
    eprintln!("error: {}", bounded(&hidden(&error.to_string()), MESSAGE_BYTES_MAX));
    who.into()
}

/// Says what is wrong with what was asked for.
pub(super) fn wrong(error: impl Display) -> Exit {
    ended(error, Who::User(Mistake::Asked))
}

/// Says what the system refused.
pub(super) fn refused(error: std::io::Error) -> Exit {
    let who = Who::of_io(&error);
    ended(error, who)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::checkpoint::codec::CodecError;
    use crate::checkpoint::durable::StoreError;
    use crate::connector::ConnectError;
    use crate::embed::JobFailure;
    use crate::embed::start::StartError;
    use crate::lookup::LookupError;
    use crate::operator::OperatorError;
    use crate::runtime::crash::CrashPoint;
    use crate::runtime::error::JobError;
    use crate::sink::SinkError;
    use crate::source::{SourceError, SplitId};
    use crate::sql::error::SqlError;
    use crate::state::StateError;

    const MAY_HELP: Who = Who::Outside(Again::MayHelp);
    const IN_VAIN: Who = Who::Outside(Again::IsInVain);

    fn text() -> String {
        "x".into()
    }

    fn source(who: Option<Who>) -> SourceError {
        match who {
            Some(who) => SourceError::Failed { table: text(), reason: text(), who },
            None => SourceError::Config { table: text(), reason: text() },
        }
    }

    fn sink(who: Option<Who>) -> SinkError {
        match who {
            Some(who) => SinkError::Write { table: text(), reason: text(), who },
            None => SinkError::Config { table: text(), reason: text() },
        }
    }

    fn io(kind: io::ErrorKind) -> StoreError {
        StoreError::Io { path: text(), source: kind.into() }
    }

    fn state() -> StateError {
        StateError { path: text(), reason: text() }
    }

    #[test]
    fn the_exit_code_of_every_kind_of_error_that_ends_a_job() {
        let path = text;
        let read = |who| SourceError::Read {
            table: text(),
            split: SplitId("s".into()),
            reason: text(),
            who,
        };
        let stored = SourceError::Stored { table: text(), reason: text() };
        let unfit = |who| SinkError::Unfit { table: text(), reason: text(), who };
        let lookup = |who| LookupError::Table { table: text(), reason: text(), who };
        let of = |error: OperatorError| JobError::from(error.of("rank 1"));
        let ingest = JobError::Ingest { table: text(), split: text(), reason: text() };
        let exchange = arrow::error::ArrowError::DivideByZero;
        for (error, exit) in [
            (JobError::from(source(None)), Exit::Wrong),
            (source(Some(MAY_HELP)).into(), Exit::Failed),
            (source(Some(IN_VAIN)).into(), Exit::Failed),
            (read(MAY_HELP).into(), Exit::Failed),
            (read(IN_VAIN).into(), Exit::Failed),
            (stored.into(), Exit::State),
            (sink(None).into(), Exit::Wrong),
            (sink(Some(MAY_HELP)).into(), Exit::Failed),
            (sink(Some(Who::User(Mistake::Data))).into(), Exit::Failed),
            (unfit(IN_VAIN).into(), Exit::Failed),
            (unfit(Who::Stored(Again::IsInVain)).into(), Exit::State),
            (lookup(MAY_HELP).into(), Exit::Failed),
            (LookupError::Stopped.into(), Exit::Failed),
            (of(state().into()), Exit::Failed),
            (of(lookup(Who::Us).into()), Exit::Failed),
            (of(OperatorError::damaged("x")), Exit::Failed),
            (of(OperatorError::data("x")), Exit::Failed),
            (of(OperatorError::kernel("x")), Exit::Failed),
            (state().into(), Exit::Failed),
            (io(io::ErrorKind::StorageFull).into(), Exit::Failed),
            (io(io::ErrorKind::PermissionDenied).into(), Exit::Failed),
            (StoreError::Damaged { path: path(), reason: text() }.into(), Exit::State),
            (StoreError::Locked { path: path() }.into(), Exit::Failed),
            (StoreError::NotOurs { path: path(), found: text() }.into(), Exit::Wrong),
            (StoreError::NoFolder { path: path() }.into(), Exit::Wrong),
            (StoreError::Missing { path: path() }.into(), Exit::Wrong),
            (StoreError::InTheWay { path: path() }.into(), Exit::Wrong),
            (JobError::Refused(text()), Exit::State),
            (ingest, Exit::Failed),
            (exchange.into(), Exit::Failed),
            (JobError::NoSuchSplit(0), Exit::Failed),
            (JobError::WorkerGone, Exit::Failed),
            (JobError::Stuck, Exit::Failed),
            (JobError::Crashed(CrashPoint::BeforeManifest), Exit::Failed),
        ] {
            assert_eq!(Exit::from(error.who()), exit, "{error:?}");
            // The way to the command changes nothing.
            let who = error.who();
            let start = StartError::State(error);
            assert_eq!(start.who(), who, "{start:?}");
        }
    }

    #[test]
    fn the_exit_code_of_what_stops_a_start() {
        let sql = || SqlError::new("x");
        for (error, exit) in [
            (ConnectError::Query(sql()), Exit::Wrong),
            (source(None).into(), Exit::Wrong),
            (source(Some(MAY_HELP)).into(), Exit::Failed),
            (sink(None).into(), Exit::Wrong),
            (sink(Some(IN_VAIN)).into(), Exit::Failed),
        ] {
            let who = error.who();
            assert_eq!(Exit::from(who), exit, "{error:?}");
            assert_eq!(StartError::Connect(error).who(), who);
        }
        for (who, exit) in [
            (sql().who(), Exit::Wrong),
            (JobFailure::Query(text()).who(), Exit::Wrong),
            (JobFailure::Connect(sink(Some(MAY_HELP)).into()).who(), Exit::Failed),
            (JobFailure::System(io::ErrorKind::StorageFull.into()).who(), Exit::Failed),
            (JobFailure::Job(JobError::Refused(text())).who(), Exit::State),
            (CodecError::Damaged.who(), Exit::State),
            (CodecError::Checksum.who(), Exit::State),
            (CodecError::Format { found: 1 }.who(), Exit::State),
        ] {
            assert_eq!(Exit::from(who), exit, "{who:?}");
        }
    }
}
