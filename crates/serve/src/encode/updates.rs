//! A dashboard's updates for clients that know no protocol: one flat object for each
//! changed row and each value that a panel draws of it. They do not tell of deletes.

use std::{io::Write as _, sync::Arc};

use arrow_array::{Array, RecordBatch};
use bytes::Bytes;
use config::{Dashboard, Panel};
use feed::{Delta, Snapshot};
use flate2::{Compression, write::GzEncoder};
use model::DataType;

use crate::{
    backend::FeedInfo,
    encode::{
        frame::{FrameEncoder, number},
        json::Cells,
        notation::{Json, MessagePack, Notation},
    },
    ws::codec,
};

/// Messages of a snapshot are written together until they are as large as this.
const PIECE_BYTES: usize = 64 << 10;

/// MessagePack above this many bytes is gzipped.
const GZIP_ABOVE: usize = 1024;

/// What a dashboard shows, as updates.
pub struct Updates {
    number: u32,
    /// Its feeds, each with what is shown of it.
    feeds: Vec<(usize, Vec<Measure>)>,
}

/// One value of a row that a panel shows. Columns are indices into the feed's.
struct Measure {
    timestamp: Option<usize>,
    metric: Metric,
    value: Option<usize>,
    /// The name of the value's column, where the panel says which.
    column: Option<String>,
    /// The other columns, with their names.
    metadata: Vec<(usize, String)>,
    /// Rows are told of if they have, for one of these, one of the values in each column.
    only: Vec<Only>,
}

/// Columns and the values, as texts, that a row must have in them; empty for all rows.
type Only = Vec<(usize, Vec<String>)>;

/// What an update's `metric` is.
#[derive(PartialEq)]
enum Metric {
    Column(usize),
    Name(String),
    /// The key, its columns with `/` between.
    Key(usize),
}

impl Updates {
    /// For a dashboard; `number` is that of no other that is watched at the same time.
    pub fn new(number: u32, config: &Dashboard, feeds: &[FeedInfo]) -> Self {
        let mut updates = Self { number, feeds: Vec::new() };
        for panel in &config.panels {
            let Some(feed) = feeds.iter().position(|f| f.name == panel.feed) else { continue };
            let known = updates.feeds.iter().position(|(f, _)| *f == feed);
            let known = known.unwrap_or_else(|| {
                updates.feeds.push((feed, Vec::new()));
                updates.feeds.len() - 1
            });
            for measure in measures(panel, &feeds[feed]) {
                // Two panels that show the same in two ways are one to a program.
                match updates.feeds[known].1.iter_mut().find(|other| other.shows_what(&measure)) {
                    Some(other) => other.only.extend(measure.only),
                    None => updates.feeds[known].1.push(measure),
                }
            }
        }
        updates
    }

    /// The feeds that it shows.
    pub fn feeds(&self) -> impl Iterator<Item = usize> {
        self.feeds.iter().map(|(feed, _)| *feed)
    }

    /// A delta as WebSocket messages, one behind the other; empty if no row changed.
    pub fn delta(&self, feed: usize, delta: &Delta, packed: bool, encoder: &FrameEncoder) -> Bytes {
        let made = delta.encoded(self.number(packed), |delta| {
            encoder.count();
            let mut out = Vec::new();
            self.write(feed, &delta.upserts, packed, &mut out);
            Arc::from([Bytes::from(out)])
        });
        made[0].clone()
    }

    /// A snapshot as WebSocket messages, several in each piece; a piece may be empty.
    pub fn snapshot(&self, feed: usize, snapshot: &Snapshot, packed: bool, encoder: &FrameEncoder) -> Arc<[Bytes]> {
        snapshot.encoded(self.number(packed), |snapshot| {
            encoder.count();
            let mut pieces = Vec::new();
            let mut out = Vec::new();
            for batch in snapshot.batches() {
                self.write(feed, &batch, packed, &mut out);
                if out.len() >= PIECE_BYTES {
                    pieces.push(Bytes::from(std::mem::take(&mut out)));
                }
            }
            if !out.is_empty() || pieces.is_empty() {
                pieces.push(Bytes::from(out));
            }
            Arc::from(pieces)
        })
    }

    fn number(&self, packed: bool) -> u32 {
        self.number.wrapping_mul(2).wrapping_add(number::UPDATES + u32::from(packed))
    }

