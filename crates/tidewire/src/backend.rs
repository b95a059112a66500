//! The engine, as `serve` sees it.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use config::{Config, Dashboard, Source};
use engine::Handle;
use feed::{Changes, Delta};
use futures_util::future::BoxFuture;
use model::{KeptLetter, Letters, Offset};
use query::Plan;
use serve::backend::{
    Append, AppendError, Appended, Backend, FeedInfo, FeedStatus, Inbox, QueryAnswer, QueryError, Reason, RebuildError,
    Status, StreamInfo, StreamStatus, Unavailable,
};

use crate::pull::Pull;

/// How long a producer that was told to come again should wait, in milliseconds.
const RETRY_AFTER_MS: u64 = 1_000;

/// A running engine with what its configuration says of it.
pub(crate) struct EngineBackend {
    handle: Handle,
    streams: Vec<StreamInfo>,
    feeds: Vec<FeedInfo>,
    dashboards: Vec<Dashboard>,
    pull: Pull,
}

impl EngineBackend {
    pub(crate) fn new(handle: Handle, config: &Config, plans: &[Plan]) -> Self {
        let views = &handle.status().views;
        let feeds = config.feeds.iter().zip(plans).zip(views).map(|((feed, plan), view)| FeedInfo {
            name: feed.name.clone(),
            schema: plan.output().clone(),
            view: *view,
            sql: feed.sql.text.clone(),
            stream: plan.stream().to_owned(),
        });
        let feeds: Vec<FeedInfo> = feeds.collect();
        Self {
            streams: config
                .streams
                .iter()
                .map(|s| StreamInfo {
                    name: s.name.clone(),
                    columns: s.columns.clone(),
                    event_time: s.event_time.as_ref().map(|t| t.column.clone()),
                    writable: matches!(s.source, Source::Http),
                    max_events_per_second: s.max_events_per_second,
                    implied: s.is_implied(),
                })
                .collect(),
            pull: Pull::new(handle.clone(), &feeds),
            feeds,
            dashboards: config.dashboards.clone(),
            handle,
        }
    }
}

impl Backend for EngineBackend {
    fn streams(&self) -> &[StreamInfo] {
        &self.streams
    }

    fn feeds(&self) -> &[FeedInfo] {
        &self.feeds
    }

    fn dashboards(&self) -> &[Dashboard] {
        &self.dashboards
    }

    fn epoch(&self) -> u32 {
        self.handle.status().epoch
    }

