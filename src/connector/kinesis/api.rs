//! Which calls does a stream answer, and what does each kind of failure mean?
//!
//! `source` and `poll` call a stream through [`StreamApi`], `client` implements it by the AWS SDK,
//! and a test by a stream of its own: [`Streams`] opens one or the other, and is given to the
//! connector when it is made. What always holds: a call is tried once; [`Failure`] says whether
//! trying again can help. The calls and their limits are those of the API reference of Kinesis Data
//! Streams.

use std::sync::Arc;

use crate::aws::clock::ServerClock;
use crate::connector::kinesis::KinesisOptions;
use crate::connector::kinesis::position::ShardPosition;
use crate::connector::kinesis::queue::Record;
pub(crate) use crate::record::HashRange;
use crate::tasks::{BoxFuture, Stopped, Tasks};

/// Why a call gave nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The iterator is older than five minutes.
    Expired,
    /// Throttled, an error of the server, no connection, no answer: the same call may succeed
    /// later.
    Retry(String),
    /// The server finds an argument wrong. A start time after the server's clock is one of these.
    Argument(String),
    /// The stream or the shard is not there.
    Missing(String),
    /// No such call can succeed until someone changes something.
    Fatal(String),
}

/// What [`StreamApi`] gives.
pub(crate) type Answer<'a, T> = BoxFuture<'a, Result<T, Failure>>;

/// A shard as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedShard {
    pub id: String,
    /// None, one, or the two shards of a merge; those out of retention included.
    pub parents: Vec<String>,
    pub open: bool,
    /// Hash keys of partition keys that it takes, both ends included. None where the server does
    /// not say.
    pub hashes: Option<HashRange>,
}

/// A child as the last reply of its parent names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Child {
    pub id: String,
    pub parents: Vec<String>,
    /// None where the server does not say.
    pub hashes: Option<HashRange>,
}

/// Answer of GetRecords.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reply {
    pub records: Vec<Record>,
    /// None: the shard is finished.
    pub next_iterator: Option<String>,
    /// 0 with an empty reply: nothing is left to read now.
    pub behind_ms: Option<i64>,
    /// Only in the final reply, and not from every server.
    pub children: Vec<Child>,
}

/// The stream as DescribeStreamSummary has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Described {
    /// When it was made, seconds since the epoch.
    pub created_s: i64,
    /// How long it keeps records.
    pub retention_hours: i64,
}

/// A record to be written: partition key and payload.
pub(crate) type Entry = (String, Vec<u8>);

/// The calls for one stream.
pub(crate) trait StreamApi: Send + Sync {
    /// What the stream is. None where the server does not say.
    fn describe(&self) -> Answer<'_, Option<Described>>;
    /// All shards that hold records or may get some.
    fn list_shards(&self) -> Answer<'_, Vec<ListedShard>>;
    fn get_iterator<'a>(&'a self, shard: &'a str, at: &'a ShardPosition) -> Answer<'a, String>;
    fn get_records<'a>(&'a self, iterator: &'a str) -> Answer<'a, Reply>;
    /// Writes entries. Gives, for each in its order, why it was refused, if it was.
    fn put_records<'a>(&'a self, entries: &'a [Entry]) -> Answer<'a, Vec<Option<String>>>;
}

/// Where streams are.
pub(crate) trait Streams: Send + Sync {
    /// Prepares calls for a stream; makes none. `clock` is told what time the server has.
    fn open(
        &self,
        options: &KinesisOptions,
        clock: Arc<ServerClock>,
        tasks: &Tasks,
    ) -> Result<Arc<dyn StreamApi>, Stopped>;
}
