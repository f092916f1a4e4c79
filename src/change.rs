//! What does a row do to its table? Row kinds, as Flink has them.
//!
//! Rows of a stream that only grows are all insertions. Known to operators, which make changes, and
//! to sinks, which apply them.

use arrow::buffer::ScalarBuffer;

/// What a row does to the table that a stream of changes describes: Flink's row kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Op {
    Insert = 0,
    /// Takes back the row that the following update replaces.
    UpdateBefore = 1,
    UpdateAfter = 2,
    Delete = 3,
}

impl Op {
    /// As Flink prints it.
    pub fn name(self) -> &'static str {
        ["+I", "-U", "+U", "-D"][self as usize]
    }

    /// True if the row is added, false if it is taken back.
    pub fn adds(self) -> bool {
        matches!(self, Op::Insert | Op::UpdateAfter)
    }

    /// The kind of this number, as `as u8` gives it.
    pub(crate) fn of(byte: u8) -> Op {
        [Op::Insert, Op::UpdateBefore, Op::UpdateAfter, Op::Delete][usize::from(byte & 3)]
    }
}

/// The kinds of the rows of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ops(ScalarBuffer<u8>);

impl Ops {
    pub fn get(&self, row: usize) -> Op {
        Op::of(self.0[row])
    }

    pub fn slice(&self, from: usize, len: usize) -> Ops {
        Ops(self.0.slice(from, len))
    }
}

impl FromIterator<Op> for Ops {
    fn from_iter<I: IntoIterator<Item = Op>>(ops: I) -> Ops {
        Ops(ops.into_iter().map(|op| op as u8).collect())
    }
}
