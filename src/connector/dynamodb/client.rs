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
    AttributeValue, KeyType, PutRequest, ReturnValue, ReturnValuesOnConditionCheckFailure,
    ScalarAttributeType, TableStatus, WriteRequest,
};
use tokio::sync::OnceCell;

use crate::aws::causes;
use crate::aws::clock::{NoteDate, ServerClock};
use crate::connector::dynamodb::api::{
    Answer, Attributes, CALL_TIMEOUT, Failure, Found, Page, TableApi, TableKey, Tables, Wanted,
};
use crate::connector::dynamodb::faults::{Blame, blame};
use crate::connector::dynamodb::item::{Item, VERSION_ATTRIBUTE, key_bytes};
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
    fn describe(&self) -> Answer<'_, TableKey> {
        Box::pin(self.describe_table())
    }

    fn put<'a>(&'a self, item: &'a Item) -> Answer<'a, Standing> {
        Box::pin(self.put_item(item))
    }

    fn put_batch<'a>(
        &'a self,
        items: &'a [&'a Item],
        key_names: &'a [Arc<str>],
    ) -> Answer<'a, Vec<usize>> {
        Box::pin(self.batch_write_item(items, key_names))
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

    async fn describe_table(&self) -> Result<TableKey, Failure> {
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
        Ok(TableKey { attributes: attributes.collect() })
    }

    async fn put_item(&self, item: &Item) -> Result<Standing, Failure> {
        let client = self.client().await;
        let attributes = self.attributes(item);
        if item.deletes && item.version.is_none() {
            let call = client.delete_item().table_name(&self.table).set_key(Some(attributes));
            return call.send().await.map(|_| Standing::Newer).map_err(|e| failure(&e));
        }
        let call = client.put_item().table_name(&self.table).set_item(Some(attributes));
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
                    Failure::Superseded(lost_to(version, version_text(held.item.as_ref())))
                }
                _ => failure(&e),
            }),
        }
    }

    /// What is to be stored, in the SDK's types.
    fn attributes(&self, item: &Item) -> Sdk {
        let now_s = self.clock.wall_ms().div_euclid(1000);
        item.stored(now_s).map(|(name, value)| (name, attribute(&value))).collect()
    }

    async fn batch_write_item(
        &self,
        items: &[&Item],
        key_names: &[Arc<str>],
    ) -> Result<Vec<usize>, Failure> {
        let mut requests = Vec::with_capacity(items.len());
        for item in items {
            let put = PutRequest::builder().set_item(Some(self.attributes(item))).build();
            let put = put.map_err(|e| Failure::Refused(e.to_string()))?;
            requests.push(WriteRequest::builder().put_request(put).build());
        }
        let answer = self
            .client()
            .await
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

/// An item in the SDK's types.
type Sdk = HashMap<String, AttributeValue>;

fn version_text(held: Option<&Sdk>) -> Option<&str> {
    Some(held?.get(VERSION_ATTRIBUTE)?.as_s().ok()?.as_str())
}

fn is_version(held: Option<&Sdk>, version: &str) -> bool {
    version_text(held).is_some_and(|text| text == version)
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
