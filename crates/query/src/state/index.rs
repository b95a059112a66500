//! Hash indexes from a key to its slot.

use hashbrown::HashTable;

/// How many tables an index is split into. They grow one after the other, so that no
/// tick has to move a whole index of millions at once.
const SHARDS: usize = 64;

#[derive(Debug, Clone, Copy)]
struct Entry {
    hash: u32,
    slot: u32,
}

/// Finds slots by a hash of what they hold; what they hold is compared by the caller.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// One table while it is small, then [`SHARDS`] of them.
    shards: Vec<HashTable<Entry>>,
    len: usize,
}

/// Below this many entries one table is enough.
const SMALL: usize = 4096;

/// Spreads 32 bits over 64: a table takes its place from the low, its tag from the high ones.
#[inline]
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl Index {
    #[inline]
    fn shard(&self, hash: u32) -> usize {
        if self.shards.len() <= 1 { 0 } else { (hash >> 26) as usize % SHARDS }
    }

    /// The slot with this hash that is `equal`.
    #[inline]
    pub(crate) fn find(&self, hash: u32, mut equal: impl FnMut(u32) -> bool) -> Option<u32> {
        let table = self.shards.get(self.shard(hash))?;
        table.find(spread(hash), |e| e.hash == hash && equal(e.slot)).map(|e| e.slot)
    }

    /// A slot with this hash, whatever it holds: most often the one looked for. Asking for
    /// many keys in a row lets the waits for memory overlap, because nothing is read through
    /// what was found.
    #[inline]
    pub(crate) fn candidate(&self, hash: u32) -> Option<u32> {
        self.find(hash, |_| true)
    }

    /// Adds a slot that is not there yet.
    pub(crate) fn insert(&mut self, hash: u32, slot: u32) {
        if self.shards.is_empty() {
            self.shards.push(HashTable::new());
        } else if self.shards.len() == 1 && self.len == SMALL {
            self.split();
        }
        self.len += 1;
        let shard = self.shard(hash);
        self.shards[shard].insert_unique(spread(hash), Entry { hash, slot }, |e| spread(e.hash));
    }

    #[cold]
    fn split(&mut self) {
        let small = std::mem::take(&mut self.shards);
        self.shards = (0..SHARDS).map(|_| HashTable::new()).collect();
        for entry in small.into_iter().flatten() {
            let shard = self.shard(entry.hash);
            self.shards[shard].insert_unique(spread(entry.hash), entry, |e| spread(e.hash));
        }
    }

    /// Removes a slot.
    pub(crate) fn remove(&mut self, hash: u32, slot: u32) {
        let shard = self.shard(hash);
        let Some(table) = self.shards.get_mut(shard) else { return };
        if let Ok(entry) = table.find_entry(spread(hash), |e| e.slot == slot) {
            entry.remove();
            self.len -= 1;
        }
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.shards.iter().map(|s| s.allocation_size() + size_of_val(s)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_are_found_and_the_removed_are_not() {
        let mut index = Index::default();
        // Hashes collide on purpose: eight slots share each.
        let hash = |slot: u32| (slot / 8).wrapping_mul(2_654_435_761);
        for slot in 0..20_000 {
            assert_eq!(index.find(hash(slot), |s| s == slot), None);
            index.insert(hash(slot), slot);
        }
        for slot in (0..20_000).step_by(3) {
            index.remove(hash(slot), slot);
        }
        for slot in 0..20_000 {
            assert_eq!(index.find(hash(slot), |s| s == slot), (slot % 3 != 0).then_some(slot));
        }
    }
}
