//! The tick loop: sources in, queries, checkpoints, feeds out.
//!
//! ```text
//!   posts ──┐                                        ┌─► shards (a box each)
//!   files ──┼─► journal ──ticks──► runner ──changes──┤
//!   …     ──┘   owns the log       owns queries,     └─► readers (changes_since)
//!                                  feeds  │
//!                                         └─blocks─► checkpoint writer, owns the state
//! ```
//!
//! Three threads, each the only owner of what it works on; data flows one way, and
//! nothing is locked across a tick.
//!
//! # Layout
//!
//! - [`plan`]: from a configuration to planned feeds
//! - `journal`: what arrives becomes durable, and part of a tick
//! - `cut`, `clock`: what makes a tick
//! - `core`: one tick over all streams and feeds (pure)
//! - `runner`: the engine's thread
//! - `letter`: dead letters as events
//! - `inbox`: how shards hear of changes
//! - `checkpoint`, `recover`: state out, state in
//! - `rebuild`: feeds made anew from the past
//! - `pump`: threads that read sources
//! - `counts`: metrics that are there from the start
//! - `room`: how much may wait
//! - `handle`: what the outside holds

mod checkpoint;
mod clock;
mod core;
mod counts;
mod cut;
mod handle;
mod inbox;
mod journal;
mod letter;
pub mod plan;
mod pump;
mod rebuild;
mod recover;
#[cfg(test)]
mod replay;
mod room;
mod runner;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64},
    },
    thread::JoinHandle,
};

use config::{Config, Source};
use crossbeam_channel::{bounded, unbounded};
use query::Plan;
use tokio::sync::Notify;

pub use handle::{
    Append, AppendError, Appended, FeedStatus, Handle, IdempotencyKey, ReadError, Status, Stopped, StreamStatus,
};
pub use inbox::{Delivery, Inbox};
pub use rebuild::RebuildError;

use crate::{
    clock::{Clock, Reading, Steady},
    journal::{Input, Journal, JournalStream},
    plan::{millis, stream_schema},
    rebuild::{Job, Rebuilder},
    recover::Recovered,
    room::Rooms,
    runner::Runner,
};

/// How many ticks the engine may be behind the journal.
const TICKS_AHEAD: usize = 2;

/// How many requests to rebuild a feed may wait.
const JOBS: usize = 16;

/// Why an engine does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be opened or read.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// A source cannot be opened, or no longer holds what the last start read.
    #[error(transparent)]
    Source(#[from] sources::SourceError),
    /// Kept state cannot be read.
    #[error(
        "the state of `{0}` cannot be read: {1}; move the data directory away, or remove state.sqlite to rebuild from the log"
    )]
    State(String, String),
    /// A thread could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// How far a start is, for who waits for it.
#[derive(Debug, Default)]
pub struct Progress {
    /// How many ticks are to be replayed; 0 until that is known.
    pub ticks: AtomicU64,
    /// How many were.
    pub replayed: AtomicU64,
}

/// A running engine.
pub struct Engine {
    handle: Handle,
    stop: Arc<AtomicBool>,
    pumps: Vec<JoinHandle<()>>,
    journal: JoinHandle<store::Log>,
    runner: JoinHandle<()>,
    ended: Arc<Notify>,
    /// What is rebuilt or starts empty, for a person.
    pub notes: Vec<String>,
}

