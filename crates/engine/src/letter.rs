//! Dead letters as events: what a query over `NAME_dead_letters` reads.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use model::DeadLetter;

/// The letters of one tick, in the columns that the configuration gives their stream.
pub(crate) fn batch<'a>(at: i64, letters: impl Iterator<Item = &'a (usize, DeadLetter)>) -> Option<RecordBatch> {
    let letters: Vec<&DeadLetter> = letters.map(|(_, letter)| letter).collect();
    if letters.is_empty() {
        return None;
    }
    let text = |of: fn(&DeadLetter) -> Option<String>| -> ArrayRef {
        Arc::new(letters.iter().map(|l| of(l)).collect::<StringArray>())
    };
    let columns = vec![
        Arc::new(TimestampMillisecondArray::from(vec![at; letters.len()])) as ArrayRef,
        text(|l| Some(l.reason.as_str().to_owned())),
        text(|l| (!l.feed.is_empty()).then(|| l.feed.clone())),
        text(|l| Some(l.message.clone())),
        text(|l| Some(String::from_utf8_lossy(&l.raw).into_owned())),
    ];
    match RecordBatch::try_new(schema(), columns) {
        Ok(batch) => Some(batch),
        Err(error) => {
            // The columns above are those of `schema`.
            tracing::error!("dead letters cannot be read as events: {error}");
            None
        }
    }
}

fn schema() -> SchemaRef {
    let text = |name, nullable| Field::new(name, DataType::Utf8, nullable);
    Arc::new(Schema::new(vec![
        Field::new("at", DataType::Timestamp(TimeUnit::Millisecond, None), false),
        text("reason", false),
        text("feed", true),
        text("message", false),
        text("raw", false),
    ]))
}
