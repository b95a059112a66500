//! Bad input gets one clear line or status, and harms nothing: after each of these the
//! same server takes a good event and shows it.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use reqwest::blocking::{Client, Response};
use serde_json::{Value, json};

use super::server::{Server, tidewire};

const CONFIG: &str = "
streams:
  events:
    source: { type: http }
    schema: { metric: text, value: double, n: bigint, small: int, ts: timestamp, extra: json }
    event_time: { column: ts, max_lateness: 1s }
feeds:
  latest:
    sql: SELECT metric, value, n, small, extra FROM events
    key: [metric]
";

struct Bad {
    server: Server,
    http: Client,
    sent: u64,
    _dir: tempfile::TempDir,
}

impl Bad {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let server = Server::start(dir.path(), CONFIG);
        Self { server, http: Client::new(), sent: 0, _dir: dir }
    }

    fn post(&self, body: impl Into<reqwest::blocking::Body>) -> Response {
        self.post_as("application/json", body)
    }

    fn post_as(&self, content_type: &str, body: impl Into<reqwest::blocking::Body>) -> Response {
        let url = format!("{}/v1/streams/events", self.server.url());
        self.http.post(url).header("content-type", content_type).body(body).send().expect("an answer, not a hang-up")
    }

    /// The server goes on: a good event is taken and shown.
    fn goes_on(&mut self) {
        self.sent += 1;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_millis());
        let event = json!({"metric": "good", "value": self.sent, "ts": now as u64});
        let answer = self.post(event.to_string());
        assert_eq!(answer.status(), 200);
        let wanted = self.sent as f64;
        for _ in 0..1_000 {
            let rows = self.rows();
            if rows.iter().any(|row| row[0] == "good" && row[1].as_f64() == Some(wanted)) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        panic!("the good event does not show");
    }

    /// The feed's rows, from the columns of its snapshot.
    fn rows(&self) -> Vec<Vec<Value>> {
        let url = format!("{}/v1/feeds/latest", self.server.url());
        let snapshot: Value = self.http.get(url).send().and_then(Response::json).expect("a snapshot");
        let columns = snapshot["data"].as_array().expect("columns");
        let length = columns[0].as_array().map_or(0, Vec::len);
        (0..length).map(|i| columns.iter().map(|c| c[i].clone()).collect()).collect()
    }
}

fn problem(answer: Response, status: u16, code: &str) -> Value {
    assert_eq!(answer.status(), status);
    let kind = answer.headers()["content-type"].to_str().unwrap_or_default().to_owned();
    assert!(kind.starts_with("application/problem+json"), "{kind}");
    let problem: Value = answer.json().expect("a problem document");
    assert_eq!(problem["code"], code, "{problem}");
    assert_eq!(problem["status"], status);
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(!detail.is_empty() && !detail.contains('\n') && detail.len() < 500, "one clear line: {detail:?}");
    problem
}

