//! An operator's questions, and their answers: from the cache where it knows them, else from the
//! outside.
//!
//! What always holds: an [`Asker`] has one question open at a time; its [`Reply`] is given exactly
//! once, also if the outside goes away without a word.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{FieldRef, SchemaRef};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};

use super::cache::{Cache, KeyRows, RowBytes};
use super::options::CacheOptions;
use super::{LookupError, LookupSpec, LookupTable};
use crate::lookup::cache::Key;
use crate::time::clock::SharedClock;
use crate::wake::Wake;
use crate::who::Who;

/// The keys of the rows of a batch.
pub struct Keys {
    rows: Rows,
    nulls: Option<NullBuffer>,
}

impl Keys {
    pub fn len(&self) -> usize {
        self.rows.num_rows()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of a key; None if a part of it is NULL.
    pub fn get(&self, row: usize) -> Option<&[u8]> {
        let is_null = self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        (!is_null).then(|| self.rows.row(row).data())
    }
}

/// A table to look up, as all workers see it.
pub struct Lookup {
    spec: LookupSpec,
    table: Arc<dyn LookupTable>,
    cache: Option<Mutex<Cache>>,
    clock: SharedClock,
}

impl Lookup {
    pub fn new(
        spec: LookupSpec,
        table: Arc<dyn LookupTable>,
        cache: Option<CacheOptions>,
        clock: SharedClock,
    ) -> Lookup {
        Lookup { spec, table, cache: cache.map(|options| Mutex::new(Cache::new(options))), clock }
    }

    /// For one operator of one worker; `wake` is called, from any thread, when an answer has come.
    pub fn asker(self: &Arc<Self>, wake: Wake) -> Result<Asker, LookupError> {
        let converter = |fields: &[FieldRef]| {
            let fields = fields.iter().map(|f| SortField::new(f.data_type().clone())).collect();
            RowConverter::new(fields).map_err(|e| self.error(e))
        };
        let key_schema = self.spec.key_schema();
        let (keys, rows) = (converter(key_schema.fields())?, converter(self.spec.schema.fields())?);
        Ok(Asker { lookup: self.clone(), wake, key_schema, keys, rows, open: None })
    }

    fn cache(&self) -> Option<MutexGuard<'_, Cache>> {
        self.cache.as_ref().map(|cache| cache.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn error(&self, error: ArrowError) -> LookupError {
        // Keys and rows have the types that the plan says.
        LookupError::Table {
            table: self.spec.table.clone(),
            reason: error.to_string(),
            who: Who::Us,
        }
    }
}

/// The rows of some keys.
#[derive(Debug)]
pub struct Answer {
    pub rows: RecordBatch,
    /// Those of the i-th key are from `starts[i]` to `starts[i + 1]`.
    pub starts: Vec<u32>,
}

/// Where an answer goes: given back without a word, it says that the table has stopped.
pub struct Reply {
    slot: Arc<AnswerSlot>,
    wake: Wake,
    is_given: bool,
}

#[derive(Default)]
struct AnswerSlot(Mutex<Option<Result<RecordBatch, LookupError>>>);

impl AnswerSlot {
    fn lock(&self) -> MutexGuard<'_, Option<Result<RecordBatch, LookupError>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reply {
    pub fn send(mut self, result: Result<RecordBatch, LookupError>) {
        self.give(result);
    }

    fn give(&mut self, result: Result<RecordBatch, LookupError>) {
        self.is_given = true;
        *self.slot.lock() = Some(result);
        (self.wake)();
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if !self.is_given {
            self.give(Err(LookupError::Stopped));
        }
    }
}

/// The question that is open.
struct Question {
    /// With the rows that the cache knew.
    keys: Vec<(Key, Option<KeyRows>)>,
    /// None: the cache knew them all.
    slot: Option<Arc<AnswerSlot>>,
}

pub struct Asker {
    lookup: Arc<Lookup>,
    wake: Wake,
    key_schema: SchemaRef,
    keys: RowConverter,
    rows: RowConverter,
    open: Option<Question>,
}

impl Asker {
    pub fn spec(&self) -> &LookupSpec {
        &self.lookup.spec
    }

