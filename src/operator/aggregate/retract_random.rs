//! Tests of `retract`: rows are added, taken back and merged in random order, against a plain list of what is left.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::form::{Form, array_type};
use super::percentile::Fractions;
use super::retract::Accumulators;
use super::{Aggregate, Fixed, Function, NullValues, Selected, result_type};
use crate::map_keys;
use crate::operator::aggregate::retracting::{Retraction, accumulators};
use crate::support::seeds::each_seed;
use crate::support::tier::by_tier;

/// Values with how many rows of each are left, lowest first.
type Left = BTreeMap<Option<i64>, i64>;

fn aggregate(function: Function, input_type: DataType, fixed: Fixed, distinct: bool) -> Aggregate {
    let output_type = match function {
        Function::Collect => {
            let pair = Fields::from(vec![map_keys::field(input_type.clone()), Field::new("value", DataType::Int32, true)]);
            DataType::Map(Arc::new(Field::new("entries", DataType::Struct(pair), false)), false)
        }
        Function::ArrayAgg => array_type(&input_type),
        _ => result_type(function, &input_type).expect("takes it"),
    };
    let first_seen = distinct && function.goes_by_arrival();
    let distinct = distinct && !first_seen;
    Aggregate { function, argument: Some(0), second: None, fixed, filter: None, distinct, first_seen, input_type, output_type }
}

fn numbers(left: &Left) -> Vec<i64> {
    left.iter().filter_map(|(v, n)| v.map(|v| vec![v; *n as usize])).flatten().collect()
}

fn or_null<T: ToString>(value: Option<T>) -> Vec<String> {
    vec![value.map_or("NULL".into(), |v| v.to_string())]
}

/// What the aggregate is of the rows that are left, as the parts of its text in order.
fn expected(aggregate: &Aggregate, left: &Left) -> Vec<String> {
    let values = numbers(left);
    let n = values.len() as i64;
    let (sum, squares) = (values.iter().sum::<i64>(), values.iter().map(|v| v * v).sum::<i64>());
    let texts = || values.iter().map(i64::to_string).collect::<Vec<_>>();
    match aggregate.function {
        Function::Count => vec![n.to_string()],
        Function::Sum => or_null((n > 0).then_some(sum)),
        Function::Avg => or_null((n > 0).then(|| sum / n)),
        Function::Min => or_null(values.first()),
        Function::Max => or_null(values.last()),
        Function::VarPop => or_null((n > 0).then(|| (n * squares - sum * sum) / (n * n))),
        Function::VarSamp => or_null((n > 1).then(|| format!("{:.9}", (n * squares - sum * sum) as f64 / (n * (n - 1)) as f64))),
        Function::Percentile => or_null((n > 0).then(|| {
            let at = (n - 1) as usize;
            format!("{:.9}", (values[at / 2] + values[at.div_ceil(2)]) as f64 / 2.0)
        })),
        Function::Collect => left.iter().filter_map(|(v, n)| v.map(|v| format!("{v}: {n}"))).collect(),
        Function::ArrayAgg if left.is_empty() => or_null::<i64>(None),
        Function::ArrayAgg => {
            let nulls = left.get(&None).map_or(0, |n| *n as usize);
            texts().into_iter().chain(vec!["NULL".to_string(); nulls]).collect()
        }
        Function::ListAgg if n == 0 => or_null::<i64>(None),
        _ => texts(),
    }
}

fn found(aggregate: &Aggregate, result: &ArrayRef, row: usize) -> Vec<String> {
    if result.is_null(row) {
        return or_null::<i64>(None);
    }
    let options = FormatOptions::default().with_null("NULL");
    let shown = map_keys::shown(result).expect("shown");
    let text = ArrayFormatter::try_new(shown.as_ref(), &options).expect("prints").value(row).to_string();
    if matches!(aggregate.function, Function::VarSamp | Function::Percentile) {
        return vec![format!("{:.9}", text.parse::<f64>().expect("a number"))];
    }
    let parts = text.trim_matches(['[', ']', '{', '}']).split(',').map(|part| part.trim().to_string());
    parts.filter(|part| !part.is_empty()).collect()
}

const GROUPS: usize = 3;
const PARTS: u64 = 4;

#[derive(Clone, Copy)]
struct Change {
    group: u32,
    value: Option<i64>,
    /// Whether the FILTER is true.
    counts: bool,
    by: i64,
}

/// Changes in random order, which leave no value taken back more often than it was added.
fn changes(rng: &mut ChaCha8Rng) -> (Vec<Change>, Vec<Left>) {
    let mut left = vec![Left::new(); GROUPS];
    let mut changes = Vec::new();
    for _ in 0..rng.random_range(0..60) {
        let value = Some(rng.random_range(-3..4)).filter(|v| *v != 3);
        let (group, counts) = (rng.random_range(0..GROUPS as u32), rng.random_range(0..4) > 0);
        let by = if rng.random_range(0..5) < 2 { -1 } else { 1 };
        changes.push(Change { group, value, counts, by });
        *left[group as usize].entry(value).or_default() += if counts { by } else { 0 };
    }
    for (group, left) in left.iter_mut().enumerate() {
        for (value, n) in left.iter_mut().filter(|(_, n)| **n < 0) {
            let owed = Change { group: group as u32, value: *value, counts: true, by: 1 };
            changes.extend(std::iter::repeat_n(owed, n.unsigned_abs() as usize));
            *n = 0;
        }
        left.retain(|_, n| *n != 0);
    }
    for i in (1..changes.len()).rev() {
        changes.swap(i, rng.random_range(0..=i));
    }
    (changes, left)
}

