//! A Kinesis stream as a source: shards are splits, each read by a task of its own.
//!
//! Called by `runtime` through the traits of `source`. What always holds: dropping a reader ends
//! its task; a position is that after the last record that `poll` returned, however far the task
//! has read ahead.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMillisecondArray};
use backon::{BackoffBuilder, ExponentialBuilder};

use crate::aws::AwsOptions;
use crate::aws::clock::ServerClock;
use crate::connector::OnGap;
use crate::connector::kinesis::api::{Answer, Failure, ListedShard, StreamApi, Streams};
use crate::connector::kinesis::bounds::{self, GoesOn, time};
use crate::connector::kinesis::client::Aws;
use crate::connector::kinesis::coverage::{Audits, Known, is_of_one_moment, newest};
use crate::connector::kinesis::gaps::Gaps;
use crate::connector::kinesis::poll::{Pace, Shard};
use crate::connector::kinesis::position::{KeptOfStream, ShardPlace, ShardPosition};
use crate::connector::kinesis::queue::{Queue, Record, ShardEnd, Taken};
use crate::connector::kinesis::{InitPosition, KinesisOptions};
#[cfg(test)]
use crate::planted::{self, Bug};
use crate::record::{HashRange, Places, RawBatch};
use crate::source::{
    Pause, Polled, Position, ReadAhead, RunState, Source, SourceError, SplitId, SplitReader,
    SplitSeed, StoredSplit,
};
use crate::tasks::{Running, Tasks};
use crate::time::clock::{Clock, SharedClock};
use crate::time::seldom::Seldom;
use crate::time::timer::sleep;
use crate::unpack::kpl::{PARTITION_KEY, SUB_SEQUENCE_NUMBER};
use crate::who::{Again, Who};

/// Metadata columns of the connector: Flink's names, the partition key, and the number of a record
/// within its aggregate.
pub const METADATA_KEYS: [&str; 5] =
    ["timestamp", "shard-id", "sequence-number", PARTITION_KEY, SUB_SEQUENCE_NUMBER];

pub struct KinesisSource {
    table: String,
    options: KinesisOptions,
    metadata: Vec<String>,
    clock: Arc<ServerClock>,
    tasks: Tasks,
    stream: Arc<dyn StreamApi>,
    gaps: Arc<Gaps>,
    /// When the stream was made, seconds since the epoch, as the run found it.
    created_s: OnceLock<i64>,
    /// The run had an earlier end.
    reads_on: OnceLock<()>,
    audited: Audits,
    retries_told: Arc<Seldom>,
    keys_of_shards: KeysOfShards,
}

/// When the hash keys of the shards have to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeysOfShards {
    /// Before a record is read: which of them become rows goes by that.
    AtStart,
    /// As it comes.
    WhenFound,
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
        KinesisSource::on(&Aws, table, options, metadata_keys, OnGap::Refuse, clock, tasks)
    }

    /// The same of streams that may be elsewhere.
    pub(crate) fn on(
        streams: &dyn Streams,
        table: &str,
        options: KinesisOptions,
        metadata_keys: Vec<String>,
        on_gap: OnGap,
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
            .map_err(|e| SourceError::stopped(table, e))?;
        Ok(KinesisSource {
            table: table.into(),
            options,
            metadata: metadata_keys,
            clock,
            tasks,
            stream,
            gaps: Arc::new(Gaps::new(table, on_gap)),
            created_s: OnceLock::new(),
            reads_on: OnceLock::new(),
            audited: Audits::default(),
            retries_told: Arc::default(),
            keys_of_shards: KeysOfShards::WhenFound,
        })
    }

    pub(crate) fn with_keys_of_shards(self, keys_of_shards: KeysOfShards) -> KinesisSource {
        KinesisSource { keys_of_shards, ..self }
    }

    /// Lists the shards for their hash keys. Those that are found later come with theirs.
    fn learn_keys(&self) -> Result<(), SourceError> {
        let stream = self.stream.clone();
        let listed = self
            .tasks
            .wait(patiently(stream, |stream| stream.list_shards()))
            .map_err(|e| SourceError::stopped(&self.table, e))?
            .map_err(|f| self.listing_failed(f))?;
        let mut audited = self.audited.lock();
        audited.coverage.note_ranges(listed.iter().map(|s| (&s.id, s.hashes)));
        Ok(())
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
        let (again, reason) = match failure {
            Failure::Missing(text) => (
                Again::IsInVain,
                format!(
                    "there is no stream '{stream_name}' in {region}{at}; check 'stream.arn' and the account ({text})"
                ),
            ),
            Failure::Fatal(text) | Failure::Argument(text) => (
                Again::IsInVain,
                format!(
                    "stream '{stream_name}' in {region}{at} refuses to be read; check the credentials and their policy ({text})"
                ),
            ),
            Failure::Retry(text) => (
                Again::MayHelp,
                format!("stream '{stream_name}' in {region}{at} cannot be reached ({text})"),
            ),
            Failure::Expired => (
                Again::MayHelp,
                format!("stream '{stream_name}' in {region}{at} gave an unexpected answer"),
            ),
        };
        SourceError::Failed { table: self.table.clone(), reason, who: Who::Outside(again) }
    }
}

