//! Files, once and followed.

use std::{
    fs::{self, File, OpenOptions},
    io::{Seek, SeekFrom, Write},
    path::Path,
};

use config::FileFormat;
use model::{Reason, dead_letter::MAX_RAW};
use sources::{FileSource, Limits, Read, Replayable, SourceError};
use tempfile::TempDir;

use super::{events, rows};

pub(crate) fn open_with(
    path: &Path,
    format: FileFormat,
    follow: bool,
    limits: Limits,
) -> Result<FileSource, SourceError> {
    let source = config::FileSource { path: path.to_owned(), format, follow };
    FileSource::open(&source, &events(), Some("ts"), limits)
}

pub(crate) fn open(path: &Path, format: FileFormat, follow: bool) -> FileSource {
    open_with(path, format, follow, Limits::default()).expect("the file opens")
}

pub(crate) fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).expect("opens");
    file.write_all(text.as_bytes()).expect("writes");
}

pub(crate) fn line(i: usize) -> String {
    format!("{{\"metric\":\"m\",\"value\":{i}.5,\"ts\":{i}}}\n")
}

/// Reads until there is nothing more at the moment.
pub(crate) fn read_all(source: &mut FileSource) -> Vec<Read> {
    let mut reads = Vec::new();
    loop {
        let read = source.read().expect("reads");
        let done = read.caught_up;
        reads.push(read);
        if done {
            return reads;
        }
    }
}

/// Rows and dead letters of reads, and the last position.
pub(crate) fn outcome(reads: &[Read]) -> (Vec<String>, Vec<(Reason, String)>, String) {
    let letters = reads.iter().flat_map(|r| &r.dead).map(|l| (l.reason, l.message.clone()));
    let position = reads.last().map(|r| r.position.clone()).unwrap_or_default();
    (reads.iter().flat_map(|r| rows(&r.batches)).collect(), letters.collect(), position)
}

pub(crate) fn read_until(source: &mut FileSource, end: &str) -> Vec<Read> {
    let mut reads = Vec::new();
    loop {
        let read = source.read_until(end).expect("reads");
        let done = read.position == end;
        reads.push(read);
        if done {
            return reads;
        }
    }
}

#[test]
fn a_file_read_once_ends_and_its_last_line_needs_no_end() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("events.ndjson");
    append(&path, &format!("{}bad\n{}", line(1), line(2).trim_end()));
    let reads = read_all(&mut open(&path, FileFormat::Ndjson, false));
    let (found, dead, _) = outcome(&reads);
    assert_eq!((found.len(), dead.len()), (2, 1));
    assert!(reads.last().is_some_and(|r| r.ended));
}

#[test]
fn a_followed_file_waits_for_a_line_to_be_whole() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("events.ndjson");
    append(&path, &line(1));
    append(&path, "{\"ts\":");
    let mut source = open(&path, FileFormat::Ndjson, true);
    let first = source.read().expect("reads");
    assert_eq!((rows(&first.batches).len(), first.caught_up, first.ended), (1, true, false));
    assert!(source.read().expect("reads").batches.is_empty());
    append(&path, "2}\n");
    let second = source.read().expect("reads");
    assert_eq!(rows(&second.batches), [r#"{"metric":null,"value":null,"ts":2}"#]);
}

/// Long enough for several reads, with bad lines among them.
fn long_file(path: &Path, format: FileFormat) {
    let header = if format == FileFormat::Csv { "metric,value,ts\r\n" } else { "" };
    let record = |i: usize| match (format, i % 1000) {
        (_, 500) => "bad\n".to_owned(),
        (FileFormat::Ndjson, 600) => format!("{{\"metric\":\"{}\"}}\n", "x".repeat(3000)),
        (_, 600) => format!("\"{}\n\n\",1,1\r\n", "x\"\"".repeat(1000)),
        (FileFormat::Ndjson, _) => line(i),
        (_, 700) => format!("\"two\r\nlines\",{i},{i}\n"),
        (_, _) => format!("some metric of this host,{i},{i}\n"),
    };
    let text = header.to_owned() + &(0..30_000).map(record).collect::<Vec<_>>().concat();
    append(path, &text);
}

#[test]
fn reading_again_from_any_position_gives_the_same() {
    let limits = Limits { max_record: 2000, batch_rows: 1000, ..Limits::default() };
    for format in [FileFormat::Ndjson, FileFormat::Csv] {
        let dir = TempDir::new().expect("a directory");
        let path = dir.path().join("events");
        long_file(&path, format);
        for follow in [false, true] {
            let reads = read_all(&mut open_with(&path, format, follow, limits).expect("opens"));
            assert!(reads.len() > 1, "the file is too short to tell");
            let whole = outcome(&reads);
            assert_eq!((whole.0.len(), whole.1.len()), (29_940, 60));
            assert_eq!(whole.1[1].0, Reason::TooLarge);
            for (i, from) in reads.iter().enumerate() {
                let mut source = open_with(&path, format, follow, limits).expect("opens");
                source.seek(Some(&from.position)).expect("the file is the same");
                let again = outcome(&read_until(&mut source, &whole.2));
                let (found, dead, _) = outcome(&reads[i + 1..]);
                assert_eq!(again, (found, dead, whole.2.clone()));
            }
            let mut source = open_with(&path, format, follow, limits).expect("opens");
            let first = read_until(&mut source, &reads[0].position);
            assert_eq!(outcome(&first), outcome(&reads[..1]));
        }
    }
}

#[test]
fn one_gigabyte_in_one_line_is_one_dead_letter() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("events.ndjson");
    append(&path, &line(1));
    // A hole in the file reads as a gigabyte of zeros without taking place on the disk.
    let mut file = OpenOptions::new().write(true).open(&path).expect("opens");
    file.seek(SeekFrom::Start(1 << 30)).expect("seeks");
    file.write_all(format!("\n{}", line(2)).as_bytes()).expect("writes");
    drop(file);
    let mut source = open(&path, FileFormat::Ndjson, false);
    let reads = read_all(&mut source);
    let (found, dead, _) = outcome(&reads);
    assert_eq!(found.len(), 2);
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].0, Reason::TooLarge);
    assert!(reads.iter().flat_map(|r| &r.dead).all(|l| l.raw.len() == MAX_RAW));
    // Until it is read over, the position stays before it: a restart finds it whole.
    assert!(reads.iter().filter(|r| r.position == reads[0].position).count() > 1);
}

