//! What the server tells of itself: a line for each thing that happens, none for each event,
//! and nothing of what is in events.

use std::{
    io::Write as _,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    life::stream,
    server::{Server, tidewire},
};

/// How long the log may take to say something.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a log of JSON says, so far.
pub fn said(log: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(log).expect("the log is a file");
    let complete = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
    complete.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// Waits until the log says a message that has these words.
pub fn wait_until_said(log: &Path, words: &[&str]) -> Value {
    let began = Instant::now();
    loop {
        let all = said(log);
        let has = |line: &&Value| line["message"].as_str().is_some_and(|m| words.iter().all(|w| m.contains(w)));
        if let Some(line) = all.iter().find(has) {
            return line.clone();
        }
        assert!(began.elapsed() < PATIENCE, "{words:?} is not said in {all:#?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_start_is_one_line_with_its_parts() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (mut server, log) = Server::start_logging(dir.path(), &stream(""));
    let line = wait_until_said(&log, &["listens"]);
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["address"], server.address);
    assert_eq!(line["data_dir"], dir.path().join("data").to_string_lossy().as_ref());
    assert_eq!(line["durability"], "fsync");
    assert_eq!((&line["streams"], &line["feeds"]), (&1.into(), &1.into()));
    assert_eq!(server.terminate().0, Some(0));
    assert!(said(&log).iter().any(|l| l["message"].as_str().is_some_and(|m| m.contains("stopped"))));
}

#[test]
fn refused_events_are_told_together_without_their_values() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let input = dir.path().join("in.ndjson");
    let write = || {
        let mut file = std::fs::File::options().create(true).append(true).open(&input).expect("a file");
        writeln!(file, r#"{{"metric":"m","value":"hunter2","ts":1}}"#).expect("a write");
    };
    write();
    let file = format!("type: file, path: {}, follow: true", input.display());
    let (_server, log) = Server::start_logging(dir.path(), &stream("").replace("type: http", &file));
    wait_until_said(&log, &["stream `events`", "dead letters (wrong_type)", "tidewire dead-letters events"]);
    for _ in 0..15 {
        write();
        std::thread::sleep(Duration::from_millis(200));
    }
    let text = std::fs::read_to_string(&log).expect("the log");
    assert!(!text.contains("hunter2"), "{text}");
    assert_eq!(text.matches("dead letters (wrong_type)").count(), 1, "{text}");
}

#[test]
fn format_and_level_are_chosen_and_checked() {
    let wrong = tidewire(&["serve", "--log", "loud", "--memory"]);
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.stderr.contains("`loud` is no level") && wrong.stderr.lines().count() == 1, "{}", wrong.stderr);

    // A text on no terminal has no colours; the port that is in use ends it.
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(dir.path(), &stream(""));
    let run = |format: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidewire"));
        command.args(["demo", "--log-format", format, "--log", "trace", "--listen", &server.address]);
        let output = command.output().expect("the binary was built for this test");
        String::from_utf8(output.stderr).expect("UTF-8")
    };
    let text = run("text");
    assert!(text.contains("in use") && !text.contains('\u{1b}') && !text.contains("{\""), "{text}");
    assert!(run("json").lines().any(|line| line.starts_with("{\"timestamp\"")), "traces are JSON");
}
