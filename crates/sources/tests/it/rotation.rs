//! Followed files that are rotated: nothing twice, nothing left out, in order.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::Path,
    time::Duration,
};

use config::FileFormat;
use sources::{FileSource, Limits, Replayable, SourceError};
use tempfile::TempDir;

use super::{
    file::{append, line, open_with, outcome, read_all, read_until},
    rows,
};

fn follow(path: &Path) -> FileSource {
    let opened = open_with(path, FileFormat::Ndjson, true, Limits::default());
    opened.expect("the file opens").paced(1 << 20, Duration::from_millis(1))
}

/// The numbers of the lines that a source has, until it has been caught up with for a while.
fn numbers(source: &mut FileSource) -> Vec<u64> {
    let (mut found, mut quiet) = (Vec::new(), 0);
    while quiet < 3 {
        let read = source.read().expect("reads");
        found.extend(rows(&read.batches));
        quiet = if read.caught_up && read.batches.is_empty() { quiet + 1 } else { 0 };
    }
    let number = |row: &String| serde_json::from_str::<serde_json::Value>(row).expect("JSON")["ts"].as_u64();
    found.iter().filter_map(number).collect()
}

fn lines(numbers: impl IntoIterator<Item = usize>) -> String {
    numbers.into_iter().map(line).collect()
}

fn gzip(path: &Path) {
    let packed = path.with_file_name(format!("{}.gz", path.file_name().and_then(|n| n.to_str()).expect("a name")));
    let mut encoder =
        flate2::write::GzEncoder::new(File::create(&packed).expect("creates"), flate2::Compression::fast());
    encoder.write_all(&fs::read(path).expect("reads")).expect("packs");
    let file = encoder.finish().expect("packs");
    file.set_modified(fs::metadata(path).and_then(|m| m.modified()).expect("a time")).expect("sets");
    fs::remove_file(path).expect("removes");
}

#[test]
fn the_old_file_is_read_to_its_end_before_the_new_one() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("app.log");
    append(&path, &lines([1, 2]));
    let mut source = follow(&path);
    assert_eq!(numbers(&mut source), [1, 2]);
    let rotated = dir.path().join("app.log.1");
    fs::rename(&path, &rotated).expect("renames");
    // The writer still has the old file open, and the new one is not there yet, or empty.
    append(&rotated, &lines([3]));
    assert_eq!(numbers(&mut source), [3]);
    File::create(&path).expect("creates");
    append(&rotated, &lines([4]));
    assert_eq!(numbers(&mut source), [4]);
    append(&rotated, "{\"ts\":5}");
    append(&path, &lines([6]));
    // The old file's last line needs no end any more.
    assert_eq!(numbers(&mut source), [5, 6]);
    append(&path, &lines([7]));
    assert_eq!(numbers(&mut source), [7]);
}

#[test]
fn a_restart_finds_its_place_after_several_rotations_some_of_them_packed() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("app.log");
    let rotated = |number: usize| dir.path().join(format!("app.log.{number}"));
    append(&path, &lines(1..5));
    let mut source = follow(&path);
    assert_eq!(numbers(&mut source), [1, 2, 3, 4]);
    let position = source.read().expect("reads").position;
    append(&path, &lines(5..8));
    for (older, content) in [(1, 8..10), (2, 10..12), (3, 12..14)] {
        for number in (1..older).rev() {
            let from = if number == 1 { rotated(1) } else { dir.path().join(format!("app.log.{number}.gz")) };
            if number == 1 {
                fs::rename(&from, rotated(2)).expect("renames");
                gzip(&rotated(2));
            } else {
                fs::rename(&from, dir.path().join(format!("app.log.{}.gz", number + 1))).expect("renames");
            }
        }
        fs::rename(&path, rotated(1)).expect("renames");
        append(&path, &lines(content));
    }
    let mut names: Vec<_> = fs::read_dir(dir.path()).expect("lists").map(|e| e.expect("lists").file_name()).collect();
    names.sort();
    assert_eq!(names, ["app.log", "app.log.1", "app.log.2.gz", "app.log.3.gz"]);
    let mut again = follow(&path);
    again.seek(Some(&position)).expect("it is still there, packed");
    assert_eq!(numbers(&mut again), (5..14).collect::<Vec<u64>>());
    // At the very end of a file that was rotated away: the ones behind it come next.
    let mut end = follow(&path);
    end.seek(Some(&position)).expect("it is there");
    let last = numbers(&mut end).len();
    assert_eq!(last, 9);
    let at_end = end.read().expect("reads").position;
    fs::rename(&path, rotated(0)).expect("renames");
    append(&path, &lines([20]));
    let mut later = follow(&path);
    later.seek(Some(&at_end)).expect("it is there");
    assert_eq!(numbers(&mut later), [20]);
}

