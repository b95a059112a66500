//! What every part of the server holds: the backend, limits, encoders and counts, made
//! once at the start.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use bytes::Bytes;
use config::Limits;
use feed::{Delta, Snapshot};
use metrics_exporter_prometheus::PrometheusHandle;
use model::{Code, Offset};
use parking_lot::{Mutex, RwLock};

use crate::{
    backend::Backend,
    dashboards::Dashboards,
    encode::{frame::FrameEncoder, framing::Framing},
    http::body::Budget,
    ingest::Ingest,
    metrics::{FeedMetrics, ServerMetrics, frames_encoded},
    rates::Rates,
    server::Settings,
};

/// How many snapshots of one feed may be on their way to viewers at once. More viewers
/// share these: an older snapshot and a delta behind it are as good as a new one.
const MAX_SNAPSHOTS: usize = 4;

/// How many in all, with those that answers over HTTP are made of. Slow viewers leave room
/// for these, which have no delta behind them.
const MAX_WITH_ANSWERS: usize = 8;

/// How old a snapshot may be that is read in place of another over HTTP: many who read at once,
/// each for a moment, share it.
const FRESH: Duration = Duration::from_secs(1);

/// One feed, as the server needs it.
pub struct FeedEntry {
    /// Makes its frames.
    pub encoder: FrameEncoder,
    /// Its counts.
    pub metrics: FeedMetrics,
    /// The snapshots that somebody still reads.
    pub snapshots: Snapshots,
}

/// The snapshots of one feed that somebody still reads.
#[derive(Default)]
pub struct Snapshots(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// With when each was first read.
    alive: Vec<(Weak<Snapshot>, Instant)>,
    /// The newest that anyone was given.
    newest: Offset,
}

impl Snapshots {
    /// The snapshot to send to a viewer instead of this one: this one, unless so many are
    /// being read already that slow readers could make memory grow (INV-4). A viewer that
    /// stands at `beyond` is not sent back before it.
    pub fn share(&self, snapshot: Arc<Snapshot>, beyond: Option<Offset>) -> Arc<Snapshot> {
        let shared = self.place(&snapshot, |s| beyond.is_none_or(|b| s.offset > b), usize::MAX);
        shared.unwrap_or(snapshot)
    }

    /// The same for a poll, which comes again for the delta. `None` if there is no room.
    pub fn share_with_poll(&self, snapshot: &Arc<Snapshot>, beyond: Option<Offset>) -> Option<Arc<Snapshot>> {
        self.place(snapshot, |s| beyond.is_none_or(|b| s.offset > b), MAX_WITH_ANSWERS)
    }

    /// This snapshot, for who comes once and gets no delta behind it. Where there is no room,
    /// the newest that anyone was given, if that is of a moment ago; else `None`.
    pub fn admit(&self, snapshot: &Arc<Snapshot>) -> Option<Arc<Snapshot>> {
        self.place(snapshot, |_| false, MAX_WITH_ANSWERS).or_else(|| {
            let known = self.0.lock();
            let fresh = known.alive.iter().filter(|(_, since)| since.elapsed() <= FRESH);
            fresh.filter_map(|(alive, _)| alive.upgrade()).find(|alive| alive.offset == known.newest)
        })
    }

    fn place(
        &self,
        snapshot: &Arc<Snapshot>,
        is_as_good: impl Fn(&Snapshot) -> bool,
        most: usize,
    ) -> Option<Arc<Snapshot>> {
        let mut known = self.0.lock();
        known.alive.retain(|(alive, _)| alive.strong_count() > 0);
        let alive: Vec<_> = known.alive.iter().filter_map(|(alive, _)| alive.upgrade()).collect();
        if alive.iter().any(|s| Arc::ptr_eq(s, snapshot)) {
            return Some(Arc::clone(snapshot));
        }
        let (count, newest) = (alive.len(), alive.into_iter().max_by_key(|s| s.offset));
        if count >= MAX_SNAPSHOTS
            && let Some(newest) = newest.filter(|s| is_as_good(s))
        {
            return Some(newest);
        }
        (count < most).then(|| {
            known.newest = known.newest.max(snapshot.offset);
            known.alive.push((Arc::downgrade(snapshot), Instant::now()));
            Arc::clone(snapshot)
        })
    }
}

