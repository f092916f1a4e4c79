//! Connector `faker`: rows whose values are made by expressions of Datafaker, such as
//! `#{Name.fullName}`, with the options of the connector of that name for Flink.
//!
//! The rows are those of `datagen`'s source; here is what a value looks like. In reading order:
//! `options` (which expression makes which column), `expression` (templates), `providers` (names,
//! numbers, dates), `regexify`. What always holds: a value depends on the table's seed, the column,
//! the row and the time the run began; words come from short lists of our own. Looked up (`lookup`),
//! the table has one row for any key.

mod expression;
mod lookup;
mod options;
mod providers;
mod regexify;

use std::sync::Arc;

use super::datagen::DatagenOptions;
use super::datagen::{declared, source_of};
use super::error::{ConnectError, config_error};
use super::{Connector, Environment, LooksUp, Reads, formats};
use crate::lookup::LookupTable;
use crate::lookup::options::LookupOptions;
use crate::options::{OptionKind, OptionSpec};
use crate::plan::connectors::{Access, Uses};
use crate::plan::physical::{LookupPlan, SourcePlan};
use crate::source::Source;
use crate::sql::catalog::Table;
use crate::sql::hints;
use lookup::FakerLookup;

const OPTIONS: [OptionSpec; 5] = [
    OptionSpec::new(
        "rows-per-second",
        OptionKind::Number(1, u64::MAX),
        "how many rows come in a second",
    )
    .or("10000"),
    OptionSpec::new(
        "number-of-rows",
        OptionKind::Number(1, u64::MAX),
        "rows in all; without it no end",
    ),
    OptionSpec::new(
        "fields.<column>.expression",
        OptionKind::Text,
        "what makes the value: text with #{Provider.method 'argument', ...}; of an ARRAY its elements, of a MAP `fields.<column>.key.expression` and `.value.expression`, of a ROW `fields.<column>.<field>.expression`",
    ),
    OptionSpec::new("fields.<column>.null-rate", OptionKind::Share, "share of NULLs").or("0"),
    OptionSpec::new(
        "fields.<column>.length",
        OptionKind::Number(0, 10_000),
        "elements of a collection",
    )
    .or("1"),
];

pub(crate) struct Faker;

impl Connector for Faker {
    fn name(&self) -> &'static str {
        "faker"
    }
    fn about(&self) -> &'static str {
        "Made-up rows by expressions of Datafaker, the same in every run. A provider that has no list here gives made-up words."
    }
    fn options(&self) -> Vec<OptionSpec> {
        OPTIONS.to_vec()
    }
    fn uses(&self) -> Uses {
        Uses { access: Access::Either, ..Uses::default() }
    }
    fn reads(&self) -> Option<&dyn Reads> {
        Some(self)
    }
    fn looks_up(&self) -> Option<&dyn LooksUp> {
        Some(self)
    }
}

fn parsed(table: &Table) -> Result<DatagenOptions, ConnectError> {
    options::parse(&formats::without_format(table), &declared(table))
        .map_err(|e| config_error(table, e))
}

impl LooksUp for Faker {
    fn notes(&self, table: &Table) -> Vec<String> {
        let name = hints::base_name(&table.name);
        vec![format!(
            "note: table '{name}' is looked up: it has a row for any key, made from the key, the same whenever it is asked"
        )]
    }

    fn check(&self, plan: &LookupPlan) -> Result<(), ConnectError> {
        parsed(&plan.source.table).map(|_| ())
    }

    fn table(
        &self,
        plan: &LookupPlan,
        _options: &LookupOptions,
        env: &Environment<'_>,
    ) -> Result<Arc<dyn LookupTable>, ConnectError> {
        let fields = parsed(&plan.source.table)?.fields;
        Ok(Arc::new(FakerLookup::new(plan, fields, env.run_ms)?))
    }
}

impl Reads for Faker {
    fn check(&self, plan: &SourcePlan) -> Result<(), ConnectError> {
        parsed(&plan.table).map(|_| ())
    }

    fn is_endless(&self, table: &Table) -> bool {
        options::parse(&formats::without_format(table), &declared(table))
            .is_ok_and(|options| options.rows.is_none())
    }

    fn source(
        &self,
        plan: &SourcePlan,
        env: &Environment<'_>,
    ) -> Result<Arc<dyn Source>, ConnectError> {
        source_of(plan, parsed(&plan.table)?, env)
    }
}
