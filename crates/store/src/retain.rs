//! What leaves the log, and when (INV-4).
//!
//! | what | leaves |
//! | --- | --- |
//! | entries | beyond their stream's age or bytes, the oldest first, once a checkpoint covers them |
//! | cuts with entries | with the last of these |
//! | cuts without | once a checkpoint covers them |
//! | idempotency keys | after [`KEY_AGE_MS`], or when there are more than [`MAX_KEYS`] |
//! | dead letters | beyond [`MAX_DEAD_LETTERS`](crate::MAX_DEAD_LETTERS) of a stream, once a checkpoint covers them; beyond ten times as many at once |
//! | which dead letters became events | once a checkpoint covers it |
//!
//! The files do not shrink: SQLite uses the freed pages again.

use std::collections::{BTreeSet, HashMap};

use crate::{
    Log, StoreError,
    cut::StoredCut,
    db::{Db, int, row_id, seq_of},
};

/// How long an idempotency key is kept, in milliseconds: a day.
pub const KEY_AGE_MS: i64 = 24 * 60 * 60 * 1000;

/// How many idempotency keys are kept.
pub const MAX_KEYS: i64 = 1_000_000;

/// How long entries are kept of a stream that the policy does not name, because it left the
/// configuration: seven days, in milliseconds.
pub const ORPHAN_AGE_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// How long it is at least remembered that a dead letter became an event, in milliseconds:
/// longer than anyone who has read the letter takes to ask.
const SETTLED_MS: i64 = 60_000;

/// How many bytes of entries one call removes: a commit waits meanwhile.
const MAX_BYTES_A_CALL: u64 = 16 << 20;

/// How long and how many entries of a stream are kept, whichever is less.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// The stream.
    pub stream: String,
    /// The greatest age, in milliseconds from the entry's tick's clock.
    pub max_age_ms: i64,
    /// The most bytes, without SQLite's overhead.
    pub max_bytes: u64,
}

/// What one call removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retained {
    /// Entries.
    pub entries: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Cuts.
    pub cuts: usize,
    /// Idempotency keys.
    pub keys: usize,
    /// Whether the budget ended it: there is more to remove.
    pub more: bool,
}

/// The entries of a stream that go: up to number `to`, with `bytes` in all since its beginning.
struct Removal {
    to: u64,
    bytes: u64,
}

