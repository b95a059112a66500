//! Rows back to Arrow arrays.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array, RecordBatch, TimestampMillisecondArray,
    builder::StringBuilder,
};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::SchemaRef;
use model::DataType;

use crate::{
    as_text::{from_texts, stands_as_text},
    chunk::{Chunk, Field},
    table::place,
};

/// How many bytes of text one batch may have, unless a single row has more: Arrow counts
/// them in 31 bits, a column each.
#[cfg(not(test))]
pub(crate) const MAX_TEXT: usize = 1 << 30;
/// Small enough to reach in a test.
#[cfg(test)]
pub(crate) const MAX_TEXT: usize = 4096;

/// The bytes of text in these columns of a slot.
pub(crate) fn text_bytes(chunks: &[Arc<Chunk>], slot: u32, fields: &[Field]) -> usize {
    let (chunk, at) = place(slot);
    fields.iter().map(|field| chunks[chunk].text(at, *field).len()).sum()
}

/// These columns of these slots.
pub(crate) fn gather(chunks: &[Arc<Chunk>], slots: &[u32], fields: &[Field], schema: &SchemaRef) -> RecordBatch {
    if slots.is_empty() {
        return RecordBatch::new_empty(schema.clone());
    }
    let arrays = fields.iter().map(|field| array(chunks, slots, *field)).collect();
    // Types are the schema's, lengths the slots', and a null was admitted only where the
    // schema has nulls.
    RecordBatch::try_new(schema.clone(), arrays).expect("columns fit the schema that their chunks were made for")
}

/// Calls `read` with each slot's chunk and the place in it.
fn each<'a, T>(
    chunks: &'a [Arc<Chunk>],
    slots: &'a [u32],
    read: impl Fn(&'a Chunk, usize) -> T,
) -> impl Iterator<Item = T> {
    slots.iter().map(move |slot| {
        let (chunk, at) = place(*slot);
        read(&chunks[chunk], at)
    })
}

fn array(chunks: &[Arc<Chunk>], slots: &[u32], field: Field) -> ArrayRef {
    if stands_as_text(field.data_type) {
        let bytes = each(chunks, slots, |c, at| c.text(at, field).len()).sum();
        let mut builder = StringBuilder::with_capacity(slots.len(), bytes);
        for text in each(chunks, slots, |c, at| (!c.is_null(at, field)).then(|| c.text(at, field))) {
            builder.append_option(text);
        }
        return from_texts(field.data_type, &builder.finish());
    }
    let valid = || each(chunks, slots, |c, at| !c.is_null(at, field));
    let nulls = valid().any(|valid| !valid).then(|| NullBuffer::from(valid().collect::<Vec<bool>>()));
    let words = each(chunks, slots, |c, at| c.word(at, field));
    match field.data_type {
        DataType::BigInt => Arc::new(Int64Array::new(words.map(|word| word as i64).collect(), nulls)),
        DataType::Timestamp => Arc::new(TimestampMillisecondArray::new(words.map(|word| word as i64).collect(), nulls)),
        DataType::Int => Arc::new(Int32Array::new(words.map(|word| word as i32).collect(), nulls)),
        DataType::Double => Arc::new(Float64Array::new(words.map(f64::from_bits).collect(), nulls)),
        DataType::Date => Arc::new(Date32Array::new(words.map(|word| word as i32).collect(), nulls)),
        // The others stand as texts.
        _ => {
            let values: Vec<bool> = words.map(|word| word != 0).collect();
            Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls))
        }
    }
}
