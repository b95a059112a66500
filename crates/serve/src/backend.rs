//! What stands behind the server. The server knows neither engine nor store: it asks
//! through these traits, and tests answer with a table in memory.

use std::{sync::Arc, time::Duration};

use arrow_array::RecordBatch;
use bytes::Bytes;
use feed::{Changes, Delta};
use futures_util::future::BoxFuture;
use model::{Column, DeadLetter, FeedSchema, KeptLetter, LetterId, Letters, Offset, ViewId};

/// A stream, as clients see it.
#[derive(Debug, Clone)]
pub struct StreamInfo {
    /// Its name in paths.
    pub name: String,
    /// Its columns.
    pub columns: Vec<config::StreamColumn>,
    /// Its column of event time, if it has one.
    pub event_time: Option<String>,
    /// Whether clients may send events: its source is `http`.
    pub writable: bool,
    /// Events that it takes a second, of all clients together.
    pub max_events_per_second: usize,
    /// Whether it is there without being written down: another's dead letters.
    pub implied: bool,
}

/// A feed, as clients see it.
#[derive(Debug, Clone)]
pub struct FeedInfo {
    /// Its name in paths and subscriptions.
    pub name: String,
    /// Its columns and key.
    pub schema: FeedSchema,
    /// The identity of the whole feed as a view; part of its cursors.
    pub view: ViewId,
    /// Its query.
    pub sql: String,
    /// The stream that it reads.
    pub stream: String,
}

/// A request's `Idempotency-Key` and the hash of its body as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The key.
    pub key: String,
    /// BLAKE3 of the body before unpacking.
    pub body_hash: [u8; 32],
}

/// Events to be kept, with what was refused beside them.
#[derive(Debug, Clone)]
pub struct Append {
    /// The stream, as an index into [`Backend::streams`].
    pub stream: usize,
    /// The events, in the stream's schema.
    pub batches: Vec<RecordBatch>,
    /// What was refused; kept in the same transaction (INV-6).
    pub dead: Vec<DeadLetter>,
    /// How many more were refused than there are letters for.
    pub unkept: u64,
    /// How much memory it holds, in bytes.
    pub bytes: usize,
    /// The request's key, if it has one.
    pub key: Option<IdempotencyKey>,
    /// To be stored with the key, and returned to a repetition.
    pub answer: Bytes,
    /// Dead letters that are among the events: each only once.
    pub settled: Vec<LetterId>,
}

/// What became of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It is kept (INV-1).
    Done,
    /// It was kept before; the answer stored then.
    Replayed(Bytes),
}

/// Why an append was not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// More is waiting than may be.
    #[error("more events are waiting than the server may hold")]
    Busy {
        /// When to come again, in milliseconds.
        retry_after_ms: u64,
    },
    /// More events a second than the stream takes: `max_events_per_second`.
    #[error("stream `{stream}` takes no more events at the moment: its `max_events_per_second` is reached")]
    TooFast {
        /// The stream.
        stream: String,
        /// When to come again, in milliseconds.
        retry_after_ms: u64,
    },
    /// More events in one request than the stream takes in a second.
    #[error(
        "stream `{stream}` takes {most} events a second (max_events_per_second), and this request has more; send fewer at a time"
    )]
    TooMany {
        /// The stream.
        stream: String,
        /// How many it takes.
        most: u32,
    },
    /// A request's events take more memory than may be pending.
    #[error("the events of this request take more than {max} bytes (limits.max_pending); send fewer at a time")]
    TooMuch {
        /// How much they may take.
        max: usize,
    },
    /// The disk is full.
    #[error("the disk is full")]
    DiskFull,
    /// A request with this key is under way.
    #[error("a request with this Idempotency-Key is under way")]
    InFlight,
    /// The key was used with another body.
    #[error("this Idempotency-Key was used with another body")]
    Mismatch,
    /// A dead letter was settled before, or is gone.
    #[error("one of the dead letters is an event already, or gone")]
    Settled,
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
    /// The log failed otherwise.
    #[error("the log failed: {0}")]
    Failed(String),
}

/// Feeds cannot be read at the moment: the server is stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server is stopping")]
pub struct Unavailable;

/// Why a feed cannot be made anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RebuildError {
    /// The past is not all there, or other feeds come first.
    #[error("{0}")]
    Refused(String),
    /// Reading the past failed.
    #[error("{0}")]
    Failed(String),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

/// Why a server is not ready.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Reason {
    /// For programs: `recovering`, `disk_full`, `log_failing`, `source_failed` or `stopping`.
    pub code: &'static str,
    /// For a person: what is wrong, where, and what to do.
    pub message: String,
}

/// The answer to a pull query.
#[derive(Debug, Clone)]
pub struct QueryAnswer {
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows, in the schema of the columns.
    pub batches: Vec<RecordBatch>,
    /// Whether there were more than an answer may have.
    pub truncated: bool,
}

