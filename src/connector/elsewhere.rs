//! What takes the place of a connector that is not here?
//!
//! Asked by [`super::Connectors`] for tables whose connector it does not list: how such a table may
//! be used in a plan, and what its owner may write instead. What always holds: a name that nobody
//! has heard of is answered too, since connectors are also written by users.

use crate::plan::connectors::{Access, RowsTaken, Uses};
use crate::sql::catalog::Table;

/// Connectors of Flink and its surroundings, by how their names begin, with what to write here.
const INSTEAD: [(&[&str], &str); 12] = [
    (
        &["kafka", "upsert-kafka", "pulsar", "upsert-pulsar", "rabbitmq", "rocketmq", "sqs", "mq"],
        "'kinesis', or 'filesystem' over exported records",
    ),
    (
        &["mysql-cdc", "postgres-cdc", "oracle-cdc", "sqlserver-cdc", "mongodb-cdc", "db2-cdc"],
        "'kinesis' with the stream of changes that AWS DMS or Debezium Server writes",
    ),
    (
        &["jdbc", "mongodb", "hbase", "redis", "cassandra", "clickhouse", "doris", "starrocks"],
        "'dynamodb', which is written by key and looked up",
    ),
    (&["elasticsearch", "opensearch"], "'dynamodb', or 'kinesis' with a Firehose that indexes"),
    (
        &["iceberg", "hudi", "paimon", "delta", "hive", "fluss"],
        "'filesystem', whose files a table format takes in",
    ),
    (&["nexmark"], "'datagen'"),
    (&["socket"], "'filesystem' with 'source.monitor-interval'"),
    (&["http", "rest"], "'dynamodb' for lookups, 'kinesis' for rows that are written"),
    (&["aws-kinesis"], "'kinesis'"),
    (&["firehose"], "'kinesis' with a delivery stream behind it, or 'filesystem'"),
    (&["console", "log"], "'print'"),
    (&["values", "collect", "test"], "VALUES in a query, 'filesystem' or 'print'"),
];

/// What to write instead, in words.
pub(super) fn instead_of(connector: &str) -> &'static str {
    let lower = connector.to_lowercase();
    let found = INSTEAD.iter().find(|(names, _)| names.iter().any(|n| lower.starts_with(n)));
    // A change stream by another name.
    match found {
        Some((_, what)) => what,
        None if lower.contains("cdc") => INSTEAD[1].1,
        None => "'kinesis', 'filesystem' or 'dynamodb'",
    }
}

/// Formats whose records say themselves whether a row is added or taken back.
const CHANGE_FORMATS: [&str; 4] = ["debezium", "canal", "maxwell", "ogg"];
/// Connectors that take new rows only where there is no key, in Flink too.
const NEW_ROWS_ONLY: [&str; 8] =
    ["kafka", "pulsar", "jdbc", "elasticsearch", "opensearch", "hive", "rabbitmq", "aws-kinesis"];

/// How a table of such a connector is used, as far as its declaration says.
pub(super) fn uses(table: &Table) -> Uses {
    let connector = table.connector().to_lowercase();
    let formats = ["format", "value.format"].iter().filter_map(|key| table.options.get(*key));
    let holds_changes =
        formats.into_iter().any(|f| CHANGE_FORMATS.iter().any(|c| f.starts_with(c)));
    let rows = if holds_changes {
        RowsTaken::Changes
    } else if !table.primary_key.is_empty() && !connector.starts_with("kafka") {
        RowsTaken::Keyed
    } else if NEW_ROWS_ONLY.iter().any(|name| connector.starts_with(name)) {
        RowsTaken::New
    } else {
        RowsTaken::Changes
    };
    Uses { rows, access: Access::Either, has_watermarks: true }
}
