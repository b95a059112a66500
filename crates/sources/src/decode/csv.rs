//! CSV by RFC 4180: a header names the fields, quoted fields may hold line ends.

use csv_core::{ReadRecordResult, Reader};

use super::{
    Decoder,
    columns::Column,
    lines::BOM,
    value::{Fault, push_text},
};

/// A header that does not fit the stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HeaderError(pub String);

/// Cuts CSV into records and fields.
#[derive(Debug)]
pub(super) struct Csv {
    reader: Reader,
    /// The fields of the record, unquoted, one behind the other.
    fields: Vec<u8>,
    /// Where each field ends in `fields`.
    ends: Vec<usize>,
    header: Option<Header>,
}

/// What the header says.
#[derive(Debug, Clone)]
struct Header {
    /// How many fields it names.
    fields: usize,
    /// For each column, the number of its field.
    of_column: Vec<Option<usize>>,
    /// As it came, with a line's end.
    line: Vec<u8>,
}

/// What stands at a place of the input.
enum Step {
    /// A record of so many fields, which ends here.
    Record { fields: usize, end: usize },
    /// The beginning of a record.
    Partial,
    /// Nothing.
    End,
}

impl Default for Csv {
    fn default() -> Self {
        Self { reader: Reader::new(), fields: vec![0; 256], ends: vec![0; 32], header: None }
    }
}

impl Csv {
    pub fn set_header(&mut self, columns: &[Column], max_fields: usize, header: &[u8]) -> Result<(), HeaderError> {
        self.header = Some(self.read_header(columns, max_fields, header)?);
        Ok(())
    }

    fn read_header(&mut self, columns: &[Column], max_fields: usize, header: &[u8]) -> Result<Header, HeaderError> {
        let header = header.strip_prefix(BOM).unwrap_or(header);
        self.restart();
        let Step::Record { fields, end } = self.next(header, 0, true) else {
            return Err(HeaderError("expected a header line that names the fields, found none".to_owned()));
        };
        if fields > max_fields {
            let message = format!("the header line names {fields} fields; a record may have {max_fields}");
            return Err(HeaderError(message));
        }
        let mut names = Vec::with_capacity(fields);
        for field in 0..fields {
            let name = std::str::from_utf8(self.field(field));
            names.push(name.map_err(|_| HeaderError("the header line is not valid UTF-8".to_owned()))?.trim_ascii());
        }
        let mut of_column = Vec::with_capacity(columns.len());
        for column in columns {
            let mut places = names.iter().enumerate().filter(|(_, name)| **name == column.from).map(|(i, _)| i);
            let first = places.next();
            if places.next().is_some() {
                return Err(HeaderError(format!("the header line names \"{}\" twice", column.from)));
            }
            if first.is_none() && column.required {
                let found = super::text::shortened(&names.join(", "));
                return Err(HeaderError(format!(
                    "the header line lacks \"{}\", which every record needs; it names {found}",
                    column.from
                )));
            }
            of_column.push(first);
        }
        let line = [without_line_end(&header[..end]), b"\n"].concat();
        Ok(Header { fields, of_column, line })
    }

    /// At the start of a record, wherever in the input that is. The reader would take a byte
    /// order mark off the first record that it is given, but where a piece of a file begins
    /// must change nothing: a blank line is read first.
    fn restart(&mut self) {
        self.reader.reset();
        self.reader.read_record(b"\n", &mut self.fields, &mut self.ends);
    }

    pub fn first_record_end(&mut self, bytes: &[u8], last: bool) -> Option<usize> {
        self.restart();
        let bom = if bytes.starts_with(BOM) { BOM.len() } else { 0 };
        match self.next(bytes, bom, last) {
            Step::Record { end, .. } => Some(end),
            Step::Partial | Step::End => None,
        }
    }

    pub fn begin_skip(&mut self) {
        self.restart();
    }

    /// Where the record that is being skipped ends in `bytes`; its fields are not kept.
    pub fn skip(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut pos = 0;
        while pos < bytes.len() {
            let (result, read, _, _) = self.reader.read_record(&bytes[pos..], &mut self.fields, &mut self.ends);
            pos += read;
            if let ReadRecordResult::Record = result {
                return Some(pos);
            }
        }
        None
    }

