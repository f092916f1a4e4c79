//! Which account, region and endpoint? The `aws.*` options that every table of an AWS service
//! takes, and the SDK's configuration made of them.
//!
//! Used by the Kinesis source and the DynamoDB sink. Keys and values are those of Flink's AWS
//! connectors. What always holds: options are checked before anything outside is touched; what they
//! leave open is taken from the environment as every AWS tool does (AWS_REGION, AWS_PROFILE,
//! AWS_ENDPOINT_URL_KINESIS, the instance); the SDK repeats no call, since only its callers know
//! what a repetition means.

pub(crate) mod clock;

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;

use crate::bounded::bounded;
use crate::options::{OptionKind, OptionSpec};

pub const REGION: &str = "aws.region";
const ENDPOINT: &str = "aws.endpoint";
const CREDENTIALS: &str = "aws.credentials.provider";
const ACCESS_KEY_ID: &str = "aws.credentials.basic.accesskeyid";
const SECRET_KEY: &str = "aws.credentials.basic.secretkey";
/// The options that tables of every AWS service have.
pub const OPTIONS: [OptionSpec; 6] = [
    OptionSpec::new(
        REGION,
        OptionKind::Text,
        "the region; without it that of the environment, or of an ARN",
    ),
    OptionSpec::new(ENDPOINT, OptionKind::Text, "a URL to call instead of AWS's own"),
    OptionSpec::new(
        CREDENTIALS,
        OptionKind::Text,
        "where credentials come from: AUTO (as for any AWS tool), ENV_VAR or BASIC",
    )
    .or("AUTO"),
    OptionSpec::new(ACCESS_KEY_ID, OptionKind::Secret, "the access key, with BASIC"),
    OptionSpec::new(SECRET_KEY, OptionKind::Secret, "its secret, with BASIC"),
    OptionSpec::ignored(
        "aws.trust.all.certificates",
        "certificates are always checked; SSL_CERT_FILE names a file with more of them",
    ),
];
/// Where requests are signed for if there is an endpoint but no region.
const REGION_OF_ENDPOINTS: &str = "us-east-1";
const NO_CREDENTIALS: &str = "no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, log in with the AWS \
     command line, or write 'aws.credentials.basic.accesskeyid' and 'aws.credentials.basic.secretkey' into WITH";

/// What a machine without root certificates gives; the TLS library only says that the issuer is
/// unknown.
const NO_ROOTS: &str = "install root certificates (Debian's package ca-certificates), or name a file of them in SSL_CERT_FILE";

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
pub struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsOptions {
    pub region: Option<String>,
    pub endpoint: Option<String>,
    pub credentials: CredentialsProvider,
}

impl AwsOptions {
    /// Reads its own keys among `options`. The error says what is wrong, without the table's name.
    pub fn parse(options: &BTreeMap<String, String>) -> Result<AwsOptions, String> {
        let get =
            |key: &str| options.get(key).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let endpoint = get(ENDPOINT);
        if let Some(endpoint) =
            endpoint.as_deref().filter(|e| !e.starts_with("http://") && !e.starts_with("https://"))
        {
            return Err(format!(
                "'{ENDPOINT}' is a URL that starts with http:// or https://, not '{endpoint}'"
            ));
        }
        let key = |key: &str| {
            get(key).ok_or_else(|| format!("WITH needs '{key}': the credentials provider is BASIC"))
        };
        // Keys alone mean BASIC, as in Flink.
        let has_keys = get(ACCESS_KEY_ID).is_some() || get(SECRET_KEY).is_some();
        let provider = get(CREDENTIALS).or_else(|| has_keys.then(|| "BASIC".into()));
        let credentials = match provider.as_deref() {
            None | Some("AUTO") => CredentialsProvider::Auto,
            Some("ENV_VAR") => CredentialsProvider::EnvVar,
            Some("BASIC") => CredentialsProvider::Basic {
                access_key_id: key(ACCESS_KEY_ID)?,
                secret_key: Secret(key(SECRET_KEY)?),
            },
            Some(other) => {
                return Err(format!(
                    "'{CREDENTIALS}' is AUTO, BASIC or ENV_VAR here, not '{other}'"
                ));
            }
        };
        Ok(AwsOptions { region: get(REGION), endpoint, credentials })
    }

    /// The configuration for clients whose calls are tried once and given up after `call_timeout`.
    pub async fn load(&self, call_timeout: Duration) -> SdkConfig {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder().operation_attempt_timeout(call_timeout).build(),
            );
        if let Some(endpoint) = &self.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        match (&self.region, &self.endpoint) {
            (Some(region), _) => loader = loader.region(Region::new(region.clone())),
            (None, Some(_)) => loader = loader.region(Region::new(REGION_OF_ENDPOINTS)),
            (None, None) => {}
        }
        loader = match &self.credentials {
            CredentialsProvider::Auto => loader,
            CredentialsProvider::EnvVar => {
                loader.credentials_provider(EnvironmentVariableCredentialsProvider::new())
            }
            CredentialsProvider::Basic { access_key_id, secret_key } => loader
                .credentials_provider(Credentials::new(
                    access_key_id,
                    &*secret_key.0,
                    None,
                    None,
                    "options",
                )),
        };
        loader.load().await
    }
}

/// A server's answer may be a page of its own, bytes of it that a message has.
const CAUSES_BYTES_MAX: usize = 2 << 10;

/// An error of the SDK with its causes, outermost first, on one line of bounded length.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        match error.downcast_ref() {
            // Its text lists every place that was searched.
            Some(CredentialsError::CredentialsNotLoaded(_)) => {
                texts.push(NO_CREDENTIALS.into());
                break;
            }
            Some(_) => texts.push(format!("no credentials ({NO_CREDENTIALS})")),
            None => {}
        }
        let text = error.to_string();
        if texts.last().is_none_or(|outer| !outer.ends_with(&text)) {
            let unknown_issuer = text.contains("UnknownIssuer");
            texts.push(text);
            if unknown_issuer {
                texts.push(NO_ROOTS.into());
            }
        }
        next = error.source();
    }
    bounded(&texts.join(": "), CAUSES_BYTES_MAX).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<AwsOptions, String> {
        AwsOptions::parse(&pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    fn error(pairs: &[(&str, &str)]) -> String {
        parse(pairs).expect_err("refused")
    }

    #[test]
    fn keys_alone_are_enough_and_stay_hidden() {
        assert_eq!(parse(&[]).expect("parses").credentials, CredentialsProvider::Auto);
        let options = parse(&[(ACCESS_KEY_ID, "me"), (SECRET_KEY, "open-sesame")]).expect("parses");
        assert!(matches!(options.credentials, CredentialsProvider::Basic { .. }));
        assert!(!format!("{options:?}").contains("open-sesame"));
    }

    #[test]
    fn an_unknown_issuer_says_what_to_install() {
        let error = std::io::Error::other("invalid peer certificate: UnknownIssuer");
        assert_eq!(causes(&error), format!("{error}: {NO_ROOTS}"));
    }

    #[test]
    fn errors_say_what_to_write() {
        assert!(error(&[(CREDENTIALS, "BASIC")]).contains(ACCESS_KEY_ID));
        assert!(error(&[(ACCESS_KEY_ID, "a")]).contains(SECRET_KEY));
        assert!(error(&[(CREDENTIALS, "PROFILE")]).contains("ENV_VAR"));
        assert!(error(&[(ENDPOINT, "localhost:4567")]).contains("http://"));
    }
}
