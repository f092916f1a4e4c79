//! How fast are the parts of the hot path, each by itself? Run with `cargo bench`.

use criterion::{criterion_group, criterion_main};

// In a folder of its own, since cargo takes every file beside this one for a benchmark.
#[path = "kernels/json.rs"]
mod json;

criterion_group!(kernels, json::decode, json::encode);
criterion_main!(kernels);
