//! The stream log: entries, cuts, the dead letters of posts, idempotency keys.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};
use model::{DeadLetter, KeptLetter, LetterId, Letters};

use crate::{
    Durability, MAX_BLOB, StoreError,
    cut::{Cut, EntryRef, StoredCut},
    db::{Db, EachError, Form, META, int, row_id, seq_of},
    dead::{self, MAX_UNCOVERED, Streams},
    entry,
    lock::DirLock,
    wire::{crc, seal, unseal},
};

/// The batch of a stream.
pub type Entry = (String, RecordBatch);

/// A commit moves the WAL to the main file itself when it has grown beyond this, in bytes
/// (the bound, INV-4); [`Log::tidy`] does it earlier, at a quieter moment.
const WAL_MAX: usize = 16 << 20;
const WAL_TIDY: usize = 4 << 20;

const PAGE: usize = 4096;

pub(crate) const FORM: Form = Form {
    name: "log.sqlite",
    version: 2,
    page_size: PAGE as i32,
    auto_checkpoint: 0,
    tables: &[META, dead::TABLES, TABLES],
};

/// `cuts` have entries and stay as long as those; `bare_cuts` have none and leave with the
/// next checkpoint. Two tables, so that neither removal has to look for its rows.
const TABLES: &str = "
    CREATE TABLE schemas (id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, ipc BLOB NOT NULL);
    CREATE TABLE entries (
        id INTEGER PRIMARY KEY, -- stream << 40 | number within the stream
        tick INTEGER NOT NULL, clock INTEGER NOT NULL, schema INTEGER NOT NULL,
        total INTEGER NOT NULL, -- bytes of the stream's entries up to and with this one, removed ones too
        crc INTEGER NOT NULL, data BLOB NOT NULL
    );
    CREATE TABLE removed (stream INTEGER PRIMARY KEY, entries INTEGER NOT NULL, bytes INTEGER NOT NULL);
    CREATE TABLE cuts (tick INTEGER PRIMARY KEY, data BLOB NOT NULL);
    CREATE TABLE bare_cuts (tick INTEGER PRIMARY KEY, data BLOB NOT NULL);
    CREATE TABLE keys (
        id INTEGER PRIMARY KEY, at INTEGER NOT NULL, stream INTEGER NOT NULL,
        principal TEXT NOT NULL, key TEXT NOT NULL, body_hash BLOB NOT NULL, answer BLOB NOT NULL,
        UNIQUE (stream, principal, key)
    );
    CREATE TABLE settled ( -- by the tick `at`; until a checkpoint covers it, and a little longer
        at INTEGER NOT NULL, clock INTEGER NOT NULL, tick INTEGER NOT NULL, counted INTEGER NOT NULL, number INTEGER NOT NULL,
        UNIQUE (tick, counted, number)
    );
    CREATE INDEX settled_at ON settled (at);";

/// An `Idempotency-Key` and what was answered to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// The stream that was posted to.
    pub stream: String,
    /// Who posted.
    pub principal: String,
    /// The key.
    pub key: String,
    /// The hash of the body: another body under the key is refused.
    pub body_hash: [u8; 32],
    /// The answer, to be given again.
    pub answer: Vec<u8>,
    /// When, in milliseconds since 1970.
    pub at: i64,
}

/// What one transaction of the log holds.
#[derive(Debug, Clone, Copy)]
pub struct Commit<'a> {
    /// The cut. Its tick takes the `entries`.
    pub cut: &'a Cut,
    /// Batches pushed to us. They come back as they are: same bounds, same order. Neighbours
    /// of one stream and schema are stored together, so put them next to each other.
    pub entries: &'a [Entry],
    /// What was refused, with its stream.
    pub dead: &'a [(String, DeadLetter)],
    /// Idempotency keys of the posts in `entries`.
    pub keys: &'a [KeyRecord],
    /// Dead letters that came to be events in `entries`, and are none any more.
    pub settled: &'a [LetterId],
}

