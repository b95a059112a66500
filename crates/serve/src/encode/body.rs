//! Snapshots and deltas as the bodies of responses, in chunks that all who ask share
//! (INV-7).

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::ArrowError;
use bytes::Bytes;
use feed::{Changes, Delta, Snapshot};
use model::Column;

use crate::encode::{
    compress::Coding,
    csv,
    frame::{FrameEncoder, number},
    json::Cells,
    notation::{Json, MessagePack, Notation},
};

/// Chunks of a body.
const CHUNK_BYTES: usize = 64 << 10;

/// The forms in which a feed can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Representation {
    /// One JSON object.
    Json,
    /// The same object in MessagePack.
    MessagePack,
    /// A JSON object a row, a line each.
    Ndjson,
    /// RFC 4180 with a header line.
    Csv,
    /// An Arrow IPC stream.
    Arrow,
    /// Server-sent events, as long as the client stays.
    EventStream,
}

impl Representation {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Json, Self::MessagePack, Self::Ndjson, Self::Csv, Self::Arrow, Self::EventStream];

    /// What stands in `Content-Type`.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::MessagePack => "application/msgpack",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::EventStream => "text/event-stream",
        }
    }

    /// The names under which it is asked for; the first is the registered or usual one.
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Json => &["application/json"],
            Self::MessagePack => &["application/msgpack", "application/vnd.msgpack", "application/x-msgpack"],
            Self::Ndjson => &["application/x-ndjson", "application/ndjson", "application/jsonl"],
            Self::Csv => &["text/csv"],
            Self::Arrow => &["application/vnd.apache.arrow.stream"],
            Self::EventStream => &["text/event-stream"],
        }
    }

    /// What its ETag says behind the cursor: a cache that holds two forms tells them apart.
    pub const fn tag_suffix(self) -> &'static str {
        match self {
            Self::Json | Self::EventStream => "",
            Self::MessagePack => ";msgpack",
            Self::Ndjson => ";ndjson",
            Self::Csv => ";csv",
            Self::Arrow => ";arrow",
        }
    }

    /// Whether it can say what changed, and not only what is.
    pub const fn has_deltas(self) -> bool {
        matches!(self, Self::Json | Self::MessagePack | Self::EventStream)
    }
}

/// The chunks of a body that is being made.
#[derive(Default)]
struct Chunks(Vec<Bytes>);

impl Chunks {
    /// Takes what was written, if it is enough for a chunk.
    fn take(&mut self, out: &mut Vec<u8>) {
        if out.len() >= CHUNK_BYTES {
            let next = Vec::with_capacity(CHUNK_BYTES + 1024);
            self.0.push(Bytes::from(std::mem::replace(out, next)));
        }
    }

    fn finish(mut self, rest: Vec<u8>) -> Arc<[Bytes]> {
        // An empty body is a body.
        if !rest.is_empty() || self.0.is_empty() {
            self.0.push(Bytes::from(rest));
        }
        Arc::from(self.0)
    }
}

impl FrameEncoder {
    /// What changed, as a body; `reset` says that a snapshot refuses a cursor. Without a
    /// chunk it could not be made.
    pub fn body(&self, changes: &Changes, form: Representation, reset: bool) -> Arc<[Bytes]> {
        let number = number_of(form, reset);
        match changes {
            Changes::Delta(delta) => delta.encoded(number, |delta| {
                self.count();
                self.delta_body(delta, form)
            }),
            Changes::Snapshot(snapshot) => snapshot.encoded(number, |snapshot| {
                self.count();
                self.snapshot_body(snapshot, form, reset)
            }),
        }
    }

