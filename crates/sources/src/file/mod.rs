//! Files: NDJSON, CSV and Parquet, packed or not, read once or followed as they grow.
//!
//! The file is the log: its events are not copied. A source has one file, or the files of a
//! pattern, one behind the other in the order of their names; a followed file has those that
//! it was rotated to before it. So all its records stand in one order, and a position is a
//! place in it: the file, the offset of the next record, and hashes that tell whether the
//! files are still those that were read.
//!
//! # Layout
//!
//! - `series`: which files there are, and their order
//! - `position`: where a source stands, as text
//! - `input`: the bytes of one file, packed or not
//! - `text`, `parquet`: one file, record by record
//! - `find`: a file under another name, in a copy, or packed
//! - [`FileSource`]: one file after the other, and what happens to them meanwhile

mod find;
mod input;
mod parquet;
mod position;
mod series;
mod text;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use config::{FileFormat, StreamColumn};

pub use self::series::MAX_FILES;
use self::{
    input::Input,
    parquet::ParquetFile,
    position::{Done, Passed, Position},
    series::{Found, Series},
    text::{Piece, TextFile},
};
use crate::{
    decode::{Decoder, Format, Limits},
    replay::{Read, Replayable, SourceError},
};

/// Bytes of one read: large enough for few system calls, small enough for a processor's cache.
const CHUNK: usize = 1 << 20;
/// How long a read waits at the end of what there is.
const POLL: Duration = Duration::from_millis(50);
/// How often a pattern is looked up: there may be many files.
const LOOK_UP: Duration = Duration::from_secs(1);

/// Files as a source.
#[derive(Debug)]
pub struct FileSource {
    series: Series,
    format: FileFormat,
    follow: bool,
    decoder: Decoder,
    columns: parquet::Columns,
    pace: Pace,
    /// The file that is being read; `None` before the first of a pattern is there.
    current: Option<Current>,
    passed: Passed,
    /// What comes behind the current file. It has begun, so that the current one is complete.
    next: Option<Found>,
    /// Whether the last read found the end of what there is.
    idle: bool,
    /// When the pattern was last looked up.
    looked: Option<Instant>,
    /// How many files stood before the current one then.
    before: Option<usize>,
}

/// How much is read at once, and how long is waited for more.
#[derive(Debug, Clone, Copy)]
struct Pace {
    chunk: usize,
    poll: Duration,
    look_up: Duration,
}

#[derive(Debug)]
struct Current {
    name: String,
    /// Its number on the disk, where it may get another name; else 0.
    inode: u64,
    reader: Reader,
}

#[derive(Debug)]
enum Reader {
    Text(TextFile),
    Parquet(ParquetFile),
}

impl FileSource {
    /// Opens the file, which must exist; of a pattern that is followed, files may come later.
    pub fn open(
        source: &config::FileSource,
        columns: &[StreamColumn],
        event_time: Option<&str>,
        limits: Limits,
    ) -> Result<Self, SourceError> {
        let mut decoder = Decoder::new(columns, event_time, limits);
        decoder.keep_all_rejections();
        let mut opened = Self {
            series: Series::new(&source.path, source.follow),
            format: source.format,
            follow: source.follow,
            columns: parquet::Columns::new(columns, &decoder),
            decoder,
            pace: Pace { chunk: CHUNK, poll: POLL, look_up: LOOK_UP },
            current: None,
            passed: Passed::default(),
            next: None,
            idle: false,
            looked: None,
            before: None,
        };
        opened.open_first()?;
        Ok(opened)
    }

    /// The same source, reading so many bytes at once and waiting so long for more. What it
    /// reads must not depend on it; tests hold it to that.
    #[must_use]
    pub fn paced(mut self, chunk: usize, wait: Duration) -> Self {
        self.pace = Pace { chunk: chunk.max(1), poll: wait, look_up: wait };
        self.current = None;
        // What was there a moment ago is opened again; if it is gone, the next read says so.
        if self.open_first().is_err() {
            self.current = None;
        }
        self
    }

