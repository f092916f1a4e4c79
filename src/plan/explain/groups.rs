//! Lines of operators that keep something for each key and send on what changed of it.

use super::kept;
use crate::operator::group::{GroupSpec, Pace};
use crate::operator::over::OverSpec;
use crate::operator::over::by_value::ByValueSpec;
use crate::operator::rank::RankSpec;

pub(super) fn aggregate(spec: &GroupSpec) -> String {
    let retracts = if spec.retracts { ", rows may be taken back" } else { "" };
    let (keys, aggregates, windows) = (spec.key_types.len(), spec.aggregates.len(), windows(spec));
    // Those of windows go with their window.
    let kept = match spec.windows {
        Some(_) => String::new(),
        None => format!("; groups are kept {}", kept(spec.ttl)),
    };
    format!("table of groups{windows}: {keys} keys, {aggregates} aggregates{retracts}{kept}")
}

/// That the groups are of windows, and when these are sent.
fn windows(spec: &GroupSpec) -> String {
    let Some(windows) = &spec.windows else { return String::new() };
    let early = pace(windows.early).map(|pace| format!(", sent early{pace}")).unwrap_or_default();
    let late = match windows.lateness_ms {
        0 => String::new(),
        lateness => format!(
            ", for {lateness} ms after it late rows, sent{}",
            pace(windows.late).unwrap_or_default()
        ),
    };
    format!(" of windows, sent when they close{early}{late}")
}

/// None if nothing is sent.
fn pace(pace: Pace) -> Option<String> {
    match pace {
        Pace::Never => None,
        Pace::EachRow => Some(" with each row".into()),
        Pace::After { delay_ms } => Some(format!(" {delay_ms} ms after a change")),
    }
}

pub(super) fn over(spec: &OverSpec) -> String {
    let (keys, functions) = (spec.partition.len(), spec.calls.len());
    format!("over {:?}: {keys} keys, {functions} functions", spec.frame)
}

pub(super) fn over_by_value(spec: &ByValueSpec) -> String {
    let (frame, keys, functions) =
        (if spec.by_row { "rows" } else { "range" }, spec.partition.len(), spec.calls.len());
    let kept = kept(spec.ttl);
    format!(
        "over all {frame} up to each value, kept up to date: {keys} keys, {functions} functions; rows are kept {kept}"
    )
}

pub(super) fn rank(spec: &RankSpec) -> String {
    let kept = kept(spec.ttl);
    format!(
        "keep numbers {} to {} of each partition, {:?}; rows are kept {kept}",
        spec.start, spec.end, spec.keeping
    )
}
