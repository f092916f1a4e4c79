//! Does the table in memory do what DynamoDB does, and does it see a row go back?

use super::*;
use crate::connector::dynamodb::api::OTHER_KEY;
use crate::connector::dynamodb::item::{Item, key_bytes};
use crate::simulation::executor::Sim;
use crate::sink::version::Version;
use crate::time::EventTime;
use crate::time::clock::SetClock;
use crate::time::virtual_time::VirtualTime;

const START_MS: i64 = 1_800_000_000_000;

/// A table `board` of `rider`, whose calls go well until a test says otherwise.
fn with_board(faults: TableFaults, test: impl FnOnce(Arc<Service>, Arc<dyn TableApi>, &Arc<Sim>)) {
    let begun = VirtualTime::begin();
    let sim = Sim::new(begun.0.clone(), 1);
    let service = Service::new(START_MS, faults, 1);
    service.create("board", &[("rider", "S")]);
    let api = open(&service, "a job");
    test(service, api, &sim);
}

fn open(service: &Arc<Service>, who: &str) -> Arc<dyn TableApi> {
    let options = [("table-name".to_owned(), "board".to_owned())];
    let options = DynamoDbOptions::parse(&options.into()).expect("options");
    service.caller(who).open(&options, ServerClock::new(Arc::new(SetClock::at(START_MS))))
}

fn item(rider: &str, points: i64, window_end_ms: i64) -> Put {
    let rider = Value::Text(rider.into());
    let version = Version::of_window(7, Some(EventTime::at(window_end_ms)));
    let item = Item {
        key: key_bytes([&rider]).expect("a key"),
        attributes: vec![
            ("rider".into(), rider),
            ("points".into(), Value::Number(points.to_string())),
        ],
        deletes: false,
        memory_bytes: 1,
    };
    Put { item, version: version.to_string().into() }
}

fn deletion(rider: &str, window_end_ms: i64) -> Put {
    let mut put = item(rider, 0, window_end_ms);
    put.item.attributes.truncate(1);
    put.item.deletes = true;
    put
}

/// Puts an item and waits for what comes of it.
fn put(sim: &Arc<Sim>, api: &Arc<dyn TableApi>, put: Put) -> Result<Standing, Failure> {
    let api = api.clone();
    let key = TableKey { attributes: vec![("rider".into(), "S".into())] };
    sim.tasks().wait(async move { api.put(&put, &key).await }).expect("an end")
}

/// Lets so many seconds pass.
fn pass(sim: &Arc<Sim>, seconds: u64) {
    sim.tasks().wait(sleep(Duration::from_secs(seconds))).expect("an end");
}

