//! A DynamoDB inside the test process, with a layer in front of it that fails as the real one does.
//!
//! Used by tests of the sink and by tests that start the binary: the server has threads of its own,
//! so its users need no runtime. What always holds: faults touch writes only, unless they are for
//! reads too; every write that was carried out is in [`DynamoDbServer::applied`], in the order it
//! was.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use dynoxide::Database;
use dynoxide::actions::scan::ScanRequest;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// An item in DynamoDB's JSON: `{"S": "text"}` and so on by attribute name.
pub type Item = Map<String, Value>;

/// What goes wrong; 0 or None: never. Writes are PutItem and BatchWriteItem calls.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Every n-th write is throttled as a whole.
    pub throttle_every: usize,
    /// Writes that hold this text are throttled.
    pub throttle_text: Option<&'static str>,
    /// Every n-th write is carried out and then answered with an error of the server.
    pub fail_every: usize,
    /// Every n-th put of a batch, and every n-th key of a batch that is read, comes back as
    /// unprocessed.
    pub unprocessed_every: usize,
    /// Writes are held up by up to this long, each differently.
    pub delay_ms_max: u64,
    /// The error code that every write gets.
    pub deny: Option<&'static str>,
    /// Writes that hold this text are refused as invalid, in words that nobody knows.
    pub refuse_text: Option<&'static str>,
    /// All this happens to BatchGetItem and Query calls too.
    pub reads: bool,
}

pub struct DynamoDbServer {
    shared: Arc<Shared>,
    endpoint: String,
    runtime: Option<tokio::runtime::Runtime>,
}

struct Shared {
    db: Database,
    /// Address of the server behind the faults.
    inner: String,
    faults: Mutex<Faults>,
    writes: AtomicUsize,
    puts: AtomicUsize,
    calls: Mutex<HashMap<String, usize>>,
    /// Held while a write is carried out, so that the order here is the order there.
    applied: tokio::sync::Mutex<Vec<Item>>,
}

impl DynamoDbServer {
    pub fn start() -> DynamoDbServer {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let db = Database::memory().unwrap();
        let (inner, outer) = runtime.block_on(async {
            (
                TcpListener::bind("127.0.0.1:0").await.unwrap(),
                TcpListener::bind("127.0.0.1:0").await.unwrap(),
            )
        });
        let shared = Arc::new(Shared {
            db: db.clone(),
            inner: inner.local_addr().unwrap().to_string(),
            faults: Mutex::default(),
            writes: AtomicUsize::default(),
            puts: AtomicUsize::default(),
            calls: Mutex::default(),
            applied: tokio::sync::Mutex::default(),
        });
        let endpoint = format!("http://{}", outer.local_addr().unwrap());
        let router = axum::Router::new().fallback(handle).with_state(shared.clone());
        runtime.spawn(dynoxide::server::serve_on(inner, db));
        runtime.spawn(async move { axum::serve(outer, router).await });
        DynamoDbServer { shared, endpoint, runtime: Some(runtime) }
    }

    /// For `aws.endpoint`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Creates a table; types are `S`, `N` or `B`.
    pub fn create_table(&self, name: &str, hash: (&str, &str), range: Option<(&str, &str)>) {
        let keys = [(hash, "HASH")].into_iter().chain(range.map(|r| (r, "RANGE")));
        let (schema, definitions): (Vec<Value>, Vec<Value>) = keys
            .map(|((name, data_type), kind)| {
                let schema = json!({ "AttributeName": name, "KeyType": kind });
                (schema, json!({ "AttributeName": name, "AttributeType": data_type }))
            })
            .unzip();
        let request = json!({
            "TableName": name, "KeySchema": schema, "AttributeDefinitions": definitions, "BillingMode": "PAY_PER_REQUEST",
        });
        self.shared.db.create_table(serde_json::from_value(request).unwrap()).unwrap();
    }

    pub fn delete_table(&self, name: &str) {
        self.shared
            .db
            .delete_table(serde_json::from_value(json!({ "TableName": name })).unwrap())
            .unwrap();
    }

    /// Puts an item, whatever faults there are.
    pub fn put(&self, table: &str, item: &Value) {
        let request = json!({ "TableName": table, "Item": item });
        self.shared.db.put_item(serde_json::from_value(request).unwrap()).unwrap();
    }

    /// All items of a table, in no order.
    pub fn scan(&self, name: &str) -> Vec<Item> {
        let mut items = Vec::new();
        let mut from = None;
        loop {
            let request = ScanRequest {
                table_name: name.into(),
                exclusive_start_key: from,
                ..ScanRequest::default()
            };
            let page = self.shared.db.scan(request).unwrap();
            for item in page.items.unwrap_or_default() {
                let Value::Object(item) = serde_json::to_value(item).unwrap() else {
                    panic!("an item is no object")
                };
                items.push(item);
            }
            from = page.last_evaluated_key;
            if from.is_none() {
                return items;
            }
        }
    }

    pub fn set_faults(&self, faults: Faults) {
        *self.shared.faults.lock().unwrap() = faults;
    }

    /// Items of all puts that were carried out, in order; those whose condition failed are not
    /// among them.
    pub fn applied(&self) -> Vec<Item> {
        self.shared.applied.blocking_lock().clone()
    }

    /// How often an operation was called.
    pub fn calls(&self, operation: &str) -> usize {
        self.shared.calls.lock().unwrap().get(operation).copied().unwrap_or(0)
    }
}

