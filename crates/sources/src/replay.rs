//! What a source that can be read again promises.

use std::{io, path::PathBuf};

use arrow_array::RecordBatch;
use model::DeadLetter;

/// A source whose events can be read again from a position.
///
/// Its events are not copied to the stream log: a cut names the position, and recovery
/// reads up to it once more. So a read must be a function of the source's content and
/// of where it starts and ends, whatever the buffers were: the same rows and the same
/// dead letters, in the same order.
pub trait Replayable: Send {
    /// The next events. Blocks for about 100 ms at most, and may return none.
    fn read(&mut self) -> Result<Read, SourceError>;

    /// The next events, none behind `end`, a position that an earlier read returned.
    /// Called again until the position that it returns equals `end`.
    fn read_until(&mut self, end: &str) -> Result<Read, SourceError>;

    /// Goes to a position that a read returned; `None` is the start.
    fn seek(&mut self, position: Option<&str>) -> Result<(), SourceError>;
}

/// What a read returned.
#[derive(Debug, Clone)]
pub struct Read {
    /// The events, in order.
    pub batches: Vec<RecordBatch>,
    /// What was refused, in order.
    pub dead: Vec<DeadLetter>,
    /// Where the source stands behind these events.
    pub position: String,
    /// Whether there was nothing more to read at the moment.
    pub caught_up: bool,
    /// Whether nothing more will ever come.
    pub ended: bool,
}

/// Why a source cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file is missing, or may not be read.
    #[error("cannot open `{}`: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Reading failed.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The source is not the one that was read before: going on would skip or repeat events.
    #[error("`{}` is not the file that was read before: {what}; to read it anew, name the stream anew, or stop and remove the data directory", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// How that shows.
        what: String,
    },
    /// The header line does not name what the stream needs.
    #[error("`{}`: {message}", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A position that this source never returned.
    #[error("`{0}` is not a position of a file source")]
    BadPosition(String),
}
