//! The table of dead letters: in the log for what a post got wrong, in the state for
//! what queries refused. Kept so that nothing is dropped unseen (INV-6), up to a bound
//! (INV-4).

use std::collections::HashMap;

use model::{DeadLetter, Reason};

use crate::{
    StoreError,
    db::{Db, EachError, int, row_id, seq_of},
};

/// How many dead letters of a stream each file keeps; the oldest go first.
pub const MAX_DEAD_LETTERS: u64 = 100_000;

/// How many more there may be for a while, so that they are removed in lots.
const SLACK: u64 = 1_000;

/// The tables. `(tick, number)` names a letter, so that a replayed tick does not double it.
pub(crate) const TABLES: &str = "
    CREATE TABLE streams (no INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE dead_letters (
        id INTEGER PRIMARY KEY, -- stream << 40 | number within the stream
        tick INTEGER NOT NULL, number INTEGER NOT NULL, clock INTEGER NOT NULL,
        reason TEXT NOT NULL, feed TEXT NOT NULL, message TEXT NOT NULL, raw BLOB NOT NULL,
        UNIQUE (tick, number)
    );";

/// A dead letter and when it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDeadLetter {
    /// The tick that it belongs to.
    pub tick: u64,
    /// Its number within the tick.
    pub number: u32,
    /// The clock of the commit or checkpoint that wrote it, in milliseconds since 1970.
    pub clock: i64,
    /// The refused record.
    pub letter: DeadLetter,
}

/// Numbers of streams, and where each stream's letters begin and end.
#[derive(Default)]
pub(crate) struct Streams {
    numbers: HashMap<String, u64>,
    letters: HashMap<u64, Range>,
}

struct Range {
    first: u64,
    next: u64,
}

impl Streams {
    /// The streams of a file.
    pub(crate) fn load(db: &Db) -> Result<Self, StoreError> {
        let mut numbers = HashMap::new();
        db.each("SELECT name, no FROM streams", [], |row| {
            numbers.insert(row.get(0)?, row.get::<_, i64>(1)? as u64);
            Ok(true)
        })?;
        Ok(Self { numbers, letters: HashMap::new() })
    }

    /// The number of a stream, if it has one.
    pub(crate) fn get(&self, name: &str) -> Option<u64> {
        self.numbers.get(name).copied()
    }

    /// Every stream with its number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.numbers.iter().map(|(name, no)| (name.as_str(), *no))
    }

    /// The number of a stream; a new stream gets one, in a small transaction before the one that uses it.
    pub(crate) fn number(&mut self, db: &mut Db, name: &str) -> Result<u64, StoreError> {
        if let Some(no) = self.get(name) {
            return Ok(no);
        }
        let no = db.write(false, |db| {
            let sql = "INSERT INTO streams (name) VALUES (?1) RETURNING no";
            db.one(sql, [name], |row| row.get::<_, i64>(0))
        })? as u64;
        self.numbers.insert(name.to_owned(), no);
        Ok(no)
    }

    /// Appends a letter, unless its tick and number are there; drops the oldest beyond the bound.
    ///
    /// Within a transaction. One that is rolled back leaves a gap in the numbers, no more.
    pub(crate) fn append(&mut self, db: &Db, stream: u64, stored: &StoredDeadLetter) -> Result<(), StoreError> {
        let (from, to) = (row_id(stream, 0), row_id(stream + 1, 0));
        if let std::collections::hash_map::Entry::Vacant(vacant) = self.letters.entry(stream) {
            let edge = |sql| db.first(sql, (from, to), |row| row.get::<_, i64>(0));
            let first = edge("SELECT id FROM dead_letters WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 1")?;
            let last = edge("SELECT id FROM dead_letters WHERE id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT 1")?;
            vacant.insert(Range { first: first.map_or(0, seq_of), next: last.map_or(0, |id| seq_of(id) + 1) });
        }
        let range = self.letters.entry(stream).or_insert(Range { first: 0, next: 0 });
        let DeadLetter { reason, feed, message, raw } = &stored.letter;
        let added = db.run(
            "INSERT OR IGNORE INTO dead_letters VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            (
                row_id(stream, range.next),
                int(stored.tick),
                stored.number,
                stored.clock,
                reason.as_str(),
                feed,
                message,
                raw.as_ref(),
            ),
        )?;
        range.next += added as u64;
        if range.next - range.first >= MAX_DEAD_LETTERS + SLACK {
            range.first = range.next - MAX_DEAD_LETTERS;
            db.run("DELETE FROM dead_letters WHERE id >= ?1 AND id < ?2", (from, row_id(stream, range.first)))?;
        }
        Ok(())
    }

    /// The newest `limit` letters of a stream, the newest first.
    pub(crate) fn newest(&self, db: &Db, stream: &str, limit: usize) -> Result<Vec<StoredDeadLetter>, StoreError> {
        let mut found = Vec::new();
        let Some(stream) = self.get(stream) else { return Ok(found) };
        db.each(
            "SELECT tick, number, clock, reason, feed, message, raw FROM dead_letters
             WHERE id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3",
            (row_id(stream, 0), row_id(stream + 1, 0), limit as i64),
            |row| {
                let reason: String = row.get(3)?;
                let reason = Reason::ALL
                    .into_iter()
                    .find(|known| known.as_str() == reason)
                    .ok_or_else(|| EachError::Damaged(format!("a dead letter has the reason `{reason}`")))?;
                found.push(StoredDeadLetter {
                    tick: row.get::<_, i64>(0)? as u64,
                    number: row.get(1)?,
                    clock: row.get(2)?,
                    letter: DeadLetter {
                        reason,
                        feed: row.get(4)?,
                        message: row.get(5)?,
                        raw: row.get::<_, Vec<u8>>(6)?.into(),
                    },
                });
                Ok(true)
            },
        )?;
        Ok(found)
    }
}
