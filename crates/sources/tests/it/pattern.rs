//! The files of a pattern, one behind the other.

use std::{fs, path::Path, time::Duration};

use config::FileFormat;
use sources::{FileSource, Limits, Replayable, SourceError};
use tempfile::TempDir;

use super::file::{append, line, open_with, outcome, read_all, read_until};

fn open(dir: &Path, pattern: &str, follow: bool) -> Result<FileSource, SourceError> {
    let opened = open_with(&dir.join(pattern), FileFormat::Ndjson, follow, Limits::default())?;
    Ok(opened.paced(1 << 20, Duration::from_millis(1)))
}

fn number(row: &str) -> u64 {
    serde_json::from_str::<serde_json::Value>(row).expect("JSON")["ts"].as_u64().expect("a number")
}

/// Reads until it ends.
fn to_end(source: &mut FileSource) -> Vec<u64> {
    let mut found = Vec::new();
    loop {
        let read = source.read().expect("reads");
        found.extend(super::rows(&read.batches).iter().map(|row| number(row)));
        if read.ended {
            return found;
        }
    }
}

/// Reads until it has been caught up with for a while.
fn to_rest(source: &mut FileSource) -> Vec<u64> {
    let (mut found, mut quiet) = (Vec::new(), 0);
    while quiet < 3 {
        let read = source.read().expect("reads");
        found.extend(super::rows(&read.batches).iter().map(|row| number(row)));
        quiet = if read.caught_up && read.batches.is_empty() { quiet + 1 } else { 0 };
    }
    found
}

#[test]
fn files_are_read_in_the_order_of_their_names_packed_or_not() {
    let dir = TempDir::new().expect("a directory");
    let text: Vec<String> = (0..6).map(line).collect();
    fs::write(dir.path().join("b.ndjson"), text[2..4].concat()).expect("writes");
    let packed = zstd::stream::encode_all(text[0..2].concat().as_bytes(), 3).expect("packs");
    fs::write(dir.path().join("a.ndjson.zst"), packed).expect("writes");
    // The last line of a file needs no end, and an empty file is none.
    fs::write(dir.path().join("c.ndjson"), text[4].trim_end()).expect("writes");
    fs::write(dir.path().join("d.ndjson"), "").expect("writes");
    fs::write(dir.path().join("e.ndjson"), &text[5]).expect("writes");
    fs::write(dir.path().join("other.csv"), "x").expect("writes");
    fs::write(dir.path().join(".hidden.ndjson"), "x").expect("writes");
    let mut source = open(dir.path(), "*.ndjson*", false).expect("opens");
    assert_eq!(to_end(&mut source), [0, 1, 2, 3, 4, 5]);
    assert!(source.read().expect("reads").ended);
}

#[test]
fn no_match_is_an_error_once_and_awaited_by_one_that_follows() {
    let dir = TempDir::new().expect("a directory");
    let error = open(dir.path(), "*.ndjson", false).expect_err("nothing is there").to_string();
    assert!(error.ends_with("no file matches"), "{error}");
    let mut source = open(dir.path(), "*.ndjson", true).expect("waits");
    let read = source.read().expect("reads");
    assert!(read.caught_up && !read.ended);
    // A position before the first file is one, too.
    let mut again = open(dir.path(), "*.ndjson", true).expect("waits");
    again.seek(Some(&read.position)).expect("a position");
    append(&dir.path().join("a.ndjson"), &line(1));
    assert_eq!(to_rest(&mut source), [1]);
    let end = source.read().expect("reads").position;
    assert_eq!(outcome(&read_until(&mut again, &end)).0.len(), 1);
}

#[test]
fn new_files_are_found_while_following() {
    let dir = TempDir::new().expect("a directory");
    let path = |name: &str| dir.path().join(name);
    append(&path("1.ndjson"), &line(1));
    let mut source = open(dir.path(), "*.ndjson", true).expect("opens");
    assert_eq!(to_rest(&mut source), [1]);
    append(&path("1.ndjson"), &line(2));
    append(&path("2.ndjson"), &line(3));
    assert_eq!(to_rest(&mut source), [2, 3]);
    append(&path("2.ndjson"), &line(4));
    append(&path("3.ndjson"), "");
    append(&path("4.ndjson"), &line(5));
    assert_eq!(to_rest(&mut source), [4, 5]);
}

#[test]
fn a_replay_reads_what_was_read_then_and_says_what_cannot_be_read() {
    let dir = TempDir::new().expect("a directory");
    let path = |i: usize| dir.path().join(format!("{i:02}.ndjson"));
    for i in 0..20 {
        append(&path(i), &(line(2 * i) + &line(2 * i + 1)));
    }
    let reads = read_until_end(dir.path());
    let (found, _, end) = outcome(&reads);
    assert_eq!(found.len(), 40);
    let replay = |from: Option<&str>| {
        let mut source = open(dir.path(), "*.ndjson", false).expect("opens");
        source.seek(from)?;
        let mut rows = Vec::new();
        loop {
            let read = source.read_until(&end)?;
            rows.extend(super::rows(&read.batches));
            if read.position == end {
                return Ok::<_, SourceError>(rows);
            }
        }
    };
    assert_eq!(replay(None).expect("reads"), found);
    // What one of the last files got since is not part of it, nor is a file between them.
    append(&path(17), &line(99));
    append(&dir.path().join("155.ndjson"), &line(99));
    assert_eq!(replay(None).expect("reads"), found);
    // What one of the first got is: the position no longer remembers where it ended.
    append(&path(3), &line(99));
    let error = replay(None).expect_err("it grew").to_string();
    assert!(error.contains("what was read before it is another"), "{error}");
    fs::remove_file(path(18)).expect("removes");
    let near =
        reads.iter().rev().find(|r| r.position.contains("17.ndjson\",\"offset")).expect("a read").position.clone();
    assert!(matches!(replay(Some(&near)), Err(SourceError::Open { .. })));
}

fn read_until_end(dir: &Path) -> Vec<sources::Read> {
    let mut source = open(dir, "*.ndjson", false).expect("opens");
    let mut reads = Vec::new();
    loop {
        reads.push(source.read().expect("reads"));
        if reads.last().is_some_and(|r| r.ended) {
            return reads;
        }
    }
}

#[test]
fn every_csv_file_has_a_header_of_its_own() {
    let dir = TempDir::new().expect("a directory");
    fs::write(dir.path().join("a.csv"), "metric,value,ts\na,1,1\n").expect("writes");
    fs::write(dir.path().join("b.csv"), "ts,metric\n2,b\n").expect("writes");
    let mut source = open_with(&dir.path().join("?.csv"), FileFormat::Csv, false, Limits::default()).expect("opens");
    assert_eq!(to_end(&mut source), [1, 2]);
    assert!(read_all(&mut source).len() == 1);
}

#[test]
fn more_files_than_a_source_may_have_are_said() {
    let dir = TempDir::new().expect("a directory");
    for i in 0..=sources::file::MAX_FILES {
        fs::write(dir.path().join(format!("{i}.ndjson")), "").expect("writes");
    }
    let error = open(dir.path(), "*.ndjson", true).expect_err("too many").to_string();
    assert!(error.contains("more than 10000 files match"), "{error}");
}
