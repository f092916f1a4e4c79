//! How far has each beginning of a match come? The partial matches of a key, and what a match that
//! is found does to the others.
//!
//! The algorithm of Flink's NFA (2.3): a match is let out once no partial match has begun before it;
//! then those that begin where AFTER MATCH says they must not are given up. Rows of a match follow
//! each other, so a partial match is its first row and how many rows each variable took in turn. What
//! always holds: partial matches are in order of their first rows, and so are matches that wait.

use super::automaton::{Automaton, StateId};
use crate::time::EventTime;

/// Rows that a variable took one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub variable: usize,
    pub rows: u64,
}

/// The rows of a match, or of one that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Matched {
    /// The number of its first row among those of the key.
    pub start: u64,
    pub runs: Vec<Run>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Partial {
    pub state: StateId,
    pub since: EventTime,
    pub matched: Matched,
}

/// Where the next match may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd)]
pub enum Skip {
    PastLastRow,
    ToNextRow,
    ToFirst(usize),
    ToLast(usize),
}

impl Matched {
    /// The same with one more row.
    pub fn with(&self, variable: usize) -> Matched {
        let mut runs = self.runs.clone();
        match runs.last_mut() {
            Some(run) if run.variable == variable => run.rows += 1,
            _ => runs.push(Run { variable, rows: 1 }),
        }
        Matched { start: self.start, runs }
    }

    /// The number of the row behind its last.
    pub fn end(&self) -> u64 {
        self.start + self.runs.iter().map(|run| run.rows).sum::<u64>()
    }

    /// The rows of a variable, of all if none is said, as ranges of numbers.
    pub fn rows(&self, variable: Option<usize>) -> impl DoubleEndedIterator<Item = (u64, u64)> {
        let mut at = self.start;
        let ranges: Vec<(u64, u64)> = self
            .runs
            .iter()
            .filter_map(|run| {
                let range = (at, at + run.rows);
                at += run.rows;
                variable.is_none_or(|v| v == run.variable).then_some(range)
            })
            .collect();
        ranges.into_iter()
    }

    /// The n-th row of a variable from either end.
    pub fn nth(&self, variable: Option<usize>, offset: u64, from_end: bool) -> Option<u64> {
        let mut left = offset;
        let mut find = |(from, to): (u64, u64)| {
            let rows = to - from;
            if left < rows {
                return Some(if from_end { to - 1 - left } else { from + left });
            }
            left -= rows;
            None
        };
        if from_end {
            self.rows(variable).rev().find_map(&mut find)
        } else {
            self.rows(variable).find_map(&mut find)
        }
    }
}

/// Partial matches of a key, and matches that wait for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Partials {
    pub open: Vec<Partial>,
    pub complete: Vec<Matched>,
}

/// What has been found, and what could not be gone on from.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub matches: Vec<Matched>,
    /// Matches behind which AFTER MATCH names no row to go on at.
    pub lost: Vec<Matched>,
}

impl Partials {
    /// A row is looked at. `is(i, v)`: whether it is variable `v` for the partial match `i`, the
    /// last of which is the one that it may begin.
    pub fn take(
        &mut self,
        automaton: &Automaton,
        (number, time): (u64, EventTime),
        mut is: impl FnMut(usize, usize) -> bool,
    ) {
        let begins = Partial {
            state: automaton.start(),
            since: time,
            matched: Matched { start: number, runs: vec![] },
        };
        let before = std::mem::take(&mut self.open);
        for (i, partial) in before.into_iter().chain([begins]).enumerate() {
            let mut is = |variable| is(i, variable);
            for (variable, to) in automaton.takes(partial.state, &mut is) {
                let matched = partial.matched.with(variable);
                if automaton.may_end(to, &mut is) {
                    self.complete.push(matched.clone());
                }
                if !Automaton::is_end(to) {
                    self.open.push(Partial { state: to, since: partial.since, matched });
                }
            }
        }
        self.complete.sort_by_key(|matched| matched.start);
        debug_assert!(
            self.open.is_sorted_by_key(|partial| partial.matched.start),
            "partial matches are out of order"
        );
    }

    /// Gives up what has begun so long ago.
    pub fn expire(&mut self, now: EventTime, within_ms: Option<i64>) {
        if let Some(within_ms) = within_ms {
            self.open.retain(|partial| partial.since.later(within_ms) > now);
        }
    }

