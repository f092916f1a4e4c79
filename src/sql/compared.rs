//! What do the queries of a file compare columns with? So that rows that are made up for a table
//! pass the filters and meet in the joins that they are made for.
//!
//! Read off the text, token by token: a column is known by its name alone, whatever table it is
//! of. Asked by `lower` once; made-up rows are the only thing that depends on it. What always
//! holds: a file in which nothing is found gives nothing, and no error.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, Tokenizer, Word};

use super::dialect::FlinkDialect;

/// A constant beside a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    Text(String),
    Number(f64),
}

/// What is compared, by the names of columns.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Compared {
    /// Constants that a column is compared with, in the order of the text, each once.
    pub literals: BTreeMap<String, Vec<Literal>>,
    /// Columns that are compared with one another: the name that stands for all of them.
    pub together: BTreeMap<String, String>,
    /// Columns that are the key of some table.
    pub keys: BTreeSet<String>,
    /// Columns of whose text a CAST makes a number.
    pub numbers: BTreeSet<String>,
}

/// So many constants of a column are kept.
const LITERALS_MAX: usize = 64;

impl Compared {
    /// What a file compares; nothing if it is no SQL.
    pub fn of(text: &str) -> Compared {
        let tokens = Tokenizer::new(&FlinkDialect, text).tokenize().unwrap_or_default();
        let tokens: Vec<Token> =
            tokens.into_iter().filter(|t| !matches!(t, Token::Whitespace(_))).collect();
        let mut found = Found::default();
        found.read(&tokens);
        found.compared()
    }
}

#[derive(Default)]
struct Found {
    literals: BTreeMap<String, Vec<Literal>>,
    equal: Vec<(String, String)>,
    numbers: BTreeSet<String>,
    /// What each CASE that is open compares, if it has an operand.
    cases: Vec<Option<String>>,
}

impl Found {
    fn read(&mut self, tokens: &[Token]) {
        for at in 0..tokens.len() {
            match &tokens[at] {
                Token::Eq | Token::Neq | Token::Lt | Token::Gt | Token::LtEq | Token::GtEq => {
                    let (left, right) = (column_before(tokens, at), column_at(tokens, at + 1));
                    match (left, right) {
                        (Some(left), Some((right, _))) if tokens[at] == Token::Eq => {
                            self.equal.push((left.into(), right.into()))
                        }
                        (Some(column), None) => self.note(column, literal(tokens.get(at + 1))),
                        (None, Some((column, _))) if at > 0 => {
                            self.note(column, literal(tokens.get(at - 1)))
                        }
                        _ => {}
                    }
                }
                Token::Word(word) => self.word(tokens, at, word),
                _ => {}
            }
        }
    }

    fn word(&mut self, tokens: &[Token], at: usize, word: &Word) {
        // `a NOT IN (...)` tells as much as `a IN (...)`.
        let before = |keyword| at > 0 && is(&tokens[at - 1], keyword);
        let end = if before(Keyword::NOT) { at - 1 } else { at };
        match word.keyword {
            Keyword::IN if tokens.get(at + 1) == Some(&Token::LParen) => {
                if let Some(column) = column_before(tokens, end) {
                    for token in tokens[at + 2..].iter().step_by(2) {
                        let Some(found) = literal(Some(token)) else { break };
                        self.note(column, Some(found));
                    }
                }
            }
            Keyword::LIKE => {
                if let (Some(column), Some(Literal::Text(pattern))) =
                    (column_before(tokens, end), literal(tokens.get(at + 1)))
                {
                    let text = pattern.replace('%', "").replace('_', "a");
                    self.note(column, Some(Literal::Text(text)));
                }
            }
            Keyword::BETWEEN => {
                if let Some(column) = column_before(tokens, end) {
                    self.note(column, literal(tokens.get(at + 1)));
                    self.note(column, literal(tokens.get(at + 3)));
                }
            }
            Keyword::CASE => {
                let operand = column_at(tokens, at + 1)
                    .filter(|(_, next)| tokens.get(*next).is_some_and(|t| is(t, Keyword::WHEN)));
                self.cases.push(operand.map(|(column, _)| column.to_string()));
            }
            Keyword::WHEN => {
                if let Some(Some(column)) = self.cases.last().cloned() {
                    self.note(&column, literal(tokens.get(at + 1)));
                }
            }
            Keyword::END => drop(self.cases.pop()),
            Keyword::CAST | Keyword::TRY_CAST => {
                self.numbers.extend(cast_to_number(tokens, at + 1).into_iter().flatten())
            }
            _ => {}
        }
    }

    fn note(&mut self, column: &str, literal: Option<Literal>) {
        let Some(literal) = literal else { return };
        let known = self.literals.entry(column.to_string()).or_default();
        if known.len() < LITERALS_MAX && !known.contains(&literal) {
            known.push(literal);
        }
    }

    fn compared(self) -> Compared {
        let mut groups: Vec<BTreeSet<String>> = Vec::new();
        for (left, right) in self.equal {
            let (mut joined, apart): (Vec<_>, Vec<_>) =
                groups.into_iter().partition(|g| g.contains(&left) || g.contains(&right));
            let mut group: BTreeSet<String> = joined.drain(..).flatten().collect();
            group.extend([left, right]);
            groups = apart;
            groups.push(group);
        }
        let mut together = BTreeMap::new();
        for group in groups {
            // The longest name says most: `user_id` rather than `id`.
            let first = group.iter().max_by_key(|n| n.len()).cloned().unwrap_or_default();
            together.extend(group.into_iter().map(|name| (name, first.clone())));
        }
        Compared { literals: self.literals, together, keys: BTreeSet::new(), numbers: self.numbers }
    }
}

