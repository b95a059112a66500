//! What the outside holds of a running engine.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use arrow_array::RecordBatch;
use bytes::Bytes;
use crossbeam_channel::{Sender, TrySendError};
use feed::Changes;
use model::{DeadLetter, Edge, KeptLetter, LetterId, Letters, Offset, ViewId};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::{
    checkpoint::KeptRequest,
    inbox::{Inbox, Mailbox},
    journal::{Input, LettersRequest},
    rebuild::{Exchange, Job, Present, RebuildError},
    room::Rooms,
};

/// How long a reader of dead letters waits for the disk.
const PATIENCE: Duration = Duration::from_secs(5);

/// Events to be made durable, and what was refused of them.
#[derive(Debug)]
pub struct Append {
    /// The stream's index in the configuration.
    pub stream: usize,
    /// The events, in the stream's schema.
    pub batches: Vec<RecordBatch>,
    /// What was refused.
    pub dead: Vec<DeadLetter>,
    /// How many more were refused than there are letters for; the last letter says of what
    /// reason they are.
    pub unkept: u64,
    /// How much memory it holds, in bytes.
    pub bytes: usize,
    /// The request's `Idempotency-Key`.
    pub key: Option<IdempotencyKey>,
    /// What to answer a repetition with this key.
    pub answer: Bytes,
    /// Dead letters that are among the events now: kept as such no longer, each only once.
    pub settled: Vec<LetterId>,
}

/// A request's `Idempotency-Key` and the hash of its body.
#[derive(Debug, Clone)]
pub struct IdempotencyKey {
    /// The key.
    pub key: String,
    /// The hash of the body as it came.
    pub body_hash: [u8; 32],
}

/// What became of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It is kept.
    Done,
    /// It was kept before: the answer of then.
    Replayed(Bytes),
}

/// Why an append was not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// More is waiting than `max_pending` of the stream or of the server allows.
    #[error("more events are waiting than the server may hold; come again")]
    Busy,
    /// The disk is full.
    #[error("the disk is full")]
    DiskFull,
    /// A request with this key is under way.
    #[error("a request with this Idempotency-Key is under way")]
    InFlight,
    /// The key was used with another body.
    #[error("this Idempotency-Key was used with another body")]
    Mismatch,
    /// One of the dead letters is an event already, or gone.
    #[error("one of the dead letters is an event already, or gone")]
    Settled,
    /// The engine is stopping.
    #[error("the server is stopping")]
    Stopping,
    /// The log failed otherwise.
    #[error("the log failed: {0}")]
    Failed(String),
}

/// The engine is stopping: it answers no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server is stopping")]
pub struct Stopped;

/// Why dead letters cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The engine is stopping.
    #[error("the server is stopping")]
    Stopped,
    /// The disk takes too long.
    #[error("the disk is too slow at the moment; come again")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::StoreError),
}

/// What readers ask of the engine's thread, which alone owns the feeds.
pub(crate) enum Request {
    ChangesSince {
        feed: usize,
        since: Option<Offset>,
        reply: oneshot::Sender<Changes>,
    },
    Join {
        mailbox: Arc<Mailbox>,
        reply: Sender<usize>,
    },
    Leave {
        shard: usize,
    },
    Follow {
        shard: usize,
        feed: usize,
        on: bool,
    },
    Refresh {
        shard: usize,
    },
    /// Where the engine stands; from then on what these feeds are given is recorded.
    Present {
        record: Option<Vec<usize>>,
        reply: Sender<Present>,
    },
    Exchange(Exchange),
}

/// What a feed looks like from outside, read without asking the engine.
#[derive(Debug, Default)]
pub struct FeedStatus {
    /// Rows now.
    pub rows: AtomicU64,
    /// The tick of the last change.
    pub last_change: AtomicU64,
    /// When that was, by the cut's clock; 0 if it never changed.
    pub changed_ms: AtomicI64,
    /// Groups of its query.
    pub groups: AtomicU64,
    /// One more than how much of its past has been made, in thousandths; 0 while nothing is.
    rebuilding: AtomicU64,
    /// Why its past could not be made, if that was tried last.
    pub failure: Mutex<Option<String>>,
}

impl FeedStatus {
    /// How much of its past has been made, from 0 to 1, while that goes on.
    pub fn rebuilding(&self) -> Option<f64> {
        let thousandths = self.rebuilding.load(Ordering::Relaxed).checked_sub(1)?;
        Some(thousandths as f64 / 1000.0)
    }

    pub(crate) fn show_rebuilding(&self, share: Option<f64>) {
        let thousandths = share.map_or(0, |share| (share * 1000.0) as u64 + 1);
        self.rebuilding.store(thousandths, Ordering::Relaxed);
    }
}

/// What a stream looks like from outside.
#[derive(Debug)]
pub struct StreamStatus {
    /// Events accepted since the start.
    pub accepted: AtomicU64,
    /// Records refused since the start.
    pub refused: AtomicU64,
    /// Dead letters since the start: what the stream refused, and its feeds.
    pub dead_letters: AtomicU64,
    /// The watermark in milliseconds, `i64::MIN` while there is none.
    pub watermark: AtomicI64,
    /// Whether all that the source has is read.
    pub caught_up: AtomicBool,
    /// Whether the source will yield nothing more.
    pub ended: AtomicBool,
    /// Why the source cannot be read, if it cannot.
    pub failure: Mutex<Option<String>>,
}

