//! The configuration as the rest of the program sees it: every default filled in,
//! every unit resolved. Names are unique within their kind and stand in file order.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use model::DataType;

use crate::{
    place::{Place, Sql},
    read,
};

/// A whole configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address and port to listen on: `listen:`.
    pub listen: String,
    /// Directory of log and state; `None` keeps nothing (`--memory`).
    pub data_dir: Option<PathBuf>,
    /// When an event counts as kept.
    pub durability: Durability,
    /// Allows listening beyond loopback without authentication.
    pub insecure: bool,
    /// Origins of other sites that may read and open sockets, exact.
    pub cors: Vec<String>,
    /// Limits of the server.
    pub limits: Limits,
    /// Streams, in file order.
    pub streams: Vec<Stream>,
    /// Feeds, in file order.
    pub feeds: Vec<Feed>,
    /// Dashboards, in file order.
    pub dashboards: Vec<Dashboard>,
}

impl Stream {
    /// Whether it is there without being written down.
    pub fn is_implied(&self) -> bool {
        matches!(self.source, Source::DeadLetters { .. })
    }
}

impl Config {
    /// How many streams are written down.
    pub fn written_streams(&self) -> usize {
        self.streams.iter().filter(|s| !s.is_implied()).count()
    }

    /// With, behind the others, the streams that are there without being written down: for
    /// each the one of its dead letters, `NAME_dead_letters`.
    #[must_use]
    pub fn with_dead_letters(mut self) -> Self {
        let implied = read::dead_letters::of(&self.streams);
        self.streams.extend(implied);
        self
    }
}

/// When an event counts as kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Synced to disk before it is acknowledged: survives a power cut.
    Fsync,
    /// Handed to the operating system before it is acknowledged: survives a crash of the process.
    Process,
}

/// A stream of events.
#[derive(Debug, Clone)]
pub struct Stream {
    /// Its name.
    pub name: String,
    /// Where it is defined.
    pub place: Place,
    /// Where its events come from.
    pub source: Source,
    /// Its columns.
    pub columns: Vec<StreamColumn>,
    /// What its time is, if it has one.
    pub event_time: Option<EventTime>,
    /// How long events stay in the log; `retention: 7d`.
    pub retention: Duration,
    /// How many bytes of events stay in the log; `retention_bytes: 10GiB`.
    pub retention_bytes: u64,
    /// Events that it takes a second from clients: `max_events_per_second: 10000000`.
    pub max_events_per_second: usize,
    /// Bytes of its events accepted and not yet in the log; `limits.max_pending` unless said.
    pub max_pending: Option<usize>,
}

/// A column of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamColumn {
    /// Its name in SQL.
    pub name: String,
    /// The field's name in the record; the column's name unless `from:` says otherwise.
    pub from: String,
    /// Its type.
    pub data_type: DataType,
    /// Whether a record without it is refused.
    pub not_null: bool,
}

/// What a stream's time is.
#[derive(Debug, Clone)]
pub struct EventTime {
    /// The timestamp column.
    pub column: String,
    /// How far behind the newest event an event may come: `max_lateness: 5s`.
    pub max_lateness: Duration,
    /// A partition silent for this long stops holding the watermark back: `idle_timeout: 30s`.
    pub idle_timeout: Duration,
    /// How far ahead of its arrival an event may be: `max_ahead: 1m`; `None` is `off`.
    pub max_ahead: Option<Duration>,
}

/// Where a stream's events come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// `type: http`: posts and WebSocket publishes.
    Http,
    /// `type: file`.
    File(FileSource),
    /// `type: generator`.
    Generator(GeneratorSource),
    /// `type: host`.
    Host(HostSource),
    /// What another stream, and its feeds, refused: `NAME_dead_letters`. Never written down.
    DeadLetters {
        /// The other stream, as an index into [`Config::streams`].
        of: usize,
    },
}

/// A file that is read once, or followed as it grows; or the files of a pattern.
#[derive(Debug, Clone)]
pub struct FileSource {
    /// The path, relative to the working directory; with `*`, `?` or `[` in it a pattern.
    pub path: PathBuf,
    /// How its records are written; by the name's ending unless said.
    pub format: FileFormat,
    /// Whether to wait for more at its end.
    pub follow: bool,
}

/// How the records of a file are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// One JSON object a line.
    Ndjson,
    /// RFC 4180 with a header line.
    Csv,
    /// Apache Parquet.
    Parquet,
}

/// Seeded random data.
#[derive(Debug, Clone)]
pub struct GeneratorSource {
    /// Events a second, at most: `rhythm` leaves some out.
    pub rate: f64,
    /// The seed; equal seeds give equal values.
    pub seed: u64,
    /// What each column gets, in the order of the stream's columns.
    pub columns: Vec<Generated>,
    /// How the rate goes up and down.
    pub rhythm: Rhythm,
    /// Events that are older than they should be.
    pub late: Option<Late>,
    /// Values of a choice that send nothing for a while.
    pub silent: Option<Silent>,
    /// How much of the past is made at the first start.
    pub history: Duration,
}

