//! Rows with the session they are in: a SESSION without an aggregation above it.
//!
//! Stands behind an exchange by the session's PARTITION BY columns. It is the session aggregation
//! with one aggregate, a list of whole rows in the order of arrival, and takes the lists apart when
//! sessions fire; so sessions form, spill and come back as everywhere, and the rule of late rows is
//! the same. What always holds: a batch that comes out is of one window; its rows are in order of
//! their keys, and of their arrival within a session, which their new places in the order of
//! arrival say too.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StructArray};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimestampMillisecondType};

use super::SessionSpec;
use super::aggregate::SessionAggregate;
use crate::ids::OperatorId;
use crate::operator::aggregate::form::{Form, array_type};
use crate::operator::aggregate::{Aggregate, Fixed, Function, NullValues};
use crate::operator::event::Arrivals;
use crate::operator::window::assign::AssignedColumn;
use crate::operator::window::fire::constant;
use crate::operator::window::{GroupColumn, window_bound_type};
use crate::operator::{Context, Event, Operator, OperatorError, OperatorState, Rows, State, Steps};
use crate::state::key::{KeyBuf, encode_keys, hash_key};
use crate::state::store::{Changes, StateDb};
use crate::time::EventTime;
use crate::time::zone::Zone;

/// The rows of sessions, resolved. Column numbers are those of the input, whose columns are all of
/// key types.
#[derive(Debug, Clone)]
pub struct SessionRowsSpec {
    /// Stable number of the operator within the query; part of stored keys.
    pub operator: OperatorId,
    pub gap_ms: i64,
    /// The zone on whose local time gaps are measured. None: on the rowtime as it is.
    pub zone: Option<Zone>,
    pub rowtime: usize,
    pub keys: Vec<usize>,
    pub input: SchemaRef,
    pub columns: Vec<AssignedColumn>,
    pub output: SchemaRef,
}

/// Rows in one batch that comes out.
const BATCH_ROWS: usize = 8192;
/// Bits of a row's number that count the rows of its session; the others tell sessions of one
/// window apart.
const NUMBER_BITS: u32 = 24;

pub(crate) struct SessionRows {
    spec: SessionRowsSpec,
    /// What the aggregation reads: rowtime, keys, row.
    input: SchemaRef,
    sessions: SessionAggregate,
}

impl SessionRows {
    pub fn new(spec: SessionRowsSpec) -> SessionRows {
        let row = DataType::Struct(spec.input.fields().clone());
        let key_types: Vec<DataType> =
            spec.keys.iter().map(|&k| spec.input.field(k).data_type().clone()).collect();
        let list = array_type(&row);
        let field = |name: &str, data_type: &DataType| Field::new(name, data_type.clone(), true);
        let mut input = vec![field("rowtime", spec.input.field(spec.rowtime).data_type())];
        input.extend(key_types.iter().map(|t| field("key", t)));
        input.push(field("row", &row));
        let bound = window_bound_type();
        let mut output = vec![
            field("window_start", &bound),
            field("window_end", &bound),
            field("window_time", &bound),
        ];
        output.extend(key_types.iter().map(|t| field("key", t)));
        output.push(field("rows", &list));
        let mut group_columns =
            vec![GroupColumn::WindowStart, GroupColumn::WindowEnd, GroupColumn::WindowTime];
        group_columns.extend((0..key_types.len()).map(GroupColumn::Key));
        let rows = Aggregate {
            function: Function::ArrayAgg,
            argument: Some(1 + key_types.len()),
            second: None,
            fixed: Fixed::Form(Form::Array { item: row.clone(), nulls: NullValues::Kept }),
            filter: None,
            distinct: false,
            first_seen: false,
            input_type: row,
            output_type: list,
        };
        let sessions = SessionAggregate::new(SessionSpec {
            operator: spec.operator,
            gap_ms: spec.gap_ms,
            zone: spec.zone.clone(),
            key_types,
            aggregates: vec![rows],
            group_columns,
            output: Arc::new(Schema::new(output)),
        });
        SessionRows { spec, input: Arc::new(Schema::new(input)), sessions }
    }

