//! What the engine has no plan for.

use super::UNSUPPORTED;
use super::phrase::{Phrase, said};

pub(super) const PHRASES: &[Phrase] = &[
    said(
        "Physical plan does not support logical expression InSubquery...",
        "'IN' with a subquery is not supported in this place",
    ),
    said("Physical plan does not support logical expression Exists...", "'EXISTS' is not supported in this place"),
    said("Physical plan does not support logical expression ScalarSubquery...", "a subquery as a value is not supported"),
    said(
        "Physical plan does not support logical expression OuterReference...",
        "a subquery that uses outer columns is not supported in this place",
    ),
    said(
        "Physical plan does not support logical expression WindowFunction...",
        "a function with 'OVER' in this place; compute it in a subquery",
    ),
    said("Physical plan does not support logical expression...", UNSUPPORTED),
    said("could not parse compound identifier...", "a column has no fields here"),
    said("Unsupported Interval Expression...", "this form of INTERVAL is not supported"),
    said("Unsupported interval argument...", "an INTERVAL takes its number in quotes"),
    said("...Invalid HexStringLiteral '{digits}'...", "X'{digits}' is not made of pairs of hexadecimal digits"),
    said("...Placeholder '{name}' was not provided...", "'{name}': a query here has no parameters"),
    said("{what} not supported by ExprPlanner...", "'{what:capitals}' is not supported"),
    said("{what} could not be planned by registered expr planner...", "'{what:capitals}' is not supported"),
];
