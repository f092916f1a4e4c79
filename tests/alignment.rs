//! Are splits kept together that are read at different speeds, without one waiting for itself?
//!
//! A connector of the test's own gives records as slowly as its options say, and notes how far each
//! split was ahead of the slowest when it was read. Rows are the same with alignment and without
//! it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use paceline::config::Config;
use paceline::connect::check;
use paceline::connector::{ConnectError, Connector, Connectors, Environment, Reads};
use paceline::options::{OptionKind, OptionSpec};
use paceline::plan::lower::lower;
use paceline::plan::physical::SourcePlan;
use paceline::record::{Places, RawBatch};
use paceline::runtime::options::{CheckpointTrigger, Scheduling};
use paceline::source::{
    Pause, Polled, Position, ReadAhead, Source, SourceError, SplitId, SplitReader, SplitSeed,
};
use paceline::sql::bind::bind;
use paceline::time::clock::SharedClock;
use paceline::time::idle::EmptyAnswers;

use crate::support::job::{Variation, finish, sink_rows};
use crate::support::seeds::one_seed;

/// A record has the time after that of the one before it.
const STEP_MS: i64 = 100;

/// Splits, one after the other with spaces between: `name`, `seconds` of records, `each` how many
/// polls give one record, and behind a `<` the parents that have to end first: `c:10:1<a+b`.
const SPLITS: OptionSpec = OptionSpec::new("splits", OptionKind::Text, "what to give").required();
const AT_ONCE: OptionSpec =
    OptionSpec::new("at-once", OptionKind::Number(1, 9), "splits that are open at a time");

#[derive(Debug, Clone)]
struct Split {
    name: String,
    parents: Vec<String>,
    records: u64,
    each: u64,
}

impl Split {
    fn all(text: &str) -> Vec<Split> {
        let one = |text: &str| {
            let (what, parents) = text.split_once('<').unwrap_or((text, ""));
            let [name, seconds, each] = what.split(':').collect::<Vec<_>>()[..] else {
                panic!("{text}")
            };
            Split {
                name: name.into(),
                parents: parents.split('+').filter(|p| !p.is_empty()).map(String::from).collect(),
                records: seconds.parse::<u64>().unwrap() * 1000 / STEP_MS as u64,
                each: each.parse().unwrap(),
            }
        };
        text.split(' ').map(one).collect()
    }

    fn seed(&self) -> SplitSeed {
        let id = |name: &String| SplitId(name.as_str().into());
        SplitSeed {
            id: id(&self.name),
            parents: self.parents.iter().map(id).collect(),
            start: Position::after_records(0),
        }
    }
}

/// What was seen of all splits.
#[derive(Default)]
struct Watch {
    /// The time of the newest record of each split that is open and not quiet.
    reached_ms: BTreeMap<String, i64>,
    ahead_ms_max: i64,
    pauses: u64,
}

#[derive(Clone, Default)]
struct Uneven(Arc<Mutex<Watch>>);

impl Connector for Uneven {
    fn name(&self) -> &'static str {
        "uneven"
    }
    fn about(&self) -> &'static str {
        "Splits of different speeds."
    }
    fn options(&self) -> Vec<OptionSpec> {
        vec![SPLITS, AT_ONCE]
    }
    fn reads(&self) -> Option<&dyn Reads> {
        Some(self)
    }
}

impl Reads for Uneven {
    fn check(&self, _: &SourcePlan) -> Result<(), ConnectError> {
        Ok(())
    }
    fn source(
        &self,
        plan: &SourcePlan,
        env: &Environment<'_>,
    ) -> Result<Arc<dyn Source>, ConnectError> {
        let splits = Split::all(&plan.table.options[SPLITS.key]);
        let at_once = plan.table.options.get(AT_ONCE.key).map(|n| n.parse().unwrap());
        Ok(Arc::new(UnevenSource {
            splits,
            at_once,
            watch: self.0.clone(),
            clock: env.clock.clone(),
        }))
    }
}

struct UnevenSource {
    splits: Vec<Split>,
    at_once: Option<usize>,
    watch: Arc<Mutex<Watch>>,
    clock: SharedClock,
}

