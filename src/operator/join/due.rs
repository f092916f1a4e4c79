//! Which keys have something to do once a watermark has passed?
//!
//! Used by joins whose rows wait for time to pass (`interval`, `versioned`) and by patterns that have
//! to end in time. Keys are noted by the
//! second in which their time comes, so that a watermark looks at them alone. What always holds: a
//! key that was noted comes up once the watermark has passed the end of that second; what it may
//! find nothing to do for is looked at in vain.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{Field, Schema, SchemaRef};

use crate::ids::OperatorId;
use crate::operator::OperatorError;
use crate::operator::window::rows::WindowRows;
use crate::state::KeyGroups;
use crate::state::key::{KeyBuf, encode_keys};
use crate::state::store::{Changes, StateDb};
use crate::time::{EventTime, Watermark};

/// Keys are looked at this often.
pub(crate) const BUCKET_MS: i64 = 1000;

pub(crate) struct DueKeys {
    schema: SchemaRef,
    rows: WindowRows,
}

impl DueKeys {
    /// Keys with these columns; in the store they are rows of the operator's input of this number.
    pub fn new(operator: OperatorId, input: u8, key: Vec<Field>) -> DueKeys {
        let columns = (0..key.len()).collect();
        let schema: SchemaRef = Arc::new(Schema::new(key));
        let rows = WindowRows::new(operator, input, schema.clone(), columns);
        DueKeys { schema, rows }
    }

    /// Notes keys: those at `picks` of the columns come up when that time has passed.
    pub fn add(
        &mut self,
        picks: BTreeMap<EventTime, Vec<u32>>,
        keys: &[ArrayRef],
        rows: usize,
    ) -> Result<(), OperatorError> {
        if picks.is_empty() {
            return Ok(());
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let all = RecordBatch::try_new_with_options(self.schema.clone(), keys.to_vec(), &options)?;
        for (end, picks) in picks {
            self.rows.add(end, take_record_batch(&all, &UInt32Array::from(picks))?);
        }
        Ok(())
    }

    /// The end of the second of a time.
    pub fn bucket(time: EventTime) -> EventTime {
        let end = time.ms().div_euclid(BUCKET_MS).saturating_add(1).saturating_mul(BUCKET_MS);
        EventTime::at(end)
    }

    /// The first second whose keys come up at this watermark.
    pub fn first(&self, watermark: Watermark) -> Option<EventTime> {
        let has_come = |end: &EventTime| *end <= watermark.time() || watermark == Watermark::END;
        self.rows.first().filter(has_come)
    }

    /// Takes out the keys of a second; one may be there several times.
    pub fn take(&mut self, end: EventTime, db: &StateDb) -> Result<KeyBuf, OperatorError> {
        let keys = self.rows.read(end, KeyGroups::ALL, db)?;
        self.rows.remove_own(end, db)?;
        let mut encoded = KeyBuf::default();
        encode_keys(keys.columns(), keys.num_rows(), &mut encoded);
        Ok(encoded)
    }

    pub fn freeze(&mut self) {
        self.rows.freeze();
    }

    /// Adds some of what was frozen to `changes`; true when none is left.
    pub fn write_frozen(
        &mut self,
        generation: &mut u32,
        changes: &mut Changes,
    ) -> Result<bool, OperatorError> {
        self.rows.write_frozen(generation, changes)
    }

    /// Moves a second to the store. False if none is in memory.
    pub fn spill(
        &mut self,
        generation: &mut u32,
        changes: &mut Changes,
    ) -> Result<bool, OperatorError> {
        self.rows.spill(generation, changes)
    }

    pub fn restore(&mut self, db: &StateDb) -> Result<(), OperatorError> {
        self.rows.restore(db)
    }

    pub fn memory_bytes(&self) -> usize {
        self.rows.memory_bytes()
    }
}