/// How far back the log reaches for a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// The tick of the stream's oldest entry, `None` if it has no entries.
    pub first: Option<u64>,
    /// The clock of that tick, in milliseconds since 1970.
    pub clock: Option<i64>,
    /// Whether no entry of the stream was ever removed.
    pub complete: bool,
}

/// What the log knows of a stream.
#[derive(Default)]
pub(crate) struct StreamLog {
    /// How many entries were removed; the number of the first that is there.
    pub removed: u64,
    /// Their bytes.
    pub removed_bytes: u64,
    /// The number of the next entry.
    pub next: u64,
    /// The bytes of all entries, removed ones too.
    pub total: u64,
    /// The schemas of its entries with their ids; the one in use last.
    schemas: Vec<(i64, SchemaRef)>,
    /// Today's schema.
    target: Option<SchemaRef>,
}

/// An entry about to be written.
struct NewEntry {
    stream: u64,
    seq: u64,
    schema: i64,
    total: u64,
    data: Vec<u8>,
}

/// The stream log.
pub struct Log {
    pub(crate) db: Db,
    /// Held, not used: the directory is free when log and state are both gone.
    _lock: Option<Arc<DirLock>>,
    durability: Durability,
    pub(crate) names: Streams,
    pub(crate) streams: HashMap<u64, StreamLog>,
    last: u64,
    clock: i64,
    /// Cuts up to this tick may be gone: a checkpoint covers them.
    pub(crate) pruned: u64,
    /// About how many bytes are in the WAL and not yet in the main file.
    wal: usize,
    /// By stream.
    left_out: BTreeMap<String, u64>,
}

impl Log {
    /// Reads what every later call needs, over an open file.
    pub(crate) fn load(db: Db, lock: Option<Arc<DirLock>>, durability: Durability) -> Result<Self, StoreError> {
        let names = Streams::load(&db)?;
        let mut streams: HashMap<u64, StreamLog> = HashMap::new();
        for (_, no) in names.iter() {
            let sql = "SELECT entries, bytes FROM removed WHERE stream = ?1";
            let removed = db.first(sql, [int(no)], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
            let (removed, removed_bytes) = removed.map_or((0, 0), |(n, bytes)| (n as u64, bytes as u64));
            let sql = "SELECT id, total FROM entries WHERE id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT 1";
            let newest = db.first(sql, (row_id(no, 0), row_id(no + 1, 0)), |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            })?;
            let (next, total) = newest.map_or((removed, removed_bytes), |(id, total)| (seq_of(id) + 1, total as u64));
            streams.insert(no, StreamLog { removed, removed_bytes, next, total, ..StreamLog::default() });
        }
        db.each("SELECT id, stream, ipc FROM schemas ORDER BY id", [], |row| {
            let (id, stream): (i64, i64) = (row.get(0)?, row.get(1)?);
            let sealed: Vec<u8> = row.get(2)?;
            let schema = unseal(&stream.to_le_bytes(), &sealed).and_then(entry::decode_schema);
            let schema =
                schema.ok_or_else(|| EachError::Damaged(format!("schema {id} does not match its checksum")))?;
            streams.entry(stream as u64).or_default().schemas.push((id, schema));
            Ok(true)
        })?;
        let pruned = db.meta("pruned")?.unwrap_or(0);
        let mut log = Self {
            db,
            _lock: lock,
            durability,
            names,
            streams,
            last: 0,
            clock: 0,
            pruned,
            // What an unclean stop left in the WAL is for the first `tidy`.
            wal: WAL_TIDY + 1,
            left_out: BTreeMap::new(),
        };
        if let Some(cut) = log.newest_cut()? {
            (log.last, log.clock) = (cut.cut.tick, cut.cut.clock);
        }
        Ok(log)
    }

    /// Sets today's schemas of streams: [`Log::entries`] gives every batch in its stream's.
    pub fn set_schemas(&mut self, schemas: &[(String, SchemaRef)]) -> Result<(), StoreError> {
        for (name, schema) in schemas {
            let no = self.names.number(&mut self.db, name)?;
            self.streams.entry(no).or_default().target = Some(Arc::clone(schema));
        }
        Ok(())
    }

