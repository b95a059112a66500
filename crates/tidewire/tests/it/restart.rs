//! Stops and starts under load, and what a server that is not ready says of itself.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use client::{Client, Event, Options, Subscription};
use reqwest::blocking::Client as Blocking;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{
    life::{runtime, stream, wait_for},
    server::Server,
};

/// How long something may take before a test gives up.
const PATIENCE: Duration = Duration::from_mins(1);

const PRODUCERS: u64 = 4;
const RESTARTS: usize = 3;

const TOTALS: &str = "
streams:
  events:
    source: { type: http }
    schema: { metric: text, value: bigint }
feeds:
  totals:
    sql: SELECT metric, count(*) AS n, sum(value) AS total, max(value) AS last FROM events GROUP BY metric
";

/// Posts 1, 2, 3, … until it is told to stop, each with a key of its own and until it is
/// acknowledged; how many were.
fn produce(url: &str, number: u64, stop: &AtomicBool, retried: &AtomicU64) -> u64 {
    let http = Blocking::new();
    let mut value = 0;
    while !stop.load(Ordering::Relaxed) {
        value += 1;
        let body = json!({"metric": format!("p{number}"), "value": value}).to_string();
        let began = Instant::now();
        loop {
            let request = http.post(format!("{url}/v1/streams/events")).header("content-type", "application/json");
            let request = request.header("idempotency-key", format!("{number}-{value}")).body(body.clone());
            match request.send() {
                Ok(answer) if answer.status() == 200 => break,
                Ok(answer) => assert_eq!(answer.status().as_u16(), 503, "{:?}", answer.text()),
                // A connection that the stop closed, or none yet.
                Err(_) => {}
            }
            retried.fetch_add(1, Ordering::Relaxed);
            assert!(began.elapsed() < PATIENCE, "{value} of {number} is never acknowledged");
            thread::sleep(Duration::from_millis(5));
        }
    }
    value
}

#[test]
fn a_restart_under_load_loses_nothing_and_doubles_nothing() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut server = Server::start(dir.path(), TOTALS);
    let runtime = runtime();
    let mut options = Options::new(server.url());
    options.backoff.max = Duration::from_millis(300);
    let feed = runtime.block_on(async {
        let client = Client::connect(options).await.expect("it listens");
        client.subscribe("totals", None).await.expect("the feed exists")
    });
    let (until, wanted) = watch::channel(None);
    let viewer = runtime.spawn(follow(feed, wanted));
    let (stop, retried) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|number| {
            let (url, stop, retried) = (server.url(), stop.clone(), retried.clone());
            thread::spawn(move || produce(&url, number, &stop, &retried))
        })
        .collect();
    for _ in 0..RESTARTS {
        thread::sleep(Duration::from_millis(500));
        let (code, took) = server.terminate();
        assert_eq!(code, Some(0));
        assert!(took < Duration::from_secs(10), "it took {took:?}");
        server.restart();
    }
    thread::sleep(Duration::from_millis(500));
    stop.store(true, Ordering::Relaxed);
    let sent: HashMap<String, u64> =
        (0..).zip(producers).map(|(n, p)| (format!("p{n}"), p.join().expect("it ends well"))).collect();
    assert!(retried.load(Ordering::Relaxed) > 0, "a restart was noticed");

    let wanted: Totals = sent.into_iter().map(|(metric, last)| (metric, [last, last * (last + 1) / 2, last])).collect();
    wait_for(&server, "totals", |rows| totals(rows) == wanted);
    // Who watched all the time has the same, and was never told to begin anew.
    until.send(Some(wanted)).expect("it watches");
    let Seen { snapshots, disconnects } = runtime.block_on(viewer).expect("it ends well");
    assert_eq!(snapshots, 1, "only the first");
    assert!(disconnects > 0, "no end was seen");
}

/// Events, their sum and the last of each metric.
type Totals = HashMap<String, [u64; 3]>;

fn totals(rows: &[Vec<Value>]) -> Totals {
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let of = |row: &Vec<Value>| (row[0].as_str().unwrap_or_default().to_owned(), [1, 2, 3].map(|i| number(&row[i])));
    rows.iter().map(of).collect()
}

struct Seen {
    snapshots: usize,
    disconnects: usize,
}

/// Watches until the table is as wanted.
async fn follow(mut feed: Subscription, mut wanted: watch::Receiver<Option<Totals>>) -> Seen {
    let mut seen = Seen { snapshots: 0, disconnects: 0 };
    loop {
        let rows: Vec<_> = feed.table().by_key().values().map(|row| row.to_vec()).collect();
        if wanted.borrow_and_update().as_ref().is_some_and(|wanted| *wanted == totals(&rows)) {
            return seen;
        }
        let event = tokio::select! {
            event = tokio::time::timeout(PATIENCE, feed.next()) => event.expect("the table stands still"),
            _ = wanted.changed() => continue,
        };
        match event.expect("a lost connection is mended") {
            Event::Snapshot { reset } => {
                assert!(!reset);
                seen.snapshots += 1;
            }
            Event::Disconnected { .. } => seen.disconnects += 1,
            _ => {}
        }
    }
}