    /// Rows as the aggregation reads them.
    fn folded(&self, rows: &Rows) -> Result<Rows, OperatorError> {
        let batch = &rows.batch;
        let row =
            StructArray::try_new(self.spec.input.fields().clone(), batch.columns().to_vec(), None);
        let row: ArrayRef = Arc::new(row?);
        let columns = std::iter::once(&self.spec.rowtime)
            .chain(&self.spec.keys)
            .map(|&c| batch.column(c).clone());
        let batch = RecordBatch::try_new(self.input.clone(), columns.chain([row]).collect());
        Ok(rows.with_batch(batch?))
    }

    /// The rows of sessions of one window.
    fn taken_apart(&self, sessions: &Rows, out: &mut Vec<Event>) -> Result<(), OperatorError> {
        let batch = &sessions.batch;
        let keys = &batch.columns()[3..batch.num_columns() - 1];
        let lists = batch.column(batch.num_columns() - 1).as_list::<i32>();
        let offsets = lists.value_offsets();
        let (first, last) = (offsets[0] as usize, offsets[batch.num_rows()] as usize);
        let rows = lists.values().slice(first, last - first);
        let rows = rows.as_struct();
        let mut encoded = KeyBuf::default();
        encode_keys(keys, batch.num_rows(), &mut encoded);
        let count = (1u64 << NUMBER_BITS) - 1;
        let numbers = (0..batch.num_rows()).flat_map(|session| {
            let key = hash_key(encoded.get(session)) & !count;
            // More rows than this in one session lose their order, not their places among other
            // sessions.
            (0..(offsets[session + 1] - offsets[session]) as u64)
                .map(move |number| key | number.min(count))
        });
        let bound = |column: usize, field: &FieldRef| {
            let value = batch.column(column).as_primitive::<TimestampMillisecondType>().value(0);
            constant(EventTime::at(value), rows.len(), field.data_type())
        };
        let column = |(column, field): (&AssignedColumn, &FieldRef)| match column {
            AssignedColumn::Input(i) => rows.column(*i).clone(),
            AssignedColumn::WindowStart => bound(0, field),
            AssignedColumn::WindowEnd => bound(1, field),
            AssignedColumn::WindowTime => bound(2, field),
        };
        let columns: Vec<ArrayRef> =
            self.spec.columns.iter().zip(self.spec.output.fields()).map(column).collect();
        let arrivals = Arrivals {
            times_ms: vec![sessions.window_end.unwrap_or(EventTime::MIN).ms(); rows.len()].into(),
            numbers: numbers.collect(),
        };
        let all = RecordBatch::try_new(self.spec.output.clone(), columns)?;
        let all =
            Rows { arrivals: Some(arrivals), window_end: sessions.window_end, ..Rows::new(all) };
        for from in (0..all.len()).step_by(BATCH_ROWS) {
            out.push(Event::Rows(all.slice(from, BATCH_ROWS.min(all.len() - from))));
        }
        Ok(())
    }

    /// Has the aggregation do something and takes apart what comes out of it.
    fn with_sessions(
        &mut self,
        cx: &mut Context<'_>,
        f: impl FnOnce(&mut SessionAggregate, &mut Context<'_>) -> Result<(), OperatorError>,
    ) -> Result<(), OperatorError> {
        let mut fired = Vec::new();
        let operator = cx.operator;
        f(&mut self.sessions, &mut cx.of(operator, &mut fired))?;
        for event in fired {
            match event {
                Event::Rows(sessions) => self.taken_apart(&sessions, cx.out)?,
                other => cx.out.push(other),
            }
        }
        Ok(())
    }
}

impl Operator for SessionRows {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let event = match event {
            Event::Rows(rows) => Event::Rows(self.folded(&rows)?),
            other => other,
        };
        self.with_sessions(cx, |sessions, cx| sessions.on_event(event, cx))
    }

    fn steps(&mut self) -> Option<&mut dyn Steps> {
        Some(self)
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }

    fn memory_bytes(&self) -> usize {
        self.sessions.memory_bytes()
    }
}

impl Steps for SessionRows {
    fn has_work(&self) -> bool {
        self.sessions.has_work()
    }

    fn work(&mut self, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        self.with_sessions(cx, |sessions, cx| sessions.work(cx))
    }
}

impl State for SessionRows {
    fn write_frozen(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        self.sessions.write_frozen(changes)
    }

    fn spill(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        self.sessions.spill(changes)
    }

    fn marks(&self) -> OperatorState {
        self.sessions.marks()
    }

    fn restore(&mut self, state: &OperatorState, db: &StateDb) -> Result<(), OperatorError> {
        self.sessions.restore(state, db)
    }
}