    /// One transaction: entries, dead letters, idempotency keys and the cut.
    ///
    /// When this returns, all of it survives `kill -9` (INV-1); with [`Durability::Fsync`] and
    /// anything but a cut in it, a power cut too. On an error nothing was kept, except on
    /// [`StoreError::Io`], which leaves it open and the log unusable.
    pub fn commit(&mut self, commit: &Commit<'_>) -> Result<(), StoreError> {
        let Cut { tick, clock, .. } = *commit.cut;
        if tick <= self.last || i64::try_from(tick).is_err() {
            return Err(StoreError::OutOfOrder { tick, last: self.last });
        }
        let entries = self.encode(commit.entries)?;
        let refs: Vec<EntryRef> = entries.iter().map(|e| EntryRef { stream: e.stream, seq: e.seq }).collect();
        let cut = StoredCut::encode(commit.cut, self.last, &refs);
        let dead = commit.dead.iter().map(|(name, letter)| Ok((self.names.number(&mut self.db, name)?, letter)));
        let dead = dead.collect::<Result<Vec<_>, StoreError>>()?;
        let keys = commit.keys.iter().map(|key| Ok((self.names.number(&mut self.db, &key.stream)?, key)));
        let keys = keys.collect::<Result<Vec<_>, StoreError>>()?;

        let bare = entries.is_empty() && dead.is_empty() && keys.is_empty() && commit.settled.is_empty();
        let names = &mut self.names;
        self.db.write(self.durability == Durability::Fsync && !bare, |db| {
            for NewEntry { stream, seq, schema, total, data } in &entries {
                let id = row_id(*stream, *seq);
                let sum = entry_crc(id, tick, *schema, data);
                db.run(
                    "INSERT INTO entries VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    (id, int(tick), clock, schema, int(*total), sum, data),
                )?;
            }
            for (number, (stream, letter)) in dead.iter().enumerate() {
                let letter = KeptLetter {
                    id: LetterId { tick, counted: false, number: number as u32 },
                    at: clock,
                    letter: (*letter).clone(),
                };
                names.append(db, *stream, &letter, MAX_UNCOVERED)?;
            }
            for id in commit.settled {
                if !id.counted {
                    Streams::remove(db, *id)?;
                }
                let row = (int(tick), clock, int(id.tick), id.counted, id.number);
                db.run("INSERT INTO settled VALUES (?1, ?2, ?3, ?4, ?5)", row)?;
            }
            for (stream, key) in &keys {
                db.run(
                    "INSERT OR REPLACE INTO keys (stream, principal, key, body_hash, answer, at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    (int(*stream), &key.principal, &key.key, key.body_hash, &key.answer, key.at),
                )?;
            }
            let sql = if entries.is_empty() {
                "INSERT INTO bare_cuts VALUES (?1, ?2)"
            } else {
                "INSERT INTO cuts VALUES (?1, ?2)"
            };
            db.run(sql, (int(tick), &cut)).map(drop)
        })?;

        (self.last, self.clock) = (tick, clock);
        // Whole pages go to the WAL: about one for each row of each table besides the content.
        self.wal += cut.len() + PAGE * (2 + 2 * entries.len() + 2 * dead.len() + 4 * keys.len());
        for entry in entries {
            let stream = self.streams.entry(entry.stream).or_default();
            (stream.next, stream.total) = (entry.seq + 1, entry.total);
            self.wal += entry.data.len();
        }
        if self.wal > WAL_MAX {
            self.move_wal();
        }
        Ok(())
    }

