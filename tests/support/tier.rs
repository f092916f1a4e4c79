//! How much does a run of the tests do? Asked by every test that could go on for longer: one that
//! draws from seeds, kills a job, or makes up bytes. What always holds: this is the only place that
//! reads PACELINE_TIER.

const VARIABLE: &str = "PACELINE_TIER";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// What a developer runs: minutes.
    Plain,
    /// What a change must pass.
    Ci,
    /// All that a night has time for.
    Nightly,
}

impl Tier {
    /// The one that was asked for. Without a word, the plain one.
    pub fn chosen() -> Tier {
        match std::env::var(VARIABLE).as_deref() {
            Err(_) | Ok("plain") => Tier::Plain,
            Ok("ci") => Tier::Ci,
            Ok("nightly") => Tier::Nightly,
            Ok(other) => panic!("{VARIABLE}={other}: it is plain, ci or nightly"),
        }
    }
}

/// The amount that belongs to the tier that was asked for.
pub fn by_tier<T>(plain: T, ci: T, nightly: T) -> T {
    match Tier::chosen() {
        Tier::Plain => plain,
        Tier::Ci => ci,
        Tier::Nightly => nightly,
    }
}
