//! A server's life: events in and out, stops and starts, files, a changed query.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    time::{Duration, Instant},
};

use client::{Client, Event, Http, Options, Subscription};
use reqwest::blocking::Response;
use serde_json::{Value, json};

use super::server::{Server, lines, tidewire};

/// How long something may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

pub fn stream(extra: &str) -> String {
    format!(
        "
streams:
  events:
    source: {{ type: http }}
    schema: {{ metric: text, value: double, ts: timestamp }}
    event_time: {{ column: ts, max_lateness: 1s, max_ahead: off }}
feeds:
  load:
    sql: |
      SELECT metric, window_start, count(*) AS n, avg(value) AS value
      FROM TUMBLE(events, ts, INTERVAL '10 seconds')
      GROUP BY metric, window_start
    keep: 365d
{extra}"
    )
}

async fn post(http: &Http, events: &[Value]) {
    let body = lines(events);
    let posted = http.post("events", body.into(), "application/x-ndjson", None).await.expect("it is taken");
    assert_eq!(posted.accepted as usize, events.len());
}

/// Reads events until the table says so.
async fn until(feed: &mut Subscription, done: impl Fn(&client::Table) -> bool) -> Vec<Event> {
    let mut events = Vec::new();
    let began = Instant::now();
    while !done(feed.table()) {
        assert!(began.elapsed() < PATIENCE, "the table stays at {:?}", feed.table().by_key());
        if let Ok(event) = tokio::time::timeout(Duration::from_millis(200), feed.next()).await {
            events.push(event.expect("a lost connection is mended"));
        }
    }
    events
}

/// Reads the feed over HTTP until it says so.
pub fn wait_for(server: &Server, feed: &str, done: impl Fn(&[Vec<Value>]) -> bool) -> Vec<Vec<Value>> {
    let http = Http::new(&Options::new(server.url())).expect("a good address");
    let runtime = runtime();
    let began = Instant::now();
    loop {
        let table = runtime.block_on(http.snapshot(feed)).expect("the feed is served");
        let rows: Vec<Vec<Value>> = table.by_key().values().map(|row| row.to_vec()).collect();
        if done(&rows) {
            return rows;
        }
        assert!(began.elapsed() < PATIENCE, "{feed} stays at {rows:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn count(rows: &[Vec<Value>], column: usize) -> u64 {
    rows.iter().filter_map(|row| row[column].as_u64()).sum()
}

#[test]
fn a_post_becomes_a_row_on_every_socket() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(dir.path(), &stream(""));
    runtime().block_on(async {
        let http = Http::new(&Options::new(server.url())).expect("a good address");
        let client = Client::connect(Options::new(server.url())).await.expect("it listens");
        let mut feed = client.subscribe("load", None).await.expect("the feed exists");
        let event = |metric: &str, value: f64, ts: i64| json!({"metric": metric, "value": value, "ts": ts});
        post(&http, &[event("a", 1.0, 1_000), event("b", 5.0, 1_500)]).await;
        post(&http, &[event("a", 3.0, 2_000)]).await;
        until(&mut feed, |table| {
            table.get(&[json!("a"), json!(0)]).is_some_and(|row| row[2] == 2 && row[3] == 2.0)
                && table.get(&[json!("b"), json!(0)]).is_some_and(|row| row[2] == 1 && row[3] == 5.0)
        })
        .await;
        assert_eq!(feed.table().columns()[0].name, "metric");
        assert_eq!(feed.table().key().len(), 2);
    });
}

#[test]
fn a_stop_is_orderly_and_clients_resume_with_a_delta() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut server = Server::start(dir.path(), &stream(""));
    let runtime = runtime();
    let mut options = Options::new(server.url());
    options.backoff.max = Duration::from_millis(300);
    let http = Http::new(&options).expect("a good address");
    let mut feed = runtime.block_on(async {
        let client = Client::connect(options).await.expect("it listens");
        let mut feed = client.subscribe("load", None).await.expect("the feed exists");
        post(&http, &[json!({"metric": "a", "value": 1, "ts": 1_000})]).await;
        until(&mut feed, |table| table.len() == 1).await;
        feed
    });
    let (code, took) = server.terminate();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(10), "it took {took:?}");
    server.restart();
    runtime.block_on(async {
        post(&http, &[json!({"metric": "b", "value": 1, "ts": 2_000})]).await;
        let events = until(&mut feed, |table| table.len() == 2).await;
        assert!(events.iter().any(|e| matches!(e, Event::Disconnected { .. })), "{events:?}");
        assert!(!events.iter().any(|e| matches!(e, Event::Snapshot { .. })), "no snapshot, a delta: {events:?}");
    });
}