impl Source for UnevenSource {
    fn discover(&self) -> Result<Vec<SplitSeed>, SourceError> {
        Ok(self.splits.iter().filter(|s| s.parents.is_empty()).map(Split::seed).collect())
    }
    fn open(
        &self,
        id: &SplitId,
        position: &Position,
        _: ReadAhead,
    ) -> Result<Box<dyn SplitReader>, SourceError> {
        let split = self.splits.iter().find(|s| *s.name == *id.0).unwrap().clone();
        let children = self
            .splits
            .iter()
            .filter(|s| s.parents.contains(&split.name))
            .map(Split::seed)
            .collect();
        if split.each > 0 {
            self.watch.lock().unwrap().reached_ms.insert(split.name.clone(), 0);
        }
        let (watch, clock) = (self.watch.clone(), self.clock.clone());
        Ok(Box::new(UnevenReader {
            split,
            children,
            next: position.records().unwrap(),
            polls: 0,
            watch,
            clock,
        }))
    }
    fn bounded(&self) -> bool {
        true
    }
    fn open_at_once(&self) -> Option<usize> {
        self.at_once
    }
}

struct UnevenReader {
    split: Split,
    children: Vec<SplitSeed>,
    next: u64,
    polls: u64,
    watch: Arc<Mutex<Watch>>,
    clock: SharedClock,
}

impl SplitReader for UnevenReader {
    fn poll(&mut self, _: usize) -> Result<Polled, SourceError> {
        let mut watch = self.watch.lock().unwrap();
        self.polls += 1;
        if self.split.each == 0 {
            // Quiet, until all others have ended.
            if watch.reached_ms.is_empty() {
                return Ok(Polled::End { children: vec![] });
            }
            let first = EmptyAnswers::and_one(None, std::time::Duration::ZERO);
            return Ok(Polled::Pending {
                empty: Some(EmptyAnswers::and_one(Some(first), self.clock.monotonic())),
            });
        }
        if self.next == self.split.records {
            watch.reached_ms.remove(&self.split.name);
            return Ok(Polled::End { children: self.children.clone() });
        }
        if !self.polls.is_multiple_of(self.split.each) {
            return Ok(Polled::Pending { empty: None });
        }
        let places = Places::Generated { first: self.next };
        self.next += 1;
        let at_ms = self.next as i64 * STEP_MS;
        watch.reached_ms.insert(self.split.name.clone(), at_ms);
        let slowest_ms = *watch.reached_ms.values().min().unwrap();
        watch.ahead_ms_max = watch.ahead_ms_max.max(at_ms - slowest_ms);
        let mut batch = RawBatch { places, ..RawBatch::default() };
        batch.push(|bytes| {
            bytes.extend(format!("{{\"split\":\"{}\",\"at\":{at_ms}}}", self.split.name).bytes())
        });
        Ok(Polled::Records(batch))
    }
    fn position(&self) -> Position {
        Position::after_records(self.next)
    }
    fn pause(&mut self, now: Pause) {
        self.watch.lock().unwrap().pauses += u64::from(now == Pause::Begins);
    }
}

/// Runs windows over both tables together. `options` stand in both WITHs.
fn run(
    splits: [&str; 2],
    options: &str,
    variation: &Variation,
    dir: &Path,
) -> (Vec<String>, Watch) {
    let uneven = Uneven::default();
    let connectors = Arc::new(Connectors::built_in().with(uneven.clone()));
    let tables: String = ["a", "b"]
        .iter()
        .zip(splits)
        .map(|(name, splits)| {
            format!(
                "CREATE TABLE {name} (split STRING, `at` BIGINT, ts AS TO_TIMESTAMP_LTZ(`at`, 3), WATERMARK FOR ts AS ts)
                 WITH ('connector' = 'uneven', 'splits' = '{splits}'{options});"
            )
        })
        .collect();
    let out = dir.join("out");
    let sql = format!(
        "{tables} CREATE TABLE res (we TIMESTAMP_LTZ(3), split STRING, n BIGINT)
             WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = '{}');
         CREATE VIEW both AS SELECT split, ts FROM a UNION ALL SELECT split, ts FROM b;
         INSERT INTO res SELECT window_end, split, COUNT(*) FROM TABLE(TUMBLE(TABLE both, DESCRIPTOR(ts), INTERVAL '1' SECOND))
         GROUP BY window_start, window_end, split;",
        out.display()
    );
    finish(&sql, &dir.join("state"), &Variation { connectors, ..variation.clone() });
    (sink_rows(&out), std::mem::take(&mut *uneven.0.lock().unwrap()))
}

