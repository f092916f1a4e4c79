//! One row for each element: UNNEST of an ARRAY, a MAP or a MULTISET.
//!
//! A step of a chain before any exchange or behind one; it keeps no state. What always holds: each
//! row that comes out has the watermark, the split and the window of the row it comes from, and
//! stands in its order; batches that come out are bounded, however long the arrays are.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, UInt32Array, new_null_array};
use arrow::buffer::NullBuffer;
use arrow::compute::take;
use arrow::datatypes::{DataType, Int32Type, SchemaRef};

use super::{Context, Event, Operator, OperatorError, Rows};
use crate::map_keys;
use crate::rows::batch_of;
use crate::types::nested::is_multiset;

/// Rows of a batch that comes out: about what a source's batch has.
const ROWS_MAX: usize = 8192;

/// What is taken apart, and how.
#[derive(Debug, Clone)]
pub struct UnnestSpec {
    /// The column of the input with the values to take apart. It is the last one and is not passed
    /// on.
    pub column: usize,
    /// How many columns stand before those of the elements; those after them follow.
    pub before: usize,
    /// LEFT JOIN: a row without elements comes out once, with NULLs.
    pub outer: bool,
    /// WITH ORDINALITY: the last column counts from 1.
    pub ordinality: bool,
    pub output: SchemaRef,
}

/// How often an element stands in a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elements {
    /// Once for each time that it is written: an ARRAY or a MAP.
    Each,
    /// As often as the number beside it says: a MULTISET.
    Counted,
}

impl Elements {
    pub fn of(data_type: &DataType) -> Elements {
        if is_multiset(data_type) { Elements::Counted } else { Elements::Each }
    }
}

/// The types of the columns that an element has; None if values of the type have no elements.
pub(crate) fn element_types(data_type: &DataType) -> Option<Vec<(Option<String>, DataType)>> {
    let of = |data_type: &DataType| match data_type {
        DataType::Struct(fields) => {
            fields.iter().map(|f| (Some(f.name().clone()), f.data_type().clone())).collect()
        }
        other => vec![(None, other.clone())],
    };
    match data_type {
        DataType::List(item) => Some(of(item.data_type())),
        DataType::Map(..) => {
            map_keys::types(data_type).map(|(key, value)| match Elements::of(data_type) {
                Elements::Counted => of(key),
                Elements::Each => {
                    vec![(Some("KEY".into()), key.clone()), (Some("VALUE".into()), value.clone())]
                }
            })
        }
        _ => None,
    }
}

pub(crate) struct Unnest {
    spec: UnnestSpec,
    elements: Elements,
}

/// Which row and which element make each row that comes out.
#[derive(Default)]
struct Picks {
    rows: Vec<u32>,
    /// None where an outer row has no elements.
    elements: Vec<Option<u32>>,
    ordinals: Vec<Option<i32>>,
}

impl Picks {
    fn push(&mut self, row: usize, element: Option<u32>, ordinal: Option<i32>) {
        self.rows.push(row as u32);
        self.elements.push(element);
        self.ordinals.push(ordinal);
    }
}

impl Unnest {
    pub fn new(spec: UnnestSpec, elements: Elements) -> Unnest {
        Unnest { spec, elements }
    }

