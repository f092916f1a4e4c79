//! How does a record say what has become of a row? The messages of debezium-json, canal-json and
//! maxwell-json around a row in JSON, as Flink writes them.
//!
//! Called by sinks that write changes. What always holds: a row that is taken back is a delete, one
//! that is added an insert, whatever it takes the place of: a message is about one row.

use crate::change::Op;

/// The message that is put around a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChangeMessage {
    Debezium,
    Canal,
    Maxwell,
}

impl ChangeMessage {
    /// That of a format.
    pub fn of_format(format: &str) -> Option<ChangeMessage> {
        match format {
            "debezium-json" => Some(ChangeMessage::Debezium),
            "canal-json" => Some(ChangeMessage::Canal),
            "maxwell-json" => Some(ChangeMessage::Maxwell),
            _ => None,
        }
    }

    pub fn of(self, op: Op, row: &[u8]) -> Vec<u8> {
        let (before, after) = match (self, op.adds()) {
            (ChangeMessage::Debezium, true) => (r#"{"before":null,"after":"#, r#","op":"c"}"#),
            (ChangeMessage::Debezium, false) => (r#"{"before":"#, r#","after":null,"op":"d"}"#),
            (ChangeMessage::Canal, true) => (r#"{"data":["#, r#"],"type":"INSERT"}"#),
            (ChangeMessage::Canal, false) => (r#"{"data":["#, r#"],"type":"DELETE"}"#),
            (ChangeMessage::Maxwell, true) => (r#"{"data":"#, r#","type":"insert"}"#),
            (ChangeMessage::Maxwell, false) => (r#"{"data":"#, r#","type":"delete"}"#),
        };
        [before.as_bytes(), row, after.as_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the file sink of Flink 2.3.0 wrote them.
    #[test]
    fn messages_are_those_of_flink() {
        let of = |format: &str, op| {
            let message = ChangeMessage::of_format(format).expect("a format of changes");
            String::from_utf8(message.of(op, br#"{"id":1}"#)).expect("text")
        };
        for (format, added, taken) in [
            (
                "debezium-json",
                r#"{"before":null,"after":{"id":1},"op":"c"}"#,
                r#"{"before":{"id":1},"after":null,"op":"d"}"#,
            ),
            (
                "canal-json",
                r#"{"data":[{"id":1}],"type":"INSERT"}"#,
                r#"{"data":[{"id":1}],"type":"DELETE"}"#,
            ),
            (
                "maxwell-json",
                r#"{"data":{"id":1},"type":"insert"}"#,
                r#"{"data":{"id":1},"type":"delete"}"#,
            ),
        ] {
            assert_eq!([of(format, Op::Insert), of(format, Op::UpdateAfter)], [added; 2]);
            assert_eq!([of(format, Op::Delete), of(format, Op::UpdateBefore)], [taken; 2]);
        }
    }
}
