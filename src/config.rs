//! Which settings? SET statements, `--set` and flags, resolved once into typed values with units.
//!
//! Flink's keys where Flink has one, our own under `paceline.`. What always holds: an unknown key
//! of ours is an error; a key of Flink's that has no effect here is reported, not refused, so that
//! files stay portable; where results differ from what it asks for, that is said.

mod differs;
mod records;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use records::{Aggregation, Compression, Envelope};

use crate::secret::shown;
use crate::suggest::nearest;

/// Everything that settings decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub workers: usize,
    /// None: only at the end and when stopped.
    pub checkpoint_interval: Option<Duration>,
    /// Take a checkpoint each time so many records were read, instead of by time.
    pub checkpoint_records: Option<u64>,
    /// A checkpoint that is not complete by then counts as failed.
    pub checkpoint_timeout: Duration,
    /// With more failed checkpoints in a row the job fails. None: with none.
    pub checkpoint_failures_max: Option<u64>,
    pub idle_timeout: Duration,
    pub batch_rows: usize,
    pub memory_bytes: usize,
    /// Folder of the error stream; None: in the state directory.
    pub errors_path: Option<String>,
    /// Table name to where its sample comes from, for `--local`.
    pub samples: BTreeMap<String, String>,
    /// Table name to the number from which made-up rows are made, where a connector takes one.
    pub seeds: BTreeMap<String, u64>,
    /// Tables whose records may hold several rows each.
    pub many_records: BTreeSet<String>,
    /// Tables whose records are compressed each.
    pub compressed_records: BTreeMap<String, Compression>,
    /// Tables for which it is said whether their records may be aggregates of several.
    pub aggregated_records: BTreeMap<String, Aggregation>,
    /// Table name to what is around each of its records.
    pub envelopes: BTreeMap<String, Envelope>,
    /// Table name to how far its rows' times may lie ahead of their records' arrival; zero: any way.
    pub ahead_max: BTreeMap<String, Duration>,
    /// A group without a window is forgotten when it got no row for so long. None: never.
    pub state_ttl: Option<Duration>,
    /// Rows that a changelog folds together before it sends changes. None: each row by itself.
    pub bundle_rows: Option<usize>,
    pub emit: Emit,
    pub mode: RuntimeMode,
    /// With `--local`: windows of processing time that are open when the input ends are sent.
    pub samples_end_clock_windows: bool,
    /// What is to be said about settings that are not followed: one sentence each.
    pub warnings: Vec<String>,
}

/// Whether results follow their input or wait for its end (`execution.runtime-mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RuntimeMode {
    #[default]
    Streaming,
    /// Each result comes once, when all input has been read.
    Batch,
}

/// When the older windows send results besides once, when they close (`table.exec.emit.*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Emit {
    /// Before a window closes: so long after a change; zero: with each row. None: not at all.
    pub early: Option<Duration>,
    /// The same after it has closed.
    pub late: Option<Duration>,
    /// How long after its end a window still takes rows.
    pub lateness: Duration,
}

impl Emit {
    pub(crate) fn is_once(&self) -> bool {
        self.early.is_none() && self.late.is_none() && self.lateness.is_zero()
    }

    /// Reads the settings; a delay without its switch has no effect.
    fn resolve(settings: &BTreeMap<String, String>) -> Result<Emit, String> {
        let setting = |key: &str| {
            let key = format!("{EMIT}{key}");
            settings.get(&key).map(|value| (value, key))
        };
        let time = |key: &str| match setting(key) {
            Some((value, key)) => {
                duration(value).map(Some).map_err(|e| format!("setting '{key}' = '{value}': {e}"))
            }
            None => Ok(None),
        };
        let fire = |kind: &str| {
            let delay = time(&format!("{kind}.delay"))?;
            match setting(&format!("{kind}.enabled")) {
                Some((value, key))
                    if is_true(value)
                        .map_err(|e| format!("setting '{key}' = '{value}': {e}"))? =>
                {
                    delay.map(Some).ok_or_else(|| format!("'{key}' needs '{EMIT}{kind}.delay'"))
                }
                _ => Ok(None),
            }
        };
        let emit = Emit {
            early: fire("early-fire")?,
            late: fire("late-fire")?,
            lateness: time("allow-lateness")?.unwrap_or_default(),
        };
        if emit.late.is_some() && emit.lateness.is_zero() {
            return Err(format!("'{EMIT}late-fire.enabled' needs '{EMIT}allow-lateness'"));
        }
        if emit.late.is_some_and(|delay| delay > emit.lateness) {
            return Err(format!(
                "'{EMIT}allow-lateness' is shorter than '{EMIT}late-fire.delay': no late fire would come"
            ));
        }
        Ok(emit)
    }
}