    fn apply(&self, rows: &Rows, cx: &mut Context<'_>) -> Result<(), String> {
        let column = rows.batch.column(self.spec.column);
        let (offsets, columns, counts, present) = self.parts(column)?;
        let mut picks = Picks::default();
        for row in 0..rows.batch.num_rows() {
            let mut ordinal = 0;
            if column.is_valid(row) {
                for at in offsets[row]..offsets[row + 1] {
                    // A row inside that is NULL is passed over.
                    if present.as_ref().is_some_and(|p| p.is_null(at as usize)) {
                        continue;
                    }
                    let times = counts.as_ref().map_or(1, |c| {
                        if c.is_null(at as usize) { 0 } else { c.value(at as usize) }
                    });
                    for _ in 0..times {
                        ordinal += 1;
                        picks.push(row, Some(at as u32), Some(ordinal));
                        if picks.rows.len() == ROWS_MAX {
                            self.emit(rows, &columns, &std::mem::take(&mut picks), cx)?;
                        }
                    }
                }
            }
            if self.spec.outer && ordinal == 0 {
                picks.push(row, None, None);
                if picks.rows.len() == ROWS_MAX {
                    self.emit(rows, &columns, &std::mem::take(&mut picks), cx)?;
                }
            }
        }
        self.emit(rows, &columns, &picks, cx)
    }

    /// The offsets of the elements, their columns, how often each counts, and which of them are
    /// there.
    #[expect(clippy::type_complexity, reason = "taken apart at once by the only caller")]
    fn parts(
        &self,
        column: &ArrayRef,
    ) -> Result<(Vec<i32>, Vec<ArrayRef>, Option<Int32Array>, Option<NullBuffer>), String> {
        let of = |values: &ArrayRef| match values.data_type() {
            DataType::Struct(_) => (values.as_struct().columns().to_vec(), values.nulls().cloned()),
            _ => (vec![values.clone()], None),
        };
        match column.data_type() {
            DataType::List(_) => {
                let list = column.as_list::<i32>();
                let (columns, present) = of(list.values());
                Ok((list.offsets().to_vec(), columns, None, present))
            }
            DataType::Map(..) => {
                let map = column.as_map();
                let offsets = map.offsets().to_vec();
                if self.elements == Elements::Counted {
                    let (columns, present) = of(map_keys::keys(map));
                    return Ok((
                        offsets,
                        columns,
                        Some(map.values().as_primitive::<Int32Type>().clone()),
                        present,
                    ));
                }
                Ok((offsets, vec![map_keys::keys(map).clone(), map.values().clone()], None, None))
            }
            other => Err(format!("{other} has no elements")),
        }
    }

    fn emit(
        &self,
        from: &Rows,
        elements: &[ArrayRef],
        picks: &Picks,
        cx: &mut Context<'_>,
    ) -> Result<(), String> {
        let n = picks.rows.len();
        debug_assert!(
            n <= ROWS_MAX && picks.elements.len() == n && picks.ordinals.len() == n,
            "{n} rows of one batch"
        );
        if n == 0 {
            return Ok(());
        }
        let wrong = |e: arrow::error::ArrowError| e.to_string();
        let rows = UInt32Array::from(picks.rows.clone());
        let indices = UInt32Array::from(picks.elements.clone());
        let input = from.batch.columns().iter().take(self.spec.column);
        let mut columns =
            input.map(|c| take(c, &rows, None)).collect::<Result<Vec<_>, _>>().map_err(wrong)?;
        let mut added: Vec<ArrayRef> = Vec::with_capacity(elements.len() + 1);
        for column in elements {
            // An array without a single element has nothing to take from.
            added.push(if column.is_empty() {
                new_null_array(column.data_type(), n)
            } else {
                take(column, &indices, None).map_err(wrong)?
            });
        }
        if self.spec.ordinality {
            added.push(Arc::new(Int32Array::from(picks.ordinals.clone())));
        }
        columns.splice(self.spec.before..self.spec.before, added);
        let batch = batch_of(self.spec.output.clone(), columns, n).map_err(wrong)?;
        let mut out = from.take(&rows).map_err(wrong)?.with_batch(batch);
        out.arrivals = out.arrivals.map(|a| a.apart(&picks.ordinals));
        cx.out.push(Event::Rows(out));
        Ok(())
    }
}

impl Operator for Unnest {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        match event {
            Event::Rows(rows) => {
                self.apply(&rows, cx).map_err(OperatorError::Kernel)?;
            }
            other => cx.out.push(other),
        }
        Ok(())
    }
}
