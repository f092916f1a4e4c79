//! Which seeds does a test run, and how is one that failed run again?
//!
//! Called by every test that draws from a seed: those of `tests/`, and those of `src/`, which has
//! this file as its `seeds`. What always holds: a seed that fails prints the one line that runs it
//! again and nothing but it; with PACELINE_SEED set, a test runs that seed, whether or not it is
//! among its own.

use std::ops::Range;

const VARIABLE: &str = "PACELINE_SEED";

/// The seed that was asked for. Without one, a test runs all of its own.
pub fn chosen() -> Option<u64> {
    let text = std::env::var(VARIABLE).ok()?;
    Some(text.parse().unwrap_or_else(|e| panic!("{VARIABLE}={text}: {e}")))
}

/// Runs the seeds one after the other, or the one that was asked for.
pub fn each_seed(seeds: Range<u64>, mut run: impl FnMut(u64)) {
    for number in chosen().map_or(seeds, |seed| seed..seed + 1) {
        let seed = Seed { number };
        run(seed.number);
    }
}

/// The seed of a test that has one: this, or the one that was asked for. To be kept until the test
/// has looked at its results.
pub fn one_seed(usual: u64) -> Seed {
    Seed { number: chosen().unwrap_or(usual) }
}

/// A seed in use: says how to run it again if the test fails meanwhile.
pub struct Seed {
    pub number: u64,
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to run this seed again: {}", line(self.number));
        }
    }
}

fn line(seed: u64) -> String {
    // The crate that this file was compiled into tells the target.
    let target = match module_path!().split("::").next() {
        None | Some("paceline") => "--lib".to_owned(),
        Some(target) => format!("--test {target}"),
    };
    // The harness names the thread of a test after it, but for the main one.
    let thread = std::thread::current();
    match thread.name() {
        None | Some("main") => format!("{VARIABLE}={seed} cargo test {target}"),
        Some(test) => format!("{VARIABLE}={seed} cargo test {target} -- --exact {test}"),
    }
}
