//! Slots, the chunks that hold their rows, and the index from key to slot.

use std::sync::Arc;

use hashbrown::HashTable;
use model::Column;

use crate::{
    chunk::{Bits, Chunk, Field, SLOTS},
    hash::KeyHasher,
    order::Metas,
    source::Source,
};

/// Below this capacity the index is not worth shrinking.
const SMALL_INDEX: usize = 4096;

/// What a slot takes in the index, with the room that is to spare there.
const INDEXED: usize = 8;

/// Up to so many rows most of a feed stays in the processor's caches.
const CACHED_ROWS: usize = 16_384;

/// The chunk of a slot, and its place there.
#[inline]
pub(crate) fn place(slot: u32) -> (usize, usize) {
    (slot as usize / SLOTS, slot as usize % SLOTS)
}

/// Rows and tombstones by slot and by key. A slot is *used* while it holds either.
pub(crate) struct Table {
    pub fields: Box<[Field]>,
    key_len: usize,
    pub chunks: Vec<Arc<Chunk>>,
    pub metas: Metas,
    /// Used slots, by chunk.
    pub used: Vec<Bits>,
    /// No chunk before this one has a slot to spare. New rows take the first free slot:
    /// the choice survives a restart, and the last chunks come free when rows go.
    first_free: usize,
    /// From key to slot. It holds slots alone; keys are compared where they stand.
    index: HashTable<u32>,
    /// How many slots the index was made for.
    index_room: usize,
    hasher: KeyHasher,
    /// What a row or a tombstone counts for, texts aside.
    each: usize,
    /// How long the texts of all rows are together.
    live_texts: usize,
    /// How long those of all tombstones' keys are.
    tomb_texts: usize,
    /// Chunks that changed since the last checkpoint.
    pub dirty: Vec<bool>,
    /// How many chunks were copied because a snapshot held them.
    pub copied: u64,
}

impl Table {
    pub(crate) fn new(columns: &[Column], key_len: usize) -> Self {
        Self {
            fields: Field::all(columns),
            each: Metas::BYTES + INDEXED + columns.len() * size_of::<u64>(),
            live_texts: 0,
            tomb_texts: 0,
            key_len,
            chunks: Vec::new(),
            metas: Metas::default(),
            used: Vec::new(),
            first_free: 0,
            index: HashTable::new(),
            index_room: 0,
            hasher: KeyHasher::default(),
            dirty: Vec::new(),
            copied: 0,
        }
    }

    /// Rows and tombstones.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    #[inline]
    fn key(&self) -> &[Field] {
        &self.fields[..self.key_len]
    }

    pub(crate) fn is_live(&self, slot: u32) -> bool {
        let (chunk, at) = place(slot);
        self.chunks[chunk].live.get(at)
    }

