//! One tick over all streams and feeds: the state that the engine's thread owns.

use std::collections::{BTreeMap, HashMap};

use arrow_array::RecordBatch;
use feed::Feed;
use model::{DeadLetter, LetterId, Offset, Reason, ViewId, metric};
use query::{Plan, Query, Refused, Watermarks};
use store::{LateRow, MAX_DEAD_LETTERS};

use crate::{clock::Reading, journal::count_dead, letter};

/// How much of the present is held while the past of a feed is being made, in bytes.
const MAX_RECORDED: usize = 64 << 20;

/// The partition of a source that has only one.
const ONLY_PARTITION: u32 = 0;

/// A stream's time.
pub(crate) struct StreamState {
    pub name: String,
    /// The index of the event-time column, with the watermarks over it.
    pub time: Option<(usize, Watermarks)>,
    /// What a change of makes the watermarks start anew.
    pub fingerprint: String,
    /// The stream whose dead letters are its events.
    pub letters_of: Option<usize>,
    /// Its dead letters since the start, those of its feeds included.
    pub refused: u64,
}

impl StreamState {
    pub(crate) fn watermark(&self) -> i64 {
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
    /// It lacks the past, which is being made: a start goes on with that.
    pub building: bool,
    /// Rows that `max_memory` had no room for, since they were last told.
    pub evicted: u64,
}

/// The ticks of some feeds, kept while their past is being made.
pub(crate) struct Recording {
    feeds: Vec<usize>,
    ticks: Vec<(usize, Recorded)>,
    bytes: usize,
}

/// What a feed was given in a tick.
struct Recorded {
    number: Offset,
    clock: i64,
    batch: Option<RecordBatch>,
    watermark_before: i64,
    watermark: i64,
}

impl Recorded {
    fn tick(&self) -> query::Tick<'_> {
        query::Tick {
            number: self.number,
            clock: self.clock,
            batch: self.batch.as_ref(),
            watermark_before: self.watermark_before,
            watermark: self.watermark,
            // The feed that was served has refused what is refused.
            letters: 0,
        }
    }
}

impl FeedState {
    /// Runs the query over a tick and applies what changed; what it refused.
    fn run(&mut self, tick: &query::Tick<'_>) -> Refused {
        let evicted = self.feed.evicted();
        let mut output = self.query.tick(tick);
        let name = &self.plan.output().name;
        output.dead.name(name);
        if let Some(changes) = output.changes
            && let Err(error) = self.feed.apply(tick.number, &changes)
        {
            // The query and the feed were planned from one schema.
            tracing::error!("feed `{name}`: a tick's changes do not fit the feed: {error}");
        }
        self.evicted += self.feed.evicted() - evicted;
        let now = if self.plan.windowed() { tick.watermark } else { tick.clock };
        if self.feed.next_expiry().is_some_and(|at| at <= now) {
            self.feed.expire(tick.number, now);
        }
        self.feed.advance(tick.number);
        output.dead
    }

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

impl Recording {
    /// Keeps what a feed is given, if it is one of those. Ends where that becomes too much.
    fn take(recording: &mut Option<Self>, feed: usize, given: &query::Tick<'_>) {
        let Some(this) = recording.as_mut().filter(|this| this.feeds.contains(&feed)) else { return };
        this.bytes += given.batch.map_or(64, RecordBatch::get_array_memory_size);
        if this.bytes > MAX_RECORDED {
            *recording = None;
            return;
        }
        let recorded = Recorded {
            number: given.number,
            clock: given.clock,
            batch: given.batch.cloned(),
            watermark_before: given.watermark_before,
            watermark: given.watermark,
        };
        this.ticks.push((feed, recorded));
    }
}

/// What one tick takes: the events of each stream, in log order.
pub(crate) struct TickInput<'a> {
    pub tick: Offset,
    pub reading: Reading,
    pub batches: &'a [(usize, RecordBatch)],
    /// What posts brought that was refused; the log has it.
    pub posted: &'a [(usize, DeadLetter)],
    /// What replayable sources refused.
    pub dead: &'a [(usize, DeadLetter)],
    /// Dead letters of ticks before that are among the events now.
    pub settled: &'a [LetterId],
    /// For each stream, whether its source had nothing more.
    pub caught_up: Vec<bool>,
}

/// What a tick's streams and queries refuse: up to so many letters of a stream, and how much
/// more of what reason.
#[derive(Default)]
struct Letters {
    kept: Vec<(usize, DeadLetter)>,
    of_stream: HashMap<usize, usize>,
    more: Vec<(usize, Reason, u64)>,
}

impl Letters {
    /// How many more letters of a stream are kept.
    fn room(&self, stream: usize) -> usize {
        (MAX_DEAD_LETTERS as usize).saturating_sub(self.of_stream.get(&stream).copied().unwrap_or(0))
    }

