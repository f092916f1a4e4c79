//! The plan as text, for `check`: what is read, what happens, what is written and with which guarantee.

use std::fmt::Write;

use super::physical::{ChainInput, ChainOutput, OperatorPlan, PhysicalPlan, ResultKeys, SinkTarget};
use crate::engine_words::in_sql;
use crate::ingest::WatermarkExpression;
use crate::operator::group::Pace;
use crate::operator::marks::Mark;
use crate::operator::top_n::TopNStage;
use crate::operator::window::slice::{WindowKind, Windows};
use crate::sink::Guarantee;
use crate::types::sql_name;

/// Describes a job. `guarantee` says what a sink's connector promises.
pub fn explain(plan: &PhysicalPlan, guarantee: impl Fn(usize) -> Guarantee) -> String {
    let mut out = String::new();
    for source in &plan.sources {
        let names: Vec<&str> = source.decode_schema.fields().iter().map(|f| f.name().as_str()).collect();
        let _ = writeln!(out, "read {} ({}): {}", source.table.name, source.table.connector(), names.join(", "));
        match &source.ingest.watermark {
            Some(w) => {
                let rowtime = source.ingest.schema.field(w.rowtime).name();
                let expression = match &w.expression {
                    WatermarkExpression::Delay { delay_ms } => format!("{rowtime} - {delay_ms} ms"),
                    WatermarkExpression::General(e) => in_sql(&e.to_string()),
                };
                let _ = writeln!(out, "  watermark of each split: {expression}");
            }
            None => out.push_str("  no watermark: its rows are not in event time\n"),
        }
    }
    for lookup in &plan.lookups {
        let names: Vec<&str> = lookup.spec.schema.fields().iter().map(|f| f.name().as_str()).collect();
        let table = &lookup.source.table;
        let _ = writeln!(out, "look up {} ({}): {}", table.name, table.connector(), names.join(", "));
    }
    for (number, chain) in plan.chains.iter().enumerate() {
        let from = match &chain.input {
            ChainInput::Source(s) => plan.sources[*s].table.name.clone(),
            ChainInput::Edges(edges) => {
                let edges: Vec<String> = edges.iter().map(ToString::to_string).collect();
                format!("exchange {}", edges.join(" and "))
            }
        };
        let _ = writeln!(out, "chain {number}: from {from}");
        for operator in &chain.operators {
            let _ = writeln!(out, "  {}", describe(operator));
        }
        match &chain.output {
            ChainOutput::Edge { edge, .. } => {
                let _ = writeln!(out, "  to exchange {edge}");
            }
            ChainOutput::Sink(s) => {
                let _ = writeln!(out, "  to {}", plan.sinks[*s].name);
            }
        }
    }
    for (number, sink) in plan.sinks.iter().enumerate() {
        let kind = match &sink.target {
            SinkTarget::Table(table) => table.connector().to_string(),
            SinkTarget::Print => "print".into(),
        };
        let columns: Vec<String> =
            sink.schema.fields().iter().map(|f| format!("{} {}", f.name(), sql_name(f.data_type()))).collect();
        let _ = writeln!(out, "write {} ({kind}), {}: {}", sink.name, guarantee(number), columns.join(", "));
        if let SinkTarget::Table(table) = &sink.target
            && !table.upsert_key().is_empty()
        {
            let how = match sink.keys {
                ResultKeys::Unique => "each result has its own key",
                ResultKeys::SharedByWindows => "windows share keys: the newest run, then the latest window, wins",
                ResultKeys::InOrder => "the last row of a key wins",
            };
            let _ = writeln!(out, "  key {}: {how}", table.upsert_key().join(", "));
        }
    }
    for warning in &plan.warnings {
        let _ = writeln!(out, "warning: {warning}");
    }
    out
}

