//! Which file of the library uses which other one, read from the tokens of the source.
//!
//! Used by the rules in `architecture`. What is compiled for tests only is left out, wherever it
//! stands in a file; what stands inside of a macro counts. A name that one module hands on from
//! another leads to the file that the name comes from.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A file of the library.
pub struct File {
    /// Below `src`, with `/`.
    pub name: String,
    /// Path of the module that it holds; empty for `lib.rs`.
    pub module: Vec<String>,
    pub text: String,
    /// Paths named in it outside of tests, absolute from the crate on, or as they stand if they are
    /// of other crates.
    pub paths: BTreeSet<Vec<String>>,
    /// Names that it brings into its module, with what they stand for. A glob is named `*`.
    brought_in: Vec<(String, Vec<String>)>,
}

impl File {
    pub fn new(name: &str, text: &str) -> File {
        let stem = name.trim_end_matches(".rs").trim_end_matches("/mod");
        let module =
            if stem == "lib" { Vec::new() } else { stem.split('/').map(String::from).collect() };
        let mut file = File {
            name: name.into(),
            module,
            text: text.into(),
            paths: BTreeSet::new(),
            brought_in: Vec::new(),
        };
        let tokens: TokenStream = text.parse().unwrap_or_else(|e| panic!("{name}: {e}"));
        file.read(tokens);
        file
    }

    /// Whether it has `name` of another crate, such as `rocksdb` or `SystemTime::now`, in its code.
    pub fn names(&self, what: &[&str]) -> bool {
        self.paths.iter().any(|path| path.windows(what.len()).any(|part| part == what))
    }

    fn read(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Punct(p) if p.as_char() == '#' => {
                    let inner = matches!(tokens.get(at + 1), Some(TokenTree::Punct(p)) if p.as_char() == '!');
                    let group = at + 1 + usize::from(inner);
                    at = group + 1;
                    if tokens.get(group).is_some_and(is_for_tests) {
                        at = behind_item(&tokens, at);
                    }
                }
                // What may see an item says nothing about what the item uses.
                TokenTree::Ident(word) if word == "pub" => {
                    let scope = matches!(tokens.get(at + 1), Some(TokenTree::Group(g)) if g.delimiter() == Delimiter::Parenthesis);
                    at += 1 + usize::from(scope);
                }
                TokenTree::Ident(word) if word == "use" => {
                    let end = (at..tokens.len())
                        .find(|&i| is_punct(&tokens[i], ';'))
                        .unwrap_or(tokens.len());
                    let mut found = Vec::new();
                    use_tree(&tokens[at + 1..end], Vec::new(), &mut found);
                    for (name, path) in found {
                        let path = self.absolute(path);
                        self.brought_in.push((name, path.clone()));
                        self.paths.insert(path);
                    }
                    at = end + 1;
                }
                TokenTree::Ident(_) => {
                    let mut path = Vec::new();
                    while let Some(TokenTree::Ident(word)) = tokens.get(at) {
                        path.push(word.to_string());
                        at += 1;
                        let more = matches!(tokens.get(at + 2), Some(TokenTree::Ident(_)));
                        if !(more && is_separator(&tokens[at..])) {
                            break;
                        }
                        at += 2;
                    }
                    if path.len() > 1 {
                        let path = self.absolute(path);
                        self.paths.insert(path);
                    }
                }
                TokenTree::Group(group) => {
                    self.read(group.stream());
                    at += 1;
                }
                _ => at += 1,
            }
        }
    }

    /// `crate::a` is a, `super::b` lies beside this module.
    fn absolute(&self, path: Vec<String>) -> Vec<String> {
        let ups = path.iter().take_while(|s| *s == "super").count();
        match path.first().map(String::as_str) {
            Some("crate") => {
                std::iter::once("crate".into()).chain(path[1..].iter().cloned()).collect()
            }
            Some("self") => self.beside(0, &path[1..]),
            Some("super") => self.beside(ups, &path[ups..]),
            _ => path,
        }
    }

    fn beside(&self, ups: usize, rest: &[String]) -> Vec<String> {
        let from = &self.module[..self.module.len().saturating_sub(ups)];
        std::iter::once("crate".into())
            .chain(from.iter().cloned())
            .chain(rest.iter().cloned())
            .collect()
    }
}

fn is_punct(token: &TokenTree, c: char) -> bool {
    matches!(token, TokenTree::Punct(p) if p.as_char() == c)
}

fn is_separator(tokens: &[TokenTree]) -> bool {
    tokens.len() > 1 && is_punct(&tokens[0], ':') && is_punct(&tokens[1], ':')
}

/// Whether an attribute says `cfg` with `test` as something that must hold.
fn is_for_tests(attribute: &TokenTree) -> bool {
    let text = attribute.to_string().replace(' ', "");
    text == "[test]"
        || (text.starts_with("[cfg(") && text.contains("test") && !text.contains("not(test"))
}

