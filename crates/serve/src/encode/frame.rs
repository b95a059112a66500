//! Deltas and snapshots of one feed as the bytes that go to sockets. Each encoding is
//! made once and kept inside the delta or snapshot that it belongs to (INV-7).

use std::sync::Arc;

use arrow_array::RecordBatch;
use bytes::Bytes;
use feed::{Delta, Snapshot};
use metrics::Counter;
use model::{Column, Cursor, FeedSchema, Offset};

use crate::{
    backend::FeedInfo,
    encode::{
        framing,
        json::Cells,
        notation::{Json, MessagePack, Notation},
        pieces,
    },
    ws::codec,
};

/// The numbers of the encodings that a delta or snapshot carries along. A snapshot that
/// answers a refused cursor says so, and is another encoding: the number behind.
pub mod number {
    /// WebSocket messages in JSON.
    pub const JSON: u32 = 0;
    /// WebSocket messages in MessagePack.
    pub const MESSAGE_PACK: u32 = 2;
    /// Events of SSE.
    pub const EVENT_STREAM: u32 = 4;
    /// Bodies of responses, two for each form.
    pub const BODY: u32 = 10;
    /// Between a body and its packed ones.
    pub const PACKED: u32 = 100;
    /// A dashboard's updates; two for each dashboard from here on.
    pub const UPDATES: u32 = 1000;
}

/// What makes the frames of one feed.
pub struct FrameEncoder {
    /// Columns and key.
    pub schema: FeedSchema,
    epoch: u32,
    view: model::ViewId,
    name: String,
    /// Counts encodings, so that a test can see INV-7 hold.
    encoded: Counter,
}

impl FrameEncoder {
    /// For one feed.
    pub fn new(info: &FeedInfo, epoch: u32, encoded: Counter) -> Self {
        Self { schema: info.schema.clone(), epoch, view: info.view, name: info.name.clone(), encoded }
    }

    /// The cursor behind a tick.
    pub fn cursor(&self, offset: Offset) -> Cursor {
        Cursor { epoch: self.epoch, view: self.view, offset }
    }

    /// The offset of a cursor, if it is one of this view.
    pub fn offset_of(&self, cursor: Cursor) -> Option<Offset> {
        (cursor == self.cursor(cursor.offset)).then_some(cursor.offset)
    }

    /// Counts an encoding.
    pub fn count(&self) {
        self.encoded.increment(1);
    }

    /// The delta as one WebSocket message in JSON.
    pub fn json(&self, delta: &Delta) -> Bytes {
        let frames = delta.encoded(number::JSON, |delta| {
            self.count();
            Arc::from([codec::text(|out| self.write_delta(delta, false, &mut Json::new(out)))])
        });
        frames[0].clone()
    }

    /// The delta as one WebSocket message in MessagePack.
    pub fn message_pack(&self, delta: &Delta) -> Bytes {
        let frames = delta.encoded(number::MESSAGE_PACK, |delta| {
            self.count();
            Arc::from([codec::binary(|out| self.write_delta(delta, false, &mut MessagePack::new(out)))])
        });
        frames[0].clone()
    }

    /// The delta as an event of SSE: the JSON of the WebSocket with other bytes around it.
    pub fn event(&self, delta: &Delta) -> Bytes {
        let frames = delta.encoded(number::EVENT_STREAM, |delta| {
            Arc::from([framing::event(codec::payload(&self.json(delta)), Some(self.cursor(delta.to)))])
        });
        frames[0].clone()
    }

    /// The snapshot as WebSocket messages in JSON; `reset` says that a cursor was refused.
    pub fn json_pieces(&self, snapshot: &Snapshot, reset: bool) -> Arc<[Bytes]> {
        snapshot.encoded(number::JSON + u32::from(reset), |snapshot| {
            self.count();
            let data = pieces::split(snapshot, &self.schema, |out, group| write_columns(group, &mut Json::new(out)));
            self.finish(data, snapshot.offset, |last, data| {
                codec::text(|out| {
                    let mut out = Json::new(out);
                    self.write_piece_head(last, reset, &mut out);
                    out.out().extend_from_slice(data);
                    out.end_map();
                })
            })
        })
    }

