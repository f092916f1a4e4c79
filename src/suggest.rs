//! Did you mean ...? The known name closest to one that is not known.
//!
//! Used by every layer that reads names from a user: settings, options, tables, columns.

/// The known name closest to a wrong one, if it is close: the same in another case, or a third of
/// it mistyped at most.
pub(crate) fn nearest<'a>(
    wrong: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let lower = wrong.to_lowercase();
    let best = known.into_iter().map(|k| (distance(&lower, &k.to_lowercase()), k)).min()?;
    let characters = lower.chars().count().min(best.1.chars().count());
    (best.0 <= (characters / 3).max(usize::from(characters == 2))).then_some(best.1)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let substitute = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        assert_eq!(nearest("conector", ["connector", "format"]), Some("connector"));
        assert_eq!(nearest("xyz", ["connector", "format"]), None);
        assert_eq!(nearest("MOD", ["cos", "max", "sin"]), None);
        assert_eq!(nearest("SRC", ["arc", "src"]), Some("src"));
        assert_eq!(nearest("kk", ["k", "ts"]), None);
        assert_eq!(nearest("UPER", ["upper", "lower"]), Some("upper"));
    }
}
