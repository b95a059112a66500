//! What the store promises, over real files.

mod damage;
mod dead;
mod full;
mod kill;
mod log;
mod open;
mod power;
mod retain;
mod schema;
mod state;

use std::{path::Path, sync::Arc};

use arrow_array::{Float64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow_schema::SchemaRef;
use model::{Column, DataType, DeadLetter, Edge, Letters, Reason, Schema};
use store::{Commit, Cut, Durability, Entry, KeyRecord, Log, Opened, Options, Position, StoreError};

/// Options for `dir`, synced.
fn options(dir: &Path) -> Options {
    Options { dir: Some(dir.to_owned()), durability: Durability::Fsync, vfs: None }
}

fn open(dir: &Path) -> Opened {
    store::open(&options(dir)).unwrap()
}

/// The failure of opening `dir`.
fn refused(dir: &Path) -> StoreError {
    store::open(&options(dir)).err().expect("it opened")
}

fn schema() -> SchemaRef {
    Schema::new(vec![
        Column::new("metric", DataType::Text),
        Column::new("value", DataType::Double),
        Column::new("ts", DataType::Timestamp),
        Column::new("metadata", DataType::Json),
    ])
    .to_arrow()
}

/// `rows` events that tell from which `seed` they are; every third has a null.
fn events(seed: u64, rows: usize) -> RecordBatch {
    let of = |row: usize| seed * 1000 + row as u64;
    let metrics = (0..rows).map(|row| (row % 3 != 2).then(|| format!("metric-{}", of(row)))).collect::<StringArray>();
    let values = (0..rows).map(|row| Some(of(row) as f64 / 8.0)).collect::<Float64Array>();
    let times = (0..rows).map(|row| Some(of(row) as i64)).collect::<TimestampMillisecondArray>();
    let metadata = (0..rows).map(|row| Some(format!("{{\"n\":{row}}}"))).collect::<StringArray>();
    RecordBatch::try_new(schema(), vec![Arc::new(metrics), Arc::new(values), Arc::new(times), Arc::new(metadata)])
        .unwrap()
}

fn entry(stream: &str, seed: u64, rows: usize) -> Entry {
    (stream.to_owned(), events(seed, rows))
}

fn cut(tick: u64) -> Cut {
    Cut {
        tick,
        clock: tick as i64 * 1000,
        positions: vec![Position { source: "file:a".into(), position: format!("{tick}") }],
        inputs: vec![1, 2, tick as u8],
    }
}

fn newest(limit: usize) -> Letters {
    Letters { from: Edge::Newest, reason: None, limit }
}

fn letter(message: &str) -> DeadLetter {
    DeadLetter {
        reason: Reason::Malformed,
        feed: String::new(),
        message: message.into(),
        raw: "{".into(),
        format: model::RawFormat::Json,
    }
}

fn key(key: &str, at: i64) -> KeyRecord {
    KeyRecord {
        stream: "events".into(),
        principal: "alice".into(),
        key: key.into(),
        body_hash: [7; 32],
        answer: b"{\"accepted\":1}".to_vec(),
        at,
    }
}

fn commit(log: &mut Log, tick: u64, entries: &[Entry]) -> Result<(), StoreError> {
    log.commit(&Commit { cut: &cut(tick), entries, dead: &[], keys: &[], settled: &[] })
}

/// All ticks of all cuts, read in pages of 3.
fn ticks(log: &mut Log, after: u64) -> Vec<u64> {
    let mut ticks = vec![after];
    while let Some(&last) = ticks.last() {
        let page = log.cuts(last, 3).unwrap();
        if page.is_empty() {
            break;
        }
        ticks.extend(page.iter().map(|cut| cut.tick));
    }
    ticks.remove(0);
    ticks
}

/// A copy of the files as they stand at this moment: what `kill -9` leaves.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}
