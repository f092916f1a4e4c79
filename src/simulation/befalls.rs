//! What befalls the table of results while a job writes into it, and what must come of that?
//!
//! Another job with a corrected query, a table that is made again as it was, or with another key.
//! Made by `world`, which asks at the turn that `scenario` names and at the end of each process.
//! What always holds: nothing befalls the table before the job's run has begun, so that the run
//! which began later is the later one.

use std::sync::{Arc, Mutex};

use super::life::{Life, Lived, Noticed, Rival, Surroundings, has_begun};
use super::lock;
use super::process::{Around, Seen, TABLE};
use super::queries::Asked;
use super::scenario::{Scenario, ToTable};
use crate::files::memory::Tree;
use crate::runtime::error::JobError;
use crate::runtime::job::Outcome;
use crate::who::{Again, Who};

/// How long a job may write into a table that has changed its key before it knows: it looks every
/// minute, and sees the answer a minute later.
const NOTICED_WITHIN_MS: i64 = 150_000;
/// How well a run knows when it began, by the clock of the table.
const CLOCK_GRAIN_MS: i64 = 10_000;

/// What befalls the table of one world.
pub(super) struct Befalls {
    scenario: Scenario,
    around: Around,
    /// The other job, once there is one. By itself, since it runs while this is asked.
    rival: Option<Arc<Mutex<Life>>>,
    rival_lived: Option<Lived>,
    /// When it happened, by the service's clock.
    at_ms: Option<i64>,
    failed: Option<String>,
}

impl Befalls {
    pub fn new(scenario: &Scenario, around: &Around) -> Befalls {
        Befalls {
            scenario: scenario.clone(),
            around: around.clone(),
            rival: None,
            rival_lived: None,
            at_ms: None,
            failed: None,
        }
    }

    /// Runs a process of the other job. False if there is none left.
    fn rival_steps(&mut self) -> bool {
        let ToTable::Rival { processes, .. } = &self.scenario.to_table else { return false };
        if self.rival_lived.is_some() || self.failed.is_some() {
            return false;
        }
        let rival = self.rival.get_or_insert_with(|| {
            // Two runs that begin in one millisecond are the same one to a table.
            let time = &self.around.time;
            time.advance_to(time.elapsed() + std::time::Duration::from_millis(1));
            let scenario = self.scenario.of_rival(processes.clone());
            Arc::new(Mutex::new(Life::new(&scenario, &self.around, Asked::Corrected)))
        });
        match lock(rival).step() {
            Ok(lived) => self.rival_lived = lived,
            Err(what) => self.failed = Some(format!("the corrected job: {what}")),
        }
        true
    }

    fn make(&mut self, key: &[(&str, &str)]) {
        if self.at_ms.is_none() {
            self.at_ms = Some(self.around.tables.now_ms());
            self.around.tables.create(TABLE, key);
        }
    }

    /// Runs the other job to its end. True if there is one.
    pub fn finish(&mut self) -> Result<bool, String> {
        while self.rival_steps() {}
        self.failed()?;
        Ok(self.rival_lived.is_some())
    }

    /// Adds to what came of the first job what came of the other one. `run_ms`: that of the first.
    pub fn end(&self, lived: &mut Lived, run_ms: Option<i64>) {
        lived.is_cleared = self.at_ms.is_some();
        if let (Some(rival), Some(of_rival)) = (&self.rival, &self.rival_lived) {
            let wins = lock(rival).run_ms > run_ms;
            lived.other_run += of_rival.other_run;
            lived.rival = Some(Rival { errors: of_rival.answer.errors.clone(), wins });
        }
    }

    /// What has happened to the other job, for people.
    pub fn trace(&self) -> Vec<String> {
        let lines = self.rival.iter().flat_map(|rival| lock(rival).trace.clone());
        lines.map(|line| format!("{line} (the corrected job)")).collect()
    }
}

impl Surroundings for Befalls {
    fn next(&mut self, process: usize, disk: &Tree) {
        if process < self.scenario.to_table_in || !has_begun(disk) || self.failed.is_some() {
            return;
        }
        match self.scenario.to_table.clone() {
            ToTable::Nothing => {}
            ToTable::Rival { at_once, .. } => while self.rival_steps() && at_once {},
            ToTable::MadeAgain => self.make(self.scenario.query.key),
            ToTable::OtherKey(key) => self.make(key),
        }
    }

    fn failed(&mut self) -> Result<(), String> {
        self.failed.take().map_or(Ok(()), Err)
    }

    fn noticed(&self, error: &JobError) -> Noticed {
        let text = error.to_string();
        let is_it = self.at_ms.is_some()
            && matches!(self.scenario.to_table, ToTable::OtherKey(_))
            && error.who() == Who::Outside(Again::IsInVain)
            && text.contains("DynamoDB table 'res'")
            && text.contains("key");
        if is_it { Noticed::AsItShould } else { Noticed::Nothing }
    }

    fn check(
        &self,
        seen: &Seen,
        outcome: &Result<Outcome, JobError>,
        began_ms: i64,
    ) -> Result<(), String> {
        let is_told = seen.health.causes.iter().any(|cause| cause.contains("made again"));
        let Some(at_ms) = self.at_ms else {
            let surely = "the table was not made again, and it is told".into();
            return if is_told { Err(surely) } else { Ok(()) };
        };
        let went_on = matches!(outcome, Ok(Outcome::Finished | Outcome::Stopped));
        let now_ms = self.around.tables.now_ms();
        if let ToTable::OtherKey(key) = self.scenario.to_table
            && went_on
            && (at_ms < began_ms || now_ms - at_ms > NOTICED_WITHIN_MS)
        {
            return Err(format!("the key of the table is {key:?} by now, and the job went on"));
        }
        // It said something of itself, so it had looked at the table.
        let has_looked = !seen.health.status.is_empty() && at_ms < began_ms;
        let is_later = seen.run_ms.is_some_and(|run_ms| run_ms + CLOCK_GRAIN_MS < at_ms);
        if matches!(self.scenario.to_table, ToTable::MadeAgain)
            && has_looked
            && is_later
            && !is_told
        {
            return Err("the table was made again, and nobody was told".into());
        }
        Ok(())
    }
}
