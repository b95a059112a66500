//! Typed mutable columns: where keys and the states of aggregates live.
//!
//! ```text
//!            slot 0 … 255      256 … 511       …
//!   values  [ chunk 0       ][ chunk 1       ]      one width of bytes for each Arrow type
//!   nulls   [ 256 bits or – ][ 256 bits or – ]      none while every value is there
//! ```

use std::sync::Arc;

use datafusion::arrow::{
    array::{Array, ArrayData, ArrayRef, AsArray, BooleanArray, StringArray, make_array},
    buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer},
    compute::cast,
    datatypes::{ArrowNativeType, DataType},
    error::ArrowError,
};

use super::chunked::{CHUNK, Chunked, locate};

/// How values of an Arrow type are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    /// One byte, true or false.
    Bool,
    W1,
    W2,
    W4,
    W8,
    W16,
    Text,
}

impl Width {
    /// How values of this type are kept; `None` if they cannot be.
    pub(crate) fn of(data_type: &DataType) -> Option<Self> {
        use DataType as D;
        Some(match data_type {
            D::Boolean => Self::Bool,
            D::Int8 | D::UInt8 => Self::W1,
            D::Int16 | D::UInt16 => Self::W2,
            D::Int32 | D::UInt32 | D::Float32 | D::Date32 | D::Time32(_) => Self::W4,
            D::Int64 | D::UInt64 | D::Float64 | D::Date64 | D::Time64(_) | D::Timestamp(..) | D::Duration(_) => {
                Self::W8
            }
            D::Decimal128(..) => Self::W16,
            D::Utf8 | D::LargeUtf8 | D::Utf8View => Self::Text,
            _ => return None,
        })
    }
}

/// An Arrow array as values of one width, to read cell by cell.
pub(crate) struct Cells {
    values: Values,
    nulls: Option<NullBuffer>,
}

enum Values {
    Bool(BooleanBuffer),
    W1(ScalarBuffer<u8>),
    W2(ScalarBuffer<u16>),
    W4(ScalarBuffer<u32>),
    W8(ScalarBuffer<u64>),
    W16(ScalarBuffer<i128>),
    Text(StringArray),
}

impl Cells {
    /// Looks at an array of a type that [`Width::of`] knows.
    pub(crate) fn of(array: &ArrayRef) -> Result<Self, ArrowError> {
        let width = Width::of(array.data_type()).ok_or_else(|| {
            ArrowError::InvalidArgumentError(format!("no column of state holds {}", array.data_type()))
        })?;
        if width == Width::Text {
            let text = if array.data_type() == &DataType::Utf8 { array.clone() } else { cast(array, &DataType::Utf8)? };
            return Ok(Self { nulls: text.nulls().cloned(), values: Values::Text(text.as_string::<i32>().clone()) });
        }
        let nulls = array.nulls().cloned();
        if width == Width::Bool {
            return Ok(Self { values: Values::Bool(array.as_boolean().values().clone()), nulls });
        }
        let data = array.to_data();
        let values = match width {
            Width::W1 => Values::W1(raw(&data)),
            Width::W2 => Values::W2(raw(&data)),
            Width::W4 => Values::W4(raw(&data)),
            Width::W8 => Values::W8(raw(&data)),
            _ => Values::W16(raw(&data)),
        };
        Ok(Self { values, nulls })
    }

    #[inline]
    fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|n| n.is_null(row))
    }
}

fn raw<T: ArrowNativeType>(data: &ArrayData) -> ScalarBuffer<T> {
    ScalarBuffer::new(data.buffers()[0].clone(), data.offset(), data.len())
}

/// A mutable column of one Arrow type.
#[derive(Debug)]
pub(crate) struct Column {
    data_type: DataType,
    store: Store,
    /// The nulls of each chunk, one bit a slot; none while a chunk has no null.
    nulls: Vec<Option<Box<[u64; CHUNK / 64]>>>,
}

#[derive(Debug)]
enum Store {
    Bool(Chunked<u8>),
    W1(Chunked<u8>),
    W2(Chunked<u16>),
    W4(Chunked<u32>),
    W8(Chunked<u64>),
    W16(Chunked<i128>),
    Text(Chunked<Box<str>>),
}

