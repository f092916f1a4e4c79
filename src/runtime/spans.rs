//! Who writes a log line? Spans of workers, of their chains and of the operators in these, which
//! `RUST_LOG=paceline=debug` puts in front of a line: `worker{id=0}:chain{number=1 from="edge 0"
//! to="board"}:operator{place=1 called="window 1"}`.
//!
//! Made by `graph`, once for each, and entered by `worker` and `chain` for each step, event or
//! batch. What always holds: a span that no log asks for when it is made is a comparison when it is
//! entered, and nothing is put into words for it.

use tracing::{Span, debug_span};

use crate::ids::WorkerId;
use crate::plan::physical::{ChainInput, ChainOutput, PhysicalPlan};

pub fn worker(id: WorkerId) -> Span {
    debug_span!("worker", id = id.index())
}

/// Chains are counted from 0, in the order of the plan.
pub fn chain(worker: &Span, plan: &PhysicalPlan, number: usize) -> Span {
    debug_span!(parent: worker, "chain", number, from = from(plan, number), to = to(plan, number))
}

/// `place`: in its chain, from 0. `name`: as messages have it, with the number under which it keeps
/// state.
pub fn operator(chain: &Span, place: usize, name: &str) -> Span {
    debug_span!(parent: chain, "operator", place, called = name)
}

fn from(plan: &PhysicalPlan, chain: usize) -> String {
    match &plan.chains[chain].input {
        ChainInput::Source(source) => plan.sources[*source].table.name.clone(),
        ChainInput::Edges(edges) => {
            let names: Vec<String> = edges.iter().map(|edge| format!("edge {edge}")).collect();
            names.join(", ")
        }
    }
}

fn to(plan: &PhysicalPlan, chain: usize) -> String {
    match &plan.chains[chain].output {
        ChainOutput::Edge { edge, .. } => format!("edge {edge}"),
        ChainOutput::Sink(sink) => plan.sinks[*sink].name.clone(),
    }
}
