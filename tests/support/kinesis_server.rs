//! A Kinesis inside the test process, with a layer in front of it that fails as the real one does.
//!
//! Used by tests of the source and by tests that start the binary: the server has threads of its
//! own, so its users need no runtime. What always holds: faults touch only what comes over
//! [`KinesisServer::endpoint`]; the methods here go past them. The server rounds arrival times down
//! to whole seconds and does not name children in GetRecords.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, Shard, ShardIteratorType, StreamStatus};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use ferrokinesis::actions::{Operation, dispatch};
use ferrokinesis::store::{Store, StoreOptions};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const REGION: &str = "us-east-1";

/// Sequence numbers and payloads of a shard, in order.
pub type ShardRecords = (String, Vec<(String, Vec<u8>)>);

/// What goes wrong; 0 or None: never.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Every n-th GetRecords and PutRecords is throttled.
    pub throttle_every: usize,
    /// Every n-th GetRecords is answered with an error of the server.
    pub fail_every: usize,
    /// Every n-th GetRecords finds its iterator expired.
    pub expire_every: usize,
    /// Every n-th record of PutRecords calls fails while the call succeeds.
    pub refuse_record_every: usize,
    /// ListShards gives pages of so many.
    pub shards_per_page: usize,
    /// The error code that every call gets.
    pub deny: Option<&'static str>,
}

pub struct KinesisServer {
    shared: Arc<Shared>,
    endpoint: String,
    client: aws_sdk_kinesis::Client,
    runtime: Option<tokio::runtime::Runtime>,
}

struct Shared {
    store: Store,
    faults: Mutex<Faults>,
    calls: Mutex<HashMap<String, usize>>,
    records: AtomicUsize,
}

impl KinesisServer {
    pub fn start() -> KinesisServer {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let options = StoreOptions {
            create_stream_ms: 0,
            update_stream_ms: 0,
            shard_limit: 100,
            ..StoreOptions::default()
        };
        let (shared, inner, outer) = runtime.block_on(async {
            let (router, store) = ferrokinesis::create_app(options);
            let (faults, calls, records) =
                (Mutex::default(), Mutex::default(), AtomicUsize::new(0));
            let shared = Arc::new(Shared { store, faults, calls, records });
            let inner = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let outer = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addresses = (inner.local_addr().unwrap(), outer.local_addr().unwrap());
            let faulty = router.clone().layer(from_fn_with_state(shared.clone(), handle));
            tokio::spawn(async move { axum::serve(inner, router).await });
            tokio::spawn(async move { axum::serve(outer, faulty).await });
            (shared, addresses.0, addresses.1)
        });
        let config = aws_sdk_kinesis::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(format!("http://{inner}"));
        let client = aws_sdk_kinesis::Client::from_conf(config.build());
        KinesisServer {
            shared,
            endpoint: format!("http://{outer}"),
            client,
            runtime: Some(runtime),
        }
    }

