//! What the integration tests share: servers on loopback, and jobs that run in the test's own
//! process.

pub mod changelog_sink;
pub mod dynamodb_server;
pub mod job;
pub mod kinesis_server;
pub mod prepare;
pub mod seeds;
pub mod tier;
