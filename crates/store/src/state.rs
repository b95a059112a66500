//! Checkpoints: blocks of state, the engine's own record of the tick, late rows.

use std::{collections::HashMap, sync::Arc};

use model::{DeadLetter, KeptLetter, LetterId, Letters, StateBlock};

use crate::{
    MAX_BLOB, StoreError,
    db::{Db, EachError, Form, META, int},
    dead::{self, MAX_DEAD_LETTERS, Streams},
    lock::DirLock,
    wire::{Reader, crc, put_bytes, put_signed, put_varint, seal, unseal},
};

pub(crate) const FORM: Form = Form {
    name: "state.sqlite",
    version: 2,
    // Blocks are some ten kilobytes: fewer pages for each.
    page_size: 16_384,
    auto_checkpoint: 1_000,
    tables: &[META, dead::TABLES, TABLES],
};

const TABLES: &str = "
    CREATE TABLE checkpoint (one INTEGER PRIMARY KEY CHECK (one = 1), data BLOB NOT NULL);
    CREATE TABLE blocks (
        no INTEGER PRIMARY KEY, owner INTEGER NOT NULL, id BLOB NOT NULL,
        crc INTEGER NOT NULL, data BLOB NOT NULL,
        UNIQUE (owner, id)
    );";

/// A refused row with its place: replaying the tick does not double it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateRow {
    /// The tick that refused it.
    pub tick: u64,
    /// Its number within the tick, over all streams.
    pub number: u32,
    /// Its stream.
    pub stream: String,
    /// The row, and why.
    pub letter: DeadLetter,
}

/// What changed since the last checkpoint.
#[derive(Debug, Clone, Default)]
pub struct Checkpoint {
    /// The tick that it stands behind.
    pub tick: u64,
    /// That tick's clock, in milliseconds since 1970.
    pub clock: i64,
    /// The engine's own record; replaces the last one.
    pub meta: Vec<u8>,
    /// The owners that changed.
    pub owners: Vec<OwnerBlocks>,
    /// Rows that queries refused.
    pub dead: Vec<LateRow>,
    /// Rows that queries had refused and that became events after all.
    pub settled: Vec<LetterId>,
    /// Owners that are gone, with all their blocks.
    pub drop_owners: Vec<String>,
}

/// The changed blocks of an owner: a query or a feed.
#[derive(Debug, Clone, Default)]
pub struct OwnerBlocks {
    /// The owner.
    pub name: String,
    /// What its state belongs to: plan, schema, key, versions. Only compared.
    pub fingerprint: Vec<u8>,
    /// Whether all its blocks of before go first.
    pub reset: bool,
    /// Blocks that are new, changed or, without data, gone.
    pub blocks: Vec<StateBlock>,
}

/// The last checkpoint, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The tick that it stands behind.
    pub tick: u64,
    /// That tick's clock, in milliseconds since 1970.
    pub clock: i64,
    /// The engine's own record.
    pub meta: Vec<u8>,
    /// Every owner that ever wrote and was not dropped.
    pub owners: Vec<Owner>,
}

/// An owner and all its blocks, in the order in which they were first written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The owner.
    pub name: String,
    /// As it was written.
    pub fingerprint: Vec<u8>,
    /// Its blocks; every one has data.
    pub blocks: Vec<StateBlock>,
}

/// What writing a checkpoint came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WriteStats {
    /// Bytes of blocks and of the record.
    pub bytes: u64,
}

/// An owner in the checkpoint's own row: sealed, so that a lost block is seen by the count.
#[derive(Clone)]
struct OwnerRow {
    no: u64,
    name: String,
    fingerprint: Vec<u8>,
    blocks: u64,
}

/// What the checkpoint's row holds.
#[derive(Clone)]
struct Header {
    tick: u64,
    clock: i64,
    meta: Vec<u8>,
    owners: Vec<OwnerRow>,
}

