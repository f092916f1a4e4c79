//! How is it done? From a logical plan to chains of operators.
//!
//! `physical` describes a job as data: sources, chains, edges, sinks. `lower` makes it from
//! DataFusion's logical plan, with `sources` for the reading side. `calls` takes aggregate calls
//! apart. `explain` prints it. Nothing here touches the outside; `runtime::graph` builds the job.

mod calls;
pub mod connectors;
pub mod explain;
mod fingerprint;
pub mod lower;
pub mod physical;
pub mod values;
