//! What is missing, where records expire before they are read?
//!
//! One [`Gaps`] for a stream, asked by the task of each shard. What always holds: nobody reads on
//! behind a gap without a word: it is an error that names the shard and the time, unless the user
//! has agreed to go on, and then it is told and kept for the audit.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::connector::environment::OnGap;
use crate::connector::kinesis::bounds::time;
use crate::connector::kinesis::position::ShardPosition;

/// Gaps that are told in all: a stream has no more shards in reach of one start.
const GAPS_TOLD_MAX: usize = 1000;

/// Why a shard is not read on.
pub(crate) enum Stop {
    Failed(String),
    /// Records have expired before they were read.
    Gap(String),
}

/// Records that have expired, or may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gap {
    pub shard: String,
    /// What had arrived before was read, ms since the epoch.
    pub from_ms: Option<i64>,
    pub now_ms: i64,
    /// The shard is not there any more, in the service's words.
    pub gone: Option<String>,
}

/// The gaps of a stream.
pub(crate) struct Gaps {
    table: String,
    on_gap: OnGap,
    /// How long the stream keeps records; [`UNKNOWN`] until it has said.
    retention_ms: AtomicI64,
    passed: Mutex<Vec<String>>,
}

const UNKNOWN: i64 = i64::MAX;

/// Records that have less than this to live when a run begins may expire before it comes to them,
/// and nothing is said of it: whoever begins at the horizon begins where records expire.
const GRACE_MS: i64 = 3_600_000;

impl Gaps {
    pub fn new(table: &str, on_gap: OnGap) -> Gaps {
        let retention_ms = AtomicI64::new(UNKNOWN);
        Gaps { table: table.into(), on_gap, retention_ms, passed: Mutex::default() }
    }

    /// Notes how long the stream keeps records.
    pub(crate) fn note_retention(&self, hours: i64) {
        self.retention_ms.store(hours.saturating_mul(3_600_000), Ordering::Relaxed);
    }

    /// What a run that begins at a place need not read, ms since the epoch: what arrived before the
    /// time that was asked for, or is about to expire. None where the retention is not known.
    pub(crate) fn at_start(&self, at: &ShardPosition, now_ms: i64) -> Option<i64> {
        let retention_ms = self.retention_ms.load(Ordering::Relaxed);
        let horizon_ms = (retention_ms != UNKNOWN).then(|| now_ms.saturating_sub(retention_ms));
        let soon_ms = horizon_ms.map(|ms| ms.saturating_add(GRACE_MS));
        match at {
            ShardPosition::Time { arrival_ms } => {
                if let Some(horizon_ms) = horizon_ms.filter(|ms| arrival_ms < ms) {
                    tracing::warn!(
                        table = self.table,
                        "the stream does not reach back to {}: it is read from {} on, which is all that it keeps",
                        time(*arrival_ms),
                        time(horizon_ms)
                    );
                }
                soon_ms.max(Some(*arrival_ms))
            }
            ShardPosition::Horizon | ShardPosition::After { .. } => soon_ms,
        }
    }

    /// True if what arrived from this time on need not be there any more.
    pub(crate) fn has_expired(&self, read_to_ms: Option<i64>, now_ms: i64) -> bool {
        let retention_ms = self.retention_ms.load(Ordering::Relaxed);
        read_to_ms.is_some_and(|ms| ms < now_ms.saturating_sub(retention_ms))
    }

    /// Goes on behind a gap, if that was agreed to.
    pub(crate) fn pass(&self, gap: Gap) -> Result<(), Stop> {
        let retention_ms = Some(self.retention_ms.load(Ordering::Relaxed));
        let text = gap.in_words(retention_ms.filter(|&ms| ms != UNKNOWN));
        match self.on_gap {
            OnGap::Refuse => Err(Stop::Gap(format!(
                "{text}. To go on without them, start once with --accept-gaps; to start over, with --fresh"
            ))),
            OnGap::Accept => {
                let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
                if passed.len() < GAPS_TOLD_MAX && !passed.contains(&text) {
                    tracing::warn!(table = self.table, "going on as agreed: {text}");
                    passed.push(text);
                }
                Ok(())
            }
        }
    }

    /// All that were passed, in words.
    pub(crate) fn passed(&self) -> Vec<String> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Gap {
    fn in_words(&self, retention_ms: Option<i64>) -> String {
        let shard = &self.shard;
        let from = self.from_ms.map_or("its beginning".into(), time);
        match (&self.gone, retention_ms) {
            (Some(gone), _) => format!(
                "shard {shard} has expired before it was read: its records that arrived after {from} are lost ({gone})"
            ),
            (None, Some(retention_ms)) => format!(
                "records of shard {shard} that arrived from {from} to {} may have expired before they were read: the stream keeps them \
                 for {} hours",
                time(self.now_ms.saturating_sub(retention_ms)),
                retention_ms / 3_600_000
            ),
            (None, None) => {
                format!("records of shard {shard} that arrived after {from} may be lost")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    #[test]
    fn what_has_expired_is_named_and_refused_until_it_is_agreed_to() {
        let gaps = Gaps::new("rides", OnGap::Refuse);
        assert!(!gaps.has_expired(Some(0), i64::MAX), "the retention is not known");
        gaps.note_retention(24);
        let now_ms = 1_760_000_000_000;
        for (read_to_ms, expired) in [
            (None, false),
            (Some(now_ms), false),
            (Some(now_ms - 24 * HOUR_MS), false),
            (Some(now_ms - 24 * HOUR_MS - 1), true),
        ] {
            assert_eq!(gaps.has_expired(read_to_ms, now_ms), expired, "{read_to_ms:?}");
        }
        for (at, begins_ms) in [
            (ShardPosition::Horizon, now_ms - 23 * HOUR_MS),
            (ShardPosition::Time { arrival_ms: now_ms - 5 }, now_ms - 5),
            (ShardPosition::Time { arrival_ms: now_ms - 90 * HOUR_MS }, now_ms - 23 * HOUR_MS),
        ] {
            assert_eq!(gaps.at_start(&at, now_ms), Some(begins_ms), "{at:?}");
        }
        let gap = Gap {
            shard: "shard-7".into(),
            from_ms: Some(now_ms - 30 * HOUR_MS),
            now_ms,
            gone: None,
        };
        let Err(Stop::Gap(text)) = gaps.pass(gap.clone()) else { panic!("it is refused") };
        for part in ["shard-7", "2025-10-08 02:53:20", "2025-10-08 08:53:20", "--accept-gaps"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let gaps = Gaps::new("rides", OnGap::Accept);
        assert!(gaps.pass(Gap { gone: Some("not found".into()), ..gap }).is_ok());
        assert!(gaps.passed()[0].contains("not found"), "{:?}", gaps.passed());
    }
}
