//! What does a checkpoint keep for a connector? Bytes that only the connector reads, with their
//! kind and version.
//!
//! Made and read by connectors, carried by `runtime`, written by `checkpoint`. What always holds:
//! what is not of the kind and version that is asked for is refused, so a connector never reads
//! what another, or another version of it, has written.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    kind: String,
    version: u8,
    /// JSON: small, and a person who looks at a checkpoint can read it.
    content: String,
}

impl Kept {
    fn new(kind: &str, version: u8, content: &impl Serialize) -> Kept {
        // Plain data in memory always encodes.
        Kept {
            kind: kind.into(),
            version,
            content: serde_json::to_string(content).unwrap_or_default(),
        }
    }

    fn read<T: DeserializeOwned>(&self, kind: &str, version: u8) -> Result<T, NotRead> {
        let same = self.kind == kind && self.version == version;
        let content = if same { serde_json::from_str(&self.content).ok() } else { None };
        content.ok_or_else(|| NotRead {
            found: format!("{} {} {}", self.kind, self.version, self.content),
            wanted: format!("{kind} {version}"),
        })
    }
}

/// Why something kept cannot be used: another connector or another version has written it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the checkpoint holds '{found}', and this version reads '{wanted}'; use --fresh to start over"
)]
pub struct NotRead {
    found: String,
    wanted: String,
}

/// Where reading of a split goes on. Part of every checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position(Kept);

impl Position {
    /// `kind` and `version` say how `content` is to be read.
    pub fn new(kind: &str, version: u8, content: &impl Serialize) -> Position {
        Position(Kept::new(kind, version, content))
    }

    pub fn read<T: DeserializeOwned>(&self, kind: &str, version: u8) -> Result<T, NotRead> {
        self.0.read(kind, version)
    }

    /// That of a split which needs no more than the number of records it has given: a generator, or
    /// rows in memory.
    pub fn after_records(records: u64) -> Position {
        Position::new(RECORDS, 1, &records)
    }

    /// The number of records that a split had given.
    pub fn records(&self) -> Result<u64, NotRead> {
        self.read(RECORDS, 1)
    }
}

const RECORDS: &str = "records";

/// What a source keeps over a whole run: what it found when the run began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunState(Kept);

impl RunState {
    /// `kind` and `version` say how `content` is to be read.
    pub fn new(kind: &str, version: u8, content: &impl Serialize) -> RunState {
        RunState(Kept::new(kind, version, content))
    }

    pub fn read<T: DeserializeOwned>(&self, kind: &str, version: u8) -> Result<T, NotRead> {
        self.0.read(kind, version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_kind_and_version_that_were_written_are_read() {
        let position = Position::new("file", 2, &(7, "x"));
        assert_eq!(position.read::<(u64, String)>("file", 2), Ok((7, "x".into())));
        for (kind, version) in [("file", 1), ("shard", 2)] {
            let refused = position.read::<(u64, String)>(kind, version).unwrap_err().to_string();
            assert!(
                refused.contains("'file 2 [7,\"x\"]'")
                    && refused.contains(&format!("'{kind} {version}'")),
                "{refused}"
            );
        }
        assert!(position.read::<String>("file", 2).is_err(), "damaged");
        assert_eq!(Position::after_records(9).records(), Ok(9));
    }
}