#[test]
fn a_missing_file_is_named() {
    let error = open_with(Path::new("no/such/file.csv"), FileFormat::Csv, true, Limits::default());
    let message = error.expect_err("there is no such file").to_string();
    assert!(message.starts_with("cannot open `no/such/file.csv`: No such file"), "{message}");
    let dir = TempDir::new().expect("a directory");
    assert!(open_with(dir.path(), FileFormat::Csv, true, Limits::default()).is_err());
}

#[test]
fn a_file_that_changed_is_said_and_never_read_on() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("events.ndjson");
    append(&path, &(line(1) + &line(2)));
    let position = read_all(&mut open(&path, FileFormat::Ndjson, false)).pop().expect("a read").position;
    let seek = || open(&path, FileFormat::Ndjson, true).seek(Some(&position)).map_err(|e| e.to_string());
    seek().expect("unchanged");
    append(&path, &line(3));
    seek().expect("it grew");

    File::create(&path).expect("creates");
    append(&path, &line(1));
    let message = seek().expect_err("it was cut");
    assert!(message.contains("is not the file that was read before: it has 34 bytes"), "{message}");
    append(&path, &(line(7) + &line(8)));
    assert!(seek().expect_err("it is another").contains("its beginning is another"));
    for bad in ["", "12", "x:1", "1:x", "-1:0"] {
        let error = open(&path, FileFormat::Ndjson, true).seek(Some(bad));
        assert!(matches!(error, Err(SourceError::BadPosition(_))), "{bad}");
    }
}

#[test]
fn a_header_that_does_not_fit_is_said_and_one_that_comes_is_awaited() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("events.csv");
    append(&path, "metric,val");
    let mut source = open(&path, FileFormat::Csv, true);
    assert!(source.read().expect("reads").batches.is_empty());
    append(&path, "ue,ts\na,1,1\n");
    let reads = read_all(&mut source);
    assert_eq!(outcome(&reads).0.len(), 1);
    // From the middle, the header is read from the start.
    append(&path, "b,2,2\n");
    let mut again = open(&path, FileFormat::Csv, true);
    again.seek(Some(&reads[reads.len() - 1].position)).expect("the same file");
    assert_eq!(outcome(&read_all(&mut again)).0, [r#"{"metric":"b","value":2.0,"ts":2}"#]);

    fs::write(&path, "a,b\n1,2\n").expect("writes");
    let error = open(&path, FileFormat::Csv, false).read().expect_err("no `ts`");
    assert!(error.to_string().contains("the header line lacks \"ts\""), "{error}");
    fs::write(&path, "").expect("writes");
    assert!(open(&path, FileFormat::Csv, false).read().expect("an empty file is empty").ended);
}
