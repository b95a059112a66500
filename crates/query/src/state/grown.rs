//! States that grow with what they have seen: an object for each group of a pane.
//!
//! ```text
//!   slot      0 … 15           16 … 31          …
//!   block   [ Grown 0        ][ Grown 1        ]      of groups with small states together,
//!           [ Large 3 ]       [ Large 17 ]            and of each with large ones alone
//! ```
//!
//! A checkpoint writes blocks of groups that changed. A group with little state shares its
//! block with few neighbours, because a row of the store for each would cost more than the
//! bytes; one with much does not, because a change would write the others' again.

use model::StateBlock;

use super::{
    block::{self, Kind, Reader, StateError},
    chunked::Chunked,
    dirty::Dirty,
};
use crate::grow::{Growing, Growth};

/// Groups that share a block.
const SHARED: u32 = 16;
/// A group with more bytes of state has a block of its own.
const LARGE: usize = 4096;

/// The growing states of one group, in the order of the query's aggregates.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) states: Box<[Box<dyn Growing>]>,
    /// What it counted for when it was last touched.
    bytes: usize,
    large: bool,
}

impl Group {
    /// A group without rows.
    pub(crate) fn start<'a>(growths: impl Iterator<Item = &'a Growth>) -> Self {
        Self::new(growths.map(Growth::start).collect())
    }

    fn new(states: Box<[Box<dyn Growing>]>) -> Self {
        Self { states, bytes: 0, large: false }
    }

    /// How many bytes its states count for.
    pub(crate) fn bytes(&self) -> usize {
        self.states.iter().map(|state| state.bytes()).sum()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        for state in &self.states {
            state.encode(out);
        }
    }

    fn decode(growths: &[&Growth], input: &mut Reader<'_>) -> Option<Self> {
        Some(Self::new(growths.iter().map(|growth| growth.decode(input)).collect::<Option<_>>()?))
    }
}

/// The growing states of a pane's groups, by slot.
#[derive(Debug, Default)]
pub(crate) struct Grown {
    groups: Chunked<Option<Box<Group>>>,
    /// One more than the largest slot that ever had a group.
    end: u32,
    /// What all groups count for.
    bytes: usize,
    shared: Dirty,
    alone: Dirty,
}

impl Grown {
    /// The states of a slot's group.
    pub(crate) fn get(&self, slot: u32) -> Option<&Group> {
        if slot < self.end { self.groups.get(slot).as_deref() } else { None }
    }

    /// The states of a slot's group, to be changed; then [`Grown::touched`] is due.
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut Group> {
        if slot < self.end { self.groups.at(slot).as_deref_mut() } else { None }
    }

    /// One more than the largest slot that ever had a group.
    pub(crate) fn end(&self) -> u32 {
        self.end
    }

    /// What all groups count for.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives a slot its group.
    pub(crate) fn put(&mut self, slot: u32, group: Group) {
        *self.groups.at(slot) = Some(Box::new(group));
        self.end = self.end.max(slot + 1);
        self.touched(slot);
    }

    /// The slot's group has changed.
    pub(crate) fn touched(&mut self, slot: u32) {
        let Some(group) = self.groups.at(slot) else { return };
        let bytes = group.bytes();
        self.bytes = self.bytes + bytes - group.bytes;
        group.bytes = bytes;
        if bytes > LARGE && !group.large {
            group.large = true;
            self.shared.mark_chunk((slot / SHARED) as usize);
        }
        if group.large {
            self.alone.mark_chunk(slot as usize);
        } else {
            self.shared.mark_chunk((slot / SHARED) as usize);
        }
    }

    /// Frees a slot's group.
    pub(crate) fn remove(&mut self, slot: u32) {
        if slot >= self.end {
            return;
        }
        if let Some(group) = self.groups.at(slot).take() {
            self.bytes -= group.bytes;
            if group.large {
                self.alone.mark_chunk(slot as usize);
            } else {
                self.shared.mark_chunk((slot / SHARED) as usize);
            }
        }
    }

    /// What changed since the last checkpoint; how many blocks that are.
    pub(crate) fn checkpoint(&mut self, start: i64, out: &mut Vec<StateBlock>) -> u64 {
        let before = out.len();
        for chunk in self.shared.take() {
            let slots = chunk * SHARED..self.end.min((chunk + 1) * SHARED);
            let groups: Vec<(u32, &Group)> =
                slots.filter_map(|slot| Some((slot, self.get(slot).filter(|group| !group.large)?))).collect();
            let id = block::id(Kind::Grown, start, chunk);
            out.push(if groups.is_empty() {
                StateBlock { id, data: None }
            } else {
                block::seal(id, |data| {
                    let bits = groups.iter().fold(0_u16, |bits, (slot, _)| bits | 1 << (slot % SHARED));
                    data.extend_from_slice(&bits.to_le_bytes());
                    for (_, group) in &groups {
                        group.encode(data);
                    }
                })
            });
        }
        for slot in self.alone.take() {
            let id = block::id(Kind::Large, start, slot);
            out.push(match self.get(slot).filter(|group| group.large) {
                None => StateBlock { id, data: None },
                Some(group) => block::seal(id, |data| group.encode(data)),
            });
        }
        (out.len() - before) as u64
    }

    /// Removes all blocks from the checkpoint.
    pub(crate) fn drop_blocks(&self, start: i64, out: &mut Vec<StateBlock>) {
        let shared = self.shared.saved().map(|chunk| block::id(Kind::Grown, start, chunk));
        let alone = self.alone.saved().map(|slot| block::id(Kind::Large, start, slot));
        out.extend(shared.chain(alone).map(|id| StateBlock { id, data: None }));
    }

    /// Takes in a block of the checkpoint. `len` is how many slots the pane has.
    pub(crate) fn restore(
        &mut self,
        kind: Kind,
        at: u32,
        len: u32,
        growths: &[&Growth],
        mut input: Reader<'_>,
    ) -> Result<(), StateError> {
        let damaged = || StateError::Damaged("what groups remember");
        let slots: Vec<u32> = if kind == Kind::Large {
            vec![at]
        } else {
            let bits = input.u16().ok_or_else(damaged)?;
            let first = at.checked_mul(SHARED).ok_or_else(damaged)?;
            (0..SHARED).filter(|bit| bits >> bit & 1 == 1).map(|bit| first + bit).collect()
        };
        for slot in slots {
            if slot >= len || self.get(slot).is_some() {
                return Err(damaged());
            }
            let mut group = Group::decode(growths, &mut input).ok_or_else(damaged)?;
            group.bytes = group.bytes();
            group.large = kind == Kind::Large;
            self.bytes += group.bytes;
            *self.groups.at(slot) = Some(Box::new(group));
            self.end = self.end.max(slot + 1);
        }
        let written = if kind == Kind::Large { &mut self.alone } else { &mut self.shared };
        written.restored(at);
        if input.is_empty() { Ok(()) } else { Err(damaged()) }
    }
}
