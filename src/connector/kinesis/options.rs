//! What the WITH of a Kinesis table says. Keys and values are those of Flink's connector.
//!
//! What always holds: options are checked completely here, before anything outside is touched.

use std::collections::BTreeMap;

use super::timestamp;
use crate::aws::{self, AwsOptions};
use crate::connector::Bounds;
use crate::options::{OptionKind, OptionSpec};
use crate::source::SourceError;

const STREAM_ARN: &str = "stream.arn";
/// The older connector's name of a stream, without its ARN.
const STREAM: &str = "stream";
const INIT_POSITION: [&str; 2] = ["source.init.position", "scan.stream.initpos"];
const INIT_TIMESTAMP: [&str; 2] = ["source.init.timestamp", "scan.stream.initpos-timestamp"];
const INIT_TIMESTAMP_FORMAT: [&str; 2] =
    ["source.init.timestamp.format", "scan.stream.initpos-timestamp-format"];

const POSITION_HELP: &str = "where a new run starts: TRIM_HORIZON, LATEST or AT_TIMESTAMP";
const TIMESTAMP_HELP: &str = "the arrival time to start from, with AT_TIMESTAMP: seconds since the epoch, or a time in the format below";
const FORMAT_HELP: &str = "how that time is written, by Java's SimpleDateFormat";
const FORMAT_DEFAULT: &str = "yyyy-MM-dd'T'HH:mm:ss.SSSXXX";
const POLLED: &str = "shards are read by GetRecords, which needs no consumer";
const RETRIED: &str = "calls are tried again, with growing pauses, until they succeed";

/// The options of a table that is read, `format` left out. The older connector's names stand behind
/// the newer ones and mean the same.
pub const OPTIONS: [OptionSpec; 19] = [
    OptionSpec::new(STREAM_ARN, OptionKind::Text, "the ARN of the stream"),
    OptionSpec::new(
        STREAM,
        OptionKind::Text,
        "the name of the stream, in the place of its ARN: it is of the region and account of the credentials",
    ),
    OptionSpec::new(INIT_POSITION[0], OptionKind::Text, POSITION_HELP).or("LATEST"),
    OptionSpec::new(INIT_POSITION[1], OptionKind::Text, "the older name of 'source.init.position'"),
    OptionSpec::new(INIT_TIMESTAMP[0], OptionKind::Text, TIMESTAMP_HELP),
    OptionSpec::new(
        INIT_TIMESTAMP[1],
        OptionKind::Text,
        "the older name of 'source.init.timestamp'",
    ),
    OptionSpec::new(INIT_TIMESTAMP_FORMAT[0], OptionKind::Text, FORMAT_HELP).or(FORMAT_DEFAULT),
    OptionSpec::new(
        INIT_TIMESTAMP_FORMAT[1],
        OptionKind::Text,
        "the older name of 'source.init.timestamp.format'",
    ),
    OptionSpec::ignored("scan.stream.recordpublisher", POLLED),
    OptionSpec::ignored("scan.stream.efo.<column>", POLLED),
    OptionSpec::ignored("source.reader.type", POLLED),
    OptionSpec::ignored("source.efo.<column>", POLLED),
    OptionSpec::ignored(
        "source.shard.<column>",
        "shards are found where their parents end, and read as fast as Kinesis gives them",
    ),
    OptionSpec::ignored(
        "scan.shard.<column>",
        "shards are found where their parents end, and read as fast as Kinesis gives them",
    ),
    OptionSpec::ignored("scan.shard-assigner", "shards are dealt over the workers by their names"),
    OptionSpec::ignored("shard.<column>", "shards are dealt over the workers by their names"),
    OptionSpec::ignored("scan.list.<column>", RETRIED),
    OptionSpec::ignored("scan.stream.describe<column>", RETRIED),
    OptionSpec::ignored("scan.stream.registerstreamconsumer.<column>", POLLED),
];

/// Where a new run starts to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitPosition {
    TrimHorizon,
    Latest,
    AtTimestamp { arrival_ms: i64 },
}

/// A note where 'aws.region' is not the region of the ARN, which is where the stream is.
pub fn other_region(table: &str, options: &BTreeMap<String, String>) -> Option<String> {
    let given = options.get(aws::REGION)?.trim();
    let arn = [STREAM_ARN, STREAM].into_iter().find_map(|key| options.get(key))?;
    let (region, _) = parts_of_arn(arn.trim()).ok()?;
    (region != given).then(|| {
        format!(
            "note: table '{table}': '{}' is '{given}', but the stream is in '{region}', as its ARN says",
            aws::REGION
        )
    })
}

