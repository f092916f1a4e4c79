//! From rows to accumulators: which groups a batch belongs to, and how its rows are added and taken
//! back.
//!
//! Called by both operators of this folder. What always holds: rows that add are folded in before
//! those that take back, which no result can tell from any other order.

use arrow::array::{ArrayRef, BooleanArray};

use super::GroupSpec;
use super::keyed::{Beside, KeyedGroups};
use crate::operator::aggregate::Selected;
use crate::operator::aggregate::arrival::{ArrivalPlaces, WindowPart};
use crate::operator::{Context, OperatorError, Rows};
use crate::state::key::{KeyBuf, encode_keys, hash_key};

/// A batch with the groups of its rows, which are in memory.
pub(crate) struct GroupedRows<'a> {
    pub rows: &'a Rows,
    pub groups: Vec<u32>,
    pub adds: Vec<bool>,
}

impl<'a> GroupedRows<'a> {
    pub fn find<B: Beside>(
        key_columns: &[ArrayRef],
        rows: &'a Rows,
        state: &mut KeyedGroups<B>,
        cx: &Context<'_>,
    ) -> Result<GroupedRows<'a>, OperatorError> {
        let mut keys = KeyBuf::default();
        encode_keys(key_columns, rows.len(), &mut keys);
        let hashes: Vec<u64> = keys.iter().map(hash_key).collect();
        let groups = state.find(&keys, &hashes, cx.now_ms, cx.db)?;
        Ok(GroupedRows { rows, groups, adds: (0..rows.len()).map(|i| rows.op(i).adds()).collect() })
    }
}

/// Folds the rows at `kept` into their groups.
pub(crate) fn apply<B: Beside>(
    spec: &GroupSpec,
    state: &mut KeyedGroups<B>,
    input: &GroupedRows<'_>,
    kept: &[u32],
) -> Result<(), OperatorError> {
    let whole = kept.len() == input.groups.len();
    let rows = if whole { input.rows.clone() } else { input.rows.take(&kept.to_vec().into())? };
    let columns = rows.batch.columns();
    let groups: Vec<u32> = kept.iter().map(|&row| input.groups[row as usize]).collect();
    let adds: Vec<bool> = kept.iter().map(|&row| input.adds[row as usize]).collect();
    let all_add = adds.iter().all(|&a| a);
    let places = ArrivalPlaces::new(&rows, &WindowPart::Whole);
    for (aggregate, accumulators) in spec.aggregates.iter().zip(&mut state.accumulators) {
        let argument = aggregate.argument.map(|a| &columns[a]);
        let selected = Selected::of(aggregate, columns, places);
        if all_add {
            accumulators.kernel_mut().update(&groups, argument, selected);
            continue;
        }
        let which = |add: bool| -> BooleanArray {
            adds.iter()
                .enumerate()
                .map(|(row, &adds)| Some(adds == add && selected.has(row)))
                .collect()
        };
        let (adding, taking) = (which(true), which(false));
        accumulators.kernel_mut().update(&groups, argument, selected.filtered(&adding));
        accumulators.retract(&groups, argument, selected.filtered(&taking));
    }
    Ok(())
}
