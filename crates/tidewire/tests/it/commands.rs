//! The command line itself: what is said, where, and with which exit code.

use std::{
    env,
    fmt::Write as _,
    fs,
    io::{Read, Write as _},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use clap::CommandFactory;
use serde_json::{Value, json};

use super::{
    life::wait_for,
    server::{Ended, Server, tidewire},
};

const CONFIG: &str = "
streams:
  events:
    source: { type: http }
    schema: { metric: text, value: double }
feeds:
  latest: { sql: 'SELECT metric, value FROM events', key: metric }
";

fn start(dir: &Path) -> Server {
    let server = Server::start(dir, CONFIG);
    let body = "{\"metric\":\"cpu\",\"value\":41.5}\n{\"metric\":\"a \\u001b[2J\",\"value\":1}\n{\"metric\":1}\n";
    let post = reqwest::blocking::Client::new().post(format!("{}/v1/streams/events", server.url()));
    let answer = post.header("content-type", "application/x-ndjson").body(body).send().expect("it answers");
    assert!(answer.status().is_success());
    wait_for(&server, "latest", |rows| rows.len() == 2);
    server
}

/// One clear line on standard error, nothing on standard output, and the exit code.
fn fails(args: &[&str], code: i32) -> String {
    let ended = tidewire(args);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{args:?}: {}", ended.stderr);
    ended.stderr
}

fn goes(args: &[&str]) -> Ended {
    let ended = tidewire(args);
    assert_eq!(ended.code, Some(0), "{args:?}: {}", ended.stderr);
    ended
}

/// Set to anything, this writes the page instead of comparing it.
const UPDATE: &str = "TIDEWIRE_WRITE_DOCS";

#[test]
fn the_page_of_commands_is_what_help_says() {
    let mut page = "# Commands\n\nWhat `--help` says of each, and the manual pages (`tidewire man`). A test holds this page to it:\n\
                    `TIDEWIRE_WRITE_DOCS=1 cargo test -p tidewire --test it commands` writes it anew.\n"
        .to_owned();
    let mut all = tidewire::cli::Cli::command().term_width(96);
    all.build();
    let shown = all.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help").cloned();
    let commands: Vec<clap::Command> = std::iter::once(all.clone()).chain(shown).collect();
    for mut command in commands {
        let name = command.get_bin_name().unwrap_or("tidewire").to_owned();
        let help = command.render_long_help().to_string();
        let help: Vec<&str> = help.lines().map(str::trim_end).collect();
        let _ = write!(page, "\n## {name}\n\n```text\n{}\n```\n", help.join("\n").trim_end());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/commands.md");
    if env::var_os(UPDATE).is_some() {
        fs::write(&path, &page).expect("the page can be written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let first = found.lines().zip(page.lines()).find(|(found, said)| found != said);
    assert!(found == page, "docs/commands.md is not what --help says, first at {first:?}; {UPDATE}=1 writes it anew");
}

#[test]
fn every_command_teaches_by_an_example_and_the_exit_codes_are_told() {
    let help = goes(&["help"]).stdout;
    for expected in ["Exit codes:", "0  it went well", "1  it did not", "2  the command line is wrong", "NO_COLOR"] {
        assert!(help.contains(expected), "{expected}\n{help}");
    }
    assert!(!help.contains("run-query"), "{help}");
    for command in tidewire::cli::Cli::command().get_subcommands().filter(|c| !c.is_hide_set()) {
        let help = goes(&[command.get_name(), "--help"]).stdout;
        assert!(help.contains(&format!("tidewire {}", command.get_name())) && help.contains("Example"), "{help}");
    }
    assert!(fails(&["sreve"], 2).contains("serve"));
    assert!(fails(&["query"], 2).contains("<SQL>"));
    assert!(fails(&["tail", "f", "--json", "--format", "table"], 2).contains("cannot be used with"));
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = goes(&["completions", shell]).stdout;
        assert!(script.contains("dead-letters") && script.contains("init"), "{shell}: {script}");
    }
    assert!(fails(&["completions", "tcsh"], 2).contains("bash"));
    let page = goes(&["man"]).stdout;
    assert!(page.contains(".TH tidewire 1") && page.contains("Exit codes"), "{page}");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let into = dir.path().join("man1");
    goes(&["man", "--dir", &into.display().to_string()]);
    let push = fs::read_to_string(into.join("tidewire-push.1")).expect("a page");
    assert!(push.contains("retime") && into.join("tidewire.1").exists() && !into.join("tidewire-run-query.1").exists());
}

#[test]
fn a_query_prints_a_table_lines_of_json_or_csv() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = start(dir.path());
    let url = server.url();
    let ask = |more: &[&str]| {
        let sql = "SELECT metric, value, value * 2 AS twice FROM latest ORDER BY metric DESC";
        goes(&[&["query", sql, "--url", &url], more].concat()).stdout
    };
    // Numbers stand at the right, and no value commands the terminal.
    let expected = "  metric           value     twice\n  cpu               41.5      83.0\n  a \u{fffd}[2J             1.0       2.0\n";
    assert_eq!(ask(&[]), expected);
    assert_eq!(ask(&["--csv"]).lines().nth(1), Some("cpu,41.5,83.0"));
    let lines: Vec<Value> = ask(&["--json"]).lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    assert_eq!(lines[0], json!({"metric": "cpu", "value": 41.5, "twice": 83.0}));
    let none = goes(&["query", "SELECT * FROM latest WHERE false", "--url", &url]);
    assert_eq!((none.stdout.trim(), none.stderr.as_str()), ("metric           value", "no rows\n"));
    let wrong = fails(&["query", "SELECT valu FROM latest", "--url", &url], 1);
    assert!(wrong.contains("1:8") && wrong.contains("bad_query"), "{wrong}");
    // From a pipe.
    let mut child = Command::new(env!("CARGO_BIN_EXE_tidewire"))
        .args(["query", "-", "--json", "--url", &url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    child.stdin.take().expect("a pipe").write_all(b"SELECT count(*) AS n FROM latest").expect("it reads");
    assert_eq!(child.wait_with_output().expect("it ends").stdout, b"{\"n\":2}\n");
}

#[test]
fn what_is_not_there_is_told_with_the_nearest_that_is() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut server = start(dir.path());
    let url = server.url();
    for (args, expected) in [
        (&["tail", "lattest", "--once"][..], "the server has no feed `lattest`\n  did you mean `latest`?"),
        (&["tail", "other", "--json"], "the server has no feed `other`\n  the feeds are `latest`"),
        (&["rebuild", "lattest"], "did you mean `latest`?"),
        (&["dead-letters", "event"], "the server has no stream `event`\n  did you mean `events`?"),
        (&["replay", "event"], "did you mean `events`?"),
        (&["push", "event", file!()], "say --format"),
        (
            &["push", "event", "--format", "ndjson", "/dev/null"],
            "the server has no stream `event`\n  did you mean `events`?",
        ),
    ] {
        let said = fails(&[args, &["--url", &url]].concat(), 1);
        assert!(said.contains(expected), "{args:?}: {said}");
    }
    let said = fails(&["dead-letters", "events", "--reason", "nope"], 2);
    assert!(said.contains("wrong_type") && said.contains("query_failed"), "{said}");
    server.kill();
    for args in [&["tail", "latest"][..], &["query", "SELECT 1"], &["dead-letters", "events"], &["rebuild", "latest"]] {
        let said = fails(&[args, &["--url", &url]].concat(), 1);
        assert!(said.contains("cannot reach") && said.contains("tidewire serve"), "{args:?}: {said}");
    }
}

#[test]
fn results_are_json_where_that_is_asked_for() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = start(dir.path());
    let url = server.url();
    let value = |ended: &Ended| {
        serde_json::from_str::<Value>(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {}", ended.stdout))
    };
    let config = dir.path().join("tidewire.yaml").display().to_string();
    let good = value(&goes(&["check", "-c", &config, "--json"]));
    assert_eq!(
        (&good["ok"], &good["feeds"][0]["key"], &good["problems"]),
        (&json!(true), &json!(["metric"]), &json!([]))
    );
    let bad = dir.path().join("bad.yaml").display().to_string();
    fs::write(&bad, CONFIG.replace("key: metric", "kye: metric")).expect("a file");
    let checked = tidewire(&["check", "-c", &bad, "--json"]);
    let problem = &value(&checked)["problems"][0];
    assert_eq!((checked.code, &problem["line"]), (Some(1), &json!(7)), "{problem}");
    assert!(problem["hint"].as_str().is_some_and(|hint| hint.contains("key")), "{problem}");
    let events = dir.path().join("events.ndjson").display().to_string();
    fs::write(&events, "{\"metric\":\"b\"}\n{\"metric\":2}\n").expect("a file");
    let pushed = value(&goes(&["push", "events", &events, "--json", "--url", &url]));
    assert_eq!((&pushed["accepted"], &pushed["rejected"]), (&json!(1), &json!(1)));
    wait_for(&server, "latest", |rows| rows.len() == 3);
    let rebuilt = value(&goes(&["rebuild", "latest", "--json", "--url", &url]));
    assert_eq!(rebuilt, json!({"feed": "latest", "rows": 3}));
    let letters = goes(&["dead-letters", "events", "--json", "--url", &url]).stdout;
    assert_eq!(letters.lines().count(), 2, "{letters}");
    let tailed = goes(&["tail", "latest", "--json", "--once", "--url", &url]).stdout;
    let frames: Vec<Value> = tailed.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    assert_eq!((&frames[0]["type"], &frames[1]["type"]), (&json!("subscribed"), &json!("snapshot")));
    // In a pipe nothing moves and nothing is coloured.
    let plain = goes(&["tail", "latest", "--once", "--url", &url]).stdout;
    assert!(!plain.contains('\u{1b}') && plain.starts_with("metric  value\n"), "{plain}");
}

#[test]
fn a_reader_that_has_gone_ends_a_command_without_a_word() {
    for args in [&["schema"][..], &["completions", "bash"], &["man"], &["help"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidewire"));
        let mut child = command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        drop(child.stdout.take());
        let ended = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!((ended.status.code(), said.as_str()), (Some(0), ""), "{args:?}");
    }
}

/// A program on a terminal.
struct Pty {
    child: Child,
    terminal: fs::File,
    seen: Vec<u8>,
}

impl Pty {
    fn start(args: &[&str], environment: &[(&str, &str)]) -> Self {
        let (mut master, mut slave) = (-1, -1);
        let mut size = libc::winsize { ws_row: 12, ws_col: 60, ws_xpixel: 0, ws_ypixel: 0 };
        let (none, no_settings) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: openpty(3) writes two descriptors and reads the size.
        let opened = unsafe { libc::openpty(&raw mut master, &raw mut slave, none, no_settings, &raw mut size) };
        assert_eq!(opened, 0, "a terminal");
        // SAFETY: both were opened just now, and nothing else owns them.
        let (master, slave) = unsafe { (OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(slave)) };
        // SAFETY: fcntl(2) with the number of an open descriptor.
        unsafe { libc::fcntl(master.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidewire"));
        command.args(args).env_remove("NO_COLOR").env("TERM", "xterm").envs(environment.iter().copied());
        let copy = || Stdio::from(slave.try_clone().expect("another descriptor"));
        let child = command.stdin(copy()).stdout(copy()).stderr(copy()).spawn().expect("it runs");
        Self { child, terminal: fs::File::from(master), seen: Vec::new() }
    }

    /// Reads until all of these were seen.
    fn expect(&mut self, texts: &[&str]) {
        let began = Instant::now();
        loop {
            let mut bytes = [0; 4096];
            if let Ok(n) = self.terminal.read(&mut bytes) {
                self.seen.extend_from_slice(&bytes[..n]);
            }
            let seen = String::from_utf8_lossy(&self.seen);
            if texts.iter().all(|text| seen.contains(text)) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{texts:?} never came: {seen:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const ALTERNATE: &str = "\u{1b}[?1049h";
const BACK: &str = "\u{1b}[?1049l";

#[test]
fn on_a_terminal_a_feed_updates_in_place_and_the_terminal_is_given_back() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = start(dir.path());
    let url = server.url();
    let mut tail = Pty::start(&["tail", "latest", "--url", &url], &[]);
    tail.expect(&[ALTERNATE, "latest · 2 rows", "41.5", "q ends"]);
    tail.seen.clear();
    let pushed = dir.path().join("e.ndjson");
    fs::write(&pushed, "{\"metric\":\"cpu\",\"value\":77.25}\n{\"metric\":\"mem\",\"value\":3}\n").expect("a file");
    goes(&["push", "events", &pushed.display().to_string(), "--url", &url]);
    // In place, in colour: only what changed is written.
    tail.expect(&["77.25", "mem"]);
    assert!(!String::from_utf8_lossy(&tail.seen).contains(ALTERNATE));
    tail.terminal.write_all(b"q").expect("it reads");
    tail.expect(&[BACK]);
    assert_eq!(tail.child.wait().expect("it ends").code(), Some(0));
    // What is not there is told on the terminal as it was.
    let mut wrong = Pty::start(&["tail", "lattest", "--url", &url], &[]);
    wrong.expect(&["did you mean `latest`?"]);
    assert!(!String::from_utf8_lossy(&wrong.seen).contains(ALTERNATE));
}

#[test]
fn no_color_and_a_dumb_terminal_are_obeyed() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = start(dir.path());
    let url = server.url();
    let ask = ["query", "SELECT * FROM latest", "--url", &url];
    for (environment, bold) in [(&[][..], true), (&[("NO_COLOR", "1")], false), (&[("TERM", "dumb")], false)] {
        let mut query = Pty::start(&ask, environment);
        query.expect(&["41.5"]);
        assert_eq!(query.seen.contains(&0x1b), bold, "{environment:?}");
        assert_eq!(query.child.wait().expect("it ends").code(), Some(0));
    }
    // A terminal that cannot move its cursor gets lines.
    let mut tail = Pty::start(&["tail", "latest", "--url", &url], &[("TERM", "dumb")]);
    tail.expect(&["cpu", "41.5"]);
    assert!(!tail.seen.contains(&0x1b));
}
