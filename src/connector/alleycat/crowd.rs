//! What does the crowd send, and in which order? Virtual bike races as a stream of records, made from a seed.
//!
//! Every rider of every race sends one record a second; races run back to back, several at once (one a lane). Records are
//! disturbed as those of a real stream are: late, twice, and out of order.
//! What always holds: the stream is a function of [`CrowdOptions`] alone, to the byte; each second draws from its own random
//! numbers, so any record is reached without making those before it; a record is sent at most [`CrowdOptions::disorder_ms`]
//! after its event time, unless it is one of those made late.
//!
//! A race's id is `slot * 1000 + lane`: the slot is the number of race lengths since the epoch, the lane counts the races of
//! one slot from 0. All riders of a race are in class `(slot + lane) mod 6 + 1`.

use std::collections::VecDeque;

use crate::connector::alleycat::riders::{Form, PHASE_MS, Rider, forms, riders};
use crate::connector::stand_in::generate::Draws;

/// Races at once; also the distance of the ids of two races in the same lane.
pub const RACES_MAX: u32 = 1000;
/// Riders in all: as many ids as the original demo had.
pub const RIDERS_MAX: u32 = 39_901;
/// These bound the records that are made but not sent yet: all those of so many seconds.
pub const DISORDER_MS_MAX: u32 = 10_000;
pub const LATE_BY_MS_MAX: u32 = 3_600_000;
/// Ten years. A crowd without end stops there, so that no arithmetic on times can overflow.
pub const SECONDS_MAX: u64 = 315_360_000;
pub const RACE_SECONDS_MAX: u32 = 86_400;
const START_MS_MAX: i64 = 250_000_000_000_000;
const CLASSES: i64 = 6;
/// Partition keys, if they are random: from 0 to this - 1.
const RANDOM_KEYS: u32 = 100_000_000;
const PPM: u64 = 1_000_000;

/// Streams of draws.
const SECONDS: u64 = 4;
const LATE_ONES: u64 = 5;
const DOUBLE_ONES: u64 = 6;

#[derive(Debug, Clone, PartialEq)]
pub struct CrowdOptions {
    pub seed: u64,
    /// Races at once, 1 to [`RACES_MAX`].
    pub races: u32,
    /// Riders of a race; in all races at most [`RIDERS_MAX`].
    pub racers: u32,
    /// How long a race lasts.
    pub race_seconds: u32,
    /// Event time of the first second; rounded down to whole seconds. In the middle of a race's slot it is in the middle of
    /// the race.
    pub start_ms: i64,
    /// The longest time from a record's event time to when it is sent, up to [`DISORDER_MS_MAX`].
    pub disorder_ms: u32,
    /// Share of the records that come late, 0 to 1.
    pub late_fraction: f64,
    /// How late they are, on top of the disorder, up to [`LATE_BY_MS_MAX`].
    pub late_by_ms: u32,
    /// Share of the records that are sent twice, 0 to 1.
    pub duplicate_fraction: f64,
    /// Seconds of event time; None: without end.
    pub seconds: Option<u64>,
    pub partition_key: PartitionKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum PartitionKey {
    /// The race's id
    Race,
    /// The rider's id
    Racer,
    /// A random number
    Random,
}

/// 2021-05-05T18:50:00Z, the start of a five-minute slot: event time where nothing ties it to the clock.
pub const START_MS: i64 = 1_620_240_600_000;

impl Default for CrowdOptions {
    fn default() -> CrowdOptions {
        CrowdOptions {
            seed: 1,
            races: 1,
            racers: 10,
            race_seconds: 300,
            start_ms: START_MS,
            disorder_ms: 1000,
            late_fraction: 0.001,
            late_by_ms: 20_000,
            duplicate_fraction: 0.002,
            seconds: None,
            partition_key: PartitionKey::Racer,
        }
    }
}

impl CrowdOptions {
    /// Says what is out of range.
    pub fn validate(&self) -> Result<(), String> {
        let within = |name: &str, value: u64, low: u64, high: u64| match (low..=high).contains(&value) {
            true => Ok(()),
            false => Err(format!("{name} must be from {low} to {high}, not {value}")),
        };
        within("races", self.races.into(), 1, RACES_MAX.into())?;
        within("racers", self.racers.into(), 1, RIDERS_MAX.into())?;
        within("races times racers", u64::from(self.races) * u64::from(self.racers), 1, RIDERS_MAX.into())?;
        within("race-seconds", self.race_seconds.into(), 1, RACE_SECONDS_MAX.into())?;
        within("disorder-ms", self.disorder_ms.into(), 0, DISORDER_MS_MAX.into())?;
        within("late-by-ms", self.late_by_ms.into(), 0, LATE_BY_MS_MAX.into())?;
        within("seconds", self.seconds.unwrap_or(0), 0, SECONDS_MAX)?;
        if !(0..=START_MS_MAX).contains(&self.start_ms) {
            return Err(format!("start must be from 0 to {START_MS_MAX} ms since the epoch, not {}", self.start_ms));
        }
        for (name, fraction) in [("late-fraction", self.late_fraction), ("duplicate-fraction", self.duplicate_fraction)] {
            if !(0.0..=1.0).contains(&fraction) {
                return Err(format!("{name} must be from 0 to 1, not {fraction}"));
            }
        }
        Ok(())
    }
}

/// A record as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrowdEvent {
    /// When to send it, ms since the epoch in event time.
    pub due_ms: i64,
    pub partition_key: String,
    pub json: Vec<u8>,
}

