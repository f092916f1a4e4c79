//! A table to look up whose rows are in memory.
//!
//! Made by the module from what a source reads. What always holds: of rows with the same primary
//! key the last one counts, and rows of one question come in the order of the rest of the key, as
//! DynamoDB gives them; without a primary key all rows count, in the order in which they were read.

use std::collections::{BTreeMap, HashMap};

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};

use crate::lookup::{Key, LookupError, LookupSpec, LookupTable, Reply};
use crate::who::Who;

pub(crate) struct MemoryTable {
    table: String,
    keys: RowConverter,
    rows: RecordBatch,
    /// Numbers of the rows of each key.
    by_key: HashMap<Key, Vec<u32>>,
}

fn converter(columns: &[ArrayRef]) -> Result<RowConverter, ArrowError> {
    RowConverter::new(columns.iter().map(|c| SortField::new(c.data_type().clone())).collect())
}

impl MemoryTable {
    /// `rows` have the columns of the spec and those of the primary key, by name. Errors: a column
    /// that is missing.
    pub fn new(spec: &LookupSpec, rows: &RecordBatch) -> Result<MemoryTable, String> {
        let column = |name: &str| {
            rows.column_by_name(name).cloned().ok_or_else(|| format!("there is no column '{name}'"))
        };
        let primary =
            spec.primary_key.iter().map(|name| column(name)).collect::<Result<Vec<_>, _>>()?;
        let columns =
            spec.schema.fields().iter().map(|f| column(f.name())).collect::<Result<Vec<_>, _>>()?;
        let of_keys: Vec<ArrayRef> = spec.keys.iter().map(|&k| columns[k].clone()).collect();
        let built = || {
            let counted = if primary.is_empty() {
                (0..rows.num_rows() as u32).collect()
            } else {
                last_of_each(&primary, rows.num_rows())?
            };
            let keys = converter(&of_keys)?;
            let encoded = keys.convert_columns(&of_keys)?;
            let mut by_key: HashMap<Key, Vec<u32>> = HashMap::new();
            for row in counted {
                // NULL is not asked for.
                if of_keys.iter().all(|c| c.is_valid(row as usize)) {
                    by_key.entry(encoded.row(row as usize).data().into()).or_default().push(row);
                }
            }
            let rows = RecordBatch::try_new(spec.schema.clone(), columns.clone())?;
            Ok(MemoryTable { table: spec.table.clone(), keys, rows, by_key })
        };
        built().map_err(|e: ArrowError| e.to_string())
    }
}

/// The last row of each primary key, in the order of the keys. A key with NULL is none.
fn last_of_each(primary: &[ArrayRef], rows: usize) -> Result<Vec<u32>, ArrowError> {
    let identity = converter(primary)?.convert_columns(primary)?;
    let mut last: BTreeMap<&[u8], u32> = BTreeMap::new();
    for row in 0..rows {
        if primary.iter().all(|c| c.is_valid(row)) {
            last.insert(identity.row(row).data(), row as u32);
        }
    }
    Ok(last.into_values().collect())
}

impl LookupTable for MemoryTable {
    fn ask(&self, keys: RecordBatch, reply: Reply) {
        let found = self.keys.convert_columns(keys.columns()).and_then(|keys| {
            let of_key =
                |row: usize| self.by_key.get(keys.row(row).data()).into_iter().flatten().copied();
            let picks: UInt32Array = (0..keys.num_rows()).flat_map(of_key).collect();
            take_record_batch(&self.rows, &picks)
        });
        reply.send(found.map_err(|e| LookupError::Table {
            table: self.table.clone(),
            reason: e.to_string(),
            who: Who::Us,
        }));
    }
}
