//! NDJSON: one record a line.

use super::{Decoder, record::push_record, scan::Layout};

/// A byte order mark, which some programs put at a file's start, and so, when files are
/// joined, at the start of any line.
pub(super) const BOM: &[u8] = b"\xEF\xBB\xBF";

impl Decoder {
    pub(super) fn decode_lines(&mut self, bytes: &[u8]) {
        if let Some(scan) = &mut self.scan {
            scan.set_layout(Layout::Lines);
        }
        let valid = simdutf8::basic::from_utf8(bytes).is_ok();
        let mut pos = 0;
        while pos < bytes.len() {
            // The scan finds the line's end by itself; only where it gives up is it searched for.
            if valid
                && let Some(scan) = &mut self.scan
                && let Some(end) = scan.record(&mut self.table.columns, self.table.row, bytes, pos)
                && let Some(next) = next_line(bytes, end)
                && next - pos <= self.limits.max_record
            {
                self.table.accept(next);
                pos = next;
                continue;
            }
            let end = memchr::memchr(b'\n', &bytes[pos..]).map_or(bytes.len(), |i| pos + i);
            self.table.take_back();
            let next = (end + 1).min(bytes.len());
            self.line(&bytes[pos..end], next, !valid);
            pos = next;
        }
    }

    /// Decodes one line, the careful way unless `scan_first`.
    fn line(&mut self, line: &[u8], next: usize, scan_first: bool) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > self.limits.max_record {
            return self.table.reject(self.too_large(), line);
        }
        let record = line.strip_prefix(BOM).unwrap_or(line).trim_ascii();
        if record.is_empty() {
            return;
        }
        if scan_first
            && simdutf8::basic::from_utf8(record).is_ok()
            && let Some(scan) = &mut self.scan
        {
            if scan.record(&mut self.table.columns, self.table.row, record, 0) == Some(record.len()) {
                return self.table.accept(next);
            }
            self.table.take_back();
        }
        match push_record(&mut self.table.columns, &self.fields, &self.limits, record) {
            Ok(()) => self.table.accept(next),
            Err(fault) => self.table.reject(fault, record),
        }
    }
}

/// Where the next line starts, if nothing but blanks stands before it.
#[inline]
fn next_line(bytes: &[u8], mut pos: usize) -> Option<usize> {
    loop {
        match bytes.get(pos) {
            None => return Some(pos),
            Some(b'\n') => return Some(pos + 1),
            Some(b' ' | b'\t' | b'\r') => pos += 1,
            Some(_) => return None,
        }
    }
}
