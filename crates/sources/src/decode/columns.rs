//! The columns of the batch that is being filled: plain vectors that become Arrow
//! buffers without a copy.
//!
//! A row is written column by column straight into them. A row that turns out to be bad
//! is taken back by [`rollback`], which cuts every column to the rows before it.

use std::{mem, sync::Arc};

use arrow_array::{ArrayRef, BooleanArray, PrimitiveArray, RecordBatch, StringArray, types::ArrowPrimitiveType};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::SchemaRef;
use model::DataType;

/// UTF-8 values: row `i` is `bytes[offsets[i]..offsets[i + 1]]`.
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
}

/// The values of one column.
#[derive(Debug)]
pub(super) enum Values {
    Text(Texts),
    Json(Texts),
    BigInt(Vec<i64>),
    Int(Vec<i32>),
    Double(Vec<f64>),
    Boolean(Vec<bool>),
    Timestamp(Vec<i64>),
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
            DataType::Timestamp => Values::Timestamp(Vec::new()),
        };
        Self { from: from.to_owned(), data_type, required, values, nulls: Vec::new() }
    }

    /// How many rows it has.
    pub fn len(&self) -> usize {
        match &self.values {
            Values::Text(texts) | Values::Json(texts) => texts.len(),
            Values::BigInt(values) | Values::Timestamp(values) => values.len(),
            Values::Int(values) => values.len(),
            Values::Double(values) => values.len(),
            Values::Boolean(values) => values.len(),
        }
    }

    /// Makes room for `rows` more.
    pub fn reserve(&mut self, rows: usize) {
        match &mut self.values {
            Values::Text(texts) | Values::Json(texts) => texts.offsets.reserve(rows),
            Values::BigInt(values) | Values::Timestamp(values) => values.reserve(rows),
            Values::Int(values) => values.reserve(rows),
            Values::Double(values) => values.reserve(rows),
            Values::Boolean(values) => values.reserve(rows),
        }
    }

    pub fn push_null(&mut self) {
        self.nulls.push(self.len() as u32);
        match &mut self.values {
            Values::Text(texts) | Values::Json(texts) => texts.close(),
            Values::BigInt(values) | Values::Timestamp(values) => values.push(0),
            Values::Int(values) => values.push(0),
            Values::Double(values) => values.push(0.0),
            Values::Boolean(values) => values.push(false),
        }
    }

    /// Cuts the column to its first `rows` rows.
    fn truncate(&mut self, rows: usize) {
        match &mut self.values {
            Values::Text(texts) | Values::Json(texts) => {
                texts.offsets.truncate(rows + 1);
                // Also takes back bytes of a row that was never closed.
                texts.bytes.truncate(texts.offsets.last().map_or(0, |&end| end as usize));
            }
            Values::BigInt(values) | Values::Timestamp(values) => values.truncate(rows),
            Values::Int(values) => values.truncate(rows),
            Values::Double(values) => values.truncate(rows),
            Values::Boolean(values) => values.truncate(rows),
        }
        while self.nulls.last().is_some_and(|&row| row as usize >= rows) {
            self.nulls.pop();
        }
    }

    /// The column as an Arrow array; the column is empty after it.
    fn finish(&mut self) -> ArrayRef {
        let nulls = self.null_buffer();
        match &mut self.values {
            Values::Text(texts) | Values::Json(texts) => {
                let Texts { offsets, bytes } = mem::take(texts);
                let offsets = OffsetBuffer::new(ScalarBuffer::from(fitted(offsets)));
                let array = StringArray::try_new(offsets, Buffer::from_vec(fitted(bytes)), nulls);
                Arc::new(array.expect("values are cut from checked UTF-8 at ASCII bytes"))
            }
            Values::BigInt(values) => primitive::<arrow_array::types::Int64Type>(values, nulls),
            Values::Timestamp(values) => primitive::<arrow_array::types::TimestampMillisecondType>(values, nulls),
            Values::Int(values) => primitive::<arrow_array::types::Int32Type>(values, nulls),
            Values::Double(values) => primitive::<arrow_array::types::Float64Type>(values, nulls),
            Values::Boolean(values) => {
                let values = mem::take(values);
                let bits = BooleanBuffer::collect_bool(values.len(), |i| values[i]);
                Arc::new(BooleanArray::new(bits, nulls))
            }
        }
    }

    fn null_buffer(&mut self) -> Option<NullBuffer> {
        if self.nulls.is_empty() {
            return None;
        }
        let mut valid = vec![true; self.len()];
        for row in self.nulls.drain(..) {
            valid[row as usize] = false;
        }
        Some(NullBuffer::from(valid))
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
