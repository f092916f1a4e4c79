//! The calls to DynamoDB, and what each kind of failure means. With `read` the only file that knows
//! DynamoDB's SDK.
//!
//! Called by `outbox` from tasks, and by `lookup`. What always holds: a call is tried once;
//! [`Failure`] says whether trying again can help. The kinds of error are those of "Error handling
//! with DynamoDB" in the developer guide.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, KeyType, PutRequest, ReturnValue, ReturnValuesOnConditionCheckFailure,
    ScalarAttributeType, TableStatus, WriteRequest,
};

use crate::aws::causes;
use crate::connector::dynamodb::faults::{Blame, blame};
use crate::connector::dynamodb::item::{Item, key_bytes};
use crate::connector::dynamodb::options::DynamoDbOptions;
use crate::connector::dynamodb::value::Value;
use crate::sink::version::{Standing, Version};

/// The item attribute that holds the version of an upsert.
pub(crate) const VERSION_ATTRIBUTE: &str = "paceline_version";
/// A call that has not answered by then is tried again; DynamoDB answers in milliseconds.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a call did nothing, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Throttled, an error of the server, no connection, no answer: the same call may succeed
    /// later.
    Retry(String),
    /// The condition failed: the table holds a newer version.
    Superseded(Standing),
    /// The item (or one of several) can never be taken.
    Refused(String),
    /// Refused, and it is not known whether for the item or for the table.
    Unclear(String),
    /// Nothing of this shape can be taken: the table has another key than the request.
    Unfit(String),
    /// The table does not exist.
    Missing(String),
    /// No call can succeed until someone changes something.
    Fatal(String),
}

/// The key of the table as it exists: names and types (`S`, `N`, `B`), hash before range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableKey {
    pub attributes: Vec<(String, String)>,
}

impl std::fmt::Display for TableKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let attributes: Vec<String> =
            self.attributes.iter().map(|(name, data_type)| format!("{name} {data_type}")).collect();
        write!(f, "({})", attributes.join(", "))
    }
}

pub(crate) struct TableClient {
    pub(super) client: Client,
    pub(super) table: String,
}

impl TableClient {
    pub async fn connect(options: DynamoDbOptions) -> TableClient {
        TableClient {
            client: Client::new(&options.aws.load(CALL_TIMEOUT).await),
            table: options.table_name,
        }
    }

    /// The table's key. Errors: [`Failure::Fatal`] also if the table is not ready.
    pub async fn describe(&self) -> Result<TableKey, Failure> {
        let answer = self
            .client
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
        Ok(TableKey { attributes: attributes.collect() })
    }

    /// Puts one item, or deletes it; with a version only if the table holds none, a lower one or
    /// the same. Returns how it stood against what the table held.
    pub async fn put(&self, item: &Item) -> Result<Standing, Failure> {
        if item.deletes {
            let call =
                self.client.delete_item().table_name(&self.table).set_key(Some(attributes(item)));
            return call.send().await.map(|_| Standing::Newer).map_err(|e| failure(&e));
        }
        let call = self.client.put_item().table_name(&self.table).set_item(Some(attributes(item)));
        let Some(version) = &item.version else {
            return call.send().await.map(|_| Standing::Newer).map_err(|e| failure(&e));
        };
        let call = call
            .condition_expression("attribute_not_exists(#v) OR #v <= :v")
            .expression_attribute_names("#v", VERSION_ATTRIBUTE)
            .expression_attribute_values(":v", AttributeValue::S(version.to_string()))
            // The only way to learn what was there; it costs no capacity.
            .return_values(ReturnValue::AllOld)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match call.send().await {
            Ok(answer) if is_version(answer.attributes.as_ref(), version) => Ok(Standing::Same),
            Ok(_) => Ok(Standing::Newer),
            Err(e) => Err(match e.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(held)) => {
                    Failure::Superseded(behind(held.item.as_ref(), version))
                }
                _ => failure(&e),
            }),
        }
    }

    /// Puts several items with different keys, without conditions. Returns the indexes of those
    /// that were not processed.
    pub(crate) async fn put_batch(
        &self,
        items: &[&Item],
        key_names: &[Arc<str>],
    ) -> Result<Vec<usize>, Failure> {
        let mut requests = Vec::with_capacity(items.len());
        for item in items {
            let put = PutRequest::builder().set_item(Some(attributes(item))).build();
            let put = put.map_err(|e| Failure::Refused(e.to_string()))?;
            requests.push(WriteRequest::builder().put_request(put).build());
        }
        let answer = self
            .client
            .batch_write_item()
            .request_items(&self.table, requests)
            .send()
            .await
            .map_err(|e| failure(&e))?;
        let left: Vec<WriteRequest> =
            answer.unprocessed_items.unwrap_or_default().into_values().flatten().collect();
        let index_of = |request: &WriteRequest| {
            let item = &request.put_request()?.item;
            let values = key_names
                .iter()
                .map(|name| value_of(item.get(name.as_ref())?))
                .collect::<Option<Vec<_>>>()?;
            let key = key_bytes(&values)?;
            items.iter().position(|i| i.key == key)
        };
        // One that cannot be recognised could be any of them: putting all again is harmless.
        Ok(left
            .iter()
            .map(index_of)
            .collect::<Option<Vec<usize>>>()
            .unwrap_or_else(|| (0..items.len()).collect()))
    }
}

type Attributes = HashMap<String, AttributeValue>;

fn version_text(held: Option<&Attributes>) -> Option<&String> {
    held?.get(VERSION_ATTRIBUTE)?.as_s().ok()
}

fn is_version(held: Option<&Attributes>, version: &str) -> bool {
    version_text(held).is_some_and(|text| text == version)
}

/// What an item that keeps a version out has over it. What this program has not written is somebody
/// else's.
fn behind(held: Option<&Attributes>, version: &str) -> Standing {
    let held = version_text(held).and_then(|text| Version::parse(text));
    match (Version::parse(version), held) {
        (Some(own), Some(held)) => own.against(Some(&held)),
        _ => Standing::BehindRun,
    }
}

fn attributes(item: &Item) -> Attributes {
    let version = item
        .version
        .as_ref()
        .map(|v| (VERSION_ATTRIBUTE.to_owned(), AttributeValue::S(v.to_string())));
    let columns = item.attributes.iter().map(|(name, value)| (name.to_string(), attribute(value)));
    columns.chain(version).collect()
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

fn value_of(value: &AttributeValue) -> Option<Value> {
    Some(match value {
        AttributeValue::S(s) => Value::Text(s.clone()),
        AttributeValue::N(n) => Value::Number(n.clone()),
        AttributeValue::B(b) => Value::Bytes(b.as_ref().to_vec()),
        _ => return None,
    })
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
