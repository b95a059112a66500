//! What `Replayable` promises, of every kind of file: whatever was read at once, wherever it
//! was interrupted, and whatever happened to the files meanwhile, the same rows and the same
//! dead letters in the same order, and from any position to any later one again.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use config::FileFormat;
use model::DeadLetter;
use proptest::prelude::*;
use sources::{Decoder, FileSource, Format, Limits, Read, Replayable};
use tempfile::TempDir;

use super::{events, rows};

const BOM: char = '\u{feff}';
const LIMITS: Limits = Limits { max_record: 120, max_depth: 8, max_fields: 20, batch_rows: 3, max_decoded: usize::MAX };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One file that is followed and rotated.
    Rotated,
    /// A pattern of plain files that is followed.
    Pattern,
    /// A pattern of packed files, each written at once.
    Packed,
}

#[derive(Debug, Clone)]
enum Step {
    /// Text for the newest file.
    Append(Vec<Line>),
    /// A new file takes its place.
    Next,
    /// So many reads.
    Read(usize),
}

#[derive(Debug, Clone, Copy)]
enum Line {
    Good,
    Bad,
    Long,
    Blank,
    /// Half of a line: what comes next is its rest.
    Half,
}

fn line() -> impl Strategy<Value = Line> {
    prop_oneof![
        6 => Just(Line::Good),
        1 => Just(Line::Bad),
        1 => Just(Line::Long),
        1 => Just(Line::Blank),
        1 => Just(Line::Half),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec(line(), 1..8).prop_map(Step::Append),
        2 => Just(Step::Next),
        4 => (1..6_usize).prop_map(Step::Read),
    ]
}

/// The files, and what was written to each, in order.
struct World {
    dir: TempDir,
    kind: Kind,
    format: FileFormat,
    written: Vec<Vec<u8>>,
    count: usize,
}

impl World {
    fn new(kind: Kind, format: FileFormat) -> Self {
        let world = Self { dir: TempDir::new().expect("a directory"), kind, format, written: Vec::new(), count: 0 };
        if kind == Kind::Rotated {
            fs::write(world.dir.path().join("app.log"), "").expect("writes");
        }
        world
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join(match self.kind {
            Kind::Rotated => "app.log",
            Kind::Pattern | Kind::Packed => "*.log*",
        })
    }

    fn open(&self, chunk: usize) -> FileSource {
        let source = config::FileSource { path: self.path(), format: self.format, follow: true };
        let opened = FileSource::open(&source, &events(), Some("ts"), LIMITS).expect("opens");
        opened.paced(chunk, Duration::ZERO)
    }

    fn text(&mut self, lines: &[Line]) -> Vec<u8> {
        let mut text = Vec::new();
        for line in lines {
            self.count += 1;
            let i = self.count;
            let written = match (line, self.format) {
                // A byte order mark is text anywhere but in the header.
                (Line::Good | Line::Half, FileFormat::Csv) => format!("{BOM}m{i},{i}.5,{i}\n"),
                (Line::Good | Line::Half, _) => format!("{{\"metric\":\"m{i}\",\"value\":{i}.5,\"ts\":{i}}}\r\n"),
                (Line::Bad, _) => format!("bad {i}\n"),
                (Line::Long, FileFormat::Csv) => format!("\"{}\n\",1,{i}\n", "x\"\"".repeat(i % 300 + 60)),
                (Line::Long, _) => format!("{{\"metric\":\"{}\",\"ts\":{i}}}\n", "ü".repeat(i % 700 + 60)),
                (Line::Blank, _) => "\n".to_owned(),
            };
            // In CSV a half may open a quote that nothing closes.
            let half = if matches!(line, Line::Half) && self.format != FileFormat::Csv {
                written.len() / 2
            } else {
                written.len()
            };
            text.extend_from_slice(&written.as_bytes()[..half]);
        }
        text
    }

    fn append(&mut self, lines: &[Line]) {
        let mut text = self.text(lines);
        if self.kind == Kind::Packed || self.written.is_empty() {
            self.written.push(Vec::new());
        }
        let number = self.written.len();
        let last = self.written.last_mut().expect("one was pushed");
        if last.is_empty() && self.format == FileFormat::Csv {
            text.splice(0..0, *b"metric,value,ts\n");
        }
        last.extend_from_slice(&text);
        let (name, bytes) = match (self.kind, number % 3) {
            (Kind::Rotated, _) => ("app.log".to_owned(), text),
            (Kind::Packed, 0) => (format!("{number:04}.log.gz"), gzip(&text)),
            (Kind::Packed, 1) => (format!("{number:04}.log.zst"), zstd::encode_all(&text[..], 1).expect("packs")),
            (Kind::Packed | Kind::Pattern, _) => (format!("{number:04}.log"), text),
        };
        let file = OpenOptions::new().create(true).append(true).open(self.dir.path().join(name));
        file.and_then(|mut file| file.write_all(&bytes)).expect("writes");
    }

    fn next(&mut self) {
        if self.written.last().is_none_or(Vec::is_empty) {
            return;
        }
        self.written.push(Vec::new());
        if self.kind == Kind::Rotated {
            let rotated = |number: usize| self.dir.path().join(format!("app.log.{number}"));
            for number in (1..100).rev().filter(|number| rotated(*number).exists()) {
                fs::rename(rotated(number), rotated(number + 1)).expect("renames");
            }
            fs::rename(self.path(), rotated(1)).expect("renames");
        }
    }

