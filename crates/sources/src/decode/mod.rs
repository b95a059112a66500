//! Bytes to Arrow record batches in a stream's declared schema.
//!
//! # Layout
//!
//! - [`Decoder`]: formats, limits, and what came of an input
//! - `lines`, `body`, `csv`, `msgpack`: the four formats, cut into records
//! - `record`: one JSON record, the careful way, with a message for every fault
//! - `scan`: one JSON record, the fast way, where it is as expected
//! - `value`, `number`, `time`, `text`: what the column types take
//! - `cells`: rows that come as typed values already
//! - `pack`, `json_text`: the bytes of MessagePack, and what JSON they are
//! - `columns`: the batch that is being filled
//!
//! ```
//! use sources::{Decoder, Format, Limits};
//! # let column = |name: &str, data_type| config::StreamColumn {
//! #     name: name.into(), from: name.into(), data_type, not_null: false };
//! # let columns = [column("metric", model::DataType::Text), column("value", model::DataType::Double)];
//! let mut decoder = Decoder::new(&columns, None, Limits::default());
//! let decoded = decoder.decode(Format::Ndjson, b"{\"metric\":\"cpu\",\"value\":1}\n{\"value\":\"abc\"}\n");
//! assert_eq!((decoded.accepted, decoded.total), (1, 2));
//! assert_eq!(decoded.rejected[0].letter.message, r#"field "value": expected double, found text "abc""#);
//! ```

mod body;
mod cells;
mod columns;
mod csv;
mod json_text;
mod lines;
mod msgpack;
mod number;
mod pack;
mod record;
mod scan;
mod text;
mod time;
mod value;

use std::{mem, sync::Arc};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use config::StreamColumn;
use model::{DeadLetter, RawFormat, Reason, dead_letter::MAX_RAW};

use self::{columns::Column, csv::Csv, msgpack::Pack, record::Fields, scan::Scan, value::Fault};

pub use self::csv::HeaderError;
pub(crate) use self::{
    cells::Cell,
    pack::Head,
    text::char_boundary,
    time::{checked as checked_millis, date_text},
};

/// How many refused records of one input are kept. A record can be two bytes short, and
/// what is kept of it a hundred times that; more are counted, and said in one last letter.
pub const MAX_REJECTIONS: usize = 100_000;

/// A batch is closed when the records in it took this many bytes, so that the offsets of
/// its texts fit an `i32` with room for one more record.
const MAX_BATCH_BYTES: usize = 32 << 20;

/// No record may be longer, whatever the limits say: its texts must fit the offsets too.
const MAX_RECORD: usize = 1 << 30;

/// No record may nest deeper, whatever the limits say: the stack must hold it.
const MAX_DEPTH: usize = 1024;

/// Limits on what is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one record; at most 1 GiB.
    pub max_record: usize,
    /// How deep a record's brackets may nest, its own counted; at most 1024.
    pub max_depth: usize,
    /// Fields of one record, those that no column reads counted; those within its values not.
    pub max_fields: usize,
    /// Rows of one batch.
    pub batch_rows: usize,
    /// Bytes of the columns of one input: `{}` is two bytes, and a row.
    pub max_decoded: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_record: 1 << 20, max_depth: 64, max_fields: 4096, batch_rows: 8192, max_decoded: usize::MAX }
    }
}

impl Limits {
    fn too_large(&self) -> Fault {
        let message = format!("longer than the {} bytes that a record may have", self.max_record);
        Fault::new(Reason::TooLarge, message)
    }

    fn too_deep(&self) -> Fault {
        Fault::malformed(format!("nested deeper than {} levels", self.max_depth))
    }

    fn too_many_fields(&self) -> Fault {
        let message = format!("more than the {} fields that a record may have", self.max_fields);
        Fault::new(Reason::TooLarge, message)
    }
}

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// One JSON object, or an array of objects: the whole input.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// RFC 4180; the first record names the fields, unless [`Decoder::csv_header`] has.
    Csv,
    /// One map, or an array of maps, or several of these one behind the other: the whole input.
    MsgPack,
}

impl From<RawFormat> for Format {
    /// One record, as a dead letter has it.
    fn from(format: RawFormat) -> Self {
        match format {
            RawFormat::Json => Self::Json,
            RawFormat::Csv => Self::Csv,
            RawFormat::Msgpack => Self::MsgPack,
        }
    }
}

/// What came of an input.
#[derive(Debug, Clone, Default)]
pub struct Decoded {
    /// The accepted records, in order.
    pub batches: Vec<RecordBatch>,
    /// How many were accepted.
    pub accepted: u64,
    /// What was refused, in order: all of it up to [`MAX_REJECTIONS`], and one more that
    /// says how many followed. The exact count is `total - accepted`.
    pub rejected: Vec<Rejection>,
    /// Its columns are more than [`Limits::max_decoded`] allows: none is here.
    pub too_much: bool,
    /// How many records there were. Where an input is refused as a whole, it counts as one.
    pub total: u64,
}

