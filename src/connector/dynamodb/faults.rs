//! Is it the row, or the table? What DynamoDB means when it refuses a request.
//!
//! Called by `client` with the words of a ValidationException, which has one code for every reason.
//! What always holds: what is about one row diverts that row, what is about the table's key
//! concerns every row and is never taken for the former; a message that is not known is left open,
//! and `sender` looks at the table again before it blames the row.

/// Whom a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// This item: too large, an empty key, a number out of range.
    Row,
    /// The request's shape: the table has another key.
    Table,
    Unclear,
}

/// The table's key, or that of one of its indexes, is not the one that the request has.
const OF_TABLE: [&str; 6] = [
    "does not match the schema",
    "missing the key",
    "type mismatch for key",
    "number of conditions on the keys is invalid",
    "missed key schema element",
    "does not match schema type",
];

/// An index wants another type of an attribute: of every row, unless it is missing in this one.
const OF_INDEX: &str = "type mismatch for index key";
const IS_NULL: &str = "actual: null";

const OF_ROW: [&str; 10] = [
    "item size",
    "empty string",
    "empty binary",
    "size of hashkey",
    "size of all range keys",
    "significant digits",
    "number overflow",
    "number underflow",
    "numeric value",
    "nesting levels",
];

/// Whom the message of a ValidationException is about.
pub(crate) fn blame(message: &str) -> Blame {
    let message = message.to_lowercase();
    let holds = |part: &&str| message.contains(*part);
    if message.contains(OF_INDEX) {
        return if message.contains(IS_NULL) { Blame::Row } else { Blame::Table };
    }
    if OF_TABLE.iter().any(&holds) {
        Blame::Table
    } else if OF_ROW.iter().any(&holds) {
        Blame::Row
    } else {
        Blame::Unclear
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_dynamodb() {
        let invalid = "One or more parameter values were invalid: ";
        let not_valid = "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an ";
        for (message, about) in [
            ("The provided key element does not match the schema".to_owned(), Blame::Table),
            (format!("{invalid}Missing the key race in the item"), Blame::Table),
            (format!("{invalid}Type mismatch for key race expected: N actual: S"), Blame::Table),
            ("The number of conditions on the keys is invalid".to_owned(), Blame::Table),
            ("Query condition missed key schema element: race".to_owned(), Blame::Table),
            (format!("{invalid}Condition parameter type does not match schema type"), Blame::Table),
            (format!("{invalid}Type mismatch for Index Key points Expected: S Actual: N IndexName: by_points"), Blame::Table),
            (format!("{invalid}Type mismatch for Index Key points Expected: N Actual: NULL IndexName: by_points"), Blame::Row),
            ("Item size has exceeded the maximum allowed size".to_owned(), Blame::Row),
            (format!("{not_valid}empty string value. Key: rider"), Blame::Row),
            (format!("{not_valid}empty binary value. Key: rider"), Blame::Row),
            (format!("{invalid}Size of hashkey has exceeded the maximum size limit of2048 bytes"), Blame::Row),
            (format!("{invalid}Aggregated size of all range keys has exceeded the size limit of 1024 bytes"), Blame::Row),
            ("Attempting to store more than 38 significant digits in a Number".to_owned(), Blame::Row),
            ("Number overflow. Attempting to store a number with magnitude larger than supported range".to_owned(), Blame::Row),
            ("The parameter cannot be converted to a numeric value: x".to_owned(), Blame::Row),
            ("Nesting Levels have exceeded supported limits".to_owned(), Blame::Row),
            ("Provided list of item keys contains duplicates".to_owned(), Blame::Unclear),
            ("something that is new".to_owned(), Blame::Unclear),
        ] {
            assert_eq!(blame(&message), about, "{message}");
        }
    }
}