impl Log {
    /// Removes what the policy no longer keeps: at most `budget` rows and some 16 MB.
    ///
    /// `checkpointed` is the tick of the last checkpoint that was written; nothing behind
    /// it is touched, for it will be replayed.
    pub fn retain(
        &mut self,
        policy: &[Retention],
        now: i64,
        checkpointed: u64,
        budget: usize,
    ) -> Result<Retained, StoreError> {
        // The newest cut stays in any case: it says where the log ends.
        let checkpointed = checkpointed.min(self.last_tick());
        let Self { db, names, streams, pruned, .. } = self;
        let mut left = budget;
        let mut done = Retained::default();
        let (removals, new_pruned) = db.write(false, |db| {
            let mut removals: HashMap<u64, Removal> = HashMap::new();
            let mut ticks = BTreeSet::new();
            for (name, no) in names.iter() {
                let Some(known) = streams.get(&no).filter(|known| known.removed < known.next) else { continue };
                let (max_age, max_bytes) = policy
                    .iter()
                    .find(|retention| retention.stream == name)
                    .map_or((ORPHAN_AGE_MS, u64::MAX), |retention| (retention.max_age_ms, retention.max_bytes));
                let oldest = now.saturating_sub(max_age);
                let mut gone = Removal { to: known.removed, bytes: known.removed_bytes };
                db.each(
                    "SELECT id, tick, clock, total FROM entries WHERE id >= ?1 AND id < ?2 ORDER BY id",
                    (row_id(no, known.removed), row_id(no + 1, 0)),
                    |row| {
                        let (tick, clock): (i64, i64) = (row.get(1)?, row.get(2)?);
                        let too_many = known.total - gone.bytes > max_bytes;
                        if tick as u64 > checkpointed || !(clock < oldest || too_many) {
                            return Ok(false);
                        }
                        if left == 0 || done.bytes > MAX_BYTES_A_CALL {
                            done.more = true;
                            return Ok(false);
                        }
                        let total = row.get::<_, i64>(3)? as u64;
                        left -= 1;
                        done.bytes += total.saturating_sub(gone.bytes);
                        gone = Removal { to: seq_of(row.get(0)?) + 1, bytes: total };
                        ticks.insert(tick as u64);
                        Ok(true)
                    },
                )?;
                if gone.to == known.removed {
                    continue;
                }
                done.entries +=
                    db.run("DELETE FROM entries WHERE id >= ?1 AND id < ?2", (row_id(no, 0), row_id(no, gone.to)))?;
                let sql = "INSERT OR REPLACE INTO removed VALUES (?1, ?2, ?3)";
                db.run(sql, (int(no), int(gone.to), int(gone.bytes)))?;
                removals.insert(no, gone);
            }
            let kept = |stream: u64| match removals.get(&stream) {
                Some(removal) => removal.to,
                None => streams.get(&stream).map_or(0, |known| known.removed),
            };
            for tick in ticks {
                done.cuts += drop_empty_cut(db, tick, checkpointed, kept)?;
            }
            let bare = db.run(
                "DELETE FROM bare_cuts WHERE tick IN
                 (SELECT tick FROM bare_cuts WHERE tick < ?1 ORDER BY tick LIMIT ?2)",
                (int(checkpointed), left as i64),
            )?;
            left -= bare;
            done.cuts += bare;
            done.keys = drop_keys(db, now, left)?;
            left -= done.keys;
            left -= names.trim(db, checkpointed, left)?;
            left -= db.run(
                "DELETE FROM settled WHERE rowid IN
                 (SELECT rowid FROM settled WHERE at <= ?1 AND clock < ?2 ORDER BY at LIMIT ?3)",
                (int(checkpointed), now - SETTLED_MS, left as i64),
            )?;
            done.more |= left == 0;
            let new_pruned = if done.cuts > 0 { checkpointed.max(*pruned) } else { *pruned };
            if new_pruned != *pruned {
                db.set_meta("pruned", &new_pruned)?;
            }
            Ok((removals, new_pruned))
        })?;
        *pruned = new_pruned;
        for (no, Removal { to, bytes }) in removals {
            let stream = streams.entry(no).or_default();
            (stream.removed, stream.removed_bytes) = (to, bytes);
        }
        Ok(done)
    }
}

/// Removes the cut of `tick` if retention has left none of its entries. That of the last
/// checkpoint becomes a bare one instead: the log's end must stay known.
fn drop_empty_cut(db: &Db, tick: u64, checkpointed: u64, removed: impl Fn(u64) -> u64) -> Result<usize, StoreError> {
    let Some(stored) = Log::cut_with_entries(db, tick)? else { return Ok(0) };
    if stored.entries.iter().any(|entry| entry.seq >= removed(entry.stream)) {
        return Ok(0);
    }
    let gone = db.run("DELETE FROM cuts WHERE tick = ?1", [int(tick)])?;
    if tick < checkpointed {
        return Ok(gone);
    }
    let bare = StoredCut::encode(&stored.cut, stored.previous, &[]);
    db.run("INSERT INTO bare_cuts VALUES (?1, ?2)", (int(tick), bare))?;
    Ok(0)
}

/// Removes keys that are too old or too many, the oldest first. Keys are numbered in the
/// order in which they came, and `at` never falls.
fn drop_keys(db: &Db, now: i64, limit: usize) -> Result<usize, StoreError> {
    let newest: Option<i64> = db.first("SELECT max(id) FROM keys", [], |row| row.get(0))?.flatten();
    let Some(newest) = newest else { return Ok(0) };
    db.run(
        "DELETE FROM keys WHERE id IN
         (SELECT id FROM keys ORDER BY id LIMIT ?1) AND (at < ?2 OR id <= ?3)",
        (limit as i64, now.saturating_sub(KEY_AGE_MS), newest - MAX_KEYS),
    )
}