/// A record before it is written as text. The order of the fields is the order of sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ride {
    pub due_ms: i64,
    pub time_ms: i64,
    rider: u32,
    /// Is it the second sending of this record?
    again: bool,
    slot: i64,
    second: u32,
    random_key: u32,
    cadence_tenths: u16,
    resistance_tenths: u16,
}

/// The stream, from some record on.
pub struct Crowd {
    options: CrowdOptions,
    start_s: i64,
    riders: Vec<Rider>,
    /// The forms of all riders in the race of the last second made.
    forms: Option<(i64, Vec<Form>)>,
    /// Made, but not due in the seconds sent so far.
    pending: Vec<Ride>,
    /// Due in the last second that was begun, in order.
    due: VecDeque<Ride>,
    /// The next second to send, counted from the start.
    next_second: u64,
    /// Records sent, those before the first one asked for included.
    sent: u64,
}

impl Crowd {
    /// The stream from record `from` (counted from 0) on. An error says which option is out of range.
    pub fn new(options: CrowdOptions, from: u64) -> Result<Crowd, String> {
        options.validate()?;
        let riders = riders(options.seed, options.races * options.racers);
        let start_s = options.start_ms.div_euclid(1000);
        let mut crowd =
            Crowd { options, start_s, riders, forms: None, pending: vec![], due: VecDeque::new(), next_second: 0, sent: 0 };
        crowd.skip_to(from);
        Ok(crowd)
    }

