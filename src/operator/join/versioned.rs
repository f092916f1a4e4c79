//! The versioned join: each left row with what a table said at the row's time.
//!
//! `FROM o JOIN r FOR SYSTEM_TIME AS OF o.rowtime ON o.k = r.k`: of the right rows of a key, the
//! latest up to the left row's time is the one it is joined with. Left rows wait until the watermark
//! says that no such row can come any more. What late rows find does not depend on how splits
//! interleave:
//!
//! ```text
//! as of(l)    = the time of l, or the watermark of l's split before it if that is later
//! seen(l, r)  = the time of r <= as of(l), and the watermark of r's split before r < as of(l)
//! joined(l)   = the latest of those seen, if its time is <= the time of l and the condition holds
//! ```
//!
//! So a late row finds a version only while it is the one in force, as in Flink, which has forgotten
//! older ones. The watermark leaves later by how often keys are looked at.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt32Array};

use super::columns::picked;
use super::due::{BUCKET_MS, DueKeys};
use super::held::{Held, HeldRow};
use super::waiting::Waiting;
use super::{JoinKind, JoinSpec};
use crate::operator::calc::condition_mask;
use crate::operator::window::event_times_ms;
use crate::operator::{Context, Event, Op, Operator, OperatorError, Rows, State, Steps};
use crate::state::key::{KeyBuf, encode_keys, hash_key};
use crate::time::{EventTime, Watermark};

/// A versioned join, resolved. Its kind is Inner or Left.
#[derive(Debug, Clone)]
pub struct VersionedSpec {
    pub join: JoinSpec,
    /// The rowtime of each input.
    pub rowtimes: [usize; 2],
}

const LEFT: usize = 0;
const RIGHT: usize = 1;

pub(crate) struct VersionedJoin {
    spec: VersionedSpec,
    /// Left rows by the time as of which they are joined, right ones by theirs; marked with what
    /// they do.
    waiting: Waiting,
}

/// A left row that is joined, with its version.
struct Joined {
    as_of: EventTime,
    /// It came behind the watermark of its split.
    is_late: bool,
    left: HeldRow,
    right: Option<Box<[u8]>>,
}

impl VersionedJoin {
    pub fn new(spec: VersionedSpec) -> VersionedJoin {
        debug_assert!(matches!(spec.join.kind, JoinKind::Inner | JoinKind::Left));
        let waiting = Waiting::new(&spec.join);
        VersionedJoin { spec, waiting }
    }

    /// Keeps the rows of a batch until their time has passed. Left rows without a key are joined
    /// with nothing.
    fn hold(&mut self, rows: &Rows, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let input = usize::from(rows.input & 1);
        let key_columns: Vec<ArrayRef> =
            self.spec.join.keys[input].iter().map(|&c| rows.batch.column(c).clone()).collect();
        let mut keys = KeyBuf::default();
        encode_keys(&key_columns, rows.len(), &mut keys);
        let hashes: Vec<u64> = keys.iter().map(hash_key).collect();
        self.waiting.held.load(&keys, &hashes, cx.now_ms, cx.db)?;
        let mut encoded = KeyBuf::default();
        encode_keys(rows.batch.columns(), rows.len(), &mut encoded);
        let times = event_times_ms(rows.batch.column(self.spec.rowtimes[input]));
        let mut buckets: BTreeMap<EventTime, Vec<u32>> = BTreeMap::new();
        let mut alone = Vec::new();
        for row in 0..rows.len() {
            let (time, watermark, op) =
                (EventTime::at(times[row]), rows.watermark(row), rows.op(row));
            let held = HeldRow { watermark, mark: op as u8, row: encoded.get(row).into() };
            let has_key = key_columns.iter().all(|c| c.is_valid(row));
            if !has_key {
                if input == LEFT {
                    let as_of = time.max(watermark.time());
                    let is_late = time <= watermark.time();
                    alone.push(Joined { as_of, is_late, left: held, right: None });
                }
                continue;
            }
            if input == RIGHT && op == Op::UpdateBefore {
                // What an update replaces ends with the version that follows.
                continue;
            }
            let as_of = time.max(watermark.time());
            let at = if input == LEFT { as_of } else { time };
            let key = keys.get(row);
            let mut of_key = self.waiting.held.take(key).unwrap_or_default();
            of_key.add(input, at, held);
            self.waiting.held.put(key, Some(of_key), cx.now_ms);
            buckets.entry(DueKeys::bucket(as_of)).or_default().push(row as u32);
        }
        self.send(alone, cx)?;
        self.waiting.due.add(buckets, &key_columns, rows.len())
    }

    /// Joins the left rows of a second's keys whose time has passed, and forgets the versions that
    /// no later row sees.
    fn fire(
        &mut self,
        watermark: Watermark,
        end: EventTime,
        cx: &mut Context<'_>,
    ) -> Result<(), OperatorError> {
        let keys = self.waiting.take_due(end, cx)?;
        let mut joined = Vec::new();
        for key in keys.iter() {
            let Some(mut held) = self.waiting.held.take(key) else { continue };
            for (as_of, left) in due_rows(&mut held, watermark) {
                // Only a row that waits as of its split's watermark may have an earlier time.
                let waits_longer = left.watermark.time() == as_of;
                let time = if waits_longer { self.time_of(&left.row)? } else { as_of };
                let right = version(&held, as_of, time);
                let is_late = time <= left.watermark.time();
                joined.push(Joined { as_of, is_late, left, right });
            }
            forget_versions(&mut held, watermark);
            self.waiting.held.put(key, (!held.is_empty()).then_some(held), cx.now_ms);
        }
        self.send(joined, cx)
    }

