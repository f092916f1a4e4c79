//! The Alleycat crowd as a source: bike races without a stream, for trying queries and for
//! measuring.
//!
//! Connector `alleycat`, and what stands in for a stream under `--local` if the query says so. In
//! reading order: this file (options, splits), `crowd` (which records, in which order), `riders`
//! (who rides, how strongly). What always holds: all splits walk through the same crowd and each
//! takes its own partition keys, so the records do not depend on the number of splits; a position
//! counts the records of the whole crowd, whichever split they went to; a record's place is its
//! line in what `paceline simulate` writes with the same options.

pub mod crowd;
mod riders;

use std::collections::BTreeMap;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use self::crowd::{Crowd, CrowdOptions, START_MS};
use crate::connector::error::{ConnectError, place};
use crate::connector::{Connector, Environment, FORMAT, Reads, formats};
use crate::options::{OptionKind, OptionSpec};
use crate::plan::physical::SourcePlan;
use crate::record::{Places, RawBatch};
use crate::source::{
    Polled, Position, ReadAhead, Source, SourceError, SplitId, SplitReader, SplitSeed,
};
use crate::suggest::nearest;
use crate::time::clock::SharedClock;
use crate::time::idle::EmptyAnswers;
use crate::wake::Wake;
use crate::who::Who;

/// Payload bytes after which a batch is full, whatever the number of records.
const BATCH_BYTES: usize = 4 << 20;
/// Records of other splits passed over in one poll: a split without keys must not hold up its
/// worker.
const PASSED_OVER_MAX: usize = 1 << 16;
const SPLITS_MAX: u32 = 1024;

const fn option(
    key: &'static str,
    kind: OptionKind,
    default: &'static str,
    help: &'static str,
) -> OptionSpec {
    OptionSpec::new(key, kind, help).or(default)
}

const WHOLE: OptionKind = OptionKind::Number(0, u64::MAX);

/// The options of a table, `format` left out.
pub const OPTIONS: [OptionSpec; 12] = [
    option("seed", WHOLE, "1", "number from which everything is made"),
    option("races", WHOLE, "1", "races at once"),
    option("racers", WHOLE, "10", "riders of a race"),
    option("race-seconds", WHOLE, "300", "length of a race"),
    OptionSpec::new("seconds", WHOLE, "seconds of event time; without it there is no end"),
    option(
        "pace",
        OptionKind::Text,
        "fast",
        "'fast', or 'realtime': a record comes when it is due by the clock",
    ),
    option("splits", OptionKind::Text, "1", "how many splits share the records by rider"),
    option("disorder-ms", WHOLE, "1000", "longest time from event time to sending"),
    option("late-fraction", OptionKind::Text, "0.001", "share of records that come late, 0 to 1"),
    option("late-by-ms", WHOLE, "20000", "how late those are"),
    option("duplicate-fraction", OptionKind::Text, "0.002", "share of records sent twice, 0 to 1"),
    OptionSpec::new(
        "start",
        OptionKind::Text,
        "event time of the first second, ms since the epoch; without it now if realtime, else 1620240600000",
    ),
];

pub struct Alleycat;

impl Connector for Alleycat {
    fn name(&self) -> &'static str {
        "alleycat"
    }
    fn about(&self) -> &'static str {
        "A made-up crowd of bike races, for trying queries and for measuring."
    }
    fn options(&self) -> Vec<OptionSpec> {
        OPTIONS.into_iter().chain([FORMAT]).collect()
    }
    fn reads(&self) -> Option<&dyn Reads> {
        Some(self)
    }
}

impl Reads for Alleycat {
    fn check(&self, plan: &SourcePlan) -> Result<(), ConnectError> {
        let parsed =
            AlleycatOptions::parse(&plan.table.name, &formats::without_format(&plan.table));
        parsed.map(|_| ()).map_err(|e| place(e.into(), &plan.table))
    }

