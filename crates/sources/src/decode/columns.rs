//! The columns of the batch that is being filled: plain vectors that become Arrow
//! buffers without a copy.
//!
//! A row is written column by column straight into them. A row that turns out to be bad
//! is taken back by [`rollback`], which cuts every column to the rows before it.

use std::{mem, sync::Arc};

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, ListArray, PrimitiveArray, RecordBatch, StringArray,
    types::{ArrowPrimitiveType, Date32Type, Float64Type, Int32Type, Int64Type, TimestampMillisecondType},
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType as Arrow, Field, SchemaRef};
use model::DataType;

/// Values of any length, UTF-8 but for those of [`Values::Bytes`]: row `i` is `bytes[offsets[i]..offsets[i + 1]]`.
#[derive(Debug)]
pub(super) struct Texts {
    pub offsets: Vec<i32>,
    pub bytes: Vec<u8>,
}

impl Default for Texts {
    fn default() -> Self {
        Self { offsets: vec![0], bytes: Vec::new() }
    }
}

impl Texts {
    /// How many rows are complete.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Completes the row whose bytes have been appended. A batch holds at most
    /// `MAX_BATCH_BYTES` and one record of at most `MAX_RECORD`, which fits an `i32`.
    pub fn close(&mut self) {
        self.offsets.push(self.bytes.len() as i32);
    }

    pub fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.close();
    }

    /// Cuts to the first `rows`; also takes back bytes of a row that was never closed.
    fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        self.bytes.truncate(self.offsets.last().map_or(0, |&end| end as usize));
    }

    fn finish(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        let Self { offsets, bytes } = mem::take(self);
        (OffsetBuffer::new(ScalarBuffer::from(fitted(offsets))), Buffer::from_vec(fitted(bytes)))
    }

    fn finish_texts(&mut self, nulls: Option<NullBuffer>) -> StringArray {
        let (offsets, bytes) = self.finish();
        StringArray::try_new(offsets, bytes, nulls).expect("values are cut from checked UTF-8 at ASCII bytes")
    }
}

/// Lists of texts: row `i` has the items `ends[i]..ends[i + 1]`.
#[derive(Debug)]
pub(super) struct TextLists {
    ends: Vec<i32>,
    /// The items of all rows.
    pub items: Texts,
    /// The items that are null, ascending.
    null_items: Vec<u32>,
}

impl Default for TextLists {
    fn default() -> Self {
        Self { ends: vec![0], items: Texts::default(), null_items: Vec::new() }
    }
}

impl TextLists {
    fn len(&self) -> usize {
        self.ends.len() - 1
    }

    pub fn push_null_item(&mut self) {
        self.null_items.push(self.items.len() as u32);
        self.items.close();
    }

    /// Completes the row whose items have been appended. An item takes two bytes of its
    /// record at least, so that as many fit an `i32` as bytes do.
    pub fn close(&mut self) {
        self.ends.push(self.items.len() as i32);
    }

    fn truncate(&mut self, rows: usize) {
        self.ends.truncate(rows + 1);
        let items = self.ends.last().map_or(0, |&end| end as usize);
        self.items.truncate(items);
        cut(&mut self.null_items, items);
    }

    fn finish(&mut self, nulls: Option<NullBuffer>) -> ListArray {
        let item_nulls = null_buffer(&mut self.null_items, self.items.len());
        let items = self.items.finish_texts(item_nulls);
        let ends = mem::replace(&mut self.ends, vec![0]);
        let ends = OffsetBuffer::new(ScalarBuffer::from(fitted(ends)));
        ListArray::new(Arc::new(Field::new_list_field(Arrow::Utf8, true)), ends, Arc::new(items), nulls)
    }
}

/// The values of one column.
#[derive(Debug)]
pub(super) enum Values {
    Text(Texts),
    Json(Texts),
    BigInt(Vec<i64>),
    Int(Vec<i32>),
    Double(Vec<f64>),
    Decimal(Vec<i128>),
    Boolean(Vec<bool>),
    Timestamp(Vec<i64>),
    Date(Vec<i32>),
    Bytes(Texts),
    TextList(TextLists),
}

/// One column of the batch that is being filled.
#[derive(Debug)]
pub(super) struct Column {
    /// The field of a record that it holds.
    pub from: String,
    pub data_type: DataType,
    /// Whether a record without a value is refused.
    pub required: bool,
    pub values: Values,
    /// The rows that are null, ascending: most batches have none.
    nulls: Vec<u32>,
}

impl Column {
    pub fn new(from: &str, data_type: DataType, required: bool) -> Self {
        let values = match data_type {
            DataType::Text => Values::Text(Texts::default()),
            DataType::Json => Values::Json(Texts::default()),
            DataType::BigInt => Values::BigInt(Vec::new()),
            DataType::Int => Values::Int(Vec::new()),
            DataType::Double => Values::Double(Vec::new()),
            DataType::Boolean => Values::Boolean(Vec::new()),
            DataType::Decimal { .. } => Values::Decimal(Vec::new()),
            DataType::Timestamp => Values::Timestamp(Vec::new()),
            DataType::Date => Values::Date(Vec::new()),
            DataType::Bytes => Values::Bytes(Texts::default()),
            DataType::TextList => Values::TextList(TextLists::default()),
        };
        Self { from: from.to_owned(), data_type, required, values, nulls: Vec::new() }
    }

