//! Typed mutable columns: where keys and the states of aggregates live.
//!
//! ```text
//!           slot 0 … 255      256 … 511       …
//!   rows   [ a b c│a b c│… ][ a b c│a b c│… ]      values of fixed width, 64 or 128 bits each
//!   texts  [ chunk 0       ][ chunk 1       ]      of each column of texts
//!   nulls  [ 256 bits or – ][ 256 bits or – ]      of each column; none while every value is there
//! ```

use std::sync::Arc;

use datafusion::arrow::{
    array::{Array, ArrayData, ArrayRef, AsArray, BooleanArray, StringArray, make_array},
    buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer},
    compute::cast,
    datatypes::{ArrowNativeType, DataType},
    error::ArrowError,
};

use super::{
    chunked::{CHUNK, Chunked, locate},
    rows::Rows,
};

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

    /// How many words of a row a value takes.
    const fn words(self) -> usize {
        match self {
            Self::Bool | Self::W1 | Self::W2 | Self::W4 | Self::W8 => 1,
            Self::W16 => 2,
            Self::Text => 0,
        }
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

    /// How long the text in a row is; 0 for what is none.
    pub(crate) fn text_len(&self, row: usize) -> usize {
        match &self.values {
            Values::Text(values) if !self.is_null(row) => values.value_length(row) as usize,
            _ => 0,
        }
    }
}

fn raw<T: ArrowNativeType>(data: &ArrayData) -> ScalarBuffer<T> {
    ScalarBuffer::new(data.buffers()[0].clone(), data.offset(), data.len())
}

/// Mutable columns of given Arrow types, over the same slots.
#[derive(Debug)]
pub(crate) struct Columns {
    rows: Rows,
    columns: Vec<Column>,
}

#[derive(Debug)]
struct Column {
    data_type: DataType,
    width: Width,
    /// The first of its words in a row.
    word: usize,
    /// Its values, if it is of texts.
    texts: Chunked<Box<str>>,
    /// How long they are together.
    text_bytes: usize,
    /// The nulls of each chunk, one bit a slot; none while a chunk has no null, and none at
    /// all while the column has none: most have none ever, and looking costs nothing then.
    nulls: Vec<Option<Box<[u64; CHUNK / 64]>>>,
}

impl Column {
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

    #[inline]
    fn wide(&self, row: &[u64]) -> i128 {
        (u128::from(row[self.word]) | u128::from(row[self.word + 1]) << 64) as i128
    }

    #[inline]
    fn set_wide(&self, row: &mut [u64], value: i128) {
        (row[self.word], row[self.word + 1]) = (value as u64, (value as u128 >> 64) as u64);
    }

    fn scatter(&mut self, store: &mut Rows, slots: &[u32], cells: &Cells, rows: &[u32]) {
        let pairs = || slots.iter().copied().zip(rows.iter().map(|row| *row as usize));
        macro_rules! words {
            ($value:expr) => {
                for (slot, row) in pairs() {
                    store.at(slot)[self.word] = $value(row);
                }
            };
        }
        match &cells.values {
            Values::Bool(values) => words!(|row| u64::from(values.value(row))),
            Values::W1(values) => words!(|row: usize| u64::from(values[row])),
            Values::W2(values) => words!(|row: usize| u64::from(values[row])),
            Values::W4(values) => words!(|row: usize| u64::from(values[row])),
            Values::W8(values) => words!(|row: usize| values[row]),
            Values::W16(values) => pairs().for_each(|(slot, row)| self.set_wide(store.at(slot), values[row])),
            Values::Text(values) => {
                for (slot, row) in pairs() {
                    let old = self.texts.at(slot);
                    // A null's bytes are not defined; the empty text takes no memory.
                    let new = if cells.is_null(row) { "" } else { values.value(row) };
                    if **old != *new {
                        self.text_bytes = self.text_bytes + new.len() - old.len();
                        *old = new.into();
                    }
                }
            }
        }
        if cells.nulls.is_some() || !self.nulls.is_empty() {
            for (slot, row) in pairs() {
                self.set_null(slot, cells.is_null(row));
            }
        }
    }