/// What a change of the configuration changes.
pub struct Current {
    /// `limits:` of the configuration.
    pub limits: Limits,
    /// Origins that may read and open sockets.
    pub cors: Vec<String>,
    /// Bounds the bodies that are held at once.
    pub budget: Arc<Budget>,
}

impl Current {
    /// `before` is what was current: bodies that are held count on, unless their bound is another.
    fn new(limits: Limits, cors: Vec<String>, before: Option<&Self>) -> Self {
        let most = |limits: &Limits| limits.max_pending.max(limits.max_body + limits.max_unpacked_body);
        let same = before.filter(|before| most(&before.limits) == most(&limits));
        let budget = same.map_or_else(|| Budget::new(most(&limits)), |before| Arc::clone(&before.budget));
        Self { limits, cors, budget }
    }
}

/// What every part of the server holds.
pub struct Shared {
    /// Where events go and feeds come from.
    pub backend: Arc<dyn Backend>,
    current: RwLock<Arc<Current>>,
    /// The feeds, in the backend's order.
    pub feeds: Vec<FeedEntry>,
    feed_names: HashMap<String, usize>,
    /// The dashboards.
    pub dashboards: Dashboards,
    /// Counts of the whole server.
    pub metrics: ServerMetrics,
    /// Renders `/metrics`.
    pub prometheus: PrometheusHandle,
    /// Takes events.
    pub ingest: Arc<Ingest>,
    /// How much may come in a second.
    pub rates: Arc<Rates>,
}

impl Shared {
    /// Looks everything up that is looked up by name, once.
    pub fn new(backend: Arc<dyn Backend>, limits: Limits, cors: Vec<String>, prometheus: PrometheusHandle) -> Self {
        let epoch = backend.epoch();
        let feeds = backend.feeds().iter().map(|f| FeedEntry {
            encoder: FrameEncoder::new(f, epoch, frames_encoded(&f.name)),
            metrics: FeedMetrics::new(&f.name),
            snapshots: Snapshots::default(),
        });
        let feeds = feeds.collect();
        let feed_names = backend.feeds().iter().enumerate().map(|(i, f)| (f.name.clone(), i)).collect();
        let dashboards = Dashboards::new(backend.dashboards(), backend.feeds());
        let events = backend.streams().iter().map(|s| s.max_events_per_second);
        let (all, of_address) = (limits.max_requests_per_second, limits.max_requests_per_second_per_address);
        let rates = Arc::new(Rates::new(all, of_address, events));
        let ingest = Arc::new(Ingest::new(Arc::clone(&backend), Arc::clone(&rates), &limits));
        Self {
            backend,
            current: RwLock::new(Arc::new(Current::new(limits, cors, None))),
            feeds,
            feed_names,
            dashboards,
            metrics: ServerMetrics::new(),
            prometheus,
            ingest,
            rates,
        }
    }

