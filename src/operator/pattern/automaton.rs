//! Which variable may the next row be? A pattern as an automaton.
//!
//! Built as Flink's NFACompiler (2.3) builds that of a pattern whose rows follow each other, so that
//! the same rows match. A state takes a row for its variable, or lets the next state look at it. What
//! a greedy variable would take, the states behind it do not.
//!
//! ```text
//!   A+? B      (A) --A--> (A loop) --+        A+ B    the same, but B is taken only of rows
//!                          ^   |     | next           that are no A
//!                          +-A-+     v
//!                                   (B) --B--> end
//! ```
//!
//! What always holds: every state leads to the end; the end has no way on.

/// A variable of a pattern, with its quantifier.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd)]
pub struct Variable {
    pub name: String,
    pub least: u32,
    /// None: any number.
    pub most: Option<u32>,
    pub greedy: bool,
}

/// The number of a state.
pub(crate) type StateId = u16;

/// A state may be passed, or takes a row as a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    Take { variable: usize },
    Pass,
}

/// A way out of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Transition {
    way: Way,
    to: StateId,
    /// Greedy variables before it: rows that are one of them do not go this way.
    not: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Automaton {
    states: Vec<Vec<Transition>>,
    start: StateId,
}

const END: StateId = 0;

/// States of a quantifier: `{1000}` has a thousand.
const STATES_MAX: usize = 10_000;

impl Automaton {
    /// None if a quantifier is too large.
    pub fn new(variables: &[Variable]) -> Option<Automaton> {
        let mut automaton = Automaton { states: vec![vec![]], start: END };
        let mut sink = END;
        for (number, variable) in variables.iter().enumerate().rev() {
            sink = automaton.add(number, variable, sink)?;
        }
        automaton.start = sink;
        Some(automaton)
    }

    /// Whether a variable with this quantifier keeps the states behind it from its rows.
    pub fn is_greedy(variable: &Variable) -> bool {
        let optional = (variable.least, variable.most) == (0, Some(1));
        variable.greedy && !optional && Some(variable.least) != variable.most
    }

    /// Adds the states of a variable before `sink`. Returns the first.
    fn add(&mut self, number: usize, variable: &Variable, sink: StateId) -> Option<StateId> {
        let optional = variable.least == 0;
        let least = variable.least.max(1);
        if least.max(variable.most.unwrap_or(0)) as usize + self.states.len() > STATES_MAX {
            return None;
        }
        let greedy = Automaton::is_greedy(variable);
        if greedy {
            for transition in &mut self.states[usize::from(sink)] {
                transition.not.push(number);
            }
        }
        let mut last = sink;
        match variable.most {
            None => {
                let looping = self.states.len() as StateId;
                last =
                    self.state(vec![(Way::Pass, sink), (Way::Take { variable: number }, looping)]);
                debug_assert_eq!(last, looping);
            }
            Some(most) => {
                for _ in least..most {
                    last = self.single(number, last, Some(sink));
                }
            }
        }
        for _ in 1..least {
            last = self.single(number, last, None);
        }
        Some(self.single(number, last, optional.then_some(sink)))
    }

    fn single(&mut self, variable: usize, to: StateId, pass: Option<StateId>) -> StateId {
        let take = std::iter::once((Way::Take { variable }, to));
        self.state(take.chain(pass.map(|pass| (Way::Pass, pass))).collect())
    }

    fn state(&mut self, ways: Vec<(Way, StateId)>) -> StateId {
        let transition = |(way, to)| Transition { way, to, not: vec![] };
        self.states.push(ways.into_iter().map(transition).collect());
        (self.states.len() - 1) as StateId
    }

    pub fn start(&self) -> StateId {
        self.start
    }

    pub fn is_end(state: StateId) -> bool {
        state == END
    }

    /// Where a row leads from a state: the variables it may be, with the state behind each. `is`
    /// says whether the row is a variable.
    pub fn takes(
        &self,
        state: StateId,
        is: &mut impl FnMut(usize) -> bool,
    ) -> Vec<(usize, StateId)> {
        let mut takes = Vec::new();
        let mut open = vec![state];
        while let Some(state) = open.pop() {
            for transition in &self.states[usize::from(state)] {
                if transition.not.iter().any(|&greedy| is(greedy)) {
                    continue;
                }
                match transition.way {
                    Way::Pass => open.push(transition.to),
                    Way::Take { variable } => {
                        if is(variable) {
                            takes.push((variable, transition.to));
                        }
                    }
                }
            }
        }
        takes
    }

