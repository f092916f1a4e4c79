//! The plan as text, for `check`: what is read, what happens, what is written and with which
//! guarantee.
//!
//! Each operator's line is a function of its description, in a file for its family below.

mod groups;
mod joins;
mod rows;
mod windows;

use std::fmt::Write;
use std::time::Duration;

use super::physical::{
    ChainInput, ChainOutput, ChainPlan, LookupPlan, OperatorPlan, PhysicalPlan, ResultKeys,
    SinkPlan, SinkTarget, SourcePlan,
};
use crate::engine_words::in_sql;
use crate::ingest::WatermarkExpression;
use crate::operator::top_n::TopNStage;
use crate::sink::Guarantee;
use crate::types::sql_name;

/// Describes a job. `guarantee` says what a sink's connector promises.
pub(crate) fn explain(plan: &PhysicalPlan, guarantee: impl Fn(usize) -> Guarantee) -> String {
    let mut out = String::new();
    for source in &plan.sources {
        read(source, &mut out);
    }
    for lookup in &plan.lookups {
        looked_up(lookup, &mut out);
    }
    for (number, chain) in plan.chains.iter().enumerate() {
        happens(plan, number, chain, &mut out);
    }
    for (number, sink) in plan.sinks.iter().enumerate() {
        written(sink, guarantee(number), &mut out);
    }
    for warning in &plan.warnings {
        let _ = writeln!(out, "warning: {warning}");
    }
    out
}

fn read(source: &SourcePlan, out: &mut String) {
    let names: Vec<&str> =
        source.decode_schema.fields().iter().map(|f| f.name().as_str()).collect();
    let _ = writeln!(
        out,
        "read {} ({}): {}",
        source.table.name,
        source.table.connector(),
        names.join(", ")
    );
    match &source.ingest.watermark {
        Some(w) => {
            let rowtime = source.ingest.schema.field(w.rowtime).name();
            let expression = match &w.expression {
                WatermarkExpression::Delay { delay_ms } => format!("{rowtime} - {delay_ms} ms"),
                WatermarkExpression::General(e) => in_sql(&e.to_string()),
                WatermarkExpression::AtEnd => "none before its end, in batch mode".into(),
            };
            let _ = writeln!(out, "  watermark of each split: {expression}");
        }
        None => out.push_str("  no watermark: its rows are not in event time\n"),
    }
}

fn looked_up(lookup: &LookupPlan, out: &mut String) {
    let names: Vec<&str> = lookup.spec.schema.fields().iter().map(|f| f.name().as_str()).collect();
    let table = &lookup.source.table;
    let _ = writeln!(out, "look up {} ({}): {}", table.name, table.connector(), names.join(", "));
}

fn happens(plan: &PhysicalPlan, number: usize, chain: &ChainPlan, out: &mut String) {
    let from = match &chain.input {
        ChainInput::Source(s) => plan.sources[*s].table.name.clone(),
        ChainInput::Edges(edges) => {
            let edges: Vec<String> = edges.iter().map(ToString::to_string).collect();
            format!("exchange {}", edges.join(" and "))
        }
    };
    let _ = writeln!(out, "chain {number}: from {from}");
    for operator in &chain.operators {
        let _ = writeln!(out, "  {}", line(operator));
    }
    let _ = match &chain.output {
        ChainOutput::Edge { edge, .. } => writeln!(out, "  to exchange {edge}"),
        ChainOutput::Sink(s) => writeln!(out, "  to {}", plan.sinks[*s].name),
    };
}

fn written(sink: &SinkPlan, guarantee: Guarantee, out: &mut String) {
    let connector = match &sink.target {
        SinkTarget::Table(table) => table.connector().to_string(),
        SinkTarget::Print => "print".into(),
    };
    let columns: Vec<String> = sink
        .schema
        .fields()
        .iter()
        .map(|f| format!("{} {}", f.name(), sql_name(f.data_type())))
        .collect();
    let _ = writeln!(out, "write {} ({connector}), {guarantee}: {}", sink.name, columns.join(", "));
    if !sink.key.is_empty() {
        let how = match sink.keys {
            ResultKeys::Unique => "each result has its own key",
            ResultKeys::SharedByWindows => {
                "windows share keys: the newest run, then the latest window, wins"
            }
            ResultKeys::InOrder => "the last row of a key wins",
        };
        let _ = writeln!(out, "  key {}: {how}", sink.key.join(", "));
    }
}

/// For how long state is kept.
fn kept(ttl: Option<Duration>) -> String {
    match ttl {
        Some(ttl) => format!("{} ms after their last change", ttl.as_millis()),
        None => "for ever".into(),
    }
}

/// What an operator does.
fn line(operator: &OperatorPlan) -> String {
    match operator {
        OperatorPlan::Calc { predicate, projection, .. } => {
            rows::calc(predicate.as_ref(), projection.as_deref())
        }
        OperatorPlan::Expand(spec) => rows::expand(spec),
        OperatorPlan::Unnest(spec, _) => rows::unnest(spec),
        OperatorPlan::Marks(mark, _) => rows::marks(mark),
        OperatorPlan::ProcessingTime { column, schema, .. } => {
            rows::processing_time(schema.field(*column))
        }
        OperatorPlan::AssignWindows(spec) => windows::assign(spec),
        OperatorPlan::LocalAggregate(_) => "aggregate before the exchange".into(),
        OperatorPlan::WindowAggregate(spec) => windows::aggregate(spec),
        OperatorPlan::SessionAggregate(spec) => windows::session_aggregate(spec),
        OperatorPlan::SessionRows(spec) => windows::session_rows(spec),
        OperatorPlan::EndedWindows(..) => "windows that the clock has ended".into(),
        OperatorPlan::WindowJoin(spec) => joins::window(spec),
        OperatorPlan::IntervalJoin(spec, interval) => joins::interval(spec, interval),
        OperatorPlan::VersionedJoin(spec) => joins::versioned(spec),
        OperatorPlan::Multiset(spec) => joins::multiset(spec),
        OperatorPlan::Pattern(spec) => rows::pattern(spec),
        OperatorPlan::RegularJoin(spec) => joins::regular(spec),
        OperatorPlan::LookupJoin(spec, _) => joins::lookup(spec),
        OperatorPlan::GroupAggregate(spec) => groups::aggregate(spec),
        OperatorPlan::Over(spec) => groups::over(spec),
        OperatorPlan::OverByValue(spec) => groups::over_by_value(spec),
        OperatorPlan::Rank(spec) => groups::rank(spec),
        OperatorPlan::TopN(spec, TopNStage::Prune) => {
            format!("keep the best {} of each partition", spec.limit)
        }
        OperatorPlan::TopN(spec, TopNStage::Number) => {
            format!("number the best {} of each partition", spec.limit)
        }
        OperatorPlan::SortByTime(spec) => rows::sort_by_time(spec),
        OperatorPlan::AtEnd(spec) => rows::at_end(spec),
        OperatorPlan::Upserts(..) => "upserts and deletes by key".into(),
        OperatorPlan::EndedRanks(spec) => format!(
            "delete the ranks up to {} that a board has no more in a later window",
            spec.limit
        ),
    }
}
