//! What the sources promise, from outside.

mod bad_input;
mod csv;
mod file;
mod generator;
mod host;
mod interrupted;
mod limits;
mod msgpack;
mod oracle;
mod parquet;
mod pattern;
mod rotation;
mod types;

use arrow_array::RecordBatch;
use config::StreamColumn;
use model::{DataType, Reason};
use sources::{Decoded, Decoder, Format, Limits, row_as_json};

/// A nullable column named like its field.
fn column(name: &str, data_type: DataType) -> StreamColumn {
    StreamColumn { name: name.to_owned(), from: name.to_owned(), data_type, not_null: false }
}

/// `metric` text, `value` double, `ts` timestamp and the event time.
fn events() -> Vec<StreamColumn> {
    vec![column("metric", DataType::Text), column("value", DataType::Double), column("ts", DataType::Timestamp)]
}

fn decoder() -> Decoder {
    Decoder::new(&events(), Some("ts"), Limits::default())
}

fn decode(format: Format, input: &[u8]) -> Decoded {
    decoder().decode(format, input)
}

/// Every row as JSON.
fn rows(batches: &[RecordBatch]) -> Vec<String> {
    let row = |batch: &RecordBatch, i| String::from_utf8_lossy(&row_as_json(batch, i)).into_owned();
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |i| row(batch, i))).collect()
}

/// Index, reason and message of every rejection.
fn rejections(decoded: &Decoded) -> Vec<(u64, Reason, &str)> {
    decoded.rejected.iter().map(|r| (r.index, r.letter.reason, r.letter.message.as_str())).collect()
}

/// The one rejection of an input that has one.
#[track_caller]
fn rejection(decoded: &Decoded) -> (Reason, &str) {
    assert_eq!(decoded.rejected.len(), 1, "{:?}", decoded.rejected);
    (decoded.rejected[0].letter.reason, &decoded.rejected[0].letter.message)
}