    fn write(&self, feed: usize, batch: &RecordBatch, packed: bool, out: &mut Vec<u8>) {
        let measures = self.feeds.iter().find(|(f, _)| *f == feed).map_or(&[][..], |(_, measures)| measures);
        let cells = Cells::of(batch);
        let mut message = Vec::new();
        for row in 0..batch.num_rows() {
            for measure in measures.iter().filter(|measure| measure.tells_of(&cells, row)) {
                message.clear();
                if packed {
                    measure.write(&cells, row, &mut MessagePack::new(&mut message));
                    if message.len() > GZIP_ABOVE {
                        message = gzipped(&message);
                    }
                    codec::append_binary(&message, out);
                } else {
                    measure.write(&cells, row, &mut Json::new(&mut message));
                    codec::append_text(&message, out);
                }
            }
        }
    }
}

impl Measure {
    /// Whether both show the same of a row, be it of other rows.
    fn shows_what(&self, other: &Self) -> bool {
        let of = |m: &Self| (m.timestamp, m.value);
        of(self) == of(other)
            && self.metric == other.metric
            && self.column == other.column
            && self.metadata == other.metadata
    }

    fn tells_of(&self, cells: &[Cells], row: usize) -> bool {
        self.only.iter().any(|only| only.iter().all(|(column, values)| values.contains(&text_of(&cells[*column], row))))
    }

    fn write(&self, cells: &[Cells], row: usize, out: &mut impl Notation) {
        out.map(4 + usize::from(self.column.is_some()));
        out.key("timestamp");
        self.cell(self.timestamp, cells, row, out);
        out.key("metric");
        match &self.metric {
            Metric::Column(column) => out.cell(&cells[*column], row),
            Metric::Name(name) => out.text(name),
            Metric::Key(columns) => out.text(&key_text(&cells[..*columns], row)),
        }
        if let Some(column) = &self.column {
            out.entry("column", column);
        }
        out.key("value");
        self.cell(self.value, cells, row, out);
        out.key("metadata");
        out.map(self.metadata.len());
        for (column, name) in &self.metadata {
            out.key(name);
            out.cell(&cells[*column], row);
        }
        out.end_map();
        out.end_map();
    }

    fn cell(&self, column: Option<usize>, cells: &[Cells], row: usize, out: &mut impl Notation) {
        match column {
            Some(column) => out.cell(&cells[column], row),
            None => out.null(),
        }
    }
}

/// A key as one text.
fn key_text(key: &[Cells], row: usize) -> String {
    let mut text = String::new();
    for (i, cells) in key.iter().enumerate() {
        if i > 0 {
            text.push('/');
        }
        text.push_str(&text_of(cells, row));
    }
    text
}

/// A value as text.
fn text_of(cells: &Cells, row: usize) -> String {
    match cells {
        Cells::Text(a) if a.is_valid(row) => a.value(row).to_owned(),
        other => {
            let mut out = Vec::new();
            other.write(row, &mut out);
            // Dates and exact numbers are texts, too.
            String::from_utf8_lossy(&out).trim_matches('"').to_owned()
        }
    }
}

fn measures(panel: &Panel, feed: &FeedInfo) -> Vec<Measure> {
    let columns = &feed.schema.schema.columns;
    let index = |name: &String| columns.iter().position(|c| c.name == *name);
    let named = |name: &Option<String>| name.as_ref().and_then(index);
    let others = |shown: &[Option<usize>]| -> Vec<(usize, String)> {
        let wanted = |name: &String| panel.columns.is_empty() || panel.columns.contains(name);
        let rest = columns.iter().enumerate().filter(|(i, c)| !shown.contains(&Some(*i)) && wanted(&c.name));
        rest.map(|(i, c)| (i, c.name.clone())).collect()
    };
    let (x, series) = (named(&panel.x), named(&panel.series));
    let only = || -> Vec<Only> {
        vec![panel.only.iter().filter_map(|(name, values)| Some((index(name)?, values.clone()))).collect()]
    };
    if panel.y.is_empty() {
        let is_number =
            |t: DataType| matches!(t, DataType::BigInt | DataType::Int | DataType::Double | DataType::Decimal { .. });
        let key = feed.schema.key_len;
        let timestamp = x.or_else(|| columns.iter().position(|c| c.data_type == DataType::Timestamp));
        let value = columns.iter().skip(key).position(|c| is_number(c.data_type)).map(|i| i + key);
        let metadata = others(&[timestamp, value]);
        return vec![Measure { timestamp, metric: Metric::Key(key), value, column: None, metadata, only: only() }];
    }
    let measure = |name: &String| {
        let value = index(name);
        Measure {
            timestamp: x,
            metric: series.map_or_else(|| Metric::Name(name.clone()), Metric::Column),
            value,
            column: Some(name.clone()),
            metadata: others(&[x, series, value]),
            only: only(),
        }
    };
    panel.y.iter().map(measure).collect()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 2), Compression::default());
    // Writing to a `Vec` cannot fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}