/// Why a pull query has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// It is none that can be asked.
    #[error("{0}")]
    Refused(String),
    /// It took longer than it may.
    #[error("the query took longer than {} (limits.query_timeout); ask for less", seconds(*.limit))]
    TimedOut {
        /// How long it may take.
        limit: Duration,
    },
    /// It needed more memory than it may have.
    #[error("the query needs more than {limit} bytes (limits.query_memory); group by less, or add WHERE or LIMIT")]
    TooLarge {
        /// How much it may have.
        limit: usize,
    },
    /// It failed on a value.
    #[error("{0}")]
    Failed(String),
    /// Other queries are under way.
    #[error("as many queries as may run at once are under way")]
    Busy {
        /// When to come again, in milliseconds.
        retry_after_ms: u64,
    },
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
    /// A fault of ours, of which the log has more.
    #[error("the query could not be run; the server's log says why")]
    Fault,
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

/// How a feed stands.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FeedStatus {
    /// Rows now.
    pub rows: u64,
    /// The tick of its last change.
    pub offset: Offset,
    /// Milliseconds since then; `None` if it never changed.
    pub silent_ms: Option<u64>,
    /// Groups that its query holds.
    pub groups: u64,
    /// How much of its past has been made anew, from 0 to 1, while that goes on.
    pub rebuilding: Option<f64>,
    /// Why its past could not be made anew, if that was tried last.
    pub failure: Option<String>,
}

/// How a stream stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamStatus {
    /// Events accepted since the start.
    pub accepted: u64,
    /// Records refused since the start.
    pub refused: u64,
    /// Dead letters since the start: what the stream refused, and its feeds.
    pub dead_letters: u64,
    /// Its watermark, in milliseconds since 1970; `None` while there is none.
    pub watermark: Option<i64>,
    /// Whether all that its source has was read.
    pub caught_up: bool,
    /// Whether its source will yield nothing more.
    pub ended: bool,
    /// Why its source cannot be read, if it cannot.
    pub failure: Option<String>,
}

/// How everything stands, in the order of [`Backend::feeds`] and [`Backend::streams`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Status {
    /// The feeds.
    pub feeds: Vec<FeedStatus>,
    /// The streams.
    pub streams: Vec<StreamStatus>,
}

/// What the server asks. Feeds and streams are named by their index, so that nothing is
/// looked up by a string on the way.
pub trait Backend: Send + Sync + 'static {
    /// The streams; the same for the life of the process.
    fn streams(&self) -> &[StreamInfo];
    /// The feeds; the same for the life of the process.
    fn feeds(&self) -> &[FeedInfo];
    /// The dashboards of the start; [`crate::Settings`] may bring others.
    fn dashboards(&self) -> &[config::Dashboard];
    /// The epoch of cursors; the same for the life of the process.
    fn epoch(&self) -> u32;
    /// Keeps events. `Ok` means that they are kept (INV-1).
    fn append(&self, append: Append) -> BoxFuture<'static, Result<Appended, AppendError>>;
    /// What changed in a feed since an offset: the one read operation.
    fn changes_since(&self, feed: usize, since: Option<Offset>) -> BoxFuture<'static, Result<Changes, Unavailable>>;
    /// A page of a stream's dead letters.
    fn dead_letters(&self, stream: usize, wanted: Letters) -> BoxFuture<'static, Result<Vec<KeptLetter>, Unavailable>>;
    /// Begins to make a feed anew from the past; [`FeedStatus::rebuilding`] says how far it is.
    fn rebuild(&self, feed: usize) -> BoxFuture<'static, Result<(), RebuildError>>;
    /// Runs one SELECT over the rows of one feed that the caller may see, within
    /// the limits of now. Dropped, it is no longer run.
    fn query(&self, sql: String, limits: &config::Limits) -> BoxFuture<'static, Result<QueryAnswer, QueryError>>;
    /// A shard's inbox. `wake` is called from the writer's thread when there is something
    /// to take, so it is cheap and never blocks.
    fn inbox(&self, wake: Arc<dyn Fn() + Send + Sync>) -> Box<dyn Inbox>;
    /// All that stands against serving requests; nothing while the server is ready.
    fn not_ready(&self) -> Vec<Reason>;
    /// How feeds and streams stand.
    fn status(&self) -> Status;
}

/// How a shard hears of changes. The shard itself is a cursor: while it is slow, its
/// deltas are merged.
pub trait Inbox: Send {
    /// Hear of this feed from now on.
    fn follow(&mut self, feed: usize);
    /// Hear of this feed no longer.
    fn unfollow(&mut self, feed: usize);
    /// The deltas since the last take, at most one a feed.
    fn take(&mut self) -> Vec<(usize, Arc<Delta>)>;
}
