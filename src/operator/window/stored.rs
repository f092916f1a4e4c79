//! Partial aggregates in the store: packed by the hundred, read back window by window.
//!
//! Used by `aggregate` at barriers and by `fire`. Keys are those of `state::layout`, values those
//! of `state::packed`: the entry keys as one BYTES column, then the state columns.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder};
use arrow::datatypes::DataType;

use super::WindowAggregateSpec;
use super::table::{Values, WindowTables};
use crate::operator::aggregate::kernel;
use crate::operator::{Entries, OperatorError};
use crate::state::key::{KeyBuf, hash_key};
use crate::state::layout::{StateKey, StatePlace, StateTable};
use crate::state::packed::{pack, unpack};
use crate::state::store::{Changes, StateDb};

/// Entries in one stored value: enough to pack well, few enough that a value stays some 10 KiB.
const CHUNK_ENTRIES: usize = 256;

/// Writes partial aggregates of one place. `generation` keeps values apart that were written at
/// different times.
pub(crate) struct StoredWriter<'a, 'db> {
    changes: &'a mut Changes<'db>,
    place: StatePlace,
    generation: u32,
    next_chunk: u32,
    /// Of the values written so far.
    pub bytes: usize,
}

impl<'a, 'db> StoredWriter<'a, 'db> {
    pub fn new(
        changes: &'a mut Changes<'db>,
        place: StatePlace,
        generation: u32,
    ) -> StoredWriter<'a, 'db> {
        StoredWriter { changes, place, generation, next_chunk: 0, bytes: 0 }
    }

    /// Takes partials that are sorted by key group.
    pub fn write(&mut self, partials: &Entries) {
        debug_assert!(partials.key_groups.is_sorted(), "key groups are written out of order");
        let mut from = 0;
        let mut value = Vec::new();
        while from < partials.len() {
            let group = partials.key_groups[from];
            let in_group = partials.key_groups[from..].iter().take_while(|&&g| g == group).count();
            let to = from + in_group.min(CHUNK_ENTRIES);
            let mut keys = BinaryBuilder::with_capacity(to - from, 32 * (to - from));
            for i in from..to {
                keys.append_value(partials.keys.get(i));
            }
            let mut columns: Vec<ArrayRef> = vec![Arc::new(keys.finish())];
            columns.extend(partials.states.iter().map(|s| s.slice(from, to - from)));
            value.clear();
            pack(&columns, to - from, &mut value);
            let StoredWriter { place, generation, next_chunk: chunk, .. } = *self;
            let key =
                StateKey { place, key_group: group, table: partials.table, generation, chunk };
            self.changes.put(&key.encode(), &value);
            self.bytes += value.len();
            self.next_chunk += 1;
            from = to;
        }
    }
}

/// Writes the partial aggregates of a table to a place; returns the bytes of that.
pub(crate) fn write_tables(
    tables: &WindowTables,
    place: StatePlace,
    generation: u32,
    changes: &mut Changes<'_>,
) -> Result<usize, OperatorError> {
    let mut writer = StoredWriter::new(changes, place, generation);
    tables.each_partials(|entries| {
        writer.write(&entries);
        Ok(())
    })?;
    Ok(writer.bytes)
}

/// Folds the partial aggregates of a range of the store into a table.
pub(crate) fn read_tables(
    (spec, types): (&WindowAggregateSpec, &StoredTypes),
    (from, to): (Vec<u8>, Vec<u8>),
    into: &mut WindowTables,
    values: Values,
    db: &StateDb,
) -> Result<(), OperatorError> {
    db.scan(&from, &to, |key, value| {
        let (_, entries) = types.read(key, value)?;
        into.merge(spec, &entries, values)
    })
}

/// Types of a stored value's columns.
pub(crate) struct StoredTypes {
    groups: Vec<DataType>,
    set: Vec<DataType>,
}

impl StoredTypes {
    pub fn of(spec: &WindowAggregateSpec) -> StoredTypes {
        StoredTypes::new(spec.aggregates.iter().flat_map(|a| kernel(a).state_types()))
    }

    /// For entries with these columns behind their keys.
    pub fn new(states: impl Iterator<Item = DataType>) -> StoredTypes {
        StoredTypes {
            groups: std::iter::once(DataType::Binary).chain(states).collect(),
            set: vec![DataType::Binary],
        }
    }

    /// Reads one entry back.
    pub fn read(&self, key: &[u8], value: &[u8]) -> Result<(StateKey, Entries), OperatorError> {
        let key = StateKey::decode(key)
            .ok_or_else(|| OperatorError::damaged("an unknown key in the store"))?;
        let columns =
            unpack(value, if key.table == StateTable::Main { &self.groups } else { &self.set })
                .map_err(OperatorError::damaged)?;
        let encoded = columns[0].as_binary::<i32>();
        let mut keys = KeyBuf::default();
        let mut hashes = Vec::with_capacity(encoded.len());
        for i in 0..encoded.len() {
            keys.push(encoded.value(i));
            hashes.push(hash_key(encoded.value(i)));
        }
        let entries = Entries {
            table: key.table,
            keys,
            key_groups: vec![key.key_group; encoded.len()],
            hashes,
            states: columns[1..].to_vec(),
        };
        Ok((key, entries))
    }
}
