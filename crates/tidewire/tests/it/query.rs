//! Pull queries against the running program: what they answer, what they may not do, and that
//! nobody else notices them.

use std::{
    fmt::Write as _,
    io::{Read, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use reqwest::blocking::Client;
use serde_json::{Value, json};

use super::{life::wait_for, server::Server};

const CONFIG: &str = "
streams:
  events:
    source: { type: http }
    schema: { metric: text, value: double, hostName: text, ts: timestamp }
feeds:
  latest:
    sql: SELECT metric, value, hostName, ts FROM events
    key: metric
  small:
    sql: SELECT metric, value FROM events WHERE metric = 'm1'
    key: metric
";

/// Computes for hours, in one call of a function.
const SLOW: &str = "SELECT levenshtein(repeat('a', 1000000), repeat('b', 1000000)) FROM small";

fn ask(server: &Server, sql: &str) -> (u16, Value) {
    let client = Client::builder().timeout(Duration::from_mins(1)).build().expect("a client");
    let request = client.post(format!("{}/v1/query", server.url())).json(&json!({ "sql": sql }));
    let response = request.send().expect("it answers");
    (response.status().as_u16(), response.json().expect("JSON"))
}

fn rows(server: &Server, sql: &str) -> Value {
    let (status, answer) = ask(server, sql);
    assert_eq!(status, 200, "{sql}: {answer}");
    answer["data"].clone()
}

fn code(server: &Server, sql: &str) -> String {
    let (status, answer) = ask(server, sql);
    assert!(status >= 400, "{sql}: {answer}");
    let detail = answer["detail"].as_str().expect("a detail");
    assert!(!detail.contains('\n'), "{detail}");
    format!("{}: {detail}", answer["code"].as_str().expect("a code"))
}

/// A server with so many rows in `latest`.
fn start(dir: &std::path::Path, extra: &str, events: usize) -> Server {
    let server = Server::start(dir, &format!("{extra}{CONFIG}"));
    for first in (0..events).step_by(50_000) {
        let mut body = String::new();
        for i in first..events.min(first + 50_000) {
            writeln!(body, r#"{{"metric":"m{i}","value":{i},"hostName":"h{}","ts":{i}}}"#, i % 7).expect("memory");
        }
        let post = Client::new().post(format!("{}/v1/streams/events", server.url())).body(body);
        let answer = post.header("content-type", "application/x-ndjson").send().expect("it answers");
        assert!(answer.status().is_success(), "{:?}", answer.text());
    }
    let seen = Instant::now();
    while rows(&server, "SELECT count(*) FROM latest") != json!([[events]]) {
        assert!(seen.elapsed() < Duration::from_mins(1), "the events never showed");
    }
    server
}

#[test]
fn a_query_reads_a_feed_as_it_is_on_screen() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = start(dir.path(), "", 20_000);
    let sql = "SELECT hostName, count(*) AS n, max(value) AS top FROM latest WHERE value >= 10000 \
               GROUP BY hostName ORDER BY n DESC, hostName LIMIT 2";
    let (_, answer) = ask(&server, sql);
    let columns = json!([
        {"name": "hostName", "type": "text"}, {"name": "n", "type": "bigint"}, {"name": "top", "type": "double"}
    ]);
    let expected = json!([["h0", "h1"], [1429, 1429], [19_999.0, 19_993.0]]);
    let (found, host) = (&answer["data"], answer["data"][0][0].as_str());
    assert_eq!((&answer["columns"], answer["rows"].as_u64(), &answer["truncated"]), (&columns, Some(2), &json!(false)));
    assert!(found[1] == expected[1] && host.is_some_and(|h| h.starts_with('h')), "{answer}");
    // More than an answer may have, and a LIMIT that leaves rows unread in the pipe.
    let (_, answer) = ask(&server, "SELECT * FROM latest");
    assert_eq!((answer["rows"].as_u64(), &answer["truncated"]), (Some(10_000), &json!(true)));
    assert_eq!(rows(&server, "SELECT 1 AS one FROM latest LIMIT 1"), json!([[1]]));
    assert_eq!(rows(&server, "SELECT value FROM small"), json!([[1.0]]));
    assert_eq!(rows(&server, "SELECT * FROM latest WHERE false"), json!([[], [], [], []]));
    assert_eq!(
        rows(&server, "SELECT random() < 2 AS r, now() > '2024-01-01' AS n FROM small"),
        json!([[true], [true]])
    );
    let metrics = reqwest::blocking::get(format!("{}/metrics", server.url())).expect("metrics").text().expect("text");
    assert!(metrics.contains("tidewire_query_seconds"), "no metric of queries");
}

#[test]
fn a_query_has_no_way_to_files_settings_or_other_tables() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = start(dir.path(), "", 10);
    let written = dir.path().join("written.csv");
    for sql in [
        "SELECT * FROM '/etc/passwd'".to_owned(),
        "SELECT * FROM read_csv('/etc/passwd')".to_owned(),
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'".to_owned(),
        format!("COPY latest TO '{}'", written.display()),
        "SELECT * FROM information_schema.tables".to_owned(),
        "SET datafusion.execution.target_partitions = 64".to_owned(),
        "INSERT INTO latest SELECT * FROM small".to_owned(),
        "SELECT * FROM latest, small".to_owned(),
        "SELECT * FROM latest WHERE metric IN (SELECT metric FROM small)".to_owned(),
    ] {
        let found = code(&server, &sql);
        assert!(found.starts_with("bad_query: "), "{sql}: {found}");
    }
    assert!(!written.exists());
    assert_eq!(code(&server, "SELECT * FROM lattest"), "bad_query: there is no feed `lattest`; did you mean `latest`?");
    assert_eq!(
        code(&server, "SELECT metric\n, valu FROM latest"),
        "bad_query: 2:3: there is no column `valu`; did you mean `value`?"
    );
    assert!(code(&server, "SELECT cast(metric AS bigint) FROM latest").starts_with("query_failed: "));
    assert!(code(&server, "SELECT 1 / cast(value AS bigint) FROM latest").starts_with("query_failed: "));
}

#[test]
fn a_query_that_takes_too_much_harms_nobody() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let limits = "limits: { query_timeout: 3s, query_memory: 8MiB }\n";
    let server = start(dir.path(), limits, 100_000);
    // What operators remember, what one call asks for, and what is computed before there is a row.
    for sql in [
        "SELECT repeat(metric, 30) AS long, count(*) FROM latest GROUP BY long",
        "SELECT repeat(metric, 50) AS long FROM latest ORDER BY long",
        "SELECT repeat(metric, 1000000) FROM latest",
        "SELECT lpad('x', 2000000000) FROM small",
        "SELECT repeat('x', 2000000000) FROM small",
        "SELECT length(lpad('x', 2000000000)) FROM small",
        "SELECT length(replace(replace(lpad('a', 40000, 'a'), 'a', lpad('b', 4000, 'b')), 'b', lpad('c', 999, 'c'))) FROM small",
    ] {
        let found = code(&server, sql);
        assert!(found.starts_with("query_too_large: "), "{sql}: {found}");
    }
    // One that computes for hours, in one call: it ends in time, and the server answers meanwhile.
    let began = Instant::now();
    thread::scope(|scope| {
        let slow: Vec<_> = (0..6).map(|_| scope.spawn(|| code(&server, SLOW))).collect();
        thread::sleep(Duration::from_millis(500));
        let asked = Instant::now();
        wait_for(&server, "small", |rows| rows.len() == 1);
        assert!(asked.elapsed() < Duration::from_secs(2), "reading waited for a query: {:?}", asked.elapsed());
        for slow in slow {
            let found = slow.join().expect("a thread");
            assert!(found.starts_with("query_timeout: the query took longer than 3 s"), "{found}");
        }
    });
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(rows(&server, "SELECT count(*) FROM small"), json!([[1]]));
}

