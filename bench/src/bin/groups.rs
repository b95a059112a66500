//! What a group costs: time for each touched one in a tick, and memory for each kept one,
//! query and feed together, by how many there are. Checks the promise that cost follows
//! what is touched, not what is kept.
//!
//! `groups [--keys 1000000]`: the larger number of keys; the smaller is 1,000.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use arrow_array::{Float64Array, Int64Array, RecordBatch, TimestampMillisecondArray};
use bench::{Outcome, args::option, process, unbounded};
use feed::{Feed, KeepBy};
use model::{Column, DataType, Schema, StateBlock};
use query::{Plan, Query, StreamDef, Tick};

/// How many groups a measured tick touches.
const TOUCHED: usize = 1_000;
/// How many ticks are measured.
const TICKS: usize = 2_000;
/// How many random groups a tick touches while checkpoints are captured beside it.
const HEAVY: usize = 10_000;
/// How long such ticks run one after the other.
const LOOP: Duration = Duration::from_secs(8);
/// How often a checkpoint is captured, as in the engine.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);
/// How many events a tick brings while the keys are made.
const FILL: usize = 8_192;

/// Counts what is allocated.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it came; beside it only a number changes.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A query with its feed, as the engine holds them.
struct Kept {
    query: Query,
    feed: Feed,
    tick: u64,
}

impl Kept {
    fn new(plan: &Plan) -> Self {
        let options = feed::Options {
            keep_ms: Some(i64::MAX),
            keep_by: if plan.windowed() { KeepBy::Time } else { KeepBy::Clock },
            ..feed::Options::default()
        };
        Self { query: plan.start(), feed: Feed::new(plan.output().clone(), options), tick: 0 }
    }

    /// With a row for each of the first `keys` keys.
    fn filled(plan: &Plan, schema: &Schema, keys: i64) -> Outcome<Self> {
        let mut kept = Self::new(plan);
        for start in (0..keys).step_by(FILL) {
            kept.run(&batch(schema, start..(start + FILL as i64).min(keys))?)?;
        }
        Ok(kept)
    }

    /// One tick, its changes applied and read as the hub reads them.
    fn run(&mut self, batch: &RecordBatch) -> Outcome {
        let before = self.feed.offset();
        self.tick += 1;
        let output = self.query.tick(&Tick {
            number: self.tick,
            clock: self.tick as i64,
            batch: Some(batch),
            watermark_before: i64::MIN,
            watermark: i64::MIN,
            letters: 100_000,
        });
        if let Some(changes) = output.changes {
            self.feed.apply(self.tick, &changes)?;
        }
        std::hint::black_box(self.feed.changes_since(Some(before)));
        Ok(())
    }
}

fn batch(schema: &Schema, keys: impl Iterator<Item = i64>) -> Outcome<RecordBatch> {
    let keys: Vec<i64> = keys.collect();
    let values: Float64Array = keys.iter().map(|k| (k * 37 % 1_000) as f64).collect();
    let times = TimestampMillisecondArray::from(vec![1_700_000_000_000_i64; keys.len()]);
    let columns: Vec<arrow_array::ArrayRef> = vec![Arc::new(Int64Array::from(keys)), Arc::new(values), Arc::new(times)];
    Ok(RecordBatch::try_new(schema.to_arrow(), columns)?)
}

/// Batches of this many events of random keys.
fn random_ticks(schema: &Schema, keys: i64, ticks: usize, events: usize) -> Outcome<Vec<RecordBatch>> {
    let mut random = 88_172_645_463_325_252_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % keys as u64) as i64
    };
    (0..ticks).map(|_| batch(schema, (0..events).map(|_| next()))).collect()
}

/// CPU for each touched group, and bytes for each key.
fn measure(plan: &Plan, schema: &Schema, keys: i64) -> Outcome<(Duration, f64)> {
    let before = ALLOCATED.load(Ordering::Relaxed);
    let mut kept = Kept::filled(plan, schema, keys)?;
    kept.query.checkpoint();
    let ticks = random_ticks(schema, keys, TICKS, TOUCHED)?;
    let touched: usize = ticks
        .iter()
        .map(|tick| {
            let column = tick.column(0).as_any().downcast_ref::<Int64Array>();
            let keys: std::collections::HashSet<i64> =
                column.into_iter().flat_map(|c| c.values().iter().copied()).collect();
            keys.len()
        })
        .sum();
    let began = process::cpu(std::process::id())?;
    for tick in &ticks {
        kept.run(tick)?;
    }
    let spent = process::cpu(std::process::id())?.saturating_sub(began);
    drop(ticks);
    // The last delta is kept for those who ask again; it is not the keys'.
    kept.feed.advance(kept.tick + 1);
    let bytes = ALLOCATED.load(Ordering::Relaxed).saturating_sub(before);
    Ok((spent / touched as u32, bytes as f64 / keys as f64))
}