impl Drop for DynamoDbServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn is_nth(count: usize, every: usize) -> bool {
    every > 0 && count.is_multiple_of(every)
}

fn answer(status: u16, body: impl Into<Bytes>) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, [("content-type", "application/x-amz-json-1.0")], body.into()).into_response()
}

fn error(status: u16, code: &str) -> Response {
    answer(status, json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "on purpose" }).to_string())
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut body = to_bytes(body, 32 << 20).await.unwrap().to_vec();
    let target =
        parts.headers.get("x-amz-target").and_then(|t| t.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    *shared.calls.lock().unwrap().entry(operation.clone()).or_default() += 1;
    let faults = shared.faults.lock().unwrap().clone();
    let is_read = faults.reads && matches!(operation.as_str(), "BatchGetItem" | "Query");
    if !is_read && !matches!(operation.as_str(), "PutItem" | "BatchWriteItem") {
        let (status, body) = forward(&shared.inner, &parts.headers, &body).await;
        return answer(status, body);
    }
    let number = shared.writes.fetch_add(1, Ordering::Relaxed) + 1;
    if faults.delay_ms_max > 0 {
        tokio::time::sleep(Duration::from_millis(number as u64 * 7919 % (faults.delay_ms_max + 1)))
            .await;
    }
    if let Some(code) = faults.deny {
        return error(400, code);
    }
    if faults.refuse_text.is_some_and(|text| String::from_utf8_lossy(&body).contains(text)) {
        return error(400, "ValidationException");
    }
    if is_nth(number, faults.throttle_every) {
        return error(400, "ProvisionedThroughputExceededException");
    }
    if faults.throttle_text.is_some_and(|text| String::from_utf8_lossy(&body).contains(text)) {
        return error(400, "ProvisionedThroughputExceededException");
    }
    let mut request: Value = serde_json::from_slice(&body).unwrap();
    let mut unprocessed = Map::new();
    if operation == "BatchWriteItem" && faults.unprocessed_every > 0 {
        for (table, puts) in request["RequestItems"].as_object_mut().unwrap() {
            let all = std::mem::take(puts.as_array_mut().unwrap());
            let nth = |_: &Value| {
                is_nth(shared.puts.fetch_add(1, Ordering::Relaxed) + 1, faults.unprocessed_every)
            };
            let (left, taken): (Vec<Value>, Vec<Value>) = all.into_iter().partition(nth);
            if taken.is_empty() {
                // If not one item goes through, the call itself fails.
                return error(400, "ProvisionedThroughputExceededException");
            }
            *puts = Value::Array(taken);
            if !left.is_empty() {
                unprocessed.insert(table.clone(), Value::Array(left));
            }
        }
        body = request.to_string().into_bytes();
    }
    if operation == "BatchGetItem" && faults.unprocessed_every > 0 {
        for (table, asked) in request["RequestItems"].as_object_mut().unwrap() {
            let nth = |_: &Value| {
                is_nth(shared.puts.fetch_add(1, Ordering::Relaxed) + 1, faults.unprocessed_every)
            };
            let all = std::mem::take(asked["Keys"].as_array_mut().unwrap());
            let (left, taken): (Vec<Value>, Vec<Value>) = all.into_iter().partition(nth);
            if taken.is_empty() {
                return error(400, "ProvisionedThroughputExceededException");
            }
            let mut again = asked.clone();
            asked["Keys"] = Value::Array(taken);
            if !left.is_empty() {
                again["Keys"] = Value::Array(left);
                unprocessed.insert(table.clone(), again);
            }
        }
        body = request.to_string().into_bytes();
    }
    let mut applied = shared.applied.lock().await;
    let (status, text) = forward(&shared.inner, &parts.headers, &body).await;
    if status == 200 && !is_read {
        applied.extend(items(&request));
    }
    drop(applied);
    if is_nth(number, faults.fail_every) {
        return error(500, "InternalServerError");
    }
    if unprocessed.is_empty() {
        return answer(status, text);
    }
    let mut response: Value = serde_json::from_slice(&text).unwrap();
    response[if is_read { "UnprocessedKeys" } else { "UnprocessedItems" }] =
        Value::Object(unprocessed);
    answer(status, response.to_string())
}

/// The items that a write puts.
fn items(request: &Value) -> Vec<Item> {
    let puts: Vec<&Value> = match request["RequestItems"].as_object() {
        Some(tables) => tables
            .values()
            .filter_map(Value::as_array)
            .flatten()
            .map(|r| &r["PutRequest"]["Item"])
            .collect(),
        None => vec![&request["Item"]],
    };
    puts.into_iter().filter_map(|item| item.as_object().cloned()).collect()
}

/// Passes a call on and returns the answer's status and body.
async fn forward(to: &str, headers: &axum::http::HeaderMap, body: &[u8]) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let mut head = b"POST / HTTP/1.1\r\nconnection: close\r\n".to_vec();
    for (name, value) in headers {
        if !matches!(name.as_str(), "connection" | "content-length" | "transfer-encoding") {
            head.extend_from_slice(
                &[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat(),
            );
        }
    }
    head.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    stream.write_all(&head).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await.unwrap();
    let end = reply
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .expect("the server answered without a head");
    let status = std::str::from_utf8(&reply[9..12]).unwrap().parse().unwrap();
    (status, reply.split_off(end + 4))
}