#[test]
fn answers_that_nobody_reads_take_room_from_queries_alone() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    // Nobody is cut off for reading slowly while this test runs.
    let server = start(dir.path(), "limits: { body_timeout: 5m }\n", 20_000);
    let address = server.url().trim_start_matches("http://").to_owned();
    let body = json!({ "sql": "SELECT metric, repeat('x', 2000) AS long FROM latest" }).to_string();
    let request = format!(
        "POST /v1/query HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    // Each reads the head of an answer of 20 MB, and then no more.
    let heads: Vec<(TcpStream, String)> = (0..10)
        .map(|_| {
            let mut socket = TcpStream::connect(&address).expect("a socket");
            socket.write_all(request.as_bytes()).expect("it listens");
            let mut head = [0; 12];
            socket.read_exact(&mut head).expect("it answers");
            (socket, String::from_utf8_lossy(&head[9..]).into_owned())
        })
        .collect();
    let statuses: Vec<&str> = heads.iter().map(|(_, status)| status.as_str()).collect();
    assert_eq!(statuses, ["200", "200", "200", "200", "200", "200", "200", "200", "503", "503"]);
    assert!(code(&server, "SELECT metric, repeat('x', 2000) AS long FROM latest").starts_with("unavailable: 8 large"));
    assert_eq!(rows(&server, "SELECT count(*) FROM latest"), json!([[20_000]]), "small answers have room");
    drop(heads);
    let began = Instant::now();
    while ask(&server, "SELECT metric, repeat('x', 2000) AS long FROM latest").0 != 200 {
        assert!(began.elapsed() < Duration::from_secs(20), "the room is not given back");
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn nobody_is_left_when_who_asked_is_gone() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = start(dir.path(), "limits: { query_timeout: 1m }\n", 10);
    let slow = json!({ "sql": SLOW });
    let client = Client::builder().timeout(Duration::from_secs(1)).build().expect("a client");
    for _ in 0..4 {
        let gone = client.post(format!("{}/v1/query", server.url())).json(&slow).send();
        assert!(gone.is_err(), "it was answered: {gone:?}");
    }
    // All turns are free again.
    let asked = Instant::now();
    assert_eq!(rows(&server, "SELECT count(*) FROM small"), json!([[1]]));
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
}

#[test]
fn a_stop_does_not_wait_for_a_query() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut server = start(dir.path(), "limits: { query_timeout: 1m }\n", 10);
    let url = format!("{}/v1/query", server.url());
    let slow = thread::spawn(move || Client::new().post(url).json(&json!({ "sql": SLOW })).send().map(|r| r.status()));
    thread::sleep(Duration::from_millis(500));
    let (code, took) = server.terminate();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(12), "{took:?}");
    let answered = slow.join().expect("a thread");
    assert!(answered.is_err() || answered.is_ok_and(|status| status == 503), "it was answered");
}
