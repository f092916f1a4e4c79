//! Which columns may a table of Nexmark events have?
//!
//! Asked before anything runs. What always holds: a column that is not checked here has a value in
//! events of its kind. Columns and fields may be left out and come in any order; the connector for
//! Flink wants all of them, in the order below.

use arrow::datatypes::{DataType, TimeUnit};

use super::events::Needed;
use crate::suggest::nearest;

const ID: DataType = DataType::Int64;
const TEXT: DataType = DataType::Utf8;
const TIME: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);

static PERSON: [(&str, DataType); 8] = [
    ("id", ID),
    ("name", TEXT),
    ("emailAddress", TEXT),
    ("creditCard", TEXT),
    ("city", TEXT),
    ("state", TEXT),
    ("dateTime", TIME),
    ("extra", TEXT),
];
static AUCTION: [(&str, DataType); 10] = [
    ("id", ID),
    ("itemName", TEXT),
    ("description", TEXT),
    ("initialBid", ID),
    ("reserve", ID),
    ("dateTime", TIME),
    ("expires", TIME),
    ("seller", ID),
    ("category", ID),
    ("extra", TEXT),
];
static BID: [(&str, DataType); 7] = [
    ("auction", ID),
    ("bidder", ID),
    ("price", ID),
    ("channel", TEXT),
    ("url", TEXT),
    ("dateTime", TIME),
    ("extra", TEXT),
];

/// Why a physical column is none of an event.
pub fn check(name: &str, data_type: &DataType) -> Result<(), String> {
    let fields: &[(&str, DataType)] = match name {
        "event_type" if *data_type == DataType::Int32 => return Ok(()),
        "event_type" => return Err("'event_type' is an INT".into()),
        "person" => &PERSON,
        "auction" => &AUCTION,
        "bid" => &BID,
        _ => {
            let near = nearest(name, ["event_type", "person", "auction", "bid"])
                .map(|n| format!("; did you mean '{n}'?"));
            return Err(format!(
                "an event has no column '{name}'{} (columns: event_type INT, and the rows person, auction and bid)",
                near.unwrap_or_default()
            ));
        }
    };
    let DataType::Struct(declared) = data_type else {
        return Err(format!("'{name}' is a ROW"));
    };
    for field in declared {
        let known = fields.iter().find(|(known, _)| known == field.name());
        match known {
            Some((_, expected)) if expected == field.data_type() => {}
            Some((known, expected)) => {
                return Err(format!("'{name}.{known}' is a {}", in_sql(expected)));
            }
            None => {
                let all: Vec<&str> = fields.iter().map(|(known, _)| *known).collect();
                return Err(format!(
                    "'{name}' has no field '{}' (fields: {})",
                    field.name(),
                    all.join(", ")
                ));
            }
        }
    }
    Ok(())
}

fn in_sql(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Int64 => "BIGINT",
        DataType::Utf8 => "STRING",
        _ => "TIMESTAMP(3)",
    }
}

/// The columns that stand in a list of names.
pub fn needed(names: &[String]) -> Needed {
    let has = |name: &str| names.iter().any(|n| n == name);
    Needed {
        event_type: has("event_type"),
        person: has("person"),
        auction: has("auction"),
        bid: has("bid"),
    }
}
