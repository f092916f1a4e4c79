//! Lines of joins.

use std::sync::Arc;

use datafusion_physical_expr::PhysicalExpr;

use crate::engine_words::in_sql;
use crate::operator::join::JoinSpec;
use crate::operator::join::interval::Interval;
use crate::operator::join::lookup::LookupJoinSpec;

pub(super) fn window(spec: &JoinSpec) -> String {
    let condition = further(spec.condition.as_ref());
    format!("join the rows of a window, {:?}: {} keys{condition}", spec.kind, spec.keys[0].len())
}

pub(super) fn interval(spec: &JoinSpec, interval: &Interval) -> String {
    let (lower, upper, keys) = (interval.lower_ms, interval.upper_ms, spec.keys[0].len());
    format!("join rows from {lower} to {upper} ms apart, {:?}: {keys} keys", spec.kind)
}

pub(super) fn lookup(spec: &LookupJoinSpec) -> String {
    let kind = if spec.outer { "Left" } else { "Inner" };
    let (keys, condition) = (spec.key_names.join(", "), further(spec.condition.as_ref()));
    format!("look up {} by {keys}, {kind}{condition}; not repeatable: as the table is when it is asked", spec.table)
}

/// What is asked of pairs beside equal keys.
fn further(condition: Option<&Arc<dyn PhysicalExpr>>) -> String {
    condition.map(|c| format!(", where {}", in_sql(&c.to_string()))).unwrap_or_default()
}
