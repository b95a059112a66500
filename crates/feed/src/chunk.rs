//! 256 rows in typed columns.

use model::{Column as Declared, DataType};

use crate::{
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

    /// Whether every bit of `self` is set in `other`.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0).all(|(a, b)| a & !b == 0)
    }

    /// The first bit that is not set.
    pub(crate) fn first_unset(&self) -> Option<usize> {
        let word = self.0.iter().position(|w| *w != u64::MAX)?;
        Some(word * 64 + self.0[word].trailing_ones() as usize)
    }

    /// The positions of the bits that are set, rising.
    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        (0..SLOTS).filter(move |at| self.get(*at))
    }
}

/// The values of a column.
#[derive(Clone)]
pub(crate) enum Values {
    /// bigint and timestamp.
    I64(Box<[i64]>),
    I32(Box<[i32]>),
    F64(Box<[f64]>),
    Bool(Bits),
    /// text and json.
    Text(Texts),
}

/// A column of a chunk.
#[derive(Clone)]
pub(crate) struct Column {
    /// Slots whose value is not null.
    pub valid: Bits,
    pub values: Values,
}

impl Column {
    fn new(data_type: DataType) -> Self {
        let values = match data_type {
            DataType::BigInt | DataType::Timestamp => Values::I64(vec![0; SLOTS].into()),
            DataType::Int => Values::I32(vec![0; SLOTS].into()),
            DataType::Double => Values::F64(vec![0.0; SLOTS].into()),
            DataType::Boolean => Values::Bool(Bits::default()),
            // `Source::of` admits no cells of the types after JSON.
            DataType::Text
            | DataType::Json
            | DataType::Decimal { .. }
            | DataType::Date
            | DataType::Bytes
            | DataType::TextList => Values::Text(Texts::new()),
        };
        Self { valid: Bits::default(), values }
    }

    /// Some bits of the value, so that it is read.
    #[inline]
    pub(crate) fn glance(&self, at: usize) -> u64 {
        match &self.values {
            Values::I64(values) => values[at] as u64,
            Values::I32(values) => values[at] as u64,
            Values::F64(values) => values[at].to_bits(),
            Values::Bool(values) => values.get(at).into(),
            Values::Text(values) => values.get(at).len() as u64,
        }
    }

    /// Whether the value equals that of `row`. Doubles are compared by their bits, so that
    /// NaN equals itself.
    #[inline]
    pub(crate) fn equals(&self, at: usize, source: &Source<'_>, row: usize) -> bool {
        let valid = source.is_valid(row);
        if valid != self.valid.get(at) {
            return false;
        }
        if !valid {
            return true;
        }
        match (&self.values, &source.cells) {
            (Values::I64(values), Cells::I64(cells)) => values[at] == cells[row],
            (Values::I32(values), Cells::I32(cells)) => values[at] == cells[row],
            (Values::F64(values), Cells::F64(cells)) => values[at].to_bits() == cells[row].to_bits(),
            (Values::Bool(values), Cells::Bool(cells)) => values.get(at) == cells.value(row),
            (Values::Text(values), Cells::Text(cells)) => values.get(at) == cells.value(row),
            // `Source::of` admits only cells of the column's type.
            _ => false,
        }
    }

    /// Whether two slots of columns of one type have equal values.
    pub(crate) fn same(&self, at: usize, other: &Self, other_at: usize) -> bool {
        let valid = self.valid.get(at);
        if valid != other.valid.get(other_at) {
            return false;
        }
        if !valid {
            return true;
        }
        match (&self.values, &other.values) {
            (Values::I64(a), Values::I64(b)) => a[at] == b[other_at],
            (Values::I32(a), Values::I32(b)) => a[at] == b[other_at],
            (Values::F64(a), Values::F64(b)) => a[at].to_bits() == b[other_at].to_bits(),
            (Values::Bool(a), Values::Bool(b)) => a.get(at) == b.get(other_at),
            (Values::Text(a), Values::Text(b)) => a.get(at) == b.get(other_at),
            _ => false,
        }
    }

    /// Takes over the value of `row`.
    #[inline]
    pub(crate) fn set(&mut self, at: usize, source: &Source<'_>, row: usize) {
        if !source.is_valid(row) {
            self.clear(at);
            return;
        }
        self.valid.set(at, true);
        match (&mut self.values, &source.cells) {
            (Values::I64(values), Cells::I64(cells)) => values[at] = cells[row],
            (Values::I32(values), Cells::I32(cells)) => values[at] = cells[row],
            (Values::F64(values), Cells::F64(cells)) => values[at] = cells[row],
            (Values::Bool(values), Cells::Bool(cells)) => values.set(at, cells.value(row)),
            (Values::Text(values), Cells::Text(cells)) => values.set(at, cells.value(row)),
            // `Source::of` admits only cells of the column's type.
            _ => self.valid.set(at, false),
        }
    }

    /// Makes the value null, and frees its text.
    pub(crate) fn clear(&mut self, at: usize) {
        self.valid.set(at, false);
        if let Values::Text(texts) = &mut self.values {
            texts.clear(at);
        }
    }
}

/// 256 rows. Snapshots hold chunks beside the feed, which then copies one before it
/// changes it.
#[derive(Clone)]
pub(crate) struct Chunk {
    /// Slots with a row that is there. The others are free, or hold a tombstone's key.
    pub live: Bits,
    pub columns: Box<[Column]>,
}

impl Chunk {
    pub(crate) fn new(columns: &[Declared]) -> Self {
        Self { live: Bits::default(), columns: columns.iter().map(|c| Column::new(c.data_type)).collect() }
    }

    /// A chunk without used slots, which takes no room.
    pub(crate) fn vacant() -> Self {
        Self { live: Bits::default(), columns: Box::default() }
    }
}
