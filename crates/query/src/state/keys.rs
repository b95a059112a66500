//! The keys of all groups: the GROUP BY columns without the window's.

use std::{cmp::Reverse, collections::BinaryHeap};

use datafusion::{
    arrow::{array::ArrayRef, datatypes::DataType, error::ArrowError},
    common::hash_utils::create_hashes,
};
use foldhash::fast::FixedState;
use model::StateBlock;

use super::{
    block::{self, Kind, Reader, SUM, StateError},
    chunked::{CHUNK, Chunked},
    column::{Cells, Columns},
    dirty::Dirty,
    index::Index,
};

/// Rows of key columns, ready to be looked up.
pub(crate) struct KeyRows {
    cells: Vec<Cells>,
    hashes: Vec<u64>,
}

impl KeyRows {
    /// Hashes `len` rows of these columns.
    pub(crate) fn new(arrays: &[ArrayRef], len: usize) -> Result<Self, ArrowError> {
        let mut hashes = vec![0; len];
        create_hashes(arrays, &FixedState::with_seed(0), &mut hashes)
            .map_err(|e| ArrowError::InvalidArgumentError(e.to_string()))?;
        let cells = arrays.iter().map(Cells::of).collect::<Result<_, _>>()?;
        Ok(Self { cells, hashes })
    }

    #[inline]
    fn hash(&self, row: usize) -> u32 {
        (self.hashes[row] >> 32) as u32
    }

    /// How long the texts of a key are together.
    pub(crate) fn text_bytes(&self, row: usize) -> usize {
        self.cells.iter().map(|cells| cells.text_len(row)).sum()
    }
}

/// Every key that some pane holds, by id. An id is used again once no pane holds it;
/// the least free id is taken first, so ids follow from the state alone.
#[derive(Debug)]
pub(crate) struct Keys {
    columns: Columns,
    index: Index,
    hashes: Chunked<u32>,
    /// How many panes hold the key; 0 for a free id.
    refs: Chunked<u32>,
    /// The start of the newest window that a row was shown of, where the feed's key
    /// leaves the window out.
    latest: Option<Chunked<i64>>,
    free: BinaryHeap<Reverse<u32>>,
    len: u32,
    dirty: Dirty,
}

impl Keys {
    /// No keys yet; `None` for a type that cannot be kept.
    pub(crate) fn new(types: &[DataType], latest: bool) -> Option<Self> {
        Some(Self {
            columns: Columns::new(types)?,
            index: Index::default(),
            hashes: Chunked::default(),
            refs: Chunked::default(),
            latest: latest.then(Chunked::default),
            free: BinaryHeap::new(),
            len: 0,
            dirty: Dirty::default(),
        })
    }

    /// The id of the key in `row`.
    #[inline]
    pub(crate) fn find(&self, rows: &KeyRows, row: usize) -> Option<u32> {
        self.index.find(rows.hash(row), |id| self.holds(id, rows, row))
    }

    /// The ids of the keys in all rows, in two steps: by hash alone, then by what they hold.
    pub(crate) fn find_all(&self, rows: &KeyRows) -> Vec<Option<u32>> {
        let candidates: Vec<Option<u32>> =
            (0..rows.hashes.len()).map(|row| self.index.candidate(rows.hash(row))).collect();
        let check = |(row, candidate): (usize, Option<u32>)| {
            let id = candidate?;
            if self.holds(id, rows, row) { Some(id) } else { self.find(rows, row) }
        };
        candidates.into_iter().enumerate().map(check).collect()
    }

    #[inline]
    fn holds(&self, id: u32, rows: &KeyRows, row: usize) -> bool {
        self.columns.equal(id, &rows.cells, row)
    }

    /// Gives the key in `row`, which has no id yet, an id that no pane holds yet.
    pub(crate) fn insert(&mut self, rows: &KeyRows, row: usize) -> u32 {
        let id = self.free.pop().map_or_else(
            || {
                self.len += 1;
                self.len - 1
            },
            |Reverse(id)| id,
        );
        self.columns.scatter(&[id], &rows.cells, &[row as u32]);
        let hash = rows.hash(row);
        *self.hashes.at(id) = hash;
        *self.refs.at(id) = 0;
        if let Some(latest) = &mut self.latest {
            *latest.at(id) = i64::MIN;
        }
        self.index.insert(hash, id);
        self.dirty.mark(id);
        id
    }

