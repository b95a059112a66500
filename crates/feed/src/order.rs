//! Lists through the slots, without an allocation of their own.

use model::Offset;

use crate::chunk::SLOTS;

/// No slot.
pub(crate) const NONE: u32 = u32::MAX;

/// Which pair of links a list goes through. A slot can stand in one list of each.
#[derive(Clone, Copy)]
pub(crate) enum Chain {
    /// By last change: live rows in one list, tombstones in another.
    Change = 0,
    /// By the time that `keep` counts from.
    Age = 1,
}

#[derive(Clone, Copy)]
struct Link {
    prev: u32,
    next: u32,
}

/// What a feed knows of a slot beside its row. 40 bytes.
#[derive(Clone, Copy)]
pub(crate) struct Meta {
    /// The tick of the last change.
    pub changed: Offset,
    /// What `keep` counts from, in milliseconds.
    pub time: i64,
    /// Which change of its tick it was: the order within one tick must survive a restart.
    pub number: u32,
    links: [Link; 2],
}

impl Meta {
    const FREE: Self = Self { changed: 0, time: 0, number: 0, links: [Link { prev: NONE, next: NONE }; 2] };

    /// Where the slot stands in the order of all changes.
    pub(crate) fn order(&self) -> (Offset, u32) {
        (self.changed, self.number)
    }
}

/// The metas of all slots, in pieces, so that growing moves nothing.
#[derive(Default)]
pub(crate) struct Metas(Vec<Box<[Meta]>>);

impl Metas {
    /// What one takes.
    pub(crate) const BYTES: usize = size_of::<Meta>();

    /// Adds a chunk without used slots.
    pub(crate) fn push_vacant(&mut self) {
        self.0.push(Box::default());
    }

    /// Gives a chunk without used slots room for them.
    pub(crate) fn fill(&mut self, chunk: usize) {
        self.0[chunk] = vec![Meta::FREE; SLOTS].into();
    }

    /// Takes the room back.
    pub(crate) fn vacate(&mut self, chunk: usize) {
        self.0[chunk] = Box::default();
    }

    pub(crate) fn pop(&mut self) {
        self.0.pop();
    }

    #[inline]
    pub(crate) fn get(&self, slot: u32) -> &Meta {
        &self.0[slot as usize / SLOTS][slot as usize % SLOTS]
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: u32) -> &mut Meta {
        &mut self.0[slot as usize / SLOTS][slot as usize % SLOTS]
    }

    /// Reads the metas of these slots and of their neighbours in both lists, which taking
    /// them out of the lists will need.
    pub(crate) fn approach(&self, slots: &[u32]) {
        let read = |slot: u32| if slot == NONE { 0 } else { self.get(slot).changed };
        let metas: Vec<&Meta> = slots.iter().map(|slot| self.get(*slot)).collect();
        let near = metas.iter().flat_map(|meta| meta.links).flat_map(|link| [link.prev, link.next]);
        std::hint::black_box(near.fold(0, |seen, slot| seen ^ read(slot)));
    }

    /// The meta of a place in a chunk.
    pub(crate) fn of_chunk(&self, chunk: usize, at: usize) -> &Meta {
        &self.0[chunk][at]
    }

    /// The meta of a place in a chunk.
    pub(crate) fn of_chunk_mut(&mut self, chunk: usize, at: usize) -> &mut Meta {
        &mut self.0[chunk][at]
    }

    /// The slot before this one in its list.
    #[inline]
    pub(crate) fn prev(&self, chain: Chain, slot: u32) -> u32 {
        self.get(slot).links[chain as usize].prev
    }

    #[inline]
    fn link(&mut self, chain: Chain, slot: u32) -> &mut Link {
        &mut self.get_mut(slot).links[chain as usize]
    }
}

/// A list of slots.
#[derive(Debug, Clone, Copy)]
pub(crate) struct List {
    pub head: u32,
    pub tail: u32,
}

impl List {
    pub(crate) const EMPTY: Self = Self { head: NONE, tail: NONE };

    pub(crate) fn is_empty(self) -> bool {
        self.head == NONE
    }

    #[inline]
    pub(crate) fn push(&mut self, metas: &mut Metas, chain: Chain, slot: u32) {
        *metas.link(chain, slot) = Link { prev: self.tail, next: NONE };
        if self.tail == NONE {
            self.head = slot;
        } else {
            metas.link(chain, self.tail).next = slot;
        }
        self.tail = slot;
    }

    /// Takes out a slot that stands in this list.
    #[inline]
    pub(crate) fn remove(&mut self, metas: &mut Metas, chain: Chain, slot: u32) {
        let Link { prev, next } = *metas.link(chain, slot);
        if prev == NONE {
            self.head = next;
        } else {
            metas.link(chain, prev).next = next;
        }
        if next == NONE {
            self.tail = prev;
        } else {
            metas.link(chain, next).prev = prev;
        }
    }
}
