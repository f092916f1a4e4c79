//! Records from Kinesis streams: what the WITH of such a table says.
//!
//! Called by `connect` for connector `kinesis`. Keys and values are those of Flink's connector. `client` is the only file that
//! knows the AWS SDK, `poll` is the loop of one shard, `queue` lies between that loop and the worker, `source` ties them together.
//! What always holds: options are checked completely here, before anything outside is touched.

pub mod client;
mod poll;
mod queue;
mod server_clock;
mod source;
mod timestamp;

use std::collections::BTreeMap;

pub use source::{KinesisSource, METADATA_KEYS};

use crate::aws::{self, AwsOptions};
use crate::source::SourceError;
use crate::suggest::nearest;

const STREAM_ARN: &str = "stream.arn";
const INIT_POSITION: &str = "source.init.position";
const INIT_TIMESTAMP: &str = "source.init.timestamp";
const INIT_TIMESTAMP_FORMAT: &str = "source.init.timestamp.format";
const OWN: [&str; 4] = [STREAM_ARN, INIT_POSITION, INIT_TIMESTAMP, INIT_TIMESTAMP_FORMAT];

/// Arrival times that bound reading, ms since the epoch, half open; set by `--from` and `--to`.
#[derive(Clone, Copy, Default, Debug)]
pub struct Bounds {
    pub from_ms: Option<i64>,
    pub to_ms: Option<i64>,
}

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
    /// A shard ends at its first record that arrived at this time or later, ms since the epoch.
    pub to_ms: Option<i64>,
}

impl KinesisOptions {
    /// Reads the options of `table`, without `connector` and those of the format. `bounds.from_ms` takes the place of the
    /// initial position. Errors: [`SourceError::Config`] with what to write instead.
    pub fn parse(table: &str, options: &BTreeMap<String, String>, bounds: Bounds) -> Result<KinesisOptions, SourceError> {
        parse(options, bounds).map_err(|reason| SourceError::Config { table: table.into(), reason })
    }
}

fn parse(options: &BTreeMap<String, String>, bounds: Bounds) -> Result<KinesisOptions, String> {
    let known = || OWN.into_iter().chain(aws::KEYS);
    if let Some(key) = options.keys().find(|k| !known().any(|known| known == *k)) {
        let near = nearest(key, known()).map(|n| format!("; did you mean '{n}'?")).unwrap_or_default();
        let all = known().collect::<Vec<_>>().join(", ");
        return Err(format!("connector 'kinesis' has no option '{key}'{near} (options: {all})"));
    }
    let get = |key: &str| options.get(key).map(|v| v.trim()).filter(|v| !v.is_empty());
    let required = |key: &str, why: &str| get(key).map(str::to_owned).ok_or_else(|| format!("WITH needs '{key}': {why}"));
    let stream_arn = required(STREAM_ARN, "the ARN of the stream to read")?;
    let (region, stream_name) = parts_of_arn(&stream_arn)?;
    let mut aws = AwsOptions::parse(options)?;
    match &aws.region {
        Some(other) if *other != region => {
            return Err(format!("'{}' is '{other}', but the stream of '{STREAM_ARN}' is in '{region}'", aws::REGION));
        }
        _ => aws.region = Some(region),
    }
    if bounds.from_ms.zip(bounds.to_ms).is_some_and(|(from, to)| from >= to) {
        return Err("--from must lie before --to".into());
    }
    let timestamp = || {
        let text = required(INIT_TIMESTAMP, "the initial position is AT_TIMESTAMP")?;
        timestamp::parse_ms(&text, get(INIT_TIMESTAMP_FORMAT)).map_err(|e| format!("'{INIT_TIMESTAMP}': {e}"))
    };
    let init = match get(INIT_POSITION) {
        None | Some("LATEST") => InitPosition::Latest,
        Some("TRIM_HORIZON") => InitPosition::TrimHorizon,
        Some("AT_TIMESTAMP") => InitPosition::AtTimestamp { arrival_ms: timestamp()? },
        Some(other) => return Err(format!("'{INIT_POSITION}' is TRIM_HORIZON, LATEST or AT_TIMESTAMP, not '{other}'")),
    };
    let init = bounds.from_ms.map_or(init, |arrival_ms| InitPosition::AtTimestamp { arrival_ms });
    Ok(KinesisOptions { stream_arn, stream_name, aws, init, to_ms: bounds.to_ms })
}

/// Region and stream name of `arn:aws:kinesis:REGION:ACCOUNT:stream/NAME`.
fn parts_of_arn(arn: &str) -> Result<(String, String), String> {
    let parts: Vec<&str> = arn.split(':').collect();
    match parts[..] {
        ["arn", _, "kinesis", region, _, resource] if !region.is_empty() => match resource.strip_prefix("stream/") {
            Some(name) if !name.is_empty() && !name.contains('/') => Ok((region.into(), name.into())),
            _ => Err(format!("'{STREAM_ARN}' names no stream: '{arn}' does not end with stream/NAME")),
        },
        _ => Err(format!("'{STREAM_ARN}' looks like arn:aws:kinesis:REGION:ACCOUNT:stream/NAME, not '{arn}'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:kinesis:eu-west-1:123456789012:stream/rides";

    fn parsed(extra: &[(&str, &str)], bounds: Bounds) -> Result<KinesisOptions, String> {
        let all = [(STREAM_ARN, ARN)].iter().chain(extra).map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        KinesisOptions::parse("rides", &all.collect(), bounds).map_err(|e| e.to_string())
    }

    fn error(extra: &[(&str, &str)]) -> String {
        parsed(extra, Bounds::default()).expect_err("refused")
    }

    #[test]
    fn the_arn_says_region_and_stream() {
        let options = parsed(&[], Bounds::default()).expect("parses");
        assert_eq!((options.aws.region.as_deref(), options.stream_name.as_str()), (Some("eu-west-1"), "rides"));
        assert_eq!(options.init, InitPosition::Latest);
        assert!(error(&[(aws::REGION, "us-east-1")]).contains("is in 'eu-west-1'"));
        for bad in
            ["rides", "arn:aws:kinesis:eu-west-1:1:stream/", "arn:aws:s3:eu-west-1:1:stream/x", "arn:aws:kinesis::1:stream/x"]
        {
            assert!(error(&[(STREAM_ARN, bad)]).contains(STREAM_ARN), "{bad}");
        }
        let none = KinesisOptions::parse("rides", &BTreeMap::new(), Bounds::default()).expect_err("needs it").to_string();
        assert_eq!(none, "source rides: WITH needs 'stream.arn': the ARN of the stream to read");
    }

    #[test]
    fn an_unknown_key_is_answered_with_the_nearest() {
        let text = error(&[("source.init.postion", "LATEST")]);
        assert!(text.contains("did you mean 'source.init.position'?") && text.contains("aws.endpoint"), "{text}");
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
        assert_eq!((bounded.init, bounded.to_ms), (InitPosition::AtTimestamp { arrival_ms: 5 }, Some(9)));
        assert!(parsed(&[], Bounds { from_ms: Some(9), to_ms: Some(9) }).expect_err("empty").contains("--from"));
    }
}