impl Column {
    /// An empty column; `None` for a type that cannot be kept.
    pub(crate) fn new(data_type: &DataType) -> Option<Self> {
        let store = match Width::of(data_type)? {
            Width::Bool => Store::Bool(Chunked::default()),
            Width::W1 => Store::W1(Chunked::default()),
            Width::W2 => Store::W2(Chunked::default()),
            Width::W4 => Store::W4(Chunked::default()),
            Width::W8 => Store::W8(Chunked::default()),
            Width::W16 => Store::W16(Chunked::default()),
            Width::Text => Store::Text(Chunked::default()),
        };
        Some(Self { data_type: data_type.clone(), store, nulls: Vec::new() })
    }

    #[inline]
    fn is_null(&self, slot: u32) -> bool {
        let (chunk, at) = locate(slot);
        match self.nulls.get(chunk) {
            Some(Some(bits)) => bits[at / 64] >> (at % 64) & 1 == 1,
            _ => false,
        }
    }

    #[inline]
    fn set_null(&mut self, slot: u32, null: bool) {
        let (chunk, at) = locate(slot);
        match self.nulls.get_mut(chunk) {
            Some(Some(bits)) => {
                let bit = 1 << (at % 64);
                if null {
                    bits[at / 64] |= bit;
                } else {
                    bits[at / 64] &= !bit;
                }
            }
            _ if null => self.first_null(chunk, at),
            _ => {}
        }
    }

    #[cold]
    fn first_null(&mut self, chunk: usize, at: usize) {
        if self.nulls.len() <= chunk {
            self.nulls.resize(chunk + 1, None);
        }
        self.nulls[chunk].get_or_insert_with(Box::default)[at / 64] |= 1 << (at % 64);
    }

    /// Writes rows of an array to slots: row `rows[i]` to `slots[i]`. The array must
    /// be of the column's type.
    pub(crate) fn scatter(&mut self, slots: &[u32], cells: &Cells, rows: &[u32]) {
        macro_rules! fixed {
            ($store:expr, $values:expr) => {
                for (slot, row) in slots.iter().zip(rows) {
                    *$store.at(*slot) = $values[*row as usize];
                }
            };
        }
        match (&mut self.store, &cells.values) {
            (Store::Bool(store), Values::Bool(values)) => {
                for (slot, row) in slots.iter().zip(rows) {
                    *store.at(*slot) = u8::from(values.value(*row as usize));
                }
            }
            (Store::W1(store), Values::W1(values)) => fixed!(store, values),
            (Store::W2(store), Values::W2(values)) => fixed!(store, values),
            (Store::W4(store), Values::W4(values)) => fixed!(store, values),
            (Store::W8(store), Values::W8(values)) => fixed!(store, values),
            (Store::W16(store), Values::W16(values)) => fixed!(store, values),
            (Store::Text(store), Values::Text(values)) => {
                for (slot, row) in slots.iter().zip(rows) {
                    let old = store.at(*slot);
                    // A null's bytes are not defined; the empty text takes no memory.
                    let new = if cells.is_null(*row as usize) { "" } else { values.value(*row as usize) };
                    if **old != *new {
                        *old = new.into();
                    }
                }
            }
            _ => debug_assert!(false, "an array of another type than {}", self.data_type),
        }
        if cells.nulls.is_some() || !self.nulls.is_empty() {
            for (slot, row) in slots.iter().zip(rows) {
                self.set_null(*slot, cells.is_null(*row as usize));
            }
        }
    }