    /// The rowtime of a left row.
    fn time_of(&self, row: &[u8]) -> Result<EventTime, OperatorError> {
        let columns = self.spec.join.decoded(LEFT, std::iter::once(row))?;
        Ok(EventTime::at(event_times_ms(&columns[self.spec.rowtimes[LEFT]])[0]))
    }

    fn send(&self, mut joined: Vec<Joined>, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        if joined.is_empty() {
            return Ok(());
        }
        // In order of time, whatever their keys.
        joined.sort_by_key(|j| (j.as_of, j.is_late));
        let spec = &self.spec.join;
        let left = spec.decoded(LEFT, joined.iter().map(|j| j.left.row.as_ref()))?;
        let right = spec.decoded(RIGHT, joined.iter().filter_map(|j| j.right.as_deref()))?;
        let with: Vec<u32> =
            (0..joined.len() as u32).filter(|&i| joined[i as usize].right.is_some()).collect();
        let holds = match &spec.condition {
            Some(condition) if !with.is_empty() => {
                let picks = UInt32Array::from(with.clone());
                let both = spec.side_by_side(LEFT, picked(&left, &picks)?, right.clone())?;
                condition_mask(condition, &both, cx)
            }
            _ => BooleanArray::from(vec![true; with.len()]),
        };
        let mut found: Vec<Option<u32>> = vec![None; joined.len()];
        for (number, &row) in with.iter().enumerate().filter(|(number, _)| holds.value(*number)) {
            found[row as usize] = Some(number as u32);
        }
        let picks: UInt32Array = (0..joined.len() as u32)
            .filter(|&row| spec.kind.keeps_left() || found[row as usize].is_some())
            .collect();
        if picks.is_empty() {
            return Ok(());
        }
        let versions: UInt32Array = picks.values().iter().map(|&row| found[row as usize]).collect();
        let [left_width, right_width] = spec.widths;
        let left = picked(&left[..left_width], &picks)?;
        let right = picked(&right[..right_width], &versions)?;
        let columns = [left, right].concat();
        let rows = || picks.values().iter().map(|&row| &joined[row as usize]);
        let ops = rows().any(|row| row.left.mark != Op::Insert as u8);
        // A row that is late stays so for what follows.
        let mut watermark = Watermark::NONE;
        let watermarks = rows().map(|row| {
            if row.is_late {
                watermark = watermark.max(row.left.watermark);
            }
            watermark.ms()
        });
        let watermarks_ms = Some(watermarks.collect());
        cx.out.push(Event::Rows(Rows {
            ops: ops.then(|| rows().map(|row| Op::of(row.left.mark)).collect()),
            watermarks_ms,
            ..Rows::new(RecordBatch::try_new(spec.output.clone(), columns)?)
        }));
        Ok(())
    }
}

/// The version that a left row of this time is joined with.
fn version(held: &Held, as_of: EventTime, time: EventTime) -> Option<Box<[u8]>> {
    let (version_time, right) =
        held.inputs[RIGHT].range(..=as_of).rev().find_map(|(version_time, rows)| {
            let seen = rows.iter().rev().find(|r| r.watermark.time() < as_of)?;
            Some((*version_time, seen))
        })?;
    (version_time <= time && Op::of(right.mark).adds()).then(|| right.row.clone())
}

/// Takes out the left rows whose time has passed, in order.
fn due_rows(held: &mut Held, watermark: Watermark) -> Vec<(EventTime, HeldRow)> {
    let is_end = watermark == Watermark::END;
    let due: Vec<EventTime> = held.inputs[LEFT]
        .keys()
        .copied()
        .take_while(|&time| is_end || time <= watermark.time())
        .collect();
    let mut rows = Vec::new();
    for time in due {
        let until = time.later(1);
        rows.extend(held.take_before(LEFT, until).into_iter().map(|row| (time, row)));
    }
    rows
}

/// Forgets the versions before the one that is in force at a watermark: all rows that come are
/// joined as of a later time and see that one.
fn forget_versions(held: &mut Held, watermark: Watermark) {
    let now = watermark.time();
    let seen = |row: &&HeldRow| row.watermark.time() < now;
    let in_force = held.inputs[RIGHT]
        .range(..=now)
        .rev()
        .find_map(|(time, rows)| Some((*time, rows.len(), rows.iter().rev().find(seen)?.mark)));
    let Some((time, rows, mark)) = in_force else { return };
    held.take_before(RIGHT, time);
    if rows == 1 && !Op::of(mark).adds() {
        // No version is what it says, as if there had been none.
        held.take_before(RIGHT, time.later(1));
    }
}

impl Operator for VersionedJoin {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        match event {
            Event::Rows(rows) if rows.is_empty() => {}
            Event::Rows(rows) => self.hold(&rows, cx)?,
            Event::Watermark(w) => self.waiting.fire(w),
            tick @ Event::Tick(_) => cx.out.push(tick),
            Event::Barrier(epoch) => {
                self.waiting.freeze();
                cx.out.push(Event::Barrier(epoch));
            }
            Event::Partials(_) => return Err(OperatorError::no_place_for_partials()),
        }
        Ok(())
    }

    fn steps(&mut self) -> Option<&mut dyn Steps> {
        Some(self)
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(&mut self.waiting)
    }

    fn memory_bytes(&self) -> usize {
        self.waiting.memory_bytes()
    }
}

impl Steps for VersionedJoin {
    fn has_work(&self) -> bool {
        self.waiting.firing().is_some()
    }

    fn work(&mut self, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let Some(watermark) = self.waiting.firing() else { return Ok(()) };
        if let Some(end) = self.waiting.due.first(watermark) {
            return self.fire(watermark, end, cx);
        }
        self.waiting.pass(watermark);
        cx.out.push(Event::Watermark(watermark.delayed(BUCKET_MS)));
        Ok(())
    }
}
