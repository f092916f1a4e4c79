//! Where do the fields of a CSV record begin and end? The rules of Jackson's parser, which Flink
//! uses.
//!
//! Called by the decoder ([`Fields`]) and by the source of files ([`RecordEnds`], since a quoted
//! field may span lines). What always holds: a quote opens a quoted field only as the field's first
//! byte; blanks after the closing quote are skipped; nothing is copied unless a field holds a
//! doubled quote or an escape.

use memchr::{memchr, memchr2, memchr3};

/// The characters with a meaning. All of them ASCII, so that they are no part of another character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    pub delimiter: u8,
    pub quote: Option<u8>,
    pub escape: Option<u8>,
    /// `csv.allow-comments`: lines that start with `#`, and blank ones, are skipped.
    pub comments: bool,
}

impl Default for Dialect {
    fn default() -> Self {
        Dialect { delimiter: b',', quote: Some(b'"'), escape: None, comments: false }
    }
}

impl Dialect {
    /// Blanks that are skipped before the first field: Jackson's search for comments eats them.
    fn blanks_before(&self, record: &[u8]) -> usize {
        if self.comments { record.iter().take_while(|&&c| c == b' ').count() } else { 0 }
    }

    /// True for a line that is no record at all.
    pub(crate) fn is_skipped(&self, line: &[u8]) -> bool {
        self.comments
            && line.iter().find(|&&c| c != b' ').is_none_or(|&c| matches!(c, b'#' | b'\r' | b'\n'))
    }
}

/// Why a record cannot be cut into fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FieldsError {
    #[error("a quoted field is not closed")]
    Unclosed,
    #[error("text follows the closing quote of a field")]
    AfterQuote,
    #[error("the escape character stands at the end")]
    OpenEscape,
}

/// The fields of one record, first to last. What follows its line end is not looked at.
pub struct Fields<'a> {
    dialect: Dialect,
    /// From the next field on; None after the last.
    rest: Option<&'a [u8]>,
    /// What follows the last one.
    after: &'a [u8],
}

impl<'a> Fields<'a> {
    pub fn new(dialect: Dialect, record: &'a [u8]) -> Fields<'a> {
        Fields { dialect, rest: Some(&record[dialect.blanks_before(record)..]), after: &[] }
    }

    /// The next field's content. Only if quotes or escapes had to be undone does it stand in
    /// `scratch`.
    pub fn next<'b>(&mut self, scratch: &'b mut Vec<u8>) -> Result<Option<&'b [u8]>, FieldsError>
    where
        'a: 'b,
    {
        let Some(rest) = self.rest else { return Ok(None) };
        match rest.first() {
            Some(first) if Some(*first) == self.dialect.quote => {
                self.quoted(&rest[1..], *first, scratch).map(Some)
            }
            _ if self.dialect.escape.is_some() => self.escaped(rest, scratch).map(Some),
            _ => {
                let end = memchr3(self.dialect.delimiter, b'\n', b'\r', rest).unwrap_or(rest.len());
                self.go_on(rest, end);
                Ok(Some(&rest[..end]))
            }
        }
    }

