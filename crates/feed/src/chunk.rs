//! 256 rows.
//!
//! ```text
//!   words   row 0: k n a m │ row 1: k n a m │ …     values of fixed width, 64 bits each
//!   texts   of a column, one behind the other       (`text`)
//!   nulls   a bit for each slot, by column          none while every value is there
//! ```
//!
//! Rows lie one behind the other because a tick touches few rows of many: so a row costs
//! a cache line or two, not one for each column.

use model::{Column as Declared, DataType};

use crate::{
    as_text::stands_as_text,
    source::{Cells, Source},
    text::Texts,
};

/// Slots in a chunk. Small enough that copying a chunk a snapshot holds is cheap, large
/// enough that a snapshot of a million rows is 4,000 pointers.
pub(crate) const SLOTS: usize = 256;

/// One bit a slot.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bits(pub [u64; SLOTS / 64]);

impl Bits {
    #[inline]
    pub(crate) fn get(&self, at: usize) -> bool {
        self.0[at / 64] >> (at % 64) & 1 == 1
    }

    #[inline]
    pub(crate) fn set(&mut self, at: usize, on: bool) {
        let mask = 1 << (at % 64);
        if on {
            self.0[at / 64] |= mask;
        } else {
            self.0[at / 64] &= !mask;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0 == [0; SLOTS / 64]
    }

    pub(crate) fn count(&self) -> usize {
        self.0.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// The bits that are not set in `other`.
    pub(crate) fn without(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] & !other.0[i]))
    }

    /// Whether every bit of `self` is set in `other`.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        self.without(other).is_empty()
    }

    /// The first bit that is not set.
    pub(crate) fn first_unset(&self) -> Option<usize> {
        let word = self.0.iter().position(|w| *w != u64::MAX)?;
        Some(word * 64 + self.0[word].trailing_ones() as usize)
    }

    /// The positions of the bits that are set, rising.
    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().flat_map(|(i, mut word)| {
            std::iter::from_fn(move || {
                let at = (word != 0).then_some(i * 64 + word.trailing_zeros() as usize);
                word &= word.wrapping_sub(1);
                at
            })
        })
    }
}

/// Where the values of a column stand in a chunk.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// In this word of each row.
    Word(usize),
    /// In these of the chunk's texts.
    Texts(usize),
}

/// A column of all chunks of a feed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub data_type: DataType,
    /// Its number among all columns.
    column: usize,
    place: Place,
}

impl Field {
    /// The declared columns, laid out.
    pub(crate) fn all(columns: &[Declared]) -> Box<[Self]> {
        let (mut words, mut texts) = (0.., 0..);
        let fields = columns.iter().enumerate().map(|(column, Declared { data_type, .. })| {
            let text = stands_as_text(*data_type);
            // Neither range ends.
            let place = if text { texts.next().map(Place::Texts) } else { words.next().map(Place::Word) };
            Self { data_type: *data_type, column, place: place.unwrap_or(Place::Word(0)) }
        });
        fields.collect()
    }
}

/// 256 rows. Snapshots hold chunks beside the feed, which then copies one before it
/// changes it.
#[derive(Clone)]
pub(crate) struct Chunk {
    /// Slots with a row that is there. The others are free, or hold a tombstone's key.
    pub live: Bits,
    /// Slots whose value is null, by column, as far as the last column with a null.
    nulls: Vec<Bits>,
    words: Box<[u64]>,
    texts: Box<[Texts]>,
}

impl Chunk {
    pub(crate) fn new(fields: &[Field]) -> Self {
        let texts = fields.iter().filter(|f| matches!(f.place, Place::Texts(_))).count();
        Self {
            live: Bits::default(),
            nulls: Vec::new(),
            words: vec![0; (fields.len() - texts) * SLOTS].into(),
            texts: vec![Texts::new(); texts].into(),
        }
    }

    /// A chunk without used slots, which takes no room.
    pub(crate) fn vacant() -> Self {
        Self { live: Bits::default(), nulls: Vec::new(), words: Box::default(), texts: Box::default() }
    }

    #[inline]
    fn row(&self, at: usize) -> &[u64] {
        let width = self.words.len() / SLOTS;
        &self.words[at * width..][..width]
    }

