//! From a query's rows to the table they go to: keys, changes, and what cannot be held.

use std::collections::BTreeSet;

use super::{Above, Fragment, Late, Lowering, PlanResult, Role, unsupported};
use crate::format::json::{EncodeOptions, JsonEncoder, JsonError};
use crate::operator::top_n::ended::EndedRanksSpec;
use crate::operator::top_n::{TopNSpec, TopNStage};
use crate::plan::connectors::RowsTaken;
use crate::plan::fingerprint;
use crate::plan::physical::{OperatorPlan, ResultKeys, SinkPlan, SinkTarget};
use crate::sql::bind::{BoundQuery, Target};
use crate::sql::catalog::Table;
use crate::types::sql_name;

/// A board may have so many ranks if those that end are to be deleted: all are asked for once.
const RANKS_MAX: usize = 10_000;

impl Lowering<'_> {
    pub(super) fn query(&mut self, query: &BoundQuery) -> PlanResult<()> {
        self.fingerprint.push_str(&format!("{}\n", query.plan.display_indent()));
        let fragment = self.plan(&query.plan, Above::default())?;
        let mut fragment = self.assign_windows(fragment, Late::Kept)?;
        let schema = fragment.arrow_schema()?;
        let number = self.sinks.len();
        let (name, target, keys) = match &query.target {
            Target::Print => {
                if let Err(JsonError::UnsupportedType { column, data_type }) =
                    JsonEncoder::new(&schema, EncodeOptions::default())
                {
                    return unsupported(format!(
                        "a SELECT with a column of type {}: '{column}'",
                        sql_name(&data_type)
                    ));
                }
                (format!("select_{}", number + 1), SinkTarget::Print, ResultKeys::InOrder)
            }
            Target::Table(table) => {
                let keys = self.result_keys(table, &fragment);
                let (options, key) = (fingerprint::identity(table), table.upsert_key());
                self.fingerprint.push_str(&format!(
                    "into {} {options} {key:?} {:?}\n",
                    table.name,
                    fragment.arrow_schema()?
                ));
                (table.name.clone(), SinkTarget::Table(table.clone()), keys)
            }
        };
        let sink_key: Vec<usize> = match &target {
            SinkTarget::Table(table) => self.sink_key(table),
            SinkTarget::Print => vec![],
        };
        let key = sink_key.iter().map(|&c| fragment.schema.field(c).name().clone()).collect();
        let shrinks = match keys {
            ResultKeys::SharedByWindows => self.end_ranks(&target, &sink_key, &fragment),
            ResultKeys::Unique | ResultKeys::InOrder => false,
        };
        let is_dealt =
            fragment.updates && self.deliver_changes(&target, &sink_key, &mut fragment)?;
        if !sink_key.is_empty() && !is_dealt {
            // One writer owns a key: its writes have an order.
            self.exchange(&mut fragment, sink_key);
        }
        if let Some(existing) = self.sinks.iter().position(|s| s.name == name) {
            let sink = &mut self.sinks[existing];
            // Results of two INSERTs may share a key.
            sink.keys = if sink.keys == ResultKeys::InOrder || keys == ResultKeys::InOrder {
                ResultKeys::InOrder
            } else {
                ResultKeys::SharedByWindows
            };
            sink.updates |= fragment.updates || shrinks;
            self.chains.end_in_sink(fragment.chain, existing);
            return Ok(());
        }
        self.chains.end_in_sink(fragment.chain, number);
        let updates = fragment.updates || shrinks;
        self.sinks.push(SinkPlan { name, target, schema, updates, key, keys });
        Ok(())
    }

    /// Has ranks deleted that a board has no more in a later window, where the table has a row for
    /// each rank. True if that is so.
    fn end_ranks(&mut self, target: &SinkTarget, sink_key: &[usize], fragment: &Fragment) -> bool {
        let SinkTarget::Table(table) = target else { return false };
        if self.rows_taken(table) != RowsTaken::Keyed {
            return false;
        }
        let (mut ranks, mut boards) = (Vec::new(), BTreeSet::new());
        for &column in sink_key {
            match fragment.roles[column] {
                Role::Rank(keys) => ranks.push((column, keys)),
                Role::RankKey(n) => drop(boards.insert((n, column))),
                _ => return false,
            }
        }
        // Each once: nothing else tells the rows of a window apart.
        let [(rank, keys)] = ranks[..] else { return false };
        if boards.len() != keys || sink_key.len() != keys + 1 {
            return false;
        }
        // Only what leaves the rows of a window together may stand between.
        let together = |o: &&OperatorPlan| {
            matches!(o, OperatorPlan::Calc { .. } | OperatorPlan::EndedWindows(_))
        };
        let before = self.chains.operators(fragment.chain).iter().rev().find(|o| !together(o));
        let Some(OperatorPlan::TopN(TopNSpec { limit, .. }, TopNStage::Number)) = before else {
            return false;
        };
        let limit = *limit;
        if limit > RANKS_MAX {
            self.warnings.push(format!(
                "a window with fewer ranks than an earlier one leaves that one's last ranks in '{}': they are deleted only for boards \
                 of up to {RANKS_MAX}",
                table.name
            ));
            return false;
        }
        let boards = boards.into_iter().map(|(_, column)| column).collect();
        self.push(fragment, OperatorPlan::EndedRanks(EndedRanksSpec { boards, rank, limit }));
        true
    }

    /// The columns of a table's key among those that are written.
    fn sink_key(&self, table: &Table) -> Vec<usize> {
        let columns = table.sink_columns();
        let key = match self.rows_taken(table) {
            RowsTaken::New => &[],
            RowsTaken::Keyed => table.upsert_key(),
            // What it is partitioned by tells no rows apart there.
            RowsTaken::Changes => &table.primary_key[..],
        };
        key.iter()
            .filter_map(|k| columns.iter().position(|&c| table.columns[c].name == *k))
            .collect()
    }

    fn rows_taken(&self, table: &Table) -> RowsTaken {
        self.connectors.uses(table).rows
    }

    /// Makes changes fit the table they go to, or says why they do not. True if that has dealt them
    /// out by the table's key.
    fn deliver_changes(
        &mut self,
        target: &SinkTarget,
        sink_key: &[usize],
        fragment: &mut Fragment,
    ) -> PlanResult<bool> {
        let SinkTarget::Table(table) = target else { return Ok(false) };
        let name = &table.name;
        let takes_all = self.rows_taken(table) == RowsTaken::Changes;
        if sink_key.is_empty() && !takes_all {
            return unsupported(format!(
                "the result is updated as rows arrive, and table '{name}' ({}) only takes new rows: group by a window, or write \
                 into a table with PRIMARY KEY (...) NOT ENFORCED and the connector 'dynamodb'",
                table.connector()
            ));
        }
        let has: BTreeSet<usize> = sink_key.iter().copied().collect();
        match &fragment.key {
            _ if sink_key.is_empty() => {}
            // Who prints rows is shown each change, whatever key the table has.
            _ if takes_all => {}
            // With more columns in the table's key an update may move a row to another key: its old
            // one is deleted.
            Some(key) if key.is_subset(&has) => {
                let is_scattered = fragment.scattered;
                if is_scattered {
                    self.gather(fragment, sink_key)?;
                }
                self.push(fragment, OperatorPlan::Upserts(sink_key.to_vec()));
                return Ok(is_scattered);
            }
            // Several rows may share a key: the last of those that are there stands for all.
            key => {
                let names = |columns: &BTreeSet<usize>| -> Vec<String> {
                    let name = |&c: &usize| format!("'{}'", fragment.schema.field(c).name());
                    columns.iter().map(name).collect()
                };
                let rows = match key {
                    Some(key) if !key.is_empty() => {
                        format!("there is one for each {}", names(key).join(", "))
                    }
                    Some(_) => "there is a single one".into(),
                    None => "no columns tell them apart".into(),
                };
                self.warnings.push(format!(
                    "several rows of the result can share a key of '{name}' ({}), since {rows}: the one that came last stays, and when \
                     it is taken back the one before it; all of them are kept",
                    names(&has).join(", ")
                ));
                self.keep_newest(fragment, sink_key)?;
                self.push(fragment, OperatorPlan::Upserts(sink_key.to_vec()));
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How the rows of a query share the key of the table they go to.
    pub(super) fn result_keys(&mut self, table: &Table, fragment: &Fragment) -> ResultKeys {
        let Some(fired) = &fragment.fired else { return ResultKeys::InOrder };
        let sink_key: BTreeSet<usize> = self.sink_key(table).into_iter().collect();
        if sink_key.is_empty() {
            return ResultKeys::Unique;
        }
        let names_window = sink_key.iter().any(|&c| match fragment.roles[c] {
            Role::WindowEnd | Role::WindowTime => true,
            Role::WindowStart => fired.start_is_unique(),
            Role::Plain | Role::SessionKey(_) | Role::Rank(_) | Role::RankKey(_) => false,
        });
        let names_row = fragment.key.as_ref().is_some_and(|key| key.is_subset(&sink_key));
        if !names_row {
            self.warnings.push(format!(
                "several results of one window can share a key of '{}' ({}): which of them stays is not defined; add the \
                 grouping columns to the key",
                table.name,
                table.upsert_key().join(", ")
            ));
        }
        if names_window && names_row { ResultKeys::Unique } else { ResultKeys::SharedByWindows }
    }
}