    fn source(
        &self,
        plan: &SourcePlan,
        env: &Environment<'_>,
    ) -> Result<Arc<dyn Source>, ConnectError> {
        let options =
            AlleycatOptions::parse(&plan.table.name, &formats::without_format(&plan.table))?;
        Ok(Arc::new(AlleycatSource::new(&plan.table.name, options, env.clock.clone())))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As fast as records are taken.
    Fast,
    /// A record comes when the wall clock has reached its time of sending.
    Realtime,
}

#[derive(Debug, Clone, PartialEq)]
pub struct AlleycatOptions {
    /// `crowd.start_ms` is replaced where the start is resolved.
    crowd: CrowdOptions,
    /// None: decided by the pace when a run starts.
    start_ms: Option<i64>,
    pace: Pace,
    splits: u32,
}

impl AlleycatOptions {
    /// From the options of a table (those of its format left out). Errors name the option and what
    /// is known.
    pub fn parse(
        table: &str,
        options: &BTreeMap<String, String>,
    ) -> Result<AlleycatOptions, SourceError> {
        let config = |reason: String| SourceError::Config { table: table.into(), reason };
        let mut parsed = AlleycatOptions {
            crowd: CrowdOptions::default(),
            start_ms: None,
            pace: Pace::Fast,
            splits: 1,
        };
        for (key, value) in options {
            parsed.set(key, value.trim()).map_err(config)?;
        }
        parsed.crowd.start_ms = parsed.start_ms.unwrap_or(START_MS);
        parsed.crowd.validate().map_err(config)?;
        Ok(parsed)
    }

    /// From the text of a setting: `alleycat`, or `alleycat:` and options such as
    /// `races=2,racers=20`.
    pub fn parse_sample(text: &str) -> Result<AlleycatOptions, SourceError> {
        let mut options = BTreeMap::new();
        let (_, list) = text.split_once(':').unwrap_or((text, ""));
        for part in list.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let Some((key, value)) = part.split_once('=') else {
                let reason = format!("'{part}' is no option: write alleycat:races=2,racers=20");
                return Err(SourceError::Config { table: "alleycat".into(), reason });
            };
            options.insert(key.trim().to_string(), value.to_string());
        }
        Self::parse("alleycat", &options)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        fn number<N: std::str::FromStr>(key: &str, value: &str) -> Result<N, String> {
            value.parse().map_err(|_| format!("'{key}' is a number, not '{value}'"))
        }
        match key {
            "seed" => self.crowd.seed = number(key, value)?,
            "races" => self.crowd.races = number(key, value)?,
            "racers" => self.crowd.racers = number(key, value)?,
            "race-seconds" => self.crowd.race_seconds = number(key, value)?,
            "seconds" => self.crowd.seconds = Some(number(key, value)?),
            "disorder-ms" => self.crowd.disorder_ms = number(key, value)?,
            "late-fraction" => self.crowd.late_fraction = number(key, value)?,
            "late-by-ms" => self.crowd.late_by_ms = number(key, value)?,
            "duplicate-fraction" => self.crowd.duplicate_fraction = number(key, value)?,
            "start" => self.start_ms = Some(number(key, value)?),
            "splits" => match number(key, value)? {
                n @ 1..=SPLITS_MAX => self.splits = n,
                n => return Err(format!("'splits' must be from 1 to {SPLITS_MAX}, not {n}")),
            },
            "pace" => match value {
                "fast" => self.pace = Pace::Fast,
                "realtime" => self.pace = Pace::Realtime,
                other => return Err(format!("'pace' is fast or realtime, not '{other}'")),
            },
            _ => {
                let near = nearest(key, OPTIONS.iter().map(|o| o.key))
                    .map(|n| format!("; did you mean '{n}'?"));
                let list: Vec<String> = OPTIONS
                    .iter()
                    .map(|o| format!("  {}: {}{}", o.key, o.help, default_of(o)))
                    .collect();
                return Err(format!(
                    "there is no option '{key}'{}\noptions:\n{}",
                    near.unwrap_or_default(),
                    list.join("\n")
                ));
            }
        }
        Ok(())
    }
}

fn default_of(option: &OptionSpec) -> String {
    option.default.map(|d| format!(" (default {d})")).unwrap_or_default()
}

pub(crate) struct AlleycatSource {
    table: String,
    options: AlleycatOptions,
    clock: SharedClock,
}

impl AlleycatSource {
    pub fn new(table: &str, options: AlleycatOptions, clock: SharedClock) -> AlleycatSource {
        AlleycatSource { table: table.into(), options, clock }
    }
}

impl Source for AlleycatSource {
    fn discover(&self) -> Result<Vec<SplitSeed>, SourceError> {
        let start_ms = self.options.start_ms.unwrap_or_else(|| match self.options.pace {
            Pace::Fast => START_MS,
            Pace::Realtime => self.clock.wall_ms().div_euclid(1000) * 1000,
        });
        let count = self.options.splits;
        let seed = |index| SplitSeed {
            id: SplitId(SplitName { index, count, start_ms }.to_string().into()),
            parents: vec![],
            start: Position::after_records(0),
        };
        Ok((0..count).map(seed).collect())
    }