    fn encode(&mut self, entries: &[Entry]) -> Result<Vec<NewEntry>, StoreError> {
        let mut out: Vec<NewEntry> = Vec::new();
        let mut rest = entries;
        while let Some((name, first)) = rest.first() {
            let neighbours = rest.iter().take_while(|(other, _)| other == name).map(|(_, batch)| batch);
            let (these, others) = rest.split_at(entry::joinable(neighbours));
            rest = others;
            let unstorable = |what: String| StoreError::Unstorable { name: name.clone(), what };
            let batches: Vec<&RecordBatch> = these.iter().map(|(_, batch)| batch).collect();
            let data = entry::encode(&batches).map_err(|error| unstorable(error.to_string()))?;
            if data.len() > MAX_BLOB {
                return Err(unstorable(format!("{} bytes in one batch; {MAX_BLOB} at most", data.len())));
            }
            let stream = self.names.number(&mut self.db, name)?;
            let schema = self.schema_id(stream, name, first.schema_ref())?;
            let known = self.streams.entry(stream).or_default();
            let before = out.iter().rev().find(|new| new.stream == stream);
            let (seq, total) = before.map_or((known.next, known.total), |new| (new.seq + 1, new.total));
            out.push(NewEntry { stream, seq, schema, total: total + data.len() as u64, data });
        }
        Ok(out)
    }

    /// The id of a stream's schema; a new one is written in a small transaction of its own,
    /// before the one that needs it.
    fn schema_id(&mut self, no: u64, name: &str, schema: &SchemaRef) -> Result<i64, StoreError> {
        let known = self.streams.entry(no).or_default();
        if let Some((id, last)) = known.schemas.last()
            && (Arc::ptr_eq(last, schema) || last == schema)
        {
            return Ok(*id);
        }
        if let Some(at) = known.schemas.iter().position(|(_, other)| other == schema) {
            let found = known.schemas.remove(at);
            let id = found.0;
            known.schemas.push(found);
            return Ok(id);
        }
        let unstorable = |error: ArrowError| StoreError::Unstorable { name: name.to_owned(), what: error.to_string() };
        let ipc = seal(&int(no).to_le_bytes(), entry::encode_schema(schema).map_err(unstorable)?);
        let id = self.db.write(false, |db| {
            let sql = "INSERT INTO schemas (stream, ipc) VALUES (?1, ?2) RETURNING id";
            db.one(sql, (int(no), &ipc), |row| row.get(0))
        })?;
        known.schemas.push((id, Arc::clone(schema)));
        Ok(id)
    }

    /// Moves the WAL to the main file if that is worth it; some milliseconds to some tens of
    /// them. Call it when nobody waits: after a commit was answered.
    pub fn tidy(&mut self) {
        if self.wal > WAL_TIDY {
            self.move_wal();
        }
    }

    fn move_wal(&mut self) {
        match self.db.move_wal() {
            Ok(()) => self.wal = 0,
            // Nothing is lost: all of it stays in the WAL, and a disk that is really full
            // or broken fails the next commit, which has someone to tell.
            Err(error) => tracing::warn!(%error, "could not move the write-ahead log to its file"),
        }
    }

    /// The record of an idempotency key.
    pub fn key(&mut self, stream: &str, principal: &str, key: &str) -> Result<Option<KeyRecord>, StoreError> {
        let Some(no) = self.names.get(stream) else { return Ok(None) };
        let sql = "SELECT body_hash, answer, at FROM keys WHERE stream = ?1 AND principal = ?2 AND key = ?3";
        self.db.first(sql, (int(no), principal, key), |row| {
            Ok(KeyRecord {
                stream: stream.to_owned(),
                principal: principal.to_owned(),
                key: key.to_owned(),
                body_hash: row.get(0)?,
                answer: row.get(1)?,
                at: row.get(2)?,
            })
        })
    }

    /// The next cuts after a tick, in order, at most `limit`; fewer only at the end.
    ///
    /// Go on with the last one's tick. A cut that should be there and is not makes the file
    /// damaged; only those that a checkpoint covers may be gone.
    pub fn cuts(&mut self, after: u64, limit: usize) -> Result<Vec<Cut>, StoreError> {
        let mut cuts = Vec::new();
        let mut before = after;
        self.db.each(
            "SELECT tick, data FROM cuts WHERE tick > ?1 UNION ALL
             SELECT tick, data FROM bare_cuts WHERE tick > ?1 ORDER BY tick LIMIT ?2",
            (i64::try_from(after).unwrap_or(i64::MAX), limit as i64),
            |row| {
                let tick = row.get::<_, i64>(0)? as u64;
                let stored = StoredCut::decode(tick, row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?)
                    .ok_or_else(|| EachError::Damaged(bad_cut(tick)))?;
                if stored.previous > before.max(self.pruned) {
                    return Err(EachError::Damaged(format!("the cut of tick {} is missing", stored.previous)));
                }
                before = tick;
                cuts.push(stored.cut);
                Ok(true)
            },
        )?;
        Ok(cuts)
    }

