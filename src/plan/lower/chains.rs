//! The chains of a job while they are being built: which operators follow each other, and where
//! rows leave a chain.
//!
//! Used by every part of the lowering. What always holds: operators go to the end of a chain that
//! is still open; a chain ends once, in an edge or in a sink; each edge feeds one chain.

use super::{PlanResult, internal};
use crate::plan::physical::{ChainInput, ChainOutput, ChainPlan, OperatorPlan, Route};

/// All chains so far, by number.
#[derive(Default)]
pub(super) struct Chains {
    chains: Vec<OpenChain>,
    edges: usize,
}

struct OpenChain {
    input: ChainInput,
    operators: Vec<OperatorPlan>,
    /// None while it is open.
    output: Option<ChainOutput>,
}

impl Chains {
    /// Begins a chain. Returns its number.
    pub(super) fn begin(&mut self, input: ChainInput) -> usize {
        self.chains.push(OpenChain { input, operators: vec![], output: None });
        self.chains.len() - 1
    }

    /// Adds an operator to the end of a chain.
    pub(super) fn push(&mut self, chain: usize, operator: OperatorPlan) {
        debug_assert!(self.chains[chain].output.is_none(), "operators go to chains that are open");
        self.chains[chain].operators.push(operator);
    }

    /// The operators of a chain so far.
    pub(super) fn operators(&self, chain: usize) -> &[OperatorPlan] {
        &self.chains[chain].operators
    }

    /// Ends a chain in a sink.
    pub(super) fn end_in_sink(&mut self, chain: usize, sink: usize) {
        self.end(chain, ChainOutput::Sink(sink));
    }

    /// Ends several chains with an edge each and begins the one that all of them feed. Returns its
    /// number.
    pub(super) fn join(&mut self, chains: Vec<(usize, Route)>) -> usize {
        let edges: Vec<usize> = (self.edges..self.edges + chains.len()).collect();
        self.edges += chains.len();
        for (&edge, (chain, route)) in edges.iter().zip(chains) {
            self.end(chain, ChainOutput::Edge { edge, route });
        }
        self.begin(ChainInput::Edges(edges))
    }

    fn end(&mut self, chain: usize, output: ChainOutput) {
        debug_assert!(self.chains[chain].output.is_none(), "a chain ends once");
        self.chains[chain].output = Some(output);
    }

    /// The chains of a job whose queries are all lowered, and the number of its edges.
    pub(super) fn finish(self) -> PlanResult<(Vec<ChainPlan>, usize)> {
        let closed = |OpenChain { input, operators, output }: OpenChain| match output {
            Some(output) => Ok(ChainPlan { input, operators, output }),
            None => internal("a chain leads nowhere"),
        };
        let chains = self.chains.into_iter().map(closed).collect::<PlanResult<Vec<ChainPlan>>>()?;
        debug_assert_eq!(
            chains
                .iter()
                .filter_map(|c| if let ChainInput::Edges(edges) = &c.input {
                    Some(edges.len())
                } else {
                    None
                })
                .sum::<usize>(),
            self.edges,
            "each edge feeds one chain"
        );
        Ok((chains, self.edges))
    }
}