    /// Reads slots into an array of the column's type.
    pub(crate) fn gather(&self, slots: &[u32]) -> Result<ArrayRef, ArrowError> {
        let nulls = if self.nulls.iter().any(Option::is_some) {
            let valid: BooleanBuffer = slots.iter().map(|s| !self.is_null(*s)).collect();
            Some(NullBuffer::new(valid)).filter(|n| n.null_count() > 0)
        } else {
            None
        };
        macro_rules! fixed {
            ($store:expr) => {{
                let values: Vec<_> = slots.iter().map(|s| *$store.get(*s)).collect();
                let data = ArrayData::builder(self.data_type.clone())
                    .len(slots.len())
                    .add_buffer(Buffer::from_vec(values))
                    .nulls(nulls)
                    .build()?;
                make_array(data)
            }};
        }
        Ok(match &self.store {
            Store::Bool(store) => {
                let values: BooleanBuffer = slots.iter().map(|s| *store.get(*s) != 0).collect();
                Arc::new(BooleanArray::new(values, nulls))
            }
            Store::W1(store) => fixed!(store),
            Store::W2(store) => fixed!(store),
            Store::W4(store) => fixed!(store),
            Store::W8(store) => fixed!(store),
            Store::W16(store) => fixed!(store),
            Store::Text(store) => {
                let texts = slots.iter().map(|s| (!self.is_null(*s)).then(|| &**store.get(*s)));
                let array: ArrayRef = Arc::new(StringArray::from_iter(texts));
                if self.data_type == DataType::Utf8 { array } else { cast(&array, &self.data_type)? }
            }
        })
    }

    /// Whether the value at `slot` is the one in `row`; null equals null, as in GROUP BY.
    #[inline]
    pub(crate) fn equals(&self, slot: u32, cells: &Cells, row: usize) -> bool {
        let null = self.is_null(slot);
        if null || cells.is_null(row) {
            return null && cells.is_null(row);
        }
        match (&self.store, &cells.values) {
            (Store::Bool(store), Values::Bool(values)) => (*store.get(slot) != 0) == values.value(row),
            (Store::W1(store), Values::W1(values)) => *store.get(slot) == values[row],
            (Store::W2(store), Values::W2(values)) => *store.get(slot) == values[row],
            (Store::W4(store), Values::W4(values)) => *store.get(slot) == values[row],
            (Store::W8(store), Values::W8(values)) => *store.get(slot) == values[row],
            (Store::W16(store), Values::W16(values)) => *store.get(slot) == values[row],
            (Store::Text(store), Values::Text(values)) => **store.get(slot) == *values.value(row),
            _ => false,
        }
    }

    /// Gives back the memory of a slot whose value is no longer needed.
    pub(crate) fn forget(&mut self, slot: u32) {
        if let Store::Text(store) = &mut self.store {
            *store.at(slot) = Box::default();
        }
        self.set_null(slot, false);
    }

    /// Appends the values of `slots` in a form that [`Column::decode`] reads.
    pub(crate) fn encode(&self, slots: &[u32], out: &mut Vec<u8>) {
        let any_null = slots.iter().any(|s| self.is_null(*s));
        out.push(u8::from(any_null));
        if any_null {
            for eight in slots.chunks(8) {
                out.push(eight.iter().enumerate().fold(0, |byte, (i, s)| byte | (u8::from(self.is_null(*s)) << i)));
            }
        }
        macro_rules! fixed {
            ($store:expr) => {
                for slot in slots {
                    out.extend_from_slice(&$store.get(*slot).to_le_bytes());
                }
            };
        }
        match &self.store {
            Store::Bool(store) | Store::W1(store) => fixed!(store),
            Store::W2(store) => fixed!(store),
            Store::W4(store) => fixed!(store),
            Store::W8(store) => fixed!(store),
            Store::W16(store) => fixed!(store),
            Store::Text(store) => {
                for slot in slots {
                    let text = store.get(*slot);
                    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
                    out.extend_from_slice(text.as_bytes());
                }
            }
        }
    }

