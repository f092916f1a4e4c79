//! Records from Kinesis streams: what the WITH of such a table says.
//!
//! Called by `connect` for connector `kinesis`. Keys and values are those of Flink's connector. `client` is the only file that
//! knows the AWS SDK, `poll` is the loop of one shard, `queue` lies between that loop and the worker, `source` ties them together.
//! What always holds: options are checked completely here, before anything outside is touched.

pub mod client;
mod poll;
mod queue;
mod source;
mod timestamp;

use std::collections::BTreeMap;

pub use source::{KinesisSource, METADATA_KEYS};

use super::SourceError;
use crate::suggest::nearest;

const STREAM_ARN: &str = "stream.arn";
const REGION: &str = "aws.region";
const ENDPOINT: &str = "aws.endpoint";
const CREDENTIALS: &str = "aws.credentials.provider";
const ACCESS_KEY_ID: &str = "aws.credentials.provider.basic.accesskeyid";
const SECRET_KEY: &str = "aws.credentials.provider.basic.secretkey";
const INIT_POSITION: &str = "source.init.position";
const INIT_TIMESTAMP: &str = "source.init.timestamp";
const INIT_TIMESTAMP_FORMAT: &str = "source.init.timestamp.format";
const KNOWN: [&str; 9] =
    [STREAM_ARN, REGION, ENDPOINT, CREDENTIALS, ACCESS_KEY_ID, SECRET_KEY, INIT_POSITION, INIT_TIMESTAMP, INIT_TIMESTAMP_FORMAT];

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

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialsProvider {
    /// The SDK's usual chain: environment, profile, container, instance.
    Auto,
    EnvVar,
    Basic {
        access_key_id: String,
        secret_key: Secret,
    },
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

#[derive(Debug, Clone)]
pub struct KinesisOptions {
    pub stream_arn: String,
    pub stream_name: String,
    pub region: String,
    pub endpoint: Option<String>,
    pub credentials: CredentialsProvider,
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
    if let Some(key) = options.keys().find(|k| !KNOWN.contains(&k.as_str())) {
        let near = nearest(key, KNOWN).map(|n| format!("; did you mean '{n}'?")).unwrap_or_default();
        return Err(format!("connector 'kinesis' has no option '{key}'{near} (options: {})", KNOWN.join(", ")));
    }
    let get = |key: &str| options.get(key).map(|v| v.trim()).filter(|v| !v.is_empty());
    let required = |key: &str, why: &str| get(key).map(str::to_owned).ok_or_else(|| format!("WITH needs '{key}': {why}"));
    let stream_arn = required(STREAM_ARN, "the ARN of the stream to read")?;
    let (region, stream_name) = parts_of_arn(&stream_arn)?;
    if let Some(other) = get(REGION).filter(|r| *r != region) {
        return Err(format!("'{REGION}' is '{other}', but the stream of '{STREAM_ARN}' is in '{region}'"));
    }
    let endpoint = get(ENDPOINT).map(str::to_owned);
    if let Some(endpoint) = endpoint.as_deref().filter(|e| !e.starts_with("http://") && !e.starts_with("https://")) {
        return Err(format!("'{ENDPOINT}' is a URL that starts with http:// or https://, not '{endpoint}'"));
    }
    let credentials = match get(CREDENTIALS) {
        None | Some("AUTO") => CredentialsProvider::Auto,
        Some("ENV_VAR") => CredentialsProvider::EnvVar,
        Some("BASIC") => CredentialsProvider::Basic {
            access_key_id: required(ACCESS_KEY_ID, "the credentials provider is BASIC")?,
            secret_key: Secret(required(SECRET_KEY, "the credentials provider is BASIC")?),
        },
        Some(other) => return Err(format!("'{CREDENTIALS}' is AUTO, BASIC or ENV_VAR, not '{other}'")),
    };
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
    Ok(KinesisOptions { stream_arn, stream_name, region, endpoint, credentials, init, to_ms: bounds.to_ms })
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
        assert_eq!((options.region.as_str(), options.stream_name.as_str()), ("eu-west-1", "rides"));
        assert_eq!((options.init, options.credentials), (InitPosition::Latest, CredentialsProvider::Auto));
        assert!(error(&[(REGION, "us-east-1")]).contains("is in 'eu-west-1'"));
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
        assert!(error(&[("aws.endpoint", "localhost:4567")]).contains("http://"));
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

    #[test]
    fn basic_credentials_are_complete_and_hidden() {
        let some = [(CREDENTIALS, "BASIC"), (ACCESS_KEY_ID, "me"), (SECRET_KEY, "open-sesame")];
        let options = parsed(&some, Bounds::default()).expect("parses");
        assert!(!format!("{options:?}").contains("open-sesame"));
        assert!(error(&some[..2]).contains(SECRET_KEY));
        assert!(error(&[(CREDENTIALS, "PROFILE")]).contains("ENV_VAR"));
    }
}
