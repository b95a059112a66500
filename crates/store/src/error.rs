//! What can go wrong with the store, as lines that a person can act on.

use std::path::PathBuf;

use rusqlite::ErrorCode;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the data directory.
    #[error(
        "{}: the data directory is in use by {}; stop it, or give this one another `data_dir`", dir.display(),
        pid.map_or_else(|| "another process".to_owned(), |pid| format!("the process {pid}"))
    )]
    Locked {
        /// The data directory.
        dir: PathBuf,
        /// The other process, where its number could be read.
        pid: Option<u32>,
    },

    /// No room. Nothing of the transaction was kept; the store works again once there is room.
    #[error("{}: the disk is full; make room, the store goes on by itself", file.display())]
    DiskFull {
        /// The file that could not grow.
        file: PathBuf,
    },

    /// A file does not hold what was written to it.
    #[error(
        "{}: the file is damaged: {what}; nothing in it was changed: bring the data directory back from a copy, or move it away to start anew",
        file.display()
    )]
    Damaged {
        /// The damaged file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },

    /// Another version of Tidewire wrote the file.
    #[error(
        "{}: the file has format {found}, this version reads {expected}; run the version that wrote it, or move the data directory away to start anew",
        file.display()
    )]
    WrongVersion {
        /// The file.
        file: PathBuf,
        /// Its format.
        found: i32,
        /// The format of this version.
        expected: i32,
    },

    /// The operating system failed. Whether the transaction was kept is not known, so
    /// the store takes no more until it is opened anew.
    #[error("{}: {what}; see that the disk is sound and may be written to, then start again", file.display())]
    Io {
        /// The file or directory.
        file: PathBuf,
        /// What the system said.
        what: String,
    },

    /// A batch or block that SQLite cannot hold ([`MAX_BLOB`](crate::MAX_BLOB)), or that Arrow
    /// cannot encode. Nothing of the transaction was kept.
    #[error("`{name}`: cannot be stored: {what}")]
    Unstorable {
        /// The stream, or the owner of the block.
        name: String,
        /// Why.
        what: String,
    },

    /// A tick or checkpoint that is not behind the last one. A fault of the caller.
    #[error("tick {tick} does not follow tick {last}")]
    OutOfOrder {
        /// The refused tick.
        tick: u64,
        /// The last one.
        last: u64,
    },
}

impl StoreError {
    /// What SQLite said about `file`.
    pub(crate) fn sqlite(file: &std::path::Path, error: &rusqlite::Error) -> Self {
        let file = file.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull { file },
            // Another program has the file open: SQLite's own lock, not that of the directory.
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked { dir: file, pid: None },
            Some(ErrorCode::NotADatabase) => Self::Damaged { file, what: "it is not a SQLite database".to_owned() },
            // No code: a column of another type than it was written with, a row too few.
            Some(ErrorCode::DatabaseCorrupt) | None => Self::Damaged { file, what: error.to_string() },
            Some(_) => Self::Io { file, what: error.to_string() },
        }
    }

    /// What the file system said about `file`.
    pub(crate) fn io(file: &std::path::Path, error: &std::io::Error) -> Self {
        let file = file.to_owned();
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::DiskFull { file },
            _ => Self::Io { file, what: error.to_string() },
        }
    }
}
