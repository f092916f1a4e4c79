//! What comes, that it comes again from any event on, and which options and columns are refused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use arrow::datatypes::{DataType, Field, TimeUnit};
use serde_json::Value;

use super::*;
use crate::time::clock::SetClock;

const ALL: Needed = Needed { event_type: true, person: true, auction: true, bid: true };

fn options(given: &[(&str, &str)]) -> Result<NexmarkOptions, String> {
    let map: BTreeMap<String, String> =
        given.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    NexmarkOptions::parse(&map, SEED)
}

fn source(given: &[(&str, &str)], needed: Needed) -> (NexmarkSource, Arc<SetClock>) {
    let clock = Arc::new(SetClock::at(1_700_000_000_000));
    let options = options(given).expect("valid options");
    (NexmarkSource { table: "t".into(), options, needed, clock: clock.clone() }, clock)
}

fn open(source: &NexmarkSource, from: u64) -> Box<dyn SplitReader> {
    let split = source.discover().expect("splits").remove(0).id;
    let ahead = ReadAhead::alone(Arc::new(|| {}));
    source.open(&split, &Position::after_records(from), ahead).expect("opens")
}

/// All events from one on, read in batches.
fn read(source: &NexmarkSource, from: u64, batch: usize) -> Vec<String> {
    let mut reader = open(source, from);
    let mut events = Vec::new();
    while let Polled::Records(raw) = reader.poll(batch).expect("reads") {
        assert!(raw.len() <= batch);
        events.extend((0..raw.len()).map(|i| String::from_utf8_lossy(raw.record(i)).into_owned()));
        assert_eq!(reader.position().records().expect("records"), from + events.len() as u64);
    }
    events
}

#[test]
fn an_event_is_the_same_from_wherever_it_is_reached() {
    let (source, _) = source(&[("events.num", "300")], ALL);
    let all = read(&source, 0, 1000);
    assert_eq!(all.len(), 300);
    for (from, batch) in [(0, 1), (1, 7), (149, 50), (299, 1), (300, 1)] {
        assert_eq!(read(&source, from, batch), all[from as usize..], "from {from}");
    }
}

#[test]
fn events_come_in_rounds_and_refer_to_each_other() {
    let (source, _) = source(&[("events.num", "20000")], ALL);
    let (mut persons, mut auctions) = (BTreeSet::new(), BTreeSet::new());
    let (mut known_bidders, mut known_auctions, mut bids) = (0, 0, 0);
    for (n, text) in read(&source, 0, 1000).iter().enumerate() {
        let event: Value = serde_json::from_str(text).expect("JSON");
        let id = |row: &str, field: &str| event[row][field].as_i64().expect("a number");
        let place = n % 50;
        let kind = if place < 1 {
            0
        } else if place < 4 {
            1
        } else {
            2
        };
        assert_eq!(event["event_type"], kind, "event {n}");
        assert_eq!(event.as_object().map(serde_json::Map::len), Some(2), "event {n}: {text}");
        match kind {
            0 => assert!(persons.insert(id("person", "id"))),
            1 => {
                assert!(auctions.insert(id("auction", "id")));
                assert!(
                    event["auction"]["dateTime"].as_str() < event["auction"]["expires"].as_str()
                );
                assert!(id("auction", "reserve") > id("auction", "initialBid"));
                assert!((10..15).contains(&id("auction", "category")));
            }
            _ => {
                bids += 1;
                known_bidders += usize::from(persons.contains(&id("bid", "bidder")));
                known_auctions += usize::from(auctions.contains(&id("bid", "auction")));
                assert!((100..=100_000_000).contains(&id("bid", "price")));
            }
        }
    }
    // Ids are given without gaps.
    assert_eq!(persons, (1000..1400).collect());
    assert_eq!(auctions, (1000..2200).collect());
    assert!(known_bidders * 10 > bids * 9 && known_auctions * 10 > bids * 9, "most are known");
    assert!(known_bidders < bids && known_auctions < bids, "some are yet to come");
}

#[test]
fn sizes_are_met_on_average_and_rates_tell_the_time() {
    let given = [("events.num", "4000"), ("first-event.rate", "4"), ("bid.avg-size", "1kb")];
    let (source, _) = source(&given, ALL);
    let events = read(&source, 0, 500);
    let bids: Vec<&String> = events.iter().filter(|e| e.contains("\"bid\":")).collect();
    let average = bids.iter().map(|b| b.len()).sum::<usize>() / bids.len();
    // Keys and the URL are not counted.
    assert!((1050..1350).contains(&average), "{average}");
    assert!(events[5].contains("2015-07-15 00:00:01.25"), "{}", events[5]);
}