    /// What a decoder makes of each file as a whole.
    fn expected(&self) -> (Vec<String>, Vec<DeadLetter>) {
        let (mut found, mut dead) = (Vec::new(), Vec::new());
        let format = if self.format == FileFormat::Csv { Format::Csv } else { Format::Ndjson };
        let full: Vec<&Vec<u8>> = self.written.iter().filter(|text| !text.is_empty()).collect();
        for text in full {
            let decoded = Decoder::new(&events(), Some("ts"), LIMITS).decode(format, text);
            found.extend(rows(&decoded.batches));
            dead.extend(decoded.rejected.into_iter().map(|r| r.letter));
        }
        (found, dead)
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("packs");
    encoder.finish().expect("packs")
}

fn outcome(reads: &[Read]) -> (Vec<String>, Vec<DeadLetter>) {
    (reads.iter().flat_map(|r| rows(&r.batches)).collect(), reads.iter().flat_map(|r| r.dead.clone()).collect())
}

fn to_rest(source: &mut FileSource, reads: &mut Vec<Read>) {
    let mut quiet = 0;
    while quiet < 3 {
        let read = source.read().expect("reads");
        quiet = if read.caught_up && read.batches.is_empty() && read.dead.is_empty() { quiet + 1 } else { 0 };
        reads.push(read);
    }
}

fn read_until(source: &mut FileSource, end: &str) -> Vec<Read> {
    let mut reads = Vec::new();
    for _ in 0..20_000 {
        reads.push(source.read_until(end).expect("reads"));
        if reads.last().is_some_and(|r| r.position == end) {
            return reads;
        }
    }
    panic!("`{end}` is never reached");
}

fn check(
    world: &mut World,
    steps: &[Step],
    chunks: [usize; 3],
    places: &[prop::sample::Index],
) -> Result<(), TestCaseError> {
    let mut source = world.open(chunks[0]);
    let mut reads = Vec::new();
    for step in steps {
        match step {
            Step::Append(lines) => world.append(lines),
            Step::Next => world.next(),
            Step::Read(times) => {
                for _ in 0..*times {
                    reads.push(source.read().expect("reads"));
                }
            }
        }
    }
    // The last line is whole, so that there is nothing left over.
    world.append(&[Line::Blank, Line::Good]);
    to_rest(&mut source, &mut reads);
    let whole = outcome(&reads);
    let expected = world.expected();
    prop_assert_eq!(&whole.0, &expected.0);
    prop_assert_eq!(&whole.1, &expected.1);

    // From one place to the next, and from the last to the end as if it were new.
    let mut at: Vec<usize> = places.iter().map(|place| place.index(reads.len())).collect();
    at.sort_unstable();
    let mut again = world.open(chunks[1]);
    again.seek(Some(&reads[at[0]].position)).expect("the files are there");
    for pair in at.windows(2) {
        let found = read_until(&mut again, &reads[pair[1]].position);
        prop_assert_eq!(outcome(&found), outcome(&reads[pair[0] + 1..=pair[1]]));
    }
    let mut rest = Vec::new();
    to_rest(&mut again, &mut rest);
    prop_assert_eq!(outcome(&rest), outcome(&reads[at[at.len() - 1] + 1..]));
    // All of it at once, from nothing.
    let mut anew = world.open(chunks[2]);
    let end = &reads[at[at.len() - 1]].position;
    prop_assert_eq!(outcome(&read_until(&mut anew, end)), outcome(&reads[..=at[at.len() - 1]]));
    Ok(())
}

fn run(kind: Kind, format: FileFormat) {
    let cases = if cfg!(debug_assertions) { 60 } else { 1500 };
    let config =
        ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 200, ..ProptestConfig::default() };
    let chunk = || prop_oneof![1..40_usize, Just(1 << 20)];
    let places = prop::collection::vec(any::<prop::sample::Index>(), 1..5);
    proptest!(config, |(steps in prop::collection::vec(step(), 1..25), chunks in [chunk(), chunk(), chunk()], places in places)| {
        check(&mut World::new(kind, format), &steps, chunks, &places)?;
    });
}

#[test]
fn a_file_that_is_rotated() {
    run(Kind::Rotated, FileFormat::Ndjson);
}

#[test]
fn a_csv_file_that_is_rotated() {
    run(Kind::Rotated, FileFormat::Csv);
}

#[test]
fn the_files_of_a_pattern() {
    run(Kind::Pattern, FileFormat::Ndjson);
    run(Kind::Pattern, FileFormat::Csv);
}

#[test]
fn packed_files() {
    run(Kind::Packed, FileFormat::Ndjson);
    run(Kind::Packed, FileFormat::Csv);
}

#[test]
fn the_test_can_fail() {
    // A reading that loses a line is not what the decoder makes of the files.
    let mut world = World::new(Kind::Pattern, FileFormat::Ndjson);
    world.append(&[Line::Good, Line::Good]);
    let expected = world.expected();
    fs::write(Path::new(&world.dir.path().join("0001.log")), world.written[0].split_at(20).1).expect("writes");
    let mut reads = Vec::new();
    to_rest(&mut world.open(10), &mut reads);
    assert_ne!(outcome(&reads), expected);
}
