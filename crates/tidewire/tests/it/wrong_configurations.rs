//! What `tidewire check` says of wrong configurations: `golden/check.txt` holds each with
//! the exact answer, and where the answer says what to do, the configuration after doing it.
//!
//! After a change of messages: `TIDEWIRE_WRITE_GOLDEN=1 cargo test -p tidewire wrong_configurations`
//! rewrites the answers; read each as the user who made the mistake.

use std::{
    fmt::Write as _,
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::Command,
};

use serde_json::Value;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/check.txt");

/// A part of a case: its heading behind `--- `, and the lines below.
struct Part<'a> {
    heading: &'a str,
    text: String,
}

struct Case<'a> {
    title: &'a str,
    parts: Vec<Part<'a>>,
}

impl Case<'_> {
    fn part(&self, heading: &str) -> Option<&str> {
        self.parts.iter().find(|p| p.heading == heading).map(|p| p.text.as_str())
    }

    /// The files of the case, with their bytes.
    fn files(&self, streams: &str) -> Vec<(&str, Vec<u8>)> {
        let file = |part: &Part<'_>| {
            let words: Vec<&str> = part.heading.split(' ').collect();
            match words.as_slice() {
                ["file", name] => Some(((*name).to_owned(), part.text.clone().into_bytes())),
                ["file", name, "+", "streams"] => Some(((*name).to_owned(), format!("{}{streams}", part.text).into())),
                ["bytes", name] => Some(((*name).to_owned(), bytes(&part.text))),
                ["file", name, "times", n] => Some(((*name).to_owned(), part.text.repeat(n.parse().ok()?).into())),
                _ => None,
            }
        };
        self.parts.iter().filter_map(|part| Some((part.heading.split(' ').nth(1)?, file(part)?.1))).collect()
    }
}

/// Lines of text with `\xff` for a byte that is none.
fn bytes(text: &str) -> Vec<u8> {
    let mut pieces = text.trim_end_matches('\n').split("\\x");
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (byte, rest) = piece.split_at(2);
        bytes.push(u8::from_str_radix(byte, 16).expect("two digits"));
        bytes.extend(rest.as_bytes());
    }
    bytes
}

/// What stands before the first case, the streams of the heading `=== streams`, the cases.
fn read(golden: &str) -> (&str, String, Vec<Case<'_>>) {
    let (preface, rest) = golden.split_once("=== ").expect("a case");
    let mut cases: Vec<Case<'_>> = rest
        .split("\n=== ")
        .map(|case| {
            let (title, rest) = case.split_once('\n').expect("a title on its line");
            let mut parts: Vec<Part<'_>> = Vec::new();
            for line in rest.lines() {
                if let Some(heading) = line.strip_prefix("--- ") {
                    parts.push(Part { heading, text: String::new() });
                } else if let Some(part) = parts.last_mut() {
                    part.text.push_str(line);
                    part.text.push('\n');
                }
            }
            for part in &mut parts {
                // The empty line between two cases.
                if part.text.ends_with("\n\n") {
                    part.text.pop();
                }
                if part.text == "\n" {
                    part.text.clear();
                }
            }
            Case { title, parts }
        })
        .collect();
    let streams = cases.remove(0);
    assert_eq!(streams.title, "streams");
    (preface, streams.parts[0].text.clone(), cases)
}

