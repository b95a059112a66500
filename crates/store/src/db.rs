//! One SQLite file: its header, its pragmas, its transactions, and what a failure means.
//!
//! - WAL, so that a commit is one append and one fsync.
//! - `locking_mode=EXCLUSIVE`: no shared memory beside the file, no locking calls per
//!   transaction, and no foreign reader that keeps the WAL from being reused (INV-4).
//! - `synchronous` is FULL for what must survive a power cut and NORMAL otherwise, never
//!   OFF: NORMAL does not sync commits either, but it syncs around WAL checkpoints, without
//!   which a power cut could damage the file. A later FULL commit syncs the whole WAL
//!   file and with it the frames of the unsynced commits before it.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension, Params, Row};

use crate::{StoreError, open::Options};

/// Marks a SQLite file as Tidewire's, in its header: "Tide".
const APPLICATION_ID: i32 = 0x5469_6465;

/// The most bytes of one value: SQLite's limit on a row, less room for the row's other columns.
pub const MAX_BLOB: usize = 1_000_000_000 - 65_536;

/// How large the WAL file may stay once its content is in the main file.
const WAL_KEPT: i64 = 16 << 20;

/// What makes one file different from the other.
pub(crate) struct Form {
    /// The file's name in the data directory.
    pub name: &'static str,
    /// The format's number.
    pub version: i32,
    /// Bytes a page. Small where commits are small, because a commit writes whole pages.
    pub page_size: i32,
    /// Pages of WAL after which SQLite itself moves them to the main file; 0: never.
    pub auto_checkpoint: i32,
    /// The tables.
    pub tables: &'static [&'static str],
}

/// An open file.
pub(crate) struct Db {
    conn: Connection,
    file: PathBuf,
    memory: bool,
    /// Whether commits are synced at the moment.
    full: bool,
    /// Why nothing more is written: after a failed fsync the file's state is not known, and a
    /// second fsync may report success for data that is gone.
    broken: Option<String>,
}

/// Whether `path` has content. A file of no bytes is what a crash at creation leaves.
pub(crate) fn has_content(path: &Path) -> bool {
    path.metadata().is_ok_and(|m| m.len() > 0)
}

impl Db {
    /// Opens the file, creating it where it is missing.
    pub(crate) fn open(options: &Options, form: &Form) -> Result<Self, StoreError> {
        let (conn, file) = match &options.dir {
            None => (Connection::open_in_memory(), PathBuf::from(format!("{} (in memory)", form.name))),
            Some(dir) => {
                let file = dir.join(form.name);
                let wal = dir.join(format!("{}-wal", form.name));
                // SQLite would throw the WAL away.
                if !has_content(&file) && has_content(&wal) {
                    return Err(StoreError::Damaged {
                        file,
                        what: format!("it is empty, though {} has content", wal.display()),
                    });
                }
                let flags =
                    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let conn = match &options.vfs {
                    Some(vfs) => Connection::open_with_flags_and_vfs(&file, flags, vfs.as_str()),
                    None => Connection::open_with_flags(&file, flags),
                };
                (conn, file)
            }
        };
        let conn = conn.map_err(|error| StoreError::sqlite(&file, &error))?;
        let mut db = Self { conn, file, memory: options.dir.is_none(), full: true, broken: None };
        db.prepare(form)?;
        if let Some(dir) = &options.dir {
            // The new file's name must survive a power cut as well.
            let synced = std::fs::File::open(dir).and_then(|dir| dir.sync_all());
            synced.map_err(|error| StoreError::io(dir, &error))?;
        }
        Ok(db)
    }

    fn prepare(&mut self, form: &Form) -> Result<(), StoreError> {
        self.conn.set_prepared_statement_cache_capacity(64);
        self.batch(&format!(
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA page_size = {}; PRAGMA cell_size_check = ON;
             PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF;",
            form.page_size
        ))?;
        let application: i32 = self.one("PRAGMA application_id", [], |row| row.get(0))?;
        let version: i32 = self.one("PRAGMA user_version", [], |row| row.get(0))?;
        let tables: i64 = self.one("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        let new = (application, version, tables) == (0, 0, 0);
        if !new && application != APPLICATION_ID {
            return Err(self.damaged("it is a SQLite database of another program"));
        }
        if !new && version != form.version {
            return Err(StoreError::WrongVersion { file: self.file.clone(), found: version, expected: form.version });
        }
        let mode: String = self.one("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        if !self.memory && mode != "wal" {
            return Err(StoreError::Io {
                file: self.file.clone(),
                what: format!("SQLite's write-ahead log is not to be had here (journal mode {mode})"),
            });
        }
        self.batch(&format!(
            "PRAGMA wal_autocheckpoint = {}; PRAGMA journal_size_limit = {WAL_KEPT};",
            form.auto_checkpoint
        ))?;
        if new {
            let mark = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {};", form.version);
            let tables = form.tables.concat();
            self.write(true, |db| db.batch(&(tables + &mark)))?;
        }
        Ok(())
    }

    /// The file, for messages.
    pub(crate) fn damaged(&self, what: impl Into<String>) -> StoreError {
        StoreError::Damaged { file: self.file.clone(), what: what.into() }
    }

    fn error(&self, error: &rusqlite::Error) -> StoreError {
        StoreError::sqlite(&self.file, error)
    }

    fn batch(&self, sql: &str) -> Result<(), StoreError> {
        self.conn.execute_batch(sql).map_err(|error| self.error(&error))
    }

    /// Runs a statement that gives no rows; says how many rows it changed.
    pub(crate) fn run(&self, sql: &str, params: impl Params) -> Result<usize, StoreError> {
        let run = || self.conn.prepare_cached(sql)?.execute(params);
        run().map_err(|error| self.error(&error))
    }

    /// The one row of a query.
    pub(crate) fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let one = || self.conn.prepare_cached(sql)?.query_row(params, map);
        one().map_err(|error| self.error(&error))
    }

