//! The calls to Kinesis, and what each kind of failure means. The only file that knows the AWS SDK.
//!
//! [`Aws`] opens streams for the connector. What always holds: a call is tried once; [`Failure`]
//! says whether trying again can help. The kinds of error are those of the API reference of Kinesis
//! Data Streams.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::http::HttpResponse;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::primitives::{Blob, DateTime};
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, ShardIteratorType};

use crate::aws::causes;
use crate::aws::clock::{NoteDate, ServerClock};
use crate::connector::kinesis::KinesisOptions;
use crate::connector::kinesis::api::{
    Answer, Child, Described, Entry, Failure, HashRange, ListedShard, Reply, StreamApi, Streams,
};
use crate::connector::kinesis::position::ShardPosition;
use crate::connector::kinesis::queue::Record;
use crate::tasks::{Stopped, Tasks};

/// A call that has not answered by then is tried again; the largest reply takes a few seconds.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// The streams of AWS, or of whatever the options' endpoint is.
pub(crate) struct Aws;

impl Streams for Aws {
    fn open(
        &self,
        options: &KinesisOptions,
        clock: Arc<ServerClock>,
        tasks: &Tasks,
    ) -> Result<Arc<dyn StreamApi>, Stopped> {
        let (arn, name) = (options.stream_arn.clone(), options.stream_name.clone());
        let aws = options.aws.clone();
        let config = tasks.wait(async move { aws.load(CALL_TIMEOUT).await })?;
        let config = aws_sdk_kinesis::config::Builder::from(&config).interceptor(NoteDate(clock));
        Ok(Arc::new(StreamClient { client: Client::from_conf(config.build()), arn, name }))
    }
}

/// Calls for one stream.
struct StreamClient {
    client: Client,
    /// None where the name is all that is known.
    arn: Option<String>,
    name: String,
}

impl StreamClient {
    async fn list(&self) -> Result<Vec<ListedShard>, Failure> {
        let mut shards = Vec::new();
        let mut token: Option<String> = None;
        loop {
            // The token stands for the stream: both together are refused.
            let call = match token.take() {
                Some(token) => self.client.list_shards().next_token(token),
                None => self
                    .client
                    .list_shards()
                    .stream_name(&self.name)
                    .set_stream_arn(self.arn.clone()),
            };
            let page = call.send().await.map_err(|e| failure(&e))?;
            shards.extend(page.shards.unwrap_or_default().into_iter().map(listed));
            match page.next_token {
                Some(next) => token = Some(next),
                None => return Ok(shards),
            }
        }
    }
}

impl StreamApi for StreamClient {
    fn describe(&self) -> Answer<'_, Option<Described>> {
        Box::pin(async {
            let call = self
                .client
                .describe_stream_summary()
                .stream_name(&self.name)
                .set_stream_arn(self.arn.clone());
            let answer = call.send().await.map_err(|e| failure(&e))?;
            Ok(answer.stream_description_summary.map(|summary| Described {
                created_s: summary.stream_creation_timestamp.secs(),
                retention_hours: i64::from(summary.retention_period_hours),
            }))
        })
    }

    fn list_shards(&self) -> Answer<'_, Vec<ListedShard>> {
        Box::pin(self.list())
    }

    fn get_iterator<'a>(&'a self, shard: &'a str, at: &'a ShardPosition) -> Answer<'a, String> {
        Box::pin(async move {
            let call = self.client.get_shard_iterator();
            let call =
                call.stream_name(&self.name).set_stream_arn(self.arn.clone()).shard_id(shard);
            let call = match at {
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
        })
    }

    fn get_records<'a>(&'a self, iterator: &'a str) -> Answer<'a, Reply> {
        Box::pin(async move {
            let call =
                self.client.get_records().set_stream_arn(self.arn.clone()).shard_iterator(iterator);
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
                    .map(|child| Child {
                        id: child.shard_id,
                        parents: child.parent_shards,
                        hashes: child.hash_key_range.as_ref().and_then(hashes),
                    })
                    .collect(),
            })
        })
    }

    fn put_records<'a>(&'a self, entries: &'a [Entry]) -> Answer<'a, Vec<Option<String>>> {
        Box::pin(async move {
            let entry = |(key, data): &Entry| {
                PutRecordsRequestEntry::builder()
                    .partition_key(key)
                    .data(Blob::new(data.clone()))
                    .build()
                    .map_err(|e| Failure::Fatal(e.to_string()))
            };
            let records = entries.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
            // The ARN alone: unlike the reading calls, some servers refuse both together here.
            let call = self.client.put_records();
            let call = match &self.arn {
                Some(arn) => call.stream_arn(arn),
                None => call.stream_name(&self.name),
            };
            let answer = call.set_records(Some(records)).send().await.map_err(|e| failure(&e))?;
            let mut results = answer.records.into_iter();
            let refusal = |_| match results.next() {
                Some(result) => result.error_code.map(|code| result.error_message.unwrap_or(code)),
                None => Some("the answer is incomplete".into()),
            };
            Ok(entries.iter().map(refusal).collect())
        })
    }
}

fn listed(shard: aws_sdk_kinesis::types::Shard) -> ListedShard {
    ListedShard {
        id: shard.shard_id,
        parents: [shard.parent_shard_id, shard.adjacent_parent_shard_id]
            .into_iter()
            .flatten()
            .collect(),
        open: shard
            .sequence_number_range
            .is_none_or(|range| range.ending_sequence_number.is_none()),
        hashes: shard.hash_key_range.as_ref().and_then(hashes),
    }
}

fn hashes(range: &aws_sdk_kinesis::types::HashKeyRange) -> Option<HashRange> {
    let first = range.starting_hash_key.parse().ok()?;
    Some(HashRange { first, last: range.ending_hash_key.parse().ok()? })
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
        "ResourceNotFoundException" => Failure::Missing(text),
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
