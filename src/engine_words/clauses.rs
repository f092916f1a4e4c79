//! What is wrong with a clause of a query: WITH, SELECT, FROM, WHERE, GROUP BY, HAVING, WINDOW, UNION, VALUES, ORDER BY.

use super::phrase::{Phrase, said};

const UNGROUPED: &str = "'{column:short}' is neither in GROUP BY nor in an aggregate function";
const UNGROUPED_HELP: &str = "add {column:short} to GROUP BY, or write MAX({column:short}), say";

pub(super) const PHRASES: &[Phrase] = &[
    // WITH
    said("Recursive CTE...", "WITH RECURSIVE is not supported"),
    said("...WITH query name \"{name}\" specified more than once...", "'{name}' is declared twice in WITH"),
    // SELECT
    said("Projections require unique expression names...", "two columns have the same name; give one of them another with AS"),
    said("Too many columns! The subquery...", "a subquery in this place has one column, and this one has several"),
    said("Invalid qualifier {name}", "'{name:trimmed}' is no table of this FROM and no ROW: it has no '*'"),
    // FROM
    said("Table Functions are not supported...", "a function in 'FROM' stands in TABLE(...), and UNNEST behind a table"),
    said(
        "...Source table contains {columns} columns but only {names} names given...",
        "the alias names {names} columns, and there are {columns}",
    ),
    said("Join condition must be boolean type, but got {type}", "'ON' takes a condition that is true or false, not {type:sql}"),
    // WHERE and HAVING
    said("Cannot create filter with non-boolean predicate...", "'WHERE' and 'HAVING' take a condition that is true or false"),
    said(
        "Aggregate functions are not allowed in the WHERE clause...",
        "aggregate functions are not allowed in 'WHERE'; use HAVING",
    ),
    said("...HAVING clause references: {column} must appear in the GROUP BY...", UNGROUPED).help(UNGROUPED_HELP),
    // GROUP BY
    said("...While expanding wildcard, column \"{column}\" must appear...", UNGROUPED).help(UNGROUPED_HELP),
    said(
        "Argument {column} to grouping function is not in grouping columns...",
        "GROUPING takes columns of GROUP BY, and '{column:short}' is none",
    ),
    said(
        "...Cannot find column with position {number} in SELECT{columns}",
        "'GROUP' BY {number}: the SELECT has {columns:last word} columns",
    ),
    // WINDOW
    said("...The window {name} is not defined...", "window '{name}' is not defined")
        .help("declare it behind the query: WINDOW w AS (...)"),
    said("...The window {name} is defined multiple times...", "window '{name}' is defined twice"),
    // UNION, INTERSECT, EXCEPT
    said(
        "Incompatible inputs for Union: Previous inputs were of type {before}, but got incompatible type {now} on column {column}",
        "'UNION' cannot bring {before:sql} and {now:sql} together: {column}",
    ),
    said(
        "{operation} queries have different number of columns",
        "the sides of '{operation:name}' have different numbers of columns",
    ),
    // VALUES
    said(
        "Inconsistent data length across values list: got {values} values in row {row} but expected {first}",
        "row {row:counted from 1} of 'VALUES' has {values} values, the first has {first}",
    ),
    // ORDER BY
    said(
        "...Order by column out of bounds, specified: {number}, max: {columns}",
        "'ORDER' BY {number}: the SELECT has {columns} columns",
    ),
    said(
        "...For SELECT DISTINCT, ORDER BY expressions {column} must appear in select list...",
        "ORDER BY of a SELECT DISTINCT takes its columns, and '{column:short}' is none",
    ),
];
