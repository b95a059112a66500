//! The groups of one window, or all groups of a query without a window.

use datafusion::arrow::datatypes::DataType;
use model::StateBlock;

use super::{
    block::{self, Kind, Reader, SUM, StateError},
    chunked::{CHUNK, Chunked},
    column::Columns,
    dirty::Dirty,
    grown::Grown,
    idle::Idle,
    index::Index,
    keys::{Keys, decode_slots, encode_slots},
};

/// The slot holds a group.
pub(crate) const LIVE: u8 = 1;
/// The feed has a row of the group.
pub(crate) const SHOWN: u8 = 2;
/// The group changed since it was last shown.
pub(crate) const PENDING: u8 = 4;
/// The group's row could not be made, which has been said.
pub(crate) const FAILED: u8 = 8;

/// Which key each slot of a window's pane has, and back.
#[derive(Debug, Default)]
struct Slots {
    ids: Chunked<u32>,
    index: Index,
}

/// The groups of one window, or all groups of a query without a window.
#[derive(Debug)]
pub(crate) struct Pane {
    start: i64,
    /// None without a window: then a slot is its key's id.
    slots: Option<Slots>,
    /// The states of all aggregates, one after the other.
    pub(crate) columns: Columns,
    /// The states that grow, if the query has any.
    pub(crate) grown: Option<Grown>,
    flags: Chunked<u8>,
    pub(crate) idle: Option<Idle>,
    len: u32,
    /// Slots with [`PENDING`], each once.
    pub(crate) pending: Vec<u32>,
    dirty: Dirty,
}

/// Spreads key ids, which are small numbers in a row.
#[inline]
fn hash(id: u32) -> u32 {
    id.wrapping_mul(0x9E37_79B1)
}

impl Pane {
    /// An empty pane; `None` for a type that cannot be kept.
    pub(crate) fn new(start: i64, windowed: bool, types: &[DataType], growing: bool) -> Option<Self> {
        Some(Self {
            start,
            slots: windowed.then(Slots::default),
            columns: Columns::new(types)?,
            grown: growing.then(Grown::default),
            flags: Chunked::default(),
            idle: (!windowed).then(Idle::default),
            len: 0,
            pending: Vec::new(),
            dirty: Dirty::default(),
        })
    }

    /// The slot of a key.
    #[inline]
    pub(crate) fn find(&self, id: u32) -> Option<u32> {
        match &self.slots {
            // The hash is the id times an odd number: equal hashes are equal ids.
            Some(slots) => slots.index.candidate(hash(id)),
            None => (id < self.len && self.flags.get(id) & LIVE != 0).then_some(id),
        }
    }

    /// A slot for a key that has none.
    pub(crate) fn insert(&mut self, id: u32) -> u32 {
        let slot = match &mut self.slots {
            Some(slots) => {
                *slots.ids.at(self.len) = id;
                slots.index.insert(hash(id), self.len);
                self.len
            }
            None => id,
        };
        self.len = self.len.max(slot + 1);
        *self.flags.at(slot) = LIVE;
        slot
    }

    /// Removes a group of a pane without a window, whose place among the idle is gone already.
    pub(crate) fn remove(&mut self, slot: u32) {
        *self.flags.at(slot) = 0;
        self.columns.forget(slot);
        if let Some(grown) = &mut self.grown {
            grown.remove(slot);
        }
        self.dirty.mark(slot);
    }

    /// The key of a slot.
    #[inline]
    pub(crate) fn key(&self, slot: u32) -> u32 {
        self.slots.as_ref().map_or(slot, |s| *s.ids.get(slot))
    }

    /// How many slots were ever taken; in a window's pane each holds a group.
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// The slot's state changed.
    #[inline]
    pub(crate) fn mark(&mut self, slot: u32) {
        self.dirty.mark(slot);
    }

    /// The slot's row must be shown.
    #[inline]
    pub(crate) fn await_show(&mut self, slot: u32) {
        let flags = self.flags.at(slot);
        if *flags & PENDING == 0 {
            *flags |= PENDING;
            self.pending.push(slot);
        }
    }

    /// Whether a flag is set.
    #[inline]
    pub(crate) fn is(&self, slot: u32, flag: u8) -> bool {
        self.flags.get(slot) & flag != 0
    }

    /// Sets or clears a flag.
    pub(crate) fn set(&mut self, slot: u32, flag: u8, on: bool) {
        let flags = self.flags.at(slot);
        let new = if on { *flags | flag } else { *flags & !flag };
        if new != *flags {
            *flags = new;
            self.dirty.mark(slot);
        }
    }

