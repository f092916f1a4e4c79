//! How fast are the parts of the hot path, each by itself? Run with `cargo bench`.

use criterion::{criterion_group, criterion_main};

// In a folder of their own, since cargo takes every file beside this one for a benchmark.
#[path = "kernels/json.rs"]
mod json;
#[path = "kernels/splits.rs"]
mod splits;
#[path = "kernels/window.rs"]
mod window;

criterion_group!(
    kernels,
    json::decode,
    json::encode,
    splits::watermark,
    window::keys,
    window::window
);
criterion_main!(kernels);
