//! Whose turn is it? The order in which a worker polls its open splits of one source.
//!
//! Used by `reading`. What always holds: the split that holds the watermark back goes first, and among equals the one that was
//! read longest ago, so that none starves where there is no watermark; a split that had nothing is polled again when it is
//! woken or at the next sweep, so that ten thousand quiet splits cost a busy one nothing.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::runtime::inbox::Parker;
use crate::time::Watermark;
use crate::wake::Wake;

/// With so few quiet splits all are polled in every step that finds nothing else.
const SWEPT_ALWAYS: usize = 64;
/// From sweep to sweep where other splits are busy: quiet ones may have become idle.
const SWEEP_MIN: Duration = Duration::from_millis(20);
/// A poll that finds nothing takes about a tenth of a microsecond: sweeps take a hundredth of the time at most.
const SWEEP_PER_SPLIT: Duration = Duration::from_micros(10);

/// Splits are told apart by the slot they have while they are open.
pub struct Turns {
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    /// Splits that may have something: (watermark, turn, slot).
    ready: BTreeSet<(Watermark, u64, usize)>,
    woken: Arc<Woken>,
    next_turn: u64,
    swept: Duration,
}

struct Slot {
    watermark: Watermark,
    /// Its turn, while it is ready.
    turn: Option<u64>,
    last_turn: u64,
    is_listed: Arc<AtomicBool>,
}

/// What was woken since the worker looked last.
#[derive(Default)]
struct Woken {
    any: AtomicBool,
    slots: Mutex<Vec<usize>>,
}

impl Turns {
    pub fn new() -> Turns {
        Turns {
            slots: Vec::new(),
            free: Vec::new(),
            ready: BTreeSet::new(),
            woken: Arc::default(),
            next_turn: 0,
            swept: Duration::ZERO,
        }
    }

    /// Splits that are open.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Takes a split in, ready to be polled. Its reader wakes `parker`'s worker.
    pub fn open(&mut self, watermark: Watermark, parker: Arc<Parker>) -> (usize, Wake) {
        let slot = self.free.pop().unwrap_or(self.slots.len());
        if slot == self.slots.len() {
            self.slots.push(None);
        }
        let is_listed = Arc::new(AtomicBool::new(false));
        self.slots[slot] = Some(Slot { watermark, turn: None, last_turn: 0, is_listed: is_listed.clone() });
        self.make_ready(slot);
        let woken = self.woken.clone();
        let wake = move || {
            if !is_listed.swap(true, Ordering::AcqRel) {
                woken.slots.lock().unwrap_or_else(PoisonError::into_inner).push(slot);
                woken.any.store(true, Ordering::Release);
            }
            parker.wake();
        };
        (slot, Arc::new(wake))
    }

    pub fn close(&mut self, slot: usize) {
        if let Some(Slot { watermark, turn, .. }) = self.slots[slot].take() {
            turn.map(|turn| self.ready.remove(&(watermark, turn, slot)));
            self.free.push(slot);
        }
    }

    fn make_ready(&mut self, slot: usize) {
        // Whoever woke a split that has ended may have a new one in its slot polled once too often.
        let Some(Some(split)) = self.slots.get_mut(slot) else { return };
        if split.turn.is_none() {
            split.turn = Some(split.last_turn);
            self.ready.insert((split.watermark, split.last_turn, slot));
        }
    }

    /// The split to poll next. It is quiet from now on, until [`Turns::read`] or a wake-up says otherwise.
    pub fn next(&mut self) -> Option<usize> {
        let (_, _, slot) = self.ready.pop_first()?;
        if let Some(split) = &mut self.slots[slot] {
            split.turn = None;
        }
        Some(slot)
    }

    /// A split gave something and may have more: others with its watermark go first.
    pub fn read(&mut self, slot: usize, watermark: Watermark) {
        self.next_turn += 1;
        if let Some(split) = &mut self.slots[slot] {
            debug_assert!(split.turn.is_none() && watermark >= split.watermark, "read out of turn, or its watermark went back");
            split.watermark = watermark;
            split.last_turn = self.next_turn;
        }
        self.make_ready(slot);
    }

