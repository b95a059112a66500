//! Bytes a row, and time a row, of a feed with two bigint key columns and four values.
//!
//! Run with `cargo run --release -p feed --example footprint [ROWS]`.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, TimestampMillisecondArray};
use feed::{Changes, Feed, Options};
use model::{Column, DataType, FeedKind, FeedSchema, RowChanges, Schema};

/// The system's allocator, counting the bytes that are asked for.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller's promise for this call.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise for this call.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Rows in a tick.
const TICK: i64 = 10_000;

fn changes(schema: &FeedSchema, keys: impl Iterator<Item = i64>, value: i64) -> RowChanges {
    let keys: Vec<i64> = keys.collect();
    let window = TimestampMillisecondArray::from_iter_values(keys.iter().map(|k| k % 90 * 10_000));
    let end = TimestampMillisecondArray::from_iter_values(keys.iter().map(|k| (k % 90 + 1) * 10_000));
    let double = |by: f64| Arc::new(Float64Array::from_iter_values(keys.iter().map(|k| *k as f64 * by))) as ArrayRef;
    let columns = vec![
        Arc::new(Int64Array::from_iter_values(keys.iter().map(|k| k / 90))) as ArrayRef,
        Arc::new(window),
        Arc::new(end.clone()),
        Arc::new(Int64Array::from_iter_values(keys.iter().map(|_| value))),
        double(0.5),
        double(1.5),
    ];
    RowChanges {
        upserts: RecordBatch::try_new(schema.schema.to_arrow(), columns).expect("columns of the schema's types"),
        times: end.values().to_vec(),
        deletes: RecordBatch::new_empty(schema.key_arrow()),
    }
}

fn main() {
    let rows: i64 = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(1_000_000);
    let column = |name: &str, data_type| Column::new(name, data_type).not_null();
    let columns = vec![
        column("metric", DataType::BigInt),
        column("window_start", DataType::Timestamp),
        column("window_end", DataType::Timestamp),
        column("n", DataType::BigInt),
        column("avg", DataType::Double),
        column("max", DataType::Double),
    ];
    let schema = FeedSchema { name: "f".into(), schema: Schema::new(columns), key_len: 2, kind: FeedKind::Upsert };
    let options = Options { keep_ms: Some(900_000), ..Options::default() };

    let before = HELD.load(Relaxed);
    let mut feed = Feed::new(schema.clone(), options);
    let mut offset = 0;
    let mut spent = std::time::Duration::ZERO;
    for first in (0..rows).step_by(TICK as usize) {
        let tick = changes(&schema, first..(first + TICK).min(rows), 1);
        offset += 1;
        let began = Instant::now();
        feed.apply(offset, &tick).expect("changes of the feed's schema");
        spent += began.elapsed();
    }
    let per = |bytes: usize| bytes as f64 / rows as f64;
    println!("{} rows: {:.1} bytes a row", feed.len(), per(HELD.load(Relaxed) - before));
    println!("insert: {:.0} ns a row", spent.as_nanos() as f64 / rows as f64);

    let Changes::Snapshot(snapshot) = feed.changes_since(None) else { unreachable!("no cursor was given") };
    println!("with a snapshot held: {:.1} bytes a row", per(HELD.load(Relaxed) - before));
    drop(snapshot);

    for size in [1, 100, TICK] {
        let mut spent = [std::time::Duration::ZERO; 2];
        let ticks = 200;
        for tick in 0..ticks {
            // Keys far apart, so that none is in the cache.
            let keys = (0..size).map(|i| (i * 7_919_993 + tick * 104_729) % rows);
            let changes = changes(&schema, keys, 2 + tick + size * 1000);
            offset += 1;
            let began = Instant::now();
            feed.apply(offset, &changes).expect("changes of the feed's schema");
            spent[0] += began.elapsed();
            let began = Instant::now();
            std::hint::black_box(feed.changes_since(Some(offset - 1)));
            spent[1] += began.elapsed();
        }
        let each = spent.map(|s| s.as_nanos() as f64 / (ticks * size) as f64);
        println!("{size} rows in a tick: apply {:.0} ns, delta {:.0} ns a row", each[0], each[1]);
    }

    let began = Instant::now();
    let blocks = feed.checkpoint();
    let bytes: usize = blocks.iter().filter_map(|b| b.data.as_ref()).map(Vec::len).sum();
    println!("checkpoint of all: {:?}, {:.1} bytes a row", began.elapsed(), per(bytes));
    let began = Instant::now();
    let options = Options { keep_ms: Some(900_000), max_tombstones: 1, ..Options::default() };
    let restored = Feed::restore(schema, options, blocks).map_or(0, |feed| feed.len());
    println!("restore: {:?}, {restored} rows", began.elapsed());
    let began = Instant::now();
    let expired = feed.expire(offset + 1, i64::MAX);
    println!("expiry: {:.0} ns a row", began.elapsed().as_nanos() as f64 / expired as f64);
    println!("all rows gone: {} bytes for {} tombstones", HELD.load(Relaxed) - before, feed.tombstones());
}