/// How a generator's rate goes up and down; shares of `rate`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rhythm {
    /// Up and down between two shares.
    pub wave: Option<RhythmWave>,
    /// All of the rate now and then.
    pub spike: Option<Spell>,
    /// Nothing now and then.
    pub outage: Option<Spell>,
}

/// Up and down between two shares of the rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RhythmWave {
    /// The least, 0 to 1.
    pub low: f64,
    /// The most, 0 to 1.
    pub high: f64,
    /// From crest to crest.
    pub period: Duration,
}

/// Something that lasts a while and comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spell {
    /// From one beginning to the next.
    pub every: Duration,
    /// How long it lasts.
    pub lasts: Duration,
}

/// Some events are older than they should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Late {
    /// How many of them, 0 to 1.
    pub share: f64,
    /// By how much.
    pub by: Duration,
}

/// Some values of a choice send nothing for a while, then others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Silent {
    /// The column of the choice, as an index into the stream's.
    pub column: usize,
    /// How many of the values at a time, 0 to 1.
    pub share: f64,
    /// For how long.
    pub lasts: Duration,
}

/// This machine's vitals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostSource {
    /// How often they are read.
    pub every: Duration,
    /// How often processes are listed; `None` is `off`.
    pub processes: Option<Duration>,
    /// How many of the busiest processes are told of.
    pub top: usize,
}

/// What a generated column gets.
#[derive(Debug, Clone, PartialEq)]
pub enum Generated {
    /// `now`: the time of the event (timestamp columns; their default).
    Now,
    /// `{ choice: [a, b, c] }`: one of these texts; `{ choice: { a: 5, b: 1 } }`: some more often.
    Choice {
        /// The texts.
        texts: Vec<String>,
        /// How often each comes beside the others; empty means equally often.
        weights: Vec<f64>,
    },
    /// `{ uniform: [low, high] }`: evenly between.
    Uniform(f64, f64),
    /// `{ walk: { start, step, low, high } }`: a random walk within bounds, one for each
    /// combination of the event's `choice` columns.
    Walk { start: f64, step: f64, low: f64, high: f64 },
    /// `{ wave: { low, high, period } }`: a sine over time with a little noise.
    Wave { low: f64, high: f64, period: Duration },
    /// `{ lognormal: { median, spread } }`: mostly around the median, now and then far above it.
    Lognormal { median: f64, spread: f64 },
    /// `{ sequence: start }`: start, start + 1, …
    Sequence(i64),
}

/// A feed: an SQL query kept up to date.
#[derive(Debug, Clone)]
pub struct Feed {
    /// Its name.
    pub name: String,
    /// Where it is defined.
    pub place: Place,
    /// The query.
    pub sql: Sql,
    /// `key:`, where it is said.
    pub key: Option<Vec<String>>,
    /// Where `key:` is said.
    pub key_place: Option<Place>,
    /// `delete_when:`, an SQL condition over the query's columns.
    pub delete_when: Option<Sql>,
    /// When windows are shown.
    pub emit: Emit,
    /// The least time between two changes of one window: `refresh: 0s`.
    pub refresh: Duration,
    /// How much of the past the feed's table holds: `keep: 1h`.
    pub keep: Duration,
    /// How many rows an append feed holds: `keep_rows: 1000`; other feeds have no limit by default.
    pub keep_rows: Option<u64>,
    /// How many groups the query may hold: `max_groups: 1000000`.
    pub max_groups: u64,
    /// How many bytes the aggregates of one group may remember: `max_group_state: 1MiB`.
    pub max_group_state: u64,
    /// How many bytes groups, rows and deleted keys may hold together: `max_memory: 1GiB`.
    pub max_memory: u64,
    /// A group without a window is dropped after this long without an event: `idle_ttl: 24h`.
    pub idle_ttl: Duration,
}

/// When windows are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emit {
    /// As they fill.
    Changes,
    /// Once, when the watermark passes their end.
    Final,
}

/// A page of panels.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Dashboard {
    /// Its name in the path.
    pub name: String,
    /// Its title; the name unless said.
    pub title: String,
    /// How much of the past its charts show at first, milliseconds on the wire.
    #[serde(serialize_with = "as_millis")]
    pub range: Duration,
    /// Where it is defined.
    #[serde(skip)]
    pub place: Place,
    /// Its panels, in order.
    pub panels: Vec<Panel>,
}

