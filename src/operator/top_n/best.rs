//! Which rows of a window are the best of their partitions?
//!
//! Called by both operators of this folder. What always holds: the order is total, so that any way of putting rows together
//! leads to the same ones.

use arrow::array::{ArrayRef, Int64Array, UInt32Array};
use arrow::compute::{SortOptions, concat_batches, take_record_batch};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};

use super::TopNSpec;
use crate::floats::one_nan;
use crate::state::key_group::row_key_groups;

/// The order of rows by some of their columns.
fn encoded(all: &RecordBatch, columns: &[(usize, SortOptions)]) -> Result<arrow::row::Rows, ArrowError> {
    let fields = columns.iter().map(|&(c, o)| SortField::new_with_options(all.column(c).data_type().clone(), o)).collect();
    let arrays: Vec<ArrayRef> = columns.iter().map(|&(c, _)| one_nan(all.column(c))).collect();
    RowConverter::new(fields)?.convert_columns(&arrays)
}

/// Of rows without a PARTITION BY those that may be among the first: up to the last of these in the ORDER BY, with all that
/// are equal to it. Found in linear time, so that only few rows are compared by all their columns.
fn candidates(spec: &TopNSpec, all: RecordBatch) -> Result<RecordBatch, ArrowError> {
    if !spec.partition_by.is_empty() || spec.limit == 0 || all.num_rows() / 2 <= spec.limit {
        return Ok(all);
    }
    let order = encoded(&all, &spec.order_by)?;
    let mut indices: Vec<u32> = (0..all.num_rows() as u32).collect();
    let (_, &mut last, _) =
        indices.select_nth_unstable_by(spec.limit - 1, |&a, &b| order.row(a as usize).cmp(&order.row(b as usize)));
    let last = order.row(last as usize);
    let picks: UInt32Array =
        (0..all.num_rows() as u32).filter(|&row| order.row(row as usize) <= last).collect::<Vec<u32>>().into();
    take_record_batch(&all, &picks)
}

/// The best rows of each partition in order, with their numbers.
pub(super) fn best_rows(spec: &TopNSpec, batches: &[RecordBatch]) -> Result<(RecordBatch, Int64Array), ArrowError> {
    let all = candidates(spec, concat_batches(&spec.input, batches)?)?;
    let groups = row_key_groups(&spec.partition_by, &all);
    let plain = SortOptions { descending: false, nulls_first: true };
    let partition = match spec.partition_by.as_slice() {
        [] => None,
        columns => Some(encoded(&all, &columns.iter().map(|&c| (c, plain)).collect::<Vec<_>>())?),
    };
    // The other columns break ties, so that the order is total.
    let rest = (0..all.num_columns()).filter(|c| !spec.order_by.iter().any(|(o, _)| o == c)).map(|c| (c, plain));
    let order = encoded(&all, &spec.order_by.iter().copied().chain(rest).collect::<Vec<_>>())?;
    let same_partition = |a: u32, b: u32| partition.as_ref().is_none_or(|p| p.row(a as usize) == p.row(b as usize));
    let mut indices: Vec<u32> = (0..all.num_rows() as u32).collect();
    indices.sort_unstable_by(|&a, &b| {
        let (x, y) = (a as usize, b as usize);
        let by_partition = partition.as_ref().map_or(std::cmp::Ordering::Equal, |p| p.row(x).cmp(&p.row(y)));
        groups[x].cmp(&groups[y]).then(by_partition).then_with(|| order.row(x).cmp(&order.row(y)))
    });
    let mut picks: Vec<u32> = Vec::new();
    let mut numbers = Vec::new();
    let mut number = 0;
    for (i, &row) in indices.iter().enumerate() {
        number = if i > 0 && same_partition(indices[i - 1], row) { number + 1 } else { 1 };
        if number <= spec.limit as i64 {
            picks.push(row);
            numbers.push(number);
        }
    }
    Ok((take_record_batch(&all, &UInt32Array::from(picks))?, Int64Array::from(numbers)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::AsArray;
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::ids::OperatorId;
    use crate::support::seeds::each_seed;
    use crate::support::tier::by_tier;

    /// Many ties, and more rows than are asked for: the rows are those that sorting all of them gives.
    #[test]
    fn the_best_rows_are_those_of_a_full_sort() {
        let field = |name: &str| Field::new(name, DataType::Int64, true);
        let schema = Arc::new(Schema::new(vec![field("key"), field("count")]));
        each_seed(0..by_tier(100, 200, 10_000), |seed| {
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let (rows, limit) = (rng.random_range(1..200), rng.random_range(1..20));
            let mut pairs: Vec<(i64, Option<i64>)> =
                (0..rows).map(|key| (key, rng.random_bool(0.9).then(|| rng.random_range(0..12)))).collect();
            let spec = TopNSpec {
                operator: OperatorId::FIRST,
                zone: None,
                partition_by: vec![],
                order_by: vec![(1, SortOptions { descending: true, nulls_first: false })],
                limit,
                by_arrival: false,
                input: schema.clone(),
                output: schema.clone(),
            };
            let column =
                |f: fn(&(i64, Option<i64>)) -> Option<i64>| -> ArrayRef { Arc::new(pairs.iter().map(f).collect::<Int64Array>()) };
            let batch = RecordBatch::try_new(schema.clone(), vec![column(|p| Some(p.0)), column(|p| p.1)]).expect("two columns");
            let cut = rng.random_range(0..=batch.num_rows());
            let batches = [batch.slice(cut, batch.num_rows() - cut), batch.slice(0, cut)];
            let (best, numbers) = best_rows(&spec, &batches).expect("sorts");
            pairs.sort_by_key(|(key, count)| (std::cmp::Reverse(*count), *key));
            let expected: Vec<i64> = pairs.iter().take(limit).map(|(key, _)| *key).collect();
            assert_eq!(best.column(0).as_primitive::<Int64Type>().values().to_vec(), expected, "seed {seed}");
            assert_eq!(numbers.len(), expected.len());
        });
    }
}
