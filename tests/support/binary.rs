//! The built binary as a user starts it, and what can be seen of it from outside: its exit code and
//! words, its checkpoints, its health.
//!
//! Used by tests of whole jobs. What always holds: it has keys that no server checks, and asks no
//! machine for others.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// `paceline` with these arguments, in a folder.
pub fn paceline(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paceline"));
    command.args(args).current_dir(dir).stdout(Stdio::null()).stderr(Stdio::piped());
    command
        .env("AWS_ACCESS_KEY_ID", "someone")
        .env("AWS_SECRET_ACCESS_KEY", "something")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

/// No test waits longer for something that a job has to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// Exit code and stderr of a process that ends by itself.
pub fn ended(child: Child) -> (i32, String) {
    let pid = child.id().to_string();
    let (answer, answered) = std::sync::mpsc::channel();
    // Its words are read meanwhile, or it would wait for room in the pipe.
    std::thread::spawn(move || answer.send(child.wait_with_output().unwrap()));
    let output = answered.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        Command::new("kill").args(["-KILL", &pid]).status().unwrap();
        let output = answered.recv().unwrap();
        panic!("it does not end: {}", String::from_utf8_lossy(&output.stderr));
    });
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap_or(-1), text)
}

/// The newest published checkpoint of a state directory.
pub fn epoch(state_dir: &Path) -> Option<u64> {
    let checkpoints = fs::read_dir(state_dir.join("checkpoints")).ok()?.flatten();
    checkpoints
        .filter(|e| e.path().join("manifest").exists())
        .filter_map(|e| e.file_name().to_str()?.parse().ok())
        .max()
}

/// The body of `GET /health`.
pub fn health(address: &str) -> Option<serde_json::Value> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream
        .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    serde_json::from_str(text.split_once("\r\n\r\n")?.1).ok()
}

/// Waits until something is so, while a job runs. `what` it is stands in the message of the test
/// that fails.
pub fn wait_until(child: &mut Child, what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        if let Some(status) = child.try_wait().unwrap() {
            let mut text = String::new();
            child.stderr.take().map(|mut pipe| pipe.read_to_string(&mut text));
            panic!("before {what} it ended with {status}: {text}");
        }
        if since.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!("not within {PATIENCE:?}: {what}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