    /// How many rows it has.
    pub fn len(&self) -> usize {
        match &self.values {
            Values::Text(texts) | Values::Json(texts) | Values::Bytes(texts) => texts.len(),
            Values::BigInt(values) | Values::Timestamp(values) => values.len(),
            Values::Int(values) | Values::Date(values) => values.len(),
            Values::Decimal(values) => values.len(),
            Values::TextList(lists) => lists.len(),
            Values::Double(values) => values.len(),
            Values::Boolean(values) => values.len(),
        }
    }

    /// Makes room for `rows` more.
    pub fn reserve(&mut self, rows: usize) {
        match &mut self.values {
            Values::Text(texts) | Values::Json(texts) | Values::Bytes(texts) => texts.offsets.reserve(rows),
            Values::BigInt(values) | Values::Timestamp(values) => values.reserve(rows),
            Values::Int(values) | Values::Date(values) => values.reserve(rows),
            Values::Decimal(values) => values.reserve(rows),
            Values::TextList(lists) => lists.ends.reserve(rows),
            Values::Double(values) => values.reserve(rows),
            Values::Boolean(values) => values.reserve(rows),
        }
    }

    pub fn push_null(&mut self) {
        self.nulls.push(self.len() as u32);
        match &mut self.values {
            Values::Text(texts) | Values::Json(texts) | Values::Bytes(texts) => texts.close(),
            Values::BigInt(values) | Values::Timestamp(values) => values.push(0),
            Values::Int(values) | Values::Date(values) => values.push(0),
            Values::Decimal(values) => values.push(0),
            Values::TextList(lists) => lists.close(),
            Values::Double(values) => values.push(0.0),
            Values::Boolean(values) => values.push(false),
        }
    }

    /// Cuts the column to its first `rows` rows.
    fn truncate(&mut self, rows: usize) {
        match &mut self.values {
            Values::Text(texts) | Values::Json(texts) | Values::Bytes(texts) => texts.truncate(rows),
            Values::BigInt(values) | Values::Timestamp(values) => values.truncate(rows),
            Values::Int(values) | Values::Date(values) => values.truncate(rows),
            Values::Decimal(values) => values.truncate(rows),
            Values::TextList(lists) => lists.truncate(rows),
            Values::Double(values) => values.truncate(rows),
            Values::Boolean(values) => values.truncate(rows),
        }
        cut(&mut self.nulls, rows);
    }

    /// The column as an Arrow array; the column is empty after it.
    fn finish(&mut self) -> ArrayRef {
        let rows = self.len();
        let nulls = null_buffer(&mut self.nulls, rows);
        match &mut self.values {
            Values::Text(texts) | Values::Json(texts) => Arc::new(texts.finish_texts(nulls)),
            Values::Bytes(texts) => {
                let (offsets, bytes) = texts.finish();
                Arc::new(BinaryArray::new(offsets, bytes, nulls))
            }
            Values::TextList(lists) => Arc::new(lists.finish(nulls)),
            Values::BigInt(values) => primitive::<Int64Type>(values, nulls),
            Values::Timestamp(values) => primitive::<TimestampMillisecondType>(values, nulls),
            Values::Int(values) => primitive::<Int32Type>(values, nulls),
            Values::Date(values) => primitive::<Date32Type>(values, nulls),
            Values::Double(values) => primitive::<Float64Type>(values, nulls),
            Values::Decimal(values) => {
                let values = ScalarBuffer::from(fitted(mem::take(values)));
                Arc::new(Decimal128Array::new(values, nulls).with_data_type(self.data_type.arrow()))
            }
            Values::Boolean(values) => {
                let values = mem::take(values);
                let bits = BooleanBuffer::collect_bool(values.len(), |i| values[i]);
                Arc::new(BooleanArray::new(bits, nulls))
            }
        }
    }
}

/// Takes the numbers of null rows; `None` if there are none.
fn null_buffer(nulls: &mut Vec<u32>, rows: usize) -> Option<NullBuffer> {
    if nulls.is_empty() {
        return None;
    }
    let mut valid = vec![true; rows];
    for row in nulls.drain(..) {
        valid[row as usize] = false;
    }
    Some(NullBuffer::from(valid))
}

/// Takes ascending numbers of rows back to those of the first `rows`.
fn cut(numbers: &mut Vec<u32>, rows: usize) {
    while numbers.last().is_some_and(|&row| row as usize >= rows) {
        numbers.pop();
    }
}

fn primitive<T: ArrowPrimitiveType>(values: &mut Vec<T::Native>, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(fitted(mem::take(values))), nulls))
}

/// Gives back room that was reserved for rows that never came: batches of a few rows wait
/// in queues, and what they pin is what the queues' limits count.
fn fitted<T>(mut values: Vec<T>) -> Vec<T> {
    if values.capacity() > values.len() * 2 {
        values.shrink_to_fit();
    }
    values
}

/// Takes back what was written behind the first `rows` rows.
#[cold]
pub(super) fn rollback(columns: &mut [Column], rows: usize) {
    for column in columns {
        column.truncate(rows);
    }
}

/// The filled columns as a batch; they are empty after it.
pub(super) fn finish(columns: &mut [Column], schema: &SchemaRef) -> RecordBatch {
    let arrays = columns.iter_mut().map(Column::finish).collect();
    RecordBatch::try_new(Arc::clone(schema), arrays).expect("columns are equally long, and null only where allowed")
}
