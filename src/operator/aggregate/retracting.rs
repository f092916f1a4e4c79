//! Which accumulators does an aggregate in keyed state get?
//!
//! Called by `group` and `over`, once for each aggregate.

use super::count::Count;
use super::counted::{self, Reading};
use super::retract::{Accumulators, RetractKernel, SumCount, Sums};
use super::{Aggregate, Function, distinct, kernel, moments, ordered};

/// Whether rows that were added may be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retraction {
    Never,
    Possible,
}

/// The accumulators of one aggregate.
pub(crate) fn accumulators(aggregate: &Aggregate, retraction: Retraction) -> Accumulators {
    let retracts = retraction == Retraction::Possible;
    let inner = if retracts {
        Accumulators::Retract(retracting(aggregate))
    } else {
        Accumulators::Append(kernel(aggregate))
    };
    // Over rows that stay, what goes by arrival tells apart itself which value came first.
    if aggregate.distinct || aggregate.first_seen && retracts {
        Accumulators::Retract(distinct::kernel(aggregate, inner))
    } else {
        inner
    }
}

fn retracting(aggregate: &Aggregate) -> Box<dyn RetractKernel> {
    let input = &aggregate.input_type;
    let counted = |reading| counted::kernel(input, reading);
    match aggregate.function {
        Function::Count => Box::new(Count::default()),
        Function::Sum | Function::Avg => Box::new(SumCount {
            sums: Sums::of(input),
            counts: Count::default(),
            aggregate: aggregate.clone(),
        }),
        Function::Min => counted(Reading::Least),
        Function::Max => counted(Reading::Greatest),
        Function::Collect => counted(Reading::Multiset(aggregate.output_type.clone())),
        Function::Percentile => counted(Reading::Percentiles(aggregate.fractions())),
        Function::StddevPop | Function::StddevSamp | Function::VarPop | Function::VarSamp => {
            moments::retracting(input, aggregate.moment())
        }
        Function::FirstValue
        | Function::LastValue
        | Function::ListAgg
        | Function::ArrayAgg
        | Function::JsonArray
        | Function::JsonObject => ordered::kernel(aggregate.form()),
    }
}
