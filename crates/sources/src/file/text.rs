//! One file of NDJSON or CSV, record by record.

use arrow_array::RecordBatch;
use model::{DeadLetter, dead_letter::MAX_RAW};

use super::{input::Input, position::hash};
use crate::{
    decode::{Decoder, Format},
    replay::SourceError,
};

/// How many chunks of one overlong record are skipped in one call, to stay within its time.
const SKIPPED_CHUNKS: usize = 32;

/// What one read of a file gave.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub batches: Vec<RecordBatch>,
    pub dead: Vec<DeadLetter>,
    /// Whether there is no more of it at the moment.
    pub at_end: bool,
}

impl Piece {
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.dead.is_empty()
    }
}

/// A file that is being read.
#[derive(Debug)]
pub(super) struct TextFile {
    pub input: Input,
    format: Format,
    /// Bytes of one read.
    chunk: usize,
    /// Where the next record starts.
    offset: u64,
    /// What has been read ahead, from `offset` on, or within the record that is skipped.
    buffer: Vec<u8>,
    /// How much of `buffer` has been read.
    filled: usize,
    /// Whether the header of a CSV file is known.
    has_header: bool,
    /// The record at `offset`, if it is too large to be held.
    skipping: Option<Skipped>,
    /// Length and hash of the file's beginning, as far as it is behind the last position.
    head: (u64, u64),
}

/// A record that is read over. It stays at the source's position until its end is found, so
/// that a restart finds it again, and it is one dead letter, whole.
#[derive(Debug)]
struct Skipped {
    /// Its beginning.
    head: Vec<u8>,
    /// How far it has been read over; the buffer holds what comes next.
    read_to: u64,
}

impl TextFile {
    /// Reads a file from an offset that a read has returned, or from 0.
    pub fn new(input: Input, format: Format, offset: u64, chunk: usize) -> Self {
        Self {
            input,
            format,
            chunk,
            offset,
            buffer: Vec::new(),
            filled: 0,
            has_header: format != Format::Csv,
            skipping: None,
            head: (0, hash(b"")),
        }
    }

    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How far the file has been looked at.
    pub fn read_to(&self) -> u64 {
        self.skipping.as_ref().map_or(self.offset, |s| s.read_to) + self.filled as u64
    }

    /// The hash of the file's beginning, as far as it is behind the offset.
    pub fn head(&mut self) -> Result<u64, SourceError> {
        if self.head.0 < self.offset.min(1024) {
            self.head = self.input.head(self.offset)?.ok_or_else(|| self.input.changed("it became shorter"))?;
        }
        Ok(self.head.1)
    }

    /// Whether the file begins as it did.
    pub fn begins_as_before(&self) -> Result<bool, SourceError> {
        Ok(self.input.head(self.head.0)? == Some(self.head))
    }

    /// Length and hash of the beginning, as far as it is known.
    pub fn known_head(&self) -> (u64, u64) {
        self.head
    }

    /// Forgets what was read ahead of `limit`, or all of it.
    pub fn forget_ahead(&mut self, limit: u64) {
        let from = self.skipping.as_ref().map_or(self.offset, |s| s.read_to);
        if limit < from {
            self.skipping = None;
        }
        let ahead = limit.saturating_sub(from);
        self.filled = self.filled.min(usize::try_from(ahead).unwrap_or(usize::MAX));
    }

    /// The next records, none behind `limit` if there is one. If `last`, the file's end, or
    /// the limit, ends a record too.
    pub fn read(&mut self, decoder: &mut Decoder, limit: Option<u64>, last: bool) -> Result<Piece, SourceError> {
        if !self.has_header && !self.read_header(decoder, last)? {
            return match limit {
                Some(limit) => Err(self.shorter(self.offset, limit)),
                None => Ok(Piece { at_end: true, ..Piece::default() }),
            };
        }
        if self.skipping.is_some() {
            return self.skip(decoder, limit, last);
        }
        let eof = self.fill(limit)?;
        let read_to = self.offset + self.filled as u64;
        let whole = limit == Some(read_to) || (eof && last);
        let (decoded, consumed) = decoder.decode_piece(self.format, &self.buffer[..self.filled], whole);
        self.take(consumed);
        self.offset += consumed as u64;
        // The longest record ends in two bytes more.
        if self.filled > decoder.limits().max_record + 2 {
            decoder.begin_skip();
            self.skipping = Some(Skipped { head: Vec::new(), read_to: self.offset });
        }
        let dead = decoded.rejected.into_iter().map(|r| r.letter).collect();
        Ok(Piece { batches: decoded.batches, dead, at_end: eof })
    }