    /// One more pane holds the key.
    pub(crate) fn hold(&mut self, id: u32) {
        *self.refs.at(id) += 1;
    }

    /// One pane less holds the key.
    pub(crate) fn release(&mut self, id: u32) {
        let refs = self.refs.at(id);
        *refs -= 1;
        if *refs == 0 {
            self.index.remove(*self.hashes.get(id), id);
            self.columns.forget(id);
            self.free.push(Reverse(id));
            self.dirty.mark(id);
        }
    }

    /// What the keys count for, if each counts for `each` and its texts.
    pub(crate) fn held(&self, each: usize) -> usize {
        (self.len as usize - self.free.len()) * each + self.columns.text_bytes()
    }

    /// The start of the newest window shown of the key, raised to `start`; true if
    /// `start` is not older than it.
    pub(crate) fn show(&mut self, id: u32, start: i64) -> bool {
        let Some(latest) = &mut self.latest else { return true };
        let latest = latest.at(id);
        if start > *latest {
            *latest = start;
            self.dirty.mark(id);
        }
        start == *latest
    }

    /// The key columns of these ids.
    pub(crate) fn gather(&self, ids: &[u32]) -> Result<Vec<ArrayRef>, ArrowError> {
        self.columns.gather_all(ids)
    }

    fn used(&self, chunk: u32) -> Vec<u32> {
        let first = chunk * CHUNK as u32;
        let end = self.len.min(first + CHUNK as u32);
        (first..end).filter(|id| *self.refs.get(*id) > 0).collect()
    }

    /// What changed since the last checkpoint.
    pub(crate) fn checkpoint(&mut self, out: &mut Vec<StateBlock>) -> u64 {
        let chunks = self.dirty.take();
        for chunk in &chunks {
            let used = self.used(*chunk);
            let id = block::id(Kind::Keys, 0, *chunk);
            if used.is_empty() {
                out.push(StateBlock { id, data: None });
                continue;
            }
            out.push(block::seal(id, |data| {
                // Room for all of it: it is written once, and not moved.
                data.reserve(CHUNK / 8 + used.len() * (8 + self.columns.encoded_bytes()) + SUM);
                encode_slots(&used, data);
                if let Some(latest) = &self.latest {
                    for id in &used {
                        data.extend_from_slice(&latest.get(*id).to_le_bytes());
                    }
                }
                self.columns.encode(&used, data);
            }));
        }
        chunks.len() as u64
    }

    /// Takes in a block of the checkpoint. Panes must then [`Keys::hold`] what they use.
    pub(crate) fn restore(&mut self, chunk: u32, mut input: Reader<'_>) -> Result<(), StateError> {
        let damaged = StateError::Damaged("keys");
        let used = decode_slots(chunk, &mut input).ok_or(damaged.clone())?;
        if let Some(latest) = &mut self.latest {
            for id in &used {
                *latest.at(*id) = input.i64().ok_or(damaged.clone())?;
            }
        }
        self.columns.decode(&used, &mut input).ok_or(damaged.clone())?;
        let arrays = self.gather(&used).map_err(|_| damaged.clone())?;
        let rows = KeyRows::new(&arrays, used.len()).map_err(|_| damaged.clone())?;
        for (row, id) in used.iter().enumerate() {
            *self.hashes.at(*id) = rows.hash(row);
            *self.refs.at(*id) = 0;
            self.index.insert(rows.hash(row), *id);
            self.len = self.len.max(id + 1);
        }
        self.dirty.restored(chunk);
        if input.is_empty() { Ok(()) } else { Err(damaged) }
    }

    /// Whether the checkpoint holds a key of this id.
    pub(crate) fn is_restored(&self, id: u32) -> bool {
        // An id that no block named has the hash 0 and is in no index.
        id < self.len && self.index.find(*self.hashes.get(id), |slot| slot == id).is_some()
    }

    /// After all blocks and panes: finds the free ids.
    pub(crate) fn finish_restore(&mut self) -> Result<(), StateError> {
        for id in 0..self.len {
            let held = *self.refs.at(id) > 0;
            if !held && self.is_restored(id) {
                return Err(StateError::Damaged("a key that no group has"));
            }
            if !held {
                self.free.push(Reverse(id));
            }
        }
        Ok(())
    }