impl Source for KinesisSource {
    /// Refuses to go on with a stream that was deleted and made again, since the sequence numbers
    /// of the checkpoint mean nothing in it, and with other bounds than those of the run.
    fn setup(&self, stored: Option<&RunState>) -> Result<Option<RunState>, SourceError> {
        let stored = stored
            .map(KeptOfStream::of)
            .transpose()
            .map_err(|e| SourceError::not_read(&self.table, &e))?;
        let bounds = self.options.bounds;
        if let Some(known) = stored.as_ref().and_then(|s| s.bounds) {
            match bounds::go_on(known, bounds) {
                Ok(GoesOn::AsBefore) => {}
                Ok(GoesOn::Further { was_ms, to_ms }) => {
                    let _ = self.reads_on.set(());
                    let (from, to) = (time(was_ms), time(to_ms));
                    tracing::info!(table = self.table, "the run's end moves from {from} to {to}");
                }
                Err(reason) => {
                    return Err(SourceError::Stored { table: self.table.clone(), reason });
                }
            }
        }
        let known_s = stored.and_then(|s| s.created_s);
        let stream = self.stream.clone();
        // A stream that cannot be asked now is not another one; whoever may read it need not be
        // allowed to describe it.
        let described = self.tasks.wait(patiently(stream, |stream| stream.describe()));
        let found_s = match described {
            Ok(Ok(Some(described))) => {
                self.gaps.note_retention(described.retention_hours);
                Some(described.created_s)
            }
            _ => None,
        };
        if known_s.zip(found_s).is_some_and(|(known, found)| known != found) {
            return Err(SourceError::Stored {
                table: self.table.clone(),
                reason: self.made_again(),
            });
        }
        if self.keys_of_shards == KeysOfShards::AtStart {
            self.learn_keys()?;
        }
        let created_s = known_s.or(found_s);
        if let Some(created_s) = created_s {
            let _ = self.created_s.set(created_s);
        }
        Ok(Some((&KeptOfStream { created_s, bounds: Some(bounds) }).into()))
    }

    fn reads_on(&self) -> bool {
        self.reads_on.get().is_some()
    }