    /// The hashes of the keys of a batch.
    pub(crate) fn hash(&self, keys: &[Source<'_>], rows: usize, hashes: &mut Vec<u64>) {
        self.hasher.batch(keys, rows, hashes);
    }

    /// The slot of the key in `row`.
    #[inline]
    pub(crate) fn find(&self, hash: u64, keys: &[Source<'_>], row: usize) -> Option<u32> {
        let equals = |slot: &u32| {
            let (chunk, at) = place(*slot);
            let chunk = &self.chunks[chunk];
            keys.iter().zip(self.key()).all(|(key, field)| chunk.equals(at, *field, key, row))
        };
        self.index.find(hash, equals).copied()
    }

    /// Reads what replacing the rows of these keys is about to need, for all of them in a
    /// row, so that the waits for memory overlap. Finds by the index's own tags alone, which
    /// are right but for one in a hundred; nothing depends on what is read.
    pub(crate) fn approach(&self, hashes: &[u64]) {
        if self.index.len() < CACHED_ROWS {
            return;
        }
        let mut slots = Vec::with_capacity(hashes.len());
        for hash in hashes {
            self.index.find(*hash, |slot| {
                slots.push(*slot);
                false
            });
        }
        let glance = |slot: &u32| {
            let (chunk, at) = place(*slot);
            self.chunks[chunk].glance(at)
        };
        std::hint::black_box(slots.iter().fold(0, |seen, slot| seen ^ glance(slot)));
        self.metas.approach(&slots);
    }

    /// Takes a free slot for a live row with a new key.
    pub(crate) fn insert(&mut self, hash: u64, sources: &[Source<'_>], row: usize) -> u32 {
        let slot = self.take_slot();
        let (chunk, at) = place(slot);
        let (chunk, fields) = self.chunk_mut(chunk);
        chunk.live.set(at, true);
        for (field, source) in fields.iter().zip(sources) {
            chunk.set(at, *field, source, row);
        }
        let texts = chunk.text_len(at);
        self.live_texts += texts;
        self.enter(hash, slot);
        slot
    }

    /// Whether the slot's row equals `row`.
    #[inline]
    pub(crate) fn equals(&self, slot: u32, sources: &[Source<'_>], row: usize) -> bool {
        let (chunk, at) = place(slot);
        let (chunk, fields) = (&self.chunks[chunk], &self.fields[self.key_len..]);
        fields.iter().zip(&sources[self.key_len..]).all(|(field, source)| chunk.equals(at, *field, source, row))
    }

    /// Replaces the row of a key that has a slot, or puts one over its tombstone.
    pub(crate) fn replace(&mut self, slot: u32, sources: &[Source<'_>], row: usize) {
        let (key_len, (chunk, at)) = (self.key_len, place(slot));
        let (chunk, fields) = self.chunk_mut(chunk);
        let (was_live, before) = (chunk.live.get(at), chunk.text_len(at));
        chunk.live.set(at, true);
        for (field, source) in fields[key_len..].iter().zip(&sources[key_len..]) {
            chunk.set(at, *field, source, row);
        }
        let texts = chunk.text_len(at);
        *if was_live { &mut self.live_texts } else { &mut self.tomb_texts } -= before;
        self.live_texts += texts;
    }

    /// Makes a tombstone of a live row: only its key is left.
    pub(crate) fn bury(&mut self, slot: u32) {
        let (key_len, (chunk, at)) = (self.key_len, place(slot));
        let (chunk, fields) = self.chunk_mut(chunk);
        let before = chunk.text_len(at);
        chunk.live.set(at, false);
        for field in &fields[key_len..] {
            chunk.forget(at, *field);
        }
        let key = chunk.text_len(at);
        self.live_texts -= before;
        self.tomb_texts += key;
    }

    /// Frees the slot of a tombstone.
    pub(crate) fn release(&mut self, slot: u32) {
        let (chunk, at) = place(slot);
        let hash = hash_of(&self.hasher, &self.chunks, self.key(), slot);
        if let Ok(entry) = self.index.find_entry(hash, |s| *s == slot) {
            entry.remove();
        }
        self.tomb_texts -= self.chunks[chunk].text_len(at);
        self.used[chunk].set(at, false);
        self.first_free = self.first_free.min(chunk);
        if self.used[chunk].is_empty() {
            self.dirty[chunk] = true;
            self.chunks[chunk] = Arc::new(Chunk::vacant());
            self.metas.vacate(chunk);
            return;
        }
        let (chunk, fields) = self.chunk_mut(chunk);
        for field in fields {
            chunk.forget(at, *field);
        }
    }

    /// Gives back chunks at the end that hold nothing, and an index far too large.
    pub(crate) fn shrink(&mut self) {
        while self.used.last().is_some_and(Bits::is_empty) {
            self.chunks.pop();
            self.metas.pop();
            self.used.pop();
            self.dirty.pop();
        }
        self.first_free = self.first_free.min(self.chunks.len());
        if self.index_room > SMALL_INDEX && self.index.len() < self.index_room / 8 {
            self.reindex(self.index.len() * 2);
        }
    }

    /// Notes that a chunk must be written to the next checkpoint.
    #[inline]
    pub(crate) fn mark(&mut self, slot: u32) {
        self.dirty[place(slot).0] = true;
    }

    /// The chunk to change, and its columns.
    fn chunk_mut(&mut self, chunk: usize) -> (&mut Chunk, &[Field]) {
        self.dirty[chunk] = true;
        let shared = &mut self.chunks[chunk];
        if Arc::strong_count(shared) > 1 {
            self.copied += 1;
        }
        (Arc::make_mut(shared), &self.fields)
    }

    fn take_slot(&mut self) -> u32 {
        let (chunk, at) = loop {
            match self.used.get(self.first_free).map(Bits::first_unset) {
                Some(Some(at)) => break (self.first_free, at),
                Some(None) => self.first_free += 1,
                None => self.push_chunk(Chunk::vacant(), Bits::default()),
            }
        };
        if self.used[chunk].is_empty() {
            self.chunks[chunk] = Arc::new(Chunk::new(&self.fields));
            self.metas.fill(chunk);
        }
        self.used[chunk].set(at, true);
        (chunk * SLOTS + at) as u32
    }

    /// Adds a chunk behind the others.
    pub(crate) fn push_chunk(&mut self, chunk: Chunk, used: Bits) {
        self.metas.push_vacant();
        if !used.is_empty() {
            self.metas.fill(self.chunks.len());
        }
        self.chunks.push(Arc::new(chunk));
        self.used.push(used);
        self.dirty.push(false);
    }

    /// Enters a slot that is used already.
    fn enter(&mut self, hash: u64, slot: u32) {
        if self.index.len() < self.index.capacity() {
            let (hasher, chunks, key) = (&self.hasher, &self.chunks, &self.fields[..self.key_len]);
            self.index.insert_unique(hash, slot, |slot| hash_of(hasher, chunks, key, *slot));
            return;
        }
        // Removed entries take room too. While they are most of it, the same size will do.
        let crowded = self.index.len() >= self.index_room / 2;
        self.reindex(if crowded { self.index_room + 1 } else { self.index_room });
    }

    /// Makes the index anew, with all used slots. They are taken in order, so that keys are
    /// read as they stand in memory; growing in place would read them at random.
    fn reindex(&mut self, capacity: usize) {
        let mut index = HashTable::with_capacity(capacity);
        self.index_room = index.capacity();
        let hash = |slot: &u32| hash_of(&self.hasher, &self.chunks, self.key(), *slot);
        for slot in used_slots(&self.used) {
            index.insert_unique(hash(&slot), slot, hash);
        }
        self.index = index;
    }

    /// What these many rows count for.
    pub(crate) fn live_bytes(&self, rows: usize) -> usize {
        rows * self.each + self.live_texts
    }

    /// What these many tombstones count for.
    pub(crate) fn tomb_bytes(&self, tombstones: usize) -> usize {
        tombstones * self.each + self.tomb_texts
    }

    /// Counts the texts of slots that were restored.
    pub(crate) fn count_restored(&mut self) {
        for slot in used_slots(&self.used) {
            let (chunk, at) = place(slot);
            let chunk = &self.chunks[chunk];
            *if chunk.live.get(at) { &mut self.live_texts } else { &mut self.tomb_texts } += chunk.text_len(at);
        }
    }

    /// Makes the index of slots that were restored; `false` if two of them have one key.
    pub(crate) fn index_restored(&mut self) -> bool {
        let slots = self.used.iter().map(Bits::count).sum();
        let mut index = HashTable::with_capacity(slots);
        self.index_room = index.capacity();
        let hash = |slot: &u32| hash_of(&self.hasher, &self.chunks, self.key(), *slot);
        for slot in used_slots(&self.used) {
            let (chunk, at) = place(slot);
            let chunk = &self.chunks[chunk];
            let equals = |other: &u32| {
                let (other, other_at) = place(*other);
                self.key().iter().all(|field| chunk.same(at, &self.chunks[other], other_at, *field))
            };
            let hashed = hash(&slot);
            if index.find(hashed, equals).is_some() {
                return false;
            }
            index.insert_unique(hashed, slot, hash);
        }
        self.index = index;
        true
    }
}

#[inline]
fn hash_of(hasher: &KeyHasher, chunks: &[Arc<Chunk>], key: &[Field], slot: u32) -> u64 {
    let (chunk, at) = place(slot);
    hasher.slot(&chunks[chunk], key, at)
}

/// All used slots, rising.
pub(crate) fn used_slots(used: &[Bits]) -> impl Iterator<Item = u32> {
    used.iter().enumerate().flat_map(|(chunk, used)| used.iter().map(move |at| (chunk * SLOTS + at) as u32))
}
