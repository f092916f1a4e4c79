//! A Kinesis stream as a source: shards are splits, each read by a task of its own.
//!
//! Called by `runtime` through the traits of `source`. What always holds: dropping a reader ends
//! its task; a position is that after the last record that `poll` returned, however far the task
//! has read ahead.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arrow::array::{ArrayRef, StringArray, TimestampMillisecondArray};
use backon::{BackoffBuilder, ExponentialBuilder};

use crate::aws::AwsOptions;
use crate::aws::clock::ServerClock;
use crate::connector::kinesis::api::{Failure, ListedShard, StreamApi, Streams};
use crate::connector::kinesis::client::Aws;
use crate::connector::kinesis::poll::{Pace, Shard};
use crate::connector::kinesis::position::{ShardPosition, StreamIdentity};
use crate::connector::kinesis::queue::{QUEUE_BYTES, Queue, Record, ShardEnd, Taken};
use crate::connector::kinesis::{InitPosition, KinesisOptions};
use crate::record::{Places, RawBatch};
use crate::source::{
    Pause, Polled, Position, ReadAhead, RunState, Source, SourceError, SplitId, SplitReader,
    SplitSeed, StoredSplit,
};
use crate::tasks::{Running, Tasks};
use crate::time::clock::{Clock, SharedClock};
use crate::time::timer::sleep;

/// Metadata columns of the connector: Flink's names, and the partition key.
pub const METADATA_KEYS: [&str; 4] = ["timestamp", "shard-id", "sequence-number", "partition-key"];

pub struct KinesisSource {
    table: String,
    options: KinesisOptions,
    metadata: Vec<String>,
    clock: Arc<ServerClock>,
    tasks: Tasks,
    stream: Arc<dyn StreamApi>,
    /// The stream as it was at the start.
    identity: OnceLock<StreamIdentity>,
    /// The last audit has found another one.
    audited: Arc<Mutex<bool>>,
}

impl KinesisSource {
    /// A stream of AWS. Makes no call to the server. `metadata_keys`: the metadata columns that are
    /// wanted, each one of [`METADATA_KEYS`].
    pub fn new(
        table: &str,
        options: KinesisOptions,
        metadata_keys: Vec<String>,
        clock: SharedClock,
        tasks: Tasks,
    ) -> Result<KinesisSource, SourceError> {
        KinesisSource::on(&Aws, table, options, metadata_keys, clock, tasks)
    }

    /// The same of streams that may be elsewhere.
    pub(crate) fn on(
        streams: &dyn Streams,
        table: &str,
        options: KinesisOptions,
        metadata_keys: Vec<String>,
        clock: SharedClock,
        tasks: Tasks,
    ) -> Result<KinesisSource, SourceError> {
        if let Some(unknown) = metadata_keys.iter().find(|m| !METADATA_KEYS.contains(&m.as_str())) {
            let reason = format!(
                "there is no metadata '{unknown}'; the connector has {}",
                METADATA_KEYS.join(", ")
            );
            return Err(SourceError::Config { table: table.into(), reason });
        }
        let clock = ServerClock::new(clock);
        let stream = streams
            .open(&options, clock.clone(), &tasks)
            .map_err(|e| SourceError::Config { table: table.into(), reason: e.to_string() })?;
        Ok(KinesisSource {
            table: table.into(),
            options,
            metadata: metadata_keys,
            clock,
            tasks,
            stream,
            identity: OnceLock::new(),
            audited: Arc::default(),
        })
    }

    fn made_again(&self) -> String {
        format!(
            "stream '{}' was deleted and made again since the run began: what the checkpoint knows of its shards means nothing in the \
             new one; use --fresh to start over",
            self.options.stream_name
        )
    }

