//! `GET /health` on the address of `--listen`: is the job alive, and how far is it?

use crate::ids::Epoch;
use crate::sink::version::Counts;
use crate::time::timer;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::routing::get;
use serde::Serialize;
use tokio::net::TcpListener;

/// What the endpoint answers.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    pub status: &'static str,
    /// Records read by this process.
    pub rows_in: u64,
    pub rows_out: u64,
    /// Records and rows in the error stream.
    pub diverted: u64,
    /// Records, or parts of them, that `ignore-parse-errors` left out.
    pub skipped: u64,
    /// Fields that it made NULL.
    pub nulled: u64,
    /// Records in aggregates whose keys belong to another shard.
    pub misplaced: u64,
    /// Messages of envelopes that hold no rows.
    pub control: u64,
    /// Rows that came after their windows had closed.
    pub late: u64,
    /// The newest checkpoint.
    pub epoch: Epoch,
    /// The event time that all sources have reached.
    pub event_time: String,
    /// How far the split that is furthest behind the newest record of its own is behind, ms of
    /// arrival time. Null where no source says: files have no arrival times.
    pub behind_ms: Option<i64>,
    /// What the checkpoint under way waits for, once that is long. Null else.
    pub checkpoint: Option<String>,
    /// Checkpoints that were not complete within `execution.checkpointing.timeout`.
    pub checkpoints_failed: u64,
    /// Its sources, of which something is unread.
    pub sources: Vec<SourceReport>,
    /// What its sinks had already, for those that compare.
    pub sinks: Vec<SinkReport>,
    /// Why somebody has to look after the job, one sentence each: with one of them the status is
    /// `red`.
    pub causes: Vec<String>,
}

/// What of a table is read by nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SourceReport {
    pub table: String,
    /// Shards that several audits in a row have found and that the job does not read.
    pub unread: u64,
}

impl SourceReport {
    fn cause(&self) -> Option<String> {
        let SourceReport { table, unread } = self;
        (*unread > 0).then(|| {
            format!(
                "unread: nobody reads {unread} shards of table '{table}', which the log names: their records are in no result; start \
                 the job again, and with a state directory of its own if that does not help"
            )
        })
    }
}

/// Results of a table that were not new to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SinkReport {
    pub table: String,
    /// Written again, as after a crash.
    pub same: u64,
    /// Left out because that of a later window, or of a later checkpoint, was there or waiting.
    pub newer_window: u64,
    /// Not written, because the table holds the results of a run that began later.
    pub other_run: u64,
    /// What the table does not hold any more of what the run had written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

impl SinkReport {
    pub(crate) fn of(table: &str, counts: Counts, missing: Option<String>) -> SinkReport {
        let Counts { same, newer_window, other_run } = counts;
        SinkReport { table: table.into(), same, newer_window, other_run, missing }
    }

    /// Why somebody has to act, if that follows from it.
    fn causes(&self) -> impl Iterator<Item = String> {
        let SinkReport { table, other_run, missing, .. } = self;
        let behind = (*other_run > 0).then(|| {
            format!(
                "behind run: {other_run} results are not in table '{table}', which holds those of a run that began later; stop this \
                 job, or the other one"
            )
        });
        let missing = missing.as_ref().map(|missing| format!("rows missing: {missing}"));
        behind.into_iter().chain(missing)
    }
}

impl Report {
    /// With the status that follows from its sources and sinks.
    pub(crate) fn judged(mut self) -> Report {
        let of_sources = self.sources.iter().filter_map(SourceReport::cause);
        let of_sinks = self.sinks.iter().flat_map(SinkReport::causes);
        self.causes = of_sources.chain(of_sinks).collect();
        self.status = if self.causes.is_empty() { "running" } else { "red" };
        self
    }
}

/// How long a start waits for its address: a process that was just killed may not have let go of it
/// yet.
const BIND_WAIT_MAX: Duration = Duration::from_secs(2);
const BIND_STEP: Duration = Duration::from_millis(20);

async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let mut waited = Duration::ZERO;
    loop {
        match TcpListener::bind(address).await {
            Err(e) if e.kind() == std::io::ErrorKind::AddrInUse && waited < BIND_WAIT_MAX => {
                timer::sleep(BIND_STEP).await;
                waited += BIND_STEP;
            }
            bound => return bound,
        }
    }
}

/// What to say about an address that others can reach; None for one of this machine alone.
pub(crate) fn exposure(address: SocketAddr) -> Option<String> {
    (!address.ip().to_canonical().is_loopback()).then(|| {
        format!(
            "--listen {address} can be reached from other machines and asks for no password: whoever reaches it sees how far the \
             job is; 127.0.0.1:{} is reached from this machine alone",
            address.port()
        )
    })
}

