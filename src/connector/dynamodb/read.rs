//! The calls that read items: by their whole key, some together, or all of one partition.
//!
//! Called by `lookup` from tasks. What always holds: as with writes a call is tried once; what
//! DynamoDB leaves out of an answer is said.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};

use crate::connector::dynamodb::api::{Attributes, Failure, Found, Page, Wanted};
use crate::connector::dynamodb::client::{TableClient, attribute, failure};
use crate::connector::dynamodb::value::Value;

/// The attributes to read in DynamoDB's form, in which any name may be asked for: an expression of
/// short names, and what they stand for.
fn projection(wanted: &Wanted) -> (String, HashMap<String, String>) {
    let names = wanted.iter().enumerate().map(|(i, name)| (format!("#a{i}"), name.clone()));
    let names: Vec<(String, String)> = names.collect();
    let expression = names.iter().map(|(short, _)| short.as_str()).collect::<Vec<_>>().join(", ");
    (expression, names.into_iter().collect())
}

impl TableClient {
    pub(super) async fn batch_get_item(
        &self,
        keys: &[Attributes],
        wanted: &Wanted,
    ) -> Result<Found, Failure> {
        let (expression, names) = projection(wanted);
        let asked = KeysAndAttributes::builder()
            .set_keys(Some(keys.iter().map(sdk).collect()))
            .projection_expression(expression)
            .set_expression_attribute_names(Some(names))
            .build()
            .map_err(|e| Failure::Fatal(e.to_string()))?;
        let call = self.client().await.batch_get_item().request_items(&self.table, asked);
        let answer = call.send().await.map_err(|e| failure(&e))?;
        let items = answer.responses.unwrap_or_default().into_values().flatten();
        let left =
            answer.unprocessed_keys.unwrap_or_default().into_values().flat_map(|left| left.keys);
        Ok(Found {
            items: items.map(attributes).collect::<Result<_, _>>()?,
            left: left.map(attributes).collect::<Result<_, _>>()?,
        })
    }

    pub(super) async fn query_partition(
        &self,
        partition: &(String, Value),
        wanted: &Wanted,
        from: Option<&Attributes>,
    ) -> Result<Page, Failure> {
        let (expression, mut names) = projection(wanted);
        names.insert("#partition".into(), partition.0.clone());
        let call = self.client().await.query().table_name(&self.table);
        let call = call
            .key_condition_expression("#partition = :partition")
            .projection_expression(expression)
            .set_expression_attribute_names(Some(names))
            .expression_attribute_values(":partition", attribute(&partition.1))
            .set_exclusive_start_key(from.map(sdk));
        let answer = call.send().await.map_err(|e| failure(&e))?;
        let items = answer.items.unwrap_or_default().into_iter();
        let next = answer.last_evaluated_key.filter(|key| !key.is_empty());
        Ok(Page {
            items: items.map(attributes).collect::<Result<_, _>>()?,
            next: next.map(attributes).transpose()?,
        })
    }
}

fn sdk(attributes: &Attributes) -> HashMap<String, AttributeValue> {
    attributes.iter().map(|(name, value)| (name.clone(), attribute(value))).collect()
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
