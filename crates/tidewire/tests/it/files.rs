//! Files as sources: read once, followed, gone, replaced; and the state that hangs on them.

use std::{collections::BTreeMap, fmt::Write as _, path::Path, time::Duration};

use client::{Http, Options};
use serde_json::{Value, json};

use super::{
    life::{count, runtime, stream, wait_for},
    server::{Server, tidewire},
};

/// Writes so many events, ten milliseconds apart; how many there are in each window.
fn write(path: &Path, events: i64) -> BTreeMap<i64, u64> {
    let mut text = String::new();
    let mut windows = BTreeMap::new();
    for i in 0..events {
        writeln!(text, r#"{{"metric":"m{}","value":{i},"ts":{}}}"#, i % 10, i * 10).expect("a write to memory");
        *windows.entry(i * 10 / 10_000 * 10_000).or_default() += 1;
    }
    std::fs::write(path, &text).expect("a file");
    windows
}

fn by_window(rows: &[Vec<Value>]) -> BTreeMap<i64, u64> {
    let mut windows = BTreeMap::new();
    for row in rows {
        *windows.entry(row[1].as_i64().expect("a time")).or_default() += row[2].as_u64().expect("a count");
    }
    windows
}

/// The configuration of the other tests, with a file in place of posts.
fn following(path: &Path, extra: &str) -> String {
    stream(extra).replace("{ type: http }", &format!("{{ type: file, path: \"{}\", follow: true }}", path.display()))
}

#[test]
fn a_file_is_read_once_whatever_happens() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("events.ndjson");
    let expected = write(&path, 200_000);
    let mut server = Server::start(dir.path(), &following(&path, ""));
    // Killed in the middle, as often as it takes to have been killed in the middle.
    for _ in 0..3 {
        wait_for(&server, "load", |rows| !rows.is_empty());
        server.kill();
        server.restart();
    }
    let rows = wait_for(&server, "load", |rows| count(rows, 2) >= 200_000);
    assert_eq!(by_window(&rows), expected);
    // It grows, and what is new shows.
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("the file");
    std::io::Write::write_all(&mut file, b"{\"metric\":\"new\",\"value\":1,\"ts\":2000000}\n").expect("a write");
    wait_for(&server, "load", |rows| rows.iter().any(|row| row[0] == "new"));
}

/// A second stream and its feed beside the file's.
const POSTED: &str = "
  posted: { sql: 'SELECT metric, count(*) AS n FROM posts GROUP BY metric' }
";