    fn gather(&self, rows: &Rows, slots: &[u32]) -> Result<ArrayRef, ArrowError> {
        let nulls = (!self.nulls.is_empty()).then(|| slots.iter().map(|s| !self.is_null(*s)).collect());
        let nulls = nulls.map(NullBuffer::new).filter(|n| n.null_count() > 0);
        let words = slots.iter().map(|slot| rows.get(*slot)[self.word]);
        let values = match self.width {
            Width::Bool => {
                let values: BooleanBuffer = words.map(|word| word != 0).collect();
                return Ok(Arc::new(BooleanArray::new(values, nulls)));
            }
            Width::Text => {
                let texts = slots.iter().map(|s| (!self.is_null(*s)).then(|| &**self.texts.get(*s)));
                let array: ArrayRef = Arc::new(StringArray::from_iter(texts));
                return if self.data_type == DataType::Utf8 { Ok(array) } else { cast(&array, &self.data_type) };
            }
            Width::W1 => Buffer::from_vec(words.map(|word| word as u8).collect()),
            Width::W2 => Buffer::from_vec(words.map(|word| word as u16).collect()),
            Width::W4 => Buffer::from_vec(words.map(|word| word as u32).collect()),
            Width::W8 => Buffer::from_vec(words.collect()),
            Width::W16 => Buffer::from_vec(slots.iter().map(|slot| self.wide(rows.get(*slot))).collect()),
        };
        let data = ArrayData::builder(self.data_type.clone()).len(slots.len()).add_buffer(values).nulls(nulls);
        Ok(make_array(data.build()?))
    }

    #[inline]
    fn equals(&self, rows: &Rows, slot: u32, cells: &Cells, row: usize) -> bool {
        let null = self.is_null(slot);
        if null || cells.is_null(row) {
            return null && cells.is_null(row);
        }
        let word = || rows.get(slot)[self.word];
        match &cells.values {
            Values::Bool(values) => (word() != 0) == values.value(row),
            Values::W1(values) => word() == u64::from(values[row]),
            Values::W2(values) => word() == u64::from(values[row]),
            Values::W4(values) => word() == u64::from(values[row]),
            Values::W8(values) => word() == values[row],
            Values::W16(values) => self.wide(rows.get(slot)) == values[row],
            Values::Text(values) => **self.texts.get(slot) == *values.value(row),
        }
    }

    fn encode(&self, rows: &Rows, slots: &[u32], out: &mut Vec<u8>) {
        let any_null = !self.nulls.is_empty() && slots.iter().any(|s| self.is_null(*s));
        out.push(u8::from(any_null));
        if any_null {
            for eight in slots.chunks(8) {
                out.push(eight.iter().enumerate().fold(0, |byte, (i, s)| byte | (u8::from(self.is_null(*s)) << i)));
            }
        }
        let words = slots.iter().map(|slot| rows.get(*slot)[self.word]);
        match self.width {
            Width::Bool | Width::W1 => words.for_each(|word| out.push(word as u8)),
            Width::W2 => words.for_each(|word| out.extend_from_slice(&(word as u16).to_le_bytes())),
            Width::W4 => words.for_each(|word| out.extend_from_slice(&(word as u32).to_le_bytes())),
            Width::W8 => words.for_each(|word| out.extend_from_slice(&word.to_le_bytes())),
            Width::W16 => {
                for slot in slots {
                    out.extend_from_slice(&self.wide(rows.get(*slot)).to_le_bytes());
                }
            }
            Width::Text => {
                for slot in slots {
                    let text = self.texts.get(*slot);
                    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
                    out.extend_from_slice(text.as_bytes());
                }
            }
        }
    }