    /// What the configuration says at the moment.
    pub fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.read())
    }

    /// From now on the configuration says this. What is read once, at the beginning of a
    /// connection, holds for the next one.
    pub fn change(&self, settings: Settings) {
        let Settings { limits, cors, dashboards } = settings;
        self.rates.change(limits.max_requests_per_second, limits.max_requests_per_second_per_address);
        self.dashboards.replace(&dashboards, self.backend.feeds());
        let mut current = self.current.write();
        *current = Arc::new(Current::new(limits, cors, Some(&current)));
    }

    /// A delta as it goes to viewers of a framing; empty where there is nothing to say.
    pub fn delta_frame(&self, feed: usize, delta: &Delta, framing: Framing) -> Bytes {
        let encoder = &self.feeds[feed].encoder;
        match framing {
            Framing::Json => encoder.json(delta),
            Framing::MessagePack => encoder.message_pack(delta),
            Framing::EventStream => encoder.event(delta),
            Framing::Updates { dashboard, packed } => {
                // Its viewers hold it, so it is there.
                let dashboard = self.dashboards.at(dashboard);
                dashboard.map_or_else(Bytes::new, |d| d.updates.delta(feed, delta, packed, encoder))
            }
        }
    }

    /// A snapshot as it goes to viewers of a framing: at least one piece, of which the last
    /// brings the cursor. `reset` says that it refuses a cursor.
    pub fn snapshot_frames(&self, feed: usize, snapshot: &Snapshot, framing: Framing, reset: bool) -> Arc<[Bytes]> {
        let encoder = &self.feeds[feed].encoder;
        match framing {
            Framing::Json => encoder.json_pieces(snapshot, reset),
            Framing::MessagePack => encoder.message_pack_pieces(snapshot, reset),
            Framing::EventStream => encoder.event_pieces(snapshot, reset),
            Framing::Updates { dashboard, packed } => {
                let dashboard = self.dashboards.at(dashboard);
                let empty = || Arc::from([Bytes::new()]);
                dashboard.map_or_else(empty, |d| d.updates.snapshot(feed, snapshot, packed, encoder))
            }
        }
    }

    /// The feed of this name, or what to say to who asked for it.
    pub fn known_feed(&self, name: &str) -> Result<usize, (Code, String)> {
        self.feed(name).ok_or_else(|| {
            let shown: String = name.chars().take(80).collect();
            (Code::UnknownFeed, format!("there is no feed `{shown}`; GET /v1/feeds lists them"))
        })
    }

    /// The feed of this name.
    pub fn feed(&self, name: &str) -> Option<usize> {
        self.feed_names.get(name).copied()
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{Int64Array, RecordBatch};
    use feed::{Changes, Feed, KeepBy};
    use model::{Column, DataType, FeedKind, FeedSchema, RowChanges, Schema};

    use super::*;

    fn snapshot_at(feed: &mut Feed, offset: Offset) -> Arc<Snapshot> {
        let schema = Schema::new(vec![Column::new("k", DataType::BigInt).not_null()]).to_arrow();
        let upserts =
            RecordBatch::try_new(schema.clone(), vec![Arc::new(Int64Array::from(vec![offset as i64]))]).unwrap();
        let changes = RowChanges { upserts, times: vec![0], deletes: RecordBatch::new_empty(schema) };
        feed.apply(offset, &changes).unwrap();
        match feed.changes_since(None) {
            Changes::Snapshot(snapshot) => snapshot,
            Changes::Delta(_) => panic!("a delta without a cursor"),
        }
    }

    fn feed() -> Feed {
        let schema = Schema::new(vec![Column::new("k", DataType::BigInt).not_null()]);
        let schema = FeedSchema { name: "f".to_owned(), schema, key_len: 1, kind: FeedKind::Upsert };
        Feed::new(schema, feed::Options { keep_by: KeepBy::Clock, max_tombstones: 10, ..feed::Options::default() })
    }

    #[test]
    fn slow_readers_pin_a_few_snapshots_and_nobody_is_sent_back() {
        let mut feed = feed();
        let shared = Snapshots::default();
        let mut held: Vec<_> = (1..=4).map(|i| shared.share(snapshot_at(&mut feed, i), None)).collect();
        assert_eq!(held.iter().map(|s| s.offset).collect::<Vec<_>>(), [1, 2, 3, 4]);
        let fifth = snapshot_at(&mut feed, 5);
        assert_eq!(shared.share(Arc::clone(&fifth), None).offset, 4, "a fifth was pinned");
        assert_eq!(shared.share(Arc::clone(&fifth), Some(3)).offset, 4);
        assert_eq!(shared.share(fifth, Some(4)).offset, 5, "a viewer was sent what it has");
        held.clear();
        let fresh = snapshot_at(&mut feed, 6);
        assert_eq!(shared.share(fresh, None).offset, 6);
    }

    #[test]
    fn who_comes_once_gets_the_table_of_now_or_none() {
        let mut feed = feed();
        let shared = Snapshots::default();
        let mut held: Vec<_> = (1..=4).map(|i| shared.share(snapshot_at(&mut feed, i), None)).collect();
        let mut next = 5;
        while let Some(taken) = shared.admit(&snapshot_at(&mut feed, next)).filter(|taken| taken.offset == next) {
            held.push(taken);
            next += 1;
        }
        assert_eq!(next, 9, "slow viewers leave room, and not without end");
        let newest = snapshot_at(&mut feed, 10);
        assert_eq!(shared.admit(&newest).map(|s| s.offset), Some(8), "one of a moment ago");
        shared.0.lock().alive.iter_mut().for_each(|(_, since)| *since = since.checked_sub(2 * FRESH).unwrap());
        let poll = |beyond| shared.share_with_poll(&newest, beyond).map(|s| s.offset);
        assert_eq!((poll(None), poll(Some(7)), poll(Some(8))), (Some(8), Some(8), None), "a poll was sent back");
        assert!(shared.admit(&newest).is_none());
        held.pop();
        assert_eq!(shared.admit(&newest).map(|s| s.offset), Some(10));
    }
}
