//! All integration tests but the recorded cases (`tests/cases.rs`), in one binary: each links the
//! whole SQL front end again.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod aggregated_records;
mod aggregates;
mod alignment;
mod architecture;
mod bounds_and_gaps;
mod changelogs;
mod command_line;
mod connectors;
mod dynamodb_sink;
mod embed;
mod end_to_end;
mod examples;
mod expressions;
mod function_list;
mod functions;
mod hints;
mod idle_splits;
mod keyed_tables;
mod killed;
mod kinesis_sink;
mod kinesis_source;
mod liveness;
mod lookup_join;
mod lookups_in_memory;
mod messages;
mod operations;
mod other_runs;
mod privacy;
mod processing_time;
mod random_jobs;
mod real_servers;
mod recorded_state;
mod several_in_a_record;
mod stand_ins;
mod state_bounds;
mod state_directory;
mod support;
mod test_command;
mod throttled_table;
mod watched;