    fn newest_cut(&self) -> Result<Option<StoredCut>, StoreError> {
        let mut newest = None;
        for sql in [
            "SELECT tick, data FROM cuts ORDER BY tick DESC LIMIT 1",
            "SELECT tick, data FROM bare_cuts ORDER BY tick DESC LIMIT 1",
        ] {
            let found = self.db.first(sql, [], |row| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, Vec<u8>>(1)?)))?;
            newest = newest.max(found);
        }
        newest
            .map(|(tick, data)| StoredCut::decode(tick, &data).ok_or_else(|| self.db.damaged(bad_cut(tick))))
            .transpose()
    }

    /// The cut of a tick that has entries.
    pub(crate) fn cut_with_entries(db: &Db, tick: u64) -> Result<Option<StoredCut>, StoreError> {
        let data: Option<Vec<u8>> = db.first("SELECT data FROM cuts WHERE tick = ?1", [int(tick)], |row| row.get(0))?;
        data.map(|data| StoredCut::decode(tick, &data).ok_or_else(|| db.damaged(bad_cut(tick)))).transpose()
    }

    /// What was pushed to us in a tick, as it was committed: the same batches in the same
    /// order, each in its stream's schema of today (see [`Log::set_schemas`]).
    ///
    /// Without what retention removed. Rows that today's schema refuses are left out
    /// and counted by [`Log::left_out`].
    pub fn entries(&mut self, tick: u64) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        let Some(cut) = Self::cut_with_entries(&self.db, tick)? else { return Ok(entries) };
        for EntryRef { stream, seq } in cut.entries {
            let name = self.names.iter().find(|(_, no)| *no == stream).map(|(name, _)| name.to_owned());
            let (Some(name), Some(known)) = (name, self.streams.get(&stream)) else {
                return Err(self.db.damaged(format!("tick {tick} names a stream that is missing")));
            };
            if seq < known.removed {
                continue;
            }
            let id = row_id(stream, seq);
            let damaged = |what: &str| self.db.damaged(format!("an entry of stream `{name}`, tick {tick}: {what}"));
            let sql = "SELECT schema, crc, data FROM entries WHERE id = ?1";
            let found = self.db.first(sql, [id], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, u32>(1)?, row.get::<_, Vec<u8>>(2)?))
            })?;
            let (schema, sum, data) = found.ok_or_else(|| damaged("it is missing"))?;
            if entry_crc(id, tick, schema, &data) != sum {
                return Err(damaged("it does not match its checksum"));
            }
            let schema = known.schemas.iter().find(|(id, _)| *id == schema);
            let (_, schema) = schema.ok_or_else(|| damaged("its schema is missing"))?;
            let batches = entry::decode(schema, &data).ok_or_else(|| damaged("it cannot be decoded"))?;
            for batch in batches {
                let batch = match &known.target {
                    Some(target) if target != schema => {
                        let (batch, left_out) =
                            entry::adapt(&batch, target).map_err(|error| damaged(&error.to_string()))?;
                        if left_out > 0 {
                            *self.left_out.entry(name.clone()).or_default() += left_out as u64;
                        }
                        batch
                    }
                    // The same `Arc` for every batch, so that comparing schemas costs nothing later.
                    Some(target) => {
                        batch.with_schema(Arc::clone(target)).map_err(|error| damaged(&error.to_string()))?
                    }
                    None => batch,
                };
                entries.push((name.clone(), batch));
            }
        }
        Ok(entries)
    }

    /// How many rows of a stream [`Log::entries`] has left out since the log was opened,
    /// because the stream would refuse them today.
    pub fn left_out(&self, stream: &str) -> u64 {
        self.left_out.get(stream).copied().unwrap_or(0)
    }

    /// Whether every cut that was committed is there: none has been removed.
    pub fn has_all_cuts(&self) -> bool {
        self.pruned == 0
    }

    /// The last cut's tick; 0 if there is none.
    pub fn last_tick(&self) -> u64 {
        self.last
    }

    /// The last cut's clock, in milliseconds since 1970; 0 if there is none.
    pub fn last_clock(&self) -> i64 {
        self.clock
    }

    /// The oldest tick of which an entry is still there.
    pub fn first_tick(&mut self) -> Result<Option<u64>, StoreError> {
        self.db.first("SELECT tick FROM cuts ORDER BY tick LIMIT 1", [], |row| Ok(row.get::<_, i64>(0)? as u64))
    }

    /// How far back the log reaches for a stream.
    pub fn reach(&mut self, stream: &str) -> Result<Reach, StoreError> {
        let none = Reach { first: None, clock: None, complete: true };
        let Some(no) = self.names.get(stream) else { return Ok(none) };
        let removed = self.streams.get(&no).map_or(0, |stream| stream.removed);
        let sql = "SELECT tick, clock FROM entries WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 1";
        let first = self.db.first(sql, (row_id(no, removed), row_id(no + 1, 0)), |row| {
            Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)?))
        })?;
        let (first, clock) = first.unzip();
        Ok(Reach { first, clock, complete: removed == 0 })
    }

    /// The bytes of all entries that are there, without SQLite's own overhead.
    pub fn bytes(&self) -> u64 {
        self.streams.values().map(|stream| stream.total - stream.removed_bytes).sum()
    }

    /// Dead letters of what came in to a stream.
    pub fn dead_letters(&self, stream: &str, wanted: &Letters) -> Result<Vec<KeptLetter>, StoreError> {
        self.names.read(&self.db, stream, false, wanted)
    }

    /// The dead letters that a tick's commit held, with their streams.
    pub fn dead_letters_of(&self, tick: u64) -> Result<Vec<(String, DeadLetter)>, StoreError> {
        self.names.of_tick(&self.db, tick)
    }

    /// Whether a dead letter can become an event: it is there, and was not settled before.
    /// Of counted ones only the latter is known here.
    pub fn is_open(&self, id: LetterId) -> Result<bool, StoreError> {
        let there = if id.counted {
            "SELECT NOT EXISTS (SELECT 1 FROM settled WHERE tick = ?1 AND counted = 1 AND number = ?2)"
        } else {
            "SELECT EXISTS (SELECT 1 FROM dead_letters WHERE tick = ?1 AND number = ?2)"
        };
        self.db.one(there, (int(id.tick), id.number), |row| row.get(0))
    }

    /// The dead letters that a tick's commit settled.
    pub fn settled_by(&self, tick: u64) -> Result<Vec<LetterId>, StoreError> {
        let mut settled = Vec::new();
        let sql = "SELECT tick, counted, number FROM settled WHERE at = ?1 ORDER BY tick, counted, number";
        self.db.each(sql, [int(tick)], |row| {
            let (tick, counted, number) = (row.get::<_, i64>(0)? as u64, row.get(1)?, row.get(2)?);
            settled.push(LetterId { tick, counted, number });
            Ok(true)
        })?;
        Ok(settled)
    }

    /// Marks a clean stop and closes the file. Without it, the next start is an unclean one.
    pub fn shutdown(mut self) -> Result<(), StoreError> {
        self.db.write(true, |db| db.set_meta("clean", &1))?;
        self.db.close()
    }
}

/// What an entry's checksum covers: its place as well as its bytes.
fn entry_crc(id: i64, tick: u64, schema: i64, data: &[u8]) -> u32 {
    crc(&[&id.to_le_bytes(), &tick.to_le_bytes(), &schema.to_le_bytes(), data])
}

fn bad_cut(tick: u64) -> String {
    format!("the cut of tick {tick} does not match its checksum")
}
