//! Gives rows what is not in their columns, as a column: the watermark before each, the time of
//! day, or random values.
//!
//! Stands before the filter or projection that asks with CURRENT_WATERMARK, a function of the
//! clock, RAND or UUID, which takes the column away again. The watermark is that of the row's
//! split; NULL before the first one.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, SchemaRef};
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Context, Event, Operator, OperatorError, Rows};
use crate::time::Watermark;

/// What the column says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    Watermark,
    /// Processing time: the same for all rows of a batch.
    Now,
    /// Another value for each row and each call.
    Random(Draw),
}

/// What is drawn at random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Draw {
    /// From 0 up to but not 1.
    Fraction,
    /// Version 4 of RFC 9562, as text.
    Uuid,
}

impl Draw {
    pub fn data_type(self) -> DataType {
        match self {
            Draw::Fraction => DataType::Float64,
            Draw::Uuid => DataType::Utf8,
        }
    }

    /// Another value for each of so many rows.
    pub fn values(self, rows: usize, random: &mut dyn RngCore) -> ArrayRef {
        match self {
            Draw::Fraction => {
                Arc::new((0..rows).map(|_| Some(random.random::<f64>())).collect::<Float64Array>())
            }
            Draw::Uuid => {
                Arc::new((0..rows).map(|_| Some(uuid(random.random()))).collect::<StringArray>())
            }
        }
    }
}

/// A source of randomness that no other one repeats.
pub fn randomness() -> ChaCha8Rng {
    // The standard library draws these keys from the system, anew in each process, and changes
    // them for each use.
    let seed = RandomState::new().build_hasher().finish();
    ChaCha8Rng::seed_from_u64(seed)
}

pub(crate) struct Marks {
    mark: Mark,
    random: Box<dyn RngCore + Send>,
    /// The input's columns, then the mark.
    output: SchemaRef,
}

impl Marks {
    pub fn new(mark: Mark, output: SchemaRef) -> Marks {
        Marks::with_random(mark, output, Box::new(randomness()))
    }

    /// With another source of randomness.
    pub(crate) fn with_random(
        mark: Mark,
        output: SchemaRef,
        random: Box<dyn RngCore + Send>,
    ) -> Marks {
        Marks { mark, random, output }
    }

    fn add(&mut self, rows: &Rows, now_ms: i64) -> Result<Rows, arrow::error::ArrowError> {
        let data_type = self.output.field(self.output.fields().len() - 1).data_type();
        let random = &mut self.random;
        let marks: ArrayRef = match self.mark {
            Mark::Watermark => {
                let known = |row: usize| {
                    Some(rows.watermark(row))
                        .filter(|&mark| mark > Watermark::NONE)
                        .map(Watermark::ms)
                };
                Arc::new(
                    (0..rows.len())
                        .map(known)
                        .collect::<TimestampMillisecondArray>()
                        .with_data_type(data_type.clone()),
                )
            }
            Mark::Now => Arc::new(
                TimestampMillisecondArray::from_value(now_ms, rows.len())
                    .with_data_type(data_type.clone()),
            ),
            Mark::Random(draw) => draw.values(rows.len(), random),
        };
        let mut columns: Vec<ArrayRef> = rows.batch.columns().to_vec();
        columns.push(marks);
        Ok(rows.with_batch(RecordBatch::try_new(self.output.clone(), columns)?))
    }
}

/// The text of a version 4 UUID of these bits.
fn uuid(bits: u128) -> String {
    // Four bits say the version, two the variant.
    let bits = bits & !(0xf << 76) | 4 << 76;
    let bits = bits & !(0b11 << 62) | 0b10 << 62;
    let text = format!("{bits:032x}");
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}

impl Operator for Marks {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        cx.out.push(match event {
            Event::Rows(rows) => {
                let added = self.add(&rows, cx.now_ms);
                Event::Rows(added?)
            }
            other => other,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::seeds::one_seed;
    use arrow::array::AsArray;
    use arrow::datatypes::{Field, Float64Type, Schema};

    #[test]
    fn uuids_say_their_version() {
        assert_eq!(uuid(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }

    #[test]
    fn each_row_has_a_value_of_its_own() {
        let v = Arc::new(Float64Array::from(vec![1.0, 2.0, 3.0])) as ArrayRef;
        let rows = Rows::new(RecordBatch::try_from_iter([("v", v)]).expect("a batch"));
        let seed = one_seed(7);
        let draw = |draw: Draw| {
            let fields = vec![
                Field::new("v", DataType::Float64, true),
                Field::new("(random)", draw.data_type(), true),
            ];
            let random = Box::new(ChaCha8Rng::seed_from_u64(seed.number));
            let mut marks =
                Marks::with_random(Mark::Random(draw), Arc::new(Schema::new(fields)), random);
            marks.add(&rows, 0).expect("adds").batch.column(1).clone()
        };
        let fractions = draw(Draw::Fraction).as_primitive::<Float64Type>().values().to_vec();
        assert!(
            fractions.iter().all(|f| (0.0..1.0).contains(f)) && fractions[0] != fractions[1],
            "{fractions:?}"
        );
        let uuids = draw(Draw::Uuid);
        let uuids: Vec<&str> = uuids.as_string::<i32>().iter().flatten().collect();
        assert!(uuids.len() == 3 && uuids[0] != uuids[1] && uuids[1] != uuids[2], "{uuids:?}");
    }
}
