//! One tick over all streams and feeds: the state that the engine's thread owns.

use std::collections::{BTreeMap, HashMap};

use arrow_array::RecordBatch;
use feed::Feed;
use model::{DeadLetter, Offset, ViewId, metric};
use query::{Plan, Query, Watermarks};
use store::{LateRow, MAX_DEAD_LETTERS};

use crate::{clock::Reading, journal::count_dead};

/// The partition of a source that has only one.
const ONLY_PARTITION: u32 = 0;

/// A stream's time.
pub(crate) struct StreamState {
    pub name: String,
    /// The index of the event-time column, with the watermarks over it.
    pub time: Option<(usize, Watermarks)>,
    /// What a change of makes the watermarks start anew.
    pub fingerprint: String,
}

impl StreamState {
    fn watermark(&self) -> i64 {
        self.time.as_ref().map_or(i64::MIN, |(_, marks)| marks.current())
    }
}

/// A query and the feed it keeps.
pub(crate) struct FeedState {
    pub plan: Plan,
    /// The index of the stream it reads.
    pub stream: usize,
    pub query: Query,
    pub feed: Feed,
    /// Which rows it started from: the tick it was built at. Part of the view's identity.
    pub generation: u64,
    /// Whether its whole state must be written anew.
    pub reset: bool,
}

impl FeedState {
    /// The identity of the feed's whole view: another query or another start is another view.
    pub(crate) fn view(&self) -> ViewId {
        let text = format!("{}\n{}\n{}", self.plan.output().name, self.plan.fingerprint(), self.generation);
        // FNV-1a, 64 bits: stable over versions and machines.
        let hash = text
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        ViewId(hash)
    }
}

/// What one tick takes: the events of each stream, in log order.
pub(crate) struct TickInput<'a> {
    pub tick: Offset,
    pub reading: Reading,
    pub batches: &'a [(usize, RecordBatch)],
    /// What replayable sources refused.
    pub dead: &'a [(usize, DeadLetter)],
    /// For each stream, whether its source had nothing more.
    pub caught_up: Vec<bool>,
}

/// Streams and feeds. Pure: time and input are passed in.
pub(crate) struct Core {
    pub streams: Vec<StreamState>,
    pub feeds: Vec<FeedState>,
    /// Dead letters since the last checkpoint.
    pub dead: Vec<LateRow>,
    /// Dead letters since they were last told: how many by stream and reason, and one of the
    /// messages.
    pub untold: BTreeMap<(usize, &'static str), (u64, String)>,
    /// Whether dead letters count in the metrics: not while a past is replayed.
    pub counting: bool,
    pub tick: Offset,
    pub reading: Reading,
}

impl Core {
    /// Streams without feeds, at the beginning of time.
    pub(crate) fn new(streams: Vec<StreamState>) -> Self {
        Self {
            streams,
            feeds: Vec::new(),
            dead: Vec::new(),
            untold: BTreeMap::new(),
            counting: false,
            tick: 0,
            reading: Reading::default(),
        }
    }