impl Header {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.meta.len());
        put_varint(&mut out, self.tick);
        put_signed(&mut out, self.clock);
        put_bytes(&mut out, &self.meta);
        put_varint(&mut out, self.owners.len() as u64);
        for OwnerRow { no, name, fingerprint, blocks } in &self.owners {
            put_varint(&mut out, *no);
            put_bytes(&mut out, name.as_bytes());
            put_bytes(&mut out, fingerprint);
            put_varint(&mut out, *blocks);
        }
        seal(b"checkpoint", out)
    }

    fn decode(sealed: &[u8]) -> Option<Self> {
        let mut reader = Reader(unseal(b"checkpoint", sealed)?);
        let (tick, clock, meta) = (reader.varint()?, reader.signed()?, reader.bytes()?.to_vec());
        let owners = (0..reader.count()?)
            .map(|_| {
                Some(OwnerRow {
                    no: reader.varint()?,
                    name: reader.text()?,
                    fingerprint: reader.bytes()?.to_vec(),
                    blocks: reader.varint()?,
                })
            })
            .collect::<Option<_>>()?;
        reader.0.is_empty().then_some(Self { tick, clock, meta, owners })
    }
}

/// The checkpoints of a data directory: the last one.
pub struct State {
    db: Db,
    /// Held, not used: the directory is free when log and state are both gone.
    _lock: Option<Arc<DirLock>>,
    last: Option<Header>,
    streams: Streams,
}

impl State {
    /// Reads what every later call needs, over an open file.
    pub(crate) fn load_file(db: Db, lock: Option<Arc<DirLock>>) -> Result<Self, StoreError> {
        let data: Option<Vec<u8>> = db.first("SELECT data FROM checkpoint", [], |row| row.get(0))?;
        let decode = |data: Vec<u8>| {
            Header::decode(&data).ok_or_else(|| db.damaged("the checkpoint does not match its checksum"))
        };
        let last = data.map(decode).transpose()?;
        Ok(Self { streams: Streams::load(&db)?, db, _lock: lock, last })
    }

    /// The last checkpoint's tick.
    pub fn tick(&self) -> Option<u64> {
        self.last.as_ref().map(|last| last.tick)
    }

    /// The last checkpoint, if there is one.
    pub fn load(&mut self) -> Result<Option<Loaded>, StoreError> {
        let Some(last) = &self.last else { return Ok(None) };
        let mut blocks: HashMap<u64, Vec<StateBlock>> =
            last.owners.iter().map(|owner| (owner.no, Vec::with_capacity(owner.blocks as usize))).collect();
        self.db.each("SELECT owner, id, crc, data FROM blocks ORDER BY no", [], |row| {
            let (owner, id, sum): (i64, Vec<u8>, u32) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let data: Vec<u8> = row.get(3)?;
            if block_crc(owner as u64, &id, &data) != sum {
                return Err(EachError::Damaged("a block of state does not match its checksum".to_owned()));
            }
            let of_owner = blocks.get_mut(&(owner as u64));
            let of_owner =
                of_owner.ok_or_else(|| EachError::Damaged("a block of state belongs to nobody".to_owned()))?;
            of_owner.push(StateBlock { id, data: Some(data) });
            Ok(true)
        })?;
        let mut owners = Vec::with_capacity(last.owners.len());
        for OwnerRow { no, name, fingerprint, blocks: count } in &last.owners {
            let blocks = blocks.remove(no).unwrap_or_default();
            if blocks.len() as u64 != *count {
                let what = format!("`{name}` has {} blocks of state, {count} were written", blocks.len());
                return Err(self.db.damaged(what));
            }
            owners.push(Owner { name: name.clone(), fingerprint: fingerprint.clone(), blocks });
        }
        Ok(Some(Loaded { tick: last.tick, clock: last.clock, meta: last.meta.clone(), owners }))
    }