    /// Some bits of each of the row's cache lines, so that they are read.
    #[inline]
    pub(crate) fn glance(&self, at: usize) -> u64 {
        let row = self.row(at);
        let words = row.iter().step_by(8).chain(row.last()).fold(0, |seen, word| seen ^ word);
        self.texts.iter().fold(words, |seen, texts| seen ^ texts.len_of(at) as u64)
    }

    #[inline]
    pub(crate) fn is_null(&self, at: usize, field: Field) -> bool {
        self.nulls.get(field.column).is_some_and(|nulls| nulls.get(at))
    }

    /// Those of the slots whose value is not null.
    pub(crate) fn valid(&self, field: Field, slots: Bits) -> Bits {
        self.nulls.get(field.column).map_or(slots, |nulls| slots.without(nulls))
    }

    /// Says whether the value is null.
    #[inline]
    pub(crate) fn set_null(&mut self, at: usize, field: Field, null: bool) {
        if null && self.nulls.len() <= field.column {
            self.nulls.resize(field.column + 1, Bits::default());
        }
        if let Some(nulls) = self.nulls.get_mut(field.column) {
            nulls.set(at, null);
        }
    }

    /// A value of fixed width, as [`Source::word`] gives it; what it is for a null is not
    /// defined.
    #[inline]
    pub(crate) fn word(&self, at: usize, field: Field) -> u64 {
        match field.place {
            Place::Word(word) => self.row(at)[word],
            Place::Texts(_) => 0,
        }
    }

    pub(crate) fn set_word(&mut self, at: usize, field: Field, value: u64) {
        if let Place::Word(word) = field.place {
            let width = self.words.len() / SLOTS;
            self.words[at * width + word] = value;
        }
    }

    /// A text; the empty one for a null.
    #[inline]
    pub(crate) fn text(&self, at: usize, field: Field) -> &str {
        match field.place {
            Place::Texts(texts) => self.texts[texts].get(at),
            Place::Word(_) => "",
        }
    }

    /// How long the texts of a slot are together.
    #[inline]
    pub(crate) fn text_len(&self, at: usize) -> usize {
        self.texts.iter().map(|texts| texts.len_of(at)).sum()
    }

    pub(crate) fn set_text(&mut self, at: usize, field: Field, text: &str) {
        if let Place::Texts(texts) = field.place {
            self.texts[texts].set(at, text);
        }
    }

    /// Whether the value equals that of `row`. Doubles are compared by their bits, so that
    /// NaN equals itself.
    #[inline]
    pub(crate) fn equals(&self, at: usize, field: Field, source: &Source<'_>, row: usize) -> bool {
        if !source.is_valid(row) || self.is_null(at, field) {
            return !source.is_valid(row) && self.is_null(at, field);
        }
        match &source.cells {
            Cells::Text(cells) => self.text(at, field) == cells.value(row),
            cells => self.word(at, field) == cells.word(row),
        }
    }

    /// Whether two slots have equal values.
    pub(crate) fn same(&self, at: usize, other: &Self, other_at: usize, field: Field) -> bool {
        let nulls = (self.is_null(at, field), other.is_null(other_at, field));
        match field.place {
            _ if nulls.0 || nulls.1 => nulls.0 && nulls.1,
            Place::Texts(_) => self.text(at, field) == other.text(other_at, field),
            Place::Word(_) => self.word(at, field) == other.word(other_at, field),
        }
    }

    /// Takes over the value of `row`.
    #[inline]
    pub(crate) fn set(&mut self, at: usize, field: Field, source: &Source<'_>, row: usize) {
        let null = !source.is_valid(row);
        self.set_null(at, field, null);
        match &source.cells {
            _ if null => self.forget(at, field),
            Cells::Text(cells) => self.set_text(at, field, cells.value(row)),
            cells => self.set_word(at, field, cells.word(row)),
        }
    }

    /// Frees the text of a value that is no longer needed.
    pub(crate) fn forget(&mut self, at: usize, field: Field) {
        if let Place::Texts(texts) = field.place {
            self.texts[texts].clear(at);
        }
    }
}
