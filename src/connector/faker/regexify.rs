//! A text that a regular expression matches.
//!
//! Called by `providers`. Takes groups, alternatives, classes, repetitions and escapes; what it
//! does not know stands for itself.

use crate::connector::stand_in::generate::Draws;

/// Repetitions of what may be repeated for ever.
const REPEATED_MAX: u32 = 8;
/// No text is longer: `((a{99}){99}){99}` is.
const LENGTH_MAX: usize = 10_000;

pub(super) fn text(pattern: &str, draws: &mut Draws) -> String {
    let letters: Vec<char> = pattern.chars().collect();
    let (node, _) = alternatives(&letters, 0);
    let mut out = String::new();
    node.write(draws, &mut out);
    out
}

enum Node {
    Letter(char),
    Class(Vec<(char, char)>),
    Sequence(Vec<Node>),
    Either(Vec<Node>),
    Repeated(Box<Node>, u32, u32),
}

impl Node {
    fn write(&self, draws: &mut Draws, out: &mut String) {
        if out.len() > LENGTH_MAX {
            return;
        }
        match self {
            Node::Letter(letter) => out.push(*letter),
            Node::Class(ranges) => {
                let size = |(from, to): &(char, char)| u32::from(*to) - u32::from(*from) + 1;
                let mut drawn = draws.below(ranges.iter().map(size).sum());
                for range in ranges {
                    if drawn < size(range) {
                        out.extend(char::from_u32(u32::from(range.0) + drawn));
                        return;
                    }
                    drawn -= size(range);
                }
            }
            Node::Sequence(nodes) => nodes.iter().for_each(|node| node.write(draws, out)),
            Node::Either(nodes) => {
                let chosen = draws.below(u32::try_from(nodes.len()).unwrap_or(u32::MAX));
                if let Some(node) = nodes.get(chosen as usize) {
                    node.write(draws, out);
                }
            }
            Node::Repeated(node, from, to) => {
                let count = from + draws.below(to.saturating_sub(*from) + 1);
                (0..count).for_each(|_| node.write(draws, out));
            }
        }
    }
}

/// Reads up to a closing parenthesis or the end. Returns the place behind.
fn alternatives(letters: &[char], mut at: usize) -> (Node, usize) {
    let (mut all, mut now) = (Vec::new(), Vec::new());
    while at < letters.len() && letters[at] != ')' {
        if letters[at] == '|' {
            all.push(Node::Sequence(std::mem::take(&mut now)));
            at += 1;
            continue;
        }
        let (node, next) = one(letters, at);
        let (node, next) = repeated(node, letters, next);
        now.push(node);
        at = next;
    }
    all.push(Node::Sequence(now));
    (Node::Either(all), at)
}

fn one(letters: &[char], at: usize) -> (Node, usize) {
    match letters[at] {
        '(' => {
            let inner = if letters[at + 1..].starts_with(&['?', ':']) { at + 3 } else { at + 1 };
            let (node, end) = alternatives(letters, inner);
            (node, (end + 1).min(letters.len()))
        }
        '[' => class(letters, at + 1),
        '.' => (Node::Class(vec![('a', 'z')]), at + 1),
        '^' | '$' => (Node::Sequence(vec![]), at + 1),
        '\\' if at + 1 < letters.len() => (escaped(letters[at + 1]), at + 2),
        letter => (Node::Letter(letter), at + 1),
    }
}

fn escaped(letter: char) -> Node {
    match letter {
        'd' => Node::Class(vec![('0', '9')]),
        'w' => Node::Class(vec![('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')]),
        's' => Node::Letter(' '),
        't' => Node::Letter('\t'),
        'n' => Node::Letter('\n'),
        other => Node::Letter(other),
    }
}

/// `a-z0-9_]`; of a class that excludes letters, those of the alphabet that are left.
fn class(letters: &[char], mut at: usize) -> (Node, usize) {
    let excludes = letters.get(at) == Some(&'^');
    at += usize::from(excludes);
    let mut ranges = Vec::new();
    while at < letters.len() && letters[at] != ']' {
        let mut letter = letters[at];
        if letter == '\\' && at + 1 < letters.len() {
            at += 1;
            if let Node::Class(more) = escaped(letters[at]) {
                ranges.extend(more);
                at += 1;
                continue;
            }
            letter = letters[at];
        }
        match (letters.get(at + 1), letters.get(at + 2)) {
            (Some('-'), Some(&to)) if to != ']' => {
                ranges.push(if letter <= to { (letter, to) } else { (to, letter) });
                at += 3;
            }
            _ => {
                ranges.push((letter, letter));
                at += 1;
            }
        }
    }
    if excludes {
        let is_in = |l: char| ranges.iter().any(|(from, to)| (*from..=*to).contains(&l));
        ranges = ('a'..='z').chain('0'..='9').filter(|l| !is_in(*l)).map(|l| (l, l)).collect();
    }
    if ranges.is_empty() {
        ranges.push(('a', 'z'));
    }
    (Node::Class(ranges), (at + 1).min(letters.len()))
}

fn repeated(node: Node, letters: &[char], at: usize) -> (Node, usize) {
    let (from, to, next) = match letters.get(at) {
        Some('?') => (0, 1, at + 1),
        Some('*') => (0, REPEATED_MAX, at + 1),
        Some('+') => (1, REPEATED_MAX, at + 1),
        Some('{') => {
            let Some(length) = letters[at..].iter().position(|l| *l == '}') else {
                return (node, at);
            };
            let inner: String = letters[at + 1..at + length].iter().collect();
            let (from, to) = inner.split_once(',').unwrap_or((&inner, &inner));
            let Ok(from) = from.trim().parse::<u32>() else { return (node, at) };
            let to = to.trim().parse().unwrap_or(from + REPEATED_MAX).max(from);
            (from, to, at + length + 1)
        }
        _ => return (node, at),
    };
    (Node::Repeated(Box::new(node), from, to), next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_match_their_patterns() {
        for pattern in [
            "(GET|POST){1}",
            "user_(0[1-9][0-9]|100)",
            r"(HTTP/1\.1|HTTP/2)",
            "[a-c]{2,4}x?[^a-y]",
            r"\d{3}-\w+",
            "(?:ab|c)*d",
            "",
        ] {
            let regex = regex::Regex::new(&format!("^(?:{pattern})$")).expect(pattern);
            for row in 0..200 {
                let text = text(pattern, &mut Draws::new(1, 2, row));
                assert!(regex.is_match(&text), "{pattern}: {text}");
            }
        }
    }

    #[test]
    fn what_is_no_pattern_gives_some_text() {
        for pattern in ["(", "[", "a{", "\\", "a|", "{1}", "(((((a{99}){99}){99}){99}){99})"] {
            assert!(text(pattern, &mut Draws::new(1, 2, 3)).len() < 2 * LENGTH_MAX, "{pattern}");
        }
    }
}
