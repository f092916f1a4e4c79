//! Lists of elements, built from what other lists hold: elements in one pool, and indices into it.
//!
//! Used by the functions of this folder that give arrays, maps and rows.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray, StructArray, UInt32Array, make_array};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::{concat, take};
use arrow::datatypes::DataType;

use crate::state::key::{KeyBuf, encode_keys};

/// The fields of rows; those of a row that is NULL are NULL.
pub fn row_fields(rows: &StructArray) -> Vec<ArrayRef> {
    rows.columns().iter().map(|field| masked(field, rows.nulls())).collect()
}

/// A column with more NULLs.
pub(super) fn masked(column: &ArrayRef, nulls: Option<&NullBuffer>) -> ArrayRef {
    let Some(nulls) = nulls.filter(|n| n.null_count() > 0) else { return column.clone() };
    let all = NullBuffer::union(column.nulls(), Some(nulls));
    match column.to_data().into_builder().nulls(all).build() {
        Ok(data) => make_array(data),
        // The lengths agree, so this does not happen.
        Err(_) => column.clone(),
    }
}

/// The elements that a list's offsets reach, and the offsets into them.
pub fn reached(list: &ListArray) -> (ArrayRef, OffsetBuffer<i32>) {
    let offsets = list.offsets();
    let (from, to) = (offsets[0], offsets[offsets.len() - 1]);
    let moved = offsets.iter().map(|o| o - from).collect::<Vec<_>>();
    (list.values().slice(from as usize, (to - from) as usize), OffsetBuffer::new(ScalarBuffer::from(moved)))
}

/// Elements of several columns behind one another, for [`Lists`].
pub struct Pool {
    pub elements: ArrayRef,
    /// Where each column begins.
    pub starts: Vec<u32>,
}

impl Pool {
    pub fn new(columns: &[&ArrayRef]) -> Result<Pool, String> {
        let mut starts = Vec::with_capacity(columns.len());
        let mut total = 0usize;
        for column in columns {
            starts.push(u32::try_from(total).map_err(|_| "too many elements")?);
            total += column.len();
        }
        let parts: Vec<&dyn Array> = columns.iter().map(|c| &***c).collect();
        Ok(Pool { elements: concat(&parts).map_err(|e| e.to_string())?, starts })
    }

    /// The bytes that say which elements are equal, and how they sort.
    pub fn keys(&self) -> KeyBuf {
        let mut keys = KeyBuf::default();
        encode_keys(std::slice::from_ref(&self.elements), self.elements.len(), &mut keys);
        keys
    }
}

/// Lists of elements of a pool, row by row.
pub struct Lists {
    indices: Vec<u32>,
    ends: Vec<i32>,
    valid: Vec<bool>,
}

impl Lists {
    pub fn new(rows: usize) -> Lists {
        let mut ends = Vec::with_capacity(rows + 1);
        ends.push(0);
        Lists { indices: Vec::new(), ends, valid: Vec::with_capacity(rows) }
    }
    pub fn push(&mut self, index: u32) {
        self.indices.push(index);
    }
    pub fn extend(&mut self, indices: impl IntoIterator<Item = u32>) {
        self.indices.extend(indices);
    }
    /// The elements pushed in the row under way.
    pub fn open(&mut self) -> &mut [u32] {
        let from = self.ends.last().map_or(0, |&end| end as usize);
        &mut self.indices[from..]
    }
    pub fn close(&mut self) {
        self.end();
        self.valid.push(true);
    }
    pub fn null(&mut self) {
        self.end();
        self.valid.push(false);
    }
    fn end(&mut self) {
        // Indices are of a pool, whose lists have 32-bit offsets; a row repeats none of them more than twice.
        self.ends.push(i32::try_from(self.indices.len()).unwrap_or(i32::MAX));
    }

    pub fn finish(self, pool: &Pool, result: &DataType) -> Result<ArrayRef, String> {
        let DataType::List(item) = result else { return Err("not a list".into()) };
        if i32::try_from(self.indices.len()).is_err() {
            return Err("too many elements".into());
        }
        let values = take(&pool.elements, &UInt32Array::from(self.indices), None).map_err(|e| e.to_string())?;
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.ends));
        let nulls = Some(NullBuffer::from(self.valid)).filter(|n| n.null_count() > 0);
        Ok(Arc::new(ListArray::try_new(item.clone(), offsets, values, nulls).map_err(|e| e.to_string())?))
    }
}

/// Takes one element a row, None for NULL.
pub(super) fn pick(values: &ArrayRef, indices: Vec<Option<u32>>) -> Result<ArrayRef, String> {
    take(values, &UInt32Array::from(indices), None).map_err(|e| e.to_string())
}