/// Past the item (or field, or statement) that starts at `at`, with its further attributes.
fn behind_item(tokens: &[TokenTree], mut at: usize) -> usize {
    let is_use = |at: usize| matches!(&tokens[at], TokenTree::Ident(word) if word == "use");
    let mut in_use = false;
    while at < tokens.len() {
        in_use |= is_use(at);
        let braces =
            matches!(&tokens[at], TokenTree::Group(g) if g.delimiter() == Delimiter::Brace);
        let ends = is_punct(&tokens[at], ';') || is_punct(&tokens[at], ',') || braces && !in_use;
        at += 1;
        if ends {
            break;
        }
    }
    at
}

/// The leaves of `a::{b, c as d, e::*}` with the names that they bring in.
fn use_tree(tokens: &[TokenTree], before: Vec<String>, out: &mut Vec<(String, Vec<String>)>) {
    for part in tokens.split(|t| is_punct(t, ',')) {
        let mut path = before.clone();
        let mut renamed = None;
        let mut at = 0;
        let mut is_leaf = !part.is_empty();
        while at < part.len() {
            match &part[at] {
                TokenTree::Ident(word) if word == "as" => {
                    renamed = part.get(at + 1).map(ToString::to_string);
                    at += 1;
                }
                // `a::{self}` is a.
                TokenTree::Ident(word) if word == "self" && !path.is_empty() => {}
                TokenTree::Ident(word) => path.push(word.to_string()),
                TokenTree::Group(group) => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    use_tree(&inner, path.clone(), out);
                    is_leaf = false;
                }
                TokenTree::Punct(p) if p.as_char() == '*' => renamed = Some("*".into()),
                _ => {}
            }
            at += 1;
        }
        if is_leaf {
            let name = renamed.or_else(|| path.last().cloned()).unwrap_or_default();
            out.push((name, path));
        }
    }
}

/// Modules that a name is followed through: more is a circle of names.
const HANDED_ON_MAX: usize = 8;

/// All files of a library, and what they use of each other.
pub struct Sources {
    pub files: Vec<File>,
    by_module: BTreeMap<Vec<String>, usize>,
}

impl Sources {
    pub fn new(files: Vec<File>) -> Sources {
        let by_module = files.iter().enumerate().map(|(i, f)| (f.module.clone(), i)).collect();
        Sources { files, by_module }
    }

    /// The library's own files, without those that are tests as a whole.
    pub fn of_the_library() -> Sources {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut paths = Vec::new();
        walk(&root, &mut paths);
        let file = |path: PathBuf| {
            let text = fs::read_to_string(&path).expect("readable");
            let name =
                path.strip_prefix(&root).expect("inside").to_string_lossy().replace('\\', "/");
            File::new(&name, &text)
        };
        Sources::new(paths.into_iter().filter(|p| !is_a_test(p)).map(file).collect())
    }

    /// Pairs of files of which the first uses the second.
    pub fn uses(&self) -> BTreeSet<(usize, usize)> {
        let mut found = BTreeSet::new();
        for (from, file) in self.files.iter().enumerate() {
            for path in &file.paths {
                let to = self.origin(&self.in_scope(file, path), 0);
                found.extend(to.filter(|&to| to != from).map(|to| (from, to)));
            }
        }
        found
    }

    /// A path that starts with a module of the file's own starts there.
    fn in_scope(&self, file: &File, path: &[String]) -> Vec<String> {
        let child: Vec<String> = file.module.iter().chain(path.first()).cloned().collect();
        if path.first().is_some_and(|first| first != "crate") && self.by_module.contains_key(&child)
        {
            return file.beside(0, path);
        }
        path.to_vec()
    }

    /// The file in which what an absolute path names is written.
    fn origin(&self, path: &[String], depth: usize) -> Option<usize> {
        let (first, rest) = path.split_first()?;
        if first != "crate" || depth > HANDED_ON_MAX {
            return None;
        }
        let (at, file) =
            (0..=rest.len()).rev().find_map(|n| Some((n, *self.by_module.get(&rest[..n])?)))?;
        if let Some(name) = rest.get(at) {
            for (brought_in, from) in &self.files[file].brought_in {
                if brought_in == name {
                    let full: Vec<String> = from.iter().chain(&rest[at + 1..]).cloned().collect();
                    let full = self.in_scope(&self.files[file], &full);
                    return self.origin(&full, depth + 1).or(Some(file));
                }
            }
        }
        Some(file)
    }
}

fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            walk(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
    out.sort();
}

/// By its name: `tests.rs`, `poll_tests.rs`, or a file of a folder `tests`.
fn is_a_test(path: &Path) -> bool {
    let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    stem == "tests"
        || stem.ends_with("_tests")
        || path.components().any(|c| c.as_os_str() == "tests")
}
