//! The same story over every transport, with clients that are not ours: curl, Python's
//! `websockets`, Node's WebSocket, Chromium's EventSource. They follow a feed while the
//! server stops and starts again, and end with the feed's table.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use serde_json::{Value, json};

use super::server::{Server, lines};

/// How long a client may take for its next word.
const PATIENCE: Duration = Duration::from_mins(1);

const CONFIG: &str = "
streams:
  events:
    source: { type: http }
    schema: { name: text, value: double, at: timestamp }
feeds:
  latest:
    sql: SELECT name, value, at FROM events
    key: [name]
dashboards:
  ops:
    panels:
      - { title: Latest, feed: latest, type: line, x: at, y: value, series: name }
";

/// A program that follows a feed, and says how far it is.
struct Follower {
    child: Child,
    said: Receiver<String>,
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Follower {
    fn start(mut command: Command) -> Self {
        let shown = format!("{command:?}");
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|e| panic!("{shown}: {e}"));
        let stdout = child.stdout.take().expect("it was piped");
        let (sender, said) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, said }
    }

    fn until(&self, what: &str, so: impl Fn(&str) -> bool) -> String {
        loop {
            let line = self.said.recv_timeout(PATIENCE).unwrap_or_else(|e| panic!("never {what}: {e}"));
            if so(&line) {
                return line;
            }
        }
    }
}

fn python() -> String {
    std::env::var("TIDEWIRE_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/clients").join(name)
}

fn event(i: u64) -> Value {
    json!({"name": format!("n{i:04}"), "value": i as f64 + 0.5, "at": 1_700_000_000_000_u64 + i})
}

fn post(server: &Server, numbers: std::ops::Range<u64>) {
    let body = lines(&numbers.map(event).collect::<Vec<_>>());
    let client = reqwest::blocking::Client::new();
    let post =
        client.post(format!("{}/v1/streams/events", server.url())).header("content-type", "application/x-ndjson");
    let answer = post.body(body).send().expect("an answer");
    assert!(answer.status().is_success(), "{answer:?}");
}

/// The story: a table, changes, a stop and a start, more changes.
fn follows(client: impl FnOnce(&Server) -> Command) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut server = Server::start(dir.path(), CONFIG);
    post(&server, 0..2000);
    let follower = Follower::start(client(&server));
    follower.until("at the first rows", |line| line == "at 2000");
    post(&server, 2000..2010);
    follower.until("told of a change", |line| line == "at 2010");
    let (code, _) = server.terminate();
    assert_eq!(code, Some(0));
    server.restart();
    post(&server, 2010..2020);
    let last = follower.until("at the end", |line| line.starts_with('{'));
    let last: Value = serde_json::from_str(&last).expect("JSON");
    let rows: Vec<Value> = (0..2020).map(|i| json!([event(i)["name"], event(i)["value"], event(i)["at"]])).collect();
    assert_eq!(last["rows"], Value::from(rows));
    assert_eq!((&last["snapshots"], &last["resets"]), (&json!(1), &json!(0)), "it went on from its cursor");
    assert_eq!(last["closings"], 1, "it was told that the server stops");
}

#[test]
fn python_follows_in_json_and_in_messagepack() {
    for notation in ["json", "msgpack"] {
        follows(|server| {
            let mut command = Command::new(python());
            command.arg(script("follow.py")).arg(format!("ws://{}/v1/ws", server.address));
            command.args([notation, "latest", "2020"]);
            command
        });
    }
}

#[test]
fn node_follows() {
    follows(|server| {
        let mut command = Command::new("node");
        command.args(["--no-warnings", "--experimental-websocket"]).arg(script("follow.mjs"));
        command.arg(format!("ws://{}/v1/ws", server.address)).args(["latest", "2020"]);
        command
    });
}

#[test]
fn chromium_follows_events() {
    follows(|server| {
        let chromium = std::env::var("CHROMIUM_BIN").unwrap_or_else(|_| "/usr/bin/chromium".to_owned());
        let mut command = Command::new("node");
        command.args(["--no-warnings", "--experimental-websocket"]).arg(script("events.mjs"));
        command.arg(chromium).arg(server.url()).args(["latest", "2020"]);
        command
    });
}

fn curl(server: &Server, args: &[&str], path: &str) -> Vec<u8> {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--fail-with-body", "--max-time", "30"])
        .args(args)
        .arg(format!("{}{path}", server.url()))
        .output()
        .unwrap_or_else(|e| panic!("curl: {e}"));
    assert!(output.status.success(), "{args:?} {path}: {}", String::from_utf8_lossy(&output.stdout));
    output.stdout
}

