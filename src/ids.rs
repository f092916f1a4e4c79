//! Which epoch, which operator, which worker? Numbers that cannot be taken for one another.
//!
//! Used by every floor that hands such a number on or writes it down. What always holds: each is encoded and shown as the bare
//! number is, so files, names of folders and messages do not tell that it has a type.

use serde::{Deserialize, Serialize};

/// Shows a type as the number in it, with all that a format asks of a number.
macro_rules! shown_as_its_number {
    ($($id:ty),*) => {$(
        impl std::fmt::Display for $id {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::fmt::Debug for $id {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
pub(crate) use shown_as_its_number;

shown_as_its_number!(Epoch, OperatorId, WorkerId);

/// The number of a checkpoint, and of what a job does up to its barrier. A run counts them from [`Epoch::START`] on.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(u64);

impl Epoch {
    /// That of the checkpoint which is made before the first record is read.
    pub const START: Epoch = Epoch(0);

    pub const fn new(number: u64) -> Epoch {
        Epoch(number)
    }

    pub fn number(self) -> u64 {
        self.0
    }

    pub fn next(self) -> Epoch {
        Epoch(self.0 + 1)
    }
}

/// An operator of a query that keeps state. The number depends on the query alone, and stands in stored keys.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperatorId(u32);

impl OperatorId {
    pub const FIRST: OperatorId = OperatorId(1);

    pub fn next(self) -> OperatorId {
        OperatorId(self.0 + 1)
    }

    /// As stored keys have it: big-endian.
    pub fn to_bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }

    pub fn from_bytes(bytes: [u8; 4]) -> OperatorId {
        OperatorId(u32::from_be_bytes(bytes))
    }
}

/// One of the workers of a job, which have the numbers from 0 on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(usize);

impl WorkerId {
    pub const FIRST: WorkerId = WorkerId(0);

    pub const fn new(index: usize) -> WorkerId {
        WorkerId(index)
    }

    /// Its place in whatever has one for each worker.
    #[inline]
    pub fn index(self) -> usize {
        self.0
    }

    /// All workers of a job that has so many.
    pub fn all(workers: usize) -> impl Iterator<Item = WorkerId> + Clone {
        (0..workers).map(WorkerId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_and_encoded_as_without_a_type() {
        assert_eq!((format!("{:08}", Epoch::new(17)), format!("{:?}", Epoch::START.next())), ("00000017".into(), "1".into()));
        assert_eq!(serde_json::to_string(&(Epoch::new(3), OperatorId::FIRST.next())).expect("encodes"), "[3,2]");
        assert_eq!(OperatorId::from_bytes(OperatorId::FIRST.to_bytes()), OperatorId::FIRST);
        assert_eq!(OperatorId::FIRST.to_bytes(), 1u32.to_be_bytes());
        assert_eq!(WorkerId::all(2).collect::<Vec<_>>(), [WorkerId::FIRST, WorkerId::new(1)]);
    }
}