    fn open(
        &self,
        split: &SplitId,
        position: &Position,
        ReadAhead { wake, .. }: ReadAhead,
    ) -> Result<Box<dyn SplitReader>, SourceError> {
        // The split and its options were made here.
        let error = |reason: String| SourceError::Read {
            table: self.table.clone(),
            split: split.clone(),
            reason,
            who: Who::Us,
        };
        let name =
            SplitName::parse(&split.0).ok_or_else(|| error("not a split of a crowd".into()))?;
        let records = position.records().map_err(|e| SourceError::not_read(&self.table, &e))?;
        let options = CrowdOptions { start_ms: name.start_ms, ..self.options.crowd.clone() };
        let crowd = Crowd::new(options, records).map_err(error)?;
        Ok(Box::new(AlleycatReader {
            crowd,
            name,
            pace: self.options.pace,
            clock: self.clock.clone(),
            wake,
            empty: None,
            read_bytes: 0,
        }))
    }

    fn bounded(&self) -> bool {
        self.options.crowd.seconds.is_some()
    }
}

/// What a split's id says: `crowd-0-of-4@1620240600000`. The start is part of it, so that it
/// survives a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SplitName {
    index: u32,
    count: u32,
    start_ms: i64,
}

impl std::fmt::Display for SplitName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "crowd-{}-of-{}@{}", self.index, self.count, self.start_ms)
    }
}

impl SplitName {
    fn parse(text: &str) -> Option<SplitName> {
        let (place, start) = text.strip_prefix("crowd-")?.split_once('@')?;
        let (index, count) = place.split_once("-of-")?;
        let name = SplitName {
            index: index.parse().ok()?,
            count: count.parse().ok()?,
            start_ms: start.parse().ok()?,
        };
        (name.index < name.count).then_some(name)
    }
}

struct AlleycatReader {
    crowd: Crowd,
    name: SplitName,
    pace: Pace,
    clock: SharedClock,
    wake: Wake,
    empty: Option<EmptyAnswers>,
    read_bytes: u64,
}

impl SplitReader for AlleycatReader {
    fn poll(&mut self, max_records: usize) -> Result<Polled, SourceError> {
        let due_ms_max = match self.pace {
            Pace::Fast => None,
            Pace::Realtime => Some(self.clock.wall_ms()),
        };
        let (mut raw, mut numbers) = (RawBatch::default(), Vec::new());
        let mut passed_over = 0;
        while raw.len() < max_records
            && raw.bytes.len() < BATCH_BYTES
            && passed_over < PASSED_OVER_MAX
        {
            match self.crowd.peek() {
                Some(ride) if due_ms_max.is_none_or(|ms| ride.due_ms <= ms) => {}
                Some(_) if raw.is_empty() => {
                    // The crowd is here: nothing is due is as good as a server's word.
                    self.empty = Some(EmptyAnswers::and_one(self.empty, self.clock.monotonic()));
                    return Ok(Polled::Pending { empty: self.empty });
                }
                None if raw.is_empty() => return Ok(Polled::End { children: vec![] }),
                _ => break,
            }
            let Some(ride) = self.crowd.next_ride() else { break };
            if !self.is_mine(self.crowd.partition_key(&ride)) {
                passed_over += 1;
                continue;
            }
            raw.push(|bytes| self.crowd.write_json(&ride, bytes));
            numbers.push(self.crowd.sent());
        }
        if raw.is_empty() {
            // There is more to look through: not a reason to sleep.
            (self.wake)();
            return Ok(Polled::Pending { empty: None });
        }
        self.empty = None;
        self.read_bytes += raw.bytes.len() as u64;
        Ok(Polled::Records(RawBatch { places: Places::Lines { numbers }, ..raw }))
    }

    fn position(&self) -> Position {
        Position::after_records(self.crowd.sent())
    }

    fn bytes_read(&self) -> u64 {
        self.read_bytes
    }
}