    /// Bytes on the heap, without texts.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.columns.heap_bytes()
            + self.index.heap_bytes()
            + self.hashes.heap_bytes()
            + self.refs.heap_bytes()
            + self.latest.as_ref().map_or(0, Chunked::heap_bytes)
            + self.free.capacity() * size_of::<u32>()
    }
}

/// Writes which slots of a chunk follow, as a bit each.
pub(crate) fn encode_slots(slots: &[u32], out: &mut Vec<u8>) {
    let mut bits = [0_u8; CHUNK / 8];
    for slot in slots {
        let at = *slot as usize % CHUNK;
        bits[at / 8] |= 1 << (at % 8);
    }
    out.extend_from_slice(&bits);
}

/// The inverse of [`encode_slots`].
pub(crate) fn decode_slots(chunk: u32, input: &mut Reader<'_>) -> Option<Vec<u32>> {
    let bits = input.bytes(CHUNK / 8)?;
    let first = chunk.checked_mul(CHUNK as u32)?;
    // The last chunk has no room for the mark of "no slot".
    first.checked_add(CHUNK as u32)?;
    Some((0..CHUNK).filter(|at| bits[at / 8] >> (at % 8) & 1 == 1).map(|at| first + at as u32).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{Array, Int64Array, StringArray};

    use super::*;

    fn rows(keys: &[(Option<i64>, &str)]) -> KeyRows {
        let numbers: ArrayRef = Arc::new(keys.iter().map(|k| k.0).collect::<Int64Array>());
        let texts: ArrayRef = Arc::new(keys.iter().map(|k| Some(k.1)).collect::<StringArray>());
        KeyRows::new(&[numbers, texts], keys.len()).unwrap()
    }

    fn keys() -> Keys {
        Keys::new(&[DataType::Int64, DataType::Utf8], true).unwrap()
    }

    #[test]
    fn the_least_free_id_is_used_again_and_the_old_key_is_gone() {
        let mut keys = keys();
        let rows = rows(&[(Some(1), "a"), (None, "a"), (Some(1), "b"), (None, "")]);
        for row in 0..3 {
            assert_eq!(keys.find(&rows, row), None);
            let id = keys.insert(&rows, row);
            keys.hold(id);
            assert_eq!(keys.find(&rows, row), Some(id));
        }
        keys.hold(1);
        keys.release(2);
        keys.release(0);
        keys.release(1);
        assert_eq!((keys.find(&rows, 0), keys.find(&rows, 1), keys.find(&rows, 2)), (None, Some(1), None));
        assert_eq!(keys.insert(&rows, 3), 0);
        assert_eq!(keys.insert(&rows, 0), 2);
        assert_eq!(keys.insert(&rows, 2), 3);
    }

    #[test]
    fn keys_survive_a_checkpoint_with_their_gaps() {
        let mut live = keys();
        let many: Vec<(Option<i64>, String)> = (0..600).map(|i| ((i % 7 != 0).then_some(i), format!("k{i}"))).collect();
        let many: Vec<(Option<i64>, &str)> = many.iter().map(|(n, t)| (*n, t.as_str())).collect();
        let rows = rows(&many);
        for row in 0..600 {
            let id = live.insert(&rows, row);
            live.hold(id);
            live.show(id, row as i64);
        }
        for id in 250..520 {
            live.release(id);
        }
        let mut blocks = Vec::new();
        live.checkpoint(&mut blocks);
        let mut again = keys();
        for block in &blocks {
            let (_, _, chunk) = block::parse_id(&block.id).unwrap();
            if let Some(data) = &block.data {
                again.restore(chunk, block::open(data).unwrap()).unwrap();
            }
        }
        for id in (0..250).chain(520..600) {
            assert!(again.is_restored(id));
            again.hold(id);
        }
        assert!(!again.is_restored(300));
        again.finish_restore().unwrap();
        for row in 0..600 {
            assert_eq!(again.find(&rows, row), live.find(&rows, row));
        }
        let ids = [0, 7, 249, 520, 599];
        assert_eq!(again.gather(&ids).unwrap(), live.gather(&ids).unwrap());
        assert_eq!(again.gather(&ids).unwrap()[0].null_count(), 2);
        assert!(!again.show(599, 598) && again.show(599, 599));
        assert_eq!(again.insert(&rows, 300), live.insert(&rows, 300));
        blocks.clear();
        again.checkpoint(&mut blocks);
        assert_eq!(blocks.len(), 1, "only the chunk that changed");
    }
}
