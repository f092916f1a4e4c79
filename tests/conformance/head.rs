//! What does a case say of itself? The comment lines on top of its `query.sql`: the first tells what the case shows, each
//! further one is a word of [`WORDS`] with a reason.
//!
//! ```text
//! -- ARRAY_AGG in every window kind
//! -- surprising: it keeps NULLs (A3)
//! -- digits: 9: sums of DOUBLE go by the order of adding
//! -- differs from Flink: opt: Flink's order is that of a hash map
//! ```
//!
//! Called by [`super::case`]. What always holds: a line that is none of these is an error with its number.

use std::fmt;

/// What may stand behind `--`, and what it means.
pub const WORDS: [(&str, &str); 7] = [
    ("surprising: WHAT", "where a naive reading would be wrong, with the codes of FACTS.md in parentheses"),
    ("digits: N: WHY", "fractions are compared to N digits, not to 12"),
    ("differs from Flink: SINK: WHY", "what this sink or SELECT gives is not what Flink gave"),
    ("agrees as a table: SELECT: WHY", "its changes differ on the way to the same table"),
    ("goes by arrival: SELECT: WHY", "with several workers its changes come in another order, and with them its result"),
    ("dealt over files: WHY", "the rows may be dealt over several files, and the result is the same"),
    ("refused: WHY", "not supported: an error with a place when it is planned"),
];

/// Digits to which fractions are compared if the head does not say.
pub const DIGITS: usize = 12;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    Surprising,
    Digits(usize),
    Differs(String),
    AgreesAsTable(String),
    GoesByArrival(String),
    DealtOverFiles,
    Refused,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub word: Word,
    pub reason: String,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    /// What the case shows.
    pub shows: String,
    pub lines: Vec<Line>,
}

impl Head {
    /// Reads the head of a query's text.
    pub fn parse(text: &str) -> Result<Head, String> {
        let mut comments = text.lines().take_while(|line| line.starts_with("--"));
        let shows = comments.next().and_then(|line| line.strip_prefix("-- ")).unwrap_or_default();
        if shows.is_empty() {
            return Err("line 1 is to be a comment that tells what the case shows".into());
        }
        let mut lines: Vec<Line> = Vec::new();
        for (number, text) in (2..).zip(comments) {
            let line = parse_line(text).map_err(|e| format!("line {number} ({text}): {e}"))?;
            if lines.iter().any(|other| other.word == line.word && line.word != Word::Surprising) {
                return Err(format!("line {number} ({text}): said twice"));
            }
            lines.push(line);
        }
        Ok(Head { shows: shows.into(), lines })
    }

    pub fn says(&self, word: &Word) -> bool {
        self.lines.iter().any(|line| line.word == *word)
    }

    pub fn digits(&self) -> usize {
        let digits = self.lines.iter().find_map(|line| if let Word::Digits(n) = line.word { Some(n) } else { None });
        digits.unwrap_or(DIGITS)
    }
}

fn parse_line(text: &str) -> Result<Line, String> {
    let words = || WORDS.map(|(word, _)| format!("`-- {word}`")).join(", ");
    let known = text.strip_prefix("-- ").and_then(|text| text.split_once(": "));
    let (name, rest) = known.ok_or_else(|| format!("the lines of a head are {}", words()))?;
    let of_something = |rest: &str| -> Result<(String, String), String> {
        let (what, reason) = rest.split_once(": ").ok_or_else(|| format!("`{name}` is followed by two parts"))?;
        Ok((what.to_owned(), reason.to_owned()))
    };
    let (word, reason) = match name {
        "surprising" => (Word::Surprising, rest.to_owned()),
        "dealt over files" => (Word::DealtOverFiles, rest.to_owned()),
        "refused" => (Word::Refused, rest.to_owned()),
        "digits" => {
            let (digits, reason) = of_something(rest)?;
            let usable = digits.parse().ok().filter(|n| (1..DIGITS).contains(n));
            (Word::Digits(usable.ok_or_else(|| format!("{digits} is no number from 1 to {}", DIGITS - 1))?), reason)
        }
        "differs from Flink" => of_something(rest).map(|(sink, reason)| (Word::Differs(sink), reason))?,
        "agrees as a table" => of_something(rest).map(|(select, reason)| (Word::AgreesAsTable(select), reason))?,
        "goes by arrival" => of_something(rest).map(|(select, reason)| (Word::GoesByArrival(select), reason))?,
        other => return Err(format!("`{other}` is no word of a head; they are {}", words())),
    };
    if reason.trim().is_empty() { Err("without a reason".into()) } else { Ok(Line { word, reason }) }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Word::Surprising => f.write_str("surprising"),
            Word::Digits(digits) => write!(f, "digits: {digits}"),
            Word::Differs(sink) => write!(f, "differs from Flink: {sink}"),
            Word::AgreesAsTable(select) => write!(f, "agrees as a table: {select}"),
            Word::GoesByArrival(select) => write!(f, "goes by arrival: {select}"),
            Word::DealtOverFiles => f.write_str("dealt over files"),
            Word::Refused => f.write_str("refused"),
        }
    }
}

/// The grammar's own test.
pub fn are_read_strictly() {
    let head =
        Head::parse("-- sums: of all kinds\n-- digits: 9: by the order of adding\n-- differs from Flink: a: why: so\nSELECT 1;")
            .expect("a head");
    assert_eq!((head.shows.as_str(), head.digits()), ("sums: of all kinds", 9));
    assert_eq!(head.lines[1], Line { word: Word::Differs("a".into()), reason: "why: so".into() });
    assert_eq!(Head::parse("-- a\nSELECT 1;\n-- anything: goes").expect("a head"), Head { shows: "a".into(), lines: vec![] });
    for (text, said) in [
        ("SELECT 1;", "line 1"),
        ("--\nSELECT 1;", "line 1"),
        ("-- a\n-- goes on", "line 2"),
        ("-- a\n-- digit: 9: why", "`digit` is no word"),
        ("-- a\n-- digits: 12: why", "from 1 to 11"),
        ("-- a\n-- digits: 9", "two parts"),
        ("-- a\n-- differs from Flink: why", "two parts"),
        ("-- a\n-- refused: ", "without a reason"),
        ("-- a\n-- refused:", "line 2"),
        ("-- a\n-- refused: b\n-- refused: c", "line 3 (-- refused: c): said twice"),
    ] {
        let error = Head::parse(text).expect_err(text);
        assert!(error.contains(said), "{text}: {error}");
    }
}
