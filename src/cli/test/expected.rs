//! What is expected of a query: a file of JSON rows for each table that it writes.
//!
//! Called by `test`. What always holds: rows are sorted by their bytes, so that a file differs from
//! its older version only where results do; a file of a table that nobody writes is left alone.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::attempt::Table;
use crate::cli::Exit;
use crate::cli::exit::{refused, wrong};

/// Names of tables and their rows.
pub type Expected = BTreeMap<String, Vec<String>>;

/// What the files say; nothing if there is no folder.
pub fn read(folder: &Path) -> Result<Expected, Exit> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Expected::new()),
        Err(e) => return Err(wrong(format!("{}: {e}", folder.display()))),
    };
    let mut expected = Expected::new();
    for entry in entries {
        let path = entry.map_err(refused)?.path();
        let Some(name) = path.file_name().and_then(|n| n.to_str()?.strip_suffix(".jsonl")) else {
            continue;
        };
        let text =
            fs::read_to_string(&path).map_err(|e| wrong(format!("{}: {e}", path.display())))?;
        let mut rows = Vec::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            if let Err(e) = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(line)
            {
                let place = format!("{}:{}", path.display(), number + 1);
                return Err(wrong(format!("{place}: not a row as a JSON object: {e}")));
            }
            rows.push(line.to_string());
        }
        expected.insert(name.to_string(), rows);
    }
    Ok(expected)
}

/// Writes what came as what is expected.
pub fn write(folder: &Path, tables: &[Table]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for table in tables {
        let lines: String = table.rows.iter().map(|row| format!("{row}\n")).collect();
        fs::write(folder.join(format!("{}.jsonl", table.name)), lines)?;
    }
    Ok(())
}