    fn append(&self, append: Append) -> BoxFuture<'static, Result<Appended, AppendError>> {
        let handle = self.handle.clone();
        Box::pin(async move {
            let append = engine::Append {
                stream: append.stream,
                batches: append.batches,
                dead: append.dead,
                unkept: append.unkept,
                bytes: append.bytes,
                key: append.key.map(|k| engine::IdempotencyKey { key: k.key, body_hash: k.body_hash }),
                answer: append.answer,
                settled: append.settled,
            };
            match handle.append(append).await {
                Ok(engine::Appended::Done) => Ok(Appended::Done),
                Ok(engine::Appended::Replayed(answer)) => Ok(Appended::Replayed(answer)),
                Err(error) => Err(match error {
                    engine::AppendError::Busy => AppendError::Busy { retry_after_ms: RETRY_AFTER_MS },
                    engine::AppendError::DiskFull => AppendError::DiskFull,
                    engine::AppendError::InFlight => AppendError::InFlight,
                    engine::AppendError::Mismatch => AppendError::Mismatch,
                    engine::AppendError::Settled => AppendError::Settled,
                    engine::AppendError::Stopping => AppendError::Stopping,
                    engine::AppendError::Failed(why) => AppendError::Failed(why),
                }),
            }
        })
    }

    fn changes_since(&self, feed: usize, since: Option<Offset>) -> BoxFuture<'static, Result<Changes, Unavailable>> {
        let handle = self.handle.clone();
        Box::pin(async move { handle.changes_since(feed, since).await.map_err(|_| Unavailable) })
    }

    fn dead_letters(&self, stream: usize, wanted: Letters) -> BoxFuture<'static, Result<Vec<KeptLetter>, Unavailable>> {
        let handle = self.handle.clone();
        Box::pin(async move {
            handle.dead_letters(stream, wanted).await.map_err(|error| {
                if let engine::ReadError::Store(error) = error {
                    tracing::error!("dead letters cannot be read: {error}");
                }
                Unavailable
            })
        })
    }

    fn rebuild(&self, feed: usize) -> BoxFuture<'static, Result<(), RebuildError>> {
        let handle = self.handle.clone();
        Box::pin(async move {
            handle.rebuild(feed).await.map_err(|error| match error {
                engine::RebuildError::Lacks(why) => RebuildError::Refused(why),
                engine::RebuildError::Failed(why) => RebuildError::Failed(why),
                engine::RebuildError::Stopped => RebuildError::Stopping,
            })
        })
    }

    fn query(&self, sql: String, limits: &config::Limits) -> BoxFuture<'static, Result<QueryAnswer, QueryError>> {
        Box::pin(self.pull.query(sql, limits))
    }

    fn inbox(&self, wake: Arc<dyn Fn() + Send + Sync>) -> Box<dyn Inbox> {
        Box::new(ShardInbox(self.handle.inbox(wake).ok()))
    }

    fn not_ready(&self) -> Vec<Reason> {
        let mut reasons = Vec::new();
        if self.handle.is_failing() {
            let (code, message) = if self.handle.status().disk_full.load(Ordering::Relaxed) {
                ("disk_full", "the disk is full, and events are refused; make room, and they are taken again")
            } else {
                ("log_failing", "the log cannot be written, and events are refused; the server's log says why")
            };
            reasons.push(Reason { code, message: message.to_owned() });
        }
        reasons.extend(self.handle.failed_sources().map(|(stream, why)| Reason {
            code: "source_failed",
            message: format!("stream `{stream}` is read no further until a restart: {why}"),
        }));
        reasons
    }

    fn status(&self) -> Status {
        let status = self.handle.status();
        Status {
            feeds: status
                .feeds
                .iter()
                .map(|feed| FeedStatus {
                    rows: feed.rows.load(Ordering::Relaxed),
                    offset: feed.last_change.load(Ordering::Relaxed),
                    silent_ms: silent(feed.changed_ms.load(Ordering::Relaxed)),
                    groups: feed.groups.load(Ordering::Relaxed),
                    rebuilding: feed.rebuilding(),
                    failure: feed.failure.lock().clone(),
                })
                .collect(),
            streams: status
                .streams
                .iter()
                .map(|stream| {
                    let watermark = stream.watermark.load(Ordering::Relaxed);
                    StreamStatus {
                        accepted: stream.accepted.load(Ordering::Relaxed),
                        refused: stream.refused.load(Ordering::Relaxed),
                        dead_letters: stream.dead_letters.load(Ordering::Relaxed),
                        watermark: (watermark > i64::MIN).then_some(watermark),
                        caught_up: stream.caught_up.load(Ordering::Relaxed),
                        ended: stream.ended.load(Ordering::Relaxed),
                        failure: stream.failure.lock().clone(),
                    }
                })
                .collect(),
        }
    }
}

/// A shard's box; `None` if the engine stopped before the shard began.
struct ShardInbox(Option<engine::Inbox>);

impl Inbox for ShardInbox {
    fn follow(&mut self, feed: usize) {
        if let Some(inbox) = &self.0 {
            inbox.follow(feed);
        }
    }

    fn unfollow(&mut self, feed: usize) {
        if let Some(inbox) = &self.0 {
            inbox.unfollow(feed);
        }
    }

    fn take(&mut self) -> Vec<(usize, Arc<Delta>)> {
        self.0.as_ref().map(engine::Inbox::take).unwrap_or_default()
    }
}

/// Milliseconds since a time, which is 0 for never. A clock that was set back has no negative ones.
fn silent(since_ms: i64) -> Option<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
    (since_ms > 0).then(|| u64::try_from(now - since_ms).unwrap_or(0))
}
