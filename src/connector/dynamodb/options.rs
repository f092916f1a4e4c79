//! What does the WITH of a DynamoDB table say? Flink's keys, read and checked before anything
//! outside is touched.

use std::collections::BTreeMap;

use crate::aws::AwsOptions;
use crate::connector::dynamodb::item::Nulls;
use crate::options::{OptionKind, OptionSpec};

/// BatchWriteItem takes no more. It takes no conditions either, and all writes here have one, so
/// that the option is understood and has no effect.
const BATCH_SIZE_MAX: usize = 25;
const REQUESTS_DEFAULT: usize = 50;
/// More sockets than this help nobody.
const REQUESTS_MAX: usize = 1000;
const BUFFERED_DEFAULT: usize = 10_000;
/// More than the bytes that may wait can hold.
const BUFFERED_MAX: usize = 1_000_000;

const TABLE_NAME: &str = "table-name";
const BATCH_SIZE: &str = "sink.batch.max-size";
const REQUESTS: &str = "sink.requests.max-inflight";
const BUFFERED: &str = "sink.requests.max-buffered";
const FAIL_ON_ERROR: &str = "sink.fail-on-error";
const IGNORE_NULLS: &str = "sink.ignore-nulls";

/// The options of a table, those of its lookups left out.
pub const OPTIONS: [OptionSpec; 6] = [
    OptionSpec::new(TABLE_NAME, OptionKind::Text, "the name of the DynamoDB table").required(),
    OptionSpec::new(
        BATCH_SIZE,
        OptionKind::Number(1, BATCH_SIZE_MAX as u64),
        "of no effect, since items are written one by one, each on the condition that it is newer",
    )
    .or("25"),
    OptionSpec::new(
        REQUESTS,
        OptionKind::Number(1, REQUESTS_MAX as u64),
        "requests of one writer that may be on their way at once",
    )
    .or("50"),
    OptionSpec::new(
        BUFFERED,
        OptionKind::Number(1, BUFFERED_MAX as u64),
        "items of one writer that may wait or be on their way",
    )
    .or("10000"),
    OptionSpec::new(
        FAIL_ON_ERROR,
        OptionKind::Flag,
        "a write that DynamoDB does not take ends the job",
    )
    .or("false"),
    OptionSpec::new(IGNORE_NULLS, OptionKind::Flag, "NULL columns are left out of the item")
        .or("false"),
];

#[derive(Clone)]
pub(crate) struct DynamoDbOptions {
    pub table_name: String,
    pub aws: AwsOptions,
    /// Requests of one writer that may be on their way at once.
    pub requests_max: usize,
    /// Items of one writer that may wait or be on their way.
    pub buffered_max: usize,
    /// A write that DynamoDB does not take ends the job, where otherwise it is repeated or its row
    /// diverted.
    pub fail_on_error: bool,
    /// NULL columns are left out of the item.
    pub nulls: Nulls,
}

impl DynamoDbOptions {
    /// The error says what is wrong with the options, without the table's name.
    pub fn parse(options: &BTreeMap<String, String>) -> Result<DynamoDbOptions, String> {
        let get =
            |key: &str| options.get(key).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let required =
            |key: &str, why: &str| get(key).ok_or_else(|| format!("WITH needs '{key}': {why}"));
        let number = |key: &str, default: usize, max: usize| match get(key) {
            None => Ok(default),
            Some(text) => match text.parse() {
                Ok(n) if (1..=max).contains(&n) => Ok(n),
                _ => Err(format!("'{key}' is a number from 1 to {max}, not '{text}'")),
            },
        };
        let truth = |key: &str| match get(key).map(|v| v.to_lowercase()).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(format!("'{key}' is true or false, not '{other}'")),
        };
        number(BATCH_SIZE, BATCH_SIZE_MAX, BATCH_SIZE_MAX)?;
        Ok(DynamoDbOptions {
            table_name: required(TABLE_NAME, "the name of the DynamoDB table")?,
            aws: AwsOptions::parse(options)?,
            requests_max: number(REQUESTS, REQUESTS_DEFAULT, REQUESTS_MAX)?,
            buffered_max: number(BUFFERED, BUFFERED_DEFAULT, BUFFERED_MAX)?,
            fail_on_error: truth(FAIL_ON_ERROR)?,
            nulls: if truth(IGNORE_NULLS)? { Nulls::LeftOut } else { Nulls::Written },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<DynamoDbOptions, String> {
        DynamoDbOptions::parse(
            &pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        )
    }

    #[test]
    fn defaults_are_flinks() {
        let options = parse(&[("table-name", "t")]).unwrap();
        assert_eq!((options.requests_max, options.nulls), (50, Nulls::Written));
        assert_eq!((options.buffered_max, options.fail_on_error), (10_000, false));
        assert!(parse(&[("table-name", "t"), (FAIL_ON_ERROR, "TRUE")]).unwrap().fail_on_error);
    }

    #[test]
    fn errors_say_what_to_write() {
        let error = |pairs: &[(&str, &str)]| parse(pairs).err().unwrap();
        assert!(error(&[]).starts_with("WITH needs 'table-name'"));
        assert!(
            error(&[("table-name", "t"), ("sink.batch.max-size", "26")]).contains("from 1 to 25")
        );
        assert!(error(&[("table-name", "t"), (FAIL_ON_ERROR, "yes")]).contains("true or false"));
        assert!(
            error(&[("table-name", "t"), ("aws.credentials.provider", "BASC")]).contains("ENV_VAR")
        );
    }
}
