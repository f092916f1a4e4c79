//! The files under `queries/`: a first-time user runs them, so each must be understood to the end.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use paceline::config::Config;
use paceline::connector::alleycat::AlleycatOptions;
use paceline::plan::lower::lower;
use paceline::plan::physical::ResultKeys;
use paceline::sql::bind::bind;

/// Each file with how the rows of its result share keys: a board is written over, a history is not.
const FILES: [(&str, ResultKeys); 12] = [
    ("alleycat/leaderboard.sql", ResultKeys::SharedByWindows),
    ("alleycat/top10.sql", ResultKeys::Unique),
    ("alleycat/final-scores.sql", ResultKeys::InOrder),
    ("alleycat/class-bests.sql", ResultKeys::InOrder),
    ("alleycat/clubs.sql", ResultKeys::Unique),
    ("log-errors.sql", ResultKeys::Unique),
    ("sensors.sql", ResultKeys::Unique),
    ("orders.sql", ResultKeys::Unique),
    ("orders-live.sql", ResultKeys::InOrder),
    ("orders-in-euro.sql", ResultKeys::InOrder),
    ("card-fraud.sql", ResultKeys::InOrder),
    ("machine-overheating.sql", ResultKeys::InOrder),
];

fn queries() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("queries")
}

fn text_of(name: &str) -> String {
    std::fs::read_to_string(queries().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

#[test]
fn every_example_has_a_plan_without_unexpected_warnings() {
    for (name, keys) in FILES {
        let text = text_of(name);
        let script = bind(&text).unwrap_or_else(|e| panic!("{}", e.render(name, &text)));
        let config = Config::resolve(&script.settings, 2).unwrap_or_else(|e| panic!("{name}: {e}"));
        let plan = lower(&script, &text, &config, &paceline::connector::Connectors::built_in())
            .unwrap_or_else(|e| panic!("{}", e.render(name, &text)));
        // Early results are sent by the clock, lookups have what is there then, and `check` says
        // so.
        let by_clock = ["orders-live.sql", "alleycat/clubs.sql"].contains(&name);
        assert_eq!(plan.warnings.len(), usize::from(by_clock), "{name}: {:?}", plan.warnings);
        assert!(
            plan.warnings.iter().all(|w| w.contains("not repeatable")),
            "{name}: {:?}",
            plan.warnings
        );
        assert_eq!(plan.sinks.len(), 1, "{name}");
        assert_eq!(plan.sinks[0].keys, keys, "{name}");
        for (key, value) in &script.settings {
            if key.ends_with(".sample") {
                AlleycatOptions::parse_sample(value).unwrap_or_else(|e| panic!("{name}: {e}"));
            }
        }
    }
}

#[test]
fn no_example_is_left_out() {
    let mut found: BTreeSet<String> = BTreeSet::new();
    for folder in [queries(), queries().join("alleycat")] {
        for entry in std::fs::read_dir(&folder).expect("a folder of queries") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|e| e == "sql") {
                let name = path.strip_prefix(queries()).expect("below the folder");
                found.insert(name.display().to_string());
            }
        }
    }
    let listed: BTreeSet<String> = FILES.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(found, listed);
}
