//! What is around the rows in the records of a stream, as settings of its table say.
//!
//! Read by `config`; `connect` makes steps of it. What always holds: each kind has one word, by which
//! it is set and by which messages name it.

/// How producers compressed each record of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    pub(super) fn of(word: &str) -> Result<Compression, String> {
        let known = [Compression::None, Compression::Gzip, Compression::Zstd];
        one_of(word, &known, Compression::name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Compression::None => NONE,
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        }
    }
}

/// What a service puts around the records that it sends to a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Envelope {
    CloudWatchLogs,
    EventBridge,
    Dms,
    Iot,
}

impl Envelope {
    /// None where nothing is around them.
    pub(super) fn of(word: &str) -> Result<Option<Envelope>, String> {
        use Envelope::{CloudWatchLogs, Dms, EventBridge, Iot};
        let known = [None, Some(CloudWatchLogs), Some(EventBridge), Some(Dms), Some(Iot)];
        one_of(word, &known, |envelope| envelope.map_or(NONE, Envelope::name))
    }

    pub fn name(self) -> &'static str {
        match self {
            Envelope::CloudWatchLogs => "cloudwatch-logs",
            Envelope::EventBridge => "eventbridge",
            Envelope::Dms => "dms",
            Envelope::Iot => "iot",
        }
    }
}

/// Whether records of a stream may be aggregates of the Kinesis Producer Library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Aggregation {
    #[default]
    Kpl,
    /// They may, and what is in them counts only where its key belongs to the shard.
    KplStrict,
    None,
}

impl Aggregation {
    pub(super) fn of(word: &str) -> Result<Aggregation, String> {
        let known = [Aggregation::Kpl, Aggregation::KplStrict, Aggregation::None];
        one_of(word, &known, Aggregation::name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Aggregation::Kpl => "kpl",
            Aggregation::KplStrict => "kpl-strict",
            Aggregation::None => NONE,
        }
    }
}

const NONE: &str = "none";

/// The kind that a word names. Errors: the words that there are.
fn one_of<T: Copy>(word: &str, known: &[T], name: fn(T) -> &'static str) -> Result<T, String> {
    if let Some(found) = known.iter().find(|kind| name(**kind) == word) {
        return Ok(*found);
    }
    let words: Vec<&str> = known.iter().map(|kind| name(*kind)).collect();
    match words.split_last() {
        Some((last, before)) => Err(format!("expected {} or {last}", before.join(", "))),
        None => Err("nothing is expected".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_names_a_kind_and_others_are_told_which_there_are() {
        assert_eq!(Compression::of("zstd"), Ok(Compression::Zstd));
        assert_eq!(Envelope::of("dms"), Ok(Some(Envelope::Dms)));
        assert_eq!(Envelope::of("none"), Ok(None));
        assert_eq!(Aggregation::of("kpl-strict"), Ok(Aggregation::KplStrict));
        assert_eq!(Compression::of("lz4"), Err("expected none, gzip or zstd".into()));
        let envelopes = "expected none, cloudwatch-logs, eventbridge, dms or iot";
        assert_eq!(Envelope::of("sns"), Err(envelopes.into()));
        assert_eq!(Aggregation::of("KPL"), Err("expected kpl, kpl-strict or none".into()));
    }
}