    /// Whether a match may end at a state that a row has led to.
    pub fn may_end(&self, state: StateId, is: &mut impl FnMut(usize) -> bool) -> bool {
        let mut open = vec![state];
        while let Some(state) = open.pop() {
            for transition in &self.states[usize::from(state)] {
                if transition.way == Way::Pass && !transition.not.iter().any(|&greedy| is(greedy)) {
                    if transition.to == END {
                        return true;
                    }
                    open.push(transition.to);
                }
            }
        }
        state == END
    }

    /// The variables that a row may have to be looked at for in a state.
    pub fn asked(&self, state: StateId) -> Vec<usize> {
        let mut asked = Vec::new();
        let mut open = vec![state];
        while let Some(state) = open.pop() {
            for transition in &self.states[usize::from(state)] {
                asked.extend_from_slice(&transition.not);
                match transition.way {
                    Way::Pass => open.push(transition.to),
                    Way::Take { variable } => {
                        asked.push(variable);
                        // Whether the match may end there asks for those behind it.
                        let mut behind = vec![transition.to];
                        while let Some(state) = behind.pop() {
                            for next in &self.states[usize::from(state)] {
                                if next.way == Way::Pass {
                                    asked.extend_from_slice(&next.not);
                                    behind.push(next.to);
                                }
                            }
                        }
                    }
                }
            }
        }
        asked.sort_unstable();
        asked.dedup();
        asked
    }

    pub fn states(&self) -> impl Iterator<Item = StateId> + use<> {
        0..self.states.len() as StateId
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str, least: u32, most: Option<u32>, greedy: bool) -> Variable {
        Variable { name: name.into(), least, most, greedy }
    }

    /// All ways to read rows, each given as the variables that it could be, from the first on.
    fn matches(variables: &[Variable], rows: &[&str]) -> Vec<String> {
        let automaton = Automaton::new(variables).expect("is small");
        let mut open = vec![(automaton.start(), String::new())];
        let mut found = Vec::new();
        for row in rows {
            let mut is = |v: usize| row.contains(variables[v].name.as_str());
            let mut next = Vec::new();
            for (state, read) in open {
                for (variable, to) in automaton.takes(state, &mut is) {
                    let read = format!("{read}{}", variables[variable].name);
                    if automaton.may_end(to, &mut is) {
                        found.push(read.clone());
                    }
                    next.push((to, read));
                }
            }
            open = next;
        }
        found
    }

    #[test]
    fn rows_are_read_in_all_ways_that_quantifiers_allow() {
        let a = |least, most, greedy| variable("A", least, most, greedy);
        let b = variable("B", 1, Some(1), true);
        for (first, rows, found) in [
            (a(1, Some(1), true), &["A", "B"][..], &["AB"][..]),
            (a(1, None, true), &["A", "A", "B"], &["AAB"]),
            // A greedy one leaves nothing that it could take itself.
            (a(1, None, true), &["A", "AB", "AB"], &[]),
            (a(1, None, true), &["A", "AB", "B"], &["AAB"]),
            (a(1, None, false), &["A", "AB", "AB"], &["AB", "AAB"]),
            (a(0, None, true), &["B"], &["B"]),
            (a(0, Some(1), true), &["AB", "B"], &["B", "AB"]),
            (a(2, Some(2), true), &["A", "AB", "B"], &["AAB"]),
            (a(1, Some(2), false), &["A", "AB", "B"], &["AB", "AAB"]),
            (a(2, None, true), &["A", "B"], &[]),
        ] {
            assert_eq!(matches(&[first.clone(), b.clone()], rows), found, "{first:?} {rows:?}");
        }
        // The last one may be reluctant.
        let last = variable("B", 0, Some(2), false);
        let found = matches(&[a(1, Some(1), true), last], &["A", "B", "B", "B"]);
        assert_eq!(found, ["A", "AB", "ABB"]);
    }

    #[test]
    fn a_quantifier_is_bounded() {
        assert!(Automaton::new(&[variable("A", 1, Some(1_000_000), true)]).is_none());
    }
}
