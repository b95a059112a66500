//! INV-1, INV-2, INV-3: killed at random moments under load, the disk full now and then,
//! nothing acknowledged is lost, nothing counts twice, and every client's table is its feed.
//!
//! `TIDEWIRE_KILLS` says how often (30; `make soak` takes 500), `TIDEWIRE_SEED` replays.

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use client::{Client, Event, Frame, Http, Options, Table};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use super::server::{Server, lines};

const PRODUCERS: u64 = 4;
const CLIENTS: usize = 3;
const METRICS: u64 = 50;

pub const CONFIG: &str = "
streams:
  events:
    source: { type: http }
    schema: { metric: text, value: double, n: bigint, ts: timestamp }
    event_time: { column: ts, max_lateness: 1h, max_ahead: off }
feeds:
  by_window:
    sql: |
      SELECT metric, window_start, count(*) AS events, sum(n) AS total, avg(value) AS mean,
             max(value) AS most, last_value(n ORDER BY ts) AS newest
      FROM TUMBLE(events, ts, INTERVAL '10 seconds')
      GROUP BY metric, window_start
    keep: 30d
  totals:
    sql: SELECT metric, count(*) AS events, sum(n) AS total, min(value) AS least FROM events GROUP BY metric
    keep: 30d
  latest:
    sql: SELECT metric, value, n, ts FROM events
    key: [metric]
    keep: 30d
  grown:
    sql: |
      SELECT metric, count(*) AS events, count(DISTINCT n % 7) AS kinds, median(value) AS middle
      FROM events GROUP BY metric
    keep: 30d
";

/// What each feed must hold, as DuckDB says it.
const ORACLE: [(&str, &str); 4] = [
    (
        "by_window",
        "SELECT metric, ts // 10000 * 10000 AS window_start, count(*) AS events, sum(n)::BIGINT AS total,
                avg(value) AS mean, max(value) AS most, arg_max(n, ts) AS newest
         FROM events GROUP BY ALL",
    ),
    (
        "totals",
        "SELECT metric, count(*) AS events, sum(n)::BIGINT AS total, min(value) AS least FROM events GROUP BY metric",
    ),
    (
        "latest",
        "SELECT metric, arg_max(value, n) AS value, max(n) AS n, arg_max(ts, n) AS ts FROM events GROUP BY metric",
    ),
    (
        "grown",
        "SELECT metric, count(*) AS events, count(DISTINCT n % 7) AS kinds, median(value) AS middle
         FROM events GROUP BY metric",
    ),
];

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

pub fn options(url: &str) -> Options {
    let mut options = Options::new(url);
    options.backoff.first = Duration::from_millis(20);
    options.backoff.max = Duration::from_millis(200);
    options.retry_for = Duration::from_mins(2);
    options
}

/// Posts batches until told to stop; gives back the events that were acknowledged. A
/// producer owns its metrics and waits for each answer, so their order is known.
pub async fn produce(
    producer: u64,
    url: String,
    seed: u64,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
) -> Vec<Value> {
    let http = Http::new(&options(&url)).expect("a good address");
    let mut random = StdRng::seed_from_u64(seed ^ producer);
    let mut kept = Vec::new();
    let mut n = 0;
    let mut last = 0;
    for batch in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let mut events = Vec::new();
        for _ in 0..random.random_range(1..60) {
            n += 1;
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64);
            // Each event of a producer has a time of its own, so `last_value` has one answer.
            last = now.max(last + 1);
            let metric = random.random_range(0..METRICS) * PRODUCERS + producer;
            let value = f64::from(random.random_range(0..100_000_u32)) / 8.0;
            events.push(json!({"metric": format!("m{metric}"), "value": value, "n": n, "ts": last}));
        }
        let (content_type, body) = written(batch, &events);
        let key = format!("{producer}-{batch}");
        let posted = http
            .post("events", body.into(), content_type, Some(&key))
            .await
            .expect("a producer that tries again is heard in the end");
        assert_eq!(posted.accepted as usize, events.len(), "every event is good");
        acknowledged.fetch_add(posted.accepted, Ordering::Relaxed);
        kept.append(&mut events);
        tokio::time::sleep(Duration::from_millis(random.random_range(0..20))).await;
    }
    kept
}

