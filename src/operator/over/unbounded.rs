//! Unbounded frames: each key keeps one running aggregate.

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{concat, take};
use std::sync::Arc;

use super::{Frame, OverCall, OverSpec};
use crate::operator::aggregate::arrival::{ArrivalPlaces, WindowPart};
use crate::operator::aggregate::{Aggregate, Function, Selected};
use crate::operator::event::Arrivals;
use crate::operator::group::GroupSpec;
use crate::operator::group::keyed::{KeyedGroups, Nothing};
use crate::operator::{Context, OperatorError, Rows};
use crate::state::key::{KeyBuf, hash_key};

pub struct Unbounded {
    spec: OverSpec,
    pub groups: KeyedGroups<Nothing>,
}

/// Stands for a call that needs no accumulator.
fn counter() -> Aggregate {
    Aggregate::plain(
        Function::Count,
        None,
        arrow::datatypes::DataType::Int64,
        arrow::datatypes::DataType::Int64,
    )
}

impl Unbounded {
    pub fn new(spec: &OverSpec) -> Unbounded {
        // One accumulator for each call; ranks need none, since rows are counted anyway.
        let aggregates = spec.calls.iter().map(|call| match call {
            OverCall::Aggregate(aggregate) => aggregate.clone(),
            _ => counter(),
        });
        let group = GroupSpec {
            operator: spec.operator,
            key_types: spec
                .partition
                .iter()
                .map(|&c| spec.input.field(c).data_type().clone())
                .collect(),
            aggregates: aggregates.collect(),
            retracts: false,
            ttl: None,
            bundle_rows: None,
            windows: None,
            output: spec.output.clone(),
        };
        Unbounded { groups: KeyedGroups::new(group), spec: spec.clone() }
    }

    /// Results for due rows, in `order`: by key, then turn.
    pub fn results(
        &mut self,
        rows: &RecordBatch,
        times: &[i64],
        keys: &KeyBuf,
        order: &[u32],
        cx: &mut Context<'_>,
    ) -> Result<(Vec<u32>, Vec<ArrayRef>), OperatorError> {
        let hashes: Vec<u64> = keys.iter().map(hash_key).collect();
        let groups = self.groups.find(keys, &hashes, cx.now_ms, cx.db)?;
        // Rows that are taken together: those of one key and, with RANGE, of one time.
        let together = |&a: &u32, &b: &u32| {
            let (a, b) = (a as usize, b as usize);
            self.spec.frame == Frame::UnboundedRange
                && groups[a] == groups[b]
                && times[a] == times[b]
        };
        let mut rounds: Vec<Vec<&[u32]>> = Vec::new();
        let mut last: Option<(u32, usize)> = None;
        for peers in order.chunk_by(together) {
            let group = groups[peers[0] as usize];
            let round = last.filter(|(g, _)| *g == group).map_or(0, |(_, round)| round + 1);
            last = Some((group, round));
            if round == rounds.len() {
                rounds.push(Vec::new());
            }
            rounds[round].push(peers);
        }
        let mut out: Vec<u32> = Vec::with_capacity(order.len());
        let mut parts: Vec<Vec<ArrayRef>> = vec![Vec::new(); self.spec.calls.len()];
        for round in rounds {
            self.round(rows, &groups, &round, cx.now_ms, &mut out, &mut parts)?;
        }
        if out.is_empty() {
            return Ok((out, vec![]));
        }
        let columns = parts.iter().map(|parts| {
            let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
            concat(&parts).map_err(OperatorError::from)
        });
        Ok((out, columns.collect::<Result<_, _>>()?))
    }

    /// Folds rows in, of each key those taken together, and appends the results of each.
    fn round(
        &mut self,
        rows: &RecordBatch,
        groups: &[u32],
        round: &[&[u32]],
        now_ms: i64,
        out: &mut Vec<u32>,
        parts: &mut [Vec<ArrayRef>],
    ) -> Result<(), OperatorError> {
        let own: Vec<u32> = round.iter().map(|peers| groups[peers[0] as usize]).collect();
        let picks: Vec<u32> = round.iter().flat_map(|peers| peers.iter().copied()).collect();
        let of_rows: Vec<u32> = picks.iter().map(|&row| groups[row as usize]).collect();
        let before: Vec<i64> = own.iter().map(|&g| self.groups.rows(g).unwrap_or(0)).collect();
        // Places within a key only grow: its rows come in their order.
        let numbers = round
            .iter()
            .zip(&before)
            .flat_map(|(peers, &before)| (0..peers.len() as u64).map(move |i| before as u64 + i))
            .collect();
        let times_ms = std::iter::repeat_n(0, picks.len()).collect();
        let batch = arrow::compute::take_record_batch(rows, &UInt32Array::from(picks.clone()))?;
        let dealt = Rows { arrivals: Some(Arrivals { times_ms, numbers }), ..Rows::new(batch) };
        let columns = dealt.batch.columns();
        for (call, accumulators) in self.spec.calls.iter().zip(&mut self.groups.accumulators) {
            if let OverCall::Aggregate(aggregate) = call {
                let selected = Selected::of(
                    aggregate,
                    columns,
                    ArrivalPlaces::new(&dealt, &WindowPart::Whole),
                );
                accumulators.kernel_mut().update(
                    &of_rows,
                    aggregate.argument.map(|a| &columns[a]),
                    selected,
                );
            }
        }
        for ((&group, peers), before) in own.iter().zip(round).zip(&before) {
            self.groups.changed(group, before + peers.len() as i64, now_ms);
        }
        let results = self.groups.evaluate(&own)?;
        let of_peers: UInt32Array = round
            .iter()
            .enumerate()
            .flat_map(|(i, peers)| std::iter::repeat_n(i as u32, peers.len()))
            .collect();
        for (i, call) in self.spec.calls.iter().enumerate() {
            parts[i].push(match call {
                OverCall::RowNumber => {
                    let numbers = round.iter().zip(&before).flat_map(|(peers, &before)| {
                        (1..=peers.len() as i64).map(move |i| before + i)
                    });
                    Arc::new(numbers.collect::<Int64Array>()) as ArrayRef
                }
                OverCall::Rank => {
                    let ranks = round.iter().zip(&before).flat_map(|(peers, &before)| {
                        std::iter::repeat_n(before + peers.len() as i64, peers.len())
                    });
                    Arc::new(ranks.collect::<Int64Array>())
                }
                _ => take(&results[i], &of_peers, None)?,
            });
        }
        out.extend(picks);
        Ok(())
    }
}
