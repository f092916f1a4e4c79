//! The calls to DynamoDB, and what each kind of failure means. With `read` the only file that knows
//! DynamoDB's SDK.
//!
//! [`Aws`] opens tables for the connector. What always holds: a call is tried once; [`Failure`] says
//! whether trying again can help; the client is made for the first call, so that nothing outside is
//! touched before. The kinds of error are those of "Error handling with DynamoDB" in the developer
//! guide.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, KeyType, ReturnValue, ReturnValuesOnConditionCheckFailure, ScalarAttributeType,
    TableStatus,
};
use tokio::sync::OnceCell;

use crate::aws::causes;
use crate::aws::clock::{NoteDate, ServerClock};
use crate::connector::dynamodb::api::{
    Answer, Attributes, CALL_TIMEOUT, Described, Failure, Found, OTHER_KEY, Page, TableApi,
    TableKey, Tables, Wanted,
};
use crate::connector::dynamodb::faults::{Blame, blame};
use crate::connector::dynamodb::item::{Put, VERSION_ATTRIBUTE};
use crate::connector::dynamodb::options::DynamoDbOptions;
use crate::connector::dynamodb::value::Value;
use crate::sink::version::{Standing, lost_to};
use crate::time::clock::Clock;

/// The tables of AWS, or of whatever the options' endpoint is.
pub(crate) struct Aws;

impl Tables for Aws {
    fn open(&self, options: &DynamoDbOptions, clock: Arc<ServerClock>) -> Arc<dyn TableApi> {
        let (options, table) = (options.clone(), options.table_name.clone());
        Arc::new(TableClient { options, table, clock, client: OnceCell::new() })
    }
}

/// Calls for one table.
pub(super) struct TableClient {
    options: DynamoDbOptions,
    pub(super) table: String,
    clock: Arc<ServerClock>,
    /// Made for the first call.
    client: OnceCell<Client>,
}

impl TableApi for TableClient {
    fn describe(&self) -> Answer<'_, Described> {
        Box::pin(self.describe_table())
    }

    fn put<'a>(&'a self, put: &'a Put, key: &'a TableKey) -> Answer<'a, Standing> {
        Box::pin(self.put_item(put, key))
    }

    fn get_batch<'a>(&'a self, keys: &'a [Attributes], wanted: &'a Wanted) -> Answer<'a, Found> {
        Box::pin(self.batch_get_item(keys, wanted))
    }

    fn query<'a>(
        &'a self,
        partition: &'a (String, Value),
        wanted: &'a Wanted,
        from: Option<&'a Attributes>,
    ) -> Answer<'a, Page> {
        Box::pin(self.query_partition(partition, wanted, from))
    }
}

impl TableClient {
    pub(super) async fn client(&self) -> &Client {
        let connect = async || {
            let config = self.options.aws.load(CALL_TIMEOUT).await;
            let config = aws_sdk_dynamodb::config::Builder::from(&config);
            Client::from_conf(config.interceptor(NoteDate(self.clock.clone())).build())
        };
        self.client.get_or_init(connect).await
    }

    async fn describe_table(&self) -> Result<Described, Failure> {
        let answer = self
            .client()
            .await
            .describe_table()
            .table_name(&self.table)
            .send()
            .await
            .map_err(|e| failure(&e))?;
        let table = answer
            .table
            .ok_or_else(|| Failure::Fatal("DescribeTable answered without a table".into()))?;
        if let Some(status @ (TableStatus::Creating | TableStatus::Deleting)) = &table.table_status
        {
            return Err(Failure::Fatal(format!(
                "the table is {status}; start again when it is ACTIVE"
            )));
        }
        let mut schema: Vec<_> = table.key_schema().iter().collect();
        schema.sort_by_key(|k| *k.key_type() != KeyType::Hash);
        let attributes = schema.into_iter().map(|k| {
            let name = k.attribute_name().to_owned();
            let definition =
                table.attribute_definitions().iter().find(|d| d.attribute_name() == name);
            let data_type = definition.map_or(&ScalarAttributeType::S, |d| d.attribute_type());
            (name, data_type.as_str().to_owned())
        });
        let key = TableKey { attributes: attributes.collect() };
        let made_ms = table.creation_date_time().and_then(|made| made.to_millis().ok());
        Ok(Described { key, made_ms })
    }

