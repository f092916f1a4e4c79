//! Which calls does a table answer, and what does each kind of failure mean?
//!
//! The sink and lookups call a table through [`TableApi`]; `client` and `read` implement it by the
//! AWS SDK, and a test by a table of its own: [`Tables`] opens one or the other, and is given to the
//! connector when it is made. What always holds: a call is tried once; [`Failure`] says whether
//! trying again can help; a call that has not answered after [`CALL_TIMEOUT`] is given up, and what
//! it was to write may still arrive. The calls and their limits are those of DynamoDB's API
//! reference.

use std::sync::Arc;
use std::time::Duration;

use crate::aws::clock::ServerClock;
use crate::connector::dynamodb::item::Put;
use crate::connector::dynamodb::options::DynamoDbOptions;
use crate::connector::dynamodb::value::Value;
use crate::sink::version::Standing;
use crate::tasks::BoxFuture;

/// A call that has not answered by then is tried again; DynamoDB answers in milliseconds.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// What may wait in one writer, bytes. Some seconds of a table that takes 1000 items a second;
/// several writers share memory with the state.
pub(crate) const BUFFER_BYTES_MAX: usize = 8 << 20;
/// BatchGetItem takes no more keys.
pub(crate) const BATCH_KEYS_MAX: usize = 100;

/// Why a call did nothing, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Throttled, an error of the server, no connection, no answer: the same call may succeed
    /// later.
    Retry(String),
    /// The condition failed: the table holds a newer version.
    Superseded(Standing),
    /// The item can never be taken.
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

/// What [`TableApi`] gives.
pub(crate) type Answer<'a, T> = BoxFuture<'a, Result<T, Failure>>;

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

/// A table as it exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Described {
    pub key: TableKey,
    /// When it was created, ms since the epoch by the server's clock, where the server says.
    pub made_ms: Option<i64>,
}

/// Why a put is [`Failure::Unfit`] if it is another item that is in its place.
pub(crate) const OTHER_KEY: &str = "an item of another key is in the place of this one";

/// Attributes of an item, or of a key.
pub(crate) type Attributes = Vec<(String, Value)>;

/// Names of the attributes to read; others are left out of the answer.
pub(crate) type Wanted = [String];

/// Answer of BatchGetItem.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub items: Vec<Attributes>,
    /// Keys that were not looked at.
    pub left: Vec<Attributes>,
}

/// Answer of Query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// In the order of the sort key.
    pub items: Vec<Attributes>,
    /// The key behind which to go on, if these are not all.
    pub next: Option<Attributes>,
}

/// The calls for one table.
pub(crate) trait TableApi: Send + Sync {
    /// What table it is. Errors: [`Failure::Fatal`] also if the table is not ready.
    fn describe(&self) -> Answer<'_, Described>;
    /// Puts one item, or the tombstone of one, if the table holds none of its key, one without a
    /// version, or one of a version that is not higher. Returns how it stood against what the table
    /// held. `key`: the table's as it was found; if an item with other values of it is in the place,
    /// the table has another key by now, and nothing is written ([`Failure::Unfit`]).
    fn put<'a>(&'a self, put: &'a Put, key: &'a TableKey) -> Answer<'a, Standing>;
    /// The items of at most [`BATCH_KEYS_MAX`] keys, all different, and the keys that were not
    /// looked at.
    fn get_batch<'a>(&'a self, keys: &'a [Attributes], wanted: &'a Wanted) -> Answer<'a, Found>;
    /// Items of one partition, those behind the key `from` if there is one.
    fn query<'a>(
        &'a self,
        partition: &'a (String, Value),
        wanted: &'a Wanted,
        from: Option<&'a Attributes>,
    ) -> Answer<'a, Page>;
}

/// Where tables are.
pub(crate) trait Tables: Send + Sync {
    /// Prepares calls for a table; makes none. `clock` is told what time the server has.
    fn open(&self, options: &DynamoDbOptions, clock: Arc<ServerClock>) -> Arc<dyn TableApi>;

    /// What may wait in one writer, bytes.
    fn buffer_bytes_max(&self) -> usize {
        BUFFER_BYTES_MAX
    }
}
