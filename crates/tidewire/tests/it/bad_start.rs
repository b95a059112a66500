//! What a server may find when it starts, and what a clock may do to it: one clear line or
//! status each, and no harm.

use std::{
    fmt::Write as _,
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use reqwest::blocking::{Client, Response};
use serde_json::{Value, json};

use super::{
    life::{count, stream, wait_for},
    server::{Server, preload},
};

/// Ends with 1 and one line on standard error, which has all these words.
fn refused(mut command: Command, words: &[&str]) {
    let output = command.output().expect("the binary was built for this test");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{stdout}{stderr}");
    assert!(!stdout.contains("listens"), "{stdout}");
    assert!(words.iter().all(|word| stderr.contains(word)), "{words:?} in {stderr}");
    assert_eq!(stderr.trim().lines().filter(|line| !line.starts_with("  ")).count(), 1, "{stderr}");
}

fn serve(config: &Path, data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidewire"));
    command.args(["serve", "--listen", "127.0.0.1:0", "-c"]).arg(config).arg("--data-dir").arg(data);
    command.env("TIDEWIRE_LOG", "off");
    command
}

fn write(dir: &Path, config: &str) -> std::path::PathBuf {
    let path = dir.join("tidewire.yaml");
    fs::write(&path, config).expect("a file");
    path
}

#[test]
fn a_directory_without_rights_is_named() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let config = write(dir.path(), &stream(""));
    // Root may write everywhere, so the program runs as somebody else, who must find it.
    let program = dir.path().join("tidewire");
    fs::copy(env!("CARGO_BIN_EXE_tidewire"), &program).expect("a copy");
    let serve_as_nobody = |data: &Path| {
        let mut command = Command::new(&program);
        command.args(serve(&config, data).get_args()).env("TIDEWIRE_LOG", "off");
        // SAFETY: geteuid(2) cannot fail.
        if unsafe { libc::geteuid() } == 0 {
            command.uid(65_534).gid(65_534);
        }
        command
    };
    let rights = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    rights(dir.path(), 0o755);
    let locked = dir.path().join("locked");
    fs::create_dir(&locked).expect("a directory");
    rights(&locked, 0o555);
    let inside = locked.join("data");
    refused(serve_as_nobody(&inside), &[&inside.to_string_lossy(), "ermission denied"]);
    refused(serve_as_nobody(&locked), &[&locked.to_string_lossy()]);
    assert_eq!(fs::read_dir(&locked).expect("it is ours").count(), 0);
}

#[test]
fn a_disk_that_is_full_at_the_start_is_said_and_nothing_is_lost() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (mut server, full) = Server::start_on_a_disk_that_fills(dir.path(), &stream(""));
    let http = Client::new();
    let request = http.post(format!("{}/v1/streams/events", server.url()));
    let posted = request.json(&json!({"metric": "a", "value": 1, "ts": 1_000})).send().expect("an answer");
    assert_eq!(posted.status(), 200);
    assert_eq!(server.terminate().0, Some(0));
    fs::write(&full, "").expect("a file");
    let mut command = serve(&dir.path().join("tidewire.yaml"), &dir.path().join("data"));
    command.env("LD_PRELOAD", preload(dir.path(), "full_disk"));
    command.env("FULL_DISK_WHILE", &full).env("FULL_DISK_DIR", dir.path().join("data"));
    refused(command, &["the disk is full", "make room"]);
    fs::remove_file(&full).expect("it goes");
    server.restart();
    wait_for(&server, "load", |rows| count(rows, 2) == 1);
}

#[test]
fn files_of_a_later_version_and_damaged_ones_are_named_and_left_alone() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut server = Server::start(dir.path(), &stream(""));
    assert_eq!(server.terminate().0, Some(0));
    let (config, data) = (dir.path().join("tidewire.yaml"), dir.path().join("data"));
    for file in ["log.sqlite", "state.sqlite"] {
        let path = data.join(file);
        let before = fs::read(&path).expect("a file");
        let database = rusqlite::Connection::open(&path).expect("a database");
        database.execute_batch("PRAGMA user_version = 99").expect("it is written");
        drop(database);
        refused(serve(&config, &data), &[file, "99"]);

        let mut damaged = before.clone();
        damaged[..64].fill(0xAA);
        fs::write(&path, &damaged).expect("a file");
        refused(serve(&config, &data), &[file, "damaged"]);
        assert_eq!(fs::read(&path).expect("a file"), damaged, "it is left as it was found");
        fs::write(&path, before).expect("a file");
    }
    server.restart();
}

#[test]
fn configurations_that_are_none_start_nothing() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = dir.path().join("data");
    let lines = problems(serve(&write(dir.path(), ""), &data));
    assert!(lines[0].contains("tidewire.yaml: says nothing") && lines.len() == 3, "{lines:?}");
    let variable = write(dir.path(), &format!("{}cors: [\"${{TIDEWIRE_TEST_UNSET}}\"]\n", stream("")));
    let lines = problems(serve(&variable, &data));
    assert!(lines[0].contains("`TIDEWIRE_TEST_UNSET` is not set") && lines[0].contains(".yaml:"), "{lines:?}");
    // A billion laughs: each line holds the one before ten times.
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..10 {
        let before = format!("*a{}", i - 1);
        let _ = writeln!(bomb, "a{i}: &a{i} [{}]", vec![before; 10].join(", "));
    }
    let began = std::time::Instant::now();
    let lines = problems(serve(&write(dir.path(), &bomb), &data));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(lines[0].contains("tidewire.yaml:"), "{lines:?}");
    assert!(lines.len() < 50, "{} lines", lines.len());
    assert!(!data.exists(), "nothing was begun");
}

/// What a start that fails says.
fn problems(mut command: Command) -> Vec<String> {
    let output = command.output().expect("the binary was built for this test");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    stderr.lines().map(ToOwned::to_owned).collect()
}

#[test]
fn a_clock_that_jumps_closes_no_window_and_loses_nothing() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (server, offset) =
        Server::start_with_a_clock_that_jumps(dir.path(), &stream("").replace("max_ahead: off", "max_ahead: 1m"));
    let http = Client::new();
    let post = |sent: u64| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
        let request = http.post(format!("{}/v1/streams/events", server.url()));
        let answer = request.json(&json!({"metric": "a", "value": 1, "ts": now})).send().expect("an answer");
        assert_eq!(answer.status(), 200);
        wait_for(&server, "load", |rows| count(rows, 2) == sent);
    };
    let jump = |seconds: i64| {
        fs::write(&offset, seconds.to_string()).expect("a file");
        // Longer than a checkpoint, and than an idle source is waited for.
        std::thread::sleep(Duration::from_millis(1_500));
    };
    post(1);
    jump(-3_600);
    post(2);
    jump(365 * 86_400);
    let answer = http.get(format!("{}/livez", server.url())).send().expect("an answer");
    let year = (jiff::Timestamp::now() + Duration::from_hours(365 * 24)).to_string()[..4].to_owned();
    let date = answer.headers()["date"].to_str().expect("text");
    assert!(date.contains(&year), "the server's clock has jumped: {date}");
    post(3);
    jump(0);
    post(4);
    let get =
        |path: &str| reqwest::blocking::get(format!("{}{path}", server.url())).and_then(Response::text).expect("text");
    assert_eq!(get("/readyz"), "ready\n");
    let letters: Value = serde_json::from_str(&get("/v1/streams/events/dead-letters")).expect("JSON");
    assert_eq!(letters["dead_letters"].as_array().map(Vec::len), Some(0), "{letters}");
}