#[test]
fn a_changed_query_is_rebuilt_from_the_log() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut server = Server::start(dir.path(), &stream(""));
    let http = Http::new(&Options::new(server.url())).expect("a good address");
    let events: Vec<Value> = (0..100).map(|i| json!({"metric": "a", "value": i, "ts": i * 100})).collect();
    runtime().block_on(post(&http, &events));
    wait_for(&server, "load", |rows| count(rows, 2) == 100);
    assert_eq!(server.terminate().0, Some(0));
    let changed = stream(
        "  by_metric:
    sql: SELECT metric, count(*) AS n, max(value) AS most FROM events GROUP BY metric
    keep: 365d
",
    )
    .replace("avg(value) AS value", "sum(value) AS value");
    std::fs::write(dir.path().join("tidewire.yaml"), changed).expect("a file");
    server.restart();
    let rows = wait_for(&server, "load", |rows| count(rows, 2) == 100);
    assert_eq!(rows, [[json!("a"), json!(0), json!(100), json!(4950.0)]]);
    let rows = wait_for(&server, "by_metric", |rows| count(rows, 1) == 100);
    assert_eq!(rows, [[json!("a"), json!(100), json!(99.0)]]);
}

/// An event that today's schema would refuse is left out of what is made anew, and not bent.
#[test]
fn a_changed_type_leaves_out_what_it_does_not_hold() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut server = Server::start(dir.path(), &stream(""));
    let http = Http::new(&Options::new(server.url())).expect("a good address");
    let values = [json!(1), json!(1.5), json!(1e300), json!(-7), Value::Null];
    let events: Vec<Value> = values.iter().map(|value| json!({"metric": "a", "value": value, "ts": 0})).collect();
    runtime().block_on(post(&http, &events));
    wait_for(&server, "load", |rows| count(rows, 2) == 5);
    assert_eq!(server.terminate().0, Some(0));
    let changed = stream("").replace("value: double", "value: bigint").replace("avg(value)", "sum(value)");
    std::fs::write(dir.path().join("tidewire.yaml"), changed).expect("a file");
    server.restart();
    let rows = wait_for(&server, "load", |rows| count(rows, 2) == 3);
    assert_eq!(rows[0][3], json!(-6));
    let began = Instant::now();
    let left_out = || {
        let text = reqwest::blocking::get(format!("{}/metrics", server.url())).expect("it answers").text();
        text.expect("text").contains("tidewire_events_left_out_total 2")
    };
    while !left_out() {
        assert!(began.elapsed() < PATIENCE);
    }
}