    /// The inverse of [`Column::encode`]; `None` if the bytes are not of this form.
    pub(crate) fn decode(&mut self, slots: &[u32], input: &mut super::block::Reader<'_>) -> Option<()> {
        let nulls = match input.u8()? {
            0 => None,
            1 => Some(input.bytes(slots.len().div_ceil(8))?),
            _ => return None,
        };
        macro_rules! fixed {
            ($store:expr, $read:ident) => {
                for slot in slots {
                    *$store.at(*slot) = input.$read()?;
                }
            };
        }
        match &mut self.store {
            Store::Bool(store) | Store::W1(store) => fixed!(store, u8),
            Store::W2(store) => fixed!(store, u16),
            Store::W4(store) => fixed!(store, u32),
            Store::W8(store) => fixed!(store, u64),
            Store::W16(store) => fixed!(store, i128),
            Store::Text(store) => {
                for slot in slots {
                    let len = input.u32()? as usize;
                    *store.at(*slot) = std::str::from_utf8(input.bytes(len)?).ok()?.into();
                }
            }
        }
        if let Some(nulls) = nulls {
            for (i, slot) in slots.iter().enumerate() {
                self.set_null(*slot, nulls[i / 8] >> (i % 8) & 1 == 1);
            }
        }
        Some(())
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        let values = match &self.store {
            Store::Bool(store) | Store::W1(store) => store.heap_bytes(),
            Store::W2(store) => store.heap_bytes(),
            Store::W4(store) => store.heap_bytes(),
            Store::W8(store) => store.heap_bytes(),
            Store::W16(store) => store.heap_bytes(),
            Store::Text(store) => store.heap_bytes(),
        };
        let chunk = size_of::<[u64; CHUNK / 64]>();
        values + self.nulls.iter().map(|n| size_of_val(n) + if n.is_some() { chunk } else { 0 }).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::{
        array::{Float64Array, Int32Array, Int64Array, TimestampMillisecondArray},
        compute::take,
    };

    use super::*;
    use crate::state::block::Reader;

    fn arrays() -> Vec<ArrayRef> {
        let n = 700;
        vec![
            Arc::new((0..n).map(|i| (i % 3 != 0).then_some(i64::from(i) - 300)).collect::<Int64Array>()),
            Arc::new((0..n).map(|i| Some(i * 2)).collect::<Int32Array>()),
            Arc::new((0..n).map(|i| (i != 5).then_some(f64::from(i) * 0.5 - 7.0)).collect::<Float64Array>()),
            Arc::new((0..n).map(|i| (i % 7 != 0).then_some(i % 2 == 0)).collect::<BooleanArray>()),
            Arc::new((0..n).map(|i| (i % 5 != 0).then(|| "é".repeat(i as usize % 9))).collect::<StringArray>()),
            Arc::new((0..n).map(|i| Some(i64::from(i))).collect::<TimestampMillisecondArray>()),
        ]
    }

    #[test]
    fn what_is_scattered_is_gathered_found_and_survives_its_encoding() {
        for array in arrays() {
            let rows: Vec<u32> = (0..700).collect();
            let slots: Vec<u32> = rows.iter().rev().copied().collect();
            let mut column = Column::new(array.data_type()).unwrap();
            let cells = Cells::of(&array).unwrap();
            column.scatter(&slots, &cells, &rows);
            assert_eq!(&column.gather(&slots).unwrap(), &array);
            assert!((0..700).all(|row| column.equals(699 - row, &cells, row as usize)));
            assert!(!column.equals(699 - 1, &cells, 2));

            let mut bytes = Vec::new();
            column.encode(&slots, &mut bytes);
            let mut again = Column::new(array.data_type()).unwrap();
            let mut reader = Reader::new(&bytes);
            again.decode(&slots, &mut reader).unwrap();
            assert!(reader.is_empty());
            assert_eq!(&again.gather(&slots).unwrap(), &array);
            let cut = &bytes[..bytes.len() - 1];
            assert!(Column::new(array.data_type()).unwrap().decode(&slots, &mut Reader::new(cut)).is_none());
        }
    }

    #[test]
    fn a_slice_of_an_array_is_read_from_its_offset() {
        for array in arrays() {
            let slice = array.slice(13, 20);
            let mut column = Column::new(array.data_type()).unwrap();
            let slots: Vec<u32> = (0..20).collect();
            column.scatter(&slots, &Cells::of(&slice).unwrap(), &slots);
            assert_eq!(&column.gather(&slots).unwrap(), &take(&slice, &Int32Array::from_iter(0..20), None).unwrap());
        }
    }

    #[test]
    fn a_value_that_replaces_a_null_is_no_null() {
        let mut column = Column::new(&DataType::Int64).unwrap();
        let array: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(1)]));
        let cells = Cells::of(&array).unwrap();
        column.scatter(&[0], &cells, &[0]);
        column.scatter(&[0], &cells, &[1]);
        assert_eq!(column.gather(&[0]).unwrap().null_count(), 0);
    }
}