    /// What stands behind the record's line, from its end on: of use after the last field.
    pub fn after(&self) -> &'a [u8] {
        self.after
    }

    /// `end`: where a delimiter or line end stands, or the record ends.
    fn go_on(&mut self, rest: &'a [u8], end: usize) {
        let more = rest.get(end) == Some(&self.dialect.delimiter);
        self.rest = more.then(|| &rest[end + 1..]);
        self.after = &rest[end.min(rest.len())..];
    }

    fn escaped<'b>(
        &mut self,
        rest: &'a [u8],
        scratch: &'b mut Vec<u8>,
    ) -> Result<&'b [u8], FieldsError>
    where
        'a: 'b,
    {
        let is_end = |c: &u8| *c == self.dialect.delimiter || matches!(*c, b'\n' | b'\r');
        let stop = rest
            .iter()
            .position(|c| is_end(c) || Some(*c) == self.dialect.escape)
            .unwrap_or(rest.len());
        if rest.get(stop).is_none_or(is_end) {
            self.go_on(rest, stop);
            return Ok(&rest[..stop]);
        }
        scratch.clear();
        let mut at = 0;
        while let Some(c) = rest.get(at).filter(|c| !is_end(c)) {
            if Some(*c) == self.dialect.escape {
                at += 1;
                scratch.push(unescaped(*rest.get(at).ok_or(FieldsError::OpenEscape)?));
            } else {
                scratch.push(*c);
            }
            at += 1;
        }
        self.go_on(rest, at);
        Ok(scratch)
    }

    /// `rest`: after the opening quote.
    fn quoted<'b>(
        &mut self,
        rest: &'a [u8],
        quote: u8,
        scratch: &'b mut Vec<u8>,
    ) -> Result<&'b [u8], FieldsError>
    where
        'a: 'b,
    {
        let mut copied = false;
        let mut from = 0;
        let mut at = 0;
        let end = loop {
            // Without an escape character the quote is searched twice over.
            at += memchr2(quote, self.dialect.escape.unwrap_or(quote), &rest[at..])
                .ok_or(FieldsError::Unclosed)?;
            if rest[at] == quote && rest.get(at + 1) != Some(&quote) {
                break at;
            }
            if !copied {
                scratch.clear();
                copied = true;
            }
            scratch.extend_from_slice(&rest[from..at]);
            let next = *rest.get(at + 1).ok_or(FieldsError::OpenEscape)?;
            scratch.push(if rest[at] == quote { quote } else { unescaped(next) });
            at += 2;
            from = at;
        };
        let after = end
            + 1
            + rest[end + 1..]
                .iter()
                .position(|&c| !matches!(c, b' ' | b'\t'))
                .unwrap_or(rest.len() - end - 1);
        match rest.get(after) {
            Some(c) if *c != self.dialect.delimiter && !matches!(c, b'\n' | b'\r') => {
                return Err(FieldsError::AfterQuote);
            }
            _ => self.go_on(rest, after),
        }
        if copied {
            scratch.extend_from_slice(&rest[from..end]);
            return Ok(scratch);
        }
        Ok(&rest[..end])
    }
}

fn unescaped(c: u8) -> u8 {
    match c {
        b'0' => 0,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        other => other,
    }
}

/// Finds line ends that are no part of a quoted field. One per record; it can be asked again when
/// more bytes are there, and does not look at a byte twice.
#[derive(Debug, Clone, Copy)]
pub struct RecordEnds {
    dialect: Dialect,
    state: State,
    /// Bytes of the record that were looked at.
    seen: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    RecordStart,
    FieldStart,
    Unquoted,
    Quoted,
    /// After an escape character, within quotes or not.
    Escape {
        quoted: bool,
    },
}

impl RecordEnds {
    pub fn new(dialect: Dialect) -> RecordEnds {
        RecordEnds { dialect, state: State::RecordStart, seen: 0 }
    }