    fn audit(&self, splits: &[StoredSplit<'_>]) -> Vec<String> {
        let mut audited = self.audited.lock();
        for split in splits {
            let known = if split.finished { Known::Ended } else { Known::Reading };
            audited.coverage.note(split.id, known);
        }
        let mut told = self.gaps.passed();
        told.extend(std::mem::take(&mut audited.is_another).then(|| self.made_again()));
        told.extend(audited.coverage.holes().map(|shard| {
            format!("no split reads shard {shard}, and none that is read will name it as its child")
        }));
        drop(audited);
        let (stream, gaps) = (self.stream.clone(), self.gaps.clone());
        let (known_s, audited) = (self.created_s.get().copied(), self.audited.clone());
        self.tasks.spawn(async move {
            let described = stream.describe().await;
            let listed = stream.list_shards().await;
            let mut audited = audited.lock();
            if let Ok(Some(described)) = described {
                gaps.note_retention(described.retention_hours);
                audited.is_another = known_s.is_some_and(|known_s| known_s != described.created_s);
            }
            if let Ok(listed) = listed {
                audited.coverage.note_ranges(listed.iter().map(|s| (&s.id, s.hashes)));
                audited.coverage.audit(&listed);
            }
        });
        told
    }

    fn unread(&self) -> u64 {
        self.audited.lock().coverage.holes().count() as u64
    }

    fn discover(&self) -> Result<Vec<SplitSeed>, SourceError> {
        let stream = self.stream.clone();
        let mut shards = self
            .tasks
            .wait(settled(stream, self.table.clone()))
            .map_err(|e| SourceError::stopped(&self.table, e))?
            .map_err(|f| self.listing_failed(f))?;
        let at = match self.options.init {
            InitPosition::TrimHorizon => ShardPosition::Horizon,
            InitPosition::AtTimestamp { arrival_ms } => ShardPosition::Time { arrival_ms },
            InitPosition::Latest => {
                // A closed shard gets nothing any more, but where others have not taken over all of
                // its keys yet, they are found at its end. The time is taken after the listing, so
                // that a shard that was closed in between is read.
                shards = newest(shards);
                ShardPosition::Time { arrival_ms: self.clock.wall_ms() }
            }
        };
        let read_to_ms = self.gaps.at_start(&at, self.clock.wall_ms());
        let start: Position = ShardPlace { at, read_to_ms }.into();
        // A parent that is not listed lies before the start of the job, or its records have
        // expired: nothing to wait for.
        let ranges: Vec<_> = shards.iter().map(|shard| (shard.id.clone(), shard.hashes)).collect();
        let listed: BTreeSet<String> = shards.iter().map(|s| s.id.clone()).collect();
        let split = |id: String| SplitId(id.into());
        let seeds = shards.into_iter().map(|shard| SplitSeed {
            id: split(shard.id),
            parents: shard.parents.into_iter().filter(|p| listed.contains(p)).map(split).collect(),
            start: start.clone(),
        });
        let seeds: Vec<SplitSeed> = seeds.collect();
        let mut audited = self.audited.lock();
        seeds.iter().for_each(|seed| audited.coverage.note(&seed.id.0, Known::Reading));
        audited.coverage.note_ranges(ranges.iter().map(|(id, range)| (id, *range)));
        drop(audited);
        Ok(seeds)
    }

    fn open(
        &self,
        split: &SplitId,
        position: &Position,
        ahead: ReadAhead,
    ) -> Result<Box<dyn SplitReader>, SourceError> {
        let place = ShardPlace::of(position).map_err(|e| SourceError::not_read(&self.table, &e))?;
        self.audited.lock().coverage.note(&split.0, Known::Reading);
        let queue = Arc::new(Queue::new(ahead.budget));
        let shard = Shard {
            stream: self.stream.clone(),
            table: self.table.clone(),
            retries_told: self.retries_told.clone(),
            id: split.clone(),
            start: place.clone(),
            gaps: self.gaps.clone(),
            audited: self.audited.clone(),
            to_ms: self.options.bounds.to_ms,
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
            place,
            audited: self.audited.clone(),
            hashes: None,
            bytes_read: 0,
        }))
    }

    fn bounded(&self) -> bool {
        self.options.bounds.to_ms.is_some()
    }
}

/// Tries of a call before a job starts. Later ones are tried for ever.
const TRIES_MAX: usize = 5;

/// Makes a call that a start needs, and makes it again a few times where that may help.
async fn patiently<T>(
    stream: Arc<dyn StreamApi>,
    call: fn(&dyn StreamApi) -> Answer<'_, T>,
) -> Result<T, Failure> {
    let pauses = ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(250))
        .with_max_times(TRIES_MAX - 1);
    let mut pauses = pauses.with_jitter().build();
    loop {
        match (call(stream.as_ref()).await, &mut pauses) {
            (Err(Failure::Retry(reason)), pauses) => match pauses.next() {
                Some(pause) => sleep(pause).await,
                None => return Err(Failure::Retry(reason)),
            },
            (answer, _) => return answer,
        }
    }
}

/// Listings until one is of one moment. They lag by seconds.
const LISTINGS_MAX: usize = 30;
/// From one of them to the next.
const LISTING_PAUSE: Duration = Duration::from_secs(1);

