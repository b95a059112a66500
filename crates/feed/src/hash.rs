//! Hashes of keys. A key hashes alike whether it stands in a record batch or in a chunk.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;

use crate::{
    as_text::stands_as_text,
    chunk::{Chunk, Field},
    source::{Cells, Source},
};

/// Stands for a null. That it may also be a value costs a comparison, nothing else.
const NULL: u64 = 0x9e37_79b9_7f4a_7c15;

/// Hashes keys column by column: a hash is folded with the next column's cell. Seeded at
/// random, so that nobody can send keys that collide; no result depends on the seed.
#[derive(Default)]
pub(crate) struct KeyHasher(RandomState);

impl KeyHasher {
    #[inline]
    fn word(&self, hash: u64, word: u64) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write_u64(hash);
        hasher.write_u64(word);
        hasher.finish()
    }

    #[inline]
    fn text(&self, hash: u64, text: &str) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write_u64(hash);
        hasher.write(text.as_bytes());
        hasher.finish()
    }

    /// The hashes of the keys of a batch's first `rows` rows.
    pub(crate) fn batch(&self, keys: &[Source<'_>], rows: usize, hashes: &mut Vec<u64>) {
        hashes.clear();
        hashes.resize(rows, 0);
        for key in keys {
            match &key.cells {
                Cells::Text(cells) => self.fold(key, hashes, |hash, row| self.text(hash, cells.value(row))),
                cells => self.fold(key, hashes, |hash, row| self.word(hash, cells.word(row))),
            }
        }
    }

    #[inline]
    fn fold(&self, key: &Source<'_>, hashes: &mut [u64], cell: impl Fn(u64, usize) -> u64) {
        for (row, hash) in hashes.iter_mut().enumerate() {
            *hash = if key.is_valid(row) { cell(*hash, row) } else { self.word(*hash, NULL) };
        }
    }

    /// The hash of the key in a slot of a chunk.
    pub(crate) fn slot(&self, chunk: &Chunk, key: &[Field], at: usize) -> u64 {
        key.iter().fold(0, |hash, field| match field.data_type {
            _ if chunk.is_null(at, *field) => self.word(hash, NULL),
            other if stands_as_text(other) => self.text(hash, chunk.text(at, *field)),
            _ => self.word(hash, chunk.word(at, *field)),
        })
    }
}