#[test]
fn a_start_that_replays_says_how_far_it_is() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut server = Server::start(dir.path(), TOTALS);
    let (http, url) = (Blocking::new(), server.url());
    let body = (0..2_000).fold(String::new(), |all, i| all + &json!({"metric": "a", "value": i}).to_string() + "\n");
    for _ in 0..400 {
        let request = http.post(format!("{url}/v1/streams/events")).header("content-type", "application/x-ndjson");
        assert_eq!(request.body(body.clone()).send().expect("an answer").status(), 200);
    }
    wait_for(&server, "totals", |rows| rows.iter().any(|row| row[1] == 800_000));
    server.kill();
    // Without its last checkpoint it replays the whole log.
    for file in std::fs::read_dir(dir.path().join("data")).expect("the data").flatten() {
        if file.file_name().to_string_lossy().starts_with("state.sqlite") {
            std::fs::remove_file(file.path()).expect("it goes");
        }
    }
    let seen = thread::spawn({
        let url = url.clone();
        move || {
            let began = Instant::now();
            let mut seen = Vec::new();
            while began.elapsed() < PATIENCE {
                match http.get(format!("{url}/readyz")).send() {
                    Ok(answer) if answer.status() == 200 => return seen,
                    Ok(answer) => {
                        assert_eq!(answer.status(), 503);
                        let problem: Value = answer.json().expect("a problem document");
                        seen.push(problem["reasons"][0].clone());
                    }
                    Err(_) => {}
                }
                thread::sleep(Duration::from_millis(20));
            }
            panic!("it is never ready; it said {seen:?}");
        }
    });
    let began = Instant::now();
    server.restart();
    let took = began.elapsed();
    let seen = seen.join().expect("it becomes ready");
    assert!(!seen.is_empty() || took < Duration::from_secs(1), "nothing was said in {took:?}");
    for reason in seen {
        assert_eq!(reason["code"], "recovering");
        let message = reason["message"].as_str().unwrap_or_default();
        assert!(message.contains("checkpoint"), "{message}");
    }
    wait_for(&server, "totals", |rows| rows.iter().any(|row| row[1] == 800_000));
}

#[test]
fn a_source_that_cannot_be_read_is_a_reason() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let input = dir.path().join("in.ndjson");
    std::fs::write(&input, "{\"metric\":\"m\",\"value\":1,\"ts\":1}\n").expect("a file");
    let file = format!("type: file, path: {}, follow: true", input.display());
    let mut server = Server::start(dir.path(), &stream("").replace("type: http", &file));
    wait_for(&server, "load", |rows| !rows.is_empty());
    assert_eq!(server.terminate().0, Some(0));
    std::fs::remove_file(&input).expect("it goes");
    server.restart();
    let get = |path: &str| reqwest::blocking::get(format!("{}{path}", server.url())).expect("it answers");
    let answer = get("/readyz");
    assert_eq!(answer.status(), 503);
    let problem: Value = answer.json().expect("a problem document");
    assert_eq!(problem["reasons"][0]["code"], "source_failed");
    let message = problem["reasons"][0]["message"].as_str().unwrap_or_default();
    assert!(message.contains("stream `events`") && message.contains("in.ndjson"), "{message}");
    assert_eq!(get("/readyz?exclude=source_failed").status(), 200);
    assert!(get("/metrics").text().expect("text").contains("tidewire_source_failed{stream=\"events\"} 1"));
}

#[test]
fn who_comes_back_after_a_start_finds_the_windows_open() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut server = Server::start(dir.path(), &stream(""));
    let post = |server: &Server, value: u64, ts: u64| {
        let body = json!({ "metric": "a", "value": value, "ts": ts });
        let post = Blocking::new().post(format!("{}/v1/streams/events", server.url())).json(&body);
        assert_eq!(post.send().expect("it answers").status(), 200);
    };
    // Behind 1 s of lateness and 10 s of window: two events of one window.
    let ts = 1_700_000_008_000;
    post(&server, 1, ts);
    wait_for(&server, "load", |rows| rows.len() == 1);
    server.kill();
    server.restart();
    // Silence would have closed it by now: 2 s are left of the window, and 1 s of lateness.
    thread::sleep(Duration::from_secs(5));
    post(&server, 2, ts + 1);
    let rows = wait_for(&server, "load", |rows| rows.len() == 1 && rows[0][2] == 2);
    assert_eq!(rows[0][2], 2, "{rows:?}");
    // From then on silence counts: the same once more is late.
    thread::sleep(Duration::from_secs(5));
    post(&server, 3, ts + 2);
    let began = Instant::now();
    loop {
        let streams = reqwest::blocking::get(format!("{}/v1/streams", server.url())).expect("it answers");
        let streams: Value = streams.json().expect("JSON");
        if streams["streams"][0]["dead_letters"] == 1 {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{streams}");
        thread::sleep(Duration::from_millis(50));
    }
}