    /// Runs every query once over the tick and applies what changed.
    pub(crate) fn run(&mut self, input: &TickInput<'_>) {
        self.tick = input.tick;
        self.reading = input.reading;
        let mut letters: Vec<(usize, DeadLetter)> = Vec::new();
        let mut admitted: HashMap<usize, RecordBatch> = HashMap::new();
        let mut before = Vec::with_capacity(self.streams.len());
        for stream in &self.streams {
            before.push(stream.watermark());
        }
        for (index, batch) in input.batches {
            let kept = match &mut self.streams[*index].time {
                Some((column, marks)) => {
                    let (kept, dead) =
                        marks.admit(ONLY_PARTITION, input.reading.clock, input.reading.elapsed, batch, *column);
                    letters.extend(dead.into_iter().map(|d| (*index, d)));
                    kept
                }
                None => batch.clone(),
            };
            admitted.insert(*index, kept);
        }
        for (stream, caught_up) in self.streams.iter_mut().zip(&input.caught_up) {
            if let Some((_, marks)) = &mut stream.time {
                marks.advance(input.reading.elapsed, *caught_up);
            }
        }
        for state in &mut self.feeds {
            let watermark = self.streams[state.stream].watermark();
            let output = state.query.tick(&query::Tick {
                number: input.tick,
                clock: input.reading.clock,
                batch: admitted.get(&state.stream),
                watermark_before: before[state.stream],
                watermark,
            });
            let name = &state.plan.output().name;
            letters.extend(output.dead.into_iter().map(|mut d| {
                d.feed.clone_from(name);
                (state.stream, d)
            }));
            if let Some(changes) = output.changes
                && let Err(error) = state.feed.apply(input.tick, &changes)
            {
                // The query and the feed were planned from one schema.
                tracing::error!("feed `{name}`: a tick's changes do not fit the feed: {error}");
            }
            let now = if state.plan.windowed() { watermark } else { input.reading.clock };
            if state.feed.next_expiry().is_some_and(|at| at <= now) {
                state.feed.expire(input.tick, now);
            }
            state.feed.advance(input.tick);
        }
        if self.counting {
            for (stream, letter) in &letters {
                count_dead(&self.streams[*stream].name, letter);
            }
            for (stream, letter) in input.dead.iter().chain(&letters) {
                let (count, message) = self.untold.entry((*stream, letter.reason.as_str())).or_default();
                *count += 1;
                message.clone_from(&letter.message);
            }
        }
        for (number, (stream, letter)) in input.dead.iter().cloned().chain(letters).enumerate() {
            let stream = self.streams[stream].name.clone();
            self.dead.push(LateRow { tick: input.tick, number: number as u32, stream, letter });
        }
        self.bound_dead();
    }

    /// While no checkpoint can be written, dead letters are held up to what the store would
    /// keep of each stream: the newest.
    fn bound_dead(&mut self) {
        if self.dead.len() < (self.streams.len() + 1) * MAX_DEAD_LETTERS as usize {
            return;
        }
        let mut kept: HashMap<String, u64> = HashMap::new();
        self.dead.reverse();
        self.dead.retain(|row| {
            let count = kept.entry(row.stream.clone()).or_default();
            *count += 1;
            *count <= MAX_DEAD_LETTERS
        });
        self.dead.reverse();
    }

    /// The elapsed time at which a tick without events has work to do.
    pub(crate) fn due(&self) -> i64 {
        let marks = self.streams.iter().filter_map(|s| s.time.as_ref()?.1.due()).min();
        let to_elapsed = |clock: i64| clock.saturating_sub(self.reading.clock).saturating_add(self.reading.elapsed);
        let queries = self.feeds.iter().filter_map(|f| f.query.due()).min().map(to_elapsed);
        let by_clock = self.feeds.iter().filter(|f| !f.plan.windowed());
        let expiries = by_clock.filter_map(|f| f.feed.next_expiry()).min().map(to_elapsed);
        [marks, queries, expiries].into_iter().flatten().min().unwrap_or(i64::MAX)
    }

    /// Tells the log of dead letters since the last time: their producers were told that they
    /// are kept, and nothing of them will show.
    pub(crate) fn tell(&mut self) {
        for ((stream, reason), (count, message)) in std::mem::take(&mut self.untold) {
            let name = &self.streams[stream].name;
            tracing::warn!("stream `{name}`: {count} became dead letters ({reason}), such as: {message}");
        }
    }

    /// Sets what gauges show of streams and feeds.
    pub(crate) fn report(&self) {
        for stream in &self.streams {
            if stream.time.is_some() && stream.watermark() > i64::MIN {
                metrics::gauge!(metric::WATERMARK_MS, "stream" => stream.name.clone()).set(stream.watermark() as f64);
            }
        }
        for state in &self.feeds {
            let name = state.plan.output().name.clone();
            metrics::gauge!(metric::FEED_ROWS, "feed" => name.clone()).set(state.feed.len() as f64);
            metrics::gauge!(metric::FEED_OFFSET, "feed" => name.clone()).set(state.feed.last_change() as f64);
            metrics::gauge!(metric::GROUPS, "feed" => name).set(state.query.groups() as f64);
        }
    }
}
