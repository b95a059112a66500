//! A JSON text: one record, or an array of records.

use serde_json::value::RawValue;

use super::{
    Decoder,
    lines::BOM,
    record::push_record,
    scan::Layout,
    text,
    value::{Fault, without_place},
};

/// A fault of the text as a whole, and the byte at which it shows.
struct Broken {
    at: usize,
    message: String,
}

impl Decoder {
    pub(super) fn decode_body(&mut self, bytes: &[u8]) {
        if let Some(scan) = &mut self.scan {
            scan.set_layout(Layout::Text);
        }
        let result = match simdutf8::compat::from_utf8(bytes) {
            Ok(text) => self.records(text),
            Err(e) => Err(Broken { at: e.valid_up_to(), message: "not valid UTF-8".to_owned() }),
        };
        if let Err(Broken { at, message }) = result {
            let message = format!("the JSON cannot be read at {}: {message}", text::place(bytes, at));
            self.table.reject_all(Fault::malformed(message), bytes);
        }
    }

    fn records(&mut self, json: &str) -> Result<(), Broken> {
        let bytes = json.as_bytes();
        let bom = if bytes.starts_with(BOM) { BOM.len() } else { 0 };
        let start = blanks(bytes, bom);
        let mut pos = match bytes.get(start) {
            None => {
                let message = "nothing is there, expected an object or an array of objects".to_owned();
                return Err(Broken { at: start, message });
            }
            Some(b'[') => self.elements(json, start + 1)?,
            Some(_) => self.element(json, start)?,
        };
        pos = blanks(bytes, pos);
        if pos < bytes.len() {
            let message = "more follows behind the end; one object a line is `application/x-ndjson`".to_owned();
            return Err(Broken { at: pos, message });
        }
        Ok(())
    }

    /// Decodes an array's elements from behind its opening bracket; returns where it ends.
    fn elements(&mut self, json: &str, mut pos: usize) -> Result<usize, Broken> {
        let bytes = json.as_bytes();
        pos = blanks(bytes, pos);
        if bytes.get(pos) == Some(&b']') {
            return Ok(pos + 1);
        }
        loop {
            pos = blanks(bytes, self.element(json, pos)?);
            match bytes.get(pos) {
                Some(b',') => pos = blanks(bytes, pos + 1),
                Some(b']') => return Ok(pos + 1),
                Some(_) => return Err(Broken { at: pos, message: "expected `,` or `]`".to_owned() }),
                None => return Err(Broken { at: pos, message: "it is cut off within an array".to_owned() }),
            }
        }
    }

    /// Decodes the record that starts at `pos`; returns where it ends.
    fn element(&mut self, json: &str, pos: usize) -> Result<usize, Broken> {
        let bytes = json.as_bytes();
        if let Some(scan) = &mut self.scan {
            if let Some(end) = scan.record(&mut self.table.columns, self.table.row, bytes, pos)
                && end - pos <= self.limits.max_record
            {
                self.table.accept(end);
                return Ok(end);
            }
            self.table.take_back();
        }
        // Finds the value's end without recursion, however deep it nests.
        let mut values = serde_json::Deserializer::from_str(&json[pos..]).into_iter::<&RawValue>();
        let record = match values.next() {
            Some(Ok(raw)) => raw.get().as_bytes(),
            Some(Err(e)) => {
                let at = pos + offset_of(&bytes[pos..], e.line(), e.column());
                return Err(Broken { at, message: without_place(&e) });
            }
            None => return Err(Broken { at: pos, message: "it is cut off within an array".to_owned() }),
        };
        let end = pos + record.len();
        let result = if record.len() > self.limits.max_record {
            Err(self.too_large())
        } else {
            push_record(&mut self.table.columns, &self.fields, &self.limits, record)
        };
        match result {
            Ok(()) => self.table.accept(end),
            Err(fault) => self.table.reject(fault, record),
        }
        Ok(end)
    }
}

fn blanks(bytes: &[u8], mut pos: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(pos) {
        pos += 1;
    }
    pos
}

/// The byte at a line and column as `serde_json` counts them: from 1, in bytes.
fn offset_of(bytes: &[u8], line: usize, column: usize) -> usize {
    let start = match line.checked_sub(2) {
        Some(nth) => memchr::memchr_iter(b'\n', bytes).nth(nth).map_or(0, |i| i + 1),
        None => 0,
    };
    (start + column.saturating_sub(1)).min(bytes.len())
}