/// A checkpoint that waits for so long says for what: most are through before that.
const WAIT_TOLD: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(crate) struct Health {
    report: Mutex<Report>,
    /// Since when the checkpoint under way waits, and for what. Beside the report, since whoever
    /// makes that may be who is waited for.
    waits: Mutex<Option<(timer::Instant, String)>>,
}

impl Health {
    pub fn update(&self, report: Report) {
        *self.report.lock().unwrap_or_else(PoisonError::into_inner) = report;
    }

    /// What the checkpoint under way waits for, and for how long already.
    pub fn checkpoint_waits(&self, hold: Option<(Duration, &str)>) {
        let waits = hold.map(|(waited, awaited)| {
            (timer::now().checked_sub(waited).unwrap_or_else(timer::now), awaited.to_owned())
        });
        *self.waits.lock().unwrap_or_else(PoisonError::into_inner) = waits;
    }

    pub fn read(&self) -> Report {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        report.checkpoint = waits.as_ref().and_then(|(since, awaited)| {
            let waited = timer::now().saturating_duration_since(*since);
            (waited >= WAIT_TOLD)
                .then(|| format!("checkpoint: waits {} s for {awaited}", waited.as_secs()))
        });
        report
    }

    /// Serves until the runtime stops. Returns the address, which has a port also where 0 was asked
    /// for.
    pub async fn serve(self: Arc<Self>, address: SocketAddr) -> std::io::Result<SocketAddr> {
        let listener = bind(address).await?;
        let bound = listener.local_addr()?;
        let answer = |State(health): State<Arc<Health>>| async move { Json(health.read()) };
        let app = axum::Router::new().route("/health", get(answer)).with_state(self);
        tokio::spawn(async move {
            if let Err(e) = axum::serve(listener, app).await {
                tracing::error!("the health endpoint stopped: {e}");
            }
        });
        Ok(bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_others_reach() {
        for (address, exposed) in [
            ("127.0.0.1:80", false),
            ("127.9.9.9:80", false),
            ("[::1]:80", false),
            ("[::ffff:127.0.0.1]:80", false),
            ("0.0.0.0:80", true),
            ("[::]:80", true),
            ("192.168.0.7:80", true),
        ] {
            assert_eq!(exposure(address.parse().unwrap()).is_some(), exposed, "{address}");
        }
    }

    #[test]
    fn a_write_that_is_lost_to_a_later_run_turns_it_red_and_one_to_a_later_window_does_not() {
        let report = |other_run| {
            let counts = Counts { same: 2, newer_window: 3, other_run };
            let sinks = vec![SinkReport::of("board", counts, None)];
            Report { sinks, ..Report::default() }.judged()
        };
        assert_eq!((report(0).status, report(0).causes.len()), ("running", 0));
        let red = report(7);
        assert_eq!((red.status, red.causes.len()), ("red", 1));
        assert!(red.causes[0].starts_with("behind run: 7 results are not in table 'board'"));
        let json = serde_json::to_value(&red).unwrap();
        let sink =
            serde_json::json!({"table": "board", "same": 2, "newer_window": 3, "other_run": 7});
        assert_eq!(json["sinks"][0], sink);
        let missing = SinkReport::of("board", Counts::default(), Some("it is another".into()));
        let red = Report { sinks: vec![missing], ..Report::default() }.judged();
        assert_eq!((red.status, red.causes), ("red", vec!["rows missing: it is another".into()]));
    }

    #[test]
    fn a_shard_that_nobody_reads_turns_it_red() {
        let report = |unread| {
            let source = SourceReport { table: "rides".into(), unread };
            Report { sources: vec![source], ..Report::default() }.judged()
        };
        assert_eq!((report(0).status, report(0).causes.len()), ("running", 0));
        let red = report(2);
        assert_eq!((red.status, red.causes.len()), ("red", 1));
        assert!(red.causes[0].starts_with("unread: nobody reads 2 shards of table 'rides'"));
    }

    #[test]
    fn a_checkpoint_that_waits_for_long_says_for_what() {
        let health = Health::default();
        let told = |seconds| {
            let awaited = "table board to take what it was given";
            health.checkpoint_waits(Some((Duration::from_secs(seconds), awaited)));
            health.read().checkpoint
        };
        assert_eq!(told(5), None);
        assert_eq!(
            told(93).as_deref(),
            Some("checkpoint: waits 93 s for table board to take what it was given")
        );
        health.checkpoint_waits(None);
        assert_eq!(health.read().checkpoint, None);
    }

    #[tokio::test]
    async fn an_address_that_becomes_free_is_waited_for() {
        let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = first.local_addr().unwrap();
        let waiting = tokio::spawn(Arc::new(Health::default()).serve(address));
        tokio::task::yield_now().await;
        drop(first);
        assert_eq!(waiting.await.unwrap().unwrap(), address);
    }
}