impl AlleycatReader {
    fn is_mine(&self, partition_key: u64) -> bool {
        let hash = xxh3_64(itoa::Buffer::new().format(partition_key).as_bytes());
        hash % u64::from(self.name.count) == u64::from(self.name.index)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::time::clock::SetClock;

    fn source(text: &str) -> (AlleycatSource, Arc<SetClock>) {
        let clock = Arc::new(SetClock::at(1_700_000_000_500));
        let options = AlleycatOptions::parse_sample(text).expect("valid options");
        (AlleycatSource::new("race", options, clock.clone()), clock)
    }

    /// All records of a split from a position on, with their places.
    fn read(
        source: &AlleycatSource,
        split: &SplitId,
        from: &Position,
        batch: usize,
    ) -> Vec<(String, String, Position)> {
        let mut reader =
            source.open(split, from, ReadAhead::alone(Arc::new(|| {}))).expect("opens");
        let mut records = vec![];
        loop {
            match reader.poll(batch).expect("reads") {
                Polled::Records(raw) => {
                    assert!(raw.len() <= batch);
                    let text = |i| String::from_utf8_lossy(raw.record(i)).into_owned();
                    records.extend(
                        (0..raw.len())
                            .map(|i| (raw.places.describe(i), text(i), reader.position())),
                    );
                }
                Polled::Pending { .. } | Polled::Found { .. } => {}
                Polled::End { .. } => return records,
            }
        }
    }

    #[test]
    fn splits_share_the_crowd_and_go_on_where_they_were() {
        let text = "alleycat:races=2,racers=10,seconds=30,splits=3";
        let (source, _) = source(text);
        assert!(source.bounded());
        let crowd = Crowd::new(
            CrowdOptions { races: 2, racers: 10, seconds: Some(30), ..CrowdOptions::default() },
            0,
        );
        let whole: Vec<String> =
            crowd.expect("valid").map(|e| String::from_utf8_lossy(&e.json).into_owned()).collect();
        let seeds = source.discover().expect("lists");
        assert_eq!(seeds[1].id.to_string(), "crowd-1-of-3@1620240600000");
        let mut found = BTreeMap::new();
        for seed in &seeds {
            let all = read(&source, &seed.id, &seed.start, 7);
            assert!(all.len() > whole.len() / 10, "{} has a share", seed.id);
            for (i, (place, json, position)) in all.iter().enumerate().filter(|(i, _)| i % 7 == 6) {
                let rest = read(&source, &seed.id, position, 11);
                let texts = rest.iter().map(|(p, j, _)| (p, j));
                assert!(
                    texts.eq(all[i + 1..].iter().map(|(p, j, _)| (p, j))),
                    "after {place}: {json}"
                );
            }
            for (place, json, _) in all {
                let line: usize = place
                    .strip_prefix("line ")
                    .and_then(|n| n.parse().ok())
                    .expect("a line number");
                assert!(found.insert(line, json).is_none(), "{place} came twice");
            }
        }
        assert_eq!(found.into_values().collect::<Vec<_>>(), whole);
    }

    #[test]
    fn in_real_time_records_come_when_they_are_due() {
        let (source, clock) = source(
            "alleycat:racers=4,seconds=10,pace=realtime,late-fraction=0,duplicate-fraction=0",
        );
        let seed = source.discover().expect("lists").remove(0);
        assert_eq!(seed.id.to_string(), "crowd-0-of-1@1700000000000");
        let mut reader =
            source.open(&seed.id, &seed.start, ReadAhead::alone(Arc::new(|| {}))).expect("opens");
        let mut come = |now_ms: i64| {
            clock.wall_ms.store(now_ms, Ordering::Relaxed);
            let mut count = 0;
            loop {
                match reader.poll(3).expect("reads") {
                    Polled::Records(raw) => count += raw.len(),
                    Polled::Pending { empty } => return (count, empty.is_some()),
                    Polled::Found { .. } | Polled::End { .. } => return (count, false),
                }
            }
        };
        assert_eq!(come(1_699_999_999_999), (0, true));
        let (some, _) = come(1_700_000_005_000);
        assert!(
            (16..=20).contains(&some),
            "{some} records in 5 seconds, the last up to 1 s behind"
        );
        assert_eq!(come(1_700_000_000_000), (0, true), "a clock that jumps back");
        assert_eq!(come(1_700_000_020_000), (40 - some, false));
    }

    #[test]
    fn options_are_read_and_wrong_ones_explained() {
        assert_eq!(
            AlleycatOptions::parse_sample("alleycat").expect("no options"),
            AlleycatOptions::parse("race", &BTreeMap::new()).expect("no options")
        );
        for (text, reason) in [
            ("alleycat:racer=2", "did you mean 'racers'"),
            ("alleycat:races=two", "'races' is a number"),
            ("alleycat:races", "'races' is no option"),
            ("alleycat:pace=slow", "fast or realtime"),
            ("alleycat:splits=0", "'splits' must be from 1"),
            ("alleycat:racers=0", "racers must be from 1"),
            ("alleycat:start=-1", "start must be from 0"),
        ] {
            let error = AlleycatOptions::parse_sample(text).expect_err(text).to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn split_names_are_read_back() {
        let name = SplitName { index: 3, count: 4, start_ms: 1_620_240_600_000 };
        assert_eq!(SplitName::parse(&name.to_string()), Some(name));
        for wrong in ["crowd-4-of-4@1", "crowd-0-of-1", "shard-0"] {
            assert_eq!(SplitName::parse(wrong), None, "{wrong}");
        }
    }
}
