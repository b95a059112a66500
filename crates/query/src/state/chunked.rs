//! A growing array in chunks: it never copies more than one chunk to grow, and a
//! chunk is the unit that a checkpoint writes.

/// Slots in a chunk.
pub(crate) const CHUNK: usize = 256;

/// The chunk of a slot, and the place in it.
#[inline]
pub(crate) fn locate(slot: u32) -> (usize, usize) {
    (slot as usize / CHUNK, slot as usize % CHUNK)
}

/// A growing array in chunks of [`CHUNK`] values. A chunk's buffer grows by doubling
/// up to its size, so that small panes stay small.
#[derive(Debug)]
pub(crate) struct Chunked<T> {
    chunks: Vec<Vec<T>>,
}

impl<T> Default for Chunked<T> {
    fn default() -> Self {
        Self { chunks: Vec::new() }
    }
}

impl<T: Default> Chunked<T> {
    /// The value at `slot`, which must have been set.
    #[inline]
    pub(crate) fn get(&self, slot: u32) -> &T {
        let (chunk, at) = locate(slot);
        &self.chunks[chunk][at]
    }

    /// The value at `slot`; the array grows to hold it, with defaults before it.
    #[inline]
    pub(crate) fn at(&mut self, slot: u32) -> &mut T {
        let (chunk, at) = locate(slot);
        if chunk >= self.chunks.len() || at >= self.chunks[chunk].len() {
            self.grow(chunk, at);
        }
        &mut self.chunks[chunk][at]
    }

    #[cold]
    fn grow(&mut self, chunk: usize, at: usize) {
        while self.chunks.len() <= chunk {
            if let Some(last) = self.chunks.last_mut() {
                last.resize_with(CHUNK, T::default);
            }
            self.chunks.push(Vec::new());
        }
        let values = &mut self.chunks[chunk];
        if values.len() <= at {
            values.resize_with(at + 1, T::default);
        }
    }

    /// Bytes on the heap, without what the values themselves own there.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.chunks.capacity() * size_of::<Vec<T>>()
            + self.chunks.iter().map(|c| c.capacity() * size_of::<T>()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_far_ahead_leaves_defaults_before_it() {
        let mut array = Chunked::<u64>::default();
        *array.at(3) = 7;
        *array.at(600) = 9;
        assert_eq!((*array.get(0), *array.get(3), *array.get(255), *array.get(300), *array.get(600)), (0, 7, 0, 0, 9));
    }

    #[test]
    fn a_small_array_takes_little() {
        let mut array = Chunked::<u64>::default();
        *array.at(0) = 1;
        assert!(array.heap_bytes() < 256, "{} bytes for one value", array.heap_bytes());
    }
}
