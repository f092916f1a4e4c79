//! Rows that wait for their window to close, in memory or in the store.
//!
//! Used by operators that need whole rows and not sums of them. What always holds: a row is in
//! exactly one place: in memory, frozen for a checkpoint, or in the store, there by window, then
//! key group, so that a large window can be read back a part at a time.

use std::collections::BTreeMap;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, SchemaRef};

use crate::ids::OperatorId;
use crate::operator::OperatorError;
use crate::state::key_group::row_key_groups;
use crate::state::layout::{self, StateKey, StateKind, StatePlace, StateTable};
use crate::state::packed::{pack, unpack};
use crate::state::store::{Changes, StateDb};
use crate::state::{KeyGroup, KeyGroups};
use crate::time::EventTime;

/// The waiting rows of one input of an operator.
pub(crate) struct WindowRows {
    operator: OperatorId,
    /// Tells the inputs of an operator apart in the store.
    table: StateTable,
    schema: SchemaRef,
    /// Columns whose key group decides where a row lies.
    keys: Vec<usize>,
    hot: BTreeMap<EventTime, Vec<RecordBatch>>,
    hot_bytes: usize,
    frozen: Vec<(EventTime, Vec<RecordBatch>)>,
    frozen_bytes: usize,
    /// Ends of windows that have rows in the store, with their bytes.
    stored: BTreeMap<EventTime, usize>,
}

impl WindowRows {
    pub fn new(operator: OperatorId, input: u8, schema: SchemaRef, keys: Vec<usize>) -> WindowRows {
        WindowRows {
            operator,
            table: StateTable::of_input(input),
            schema,
            keys,
            hot: BTreeMap::new(),
            hot_bytes: 0,
            frozen: vec![],
            frozen_bytes: 0,
            stored: BTreeMap::new(),
        }
    }

    pub fn add(&mut self, end: EventTime, batch: RecordBatch) {
        self.hot_bytes += batch.get_array_memory_size();
        self.hot.entry(end).or_default().push(batch);
    }

    /// End of the first window that has rows.
    pub fn first(&self) -> Option<EventTime> {
        self.hot.keys().next().into_iter().chain(self.stored.keys().next()).min().copied()
    }

    pub(crate) fn stored_bytes(&self, end: EventTime) -> usize {
        self.stored.get(&end).copied().unwrap_or(0)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.hot_bytes + self.frozen_bytes
    }

    fn place(&self, end: EventTime) -> StatePlace {
        StatePlace::at(self.operator, StateKind::Rows, end)
    }

    /// At a barrier: what is here belongs to the snapshot until [`WindowRows::write_frozen`] has
    /// written it.
    pub(crate) fn freeze(&mut self) {
        debug_assert!(
            self.frozen.is_empty(),
            "a barrier came before the last one's rows were written"
        );
        self.frozen.extend(std::mem::take(&mut self.hot));
        self.frozen_bytes = std::mem::take(&mut self.hot_bytes);
    }

    /// Adds one frozen window to `changes`. True when none is left.
    pub fn write_frozen(
        &mut self,
        generation: &mut u32,
        changes: &mut Changes,
    ) -> Result<bool, OperatorError> {
        if let Some((end, batches)) = self.frozen.pop() {
            self.store(end, &batches, generation, changes)?;
        }
        if self.frozen.is_empty() {
            self.frozen_bytes = 0;
        }
        Ok(self.frozen.is_empty())
    }

    /// Moves the window that closes last to the store. False if none is in memory.
    pub(crate) fn spill(
        &mut self,
        generation: &mut u32,
        changes: &mut Changes,
    ) -> Result<bool, OperatorError> {
        let Some((end, _)) = self.hot.last_key_value() else { return Ok(false) };
        self.spill_window(*end, generation, changes)?;
        Ok(true)
    }

    /// Moves a window to the store.
    pub(crate) fn spill_window(
        &mut self,
        end: EventTime,
        generation: &mut u32,
        changes: &mut Changes,
    ) -> Result<(), OperatorError> {
        let Some(batches) = self.take_hot(end) else { return Ok(()) };
        self.store(end, &batches, generation, changes)
    }

