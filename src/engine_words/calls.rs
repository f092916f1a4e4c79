//! What is wrong with a call of a function.

use super::phrase::{Phrase, said};

pub(super) const PHRASES: &[Phrase] = &[
    said("Qualified functions are not supported...", "a function has a name without catalog and database"),
    said(
        "Aggregate function calls cannot be nested: '{inner}' is nested...",
        "'{inner:short}' within another aggregate function",
    )
    .help("aggregate in a subquery first"),
    said("...unction '{name}' does not support named arguments...", "'{name:name}' takes no named arguments"),
    said(
        "...The function '{name}' expected {wanted} argument{given}",
        "'{name:name}' takes {wanted} arguments, not {given:last word}",
    ),
    said("...'{name}' does not support zero arguments...", "'{name:name}' takes arguments"),
    said(
        "...Failed to coerce arguments to satisfy a call to '{name}' function: coercion from {types} to the signature...",
        "'{name:name}' does not take {types:sql}",
    ),
    said("...NULLS are not permitted for {name}", "IGNORE NULLS or RESPECT NULLS in '{name:name}' is not supported"),
];