impl Engine {
    /// Recovers what the last run left and starts all threads. Returns when every feed
    /// stands where the last cut left it.
    pub fn start(
        config: &Config,
        plans: &[Plan],
        opened: store::Opened,
        progress: &Progress,
    ) -> Result<Self, StartError> {
        counts::register(config);
        let store::Opened { mut log, mut state, start } = opened;
        // What was replayed after it is in no checkpoint yet: the log must keep it.
        let mut saved = state.tick().unwrap_or(0);
        let mut sources = config.streams.iter().map(|s| pump::open(s, &config.limits)).collect();
        let Recovered { mut core, positions, mut drop_owners, notes, torn } =
            recover::recover(config, plans, &mut log, &mut state, &start, &mut sources, progress)?;
        if torn {
            state.write(&checkpoint::capture(&mut core, &positions, &mut drop_owners))?;
            saved = core.tick;
        }

        let first = core.tick == 0;
        let status = Arc::new(Status {
            epoch: start.epoch,
            views: core.feeds.iter().map(core::FeedState::view).collect(),
            feeds: config.feeds.iter().map(|_| FeedStatus::default()).collect(),
            streams: config.streams.iter().map(|s| StreamStatus::new(!matches!(s.source, Source::File(_)))).collect(),
            tick: AtomicU64::new(core.tick),
            failing: AtomicBool::new(false),
            disk_full: AtomicBool::new(false),
        });
        let (inputs_tx, inputs) = unbounded();
        let (requests_tx, requests) = unbounded();
        let (ticks_tx, ticks) = bounded(TICKS_AHEAD);
        let due = Arc::new(AtomicI64::new(i64::MAX));
        let checkpointed = Arc::new(AtomicU64::new(saved));
        let (kept_tx, kept) = unbounded();
        let (jobs_tx, jobs) = bounded(JOBS);
        let handle = Handle {
            kept: kept_tx,
            jobs: jobs_tx,
            names: config.streams.iter().map(|s| s.name.clone()).collect(),
            inputs: inputs_tx,
            requests: requests_tx,
            rooms: Rooms::new(config),
            status: status.clone(),
        };
        let last = Reading { clock: core.reading.clock.max(start.clock), elapsed: core.reading.elapsed };
        let journal = Journal {
            log,
            clock: Clock::resume(last),
            last_tick: core.tick,
            streams: config
                .streams
                .iter()
                .zip(&positions)
                .map(|(stream, position)| JournalStream {
                    name: stream.name.clone(),
                    schema: stream_schema(stream).to_arrow(),
                    max_age_ms: millis(stream.retention),
                    max_bytes: stream.retention_bytes,
                    cut: cut::StreamCut {
                        position: position.clone(),
                        caught_up: !matches!(stream.source, Source::File(_)),
                    },
                    awaited_until: match &stream.event_time {
                        Some(time) if !first && matches!(stream.source, Source::Http) => {
                            Some(last.elapsed + millis(time.idle_timeout))
                        }
                        _ => None,
                    },
                })
                .collect(),
            inputs,
            ticks: ticks_tx,
            due: due.clone(),
            checkpointed: checkpointed.clone(),
            status: status.clone(),
        };
        let writer = checkpoint::Writer::start(state, checkpointed, kept)?;
        let starts = positions.clone();
        let building = core.feeds.iter().enumerate().filter(|(_, f)| f.building).map(|(index, _)| index).collect();
        let runner = Runner { core, saved, positions, ticks, requests, due, writer, drop_owners, status };
        let spawn = std::thread::Builder::new;
        let ended = Arc::new(Notify::new());
        let (runner_ends, journal_ends) = (Ends(ended.clone()), Ends(ended.clone()));
        let runner = spawn().name("engine".to_owned()).spawn(move || {
            let _ends = runner_ends;
            runner.run();
        })?;
        let journal = spawn().name("journal".to_owned()).spawn(move || {
            let _ends = journal_ends;
            journal.run()
        })?;

        let stop = Arc::new(AtomicBool::new(false));
        let rebuilder = Rebuilder {
            config: Arc::new(config.clone()),
            plans: plans.to_vec(),
            handle: handle.clone(),
            jobs,
            stop: stop.clone(),
        };
        let mut pumps = vec![rebuilder.start()?];
        let job = Job { feeds: building, accepted: None };
        if !job.feeds.is_empty() {
            // The channel has room: nobody else holds it yet.
            let _ = handle.jobs.send(job);
        }
        for (index, ((stream, source), at)) in config.streams.iter().zip(sources).zip(starts).enumerate() {
            match source {
                Some(Ok(source)) => {
                    pumps.push(pump::start_reading(index, &stream.name, source, at, handle.clone(), stop.clone())?);
                }
                Some(Err(error)) => pump::failed(index, &stream.name, &handle.status, &error),
                None => {}
            }
            let mut clock = Steady::new();
            match pump::open_sampled(stream, clock.read(), first) {
                Some(Ok(source)) => {
                    pumps.push(pump::start_sampling(index, &stream.name, source, clock, handle.clone(), stop.clone())?);
                }
                Some(Err(error)) => pump::failed(index, &stream.name, &handle.status, &error),
                None => {}
            }
        }
        Ok(Self { handle, stop, pumps, journal, runner, ended, notes })
    }

    /// What writers and readers hold.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Waits until one of the threads has ended, which before [`Engine::stop`] means a fault.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + 'static {
        let ended = self.ended.clone();
        async move { ended.notified().await }
    }

    /// Finishes what has arrived, writes the last checkpoint and closes the store.
    /// Blocks until all is on disk. False if a thread had failed: then the log has what was
    /// acknowledged, and the next start replays it.
    #[must_use]
    pub fn stop(self) -> bool {
        let mut sound = true;
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        // A pump that waits for room wakes when the journal has taken its last read.
        let _ = self.handle.inputs.send(Input::Stop);
        let log = self.journal.join();
        if self.runner.join().is_err() {
            tracing::error!("the engine's thread failed");
            sound = false;
        }
        match log {
            Ok(log) => {
                if let Err(error) = log.shutdown() {
                    tracing::warn!("{error}");
                }
            }
            Err(_) => {
                tracing::error!("the journal's thread failed");
                sound = false;
            }
        }
        drop(self.handle);
        for pump in self.pumps {
            let _ = pump.join();
        }
        sound
    }
}

/// Tells that a thread has ended, however it did.
struct Ends(Arc<Notify>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}