    fn take(&mut self, stream: usize, refused: Refused) {
        let (letters, more) = refused.into_parts();
        *self.of_stream.entry(stream).or_default() += letters.len();
        self.kept.extend(letters.into_iter().map(|letter| (stream, letter)));
        self.more.extend(more.into_iter().map(|(reason, count)| (stream, reason, count)));
    }
}

/// Streams and feeds. Pure: time and input are passed in.
pub(crate) struct Core {
    pub streams: Vec<StreamState>,
    pub feeds: Vec<FeedState>,
    /// Dead letters since the last checkpoint.
    pub dead: Vec<LateRow>,
    /// Dead letters that became events since the last checkpoint.
    pub settled: Vec<LetterId>,
    /// Dead letters since they were last told: how many by stream and reason. Their messages
    /// show values of events, which no log may hold.
    pub untold: BTreeMap<(usize, &'static str), u64>,
    /// Rows that a feed had no room for, since they were last told.
    pub untold_evicted: BTreeMap<usize, u64>,
    /// Whether dead letters count in the metrics: not while a past is replayed.
    pub counting: bool,
    pub recording: Option<Recording>,
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
            settled: Vec::new(),
            untold: BTreeMap::new(),
            untold_evicted: BTreeMap::new(),
            counting: false,
            recording: None,
            tick: 0,
            reading: Reading::default(),
        }
    }

    /// Runs every query once over the tick and applies what changed.
    pub(crate) fn run(&mut self, input: &TickInput<'_>) {
        self.tick = input.tick;
        self.reading = input.reading;
        self.settled.extend_from_slice(input.settled);
        let mut letters = Letters::default();
        let before: Vec<i64> = self.streams.iter().map(StreamState::watermark).collect();
        let mut admitted: HashMap<usize, RecordBatch> = HashMap::new();
        for (index, batch) in input.batches {
            self.admit(*index, batch, &mut admitted, &mut letters);
        }
        self.advance(input, |stream| stream.letters_of.is_none());
        self.run_feeds(&before, &admitted, &mut letters, |stream| stream.letters_of.is_none());
        // Then what became of all this is the input of those who watch it.
        for (index, of) in self.watched_letters() {
            let refused =
                input.posted.iter().chain(input.dead).chain(&letters.kept).filter(|(stream, _)| *stream == of);
            if let Some(batch) = letter::batch(input.reading.clock, refused) {
                self.admit(index, &batch, &mut admitted, &mut letters);
            }
        }
        self.advance(input, |stream| stream.letters_of.is_some());
        self.run_feeds(&before, &admitted, &mut letters, |stream| stream.letters_of.is_some());
        self.keep(input, letters);
    }

    /// Streams of dead letters that a feed reads, each with the stream that the letters are of.
    fn watched_letters(&self) -> BTreeMap<usize, usize> {
        self.feeds.iter().filter_map(|f| Some((f.stream, self.streams[f.stream].letters_of?))).collect()
    }

    /// Lets the events in time through to the queries.
    fn admit(
        &mut self,
        index: usize,
        batch: &RecordBatch,
        admitted: &mut HashMap<usize, RecordBatch>,
        letters: &mut Letters,
    ) {
        let Reading { clock, elapsed } = self.reading;
        let kept = match &mut self.streams[index].time {
            Some((column, marks)) => {
                let room = letters.room(index);
                let (kept, dead) = marks.admit(ONLY_PARTITION, clock, elapsed, batch, *column, room);
                letters.take(index, dead);
                kept
            }
            None => batch.clone(),
        };
        // A file's events and letters of it that were replayed may share a tick.
        let kept = match admitted.remove(&index) {
            None => kept,
            Some(first) => match arrow_select::concat::concat_batches(&first.schema(), [&first, &kept]) {
                Ok(both) => both,
                Err(error) => {
                    // Both have the stream's schema, and a tick is far from what Arrow can hold.
                    tracing::error!(
                        "stream `{}`: a tick's events do not fit together: {error}",
                        self.streams[index].name
                    );
                    first
                }
            },
        };
        admitted.insert(index, kept);
    }

    fn advance(&mut self, input: &TickInput<'_>, which: impl Fn(&StreamState) -> bool) {
        for (stream, caught_up) in self.streams.iter_mut().zip(&input.caught_up).filter(|(s, _)| which(s)) {
            if let Some((_, marks)) = &mut stream.time {
                marks.advance(input.reading.elapsed, *caught_up);
            }
        }
    }

    fn run_feeds(
        &mut self,
        before: &[i64],
        admitted: &HashMap<usize, RecordBatch>,
        letters: &mut Letters,
        which: impl Fn(&StreamState) -> bool,
    ) {
        let Self { streams, feeds, recording, tick, reading, .. } = self;
        for (index, state) in feeds.iter_mut().enumerate().filter(|(_, f)| which(&streams[f.stream])) {
            let given = query::Tick {
                number: *tick,
                clock: reading.clock,
                batch: admitted.get(&state.stream),
                watermark_before: before[state.stream],
                watermark: streams[state.stream].watermark(),
                letters: letters.room(state.stream),
            };
            Recording::take(recording, index, &given);
            letters.take(state.stream, state.run(&given));
        }
    }

    /// Counts the tick's dead letters and keeps them for the next checkpoint.
    fn keep(&mut self, input: &TickInput<'_>, letters: Letters) {
        let Letters { kept: letters, more, .. } = letters;
        if self.counting {
            for (stream, _) in input.posted.iter().chain(input.dead).chain(&letters) {
                self.streams[*stream].refused += 1;
            }
            for (stream, letter) in &letters {
                count_dead(&self.streams[*stream].name, letter.reason, 1);
            }
            for (stream, letter) in input.dead.iter().chain(&letters) {
                *self.untold.entry((*stream, letter.reason.as_str())).or_default() += 1;
            }
            for (stream, reason, count) in more {
                let state = &mut self.streams[stream];
                state.refused += count;
                count_dead(&state.name, reason, count);
                *self.untold.entry((stream, reason.as_str())).or_default() += count;
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

    /// Keeps what these feeds are given from now on, for [`Core::exchange`].
    pub(crate) fn record(&mut self, feeds: Vec<usize>) {
        self.recording = Some(Recording { feeds, ticks: Vec::new(), bytes: 0 });
    }

    /// Puts feeds, made from the past, in the place of those that were recorded: from this
    /// tick on, every cursor from before it gets a snapshot. False if the recording ended.
    pub(crate) fn exchange(&mut self, feeds: Vec<(usize, FeedState)>, watermarks: &[i64]) -> bool {
        let Some(recording) = self.recording.take() else { return false };
        for (index, mut made) in feeds {
            for (_, recorded) in recording.ticks.iter().filter(|(feed, _)| *feed == index) {
                // What it refuses, the feed that was served has refused.
                made.run(&recorded.tick());
            }
            made.feed.supersede(self.tick);
            made.generation = self.feeds[index].generation;
            self.feeds[index] = made;
        }
        for (stream, watermark) in self.streams.iter_mut().zip(watermarks) {
            if let Some((_, marks)) = &mut stream.time {
                marks.raise(*watermark);
            }
        }
        true
    }

    /// Of a past nothing is kept but its feeds.
    pub(crate) fn forget(&mut self) {
        self.dead.clear();
        self.settled.clear();
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
    /// are kept, and nothing of them will show. False if there was nothing to tell.
    pub(crate) fn tell(&mut self) -> bool {
        let told = !(self.untold.is_empty() && self.untold_evicted.is_empty());
        for ((stream, reason), count) in std::mem::take(&mut self.untold) {
            let name = &self.streams[stream].name;
            tracing::warn!(
                "stream `{name}`: {count} became dead letters ({reason}); `tidewire dead-letters {name}` shows them"
            );
        }
        for (feed, evicted) in std::mem::take(&mut self.untold_evicted) {
            let name = &self.feeds[feed].plan.output().name;
            tracing::warn!("feed `{name}`: its oldest {evicted} rows went, `max_memory` has no room for them");
        }
        told
    }

    /// Sets what gauges show of streams and feeds.
    pub(crate) fn report(&mut self) {
        for stream in &self.streams {
            if stream.time.is_some() && stream.watermark() > i64::MIN {
                let seconds = stream.watermark() as f64 / 1000.0;
                metrics::gauge!(metric::WATERMARK, "stream" => stream.name.clone()).set(seconds);
            }
        }
        for (index, state) in self.feeds.iter_mut().enumerate() {
            let name = state.plan.output().name.clone();
            let evicted = std::mem::take(&mut state.evicted);
            if evicted > 0 {
                metrics::counter!(metric::EVICTED, "feed" => name.clone()).increment(evicted);
                *self.untold_evicted.entry(index).or_default() += evicted;
            }
            metrics::gauge!(metric::FEED_ROWS, "feed" => name.clone()).set(state.feed.len() as f64);
            metrics::gauge!(metric::FEED_OFFSET, "feed" => name.clone()).set(state.feed.last_change() as f64);
            metrics::gauge!(metric::GROUPS, "feed" => name.clone()).set(state.query.groups() as f64);
            let held = state.query.held_bytes() + state.feed.held_bytes();
            metrics::gauge!(metric::FEED_MEMORY, "feed" => name).set(held as f64);
        }
    }
}