    fn listing_failed(&self, failure: Failure) -> SourceError {
        let KinesisOptions { stream_name, aws: AwsOptions { region, endpoint, .. }, .. } =
            &self.options;
        let region = region.as_deref().unwrap_or_default();
        let at = endpoint.as_deref().map(|e| format!(" at {e}")).unwrap_or_default();
        let reason = match failure {
            Failure::Missing(text) => {
                format!(
                    "there is no stream '{stream_name}' in {region}{at}; check 'stream.arn' and the account ({text})"
                )
            }
            Failure::Fatal(text) | Failure::Argument(text) => {
                format!(
                    "stream '{stream_name}' in {region}{at} refuses to be read; check the credentials and their policy ({text})"
                )
            }
            Failure::Retry(text) => {
                format!("stream '{stream_name}' in {region}{at} cannot be reached ({text})")
            }
            Failure::Expired => {
                format!("stream '{stream_name}' in {region}{at} gave an unexpected answer")
            }
        };
        SourceError::Config { table: self.table.clone(), reason }
    }
}

impl Source for KinesisSource {
    /// Refuses to go on with a stream that was deleted and made again: the sequence numbers of the
    /// checkpoint mean nothing in it.
    fn setup(&self, stored: Option<&RunState>) -> Result<Option<RunState>, SourceError> {
        let stored = stored
            .map(StreamIdentity::of)
            .transpose()
            .map_err(|e| SourceError::not_read(&self.table, &e))?;
        // A stream that cannot be asked now is not another one; whoever may read it need not be
        // allowed to describe it.
        let stream = self.stream.clone();
        let Ok(Ok(Some(described))) = self.tasks.wait(async move { stream.describe().await })
        else {
            return Ok(stored.as_ref().map(Into::into));
        };
        let found = StreamIdentity { created_s: described.created_s };
        match stored {
            Some(stored) if stored != found => {
                Err(SourceError::Stored { table: self.table.clone(), reason: self.made_again() })
            }
            _ => {
                let _ = self.identity.set(found.clone());
                Ok(Some((&found).into()))
            }
        }
    }

    fn audit(&self, _splits: &[StoredSplit<'_>]) -> Vec<String> {
        let Some(known) = self.identity.get().cloned() else { return Vec::new() };
        let audited = self.audited.clone();
        let is_another =
            std::mem::take(&mut *audited.lock().unwrap_or_else(PoisonError::into_inner));
        let stream = self.stream.clone();
        self.tasks.spawn(async move {
            if let Ok(Some(described)) = stream.describe().await {
                *audited.lock().unwrap_or_else(PoisonError::into_inner) =
                    described.created_s != known.created_s;
            }
        });
        is_another.then(|| self.made_again()).into_iter().collect()
    }

    fn discover(&self) -> Result<Vec<SplitSeed>, SourceError> {
        let mut shards = self
            .tasks
            .wait(list_shards_patiently(self.stream.clone()))
            .map_err(|e| SourceError::Config { table: self.table.clone(), reason: e.to_string() })?
            .map_err(|f| self.listing_failed(f))?;
        let start: Position = match self.options.init {
            InitPosition::TrimHorizon => ShardPosition::Horizon,
            InitPosition::AtTimestamp { arrival_ms } => ShardPosition::Time { arrival_ms },
            InitPosition::Latest => {
                // A closed shard gets nothing any more. The time is taken after the listing, so
                // that a shard that was closed in between is read, and none that was closed before
                // it matters.
                shards.retain(|shard| shard.open);
                ShardPosition::Time { arrival_ms: self.clock.wall_ms() }
            }
        }
        .into();
        // A parent that is not listed lies before the start of the job, or its records have
        // expired: nothing to wait for.
        let listed: BTreeSet<String> = shards.iter().map(|s| s.id.clone()).collect();
        let split = |id: String| SplitId(id.into());
        let seeds = shards.into_iter().map(|shard| SplitSeed {
            id: split(shard.id),
            parents: shard.parents.into_iter().filter(|p| listed.contains(p)).map(split).collect(),
            start: start.clone(),
        });
        Ok(seeds.collect())
    }

    fn open(
        &self,
        split: &SplitId,
        position: &Position,
        ahead: ReadAhead,
    ) -> Result<Box<dyn SplitReader>, SourceError> {
        let position =
            ShardPosition::of(position).map_err(|e| SourceError::not_read(&self.table, &e))?;
        let queue = Arc::new(Queue::new(QUEUE_BYTES.min(ahead.bytes_max)));
        let shard = Shard {
            stream: self.stream.clone(),
            table: self.table.clone(),
            id: split.clone(),
            start: position.clone(),
            to_ms: self.options.to_ms,
            pace: Pace::default(),
            clock: self.clock.clone(),
            queue: queue.clone(),
            wake: ahead.wake,
        };
        Ok(Box::new(ShardReader {
            table: self.table.clone(),
            split: split.clone(),
            metadata: self.metadata.clone(),
            task: self.tasks.spawn(shard.run()),
            queue,
            position,
            bytes_read: 0,
        }))
    }

    fn bounded(&self) -> bool {
        self.options.to_ms.is_some()
    }
}

/// Tries of a listing before a job starts. Later ones are tried for ever.
const LISTINGS_MAX: usize = 5;

/// All shards that hold records or may get some, tried a few times.
async fn list_shards_patiently(stream: Arc<dyn StreamApi>) -> Result<Vec<ListedShard>, Failure> {
    let pauses = ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(250))
        .with_max_times(LISTINGS_MAX - 1);
    let mut pauses = pauses.with_jitter().build();
    loop {
        match (stream.list_shards().await, &mut pauses) {
            (Err(Failure::Retry(reason)), pauses) => match pauses.next() {
                Some(pause) => sleep(pause).await,
                None => return Err(Failure::Retry(reason)),
            },
            (answer, _) => return answer,
        }
    }
}