#[test]
fn every_type_comes_through_and_survives_a_crash() {
    const CONFIG: &str = "
streams:
  sales:
    source: { type: http }
    schema: { day: date, shop: text, amount: 'decimal(12,2)', proof: bytes, tags: 'text[]', extra: json, ok: boolean }
feeds:
  per_day:
    sql: SELECT day, sum(amount) AS total, max(amount) AS most, count(*) AS n FROM sales GROUP BY day
  latest:
    sql: SELECT shop, day, amount, amount * 2 AS twice, proof, tags, extra, ok FROM sales
    key: [shop]
";
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut server = Server::start(dir.path(), CONFIG);
    let http = Http::new(&Options::new(server.url())).expect("a good address");
    let event = |shop: &str, amount: &str| json!({"day": "2024-02-29", "shop": shop, "amount": amount, "proof": "AP8=", "tags": ["new", null], "extra": {"a": [1]}, "ok": true});
    let events = [event("north", "0.10"), event("north", "0.20"), event("south", "9999999999.99")];
    let body = lines(&events);
    runtime().block_on(http.post("sales", body.into(), "application/x-ndjson", None)).expect("it is taken");
    let totals = [[json!("2024-02-29"), json!("10000000000.29"), json!("9999999999.99"), json!(3)]];
    let of = |shop: &str, amount: &str, twice: &str| {
        let values =
            [json!("2024-02-29"), json!(amount), json!(twice), json!("AP8="), json!(["new", null]), json!({"a": [1]})];
        [vec![json!(shop)], values.to_vec(), vec![json!(true)]].concat()
    };
    let latest = [of("north", "0.20", "0.40"), of("south", "9999999999.99", "19999999999.98")];
    for pause in [0, 1_500] {
        assert_eq!(wait_for(&server, "per_day", |rows| !rows.is_empty()), totals);
        assert_eq!(wait_for(&server, "latest", |rows| rows.len() == 2), latest);
        std::thread::sleep(Duration::from_millis(pause));
        server.kill();
        server.restart();
    }
    assert_eq!(wait_for(&server, "per_day", |_| true), totals);
    assert_eq!(wait_for(&server, "latest", |_| true), latest);
}

#[test]
fn a_rebuilt_feed_is_one_snapshot_and_counts_every_event_once() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut server = Server::start(dir.path(), &stream(""));
    let runtime = runtime();
    let mut options = Options::new(server.url());
    options.backoff.max = Duration::from_millis(300);
    let http = Http::new(&options).expect("a good address");
    let event = |i: i64| json!({"metric": format!("m{}", i % 7), "value": i, "ts": i * 100});
    let mut feed = runtime.block_on(async {
        let client = Client::connect(options).await.expect("it listens");
        let mut feed = client.subscribe("load", None).await.expect("the feed exists");
        for from in (0..20_000).step_by(1_000) {
            post(&http, &(from..from + 1_000).map(event).collect::<Vec<_>>()).await;
        }
        until(&mut feed, |table| sum(table) == 20_000).await;
        feed
    });
    // While events go on coming.
    let posting = runtime.spawn(async move {
        for from in (20_000..24_000).step_by(10) {
            post(&http, &(from..from + 10).map(event).collect::<Vec<_>>()).await;
        }
    });
    let rebuilt = tidewire(&["rebuild", "load", "--url", &server.url()]);
    assert_eq!(rebuilt.code, Some(0), "{}", rebuilt.stderr);
    assert!(rebuilt.stdout.starts_with("feed `load` is rebuilt: "), "{}", rebuilt.stdout);
    let events = runtime.block_on(async {
        posting.await.expect("all is posted");
        until(&mut feed, |table| sum(table) == 24_000).await
    });
    let snapshots = events.iter().filter(|e| matches!(e, Event::Snapshot { .. })).count();
    assert_eq!(snapshots, 1, "{events:?}");
    assert_eq!(wait_for(&server, "load", |_| true).len(), feed.table().len());

    // What was shown survives: a client goes on with a delta.
    server.kill();
    server.restart();
    let http = Http::new(&Options::new(server.url())).expect("a good address");
    runtime.block_on(async {
        post(&http, &[event(24_000)]).await;
        let events = until(&mut feed, |table| sum(table) == 24_001).await;
        assert!(!events.iter().any(|e| matches!(e, Event::Snapshot { .. })), "no snapshot, a delta: {events:?}");
    });
    let refused = tidewire(&["rebuild", "nothing", "--url", &server.url()]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("the server has no feed `nothing`"), "{}", refused.stderr);
}

/// The events that the table of the feed `load` has counted.
fn sum(table: &client::Table) -> u64 {
    table.rows().filter_map(|row| row[2].as_u64()).sum()
}