#[derive(Debug, Clone)]
pub struct KinesisOptions {
    /// None where the name is all that is known.
    pub stream_arn: Option<String>,
    pub stream_name: String,
    /// With the region of the ARN.
    pub aws: AwsOptions,
    pub init: InitPosition,
    /// A shard ends at its first record that arrived at the upper one or later.
    pub bounds: Bounds,
}

impl KinesisOptions {
    /// Reads the options of `table`, without `connector` and those of the format. `bounds.from_ms`
    /// takes the place of the initial position. Errors: [`SourceError::Config`] with what to write
    /// instead.
    pub fn parse(
        table: &str,
        options: &BTreeMap<String, String>,
        bounds: Bounds,
    ) -> Result<KinesisOptions, SourceError> {
        parse(options, bounds).map_err(|reason| SourceError::Config { table: table.into(), reason })
    }
}

fn parse(options: &BTreeMap<String, String>, bounds: Bounds) -> Result<KinesisOptions, String> {
    let get = |key: &str| options.get(key).map(|v| v.trim()).filter(|v| !v.is_empty());
    let either = |keys: [&'static str; 2]| keys.into_iter().find_map(|key| Some((key, get(key)?)));
    let mut aws = AwsOptions::parse(options)?;
    // People write an ARN into the older option too.
    let by_name = get(STREAM).filter(|name| !name.starts_with("arn:"));
    let arn = get(STREAM_ARN).or_else(|| get(STREAM).filter(|name| name.starts_with("arn:")));
    let (stream_arn, stream_name) = match (arn, by_name) {
        (None, Some(name)) => (None, name.to_owned()),
        (Some(arn), other) => {
            let (region, name) = parts_of_arn(arn)?;
            if other.is_some_and(|other| other != name) {
                return Err(format!("'{STREAM_ARN}' and '{STREAM}' name two streams"));
            }
            // As in Flink, the ARN says where; `other_region` is told.
            aws.region = Some(region);
            (Some(arn.to_owned()), name)
        }
        (None, None) => {
            return Err(format!("WITH needs '{STREAM_ARN}': the ARN of the stream"));
        }
    };
    if bounds.from_ms.zip(bounds.to_ms).is_some_and(|(from, to)| from >= to) {
        return Err("--from must lie before --to".into());
    }
    let timestamp = || {
        let (key, text) = either(INIT_TIMESTAMP).ok_or_else(|| {
            format!("WITH needs '{}': the initial position is AT_TIMESTAMP", INIT_TIMESTAMP[0])
        })?;
        let format = either(INIT_TIMESTAMP_FORMAT).map(|(_, format)| format);
        timestamp::parse_ms(text, format).map_err(|e| format!("'{key}': {e}"))
    };
    let init = match either(INIT_POSITION) {
        None | Some((_, "LATEST")) => InitPosition::Latest,
        Some((_, "TRIM_HORIZON")) => InitPosition::TrimHorizon,
        Some((_, "AT_TIMESTAMP")) => InitPosition::AtTimestamp { arrival_ms: timestamp()? },
        Some((key, other)) => {
            return Err(format!("'{key}' is TRIM_HORIZON, LATEST or AT_TIMESTAMP, not '{other}'"));
        }
    };
    let init = bounds.from_ms.map_or(init, |arrival_ms| InitPosition::AtTimestamp { arrival_ms });
    Ok(KinesisOptions { stream_arn, stream_name, aws, init, bounds })
}

/// Region and stream name of `arn:aws:kinesis:REGION:ACCOUNT:stream/NAME`.
fn parts_of_arn(arn: &str) -> Result<(String, String), String> {
    let parts: Vec<&str> = arn.split(':').collect();
    match parts[..] {
        ["arn", _, "kinesis", region, _, resource] if !region.is_empty() => {
            match resource.strip_prefix("stream/") {
                Some(name) if !name.is_empty() && !name.contains('/') => {
                    Ok((region.into(), name.into()))
                }
                _ => Err(format!(
                    "'{STREAM_ARN}' names no stream: '{arn}' does not end with stream/NAME"
                )),
            }
        }
        _ => Err(format!(
            "'{STREAM_ARN}' looks like arn:aws:kinesis:REGION:ACCOUNT:stream/NAME, not '{arn}'"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:kinesis:eu-west-1:123456789012:stream/rides";

    fn parsed(extra: &[(&str, &str)], bounds: Bounds) -> Result<KinesisOptions, String> {
        let all = [(STREAM_ARN, ARN)]
            .iter()
            .chain(extra)
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        KinesisOptions::parse("rides", &all.collect(), bounds).map_err(|e| e.to_string())
    }

    fn error(extra: &[(&str, &str)]) -> String {
        parsed(extra, Bounds::default()).expect_err("refused")
    }

    #[test]
    fn the_arn_says_region_and_stream() {
        let options = parsed(&[], Bounds::default()).expect("parses");
        assert_eq!(
            (options.aws.region.as_deref(), options.stream_name.as_str()),
            (Some("eu-west-1"), "rides")
        );
        assert_eq!(options.init, InitPosition::Latest);
        let other = parsed(&[(aws::REGION, "us-east-1")], Bounds::default()).expect("parses");
        assert_eq!(other.aws.region.as_deref(), Some("eu-west-1"));
        let said = |region: &str| {
            let pairs = [(STREAM_ARN, ARN), (aws::REGION, region)];
            let all = pairs.map(|(k, v)| (k.to_owned(), v.to_owned()));
            other_region("rides", &BTreeMap::from(all))
        };
        assert!(said("us-east-1").is_some_and(|note| note.contains("is in 'eu-west-1'")));
        assert_eq!(said("eu-west-1"), None);
        for bad in [
            "rides",
            "arn:aws:kinesis:eu-west-1:1:stream/",
            "arn:aws:s3:eu-west-1:1:stream/x",
            "arn:aws:kinesis::1:stream/x",
        ] {
            assert!(error(&[(STREAM_ARN, bad)]).contains(STREAM_ARN), "{bad}");
        }
        let none = KinesisOptions::parse("rides", &BTreeMap::new(), Bounds::default())
            .expect_err("needs it")
            .to_string();
        assert_eq!(none, "source rides: WITH needs 'stream.arn': the ARN of the stream");
    }

    #[test]
    fn older_names_mean_the_same() {
        let old = |pairs: &[(&str, &str)]| {
            let all = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            KinesisOptions::parse("rides", &all.collect(), Bounds::default())
                .map_err(|e| e.to_string())
        };
        let at = [
            ("stream", "rides"),
            ("aws.region", "eu-west-1"),
            ("scan.stream.initpos", "AT_TIMESTAMP"),
            ("scan.stream.initpos-timestamp", "2014-10-22T12:00:00"),
            ("scan.stream.initpos-timestamp-format", "yyyy-MM-dd'T'HH:mm:ss"),
        ];
        let options = old(&at).expect("parses");
        assert_eq!((options.stream_arn, options.stream_name.as_str()), (None, "rides"));
        assert_eq!(options.init, InitPosition::AtTimestamp { arrival_ms: 1_413_979_200_000 });
        let both = old(&[("stream", "rides"), (STREAM_ARN, ARN)]).expect("parses");
        assert_eq!(both.stream_arn.as_deref(), Some(ARN));
        assert!(
            old(&[("stream", "x"), (STREAM_ARN, ARN)]).expect_err("two").contains("two streams")
        );
        assert_eq!(old(&[("stream", ARN)]).expect("parses").stream_name, "rides");
        let wrong = old(&[("stream", "x"), ("scan.stream.initpos", "FIRST")]).expect_err("refused");
        assert!(wrong.contains("'scan.stream.initpos' is TRIM_HORIZON"), "{wrong}");
    }

    #[test]
    fn positions_and_the_bound_that_replaces_them() {
        let init = |extra: &[(&str, &str)]| parsed(extra, Bounds::default()).expect("parses").init;
        assert_eq!(init(&[(INIT_POSITION[0], "TRIM_HORIZON")]), InitPosition::TrimHorizon);
        let at = [(INIT_POSITION[0], "AT_TIMESTAMP"), (INIT_TIMESTAMP[0], "1459799926.480")];
        assert_eq!(init(&at), InitPosition::AtTimestamp { arrival_ms: 1_459_799_926_480 });
        assert!(error(&[(INIT_POSITION[0], "AT_TIMESTAMP")]).contains(INIT_TIMESTAMP[0]));
        assert!(error(&[(INIT_POSITION[0], "EARLIEST")]).contains("TRIM_HORIZON"));
        let bounds = Bounds { from_ms: Some(5), to_ms: Some(9) };
        let bounded = parsed(&[(INIT_POSITION[0], "TRIM_HORIZON")], bounds).expect("parses");
        assert_eq!(
            (bounded.init, bounded.bounds.to_ms),
            (InitPosition::AtTimestamp { arrival_ms: 5 }, Some(9))
        );
        assert!(
            parsed(&[], Bounds { from_ms: Some(9), to_ms: Some(9) })
                .expect_err("empty")
                .contains("--from")
        );
    }
}
