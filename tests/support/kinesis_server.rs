//! A Kinesis inside the test process, with a layer in front of it that fails as the real one does.
//!
//! Used by tests of the source and by tests that start the binary: the server has threads of its
//! own, so its users need no runtime. What always holds: faults touch only what comes over
//! [`KinesisServer::endpoint`]; the methods here go past them. The server rounds arrival times down
//! to whole seconds and does not name children in GetRecords.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use ferrokinesis::actions::{Operation, dispatch};
use ferrokinesis::store::{Store, StoreOptions};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::stream_client::{REGION, StreamClient};

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
    /// A shard whose records have all expired: it is not listed and has no iterators.
    pub gone: Option<String>,
    /// Records say that they arrived so much earlier than they did, and replies that they are as far
    /// behind.
    pub arrived_earlier_s: i64,
}

pub struct KinesisServer {
    shared: Arc<Shared>,
    endpoint: String,
    client: StreamClient,
    runtime: Option<tokio::runtime::Runtime>,
}

/// What a test does to streams goes past the faults.
impl Deref for KinesisServer {
    type Target = StreamClient;

    fn deref(&self) -> &StreamClient {
        &self.client
    }
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
        let client = StreamClient::new(&format!("http://{inner}"));
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

    pub fn set_faults(&self, faults: Faults) {
        *self.shared.faults.lock().unwrap() = faults;
    }

    /// How often an operation was called over the endpoint.
    pub fn calls(&self, operation: &str) -> usize {
        self.shared.calls.lock().unwrap().get(operation).copied().unwrap_or(0)
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

fn contains(body: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(body).contains(text)
}

fn json_of(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
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
        "GetShardIterator" if faults.gone.as_ref().is_some_and(|shard| contains(&body, shard)) => {
            return error(400, "ResourceNotFoundException");
        }
        "ListShards" if faults.gone.is_some() => {
            let mut reply = match call(&shared, Operation::ListShards, json_of(&body)).await {
                Ok(reply) => reply,
                Err(response) => return response,
            };
            let shards = reply["Shards"].as_array_mut().unwrap();
            shards.retain(|shard| shard["ShardId"].as_str() != faults.gone.as_deref());
            return answer(200, &reply);
        }
        "GetRecords" if faults.arrived_earlier_s > 0 => {
            let mut reply = match call(&shared, Operation::GetRecords, json_of(&body)).await {
                Ok(reply) => reply,
                Err(response) => return response,
            };
            for record in reply["Records"].as_array_mut().unwrap() {
                let at = record["ApproximateArrivalTimestamp"].as_f64().unwrap();
                record["ApproximateArrivalTimestamp"] = json!(at - faults.arrived_earlier_s as f64);
            }
            reply["MillisBehindLatest"] = json!(faults.arrived_earlier_s * 1000);
            return answer(200, &reply);
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
