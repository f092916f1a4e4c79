//! What does the WITH of a DynamoDB table say? Flink's keys, read and checked before anything outside is touched.

use std::collections::BTreeMap;

use crate::suggest::nearest;

/// BatchWriteItem takes no more.
const BATCH_SIZE_MAX: usize = 25;
const REQUESTS_DEFAULT: usize = 50;
/// More sockets than this help nobody.
const REQUESTS_MAX: usize = 1000;

const TABLE_NAME: &str = "table-name";
const REGION: &str = "aws.region";
const ENDPOINT: &str = "aws.endpoint";
const CREDENTIALS: &str = "aws.credentials.provider";
const ACCESS_KEY_ID: &str = "aws.credentials.provider.basic.accesskeyid";
const SECRET_KEY: &str = "aws.credentials.provider.basic.secretkey";
const BATCH_SIZE: &str = "sink.batch.max-size";
const REQUESTS: &str = "sink.requests.max-inflight";
const IGNORE_NULLS: &str = "sink.ignore-nulls";
const KNOWN: [&str; 9] =
    [TABLE_NAME, REGION, ENDPOINT, CREDENTIALS, ACCESS_KEY_ID, SECRET_KEY, BATCH_SIZE, REQUESTS, IGNORE_NULLS];

#[derive(Clone)]
pub enum CredentialsProvider {
    /// The SDK's usual chain.
    Auto,
    EnvVar,
    Basic {
        access_key_id: String,
        secret_key: String,
    },
}

#[derive(Clone)]
pub struct DynamoDbOptions {
    pub table_name: String,
    pub region: Option<String>,
    pub endpoint: Option<String>,
    pub credentials: CredentialsProvider,
    /// Items in a BatchWriteItem.
    pub batch_size: usize,
    /// Requests of one writer that may be on their way at once.
    pub requests_max: usize,
    /// NULL columns are left out of the item.
    pub ignore_nulls: bool,
}

impl DynamoDbOptions {
    /// The error says what is wrong with the options, without the table's name.
    pub fn parse(options: &BTreeMap<String, String>) -> Result<DynamoDbOptions, String> {
        if let Some(key) = options.keys().find(|k| !KNOWN.contains(&k.as_str())) {
            let near = nearest(key, KNOWN).map(|n| format!("; did you mean '{n}'?")).unwrap_or_default();
            return Err(format!("connector 'dynamodb' has no option '{key}'{near} (options: {})", KNOWN.join(", ")));
        }
        let get = |key: &str| options.get(key).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let required = |key: &str, why: &str| get(key).ok_or_else(|| format!("WITH needs '{key}': {why}"));
        let number = |key: &str, default: usize, max: usize| match get(key) {
            None => Ok(default),
            Some(text) => match text.parse() {
                Ok(n) if (1..=max).contains(&n) => Ok(n),
                _ => Err(format!("'{key}' is a number from 1 to {max}, not '{text}'")),
            },
        };
        let credentials = match get(CREDENTIALS).as_deref() {
            None | Some("AUTO") => CredentialsProvider::Auto,
            Some("ENV_VAR") => CredentialsProvider::EnvVar,
            Some("BASIC") => CredentialsProvider::Basic {
                access_key_id: required(ACCESS_KEY_ID, "the credentials provider is BASIC")?,
                secret_key: required(SECRET_KEY, "the credentials provider is BASIC")?,
            },
            Some(other) => return Err(format!("'{CREDENTIALS}' is AUTO, BASIC or ENV_VAR here, not '{other}'")),
        };
        Ok(DynamoDbOptions {
            table_name: required(TABLE_NAME, "the DynamoDB table to write to")?,
            region: get(REGION),
            endpoint: get(ENDPOINT),
            credentials,
            batch_size: number(BATCH_SIZE, BATCH_SIZE_MAX, BATCH_SIZE_MAX)?,
            requests_max: number(REQUESTS, REQUESTS_DEFAULT, REQUESTS_MAX)?,
            ignore_nulls: match get(IGNORE_NULLS).map(|v| v.to_lowercase()).as_deref() {
                None | Some("false") => false,
                Some("true") => true,
                Some(other) => return Err(format!("'{IGNORE_NULLS}' is true or false, not '{other}'")),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<DynamoDbOptions, String> {
        DynamoDbOptions::parse(&pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn defaults_are_flinks() {
        let options = parse(&[("table-name", "t")]).unwrap();
        assert_eq!((options.batch_size, options.requests_max, options.ignore_nulls), (25, 50, false));
        assert!(matches!(options.credentials, CredentialsProvider::Auto));
    }

    #[test]
    fn errors_say_what_to_write() {
        let error = |pairs: &[(&str, &str)]| parse(pairs).err().unwrap();
        assert!(error(&[]).starts_with("WITH needs 'table-name'"));
        let unknown = error(&[("table-name", "t"), ("sink.batch.max-sise", "2")]);
        assert!(unknown.contains("did you mean 'sink.batch.max-size'?") && unknown.contains("aws.region"), "{unknown}");
        assert!(error(&[("table-name", "t"), ("sink.batch.max-size", "26")]).contains("from 1 to 25"));
        assert!(error(&[("table-name", "t"), ("aws.credentials.provider", "BASIC")]).contains(ACCESS_KEY_ID));
        assert!(error(&[("table-name", "t"), ("aws.credentials.provider", "BASC")]).contains("ENV_VAR"));
    }
}
