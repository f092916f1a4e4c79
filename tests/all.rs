//! All integration tests, in one binary: each test binary would link the whole SQL front end again.

mod architecture;
mod command_line;
mod conformance;
mod dynamodb_sink;
mod examples;
mod random_jobs;
mod support;
