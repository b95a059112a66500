//! Which groups have gone without an event for how long.

use super::chunked::Chunked;

const NONE: u32 = u32::MAX;

#[derive(Debug, Clone)]
struct Link {
    before: u32,
    after: u32,
    seen: i64,
}

impl Default for Link {
    fn default() -> Self {
        Self { before: NONE, after: NONE, seen: 0 }
    }
}

/// The groups in the order of their last event. The cut's clock never falls, so a group
/// that is touched goes to the end, and the oldest is always the first.
#[derive(Debug)]
pub(crate) struct Idle {
    links: Chunked<Link>,
    first: u32,
    last: u32,
}

impl Default for Idle {
    fn default() -> Self {
        Self { links: Chunked::default(), first: NONE, last: NONE }
    }
}

impl Idle {
    /// Puts a slot at the end that is not in the list.
    pub(crate) fn add(&mut self, slot: u32, clock: i64) {
        *self.links.at(slot) = Link { before: self.last, after: NONE, seen: clock };
        if self.last == NONE {
            self.first = slot;
        } else {
            self.links.at(self.last).after = slot;
        }
        self.last = slot;
    }

    /// Takes a slot out of the list.
    pub(crate) fn remove(&mut self, slot: u32) {
        let Link { before, after, .. } = *self.links.get(slot);
        if before == NONE {
            self.first = after;
        } else {
            self.links.at(before).after = after;
        }
        if after == NONE {
            self.last = before;
        } else {
            self.links.at(after).before = before;
        }
    }

    /// Moves a slot of the list to its end.
    pub(crate) fn touch(&mut self, slot: u32, clock: i64) {
        if self.last == slot {
            self.links.at(slot).seen = clock;
        } else {
            self.remove(slot);
            self.add(slot, clock);
        }
    }

    /// Reads what [`Idle::touch`] of these slots is about to need, for all of them in a row:
    /// their waits for memory overlap.
    pub(crate) fn approach(&self, slots: impl Iterator<Item = u32>) {
        let read = |slot: u32| if slot == NONE { 0 } else { self.links.get(slot).seen };
        let links: Vec<&Link> = slots.map(|slot| self.links.get(slot)).collect();
        let seen = links.iter().fold(0, |seen, link| seen ^ read(link.before) ^ read(link.after));
        std::hint::black_box(seen);
    }

    /// When the slot was last touched.
    pub(crate) fn seen(&self, slot: u32) -> i64 {
        self.links.get(slot).seen
    }

    /// The slot that was touched longest ago, and when.
    pub(crate) fn oldest(&self) -> Option<(u32, i64)> {
        (self.first != NONE).then(|| (self.first, self.links.get(self.first).seen))
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.links.heap_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_the_one_touched_longest_ago() {
        let mut idle = Idle::default();
        assert_eq!(idle.oldest(), None);
        for slot in 0..3 {
            idle.add(slot, 10 + i64::from(slot));
        }
        idle.touch(0, 20);
        idle.touch(0, 21);
        assert_eq!(idle.oldest(), Some((1, 11)));
        idle.remove(1);
        assert_eq!(idle.oldest(), Some((2, 12)));
        idle.remove(2);
        assert_eq!(idle.oldest(), Some((0, 21)));
        assert_eq!(idle.seen(0), 21);
        idle.remove(0);
        assert_eq!(idle.oldest(), None);
        idle.add(1, 30);
        assert_eq!(idle.oldest(), Some((1, 30)));
    }
}