/// How long the engine's thread was busy each time, in milliseconds of CPU: what else runs
/// on the machine does not count.
struct Pauses(Vec<f64>);

impl Pauses {
    fn push(&mut self, time: Duration) {
        self.0.push(time.as_secs_f64() * 1e3);
    }

    /// The time that this share of them stays below.
    fn quantile(&mut self, share: f64) -> f64 {
        self.0.sort_by(f64::total_cmp);
        self.0.get((self.0.len() as f64 * share) as usize).or(self.0.last()).copied().unwrap_or(0.0)
    }
}

/// Ticks one after the other, and between them checkpoints that another thread takes away:
/// what a tick takes with the capture before it, and a capture alone.
fn pauses(plan: &Plan, schema: &Schema, keys: i64) -> Outcome<(Pauses, Pauses)> {
    let mut kept = Kept::filled(plan, schema, keys)?;
    let ticks = random_ticks(schema, keys, 100, HEAVY)?;
    let (captured, incoming) = std::sync::mpsc::sync_channel::<Vec<StateBlock>>(1);
    let writer = std::thread::spawn(move || incoming.iter().for_each(drop));
    let (mut all, mut captures) = (Pauses(Vec::new()), Pauses(Vec::new()));
    let (began, mut last) = (Instant::now(), Instant::now());
    for tick in ticks.iter().cycle().take_while(|_| began.elapsed() < LOOP) {
        let start = process::thread_cpu();
        if last.elapsed() >= CHECKPOINT_EVERY {
            last = Instant::now();
            captured.send(kept.query.checkpoint())?;
            captured.send(kept.feed.checkpoint())?;
            captures.push(process::thread_cpu().saturating_sub(start));
        }
        kept.run(tick)?;
        all.push(process::thread_cpu().saturating_sub(start));
    }
    drop(captured);
    writer.join().map_err(|_| "the thread that takes checkpoints away panicked")?;
    Ok((all, captures))
}

fn main() -> Outcome {
    let many: i64 = option("keys", 1_000_000)?;
    let schema = Schema::new(vec![
        Column::new("k", DataType::BigInt),
        Column::new("v", DataType::Double),
        Column::new("ts", DataType::Timestamp).not_null(),
    ]);
    let streams = [StreamDef { name: "events".into(), schema: schema.clone(), event_time: Some("ts".into()) }];
    println!("groups: a bigint key; count, avg, max; ticks that touch {TOUCHED} random groups; {}", process::machine());
    for (name, sql) in [
        ("without a window", "SELECT k, count(*) AS n, avg(v) AS a, max(v) AS m FROM events GROUP BY k"),
        (
            "in 10 s windows",
            "SELECT k, window_start, count(*) AS n, avg(v) AS a, max(v) AS m
             FROM TUMBLE(events, ts, INTERVAL '10 seconds') GROUP BY k, window_start",
        ),
    ] {
        let definition = unbounded("groups", sql);
        let plan = query::plan(&streams, &definition).map_err(|e| format!("{e:?}"))?;
        let (few, _) = measure(&plan, &schema, 1_000)?;
        let (cost, bytes) = measure(&plan, &schema, many)?;
        println!(
            "  {name}: {} ns a touched group at {many} keys, {} ns at 1000: {:.2} times; {bytes:.0} bytes a key",
            cost.as_nanos(),
            few.as_nanos(),
            cost.as_secs_f64() / few.as_secs_f64().max(1e-9),
        );
        let (mut all, mut captures) = pauses(&plan, &schema, many)?;
        println!(
            "    a tick of {HEAVY} events, a checkpoint each second: {:.1} ms at the median, {:.1} p99, {:.1} at most; \
             a capture: {:.1} ms at the median, {:.1} at most",
            all.quantile(0.5),
            all.quantile(0.99),
            all.quantile(1.0),
            captures.quantile(0.5),
            captures.quantile(1.0),
        );
    }
    Ok(())
}