    fn field(&self, field: usize) -> &[u8] {
        let start = field.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.fields[start..self.ends[field]]
    }

    /// Reads the record at `pos`. In the last piece, the input's end ends a record too.
    fn next(&mut self, bytes: &[u8], mut pos: usize, last: bool) -> Step {
        let (mut len, mut fields) = (0, 0);
        loop {
            // To the reader, empty input is the end of all input.
            if pos == bytes.len() && !last {
                return Step::Partial;
            }
            let (result, read, written, ended) =
                self.reader.read_record(&bytes[pos..], &mut self.fields[len..], &mut self.ends[fields..]);
            pos += read;
            len += written;
            fields += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.fields.resize(self.fields.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record => return Step::Record { fields, end: pos },
                ReadRecordResult::End => return Step::End,
            }
        }
    }
}

impl Decoder {
    /// Decodes the whole records of `bytes`; returns how many bytes they take.
    pub(super) fn decode_csv(&mut self, bytes: &[u8], last: bool) -> usize {
        let mut pos = 0;
        let header = match self.csv.header.clone() {
            Some(header) => header,
            // The first record of this input names its fields, and of this input alone.
            None => match self.csv.read_header(&self.table.columns, self.limits.max_fields, bytes) {
                Ok(header) => {
                    pos = self.csv.first_record_end(bytes, last).unwrap_or(bytes.len());
                    header
                }
                Err(error) => {
                    self.table.reject_all(Fault::malformed(error.0), bytes);
                    return bytes.len();
                }
            },
        };
        self.table.raw_head.clone_from(&header.line);
        let valid = simdutf8::basic::from_utf8(&bytes[pos..]).is_ok();
        self.csv.restart();
        loop {
            // Empty lines are no records; what is left of a line's end is one.
            pos += leading_line_ends(&bytes[pos..]);
            match self.csv.next(bytes, pos, last) {
                Step::Record { fields, end } => {
                    let raw = without_line_end(&bytes[pos..end]);
                    if last && end == bytes.len() && ends_in_quotes(raw) {
                        self.table.reject(Fault::malformed("cut off: the input ends within quotes"), raw);
                    } else {
                        self.csv_record(&header, fields, raw, end, valid);
                    }
                    pos = end;
                }
                Step::Partial => return pos,
                Step::End => return bytes.len(),
            }
        }
    }

    fn csv_record(&mut self, header: &Header, fields: usize, raw: &[u8], end: usize, valid: bool) {
        if raw.len() > self.limits.max_record {
            return self.table.reject(self.too_large(), raw);
        }
        if !valid && let Err(e) = std::str::from_utf8(raw) {
            let message = format!("not valid UTF-8 at byte {} of the record", e.valid_up_to());
            return self.table.reject(Fault::malformed(message), raw);
        }
        if fields != header.fields {
            let message = format!("the record has {fields} fields, the header names {}", header.fields);
            return self.table.reject(Fault::malformed(message), raw);
        }
        for (column, field) in self.table.columns.iter_mut().zip(&header.of_column) {
            let text = field.map_or(Ok(""), |field| std::str::from_utf8(self.csv.field(field)));
            let result = match text {
                Ok(text) => push_text(column, &self.limits, text),
                Err(_) => Err(Fault::malformed("not valid UTF-8")),
            };
            if let Err(fault) = result {
                return self.table.reject(fault, raw);
            }
        }
        self.table.accept(end);
    }
}

/// Whether the last field of a record began with a quote that nothing has closed.
fn ends_in_quotes(record: &[u8]) -> bool {
    let (mut begins, mut within, mut closed) = (true, false, false);
    for byte in record {
        let quote = *byte == b'"';
        // Two within quotes are one that belongs to the text: out, and in again.
        let opens = quote && !within && (begins || closed);
        let closes = quote && within;
        within = (within || opens) && !closes;
        closed = closes;
        begins = !within && *byte == b',';
    }
    within
}

/// How many bytes of line ends stand at the beginning.
fn leading_line_ends(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count()
}

fn without_line_end(record: &[u8]) -> &[u8] {
    let end = record.iter().rposition(|b| !matches!(b, b'\r' | b'\n')).map_or(0, |i| i + 1);
    &record[..end]
}
