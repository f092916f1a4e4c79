//! Which queries of a file have to wait for others?
//!
//! All INSERTs of a file run as one job. But a query that reads a table from its beginning to its
//! end, which an INSERT before it writes, would find what was there when the job began: it waits
//! for that INSERT, and runs as a job of its own. What always holds: the queries of a statement set
//! run as one job, as it asks for.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::LogicalPlan;

use super::script::{BoundQuery, Script, Target};
use crate::sql::catalog::{PlannedTable, Table};
use crate::sql::hints;

impl Script {
    /// The jobs of the file, one after the other. `ends`: whether reading a table comes to an end
    /// that does not wait for what is still written.
    pub(crate) fn stages(self, ends: &dyn Fn(&Table) -> bool) -> Vec<Script> {
        let numbers = numbers(&self.queries, ends);
        let last = numbers.iter().copied().max().unwrap_or(0);
        if last == 0 {
            return vec![self];
        }
        let mut stages: Vec<Vec<BoundQuery>> = (0..=last).map(|_| Vec::new()).collect();
        for (query, number) in self.queries.into_iter().zip(numbers) {
            stages[number].push(query);
        }
        let stage = |queries| Script {
            catalog: self.catalog.clone(),
            settings: self.settings.clone(),
            setting_places: self.setting_places.clone(),
            zone: self.zone.clone(),
            queries,
            explained: vec![],
            notes: vec![],
            answers: vec![],
            functions: 0,
        };
        stages.into_iter().filter(|queries| !queries.is_empty()).map(stage).collect()
    }
}

/// For each query the number of its job.
fn numbers(queries: &[BoundQuery], ends: &dyn Fn(&Table) -> bool) -> Vec<usize> {
    let mut numbers: Vec<usize> = Vec::new();
    // The statement sets so far that write a table, with the last job in which one does.
    let mut written: BTreeMap<String, Vec<(usize, usize)>> = BTreeMap::new();
    for set in queries.chunk_by(|a, b| a.set == b.set) {
        let reads = set.iter().flat_map(|query| tables_of(&query.plan)).filter(|t| ends(t));
        let number = reads
            .flat_map(|table| written.get(hints::base_name(&table.name)).into_iter().flatten())
            .map(|(_, number)| number + 1)
            .max()
            .unwrap_or(0);
        for query in set {
            if let Target::Table(table) = &query.target {
                let name = hints::base_name(&table.name).to_string();
                written.entry(name).or_default().push((query.set, number));
            }
            numbers.push(number);
        }
    }
    numbers
}

/// The tables that a plan reads.
fn tables_of(plan: &LogicalPlan) -> Vec<Arc<Table>> {
    let mut tables = Vec::new();
    // The walk cannot fail: its closure does not.
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(PlannedTable(table)) = scan.source.downcast_ref::<PlannedTable>()
        {
            tables.push(table.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    tables
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::bind::bind;

    #[test]
    fn who_reads_what_was_written_before_waits() {
        let table = |name: &str| {
            format!(
                "CREATE TABLE {name} (a INT) WITH ('connector'='filesystem','format'='json','path'='{name}');"
            )
        };
        let tables: String = ["a", "b", "c"].map(table).concat();
        for (queries, wanted) in [
            ("INSERT INTO b SELECT a FROM a; INSERT INTO c SELECT a FROM a", vec![0, 0]),
            (
                "INSERT INTO b SELECT a FROM a; INSERT INTO c SELECT a FROM b; SELECT a FROM c",
                vec![0, 1, 2],
            ),
            ("SELECT a FROM b; INSERT INTO b SELECT a FROM a", vec![0, 0]),
            (
                "EXECUTE STATEMENT SET BEGIN INSERT INTO b SELECT a FROM a; INSERT INTO c SELECT a FROM b; END;",
                vec![0, 0],
            ),
            ("INSERT INTO b SELECT a FROM a; SELECT a FROM b /*+ OPTIONS('x'='y') */", vec![0, 1]),
        ] {
            let script = bind(&format!("{tables}{queries};")).expect(queries);
            assert_eq!(numbers(&script.queries, &|_| true), wanted, "{queries}");
            assert_eq!(numbers(&script.queries, &|_| false), vec![0; wanted.len()], "{queries}");
        }
    }
}
