//! Where does reading a shard go on? What the connector keeps in checkpoints.

use serde::{Deserialize, Serialize};

use crate::source::{NotRead, Position, RunState};

const VERSION: u8 = 1;

/// A place in a shard, as GetShardIterator takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShardPosition {
    /// Before the oldest retained record.
    Horizon,
    /// The first record that arrived at or after this server time, in ms since the epoch.
    Time { arrival_ms: i64 },
    /// After the record with this sequence number (decimal text, up to 129 digits).
    After { sequence_number: String },
}

impl ShardPosition {
    pub fn of(position: &Position) -> Result<ShardPosition, NotRead> {
        position.read("shard", VERSION)
    }
}

impl From<ShardPosition> for Position {
    fn from(position: ShardPosition) -> Position {
        Position::new("shard", VERSION, &position)
    }
}

/// The stream as the run found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StreamIdentity {
    /// When it was made, seconds since the epoch: a stream that was deleted and made again under
    /// its name is another one.
    pub created_s: i64,
}

impl StreamIdentity {
    pub fn of(stored: &RunState) -> Result<StreamIdentity, NotRead> {
        stored.read("stream", VERSION)
    }
}

impl From<&StreamIdentity> for RunState {
    fn from(identity: &StreamIdentity) -> RunState {
        RunState::new("stream", VERSION, identity)
    }
}