struct ShardReader {
    table: String,
    split: SplitId,
    metadata: Vec<String>,
    task: Box<dyn Running>,
    queue: Arc<Queue>,
    position: ShardPosition,
    bytes_read: u64,
}

impl ShardReader {
    fn error(&self, reason: String) -> SourceError {
        SourceError::Read { table: self.table.clone(), split: self.split.clone(), reason }
    }

    fn batch(&mut self, records: Vec<Record>) -> RawBatch {
        let metadata = self.metadata.iter().map(|key| column(key, &self.split, &records)).collect();
        let bytes = Vec::with_capacity(records.iter().map(|r| r.data.len()).sum());
        let mut raw = RawBatch {
            bytes,
            spans: Vec::with_capacity(records.len()),
            metadata,
            ..RawBatch::default()
        };
        let mut numbers = Vec::with_capacity(records.len());
        for record in records {
            raw.push(|bytes| bytes.extend_from_slice(&record.data));
            numbers.push(record.sequence_number);
        }
        if let Some(last) = numbers.last() {
            self.position = ShardPosition::After { sequence_number: last.clone() };
        }
        self.bytes_read += raw.bytes.len() as u64;
        RawBatch { places: Places::Sequence { numbers }, ..raw }
    }
}

fn column(key: &str, split: &SplitId, records: &[Record]) -> ArrayRef {
    match key {
        "timestamp" => Arc::new(
            records
                .iter()
                .map(|r| r.arrival_ms)
                .collect::<TimestampMillisecondArray>()
                .with_timezone("UTC"),
        ),
        "shard-id" => {
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&*split.0, records.len())))
        }
        "sequence-number" => {
            Arc::new(StringArray::from_iter_values(records.iter().map(|r| &r.sequence_number)))
        }
        _ => Arc::new(StringArray::from_iter_values(records.iter().map(|r| &r.partition_key))),
    }
}

impl SplitReader for ShardReader {
    fn poll(&mut self, max_records: usize) -> Result<Polled, SourceError> {
        // Looked at before the queue: a task that has ended has put its outcome there.
        let stopped = self.task.is_finished();
        match self.queue.take(max_records) {
            Taken::Records(records) => Ok(Polled::Records(self.batch(records))),
            Taken::Ended(ShardEnd::End { children }) => Ok(Polled::End { children }),
            Taken::Ended(ShardEnd::Failed(reason)) => Err(self.error(reason)),
            Taken::Nothing { .. } if stopped => {
                Err(self.error("the task that reads the shard has stopped".into()))
            }
            Taken::Nothing { empty } => Ok(Polled::Pending { empty }),
        }
    }

    fn position(&self) -> Position {
        self.position.clone().into()
    }

    fn pause(&mut self, now: Pause) {
        self.queue.pause(now);
    }

    fn lag_ms(&self) -> Option<i64> {
        self.queue.lag_ms()
    }

    fn bytes_read(&self) -> u64 {
        self.bytes_read
    }
}

impl Drop for ShardReader {
    fn drop(&mut self) {
        self.task.abort();
    }
}
