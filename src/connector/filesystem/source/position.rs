//! Where does reading a file, or watching a folder, go on? What the connector keeps in checkpoints.

use serde::{Deserialize, Serialize};

use crate::source::{NotRead, Position};

const VERSION: u8 = 1;

/// Behind the last line that was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FilePosition {
    /// The next byte to read; of a compressed file, of what it holds.
    pub offset: u64,
    /// Lines before it.
    pub lines: u64,
}

/// Which files of a watched folder are splits already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FolderPosition {
    /// Their names, ascending.
    pub seen: Vec<String>,
}

impl FilePosition {
    pub const START: FilePosition = FilePosition { offset: 0, lines: 0 };

    pub fn of(position: &Position) -> Result<FilePosition, NotRead> {
        position.read("file", VERSION)
    }
}

impl FolderPosition {
    pub fn of(position: &Position) -> Result<FolderPosition, NotRead> {
        position.read("folder", VERSION)
    }
}

impl From<FilePosition> for Position {
    fn from(position: FilePosition) -> Position {
        Position::new("file", VERSION, &position)
    }
}

impl From<FolderPosition> for Position {
    fn from(position: FolderPosition) -> Position {
        Position::new("folder", VERSION, &position)
    }
}
