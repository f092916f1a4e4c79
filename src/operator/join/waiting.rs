//! The state of a join whose rows wait for time to pass.
//!
//! Owned by `interval` and `versioned`. Rows of a key are `held`; the key is `due` when the time of
//! one of them comes. What always holds: a watermark is passed on only after every key that was due
//! at it has been looked at.

use super::JoinSpec;
use super::due::DueKeys;
use super::held::Held;
use crate::operator::keyed::KeyedCache;
use crate::operator::{Context, OperatorError, OperatorState, State};
use crate::state::key::{KeyBuf, hash_key};
use crate::state::layout::KeyedKind;
use crate::state::store::{Changes, StateDb};
use crate::time::{EventTime, Watermark};

pub(super) struct Waiting {
    pub held: KeyedCache<Held>,
    pub due: DueKeys,
    /// The latest watermark whose keys have all been looked at.
    pub passed: Option<Watermark>,
    next_generation: u32,
    /// The watermark whose keys are being looked at.
    firing: Option<Watermark>,
}

impl Waiting {
    pub fn new(spec: &JoinSpec) -> Waiting {
        Waiting {
            held: KeyedCache::new(spec.operator, KeyedKind::Interval, (), None),
            due: DueKeys::new(spec.operator, 0, spec.key_fields()),
            passed: None,
            next_generation: 0,
            firing: None,
        }
    }

    /// A watermark has come: its keys are to be looked at.
    pub fn fire(&mut self, watermark: Watermark) {
        self.firing = Some(watermark);
    }

    /// The watermark whose keys are being looked at.
    pub fn firing(&self) -> Option<Watermark> {
        self.firing
    }

    /// The keys of a watermark have all been looked at.
    pub fn pass(&mut self, watermark: Watermark) {
        debug_assert!(self.due.first(watermark).is_none(), "a key that is due was not looked at");
        self.firing = None;
        self.passed = self.passed.max(Some(watermark));
    }

    /// Takes out the keys of a second and brings their rows into memory.
    pub fn take_due(
        &mut self,
        end: EventTime,
        cx: &mut Context<'_>,
    ) -> Result<KeyBuf, OperatorError> {
        let keys = self.due.take(end, cx.db)?;
        let hashes: Vec<u64> = keys.iter().map(hash_key).collect();
        self.held.load(&keys, &hashes, cx.now_ms, cx.db)?;
        Ok(keys)
    }

    pub fn freeze(&mut self) {
        self.held.freeze();
        self.due.freeze();
    }

    pub fn memory_bytes(&self) -> usize {
        self.held.memory_bytes() + self.due.memory_bytes()
    }
}

impl State for Waiting {
    fn write_frozen(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        let due = self.due.write_frozen(&mut self.next_generation, changes)?;
        Ok(self.held.write_frozen(changes) && due)
    }

    fn spill(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        Ok(self.held.spill(changes) || self.due.spill(&mut self.next_generation, changes)?)
    }

    fn marks(&self) -> OperatorState {
        OperatorState { fired_mark: self.passed, next_generation: self.next_generation }
    }

    fn restore(&mut self, state: &OperatorState, db: &StateDb) -> Result<(), OperatorError> {
        self.passed = state.fired_mark;
        self.next_generation = state.next_generation;
        self.due.restore(db)
    }
}
