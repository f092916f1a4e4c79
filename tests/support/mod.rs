//! What the integration tests share: servers on loopback, and jobs that run in the test's own
//! process.

pub mod binary;
pub mod changelog_sink;
pub mod dynamodb_server;
pub mod job;
pub mod kinesis_server;
pub mod kpl;
pub mod prepare;
pub mod producer;
pub mod real_servers;
pub mod seeds;
pub mod stream_client;
pub mod table_client;
pub mod tier;