    fn decode(&mut self, rows: &mut Rows, slots: &[u32], input: &mut super::block::Reader<'_>) -> Option<()> {
        let nulls = match input.u8()? {
            0 => None,
            1 => Some(input.bytes(slots.len().div_ceil(8))?),
            _ => return None,
        };
        for slot in slots {
            let word = match self.width {
                Width::Bool | Width::W1 => input.u8()?.into(),
                Width::W2 => input.u16()?.into(),
                Width::W4 => input.u32()?.into(),
                Width::W8 => input.u64()?,
                Width::W16 => {
                    self.set_wide(rows.at(*slot), input.i128()?);
                    continue;
                }
                Width::Text => {
                    let len = input.u32()? as usize;
                    *self.texts.at(*slot) = std::str::from_utf8(input.bytes(len)?).ok()?.into();
                    self.text_bytes += len;
                    continue;
                }
            };
            rows.at(*slot)[self.word] = word;
        }
        if let Some(nulls) = nulls {
            for (i, slot) in slots.iter().enumerate() {
                self.set_null(*slot, nulls[i / 8] >> (i % 8) & 1 == 1);
            }
        }
        Some(())
    }
}

impl Columns {
    /// Empty columns; `None` if one is of a type that cannot be kept.
    pub(crate) fn new(types: &[DataType]) -> Option<Self> {
        let mut words = 0;
        let columns = types.iter().map(|data_type| {
            let width = Width::of(data_type)?;
            let word = words;
            words += width.words();
            Some(Column {
                data_type: data_type.clone(),
                width,
                word,
                texts: Chunked::default(),
                text_bytes: 0,
                nulls: Vec::new(),
            })
        });
        let columns = columns.collect::<Option<_>>()?;
        Some(Self { columns, rows: Rows::new(words) })
    }

    /// Writes rows of arrays to slots: row `rows[i]` to `slots[i]`. There must be an array
    /// for each column, of its type.
    pub(crate) fn scatter(&mut self, slots: &[u32], cells: &[Cells], rows: &[u32]) {
        for (column, cells) in self.columns.iter_mut().zip(cells) {
            column.scatter(&mut self.rows, slots, cells, rows);
        }
    }

    /// Reads slots of a column into an array of its type.
    pub(crate) fn gather(&self, column: usize, slots: &[u32]) -> Result<ArrayRef, ArrowError> {
        self.columns[column].gather(&self.rows, slots)
    }

