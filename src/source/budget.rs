//! How much may the readers of all splits hold that nobody has taken yet?
//!
//! One [`ReadBudget`] for a job, made by `runtime` and handed to every reader. A reader reserves
//! what an answer may have before it asks for one, keeps what the answer has until the worker takes
//! it, and gives the rest back; so calls on their way are bounded too. What always holds: who waits
//! gets its turn in order, so that no reader starves; whoever holds something has it ready for its
//! worker, or is waiting for an answer that ends, or gives it back when it is paused. So the budget
//! never waits for itself.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is counted: pieces of a kibibyte.
const PIECE_BYTES: usize = 1024;

/// Bytes that readers may hold together.
#[derive(Debug)]
pub struct ReadBudget {
    free: Arc<Semaphore>,
    pieces: u32,
}

/// A part of the budget, given back when it is dropped.
#[derive(Debug, Default)]
pub struct Held(Option<OwnedSemaphorePermit>);

impl ReadBudget {
    pub fn new(bytes: usize) -> Arc<ReadBudget> {
        let pieces = u32::try_from(bytes.div_ceil(PIECE_BYTES)).unwrap_or(u32::MAX).max(1);
        // The semaphore of tokio takes no more on machines with 32 bits.
        let pieces = pieces.min(u32::MAX >> 4);
        Arc::new(ReadBudget { free: Arc::new(Semaphore::new(pieces as usize)), pieces })
    }

    /// All of it.
    pub fn bytes(&self) -> usize {
        self.pieces as usize * PIECE_BYTES
    }

    /// Waits for so much, or for all if that is less.
    pub async fn reserve(&self, bytes: usize) -> Held {
        let pieces = self.pieces_of(bytes);
        // It is never closed.
        Held(self.free.clone().acquire_many_owned(pieces).await.ok())
    }

    fn pieces_of(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.div_ceil(PIECE_BYTES)).unwrap_or(u32::MAX).min(self.pieces)
    }
}

impl Held {
    /// Gives back what is beyond so many bytes. An answer may have more than was expected: it has
    /// arrived, and counts with what was reserved.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let Some(permit) = &mut self.0 else { return };
        let surplus = permit.num_permits().saturating_sub(bytes.div_ceil(PIECE_BYTES));
        drop(permit.split(surplus));
    }

    /// Both together.
    pub(crate) fn add(&mut self, other: Held) {
        match (&mut self.0, other.0) {
            (Some(own), Some(other)) => own.merge(other),
            (own, other) => *own = own.take().or(other),
        }
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |permit| permit.num_permits() * PIECE_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_given_back_goes_to_who_waits() {
        let budget = ReadBudget::new(10 * PIECE_BYTES);
        let mut first = budget.reserve(8 * PIECE_BYTES - 5).await;
        let second = tokio::spawn({
            let budget = budget.clone();
            async move { budget.reserve(usize::MAX).await }
        });
        let third = tokio::spawn({
            let budget = budget.clone();
            async move { budget.reserve(1).await }
        });
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(!second.is_finished() && !third.is_finished(), "in the order in which they came");
        first.shrink_to(PIECE_BYTES + 1);
        assert_eq!(first.bytes(), 2 * PIECE_BYTES);
        first.shrink_to(usize::MAX);
        assert_eq!(first.bytes(), 2 * PIECE_BYTES);
        drop(first);
        let mut second = second.await.expect("it gets all");
        assert_eq!(second.bytes(), budget.bytes());
        second.shrink_to(0);
        let third = third.await.expect("it gets its turn");
        second.add(third);
        assert_eq!(second.bytes(), PIECE_BYTES);
    }
}
