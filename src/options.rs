//! What may WITH say about a table? The options of a connector as data.
//!
//! A connector lists its options; [`check`] compares a table with the list, `queries/CONNECTORS.md`
//! is written from it. What always holds: an option that is not in the list is an error that names
//! the nearest one; a value that is not of its kind is an error before anything outside is touched.
//! What options mean together is the connector's own business.

use std::collections::BTreeMap;

use crate::config::duration;
use crate::suggest::nearest;

/// What stands in for a column's name in the key of an option that every column has.
const COLUMN: &str = "<column>";

/// What kind of value an option takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum OptionKind {
    Text,
    /// Never shown.
    Secret,
    Flag,
    /// A whole number from the first to the second.
    Number(u64, u64),
    /// A number from 0 to 1.
    Share,
    /// A number and a unit, such as `10 s`.
    Duration,
    /// One of these words; lower and upper case are the same.
    OneOf(&'static [&'static str]),
}

impl OptionKind {
    /// Why a text is no value of the kind; the error begins behind the option's name.
    fn check(self, text: &str) -> Result<(), String> {
        let text = text.trim();
        match self {
            OptionKind::Text | OptionKind::Secret => Ok(()),
            OptionKind::Flag
                if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") =>
            {
                Ok(())
            }
            OptionKind::Flag => Err(format!("is true or false, not '{text}'")),
            OptionKind::Number(min, max) => match text.parse::<u64>() {
                Ok(n) if (min..=max).contains(&n) => Ok(()),
                _ if max == u64::MAX => {
                    Err(format!("is a whole number from {min} on, not '{text}'"))
                }
                _ => Err(format!("is a number from {min} to {max}, not '{text}'")),
            },
            OptionKind::Share => match text.parse::<f64>() {
                Ok(share) if (0.0..=1.0).contains(&share) => Ok(()),
                _ => Err(format!("is a number from 0 to 1, not '{text}'")),
            },
            OptionKind::Duration => {
                duration(text).map(|_| ()).map_err(|e| format!("= '{text}': {e}"))
            }
            OptionKind::OneOf(words) if words.iter().any(|w| w.eq_ignore_ascii_case(text)) => {
                Ok(())
            }
            OptionKind::OneOf(words) => Err(format!("is {}, not '{text}'", either(words))),
        }
    }

    /// For the list of options.
    pub fn describe(self) -> String {
        match self {
            OptionKind::Text => "text".into(),
            OptionKind::Secret => "text, never shown".into(),
            OptionKind::Flag => "true or false".into(),
            OptionKind::Number(min, u64::MAX) => format!("a whole number from {min} on"),
            OptionKind::Number(min, max) => format!("a number from {min} to {max}"),
            OptionKind::Share => "a number from 0 to 1".into(),
            OptionKind::Duration => "a duration, such as 10 s".into(),
            OptionKind::OneOf(words) => either(words),
        }
    }
}

/// `a, b or c`.
fn either(words: &[&str]) -> String {
    match words {
        [all @ .., before, last] => {
            let all: String = all.iter().map(|w| format!("{w}, ")).collect();
            format!("{all}{before} or {last}")
        }
        _ => words.concat(),
    }
}

/// One option.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OptionSpec {
    /// As it stands in WITH. A part `<column>` stands for the name of any column.
    pub key: &'static str,
    pub kind: OptionKind,
    /// What holds without it; None: nothing does.
    pub default: Option<&'static str>,
    pub required: bool,
    /// A sentence for people, without a full stop.
    pub help: &'static str,
    /// It is read for the sake of Flink's files, and changes nothing here: `help` says why.
    pub is_ignored: bool,
}

impl OptionSpec {
    pub const fn new(key: &'static str, kind: OptionKind, help: &'static str) -> OptionSpec {
        OptionSpec { key, kind, default: None, required: false, help, is_ignored: false }
    }

    /// What holds if it is not given.
    pub const fn or(self, default: &'static str) -> OptionSpec {
        OptionSpec { default: Some(default), ..self }
    }

    pub const fn required(self) -> OptionSpec {
        OptionSpec { required: true, ..self }
    }

    /// One that changes nothing here. `why` ends the sentence "... is of no effect here:".
    pub const fn ignored(key: &'static str, why: &'static str) -> OptionSpec {
        OptionSpec { is_ignored: true, ..OptionSpec::new(key, OptionKind::Text, why) }
    }

