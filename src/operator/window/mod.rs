//! Windowed aggregation: which window does a row enter, what is kept for it, and when does it fire?
//!
//! In reading order: `slice` (from event time to window ends, lateness), `table` (groups and their accumulators), `local`
//! (aggregation before the exchange), `aggregate` (after it), `state` (what it keeps), `fire` (turning a closed window into
//! rows) with `gather` (what it asks of the state), `sums` (what overlapping windows share), `stored` (the packed form in the store).

pub mod aggregate;
pub mod assign;
pub(super) mod fire;
mod gather;
pub mod local;
pub mod rows;
pub mod slice;
mod state;
pub(super) mod stored;
mod sums;
pub mod table;

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{
    DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
};

use super::aggregate::Aggregate;
use crate::ids::OperatorId;
use crate::time::zone::Zone;
use crate::time::{EventTime, Watermark};
pub use slice::Windows;

/// A window aggregation, resolved: what `plan` decides and both operators work from.
///
/// Input columns are, in this order: the rowtime, the keys, then arguments and filters that `aggregates` point to.
#[derive(Debug, Clone)]
pub struct WindowAggregateSpec {
    /// Stable number of the operator within the query; part of stored keys.
    pub operator: OperatorId,
    pub windows: Windows,
    /// The zone in which the windows lie. None: on the rowtime as it is.
    pub zone: Option<Zone>,
    pub key_types: Vec<DataType>,
    pub aggregates: Vec<Aggregate>,
    /// The columns before the aggregates in the output.
    pub group_columns: Vec<GroupColumn>,
    pub output: SchemaRef,
    /// The rows of a window come by key group, then key. False where what follows goes by an order of its own: sorting all
    /// groups of every window costs more than anything else that a fire does.
    pub in_order: bool,
}

/// A GROUP BY column of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupColumn {
    WindowStart,
    WindowEnd,
    WindowTime,
    /// Index among the keys.
    Key(usize),
}

/// The local times of points in time.
pub fn local_times(zone: Option<&Zone>, times_ms: ScalarBuffer<i64>) -> ScalarBuffer<i64> {
    match zone {
        Some(zone) => times_ms.iter().map(|&ms| zone.local(ms)).collect(),
        None => times_ms,
    }
}

/// The local times that are over at watermarks.
pub fn local_watermarks(zone: Option<&Zone>, watermarks_ms: Option<&ScalarBuffer<i64>>) -> Option<ScalarBuffer<i64>> {
    match (zone, watermarks_ms) {
        (Some(zone), Some(marks)) => Some(marks.iter().map(|&ms| local_watermark(Some(zone), Watermark::at(ms)).ms()).collect()),
        (_, marks) => marks.cloned(),
    }
}

/// The local time that is over at a watermark.
pub fn local_watermark(zone: Option<&Zone>, watermark: Watermark) -> Watermark {
    match zone {
        // No watermark yet, and the end of input, are the same everywhere.
        Some(zone) if watermark != Watermark::NONE && watermark != Watermark::END => zone.watermark(watermark),
        _ => watermark,
    }
}

/// The `window_time` of a window that ends at this time.
pub fn window_time(zone: Option<&Zone>, end: EventTime) -> EventTime {
    let last = end.earlier(1);
    zone.map_or(last, |zone| EventTime::at(zone.instant(last.ms())))
}

/// The type of `window_start` and `window_end`.
pub fn window_bound_type() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, None)
}

impl WindowAggregateSpec {
    /// Index of the first key among the input columns.
    pub const FIRST_KEY: usize = 1;

    /// The aggregates with DISTINCT, in order: the i-th has value table i + 1.
    pub fn distinct(&self) -> impl Iterator<Item = (usize, &Aggregate)> {
        self.aggregates.iter().enumerate().filter(|(_, a)| a.distinct)
    }

    /// An output schema from group columns and aggregates, for a rowtime of this type.
    pub fn output_schema(
        names: &[String],
        group: &[GroupColumn],
        keys: &[DataType],
        aggregates: &[Aggregate],
        rowtime: &DataType,
    ) -> SchemaRef {
        let group_types = group.iter().map(|g| match g {
            GroupColumn::WindowStart | GroupColumn::WindowEnd => window_bound_type(),
            GroupColumn::WindowTime => match rowtime {
                DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Millisecond, zone.clone()),
                other => other.clone(),
            },
            GroupColumn::Key(i) => keys[*i].clone(),
        });
        let types = group_types.chain(aggregates.iter().map(|a| a.output_type.clone()));
        Arc::new(Schema::new(names.iter().zip(types).map(|(n, t)| Field::new(n, t, true)).collect::<Vec<_>>()))
    }
}

/// A rowtime column as ms, fractions floored. Rows without a rowtime never get here: the source diverts them.
pub fn event_times_ms(column: &ArrayRef) -> ScalarBuffer<i64> {
    match column.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            column.as_primitive::<TimestampMicrosecondType>().values().iter().map(|v| v.div_euclid(1000)).collect()
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            column.as_primitive::<TimestampNanosecondType>().values().iter().map(|v| v.div_euclid(1_000_000)).collect()
        }
        _ => column.as_primitive::<TimestampMillisecondType>().values().clone(),
    }
}