#[test]
fn the_higher_version_stays_and_an_equal_one_replaces() {
    with_board(TableFaults { latency_ms: 9, ..TableFaults::default() }, |service, api, sim| {
        assert_eq!(put(sim, &api, item("a", 1, 10)), Ok(Standing::Newer));
        assert_eq!(put(sim, &api, item("a", 2, 10)), Ok(Standing::Same));
        assert_eq!(
            put(sim, &api, item("a", 3, 9)),
            Err(Failure::Superseded(Standing::BehindWindow))
        );
        let row =
            BTreeMap::from([(r#"{"rider":"a"}"#.into(), r#"{"points":2,"rider":"a"}"#.into())]);
        assert_eq!(service.rows("board"), row);
        assert_eq!(put(sim, &api, deletion("a", 11)), Ok(Standing::Newer));
        assert!(service.rows("board").is_empty());
        assert_eq!(service.tombstones("board"), [r#"{"rider":"a"}"#]);
        assert_eq!(
            put(sim, &api, item("a", 4, 10)),
            Err(Failure::Superseded(Standing::BehindWindow)),
            "a tombstone keeps it out"
        );
        assert_eq!(service.went_back(), None);
        pass(sim, 8 * 24 * 60 * 60);
        assert!(service.tombstones("board").is_empty(), "TTL has taken it");
        assert_eq!(put(sim, &api, item("a", 5, 10)), Ok(Standing::Newer));
        assert!(service.went_back().is_some_and(|text| text.contains("Tombstone")));
    });
}

#[test]
fn a_late_write_arrives_when_the_client_has_given_up() {
    let late = TableFaults { late: 1.0, late_ms_max: 5000, ..TableFaults::default() };
    with_board(late, |service, api, sim| {
        for rider in ["a", "b"] {
            assert!(matches!(put(sim, &api, item(rider, 1, 10)), Err(Failure::Retry(_))));
        }
        service.quiet();
        // One is overtaken by something newer, and comes to nothing.
        put(sim, &api, item("b", 2, 20)).expect("it is written");
        pass(sim, 16);
        let points: Vec<String> = service.rows("board").into_values().collect();
        assert_eq!(points, [r#"{"points":1,"rider":"a"}"#, r#"{"points":2,"rider":"b"}"#]);
        assert_eq!(service.went_back(), None);
        assert_eq!(service.calls(), BTreeMap::from([("late", 2), ("put", 1)]));
        assert_eq!(service.history("board")[0][0].who, "a job");
    });
}

#[test]
fn answers_are_lost_before_and_after_the_write() {
    for (faults, is_written) in [
        (TableFaults { lost: 1.0, ..TableFaults::default() }, false),
        (TableFaults { failed: 1.0, ..TableFaults::default() }, false),
        (TableFaults { throttled: 1.0, ..TableFaults::default() }, false),
        (TableFaults { answer_lost: 1.0, ..TableFaults::default() }, true),
        (TableFaults { failed_after: 1.0, ..TableFaults::default() }, true),
    ] {
        with_board(faults.clone(), |service, api, sim| {
            let began = timer::now();
            let put = put(sim, &api, item("a", 1, 10));
            assert!(matches!(put, Err(Failure::Retry(_))), "{put:?}");
            let waited = timer::now() - began;
            assert_eq!(waited == CALL_TIMEOUT, faults.lost + faults.answer_lost > 0.0);
            assert_eq!(service.rows("board").len(), usize::from(is_written), "{faults:?}");
        });
    }
}

#[test]
fn a_table_made_anew_with_another_key_takes_nothing() {
    with_board(TableFaults::default(), |service, api, sim| {
        assert_eq!(put(sim, &api, item("a", 1, 10)), Ok(Standing::Newer));
        let empty = put(sim, &api, item("", 1, 10));
        assert!(matches!(&empty, Err(Failure::Refused(why)) if why.contains("empty string")));
        service.create("board", &[("race", "S")]);
        let in_race = |rider| {
            let mut put = item(rider, 1, 10);
            put.item.attributes.push(("race".into(), Value::Text("x".into())));
            put
        };
        assert_eq!(put(sim, &api, in_race("a")), Ok(Standing::Newer));
        let met = put(sim, &api, in_race("b"));
        assert_eq!(met, Err(Failure::Unfit(OTHER_KEY.into())), "rows meet that did not before");
        let rows: Vec<String> = service.rows("board").into_values().collect();
        assert_eq!(
            rows,
            [r#"{"points":1,"race":"x","rider":"a"}"#],
            "none takes the other's place"
        );
        service.create("board", &[("rider", "N")]);
        assert!(matches!(put(sim, &api, item("a", 2, 20)), Err(Failure::Unfit(_))));
        service.delete("board");
        assert!(matches!(put(sim, &api, item("a", 2, 20)), Err(Failure::Missing(_))));
    });
}

#[test]
fn reads_are_in_pieces_and_leave_keys_out() {
    let faults = TableFaults { unprocessed: 0.5, page_items: 2, ..TableFaults::default() };
    with_board(faults, |service, _, sim| {
        service.create("board", &[("race", "S"), ("rider", "S")]);
        let api = open(&service, "a lookup");
        let rider = |rider: &str| ("rider".to_owned(), Value::Text(rider.into()));
        let race = ("race".to_owned(), Value::Text("x".into()));
        for name in ["a", "b", "c"] {
            let mut item = item(name, 1, 10);
            item.item.attributes.push(("race".into(), race.1.clone()));
            put(sim, &api, item).expect("it is written");
        }
        let (wanted, mut from, mut found) = (["rider".to_owned()], None, Vec::new());
        loop {
            let (api, race, wanted) = (api.clone(), race.clone(), wanted.clone());
            let page = sim
                .tasks()
                .wait(async move { api.query(&race, &wanted, from.as_ref()).await })
                .expect("an end")
                .expect("a page");
            assert!(page.items.len() <= 2);
            found.extend(page.items);
            match page.next {
                Some(next) => from = Some(next),
                None => break,
            }
        }
        assert_eq!(found, ["a", "b", "c"].map(|name| vec![rider(name)]));
        let keys: Vec<Attributes> =
            ["a", "b", "c", "d"].map(|name| vec![race.clone(), rider(name)]).into();
        let (asked, looked) = (keys.clone(), api.clone());
        let answer = sim
            .tasks()
            .wait(async move { looked.get_batch(&asked, &["rider".to_owned()]).await })
            .expect("an end")
            .expect("an answer");
        assert!(!answer.left.is_empty() && answer.left.iter().all(|key| keys.contains(key)));
        let absent = usize::from(!answer.left.contains(&keys[3]));
        assert_eq!(answer.items.len() + answer.left.len() + absent, 4);
    });
}
