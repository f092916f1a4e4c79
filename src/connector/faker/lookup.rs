//! A table of `faker` that is looked up: whatever the key, there is one row of it.
//!
//! Made by the connector for a lookup join. What always holds: the columns of the key are the key,
//! and the others depend on it, on the columns and on when the run began: whoever asks again gets
//! the same row. The connector of Flink makes another one each time.

use std::sync::{Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::row::{RowConverter, SortField};
use xxhash_rust::xxh3::xxh3_64;

use crate::connector::datagen::field::Field;
use crate::connector::error::{ConnectError, config_error};
use crate::connector::formats::{DecodeFormat, RecordsOf};
use crate::format::json::write_string;
use crate::format::{Decoder, RowsPerRecord};
use crate::lookup::{LookupError, LookupSpec, LookupTable, Reply};
use crate::plan::physical::LookupPlan;
use crate::record::{Places, RawBatch};
use crate::who::{Mistake, Who};

const SEED: u64 = 1;

pub(super) struct FakerLookup {
    spec: LookupSpec,
    /// What is made, with the number of its column: all but the key.
    fields: Vec<(u64, Field)>,
    run_ms: i64,
    keys: RowConverter,
    decoder: Mutex<Box<dyn Decoder>>,
}

impl FakerLookup {
    /// `fields`: those of the whole table. `run_ms`: when the run began.
    pub fn new(
        plan: &LookupPlan,
        fields: Vec<Field>,
        run_ms: i64,
    ) -> Result<FakerLookup, ConnectError> {
        let table = &plan.source.table;
        let schema = &plan.source.decode_schema;
        let key_schema = plan.spec.key_schema();
        let types = key_schema.fields().iter().map(|f| SortField::new(f.data_type().clone()));
        let is_made = |field: &Field| {
            schema.column_with_name(&field.name).is_some()
                && key_schema.column_with_name(&field.name).is_none()
        };
        let decoder = DecodeFormat::of(&plan.source, RecordsOf::Table, RowsPerRecord::One)?
            .decoder(&table.name, schema)?;
        Ok(FakerLookup {
            spec: plan.spec.clone(),
            fields: (0..).zip(fields).filter(|(_, field)| is_made(field)).collect(),
            run_ms,
            keys: RowConverter::new(types.collect()).map_err(|e| config_error(table, e))?,
            decoder: Mutex::new(decoder),
        })
    }

    fn rows(&self, keys: &RecordBatch) -> Result<RecordBatch, String> {
        let encoded = self.keys.convert_columns(keys.columns()).map_err(|e| e.to_string())?;
        let mut raw = RawBatch { places: Places::Generated { first: 0 }, ..RawBatch::default() };
        for key in &encoded {
            raw.push(|bytes| self.push_row(bytes, xxh3_64(key.data())));
        }
        let decoded = self.decoder.lock().unwrap_or_else(PoisonError::into_inner).decode(&raw);
        if let Some(bad) = decoded.bad.first() {
            return Err(bad.reason.clone());
        }
        let columns = self.spec.schema.fields().iter().map(|field| {
            let of_key = keys.column_by_name(field.name());
            let column = of_key.or_else(|| decoded.batch.column_by_name(field.name()));
            column.cloned().ok_or_else(|| format!("there is no column '{}'", field.name()))
        });
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        RecordBatch::try_new(self.spec.schema.clone(), columns).map_err(|e| e.to_string())
    }

    /// Appends what is made for the key of this number, as a JSON object.
    fn push_row(&self, out: &mut Vec<u8>, key: u64) {
        out.push(b'{');
        for (i, (number, field)) in self.fields.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            write_string(out, &field.name);
            out.push(b':');
            field.write(out, SEED, *number, key, self.run_ms);
        }
        out.push(b'}');
    }
}

impl LookupTable for FakerLookup {
    fn ask(&self, keys: RecordBatch, reply: Reply) {
        let made = self.rows(&keys);
        reply.send(made.map_err(|reason| LookupError::Table {
            table: self.spec.table.clone(),
            reason: format!("a row that was made cannot be read: {reason}"),
            who: Who::User(Mistake::Asked),
        }));
    }
}
