//! NDJSON and CSV files, read once or followed as they grow.
//!
//! The file is the log: its events are not copied. A position is the offset of the next
//! record and a hash of the file's beginning, so that a file that was cut short or
//! replaced is noticed and said, instead of being read on from the middle of something else.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    time::Duration,
};

use config::{FileFormat, StreamColumn};
use model::{DeadLetter, dead_letter::MAX_RAW};

use crate::{
    decode::{Decoder, Format, Limits},
    replay::{Read, Replayable, SourceError},
};

/// Bytes of one read: large enough for few system calls, small enough for a processor's cache.
const CHUNK: usize = 1 << 20;
/// How many chunks of one overlong record are skipped in one call, to stay within its time.
const SKIPPED_CHUNKS: usize = 32;
/// How many bytes at the file's beginning tell it from another.
const HEAD: u64 = 1024;
/// How long a read waits at the end of a followed file.
const POLL: Duration = Duration::from_millis(50);

/// A file as a source.
#[derive(Debug)]
pub struct FileSource {
    path: PathBuf,
    format: Format,
    follow: bool,
    decoder: Decoder,
    file: File,
    /// Where the next record starts, and with it `buffer`.
    offset: u64,
    buffer: Vec<u8>,
    /// How much of `buffer` has been read.
    filled: usize,
    /// Whether the header of a CSV file is known.
    has_header: bool,
    /// The record at `offset`, if it is too large to be held.
    skipping: Option<Skipped>,
    /// Length and hash of the file's beginning, as far as it is behind the last position.
    head: (u64, u64),
    /// Whether the last read found the end of a followed file.
    idle: bool,
}

/// A record that is read over. It stays at the source's position until its end is found, so
/// that a restart finds it again, and it is one dead letter, whole.
#[derive(Debug)]
struct Skipped {
    /// Its beginning.
    head: Vec<u8>,
    /// How far it has been read.
    read_to: u64,
}

impl FileSource {
    /// Opens the file, which must exist.
    pub fn open(
        source: &config::FileSource,
        columns: &[StreamColumn],
        event_time: Option<&str>,
        limits: Limits,
    ) -> Result<Self, SourceError> {
        let format = match source.format {
            FileFormat::Ndjson => Format::Ndjson,
            FileFormat::Csv => Format::Csv,
        };
        let mut decoder = Decoder::new(columns, event_time, limits);
        decoder.keep_all_rejections();
        Ok(Self {
            path: source.path.clone(),
            format,
            follow: source.follow,
            decoder,
            file: open(&source.path)?,
            offset: 0,
            buffer: Vec::new(),
            filled: 0,
            has_header: format != Format::Csv,
            skipping: None,
            head: (0, hash(b"")),
            idle: false,
        })
    }

    /// One read, up to `limit` if there is one.
    fn step(&mut self, limit: Option<u64>) -> Result<Read, SourceError> {
        if self.idle {
            self.check_unchanged()?;
        }
        if !self.has_header && !self.read_header()? {
            return match limit {
                Some(limit) => Err(self.shorter(self.offset, limit)),
                None => self.at_end(Vec::new()),
            };
        }
        if self.skipping.is_some() {
            return self.skip(limit);
        }
        let eof = self.fill(limit)?;
        let read_to = self.offset + self.filled as u64;
        let last = limit == Some(read_to) || (eof && !self.follow);
        let (decoded, consumed) = self.decoder.decode_piece(self.format, &self.buffer[..self.filled], last);
        self.buffer.copy_within(consumed..self.filled, 0);
        self.filled -= consumed;
        self.offset += consumed as u64;
        // The longest record ends in two bytes more.
        if self.filled > self.decoder.limits().max_record + 2 {
            self.begin_skip();
        }
        let dead = decoded.rejected.into_iter().map(|r| r.letter).collect();
        if eof && decoded.batches.is_empty() {
            return self.at_end(dead);
        }
        Ok(Read {
            batches: decoded.batches,
            dead,
            position: self.position()?,
            caught_up: eof,
            ended: eof && !self.follow,
        })
    }

    /// A read without events at the end of what there is; waits a moment if more may come.
    fn at_end(&mut self, dead: Vec<DeadLetter>) -> Result<Read, SourceError> {
        if self.follow {
            // The first read that finds the end tells so at once.
            if self.idle && dead.is_empty() {
                std::thread::sleep(POLL);
            }
            self.idle = true;
        }
        let position = self.position()?;
        Ok(Read { batches: Vec::new(), dead, position, caught_up: true, ended: !self.follow })
    }

