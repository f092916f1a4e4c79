//! `--var NAME=V`: what stands for `${NAME}` in a file, and never in what is said about it.
//!
//! Called by the commands that read a SQL file, and by everything that prints. What always holds:
//! no message, log line or plan shows a value; only results may.

use std::io::{self, Write};
use std::sync::OnceLock;

use crate::secret::Secrets;
use crate::sql::variables::{Variables, is_name};

/// The values of this process. A command line gives them once.
static VALUES: OnceLock<Secrets> = OnceLock::new();

/// `NAME=V`, or `NAME` for the variable of that name in the environment. The error does not show
/// what may be a value.
fn given(text: &str) -> Result<(String, String), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_string())),
        None => (text, None),
    };
    if !is_name(name) {
        return Err("expected NAME=VALUE, or NAME alone; a name has letters, digits and _".into());
    }
    match value.map(Ok).unwrap_or_else(|| std::env::var(name)) {
        Ok(value) => Ok((name.to_string(), value)),
        Err(_) => Err(format!("the environment has no variable {name}: write {name}=VALUE")),
    }
}

/// The values by their names, the last one of a name. From here on they are not shown.
pub fn values(texts: &[String]) -> Result<Variables, String> {
    let values = texts.iter().map(|text| given(text)).collect::<Result<Variables, String>>();
    let values = values.map_err(|e| format!("--var: {e}"))?;
    // A second call in one process keeps the first values.
    let _ = VALUES.set(Secrets::of("").and(values.values().map(String::as_str)));
    Ok(values)
}

/// A text as it may be shown.
pub fn hidden(text: &str) -> String {
    match VALUES.get() {
        Some(values) => values.hide(text),
        None => text.to_string(),
    }
}

/// Stderr without values: each line of the log comes in one piece.
pub struct Hiding;

impl Write for Hiding {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        io::stderr().write_all(hidden(&String::from_utf8_lossy(line)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values() {
        assert_eq!(given("A=b=c"), Ok(("A".into(), "b=c".into())));
        assert_eq!(given("A="), Ok(("A".into(), String::new())));
        assert!(given("PATH").is_ok_and(|(name, value)| name == "PATH" && !value.is_empty()));
        for (text, reason) in [
            ("=v", "expected NAME=VALUE"),
            ("1A=v", "expected NAME=VALUE"),
            ("a b=v", "expected NAME=VALUE"),
            ("NO_SUCH_VARIABLE_HERE", "the environment has no variable"),
        ] {
            assert!(given(text).is_err_and(|e| e.contains(reason)), "{text}");
        }
    }
}
