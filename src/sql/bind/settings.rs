//! Which settings hold at this point of the file?
//!
//! Filled from the command line and from SET statements, in their order. What always holds: a
//! setting of the command line has no place in the file, and no SET of the file takes its value
//! away.

use std::collections::BTreeMap;

use crate::sql::catalog::Catalog;
use crate::sql::enforce::Enforcers;
use crate::sql::error::{SqlError, TextPlace};
use crate::time::zone::Zone;

/// Settings of Flink that make it emit other rows, with the only value that is supported.
const CHANGES_RESULTS: [(&str, &str); 1] = [("table.exec.legacy-cast-behaviour", "disabled")];

/// The session's time zone.
const ZONE: &str = "table.local-time-zone";

/// The settings so far.
#[derive(Default)]
pub(super) struct Settings {
    pub(super) values: BTreeMap<String, String>,
    /// Where each was set, if in the file.
    pub(super) places: BTreeMap<String, TextPlace>,
    /// None is UTC.
    pub(super) zone: Option<Zone>,
}

impl Settings {
    /// Takes a setting that counts more than the file's own.
    pub(super) fn override_with(
        &mut self,
        key: &str,
        value: &str,
        declared: &Catalog,
    ) -> Result<(), SqlError> {
        self.check(key, value, declared)?;
        self.values.insert(key.to_string(), value.to_string());
        debug_assert!(
            !self.places.contains_key(key),
            "what comes from outside is taken before the file is read"
        );
        Ok(())
    }

    /// Takes a SET of the file, unless the setting is given from outside.
    pub(super) fn set(
        &mut self,
        key: &str,
        value: &str,
        place: TextPlace,
        declared: &Catalog,
    ) -> Result<(), SqlError> {
        if self.values.contains_key(key) && !self.places.contains_key(key) {
            return Ok(());
        }
        self.check(key, value, declared).map_err(|e| e.at(Some(place)))?;
        self.places.insert(key.to_string(), place);
        self.values.insert(key.to_string(), value.to_string());
        Ok(())
    }

    /// Takes back what SETs of the file have said of a key, or of all.
    pub(super) fn reset(&mut self, key: Option<&str>, declared: &Catalog) -> Result<(), SqlError> {
        let keys: Vec<String> = match key {
            Some(key) => self.places.remove(key).map(|_| key.to_string()).into_iter().collect(),
            None => std::mem::take(&mut self.places).into_keys().collect(),
        };
        for key in keys {
            if key == ZONE {
                self.set_zone("UTC", declared)?;
            }
            self.values.remove(&key);
        }
        Ok(())
    }

    /// Settings that do not matter here are ignored with a warning when the job's are resolved;
    /// some would give other results.
    fn check(&mut self, key: &str, value: &str, declared: &Catalog) -> Result<(), SqlError> {
        if key == ZONE {
            self.set_zone(value, declared)?;
        }
        if CHANGES_RESULTS.iter().any(|(k, v)| *k == key && !value.eq_ignore_ascii_case(v)) {
            return Err(SqlError::new(format!("'{key}' = '{value}' is not supported yet")));
        }
        Ok(())
    }

    fn set_zone(&mut self, name: &str, declared: &Catalog) -> Result<(), SqlError> {
        let zone = Zone::parse(name).map_err(SqlError::new)?;
        // Tables and windows hold what they were declared with.
        if zone != self.zone && declared.names().next().is_some() {
            return Err(SqlError::new(
                "'table.local-time-zone' is set after a table or view was declared",
            )
            .help("set it first"));
        }
        self.zone = zone;
        Ok(())
    }

    /// What an INSERT at this point does with values that its table does not take.
    pub(super) fn enforcers(&self) -> Result<Enforcers, SqlError> {
        Enforcers::of(&self.values).map_err(|e| error(e.message, &self.places))
    }
}

/// A message about settings, with the place of the first that it names in quotes.
pub(super) fn error(message: String, places: &BTreeMap<String, TextPlace>) -> SqlError {
    let place = message.split('\'').skip(1).step_by(2).find_map(|key| places.get(key).copied());
    SqlError::new(message).at(place)
}
