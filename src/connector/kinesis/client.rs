//! The calls to Kinesis, and what each kind of failure means. The only file that knows the AWS SDK.
//!
//! `source` lists shards with a [`StreamClient`], `poll` reads through a [`ShardClient`], `cli`
//! writes simulated and replayed records with a [`KinesisWriter`]. What always holds: a call of the
//! first two is tried once; [`Failure`] says whether trying again can help. The kinds of error are
//! those of the API reference of Kinesis Data Streams.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use crate::time::timer::sleep;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::http::HttpResponse;
use aws_sdk_kinesis::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_kinesis::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_kinesis::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::primitives::{Blob, DateTime};
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, ShardIteratorType};
use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::runtime::Handle;

use crate::aws::causes;
use crate::connector::Bounds;
use crate::connector::kinesis::KinesisOptions;
use crate::connector::kinesis::poll::{Child, Failure, Reply, ShardApi};
use crate::connector::kinesis::position::ShardPosition;
use crate::connector::kinesis::queue::Record;
use crate::connector::kinesis::server_clock::ServerClock;
use crate::source::SourceError;
use crate::time::clock::SystemClock;
use crate::who::{Again, Who};

/// A call that has not answered by then is tried again; the largest reply takes a few seconds.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Records in a PutRecords call.
const PUT_RECORDS_MAX: usize = 500;
/// Payloads and keys in a PutRecords call: the limit of older servers, half of what Kinesis takes
/// now.
const PUT_BYTES_MAX: usize = 5 << 20;
/// Calls in a row that write not one record: 15 s or more of throttling, by far longer than a
/// burst.
const PUTS_WITHOUT_PROGRESS_MAX: usize = 12;
/// Tries of a listing before a job starts. Later ones are tried for ever.
const LISTINGS_MAX: usize = 5;

/// A shard as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedShard {
    pub id: String,
    /// None, one, or the two shards of a merge; those out of retention included.
    pub parents: Vec<String>,
    pub open: bool,
}

/// Tells the clock the time of every answer.
struct NoteDate(Arc<ServerClock>);

impl std::fmt::Debug for NoteDate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NoteDate")
    }
}

impl Intercept for NoteDate {
    fn name(&self) -> &'static str {
        "NoteDate"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().headers().get("date") {
            self.0.note_date(date);
        }
        Ok(())
    }
}

/// Calls for one stream.
#[derive(Clone)]
pub(crate) struct StreamClient {
    client: Client,
    arn: String,
    name: String,
}

impl StreamClient {
    /// Prepares calls; makes none.
    pub async fn new(options: &KinesisOptions, clock: Arc<ServerClock>) -> StreamClient {
        let config = aws_sdk_kinesis::config::Builder::from(&options.aws.load(CALL_TIMEOUT).await);
        let client = Client::from_conf(config.interceptor(NoteDate(clock)).build());
        StreamClient { client, arn: options.stream_arn.clone(), name: options.stream_name.clone() }
    }

    /// All shards that hold records or may get some, tried a few times.
    pub(crate) async fn list_shards_patiently(&self) -> Result<Vec<ListedShard>, Failure> {
        let pauses = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(250))
            .with_max_times(LISTINGS_MAX - 1);
        let mut pauses = pauses.with_jitter().build();
        loop {
            match (self.list_shards().await, &mut pauses) {
                (Err(Failure::Retry(reason)), pauses) => match pauses.next() {
                    Some(pause) => sleep(pause).await,
                    None => return Err(Failure::Retry(reason)),
                },
                (answer, _) => return answer,
            }
        }
    }

    /// When the stream was made, seconds since the epoch. None where the server does not say.
    pub(crate) async fn created_s(&self) -> Result<Option<i64>, Failure> {
        let call =
            self.client.describe_stream_summary().stream_name(&self.name).stream_arn(&self.arn);
        let answer = call.send().await.map_err(|e| failure(&e))?;
        Ok(answer
            .stream_description_summary
            .map(|summary| summary.stream_creation_timestamp.secs()))
    }

    pub async fn list_shards(&self) -> Result<Vec<ListedShard>, Failure> {
        let mut shards = Vec::new();
        let mut token: Option<String> = None;
        loop {
            // The token stands for the stream: both together are refused.
            let call = match token.take() {
                Some(token) => self.client.list_shards().next_token(token),
                None => self.client.list_shards().stream_name(&self.name).stream_arn(&self.arn),
            };
            let page = call.send().await.map_err(|e| failure(&e))?;
            shards.extend(page.shards.unwrap_or_default().into_iter().map(|shard| {
                ListedShard {
                    id: shard.shard_id,
                    parents: [shard.parent_shard_id, shard.adjacent_parent_shard_id]
                        .into_iter()
                        .flatten()
                        .collect(),
                    open: shard
                        .sequence_number_range
                        .is_none_or(|range| range.ending_sequence_number.is_none()),
                }
            }));
            match page.next_token {
                Some(next) => token = Some(next),
                None => return Ok(shards),
            }
        }
    }
}

