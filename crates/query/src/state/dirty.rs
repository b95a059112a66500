//! Which chunks changed since the last checkpoint.

use super::chunked::CHUNK;

/// Nothing of the chunk needs to be written.
const CLEAN: u8 = 0;
/// The chunk changed since it was written.
const CHANGED: u8 = 1;
/// A block of the chunk is in the checkpoint.
const SAVED: u8 = 2;

/// Which chunks changed since the last checkpoint, and which the checkpoint holds.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    chunks: Vec<u8>,
    changed: Vec<u32>,
}

impl Dirty {
    /// The chunk of `slot` changed.
    #[inline]
    pub(crate) fn mark(&mut self, slot: u32) {
        self.mark_chunk(slot as usize / CHUNK);
    }

    /// The chunk changed.
    #[inline]
    pub(crate) fn mark_chunk(&mut self, chunk: usize) {
        if chunk >= self.chunks.len() {
            self.chunks.resize(chunk + 1, CLEAN);
        }
        if self.chunks[chunk] & CHANGED == 0 {
            self.chunks[chunk] |= CHANGED;
            self.changed.push(chunk as u32);
        }
    }

    /// The chunk was read from the checkpoint.
    pub(crate) fn restored(&mut self, chunk: u32) {
        let chunk = chunk as usize;
        if chunk >= self.chunks.len() {
            self.chunks.resize(chunk + 1, CLEAN);
        }
        self.chunks[chunk] |= SAVED;
    }

    /// The chunks to write now, in order; they count as written from here on.
    pub(crate) fn take(&mut self) -> Vec<u32> {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        for chunk in &changed {
            self.chunks[*chunk as usize] = SAVED;
        }
        changed
    }

    /// The chunks that the checkpoint holds.
    pub(crate) fn saved(&self) -> impl Iterator<Item = u32> + '_ {
        self.chunks.iter().enumerate().filter(|(_, c)| **c & SAVED != 0).map(|(i, _)| i as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_taken_once_for_each_change() {
        let mut dirty = Dirty::default();
        for slot in [300, 5, 301, 7] {
            dirty.mark(slot);
        }
        assert_eq!(dirty.saved().count(), 0);
        assert_eq!(dirty.take(), [0, 1]);
        assert_eq!(dirty.take(), [0_u32; 0]);
        dirty.mark(5);
        assert_eq!(dirty.take(), [0]);
        assert_eq!(dirty.saved().collect::<Vec<_>>(), [0, 1]);
    }
}