#[test]
fn a_stream_whose_file_is_gone_stands_still_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (path, aside) = (dir.path().join("events.ndjson"), dir.path().join("aside.ndjson"));
    let expected = write(&path, 50_000);
    let posts = "streams:\n  posts: { source: { type: http }, schema: { metric: text } }";
    let mut server = Server::start(dir.path(), &following(&path, POSTED).replace("streams:", posts));
    wait_for(&server, "load", |rows| count(rows, 2) == 50_000);
    let failure = |server: &Server| {
        let answer = reqwest::blocking::get(format!("{}/v1/streams", server.url())).expect("it answers");
        let streams: Value = answer.json().expect("JSON");
        streams["streams"].as_array().expect("a list").iter().map(|s| s["failure"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(failure(&server), [Value::Null, Value::Null]);
    // Killed before or behind a checkpoint: what is shown then is what is known, not a mixture.
    for (round, pause) in [0, 1_500].into_iter().enumerate() {
        std::thread::sleep(Duration::from_millis(pause));
        server.kill();
        std::fs::rename(&path, &aside).expect("the file moves");
        if round == 1 {
            std::fs::write(&path, "{\"metric\":\"other\",\"value\":1,\"ts\":1}\n").expect("another file");
        }
        server.restart();
        let said = failure(&server);
        assert_eq!(said[0], Value::Null);
        assert!(said[1].as_str().is_some_and(|why| why.contains("events.ndjson")), "{said:?}");
        let http = Http::new(&Options::new(server.url())).expect("a good address");
        runtime().block_on(async {
            let body = json!({"metric": "a"}).to_string();
            http.post("posts", body.into(), "application/x-ndjson", None).await.expect("it is taken");
        });
        wait_for(&server, "posted", |rows| rows == [[json!("a"), json!(round + 1)]]);
        let shown = wait_for(&server, "load", |_| true);
        assert!(count(&shown, 2) == 50_000 || round == 0, "{shown:?}");
        // The file is back, and with it all that it has.
        server.kill();
        std::fs::rename(&aside, &path).expect("the file moves back");
        server.restart();
        let rows = wait_for(&server, "load", |rows| count(rows, 2) >= 50_000);
        assert_eq!(by_window(&rows), expected);
        assert_eq!(failure(&server), [Value::Null, Value::Null]);
    }
}

#[test]
fn a_state_that_was_removed_is_made_anew_from_log_and_file() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("events.ndjson");
    let expected = write(&path, 300_000);
    let posts = "streams:\n  posts: { source: { type: http }, schema: { metric: text } }";
    let mut server = Server::start(dir.path(), &following(&path, POSTED).replace("streams:", posts));
    let http = Http::new(&Options::new(server.url())).expect("a good address");
    for _ in 0..3 {
        let body = json!({"metric": "a"}).to_string();
        let posted = http.post("posts", body.into(), "application/x-ndjson", None);
        runtime().block_on(posted).expect("it is taken");
    }
    wait_for(&server, "load", |rows| count(rows, 2) == 300_000);
    wait_for(&server, "posted", |rows| rows == [[json!("a"), json!(3)]]);
    // Long enough for the cuts that a checkpoint covers to be removed.
    std::thread::sleep(Duration::from_secs(7));
    server.kill();
    for file in std::fs::read_dir(dir.path().join("data")).expect("the data directory") {
        let file = file.expect("a name").path();
        if file.to_string_lossy().contains("state.sqlite") {
            std::fs::remove_file(file).expect("it goes");
        }
    }
    server.restart();
    let rows = wait_for(&server, "load", |rows| count(rows, 2) >= 300_000);
    assert_eq!(by_window(&rows), expected);
    wait_for(&server, "posted", |rows| rows == [[json!("a"), json!(3)]]);
}

#[test]
fn the_last_window_of_a_followed_file_closes_after_a_restart() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("events.ndjson");
    write(&path, 1_500);
    let config = following(&path, "").replace("max_lateness: 1s", "max_lateness: 1s, idle_timeout: 2s");
    let config = config.replace("    keep: 365d", "    keep: 365d\n    emit: final");
    let mut server = Server::start(dir.path(), &config);
    wait_for(&server, "load", |rows| count(rows, 2) == 1_000);
    server.kill();
    server.restart();
    wait_for(&server, "load", |rows| count(rows, 2) == 1_500);
}

/// What a file has refused is read again with the file; sent again as well, it would count twice.
#[test]
fn a_file_is_read_again_by_a_rebuild_and_its_dead_letters_are_not_sent() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (path, aside) = (dir.path().join("f.ndjson"), dir.path().join("aside.ndjson"));
    std::fs::write(&path, "{\"n\":1}\n{\"n\":\"x\"}\n{\"n\":\"y\"}\n").expect("a file");
    let config = |data_type: &str| {
        format!(
            "
streams:
  f: {{ source: {{ type: file, path: \"{}\" }}, schema: {{ n: {data_type} }} }}
feeds:
  all: {{ sql: 'SELECT n IS NULL AS missing, count(*) AS c FROM f GROUP BY n IS NULL' }}
",
            path.display()
        )
    };
    let mut server = Server::start(dir.path(), &config("int"));
    wait_for(&server, "all", |rows| count(rows, 1) == 1);
    server.terminate();
    drop(server);
    let server = Server::start(dir.path(), &config("text"));
    wait_for(&server, "all", |rows| count(rows, 1) == 2);
    let url = server.url();
    let replay = tidewire(&["replay", "f", "--url", &url]);
    assert_eq!(replay.code, Some(1), "{}", replay.stdout);
    assert!(replay.stderr.contains("`f` reads its own source"), "{}", replay.stderr);
    let rebuild = tidewire(&["rebuild", "all", "--url", &url]);
    assert_eq!((rebuild.code, count(&wait_for(&server, "all", |_| true), 1)), (Some(0), 2), "{}", rebuild.stderr);

    std::fs::rename(&path, &aside).expect("a file moved");
    let rebuild = tidewire(&["rebuild", "all", "--url", &url]);
    assert_eq!(rebuild.code, Some(1), "{}", rebuild.stdout);
    assert!(rebuild.stderr.contains("cannot open"), "{}", rebuild.stderr);
    assert_eq!(count(&wait_for(&server, "all", |_| true), 1), 2, "what was there stays");
}