    /// The first row of a query, if there is one.
    pub(crate) fn first<T>(
        &self,
        sql: &str,
        params: impl Params,
        map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        let first = || self.conn.prepare_cached(sql)?.query_row(params, map).optional();
        first().map_err(|error| self.error(&error))
    }

    /// Calls `each` with every row of a query until it says `false`.
    pub(crate) fn each(
        &self,
        sql: &str,
        params: impl Params,
        mut each: impl FnMut(&Row<'_>) -> Result<bool, EachError>,
    ) -> Result<(), StoreError> {
        let walk = || {
            let mut statement = self.conn.prepare_cached(sql)?;
            let mut rows = statement.query(params)?;
            while let Some(row) = rows.next()? {
                if !each(row)? {
                    break;
                }
            }
            Ok(())
        };
        walk().map_err(|error| match error {
            EachError::Sqlite(error) => self.error(&error),
            EachError::Damaged(what) => self.damaged(what),
        })
    }

    /// One transaction: all of `work`, or nothing. `full`: fsynced when this returns.
    pub(crate) fn write<T>(
        &mut self,
        full: bool,
        work: impl FnOnce(&Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if let Some(why) = &self.broken {
            return Err(StoreError::Io {
                file: self.file.clone(),
                what: format!("an earlier write failed and its outcome is not known ({why})"),
            });
        }
        let done = self.attempt(full, work);
        if let Err(error) = &done {
            if !self.conn.is_autocommit()
                && let Err(rollback) = self.run("ROLLBACK", [])
            {
                self.broken = Some(rollback.to_string());
            }
            if matches!(error, StoreError::Io { .. } | StoreError::Damaged { .. }) {
                self.broken = Some(error.to_string());
            }
        }
        done
    }

    fn attempt<T>(&mut self, full: bool, work: impl FnOnce(&Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if !self.memory && self.full != full {
            // SQLite runs this pragma while it compiles it: a cached statement would do nothing.
            self.batch(if full { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" })?;
            self.full = full;
        }
        self.run("BEGIN IMMEDIATE", [])?;
        let value = work(self)?;
        self.run("COMMIT", [])?;
        Ok(value)
    }

    /// Moves what is in the WAL to the main file, so that the WAL starts again from its beginning.
    pub(crate) fn move_wal(&mut self) -> Result<(), StoreError> {
        if self.memory || self.broken.is_some() {
            return Ok(());
        }
        self.one("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
        // The next write begins the WAL anew and syncs its header, whatever `synchronous`
        // says. Better now than in the middle of a tick, whose cut must not wait for the disk.
        // The value must change: SQLite does not write a page for the same bytes again.
        let sql = "INSERT INTO meta VALUES ('turn', 0) ON CONFLICT DO UPDATE SET value = 1 - value";
        self.write(false, |db| db.run(sql, []).map(drop))
    }

    /// Moves the WAL to the main file, empties it, and closes the file.
    pub(crate) fn close(self) -> Result<(), StoreError> {
        if !self.memory {
            self.one("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        }
        let Self { conn, file, .. } = self;
        conn.close().map_err(|(_, error)| StoreError::sqlite(&file, &error))
    }

    /// A value of the table `meta`.
    pub(crate) fn meta<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>, StoreError> {
        let text: Option<String> = self.first("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))?;
        text.map(|text| text.parse().map_err(|_| self.damaged(format!("meta `{key}` is `{text}`")))).transpose()
    }

    /// Sets a value of the table `meta`.
    pub(crate) fn set_meta(&self, key: &str, value: &impl ToString) -> Result<(), StoreError> {
        let sql = "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value";
        self.run(sql, (key, value.to_string())).map(drop)
    }
}

/// The table behind [`Db::meta`].
pub(crate) const META: &str = "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;";

/// Why a walk over rows ended early.
pub(crate) enum EachError {
    Sqlite(rusqlite::Error),
    Damaged(String),
}

impl From<rusqlite::Error> for EachError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// A number on its way into SQLite, which knows signed ones only. Ours stay far below 2^63.
pub(crate) const fn int(value: u64) -> i64 {
    value as i64
}

/// Rows that belong to a stream and are numbered within it share one table. Its key holds
/// both, so that each stream's rows stand together, in order: no second index.
pub(crate) const SEQ_BITS: u32 = 40;

/// The key of row `seq` (below 2^40) of stream `stream` (below 2^23).
pub(crate) const fn row_id(stream: u64, seq: u64) -> i64 {
    int((stream << SEQ_BITS) | seq)
}

/// The number within its stream of the row with this key.
pub(crate) const fn seq_of(id: i64) -> u64 {
    id as u64 & ((1 << SEQ_BITS) - 1)
}