    /// Lets those be polled again that were woken, and from time to time all.
    pub fn refresh(&mut self, now: Duration) {
        if self.woken.any.swap(false, Ordering::AcqRel) {
            let woken = std::mem::take(&mut *self.woken.slots.lock().unwrap_or_else(PoisonError::into_inner));
            for slot in woken {
                if let Some(Some(split)) = self.slots.get(slot) {
                    // Before its poll: what comes after that is told again.
                    split.is_listed.store(false, Ordering::Release);
                }
                self.make_ready(slot);
            }
        }
        let open = self.len();
        let interval = SWEEP_MIN.max(SWEEP_PER_SPLIT.saturating_mul(u32::try_from(open).unwrap_or(u32::MAX)));
        let at_leisure = self.ready.is_empty() && open <= SWEPT_ALWAYS;
        if self.ready.len() < open && (at_leisure || now.saturating_sub(self.swept) >= interval) {
            self.swept = now;
            (0..self.slots.len()).for_each(|slot| self.make_ready(slot));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(watermarks_ms: &[i64]) -> (Turns, Vec<Wake>) {
        let mut turns = Turns::new();
        let wakes = watermarks_ms.iter().map(|&ms| turns.open(Watermark::at(ms), Arc::default()).1).collect();
        (turns, wakes)
    }

    #[test]
    fn splits_without_a_watermark_take_turns() {
        let (mut turns, _) = turns(&[i64::MIN; 3]);
        let mut order = vec![];
        for _ in 0..6 {
            let slot = turns.next().expect("all have more");
            order.push(slot);
            turns.read(slot, Watermark::NONE);
        }
        assert_eq!(order, [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn the_split_that_is_behind_goes_first() {
        let (mut turns, _) = turns(&[50, 10]);
        for watermark in [20, 30, 60].map(Watermark::at) {
            assert_eq!(turns.next(), Some(1));
            turns.read(1, watermark);
        }
        assert_eq!(turns.next(), Some(0));
    }

    #[test]
    fn a_quiet_split_is_polled_when_woken_or_swept() {
        let (mut turns, wakes) = turns(&[10, 50]);
        assert_eq!(turns.next(), Some(0));
        assert_eq!(turns.next(), Some(1));
        turns.read(1, Watermark::at(60));
        turns.refresh(Duration::from_millis(1));
        assert_eq!(turns.next(), Some(1), "split 0 had nothing");
        turns.read(1, Watermark::at(70));
        wakes[0]();
        wakes[0]();
        turns.refresh(Duration::from_millis(2));
        assert_eq!(turns.next(), Some(0));
        turns.refresh(SWEEP_MIN);
        assert_eq!(turns.next(), Some(0), "it may have become idle");
        assert_eq!(turns.next(), Some(1));
        assert_eq!(turns.next(), None);
        turns.refresh(SWEEP_MIN);
        assert_eq!(turns.next(), Some(0), "there is nothing else to do");
    }

    #[test]
    fn many_quiet_splits_are_left_alone() {
        let (mut turns, _wakes) = turns(&[0; 10_000]);
        turns.swept = Duration::from_secs(1);
        while turns.next().is_some() {}
        turns.refresh(Duration::from_millis(1_099));
        assert_eq!(turns.next(), None);
        turns.refresh(Duration::from_millis(1_100));
        assert_eq!(turns.ready.len(), 10_000);
    }

    #[test]
    fn a_slot_is_used_again() {
        let (mut turns, wakes) = turns(&[10, 20]);
        turns.close(0);
        assert_eq!((turns.len(), turns.next()), (1, Some(1)));
        let (slot, _) = turns.open(Watermark::at(5), Arc::default());
        assert_eq!(slot, 0);
        wakes[0]();
        turns.refresh(Duration::ZERO);
        assert_eq!(turns.next(), Some(0));
    }
}
