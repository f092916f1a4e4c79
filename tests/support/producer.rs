//! A producer that is not ours: boto3, in a process of its own, and what it has sent.
//!
//! Used by tests of the whole path. What always holds: a ride is told as sent once the service has
//! taken it, and the service takes each once.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde::Deserialize;

/// A ride as `producer.py` makes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ride {
    pub racer_id: i64,
    pub race_id: i64,
    pub points: i64,
    pub device_timestamp: i64,
}

pub struct Producer {
    process: Child,
    folder: PathBuf,
}

impl Producer {
    /// Starts to write. `servers`: the folder that has boto3.
    pub fn start(
        servers: &Path,
        endpoint: &str,
        stream: &str,
        folder: &Path,
        seed: u64,
        rides_per_second: usize,
    ) -> Producer {
        let process = Command::new("python3")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/producer.py"))
            .args([endpoint, stream])
            .arg(folder)
            .args([seed.to_string(), rides_per_second.to_string()])
            .env("PYTHONPATH", servers.join("python"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Producer { process, folder: folder.to_owned() }
    }

    pub fn is_writing(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// Has it stop, and says what it wrote.
    pub fn stop(mut self) -> Vec<Ride> {
        std::fs::write(self.folder.join("stop"), "").unwrap();
        assert!(self.process.wait().unwrap().success(), "the producer failed");
        let text = std::fs::read_to_string(self.folder.join("sent.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
