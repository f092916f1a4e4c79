//! What may be called? The registry of functions, with Flink's names, types and rules.
//!
//! Each family has its file. None is DataFusion's own: their types, NULLs and messages differ from
//! Flink's. A name that is not here is an error at planning: never a function that merely has the
//! same name.

pub(crate) mod aggregates;
pub mod arithmetic;
mod arity;
pub mod as_of;
pub mod cast;
pub mod clock;
mod concat;
pub mod conditional;
mod convert_tz;
pub mod current_watermark;
mod date_format;
mod grouping;
mod hashes;
pub mod interval_times;
pub mod intervals;
pub mod java_comparison;
pub mod json;
mod math;
mod months;
pub mod nested;
pub mod not_null;
mod numeric;
mod old_calendar;
mod patterns;
mod printf;
pub mod random;
pub mod ranks;
mod round;
mod rows;
pub(crate) mod sql_bodied;
mod strings;
mod temporal;
mod times;
mod to_timestamp_ltz;
pub mod type_of;

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion_expr::{AggregateUDF, ScalarUDF, WindowUDF};

pub use aggregates::{
    JsonAggregate, JsonValues, Percentiles, PlannedAggregate, aggregate_type, planned_aggregate,
};

/// All functions by name, lower case.
pub struct Functions {
    scalars: BTreeMap<String, Arc<ScalarUDF>>,
    aggregates: BTreeMap<String, Arc<AggregateUDF>>,
    windows: BTreeMap<String, Arc<WindowUDF>>,
}

impl Default for Functions {
    fn default() -> Self {
        let mut scalars = BTreeMap::new();
        for function in conditional::all()
            .chain(numeric::all())
            .chain(round::all())
            .chain(nested::all())
            .chain(json::udfs())
            .chain(clock::all())
            .chain(random::all())
            .chain([as_of::udf(), concat::udf(), current_watermark::udf(), interval_times::udf()])
            .chain([intervals::difference()])
            .chain([to_timestamp_ltz::udf(), type_of::udf()])
        {
            scalars.insert(function.name().to_string(), Arc::new(function));
        }
        let families = math::ALL
            .into_iter()
            .chain(strings::ALL)
            .chain(patterns::ALL)
            .chain(temporal::ALL)
            .chain([convert_tz::CONVERT_TZ])
            .chain(hashes::ALL)
            .chain(json::ALL);
        for function in families.map(rows::Definition::udf) {
            scalars.insert(function.name().to_string(), Arc::new(function));
        }
        let aggregates = aggregates::all()
            .chain([grouping::udaf()])
            .map(|f| (f.name().to_string(), Arc::new(f)))
            .collect();
        let windows = ranks::all().map(|f| (f.name().to_string(), Arc::new(f))).collect();
        Functions { scalars, aggregates, windows }
    }
}

impl Functions {
    /// The same with scalar functions of the planner's own beside them.
    pub fn with(mut self, more: impl IntoIterator<Item = ScalarUDF>) -> Functions {
        for function in more {
            let before = self.scalars.insert(function.name().to_string(), Arc::new(function));
            debug_assert!(before.is_none(), "no function takes another's place");
        }
        self
    }
    /// Adds a scalar function of the file.
    pub(super) fn add(&mut self, function: ScalarUDF) {
        let name = function.name().to_lowercase();
        let before = self.scalars.insert(name, Arc::new(function));
        debug_assert!(before.is_none(), "no function takes another's place");
    }
    /// Takes a scalar function of the file away.
    pub(super) fn forget(&mut self, name: &str) {
        let is_of_file = self.scalars.get(name).is_some_and(|udf| sql_bodied::is_sql_bodied(udf));
        if is_of_file {
            self.scalars.remove(name);
        }
    }
    /// True if something can be called by this name.
    pub fn knows(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.scalars.contains_key(&name)
            || self.aggregates.contains_key(&name)
            || self.windows.contains_key(&name)
    }
    pub fn scalar(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.scalars.get(&name.to_lowercase()).cloned()
    }
    pub fn aggregate(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.aggregates.get(&name.to_lowercase()).cloned()
    }
    pub fn window(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.windows.get(&name.to_lowercase()).cloned()
    }
    /// Everything that can be called.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let all = self.scalars.keys().chain(self.aggregates.keys()).chain(self.windows.keys());
        all.map(String::as_str).filter(|name| !name.starts_with('('))
    }
    pub fn scalar_names(&self) -> Vec<String> {
        self.scalars.keys().cloned().collect()
    }
    pub(crate) fn aggregate_names(&self) -> Vec<String> {
        self.aggregates.keys().cloned().collect()
    }
    pub(crate) fn window_names(&self) -> Vec<String> {
        self.windows.keys().cloned().collect()
    }
}