    /// Reads behind what the buffer holds, and says whether the file ends there.
    fn fill(&mut self, limit: Option<u64>) -> Result<bool, SourceError> {
        let mut target = self.filled + CHUNK;
        if let Some(limit) = limit {
            target = target.min(usize::try_from(limit - self.offset).unwrap_or(usize::MAX));
        }
        if self.buffer.len() < target {
            self.buffer.resize(target, 0);
        }
        while self.filled < target {
            let at = self.offset + self.filled as u64;
            let read = read_at(&self.file, &self.path, &mut self.buffer[self.filled..target], at)?;
            if read == 0 {
                return limit.map_or(Ok(true), |limit| Err(self.shorter(at, limit)));
            }
            self.filled += read;
            self.idle = false;
        }
        Ok(false)
    }

    fn begin_skip(&mut self) {
        self.decoder.begin_skip();
        self.skipping = Some(Skipped { head: Vec::new(), read_to: self.offset });
        // What the buffer holds is read once more: one way to skip is enough.
        self.filled = 0;
    }

    /// Reads over the record at `offset`.
    fn skip(&mut self, limit: Option<u64>) -> Result<Read, SourceError> {
        let Some(mut skipped) = self.skipping.take() else { return self.at_end(Vec::new()) };
        let (mut end, mut eof) = (None, false);
        for _ in 0..SKIPPED_CHUNKS {
            self.buffer.resize(self.buffer.len().max(CHUNK), 0);
            let most = limit.map_or(CHUNK, |limit| limit.saturating_sub(skipped.read_to).min(CHUNK as u64) as usize);
            let read = read_at(&self.file, &self.path, &mut self.buffer[..most], skipped.read_to)?;
            let chunk = &self.buffer[..read];
            // Enough for a letter, and to see whether it cuts a character.
            let room = (MAX_RAW + 4).saturating_sub(skipped.head.len());
            let found = self.decoder.skip(self.format, chunk);
            skipped.head.extend_from_slice(&chunk[..found.unwrap_or(read).min(room)]);
            skipped.read_to += found.unwrap_or(read) as u64;
            eof = read == 0;
            let at_limit = limit == Some(skipped.read_to);
            if found.is_some() || at_limit || (eof && !self.follow) {
                end = Some(skipped.read_to);
            }
            if eof || end.is_some() {
                break;
            }
        }
        let Some(end) = end else {
            let read_to = skipped.read_to;
            self.skipping = Some(skipped);
            if eof {
                return match limit {
                    Some(limit) => Err(self.shorter(read_to, limit)),
                    None => self.at_end(Vec::new()),
                };
            }
            self.idle = false;
            let position = self.position()?;
            return Ok(Read { batches: Vec::new(), dead: Vec::new(), position, caught_up: false, ended: false });
        };
        let head = &skipped.head[..];
        let letter = self
            .decoder
            .too_large_letter(head.strip_suffix(b"\n").map_or(head, |h| h.strip_suffix(b"\r").unwrap_or(h)));
        (self.offset, self.filled) = (end, 0);
        let ended = eof && !self.follow;
        Ok(Read { batches: Vec::new(), dead: vec![letter], position: self.position()?, caught_up: eof, ended })
    }

    /// Reads the header of a CSV file from its start; `false` if it is not there yet.
    fn read_header(&mut self) -> Result<bool, SourceError> {
        let most = self.decoder.limits().max_record;
        let mut start = vec![0; 4096.min(most)];
        let mut filled = 0;
        loop {
            let read = read_at(&self.file, &self.path, &mut start[filled..], filled as u64)?;
            filled += read;
            let last = read == 0 && !self.follow;
            if let Some(end) = self.decoder.csv_header_end(&start[..filled], last) {
                self.decoder
                    .csv_header(&start[..end])
                    .map_err(|e| SourceError::Header { path: self.path.clone(), message: e.0 })?;
                self.offset = self.offset.max(end as u64);
                self.has_header = true;
                return Ok(true);
            }
            if read == 0 {
                return Ok(false);
            }
            if filled == most {
                let message = format!("the header line is longer than {most} bytes");
                return Err(SourceError::Header { path: self.path.clone(), message });
            }
            start.resize((start.len() * 2).min(most), 0);
        }
    }