    /// The snapshot as WebSocket messages in MessagePack.
    pub fn message_pack_pieces(&self, snapshot: &Snapshot, reset: bool) -> Arc<[Bytes]> {
        snapshot.encoded(number::MESSAGE_PACK + u32::from(reset), |snapshot| {
            self.count();
            let write = |out: &mut Vec<u8>, group: &[RecordBatch]| write_columns(group, &mut MessagePack::new(out));
            let data = pieces::split(snapshot, &self.schema, write);
            self.finish(data, snapshot.offset, |last, data| {
                codec::binary(|out| {
                    self.write_piece_head(last, reset, &mut MessagePack::new(out));
                    out.extend_from_slice(data);
                })
            })
        })
    }

    /// The snapshot as events of SSE: only the last has an `id`, so that a client that is
    /// lost in the middle begins anew.
    pub fn event_pieces(&self, snapshot: &Snapshot, reset: bool) -> Arc<[Bytes]> {
        snapshot.encoded(number::EVENT_STREAM + u32::from(reset), |snapshot| {
            let pieces = self.json_pieces(snapshot, reset);
            let last = pieces.len() - 1;
            let id = |i| (i == last).then(|| self.cursor(snapshot.offset));
            pieces.iter().enumerate().map(|(i, piece)| framing::event(codec::payload(piece), id(i))).collect()
        })
    }

    fn finish(
        &self,
        data: Vec<Vec<u8>>,
        offset: Offset,
        frame: impl Fn(Option<Cursor>, &[u8]) -> Bytes,
    ) -> Arc<[Bytes]> {
        let last = data.len() - 1;
        data.iter().enumerate().map(|(i, data)| frame((i == last).then(|| self.cursor(offset)), data)).collect()
    }

    /// A piece up to its `data`, which stands last.
    fn write_piece_head(&self, last: Option<Cursor>, reset: bool, out: &mut impl Notation) {
        out.map(5);
        out.entry("type", "snapshot");
        out.entry("view", &self.name);
        if let Some(cursor) = last {
            out.entry("cursor", &cursor.to_string());
        } else {
            out.key("more");
            out.boolean(true);
        }
        out.key("reset");
        out.boolean(reset);
        out.key("data");
    }

    /// A delta; a response `describes` its columns, a socket said them before.
    pub fn write_delta(&self, delta: &Delta, describes: bool, out: &mut impl Notation) {
        out.map(if describes { 8 } else { 6 });
        out.entry("type", "delta");
        out.entry("view", &self.name);
        if describes {
            self.describe(out);
        }
        out.entry("from", &self.cursor(delta.from).to_string());
        out.entry("cursor", &self.cursor(delta.to).to_string());
        out.key("upsert");
        write_rows(&delta.upserts, out);
        out.key("delete");
        write_rows(&delta.deletes, out);
        out.end_map();
    }

    /// The entries `key` and `columns`, as they stand in `subscribed` and in a response.
    pub fn describe(&self, out: &mut impl Notation) {
        let key = self.schema.key();
        out.key("key");
        out.array(key.len());
        for column in key {
            out.text(&column.name);
        }
        out.end_array();
        write_column_names(&self.schema.schema.columns, out);
    }

    /// The view's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The entry `columns`.
pub fn write_column_names(columns: &[Column], out: &mut impl Notation) {
    out.key("columns");
    out.array(columns.len());
    for column in columns {
        out.map(2);
        out.entry("name", &column.name);
        out.entry("type", &column.data_type.to_string());
        out.end_map();
    }
    out.end_array();
}

/// Rows as `[[…],[…]]`.
fn write_rows(batch: &RecordBatch, out: &mut impl Notation) {
    let columns = Cells::of(batch);
    out.array(batch.num_rows());
    for row in 0..batch.num_rows() {
        out.array(columns.len());
        for cells in &columns {
            out.cell(cells, row);
        }
        out.end_array();
    }
    out.end_array();
}

/// Rows as an array for each column.
pub fn write_columns(group: &[RecordBatch], out: &mut impl Notation) {
    let rows = group.iter().map(RecordBatch::num_rows).sum();
    let columns = group.first().map_or(0, RecordBatch::num_columns);
    out.array(columns);
    for column in 0..columns {
        out.array(rows);
        for batch in group {
            let cells = Cells::of_column(batch, column);
            for row in 0..batch.num_rows() {
                out.cell(&cells, row);
            }
        }
        out.end_array();
    }
    out.end_array();
}