fn run(dir: &Path, case: &Case<'_>, files: &[(&str, Vec<u8>)], json: bool) -> (bool, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidewire"));
    command.current_dir(dir).arg("check").env_remove("TIDEWIRE_CONFIG");
    match case.part("arguments") {
        Some(arguments) => {
            command.args(arguments.split_whitespace());
        }
        None if files.iter().any(|(name, _)| *name != "tidewire.yaml") => {
            command.args(["-c", "."]);
        }
        None => {}
    }
    if json {
        command.arg("--json");
    }
    for line in case.part("environment").into_iter().flat_map(str::lines) {
        let (name, value) = line.split_once('=').expect("NAME=VALUE");
        command.env(name, value);
    }
    let output = command.output().expect("the binary was built for this test");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

/// The same words as without `--json`.
fn from_json(text: &str) -> String {
    let answer: Value = serde_json::from_str(text).expect("one object");
    let problems = answer["problems"].as_array().expect("a list");
    let mut lines = String::new();
    for problem in problems {
        if let Some(file) = problem["file"].as_str() {
            let _ = write!(lines, "{file}:{}:{}: ", problem["line"], problem["column"]);
        }
        lines.push_str(problem["message"].as_str().expect("a message"));
        lines.push('\n');
        if let Some(hint) = problem["hint"].as_str() {
            let _ = writeln!(lines, "  {hint}");
        }
    }
    let _ = writeln!(lines, "{} problem{}", problems.len(), if problems.len() == 1 { "" } else { "s" });
    lines
}

/// Files with the `-` lines of a mend taken out and the `+` lines put where the first of
/// those before them stood; at the end if none was.
fn mended(files: &[(&str, Vec<u8>)], mend: &str) -> Result<Vec<(String, String)>, String> {
    let mut files: Vec<(String, Vec<String>)> = files
        .iter()
        .map(|(name, bytes)| (name.to_string(), String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect()))
        .collect();
    let mut place: Option<(usize, usize)> = None;
    let mut adding = true;
    for line in mend.lines() {
        if let Some(new) = line.strip_prefix('+') {
            let (file, at) = place.unwrap_or_else(|| (0, files[0].1.len()));
            files[file].1.insert(at, new.to_owned());
            place = Some((file, at + 1));
            adding = true;
        } else {
            let old = line.strip_prefix('-').ok_or_else(|| format!("neither - nor +: {line}"))?;
            let found = files
                .iter()
                .enumerate()
                .find_map(|(file, (_, lines))| lines.iter().position(|line| line == old).map(|at| (file, at)));
            let (file, at) = found.ok_or_else(|| format!("no such line to mend: {old}"))?;
            files[file].1.remove(at);
            if adding {
                place = Some((file, at));
            }
            adding = false;
        }
    }
    Ok(files.into_iter().map(|(name, lines)| (name, lines.join("\n") + "\n")).collect())
}

#[test]
fn each_is_answered_with_place_cause_and_remedy() {
    let golden = fs::read_to_string(GOLDEN).expect("the golden file");
    let (preface, streams, cases) = read(&golden);
    assert!(cases.len() >= 60, "{} cases", cases.len());
    let mut new = format!("{preface}=== streams\n--- file\n{streams}");
    let mut wrong = String::new();
    for case in &cases {
        let files = case.files(&streams);
        let dir = tempfile::tempdir().expect("a temporary directory");
        for (name, bytes) in &files {
            fs::write(dir.path().join(name), bytes).expect("a file");
        }
        let (fine, stdout, stderr) = run(dir.path(), case, &files, false);
        let _ = write!(new, "\n=== {}\n", case.title);
        for part in &case.parts {
            let text = if part.heading == "says" { &stderr } else { &part.text };
            let _ = write!(new, "--- {}\n{text}", part.heading);
        }
        let mut complain = |what: String| {
            let _ = write!(wrong, "\n=== {}\n{what}", case.title);
        };
        if fine || !stdout.is_empty() {
            complain(format!("it passes as right: {stdout}"));
        }
        if case.part("says") != Some(stderr.as_str()) {
            complain(format!("says now:\n{stderr}"));
        }
        let (_, json, _) = run(dir.path(), case, &files, true);
        if from_json(&json) != stderr {
            complain(format!("--json says: {json}"));
        }
        if let Some(mend) = case.part("mend") {
            match mended(&files, mend) {
                Ok(files) => {
                    for (name, text) in files {
                        fs::write(dir.path().join(name), text).expect("a file");
                    }
                }
                Err(what) => complain(what),
            }
            let (fine, _, stderr) = run(dir.path(), case, &files, false);
            if !fine {
                complain(format!("after the mend:\n{stderr}"));
            }
        }
    }
    if std::env::var_os("TIDEWIRE_WRITE_GOLDEN").is_some() {
        fs::write(GOLDEN, &new).expect("the golden file is written");
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_file_that_may_not_be_read_is_named() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    // Root may read everything, so the program runs as somebody else, who must find it.
    let program = dir.path().join("tidewire");
    fs::copy(env!("CARGO_BIN_EXE_tidewire"), &program).expect("a copy");
    let rights = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    rights(dir.path(), 0o755);
    let file = dir.path().join("tidewire.yaml");
    fs::write(&file, "streams: {}\n").expect("a file");
    rights(&file, 0o000);
    let mut command = Command::new(&program);
    command.current_dir(dir.path()).arg("check").env_remove("TIDEWIRE_CONFIG");
    // SAFETY: geteuid(2) cannot fail.
    if unsafe { libc::geteuid() } == 0 {
        command.uid(65_534).gid(65_534);
    }
    let output = command.output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        said,
        "tidewire.yaml: may not be read\n  let the user who runs tidewire read it: `chmod a+r tidewire.yaml`\n1 problem\n"
    );
}