    /// The offset in `record` of the line feed that ends it; None if that is not there yet.
    pub fn find(&mut self, record: &[u8]) -> Option<usize> {
        while self.seen < record.len() {
            let rest = &record[self.seen..];
            match self.state {
                State::RecordStart => {
                    let end = memchr(b'\n', rest)?;
                    let line = &rest[..end];
                    let plain =
                        |special: Option<u8>| special.is_none_or(|c| memchr(c, line).is_none());
                    if (plain(self.dialect.quote) && plain(self.dialect.escape))
                        || self.dialect.is_skipped(line)
                    {
                        return Some(end);
                    }
                    self.seen += self.dialect.blanks_before(line);
                    self.state = State::FieldStart;
                }
                State::FieldStart => {
                    let quoted = Some(rest[0]) == self.dialect.quote;
                    self.seen += usize::from(quoted);
                    self.state = if quoted { State::Quoted } else { State::Unquoted };
                }
                State::Unquoted => {
                    let escape = self.dialect.escape.unwrap_or(b'\n');
                    let Some(at) = memchr3(self.dialect.delimiter, b'\n', escape, rest) else {
                        self.seen = record.len();
                        return None;
                    };
                    if rest[at] == b'\n' {
                        return Some(self.seen + at);
                    }
                    let delimiter = rest[at] == self.dialect.delimiter;
                    self.seen += at + 1;
                    self.state =
                        if delimiter { State::FieldStart } else { State::Escape { quoted: false } };
                }
                State::Quoted => {
                    let quote = self.dialect.quote?;
                    let Some(at) = memchr2(quote, self.dialect.escape.unwrap_or(quote), rest)
                    else {
                        self.seen = record.len();
                        return None;
                    };
                    if rest[at] == quote {
                        // Whether it is doubled shows in the next byte.
                        let next = rest.get(at + 1)?;
                        self.seen += at + 1 + usize::from(*next == quote);
                        self.state = if *next == quote { State::Quoted } else { State::Unquoted };
                    } else {
                        self.seen += at + 1;
                        self.state = State::Escape { quoted: true };
                    }
                }
                State::Escape { quoted } => {
                    self.seen += 1;
                    self.state = if quoted { State::Quoted } else { State::Unquoted };
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(dialect: Dialect, record: &str) -> Result<Vec<String>, FieldsError> {
        let mut scratch = Vec::new();
        let mut found = Vec::new();
        let mut fields = Fields::new(dialect, record.as_bytes());
        while let Some(field) = fields.next(&mut scratch)? {
            found.push(String::from_utf8_lossy(field).into_owned());
        }
        Ok(found)
    }

    const ESCAPED: Dialect =
        Dialect { delimiter: b';', quote: Some(b'\''), escape: Some(b'\\'), comments: true };
    const BARE: Dialect = Dialect { delimiter: b'|', quote: None, escape: None, comments: false };

    #[test]
    fn fields_as_jackson_cuts_them() {
        let plain = Dialect::default();
        for (dialect, record, expected) in [
            (plain, "1,a,b", Ok(vec!["1", "a", "b"])),
            (plain, "", Ok(vec![""])),
            (plain, ",", Ok(vec!["", ""])),
            (plain, "a,", Ok(vec!["a", ""])),
            (plain, "1, \"a,b\",x", Ok(vec!["1", " \"a", "b\"", "x"])),
            (plain, "2,\"a\" ,x", Ok(vec!["2", "a", "x"])),
            (plain, "3,\"a\"b,x", Err(FieldsError::AfterQuote)),
            (plain, "4,a\"b,x", Ok(vec!["4", "a\"b", "x"])),
            (plain, "\"x\"\"y\",\"\",\"\"\"\"", Ok(vec!["x\"y", "", "\""])),
            (plain, "\"multi\nline\",z", Ok(vec!["multi\nline", "z"])),
            (plain, "a,b\nc,d", Ok(vec!["a", "b"])),
            (plain, "a,\"b\"\r\nc", Ok(vec!["a", "b"])),
            (plain, "a,\"b", Err(FieldsError::Unclosed)),
            (plain, "a\\n,\"b\\\"", Ok(vec!["a\\n", "b\\"])),
            (ESCAPED, "a\\n\\t;'b\\'c'", Ok(vec!["a\n\t", "b'c"])),
            (ESCAPED, "plain\\;esc;'a;b';''", Ok(vec!["plain;esc", "a;b", ""])),
            (ESCAPED, "'q''r\\\\';\\", Err(FieldsError::OpenEscape)),
            (ESCAPED, "'q''r\\\\s'", Ok(vec!["q'r\\s"])),
            (ESCAPED, "  'a;b';'c' ; d ", Ok(vec!["a;b", "c", " d "])),
            (BARE, "\"a|b\"", Ok(vec!["\"a", "b\""])),
        ] {
            let expected =
                expected.map(|fields: Vec<&str>| fields.into_iter().map(str::to_owned).collect());
            assert_eq!(fields(dialect, record), expected, "{record}");
        }
    }

    #[test]
    fn record_ends_wherever_the_bytes_are_cut() {
        for (dialect, text, expected) in [
            (Dialect::default(), "a,b\nc", Some(3)),
            (Dialect::default(), "a,\"b\nc\"\nd\n", Some(7)),
            (Dialect::default(), "a,\"b\"\"\nc\"\nd\n", Some(9)),
            (Dialect::default(), "a\"b\nc\"\n", Some(3)),
            (Dialect::default(), "\"a\" x\n", Some(5)),
            (Dialect::default(), "\"a\nb\n", None),
            (Dialect::default(), "# it\"s\n", Some(6)),
            (ESCAPED, "# it's\nx\n", Some(6)),
            (ESCAPED, "'a\\'\n'\n", Some(6)),
            (ESCAPED, "  'a\n'\n", Some(6)),
            (ESCAPED, "a\\\nb\n", Some(4)),
            (BARE, "\"a\n\"", Some(2)),
        ] {
            assert_eq!(RecordEnds::new(dialect).find(text.as_bytes()), expected, "{text}");
            let mut ends = RecordEnds::new(dialect);
            let found = (0..=text.len()).find_map(|length| ends.find(&text.as_bytes()[..length]));
            assert_eq!(found, expected, "{text}, byte by byte");
        }
    }
}