    fn open_first(&mut self) -> Result<(), SourceError> {
        match self.series.first()? {
            Some(path) if self.is_ready(&path) => self.current = Some(self.open_at(&path, 0)?),
            Some(_) => {}
            None if self.follow => {}
            None => {
                let source = std::io::Error::new(std::io::ErrorKind::NotFound, "no file matches");
                return Err(SourceError::Open { path: self.series.path().to_owned(), source });
            }
        }
        Ok(())
    }

    /// A Parquet file cannot be read before all of it is written.
    fn is_ready(&self, path: &Path) -> bool {
        !self.follow || self.format != FileFormat::Parquet || parquet::is_whole(path)
    }

    fn open_at(&self, path: &Path, offset: u64) -> Result<Current, SourceError> {
        self.reading(Input::open(path, self.follow)?, offset)
    }

    fn reading(&self, input: Input, offset: u64) -> Result<Current, SourceError> {
        let name = self.series.name_of(input.path());
        let inode = if matches!(self.series, Series::Rotated(_)) { input.id()?.1 } else { 0 };
        let reader = match self.format {
            FileFormat::Ndjson => Reader::Text(TextFile::new(input, Format::Ndjson, offset, self.pace.chunk)),
            FileFormat::Csv => Reader::Text(TextFile::new(input, Format::Csv, offset, self.pace.chunk)),
            FileFormat::Parquet => Reader::Parquet(ParquetFile::new(input, &self.columns, offset)?),
        };
        Ok(Current { name, inode, reader })
    }

    /// Where the source stands.
    fn position(&mut self) -> Result<Position, SourceError> {
        let passed = self.passed.clone();
        Ok(match &mut self.current {
            Some(current) => {
                let (offset, head) = (current.reader.offset(), current.reader.head()?);
                Position { name: current.name.clone(), offset, head, inode: current.inode, passed }
            }
            None => Position { head: position::hash(b""), passed, ..Position::default() },
        })
    }

    fn as_read(&mut self, piece: Piece, caught_up: bool, ended: bool) -> Result<Read, SourceError> {
        let position = self.position()?.to_string();
        Ok(Read { batches: piece.batches, dead: piece.dead, position, caught_up, ended })
    }

    /// Leaves the current file behind, and opens another.
    fn pass_to(&mut self, path: &Path) -> Result<(), SourceError> {
        self.pass_to_opened(Input::open(path, self.follow)?)
    }

    fn pass_to_opened(&mut self, input: Input) -> Result<(), SourceError> {
        let opened = self.reading(input, 0)?;
        if let Some(mut current) = self.current.take() {
            let (end, head) = (current.reader.offset(), current.reader.head()?);
            self.passed.push(Done { name: current.name, end, head, inode: current.inode });
        }
        self.current = Some(opened);
        (self.next, self.before) = (None, None);
        self.idle = false;
        Ok(())
    }