/// The events in one of the formats that a post may have.
fn written(batch: usize, events: &[Value]) -> (&'static str, Vec<u8>) {
    match batch % 4 {
        0 => ("application/x-ndjson", lines(events).into()),
        1 => ("application/json", Value::from(events).to_string().into()),
        2 => ("application/msgpack", rmp_serde::to_vec_named(events).expect("maps of plain values")),
        _ => {
            let row =
                |e: &Value| format!("{},{},{},{}\n", e["ts"], e["n"], e["metric"].as_str().unwrap_or(""), e["value"]);
            ("text/csv", events.iter().fold("ts,n,metric,value\n".to_owned(), |text, e| text + &row(e)).into())
        }
    }
}

/// How a client follows a feed.
#[derive(Debug, Clone, Copy)]
enum Way {
    Socket,
    Poll,
    Events,
}

/// A client that holds nothing but its table, and begins each request with its cursor.
async fn follow(way: Way, url: String, feed: &'static str, end: Arc<AtomicU64>, resets: Arc<AtomicU64>) -> Rows {
    let http = reqwest::Client::new();
    let mut table = Table::new();
    let mut snapshots = 0;
    let mut quiet = 0;
    loop {
        let since = table.cursor().map_or(String::new(), |cursor| format!("?since={cursor}&wait=200ms"));
        let mut request = http.get(format!("{url}/v1/feeds/{feed}"));
        if matches!(way, Way::Poll) {
            request = http.get(format!("{url}/v1/feeds/{feed}{since}"));
        } else if let Some(cursor) = table.cursor() {
            request = request.header("last-event-id", cursor);
        }
        if matches!(way, Way::Events) {
            request = request.header("accept", "text/event-stream");
        }
        let answer = request.timeout(Duration::from_millis(700)).send().await;
        let mut changed = false;
        if let Ok(mut answer) = answer.and_then(reqwest::Response::error_for_status) {
            let mut text = Vec::new();
            // A broken answer is taken as far as it came.
            while let Ok(Some(piece)) = answer.chunk().await {
                text.extend_from_slice(&piece);
            }
            for frame in frames(way, &text) {
                if let Frame::Snapshot(snapshot) = &frame
                    && snapshot.cursor.is_some()
                {
                    snapshots += 1;
                    if snapshot.reset || snapshots > 1 {
                        resets.fetch_add(1, Ordering::Relaxed);
                    }
                }
                changed |= matches!(&frame, Frame::Delta(d) if !d.upsert.is_empty() || !d.delete.is_empty());
                if let Frame::Subscribed(answer) = &frame {
                    table.subscribed(answer).expect("the same view");
                    continue;
                }
                table.apply(frame).expect("what fits the table");
            }
        } else {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        quiet = if changed { 0 } else { quiet + 1 };
        let end = end.load(Ordering::Relaxed);
        if end > 0 && quiet > 2 && (counted(&table) == end || feed == "latest") {
            return by_key(&table);
        }
    }
}

/// The whole frames of an answer.
fn frames(way: Way, text: &[u8]) -> Vec<Frame> {
    let text = String::from_utf8_lossy(text);
    let whole = match way {
        // Cut off in the middle, it is none.
        Way::Poll => vec![text.as_ref()].into_iter().filter(|t| serde_json::from_str::<Value>(t).is_ok()).collect(),
        _ => {
            let whole = text.rfind("\n\n").map_or("", |end| &text[..end]);
            whole.lines().filter_map(|line| line.strip_prefix("data: ")).collect::<Vec<_>>()
        }
    };
    // An answer to nothing that was said has no number.
    let numbered = |t: &str| t.replacen(r#"{"type":"subscribed","#, r#"{"type":"subscribed","ref":0,"#, 1);
    let frames = whole.into_iter().map(|t| Frame::parse(&numbered(t)).expect("a message"));
    frames.filter(|f| matches!(f, Frame::Subscribed(_) | Frame::Snapshot(_) | Frame::Delta(_))).collect()
}

/// How many events the rows of a table stand for.
fn counted(table: &Table) -> u64 {
    let column = table.columns().iter().position(|c| c.name == "events");
    table.rows().map(|row| column.map_or(0, |c| row[c].as_u64().unwrap_or(0))).sum()
}

/// Follows a feed until its cursor is at or after `end`, counting resets.
async fn watch(url: String, feed: &'static str, end: Arc<AtomicU64>, resets: Arc<AtomicU64>) -> Rows {
    let client = loop {
        match Client::connect(options(&url)).await {
            Ok(client) => break client,
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    let mut subscription = client.subscribe(feed, None).await.expect("the feed exists");
    let mut snapshots = 0;
    loop {
        if let Ok(event) = tokio::time::timeout(Duration::from_millis(200), subscription.next()).await
            && let Event::Snapshot { reset } = event.expect("a lost connection is mended")
        {
            snapshots += 1;
            if reset || snapshots > 1 {
                resets.fetch_add(1, Ordering::Relaxed);
            }
        }
        let total = counted(subscription.table());
        let end = end.load(Ordering::Relaxed);
        if end > 0 && (total == end || feed == "latest") {
            break;
        }
    }
    // Whatever is still on its way.
    while let Ok(event) = tokio::time::timeout(Duration::from_secs(1), subscription.next()).await {
        event.expect("a lost connection is mended");
    }
    by_key(subscription.table())
}

/// How many requests this life of the server has refused because the disk was full.
fn refused(url: &str) -> u64 {
    let metrics = reqwest::blocking::get(format!("{url}/metrics")).and_then(reqwest::blocking::Response::text);
    let metrics = metrics.unwrap_or_default();
    let line = metrics.lines().find_map(|l| l.strip_prefix("tidewire_requests_refused_total{code=\"disk_full\"} "));
    line.and_then(|count| count.parse().ok()).unwrap_or(0)
}

type Rows = BTreeMap<String, Vec<Value>>;

fn by_key(table: &Table) -> Rows {
    table.by_key().iter().map(|(key, row)| (key.clone(), row.to_vec())).collect()
}

#[test]
fn killed_at_random_moments_nothing_acknowledged_is_lost_or_counted_twice() {
    let kills = number("TIDEWIRE_KILLS", 30);
    let seed = number("TIDEWIRE_SEED", std::process::id().into());
    println!("TIDEWIRE_SEED={seed} TIDEWIRE_KILLS={kills}");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (mut server, full) = Server::start_on_a_disk_that_fills(dir.path(), CONFIG);
    let url = server.url();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(AtomicU64::new(0));
    let end = Arc::new(AtomicU64::new(0));
    let resets = Arc::new(AtomicU64::new(0));
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|p| runtime.spawn(produce(p, url.clone(), seed, stop.clone(), acknowledged.clone())))
        .collect();
    let watchers: Vec<_> = ORACLE
        .iter()
        .cycle()
        .take(ORACLE.len() * CLIENTS)
        .zip([Way::Socket, Way::Poll, Way::Events].into_iter().flat_map(|way| [way; ORACLE.len()]))
        .map(|((feed, _), way)| {
            let (url, end, resets) = (url.clone(), end.clone(), resets.clone());
            let client = async move {
                if matches!(way, Way::Socket) {
                    watch(url, feed, end, resets).await
                } else {
                    follow(way, url, feed, end, resets).await
                }
            };
            (*feed, runtime.spawn(client))
        })
        .collect();

    let mut random = StdRng::seed_from_u64(seed);
    let mut refusals = 0;
    for kill in 0..kills {
        // Some kills come in the middle of a recovery, most after a second or so of work.
        let upto = if kill % 5 == 4 { 80 } else { 1_500 };
        std::thread::sleep(Duration::from_millis(random.random_range(0..upto)));
        // Every fourth life the disk fills up, and in half of them there is room again before the end.
        if kill % 4 == 1 {
            std::fs::write(&full, "").expect("the test's directory can be written");
            std::thread::sleep(Duration::from_millis(random.random_range(100..600)));
            refusals += refused(&url);
            if random.random() {
                std::fs::remove_file(&full).expect("it was there");
                std::thread::sleep(Duration::from_millis(random.random_range(0..300)));
            }
        }
        server.kill();
        let _ = std::fs::remove_file(&full);
        server.restart();
    }
    assert!(refusals > 0, "the disk was never full");
    stop.store(true, Ordering::Relaxed);
    let events: Vec<Value> = runtime.block_on(async {
        let mut all = Vec::new();
        for producer in producers {
            all.extend(producer.await.expect("a producer ends well"));
        }
        all
    });
    assert_eq!(events.len() as u64, acknowledged.load(Ordering::Relaxed));
    end.store(events.len() as u64, Ordering::Relaxed);

    let tables = runtime.block_on(async {
        let mut tables = Vec::new();
        for (feed, watcher) in watchers {
            tables.push((feed, watcher.await.expect("a client ends well")));
        }
        tables
    });
    let http = Http::new(&options(&url)).expect("a good address");
    let oracle = duckdb(&events);
    for (feed, _) in ORACLE {
        let table = runtime.block_on(http.snapshot(feed)).expect("the feed is served");
        let columns: Vec<String> = table.columns().iter().map(|c| c.name.clone()).collect();
        let rows = by_key(&table);
        compare(feed, &columns, &rows, &oracle[feed]);
        for (_, held) in tables.iter().filter(|(of, _)| *of == feed) {
            assert_eq!(held, &rows, "a client's table of {feed} is the feed's");
        }
    }
    assert_eq!(resets.load(Ordering::Relaxed), 0, "every client resumed with a delta");
    println!("{} events acknowledged over {kills} kills", events.len());
}

/// Runs the oracle's queries with DuckDB over the events.
fn duckdb(events: &[Value]) -> BTreeMap<String, Vec<BTreeMap<String, Value>>> {
    let python = std::env::var("TIDEWIRE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("events.ndjson");
    let mut out = std::io::BufWriter::new(std::fs::File::create(&file).expect("a file"));
    for event in events {
        writeln!(out, "{event}").expect("a write to a file");
    }
    out.flush().expect("a write to a file");
    let queries: Vec<Value> = ORACLE.iter().map(|(feed, sql)| json!([feed, sql])).collect();
    let program = "
import duckdb, json, sys
file, queries = sys.argv[1], json.loads(sys.argv[2])
c = duckdb.connect()
c.execute(f\"\"\"CREATE TABLE events AS SELECT * FROM read_json('{file}', format='newline_delimited',
    columns={{metric: 'VARCHAR', value: 'DOUBLE', n: 'BIGINT', ts: 'BIGINT'}})\"\"\")
out = {}
for feed, sql in queries:
    r = c.execute(sql)
    names = [d[0] for d in r.description]
    out[feed] = [dict(zip(names, row)) for row in r.fetchall()]
print(json.dumps(out))
";
    let output = Command::new(&python)
        .args(["-c", program])
        .arg(&file)
        .arg(Value::from(queries).to_string())
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|e| panic!("{python}: {e}; `make test` installs it"));
    assert!(output.status.success(), "DuckDB is the oracle: `make test` installs it, or set TIDEWIRE_PYTHON");
    serde_json::from_slice(&output.stdout).expect("the program prints JSON")
}

fn compare(feed: &str, columns: &[String], rows: &BTreeMap<String, Vec<Value>>, oracle: &[BTreeMap<String, Value>]) {
    let held: BTreeMap<String, BTreeMap<&str, &Value>> = rows
        .values()
        .map(|row| (identity(&row[0], row.get(1), columns), columns.iter().map(String::as_str).zip(row).collect()))
        .collect();
    assert_eq!(held.len(), oracle.len(), "{feed}: as many rows as DuckDB");
    for expected in oracle {
        let window = expected.get("window_start");
        let identity = identity(&expected["metric"], window, columns);
        let row = held.get(&identity).unwrap_or_else(|| panic!("{feed}: no row {identity}"));
        for (column, value) in expected {
            let found = row[column.as_str()];
            let same = match (found.as_f64(), value.as_f64()) {
                (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()),
                _ => found == value,
            };
            assert!(same, "{feed} {identity}: {column} is {found}, DuckDB says {value}");
        }
    }
}

/// A row's key as text: the metric, and the window where there is one.
fn identity(metric: &Value, second: Option<&Value>, columns: &[String]) -> String {
    match second {
        Some(window) if columns.iter().any(|c| c == "window_start") => format!("{metric} {window}"),
        _ => metric.to_string(),
    }
}