/// What the settings of [`Emit`] begin with.
const EMIT: &str = "table.exec.emit.";
const EMIT_KEYS: [&str; 5] = [
    "early-fire.enabled",
    "early-fire.delay",
    "late-fire.enabled",
    "late-fire.delay",
    "allow-lateness",
];

/// The smallest memory that leaves every part something.
const MEMORY_BYTES_MIN: usize = 256 << 20;

/// Rows of a bundle wait in memory.
const BUNDLE_ROWS_MAX: u64 = 1 << 20;

/// Changes on the way to the end are seen by nobody, so few of them are made.
const BATCH_BUNDLE_ROWS: usize = 1 << 16;

const KNOWN: [(&str, &str); 24] = [
    (
        RUNTIME_MODE,
        "streaming or batch: results once, when all input has been read (default: streaming)",
    ),
    ("parallelism.default", "number of workers (default: one per core)"),
    (
        "execution.checkpointing.interval",
        "time between checkpoints, such as '10 s' (default: 10 s)",
    ),
    (
        "execution.checkpointing.timeout",
        "a checkpoint that is not complete by then counts as failed (default: 10 min)",
    ),
    (
        "execution.checkpointing.tolerable-failed-checkpoints",
        "with more failed checkpoints in a row the job fails (default: it goes on)",
    ),
    (
        "table.exec.source.idle-timeout",
        "a shard certified empty for this long no longer holds the watermark (default: 0 ms, never)",
    ),
    (
        "table.local-time-zone",
        "the zone of TIMESTAMP_LTZ, such as 'Europe/Berlin' or '+02:00' (default: UTC)",
    ),
    (
        "table.exec.state.ttl",
        "a group without a window is forgotten when it got no row for so long (default: 0 ms, never)",
    ),
    (
        "table.exec.mini-batch.enabled",
        "fold several rows together before a changelog says what changed (default: false)",
    ),
    ("table.exec.mini-batch.size", "rows that are folded together"),
    (
        "table.exec.emit.early-fire.enabled",
        "older windows send results before they close, 'early-fire.delay' after a change",
    ),
    (
        "table.exec.emit.late-fire.enabled",
        "older windows send what late rows change, 'late-fire.delay' after that",
    ),
    (
        "table.exec.emit.allow-lateness",
        "how long after their end older windows still take rows (default: 0 ms)",
    ),
    ("paceline.checkpoint.records", "records between checkpoints, instead of time"),
    ("paceline.batch.rows", "records read from a split at a time (default: 8192)"),
    (
        "paceline.memory",
        "bytes for queues, accumulators and RocksDB, such as '1 gb' (default: 1 gb, at least 256 mb)",
    ),
    ("paceline.<table>.sample", "what stands in for the table with --local: a file, or 'alleycat'"),
    ("paceline.<table>.seed", "a number: other events of the connector 'nexmark' (default: 1)"),
    (
        "paceline.<table>.records",
        "one or many: what a record of the table holds (default: one); of JSON objects, of CSV lines",
    ),
    (
        "paceline.<table>.max-ahead",
        "how far a row of a stream may lie ahead of its record's arrival; 0: any way (default: 1 d)",
    ),
    (
        "paceline.<table>.compression",
        "none, gzip or zstd: how producers compressed each record of a stream (default: none)",
    ),
    (
        "paceline.<table>.envelope",
        "none, cloudwatch-logs, eventbridge, dms or iot: what a service put around each record of a stream; its fields are metadata, such \
         as METADATA FROM 'envelope.logGroup' (default: none)",
    ),
    (
        "paceline.<table>.aggregation",
        "kpl, kpl-strict or none: whether records of a stream may be aggregates of the Kinesis Producer Library, and with kpl-strict \
         what is in one is left out where its key belongs to a different shard; a table that is written: kpl writes such (default: kpl when \
         read, none when written)",
    ),
    (
        "paceline.errors.path",
        "folder of the error stream (default: errors/ in the state directory)",
    ),
];

