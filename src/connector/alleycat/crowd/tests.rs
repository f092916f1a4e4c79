//! Does a crowd come out as its options say, and the same each time?

use std::collections::BTreeMap;

use serde_json::Value;

use super::*;

fn options() -> CrowdOptions {
    let seconds = Some(300);
    CrowdOptions { races: 2, racers: 25, seconds, late_fraction: 0.01, duplicate_fraction: 0.02, ..CrowdOptions::default() }
}

fn events(options: &CrowdOptions, from: u64) -> Vec<CrowdEvent> {
    Crowd::new(options.clone(), from).expect("valid options").collect()
}

fn parsed(options: &CrowdOptions) -> Vec<(i64, Value)> {
    events(options, 0).iter().map(|e| (e.due_ms, serde_json::from_slice(&e.json).expect("JSON"))).collect()
}

fn int(row: &Value, field: &str) -> i64 {
    row[field].as_i64().unwrap_or_else(|| panic!("{field} of {row} is no integer"))
}

fn score(row: &Value) -> f64 {
    let [cadence, resistance] = ["cadence", "resistance"].map(|f| row[f].as_f64().expect("a number"));
    ((cadence + 35.0) * (resistance + 65.0)) / 100.0
}

#[test]
fn the_same_bytes_for_the_same_seed_everywhere() {
    let all = events(&options(), 0);
    assert_eq!(all, events(&options(), 0));
    assert_ne!(all, events(&CrowdOptions { seed: 2, ..options() }, 0));
    // Fixed: a change here changes what every user and every test sees.
    assert_eq!(String::from_utf8_lossy(&all[0].json), FIRST_RECORD);
    let lines: Vec<u8> = all.iter().flat_map(|e| [&e.json[..], b"\n"].concat()).collect();
    assert_eq!(xxhash_rust::xxh3::xxh3_64(&lines), 3_172_406_776_869_637_321);
}

const FIRST_RECORD: &str = r#"{"event":"update","deviceTimestamp":1620240600214,"second":1,"raceId":5400802001,"name":"Yusuf","racerId":133,"classId":6,"cadence":54.3,"resistance":47.2}"#;

#[test]
fn any_record_is_a_place_to_restart() {
    for disturbed in [options(), CrowdOptions { duplicate_fraction: 1.0, late_by_ms: 700, disorder_ms: 3000, ..options() }] {
        let options = CrowdOptions { racers: 3, race_seconds: 7, seconds: Some(40), ..disturbed };
        let all = events(&options, 0);
        for from in 0..=all.len() {
            assert_eq!(events(&options, from as u64), all[from..], "from {from}");
        }
        assert!(events(&options, u64::MAX).is_empty());
    }
    // Far away in a stream without end.
    let endless = CrowdOptions { seconds: None, ..options() };
    let mut far = Crowd::new(endless.clone(), 4_000_000_000).expect("valid options");
    let skipped: Vec<CrowdEvent> = far.by_ref().take(1000).collect();
    assert_eq!(far.sent(), 4_000_001_000);
    let again: Vec<CrowdEvent> = Crowd::new(endless, 4_000_000_500).expect("valid options").take(500).collect();
    assert_eq!(skipped[500..], again);
}

#[test]
fn records_come_in_sending_order_and_disorder_is_bounded() {
    let (mut late, mut backwards, mut before) = (0, 0, i64::MIN);
    let rows = parsed(&options());
    assert!(rows.windows(2).all(|w| w[0].0 <= w[1].0), "sorted by time of sending");
    for (due_ms, row) in &rows {
        let delay_ms = due_ms - int(row, "deviceTimestamp");
        match delay_ms {
            0..=1000 => {}
            20_000..=21_000 => late += 1,
            _ => panic!("{row} is {delay_ms} ms late"),
        }
        backwards += usize::from(int(row, "deviceTimestamp") < before);
        before = int(row, "deviceTimestamp");
    }
    // 1 % of 15,000, and those of them that come twice.
    assert!((150..=165).contains(&late), "{late} late records");
    assert!(backwards > rows.len() / 10, "{backwards} of {} records are out of order", rows.len());
    let tidy = CrowdOptions { disorder_ms: 0, late_fraction: 0.0, ..options() };
    assert!(parsed(&tidy).iter().all(|(due_ms, row)| *due_ms == int(row, "deviceTimestamp")));
}

