//! Feeds made anew from the past, while everything else goes on.
//!
//! A feed whose query is new or another has no state; that of the others may be gone, or
//! someone asks for it. What the feed would hold is made by a thread of its own from the log
//! and the sources, up to near the present:
//!
//! ```text
//!   log, sources ──► past: tick 1 … X ─┐
//!                                      ├─► at a tick, instead of the feed that was served
//!   engine's ticks X+1 … (recorded) ───┘
//! ```
//!
//! The exchange is written in a checkpoint before anyone sees it. To viewers it is one
//! snapshot.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use arrow_array::RecordBatch;
use config::{Config, Feed, Stream};
use crossbeam_channel::{Receiver, Sender, bounded};
use model::{Offset, metric};
use query::Plan;
use sources::Replayable;
use store::{Log, Reach};
use tokio::sync::oneshot;

use crate::{
    clock::Reading,
    core::{Core, FeedState},
    cut::{Cut, StreamCut},
    handle::{Handle, Request},
    journal::Input,
    plan::millis,
    pump,
    recover::{input, new_feed, new_stream},
};

/// Bytes and cuts of the log that are read in one go: its thread has others to serve.
const PAGE_BYTES: usize = 2 << 20;
const PAGE_CUTS: usize = 256;

/// What is left of the past counts as little once it was run through in this time.
const NEAR: Duration = Duration::from_millis(300);

/// How often a thread without work looks whether it is to stop.
const LOOK_UP: Duration = Duration::from_millis(100);

/// How often an exchange is tried: the engine records only so much meanwhile.
const ATTEMPTS: usize = 5;

/// Why a feed cannot be made anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RebuildError {
    /// The past is not all there.
    #[error("{0}")]
    Lacks(String),
    /// The engine is stopping.
    #[error("the server is stopping")]
    Stopped,
    /// Reading the past failed.
    #[error("{0}")]
    Failed(String),
}

/// Feeds to be made anew together.
pub(crate) struct Job {
    pub feeds: Vec<usize>,
    /// Told whether it can be done, before it is.
    pub accepted: Option<oneshot::Sender<Result<(), RebuildError>>>,
}

/// One tick of the past, as the log has it.
pub(crate) struct PastTick {
    pub cut: Cut,
    pub batches: Vec<(usize, RecordBatch)>,
}

/// Some of the past.
pub(crate) struct PastPage {
    pub ticks: Vec<PastTick>,
    /// Events that their stream would refuse today, by stream.
    pub left_out: Vec<u64>,
}

/// What of the past is not in what was made of it, because the schema of today refuses it.
#[derive(Default, Clone, Copy)]
struct Missing {
    /// Events of the log.
    left_out: u64,
    /// Records of sources.
    refused: u64,
}

/// Where the engine stands.
pub(crate) struct Present {
    pub tick: Offset,
    pub reading: Reading,
    /// In the configuration's order.
    pub positions: Vec<Option<String>>,
}

/// Feeds that stand where the engine stood when it began to record.
pub(crate) struct Exchange {
    pub feeds: Vec<(usize, FeedState)>,
    /// How far each stream's time had come.
    pub watermarks: Vec<i64>,
    /// Told whether the recording reached; and then, once it is on disk.
    pub done: Sender<bool>,
}

/// Reads a page of the log: ticks behind `after`, up to `until`.
pub(crate) fn read_page<'a>(
    log: &mut Log,
    names: impl Iterator<Item = &'a str> + Clone,
    after: Offset,
    until: Offset,
) -> Result<PastPage, String> {
    let mut ticks = Vec::new();
    let before: Vec<u64> = names.clone().map(|name| log.left_out(name)).collect();
    let mut bytes = 0;
    for stored in log.cuts(after, PAGE_CUTS).map_err(|e| e.to_string())? {
        if stored.tick > until || bytes > PAGE_BYTES {
            break;
        }
        let cut = Cut::decode(&stored, names.clone()).map_err(|e| e.to_string())?;
        let mut batches = Vec::new();
        for (name, batch) in log.entries(cut.tick).map_err(|e| e.to_string())? {
            bytes += batch.get_array_memory_size();
            batches.extend(names.clone().position(|n| n == name).map(|index| (index, batch)));
        }
        ticks.push(PastTick { cut, batches });
    }
    let left_out = names.zip(before).map(|(name, before)| log.left_out(name) - before).collect();
    Ok(PastPage { ticks, left_out })
}