/// Calls for one shard.
pub(crate) struct ShardClient {
    pub stream: StreamClient,
    pub shard_id: String,
}

impl ShardApi for ShardClient {
    async fn get_iterator(&self, position: &ShardPosition) -> Result<String, Failure> {
        let StreamClient { client, arn, name } = &self.stream;
        let call =
            client.get_shard_iterator().stream_name(name).stream_arn(arn).shard_id(&self.shard_id);
        let call = match position {
            ShardPosition::Horizon => call.shard_iterator_type(ShardIteratorType::TrimHorizon),
            ShardPosition::Time { arrival_ms } => call
                .shard_iterator_type(ShardIteratorType::AtTimestamp)
                .timestamp(DateTime::from_millis(*arrival_ms)),
            ShardPosition::After { sequence_number } => call
                .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                .starting_sequence_number(sequence_number),
        };
        let answer = call.send().await.map_err(|e| failure(&e))?;
        answer.shard_iterator.ok_or_else(|| Failure::Retry("the answer has no iterator".into()))
    }

    async fn get_records(&self, iterator: &str) -> Result<Reply, Failure> {
        let call =
            self.stream.client.get_records().stream_arn(&self.stream.arn).shard_iterator(iterator);
        let answer = call.send().await.map_err(|e| failure(&e))?;
        let records = answer.records.into_iter().map(|record| Record {
            sequence_number: record.sequence_number,
            partition_key: record.partition_key.unwrap_or_default(),
            arrival_ms: record.approximate_arrival_timestamp.and_then(|t| t.to_millis().ok()),
            data: record.data.into_inner(),
        });
        let children = answer.child_shards.unwrap_or_default().into_iter();
        Ok(Reply {
            records: records.collect(),
            next_iterator: answer.next_shard_iterator,
            behind_ms: answer.millis_behind_latest,
            children: children
                .map(|child| Child { id: child.shard_id, parents: child.parent_shards })
                .collect(),
        })
    }

    async fn list_children(&self) -> Result<Vec<Child>, Failure> {
        let mut shards = self.stream.list_shards().await?;
        shards.retain(|shard| shard.parents.contains(&self.shard_id));
        Ok(shards.into_iter().map(|shard| Child { id: shard.id, parents: shard.parents }).collect())
    }
}

/// Writes records to a stream.
pub struct KinesisWriter {
    stream: StreamClient,
    runtime: Handle,
}

impl KinesisWriter {
    /// Credentials come from the SDK's usual chain. Errors: a name that is no stream's ARN, a URL
    /// that is none.
    pub fn new(
        stream_arn: &str,
        endpoint: Option<&str>,
        runtime: Handle,
    ) -> Result<KinesisWriter, SourceError> {
        let arn = ("stream.arn".to_owned(), stream_arn.to_owned());
        let endpoint = endpoint.map(|e| ("aws.endpoint".to_owned(), e.to_owned()));
        let options: BTreeMap<String, String> = [arn].into_iter().chain(endpoint).collect();
        Ok(KinesisWriter::with_options(
            &KinesisOptions::parse(stream_arn, &options, Bounds::default())?,
            runtime,
        ))
    }

    pub fn with_options(options: &KinesisOptions, runtime: Handle) -> KinesisWriter {
        KinesisWriter {
            stream: runtime
                .block_on(StreamClient::new(options, ServerClock::new(SystemClock::shared()))),
            runtime,
        }
    }