    /// The keys of the rows of the key columns.
    pub fn encode(&self, columns: &[ArrayRef]) -> Result<Keys, LookupError> {
        let rows = self.keys.convert_columns(columns).map_err(|e| self.lookup.error(e))?;
        let nulls = columns
            .iter()
            .fold(None, |nulls, column| NullBuffer::union(nulls.as_ref(), column.nulls()));
        Ok(Keys { rows, nulls })
    }

    /// Asks for the rows of keys that are all different, while no question is open.
    pub fn ask(&mut self, keys: Vec<Key>) -> Result<(), LookupError> {
        let now = self.lookup.clock.monotonic();
        let known: Vec<(Key, Option<KeyRows>)> = match self.lookup.cache() {
            Some(mut cache) => {
                keys.into_iter().map(|key| (key.clone(), cache.get(&key, now))).collect()
            }
            None => keys.into_iter().map(|key| (key, None)).collect(),
        };
        let parser = self.keys.parser();
        let unknown: Vec<_> = known
            .iter()
            .filter(|(_, rows)| rows.is_none())
            .map(|(key, _)| parser.parse(key))
            .collect();
        let slot = if unknown.is_empty() {
            None
        } else {
            let slot = Arc::new(AnswerSlot::default());
            let columns = self.keys.convert_rows(unknown).map_err(|e| self.lookup.error(e))?;
            let batch = RecordBatch::try_new(self.key_schema.clone(), columns)
                .map_err(|e| self.lookup.error(e))?;
            self.lookup
                .table
                .ask(batch, Reply { slot: slot.clone(), wake: self.wake.clone(), is_given: false });
            Some(slot)
        };
        self.open = Some(Question { keys: known, slot });
        Ok(())
    }

    /// True while [`Asker::take`] has nothing to give.
    pub fn is_waiting(&self) -> bool {
        self.open
            .as_ref()
            .is_some_and(|q| q.slot.as_ref().is_some_and(|slot| slot.lock().is_none()))
    }

    /// The answer to the open question, in the order of its keys. None: it has not come.
    pub fn take(&mut self) -> Result<Option<Answer>, LookupError> {
        if self.is_waiting() {
            return Ok(None);
        }
        let Some(question) = self.open.take() else { return Ok(None) };
        let mut fetched = match question.slot.and_then(|slot| slot.lock().take()) {
            Some(batch) => self.by_key(&batch?)?,
            None => HashMap::new(),
        };
        let now = self.lookup.clock.monotonic();
        let mut cache = self.lookup.cache();
        let mut starts = vec![0];
        let mut rows: Vec<KeyRows> = Vec::with_capacity(question.keys.len());
        for (key, known) in question.keys {
            let of_key = known.unwrap_or_else(|| {
                let of_key: KeyRows = fetched.remove(&key).unwrap_or_default().into();
                if let Some(cache) = &mut cache {
                    cache.put(key, of_key.clone(), now);
                }
                of_key
            });
            starts.push(starts.last().unwrap_or(&0) + of_key.len() as u32);
            rows.push(of_key);
        }
        drop(cache);
        let parser = self.rows.parser();
        let rows = self
            .rows
            .convert_rows(rows.iter().flat_map(|r| r.iter()).map(|bytes| parser.parse(bytes)));
        let rows =
            rows.and_then(|columns| RecordBatch::try_new(self.lookup.spec.schema.clone(), columns));
        Ok(Some(Answer { rows: rows.map_err(|e| self.lookup.error(e))?, starts }))
    }

    /// The rows that were fetched, by their keys.
    fn by_key(&self, batch: &RecordBatch) -> Result<HashMap<Key, Vec<RowBytes>>, LookupError> {
        let spec = &self.lookup.spec;
        let columns: Vec<ArrayRef> = spec.keys.iter().map(|&k| batch.column(k).clone()).collect();
        let rows = self.rows.convert_columns(batch.columns()).map_err(|e| self.lookup.error(e))?;
        let mut out: HashMap<Key, Vec<RowBytes>> = HashMap::new();
        let keys = self.encode(&columns)?;
        for row in 0..batch.num_rows() {
            if let Some(key) = keys.get(row) {
                let row: RowBytes = rows.row(row).data().into();
                match out.get_mut(key) {
                    Some(of_key) => of_key.push(row),
                    None => drop(out.insert(key.into(), vec![row])),
                }
            }
        }
        Ok(out)
    }
}