/// Why the past has not all that the feed would hold, if so.
pub(crate) fn lacks(plan: &Plan, feed: &Feed, stream: &Stream, reach: Reach, now: i64) -> Option<&'static str> {
    if stream.is_implied() {
        return Some("dead letters are counted from now on");
    }
    // A group without a window counts its first event, however old. A row that one event
    // made is kept for `keep`; the oldest kept window must be whole, so that the log has to
    // reach back twice as far.
    let bounded = plan.windowed() || plan.stateless();
    let since = now.saturating_sub(millis(feed.keep)).saturating_sub(millis(feed.keep));
    let whole = reach.complete || (bounded && reach.clock.is_some_and(|first| first <= since));
    (!whole).then_some("the log does not reach back over `keep`")
}

/// The thread that makes feeds anew, one job after the other.
pub(crate) struct Rebuilder {
    pub config: Arc<Config>,
    pub plans: Vec<Plan>,
    pub handle: Handle,
    pub jobs: Receiver<Job>,
    pub stop: Arc<AtomicBool>,
}

impl Rebuilder {
    pub(crate) fn start(self) -> std::io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name("rebuild".to_owned()).spawn(move || {
            while !self.stop.load(Ordering::Relaxed) {
                if let Ok(job) = self.jobs.recv_timeout(LOOK_UP) {
                    self.run(job);
                }
            }
        })
    }

    fn run(&self, mut job: Job) {
        let began = Instant::now();
        let names =
            job.feeds.iter().map(|f| format!("`{}`", self.config.feeds[*f].name)).collect::<Vec<_>>().join(", ");
        let result = self.make(&mut job);
        let status = || job.feeds.iter().map(|feed| &self.handle.status.feeds[*feed]);
        match result {
            Ok(Missing { left_out, refused }) => {
                tracing::info!("feed {names}: rebuilt from the past in {:.1} s", began.elapsed().as_secs_f64());
                if left_out > 0 {
                    metrics::counter!(metric::EVENTS_LEFT_OUT).increment(left_out);
                    tracing::warn!(
                        "feed {names}: {left_out} logged events are not in it: the stream would refuse them today"
                    );
                }
                if refused > 0 {
                    tracing::warn!(
                        "feed {names}: {refused} records of its source are not in it: the schema of today refuses them"
                    );
                }
            }
            Err(RebuildError::Stopped) => {}
            Err(error) => match job.accepted.take() {
                Some(accepted) => drop(accepted.send(Err(error))),
                None => {
                    tracing::error!("feed {names}: cannot be rebuilt: {error}");
                    status().for_each(|feed| *feed.failure.lock() = Some(format!("cannot be rebuilt: {error}")));
                }
            },
        }
        // Whoever waits for the end looks at the failure then.
        status().for_each(|feed| feed.show_rebuilding(None));
    }

    fn make(&self, job: &mut Job) -> Result<Missing, RebuildError> {
        for feed in &job.feeds {
            self.check(*feed)?;
        }
        let mut past = self.beginning(&job.feeds);
        let mut sources = self.open(&job.feeds)?;
        for feed in &job.feeds {
            let status = &self.handle.status.feeds[*feed];
            *status.failure.lock() = None;
            status.show_rebuilding(Some(0.0));
        }
        if let Some(accepted) = job.accepted.take() {
            let _ = accepted.send(Ok(()));
        }
        let mut missing = Missing::default();
        for _ in 0..ATTEMPTS {
            loop {
                let began = Instant::now();
                let present = self.ask(|reply| Request::Present { record: None, reply })?;
                self.bring(&mut past, &mut sources, &present, &job.feeds, &mut missing)?;
                if began.elapsed() < NEAR {
                    break;
                }
            }
            let present = self.ask(|reply| Request::Present { record: Some(job.feeds.clone()), reply })?;
            self.bring(&mut past, &mut sources, &present, &job.feeds, &mut missing)?;
            if self.exchange(&mut past, &job.feeds)? {
                return Ok(missing);
            }
            missing = Missing::default();
            past = self.beginning(&job.feeds);
            sources = self.open(&job.feeds)?;
        }
        Err(RebuildError::Failed("events come faster than the past can be caught up with".to_owned()))
    }

    fn check(&self, feed: usize) -> Result<(), RebuildError> {
        let (plan, defined) = (&self.plans[feed], &self.config.feeds[feed]);
        let stream = self.stream_of(feed);
        let (reply, answer) = bounded(1);
        self.handle.inputs.send(Input::Reach { stream, reply }).map_err(|_| RebuildError::Stopped)?;
        let (reach, now) = answer.recv().map_err(|_| RebuildError::Stopped)?.map_err(RebuildError::Failed)?;
        match lacks(plan, defined, &self.config.streams[stream], reach, now) {
            None => Ok(()),
            Some(lack) => Err(RebuildError::Lacks(format!("feed `{}`: {lack}", defined.name))),
        }
    }

    fn stream_of(&self, feed: usize) -> usize {
        // The plan was made from this configuration.
        self.config.streams.iter().position(|s| s.name == self.plans[feed].stream()).unwrap_or_default()
    }

    fn beginning(&self, feeds: &[usize]) -> Core {
        let mut past = Core::new(self.config.streams.iter().map(new_stream).collect());
        let new = |feed: &usize| new_feed(&self.plans[*feed], &self.config.feeds[*feed], self.stream_of(*feed), 0);
        past.feeds = feeds.iter().map(new).collect();
        past
    }

    /// The sources of the feeds' streams, at their beginning.
    fn open(&self, feeds: &[usize]) -> Result<Vec<Option<Box<dyn Replayable>>>, RebuildError> {
        let wanted: Vec<usize> = feeds.iter().map(|f| self.stream_of(*f)).collect();
        let open = |(index, stream): (usize, &Stream)| {
            let source =
                wanted.contains(&index).then(|| pump::open(stream, &self.config.limits)).flatten().transpose()?;
            let mut source = source;
            if let Some(source) = &mut source {
                source.seek(None)?;
            }
            Ok(source)
        };
        let opened = self.config.streams.iter().enumerate().map(open).collect::<Result<Vec<_>, sources::SourceError>>();
        // What is wrong with a source, `GET /v1/streams` says too.
        opened.map_err(|e| RebuildError::Lacks(e.to_string()))
    }

    fn ask<T>(&self, request: impl FnOnce(Sender<T>) -> Request) -> Result<T, RebuildError> {
        let (reply, answer) = bounded(1);
        self.handle.requests.send(request(reply)).map_err(|_| RebuildError::Stopped)?;
        answer.recv().map_err(|_| RebuildError::Stopped)
    }

    /// Runs the past on to where the engine stands.
    fn bring(
        &self,
        past: &mut Core,
        sources: &mut [Option<Box<dyn Replayable>>],
        present: &Present,
        feeds: &[usize],
        missing: &mut Missing,
    ) -> Result<(), RebuildError> {
        let streams: BTreeSet<usize> = feeds.iter().map(|feed| self.stream_of(*feed)).collect();
        let from = past.tick;
        let show = |tick: Offset| {
            let share = (tick - from) as f64 / (present.tick - from).max(1) as f64;
            for feed in feeds {
                self.handle.status.feeds[*feed].show_rebuilding(Some(share));
            }
        };
        while past.tick < present.tick {
            let (reply, answer) = bounded(1);
            let request = Input::Past { after: past.tick, until: present.tick, reply };
            self.handle.inputs.send(request).map_err(|_| RebuildError::Stopped)?;
            let page = answer.recv().map_err(|_| RebuildError::Stopped)?.map_err(RebuildError::Failed)?;
            missing.left_out += streams.iter().map(|stream| page.left_out[*stream]).sum::<u64>();
            if page.ticks.is_empty() {
                // The cuts up to here had no events, and are gone.
                past.tick = present.tick;
            }
            for PastTick { cut, batches } in page.ticks {
                self.go_on()?;
                past.run(&input(&cut, &batches, &[]));
                past.forget();
            }
            show(past.tick);
        }
        for (index, source) in sources.iter_mut().enumerate() {
            let (Some(source), Some(end)) = (source, &present.positions[index]) else { continue };
            missing.refused += self.read(past, index, source.as_mut(), end, present)?;
        }
        past.reading = present.reading;
        Ok(())
    }

    /// What the log does not hold is read again from its source. Returns how many records are
    /// refused.
    fn read(
        &self,
        past: &mut Core,
        index: usize,
        source: &mut dyn Replayable,
        end: &str,
        present: &Present,
    ) -> Result<u64, RebuildError> {
        let mut refused = 0;
        let streams = vec![StreamCut { position: None, caught_up: false }; past.streams.len()];
        let cut = Cut { tick: present.tick, reading: present.reading, streams };
        loop {
            self.go_on()?;
            let read = source.read_until(end).map_err(|e| RebuildError::Failed(e.to_string()))?;
            refused += read.dead.len() as u64;
            for batch in read.batches {
                past.run(&input(&cut, &[(index, batch)], &[]));
                past.forget();
            }
            if read.position == end {
                return Ok(refused);
            }
        }
    }

    fn go_on(&self) -> Result<(), RebuildError> {
        if self.stop.load(Ordering::Relaxed) { Err(RebuildError::Stopped) } else { Ok(()) }
    }

    /// Hands the feeds over; false if the engine has recorded too little.
    fn exchange(&self, past: &mut Core, feeds: &[usize]) -> Result<bool, RebuildError> {
        let watermarks = past.streams.iter().map(crate::core::StreamState::watermark).collect();
        let feeds = feeds.iter().copied().zip(past.feeds.drain(..)).collect();
        self.ask(|done| Request::Exchange(Exchange { feeds, watermarks, done }))
    }
}