#[test]
fn curl_polls_and_reads_every_form() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut server = Server::start(dir.path(), CONFIG);
    post(&server, 0..2000);
    let path = "/v1/feeds/latest";
    let of = |bytes: Vec<u8>| serde_json::from_slice::<Value>(&bytes).expect("JSON");
    let whole = loop {
        let whole = of(curl(&server, &["--compressed"], path));
        if whole["data"][0].as_array().is_some_and(|c| c.len() == 2000) {
            break whole;
        }
    };
    // By its ETag, nothing; by its cursor, what changes while it waits.
    let tag = dir.path().join("tag");
    let tag = tag.to_str().expect("a path of text");
    curl(&server, &["--etag-save", tag], path);
    assert_eq!(curl(&server, &["--etag-compare", tag], path), b"");
    let cursor = whole["cursor"].as_str().expect("a cursor").to_owned();
    let since = format!("{path}?since={cursor}&wait=25s");
    let delta = std::thread::scope(|scope| {
        let polling = scope.spawn(|| curl(&server, &[], &since));
        post(&server, 2000..2001);
        of(polling.join().expect("an answer"))
    });
    assert_eq!(delta["upsert"], json!([["n2000", 2000.5, 1_700_000_002_000_u64]]));
    let csv = String::from_utf8(curl(&server, &["-H", "Accept: text/csv", "--compressed"], path)).expect("text");
    assert_eq!(csv.lines().count(), 2002);
    assert!(csv.contains("n0007,7.5,2023-11-14T22:13:20.007Z\r\n"), "{csv:.200}");
    let ndjson = String::from_utf8(curl(&server, &["-H", "Accept: application/x-ndjson"], path)).expect("text");
    assert_eq!(ndjson.lines().count(), 2001);
    let first: Value = serde_json::from_str(ndjson.lines().next().expect("a line")).expect("JSON");
    assert!(first["value"].is_f64(), "{first}");
    // Its cursor is good after a stop and a start, in the form of events too.
    let cursor = delta["cursor"].as_str().expect("a cursor").to_owned();
    server.terminate();
    server.restart();
    let mut command = Command::new("curl");
    command.args(["--silent", "--no-buffer", "-H", "Accept: text/event-stream", "-H"]);
    command.arg(format!("Last-Event-ID: {cursor}")).arg(format!("{}{path}", server.url()));
    let events = Follower::start(command);
    events.until("described", |line| line.starts_with("data: {\"type\":\"subscribed\""));
    post(&server, 2001..2002);
    let line = events.until("told", |line| line.starts_with("data: ") && line.contains("n2001"));
    assert!(line.starts_with("data: {\"type\":\"delta\""), "{line}");
}

#[test]
fn python_reads_arrow_and_plain_updates() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(dir.path(), CONFIG);
    post(&server, 0..2000);
    let program = "
import asyncio, gzip, json, sys, urllib.request
import msgpack, pyarrow as pa, websockets

server = sys.argv[1]
request = urllib.request.Request(f'http://{server}/v1/feeds/latest', headers={'Accept': 'application/vnd.apache.arrow.stream'})
table = pa.ipc.open_stream(urllib.request.urlopen(request)).read_all()
assert table.schema.names == ['name', 'value', 'at'], table.schema
assert table.schema.field('at').type == pa.timestamp('ms'), table.schema
print(json.dumps({'rows': table.num_rows, 'sum': sum(table['value'].to_pylist())}))

def unpack(data):
    try:
        return msgpack.unpackb(gzip.decompress(data))
    except gzip.BadGzipFile:
        return msgpack.unpackb(data)

async def updates(path, read):
    async with websockets.connect(f'ws://{server}{path}') as socket:
        found = [read(await socket.recv()) for _ in range(2000)]
        return sorted((u['metric'], u['value'], u['timestamp'], u['metadata']) for u in found)

plain = asyncio.run(updates('/dashboard/ops', json.loads))
packed = asyncio.run(updates('/dashboard/ops?format=msgpack', unpack))
assert plain == packed
print(json.dumps(plain[7]))
";
    let mut command = Command::new(python());
    command.args(["-c", program, &server.address]);
    let reader = Follower::start(command);
    let table: Value = serde_json::from_str(&reader.until("read", |line| line.starts_with('{'))).expect("JSON");
    assert_eq!(table, json!({"rows": 2000, "sum": (0..2000).map(|i| f64::from(i) + 0.5).sum::<f64>()}));
    let update = reader.until("updated", |line| line.starts_with('['));
    assert_eq!(update, r#"["n0007", 7.5, 1700000000007, {}]"#);
}