    /// Where the source stands: `offset:hash of the beginning`.
    fn position(&mut self) -> Result<String, SourceError> {
        let len = self.offset.min(HEAD);
        if len != self.head.0 {
            self.head = (len, self.hash_head(len)?);
        }
        Ok(format!("{}:{:016x}", self.offset, self.head.1))
    }

    fn hash_head(&self, len: u64) -> Result<u64, SourceError> {
        let mut head = vec![0; len as usize];
        match self.file.read_exact_at(&mut head, 0) {
            Ok(()) => Ok(hash(&head)),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Err(self.changed("it became shorter")),
            Err(e) => Err(self.failed(e)),
        }
    }

    /// Checks that a followed file was not cut, written anew, or replaced under its name.
    fn check_unchanged(&self) -> Result<(), SourceError> {
        let open = self.file.metadata().map_err(|e| self.failed(e))?;
        let read_to = self.skipping.as_ref().map_or(self.offset + self.filled as u64, |s| s.read_to);
        if open.len() < read_to {
            return Err(self.shorter(open.len(), read_to));
        }
        if open.len() > read_to {
            // What is still to come of this file comes before what replaced it.
            return if self.hash_head(self.head.0)? == self.head.1 {
                Ok(())
            } else {
                Err(self.changed("its beginning is another"))
            };
        }
        match fs::metadata(&self.path) {
            Ok(named) if (named.dev(), named.ino()) != (open.dev(), open.ino()) => {
                Err(self.changed("another file has its name now"))
            }
            // A name that is gone for a moment is how files are rotated.
            _ => Ok(()),
        }
    }

    fn shorter(&self, len: u64, expected: u64) -> SourceError {
        self.changed(&format!("it has {len} bytes, and was read up to byte {expected}"))
    }

    fn changed(&self, what: &str) -> SourceError {
        SourceError::Changed { path: self.path.clone(), what: what.to_owned() }
    }

    fn failed(&self, source: io::Error) -> SourceError {
        SourceError::Read { path: self.path.clone(), source }
    }
}

impl Replayable for FileSource {
    fn read(&mut self) -> Result<Read, SourceError> {
        self.step(None)
    }

    fn read_until(&mut self, end: &str) -> Result<Read, SourceError> {
        let (limit, _) = parse(end)?;
        if limit < self.offset {
            return Err(SourceError::BadPosition(end.to_owned()));
        }
        // What was read behind `end` is read again when its turn comes.
        self.filled = self.filled.min(usize::try_from(limit - self.offset).unwrap_or(usize::MAX));
        let read = if limit == self.offset {
            let position = self.position()?;
            Read { batches: Vec::new(), dead: Vec::new(), position, caught_up: false, ended: false }
        } else {
            self.step(Some(limit))?
        };
        if self.offset == limit && read.position != end {
            return Err(self.changed("its beginning is another"));
        }
        Ok(read)
    }

    fn seek(&mut self, position: Option<&str>) -> Result<(), SourceError> {
        let wanted = position.map(parse).transpose()?;
        self.file = open(&self.path)?;
        self.offset = wanted.map_or(0, |(offset, _)| offset);
        self.filled = 0;
        self.has_header = self.format != Format::Csv;
        self.skipping = None;
        self.head = (0, hash(b""));
        self.idle = false;
        if let Some((offset, head)) = wanted {
            let len = self.file.metadata().map_err(|e| self.failed(e))?.len();
            if len < offset {
                return Err(self.shorter(len, offset));
            }
            self.position()?;
            if self.head.1 != head {
                return Err(self.changed("its beginning is another"));
            }
        }
        Ok(())
    }
}

fn open(path: &Path) -> Result<File, SourceError> {
    let failed = |source| SourceError::Open { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(failed(io::Error::other("not a regular file")));
    }
    Ok(file)
}

/// Reads once; no bytes are the file's end.
fn read_at(file: &File, path: &Path, into: &mut [u8], at: u64) -> Result<usize, SourceError> {
    loop {
        match file.read_at(into, at) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map_err(|source| SourceError::Read { path: path.to_owned(), source }),
        }
    }
}

/// The offset and the hash of a position.
fn parse(position: &str) -> Result<(u64, u64), SourceError> {
    let parts = position
        .split_once(':')
        .and_then(|(offset, head)| Some((offset.parse().ok()?, u64::from_str_radix(head, 16).ok()?)));
    parts.ok_or_else(|| SourceError::BadPosition(position.chars().take(80).collect()))
}

/// FNV-1a: it tells files apart, not forgeries.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}
