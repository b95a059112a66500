//! INV-8: however events were cut into ticks and restarts, the final rows equal the same
//! SQL run once by DataFusion over all of them.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, TimestampMillisecondArray},
        compute::{cast, concat_batches},
        datatypes::{Field, Schema as ArrowSchema},
    },
    datasource::MemTable,
    prelude::{SessionConfig, SessionContext},
    scalar::ScalarValue,
};
use model::FeedKind;
use proptest::{
    prelude::*,
    test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner},
};
use query::{Emit, TimeOptions, Watermarks};

use crate::{
    cases::{Case, Rows, cases},
    common::{Driver, Event, Table, batch, key_of, plan, row},
};

const LATENESS: i64 = 5_000;

#[derive(Debug, Clone)]
struct Run {
    ticks: Vec<Step>,
    emit: Emit,
    refresh_ms: i64,
}

#[derive(Debug, Clone)]
struct Step {
    events: Vec<(Event, i64, i64)>,
    pause: i64,
    checkpoint: bool,
    restart: bool,
}

fn events() -> impl Strategy<Value = (Event, i64, i64)> {
    let text = |letters: &'static [&'static str]| proptest::option::weighted(0.85, proptest::sample::select(letters));
    let values = (
        proptest::option::weighted(0.9, -20_i64..20),
        proptest::option::weighted(0.9, -4_i32..4),
        proptest::option::weighted(0.9, -8_i32..8),
        proptest::option::weighted(0.9, any::<bool>()),
        proptest::option::weighted(0.7, 0_i64..5),
    );
    (text(&["a", "b", "c", "", "ü"]), text(&["x", "y", "zz"]), values, 0_i64..1500, 0..=LATENESS).prop_map(
        |(k, h, (b, i, v, f, u), gap, behind)| {
            let event = Event {
                ts: 0,
                k: k.map(str::to_owned),
                h: h.unwrap_or("w").to_owned(),
                b,
                i,
                v: v.map(|v| f64::from(v) * 0.75),
                f,
                u: u.map(|u| u * 1000 - 2000),
                j: b.filter(|b| b % 2 == 0).map(|b| format!("{{\"b\":{}}}", b % 4)),
            };
            (event, gap, behind)
        },
    )
}

fn runs() -> impl Strategy<Value = Run> {
    let step = (proptest::collection::vec(events(), 0..25), 0_i64..1500, any::<bool>(), proptest::bool::weighted(0.4))
        .prop_map(|(events, pause, checkpoint, restart)| Step { events, pause, checkpoint, restart });
    let refresh = proptest::sample::select(vec![0, 0, 700, 3000]);
    (proptest::collection::vec(step, 1..12), any::<bool>(), refresh).prop_map(|(ticks, last, refresh_ms)| Run {
        ticks,
        emit: if last { Emit::Final } else { Emit::Changes },
        refresh_ms,
    })
}

#[test]
fn streaming_equals_batch() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let cases = cases();
    assert!(cases.len() >= 40);
    let mut failed = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        // A seed of its own for each query, so that together they see many events.
        let config = Config {
            cases: 16,
            max_shrink_iters: 200,
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(number as u64),
            ..Config::default()
        };
        if let Err(error) = TestRunner::new(config).run(&runs(), |run| check(&runtime, case, &run)) {
            let (reason, run) = match error {
                TestError::Fail(reason, run) => (reason, Some(run)),
                TestError::Abort(reason) => (reason, None),
            };
            failed.push(format!("{}\n  {reason}\n  {run:?}", case.feed.sql));
        }
    }
    assert!(failed.is_empty(), "{} queries differ:\n{}", failed.len(), failed.join("\n"));
}