#[test]
fn a_file_that_is_copied_and_cut_is_read_on_in_its_copy() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("app.log");
    append(&path, &lines([1, 2]));
    let mut source = follow(&path);
    assert_eq!(numbers(&mut source), [1, 2]);
    let position = source.read().expect("reads").position;
    // Written before the copy was made, and not read yet.
    append(&path, &lines([3]));
    fs::copy(&path, dir.path().join("app.log.1")).expect("copies");
    OpenOptions::new().write(true).open(&path).and_then(|f| f.set_len(0)).expect("cuts");
    append(&path, &lines([4]));
    assert_eq!(numbers(&mut source), [3, 4]);
    let end = source.read().expect("reads").position;
    // And the same again from before it.
    let mut again = follow(&path);
    again.seek(Some(&position)).expect("the copy is there");
    let (found, _, at) = outcome(&read_until(&mut again, &end));
    assert_eq!((found.len(), at), (2, end));
}

#[test]
fn a_file_that_was_cut_without_a_copy_is_read_on_from_its_start() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("app.log");
    append(&path, &lines([1, 2]));
    let mut source = follow(&path);
    assert_eq!(numbers(&mut source), [1, 2]);
    // Shorter than it was.
    fs::write(&path, lines([3])).expect("writes");
    assert_eq!(numbers(&mut source), [3]);
    // Longer than it was, with another beginning.
    fs::write(&path, lines([4, 5, 6])).expect("writes");
    assert_eq!(numbers(&mut source), [4, 5, 6]);
}

#[test]
fn what_is_gone_is_said() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("app.log");
    append(&path, &lines([1, 2]));
    let mut source = follow(&path);
    numbers(&mut source);
    let position = source.read().expect("reads").position;
    fs::remove_file(&path).expect("removes");
    append(&path, &lines([7, 8, 9]));
    let error = follow(&path).seek(Some(&position)).expect_err("another file");
    assert!(matches!(error, SourceError::Changed { .. }), "{error}");
    // A neighbour of a similar name is none of its rotations.
    append(&dir.path().join("app.log.bak"), &lines([1, 2, 3]));
    assert!(follow(&path).seek(Some(&position)).is_err());
    append(&dir.path().join("app.log.1"), &lines([1, 2, 3]));
    let mut found = follow(&path);
    found.seek(Some(&position)).expect("a rotation");
    assert_eq!(numbers(&mut found), [3, 7, 8, 9]);
}

#[test]
fn a_packed_file_that_is_being_written_is_awaited() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("events.ndjson.zst");
    let frame = |text: String| zstd::stream::encode_all(text.as_bytes(), 3).expect("packs");
    let (first, second) = (frame(lines(0..100)), frame(lines(100..200)));
    fs::write(&path, [&first[..], &second[..20]].concat()).expect("writes");
    let mut source = follow(&path);
    assert_eq!(numbers(&mut source).len(), 100);
    fs::write(&path, [&first[..], &second].concat()).expect("writes");
    assert_eq!(numbers(&mut source), (100..200).collect::<Vec<u64>>());
    // Read once, a file that breaks off is damaged.
    fs::write(&path, &first[..first.len() - 3]).expect("writes");
    let mut once = open_with(&path, FileFormat::Ndjson, false, Limits::default()).expect("opens");
    let error = loop {
        match once.read() {
            Ok(read) => assert!(!read.ended, "a damaged file has no end"),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().starts_with("cannot read `"), "{error}");
    assert!(read_all(&mut follow(&path)).len() < 100);
}
