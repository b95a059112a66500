//! INV-2 at the level of the engine: whatever came between (crashes, checkpoints, idle
//! spells, retention, another lateness), a recovered engine has the rows *and offsets* of
//! one that never crashed.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use arrow_array::{Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use config::Config;
use feed::Changes;
use proptest::prelude::*;
use query::Plan;
use store::{Commit, Durability, Log, Retention, Start, State};

use crate::{
    Progress, checkpoint,
    clock::Reading,
    core::Core,
    cut::{Cut, StreamCut},
    plan, recover,
};

const CONFIG: &str = "
streams:
  events:
    source: { type: http }
    schema: { k: text, n: bigint, v: double, ts: timestamp }
    event_time: { column: ts, max_lateness: LATENESS, max_ahead: off }
feeds:
  windows:
    sql: |
      SELECT k, window_start, count(*) AS c, sum(n) AS s, avg(v) AS a
      FROM TUMBLE(events, ts, INTERVAL '10 seconds') GROUP BY k, window_start
    keep: 1m
  closed:
    sql: SELECT window_start, count(*) AS c FROM TUMBLE(events, ts, INTERVAL '10 seconds') GROUP BY window_start
    emit: final
    keep: 1m
  totals:
    sql: SELECT k, count(*) AS c, max(n) AS m FROM events GROUP BY k HAVING count(*) % 3 <> 0
    idle_ttl: 40s
    keep: 30s
  grown:
    sql: |
      SELECT k, count(DISTINCT n) AS d, median(v) AS m, approx_percentile_cont(v, 0.9) AS p, array_agg(n) AS l, mode(n) AS o
      FROM TUMBLE(events, ts, INTERVAL '10 seconds') GROUP BY k, window_start
    key: [k]
    keep: 1m
  latest: { sql: 'SELECT k, n FROM events', key: [k], delete_when: n % 5 = 0, keep: 20s }
  late:
    sql: SELECT reason, window_start, count(*) AS c FROM TUMBLE(events_dead_letters, at, INTERVAL '10 seconds') GROUP BY reason, window_start
    keep: 1m
  all: { sql: 'SELECT k, n FROM events WHERE n > 2', keep_rows: 7 }
  tight:
    sql: |
      SELECT k, window_start, max(k) AS m, array_agg(n) AS l
      FROM TUMBLE(events, ts, INTERVAL '10 seconds') GROUP BY k, window_start
    keep: 1m
  small: { sql: 'SELECT k, n, v FROM events', key: [k, n], keep: 1m }
";

#[derive(Debug, Clone)]
enum Step {
    /// Events come after so many milliseconds: key, number, how far behind the clock.
    Events(i64, Vec<(u8, i64, i64)>),
    /// Time passes.
    Idle(i64),
    Checkpoint,
    /// The log lets go of what a checkpoint covers.
    Retain,
    Crash,
    /// A crash, and a start with another lateness, as both engines have from then on.
    Lateness(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let events = prop::collection::vec((0..4_u8, 0..20_i64, 0..20_000_i64), 1..6);
    let step = prop_oneof![
        5 => (0..9_000_i64, events).prop_map(|(after, events)| Step::Events(after, events)),
        2 => (1_000..60_000_i64).prop_map(Step::Idle),
        2 => Just(Step::Checkpoint),
        2 => Just(Step::Retain),
        2 => Just(Step::Crash),
        1 => (1..9_u8).prop_map(Step::Lateness),
    ];
    prop::collection::vec(step, 1..40)
}

fn configure(lateness: u8) -> (Config, Vec<Plan>) {
    let text = CONFIG.replace("LATENESS", &format!("{lateness}s"));
    let mut config =
        config::load_str(Path::new("test.yaml"), &text, &|_| None).expect("a good configuration").with_dead_letters();
    // Less than a configuration may say: a few groups and rows fill it.
    for feed in config.feeds.iter_mut().filter(|feed| ["tight", "small"].contains(&feed.name.as_str())) {
        feed.max_memory = 2_000;
    }
    let plans = plan::plan(&config).expect("good queries");
    (config, plans)
}

fn batch(events: &[(u8, i64, i64)], clock: i64) -> RecordBatch {
    let (config, _) = configure(1);
    let columns: Vec<arrow_array::ArrayRef> = vec![
        Arc::new(events.iter().map(|e| Some(format!("k{}", e.0))).collect::<StringArray>()),
        Arc::new(events.iter().map(|e| Some(e.1)).collect::<Int64Array>()),
        Arc::new(events.iter().map(|e| Some(e.1 as f64 / 4.0)).collect::<Float64Array>()),
        Arc::new(events.iter().map(|e| Some(clock - e.2)).collect::<TimestampMillisecondArray>()),
    ];
    RecordBatch::try_new(plan::stream_schema(&config.streams[0]).to_arrow(), columns).expect("the stream's columns")
}

/// An engine without its threads.
struct Engine {
    log: Log,
    state: State,
    start: Start,
    core: Core,
    config: Config,
    plans: Vec<Plan>,
    /// The tick of the checkpoint that was written last.
    saved: u64,
}

impl Engine {
    fn new() -> Self {
        let options = store::Options { dir: None, durability: Durability::Process, vfs: None };
        let store::Opened { mut log, mut state, start } = store::open(&options).expect("a store in memory");
        let (config, plans) = configure(5);
        let recovered = recover::recover(
            &config,
            &plans,
            &mut log,
            &mut state,
            &start,
            &mut vec![None, None],
            &Progress::default(),
        )
        .expect("nothing to read");
        Self { log, state, start, core: recovered.core, config, plans, saved: 0 }
    }

