//! The binary: arguments in, exit code out. Everything else is in the library.

use std::process::ExitCode;

/// RocksDB and Arrow allocate in many sizes from many threads; the system's allocator keeps what
/// they free.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(paceline::cli::main(std::env::args_os()))
}