    /// Writes (partition key, payload) pairs and waits until all are taken; not to be called from a
    /// task. A record that failed is sent again, after those that followed it; one whose call got
    /// no answer may be written twice.
    pub fn put(&self, records: Vec<(String, Vec<u8>)>) -> Result<(), SourceError> {
        let mut left = records.into_iter().peekable();
        while left.peek().is_some() {
            let mut call = Vec::new();
            let mut bytes = 0;
            while let Some((key, data)) = left.next_if(|(key, data)| {
                call.is_empty()
                    || (call.len() < PUT_RECORDS_MAX
                        && bytes + key.len() + data.len() <= PUT_BYTES_MAX)
            }) {
                bytes += key.len() + data.len();
                let entry = PutRecordsRequestEntry::builder()
                    .partition_key(key)
                    .data(Blob::new(data))
                    .build();
                call.push(entry.map_err(|e| self.failed(Who::Us, e.to_string()))?);
            }
            self.runtime.block_on(self.put_call(call))?;
        }
        Ok(())
    }

    fn failed(&self, who: Who, reason: String) -> SourceError {
        SourceError::Failed { table: self.stream.name.clone(), reason, who }
    }

    async fn put_call(&self, mut records: Vec<PutRecordsRequestEntry>) -> Result<(), SourceError> {
        let failed = |again, reason: String| {
            self.failed(Who::Outside(again), format!("PutRecords: {reason}"))
        };
        let growing = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(2));
        let growing = growing.with_jitter().with_max_times(PUTS_WITHOUT_PROGRESS_MAX - 1);
        let mut pauses = growing.build();
        loop {
            // The ARN alone: unlike the reading calls, some servers refuse both together here.
            let call = self.stream.client.put_records().stream_arn(&self.stream.arn);
            let reason =
                match call.set_records(Some(records.clone())).send().await.map_err(|e| failure(&e))
                {
                    Ok(answer) => {
                        let before = records.len();
                        let mut reason = None;
                        let mut results = answer.records.into_iter();
                        records.retain(|_| match results.next() {
                            Some(result) if result.error_code.is_none() => false,
                            result => {
                                reason = result
                                    .and_then(|r| r.error_message.or(r.error_code))
                                    .or(reason.take());
                                true
                            }
                        });
                        if records.is_empty() {
                            return Ok(());
                        }
                        if records.len() < before {
                            pauses = growing.build();
                        }
                        reason.unwrap_or_else(|| "the answer is incomplete".into())
                    }
                    Err(Failure::Retry(reason)) => reason,
                    Err(Failure::Fatal(reason) | Failure::Argument(reason)) => {
                        return Err(failed(Again::IsInVain, reason));
                    }
                    Err(Failure::Expired) => {
                        return Err(failed(Again::MayHelp, "unexpected answer".into()));
                    }
                };
            let Some(pause) = pauses.next() else {
                let count = records.len();
                return Err(failed(
                    Again::MayHelp,
                    format!(
                        "{count} records were refused {PUTS_WITHOUT_PROGRESS_MAX} times: {reason}"
                    ),
                ));
            };
            sleep(pause).await;
        }
    }
}

fn failure<E>(error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let (service, status) = match error {
        SdkError::ServiceError(e) => (e.err(), e.raw().status().as_u16()),
        SdkError::ConstructionFailure(_) => return Failure::Fatal(causes(error)),
        SdkError::DispatchFailure(e) if e.is_user() => return Failure::Fatal(causes(error)),
        // No answer, none that can be read, or no credentials at the moment.
        _ => return Failure::Retry(causes(error)),
    };
    let code = service.code().unwrap_or("no error code");
    let text = format!("{code}: {} (HTTP {status})", service.message().unwrap_or("no message"));
    match code {
        "ExpiredIteratorException" => Failure::Expired,
        "ProvisionedThroughputExceededException"
        | "LimitExceededException"
        | "KMSThrottlingException"
        | "ThrottlingException"
        | "Throttling"
        | "RequestLimitExceeded"
        | "RequestTimeout"
        // A stream that is being created or changed; a listing that took too long and starts again.
        | "ResourceInUseException"
        | "ExpiredNextTokenException"
        | "InternalFailure"
        | "InternalFailureException" => Failure::Retry(text),
        "InvalidArgumentException" => Failure::Argument(text),
        _ if status >= 500 => Failure::Retry(text),
        _ => Failure::Fatal(text),
    }
}