    /// Takes bytes from the buffer's beginning.
    fn take(&mut self, bytes: usize) {
        self.buffer.copy_within(bytes..self.filled, 0);
        self.filled -= bytes;
    }

    /// Reads behind what the buffer holds, and says whether the file ends there.
    fn fill(&mut self, limit: Option<u64>) -> Result<bool, SourceError> {
        let from = self.skipping.as_ref().map_or(self.offset, |s| s.read_to);
        let mut target = self.filled + self.chunk;
        if let Some(limit) = limit {
            target = target.min(usize::try_from(limit.saturating_sub(from)).unwrap_or(usize::MAX));
        }
        if self.buffer.len() < target {
            self.buffer.resize(target, 0);
        }
        while self.filled < target {
            let at = from + self.filled as u64;
            let read = self.input.read_at(&mut self.buffer[self.filled..target], at)?;
            if read == 0 {
                return limit.map_or(Ok(true), |limit| Err(self.shorter(at, limit)));
            }
            self.filled += read;
        }
        Ok(false)
    }

    /// Reads over the record at `offset`.
    fn skip(&mut self, decoder: &mut Decoder, limit: Option<u64>, last: bool) -> Result<Piece, SourceError> {
        let (mut ended, mut eof) = (false, false);
        for _ in 0..SKIPPED_CHUNKS {
            if self.filled == 0 {
                eof = self.fill(limit)?;
            }
            let Some(skipped) = &mut self.skipping else { break };
            let chunk = &self.buffer[..self.filled];
            // Enough for a letter, and to see whether it cuts a character.
            let room = (MAX_RAW + 4).saturating_sub(skipped.head.len());
            let found = decoder.skip(self.format, chunk);
            let taken = found.unwrap_or(chunk.len());
            skipped.head.extend_from_slice(&chunk[..taken.min(room)]);
            skipped.read_to += taken as u64;
            ended = found.is_some() || limit == Some(skipped.read_to) || (eof && last);
            self.take(taken);
            if eof || ended {
                break;
            }
        }
        let Some(skipped) = self.skipping.take_if(|_| ended) else {
            return Ok(Piece { at_end: eof, ..Piece::default() });
        };
        self.offset = skipped.read_to;
        let head = &skipped.head[..];
        let head = head.strip_suffix(b"\n").map_or(head, |h| h.strip_suffix(b"\r").unwrap_or(h));
        Ok(Piece { batches: Vec::new(), dead: vec![decoder.too_large_letter(head)], at_end: eof && self.filled == 0 })
    }

    /// Reads the header of a CSV file from its start; `false` if it is not there yet.
    fn read_header(&mut self, decoder: &mut Decoder, last: bool) -> Result<bool, SourceError> {
        let path = self.input.path().to_owned();
        let most = decoder.limits().max_record;
        let mut start = vec![0; 4096.min(most)];
        let mut filled = 0;
        loop {
            let read = self.input.read_at(&mut start[filled..], filled as u64)?;
            filled += read;
            if let Some(end) = decoder.csv_header_end(&start[..filled], read == 0 && last) {
                decoder.csv_header(&start[..end]).map_err(|e| SourceError::Header { path, message: e.0 })?;
                self.offset = self.offset.max(end as u64);
                self.has_header = true;
                return Ok(true);
            }
            if read == 0 {
                return Ok(false);
            }
            if filled == most {
                let message = format!("the header line is longer than {most} bytes");
                return Err(SourceError::Header { path, message });
            }
            start.resize((start.len() * 2).min(most), 0);
        }
    }

    pub fn shorter(&self, len: u64, expected: u64) -> SourceError {
        self.input.changed(&format!("it has {len} bytes, and was read up to byte {expected}"))
    }
}
