//! A backend in memory: real feeds, driven by the test; appends are kept in a list.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use arrow_array::{Float64Array, Int64Array, RecordBatch, StringArray};
use bytes::Bytes;
use feed::{Changes, Delta, Feed, KeepBy};
use futures_util::{FutureExt, future::BoxFuture};
use model::{Column, DataType, Edge, FeedKind, FeedSchema, KeptLetter, Letters, Offset, RowChanges, Schema, ViewId};
use parking_lot::Mutex;
use serve::backend::{
    Append, AppendError, Appended, Backend, FeedInfo, FeedStatus, IdempotencyKey, Inbox, QueryAnswer, QueryError,
    Reason, RebuildError, Status, StreamInfo, StreamStatus, Unavailable,
};
use tokio::sync::watch;

pub const EPOCH: u32 = 9;

/// `k`, `value` and `note`.
pub type Row<'a> = (i64, f64, &'a str);

/// A feed, its rows that are new or replaced, and its keys that are gone.
pub type FeedChanges<'a> = (usize, &'a [Row<'a>], &'a [i64]);

struct State {
    feeds: Vec<Feed>,
    inboxes: Vec<Arc<Mailbox>>,
    tick: Offset,
}

/// As the engine's: it holds one delivery, and what comes while it is full is merged into
/// the next. So a delivery may be older than the answer to a question.
struct Mailbox {
    cursors: Mutex<HashMap<usize, Offset>>,
    delivery: Mutex<Vec<(usize, Arc<Delta>)>>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

/// The backend.
pub struct Memory {
    streams: Vec<StreamInfo>,
    feeds: Vec<FeedInfo>,
    dashboards: Vec<config::Dashboard>,
    state: Arc<Mutex<State>>,
    pub appends: Mutex<Vec<Append>>,
    keys: Mutex<HashMap<String, (IdempotencyKey, Bytes)>>,
    /// What the next append fails with.
    pub failure: Mutex<Option<AppendError>>,
    /// What the next query fails with.
    pub query_failure: Mutex<Option<QueryError>>,
    pub ready: AtomicBool,
    /// While true, nothing that is appended is acknowledged.
    pub held: watch::Sender<bool>,
    /// The dead letters of every stream, the oldest first.
    pub letters: Mutex<Vec<KeptLetter>>,
    /// How often each feed was read.
    asked: Vec<AtomicUsize>,
}

fn schema(name: &str) -> FeedSchema {
    let columns = vec![
        Column::new("k", DataType::BigInt).not_null(),
        Column::new("value", DataType::Double),
        Column::new("note", DataType::Text),
    ];
    FeedSchema { name: name.to_owned(), schema: Schema::new(columns), key_len: 1, kind: FeedKind::Upsert }
}

fn column(name: &str, data_type: DataType) -> config::StreamColumn {
    config::StreamColumn { name: name.to_owned(), from: name.to_owned(), data_type, not_null: false }
}

impl Memory {
    /// With feeds of these names, a stream `events` that clients write to, a stream
    /// `file` that they do not, and a dashboard named after the first feed.
    pub fn new(feeds: &[&str]) -> Arc<Self> {
        Self::with_panels(feeds, vec![])
    }

    /// The same, with panels on the dashboard.
    pub fn with_panels(feeds: &[&str], panels: Vec<config::Panel>) -> Arc<Self> {
        Self::with(feeds, panels, 1_000_000)
    }

    /// The same, and its streams take so many events a second.
    pub fn with_rate(feeds: &[&str], max_events_per_second: usize) -> Arc<Self> {
        Self::with(feeds, vec![], max_events_per_second)
    }

    fn with(feeds: &[&str], panels: Vec<config::Panel>, max_events_per_second: usize) -> Arc<Self> {
        let options = || feed::Options { keep_by: KeepBy::Clock, max_tombstones: 10_000, ..feed::Options::default() };
        let stream = |name: &str, writable| StreamInfo {
            name: name.to_owned(),
            columns: vec![column("k", DataType::BigInt), column("value", DataType::Double)],
            event_time: None,
            writable,
            max_events_per_second,
            implied: false,
        };
        let info = |(i, name): (usize, &&str)| FeedInfo {
            name: (*name).to_owned(),
            schema: schema(name),
            view: ViewId(100 + i as u64),
            sql: "SELECT k, value, note FROM events".to_owned(),
            stream: "events".to_owned(),
        };
        let state =
            State { feeds: feeds.iter().map(|f| Feed::new(schema(f), options())).collect(), inboxes: vec![], tick: 0 };
        Arc::new(Self {
            streams: vec![stream("events", true), stream("file", false)],
            feeds: feeds.iter().enumerate().map(info).collect(),
            dashboards: vec![config::Dashboard {
                name: feeds[0].to_owned(),
                place: config::Place { file: "test.yaml".into(), line: 1, column: 1 },
                title: "All".to_owned(),
                range: Duration::from_mins(15),
                panels,
            }],
            state: Arc::new(Mutex::new(state)),
            appends: Mutex::default(),
            keys: Mutex::default(),
            failure: Mutex::default(),
            query_failure: Mutex::default(),
            ready: AtomicBool::new(true),
            held: watch::Sender::new(false),
            letters: Mutex::default(),
            asked: feeds.iter().map(|_| AtomicUsize::new(0)).collect(),
        })
    }