/// A refused record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The record's number in its input, from 0.
    pub index: u64,
    /// Why, and the beginning of the record.
    pub letter: DeadLetter,
}

/// Decodes the records of one stream. It may be used for any number of inputs; what it
/// learns from one (the order of fields) makes the next faster and changes no result.
#[derive(Debug)]
pub struct Decoder {
    fields: Fields,
    /// `None` where each record is read the careful way.
    scan: Option<Scan>,
    csv: Csv,
    pack: Pack,
    limits: Limits,
    table: Table,
}

impl Decoder {
    /// A decoder for these columns. `event_time` names the column of the stream's time:
    /// like a `not_null` column, it refuses records without a value.
    pub fn new(columns: &[StreamColumn], event_time: Option<&str>, limits: Limits) -> Self {
        let schema = model::Schema::new(columns.iter().map(|c| stream_column(c, event_time)).collect());
        let columns: Vec<Column> = columns
            .iter()
            .zip(&schema.columns)
            .map(|(c, typed)| Column::new(&c.from, c.data_type, !typed.nullable))
            .collect();
        let fields = Fields::new(&columns);
        let simple = fields.are_distinct() && columns.len() < usize::from(u16::MAX);
        let limits = Limits {
            max_record: limits.max_record.min(MAX_RECORD),
            max_depth: limits.max_depth.min(MAX_DEPTH),
            batch_rows: limits.batch_rows.max(1),
            ..limits
        };
        Self {
            fields,
            scan: simple.then(|| Scan::new(&columns, &limits)),
            csv: Csv::default(),
            pack: Pack::default(),
            limits,
            table: Table {
                max_decoded: limits.max_decoded,
                ..Table::new(schema.to_arrow(), columns, limits.batch_rows)
            },
        }
    }

    /// The same decoder without the fast scan: the reference that the scan is tested and
    /// measured against.
    #[must_use]
    pub fn without_scan(mut self) -> Self {
        self.scan = None;
        self
    }

    /// The schema of the batches. The event time's column is never null.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.table.schema)
    }

    /// The limits.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Decodes whole records. Never fails: what cannot be read is in [`Decoded::rejected`].
    ///
    /// A line of NDJSON or CSV that is bad is refused alone. A JSON text that is not valid
    /// as a whole (cut off, not UTF-8) is refused as a whole, with the place of the fault:
    /// a producer can then send it again, without half of it being there twice. So is MessagePack
    /// that is cut off or is none.
    pub fn decode(&mut self, format: Format, bytes: &[u8]) -> Decoded {
        self.decode_piece(format, bytes, true).0
    }

    /// Names the fields of the CSV records to come, in place of the first record of each input.
    pub fn csv_header(&mut self, header: &[u8]) -> Result<(), HeaderError> {
        self.csv.set_header(&self.table.columns, self.limits.max_fields, header)
    }

    /// Decodes the whole records at the beginning of `bytes`, and says how many bytes they
    /// take. If it is the `last` piece, its rest is a record too.
    pub(crate) fn decode_piece(&mut self, format: Format, bytes: &[u8], last: bool) -> (Decoded, usize) {
        self.table.begin(bytes.len());
        self.table.raw_head.clear();
        self.table.raw_format = match format {
            Format::Json | Format::Ndjson => RawFormat::Json,
            Format::Csv => RawFormat::Csv,
            Format::MsgPack => RawFormat::Msgpack,
        };
        let consumed = match format {
            Format::Json => {
                self.decode_body(bytes);
                bytes.len()
            }
            Format::Ndjson => {
                let whole = if last { bytes.len() } else { memchr::memrchr(b'\n', bytes).map_or(0, |i| i + 1) };
                self.decode_lines(&bytes[..whole]);
                whole
            }
            Format::Csv => self.decode_csv(bytes, last),
            Format::MsgPack => {
                self.decode_msgpack(bytes);
                bytes.len()
            }
        };
        (self.table.end(consumed), consumed)
    }

    /// Keeps every rejection: for inputs that are short themselves.
    pub(crate) fn keep_all_rejections(&mut self) {
        self.table.max_rejections = usize::MAX;
    }

    /// Forgets the record that was being skipped, and starts to skip another.
    pub(crate) fn begin_skip(&mut self) {
        self.csv.begin_skip();
    }

    /// How many bytes of the next piece belong to the record that is being skipped, if it
    /// ends in this piece.
    pub(crate) fn skip(&mut self, format: Format, bytes: &[u8]) -> Option<usize> {
        match format {
            Format::Csv => self.csv.skip(bytes),
            Format::Json | Format::Ndjson | Format::MsgPack => memchr::memchr(b'\n', bytes).map(|i| i + 1),
        }
    }

    /// Where the first CSV record of a file, its header, ends.
    pub(crate) fn csv_header_end(&mut self, bytes: &[u8], last: bool) -> Option<usize> {
        self.csv.first_record_end(bytes, last)
    }

    /// The letter for a record that is too large, from its beginning.
    pub(crate) fn too_large_letter(&self, head: &[u8]) -> DeadLetter {
        self.table.letter(self.too_large(), head)
    }

    fn too_large(&self) -> Fault {
        self.limits.too_large()
    }

    fn too_deep(&self) -> Fault {
        self.limits.too_deep()
    }

    fn too_many_fields(&self) -> Fault {
        self.limits.too_many_fields()
    }
}