    async fn put_item(&self, put: &Put, key: &TableKey) -> Result<Standing, Failure> {
        let now_s = self.clock.wall_ms().div_euclid(1000);
        let item = put.stored(now_s).map(|(name, value)| (name, attribute(&value))).collect();
        let version = put.version.as_ref();
        let call = self.client().await.put_item().table_name(&self.table).set_item(Some(item));
        let mut call = call
            .expression_attribute_names("#v", VERSION_ATTRIBUTE)
            .expression_attribute_values(":v", AttributeValue::S(version.into()));
        let mut condition = String::from("(attribute_not_exists(#v) OR #v <= :v)");
        // In a table that was made again with another key, other rows can be in the place.
        for (n, (name, value)) in key_of(put, key).enumerate() {
            condition += &format!(" AND (attribute_not_exists(#k{n}) OR #k{n} = :k{n})");
            call = call
                .expression_attribute_names(format!("#k{n}"), name.as_ref())
                .expression_attribute_values(format!(":k{n}"), attribute(value));
        }
        let call = call
            .condition_expression(condition)
            // The only way to learn what was there; it costs no capacity.
            .return_values(ReturnValue::AllOld)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let (held, is_written) = match call.send().await {
            Ok(answer) => (answer.attributes, true),
            Err(e) => match e.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(held)) => {
                    (held.item.clone(), false)
                }
                _ => return Err(failure(&e)),
            },
        };
        if held.as_ref().is_some_and(|held| !has_key_of(held, put, key)) {
            return Err(Failure::Unfit(OTHER_KEY.into()));
        }
        match version_text(held.as_ref()) {
            held if !is_written => Err(Failure::Superseded(lost_to(version, held))),
            Some(held) if held == version => Ok(Standing::Same),
            _ => Ok(Standing::Newer),
        }
    }
}

/// An item in the SDK's types.
type Sdk = HashMap<String, AttributeValue>;

/// The attributes of a key that an item has.
fn key_of<'a>(put: &'a Put, key: &TableKey) -> impl Iterator<Item = &'a (Arc<str>, Value)> {
    let is_key = |name: &str| key.attributes.iter().any(|(k, _)| k == name);
    put.item.attributes.iter().filter(move |(name, _)| is_key(name))
}

/// Whether an item has the values of a key that one has which was put.
fn has_key_of(held: &Sdk, put: &Put, key: &TableKey) -> bool {
    key_of(put, key).all(|(name, value)| match (held.get(name.as_ref()), value) {
        (None, _) => true,
        // DynamoDB writes numbers in a form of its own.
        (Some(AttributeValue::N(held)), Value::Number(own)) => {
            held.parse::<f64>() == own.parse::<f64>()
        }
        (Some(held), own) => *held == attribute(own),
    })
}

fn version_text(held: Option<&Sdk>) -> Option<&str> {
    Some(held?.get(VERSION_ATTRIBUTE)?.as_s().ok()?.as_str())
}

pub(super) fn attribute(value: &Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(b) => AttributeValue::Bool(*b),
        Value::Number(n) => AttributeValue::N(n.clone()),
        Value::Text(s) => AttributeValue::S(s.clone()),
        Value::Bytes(b) => AttributeValue::B(Blob::new(b.clone())),
        Value::List(values) => AttributeValue::L(values.iter().map(attribute).collect()),
        Value::Map(entries) => {
            AttributeValue::M(entries.iter().map(|(n, v)| (n.clone(), attribute(v))).collect())
        }
    }
}

pub(super) fn failure<E>(error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let (service, status) = match error {
        SdkError::ServiceError(e) => (e.err(), e.raw().status().as_u16()),
        SdkError::ConstructionFailure(_) => return Failure::Fatal(causes(error)),
        SdkError::DispatchFailure(e) if e.is_user() => return Failure::Fatal(causes(error)),
        // No answer, or none that can be read: the write may or may not have happened, and may be
        // repeated.
        _ => return Failure::Retry(causes(error)),
    };
    let code = service.code().unwrap_or("no error code");
    let text = format!("{code}: {} (HTTP {status})", service.message().unwrap_or("no message"));
    match code {
        "ResourceNotFoundException" => Failure::Missing(text),
        "ProvisionedThroughputExceededException"
        | "RequestLimitExceeded"
        | "ThrottlingException"
        | "Throttling"
        | "LimitExceededException"
        | "TransactionInProgressException"
        | "TransactionConflictException"
        | "ReplicatedWriteConflictException" => Failure::Retry(text),
        "ItemCollectionSizeLimitExceededException" => Failure::Refused(text),
        "ValidationException" | "SerializationException" => match blame(&text) {
            Blame::Row => Failure::Refused(text),
            Blame::Table => Failure::Unfit(text),
            Blame::Unclear => Failure::Unclear(text),
        },
        _ if status >= 500 => Failure::Retry(text),
        _ => Failure::Fatal(text),
    }
}
