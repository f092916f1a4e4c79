//! The options of the connector `nexmark`, as the one for Flink names them.
//!
//! Called by `connect`, with what stands in WITH. What always holds: values are of their kinds,
//! which [`crate::options`] has seen to; what they mean together is checked here.

use std::collections::BTreeMap;

use super::events::Shape;
use crate::config::bytes;
use crate::options::OptionKind::{Flag, Number, OneOf, Text};
use crate::options::{OptionKind, OptionSpec};

const WHOLE: OptionKind = Number(0, u64::MAX);
/// An event is far smaller than a batch.
const EVENT_BYTES_MAX: usize = 1 << 20;
/// A round of persons, auctions and bids is numbered without overflow.
const PROPORTION_MAX: u64 = 1 << 20;
/// One of so many.
const RATIO: OptionKind = Number(1, 1 << 20);
const PROPORTION: OptionKind = Number(0, PROPORTION_MAX);

/// Event time of event 0, ms since the epoch, if nothing is said: 2015-07-15T00:00:00Z.
const START_MS: i64 = 1_436_918_400_000;
pub const SEED: u64 = 1;

const fn option(
    key: &'static str,
    kind: OptionKind,
    default: &'static str,
    help: &'static str,
) -> OptionSpec {
    OptionSpec::new(key, kind, help).or(default)
}

pub const OPTIONS: [OptionSpec; 20] = [
    option("events.num", WHOLE, "0", "events in all; 0: without end"),
    OptionSpec::new(
        "events.base-time",
        Number(0, i64::MAX as u64),
        "event time of the first event, ms since the epoch; without it 1436918400000, so that runs agree",
    ),
    option("first-event.rate", Number(1, u64::MAX), "10000", "events in a second of event time"),
    option(
        "next-event.rate",
        WHOLE,
        "10000",
        "taken for the sake of Flink's files: events go by 'first-event.rate' alone, there too",
    ),
    option("person.proportion", PROPORTION, "1", "persons in a round of events"),
    option("auction.proportion", PROPORTION, "3", "auctions in a round"),
    option("bid.proportion", PROPORTION, "46", "bids in a round"),
    option("person.avg-size", Text, "200b", "bytes of a person on average"),
    option("auction.avg-size", Text, "500b", "bytes of an auction on average"),
    option("bid.avg-size", Text, "100b", "bytes of a bid on average"),
    option(
        "bid.hot-ratio.auctions",
        RATIO,
        "2",
        "one of so many bids goes to an auction that is not hot",
    ),
    option("bid.hot-ratio.bidders", RATIO, "4", "one of so many bids is not of a hot bidder"),
    option(
        "auction.hot-ratio.sellers",
        RATIO,
        "4",
        "one of so many auctions is not of a hot seller",
    ),
    option("rate.limited", Flag, "false", "an event comes when it is due by the clock"),
    option("max-emit-speed", Flag, "true", "false: the same as 'rate.limited'"),
    option(
        "rate.shape",
        OneOf(&["SQUARE", "SINE"]),
        "SQUARE",
        "taken for the sake of Flink's files: the rate is the same all the time, there too",
    ),
    option("rate.period", OptionKind::Duration, "600s", "the same"),
    option("keep-alive", Flag, "false", "the source does not end behind its last event"),
    OptionSpec::new("stop-at", Text, "events after which it ends before 'events.num'; -1: none"),
    option("bid.extended.mode", Flag, "false", "only false: bids have the columns of the queries"),
];

/// When events come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As fast as they are taken.
    Fast,
    /// When the clock has gone on as far as event time.
    Due,
}

/// What comes behind the last event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    End,
    Silence,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NexmarkOptions {
    pub shape: Shape,
    pub start_ms: i64,
    /// None: without end.
    pub events: Option<u64>,
    pub pace: Pace,
    pub afterwards: Afterwards,
}

impl NexmarkOptions {
    pub fn parse(options: &BTreeMap<String, String>, seed: u64) -> Result<NexmarkOptions, String> {
        let given = |key: &str| options.get(key).map(|text| text.trim()).filter(|t| !t.is_empty());
        let text = |key: &str| {
            let default = OPTIONS.iter().find(|o| o.key == key).and_then(|o| o.default);
            given(key).or(default).unwrap_or_default()
        };
        let number = |key: &str| match text(key).parse::<u64>() {
            Ok(number) => Ok(number),
            Err(_) => Err(format!("'{key}' is a whole number, not '{}'", text(key))),
        };
        let small =
            |key: &str| u32::try_from(number(key)?).map_err(|_| format!("'{key}' is too large"));
        let size = |key: &str| match bytes(text(key)) {
            Ok(size) if size <= EVENT_BYTES_MAX => Ok(size as u32),
            Ok(_) => Err(format!("'{key}' is at most 1 mb")),
            Err(e) => Err(format!("'{key}' = '{}': {e}", text(key))),
        };
        let is_on = |key: &str| text(key).eq_ignore_ascii_case("true");
        if is_on("bid.extended.mode") {
            return Err("'bid.extended.mode' = 'true' is not supported".into());
        }
        let shape = Shape {
            seed,
            rate: number("first-event.rate")?,
            persons: small("person.proportion")?.into(),
            auctions: small("auction.proportion")?.into(),
            bids: small("bid.proportion")?.into(),
            person_bytes: size("person.avg-size")?,
            auction_bytes: size("auction.avg-size")?,
            bid_bytes: size("bid.avg-size")?,
            hot_auctions: small("bid.hot-ratio.auctions")?,
            hot_bidders: small("bid.hot-ratio.bidders")?,
            hot_sellers: small("auction.hot-ratio.sellers")?,
        };
        if shape.persons + shape.auctions + shape.bids == 0 {
            return Err("one of 'person.proportion', 'auction.proportion' and 'bid.proportion' is at least 1".into());
        }
        let start_ms = match given("events.base-time").map(str::parse) {
            None => START_MS,
            Some(Ok(start_ms)) => start_ms,
            Some(Err(_)) => return Err("'events.base-time' is a number of ms".into()),
        };
        let stop_at = match given("stop-at").map(str::parse::<i64>) {
            None => None,
            Some(Ok(stop_at)) => u64::try_from(stop_at).ok(),
            Some(Err(_)) => return Err("'stop-at' is a whole number, or -1".into()),
        };
        let all = Some(number("events.num")?).filter(|&n| n > 0);
        let is_due = is_on("rate.limited") || !is_on("max-emit-speed");
        Ok(NexmarkOptions {
            shape,
            start_ms,
            events: all.into_iter().chain(stop_at).min(),
            pace: if is_due { Pace::Due } else { Pace::Fast },
            afterwards: if is_on("keep-alive") { Afterwards::Silence } else { Afterwards::End },
        })
    }
}