fn check(runtime: &tokio::runtime::Runtime, case: &Case, run: &Run) -> Result<(), TestCaseError> {
    let mut definition = case.feed.clone();
    definition.emit = if definition.sql.contains("TUMBLE") { run.emit } else { Emit::Changes };
    definition.refresh_ms = run.refresh_ms;
    let mut driver = Driver::new(&definition);
    let mut restarted = driver.plan.start();
    let options = TimeOptions { max_lateness_ms: LATENESS, idle_timeout_ms: 1_000_000, max_ahead_ms: None };
    let mut marks = Watermarks::new(options);
    let mut log = Vec::new();
    let (mut time, mut clock, mut number) = (-30_000, 1_000, 0);
    for step in &run.ticks {
        clock += step.pause;
        let mut events = Vec::new();
        for (event, gap, behind) in &step.events {
            time += gap;
            events.push(Event { ts: time - behind, ..event.clone() });
        }
        let rows = batch(&events);
        let before = marks.current();
        let (rows, dead) = marks.admit(0, clock, clock, &rows, 0, 100_000);
        prop_assert!(dead.is_empty());
        let after = marks.advance(clock, false);
        number += 1;
        let taken = (!events.is_empty()).then_some(&rows);
        let tick =
            query::Tick { number, clock, batch: taken, watermark_before: before, watermark: after, letters: 100_000 };
        compare(&mut driver, &mut restarted, &tick)?;
        log.push(rows);
        if step.checkpoint || step.restart {
            driver.checkpoint();
        }
        if step.restart {
            restarted = driver.restored();
        }
    }
    let end = query::Tick {
        number: number + 1,
        clock: clock + 1_000_000,
        batch: None,
        watermark_before: marks.current(),
        watermark: i64::MAX - 1,
        letters: 100_000,
    };
    compare(&mut driver, &mut restarted, &end)?;
    if driver.plan.windowed() {
        prop_assert_eq!(driver.query.groups(), 0, "every window is closed");
    }
    let expected = runtime.block_on(expected(case, &concat_batches(log[0].schema_ref(), &log).unwrap()));
    same(&driver.table, &expected, case.error)
}

/// The same tick on the query that was never restarted and on the one that was: equal to the byte.
fn compare(driver: &mut Driver, restarted: &mut query::Query, tick: &query::Tick<'_>) -> Result<(), TestCaseError> {
    let live = driver.query.tick(tick);
    let again = restarted.tick(tick);
    prop_assert_eq!(&live.dead, &again.dead);
    // Dead letters come from null keys alone; the batch leaves those rows out as well.
    prop_assert!(live.dead.iter().all(|d| d.reason == model::Reason::NullKey), "{:?}", live.dead);
    match (&live.changes, &again.changes) {
        (Some(a), Some(b)) => {
            prop_assert_eq!(&a.upserts, &b.upserts);
            prop_assert_eq!(&a.deletes, &b.deletes);
            prop_assert_eq!(&a.times, &b.times);
            crate::common::apply(&driver.plan, a, &mut driver.table);
        }
        (None, None) => {}
        (a, b) => prop_assert!(false, "{a:?} is not {b:?}"),
    }
    prop_assert_eq!(driver.query.due(), restarted.due());
    prop_assert_eq!(driver.query.groups(), restarted.groups());
    Ok(())
}

/// The rows of the feed, from the batch.
async fn expected(case: &Case, log: &RecordBatch) -> Table {
    let plan = plan(&case.feed);
    let output = plan.output();
    let mut config = SessionConfig::new().with_target_partitions(1).with_batch_size(1 << 20);
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    let context = SessionContext::new_with_config(config);
    let table = case.width.map_or_else(|| log.clone(), |width| with_windows(log, width));
    let table = MemTable::try_new(table.schema(), vec![vec![table]]).unwrap();
    context.register_table("events", Arc::new(table)).unwrap();
    let sql = match case.feed.sql.split_once("TUMBLE(") {
        _ if case.batch.is_some() => case.batch.clone().unwrap(),
        None => case.feed.sql.clone(),
        Some((before, after)) => format!("{before}events{}", after.split_once(')').unwrap().1),
    };
    let answer = context.sql(&sql).await.unwrap().collect().await.unwrap();
    let mut table = Table::new();
    let mut seq = 0;
    for batch in &answer {
        let batch = shaped(batch, output, &mut seq);
        let gone = case.feed.delete_when.as_ref().map(|when| deleted(&context, &batch, when));
        let gone = match gone {
            Some(gone) => gone.await,
            None => vec![false; batch.num_rows()],
        };
        let window = output.schema.columns.iter().position(|c| c.name.starts_with("window_"));
        for (at, gone) in gone.into_iter().enumerate() {
            let key = key_of(&batch, at, output.key_len);
            let row = row(&batch, at);
            match case.rows {
                Rows::Same => assert!(table.insert(key, (row, 0)).is_none(), "the batch has a key twice"),
                Rows::LastOfKey if key.contains(&"NULL".to_owned()) => {}
                Rows::LastOfKey if gone => {
                    table.remove(&key);
                }
                Rows::LastOfKey => {
                    table.insert(key, (row, 0));
                }
                Rows::NewestWindow => {
                    let newest = table.get(&key).is_none_or(|(old, _)| row[window.unwrap()] > old[window.unwrap()]);
                    if newest {
                        table.insert(key, (row, 0));
                    }
                }
            }
        }
    }
    table
}