/// A panel over a feed.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Panel {
    /// Its title.
    pub title: String,
    /// The feed it shows.
    pub feed: String,
    /// How it is drawn.
    #[serde(rename = "type")]
    pub kind: PanelKind,
    /// The column along the x axis; of a stat or gauge, that of its time.
    pub x: Option<String>,
    /// The columns along the y axis; one column may be given without a list.
    pub y: Vec<String>,
    /// The column whose values make the lines.
    pub series: Option<String>,
    /// The columns of a table; all unless said.
    pub columns: Vec<String>,
    /// The columns of a table that are drawn as bars.
    pub bars: Vec<String>,
    /// Columns with the values, as text, that a row must have to be shown.
    pub only: BTreeMap<String, Vec<String>>,
    /// How the rows of one x become one number (stat, gauge).
    pub combine: Combine,
    /// A stat shows its change against that long ago, milliseconds on the wire.
    #[serde(serialize_with = "as_millis_if_given")]
    pub compare: Option<Duration>,
    /// The least of the y axis, or the lower end of a gauge.
    pub min: Option<f64>,
    /// The most of the y axis, or the upper end of a gauge.
    pub max: Option<f64>,
    /// From here on a value is a warning.
    pub warn: Option<f64>,
    /// From here on a value is bad; if less than `warn`, low values are.
    pub bad: Option<f64>,
    /// How often the feed changes at least, milliseconds on the wire.
    #[serde(serialize_with = "as_millis_if_given")]
    pub expect: Option<Duration>,
    /// The column to sort by, with `-` before it from the greatest down.
    pub sort: Option<String>,
    /// How many rows are shown at most.
    pub rows: Option<u64>,
    /// The unit of y: `%`, `ms`, …
    pub unit: Option<String>,
    /// Its width in twelfths, 1 to 12; 6 unless said.
    pub span: u8,
    /// Where it is defined.
    #[serde(skip)]
    pub place: Place,
    /// Every column that it names, with the place where it does.
    #[serde(skip)]
    pub named: Vec<Named>,
}

/// A column that a panel names, for messages about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The key it is named under: `x`, `y`, `series`, `columns`, `bars`, `only` or `sort`.
    pub key: &'static str,
    /// The column's name.
    pub column: String,
    /// Where it is named.
    pub place: Place,
}

/// How a panel is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PanelKind {
    /// Lines over x.
    Line,
    /// Lines over x, filled below.
    Area,
    /// Bars over time, or a ranking.
    Bar,
    /// One number, and its past as a small line.
    Stat,
    /// One number between two ends.
    Gauge,
    /// Rows and columns.
    Table,
}

/// How several rows become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Combine {
    /// The row that changed last.
    Last,
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// How many there are.
    Count,
}

fn as_millis<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

#[expect(clippy::ref_option, reason = "serde passes the field by reference")]
fn as_millis_if_given<S: serde::Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => as_millis(duration, serializer),
        None => serializer.serialize_none(),
    }
}

/// Limits of the server: `limits:`. Each stands in `docs/configuration.md` with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Open connections in all: `max_connections: 20000`.
    pub max_connections: usize,
    /// Open connections of one address: `max_connections_per_address: 20000`.
    pub max_connections_per_address: usize,
    /// Requests a second in all: `max_requests_per_second: 100000`.
    pub max_requests_per_second: usize,
    /// Requests a second of one address: `max_requests_per_second_per_address: 100000`.
    pub max_requests_per_second_per_address: usize,
    /// Subscriptions of one socket: `max_subscriptions: 64`.
    pub max_subscriptions: usize,
    /// Bytes of one message from a WebSocket client: `max_message: 64KiB`.
    pub max_message: usize,
    /// Bytes of a request's body as it comes: `max_body: 16MiB`.
    pub max_body: usize,
    /// Bytes of a request's body after unpacking: `max_unpacked_body: 64MiB`.
    pub max_unpacked_body: usize,
    /// Bytes of one record: `max_record: 1MiB`.
    pub max_record: usize,
    /// Bytes of a request's head: `max_header: 16KiB`.
    pub max_header: usize,
    /// Time for a request's head: `header_timeout: 10s`.
    pub header_timeout: Duration,
    /// Time for a request's body: `body_timeout: 30s`.
    pub body_timeout: Duration,
    /// Time between two pings to a WebSocket client; one that answers none within
    /// twice of it is gone: `ping_interval: 25s`.
    pub ping_interval: Duration,
    /// Bytes of events accepted and not yet in the log: `max_pending: 64MiB`.
    pub max_pending: usize,
    /// Bytes of the socket's send buffer for a WebSocket viewer: `send_buffer: 64KiB`.
    pub send_buffer: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 20_000,
            max_connections_per_address: 20_000,
            max_requests_per_second: 100_000,
            max_requests_per_second_per_address: 100_000,
            max_subscriptions: 64,
            max_message: 64 << 10,
            max_body: 16 << 20,
            max_unpacked_body: 64 << 20,
            max_record: 1 << 20,
            max_header: 16 << 10,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            ping_interval: Duration::from_secs(25),
            max_pending: 64 << 20,
            send_buffer: 64 << 10,
        }
    }
}