/// A stream's column, as its batches have it.
pub(crate) fn stream_column(column: &StreamColumn, event_time: Option<&str>) -> model::Column {
    model::Column {
        name: column.name.clone(),
        data_type: column.data_type,
        nullable: !(column.not_null || event_time == Some(column.name.as_str())),
    }
}

/// The batch that is being filled, and what came of the input so far.
#[derive(Debug)]
struct Table {
    schema: SchemaRef,
    columns: Vec<Column>,
    batch_rows: usize,
    max_decoded: usize,
    /// Bytes of the input's columns so far.
    decoded: usize,
    max_rejections: usize,
    /// How the records that come in are written.
    raw_format: RawFormat,
    /// What they cannot be read without: the header line of CSV.
    raw_head: Vec<u8>,
    /// Rows in `columns`.
    row: usize,
    /// Where in the input the batch starts.
    batch_start: usize,
    /// Bytes of the input, and of a record of the last one: how much room to make.
    input_len: usize,
    record_len: usize,
    out: Decoded,
}

impl Table {
    fn new(schema: SchemaRef, columns: Vec<Column>, batch_rows: usize) -> Self {
        Self {
            schema,
            columns,
            batch_rows,
            max_decoded: usize::MAX,
            decoded: 0,
            max_rejections: MAX_REJECTIONS,
            raw_format: RawFormat::Json,
            raw_head: Vec::new(),
            row: 0,
            batch_start: 0,
            input_len: 0,
            record_len: 64,
            out: Decoded::default(),
        }
    }

    /// A record that is refused, so that it can be read again by itself.
    fn letter(&self, fault: Fault, raw: &[u8]) -> DeadLetter {
        // A little more than is kept, to see whether the cut would split a character.
        let raw = [&self.raw_head, &raw[..raw.len().min(MAX_RAW + 4)]].concat();
        DeadLetter {
            reason: fault.reason,
            feed: String::new(),
            message: fault.message,
            raw: Bytes::copy_from_slice(&raw[..char_boundary(&raw, MAX_RAW)]),
            format: self.raw_format,
        }
    }

    fn begin(&mut self, input_len: usize) {
        self.input_len = input_len;
        self.decoded = 0;
        self.batch_start = 0;
        self.reserve();
    }

    fn reserve(&mut self) {
        let rows = (self.input_len - self.batch_start) / self.record_len + 1;
        for column in &mut self.columns {
            column.reserve(rows.min(self.batch_rows));
        }
    }

    /// Counts the row that was written; `end` is where its record ends in the input.
    #[inline]
    fn accept(&mut self, end: usize) {
        self.row += 1;
        self.out.accepted += 1;
        self.out.total += 1;
        if self.row == self.batch_rows || end - self.batch_start >= MAX_BATCH_BYTES {
            self.close_batch(end);
            self.reserve();
        }
    }

    fn close_batch(&mut self, end: usize) {
        if let Some(len) = (end - self.batch_start).checked_div(self.row) {
            self.record_len = len.max(2);
            let batch = columns::finish(&mut self.columns, &self.schema);
            self.decoded = self.decoded.saturating_add(batch.get_array_memory_size());
            if self.decoded > self.max_decoded {
                self.out.too_much = true;
                self.out.batches.clear();
            } else {
                self.out.batches.push(batch);
            }
        }
        self.row = 0;
        self.batch_start = end;
    }

    /// Takes back what was written of a row.
    fn take_back(&mut self) {
        columns::rollback(&mut self.columns, self.row);
    }

    fn reject(&mut self, fault: Fault, raw: &[u8]) {
        self.take_back();
        let (index, kept) = (self.out.total, self.out.rejected.len());
        self.out.total += 1;
        if kept < self.max_rejections {
            self.out.rejected.push(Rejection { index, letter: self.letter(fault, raw) });
            return;
        }
        let unkept = self.out.total - self.out.accepted - kept.min(self.max_rejections) as u64;
        let message = format!("{unkept} more records of this input were refused; the last: {}", fault.message);
        let last = Rejection { index, letter: self.letter(Fault::new(fault.reason, message), raw) };
        self.out.rejected.truncate(self.max_rejections);
        self.out.rejected.push(last);
    }

    /// Refuses the input as a whole.
    fn reject_all(&mut self, fault: Fault, raw: &[u8]) {
        self.row = 0;
        self.take_back();
        self.out = Decoded::default();
        self.reject(fault, raw);
    }

    fn end(&mut self, consumed: usize) -> Decoded {
        self.close_batch(consumed);
        mem::take(&mut self.out)
    }
}