    /// One tick.
    pub fn tick(&self, changes: &[FeedChanges]) {
        let mut state = self.state.lock();
        state.tick += 1;
        let tick = state.tick;
        for (feed, upserts, deletes) in changes {
            let changes = row_changes(upserts, deletes);
            state.feeds[*feed].apply(tick, &changes).unwrap();
        }
        for feed in &mut state.feeds {
            feed.advance(tick);
        }
        for inbox in state.inboxes.clone() {
            inbox.fill(&mut state);
        }
    }

    /// One row of one feed.
    pub fn put(&self, feed: usize, k: i64, value: f64, note: &str) {
        self.tick(&[(feed, &[(k, value, note)], &[])]);
    }

    /// The rows of a feed, by key.
    pub fn table(&self, feed: usize) -> HashMap<i64, (f64, String)> {
        let Changes::Snapshot(snapshot) = self.state.lock().feeds[feed].changes_since(None) else {
            panic!("no snapshot")
        };
        let mut rows = HashMap::new();
        for batch in snapshot.batches() {
            let k: &Int64Array = batch.column(0).as_any().downcast_ref().unwrap();
            let value: &Float64Array = batch.column(1).as_any().downcast_ref().unwrap();
            let note: &StringArray = batch.column(2).as_any().downcast_ref().unwrap();
            for i in 0..batch.num_rows() {
                rows.insert(k.value(i), (value.value(i), note.value(i).to_owned()));
            }
        }
        rows
    }

    /// How often a feed was read.
    pub fn asked(&self, feed: usize) -> usize {
        self.asked[feed].load(Ordering::Relaxed)
    }

    /// Whether somebody wants to hear of a feed.
    pub fn follows(&self, feed: usize) -> bool {
        self.state.lock().inboxes.iter().any(|i| i.cursors.lock().contains_key(&feed))
    }

    pub fn offset(&self) -> Offset {
        self.state.lock().tick
    }
}

fn row_changes(upserts: &[Row], deletes: &[i64]) -> RowChanges {
    let schema = schema("any");
    let rows = RecordBatch::try_new(
        schema.schema.to_arrow(),
        vec![
            Arc::new(Int64Array::from_iter_values(upserts.iter().map(|u| u.0))),
            Arc::new(Float64Array::from_iter_values(upserts.iter().map(|u| u.1))),
            Arc::new(StringArray::from_iter_values(upserts.iter().map(|u| u.2))),
        ],
    );
    let keys = RecordBatch::try_new(schema.key_arrow(), vec![Arc::new(Int64Array::from(deletes.to_vec()))]);
    RowChanges { upserts: rows.unwrap(), times: vec![0; upserts.len()], deletes: keys.unwrap() }
}

impl Backend for Memory {
    fn streams(&self) -> &[StreamInfo] {
        &self.streams
    }

    fn feeds(&self) -> &[FeedInfo] {
        &self.feeds
    }

    fn dashboards(&self) -> &[config::Dashboard] {
        &self.dashboards
    }

    fn epoch(&self) -> u32 {
        EPOCH
    }

    fn append(&self, append: Append) -> BoxFuture<'static, Result<Appended, AppendError>> {
        let answer = match (self.failure.lock().take(), &append.key) {
            (Some(failure), _) => Err(failure),
            (None, Some(key)) => {
                let mut keys = self.keys.lock();
                match keys.get(&key.key) {
                    Some((known, answer)) if known == key => Ok(Appended::Replayed(answer.clone())),
                    Some(_) => Err(AppendError::Mismatch),
                    None => {
                        keys.insert(key.key.clone(), (key.clone(), append.answer.clone()));
                        self.appends.lock().push(append);
                        Ok(Appended::Done)
                    }
                }
            }
            (None, None) => {
                self.appends.lock().push(append);
                Ok(Appended::Done)
            }
        };
        let mut held = self.held.subscribe();
        async move {
            held.wait_for(|held| !held).await.unwrap();
            answer
        }
        .boxed()
    }

