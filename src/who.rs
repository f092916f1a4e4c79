//! Who has to act when something fails?
//!
//! Every error that can end a job or a command answers with a [`Who`]: `cli` makes the exit code of
//! it, and a program of one's own decides by it whether to start the job again. What always holds:
//! an error says so itself, by an exhaustive match where its kinds are listed, so that a new kind
//! cannot be forgotten; nobody else looks at kinds of errors to find out.

use std::io;

/// Who has to do something before the job can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    /// The user: the same start fails again until what is mistaken has been changed.
    User(Mistake),
    /// Whoever runs a system outside: a stream, a table, a file, a disk, the network.
    Outside(Again),
    /// Whoever keeps the state directory: what a job has stored is damaged or does not fit.
    Stored(Again),
    /// We: this is a bug. Starting again may get past it; a report of it helps everybody.
    Us,
}

/// What the user has to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mistake {
    /// What was asked for: the query, an option, a setting, an argument of the command.
    Asked,
    /// The data: it is read as it should be, but the query has no result for it or the sink no
    /// place.
    Data,
}

/// Whether the same start may succeed later although nobody has done anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Again {
    /// It may: a connection was lost, a service is overloaded, another process holds the lock.
    MayHelp,
    /// It cannot: something is missing, forbidden or not what it should be, until somebody mends
    /// it.
    IsInVain,
}

impl Who {
    /// Of a failed call to the system.
    pub(crate) fn of_io(error: &io::Error) -> Who {
        use io::ErrorKind::{
            AlreadyExists, InvalidData, InvalidInput, IsADirectory, NotADirectory, NotFound,
            PermissionDenied, ReadOnlyFilesystem, UnexpectedEof, Unsupported,
        };
        // All others pass, as far as is known: a disk that is full may be cleared by whoever filled
        // it.
        let is_in_vain = matches!(
            error.kind(),
            AlreadyExists
                | InvalidData
                | InvalidInput
                | IsADirectory
                | NotADirectory
                | NotFound
                | PermissionDenied
                | ReadOnlyFilesystem
                | UnexpectedEof
                | Unsupported
        );
        Who::Outside(if is_in_vain { Again::IsInVain } else { Again::MayHelp })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_forbidden_stays_so_and_a_full_disk_may_not() {
        for (kind, again) in [
            (io::ErrorKind::NotFound, Again::IsInVain),
            (io::ErrorKind::PermissionDenied, Again::IsInVain),
            (io::ErrorKind::StorageFull, Again::MayHelp),
            (io::ErrorKind::TimedOut, Again::MayHelp),
        ] {
            assert_eq!(Who::of_io(&kind.into()), Who::Outside(again), "{kind:?}");
        }
    }
}