/// The code and message of the first rejection.
fn rejection(problem: &Value) -> (String, String) {
    let first = &problem["rejected"][0];
    (first["code"].as_str().unwrap_or_default().to_owned(), first["message"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn events_that_are_none_are_refused_with_a_reason() {
    let mut bad = Bad::new();
    let deep = format!(r#"{{"metric":"a","ts":1,"extra":{}1{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let long_key = format!(r#"{{"metric":"{}","ts":1}}"#, "k".repeat(1 << 20));
    let cases: [(&str, Vec<u8>, &str, &str); 11] = [
        ("cut off", br#"{"metric":"a","ts":1"#.to_vec(), "malformed", ""),
        ("not JSON", b"hello".to_vec(), "malformed", ""),
        ("an array cut off", br#"[{"metric":"a","ts":1},{"#.to_vec(), "malformed", ""),
        ("10,000 levels", deep.into_bytes(), "malformed", "64"),
        ("NaN", br#"{"metric":"a","value":NaN,"ts":1}"#.to_vec(), "malformed", ""),
        ("more than a double holds", br#"{"metric":"a","value":1e999,"ts":1}"#.to_vec(), "out_of_range", "value"),
        ("more than 64 bits", br#"{"metric":"a","n":9223372036854775808,"ts":1}"#.to_vec(), "out_of_range", "n"),
        ("more than 32 bits", br#"{"metric":"a","small":2147483648,"ts":1}"#.to_vec(), "out_of_range", "small"),
        ("invalid UTF-8", b"{\"metric\":\"\xff\xfe\",\"ts\":1}".to_vec(), "malformed", "UTF-8"),
        ("a wrong type", br#"{"metric":"a","value":"high","ts":1}"#.to_vec(), "wrong_type", "value"),
        ("a key of 1 MB", long_key.into_bytes(), "too_large", ""),
    ];
    for (what, body, code, word) in cases {
        let problem = problem(bad.post(body), 422, "none_accepted");
        let (found, message) = rejection(&problem);
        assert_eq!(found, code, "{what}: {message}");
        assert!(message.contains(word), "{what}: {message}");
        bad.goes_on();
    }
}

#[test]
fn times_that_cannot_be_are_refused_and_old_ones_are_late() {
    let mut bad = Bad::new();
    bad.goes_on();
    // The year 294,000, as a number and as text.
    for time in ["9214646400000000", "\"+294000-01-01T00:00:00Z\"", "\"soon\""] {
        let problem = problem(bad.post(format!(r#"{{"metric":"x","ts":{time}}}"#)), 422, "none_accepted");
        let (code, message) = rejection(&problem);
        assert!(matches!(code.as_str(), "out_of_range" | "wrong_type" | "malformed"), "{code}: {message}");
        assert!(message.contains("ts"), "{message}");
        bad.goes_on();
    }
    let missing = problem(bad.post(r#"{"metric":"x"}"#), 422, "none_accepted");
    assert_eq!(rejection(&missing).0, "missing");
    // Before 1970 is a time like any other.
    assert_eq!(bad.post(r#"{"metric":"old","ts":-1000}"#).status(), 200);
    // Far ahead of its arrival: kept, counted, not shown.
    let ahead =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_millis()) + 3_600_000;
    assert_eq!(bad.post(format!(r#"{{"metric":"ahead","ts":{ahead}}}"#)).status(), 200);
    bad.goes_on();
    let metrics = bad.http.get(format!("{}/metrics", bad.server.url())).send().and_then(Response::text).expect("text");
    let counted = metrics
        .lines()
        .any(|l| l.starts_with("tidewire_dead_letters_total") && l.contains("reason=\"ahead\"") && l.ends_with(" 1"));
    assert!(counted, "{metrics}");
    assert!(bad.rows().iter().any(|row| row[0] == "old"), "before 1970 shows");
    assert!(!bad.rows().iter().any(|row| row[0] == "ahead"), "ahead does not show");
}

#[test]
fn good_events_beside_bad_ones_are_accepted() {
    let mut bad = Bad::new();
    let answer =
        bad.post_as("application/x-ndjson", "{\"metric\":\"a\",\"ts\":1}\nrubbish\n{\"metric\":\"b\",\"ts\":2}\n");
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().expect("JSON");
    assert_eq!(answer["accepted"], 2);
    assert_eq!(answer["rejected_total"], 1);
    assert_eq!(answer["rejected"][0]["index"], 1);
    bad.goes_on();
}

#[test]
fn bodies_that_are_too_much_are_refused() {
    let mut bad = Bad::new();
    let url = format!("{}/v1/streams/events", bad.server.url());
    // 1 GB of zeros in 1 MB.
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![b' '; 1 << 20];
    for _ in 0..1024 {
        bomb.write_all(&zeros).expect("a write to memory");
    }
    let bomb = bomb.finish().expect("a write to memory");
    let request = bad.http.post(&url).header("content-type", "application/json").header("content-encoding", "gzip");
    problem(request.body(bomb).send().expect("an answer"), 413, "too_large");
    bad.goes_on();
    // What says it is gzip and is not.
    let request = bad.http.post(&url).header("content-type", "application/json").header("content-encoding", "gzip");
    problem(request.body("{}").send().expect("an answer"), 400, "bad_request");
    bad.goes_on();
    // 1 GB in one line: refused by its length, before it is read.
    let endless = std::io::Read::take(std::io::repeat(b'x'), 1 << 30);
    let body = reqwest::blocking::Body::sized(endless, 1 << 30);
    match bad.http.post(&url).header("content-type", "application/x-ndjson").body(body).send() {
        Ok(answer) => drop(problem(answer, 413, "too_large")),
        // The server answered and closed while the client was still sending.
        Err(error) => assert!(error.is_request() || error.is_body(), "{error}"),
    }
    bad.goes_on();
    problem(bad.post_as("text/plain", "hello"), 415, "unsupported_media");
    let elsewhere = format!("{}/v1/streams/event", bad.server.url());
    problem(bad.http.post(elsewhere).json(&json!({})).send().expect("an answer"), 404, "unknown_stream");
    problem(bad.http.delete(&url).send().expect("an answer"), 405, "method_not_allowed");
    bad.goes_on();
}

#[test]
fn a_configuration_that_is_wrong_is_told_with_every_place() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("tidewire.yaml");
    let check = |text: &str| {
        std::fs::write(&path, text).expect("a file");
        let ended = tidewire(&["check", "-c", &path.to_string_lossy()]);
        assert_eq!(ended.code, Some(1), "{}", ended.stdout);
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        ended.stderr.replace(&*path.to_string_lossy(), "FILE")
    };
    let told = check(
        "streams:
  events:
    source: { type: http }
    schema: { metric: text, value: dubble }
    event_tyme: { column: ts }
feeds:
  load:
    sql: |
      SELECT metric, count(*) AS n
      FROM event
      GROUP BY metric
",
    );
    assert!(told.contains("FILE:4:"), "the wrong type: {told}");
    assert!(told.contains("double"), "the nearest type: {told}");
    assert!(told.contains("FILE:5:"), "the misspelt key: {told}");
    assert!(told.contains("event_time"), "the nearest key: {told}");

    let stream = "streams: { events: { source: { type: http }, schema: { metric: text, value: double, ts: timestamp }, event_time: { column: ts } } }\n";
    let feed = |sql: &str| check(&format!("{stream}feeds:\n  load:\n    sql: |\n      {sql}\n"));
    for (sql, place, word) in [
        ("SELEC metric FROM events", "FILE:5:", "SELEC"),
        ("SELECT metrik FROM events", "FILE:5:14", "metric"),
        ("SELECT metric FROM event", "FILE:5:", "events"),
        ("SELECT metric, avrage(value) AS v FROM events GROUP BY metric", "FILE:5:", "avg"),
        ("SELECT a.metric FROM events a JOIN events b ON a.metric = b.metric", "FILE:5:", "join"),
        ("SELECT metric, random() AS r FROM events", "FILE:5:", "random"),
        ("SELECT metric FROM events ORDER BY metric", "FILE:5:", "ORDER BY"),
    ] {
        let told = feed(sql);
        assert!(told.contains(place), "{sql}: {told}");
        assert!(told.to_lowercase().contains(&word.to_lowercase()), "{sql}: {told}");
    }
    let twice = check(&format!(
        "{stream}feeds:\n  load: {{ sql: SELECT metric FROM events }}\n  load: {{ sql: SELECT value FROM events }}\n"
    ));
    assert!(twice.contains("FILE:4:") && twice.contains("load"), "{twice}");

    let missing = tidewire(&["check", "-c", "/nowhere/tidewire.yaml"]);
    assert_eq!(missing.code, Some(1));
    assert!(missing.stderr.contains("/nowhere/tidewire.yaml"), "{}", missing.stderr);
    assert_eq!(missing.stderr.lines().filter(|l| l.contains("nowhere")).count(), 1);
}

#[test]
fn what_is_in_use_is_said() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(dir.path(), CONFIG);
    let config = dir.path().join("tidewire.yaml");
    let other = dir.path().join("other");
    let config = config.to_string_lossy();
    let taken =
        tidewire(&["serve", "-c", &config, "--listen", &server.address, "--data-dir", &other.to_string_lossy()]);
    assert_eq!(taken.code, Some(1));
    assert!(taken.stderr.contains(&server.address) && taken.stderr.contains("in use"), "{}", taken.stderr);
    assert_eq!(taken.stderr.trim().lines().count(), 1, "{}", taken.stderr);

    let data = dir.path().join("data");
    let locked = tidewire(&["serve", "-c", &config, "--listen", "127.0.0.1:0", "--data-dir", &data.to_string_lossy()]);
    assert_eq!(locked.code, Some(1));
    assert!(locked.stderr.contains(&*data.to_string_lossy()), "{}", locked.stderr);

    let anywhere = tidewire(&["serve", "-c", &config, "--listen", "0.0.0.0:0", "--memory"]);
    assert_eq!(anywhere.code, Some(1));
    assert!(anywhere.stderr.contains("insecure"), "{}", anywhere.stderr);
}
