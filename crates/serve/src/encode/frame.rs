//! Deltas and snapshots as the bytes that go to sockets. Each encoding is made once and
//! kept inside the delta or snapshot that it belongs to (INV-7).

use std::{fmt::Write as _, sync::Arc};

use arrow_array::RecordBatch;
use bytes::Bytes;
use feed::{Delta, Snapshot};
use metrics::Counter;
use model::{Cursor, FeedSchema, Offset};

use crate::{
    backend::FeedInfo,
    encode::json::{self, Cells},
    ws::codec,
};

/// The slots of [`Delta::encoded`] and [`Snapshot::encoded`] that this crate uses. A
/// snapshot has one more where it answers a cursor that was refused.
mod slot {
    pub const SOCKET: usize = 0;
    pub const SOCKET_RESET: usize = 1;
    pub const HTTP: usize = 2;
}

/// A snapshot on a socket comes in pieces of at most this many bytes, so that other
/// views' deltas go between. One row larger than it is a piece of its own.
pub const PIECE_BYTES: usize = 64 << 10;

/// Chunks of a response's body.
const CHUNK_BYTES: usize = 64 << 10;

/// What makes the frames of one feed.
pub struct FrameEncoder {
    schema: FeedSchema,
    epoch: u32,
    view: model::ViewId,
    /// The feed's name as JSON text.
    name: String,
    /// Counts encodings, so that a test can see INV-7 hold.
    encoded: Counter,
}

impl FrameEncoder {
    /// For one feed.
    pub fn new(info: &FeedInfo, epoch: u32, encoded: Counter) -> Self {
        Self { schema: info.schema.clone(), epoch, view: info.view, name: quoted(&info.name), encoded }
    }

    /// The cursor behind a tick.
    pub fn cursor(&self, offset: Offset) -> Cursor {
        Cursor { epoch: self.epoch, view: self.view, offset }
    }

    /// The delta as one WebSocket message.
    pub fn delta<'a>(&self, delta: &'a Delta) -> &'a Bytes {
        let frames = delta.encoded(slot::SOCKET, |delta| {
            self.encoded.increment(1);
            Arc::from(vec![codec::framed(|out| self.write_delta(delta, out))])
        });
        &frames[0]
    }

    /// The snapshot as WebSocket messages; `reset` says that a cursor was refused.
    pub fn snapshot<'a>(&self, snapshot: &'a Snapshot, reset: bool) -> &'a Arc<[Bytes]> {
        let slot = if reset { slot::SOCKET_RESET } else { slot::SOCKET };
        snapshot.encoded(slot, |snapshot| {
            let pieces = Arc::from(self.pieces(snapshot, reset));
            self.encoded.increment(1);
            pieces
        })
    }

    /// The snapshot as the body of a response, in chunks.
    pub fn body<'a>(&self, snapshot: &'a Snapshot) -> &'a Arc<[Bytes]> {
        snapshot.encoded(slot::HTTP, |snapshot| {
            self.encoded.increment(1);
            Arc::from(self.chunks(snapshot))
        })
    }

    /// `"key":[…],"columns":[…]`, as it stands in `subscribed` and in a response.
    pub fn describe(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\"key\":[");
        for (i, column) in self.schema.key().iter().enumerate() {
            comma(i, out);
            json::text(&column.name, out);
        }
        out.extend_from_slice(b"],\"columns\":[");
        for (i, column) in self.schema.schema.columns.iter().enumerate() {
            comma(i, out);
            out.extend_from_slice(b"{\"name\":");
            json::text(&column.name, out);
            out.extend_from_slice(b",\"type\":\"");
            out.extend_from_slice(column.data_type.to_string().as_bytes());
            out.extend_from_slice(b"\"}");
        }
        out.push(b']');
    }

    /// The view's name as JSON text.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn write_delta(&self, delta: &Delta, out: &mut Vec<u8>) {
        self.head("delta", out);
        out.extend_from_slice(b",\"from\":\"");
        display(&self.cursor(delta.from), out);
        out.extend_from_slice(b"\",\"cursor\":\"");
        display(&self.cursor(delta.to), out);
        out.extend_from_slice(b"\",\"upsert\":");
        rows(&delta.upserts, out);
        out.extend_from_slice(b",\"delete\":");
        rows(&delta.deletes, out);
        out.push(b'}');
    }

    fn head(&self, kind: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\",\"view\":");
        out.extend_from_slice(self.name.as_bytes());
    }

    fn pieces(&self, snapshot: &Snapshot, reset: bool) -> Vec<Bytes> {
        let mut pieces =
            Pieces { encoder: self, reset, made: Vec::new(), row_bytes: 16 * self.schema.schema.columns.len() };
        let mut group = Vec::new();
        let mut rows = 0;
        for batch in snapshot.batches() {
            let mut at = 0;
            while at < batch.num_rows() {
                let room = pieces.rows_that_fit().saturating_sub(rows).max(1);
                let taken = room.min(batch.num_rows() - at);
                group.push(batch.slice(at, taken));
                at += taken;
                rows += taken;
                if rows >= pieces.rows_that_fit() {
                    pieces.push(&group);
                    group.clear();
                    rows = 0;
                }
            }
        }
        if rows > 0 || pieces.made.is_empty() {
            pieces.push(&group);
        }
        pieces.finish(self.cursor(snapshot.offset))
    }

    fn chunks(&self, snapshot: &Snapshot) -> Vec<Bytes> {
        let batches: Vec<_> = snapshot.batches().collect();
        let mut chunks = Vec::new();
        let mut out = Vec::with_capacity(CHUNK_BYTES + 1024);
        self.head("snapshot", &mut out);
        out.push(b',');
        self.describe(&mut out);
        out.extend_from_slice(b",\"cursor\":\"");
        display(&self.cursor(snapshot.offset), &mut out);
        out.extend_from_slice(b"\",\"data\":[");
        for column in 0..self.schema.schema.columns.len() {
            comma(column, &mut out);
            out.push(b'[');
            let mut first = true;
            for batch in &batches {
                Cells::of_column(batch, column).write_all(batch.num_rows(), first, &mut out);
                first &= batch.num_rows() == 0;
                if out.len() >= CHUNK_BYTES {
                    chunks.push(Bytes::from(std::mem::replace(&mut out, Vec::with_capacity(CHUNK_BYTES + 1024))));
                }
            }
            out.push(b']');
        }
        out.extend_from_slice(b"]}");
        chunks.push(Bytes::from(out));
        chunks
    }
}

