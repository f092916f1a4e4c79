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
const INIT_POSITION: &str = "source.init.position";
const INIT_TIMESTAMP: &str = "source.init.timestamp";
const INIT_TIMESTAMP_FORMAT: &str = "source.init.timestamp.format";

/// The options of a table, `format` left out.
pub const OPTIONS: [OptionSpec; 4] = [
    OptionSpec::new(STREAM_ARN, OptionKind::Text, "the ARN of the stream").required(),
    OptionSpec::new(
        INIT_POSITION,
        OptionKind::Text,
        "where a new run starts: TRIM_HORIZON, LATEST or AT_TIMESTAMP",
    )
    .or("LATEST"),
    OptionSpec::new(
        INIT_TIMESTAMP,
        OptionKind::Text,
        "the arrival time to start from, with AT_TIMESTAMP: seconds since the epoch, or a time in the format below",
    ),
    OptionSpec::new(
        INIT_TIMESTAMP_FORMAT,
        OptionKind::Text,
        "how that time is written, by Java's SimpleDateFormat",
    )
    .or("yyyy-MM-dd'T'HH:mm:ss.SSSXXX"),
];

/// Where a new run starts to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitPosition {
    TrimHorizon,
    Latest,
    AtTimestamp { arrival_ms: i64 },
}

#[derive(Debug, Clone)]
pub struct KinesisOptions {
    pub stream_arn: String,
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
    let required = |key: &str, why: &str| {
        get(key).map(str::to_owned).ok_or_else(|| format!("WITH needs '{key}': {why}"))
    };
    let stream_arn = required(STREAM_ARN, "the ARN of the stream to read")?;
    let (region, stream_name) = parts_of_arn(&stream_arn)?;
    let mut aws = AwsOptions::parse(options)?;
    match &aws.region {
        Some(other) if *other != region => {
            return Err(format!(
                "'{}' is '{other}', but the stream of '{STREAM_ARN}' is in '{region}'",
                aws::REGION
            ));
        }
        _ => aws.region = Some(region),
    }
    if bounds.from_ms.zip(bounds.to_ms).is_some_and(|(from, to)| from >= to) {
        return Err("--from must lie before --to".into());
    }
    let timestamp = || {
        let text = required(INIT_TIMESTAMP, "the initial position is AT_TIMESTAMP")?;
        timestamp::parse_ms(&text, get(INIT_TIMESTAMP_FORMAT))
            .map_err(|e| format!("'{INIT_TIMESTAMP}': {e}"))
    };
    let init = match get(INIT_POSITION) {
        None | Some("LATEST") => InitPosition::Latest,
        Some("TRIM_HORIZON") => InitPosition::TrimHorizon,
        Some("AT_TIMESTAMP") => InitPosition::AtTimestamp { arrival_ms: timestamp()? },
        Some(other) => {
            return Err(format!(
                "'{INIT_POSITION}' is TRIM_HORIZON, LATEST or AT_TIMESTAMP, not '{other}'"
            ));
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
        assert!(error(&[(aws::REGION, "us-east-1")]).contains("is in 'eu-west-1'"));
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
        assert_eq!(none, "source rides: WITH needs 'stream.arn': the ARN of the stream to read");
    }

    #[test]
    fn positions_and_the_bound_that_replaces_them() {
        let init = |extra: &[(&str, &str)]| parsed(extra, Bounds::default()).expect("parses").init;
        assert_eq!(init(&[(INIT_POSITION, "TRIM_HORIZON")]), InitPosition::TrimHorizon);
        let at = [(INIT_POSITION, "AT_TIMESTAMP"), (INIT_TIMESTAMP, "1459799926.480")];
        assert_eq!(init(&at), InitPosition::AtTimestamp { arrival_ms: 1_459_799_926_480 });
        assert!(error(&[(INIT_POSITION, "AT_TIMESTAMP")]).contains(INIT_TIMESTAMP));
        assert!(error(&[(INIT_POSITION, "EARLIEST")]).contains("TRIM_HORIZON"));
        let bounds = Bounds { from_ms: Some(5), to_ms: Some(9) };
        let bounded = parsed(&[(INIT_POSITION, "TRIM_HORIZON")], bounds).expect("parses");
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