const ALIGNED: &str =
    ", 'scan.watermark.alignment.group' = 'g', 'scan.watermark.alignment.max-drift' = '2 s'";

fn variations(seed: u64) -> Vec<Variation> {
    let seeded = Scheduling::Seeded(seed);
    let trigger = CheckpointTrigger::Records(70);
    let one = Variation { trigger, ..Variation::plain(1) };
    vec![
        Variation { scheduling: seeded, ..one.clone() },
        Variation { workers: 2, ..one.clone() },
        Variation { workers: 3, ..one },
    ]
}

/// Runs with alignment in all variations, and compares the rows with those without it.
fn same_rows(splits: [&str; 2], more: &str) -> Vec<Watch> {
    let dir = tempfile::tempdir().unwrap();
    let (expected, _) = run(splits, more, &Variation::plain(1), &dir.path().join("plain"));
    assert!(!expected.is_empty());
    let options = format!("{more}{ALIGNED}");
    let seed = one_seed(1);
    let aligned = variations(seed.number).into_iter().enumerate().map(|(i, variation)| {
        let (rows, watch) = run(splits, &options, &variation, &dir.path().join(i.to_string()));
        assert_eq!(rows, expected, "variation {i}");
        watch
    });
    aligned.collect()
}

#[test]
fn a_fast_split_waits_for_a_slow_one_of_its_source_and_of_another() {
    let splits = ["quick:30:1 slow:30:5", "slower:30:9"];
    for watch in same_rows(splits, "") {
        // A split at the bound is still read: it gets one record further.
        assert!(watch.ahead_ms_max <= 2000 + STEP_MS, "{} ms ahead", watch.ahead_ms_max);
        assert!(watch.pauses > 0);
    }
    let dir = tempfile::tempdir().unwrap();
    let (_, free) = run(splits, "", &Variation::plain(1), dir.path());
    assert!(
        free.ahead_ms_max > 10_000 && free.pauses == 0,
        "nothing would have to wait: {} ms",
        free.ahead_ms_max
    );
}

#[test]
fn a_parent_is_read_for_which_a_child_waits() {
    // One parent of the merge ends ten seconds after the other, and the child stands where the
    // first ended.
    same_rows(["early:5:1 late:40:2 child:10:1<early+late", "other:50:1"], "");
}

#[test]
fn a_split_is_read_for_whose_place_another_one_waits() {
    same_rows(["first:40:1 second:10:1 third:30:3", "other:50:1"], ", 'at-once' = '1'");
}

#[test]
fn a_quiet_source_and_one_that_has_ended_hold_nobody() {
    same_rows(["quiet:0:0", "quick:30:1 short:2:1"], ", 'scan.watermark.idle-timeout' = '1 ms'");
}

#[test]
fn options_without_their_partner_are_refused() {
    for (options, reason) in [
        (
            "'scan.watermark.alignment.group' = 'g'",
            "'scan.watermark.alignment.group' needs 'scan.watermark.alignment.max-drift'",
        ),
        ("'scan.watermark.alignment.max-drift' = '1 s'", "needs 'scan.watermark.alignment.group'"),
        (
            "'scan.watermark.alignment.update-interval' = '1 s'",
            "needs 'scan.watermark.alignment.group'",
        ),
        (
            "'scan.watermark.alignment.max-drift' = 'soon'",
            "expected a number and a unit, found 'soon'",
        ),
        (
            "'scan.watermark.emit.strategy' = 'sometimes'",
            "is on-periodic or on-event, not 'sometimes'",
        ),
        ("'scan.watermark.idle-timout' = '1 s'", "did you mean 'scan.watermark.idle-timeout'?"),
        (
            "'scan.watermark.alignment.group' = 'g', 'scan.watermark.alignment.max-drift' = '1 s'",
            "needs a WATERMARK, by which a split can be ahead of others",
        ),
    ] {
        let sql = format!(
            "CREATE TABLE t (n BIGINT) WITH ('connector' = 'datagen', {options}); SELECT n FROM t;"
        );
        let script = bind(&sql).unwrap();
        let config = Config::resolve(&script.settings, 1).unwrap();
        let connectors = Connectors::built_in();
        let plan = lower(&script, &sql, &config, &connectors).unwrap();
        let error = check(&plan, &config, &connectors, &|_, _| false).unwrap_err().to_string();
        assert!(error.contains(reason), "{options}: {error}");
    }
}
