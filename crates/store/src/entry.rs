//! Entries: the batches of one stream in one tick, as Arrow IPC without the schema.
//!
//! ```text
//! count · rows of each batch · length of the message · IPC message · IPC body
//! ```
//!
//! An IPC message costs some hundred bytes whatever it holds. So neighbouring batches of
//! a stream become one, and the row counts cut it up again when it is read.

use std::{collections::HashMap, sync::Arc};

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_buffer::{Buffer, NullBuffer};
use arrow_ipc::{
    MetadataVersion,
    convert::try_schema_from_flatbuffer_bytes,
    reader::read_record_batch,
    root_as_message,
    writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions},
};
use arrow_schema::{ArrowError, DataType, Schema, SchemaRef};

use crate::wire::{Reader, put_bytes, put_varint};

/// Batches are joined up to this many bytes in memory.
const MAX_JOINED: usize = 16 << 20;

/// Alignment of 8 instead of 64: a one-row column then takes 8 bytes, not 64.
fn options() -> Result<IpcWriteOptions, ArrowError> {
    IpcWriteOptions::try_new(8, false, MetadataVersion::V5)
}

/// How many of the `batches`, from the first, go into one entry. At least one, if there is one.
pub(crate) fn joinable<'a>(batches: impl Iterator<Item = &'a RecordBatch>) -> usize {
    let mut schema: Option<SchemaRef> = None;
    let mut bytes = 0;
    batches
        .take_while(|batch| {
            let fits = match &schema {
                None => {
                    schema = Some(batch.schema());
                    true
                }
                Some(schema) => {
                    (Arc::ptr_eq(schema, batch.schema_ref()) || schema == batch.schema_ref()) && bytes < MAX_JOINED
                }
            };
            bytes += batch.get_array_memory_size();
            fits
        })
        .count()
}

/// The bytes of an entry that holds `batches`, all of one schema.
#[expect(clippy::default_trait_access, reason = "the type of the context has no public name")]
pub(crate) fn encode(batches: &[&RecordBatch]) -> Result<Vec<u8>, ArrowError> {
    let joined;
    let batch = match batches {
        [one] => *one,
        [] => return Err(ArrowError::InvalidArgumentError("no batch".to_owned())),
        [first, ..] => {
            joined = arrow_select::concat::concat_batches(first.schema_ref(), batches.iter().copied())?;
            &joined
        }
    };
    let mut tracker = DictionaryTracker::new(true);
    let (dictionaries, encoded) =
        IpcDataGenerator::default().encode(batch, &mut tracker, &options()?, &mut Default::default())?;
    if !dictionaries.is_empty() {
        return Err(ArrowError::NotYetImplemented("dictionary columns".to_owned()));
    }
    let mut out = Vec::with_capacity(encoded.ipc_message.len() + encoded.arrow_data.len() + 3 * batches.len() + 8);
    put_varint(&mut out, batches.len() as u64);
    for batch in batches {
        put_varint(&mut out, batch.num_rows() as u64);
    }
    put_bytes(&mut out, &encoded.ipc_message);
    out.extend_from_slice(&encoded.arrow_data);
    Ok(out)
}

/// The batches of an entry; `None` where the bytes are not what [`encode`] made of this schema.
pub(crate) fn decode(schema: &SchemaRef, bytes: &[u8]) -> Option<Vec<RecordBatch>> {
    let mut reader = Reader(bytes);
    let rows: Vec<usize> =
        (0..reader.count()?).map(|_| usize::try_from(reader.varint()?).ok()).collect::<Option<_>>()?;
    let message = root_as_message(reader.bytes()?).ok()?;
    let body = Buffer::from(reader.0);
    let header = message.header_as_record_batch()?;
    let batch = read_record_batch(&body, header, Arc::clone(schema), &HashMap::new(), None, &message.version()).ok()?;
    if rows.iter().sum::<usize>() != batch.num_rows() {
        return None;
    }
    let mut start = 0;
    Some(
        rows.into_iter()
            .map(|rows| {
                start += rows;
                batch.slice(start - rows, rows)
            })
            .collect(),
    )
}

/// The bytes of a schema.
pub(crate) fn encode_schema(schema: &Schema) -> Result<Vec<u8>, ArrowError> {
    let mut tracker = DictionaryTracker::new(true);
    let encoded =
        IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(schema, &mut tracker, &options()?);
    Ok(encoded.ipc_message)
}

/// The inverse of [`encode_schema`].
pub(crate) fn decode_schema(bytes: &[u8]) -> Option<SchemaRef> {
    try_schema_from_flatbuffer_bytes(bytes).ok().map(Arc::new)
}

/// Which values are still what they were after a cast. A text is whatever it is read as.
fn held(column: &ArrayRef, cast: &ArrayRef) -> NullBuffer {
    let back = match column.data_type() {
        DataType::Utf8 => None,
        other => arrow_cast::cast(cast, other).ok(),
    };
    match back.and_then(|back| arrow_ord::cmp::not_distinct(&back, column).ok()) {
        Some(same) => NullBuffer::new(same.values().clone()),
        None => (0..column.len()).map(|row| cast.is_valid(row) || column.is_null(row)).collect::<Vec<_>>().into(),
    }
}

/// The same rows in another schema, and how many were left out.
///
/// Columns are matched by name; one that the batch lacks is null. One of another type is cast.
/// A row is left out if the stream would not accept it today: a null where the schema takes
/// none, or a value that the other type does not hold, such as 1.5 as a bigint.
pub(crate) fn adapt(batch: &RecordBatch, target: &SchemaRef) -> Result<(RecordBatch, usize), ArrowError> {
    let rows = batch.num_rows();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(target.fields().len());
    let mut required: Option<NullBuffer> = None;
    let mut require = |of: Option<&NullBuffer>| required = NullBuffer::union(required.as_ref(), of);
    for field in target.fields() {
        let null = || new_null_array(field.data_type(), rows);
        let column = match batch.column_by_name(field.name()) {
            None => null(),
            Some(column) if column.data_type() == field.data_type() => Arc::clone(column),
            Some(column) => {
                let cast = arrow_cast::cast(column, field.data_type()).unwrap_or_else(|_| null());
                require(Some(&held(column, &cast)));
                cast
            }
        };
        if !field.is_nullable() {
            require(column.nulls());
        }
        columns.push(column);
    }
    let left_out = required.as_ref().map_or(0, NullBuffer::null_count);
    if let Some(required) = required.filter(|_| left_out > 0) {
        let keep = BooleanArray::new(required.into_inner(), None);
        columns = columns.iter().map(|column| arrow_select::filter::filter(column, &keep)).collect::<Result<_, _>>()?;
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows - left_out));
    let batch = RecordBatch::try_new_with_options(Arc::clone(target), columns, &options)?;
    Ok((batch, left_out))
}