/// The shards of a stream as they were at one moment, if the service can say.
async fn settled(stream: Arc<dyn StreamApi>, table: String) -> Result<Vec<ListedShard>, Failure> {
    for _ in 1..LISTINGS_MAX {
        let listed = patiently(stream.clone(), |stream| stream.list_shards()).await?;
        if is_of_one_moment(&listed) {
            return Ok(listed);
        }
        sleep(LISTING_PAUSE).await;
    }
    tracing::warn!(
        table,
        "listings of the stream's shards do not agree with themselves: records of a shard that is not listed may be read late"
    );
    patiently(stream, |stream| stream.list_shards()).await
}

struct ShardReader {
    table: String,
    split: SplitId,
    metadata: Vec<String>,
    task: Box<dyn Running>,
    queue: Arc<Queue>,
    place: ShardPlace,
    audited: Audits,
    /// The shard's, once they are known.
    hashes: Option<HashRange>,
    bytes_read: u64,
}

impl ShardReader {
    fn error(&self, who: Who, reason: String) -> SourceError {
        SourceError::Read { table: self.table.clone(), split: self.split.clone(), reason, who }
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
        let arrivals_ms: Vec<Option<i64>> = records.iter().map(|r| r.arrival_ms).collect();
        let arrived_ms = arrivals_ms.iter().rev().find_map(|ms| *ms);
        self.place.read_to_ms = self.place.read_to_ms.max(arrived_ms);
        for record in records {
            raw.push(|bytes| bytes.extend_from_slice(&record.data));
            numbers.push(record.sequence_number);
        }
        if let Some(last) = numbers.last() {
            self.place.at = ShardPosition::After { sequence_number: last.clone() };
        }
        self.bytes_read += raw.bytes.len() as u64;
        if self.hashes.is_none() {
            self.hashes = self.audited.lock().coverage.range(&self.split.0);
        }
        RawBatch { places: Places::Sequence { numbers, arrivals_ms, hashes: self.hashes }, ..raw }
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
        // Who opens an aggregate numbers what is in it.
        SUB_SEQUENCE_NUMBER => Arc::new(Int64Array::from(vec![0; records.len()])),
        _ => Arc::new(StringArray::from_iter_values(records.iter().map(|r| &r.partition_key))),
    }
}

impl SplitReader for ShardReader {
    fn poll(&mut self, max_records: usize) -> Result<Polled, SourceError> {
        // Looked at before the queue: a task that has ended has put its outcome there.
        let stopped = self.task.is_finished();
        match self.queue.take(max_records) {
            Taken::Records(records) => Ok(Polled::Records(self.batch(records))),
            Taken::Ended(ShardEnd::End { children }) => {
                let mut audited = self.audited.lock();
                audited.coverage.note(&self.split.0, Known::Ended);
                children.iter().for_each(|c| audited.coverage.note(&c.id.0, Known::Reading));
                drop(audited);
                Ok(Polled::End { children })
            }
            Taken::Ended(ShardEnd::Gap(reason)) => {
                Err(SourceError::Stored { table: self.table.clone(), reason })
            }
            // What may pass is waited out.
            Taken::Ended(ShardEnd::Failed(reason)) => {
                Err(self.error(Who::Outside(Again::IsInVain), reason))
            }
            Taken::Nothing { .. } if stopped => {
                Err(self.error(Who::Us, "the task that reads the shard has stopped".into()))
            }
            Taken::Nothing { empty } => {
                self.place.read_to_ms = self.place.read_to_ms.max(self.queue.read_to_ms());
                Ok(Polled::Pending { empty })
            }
        }
    }

    fn position(&self) -> Position {
        #[cfg(test)]
        if planted::has(Bug::StoresPositionOfReadAhead)
            && let Some(sequence_number) = self.queue.last_number()
        {
            let at = ShardPosition::After { sequence_number };
            return ShardPlace { at, read_to_ms: None }.into();
        }
        self.place.clone().into()
    }

    fn pause(&mut self, now: Pause) {
        match now {
            Pause::Begins => self.queue.begin_pause(self.place.clone()),
            Pause::Ends => self.queue.end_pause(),
        }
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