    fn changes_since(&self, feed: usize, since: Option<Offset>) -> BoxFuture<'static, Result<Changes, Unavailable>> {
        self.asked[feed].fetch_add(1, Ordering::Relaxed);
        let changes = self.state.lock().feeds[feed].changes_since(since);
        async { Ok(changes) }.boxed()
    }

    fn dead_letters(&self, _: usize, wanted: Letters) -> BoxFuture<'static, Result<Vec<KeptLetter>, Unavailable>> {
        let from = wanted.from;
        let mut found = self.letters.lock().clone();
        found.retain(|kept| match from {
            Edge::Newest => true,
            Edge::Before(id) => kept.id < id,
            Edge::After(id) => kept.id > id,
        });
        if !matches!(from, Edge::After(_)) {
            found.reverse();
        }
        found.truncate(wanted.limit);
        async { Ok(found) }.boxed()
    }

    fn rebuild(&self, _: usize) -> BoxFuture<'static, Result<(), RebuildError>> {
        async { Err(RebuildError::Refused("a backend in memory has no past".to_owned())) }.boxed()
    }

    fn query(&self, sql: String, _limits: &config::Limits) -> BoxFuture<'static, Result<QueryAnswer, QueryError>> {
        let failure = self.query_failure.lock().take();
        async move {
            if let Some(failure) = failure {
                return Err(failure);
            }
            let columns = vec![Column::new("sql", DataType::Text), Column::new("n", DataType::BigInt)];
            let values = RecordBatch::try_new(
                Schema::new(columns.clone()).to_arrow(),
                vec![Arc::new(StringArray::from(vec![sql])), Arc::new(Int64Array::from(vec![i64::MAX]))],
            );
            Ok(QueryAnswer { columns, batches: vec![values.unwrap()], truncated: true })
        }
        .boxed()
    }

    fn inbox(&self, wake: Arc<dyn Fn() + Send + Sync>) -> Box<dyn Inbox> {
        let mailbox = Arc::new(Mailbox { cursors: Mutex::default(), delivery: Mutex::default(), wake });
        self.state.lock().inboxes.push(Arc::clone(&mailbox));
        Box::new(Deltas { mailbox, state: Arc::clone(&self.state) })
    }

    fn not_ready(&self) -> Vec<Reason> {
        let reasons = [("source_failed", "stream `a` has no file"), ("disk_full", "the disk is full")];
        let reasons = reasons.map(|(code, message)| Reason { code, message: message.to_owned() });
        if self.ready.load(Ordering::Relaxed) { Vec::new() } else { reasons.to_vec() }
    }

    fn status(&self) -> Status {
        let state = self.state.lock();
        let feed = |f: &Feed| FeedStatus { rows: f.len() as u64, offset: f.last_change(), ..FeedStatus::default() };
        let stream = |_: &StreamInfo| StreamStatus { caught_up: true, ..StreamStatus::default() };
        Status { feeds: state.feeds.iter().map(feed).collect(), streams: self.streams.iter().map(stream).collect() }
    }
}

struct Deltas {
    mailbox: Arc<Mailbox>,
    state: Arc<Mutex<State>>,
}

impl Inbox for Deltas {
    fn follow(&mut self, feed: usize) {
        let state = self.state.lock();
        self.mailbox.cursors.lock().insert(feed, state.tick);
    }

    fn unfollow(&mut self, feed: usize) {
        self.mailbox.cursors.lock().remove(&feed);
    }

    fn take(&mut self) -> Vec<(usize, Arc<Delta>)> {
        let delivery = std::mem::take(&mut *self.mailbox.delivery.lock());
        self.mailbox.fill(&mut self.state.lock());
        delivery
    }
}

impl Mailbox {
    fn fill(&self, state: &mut State) {
        let mut delivery = self.delivery.lock();
        if !delivery.is_empty() {
            return;
        }
        for (feed, cursor) in self.cursors.lock().iter_mut() {
            let Changes::Delta(delta) = state.feeds[*feed].changes_since(Some(*cursor)) else {
                panic!("a shard fell behind the floor")
            };
            *cursor = delta.to;
            if !delta.is_empty() {
                delivery.push((*feed, delta));
            }
        }
        if !delivery.is_empty() {
            (self.wake)();
        }
    }
}
