//! A record that is not simply one object: arrays, several values, text behind them, and what is no JSON.
//!
//! Called by `JsonDecoder` for each record that is more than an object and blanks, or less. By Flink's rules a top-level array gives a
//! row for each element, and an element that is no object ends it, as broken text does: rows before it stay. What always holds:
//! every byte that is not blank is in a row, in a reported part, or counted as skipped.

use super::text::string_end;
use super::{BYTE_ORDER_MARK, JsonDecoder, Way, skip_blanks, slow};
use crate::format::collected::Collected;
use crate::format::{BadRecord, FOLLOWS, ParseErrors, RecordPart, RowsPerRecord};
use crate::record::Span;

/// A record that is being taken apart.
struct Record<'a> {
    index: usize,
    json: &'a [u8],
    /// Where `json` starts in the record.
    base: usize,
    /// Parts found so far.
    parts: u32,
}

impl Record<'_> {
    fn part(&mut self, start: usize, end: usize) -> RecordPart {
        self.parts += 1;
        RecordPart { number: self.parts, span: Span { start: (self.base + start) as u32, end: (self.base + end) as u32 } }
    }
}

impl JsonDecoder {
    /// All values of a record, or the first and what follows it.
    pub(super) fn values(&mut self, index: usize, record: &[u8], way: Way, out: &mut Collected) {
        let json = record.strip_prefix(BYTE_ORDER_MARK).unwrap_or(record);
        let mut record = Record { index, json, base: record.len() - json.len(), parts: 0 };
        let mut at = skip_blanks(json, 0);
        while at < json.len() {
            let end = match json[at] {
                b'[' => self.array(&mut record, at, way, out),
                _ => self.value(&mut record, at, way, out),
            };
            at = skip_blanks(json, end);
            if self.options.rows_per_record == RowsPerRecord::One && at < json.len() {
                record.parts = record.parts.max(1);
                let part = record.part(at, json.len());
                out.bad.push(BadRecord { index, part: Some(part), reason: FOLLOWS.into() });
                return;
            }
        }
    }

    /// A value that is no array. Returns where the next may begin.
    fn value(&mut self, record: &mut Record<'_>, at: usize, way: Way, out: &mut Collected) -> usize {
        let json = record.json;
        let (read, end) = self.object(json, at, out.rows, way);
        let value = &json[at..end.unwrap_or(json.len())];
        let is_only = record.parts == 0 && skip_blanks(json, at + value.len()) == json.len();
        match read {
            Ok(nulled) => {
                out.nulled += nulled;
                let whole = is_only || self.options.rows_per_record == RowsPerRecord::One;
                let part = (!whole).then(|| record.part(at, at + value.len()));
                out.row(record.index, part);
                at + value.len()
            }
            Err(reason) if self.options.rows_per_record == RowsPerRecord::One => {
                // Nothing can be made of what follows either.
                out.bad(record.index, None, reason, self.options.parse_errors);
                json.len()
            }
            Err(reason) => {
                // Broken text ends with its line: the next one may be whole.
                let line_end = memchr::memchr(b'\n', value).filter(|_| !slow::is_json(value));
                let length = line_end.unwrap_or(value.len()).max(1);
                let part = (!is_only || length < value.len()).then(|| record.part(at, at + length));
                out.bad(record.index, part, reason, self.options.parse_errors);
                at + length
            }
        }
    }

    /// The elements of an array. Returns where the next value may begin.
    fn array(&mut self, record: &mut Record<'_>, start: usize, way: Way, out: &mut Collected) -> usize {
        let errors = self.options.parse_errors;
        let json = record.json;
        let mut at = skip_blanks(json, start + 1);
        let mut ended = false;
        if json.get(at) == Some(&b']') {
            return at + 1;
        }
        loop {
            let is_object = !ended && json.get(at) == Some(&b'{');
            let (read, end) = match is_object {
                true => self.object(json, at, out.rows, way),
                false => (Err(String::new()), end_of(json, at).filter(|&end| slow::is_json(&json[at..end]))),
            };
            let Some(end) = end else { break };
            let (part, value) = (record.part(at, end), &json[at..end]);
            match read {
                Ok(nulled) => {
                    out.nulled += nulled;
                    out.row(record.index, Some(part));
                }
                Err(reason) if is_object => {
                    ended = errors == ParseErrors::Ignored && !slow::is_json(value);
                    out.bad(record.index, Some(part), reason, errors);
                }
                Err(_) => {
                    // By Flink's rule nothing after it is read, if it does not fail the job.
                    ended = errors == ParseErrors::Ignored;
                    out.bad(
                        record.index,
                        Some(part),
                        format!("an element is not a JSON object: {}", slow::excerpt(value)),
                        errors,
                    );
                }
            }
            at = skip_blanks(json, end);
            match json.get(at) {
                Some(b',') => at = skip_blanks(json, at + 1),
                Some(b']') => return at + 1,
                _ => break,
            }
        }
        // The text is broken here. What follows may be whole where each line is a record.
        let rest = &json[at..];
        let line_end = memchr::memchr(b'\n', rest).filter(|_| self.options.rows_per_record == RowsPerRecord::Many);
        let length = line_end.unwrap_or(rest.len());
        let part = record.part(at, at + length);
        let reason = if rest.is_empty() {
            "the array is not closed".into()
        } else {
            format!("broken JSON in an array: {}", slow::excerpt(rest))
        };
        out.bad(record.index, Some(part), reason, errors);
        at + length.max(1).min(rest.len())
    }
}

/// Where a value ends, by its brackets and quotes alone. None if it is not closed, or does not begin.
pub(super) fn end_of(json: &[u8], at: usize) -> Option<usize> {
    match *json.get(at)? {
        b'"' => string_end(json, at),
        b'{' | b'[' => {
            let (mut depth, mut at) = (0usize, at);
            loop {
                match *json.get(at)? {
                    b'"' => at = string_end(json, at)? - 1,
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                at += 1;
                if depth == 0 {
                    return Some(at);
                }
            }
        }
        b',' | b']' | b'}' | b':' => None,
        _ => Some(at + json[at..].iter().position(|c| b" \t\r\n,[]{}:\"".contains(c)).unwrap_or(json.len() - at)),
    }
}
