//! What was asked? Apache Flink SQL, from text to logical plans.
//!
//! In reading order: `dialect`, `variables` (`${NAME}` in texts), `unicode_text`, `json_calls`, `json_aggregates` and `parse` (text
//! to statements), `rewrite`, `refused` (forms that are not Flink's), `item_names`,
//! `constant_types` and `interval` (forms that only Flink has), `time_difference` (`(a - b) DAY`),
//! `overlaps`, `types` (SQL types to Arrow), `planned_cast` (CAST until types are known), `catalog`
//! (tables and views), `table_like` (LIKE),
//! `alter` (ALTER TABLE), `hints` (OPTIONS behind a table), `hinted_name` (a name with one), `select_hints` (those behind SELECT), `enforce` (NOT NULL
//! and lengths of sinks), `null_keys` (NULL as a MAP's key), `java_comparisons` (NaN), `functions`
//! (what may be called), `window_tvf` (window functions in FROM), `pattern` (MATCH_RECOGNIZE), `unnest` (UNNEST), `lateral` (LATERAL subqueries), `lookup_join`
//! (FOR SYSTEM_TIME AS OF), `row_stars` (`r.*`), `group_windows` (the older ones in GROUP BY),
//! `flink_types` and `decimal` (which type an expression has), `zones` (the session's time zone),
//! `subquery_conditions` (IN, EXISTS, ANY and ALL), `join_filters` (conditions that belong to a join), `rank_keys` (what a Top-N goes
//! by), `compared` (constants beside columns, for made-up rows), `bind` (statements to logical plans), `error` (messages with their
//! place in the text).
//!
//! DataFusion's planner does name resolution and typing; what Flink has and DataFusion has not is
//! added through its hooks. What always holds: a construct that is not supported is an error that
//! names it, never another meaning.

mod alter;
pub mod bind;
pub mod catalog;
pub mod compared;
mod constant_types;
mod dialect;
mod enforce;
pub mod error;
mod flink_types;
pub mod functions;
mod group_windows;
mod hinted_name;
pub mod hints;
mod interval;
mod item_names;
pub mod java_comparisons;
mod join_filters;
mod json_aggregates;
mod json_calls;
pub(crate) mod lateral;
pub mod lookup_join;
pub mod null_keys;
mod overlaps;
pub mod parse;
pub(crate) mod pattern;
mod planned_cast;
mod rank_keys;
mod refused;
mod rewrite;
mod row_stars;
pub(crate) mod select_hints;
pub mod statement;
mod subquery_conditions;
mod syntax;
mod table_like;
mod time_difference;
pub mod types;
mod unicode_text;
pub mod unnest;
pub mod variables;
pub mod window_tvf;
pub(crate) mod zones;
