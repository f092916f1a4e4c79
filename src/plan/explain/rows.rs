//! Lines of operators that look at one row at a time.

use std::sync::Arc;

use arrow::datatypes::Field;
use datafusion_physical_expr::PhysicalExpr;

use crate::engine_words::in_sql;
use crate::operator::expand::ExpandSpec;
use crate::operator::marks::Mark;
use crate::operator::pattern::PatternSpec;
use crate::operator::pattern::automaton::Variable;
use crate::operator::sort::{AtEndSpec, ByTimeSpec};
use crate::operator::unnest::UnnestSpec;

pub(super) fn calc(
    predicate: Option<&Arc<dyn PhysicalExpr>>,
    projection: Option<&[Arc<dyn PhysicalExpr>]>,
) -> String {
    let mut parts = Vec::new();
    if let Some(predicate) = predicate {
        parts.push(format!("filter {}", in_sql(&predicate.to_string())));
    }
    if let Some(projection) = projection {
        parts.push(format!(
            "project {}",
            projection.iter().map(|e| in_sql(&e.to_string())).collect::<Vec<_>>().join(", ")
        ));
    }
    parts.join("; ")
}

pub(super) fn expand(spec: &ExpandSpec) -> String {
    format!("repeat for {} grouping sets", spec.sets.len())
}

pub(super) fn unnest(spec: &UnnestSpec) -> String {
    if spec.outer { "one row for each element, or one without" } else { "one row for each element" }
        .into()
}

pub(super) fn marks(mark: &Mark) -> String {
    match mark {
        Mark::Watermark => "with the watermark before each row",
        Mark::Now => "with the time of day",
        Mark::Random(_) => "with random values",
    }
    .into()
}

pub(super) fn processing_time(column: &Field) -> String {
    format!("by processing time, not repeatable: {}", column.name())
}

pub(super) fn pattern(spec: &PatternSpec) -> String {
    let variable = |v: &Variable| {
        let quantifier = match (v.least, v.most) {
            (1, Some(1)) => String::new(),
            (0, Some(1)) => "?".into(),
            (0, None) => "*".into(),
            (1, None) => "+".into(),
            (least, None) => format!("{{{least},}}"),
            (least, Some(most)) if least == most => format!("{{{least}}}"),
            (least, Some(most)) => format!("{{{least},{most}}}"),
        };
        format!("{}{quantifier}{}", v.name, if v.greedy { "" } else { "?" })
    };
    let variables: Vec<String> = spec.variables.iter().map(variable).collect();
    let within = match spec.within_ms {
        Some(within_ms) => format!("rows are kept for {within_ms} ms"),
        None => "rows of matches that have begun are kept for ever".into(),
    };
    format!(
        "find rows that match ({}), by {} columns; {within}",
        variables.join(" "),
        spec.waiting.partition.len()
    )
}

pub(super) fn sort_by_time(spec: &ByTimeSpec) -> String {
    let name = |c: usize| spec.waiting.input.field(c).name().clone();
    let names =
        std::iter::once(name(spec.waiting.rowtime)).chain(spec.then.iter().map(|&(c, _)| name(c)));
    let names = names.collect::<Vec<_>>().join(", ");
    format!("in order of {names}, as the watermark passes; late rows are dropped")
}

pub(super) fn at_end(spec: &AtEndSpec) -> String {
    let order = match spec.order.as_deref() {
        None | Some([]) => String::new(),
        Some(order) => {
            let names = order.iter().map(|&(c, options)| {
                let direction = if options.descending { " descending" } else { "" };
                format!("{}{direction}", spec.rows.field(c).name())
            });
            format!(", in order of {}", names.collect::<Vec<_>>().join(", "))
        }
    };
    let from = if spec.slice.skip > 0 {
        format!(" from number {} on", spec.slice.skip + 1)
    } else {
        String::new()
    };
    let fetch = spec.slice.fetch.map(|most| format!(", at most {most}")).unwrap_or_default();
    format!("what is there at the end of input{from}{order}{fetch}")
}