    /// As [`Columns::gather`], of all columns.
    pub(crate) fn gather_all(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, ArrowError> {
        self.columns.iter().map(|column| column.gather(&self.rows, slots)).collect()
    }

    /// Whether the values at `slot` are those in `row`; null equals null, as in GROUP BY.
    #[inline]
    pub(crate) fn equal(&self, slot: u32, cells: &[Cells], row: usize) -> bool {
        self.columns.iter().zip(cells).all(|(column, cells)| column.equals(&self.rows, slot, cells, row))
    }

    /// Gives back the memory of a slot whose values are no longer needed.
    pub(crate) fn forget(&mut self, slot: u32) {
        for column in &mut self.columns {
            if column.width == Width::Text {
                let text = std::mem::take(column.texts.at(slot));
                column.text_bytes -= text.len();
            }
            column.set_null(slot, false);
        }
    }

    /// Appends the values of `slots` in a form that [`Columns::decode`] reads.
    pub(crate) fn encode(&self, slots: &[u32], out: &mut Vec<u8>) {
        for column in &self.columns {
            column.encode(&self.rows, slots, out);
        }
    }

    /// The inverse of [`Columns::encode`]; `None` if the bytes are not of this form.
    pub(crate) fn decode(&mut self, slots: &[u32], input: &mut super::block::Reader<'_>) -> Option<()> {
        self.columns.iter_mut().try_for_each(|column| column.decode(&mut self.rows, slots, input))
    }

    /// About how many bytes a slot takes where it is encoded, texts aside.
    pub(crate) fn encoded_bytes(&self) -> usize {
        self.columns.iter().map(|column| column.width.words() * size_of::<u64>() + 1).sum()
    }

    /// What a slot of columns of these types counts for, texts aside: it follows from the
    /// types alone.
    pub(crate) fn counted_bytes(types: &[DataType]) -> usize {
        let bytes = |width: Width| if width == Width::Text { size_of::<Box<str>>() } else { width.words() * 8 };
        types.iter().filter_map(Width::of).map(bytes).sum()
    }

    /// Whether one of these types is kept as texts.
    pub(crate) fn have_texts(types: &[DataType]) -> bool {
        types.iter().any(|data_type| Width::of(data_type) == Some(Width::Text))
    }

    /// How long the texts in all slots are together.
    pub(crate) fn text_bytes(&self) -> usize {
        self.columns.iter().map(|column| column.text_bytes).sum()
    }

    /// Bytes on the heap, without texts.
    pub(crate) fn heap_bytes(&self) -> usize {
        let chunk = size_of::<[u64; CHUNK / 64]>();
        let nulls = self.columns.iter().flat_map(|column| &column.nulls);
        self.rows.heap_bytes()
            + self.columns.iter().map(|column| column.texts.heap_bytes()).sum::<usize>()
            + nulls.map(|n| size_of_val(n) + if n.is_some() { chunk } else { 0 }).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::{
        array::{Decimal128Array, Float64Array, Int32Array, Int64Array, TimestampMillisecondArray},
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
            Arc::new((0..n).map(|i| (i % 4 != 0).then_some((i128::from(i) - 300) << 60)).collect::<Decimal128Array>()),
        ]
    }

    #[test]
    fn what_is_scattered_is_gathered_found_and_survives_its_encoding() {
        for array in arrays() {
            let rows: Vec<u32> = (0..700).collect();
            let slots: Vec<u32> = rows.iter().rev().copied().collect();
            // Twice, so that each lies beside another in a row.
            let types = [array.data_type().clone(), array.data_type().clone()];
            let columns = || Columns::new(&types).unwrap();
            let mut live = columns();
            let cells = [Cells::of(&array).unwrap(), Cells::of(&array).unwrap()];
            live.scatter(&slots, &cells, &rows);
            assert_eq!(live.gather_all(&slots).unwrap(), [array.clone(), array.clone()]);
            assert!((0..700).all(|row| live.equal(699 - row, &cells, row as usize)));
            assert!(!live.equal(699 - 1, &cells, 2));

            let mut bytes = Vec::new();
            live.encode(&slots, &mut bytes);
            let mut again = columns();
            let mut reader = Reader::new(&bytes);
            again.decode(&slots, &mut reader).unwrap();
            assert!(reader.is_empty());
            assert_eq!(again.gather_all(&slots).unwrap(), [array.clone(), array]);
            let cut = &bytes[..bytes.len() - 1];
            assert!(columns().decode(&slots, &mut Reader::new(cut)).is_none());
        }
    }

    #[test]
    fn a_slice_of_an_array_is_read_from_its_offset() {
        for array in arrays() {
            let slice = array.slice(13, 20);
            let mut columns = Columns::new(&[array.data_type().clone()]).unwrap();
            let slots: Vec<u32> = (0..20).collect();
            columns.scatter(&slots, &[Cells::of(&slice).unwrap()], &slots);
            assert_eq!(
                &columns.gather(0, &slots).unwrap(),
                &take(&slice, &Int32Array::from_iter(0..20), None).unwrap()
            );
        }
    }

    #[test]
    fn a_value_that_replaces_a_null_is_no_null() {
        let mut columns = Columns::new(&[DataType::Int64]).unwrap();
        let array: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(1)]));
        let cells = [Cells::of(&array).unwrap()];
        columns.scatter(&[0], &cells, &[0]);
        columns.scatter(&[0], &cells, &[1]);
        assert_eq!(columns.gather(0, &[0]).unwrap().null_count(), 0);
    }
}
