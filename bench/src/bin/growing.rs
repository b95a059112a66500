//! What aggregates cost whose state grows: CPU at 1,000 metrics and 100,000 events a second,
//! in ticks of 10 ms and of 1 ms, with a checkpoint each second. Query and feed together; beside
//! it `avg`, whose state does not grow, over the same events. Checks the promise that a
//! percentile of all of them takes less than half a core.
//!
//! `growing [--seconds 10]`: how much time the events are of.

use std::{sync::Arc, time::Duration};

use arrow_array::{Float64Array, Int64Array, RecordBatch, TimestampMillisecondArray};
use bench::{Outcome, args::option, process, unbounded};
use feed::Feed;
use model::{Column, DataType, Schema};
use query::{Plan, StreamDef, Tick};

/// Events of one second.
const RATE: u64 = 100_000;
/// Keys of the events.
const METRICS: u64 = 1_000;
/// The width of the windows, in milliseconds.
const WINDOW: i64 = 10_000;

/// Aggregates, the first one that the others stand beside.
const AGGREGATES: [&str; 6] = [
    "avg(v)",
    "approx_percentile_cont(v, 0.95)",
    "approx_distinct(v)",
    "count(DISTINCT v)",
    "median(v)",
    "histogram(v, 100, 200, 500)",
];

/// Events at `clock` for `millis`, of random metrics and values.
fn batch(schema: &Schema, clock: i64, millis: u64, random: &mut u64) -> Outcome<RecordBatch> {
    let mut next = |below: u64| {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        *random % below
    };
    let events = RATE * millis / 1000;
    let keys: Int64Array = (0..events).map(|_| Some(next(METRICS) as i64)).collect();
    let values: Float64Array = (0..events).map(|_| Some(next(100_000) as f64 / 100.0)).collect();
    let times = TimestampMillisecondArray::from(vec![clock; events as usize]);
    let columns: Vec<arrow_array::ArrayRef> = vec![Arc::new(keys), Arc::new(values), Arc::new(times)];
    Ok(RecordBatch::try_new(schema.to_arrow(), columns)?)
}

/// CPU that `seconds` of events take, in ticks of `millis`.
fn measure(plan: &Plan, schema: &Schema, seconds: u64, millis: u64) -> Outcome<Duration> {
    let options = feed::Options { keep_ms: Some(60_000), ..feed::Options::default() };
    let mut feed = Feed::new(plan.output().clone(), options);
    let mut query = plan.start();
    let mut random = 88_172_645_463_325_252_u64;
    let mut spent = Duration::ZERO;
    let (mut number, mut closed) = (0, i64::MIN);
    for second in 0..seconds {
        let first = 1_700_000_000_000 + second as i64 * 1000;
        let ticks = (0..1000 / millis)
            .map(|tick| batch(schema, first + (tick * millis) as i64, millis, &mut random))
            .collect::<Outcome<Vec<_>>>()?;
        let began = process::cpu(std::process::id())?;
        for batch in &ticks {
            number += 1;
            let watermark = first - first.rem_euclid(WINDOW);
            let output = query.tick(&Tick {
                number,
                clock: first,
                batch: Some(batch),
                watermark_before: closed,
                watermark,
                letters: 100_000,
            });
            closed = watermark;
            if !output.dead.is_empty() {
                return Err(format!("{} events were refused: {}", output.dead.len(), output.dead[0].message).into());
            }
            if let Some(changes) = output.changes {
                feed.apply(number, &changes)?;
            }
        }
        std::hint::black_box((query.checkpoint(), feed.checkpoint()));
        spent += process::cpu(std::process::id())?.saturating_sub(began);
    }
    Ok(spent)
}

fn main() -> Outcome {
    let seconds: u64 = option("seconds", 10)?;
    let schema = Schema::new(vec![
        Column::new("metric", DataType::BigInt),
        Column::new("v", DataType::Double),
        Column::new("ts", DataType::Timestamp).not_null(),
    ]);
    let streams = [StreamDef { name: "events".into(), schema: schema.clone(), event_time: Some("ts".into()) }];
    println!(
        "growing: {METRICS} metrics in 10 s windows, {RATE} events a second, {seconds} s of them; {}",
        process::machine()
    );
    let mut beside = [Duration::ZERO; 2];
    for (place, aggregate) in AGGREGATES.into_iter().enumerate() {
        let sql = format!(
            "SELECT metric, window_start, {aggregate} AS value
             FROM TUMBLE(events, ts, INTERVAL '10 seconds') GROUP BY metric, window_start"
        );
        let definition = unbounded("growing", &sql);
        let plan = query::plan(&streams, &definition).map_err(|e| format!("{e:?}"))?;
        for (beside, millis) in beside.iter_mut().zip([10, 1]) {
            let spent = measure(&plan, &schema, seconds, millis)?;
            if place == 0 {
                *beside = spent;
            }
            println!(
                "  {aggregate}, ticks of {millis} ms: {:.3} of a core, {} ns an event, {:.1} times avg",
                spent.as_secs_f64() / seconds as f64,
                spent.as_nanos() / u128::from(seconds * RATE),
                spent.as_secs_f64() / beside.as_secs_f64().max(1e-9),
            );
        }
    }
    Ok(())
}