fn is(token: &Token, keyword: Keyword) -> bool {
    matches!(token, Token::Word(w) if w.quote_style.is_none() && w.keyword == keyword)
}

/// Words that end an operand and are no columns.
fn is_name(word: &Word) -> bool {
    const NO_NAMES: [Keyword; 12] = [
        Keyword::NOT,
        Keyword::AND,
        Keyword::OR,
        Keyword::WHERE,
        Keyword::ON,
        Keyword::WHEN,
        Keyword::SELECT,
        Keyword::NULL,
        Keyword::TRUE,
        Keyword::FALSE,
        Keyword::INTERVAL,
        Keyword::CASE,
    ];
    word.quote_style.is_some() || !NO_NAMES.contains(&word.keyword)
}

/// The column whose last token stands right before `at`.
fn column_before(tokens: &[Token], at: usize) -> Option<&str> {
    match tokens.get(at.checked_sub(1)?)? {
        Token::Word(word) if is_name(word) => Some(&word.value),
        _ => None,
    }
}

/// The column that begins at `at`, and the place behind it; None for a call.
fn column_at(tokens: &[Token], at: usize) -> Option<(&str, usize)> {
    let mut next = at;
    loop {
        let Token::Word(word) = tokens.get(next)? else { return None };
        if !is_name(word) {
            return None;
        }
        match tokens.get(next + 1) {
            Some(Token::Period) => next += 2,
            Some(Token::LParen) => return None,
            _ => return Some((&word.value, next + 1)),
        }
    }
}

/// The names between the parentheses of a CAST to a number, which begin at `open`.
fn cast_to_number(tokens: &[Token], open: usize) -> Option<Vec<String>> {
    let (mut depth, mut names) = (0, Vec::new());
    for at in open..tokens.len() {
        match &tokens[at] {
            Token::LParen => depth += 1,
            Token::RParen if depth <= 1 => return None,
            Token::RParen => depth -= 1,
            as_type if depth == 1 && is(as_type, Keyword::AS) => {
                const NUMBERS: [Keyword; 11] = [
                    Keyword::TINYINT,
                    Keyword::SMALLINT,
                    Keyword::INT,
                    Keyword::INTEGER,
                    Keyword::BIGINT,
                    Keyword::FLOAT,
                    Keyword::REAL,
                    Keyword::DOUBLE,
                    Keyword::DECIMAL,
                    Keyword::DEC,
                    Keyword::NUMERIC,
                ];
                let to = tokens.get(at + 1)?;
                return NUMBERS.iter().any(|keyword| is(to, *keyword)).then_some(names);
            }
            Token::Word(word)
                if depth > 0 && is_name(word) && tokens.get(at + 1) != Some(&Token::LParen) =>
            {
                names.push(word.value.clone())
            }
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

fn literal(token: Option<&Token>) -> Option<Literal> {
    match token? {
        Token::SingleQuotedString(text) => Some(Literal::Text(text.clone())),
        Token::Number(text, _) => text.parse().ok().map(Literal::Number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_found_beside_their_columns() {
        let found = Compared::of(
            "SELECT CASE kind WHEN 'x' THEN 1 WHEN 'y' THEN 2 END FROM t WHERE t.a = 'one' AND 5 <= n AND n < 2.5 AND s NOT IN ('p', 'q')
               AND l LIKE 'http%' AND b BETWEEN 3 AND 4 AND UPPER(a) = 'NO' AND f(1) = 2",
        );
        let text = |t: &str| Literal::Text(t.into());
        let wanted = [
            ("a", vec![text("one")]),
            ("b", vec![Literal::Number(3.0), Literal::Number(4.0)]),
            ("kind", vec![text("x"), text("y")]),
            ("l", vec![text("http")]),
            ("n", vec![Literal::Number(5.0), Literal::Number(2.5)]),
            ("s", vec![text("p"), text("q")]),
        ];
        assert_eq!(found.literals, wanted.map(|(c, l)| (c.to_string(), l)).into());
        assert_eq!(found.together, BTreeMap::new());
    }

    #[test]
    fn texts_that_become_numbers_are_known() {
        let found = Compared::of(
            "SELECT CAST(t.price AS DECIMAL(10, 2)), TRY_CAST(TRIM(LEADING 'x' FROM `cost`) AS INT), CAST(s AS STRING),
               CAST(CAST(n AS STRING) AS STRING), TO_TIMESTAMP_LTZ(CAST(at AS BIGINT), 3), CAST(",
        );
        for column in ["price", "cost", "at"] {
            assert!(found.numbers.contains(column), "{column}: {:?}", found.numbers);
        }
        assert!(!found.numbers.contains("s") && !found.numbers.contains("n"));
    }

    #[test]
    fn columns_of_a_join_are_together() {
        let found = Compared::of(
            "SELECT * FROM o JOIN u ON o.user_id = u.id JOIN v ON v.uid = u.id WHERE x = y AND `select`",
        );
        let of = |name: &str| found.together.get(name).map(String::as_str);
        assert_eq!(
            ["user_id", "id", "uid", "x", "y", "select"].map(of),
            [Some("user_id"), Some("user_id"), Some("user_id"), Some("y"), Some("y"), None]
        );
    }
}
