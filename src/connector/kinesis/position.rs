//! Where does reading a shard go on? What the connector keeps in checkpoints.

use serde::{Deserialize, Serialize};

use crate::connector::Bounds;
use crate::source::{NotRead, Position, RunState};

/// The first version kept the [`ShardPosition`] alone, and of the stream its creation alone.
const VERSION: u8 = 2;

/// How far a shard has been read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardPlace {
    pub at: ShardPosition,
    /// What has arrived up to then lies before the place, ms since the epoch by the service's
    /// clock: once that is out of retention, records behind the place may have been lost. None
    /// where nothing is known, as at a start from the horizon.
    pub read_to_ms: Option<i64>,
}

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

impl ShardPlace {
    pub fn of(position: &Position) -> Result<ShardPlace, NotRead> {
        let without_time = |_| Ok(ShardPlace { at: position.read("shard", 1)?, read_to_ms: None });
        position.read("shard", VERSION).or_else(without_time)
    }
}

impl From<ShardPlace> for Position {
    fn from(place: ShardPlace) -> Position {
        Position::new("shard", VERSION, &place)
    }
}

/// The stream as the run found it, and what of it is the run's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptOfStream {
    /// When it was made, seconds since the epoch: a stream that was deleted and made again under
    /// its name is another one. None where the service has not said.
    pub created_s: Option<i64>,
    /// Arrival times that bound the run, half open. None in what the first version has written.
    pub bounds: Option<Bounds>,
}

impl KeptOfStream {
    pub fn of(stored: &RunState) -> Result<KeptOfStream, NotRead> {
        #[derive(Deserialize)]
        struct First {
            created_s: i64,
        }
        let first = |_| {
            let First { created_s } = stored.read("stream", 1)?;
            Ok(KeptOfStream { created_s: Some(created_s), bounds: None })
        };
        stored.read("stream", VERSION).or_else(first)
    }
}

impl From<&KeptOfStream> for RunState {
    fn from(kept: &KeptOfStream) -> RunState {
        RunState::new("stream", VERSION, kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_first_version_has_kept_is_read() {
        let at = ShardPosition::After { sequence_number: "7".into() };
        let place = ShardPlace::of(&Position::new("shard", 1, &at)).expect("the first version");
        assert_eq!(place, ShardPlace { at, read_to_ms: None });
        let place = ShardPlace { read_to_ms: Some(9), ..place };
        assert_eq!(ShardPlace::of(&place.clone().into()), Ok(place));
        let kept = KeptOfStream::of(&RunState::new(
            "stream",
            1,
            &std::collections::BTreeMap::from([("created_s", 5)]),
        ));
        let kept = kept.expect("the first version");
        assert_eq!(kept, KeptOfStream { created_s: Some(5), bounds: None });
        assert_eq!(KeptOfStream::of(&(&kept).into()), Ok(kept));
    }
}
