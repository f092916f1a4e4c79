//! The rows of a partition in the order of a value, each with its result.
//!
//! Kept by `by_value`. What always holds: rows that compare equal are in the order in which they
//! came, and every row has the result that was last sent on for it. Results are not stored: the
//! rows give the same ones again.
//!
//! Stored as `packed columns`: those of the rows, then their places, if they are known.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, RecordBatch};
use arrow::compute::{SortOptions, concat_batches};
use arrow::datatypes::DataType;

use crate::operator::OperatorError;
use crate::operator::keyed::KeyedValue;
use crate::operator::over::by_value::ByValueSpec;
use crate::operator::rank::sorted::sort_keys;
use crate::state::key::KeyBuf;
use crate::state::packed::{pack, unpack};

/// Where a row stands in its partition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OrderPlace {
    /// What it is ordered by, as bytes in that order.
    pub value: Box<[u8]>,
    /// Among those that compare equal: when it arrived. Empty if that is not known; then those that
    /// came first are first.
    pub arrival: Box<[u8]>,
}

#[derive(Debug, Clone)]
pub(crate) struct Ordered {
    pub rows: RecordBatch,
    pub places: Vec<OrderPlace>,
    /// The result of each row, encoded as a key. Empty after reading: to be found again.
    pub results: Vec<Arc<[u8]>>,
    bytes: usize,
}

/// What a row costs in memory besides its columns, its place and its result.
const ROW_BYTES: usize = 80;

impl Ordered {
    pub fn new(spec: &ByValueSpec) -> Ordered {
        Ordered {
            rows: RecordBatch::new_empty(spec.input.clone()),
            places: vec![],
            results: vec![],
            bytes: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// The rows that compare equal to `value`, as a range.
    pub(crate) fn peers(&self, value: &[u8]) -> (usize, usize) {
        (
            self.places.partition_point(|p| *p.value < *value),
            self.places.partition_point(|p| *p.value <= *value),
        )
    }

    /// Puts a row behind all that are not after it, with a result that is still to be set. Where it
    /// is now.
    pub fn insert(&mut self, row: &RecordBatch, place: OrderPlace) -> Result<usize, OperatorError> {
        let at = self.places.partition_point(|p| *p <= place);
        let (before, after) = (self.rows.slice(0, at), self.rows.slice(at, self.len() - at));
        self.rows = concat_batches(&self.rows.schema(), [&before, row, &after])?;
        debug_assert!(
            at == 0 || self.places[at - 1] <= place,
            "a row stands before one that is less"
        );
        self.places.insert(at, place);
        self.results.insert(at, Arc::default());
        debug_assert_eq!(self.rows.num_rows(), self.places.len(), "a row without a place");
        Ok(at)
    }

    pub fn remove(&mut self, at: usize) -> Result<(), OperatorError> {
        let (before, after) =
            (self.rows.slice(0, at), self.rows.slice(at + 1, self.len() - at - 1));
        self.rows = concat_batches(&self.rows.schema(), [&before, &after])?;
        self.places.remove(at);
        self.results.remove(at);
        Ok(())
    }

    /// Counts its bytes again, after changes.
    pub(crate) fn weigh(&mut self) {
        let places: usize = self.places.iter().map(|p| p.value.len() + p.arrival.len()).sum();
        let results: usize = self.results.iter().map(|r| r.len()).sum();
        self.bytes = self.rows.get_array_memory_size() + places + results + self.len() * ROW_BYTES;
    }
}

/// The values of the column that orders the rows, as bytes in that order.
pub(crate) fn order_values(spec: &ByValueSpec, rows: &RecordBatch) -> KeyBuf {
    let options = SortOptions { descending: false, nulls_first: spec.nulls_first };
    sort_keys(&[(rows.column(spec.order).clone(), options)], rows.num_rows())
}

impl KeyedValue for Ordered {
    type Types = Arc<ByValueSpec>;

    fn encode(&self) -> Vec<u8> {
        let mut columns = self.rows.columns().to_vec();
        if self.places.iter().any(|p| !p.arrival.is_empty()) {
            columns.push(Arc::new(BinaryArray::from_iter_values(
                self.places.iter().map(|p| p.arrival.as_ref()),
            )));
        }
        let mut out = Vec::new();
        pack(&columns, self.len(), &mut out);
        out
    }

    fn decode(bytes: &[u8], spec: &Arc<ByValueSpec>) -> Result<Ordered, OperatorError> {
        let mut types: Vec<DataType> =
            spec.input.fields().iter().map(|f| f.data_type().clone()).collect();
        if spec.by_arrival {
            types.push(DataType::Binary);
        }
        let mut columns: Vec<ArrayRef> = unpack(bytes, &types)?;
        let arrivals = if spec.by_arrival { columns.pop() } else { None };
        let rows =
            RecordBatch::try_new(spec.input.clone(), columns).map_err(OperatorError::damaged)?;
        let arrivals = arrivals.as_ref().map(|a| a.as_binary::<i32>());
        let values = order_values(spec, &rows);
        let place = |(row, value): (usize, &[u8])| OrderPlace {
            value: value.into(),
            arrival: arrivals
                .filter(|a| a.is_valid(row))
                .map(|a| a.value(row).into())
                .unwrap_or_default(),
        };
        let places = values.iter().enumerate().map(place).collect();
        let mut ordered = Ordered { rows, places, results: vec![], bytes: 0 };
        ordered.weigh();
        Ok(ordered)
    }

    fn memory_bytes(&self) -> usize {
        self.bytes + size_of::<Ordered>()
    }
}
