//! From a table's name to the name of a file.
//!
//! Called by `connect` where `--local` looks for a sample beside the query or keeps a result in the state directory. A quoted
//! name can hold anything, also what means a place elsewhere to the file system. What always holds: the path that is given
//! lies in the folder that was asked for; a name that would lead out of it is an error at the table's place.

use std::path::{Component, Path, PathBuf};

use crate::connector::error::{ConnectError, config_error};
use crate::sql::catalog::Table;
use crate::sql::hints;

/// The file with a table's sample.
pub fn sample(table: &Table, folder: &Path) -> Result<PathBuf, ConnectError> {
    let name = hints::base_name(&table.name);
    if leads_out(name) {
        let reason = format!(
            "its name leads out of the folder of samples, {}: give it another one, or name its sample with SET 'paceline.<table>.sample'",
            folder.display()
        );
        return Err(config_error(table, reason));
    }
    Ok(folder.join(format!("{name}.jsonl")))
}

/// The folder of the embedded table that stands in for a remote one.
pub fn embedded(table: &Table, folder: &Path) -> Result<PathBuf, ConnectError> {
    let name = hints::short_name(&table.name);
    // A table within the folder of another one would share its files.
    if Path::new(&*name).file_name() != Some(std::ffi::OsStr::new(&*name)) {
        let reason = "under --local its rows are kept in a folder of that name, which cannot hold a path: give it another one";
        return Err(config_error(table, reason));
    }
    Ok(folder.join(&*name))
}

fn leads_out(name: &str) -> bool {
    !Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::sql::error::TextPlace;

    fn table(name: &str) -> Table {
        let place = TextPlace { line: 3, column: 14 };
        let (columns, options) = (vec![], BTreeMap::new());
        Table { name: name.into(), columns, watermark: None, primary_key: vec![], partitioned_by: vec![], options, place }
    }

    #[test]
    fn names_that_lead_out_are_refused() {
        let folder = Path::new("q.samples");
        for (name, is_sample, is_table) in [
            ("rides", true, true),
            ("my rides-1.x", true, true),
            ("..rides", true, true),
            ("a/b", true, false),
            ("a/", true, false),
            ("..", false, false),
            (".", false, false),
            ("../../etc/x", false, false),
            ("a/../../x", false, false),
            ("/etc/x", false, false),
        ] {
            let (found, kept) = (sample(&table(name), folder), embedded(&table(name), folder));
            assert_eq!((found.is_ok(), kept.is_ok()), (is_sample, is_table), "{name}");
            for error in [found.err(), kept.err()].into_iter().flatten() {
                let ConnectError::Query(error) = error else { panic!("{error}") };
                assert_eq!(error.place.map(|p| p.line), Some(3));
            }
        }
        let hinted = embedded(&table("rides /*+ OPTIONS('a'='../b') */"), folder).unwrap();
        assert_eq!(hinted.parent(), Some(folder));
        assert_eq!(sample(&table("rides /*+ OPTIONS('a'='../b') */"), folder).unwrap(), Path::new("q.samples/rides.jsonl"));
    }
}