    /// The same, packed.
    pub fn packed_body(&self, changes: &Changes, form: Representation, reset: bool, coding: Coding) -> Arc<[Bytes]> {
        let number = number_of(form, reset) + number::PACKED * (1 + coding as u32);
        let pack = || {
            self.count();
            match coding.pack(&self.body(changes, form, reset)) {
                Ok(packed) => Arc::from([packed]),
                Err(error) => {
                    tracing::error!(%error, "a body could not be packed");
                    Arc::default()
                }
            }
        };
        match changes {
            Changes::Delta(delta) => delta.encoded(number, |_| pack()),
            Changes::Snapshot(snapshot) => snapshot.encoded(number, |_| pack()),
        }
    }

    /// Only what can say changes is asked for them.
    fn delta_body(&self, delta: &Delta, form: Representation) -> Arc<[Bytes]> {
        let mut out = Vec::new();
        if form == Representation::MessagePack {
            self.write_delta(delta, true, &mut MessagePack::new(&mut out));
        } else {
            self.write_delta(delta, true, &mut Json::new(&mut out));
        }
        Arc::from([Bytes::from(out)])
    }

    fn snapshot_body(&self, snapshot: &Snapshot, form: Representation, reset: bool) -> Arc<[Bytes]> {
        let mut out = Vec::with_capacity(CHUNK_BYTES + 1024);
        let mut chunks = Chunks::default();
        match form {
            Representation::Json | Representation::EventStream => {
                self.object(snapshot, reset, &mut Json::new(&mut out), &mut chunks);
            }
            Representation::MessagePack => {
                self.object(snapshot, reset, &mut MessagePack::new(&mut out), &mut chunks);
            }
            Representation::Ndjson => {
                for batch in snapshot.batches() {
                    write_lines(&self.schema.schema.columns, &batch, &mut out);
                    chunks.take(&mut out);
                }
            }
            Representation::Csv => {
                csv::header(&self.schema.schema.columns, &mut out);
                for batch in snapshot.batches() {
                    csv::records(&batch, &mut out);
                    chunks.take(&mut out);
                }
            }
            Representation::Arrow => match self.arrow(snapshot, &mut chunks) {
                Ok(rest) => out = rest,
                Err(error) => {
                    tracing::error!(%error, "an Arrow stream could not be made");
                    return Arc::default();
                }
            },
        }
        chunks.finish(out)
    }

    fn object(&self, snapshot: &Snapshot, reset: bool, out: &mut impl Notation, chunks: &mut Chunks) {
        let batches: Vec<_> = snapshot.batches().collect();
        out.map(7);
        out.entry("type", "snapshot");
        out.entry("view", self.name());
        self.describe(out);
        out.entry("cursor", &self.cursor(snapshot.offset).to_string());
        out.key("reset");
        out.boolean(reset);
        out.key("data");
        out.array(self.schema.schema.columns.len());
        for column in 0..self.schema.schema.columns.len() {
            out.array(snapshot.len());
            for batch in &batches {
                let cells = Cells::of_column(batch, column);
                for row in 0..batch.num_rows() {
                    out.cell(&cells, row);
                }
                chunks.take(out.out());
            }
            out.end_array();
        }
        out.end_array();
        out.end_map();
    }

    fn arrow(&self, snapshot: &Snapshot, chunks: &mut Chunks) -> Result<Vec<u8>, ArrowError> {
        let mut writer = StreamWriter::try_new(Vec::new(), &self.schema.schema.to_arrow())?;
        for batch in snapshot.batches() {
            writer.write(&batch)?;
            chunks.take(writer.get_mut());
        }
        writer.into_inner()
    }
}

/// A JSON object a row, a line each.
pub fn write_lines(columns: &[Column], batch: &RecordBatch, out: &mut Vec<u8>) {
    let cells = Cells::of(batch);
    for row in 0..batch.num_rows() {
        let mut line = Json::new(out);
        line.map(cells.len());
        for (cells, column) in cells.iter().zip(columns) {
            line.key(&column.name);
            line.cell(cells, row);
        }
        line.end_map();
        out.push(b'\n');
    }
}

fn number_of(form: Representation, reset: bool) -> u32 {
    number::BODY + 2 * form as u32 + u32::from(reset)
}
