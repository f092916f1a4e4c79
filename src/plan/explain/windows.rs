//! Lines of operators that put rows into windows.

use crate::operator::session::SessionSpec;
use crate::operator::session::rows::SessionRowsSpec;
use crate::operator::window::WindowAggregateSpec;
use crate::operator::window::assign::AssignSpec;
use crate::operator::window::slice::{WindowKind, Windows};

pub(super) fn assign(spec: &AssignSpec) -> String {
    format!("rows with their windows, {}", named(&spec.windows))
}

pub(super) fn aggregate(spec: &WindowAggregateSpec) -> String {
    let (windows, keys, aggregates) = (named(&spec.windows), spec.key_types.len(), spec.aggregates.len());
    format!("aggregate {windows}: {keys} keys, {aggregates} aggregates")
}

pub(super) fn session_aggregate(spec: &SessionSpec) -> String {
    let (gap_ms, keys, aggregates) = (spec.gap_ms, spec.key_types.len(), spec.aggregates.len());
    format!("aggregate SESSION with a gap of {gap_ms} ms: {keys} keys, {aggregates} aggregates")
}

pub(super) fn session_rows(spec: &SessionRowsSpec) -> String {
    format!("rows with their SESSION, a gap of {} ms: {} keys", spec.gap_ms, spec.keys.len())
}

fn named(windows: &Windows) -> String {
    let name = match windows.kind {
        WindowKind::Tumble { size_ms } => format!("TUMBLE {size_ms} ms"),
        WindowKind::Hop { slide_ms, size_ms } => format!("HOP {size_ms} ms every {slide_ms} ms"),
        WindowKind::Cumulate { step_ms, size_ms } => format!("CUMULATE {step_ms} ms to {size_ms} ms"),
        WindowKind::Fired => "the windows that have fired".into(),
    };
    if windows.offset_ms == 0 { name } else { format!("{name}, offset {} ms", windows.offset_ms) }
}