    /// Writes a checkpoint, in one transaction, synced: the log removes what it covers.
    ///
    /// # Errors
    /// After [`StoreError::DiskFull`] the last checkpoint stands, and the same call may be made
    /// again. [`StoreError::OutOfOrder`] for a tick before the last checkpoint's.
    pub fn write(&mut self, checkpoint: &Checkpoint) -> Result<WriteStats, StoreError> {
        let Checkpoint { tick, clock, meta, owners, dead, settled, drop_owners } = checkpoint;
        let last = self.tick().unwrap_or(0);
        if *tick < last || i64::try_from(*tick).is_err() {
            return Err(StoreError::OutOfOrder { tick: *tick, last });
        }
        let mut stats = WriteStats { bytes: meta.len() as u64 };
        for owner in owners {
            for block in &owner.blocks {
                let len = block.id.len() + block.data.as_ref().map_or(0, Vec::len);
                if len > MAX_BLOB {
                    let what = format!("{len} bytes in one block; {MAX_BLOB} at most");
                    return Err(StoreError::Unstorable { name: owner.name.clone(), what });
                }
                stats.bytes += len as u64;
            }
        }
        let numbers = dead.iter().map(|row| self.streams.number(&mut self.db, &row.stream));
        let numbers = numbers.collect::<Result<Vec<_>, StoreError>>()?;

        let mut rows = self.last.as_ref().map(|last| last.owners.clone()).unwrap_or_default();
        let streams = &mut self.streams;
        let header = self.db.write(true, |db| {
            for name in drop_owners {
                if let Some(at) = rows.iter().position(|row| row.name == *name) {
                    clear(db, rows.remove(at).no)?;
                }
            }
            for owner in owners {
                let at = rows.iter().position(|row| row.name == owner.name).unwrap_or_else(|| {
                    // Never the number of an owner dropped in this transaction with blocks left: it has none.
                    let no = rows.iter().map(|row| row.no).max().unwrap_or(0) + 1;
                    rows.push(OwnerRow { no, name: owner.name.clone(), fingerprint: Vec::new(), blocks: 0 });
                    rows.len() - 1
                });
                let row = &mut rows[at];
                row.fingerprint.clone_from(&owner.fingerprint);
                if owner.reset {
                    clear(db, row.no)?;
                    row.blocks = 0;
                }
                for block in &owner.blocks {
                    write_block(db, row, block)?;
                }
            }
            for (row, stream) in dead.iter().zip(numbers) {
                let LateRow { tick, number, letter, .. } = row;
                let stored = KeptLetter {
                    id: LetterId { tick: *tick, counted: true, number: *number },
                    at: *clock,
                    letter: letter.clone(),
                };
                streams.append(db, stream, &stored, MAX_DEAD_LETTERS)?;
            }
            for id in settled.iter().filter(|id| id.counted) {
                Streams::remove(db, *id)?;
            }
            let header = Header { tick: *tick, clock: *clock, meta: meta.clone(), owners: rows };
            db.run("INSERT OR REPLACE INTO checkpoint VALUES (1, ?1)", [header.encode()])?;
            Ok(header)
        })?;
        self.last = Some(header);
        Ok(stats)
    }

    /// Dead letters that ticks made of a stream's events.
    pub fn dead_letters(&self, stream: &str, wanted: &Letters) -> Result<Vec<KeptLetter>, StoreError> {
        self.streams.read(&self.db, stream, true, wanted)
    }

    /// Closes the file.
    pub fn shutdown(self) -> Result<(), StoreError> {
        self.db.close()
    }
}

fn clear(db: &Db, owner: u64) -> Result<(), StoreError> {
    db.run("DELETE FROM blocks WHERE owner = ?1", [int(owner)]).map(drop)
}

/// Writes or removes a block and keeps the owner's count.
fn write_block(db: &Db, owner: &mut OwnerRow, block: &StateBlock) -> Result<(), StoreError> {
    let no = int(owner.no);
    let Some(data) = &block.data else {
        let gone = db.run("DELETE FROM blocks WHERE owner = ?1 AND id = ?2", (no, &block.id))?;
        owner.blocks = owner.blocks.saturating_sub(gone as u64);
        return Ok(());
    };
    let sum = block_crc(owner.no, &block.id, data);
    let sql = "UPDATE blocks SET crc = ?3, data = ?4 WHERE owner = ?1 AND id = ?2";
    if db.run(sql, (no, &block.id, sum, data))? == 0 {
        let sql = "INSERT INTO blocks (owner, id, crc, data) VALUES (?1, ?2, ?3, ?4)";
        db.run(sql, (no, &block.id, sum, data))?;
        owner.blocks += 1;
    }
    Ok(())
}

/// What a block's checksum covers: its place as well as its bytes.
fn block_crc(owner: u64, id: &[u8], data: &[u8]) -> u32 {
    crc(&[&owner.to_le_bytes(), &(id.len() as u64).to_le_bytes(), id, data])
}