fn describe(operator: &OperatorPlan) -> String {
    match operator {
        OperatorPlan::Unnest(spec, _) => {
            if spec.outer { "one row for each element, or one without" } else { "one row for each element" }.into()
        }
        OperatorPlan::Calc { predicate, projection, .. } => {
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
        OperatorPlan::AssignWindows(spec) => format!("rows with their windows, {}", window(&spec.windows)),
        OperatorPlan::LocalAggregate(_) => "aggregate before the exchange".into(),
        OperatorPlan::WindowAggregate(spec) => {
            let window = window(&spec.windows);
            format!("aggregate {window}: {} keys, {} aggregates", spec.key_types.len(), spec.aggregates.len())
        }
        OperatorPlan::SessionAggregate(spec) => format!(
            "aggregate SESSION with a gap of {} ms: {} keys, {} aggregates",
            spec.gap_ms,
            spec.key_types.len(),
            spec.aggregates.len()
        ),
        OperatorPlan::SessionRows(spec) => {
            format!("rows with their SESSION, a gap of {} ms: {} keys", spec.gap_ms, spec.keys.len())
        }
        OperatorPlan::WindowJoin(spec) => {
            let condition = spec.condition.as_ref().map(|c| format!(", where {}", in_sql(&c.to_string()))).unwrap_or_default();
            format!("join the rows of a window, {:?}: {} keys{condition}", spec.kind, spec.keys[0].len())
        }
        OperatorPlan::IntervalJoin(spec, interval) => {
            let (lower, upper, keys) = (interval.lower_ms, interval.upper_ms, spec.keys[0].len());
            format!("join rows from {lower} to {upper} ms apart, {:?}: {keys} keys", spec.kind)
        }
        OperatorPlan::LookupJoin(spec, _) => {
            let kind = if spec.outer { "Left" } else { "Inner" };
            let condition = spec.condition.as_ref().map(|c| format!(", where {}", in_sql(&c.to_string()))).unwrap_or_default();
            let keys = spec.key_names.join(", ");
            format!("look up {} by {keys}, {kind}{condition}; not repeatable: as the table is when it is asked", spec.table)
        }
        OperatorPlan::Over(spec) => {
            let (keys, functions) = (spec.partition.len(), spec.calls.len());
            format!("over {:?}: {keys} keys, {functions} functions", spec.frame)
        }
        OperatorPlan::OverByValue(spec) => {
            let (frame, keys, functions) = (if spec.by_row { "rows" } else { "range" }, spec.partition.len(), spec.calls.len());
            format!("over all {frame} up to each value, kept up to date: {keys} keys, {functions} functions")
        }
        OperatorPlan::Rank(spec) => format!("keep numbers {} to {} of each partition, {:?}", spec.start, spec.end, spec.keeping),
        OperatorPlan::Expand(spec) => format!("repeat for {} grouping sets", spec.sets.len()),
        OperatorPlan::GroupAggregate(spec) => {
            let retracts = if spec.retracts { ", rows may be taken back" } else { "" };
            let (keys, aggregates) = (spec.key_types.len(), spec.aggregates.len());
            let pace = |pace| match pace {
                Pace::Never => "".into(),
                Pace::EachRow => " with each row".into(),
                Pace::After { delay_ms } => format!(" {delay_ms} ms after a change"),
            };
            let windows = spec.windows.as_ref().map(|w| {
                let (early, late, lateness) = (pace(w.early), pace(w.late), w.lateness_ms);
                let early = if early.is_empty() { early } else { format!(", sent early{early}") };
                let late =
                    if lateness == 0 { String::new() } else { format!(", for {lateness} ms after it late rows, sent{late}") };
                format!(" of windows, sent when they close{early}{late}")
            });
            let windows = windows.unwrap_or_default();
            format!("table of groups{windows}: {keys} keys, {aggregates} aggregates{retracts}")
        }
        OperatorPlan::Marks(Mark::Watermark, _) => "with the watermark before each row".into(),
        OperatorPlan::Marks(Mark::Now, _) => "with the time of day".into(),
        OperatorPlan::Marks(Mark::Random(_), _) => "with random values".into(),
        OperatorPlan::ProcessingTime { column, schema, .. } => {
            format!("by processing time, not repeatable: {}", schema.field(*column).name())
        }
        OperatorPlan::EndedWindows(..) => "windows that the clock has ended".into(),
        OperatorPlan::Upserts(..) => "upserts and deletes by key".into(),
        OperatorPlan::TopN(spec, TopNStage::Prune) => format!("keep the best {} of each partition", spec.limit),
        OperatorPlan::TopN(spec, TopNStage::Number) => format!("number the best {} of each partition", spec.limit),
    }
}

fn window(windows: &Windows) -> String {
    let kind = match windows.kind {
        WindowKind::Tumble { size_ms } => format!("TUMBLE {size_ms} ms"),
        WindowKind::Hop { slide_ms, size_ms } => format!("HOP {size_ms} ms every {slide_ms} ms"),
        WindowKind::Cumulate { step_ms, size_ms } => format!("CUMULATE {step_ms} ms to {size_ms} ms"),
        WindowKind::Fired => "the windows that have fired".into(),
    };
    if windows.offset_ms == 0 { kind } else { format!("{kind}, offset {} ms", windows.offset_ms) }
}
