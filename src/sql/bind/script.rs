//! What is a SQL file once it is understood? Its tables, its settings and its queries as plans.
//!
//! Made by `bind`, read by `cli` and by `plan::lower`.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion_expr::LogicalPlan;

use super::{Answer, settings};
use crate::sql::catalog::{Catalog, Table};
use crate::sql::error::{SqlError, TextPlace};
use crate::time::zone::Zone;

/// A SQL file, understood.
pub struct Script {
    pub catalog: Catalog,
    /// SET statements in order; the last one of a key counts.
    pub settings: BTreeMap<String, String>,
    /// Where each was set, if in the file.
    pub setting_places: BTreeMap<String, TextPlace>,
    /// None is UTC.
    pub zone: Option<Zone>,
    pub queries: Vec<BoundQuery>,
    /// Queries of each EXPLAIN: their plan is shown, they are not run.
    pub explained: Vec<Explained>,
    /// What the file asks for and is left out: one sentence each.
    pub notes: Vec<String>,
    /// What SHOW and DESCRIBE say, in their order.
    pub answers: Vec<Answer>,
    /// Functions that it declares.
    pub functions: usize,
}

/// What is said of a file without queries.
pub(crate) const ONLY_DECLARES: &str =
    "the file has no INSERT and no SELECT: there is nothing to run";

/// What one EXPLAIN asks about.
pub struct Explained {
    pub place: TextPlace,
    pub queries: Vec<BoundQuery>,
}

impl Script {
    /// True if the file has tables or functions, or asks what there is, and has no query.
    pub(crate) fn only_declares(&self) -> bool {
        let says_something =
            self.catalog.names().next().is_some() || self.functions > 0 || !self.answers.is_empty();
        self.queries.is_empty() && says_something
    }

    /// A message about settings, with the place of the first that it names in quotes.
    pub fn setting_error(&self, message: String) -> SqlError {
        settings::error(message, &self.setting_places)
    }

    /// For each EXPLAIN, a script of its queries alone.
    pub(crate) fn take_explained(&mut self) -> Vec<Script> {
        let alone = |explained: Explained| Script {
            catalog: Catalog::default(),
            settings: self.settings.clone(),
            setting_places: self.setting_places.clone(),
            zone: self.zone.clone(),
            queries: explained.queries,
            explained: vec![],
            notes: vec![],
            answers: vec![],
            functions: 0,
        };
        std::mem::take(&mut self.explained).into_iter().map(alone).collect()
    }
}

/// One INSERT or SELECT.
pub struct BoundQuery {
    pub target: Target,
    /// Columns are those of the target, in its order.
    pub plan: LogicalPlan,
    pub start: TextPlace,
    /// The place behind it; None at the end of the file.
    pub end: Option<TextPlace>,
    /// Queries of one statement set have the same number.
    pub set: usize,
}

pub enum Target {
    Table(Arc<Table>),
    /// A bare SELECT.
    Print,
}
