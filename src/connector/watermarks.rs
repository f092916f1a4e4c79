//! What may WITH say about the watermark of a source, whatever its connector?
//!
//! Flink's options `scan.watermark.*`, read by `connect` for each source table. What always holds: an option that cannot have an
//! effect, for want of a WATERMARK or of its partner, is an error.

use std::time::Duration;

use super::error::{ConnectError, config_error};
use crate::config::{Config, duration};
use crate::options::{OptionKind, OptionSpec};
use crate::plan::physical::SourcePlan;
use crate::runtime::options::{Alignment, SourceWatermarks};

const PREFIX: &str = "scan.watermark.";
const IDLE_TIMEOUT: &str = "scan.watermark.idle-timeout";
const GROUP: &str = "scan.watermark.alignment.group";
const MAX_DRIFT: &str = "scan.watermark.alignment.max-drift";
const UPDATE_INTERVAL: &str = "scan.watermark.alignment.update-interval";

/// The options that every connector takes that can be read.
pub const OPTIONS: [OptionSpec; 6] = [
    OptionSpec::new(
        IDLE_TIMEOUT,
        OptionKind::Duration,
        "a split certified empty for this long no longer holds the watermark; without it 'table.exec.source.idle-timeout' says so",
    ),
    OptionSpec::new(
        GROUP,
        OptionKind::Text,
        "sources with the same name here are read together: splits of theirs wait that are too far ahead of the slowest",
    ),
    OptionSpec::new(MAX_DRIFT, OptionKind::Duration, "how far ahead of the slowest source of its group a split may be"),
    OptionSpec::new(UPDATE_INTERVAL, OptionKind::Duration, "taken for the sake of Flink's files; every batch is looked at")
        .or("1 s"),
    OptionSpec::new(
        "scan.watermark.emit.strategy",
        OptionKind::OneOf(&["on-periodic", "on-event"]),
        "taken for the sake of Flink's files; every record is marked with the watermark before it",
    )
    .or("on-periodic"),
    OptionSpec::new(
        "scan.watermark.emit.on-event.gap",
        OptionKind::Number(1, u64::MAX),
        "taken for the sake of Flink's files, as above",
    )
    .or("1"),
];

/// True for the key of one of these options.
pub fn is_one(key: &str) -> bool {
    key.starts_with(PREFIX)
}

/// Reads the options of a source table.
pub fn of(plan: &SourcePlan, config: &Config) -> Result<SourceWatermarks, ConnectError> {
    let table = &plan.table;
    let given = |key: &str| table.options.get(key).map(|text| text.trim());
    let time = |key: &'static str| -> Result<Option<Duration>, ConnectError> {
        given(key).map(duration).transpose().map_err(|e| config_error(table, format!("'{key}': {e}")))
    };
    let alignment = match (given(GROUP), time(MAX_DRIFT)?) {
        (None, None) if given(UPDATE_INTERVAL).is_some() => {
            return Err(config_error(table, format!("'{UPDATE_INTERVAL}' needs '{GROUP}'")));
        }
        (None, None) => None,
        (Some(group), Some(max_drift)) => Some(Alignment { group: group.to_string(), max_drift }),
        (Some(_), None) => return Err(config_error(table, format!("'{GROUP}' needs '{MAX_DRIFT}'"))),
        (None, Some(_)) => return Err(config_error(table, format!("'{MAX_DRIFT}' needs '{GROUP}'"))),
    };
    if alignment.is_some() && plan.ingest.watermark.is_none() {
        return Err(config_error(table, format!("'{GROUP}' needs a WATERMARK, by which a split can be ahead of others")));
    }
    let idle_timeout = time(IDLE_TIMEOUT)?.unwrap_or(config.idle_timeout);
    Ok(SourceWatermarks { idle_timeout, alignment })
}