    /// For `aws.endpoint`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// For `stream.arn`.
    pub fn stream_arn(&self, name: &str) -> String {
        format!("arn:aws:kinesis:{REGION}:000000000000:stream/{name}")
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

    pub fn set_faults(&self, faults: Faults) {
        *self.shared.faults.lock().unwrap() = faults;
    }

    /// How often an operation was called over the endpoint.
    pub fn calls(&self, operation: &str) -> usize {
        self.shared.calls.lock().unwrap().get(operation).copied().unwrap_or(0)
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
        self.runtime.as_ref().unwrap().block_on(work)
    }
}

impl Drop for KinesisServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn is_nth(count: usize, every: usize) -> bool {
    every > 0 && count.is_multiple_of(every)
}

fn answer(status: u16, body: &Value) -> Response {
    let headers = [("content-type", "application/x-amz-json-1.1")];
    (StatusCode::from_u16(status).unwrap(), headers, body.to_string()).into_response()
}

fn error(status: u16, code: &str) -> Response {
    answer(status, &json!({ "__type": code, "message": "on purpose" }))
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let body: Bytes = to_bytes(body, 32 << 20).await.unwrap();
    let target =
        parts.headers.get("x-amz-target").and_then(|t| t.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    let number = {
        let mut calls = shared.calls.lock().unwrap();
        let count = calls.entry(operation.clone()).or_default();
        *count += 1;
        *count
    };
    let faults = shared.faults.lock().unwrap().clone();
    if let Some(code) = faults.deny {
        return error(400, code);
    }
    match operation.as_str() {
        "GetRecords" | "PutRecords" if is_nth(number, faults.throttle_every) => {
            return error(400, "ProvisionedThroughputExceededException");
        }
        "GetRecords" if is_nth(number, faults.fail_every) => return error(500, "InternalFailure"),
        "GetRecords" if is_nth(number, faults.expire_every) => {
            return error(400, "ExpiredIteratorException");
        }
        "PutRecords" if faults.refuse_record_every > 0 => {
            return put_some(&shared, &body, faults.refuse_record_every).await;
        }
        "ListShards" if faults.shards_per_page > 0 => {
            return list_page(&shared, &body, faults.shards_per_page).await;
        }
        _ => {}
    }
    next.run(Request::from_parts(parts, Body::from(body))).await
}

async fn call(shared: &Shared, operation: Operation, request: Value) -> Result<Value, Response> {
    match dispatch(&shared.store, operation, request).await {
        Ok(reply) => Ok(reply.unwrap_or_default()),
        Err(e) => Err(error(e.status_code, &e.body.error_type)),
    }
}

/// PutRecords with every n-th record left out and reported as throttled.
async fn put_some(shared: &Shared, body: &[u8], every: usize) -> Response {
    let mut request: Value = serde_json::from_slice(body).unwrap();
    let all = std::mem::take(request["Records"].as_array_mut().unwrap());
    let refused: Vec<bool> = all
        .iter()
        .map(|_| is_nth(shared.records.fetch_add(1, Ordering::Relaxed) + 1, every))
        .collect();
    let taken: Vec<Value> =
        all.into_iter().zip(&refused).filter(|(_, refused)| !**refused).map(|(r, _)| r).collect();
    let mut reply = json!({ "FailedRecordCount": 0, "Records": [] });
    if !taken.is_empty() {
        request["Records"] = Value::Array(taken);
        reply = match call(shared, Operation::PutRecords, request).await {
            Ok(reply) => reply,
            Err(response) => return response,
        };
    }
    let mut results = std::mem::take(reply["Records"].as_array_mut().unwrap()).into_iter();
    let failed = || json!({ "ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "on purpose" });
    let merged =
        refused.iter().map(|refused| if *refused { failed() } else { results.next().unwrap() });
    reply["Records"] = merged.collect();
    reply["FailedRecordCount"] = refused.iter().filter(|r| **r).count().into();
    answer(200, &reply)
}

/// ListShards in pages, as the real one: the token holds the stream, and is refused beside its
/// name.
async fn list_page(shared: &Shared, body: &[u8], size: usize) -> Response {
    let request: Value = serde_json::from_slice(body).unwrap();
    let token = request["NextToken"].as_str();
    if token.is_some()
        && (request.get("StreamName").is_some() || request.get("StreamARN").is_some())
    {
        return error(400, "InvalidArgumentException");
    }
    let (name, from) = match token.and_then(|t| t.split_once('/')) {
        Some((name, from)) => (name.to_owned(), from.parse().unwrap()),
        None => (request["StreamName"].as_str().unwrap().to_owned(), 0),
    };
    let reply = match call(shared, Operation::ListShards, json!({ "StreamName": name })).await {
        Ok(reply) => reply,
        Err(response) => return response,
    };
    let shards = reply["Shards"].as_array().unwrap();
    let until = (from + size).min(shards.len());
    let mut page = json!({ "Shards": shards[from..until] });
    if until < shards.len() {
        page["NextToken"] = json!(format!("{name}/{until}"));
    }
    answer(200, &page)
}