#[test]
fn as_many_records_as_asked_for_and_duplicates_are_the_same_bytes() {
    let all = events(&options(), 0);
    assert_eq!(all.len(), 15_000 + 300);
    let distinct: std::collections::BTreeSet<&[u8]> = all.iter().map(|e| &e.json[..]).collect();
    assert_eq!(distinct.len(), 15_000);
    let clean = CrowdOptions { duplicate_fraction: 0.0, ..options() };
    assert_eq!(events(&clean, 0).len(), 15_000);
}

#[test]
fn fields_are_those_of_the_demo() {
    let rows = parsed(&options());
    let names = ["event", "deviceTimestamp", "second", "raceId", "name", "racerId", "classId", "cadence", "resistance"];
    for (_, row) in &rows {
        let object = row.as_object().expect("an object");
        assert!(object.len() == names.len() && names.iter().all(|n| object.contains_key(*n)), "{row}");
        let (second, time_ms) = (int(row, "second"), int(row, "deviceTimestamp"));
        assert!((1..=300).contains(&second) && time_ms.rem_euclid(300_000) / 1000 + 1 == second, "{row}");
        assert_eq!(row["event"].as_str() == Some("final"), second == 300);
        assert!([5_400_802_000, 5_400_802_001].contains(&int(row, "raceId")), "{row}");
        assert!((1..=6).contains(&int(row, "classId")) && (100..150).contains(&int(row, "racerId")), "{row}");
        assert!((63.7..=188.75).contains(&score(row)), "{row}");
    }
    assert!(rows.iter().any(|(_, r)| r["cadence"].is_i64()) && rows.iter().any(|(_, r)| r["cadence"].is_f64()));
}

#[test]
fn most_riders_have_their_best_before_the_end() {
    let mut best: BTreeMap<i64, (f64, i64)> = BTreeMap::new();
    let mut last = BTreeMap::new();
    for (_, row) in &parsed(&options()) {
        let now = (score(row), int(row, "second"));
        let best = best.entry(int(row, "racerId")).or_insert(now);
        if now.0 > best.0 {
            *best = now;
        }
        if now.1 == 300 {
            last.insert(int(row, "racerId"), now.0);
        }
    }
    let clearly = best.iter().filter(|(id, (score, second))| *score > last[*id] + 5.0 && (60..=240).contains(second)).count();
    assert!(clearly >= 35, "{clearly} of 50 riders peak in the middle by more than 5 points");
}

#[test]
fn races_follow_one_another_and_a_start_in_a_slot_is_in_the_race() {
    let options = CrowdOptions { start_ms: START_MS + 290_000, seconds: Some(20), late_fraction: 0.0, ..options() };
    let mut seen: Vec<(i64, i64)> = parsed(&options).iter().map(|(_, r)| (int(r, "raceId"), int(r, "second"))).collect();
    seen.sort_unstable();
    seen.dedup();
    let race = |slot: i64, seconds: std::ops::RangeInclusive<i64>| seconds.map(move |s| (slot, s));
    let expected = [5_400_802_000, 5_400_802_001].into_iter().flat_map(|r| race(r, 291..=300));
    let expected = expected.chain([5_400_803_000, 5_400_803_001].into_iter().flat_map(|r| race(r, 1..=10)));
    assert_eq!(seen, expected.collect::<Vec<_>>());
}

#[test]
fn options_out_of_range_are_named() {
    let wrong = |options: CrowdOptions| options.validate().expect_err("out of range");
    assert!(wrong(CrowdOptions { races: 0, ..options() }).starts_with("races must be from 1"));
    assert!(wrong(CrowdOptions { races: 1000, racers: 1000, ..options() }).starts_with("races times racers"));
    assert!(wrong(CrowdOptions { late_fraction: f64::NAN, ..options() }).starts_with("late-fraction"));
}
