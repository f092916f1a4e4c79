//! Do we give Flink's rows? Every folder below `tests/cases/<family>/` is a case: a query, its
//! inputs, and what Apache Flink 2.3 wrote. It is run plain, with other batch sizes and numbers of
//! workers, and killed and resumed in the middle; one golden file for all.
//!
//! Called by `tests/cases.rs`, which makes tests of what [`case::discover`] finds. What always
//! holds: a folder is a case or an error, and where a case is not compared, the head of its query
//! says so with the reason, for as long as it is needed.

pub mod answer;
pub mod case;
pub mod head;
pub mod list;
pub mod runs;
