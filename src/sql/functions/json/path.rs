//! JSON paths: `$.a.b[0]`, `$['a b']`, `$[*]`, `$..a`, `$[1:3]`.
//!
//! The language is that of Jayway's JsonPath, which Flink uses, without filters and functions: those are refused. A path is
//! strict unless it says `lax`: in a strict one a missing member is an error, in a lax one it is nothing. A path that may find
//! several values (with `*`, `..`, a slice or a list) finds an array of them, and misses nothing.

use super::value::Json;

#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    pub lax: bool,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Members(Vec<String>),
    Elements(Vec<i64>),
    Slice(Option<i64>, Option<i64>),
    All,
    /// The next step, at any depth.
    Deep,
}

/// How many values steps may find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finds {
    /// One, which is missing if it is not there.
    One,
    Several,
}

impl Step {
    fn is_definite(&self) -> bool {
        match self {
            Step::Members(names) => names.len() == 1,
            Step::Elements(indices) => indices.len() == 1,
            Step::Slice(..) | Step::All | Step::Deep => false,
        }
    }
}

/// What a path found: a value, several as an array, or nothing.
pub type Found = Result<Option<Json>, Missing>;

/// A strict path did not find what it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing;

impl Path {
    pub fn parse(text: &str) -> Result<Path, String> {
        let trimmed = text.trim_start();
        let mode = |word: &str| {
            let rest =
                trimmed.get(..word.len()).filter(|head| head.eq_ignore_ascii_case(word)).map(|_| &trimmed[word.len()..])?;
            rest.starts_with(char::is_whitespace).then(|| rest.trim())
        };
        let (lax, path) = match (mode("lax"), mode("strict")) {
            (Some(path), _) => (true, path),
            (_, Some(path)) => (false, path),
            _ => (false, text.trim()),
        };
        let wrong = |what: &str| format!("the JSON path '{text}' {what}");
        // `a` is `$.a`.
        let with_root = if path.starts_with('$') { path.to_string() } else { format!("$.{path}") };
        let mut rest = &with_root[1..];
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix("..") {
                steps.push(Step::Deep);
                rest = after;
                if rest.is_empty() {
                    return Err(wrong("ends with .."));
                }
                if rest.starts_with('[') {
                    continue;
                }
            } else if let Some(after) = rest.strip_prefix('.') {
                rest = after;
            } else if let Some(inside) = rest.strip_prefix('[') {
                let (step, after) = bracket(inside).ok_or_else(|| wrong("has brackets that are not supported"))?;
                steps.push(step);
                rest = after;
                continue;
            } else {
                return Err(wrong("is not understood"));
            }
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let name = &rest[..end];
            if name.is_empty() || name.contains(['(', ')', ' ', '\'', '"', '?']) {
                return Err(wrong("has a member without a name, a blank or a function"));
            }
            steps.push(if name == "*" { Step::All } else { Step::Members(vec![name.to_string()]) });
            rest = &rest[end..];
        }
        Ok(Path { lax, steps })
    }

    pub fn find(&self, json: &Json) -> Found {
        let mut out = Vec::new();
        // Several members at the end make one object.
        let last_is = |at: usize| at + 1 == self.steps.len() && matches!(self.steps[at], Step::Members(_));
        let definite = self.steps.iter().enumerate().all(|(at, step)| step.is_definite() || last_is(at));
        match self.walk(json, 0, Finds::One, &mut out) {
            Err(Missing) if !self.lax => return Err(Missing),
            _ => {}
        }
        if !definite {
            return Ok(Some(Json::Array(out)));
        }
        match out.pop() {
            None if !self.lax => Err(Missing),
            found => Ok(found),
        }
    }

    /// `finds`: what the steps before this one find.
    fn walk(&self, json: &Json, at: usize, finds: Finds, out: &mut Vec<Json>) -> Result<(), Missing> {
        let Some(step) = self.steps.get(at) else {
            out.push(json.clone());
            return Ok(());
        };
        let last = at + 1 == self.steps.len();
        let inside = if step.is_definite() { finds } else { Finds::Several };
        let nothing = if finds == Finds::One && !self.lax { Err(Missing) } else { Ok(()) };
        match (step, json) {
            (Step::Members(names), Json::Object(members)) => {
                if let [name] = names.as_slice() {
                    return match members.iter().find(|(n, _)| n == name) {
                        Some((_, value)) => self.walk(value, at + 1, inside, out),
                        None if last => Ok(()),
                        None => nothing,
                    };
                }
                let found: Vec<(String, Json)> =
                    names.iter().filter_map(|name| members.iter().find(|(n, _)| n == name).cloned()).collect();
                if last {
                    out.push(Json::Object(found));
                    return Ok(());
                }
                found.iter().try_for_each(|(_, value)| self.walk(value, at + 1, inside, out))
            }
            (Step::Elements(indices), Json::Array(elements)) => indices.iter().try_for_each(|&index| {
                let index = if index < 0 { elements.len() as i64 + index } else { index };
                match usize::try_from(index).ok().and_then(|i| elements.get(i)) {
                    Some(element) => self.walk(element, at + 1, inside, out),
                    None => Ok(()),
                }
            }),
            (Step::Slice(from, to), Json::Array(elements)) => {
                let length = elements.len() as i64;
                let place = |p: i64| if p < 0 { (length + p).max(0) } else { p.min(length) } as usize;
                let (from, to) = (from.map_or(0, place), to.map_or(elements.len(), place));
                elements.get(from..to).unwrap_or_default().iter().try_for_each(|e| self.walk(e, at + 1, Finds::Several, out))
            }
            (Step::All, json) => children(json).try_for_each(|child| self.walk(child, at + 1, Finds::Several, out)),
            (Step::Deep, json) => {
                let fits = match (&self.steps[at + 1], json) {
                    (Step::Members(names), Json::Object(members)) => {
                        names.iter().all(|name| members.iter().any(|(n, _)| n == name))
                    }
                    (Step::Elements(_) | Step::Slice(..), Json::Array(_)) => true,
                    (Step::All, Json::Array(_) | Json::Object(_)) => true,
                    _ => false,
                };
                if fits {
                    self.walk(json, at + 1, Finds::Several, out)?;
                }
                children(json).try_for_each(|child| self.walk(child, at, Finds::Several, out))
            }
            (Step::Members(_) | Step::Elements(_) | Step::Slice(..), _) => nothing,
        }
    }
}