const RUNTIME_MODE: &str = "execution.runtime-mode";

/// Keys of Flink's that are right as they are: they describe what happens here anyway.
const NO_EFFECT: [&str; 7] = [
    // A bundle ends at every watermark and checkpoint too.
    "table.exec.mini-batch.allow-latency",
    "pipeline.auto-watermark-interval",
    "table.optimizer.agg-phase-strategy",
    "table.exec.resource.default-parallelism",
    "pipeline.name",
    // The binder has seen to these.
    "table.exec.sink.not-null-enforcer",
    "table.exec.sink.type-length-enforcer",
];

/// A clock that is a day wrong is broken; events that are announced longer ahead need the setting.
const AHEAD_MAX: Duration = Duration::from_secs(24 * 3600);

impl Config {
    /// `defaults_workers`: the number of cores.
    pub fn resolve(
        settings: &BTreeMap<String, String>,
        default_workers: usize,
    ) -> Result<Config, String> {
        let mut config = Config {
            workers: default_workers,
            checkpoint_interval: Some(Duration::from_secs(10)),
            checkpoint_records: None,
            checkpoint_timeout: Duration::from_secs(600),
            checkpoint_failures_max: None,
            idle_timeout: Duration::ZERO,
            batch_rows: 8192,
            memory_bytes: 1 << 30,
            errors_path: None,
            samples: BTreeMap::new(),
            seeds: BTreeMap::new(),
            many_records: BTreeSet::new(),
            compressed_records: BTreeMap::new(),
            aggregated_records: BTreeMap::new(),
            envelopes: BTreeMap::new(),
            ahead_max: BTreeMap::new(),
            state_ttl: None,
            bundle_rows: None,
            emit: Emit::resolve(settings)?,
            mode: RuntimeMode::default(),
            samples_end_clock_windows: false,
            warnings: vec![],
        };
        for (key, value) in settings {
            config
                .set(key, value)
                .map_err(|e| format!("setting '{key}' = '{}': {e}", shown(key, value)))?;
        }
        let is_on =
            settings.get("table.exec.mini-batch.enabled").is_some_and(|v| is_true(v) == Ok(true));
        if is_on && config.bundle_rows.is_none() {
            return Err("'table.exec.mini-batch.enabled' needs 'table.exec.mini-batch.size'".into());
        }
        config.bundle_rows = config.bundle_rows.filter(|_| is_on);
        if config.mode == RuntimeMode::Batch {
            // Settings of changes, of which there are none: as in Flink they have no effect.
            config.emit = Emit::default();
            config.state_ttl = None;
            config.bundle_rows = Some(BATCH_BUNDLE_ROWS);
        }
        Ok(config)
    }

    /// Whether what is read of a table may be aggregates.
    pub(crate) fn aggregation(&self, table: &str) -> Aggregation {
        self.aggregated_records.get(table).copied().unwrap_or_default()
    }

