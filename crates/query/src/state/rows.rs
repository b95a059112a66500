//! A growing array of rows of 64-bit words, in chunks.

use super::chunked::{CHUNK, locate};

/// Rows of some words each. A row's words lie side by side: a tick touches few rows of
/// many, and pays a cache line or two for each, not one for each column. Chunks grow as
/// those of [`Chunked`](super::chunked::Chunked) do.
#[derive(Debug)]
pub(crate) struct Rows {
    /// Words in a row.
    width: usize,
    chunks: Vec<Vec<u64>>,
}

impl Rows {
    pub(crate) fn new(width: usize) -> Self {
        Self { width, chunks: Vec::new() }
    }

    /// The row at `slot`, which must have been set.
    #[inline]
    pub(crate) fn get(&self, slot: u32) -> &[u64] {
        let (chunk, at) = locate(slot);
        &self.chunks[chunk][at * self.width..][..self.width]
    }

    /// The row at `slot`; the array grows to hold it, with zeros before it.
    #[inline]
    pub(crate) fn at(&mut self, slot: u32) -> &mut [u64] {
        let (chunk, at) = locate(slot);
        let end = (at + 1) * self.width;
        if self.chunks.get(chunk).is_none_or(|words| words.len() < end) {
            self.grow(chunk, end);
        }
        &mut self.chunks[chunk][end - self.width..end]
    }

    #[cold]
    fn grow(&mut self, chunk: usize, end: usize) {
        while self.chunks.len() <= chunk {
            if let Some(last) = self.chunks.last_mut() {
                last.resize(CHUNK * self.width, 0);
            }
            self.chunks.push(Vec::new());
        }
        self.chunks[chunk].resize(end, 0);
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.chunks.capacity() * size_of::<Vec<u64>>()
            + self.chunks.iter().map(|c| c.capacity() * size_of::<u64>()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_far_ahead_leaves_zeros_before_it() {
        let mut rows = Rows::new(3);
        rows.at(2)[1] = 7;
        rows.at(600).copy_from_slice(&[1, 2, 3]);
        rows.at(300)[2] = 4;
        assert_eq!((rows.get(2), rows.get(255), rows.get(300), rows.get(600)), {
            (&[0, 7, 0][..], &[0; 3][..], &[0, 0, 4][..], &[1, 2, 3][..])
        });
    }
}
