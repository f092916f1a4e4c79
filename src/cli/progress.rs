//! How far is it? A bar on a terminal, plain lines in a log.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::DateTime;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use crate::ids::Epoch;
use crate::observe::health::{Health, Report, SinkReport, SourceReport};
use crate::runtime::control::Stats;
use crate::runtime::job::Observer;
use crate::runtime::worker::SharedSource;
use crate::sink::Sink;
use crate::time::Watermark;
use crate::time::clock::SharedClock;

/// Time between two lines in a log: a line a record would drown everything else.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    clock: SharedClock,
    started: Duration,
    logged: Duration,
    last_epoch: Epoch,
    /// Redraws a board of result tables instead, if there is one.
    pub board: Option<super::board::Board>,
    pub health: Arc<Health>,
    /// With their names.
    sinks: Vec<(String, Arc<dyn Sink>)>,
    pub counts: Counts,
}

/// What the job has done so far, in rows and records.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    pub rows_in: u64,
    pub rows_out: u64,
    pub diverted: u64,
    pub diverted_bytes_cut: u64,
    /// Records, or parts of them, that `ignore-parse-errors` left out.
    pub skipped: u64,
    /// Fields that it made NULL.
    pub nulled: u64,
    /// Records in aggregates whose keys belong to another shard.
    pub misplaced: u64,
    /// Messages of envelopes that hold no rows.
    pub control: u64,
    pub late: u64,
    /// Results that are not written, because their tables hold those of a run that began later.
    pub lost: u64,
}

impl Counts {
    /// One line for the end of a run. Nothing that is zero and needs no attention.
    pub fn summary(&self) -> String {
        let mut out = format!(
            "{} records in, {} rows out",
            HumanCount(self.rows_in),
            HumanCount(self.rows_out)
        );
        if self.late > 0 {
            out.push_str(&format!(", {} late rows dropped", HumanCount(self.late)));
        }
        if self.lost > 0 {
            out.push_str(&format!(
                ", {} results lost to a run that began later",
                HumanCount(self.lost)
            ));
        }
        if self.skipped > 0 {
            out.push_str(&format!(
                ", {} records skipped by ignore-parse-errors",
                HumanCount(self.skipped)
            ));
        }
        if self.nulled > 0 {
            out.push_str(&format!(
                ", {} fields NULL by ignore-parse-errors",
                HumanCount(self.nulled)
            ));
        }
        if self.misplaced > 0 {
            out.push_str(&format!(
                ", {} records in aggregates of shards to which their keys do not belong",
                HumanCount(self.misplaced)
            ));
        }
        if self.control > 0 {
            out.push_str(&format!(", {} control messages left out", HumanCount(self.control)));
        }
        if self.diverted > 0 {
            out.push_str(&format!(", {} in the error stream", HumanCount(self.diverted)));
        }
        if self.diverted_bytes_cut > 0 {
            out.push_str(&format!(
                " ({} bytes of them left out)",
                HumanCount(self.diverted_bytes_cut)
            ));
        }
        out
    }
}

impl Progress {
    /// `bytes`: what a bounded job will read, if known. `sinks`: with their names.
    pub fn new(
        bytes: Option<u64>,
        board: Option<super::board::Board>,
        clock: SharedClock,
        health: Arc<Health>,
        sinks: Vec<(String, Arc<dyn Sink>)>,
    ) -> Progress {
        let bar =
            (board.is_none() && bytes.is_some() && std::io::stderr().is_terminal()).then(|| {
                let bar = ProgressBar::new(bytes.unwrap_or(0));
                // The template is a constant.
                if let Ok(style) =
                    ProgressStyle::with_template("{bar:30} {percent:>3}% {msg} (left: {eta})")
                {
                    bar.set_style(style);
                }
                bar
            });
        let started = clock.monotonic();
        Progress {
            bar,
            clock,
            started,
            logged: started,
            last_epoch: Epoch::START,
            board,
            health,
            sinks,
            counts: Counts::default(),
        }
    }
}