    /// How far rows of a table may lie ahead of their records' arrival, ms. None: any way.
    pub(crate) fn ahead_max_ms(&self, table: &str) -> Option<i64> {
        let most = self.ahead_max.get(table).copied().unwrap_or(AHEAD_MAX);
        (!most.is_zero()).then(|| i64::try_from(most.as_millis()).unwrap_or(i64::MAX))
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let number = |low: u64, high: u64| match value.trim().parse::<u64>() {
            Ok(n) if (low..=high).contains(&n) => Ok(n),
            _ => Err(format!("expected a number from {low} to {high}")),
        };
        match key {
            // More workers than key groups would have nothing to own.
            "parallelism.default" => {
                self.workers = number(1, u64::from(crate::state::KEY_GROUPS))? as usize
            }
            "execution.checkpointing.interval" => {
                self.checkpoint_interval = Some(duration(value)?).filter(|d| !d.is_zero())
            }
            "execution.checkpointing.timeout" => {
                self.checkpoint_timeout = duration(value)?;
                if self.checkpoint_timeout.is_zero() {
                    return Err("expected more than 0 ms".into());
                }
            }
            "execution.checkpointing.tolerable-failed-checkpoints" => {
                self.checkpoint_failures_max = Some(number(0, u64::MAX)?)
            }
            RUNTIME_MODE => self.mode = mode(value)?,
            "table.exec.source.idle-timeout" => self.idle_timeout = duration(value)?,
            // The binder has seen to it.
            "table.local-time-zone" => {}
            "paceline.checkpoint.records" => {
                self.checkpoint_records = Some(number(0, u64::MAX)?).filter(|n| *n > 0)
            }
            "paceline.batch.rows" => self.batch_rows = number(1, 1 << 20)? as usize,
            "paceline.memory" => {
                self.memory_bytes = bytes(value)?;
                if self.memory_bytes < MEMORY_BYTES_MIN {
                    return Err("at least 256 mb are needed".into());
                }
            }
            "table.exec.state.ttl" => {
                self.state_ttl = Some(duration(value)?).filter(|d| !d.is_zero())
            }
            "table.exec.mini-batch.enabled" => {
                is_true(value)?;
            }
            "table.exec.mini-batch.size" => {
                self.bundle_rows = Some(number(1, BUNDLE_ROWS_MAX)? as usize)
            }
            "paceline.errors.path" => self.errors_path = Some(value.to_string()),
            _ => match of_table(key) {
                Some((table, "sample")) => {
                    self.samples.insert(table.to_string(), value.to_string());
                }
                Some((table, "seed")) => {
                    self.seeds.insert(table.to_string(), number(0, u64::MAX)?);
                }
                Some((table, "compression")) => {
                    self.compressed_records.insert(table.to_string(), Compression::of(value)?);
                }
                Some((table, "envelope")) => {
                    self.envelopes.extend(Envelope::of(value)?.map(|e| (table.to_string(), e)));
                }
                Some((table, "aggregation")) => {
                    self.aggregated_records.insert(table.to_string(), Aggregation::of(value)?);
                }
                Some((table, "max-ahead")) => {
                    self.ahead_max.insert(table.to_string(), duration(value)?);
                }
                Some((table, _)) => match value {
                    "many" => {
                        self.many_records.insert(table.to_string());
                    }
                    "one" => {}
                    _ => return Err("expected one or many".into()),
                },
                None if key.starts_with("paceline.") => {
                    let near = nearest(key, KNOWN.iter().map(|(k, _)| *k))
                        .map(|n| format!("; did you mean '{n}'?"));
                    let list: Vec<String> =
                        KNOWN.iter().map(|(k, what)| format!("  {k}: {what}")).collect();
                    return Err(format!(
                        "there is no such setting{}\nknown settings:\n{}",
                        near.unwrap_or_default(),
                        list.join("\n")
                    ));
                }
                None => match differs::instead(key, value) {
                    Some(what) => self
                        .warnings
                        .push(format!("setting '{key}' = '{value}' is not followed: {what}")),
                    None if NO_EFFECT.contains(&key) => {}
                    None if key.strip_prefix(EMIT).is_some_and(|k| EMIT_KEYS.contains(&k)) => {}
                    None => self.warnings.push(format!("setting '{key}' has no effect here")),
                },
            },
        }
        Ok(())
    }
}

