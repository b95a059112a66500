//! Checkpoints: captured between two ticks, written behind them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, bounded, select};
use model::{KeptLetter, Letters, metric};
use serde::{Deserialize, Serialize};
use store::{Checkpoint, OwnerBlocks, State, StoreError};
use tokio::sync::oneshot;

use crate::core::Core;

/// How long to wait after a failed write before it is tried again.
const RETRY: Duration = Duration::from_millis(250);

/// How often a write that fails on and on is told again.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// How often a failed write is tried again once the engine is stopping.
const LAST_TRIES: u32 = 8;

/// What the engine keeps in a checkpoint beside its blocks.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub elapsed: i64,
    /// Where replayable sources stood, by stream.
    pub positions: BTreeMap<String, String>,
    /// The generation of each feed.
    pub generations: BTreeMap<String, u64>,
    /// Feeds that lack their past.
    #[serde(default)]
    pub building: BTreeSet<String>,
}

/// The names under which state is kept.
pub(crate) fn stream_owner(name: &str) -> String {
    format!("stream:{name}")
}
pub(crate) fn query_owner(name: &str) -> String {
    format!("query:{name}")
}
pub(crate) fn feed_owner(name: &str) -> String {
    format!("feed:{name}")
}

/// Captures what changed since the last capture. `positions` stand in the order of the
/// core's streams.
pub(crate) fn capture(core: &mut Core, positions: &[Option<String>], drop_owners: &mut Vec<String>) -> Checkpoint {
    let mut owners = Vec::new();
    let mut meta = Meta { elapsed: core.reading.elapsed, ..Meta::default() };
    for (stream, position) in core.streams.iter_mut().zip(positions) {
        if let Some(position) = position {
            meta.positions.insert(stream.name.clone(), position.clone());
        }
        if let Some((_, marks)) = &mut stream.time {
            let block = model::StateBlock { id: Vec::new(), data: Some(marks.checkpoint()) };
            owners.push(OwnerBlocks {
                name: stream_owner(&stream.name),
                fingerprint: stream.fingerprint.clone().into_bytes(),
                reset: false,
                blocks: vec![block],
            });
        }
    }
    for state in &mut core.feeds {
        let name = &state.plan.output().name;
        meta.generations.insert(name.clone(), state.generation);
        if state.building {
            meta.building.insert(name.clone());
        }
        let reset = std::mem::take(&mut state.reset);
        let fingerprint = state.plan.fingerprint().as_bytes().to_vec();
        let query = state.query.checkpoint();
        let feed = state.feed.checkpoint();
        for (owner, blocks) in [(query_owner(name), query), (feed_owner(name), feed)] {
            owners.push(OwnerBlocks { name: owner, fingerprint: fingerprint.clone(), reset, blocks });
        }
    }
    Checkpoint {
        tick: core.tick,
        clock: core.reading.clock,
        // A map of texts and numbers cannot fail to become JSON.
        meta: serde_json::to_vec(&meta).unwrap_or_default(),
        owners,
        dead: std::mem::take(&mut core.dead),
        settled: std::mem::take(&mut core.settled),
        drop_owners: std::mem::take(drop_owners),
    }
}

/// A page of the dead letters that ticks found.
pub(crate) struct KeptRequest {
    pub stream: String,
    pub wanted: Letters,
    pub reply: oneshot::Sender<Result<Vec<KeptLetter>, StoreError>>,
}

/// The thread that writes checkpoints, and reads what only they hold.
pub(crate) struct Writer {
    checkpoints: Sender<Checkpoint>,
    busy: Arc<AtomicBool>,
    stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Writer {
    /// Starts it; `written` is set to the tick of each checkpoint that is on disk.
    pub(crate) fn start(
        state: State,
        written: Arc<AtomicU64>,
        requests: Receiver<KeptRequest>,
    ) -> std::io::Result<Self> {
        let (checkpoints, incoming) = bounded(1);
        let busy = Arc::new(AtomicBool::new(false));
        let stopping = Arc::new(AtomicBool::new(false));
        let shared = (busy.clone(), stopping.clone());
        let thread = std::thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || run(state, &incoming, &requests, &written, &shared.0, &shared.1))?;
        Ok(Self { checkpoints, busy, stopping, thread })
    }

