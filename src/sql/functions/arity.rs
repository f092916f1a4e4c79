//! How many arguments does a function take?
//!
//! Used by the tables of functions, and by what checks calls against them.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Arity {
    min: usize,
    /// None: as many as there are.
    max: Option<usize>,
}

pub const fn exactly(count: usize) -> Arity {
    between(count, count)
}

pub const fn between(min: usize, max: usize) -> Arity {
    Arity { min, max: Some(max) }
}

pub const fn at_least(min: usize) -> Arity {
    Arity { min, max: None }
}

impl Arity {
    pub fn takes(self, count: usize) -> bool {
        self.min <= count && self.max.is_none_or(|max| count <= max)
    }
}

impl fmt::Display for Arity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.min, self.max) {
            (min, None) => write!(f, "at least {min}"),
            (min, Some(max)) if min == max => write!(f, "{min}"),
            (min, Some(max)) => write!(f, "{min} to {max}"),
        }
    }
}
