//! What can be wrong with a tick's changes or with blocks of state.

use model::{DataType, Offset};

/// A tick's changes do not fit the feed. Nothing of them was applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Offsets only grow.
    #[error("tick {given} comes after tick {held}")]
    OffsetFell {
        /// The last tick that was applied.
        held: Offset,
        /// The tick that was given.
        given: Offset,
    },
    /// Too few or too many columns.
    #[error("expected {expected} columns, found {found}")]
    Columns {
        /// As many as the feed has, or its key for deletes.
        expected: usize,
        /// As many as came.
        found: usize,
    },
    /// A column of another type.
    #[error("column `{column}`: expected {expected}, found {found}")]
    Type {
        /// The column's name in the feed.
        column: String,
        /// The feed's type.
        expected: DataType,
        /// The Arrow type that came.
        found: String,
    },
    /// A null where the feed has none.
    #[error("column `{0}` has a null and is declared without")]
    Null(String),
    /// Not one time for each upsert.
    #[error("{rows} rows with {times} times")]
    Times {
        /// Rows in `upserts`.
        rows: usize,
        /// Entries of `times`.
        times: usize,
    },
    /// A feed holds at most 2^32 - 1 rows and tombstones.
    #[error("the feed is full: it can hold no more than {} rows", u32::MAX)]
    Full,
}

/// Blocks of state that no checkpoint of this feed has written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the kept state of feed `{feed}` cannot be read: {problem}")]
pub struct StateError {
    /// The feed's name.
    pub feed: String,
    /// What was found, in words.
    pub problem: String,
}