    fn is(&self, key: &str) -> bool {
        match self.key.split_once(COLUMN) {
            None => self.key == key,
            // A column's name may hold anything, also points.
            Some((before, after)) => {
                key.len() > before.len() + after.len()
                    && key.starts_with(before)
                    && key.ends_with(after)
            }
        }
    }
}

/// Compares what stands in the WITH of a table with the options that its connector and its format
/// have. An error says what to write, without the table's name.
pub fn check(
    options: &BTreeMap<String, String>,
    connector: &str,
    known: &[OptionSpec],
) -> Result<(), String> {
    for (key, text) in options.iter().filter(|(key, _)| *key != "connector") {
        let Some(spec) = known.iter().find(|o| o.is(key)) else {
            let all: Vec<&str> =
                std::iter::once("connector").chain(known.iter().map(|o| o.key)).collect();
            let near = nearest(key, all.iter().copied())
                .map(|n| format!("; did you mean '{n}'?"))
                .unwrap_or_default();
            return Err(format!(
                "connector '{connector}' has no option '{key}'{near} (options: {})",
                all.join(", ")
            ));
        };
        // An option that is empty is not given.
        if !text.trim().is_empty() {
            spec.kind.check(text).map_err(|e| format!("'{key}' {e}"))?;
        }
    }
    Ok(())
}

/// Options of a table that change nothing here, with the reasons.
pub fn ignored<'a>(
    options: &'a BTreeMap<String, String>,
    known: &'a [OptionSpec],
) -> impl Iterator<Item = (&'a str, &'static str)> {
    options.keys().filter_map(|key| {
        let spec = known.iter().find(|o| o.is(key)).filter(|o| o.is_ignored)?;
        Some((key.as_str(), spec.help))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_of_their_kind() {
        for (kind, good, bad) in [
            (OptionKind::Text, "x", None),
            (OptionKind::Flag, "TRUE", Some(("yes", "is true or false, not 'yes'"))),
            (OptionKind::Number(1, 25), " 25", Some(("26", "is a number from 1 to 25, not '26'"))),
            (
                OptionKind::Number(1, u64::MAX),
                "7",
                Some(("0", "is a whole number from 1 on, not '0'")),
            ),
            (OptionKind::Share, "0.5", Some(("NaN", "is a number from 0 to 1, not 'NaN'"))),
            (OptionKind::OneOf(&["a", "b", "c"]), "B", Some(("d", "is a, b or c, not 'd'"))),
        ] {
            assert_eq!(kind.check(good), Ok(()), "{kind:?}");
            if let Some((text, reason)) = bad {
                assert_eq!(kind.check(text), Err(reason.to_string()), "{kind:?}");
            }
        }
        assert!(
            OptionKind::Duration.check("10 s").is_ok()
                && OptionKind::Duration.check("10 parsecs").is_err()
        );
    }

    #[test]
    fn an_unknown_option_is_answered_with_the_nearest() {
        let known =
            [OptionSpec::new("sink.batch.max-size", OptionKind::Number(1, 25), "").or("25")];
        let checked = |key: &str, text: &str| {
            check(&BTreeMap::from([(key.into(), text.into())]), "c", &known)
        };
        assert_eq!(checked("sink.batch.max-size", "7"), Ok(()));
        assert_eq!(checked("connector", "c"), Ok(()));
        assert_eq!(
            checked("sink.batch.max-size", "26"),
            Err("'sink.batch.max-size' is a number from 1 to 25, not '26'".into())
        );
        let unknown = "connector 'c' has no option 'sink.batch.max-sise'; did you mean 'sink.batch.max-size'? (options: connector, \
                       sink.batch.max-size)";
        assert_eq!(checked("sink.batch.max-sise", "7"), Err(unknown.into()));
    }

    #[test]
    fn a_column_may_be_called_anything() {
        let spec = OptionSpec::new("fields.<column>.kind", OptionKind::Text, "");
        assert!(spec.is("fields.a.kind") && spec.is("fields.a.b.kind"));
        assert!(!spec.is("fields..kind") && !spec.is("fields.kind") && !spec.is("field.a.kind"));
    }
}
