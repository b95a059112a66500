//! Rows back to Arrow arrays.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, TimestampMillisecondArray,
    builder::StringBuilder,
};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::SchemaRef;
use model::{Column as Declared, DataType};

use crate::{
    chunk::{Chunk, Column, Values},
    table::place,
};

/// How many bytes of text one batch may have, unless a single row has more: Arrow counts
/// them in 31 bits, a column each.
#[cfg(not(test))]
pub(crate) const MAX_TEXT: usize = 1 << 30;
/// Small enough to reach in a test.
#[cfg(test)]
pub(crate) const MAX_TEXT: usize = 4096;

/// The bytes of text in a slot's first `columns` columns.
pub(crate) fn text_bytes(chunks: &[Arc<Chunk>], slot: u32, columns: usize) -> usize {
    let (chunk, at) = place(slot);
    let bytes = |column: &Column| if let Values::Text(texts) = &column.values { texts.len_of(at) } else { 0 };
    chunks[chunk].columns[..columns].iter().map(bytes).sum()
}

/// The first columns of these slots, as many as are declared in `columns`.
pub(crate) fn gather(chunks: &[Arc<Chunk>], slots: &[u32], columns: &[Declared], schema: &SchemaRef) -> RecordBatch {
    if slots.is_empty() {
        return RecordBatch::new_empty(schema.clone());
    }
    let arrays = columns.iter().enumerate().map(|(i, column)| array(chunks, slots, i, column.data_type)).collect();
    // Types are the schema's, lengths the slots', and a null was admitted only where the
    // schema has nulls.
    RecordBatch::try_new(schema.clone(), arrays).expect("columns fit the schema that their chunks were made for")
}

/// Calls `read` with each slot's column and the place in it.
fn each<'a, T>(
    chunks: &'a [Arc<Chunk>],
    slots: &'a [u32],
    column: usize,
    read: impl Fn(&'a Column, usize) -> T,
) -> impl Iterator<Item = T> {
    slots.iter().map(move |slot| {
        let (chunk, at) = place(*slot);
        read(&chunks[chunk].columns[column], at)
    })
}

fn array(chunks: &[Arc<Chunk>], slots: &[u32], column: usize, data_type: DataType) -> ArrayRef {
    if matches!(data_type, DataType::Text | DataType::Json) {
        let bytes = each(chunks, slots, column, |c, at| as_text(c, at).map_or(0, str::len)).sum();
        let mut builder = StringBuilder::with_capacity(slots.len(), bytes);
        for text in each(chunks, slots, column, as_text) {
            builder.append_option(text);
        }
        return Arc::new(builder.finish());
    }
    let has_null = each(chunks, slots, column, |c, at| !c.valid.get(at)).any(|null| null);
    let nulls = has_null.then(|| each(chunks, slots, column, |c, at| c.valid.get(at)).collect::<Vec<bool>>());
    let nulls = nulls.map(NullBuffer::from);
    // The `_` arms are never met: a chunk's columns are made for the declared types.
    let i64s = || each(chunks, slots, column, |c, at| if let Values::I64(v) = &c.values { v[at] } else { 0 });
    match data_type {
        DataType::BigInt => Arc::new(Int64Array::new(i64s().collect(), nulls)),
        DataType::Timestamp => Arc::new(TimestampMillisecondArray::new(i64s().collect(), nulls)),
        DataType::Int => {
            let read = |c: &Column, at: usize| if let Values::I32(v) = &c.values { v[at] } else { 0 };
            Arc::new(Int32Array::new(each(chunks, slots, column, read).collect(), nulls))
        }
        DataType::Double => {
            let read = |c: &Column, at: usize| if let Values::F64(v) = &c.values { v[at] } else { 0.0 };
            Arc::new(Float64Array::new(each(chunks, slots, column, read).collect(), nulls))
        }
        // `Source::of` admits no cells of the other types.
        _ => {
            let read = |c: &Column, at: usize| matches!(&c.values, Values::Bool(v) if v.get(at));
            let values: Vec<bool> = each(chunks, slots, column, read).collect();
            Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls))
        }
    }
}

fn as_text(column: &Column, at: usize) -> Option<&str> {
    match &column.values {
        Values::Text(texts) if column.valid.get(at) => Some(texts.get(at)),
        _ => None,
    }
}