async fn deleted(context: &SessionContext, rows: &RecordBatch, when: &str) -> Vec<bool> {
    let table = MemTable::try_new(rows.schema(), vec![vec![rows.clone()]]).unwrap();
    context.register_table("rows", Arc::new(table)).unwrap();
    let sql = format!("SELECT coalesce({when}, false) FROM rows");
    let answer = context.sql(&sql).await.unwrap().collect().await.unwrap();
    context.deregister_table("rows").unwrap();
    let flags = answer.iter().flat_map(|b| (0..b.num_rows()).map(|at| row(b, at)[0] == ScalarValue::from(true)));
    flags.collect()
}

/// In the feed's columns and types.
fn shaped(batch: &RecordBatch, output: &model::FeedSchema, seq: &mut i64) -> RecordBatch {
    let fields: Vec<Field> =
        output.schema.to_arrow().fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for column in &output.schema.columns {
        if output.kind == FeedKind::Append && column.name == "_seq" {
            let next = *seq + batch.num_rows() as i64;
            columns.push(Arc::new((*seq..next).collect::<datafusion::arrow::array::Int64Array>()));
            *seq = next;
            continue;
        }
        let found = batch.column_by_name(&column.name).or_else(|| by_text(batch, &column.name));
        let found = found.unwrap_or_else(|| panic!("{} in {:?}", column.name, batch.schema()));
        columns.push(match found.as_list_opt::<i32>() {
            Some(lists) => {
                Arc::new(lists.iter().map(|list| list.map(|l| json(&l, &column.name))).collect::<StringArray>())
            }
            None => cast(found, &column.data_type.arrow()).unwrap(),
        });
    }
    RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), columns).unwrap()
}

/// A list as json, as feeds have it.
fn json(list: &ArrayRef, name: &str) -> String {
    let element = |at: usize| match ScalarValue::try_from_array(list, at).unwrap() {
        value if value.is_null() => "null".to_owned(),
        ScalarValue::Utf8(Some(text)) if name == "js" => text,
        ScalarValue::Utf8(Some(text)) => serde_json::to_string(&text).unwrap(),
        ScalarValue::Float64(Some(number)) => serde_json::to_string(&number).unwrap(),
        ScalarValue::TimestampMillisecond(Some(ms), _) => ms.to_string(),
        other => other.to_string(),
    };
    format!("[{}]", (0..list.len()).map(element).collect::<Vec<_>>().join(","))
}

/// A column without an alias: DataFusion adds the table's name, a feed does not.
fn by_text<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a ArrayRef> {
    let strip = |text: &str| text.replace("events.", "").replace("e.", "").replace("Int64(0)", "0");
    let at = batch.schema().fields().iter().position(|f| strip(f.name()) == name)?;
    Some(batch.column(at))
}

fn with_windows(log: &RecordBatch, width: i64) -> RecordBatch {
    let times = log.column(0).as_any().downcast_ref::<TimestampMillisecondArray>().unwrap();
    let start: TimestampMillisecondArray = times.iter().map(|t| t.map(|t| t.div_euclid(width) * width)).collect();
    let end: TimestampMillisecondArray = start.iter().map(|t| t.map(|t| t + width)).collect();
    let mut fields: Vec<_> = log.schema().fields().iter().cloned().collect();
    for name in ["window_start", "window_end"] {
        fields.push(Arc::new(Field::new(name, start.data_type().clone(), false)));
    }
    let mut columns = log.columns().to_vec();
    columns.push(Arc::new(start));
    columns.push(Arc::new(end));
    RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), columns).unwrap()
}

fn same(found: &Table, expected: &Table, error: f64) -> Result<(), TestCaseError> {
    let keys = |table: &Table| table.keys().cloned().collect::<Vec<_>>();
    prop_assert_eq!(keys(found), keys(expected));
    for (key, (row, _)) in found {
        for (a, b) in row.iter().zip(&expected[key].0) {
            let equal = match (a, b) {
                (ScalarValue::Float64(Some(a)), ScalarValue::Float64(Some(b))) => {
                    (a - b).abs() <= error + 1e-9 * a.abs().max(b.abs()).max(1.0) || (a.is_nan() && b.is_nan())
                }
                (ScalarValue::Int64(Some(a)), ScalarValue::Int64(Some(b))) => a.abs_diff(*b) as f64 <= error,
                (a, b) => a == b,
            };
            prop_assert!(equal, "{key:?}: found {row:?}, expected {:?}", expected[key].0);
        }
    }
    Ok(())
}
