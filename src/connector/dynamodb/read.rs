//! The calls that read items: by their whole key, some together, or all of one partition.
//!
//! Called by `lookup` from tasks. What always holds: as with writes a call is tried once; what
//! DynamoDB leaves out of an answer is said.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};

use crate::connector::dynamodb::client::{Failure, TableClient, attribute, failure};
use crate::connector::dynamodb::value::Value;

/// Attributes of an item, or of a key.
pub(crate) type Attributes = Vec<(String, Value)>;

/// BatchGetItem takes no more keys.
pub(crate) const BATCH_KEYS_MAX: usize = 100;

/// The attributes to read, in DynamoDB's form: any name may be asked for.
pub(crate) struct Wanted {
    expression: String,
    names: HashMap<String, String>,
}

impl Wanted {
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Wanted {
        let names: Vec<(String, String)> =
            names.into_iter().enumerate().map(|(i, n)| (format!("#a{i}"), n.to_owned())).collect();
        let expression =
            names.iter().map(|(short, _)| short.as_str()).collect::<Vec<_>>().join(", ");
        Wanted { expression, names: names.into_iter().collect() }
    }
}

/// Where to go on with a partition that one answer did not hold.
#[derive(Clone)]
pub struct Next(HashMap<String, AttributeValue>);

impl TableClient {
    /// The items of at most [`BATCH_KEYS_MAX`] keys, all different, and the keys that were not
    /// looked at.
    pub(crate) async fn get_batch(
        &self,
        keys: &[Attributes],
        wanted: &Wanted,
    ) -> Result<(Vec<Attributes>, Vec<Attributes>), Failure> {
        let asked = keys
            .iter()
            .map(|key| key.iter().map(|(name, value)| (name.clone(), attribute(value))).collect())
            .collect();
        let asked = KeysAndAttributes::builder()
            .set_keys(Some(asked))
            .projection_expression(&wanted.expression)
            .set_expression_attribute_names(Some(wanted.names.clone()))
            .build()
            .map_err(|e| Failure::Fatal(e.to_string()))?;
        let answer = self
            .client
            .batch_get_item()
            .request_items(&self.table, asked)
            .send()
            .await
            .map_err(|e| failure(&e))?;
        let items = answer
            .responses
            .unwrap_or_default()
            .into_values()
            .flatten()
            .map(attributes)
            .collect::<Result<_, _>>()?;
        let left =
            answer.unprocessed_keys.unwrap_or_default().into_values().flat_map(|left| left.keys);
        Ok((items, left.map(attributes).collect::<Result<_, _>>()?))
    }

    /// Items of one partition in the order of the sort key, and where to go on if these are not
    /// all.
    pub async fn query(
        &self,
        partition: &(String, Value),
        wanted: &Wanted,
        from: Option<Next>,
    ) -> Result<(Vec<Attributes>, Option<Next>), Failure> {
        let mut names = wanted.names.clone();
        names.insert("#partition".into(), partition.0.clone());
        let call = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#partition = :partition");
        let call = call
            .projection_expression(&wanted.expression)
            .set_expression_attribute_names(Some(names));
        let call = call.expression_attribute_values(":partition", attribute(&partition.1));
        let answer = call
            .set_exclusive_start_key(from.map(|n| n.0))
            .send()
            .await
            .map_err(|e| failure(&e))?;
        let items = answer
            .items
            .unwrap_or_default()
            .into_iter()
            .map(attributes)
            .collect::<Result<_, _>>()?;
        Ok((items, answer.last_evaluated_key.filter(|key| !key.is_empty()).map(Next)))
    }
}

fn attributes(item: HashMap<String, AttributeValue>) -> Result<Attributes, Failure> {
    item.into_iter().map(|(name, value)| Ok((name, value_of(value)?))).collect()
}

/// The inverse of `attribute`; sets come as lists.
fn value_of(value: AttributeValue) -> Result<Value, Failure> {
    Ok(match value {
        AttributeValue::Null(_) => Value::Null,
        AttributeValue::Bool(b) => Value::Bool(b),
        AttributeValue::N(n) => Value::Number(n),
        AttributeValue::S(s) => Value::Text(s),
        AttributeValue::B(b) => Value::Bytes(b.into_inner()),
        AttributeValue::L(values) => {
            Value::List(values.into_iter().map(value_of).collect::<Result<_, _>>()?)
        }
        AttributeValue::M(entries) => Value::Map(attributes(entries)?),
        AttributeValue::Ss(texts) => Value::List(texts.into_iter().map(Value::Text).collect()),
        AttributeValue::Ns(numbers) => {
            Value::List(numbers.into_iter().map(Value::Number).collect())
        }
        AttributeValue::Bs(blobs) => {
            Value::List(blobs.into_iter().map(|b| Value::Bytes(b.into_inner())).collect())
        }
        other => {
            return Err(Failure::Fatal(format!(
                "an attribute has a type that is not known here: {other:?}"
            )));
        }
    })
}
