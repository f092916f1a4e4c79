//! The plan of a script, made once: planning takes longer than most worlds.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::config::Config;
use crate::connector::Connectors;
use crate::plan::lower::lower;
use crate::plan::physical::PhysicalPlan;
use crate::sql::bind::bind;

/// A script as a job needs it.
pub(super) struct Planned {
    pub plan: PhysicalPlan,
    pub config: Config,
}

thread_local! {
    static PLANS: RefCell<BTreeMap<(String, usize), Rc<Planned>>> = const { RefCell::new(BTreeMap::new()) };
}

/// The plan of a script for so many workers.
pub(super) fn planned(sql: &str, workers: usize, connectors: &Connectors) -> Rc<Planned> {
    let key = (sql.to_owned(), workers);
    if let Some(known) = PLANS.with(|plans| plans.borrow().get(&key).cloned()) {
        return known;
    }
    let script = bind(sql).unwrap_or_else(|e| panic!("{}", e.render("query.sql", sql)));
    let config = Config::resolve(&script.settings, workers)
        .unwrap_or_else(|e| panic!("{}", script.setting_error(e).render("query.sql", sql)));
    let config = Config { workers, ..config };
    let plan = lower(&script, sql, &config, connectors)
        .unwrap_or_else(|e| panic!("{}", e.render("query.sql", sql)));
    let planned = Rc::new(Planned { plan, config });
    PLANS.with(|plans| plans.borrow_mut().insert(key, planned.clone()));
    planned
}
