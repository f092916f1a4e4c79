//! What tests do to DynamoDB tables, whichever server has them: make and read them.
//!
//! Used by tests that look at what a job left. Each client has a runtime of its own, so its users
//! need none.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType,
};

/// Texts and numbers of an item by attribute, as text; other types by their debug form.
pub type Row = BTreeMap<String, String>;

pub struct TableClient {
    client: aws_sdk_dynamodb::Client,
    runtime: tokio::runtime::Runtime,
}

impl TableClient {
    pub fn new(endpoint: &str) -> TableClient {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(super::stream_client::REGION))
            .credentials_provider(Credentials::new("someone", "something", None, None, "test"))
            .endpoint_url(endpoint);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        TableClient { client: aws_sdk_dynamodb::Client::from_conf(config.build()), runtime }
    }

    /// Creates a table whose first key column is the partition key; types are `S` or `N`.
    pub fn create_table(&self, name: &str, key: &[(&str, &str)]) {
        let mut call =
            self.client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
        for (number, (column, data_type)) in key.iter().enumerate() {
            let kind = if number == 0 { KeyType::Hash } else { KeyType::Range };
            let element = KeySchemaElement::builder().attribute_name(*column).key_type(kind);
            let definition = AttributeDefinition::builder()
                .attribute_name(*column)
                .attribute_type(ScalarAttributeType::from(*data_type));
            call = call
                .key_schema(element.build().unwrap())
                .attribute_definitions(definition.build().unwrap());
        }
        self.runtime.block_on(call.send()).unwrap();
    }

    /// The rows of a table as its readers see it: without what stands for deleted ones.
    pub fn rows(&self, name: &str) -> Vec<Row> {
        let pages = self.client.scan().table_name(name).consistent_read(true).into_paginator();
        let mut items = pages.items().send();
        let mut rows = Vec::new();
        while let Some(item) = self.runtime.block_on(items.next()) {
            let text = |value| match value {
                AttributeValue::S(text) | AttributeValue::N(text) => text,
                other => format!("{other:?}"),
            };
            let row: Row = item.unwrap().into_iter().map(|(k, v)| (k, text(v))).collect();
            if !row.contains_key("paceline_deleted") {
                rows.push(row);
            }
        }
        rows
    }
}