    /// Leaves the current file behind for one that was found. If that has another name by now,
    /// because it was rotated meanwhile, it is to be found again.
    fn pass_to_found(&mut self, next: &Found) -> Result<(), SourceError> {
        match Input::open(&next.path, self.follow) {
            Ok(input) if input.id()? == next.id => self.pass_to_opened(input),
            Ok(_) => Ok(()),
            Err(SourceError::Open { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The next events, whatever there is.
    fn step(&mut self) -> Result<Read, SourceError> {
        if self.idle {
            self.look_after()?;
        }
        let Some(current) = &mut self.current else {
            self.wait();
            if self.due() {
                self.open_first()?;
            }
            return self.as_read(Piece::default(), self.current.is_none(), false);
        };
        let complete = !self.follow || self.next.is_some();
        let piece = current.reader.read(&mut self.decoder, None, complete)?;
        if !piece.at_end {
            self.idle = false;
            return self.as_read(piece, false, false);
        }
        if complete && piece.is_empty() {
            let next = match self.next.take() {
                Some(next) => Some(next),
                None => self.find_next()?,
            };
            return match next {
                Some(next) => {
                    self.pass_to_found(&next)?;
                    self.as_read(piece, false, false)
                }
                None => self.as_read(piece, true, true),
            };
        }
        if !self.follow {
            let ended = self.find_next()?.is_none();
            return self.as_read(piece, ended, ended);
        }
        // The first read that finds the end tells so at once.
        if self.idle && piece.is_empty() {
            self.wait();
        }
        self.idle = true;
        self.as_read(piece, self.next.is_none(), false)
    }

    fn wait(&self) {
        if self.next.is_none() {
            std::thread::sleep(self.pace.poll);
        }
    }

    /// Whether it is time to look for files again.
    fn due(&mut self) -> bool {
        let is_due = self.looked.is_none_or(|at| at.elapsed() >= self.pace.look_up);
        if is_due {
            self.looked = Some(Instant::now());
        }
        is_due
    }

    /// The first file behind the current one that has something in it.
    fn find_next(&self) -> Result<Option<Found>, SourceError> {
        let Some(current) = &self.current else { return Ok(None) };
        let behind = self.series.behind(current.reader.input())?;
        for found in behind.into_iter().filter(|found| !found.is_empty()) {
            if !self.is_ready(&found.path) {
                return Ok(None);
            }
            if !self.is_twin(&found.path)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// At the end of a followed file: what has happened to it, and what comes behind it.
    fn look_after(&mut self) -> Result<(), SourceError> {
        let is_pattern = matches!(self.series, Series::Pattern(_));
        if let Some(Current { reader: Reader::Text(file), .. }) = &self.current {
            let len = file.input.known_len()?;
            let read_to = file.read_to();
            if len.is_some_and(|len| len < read_to) {
                let error = file.shorter(len.unwrap_or(0), read_to);
                return self.truncated(error);
            }
            if len.is_some_and(|len| len > read_to) {
                // What is still to come of this file comes before what replaced it.
                if !file.begins_as_before()? {
                    let error = file.input.changed("its beginning is another");
                    return self.truncated(error);
                }
                return Ok(());
            }
        }
        if self.next.is_none() && (!is_pattern || self.due()) {
            self.next = self.find_next()?;
            self.tell_of_latecomers()?;
        }
        Ok(())
    }

    /// A file whose name comes before the current one is out of order, and is not read.
    fn tell_of_latecomers(&mut self) -> Result<(), SourceError> {
        let Some(current) = &self.current else { return Ok(()) };
        let before = self.series.before(current.reader.input())?;
        if let Some(came) = before.checked_sub(self.before.unwrap_or(before)).filter(|came| *came > 0) {
            tracing::warn!(
                "`{}`: {came} files came whose names stand before `{}`, which is being read; they are not read",
                self.series.path().display(),
                current.name
            );
        }
        self.before = Some(before);
        Ok(())
    }

    /// The next events on the way to a position.
    fn step_to(&mut self, end: &Position) -> Result<Read, SourceError> {
        let number = self.passed.files;
        if let (Some(name), Some(current)) = (end.name_of(number), &self.current)
            && current.name != name
        {
            // The first file of a pattern is another now.
            if current.reader.offset() > 0 {
                return Err(self.gone(&format!("`{name}` was read in its place")));
            }
            self.current = None;
        }
        if number == 0 && matches!(self.series, Series::Rotated(_)) {
            self.go_back(end)?;
        }
        let is_last = number == end.passed.files;
        let limit = if is_last { Some(end.offset) } else { end.passed.file(number).map(|done| done.end) };
        if let Some(current) = &mut self.current {
            if limit.is_some_and(|limit| limit < current.reader.offset()) {
                return Err(SourceError::BadPosition(end.to_string()));
            }
            if limit != Some(current.reader.offset()) {
                // What was read behind the limit is read again when its turn comes.
                current.reader.forget_ahead(limit.unwrap_or(u64::MAX));
                let piece = current.reader.read(&mut self.decoder, limit, true)?;
                if limit.is_some() || !piece.at_end || !piece.is_empty() {
                    return self.as_read(piece, false, false);
                }
            }
        }
        if is_last && (self.current.is_some() || end.name.is_empty()) {
            return self.as_read(Piece::default(), false, false);
        }
        let known = end.name_of(number + u64::from(self.current.is_some())).filter(|name| !name.is_empty());
        let next = match (known, &self.current) {
            (Some(name), _) => Some(PathBuf::from(name)),
            (None, Some(_)) => self.find_next()?.map(|found| found.path),
            (None, None) => self.series.first()?,
        };
        match next {
            Some(next) => self.pass_to(&next)?,
            None => return Err(self.gone("the files behind it, which were read before, are gone")),
        }
        self.as_read(Piece::default(), false, false)
    }

    fn gone(&self, what: &str) -> SourceError {
        let path = self.current.as_ref().map_or(self.series.path(), |current| current.reader.input().path());
        SourceError::Changed { path: path.to_owned(), what: what.to_owned() }
    }
}

impl Reader {
    fn input(&self) -> &Input {
        match self {
            Self::Text(file) => &file.input,
            Self::Parquet(file) => file.input(),
        }
    }

    fn offset(&self) -> u64 {
        match self {
            Self::Text(file) => file.offset(),
            Self::Parquet(file) => file.offset(),
        }
    }

    /// How far it has been looked at.
    fn read_to(&self) -> u64 {
        match self {
            Self::Text(file) => file.read_to(),
            Self::Parquet(file) => file.offset(),
        }
    }

    fn head(&mut self) -> Result<u64, SourceError> {
        match self {
            Self::Text(file) => file.head(),
            Self::Parquet(file) => Ok(file.head()),
        }
    }

    fn forget_ahead(&mut self, limit: u64) {
        if let Self::Text(file) = self {
            file.forget_ahead(limit);
        }
    }

    fn read(&mut self, decoder: &mut Decoder, limit: Option<u64>, last: bool) -> Result<Piece, SourceError> {
        match self {
            Self::Text(file) => file.read(decoder, limit, last),
            Self::Parquet(file) => file.read(decoder, limit),
        }
    }
}

impl Replayable for FileSource {
    fn read(&mut self) -> Result<Read, SourceError> {
        self.step()
    }

    fn read_until(&mut self, end: &str) -> Result<Read, SourceError> {
        let wanted = Position::parse(end)?;
        if wanted.passed.files < self.passed.files {
            return Err(SourceError::BadPosition(end.to_owned()));
        }
        let mut read = self.step_to(&wanted)?;
        let at = Position::parse(&read.position)?;
        if at.is(&wanted) {
            // A packed copy is another file on the disk, and the same place.
            end.clone_into(&mut read.position);
        } else if (at.passed.files, at.offset, &at.name) == (wanted.passed.files, wanted.offset, &wanted.name) {
            let is_before = at.passed.chain != wanted.passed.chain;
            return Err(self.gone(if is_before {
                "what was read before it is another"
            } else {
                "its beginning is another"
            }));
        }
        Ok(read)
    }

    fn seek(&mut self, position: Option<&str>) -> Result<(), SourceError> {
        let wanted = position.map(Position::parse).transpose()?;
        (self.next, self.idle, self.looked, self.before, self.current) = (None, false, None, None, None);
        let Some(wanted) = wanted else {
            self.passed = Passed::default();
            return self.open_first();
        };
        self.current = self.find(&wanted)?;
        self.passed = wanted.passed;
        Ok(())
    }
}