/// The lowest event time that all sources have reached, as text.
fn event_time(sources: &[Arc<SharedSource>]) -> String {
    match sources.iter().map(|s| s.reached()).min() {
        None | Some(Watermark::NONE) => "-".into(),
        Some(Watermark::END) => "end".into(),
        Some(watermark) => {
            let ms = watermark.ms();
            DateTime::from_timestamp_millis(ms)
                .map_or_else(|| ms.to_string(), |t| t.format("%Y-%m-%d %H:%M:%S").to_string())
        }
    }
}

impl Observer for Progress {
    fn progress(&mut self, stats: &Stats, sources: &[Arc<SharedSource>]) {
        let now = self.clock.monotonic();
        let rows = stats.rows_in.load(Ordering::Relaxed);
        let rate = rows as f64 / now.saturating_sub(self.started).as_secs_f64().max(0.001);
        let reached = event_time(sources);
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let sinks = self.sinks.iter();
        let sinks: Vec<SinkReport> = sinks
            .filter_map(|(name, s)| Some(SinkReport::of(name, s.not_new()?, s.missing())))
            .collect();
        self.counts = Counts {
            rows_in: rows,
            rows_out: count(&stats.rows_out),
            diverted: count(&stats.diverted),
            diverted_bytes_cut: count(&stats.diverted_bytes_cut),
            skipped: count(&stats.skipped),
            nulled: count(&stats.nulled),
            misplaced: count(&stats.misplaced),
            control: count(&stats.control),
            late: count(&stats.late_rows) + count(&stats.late_by_fired_mark),
            lost: sinks.iter().map(|sink| sink.other_run).sum(),
        };
        let Counts { rows_in, rows_out, diverted, skipped, nulled, .. } = self.counts;
        let Counts { misplaced, control, late, lost, .. } = self.counts;
        let unread: Vec<SourceReport> = sources
            .iter()
            .map(|s| SourceReport { table: s.table.clone(), unread: s.source.unread() })
            .filter(|source| source.unread > 0)
            .collect();
        let unread_shards: u64 = unread.iter().map(|source| source.unread).sum();
        let event_time = reached.clone();
        let behind_ms = sources.iter().filter_map(|source| source.lag_ms()).max();
        let report = Report {
            rows_in,
            rows_out,
            diverted,
            skipped,
            nulled,
            misplaced,
            control,
            late,
            epoch: self.last_epoch,
            event_time,
            behind_ms,
            checkpoints_failed: count(&stats.checkpoints_failed),
            sources: unread,
            sinks,
            ..Report::default()
        };
        self.health.update(report.judged());
        if let Some(board) = &mut self.board {
            board.draw(&format!("{} records, event time {reached}", HumanCount(rows)));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(stats.bytes_in.load(Ordering::Relaxed));
            bar.set_message(format!(
                "{} rows, {}/s, event time {reached}",
                HumanCount(rows),
                HumanCount(rate as u64)
            ));
        } else if self.board.is_none() && now.saturating_sub(self.logged) >= LOG_INTERVAL {
            self.logged = now;
            tracing::info!(
                rows,
                rows_per_s = rate as u64,
                late,
                diverted,
                skipped,
                nulled,
                misplaced,
                control,
                lost,
                unread_shards,
                checkpoints_failed = count(&stats.checkpoints_failed),
                event_time = reached,
                epoch = self.last_epoch.number(),
                "running"
            );
        }
    }

    fn checkpoint_waits(&mut self, hold: Option<(Duration, &str)>) {
        self.health.checkpoint_waits(hold);
    }

    fn checkpoint(&mut self, epoch: Epoch) {
        self.last_epoch = epoch;
    }

    fn resumed(&mut self, epoch: Epoch, skipped: &[(Epoch, String)]) {
        for (epoch, reason) in skipped {
            tracing::warn!("checkpoint {epoch} is left out: {reason}");
        }
        self.last_epoch = epoch;
        tracing::info!(epoch = epoch.number(), "going on from a checkpoint");
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