    fn take_hot(&mut self, end: EventTime) -> Option<Vec<RecordBatch>> {
        let batches = self.hot.remove(&end)?;
        self.hot_bytes = self
            .hot_bytes
            .saturating_sub(batches.iter().map(RecordBatch::get_array_memory_size).sum());
        debug_assert!(
            !self.hot.is_empty() || self.hot_bytes == 0,
            "{} bytes are counted of no rows",
            self.hot_bytes
        );
        Some(batches)
    }

    fn store(
        &mut self,
        end: EventTime,
        batches: &[RecordBatch],
        generation: &mut u32,
        changes: &mut Changes,
    ) -> Result<(), OperatorError> {
        let rows = concat_batches(&self.schema, batches)?;
        let mut by_group: BTreeMap<KeyGroup, Vec<u32>> = BTreeMap::new();
        for (row, group) in row_key_groups(&self.keys, &rows).into_iter().enumerate() {
            by_group.entry(group).or_default().push(row as u32);
        }
        for (key_group, picks) in by_group {
            // Pieces that a reader can hold.
            for (chunk, picks) in picks.chunks(CHUNK_ROWS).enumerate() {
                let part = take_record_batch(&rows, &UInt32Array::from(picks.to_vec()))?;
                let mut value = Vec::new();
                pack(part.columns(), part.num_rows(), &mut value);
                let (place, chunk) = (self.place(end), chunk as u32);
                let key = StateKey {
                    place,
                    key_group,
                    table: self.table,
                    generation: *generation,
                    chunk,
                };
                changes.put(&key.encode(), &value);
                *self.stored.entry(end).or_default() += value.len();
            }
        }
        *generation += 1;
        Ok(())
    }

    /// The rows of a window in some key groups, in the order they came in; they stay where they
    /// are. All groups include what is in memory, parts of them only what is stored.
    pub fn read(
        &self,
        end: EventTime,
        groups: KeyGroups,
        db: &StateDb,
    ) -> Result<RecordBatch, OperatorError> {
        let mut batches = Vec::new();
        if self.stored.contains_key(&end) {
            let (from, to) = self.place(end).groups(groups);
            let types: Vec<DataType> =
                self.schema.fields().iter().map(|f| f.data_type().clone()).collect();
            db.scan(&from, &to, |key, value| {
                if StateKey::decode(key).is_some_and(|k| k.table == self.table) {
                    let columns = unpack(value, &types)?;
                    batches.push(RecordBatch::try_new(self.schema.clone(), columns)?);
                }
                Ok::<_, OperatorError>(())
            })?;
        }
        if groups == KeyGroups::ALL {
            batches.extend(self.hot.get(&end).into_iter().flatten().cloned());
        }
        concat_batches(&self.schema, &batches).map_err(OperatorError::from)
    }

    /// Forgets the rows of this input in a window, and only these.
    pub(crate) fn remove_own(&mut self, end: EventTime, db: &StateDb) -> Result<(), OperatorError> {
        self.take_hot(end);
        if self.stored.remove(&end).is_some() {
            let (from, to) = self.place(end).range();
            let mut changes = db.batch();
            db.scan(&from, &to, |key, _| {
                if StateKey::decode(key).is_some_and(|k| k.table == self.table) {
                    changes.delete(key);
                }
                Ok::<_, OperatorError>(())
            })?;
            db.write(changes)?;
        }
        Ok(())
    }

    /// Forgets a window of all inputs of the operator; called for each of them.
    pub fn remove(&mut self, end: EventTime, db: &StateDb) -> Result<(), OperatorError> {
        self.take_hot(end);
        if self.stored.remove(&end).is_some() {
            let (from, to) = self.place(end).range();
            let mut changes = db.batch();
            changes.delete_range(&from, &to);
            db.write(changes)?;
        }
        Ok(())
    }

    pub(crate) fn restore(&mut self, db: &StateDb) -> Result<(), OperatorError> {
        let (from, to) = layout::kind_range(self.operator, StateKind::Rows);
        db.scan(&from, &to, |key, value| {
            let key =
                StateKey::decode(key).ok_or_else(|| OperatorError::damaged("an unknown key"))?;
            if key.table == self.table {
                *self.stored.entry(key.place.time).or_default() += value.len();
            }
            Ok(())
        })
    }
}

/// Rows in one stored value.
const CHUNK_ROWS: usize = 1024;
