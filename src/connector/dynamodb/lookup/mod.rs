//! Rows of a DynamoDB table by key: BatchGetItem where the whole primary key is asked for, Query
//! where its partition key is.
//!
//! Connected by `connect`; the calls are made by tasks on the network runtime (`fetch`), never on a
//! worker. What always holds: the table is looked at before the first question, and a key that is
//! not the declared one is an error; reads are eventually consistent, as DynamoDB's are unless one
//! asks and pays for more; the tombstone of a row is no row.

mod fetch;
mod item;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use tokio::sync::OnceCell;

use crate::aws::clock::ServerClock;
use crate::connector::dynamodb::api::{TableApi, TableKey, Tables};
use crate::connector::dynamodb::client::Aws;
use crate::connector::dynamodb::describe::describe;
use crate::connector::dynamodb::item::DELETED_ATTRIBUTE;
use crate::connector::dynamodb::lost::Lost;
use crate::connector::dynamodb::options::DynamoDbOptions;
use crate::connector::dynamodb::value::{is_supported, key_type};
use crate::engine_words::in_sql;
use crate::lookup::{LookupError, LookupSpec, LookupTable, Reply};
use crate::tasks::Tasks;
use crate::time::clock::{SharedClock, SystemClock};
use crate::who::Again;

/// DynamoDB's keys have a partition key and perhaps a sort key.
const KEY_COLUMNS_MAX: usize = 2;

pub struct DynamoDbLookup {
    shared: Arc<Shared>,
    tasks: Tasks,
}

/// What the tasks share.
struct Shared {
    spec: LookupSpec,
    options: DynamoDbOptions,
    /// How often a call that failed is made again.
    retries: usize,
    /// The attributes that are read: the columns, and what tells a tombstone.
    wanted: Vec<String>,
    /// Calls that were made again, for log lines.
    repeated: AtomicU64,
    api: Arc<dyn TableApi>,
    /// Its key was found to be the declared one. Looked at for the first question: until then
    /// nothing outside is touched.
    fits: OnceCell<()>,
}

impl DynamoDbLookup {
    /// A table of AWS. Checks the options, which are those of the sink. Errors: what is wrong with
    /// them or with the declaration.
    pub fn new(
        spec: LookupSpec,
        options: &BTreeMap<String, String>,
        retries: usize,
        tasks: Tasks,
    ) -> Result<DynamoDbLookup, String> {
        DynamoDbLookup::on(&Aws, spec, options, retries, SystemClock::shared(), tasks)
    }

    /// The same of tables that may be elsewhere.
    pub(crate) fn on(
        tables: &dyn Tables,
        spec: LookupSpec,
        options: &BTreeMap<String, String>,
        retries: usize,
        clock: SharedClock,
        tasks: Tasks,
    ) -> Result<DynamoDbLookup, String> {
        let options = DynamoDbOptions::parse(options)?;
        check(&spec.schema, &spec.primary_key)?;
        let columns = spec.schema.fields().iter().map(|f| f.name().clone());
        let wanted = columns.chain([DELETED_ATTRIBUTE.to_owned()]).collect();
        let api = tables.open(&options, ServerClock::new(clock));
        let shared = Shared {
            spec,
            options,
            retries,
            wanted,
            repeated: AtomicU64::default(),
            api,
            fits: OnceCell::new(),
        };
        Ok(DynamoDbLookup { shared: Arc::new(shared), tasks })
    }

    /// Finds what is wrong with options and columns, without touching the outside.
    pub fn check(spec: &LookupSpec, options: &BTreeMap<String, String>) -> Result<(), String> {
        DynamoDbOptions::parse(options)?;
        check(&spec.schema, &spec.primary_key)
    }
}

fn check(schema: &SchemaRef, primary_key: &[String]) -> Result<(), String> {
    if primary_key.len() > KEY_COLUMNS_MAX {
        let key = primary_key.join(", ");
        return Err(format!(
            "a key in DynamoDB is a partition key and perhaps a sort key, not ({key})"
        ));
    }
    for field in schema.fields() {
        if !is_supported(field.data_type()) {
            return Err(format!(
                "column '{}' of type {} cannot be read",
                field.name(),
                in_sql(&field.data_type().to_string())
            ));
        }
        if primary_key.contains(field.name()) && key_type(field.data_type()).is_none() {
            return Err(format!(
                "column '{}' of type {} cannot be part of a key",
                field.name(),
                in_sql(&field.data_type().to_string())
            ));
        }
    }
    Ok(())
}

impl LookupTable for DynamoDbLookup {
    fn ask(&self, keys: RecordBatch, reply: Reply) {
        let shared = self.shared.clone();
        self.tasks.spawn(async move { reply.send(fetch::rows(&shared, &keys).await) });
    }
}

impl Shared {
    fn error(&self, Lost { reason, who }: Lost) -> LookupError {
        let reason = format!("DynamoDB table '{}': {reason}", self.options.table_name);
        LookupError::Table { table: self.spec.table.clone(), reason, who }
    }

    /// Looks at the table, unless that was done.
    async fn look(&self) -> Result<(), LookupError> {
        let look = async || {
            let found = describe(self.api.clone()).await.map_err(|e| self.error(e))?;
            self.check_key(&found.key).map_err(|e| self.error(Lost::outside(Again::IsInVain, e)))
        };
        self.fits.get_or_try_init(look).await.copied()
    }

    /// The key must be the declared one, in its order: what is asked by its first column is asked
    /// by partition.
    fn check_key(&self, found: &TableKey) -> Result<(), String> {
        let names: Vec<&str> = found.attributes.iter().map(|(name, _)| name.as_str()).collect();
        if names != self.spec.primary_key {
            let (list, declared) = (names.join(", "), self.spec.primary_key.join(", "));
            return Err(format!(
                "its key is ({list}), that of the SQL table is ({declared}): declare PRIMARY KEY ({list}) NOT ENFORCED"
            ));
        }
        for (name, data_type) in &found.attributes {
            let Ok(field) = self.spec.schema.field_with_name(name) else { continue };
            if key_type(field.data_type()) != Some(data_type) {
                let is = in_sql(&field.data_type().to_string());
                return Err(format!(
                    "key attribute '{name}' has type {data_type}, which the column of type {is} is not: change its type"
                ));
            }
        }
        Ok(())
    }
}
