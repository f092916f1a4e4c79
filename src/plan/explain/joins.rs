//! Lines of joins.

use std::sync::Arc;

use datafusion_physical_expr::PhysicalExpr;

use super::kept;
use crate::engine_words::in_sql;
use crate::operator::join::JoinSpec;
use crate::operator::join::interval::Interval;
use crate::operator::join::lookup::LookupJoinSpec;
use crate::operator::join::multiset::{MultisetSpec, SetOperation};
use crate::operator::join::regular::RegularSpec;
use crate::operator::join::versioned::VersionedSpec;

pub(super) fn window(spec: &JoinSpec) -> String {
    let condition = further(spec.condition.as_ref());
    format!("join the rows of a window, {:?}: {} keys{condition}", spec.kind, spec.keys[0].len())
}

pub(super) fn interval(spec: &JoinSpec, interval: &Interval) -> String {
    let (lower, upper, keys) = (interval.lower_ms, interval.upper_ms, spec.keys[0].len());
    format!("join rows from {lower} to {upper} ms apart, {:?}: {keys} keys", spec.kind)
}

pub(super) fn versioned(spec: &VersionedSpec) -> String {
    let (join, condition) = (&spec.join, further(spec.join.condition.as_ref()));
    format!(
        "join what the right side said at the time, {:?}: {} keys{condition}",
        join.kind,
        join.keys[0].len()
    )
}

pub(super) fn multiset(spec: &MultisetSpec) -> String {
    let operation = match spec.operation {
        SetOperation::Intersect => "INTERSECT ALL",
        SetOperation::Except => "EXCEPT ALL",
    };
    format!("count rows, {operation}: two counts are kept for each row, {}", kept(spec.ttl))
}

pub(super) fn regular(spec: &RegularSpec) -> String {
    let (join, condition) = (&spec.join, further(spec.join.condition.as_ref()));
    let [left, right] = spec.ttls.map(kept);
    let kept = if left == right {
        format!("rows of both sides are kept {left}")
    } else {
        format!("rows of the left side are kept {left}, those of the right {right}")
    };
    format!("join all rows, {:?}: {} keys{condition}; {kept}", join.kind, join.keys[0].len())
}

pub(super) fn lookup(spec: &LookupJoinSpec) -> String {
    let kind = if spec.outer { "Left" } else { "Inner" };
    let (keys, condition) = (spec.key_names.join(", "), further(spec.condition.as_ref()));
    format!(
        "look up {} by {keys}, {kind}{condition}; not repeatable: as the table is when it is asked",
        spec.table
    )
}

/// What is asked of pairs beside equal keys.
fn further(condition: Option<&Arc<dyn PhysicalExpr>>) -> String {
    condition.map(|c| format!(", where {}", in_sql(&c.to_string()))).unwrap_or_default()
}