    fn tick(&mut self, reading: Reading, events: Option<&RecordBatch>) {
        let cut =
            Cut { tick: self.core.tick + 1, reading, streams: vec![StreamCut { position: None, caught_up: true }; 2] };
        let entries: Vec<store::Entry> = events.iter().map(|b| ("events".to_owned(), (*b).clone())).collect();
        let encoded = cut.encode(["events", "events_dead_letters"].into_iter());
        self.log
            .commit(&Commit { cut: &encoded, entries: &entries, dead: &[], keys: &[], settled: &[] })
            .expect("a commit to memory");
        let batches: Vec<(usize, RecordBatch)> = events.iter().map(|b| (0, (*b).clone())).collect();
        self.core.run(&recover::input(&cut, &batches, &[]));
    }

    fn checkpoint(&mut self) {
        if self.core.tick > self.saved {
            let checkpoint = checkpoint::capture(&mut self.core, &[None, None], &mut Vec::new());
            self.state.write(&checkpoint).expect("a write to memory");
            self.saved = self.core.tick;
        }
    }

    fn retain(&mut self, now: i64) {
        let policy = [Retention { stream: "events".to_owned(), max_age_ms: 1, max_bytes: 0 }];
        self.log.retain(&policy, now + 10, self.saved, 1_000).expect("a removal in memory");
    }

    fn crash(&mut self) {
        self.start.last_tick = self.log.last_tick();
        let Self { log, state, start, config, plans, .. } = self;
        let recovered = recover::recover(config, plans, log, state, start, &mut vec![None, None], &Progress::default())
            .expect("what was written is read");
        assert_eq!(recovered.notes, Vec::<String>::new(), "nothing is rebuilt");
        self.core = recovered.core;
    }
}

/// Every feed's rows with the offsets of the feed, and what changed since `since`.
fn picture(core: &mut Core, since: u64) -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::new();
    for state in &mut core.feeds {
        let mut lines = vec![format!("{} {}", state.feed.offset(), state.feed.last_change())];
        for since in [None, Some(since)] {
            match state.feed.changes_since(since) {
                Changes::Snapshot(snapshot) => {
                    lines.push(format!("snapshot {} {:?}", snapshot.offset, snapshot.batches().collect::<Vec<_>>()));
                }
                Changes::Delta(delta) => {
                    lines.push(format!("delta {} {} {:?} {:?}", delta.from, delta.to, delta.upserts, delta.deletes));
                }
            }
        }
        all.insert(state.plan.output().name.clone(), lines);
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_recovered_engine_is_one_that_never_crashed(steps in steps()) {
        let mut steady = Engine::new();
        let mut crashing = Engine::new();
        let mut reading = Reading { clock: 1_700_000_000_000, elapsed: 0 };
        for step in &steps {
            match step {
                Step::Events(after, events) => {
                    reading = Reading { clock: reading.clock + after, elapsed: reading.elapsed + after };
                    let events = batch(events, reading.clock);
                    steady.tick(reading, Some(&events));
                    crashing.tick(reading, Some(&events));
                }
                Step::Idle(by) => {
                    reading = Reading { clock: reading.clock + by, elapsed: reading.elapsed + by };
                    steady.tick(reading, None);
                    crashing.tick(reading, None);
                }
                Step::Checkpoint => crashing.checkpoint(),
                Step::Retain => crashing.retain(reading.clock),
                Step::Crash => crashing.crash(),
                Step::Lateness(lateness) => {
                    for engine in [&mut steady, &mut crashing] {
                        // All state goes along; only the option is another.
                        engine.checkpoint();
                        (engine.config, engine.plans) = configure(*lateness);
                        engine.crash();
                    }
                }
            }
            let since = crashing.core.tick.saturating_sub(2);
            prop_assert_eq!(picture(&mut crashing.core, since), picture(&mut steady.core, since));
        }
    }
}
