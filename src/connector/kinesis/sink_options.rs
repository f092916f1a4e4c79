//! What the WITH of a Kinesis table says about writing. Keys and values are those of Flink's
//! connector; those of the older producer (`sink.producer.*`) mean the same where there is such an
//! option.

use crate::connector::ConnectError;
use crate::connector::error::config_error;
use crate::options::{OptionKind, OptionSpec};
use crate::sql::catalog::Table;

const PARTITIONER: &str = "sink.partitioner";
const DELIMITER: &str = "sink.partitioner-field-delimiter";
const BATCH_SIZE: [&str; 2] = ["sink.batch.max-size", "sink.producer.collection-max-count"];
const REQUESTS: &str = "sink.requests.max-inflight";
const BUFFERED: &str = "sink.requests.max-buffered";
const BATCH_BYTES: [&str; 2] = ["sink.flush-buffer.size", "sink.producer.collection-max-size"];
const FAIL_ON_ERROR: [&str; 2] = ["sink.fail-on-error", "sink.producer.fail-on-error"];

/// Entries that a PutRecords call may have.
const BATCH_MAX: u64 = 500;
/// Bytes of a call: the limit of older servers, half of what Kinesis takes now.
const BYTES_MAX: u64 = 5 << 20;
const REQUESTS_MAX: u64 = 1000;
const BUFFERED_MAX: u64 = 1_000_000;

const AT_ONCE: &str =
    "what is there is sent as soon as a call is free: nothing waits for a buffer to fill";
const PRODUCER: &str = "it tunes the older producer library, which is not used";

pub const OPTIONS: [OptionSpec; 14] = [
    OptionSpec::new(
        PARTITIONER,
        OptionKind::Text,
        "how partition keys are made: random, or fixed (one for each worker); with PARTITIONED BY they are the values of those columns",
    )
    .or("random"),
    OptionSpec::new(DELIMITER, OptionKind::Text, "what stands between the values of several columns").or("|"),
    OptionSpec::new(BATCH_SIZE[0], OptionKind::Number(1, BATCH_MAX), "records of one PutRecords call").or("500"),
    OptionSpec::new(REQUESTS, OptionKind::Number(1, REQUESTS_MAX), "calls of one writer that may be on their way at once").or("16"),
    OptionSpec::new(BUFFERED, OptionKind::Number(1, BUFFERED_MAX), "records of one writer that may wait or be on their way").or("10000"),
    OptionSpec::new(BATCH_BYTES[0], OptionKind::Number(1, u64::MAX), "bytes of one call; more than 5 MiB are not sent at once").or("5242880"),
    OptionSpec::ignored("sink.flush-buffer.timeout", AT_ONCE),
    OptionSpec::new(FAIL_ON_ERROR[0], OptionKind::Flag, "a record that is refused ends the job, where otherwise it is sent again").or("false"),
    OptionSpec::ignored("sink.http-client.<column>", "there is one client with limits of its own"),
    OptionSpec::new(BATCH_SIZE[1], OptionKind::Number(1, BATCH_MAX), "the older name of 'sink.batch.max-size'"),
    OptionSpec::new(BATCH_BYTES[1], OptionKind::Number(1, u64::MAX), "the older name of 'sink.flush-buffer.size'"),
    OptionSpec::new(FAIL_ON_ERROR[1], OptionKind::Flag, "the older name of 'sink.fail-on-error'"),
    OptionSpec::ignored("sink.producer.record-max-buffered-time", AT_ONCE),
    OptionSpec::ignored("sink.producer.<column>", PRODUCER),
];

/// How records get their partition keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Partitioner {
    /// The values of PARTITIONED BY, with this between them.
    Fields { delimiter: String },
    /// One key for each writer.
    Fixed,
    /// Another one for each record.
    Random,
}

#[derive(Debug, Clone)]
pub(super) struct SinkOptions {
    pub partitioner: Partitioner,
    pub batch_max: usize,
    pub batch_bytes_max: usize,
    pub requests_max: usize,
    pub buffered_max: usize,
    pub fail_on_error: bool,
}

impl SinkOptions {
    /// Reads options that are of their kinds already.
    pub fn parse(table: &Table) -> Result<SinkOptions, ConnectError> {
        let get = |keys: &[&str]| {
            let found = keys.iter().find_map(|key| table.options.get(*key));
            found.map(|v| v.trim()).filter(|v| !v.is_empty())
        };
        let number = |keys: &[&str], default: u64, max: u64| {
            let given = get(keys).and_then(|text| text.parse().ok()).unwrap_or(default);
            usize::try_from(given.min(max)).unwrap_or(usize::MAX)
        };
        let by_fields = !table.partitioned_by.is_empty();
        let partitioner = match get(&[PARTITIONER]) {
            Some(given) if by_fields => {
                let reason = format!(
                    "'{PARTITIONER}' = '{given}' and PARTITIONED BY cannot both be: leave one out"
                );
                return Err(config_error(table, reason));
            }
            None if by_fields => Partitioner::Fields {
                // An empty one is meant.
                delimiter: table.options.get(DELIMITER).map_or("|", String::as_str).to_string(),
            },
            None => Partitioner::Random,
            Some(given) if given.eq_ignore_ascii_case("random") => Partitioner::Random,
            Some(given) if given.eq_ignore_ascii_case("fixed") => Partitioner::Fixed,
            Some(given) => {
                let reason = format!(
                    "'{PARTITIONER}' is random or fixed, not '{given}': for keys of one's own write PARTITIONED BY (column, ...)"
                );
                return Err(config_error(table, reason));
            }
        };
        Ok(SinkOptions {
            partitioner,
            batch_max: number(&BATCH_SIZE, BATCH_MAX, BATCH_MAX),
            batch_bytes_max: number(&BATCH_BYTES, BYTES_MAX, BYTES_MAX),
            requests_max: number(&[REQUESTS], 16, REQUESTS_MAX),
            buffered_max: number(&[BUFFERED], 10_000, BUFFERED_MAX),
            fail_on_error: get(&FAIL_ON_ERROR).is_some_and(|v| v.eq_ignore_ascii_case("true")),
        })
    }
}