fn children(json: &Json) -> Box<dyn Iterator<Item = &Json> + '_> {
    match json {
        Json::Array(elements) => Box::new(elements.iter()),
        Json::Object(members) => Box::new(members.iter().map(|(_, value)| value)),
        _ => Box::new(std::iter::empty()),
    }
}

/// A step in brackets, given what follows `[`; and what follows `]`.
fn bracket(inside: &str) -> Option<(Step, &str)> {
    let inside = inside.trim_start();
    if inside.starts_with(['\'', '"']) {
        let mut names = Vec::new();
        let mut rest = inside;
        loop {
            let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
            let end = rest[1..].find(quote)? + 1;
            // An escaped quote is not taken for one.
            if rest[1..end].contains('\\') {
                return None;
            }
            names.push(rest[1..end].to_string());
            rest = rest[end + 1..].trim_start();
            if let Some(after) = rest.strip_prefix(']') {
                return Some((Step::Members(names), after));
            }
            rest = rest.strip_prefix(',')?.trim_start();
        }
    }
    let (content, after) = inside.split_once(']')?;
    let content = content.trim();
    if content == "*" {
        return Some((Step::All, after));
    }
    if let Some((from, to)) = content.split_once(':') {
        let bound = |text: &str| if text.trim().is_empty() { Some(None) } else { text.trim().parse().ok().map(Some) };
        return Some((Step::Slice(bound(from)?, bound(to)?), after));
    }
    let indices = content.split(',').map(|index| index.trim().parse().ok()).collect::<Option<Vec<i64>>>()?;
    Some((Step::Elements(indices), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(json: &str, path: &str) -> Option<String> {
        let json = Json::read(json).expect("JSON");
        match Path::parse(path).expect(path).find(&json) {
            Ok(Some(found)) => Some(found.written()),
            Ok(None) => None,
            Err(Missing) => Some("missing".into()),
        }
    }

    #[test]
    fn paths_find_what_they_name() {
        let json = r#"{"a":{"a":1,"b":[1,2,{"a":5}]},"c d":"x","n":null}"#;
        for (path, expected) in [
            ("$.a.b[1]", "2"),
            ("$.a.b[-1].a", "5"),
            ("$['c d']", "\"x\""),
            ("$.n", "null"),
            ("$..a", "[{\"a\":1,\"b\":[1,2,{\"a\":5}]},1,5]"),
            ("$.a.b[*]", "[1,2,{\"a\":5}]"),
            ("$.a.b[0,1]", "[1,2]"),
            ("$.a.b[1:]", "[2,{\"a\":5}]"),
            ("a.a", "1"),
            ("$['n','c d']", "{\"c d\":\"x\",\"n\":null}"),
            ("$.zz", "missing"),
            ("$.zz[*]", "missing"),
            ("$.a.b[9]", "missing"),
            ("$.a.b.x", "missing"),
            ("lax $.zz[*]", "[]"),
            ("$.n[*]", "[]"),
        ] {
            assert_eq!(find(json, path).as_deref(), Some(expected), "{path}");
        }
        assert_eq!(find(json, "lax $.zz.y"), None);
    }

    #[test]
    fn what_is_not_supported_is_refused() {
        for path in ["", "$.", "$..", "$[?(@.a)]", "$.length()", "$[", "$['a", "$x"] {
            assert!(Path::parse(path).is_err(), "{path}");
        }
    }
}
