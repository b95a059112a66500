//! The table of dead letters: in the log for what a post got wrong, in the state for
//! what queries refused. Kept so that nothing is dropped unseen (INV-6), up to a bound
//! (INV-4).

use std::collections::{HashMap, hash_map::Entry};

use model::{DeadLetter, Edge, KeptLetter, LetterId, Letters, RawFormat, Reason};

use crate::{
    StoreError,
    db::{Db, EachError, SEQ_BITS, int, row_id, seq_of},
};

/// How many dead letters of a stream each file keeps; the oldest go first.
pub const MAX_DEAD_LETTERS: u64 = 100_000;

/// How many of a stream there may be in the log that no checkpoint covers yet: a replay needs them.
pub(crate) const MAX_UNCOVERED: u64 = 10 * MAX_DEAD_LETTERS;

/// How many more there may be for a while, so that they are removed in lots.
const SLACK: u64 = 1_000;

/// The tables. `(tick, number)` names a letter, so that a replayed tick does not double it.
pub(crate) const TABLES: &str = "
    CREATE TABLE streams (no INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE dead_letters (
        id INTEGER PRIMARY KEY, -- stream << 40 | number within the stream
        tick INTEGER NOT NULL, number INTEGER NOT NULL, clock INTEGER NOT NULL,
        reason TEXT NOT NULL, feed TEXT NOT NULL, message TEXT NOT NULL, raw BLOB NOT NULL, format TEXT NOT NULL,
        UNIQUE (tick, number)
    );
    CREATE INDEX dead_letters_by_reason ON dead_letters (reason, id);";

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

    /// Appends a letter, unless its tick and number are there; drops the oldest beyond `most`.
    ///
    /// Within a transaction. One that is rolled back leaves a gap in the numbers, no more.
    pub(crate) fn append(&mut self, db: &Db, stream: u64, kept: &KeptLetter, most: u64) -> Result<(), StoreError> {
        let range = self.range(db, stream)?;
        let DeadLetter { reason, feed, message, raw, format } = &kept.letter;
        let added = db.run(
            "INSERT OR IGNORE INTO dead_letters VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            (
                row_id(stream, range.next),
                int(kept.id.tick),
                kept.id.number,
                kept.at,
                reason.as_str(),
                feed,
                message,
                raw.as_ref(),
                format.as_str(),
            ),
        )?;
        range.next += added as u64;
        if range.next - range.first >= most + SLACK {
            range.first = range.next - most;
            let first = row_id(stream, range.first);
            db.run("DELETE FROM dead_letters WHERE id >= ?1 AND id < ?2", (row_id(stream, 0), first))?;
        }
        Ok(())
    }

    /// Drops the oldest letters beyond the bound, of ticks up to `until`, at most `budget`;
    /// says how many.
    pub(crate) fn trim(&mut self, db: &Db, until: u64, budget: usize) -> Result<usize, StoreError> {
        let mut left = budget;
        for stream in self.numbers.values().copied().collect::<Vec<_>>() {
            let range = self.range(db, stream)?;
            let over = (range.next - range.first).saturating_sub(MAX_DEAD_LETTERS).min(left as u64);
            if over == 0 {
                continue;
            }
            let (first, end) = (row_id(stream, 0), row_id(stream, range.first + over));
            let sql = "DELETE FROM dead_letters WHERE id >= ?1 AND id < ?2 AND tick <= ?3";
            left -= db.run(sql, (first, end, int(until)))?.min(left);
            let sql = "SELECT id FROM dead_letters WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 1";
            let oldest = db.first(sql, (first, end), |row| row.get::<_, i64>(0))?;
            self.range(db, stream)?.first = seq_of(oldest.unwrap_or(end));
        }
        Ok(budget - left)
    }

    /// Which numbers a stream's letters have.
    fn range(&mut self, db: &Db, stream: u64) -> Result<&mut Range, StoreError> {
        match self.letters.entry(stream) {
            Entry::Occupied(occupied) => Ok(occupied.into_mut()),
            Entry::Vacant(vacant) => {
                let bounds = (row_id(stream, 0), row_id(stream + 1, 0));
                let edge = |sql| db.first(sql, bounds, |row| row.get::<_, i64>(0));
                let first = edge("SELECT id FROM dead_letters WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 1")?;
                let last = edge("SELECT id FROM dead_letters WHERE id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT 1")?;
                Ok(vacant.insert(Range { first: first.map_or(0, seq_of), next: last.map_or(0, |id| seq_of(id) + 1) }))
            }
        }
    }

    /// Letters of a stream, in the order of `wanted.from`. `counted` says which kind this file has.
    pub(crate) fn read(
        &self,
        db: &Db,
        stream: &str,
        counted: bool,
        wanted: &Letters,
    ) -> Result<Vec<KeptLetter>, StoreError> {
        let mut found = Vec::new();
        let Some(stream) = self.get(stream) else { return Ok(found) };
        // The first place that is not wanted: letters of one tick that are counted come after the others.
        let (order, bound) = match wanted.from {
            Edge::Newest => ("DESC", None),
            Edge::Before(id) if id.counted == counted => ("DESC", Some(("<", id.tick, i64::from(id.number)))),
            Edge::Before(id) => ("DESC", Some(("<", id.tick + u64::from(id.counted), 0))),
            Edge::After(id) if id.counted == counted => ("ASC", Some((">", id.tick, i64::from(id.number)))),
            Edge::After(id) if counted => ("ASC", Some((">", id.tick, -1))),
            Edge::After(id) => ("ASC", Some((">", id.tick, i64::MAX))),
        };
        let (compare, tick, number) = bound.unwrap_or(("<=", i64::MAX as u64, i64::MAX));
        let reason = wanted.reason.map_or("", Reason::as_str);
        // Never a scan for a reason: the log's thread has no time.
        let by_reason = if wanted.reason.is_some() { "reason = ?5" } else { "?5 = ''" };
        let sql = format!(
            "SELECT {COLUMNS} FROM dead_letters
             WHERE id >= ?1 AND id < ?2 AND {by_reason} AND (tick, number) {compare} (?3, ?4)
             ORDER BY id {order} LIMIT ?6"
        );
        let (first, end) = (row_id(stream, 0), row_id(stream + 1, 0));
        let limit = wanted.limit as i64;
        db.each(&sql, (first, end, int(tick.min(i64::MAX as u64)), number, reason, limit), |row| {
            found.push(kept(row, counted)?);
            Ok(true)
        })?;
        Ok(found)
    }

    /// The letters of one tick, in the order of their numbers.
    pub(crate) fn of_tick(&self, db: &Db, tick: u64) -> Result<Vec<(String, DeadLetter)>, StoreError> {
        let mut found = Vec::new();
        let sql = format!("SELECT {COLUMNS}, id FROM dead_letters WHERE tick = ?1 ORDER BY number");
        db.each(&sql, [int(tick)], |row| {
            let stream = row.get::<_, i64>(8)? as u64 >> SEQ_BITS;
            let name = self.iter().find(|(_, no)| *no == stream).map(|(name, _)| name.to_owned());
            let name = name.ok_or_else(|| EachError::Damaged("a dead letter has no stream".to_owned()))?;
            found.push((name, kept(row, false)?.letter));
            Ok(true)
        })?;
        Ok(found)
    }

    /// Removes a letter. False if it is not there.
    pub(crate) fn remove(db: &Db, id: LetterId) -> Result<bool, StoreError> {
        let sql = "DELETE FROM dead_letters WHERE tick = ?1 AND number = ?2";
        Ok(db.run(sql, (int(id.tick), id.number))? > 0)
    }
}

const COLUMNS: &str = "tick, number, clock, reason, feed, message, raw, format";

/// A row of [`COLUMNS`].
fn kept(row: &rusqlite::Row<'_>, counted: bool) -> Result<KeptLetter, EachError> {
    let (reason, format): (String, String) = (row.get(3)?, row.get(7)?);
    let unknown = |what: &str, text: &str| EachError::Damaged(format!("a dead letter has the {what} `{text}`"));
    Ok(KeptLetter {
        id: LetterId { tick: row.get::<_, i64>(0)? as u64, counted, number: row.get(1)? },
        at: row.get(2)?,
        letter: DeadLetter {
            reason: Reason::ALL
                .into_iter()
                .find(|known| known.as_str() == reason)
                .ok_or_else(|| unknown("reason", &reason))?,
            feed: row.get(4)?,
            message: row.get(5)?,
            raw: row.get::<_, Vec<u8>>(6)?.into(),
            format: RawFormat::ALL
                .into_iter()
                .find(|known| known.as_str() == format)
                .ok_or_else(|| unknown("format", &format))?,
        },
    })
}