#[test]
fn another_seed_gives_other_events_and_the_split_keeps_it() {
    let (mut one, _) = source(&[("events.num", "50")], ALL);
    let first = read(&one, 0, 50);
    let split = one.discover().expect("splits").remove(0).id;
    one.options.shape.seed = 2;
    assert_ne!(read(&one, 0, 50), first);
    let ahead = ReadAhead::alone(Arc::new(|| {}));
    let mut kept = one.open(&split, &Position::after_records(49), ahead).expect("opens");
    let Polled::Records(raw) = kept.poll(9).expect("reads") else { panic!("no record") };
    assert_eq!(String::from_utf8_lossy(raw.record(0)), first[49]);
}

#[test]
fn what_a_query_does_not_need_is_not_made() {
    let needed = Needed { event_type: true, person: false, auction: false, bid: true };
    let (source, _) = source(&[("events.num", "50")], needed);
    let events = read(&source, 0, 50);
    assert_eq!(events[0], "{\"event_type\":0}");
    assert!(events[49].starts_with("{\"event_type\":2,\"bid\":{\"auction\":"), "{}", events[49]);
}

#[test]
fn the_clock_is_waited_for_if_that_is_asked_for() {
    let given = [("max-emit-speed", "false"), ("first-event.rate", "10"), ("events.num", "100")];
    let (source, clock) = source(&given, ALL);
    let mut reader = open(&source, 0);
    let mut come = || match reader.poll(1000).expect("reads") {
        Polled::Records(raw) => raw.len(),
        _ => 0,
    };
    assert_eq!(come(), 1);
    assert_eq!(come(), 0);
    clock.monotonic_ms.store(2000, Ordering::Release);
    assert_eq!(come(), 20);
}

#[test]
fn behind_the_last_event_it_ends_or_stays_silent() {
    for (given, is_bounded) in [
        (&[("events.num", "5")][..], true),
        (&[("events.num", "9"), ("stop-at", "5")], true),
        (&[("events.num", "5"), ("stop-at", "-1")], true),
        (&[("events.num", "5"), ("keep-alive", "true")], false),
    ] {
        let (source, _) = source(given, ALL);
        assert_eq!(source.bounded(), is_bounded, "{given:?}");
        assert_eq!(read(&source, 0, 100).len(), 5, "{given:?}");
        let ended = matches!(open(&source, 5).poll(1), Ok(Polled::End { .. }));
        assert_eq!(ended, is_bounded, "{given:?}");
    }
    assert!(!source(&[], ALL).0.bounded(), "without a number there is no end");
}

#[test]
fn rounds_without_persons_or_auctions_have_a_meaning() {
    for given in [
        [("person.proportion", "0"), ("auction.proportion", "0"), ("events.num", "20")],
        [("person.proportion", "0"), ("bid.proportion", "0"), ("events.num", "20")],
        [("auction.proportion", "0"), ("bid.proportion", "0"), ("events.num", "20")],
    ] {
        assert_eq!(read(&source(&given, ALL).0, 0, 7).len(), 20, "{given:?}");
    }
}

#[test]
fn options_that_cannot_be_are_refused() {
    for (given, reason) in [
        (
            &[("person.proportion", "0"), ("auction.proportion", "0"), ("bid.proportion", "0")][..],
            "is at least 1",
        ),
        (&[("bid.avg-size", "2 gb")], "'bid.avg-size' is at most 1 mb"),
        (&[("bid.avg-size", "big")], "'bid.avg-size' = 'big'"),
        (&[("stop-at", "soon")], "'stop-at' is a whole number"),
        (&[("bid.extended.mode", "true")], "not supported"),
    ] {
        let error = options(given).expect_err(reason);
        assert!(error.contains(reason), "{given:?}: {error}");
    }
    // What tables may leave out means what the list of options says.
    assert_eq!(options(&[]), options(&[("bid.proportion", "46"), ("events.num", "0")]));
}

#[test]
fn columns_that_no_event_has_are_refused() {
    let row =
        |name: &str, data_type| DataType::Struct(vec![Field::new(name, data_type, true)].into());
    let time = DataType::Timestamp(TimeUnit::Millisecond, None);
    assert_eq!(schema::check("bid", &row("dateTime", time.clone())), Ok(()));
    for (name, data_type, reason) in [
        ("event_type", DataType::Int64, "'event_type' is an INT"),
        ("bids", DataType::Int64, "did you mean 'bid'?"),
        ("bid", DataType::Int64, "'bid' is a ROW"),
        ("bid", row("price", DataType::Utf8), "'bid.price' is a BIGINT"),
        ("bid", row("seller", DataType::Int64), "'bid' has no field 'seller'"),
        ("auction", row("expires", DataType::Utf8), "'auction.expires' is a TIMESTAMP(3)"),
    ] {
        let error = schema::check(name, &data_type).expect_err(reason);
        assert!(error.contains(reason), "{name}: {error}");
    }
}

#[test]
fn split_names_are_read_back() {
    let name = SplitName { seed: 7, start_ms: -5 };
    assert_eq!(SplitName::parse(&name.to_string()), Some(name));
    for wrong in ["nexmark-@1", "nexmark-1", "crowd-1@1"] {
        assert_eq!(SplitName::parse(wrong), None, "{wrong}");
    }
}