impl StreamStatus {
    pub(crate) fn new(caught_up: bool) -> Self {
        Self {
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            dead_letters: AtomicU64::new(0),
            watermark: AtomicI64::new(i64::MIN),
            caught_up: AtomicBool::new(caught_up),
            ended: AtomicBool::new(false),
            failure: Mutex::new(None),
        }
    }
}

/// What a running engine looks like from outside.
#[derive(Debug)]
pub struct Status {
    /// The epoch of its cursors.
    pub epoch: u32,
    /// The view of each whole feed, in the configuration's order.
    pub views: Vec<ViewId>,
    /// Feeds, in the configuration's order.
    pub feeds: Vec<FeedStatus>,
    /// Streams, in the configuration's order.
    pub streams: Vec<StreamStatus>,
    /// The last tick.
    pub tick: AtomicU64,
    /// Whether the log could not be written at the last attempt.
    pub failing: AtomicBool,
    /// Whether that was for want of room on the disk.
    pub disk_full: AtomicBool,
}

/// A running engine, for those who write events and read feeds. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(crate) inputs: Sender<Input>,
    pub(crate) requests: Sender<Request>,
    pub(crate) rooms: Rooms,
    /// Reads dead letters of the state.
    pub(crate) kept: Sender<KeptRequest>,
    /// Makes feeds anew.
    pub(crate) jobs: Sender<Job>,
    /// The names of the streams.
    pub(crate) names: Arc<[String]>,
    pub(crate) status: Arc<Status>,
}

impl Handle {
    /// Makes events durable. Waits while too much is pending; an answer of `Ok` means
    /// that they are kept (INV-1).
    pub async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let taken = self.rooms.take(append.stream, append.bytes).await?;
        let (reply, answer) = oneshot::channel();
        self.inputs.send(Input::Append { append, taken, reply }).map_err(|_| AppendError::Stopping)?;
        answer.await.unwrap_or(Err(AppendError::Stopping))
    }

    /// The one read operation: what changed in a feed since an offset.
    pub async fn changes_since(&self, feed: usize, since: Option<Offset>) -> Result<Changes, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::ChangesSince { feed, since, reply }).map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// A page of a stream's dead letters. Those that a tick found are there once a checkpoint
    /// has written them, about a second later.
    pub async fn dead_letters(&self, stream: usize, wanted: Letters) -> Result<Vec<KeptLetter>, ReadError> {
        let read = async {
            let mut found = Vec::new();
            let mut left = wanted;
            loop {
                let (reply, answer) = oneshot::channel();
                let request = KeptRequest { stream: self.names[stream].clone(), wanted: left, reply };
                self.kept.send(request).map_err(|_| ReadError::Stopped)?;
                let counted = answer.await.map_err(|_| ReadError::Stopped)??;
                // Of a full page some may be events by now, which the state does not know yet.
                let end = counted.last().filter(|_| counted.len() == left.limit).map(|letter| letter.id);
                let (reply, answer) = oneshot::channel();
                let request = LettersRequest { stream, wanted: left, counted, end, reply };
                self.inputs.send(Input::Letters(request)).map_err(|_| ReadError::Stopped)?;
                found.extend(answer.await.map_err(|_| ReadError::Stopped)??);
                match end {
                    Some(end) if found.len() < wanted.limit => {
                        let newer = matches!(wanted.from, Edge::After(_));
                        left.from = if newer { Edge::After(end) } else { Edge::Before(end) };
                        left.limit = wanted.limit - found.len();
                    }
                    _ => return Ok(found),
                }
            }
        };
        tokio::time::timeout(PATIENCE, read).await.unwrap_or(Err(ReadError::Busy))
    }

    /// Begins to make a feed anew from the log; [`FeedStatus::rebuilding`] says how far it is.
    /// One that is being made already goes on.
    pub async fn rebuild(&self, feed: usize) -> Result<(), RebuildError> {
        if self.status.feeds[feed].rebuilding().is_some() {
            return Ok(());
        }
        let (accepted, answer) = oneshot::channel();
        let job = Job { feeds: vec![feed], accepted: Some(accepted) };
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => RebuildError::Lacks("other feeds are being rebuilt; come again".to_owned()),
            TrySendError::Disconnected(_) => RebuildError::Stopped,
        })?;
        answer.await.unwrap_or(Err(RebuildError::Stopped))
    }

    /// A box for a shard; `wake` is called from the engine's thread when it was filled.
    pub fn inbox(&self, wake: Arc<dyn Fn() + Send + Sync>) -> Result<Inbox, Stopped> {
        let mailbox = Arc::new(Mailbox::new(wake));
        let (reply, answer) = crossbeam_channel::bounded(1);
        self.requests.send(Request::Join { mailbox: mailbox.clone(), reply }).map_err(|_| Stopped)?;
        let shard = answer.recv().map_err(|_| Stopped)?;
        Ok(Inbox { shard, mailbox, requests: self.requests.clone() })
    }

    /// What the engine looks like from outside.
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// Whether the log takes no events.
    pub fn is_failing(&self) -> bool {
        self.status.failing.load(Ordering::Relaxed)
    }

    /// The streams whose source cannot be read, and why.
    pub fn failed_sources(&self) -> impl Iterator<Item = (&str, String)> {
        let streams = self.names.iter().zip(&self.status.streams);
        streams.filter_map(|(name, stream)| Some((name.as_str(), stream.failure.lock().clone()?)))
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        let _ = self.requests.send(Request::Leave { shard: self.shard });
    }
}