    /// Whether a checkpoint can be handed over. What was captured must be written, so
    /// nothing may be captured before.
    pub(crate) fn is_idle(&self) -> bool {
        !self.busy.load(Ordering::Acquire)
    }

    /// Hands a checkpoint over.
    pub(crate) fn write(&self, checkpoint: Checkpoint) {
        self.busy.store(true, Ordering::Release);
        // It ends only after this sender is dropped.
        let _ = self.checkpoints.send(checkpoint);
    }

    /// Writes the last checkpoint and closes the state. Blocks until it is on disk.
    pub(crate) fn finish(self, last: impl FnOnce() -> Option<Checkpoint>) {
        self.stopping.store(true, Ordering::Release);
        while self.busy.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(1));
        }
        if let Some(checkpoint) = last() {
            let _ = self.checkpoints.send(checkpoint);
        }
        drop(self.checkpoints);
        if self.thread.join().is_err() {
            tracing::error!("the thread that writes checkpoints failed");
        }
    }
}

fn run(
    mut state: State,
    incoming: &Receiver<Checkpoint>,
    requests: &Receiver<KeptRequest>,
    written: &AtomicU64,
    busy: &AtomicBool,
    stopping: &AtomicBool,
) {
    let seconds = metrics::histogram!(metric::CHECKPOINT_SECONDS);
    let bytes = metrics::counter!(metric::CHECKPOINT_BYTES);
    // After one that was given up nothing more is written: the next one holds only what
    // changed since.
    let mut whole = true;
    loop {
        select! {
            recv(incoming) -> checkpoint => {
                let Ok(checkpoint) = checkpoint else { break };
                let began = Instant::now();
                whole = whole && write(&mut state, &checkpoint, stopping, &bytes);
                if whole {
                    written.store(checkpoint.tick, Ordering::Release);
                }
                seconds.record(began.elapsed().as_secs_f64());
                busy.store(false, Ordering::Release);
            }
            recv(requests) -> request => {
                // The writer outlives those who ask.
                let Ok(request) = request else { break };
                let _ = request.reply.send(state.dead_letters(&request.stream, &request.wanted));
            }
        }
    }
    if let Err(error) = state.shutdown() {
        tracing::warn!("{error}");
    }
}

/// Tries until it is written: the blocks of a checkpoint are nowhere else, and the next
/// one holds only what changes after it.
fn write(state: &mut State, checkpoint: &Checkpoint, stopping: &AtomicBool, bytes: &metrics::Counter) -> bool {
    let failing = metrics::gauge!(metric::CHECKPOINT_FAILING);
    let mut last_tries = 0;
    let mut said: Option<Instant> = None;
    loop {
        match state.write(checkpoint) {
            Ok(stats) => {
                bytes.increment(stats.bytes);
                failing.set(0.0);
                if said.is_some() {
                    tracing::info!("the checkpoint of tick {} is written", checkpoint.tick);
                }
                return true;
            }
            Err(error) if said.is_none_or(|at| at.elapsed() >= TELL_EVERY) => {
                said = Some(Instant::now());
                failing.set(1.0);
                tracing::error!("the checkpoint of tick {} waits, and the log grows: {error}", checkpoint.tick);
            }
            Err(_) => {}
        }
        if stopping.load(Ordering::Acquire) {
            last_tries += 1;
            if last_tries > LAST_TRIES {
                // The cuts since the last checkpoint are in the log and will be replayed.
                return false;
            }
        }
        std::thread::sleep(RETRY);
    }
}