fn apply(accumulators: &mut Accumulators, aggregate: &Aggregate, changes: &[Change]) {
    for change in changes {
        let value = cast(&(Arc::new(Int64Array::from(vec![change.value])) as ArrayRef), &aggregate.input_type).expect("casts");
        let filter = BooleanArray::from(vec![change.counts]);
        let rows = Selected::by(Some(&filter));
        if change.by > 0 {
            accumulators.kernel_mut().update(&[change.group], Some(&value), rows);
        } else {
            accumulators.retract(&[change.group], Some(&value), rows);
        }
    }
}

#[test]
fn what_is_left_counts_whatever_came_first_and_was_merged_when() {
    use DataType::{Float64, Int64, Utf8};
    let form = |form| Fixed::Form(form);
    let median = || Fixed::Fractions(Fractions { fractions: vec![0.5], as_array: false });
    let kinds = [
        (Function::Count, Int64, Fixed::Nothing),
        (Function::Sum, Int64, Fixed::Nothing),
        (Function::Avg, Int64, Fixed::Nothing),
        (Function::Min, Int64, Fixed::Nothing),
        (Function::Max, Int64, Fixed::Nothing),
        (Function::VarPop, Int64, Fixed::Nothing),
        (Function::VarSamp, Float64, Fixed::Nothing),
        (Function::Percentile, Int64, median()),
        (Function::Collect, Int64, Fixed::Nothing),
        (Function::ArrayAgg, Int64, form(Form::Array { item: Int64, nulls: NullValues::Kept })),
        (Function::ListAgg, Utf8, form(Form::Text { separator: ",".into() })),
        (Function::JsonArray, Utf8, form(Form::JsonArray { nulls: NullValues::Skipped })),
    ];
    each_seed(0..by_tier(30, 60, 5000), |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for (function, input_type, fixed) in &kinds {
            let function = *function;
            for distinct in [false, true] {
                let aggregate = aggregate(function, input_type.clone(), fixed.clone(), distinct);
                let (changes, mut left) = changes(&mut rng);
                if distinct {
                    left.iter_mut().flat_map(BTreeMap::values_mut).for_each(|n| *n = 1);
                }
                let groups: Vec<u32> = (0..GROUPS as u32).collect();
                let mut whole = accumulators(&aggregate, Retraction::Possible);
                whole.kernel_mut().resize(GROUPS);
                let mut merged = accumulators(&aggregate, Retraction::Possible);
                merged.kernel_mut().resize(GROUPS);
                apply(&mut whole, &aggregate, &changes);
                for part in 0..PARTS {
                    let mut partial = accumulators(&aggregate, Retraction::Possible);
                    partial.kernel_mut().resize(GROUPS);
                    let own: Vec<Change> = changes.iter().copied().skip(part as usize).step_by(PARTS as usize).collect();
                    apply(&mut partial, &aggregate, &own);
                    let state = partial.kernel().state(&groups);
                    let types: Vec<DataType> = state.iter().map(|s| s.data_type().clone()).collect();
                    assert_eq!(types, partial.kernel().state_types());
                    merged.kernel_mut().merge(&groups, &state);
                }
                for (how, accumulators) in [("one by one", &whole), ("merged", &merged)] {
                    let result = accumulators.kernel().evaluate(&groups).expect("evaluates");
                    for (group, left) in left.iter().enumerate() {
                        let (mut found, mut expected) = (found(&aggregate, &result, group), expected(&aggregate, left));
                        found.sort();
                        expected.sort();
                        assert_eq!(found, expected, "{function:?}, DISTINCT {distinct}, {how}: {left:?}");
                    }
                }
                // An empty kernel has no values in memory, and neither has one that was emptied.
                let before = merged.kernel().memory_bytes();
                groups.iter().for_each(|&g| merged.kernel_mut().clear(g));
                assert!(merged.kernel().memory_bytes() <= before);
                let result = merged.kernel().evaluate(&groups).expect("evaluates");
                let none = expected(&aggregate, &Left::new());
                assert_eq!(found(&aggregate, &result, 0), none, "{function:?} once cleared");
            }
        }
    });
}

#[test]
fn a_distinct_value_stands_where_its_first_row_came_until_its_last_goes() {
    let listed = aggregate(Function::ListAgg, DataType::Utf8, Fixed::Form(Form::Text { separator: ",".into() }), true);
    let change = |value, by| Change { group: 0, value: Some(value), counts: true, by };
    for (changes, expected) in [
        (vec![change(1, 1), change(2, 1), change(1, 1), change(1, -1)], "1,2"),
        (vec![change(1, 1), change(2, 1), change(1, 1), change(1, -1), change(1, -1)], "2"),
        (vec![change(1, 1), change(2, 1), change(1, -1), change(1, 1)], "2,1"),
        (vec![change(3, -1), change(2, 1), change(3, 1), change(1, 1)], "2,1"),
    ] {
        let mut whole = accumulators(&listed, Retraction::Possible);
        whole.kernel_mut().resize(1);
        apply(&mut whole, &listed, &changes);
        // As after a restart.
        let mut copy = accumulators(&listed, Retraction::Possible);
        copy.kernel_mut().resize(1);
        copy.kernel_mut().merge(&[0], &whole.kernel().state(&[0]));
        for accumulators in [&whole, &copy] {
            let result = accumulators.kernel().evaluate(&[0]).expect("evaluates");
            assert_eq!(found(&listed, &result, 0).join(","), expected);
        }
    }
}