    /// Lets out the matches that no earlier beginning can overtake.
    pub fn release(&mut self, skip: Skip, found: &mut Found) {
        while let Some(first) = self.complete.first()
            && self.open.first().is_none_or(|open| first.start <= open.matched.start)
        {
            let matched = self.complete.remove(0);
            let next = match skip {
                Skip::PastLastRow => Some(matched.end()),
                Skip::ToNextRow => Some(matched.start + 1),
                Skip::ToFirst(variable) => matched.nth(Some(variable), 0, false),
                Skip::ToLast(variable) => matched.nth(Some(variable), 0, true),
            };
            // A match that begins where this one did would be found for ever.
            let next = next.filter(|&next| next > matched.start);
            let from = next.unwrap_or(matched.start + 1);
            self.open.retain(|partial| partial.matched.start >= from);
            self.complete.retain(|other| other.start >= from);
            match next {
                Some(_) => found.matches.push(matched),
                None => found.lost.push(matched),
            }
        }
    }

    /// The first row that something still needs.
    pub fn first_needed(&self) -> Option<u64> {
        let open = self.open.first().map(|partial| partial.matched.start);
        let complete = self.complete.first().map(|matched| matched.start);
        open.into_iter().chain(complete).min()
    }

    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.complete.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::pattern::automaton::Variable;

    fn variable(name: &str, least: u32, most: Option<u32>, greedy: bool) -> Variable {
        Variable { name: name.into(), least, most, greedy }
    }

    /// The matches of rows, one a second, each given by the variables that it is.
    fn found(variables: &[Variable], rows: &[&str], skip: Skip, within_ms: Option<i64>) -> String {
        let automaton = Automaton::new(variables).expect("is small");
        let (mut partials, mut found) = (Partials::default(), Found::default());
        for (number, row) in rows.iter().enumerate() {
            let time = EventTime::at(1000 * number as i64);
            partials.expire(time, within_ms);
            partials.take(&automaton, (number as u64, time), |_, v| {
                row.contains(variables[v].name.as_str())
            });
            partials.release(skip, &mut found);
        }
        partials.expire(EventTime::MAX, within_ms);
        partials.release(skip, &mut found);
        let text = |m: &Matched| {
            let runs = m.runs.iter();
            let runs: String =
                runs.map(|r| variables[r.variable].name.repeat(r.rows as usize)).collect();
            format!("{}{runs}", m.start)
        };
        let lost = found.lost.iter().map(|m| format!("lost {}", text(m)));
        found.matches.iter().map(text).chain(lost).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_match_gives_up_the_beginnings_that_it_skips() {
        let pattern = [
            variable("A", 1, Some(1), true),
            variable("B", 1, None, true),
            variable("C", 1, Some(1), true),
        ];
        let rows = ["A", "AB", "B", "C", "A", "B", "C"];
        for (skip, matches) in [
            (Skip::PastLastRow, "0ABBC 4ABC"),
            (Skip::ToNextRow, "0ABBC 1ABC 4ABC"),
            (Skip::ToFirst(1), "0ABBC 1ABC 4ABC"),
            (Skip::ToLast(1), "0ABBC 4ABC"),
            (Skip::ToFirst(0), "lost 0ABBC lost 1ABC lost 4ABC"),
        ] {
            assert_eq!(found(&pattern, &rows, skip, None), matches, "{skip:?}");
        }
    }

    #[test]
    fn a_match_waits_for_beginnings_before_it_and_time_ends_them() {
        let pattern = [
            variable("A", 1, Some(1), true),
            variable("B", 0, None, true),
            variable("C", 1, Some(1), true),
        ];
        // The first A waits for its C, which does not come; the second has found its own.
        let rows = ["A", "AB", "BC", "B"];
        assert_eq!(found(&pattern, &rows, Skip::ToNextRow, None), "");
        assert_eq!(
            found(
                &[pattern[0].clone(), variable("B", 0, None, false), pattern[2].clone()],
                &rows,
                Skip::ToNextRow,
                None
            ),
            "0ABC 1AC"
        );
        assert_eq!(found(&pattern, &["A", "B", "C"], Skip::PastLastRow, Some(2000)), "");
        assert_eq!(found(&pattern, &["A", "B", "C"], Skip::PastLastRow, Some(2001)), "0ABC");
    }

    #[test]
    fn rows_of_a_variable_are_found_from_both_ends() {
        let run = |variable, rows| Run { variable, rows };
        let matched = Matched { start: 10, runs: vec![run(0, 2), run(1, 1), run(0, 3)] };
        assert_eq!(matched.end(), 16);
        assert_eq!(matched.nth(Some(0), 0, false), Some(10));
        assert_eq!(matched.nth(Some(0), 2, false), Some(13));
        assert_eq!(matched.nth(Some(0), 0, true), Some(15));
        assert_eq!(matched.nth(Some(0), 3, true), Some(11));
        assert_eq!(matched.nth(Some(0), 5, true), None);
        assert_eq!(matched.nth(None, 3, true), Some(12));
        assert_eq!(matched.nth(Some(2), 0, false), None);
    }
}