#[test]
fn push_and_tail_are_the_two_ends_of_a_pipe() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(dir.path(), &stream(""));
    let csv = dir.path().join("events.csv");
    std::fs::write(&csv, "metric,value,ts\na,1,1000\na,2,1970-01-01T00:00:02Z\nb,oops,3000\n").expect("a file");
    let csv = csv.to_string_lossy();
    let pushed = tidewire(&["push", "events", &csv, "--url", &server.url()]);
    assert_eq!(pushed.code, Some(0), "{}", pushed.stderr);
    assert!(pushed.stdout.contains("2 accepted, 1 rejected"), "{}", pushed.stdout);
    assert!(pushed.stderr.contains("event 3") && pushed.stderr.contains("value"), "{}", pushed.stderr);
    wait_for(&server, "load", |rows| count(rows, 2) == 2);
    let table = tidewire(&["tail", "load", "--once", "--url", &server.url()]);
    assert_eq!(table.code, Some(0), "{}", table.stderr);
    assert_eq!(table.stdout, "metric  window_start  n  value\na  1970-01-01T00:00:00Z  2  1.5\n");
    let frames = tidewire(&["tail", "load", "--once", "--format", "json", "--url", &server.url()]);
    let last: Value = serde_json::from_str(frames.stdout.lines().last().unwrap_or_default()).expect("JSON");
    assert_eq!(last["rows"], json!([["a", 0, 2, 1.5]]));
    let unknown = tidewire(&["tail", "laod", "--url", &server.url()]);
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.stderr.contains("laod"), "{}", unknown.stderr);
    let nobody = tidewire(&["tail", "load", "--url", "http://127.0.0.1:1"]);
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.stderr.contains("127.0.0.1:1"), "{}", nobody.stderr);
    let retimed = tidewire(&["push", "events", &csv, "--retime", "--url", &server.url()]);
    assert_eq!(retimed.code, Some(0), "{}", retimed.stderr);
}

#[test]
fn a_connection_that_asks_nothing_more_is_no_timeout() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(dir.path(), &stream("limits: { header_timeout: 100ms }\n"));
    // What the server answers until it closes, which it does by itself.
    let say = |words: &str| {
        let mut socket = TcpStream::connect(&server.address).expect("it listens");
        socket.write_all(words.as_bytes()).expect("it reads");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("it closes");
        answer
    };
    let request = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    say("");
    assert!(say(request).contains(" 200 "));
    say("GET /livez");
    let http = reqwest::blocking::Client::new();
    let timeouts = || {
        let metrics = http.get(format!("{}/metrics", server.url())).send().and_then(Response::text).expect("metrics");
        let line = metrics.lines().find(|l| l.starts_with("tidewire_requests_refused_total{code=\"request_timeout\"}"));
        line.and_then(|l| l.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
    };
    let began = Instant::now();
    while timeouts() == 0 {
        assert!(began.elapsed() < PATIENCE, "half a head is a timeout");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(timeouts(), 1);
}

#[test]
fn a_window_closes_by_itself_when_its_source_falls_silent() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let config =
        stream("").replace("    keep: 365d", "    keep: 365d\n    emit: final").replace("10 seconds", "1 second");
    let server = Server::start(dir.path(), &config);
    let http = Http::new(&Options::new(server.url())).expect("a good address");
    runtime().block_on(post(&http, &[json!({"metric": "a", "value": 1, "ts": 1_000})]));
    let rows = wait_for(&server, "load", |rows| !rows.is_empty());
    assert_eq!(rows[0][1], 1_000);
}

#[test]
fn every_example_is_a_configuration() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut checked = 0;
    for example in std::fs::read_dir(root.join("examples")).expect("the examples").flatten() {
        let config = example.path().join("tidewire.yaml");
        if config.exists() {
            let ended = tidewire(&["check", "-c", &config.to_string_lossy()]);
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            checked += 1;
        }
    }
    assert!(checked > 0, "there are examples");
}