/// The pieces of a snapshot under way: the `data` of each, until the last is known.
struct Pieces<'a> {
    encoder: &'a FrameEncoder,
    reset: bool,
    made: Vec<Vec<u8>>,
    /// How large a row was of late; the next piece's rows are chosen by it.
    row_bytes: usize,
}

impl Pieces<'_> {
    /// Leaves a quarter for rows that are larger than the last ones.
    fn rows_that_fit(&self) -> usize {
        (PIECE_BYTES * 3 / 4 / self.row_bytes.max(1)).max(1)
    }

    fn push(&mut self, group: &[RecordBatch]) {
        let rows: usize = group.iter().map(RecordBatch::num_rows).sum();
        let mut data = Vec::with_capacity(rows * self.row_bytes + 64);
        data.push(b'[');
        for column in 0..self.encoder.schema.schema.columns.len() {
            comma(column, &mut data);
            data.push(b'[');
            let mut first = true;
            for batch in group {
                Cells::of_column(batch, column).write_all(batch.num_rows(), first, &mut data);
                first &= batch.num_rows() == 0;
            }
            data.push(b']');
        }
        data.push(b']');
        self.row_bytes = data.len().checked_div(rows).map_or(self.row_bytes, |bytes| bytes + 1);
        // The head, cursor and WebSocket's own header need less than this.
        let most = PIECE_BYTES - 256 - self.encoder.name.len().min(PIECE_BYTES / 2);
        if data.len() <= most || rows <= 1 {
            self.made.push(data);
            return;
        }
        let (left, right) = halves(group, rows / 2);
        self.push(&left);
        self.push(&right);
    }

    fn finish(self, cursor: Cursor) -> Vec<Bytes> {
        let last = self.made.len() - 1;
        let reset: &[u8] = if self.reset { b"true" } else { b"false" };
        let frame = |(i, data): (usize, Vec<u8>)| {
            codec::framed(|out| {
                out.reserve(data.len() + 256);
                self.encoder.head("snapshot", out);
                if i == last {
                    out.extend_from_slice(b",\"cursor\":\"");
                    display(&cursor, out);
                    out.push(b'"');
                } else {
                    out.extend_from_slice(b",\"more\":true");
                }
                out.extend_from_slice(b",\"reset\":");
                out.extend_from_slice(reset);
                out.extend_from_slice(b",\"data\":");
                out.extend_from_slice(&data);
                out.push(b'}');
            })
        };
        self.made.into_iter().enumerate().map(frame).collect()
    }
}

/// Splits a group after `at` rows.
fn halves(group: &[RecordBatch], at: usize) -> (Vec<RecordBatch>, Vec<RecordBatch>) {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    let mut room = at;
    for batch in group {
        let taken = room.min(batch.num_rows());
        if taken > 0 {
            left.push(batch.slice(0, taken));
        }
        if taken < batch.num_rows() {
            right.push(batch.slice(taken, batch.num_rows() - taken));
        }
        room -= taken;
    }
    (left, right)
}

/// Rows as `[[…],[…]]`.
fn rows(batch: &RecordBatch, out: &mut Vec<u8>) {
    let columns = Cells::of(batch);
    out.push(b'[');
    for row in 0..batch.num_rows() {
        comma(row, out);
        out.push(b'[');
        for (i, cells) in columns.iter().enumerate() {
            comma(i, out);
            cells.write(row, out);
        }
        out.push(b']');
    }
    out.push(b']');
}

fn comma(index: usize, out: &mut Vec<u8>) {
    if index > 0 {
        out.push(b',');
    }
}

fn display(value: &impl std::fmt::Display, out: &mut Vec<u8>) {
    let mut text = String::with_capacity(48);
    // A String takes everything.
    let _ = write!(text, "{value}");
    out.extend_from_slice(text.as_bytes());
}

/// A text as JSON.
pub fn quoted(value: &str) -> String {
    let mut out = Vec::with_capacity(value.len() + 2);
    json::text(value, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}