    fn live(&self, chunk: u32) -> Vec<u32> {
        let first = chunk * CHUNK as u32;
        let end = self.len.min(first + CHUNK as u32);
        (first..end).filter(|slot| self.flags.get(*slot) & LIVE != 0).collect()
    }

    /// What changed since the last checkpoint.
    pub(crate) fn checkpoint(&mut self, out: &mut Vec<StateBlock>) -> u64 {
        let chunks = self.dirty.take();
        for chunk in &chunks {
            let live = self.live(*chunk);
            let id = block::id(Kind::Pane, self.start, *chunk);
            if live.is_empty() {
                out.push(StateBlock { id, data: None });
                continue;
            }
            out.push(block::seal(id, |data| {
                // Room for all of it: it is written once, and not moved.
                data.reserve(CHUNK / 8 + live.len() * (1 + 4 + 8 + self.columns.encoded_bytes()) + SUM);
                encode_slots(&live, data);
                for slot in &live {
                    data.push(*self.flags.get(*slot));
                }
                if let Some(slots) = &self.slots {
                    for slot in &live {
                        data.extend_from_slice(&slots.ids.get(*slot).to_le_bytes());
                    }
                }
                if let Some(idle) = &self.idle {
                    for slot in &live {
                        data.extend_from_slice(&idle.seen(*slot).to_le_bytes());
                    }
                }
                self.columns.encode(&live, data);
            }));
        }
        chunks.len() as u64 + self.grown.as_mut().map_or(0, |grown| grown.checkpoint(self.start, out))
    }

    /// Removes the pane's blocks from the checkpoint.
    pub(crate) fn drop_blocks(&self, out: &mut Vec<StateBlock>) {
        let ids = self.dirty.saved().map(|chunk| block::id(Kind::Pane, self.start, chunk));
        out.extend(ids.map(|id| StateBlock { id, data: None }));
        if let Some(grown) = &self.grown {
            grown.drop_blocks(self.start, out);
        }
    }

    /// Takes in a block of the checkpoint; blocks come in the order of their chunks, all
    /// keys before. Adds when each slot was last touched to `seen`, without a window.
    pub(crate) fn restore(
        &mut self,
        chunk: u32,
        mut input: Reader<'_>,
        keys: &mut Keys,
        seen: &mut Vec<(i64, u32)>,
    ) -> Result<u64, StateError> {
        let damaged = StateError::Damaged("groups");
        let live = decode_slots(chunk, &mut input).ok_or(damaged.clone())?;
        let flags = input.bytes(live.len()).ok_or(damaged.clone())?;
        for (slot, flags) in live.iter().zip(flags) {
            let id = if self.slots.is_some() { input.u32().ok_or(damaged.clone())? } else { *slot };
            if !keys.is_restored(id) || self.find(id).is_some() {
                return Err(StateError::Damaged("a group without a key of its own"));
            }
            if self.slots.is_some() && *slot != self.len {
                return Err(StateError::Damaged("a gap between groups"));
            }
            self.insert(id);
            keys.hold(id);
            *self.flags.at(*slot) = LIVE | flags & (SHOWN | PENDING | FAILED);
            if flags & PENDING != 0 {
                self.pending.push(*slot);
            }
        }
        if self.idle.is_some() {
            for slot in &live {
                seen.push((input.i64().ok_or(damaged.clone())?, *slot));
            }
        }
        self.columns.decode(&live, &mut input).ok_or(damaged.clone())?;
        self.dirty.restored(chunk);
        if input.is_empty() { Ok(live.len() as u64) } else { Err(damaged) }
    }

    /// What its groups count for beside what each of them does: texts, and states that grow.
    pub(crate) fn held(&self) -> usize {
        self.columns.text_bytes() + self.grown.as_ref().map_or(0, Grown::bytes)
    }

    /// Whether each group has its growing states, after all blocks.
    pub(crate) fn is_whole(&self) -> bool {
        let Some(grown) = &self.grown else { return true };
        (0..self.len.max(grown.end())).all(|slot| (slot < self.len && self.is(slot, LIVE)) == grown.get(slot).is_some())
    }

    /// Bytes on the heap, without texts in columns.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.slots.as_ref().map_or(0, |s| s.ids.heap_bytes() + s.index.heap_bytes())
            + self.columns.heap_bytes()
            + self.grown.as_ref().map_or(0, Grown::bytes)
            + self.flags.heap_bytes()
            + self.idle.as_ref().map_or(0, Idle::heap_bytes)
            + self.pending.capacity() * size_of::<u32>()
    }
}
