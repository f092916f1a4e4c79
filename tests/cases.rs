//! The recorded cases, each a test or several that `cargo test` can name: `windows::hop` runs one in variations,
//! `windows::hop::kills` kills it by seeds, `windows::hop::every_kill` at every point (nightly), `top_n::topn::dealt` deals its
//! rows over files. What they are is in `tests/conformance/`; which there are, the folders of `tests/cases/` say.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::panic::resume_unwind;

use libtest_mimic::{Arguments, Trial};

use conformance::case::{Case, discover};
use conformance::head::Word;
use conformance::{head, list, runs};
use support::tier::Tier;

mod conformance;

/// What of `tests/support` the cases need: servers and their clients are compiled for `tests/all.rs` alone.
#[expect(dead_code, reason = "some of it is for tests/all.rs")]
#[path = "support"]
mod support {
    pub mod changelog_sink;
    pub mod job;
    pub mod seeds;
    pub mod tier;
}

fn main() {
    let arguments = Arguments::from_args();
    libtest_mimic::run(&arguments, trials()).exit();
}

fn trials() -> Vec<Trial> {
    let found = discover();
    // Short ones last, so that all threads are busy to the end.
    let (mut long, mut short) = (Vec::new(), Vec::new());
    for (name, case) in &found {
        let case = match case {
            Ok(case) => case.clone(),
            Err(problem) => {
                let problem = problem.clone();
                long.push(trial(name.clone(), move || panic!("{problem}")));
                continue;
            }
        };
        let of_case = |part: &str, run: fn(&Case)| {
            let case = case.clone();
            trial(format!("{name}{part}"), move || run(&case))
        };
        if case.is_refused() {
            short.push(of_case("", runs::refused));
            continue;
        }
        if Tier::chosen() == Tier::Nightly {
            long.push(of_case("::every_kill", runs::every_kill));
        }
        long.push(of_case("::kills", runs::kills));
        short.push(of_case("", runs::plain));
        if case.head.says(&Word::DealtOverFiles) {
            short.push(of_case("::dealt", runs::dealt));
        }
    }
    short.push(trial("heads_are_read_strictly".into(), head::are_read_strictly));
    short.push(trial("list_of_cases".into(), move || list::is_true(&found)));
    long.append(&mut short);
    long
}

/// A test in a thread that has its name, by which a failing seed says how it is run again.
fn trial(name: String, run: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name.clone(), move || {
        let thread = std::thread::Builder::new().name(name).spawn(run).unwrap();
        thread.join().map_err(|panic| resume_unwind(panic))
    })
}