    /// Records sent so far, counted from the start of the stream.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    pub fn next_ride(&mut self) -> Option<Ride> {
        self.peek()?;
        self.sent += 1;
        self.due.pop_front()
    }

    /// The ride that `next_ride` returns next.
    pub fn peek(&mut self) -> Option<&Ride> {
        while self.due.is_empty() {
            if self.pending.is_empty() && self.is_last(self.next_second) {
                return None;
            }
            self.begin_second();
        }
        self.due.front()
    }

    /// The partition key as a number; its decimal text is the key.
    pub fn partition_key(&self, ride: &Ride) -> u64 {
        match self.options.partition_key {
            PartitionKey::Race => self.race_id(ride) as u64,
            PartitionKey::Racer => u64::from(self.riders[ride.rider as usize].racer_id),
            PartitionKey::Random => u64::from(ride.random_key),
        }
    }

    /// Appends the record's JSON text.
    pub fn write_json(&self, ride: &Ride, out: &mut Vec<u8>) {
        let rider = &self.riders[ride.rider as usize];
        let is_final = ride.second == self.options.race_seconds;
        out.extend_from_slice(b"{\"event\":\"");
        out.extend_from_slice(if is_final { b"final" } else { b"update" });
        out.extend_from_slice(b"\",\"deviceTimestamp\":");
        push_number(out, ride.time_ms);
        out.extend_from_slice(b",\"second\":");
        push_number(out, ride.second.into());
        out.extend_from_slice(b",\"raceId\":");
        push_number(out, self.race_id(ride));
        out.extend_from_slice(b",\"name\":\"");
        out.extend_from_slice(rider.name.as_bytes());
        out.extend_from_slice(b"\",\"racerId\":");
        push_number(out, rider.racer_id.into());
        out.extend_from_slice(b",\"classId\":");
        push_number(out, (ride.slot + i64::from(self.lane(ride))).rem_euclid(CLASSES) + 1);
        out.extend_from_slice(b",\"cadence\":");
        push_tenths(out, ride.cadence_tenths);
        out.extend_from_slice(b",\"resistance\":");
        push_tenths(out, ride.resistance_tenths);
        out.push(b'}');
    }

    fn lane(&self, ride: &Ride) -> u32 {
        ride.rider / self.options.racers
    }

    fn race_id(&self, ride: &Ride) -> i64 {
        ride.slot * i64::from(RACES_MAX) + i64::from(self.lane(ride))
    }

    fn is_last(&self, second: u64) -> bool {
        second >= self.options.seconds.unwrap_or(SECONDS_MAX)
    }

    /// Makes the records of the next second and takes out what is due in it, leftovers of earlier ones included.
    fn begin_second(&mut self) {
        self.make(self.next_second);
        self.next_second += 1;
        let end_ms = (self.start_s + self.next_second as i64) * 1000;
        let mut due: Vec<Ride> = self.pending.extract_if(.., |r| r.due_ms < end_ms).collect();
        due.sort_unstable();
        self.due = due.into();
    }

    fn make(&mut self, second: u64) {
        if self.is_last(second) {
            return;
        }
        let CrowdOptions { seed, race_seconds, disorder_ms, late_by_ms, .. } = self.options;
        let time_s = self.start_s + second as i64;
        let (slot, offset) = (time_s.div_euclid(race_seconds.into()), time_s.rem_euclid(race_seconds.into()));
        if self.forms.as_ref().is_none_or(|(known, _)| *known != slot) {
            self.forms = Some((slot, forms(seed, slot, &self.riders, race_seconds)));
        }
        let Some((_, forms)) = &self.forms else { return };
        let late = self.chosen(LATE_ONES, second, self.options.late_fraction);
        let double = self.chosen(DOUBLE_ONES, second, self.options.duplicate_fraction);
        let mut draws = Draws::new(seed, SECONDS, time_s as u64);
        for (number, (rider, form)) in self.riders.iter().zip(forms).enumerate() {
            // Always the same number of draws, whatever the options.
            let (cadence_tenths, resistance_tenths) = form.at(offset as u32 + 1, race_seconds, &mut draws);
            let time_ms = time_s * 1000 + i64::from(rider.phase_ms + draws.below(1000 - PHASE_MS));
            let (delay_ms, again_ms) = (draws.below(disorder_ms + 1), draws.below(disorder_ms + 1));
            let late_ms = if late.contains(number) { late_by_ms } else { 0 };
            let due_ms = time_ms + i64::from(delay_ms + late_ms);
            let ride = Ride {
                due_ms,
                time_ms,
                rider: number as u32,
                again: false,
                slot,
                second: offset as u32 + 1,
                random_key: draws.below(RANDOM_KEYS),
                cadence_tenths,
                resistance_tenths,
            };
            self.pending.push(ride);
            if double.contains(number) {
                // Sent again by someone who did not see that it had arrived: not before the first.
                let due_ms = time_ms + i64::from(delay_ms.max(again_ms) + late_ms);
                self.pending.push(Ride { due_ms, again: true, ..ride });
            }
        }
    }

    /// Chooses riders for a fraction. Over the seconds their number is the exact share, rounded down, so that the number of
    /// records is known without making them.
    fn chosen(&self, purpose: u64, second: u64, fraction: f64) -> Chosen {
        let count = self.share(second + 1, fraction) - self.share(second, fraction);
        if count == 0 {
            return Chosen(vec![]);
        }
        let mut draws = Draws::new(self.options.seed, purpose, self.start_s as u64 + second);
        let mut numbers: Vec<u32> = (0..self.riders.len() as u32).collect();
        let mut chosen = vec![false; numbers.len()];
        for i in 0..(count as usize).min(numbers.len()) {
            let other = i + draws.below((numbers.len() - i) as u32) as usize;
            numbers.swap(i, other);
            chosen[numbers[i] as usize] = true;
        }
        Chosen(chosen)
    }

    /// The fraction of all records of the first `seconds` seconds, rounded down.
    fn share(&self, seconds: u64, fraction: f64) -> u64 {
        let records = u128::from(seconds) * self.riders.len() as u128;
        (records * u128::from(ppm(fraction)) / u128::from(PPM)) as u64
    }

    /// Records whose event time is in the first `seconds` seconds.
    fn records(&self, seconds: u64) -> u64 {
        seconds * self.riders.len() as u64 + self.share(seconds, self.options.duplicate_fraction)
    }

    fn skip_to(&mut self, from: u64) {
        // The last second before which not more than `from` records were made, hence not more sent either.
        let per_million = self.riders.len() as u128 * u128::from(PPM + ppm(self.options.duplicate_fraction));
        let second = (u128::from(from) * u128::from(PPM) / per_million) as u64;
        let second = second.min(self.options.seconds.unwrap_or(SECONDS_MAX));
        // All that was made before this second was sent before that one.
        let delay_ms_max = self.options.disorder_ms + self.options.late_by_ms;
        let first = second.saturating_sub(u64::from(delay_ms_max.div_ceil(1000)));
        (first..second).for_each(|s| self.make(s));
        let start_ms = (self.start_s + second as i64) * 1000;
        let made = self.pending.len();
        self.pending.retain(|r| r.due_ms >= start_ms);
        self.sent = self.records(first) + (made - self.pending.len()) as u64;
        self.next_second = second;
        while self.sent < from && self.next_ride().is_some() {}
    }
}

/// Riders by number; empty if there are none.
struct Chosen(Vec<bool>);

impl Chosen {
    fn contains(&self, rider: usize) -> bool {
        self.0.get(rider).copied().unwrap_or(false)
    }
}

impl Iterator for Crowd {
    type Item = CrowdEvent;

    fn next(&mut self) -> Option<CrowdEvent> {
        let ride = self.next_ride()?;
        let mut json = Vec::new();
        self.write_json(&ride, &mut json);
        Some(CrowdEvent { due_ms: ride.due_ms, partition_key: self.partition_key(&ride).to_string(), json })
    }
}

fn ppm(fraction: f64) -> u64 {
    (fraction * PPM as f64).round() as u64
}

fn push_number(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// As a JSON integer where it is one, as JavaScript writes it.
fn push_tenths(out: &mut Vec<u8>, tenths: u16) {
    push_number(out, (tenths / 10).into());
    if !tenths.is_multiple_of(10) {
        out.push(b'.');
        out.push(b'0' + (tenths % 10) as u8);
    }
}

#[cfg(test)]
mod tests;
