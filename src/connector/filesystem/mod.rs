//! Connector `filesystem`: files of lines, read and written.

pub mod sink;
pub mod source;
