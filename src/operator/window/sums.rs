//! What do many overlapping windows show, without adding up every slice for each? Sums of
//! neighbouring slices, shared.
//!
//! A window of HOP is a run of neighbouring slices. Any run is at most 2 log2(n) aligned blocks of
//! 1, 2, 4, ... slices, and a block serves every window that covers it. So the cost of a window
//! grows with the logarithm of size/slide, for every kind of aggregate, also those that cannot be
//! retracted (MIN, DISTINCT) and those that should not be (floats: a retracted infinity would
//! stay). This is the aggregation tree of Tangwongsan et al., "General Incremental Sliding-Window
//! Aggregation" (VLDB 2015), held as blocks that are made when a window first needs them.
//!
//! Used by `fire`. What always holds: blocks are copies; the slices themselves are state and are
//! kept by `aggregate`.

use std::collections::{BTreeMap, HashMap};

use super::WindowAggregateSpec;
use super::table::WindowTables;

/// Blocks of more than one slice, by (log2 of their length, first slice). A slice is named by the
/// number of the last window that shows it.
#[derive(Default)]
pub(crate) struct BlockSums {
    blocks: HashMap<(u32, i64), Option<WindowTables>>,
}

impl BlockSums {
    /// The sum of the slices `from..=to`.
    pub fn sum(
        &mut self,
        spec: &WindowAggregateSpec,
        slices: &BTreeMap<i64, &WindowTables>,
        from: i64,
        to: i64,
    ) -> WindowTables {
        debug_assert!(from <= to, "a window without slices");
        let mut total = WindowTables::new(spec);
        // Where nothing is, blocks are not looked for.
        let Some(mut at) = slices.range(from..=to).next().map(|(n, _)| *n) else { return total };
        while at <= to {
            let level = (at.trailing_zeros()).min((to - at + 1).ilog2());
            self.add(spec, slices, level, at, &mut total);
            at += 1 << level;
        }
        total
    }

    fn add(
        &mut self,
        spec: &WindowAggregateSpec,
        slices: &BTreeMap<i64, &WindowTables>,
        level: u32,
        at: i64,
        into: &mut WindowTables,
    ) {
        if level == 0 {
            if let Some(slice) = slices.get(&at) {
                into.absorb(slice);
            }
            return;
        }
        if !self.blocks.contains_key(&(level, at)) {
            let mut held = slices.range(at..at + (1 << level));
            let block = held.next().is_some().then(|| {
                let mut block = WindowTables::new(spec);
                let half = 1 << (level - 1);
                self.add(spec, slices, level - 1, at, &mut block);
                self.add(spec, slices, level - 1, at + half, &mut block);
                block
            });
            self.blocks.insert((level, at), block);
        }
        if let Some(Some(block)) = self.blocks.get(&(level, at)) {
            into.absorb(block);
        }
    }

    /// Forgets the blocks that hold a slice that has changed.
    pub fn changed(&mut self, slice: i64) {
        self.blocks.retain(|(level, at), _| !(*at..at + (1 << level)).contains(&slice));
    }

    /// Forgets the blocks that hold slices before this one: no later window covers them.
    pub(crate) fn retire(&mut self, before: i64) {
        self.blocks.retain(|(_, at), _| *at >= before);
    }

    pub fn clear(&mut self) {
        self.blocks.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.blocks.values().flatten().map(WindowTables::memory_bytes).sum()
    }
}