fn mode(value: &str) -> Result<RuntimeMode, String> {
    match value.trim().to_ascii_lowercase().as_str() {
        "streaming" => Ok(RuntimeMode::Streaming),
        "batch" => Ok(RuntimeMode::Batch),
        // As in Flink's table environment.
        "automatic" => Err("SQL is run in 'streaming' or in 'batch' mode: say which".into()),
        _ => Err("expected streaming or batch".into()),
    }
}

/// The table, and what is set for it: `paceline.<table>.sample`.
fn of_table(key: &str) -> Option<(&str, &str)> {
    let (table, what) = key.strip_prefix("paceline.")?.rsplit_once('.')?;
    ["sample", "seed", "records", "compression", "aggregation", "envelope", "max-ahead"]
        .contains(&what)
        .then_some((table, what))
}

fn is_true(value: &str) -> Result<bool, String> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("expected true or false".into()),
    }
}

/// A duration as Flink writes it: a number and a unit; milliseconds without one.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split_unit(text)?;
    let ms = match unit.as_str() {
        "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000,
        "m" | "min" | "minute" | "minutes" => 60_000,
        "h" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => 86_400_000,
        _ => return Err("expected a duration such as '500 ms', '10 s' or '1 min'".into()),
    };
    number.checked_mul(ms).map(Duration::from_millis).ok_or_else(|| "too long".into())
}

/// A size as Flink writes it: a number and a unit; bytes without one.
pub fn bytes(text: &str) -> Result<usize, String> {
    let (number, unit) = split_unit(text)?;
    let shift = match unit.as_str() {
        "" | "b" | "bytes" => 0,
        "k" | "kb" | "kibibytes" => 10,
        "m" | "mb" | "mebibytes" => 20,
        "g" | "gb" | "gibibytes" => 30,
        _ => return Err("expected a size such as '512 mb' or '2 gb'".into()),
    };
    usize::try_from(number)
        .ok()
        .and_then(|n| n.checked_mul(1 << shift))
        .ok_or_else(|| "too large".into())
}

fn split_unit(text: &str) -> Result<(u64, String), String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number = text[..digits]
        .parse()
        .map_err(|_| format!("expected a number and a unit, found '{text}'"))?;
    Ok((number, text[digits..].trim().to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(key: &str, value: &str) -> Result<Config, String> {
        Config::resolve(&BTreeMap::from([(key.to_string(), value.to_string())]), 2)
    }

    #[test]
    fn flink_durations_and_sizes() {
        for (text, ms) in
            [("10 s", 10_000), ("500ms", 500), ("7", 7), ("1 min", 60_000), ("2 h", 7_200_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        assert!(duration("soon").is_err() && duration("10 parsecs").is_err());
        assert_eq!(bytes("2 gb"), Ok(2 << 30));
    }

    #[test]
    fn unknown_keys_of_ours_are_errors_with_a_suggestion() {
        let error = resolve("paceline.batch.row", "5").expect_err("no such key");
        assert!(error.contains("did you mean 'paceline.batch.rows'"), "{error}");
        let warnings = |key, value| resolve(key, value).expect("portable").warnings.join("");
        assert_eq!(
            warnings("taskmanager.memory.size", "1g"),
            "setting 'taskmanager.memory.size' has no effect here"
        );
        assert_eq!(warnings("execution.runtime-mode", "streaming"), "");
        assert_eq!(warnings("execution.runtime-mode", "BATCH"), "");
    }

    #[test]
    fn values_of_secrets_are_not_shown() {
        let error = resolve("paceline.password", "open-sesame").expect_err("no such key");
        assert!(
            error.contains("'paceline.password' = '****'") && !error.contains("sesame"),
            "{error}"
        );
    }

    #[test]
    fn values_out_of_range_are_errors() {
        for (key, value) in [
            ("parallelism.default", "0"),
            ("parallelism.default", "129"),
            ("paceline.memory", "1 mb"),
            ("execution.runtime-mode", "bach"),
        ] {
            assert!(resolve(key, value).is_err(), "{key} {value}");
        }
    }
}
