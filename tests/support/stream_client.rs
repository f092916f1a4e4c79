//! What tests do to streams, whichever server has them: make, fill, reshard and read them.
//!
//! Used by tests that play producer and operator. Each client has a runtime of its own, so its users
//! need none.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{
    PutRecordsRequestEntry, ScalingType, Shard, ShardIteratorType, StreamStatus,
};

pub(super) const REGION: &str = "us-east-1";

/// Sequence numbers and payloads of a shard, in order.
pub type ShardRecords = (String, Vec<(String, Vec<u8>)>);

pub struct StreamClient {
    client: aws_sdk_kinesis::Client,
    runtime: tokio::runtime::Runtime,
}

impl StreamClient {
    pub fn new(endpoint: &str) -> StreamClient {
        let config = aws_sdk_kinesis::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(endpoint);
        // With a thread of its own: connections are kept up between calls.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        StreamClient { client: aws_sdk_kinesis::Client::from_conf(config.build()), runtime }
    }

    pub fn create_stream(&self, name: &str, shards: i32) {
        self.wait(async {
            self.client.create_stream().stream_name(name).shard_count(shards).send().await.unwrap()
        });
        self.until_active(name);
    }

    /// Deletes a stream, at once.
    pub fn delete_stream(&self, name: &str) {
        self.wait(async {
            self.client.delete_stream().stream_name(name).send().await.expect("deletes");
            while self.client.describe_stream_summary().stream_name(name).send().await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
    }

    /// Writes (partition key, payload) pairs, in order within a shard.
    pub fn put(&self, name: &str, records: &[(String, Vec<u8>)]) {
        for chunk in records.chunks(500) {
            let entries = chunk.iter().map(|(key, data)| {
                PutRecordsRequestEntry::builder()
                    .partition_key(key)
                    .data(Blob::new(data.clone()))
                    .build()
                    .unwrap()
            });
            let call =
                self.client.put_records().stream_name(name).set_records(Some(entries.collect()));
            let answer = self.wait(async { call.send().await.unwrap() });
            assert_eq!(answer.failed_record_count.unwrap_or(0), 0);
        }
    }

    /// Splits an open shard in the middle of its hash range.
    pub fn split_shard(&self, name: &str, shard: &str) {
        let shards = self.list(name);
        let range = shards
            .iter()
            .find(|s| s.shard_id == shard)
            .and_then(|s| s.hash_key_range.clone())
            .unwrap();
        let [from, to] = [range.starting_hash_key, range.ending_hash_key]
            .map(|key| key.parse::<u128>().unwrap());
        let call = self.client.split_shard().stream_name(name).shard_to_split(shard);
        self.wait(async {
            call.new_starting_hash_key((from + (to - from) / 2 + 1).to_string())
                .send()
                .await
                .unwrap()
        });
        self.until_active(name);
    }

    /// Merges two open shards whose hash ranges touch.
    pub fn merge_shards(&self, name: &str, shard: &str, adjacent: &str) {
        let call = self
            .client
            .merge_shards()
            .stream_name(name)
            .shard_to_merge(shard)
            .adjacent_shard_to_merge(adjacent);
        self.wait(async { call.send().await.unwrap() });
        self.until_active(name);
    }

    /// Scales to so many open shards.
    pub fn update_shard_count(&self, name: &str, shards: i32) {
        let call = self.client.update_shard_count().stream_name(name).target_shard_count(shards);
        self.wait(async {
            call.scaling_type(ScalingType::UniformScaling).send().await.unwrap();
        });
        self.until_active(name);
    }

    /// Keeps records for so many hours, more or fewer than before.
    pub fn set_retention(&self, name: &str, hours: i32) {
        self.wait(async {
            let more = self.client.increase_stream_retention_period().stream_name(name);
            if more.retention_period_hours(hours).send().await.is_err() {
                let fewer = self.client.decrease_stream_retention_period().stream_name(name);
                fewer.retention_period_hours(hours).send().await.unwrap();
            }
        });
        self.until_active(name);
    }

    /// Ids of the shards that take records, lowest hash range first.
    pub fn open_shards(&self, name: &str) -> Vec<String> {
        let mut open = self.list(name);
        open.retain(|s| {
            s.sequence_number_range.as_ref().is_none_or(|r| r.ending_sequence_number.is_none())
        });
        open.sort_by_key(|s| {
            s.hash_key_range.as_ref().unwrap().starting_hash_key.parse::<u128>().unwrap()
        });
        open.into_iter().map(|s| s.shard_id).collect()
    }

    /// The parents of each shard, as far as they are still listed.
    pub fn parents(&self, name: &str) -> HashMap<String, Vec<String>> {
        let parents = |s: Shard| {
            [s.parent_shard_id, s.adjacent_parent_shard_id].into_iter().flatten().collect()
        };
        self.list(name).into_iter().map(|s| (s.shard_id.clone(), parents(s))).collect()
    }

    /// Everything in the stream, shard by shard, closed ones included.
    pub fn read_all(&self, name: &str) -> Vec<ShardRecords> {
        let shards = self.list(name).into_iter().map(|shard| {
            let records = self.wait(self.read_shard(name, &shard));
            (shard.shard_id, records)
        });
        shards.collect()
    }

    async fn read_shard(&self, name: &str, shard: &Shard) -> Vec<(String, Vec<u8>)> {
        let call = self.client.get_shard_iterator().stream_name(name).shard_id(&shard.shard_id);
        let answer = call.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.unwrap();
        let mut iterator = answer.shard_iterator;
        let mut records = Vec::new();
        while let Some(current) = iterator {
            let answer = self.client.get_records().shard_iterator(current).send().await.unwrap();
            iterator = answer.next_shard_iterator.filter(|_| !answer.records.is_empty());
            records.extend(
                answer.records.into_iter().map(|r| (r.sequence_number, r.data.into_inner())),
            );
        }
        records
    }

    fn list(&self, name: &str) -> Vec<Shard> {
        let call = self.client.list_shards().stream_name(name);
        self.wait(async { call.send().await.unwrap().shards.unwrap() })
    }

    fn until_active(&self, name: &str) {
        self.wait(async {
            loop {
                let summary =
                    self.client.describe_stream_summary().stream_name(name).send().await.unwrap();
                if summary.stream_description_summary.unwrap().stream_status == StreamStatus::Active
                {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}
