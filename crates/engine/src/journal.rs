//! The journal: everything that arrives becomes part of a tick here, and is durable
//! before it is acknowledged.
//!
//! One thread owns the log. Each round it takes all that has arrived, and commits it
//! together with the *cut* that makes it a tick: so one group commit serves every
//! waiting producer and the tick alike, and batching adapts to the load by itself. A
//! round with nothing to log (a replayable source, the passing of time) commits the cut
//! alone, without waiting for the disk.
//!
//! ```text
//!  posts ─────┐                         ┌─► acknowledgements
//!  generators ├─► inputs ─► commit ─────┤
//!  files ─────┘    (events + cut)       └─► ticks ─► engine
//! ```
//!
//! Pressure goes upstream by not reading: the engine takes at most two ticks ahead, so
//! a slow engine makes rounds larger, then fills `max_pending`, then producers wait.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};
use model::{DeadLetter, Edge, KeptLetter, LetterId, Letters, Reason, metric};
use store::{Commit, KeyRecord, Log, Reach, Retention, StoreError};
use tokio::sync::oneshot;

use crate::{
    clock::Clock,
    cut::{Cut, StreamCut},
    handle::{Append, AppendError, Appended, Status},
    rebuild::{PastPage, read_page},
    room::Taken,
};

/// How many events one tick takes at most; what is left waits for the next.
const MAX_TICK_ROWS: usize = 65_536;

/// How often the passing of time alone is looked at.
const POLL: Duration = Duration::from_millis(50);

/// How often old entries are removed.
const RETAIN_EVERY: Duration = Duration::from_secs(5);

/// How many entries one removal takes at most, so that no producer waits long behind it.
const RETAIN_BUDGET: usize = 2_000;

/// How long to wait after a failed commit of a source's batch before it is tried again.
const RETRY: Duration = Duration::from_millis(250);

/// How often a log that could not be written is tried while no events come.
const PROBE: Duration = Duration::from_secs(1);

/// The principal of every request, until there is authentication.
const ANYONE: &str = "";

type Reply = oneshot::Sender<Result<Appended, AppendError>>;

/// What arrives at the journal.
pub(crate) enum Input {
    /// Events that are logged here.
    Append { append: Append, taken: Taken, reply: Reply },
    /// Events that their source keeps; only the position is logged.
    Read { stream: usize, read: sources::Read, consumed: Sender<()> },
    /// A page of a stream's dead letters.
    Letters(LettersRequest),
    /// How far back the log reaches for a stream, and the time now.
    Reach { stream: usize, reply: Sender<Result<(Reach, i64), String>> },
    /// Ticks behind `after`, up to `until`: some of them, with their events.
    Past { after: u64, until: u64, reply: Sender<Result<PastPage, String>> },
    /// Finish what has arrived, then end.
    Stop,
}

/// Dead letters that came with posts are the log's; of others it knows whether they have
/// become events.
pub(crate) struct LettersRequest {
    pub stream: usize,
    pub wanted: Letters,
    /// Letters that the state has.
    pub counted: Vec<KeptLetter>,
    /// The last of them, if there may be more.
    pub end: Option<LetterId>,
    pub reply: oneshot::Sender<Result<Vec<KeptLetter>, StoreError>>,
}

/// One tick's input: what the engine runs its queries over.
pub(crate) struct Tick {
    pub cut: Cut,
    /// For each stream with events: its index and the events in log order.
    pub batches: Vec<(usize, RecordBatch)>,
    /// What was refused of posts, in order.
    pub posted: Vec<(usize, DeadLetter)>,
    /// Records that replayable sources refused, in order.
    pub dead: Vec<(usize, DeadLetter)>,
    /// Dead letters that are among the events now.
    pub settled: Vec<LetterId>,
    /// When the oldest of it arrived.
    pub arrived: Instant,
}

/// What the journal knows of a stream.
pub(crate) struct JournalStream {
    pub name: String,
    pub schema: SchemaRef,
    pub max_age_ms: i64,
    pub max_bytes: u64,
    /// Where its replayable source stands, and what the last cut said of it.
    pub cut: StreamCut,
    /// After a start, the running time up to which producers may still be on their way back: until
    /// then, or their first event, silence moves no watermark.
    pub awaited_until: Option<i64>,
}

/// Events of one append on their way into the log.
struct Waiting {
    append: Append,
    /// Frees the room of `max_pending` when dropped: after the commit.
    _taken: Taken,
    reply: Reply,
}

/// All that one commit takes.
#[derive(Default)]
struct Round {
    appends: Vec<Waiting>,
    reads: Vec<(usize, sources::Read)>,
    /// Told when the reads are committed: then their sources may read on.
    consumed: Vec<Sender<()>>,
    keys: HashSet<(usize, String)>,
    settled: HashSet<LetterId>,
    rows: usize,
    stop: bool,
    arrived: Option<Instant>,
}

impl Round {
    fn is_empty(&self) -> bool {
        self.appends.is_empty() && self.reads.is_empty()
    }

    fn has_room(&self) -> bool {
        self.rows < MAX_TICK_ROWS && !self.stop
    }
}

pub(crate) struct Journal {
    pub log: Log,
    pub clock: Clock,
    pub last_tick: u64,
    pub streams: Vec<JournalStream>,
    pub inputs: Receiver<Input>,
    pub ticks: Sender<Tick>,
    /// The elapsed time at which the engine has work without events; `i64::MAX` for never.
    pub due: Arc<AtomicI64>,
    /// The tick of the last written checkpoint.
    pub checkpointed: Arc<AtomicU64>,
    pub status: Arc<Status>,
}

impl Journal {
    /// Runs until it is told to stop or the engine is gone; gives the log back.
    pub(crate) fn run(mut self) -> Log {
        let commit_seconds = metrics::histogram!(metric::COMMIT_SECONDS);
        let mut retained = Instant::now();
        let mut tried = Instant::now();
        let mut more = false;
        loop {
            let mut round = Round::default();
            match self.inputs.recv_timeout(POLL) {
                Ok(input) => self.take(input, &mut round),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => round.stop = true,
            }
            while round.has_room() {
                let Ok(input) = self.inputs.try_recv() else { break };
                self.take(input, &mut round);
            }
            let reading = self.clock.read();
            // A server that is not ready is sent no events: it must find out by itself that the
            // log can be written again. A cut without events is the smallest of writes.
            let probe = self.status.failing.load(Ordering::Relaxed) && tried.elapsed() >= PROBE;
            let awaited = self.streams.iter().any(|s| s.awaited_until.is_some_and(|until| until <= reading.elapsed));
            if !round.is_empty() || self.due.load(Ordering::Relaxed) <= reading.elapsed || probe || awaited {
                let began = Instant::now();
                tried = began;
                let stop = round.stop;
                let alive = self.commit(round);
                commit_seconds.record(began.elapsed().as_secs_f64());
                if !alive || stop {
                    return self.log;
                }
                // After the answers, when nobody waits for it.
                self.log.tidy();
            } else if round.stop {
                return self.log;
            }
            // While there is more, some goes in every round: removing keeps up with writing.
            if more || retained.elapsed() >= RETAIN_EVERY {
                more = self.retain(reading.clock);
                retained = Instant::now();
            }
        }
    }

    /// Adds an input to the round; a repeated append is answered at once.
    fn take(&mut self, input: Input, round: &mut Round) {
        round.arrived.get_or_insert_with(Instant::now);
        match input {
            Input::Stop => round.stop = true,
            Input::Read { stream, read, consumed } => {
                round.rows += read.batches.iter().map(RecordBatch::num_rows).sum::<usize>();
                round.reads.push((stream, read));
                round.consumed.push(consumed);
            }
            Input::Letters(_) | Input::Reach { .. } | Input::Past { .. } => self.answer(input),
            Input::Append { append, taken, reply } => match self.repeated(&append, round) {
                Some(answer) => {
                    let _ = reply.send(answer);
                }
                None => {
                    round.rows += append.batches.iter().map(RecordBatch::num_rows).sum::<usize>();
                    round.appends.push(Waiting { append, _taken: taken, reply });
                }
            },
        }
    }

    /// Answers a question about the past. Who has gone meanwhile needs no answer.
    fn answer(&mut self, question: Input) {
        match question {
            Input::Letters(LettersRequest { stream, wanted, counted, end, reply }) => {
                let _ = reply.send(self.letters(stream, &wanted, counted, end));
            }
            Input::Reach { stream, reply } => {
                let reach = self.log.reach(&self.streams[stream].name).map_err(|e| e.to_string());
                let now = self.clock.read().clock;
                let _ = reply.send(reach.map(|reach| (reach, now)));
            }
            Input::Past { after, until, reply } => {
                let names = self.streams.iter().map(|s| s.name.as_str());
                let _ = reply.send(read_page(&mut self.log, names, after, until));
            }
            Input::Append { .. } | Input::Read { .. } | Input::Stop => {}
        }
    }

    /// A page of dead letters: the log's among those that the state has, in order, as far as
    /// these go.
    fn letters(
        &self,
        stream: usize,
        wanted: &Letters,
        counted: Vec<KeptLetter>,
        end: Option<LetterId>,
    ) -> Result<Vec<KeptLetter>, StoreError> {
        let newer = matches!(wanted.from, Edge::After(_));
        let mut all = self.log.dead_letters(&self.streams[stream].name, wanted)?;
        all.retain(|letter| end.is_none_or(|end| if newer { letter.id <= end } else { letter.id >= end }));
        for letter in counted {
            if self.log.is_open(letter.id)? {
                all.push(letter);
            }
        }
        all.sort_unstable_by_key(|letter| letter.id);
        if !newer {
            all.reverse();
        }
        all.truncate(wanted.limit);
        Ok(all)
    }

    /// The answer to an append whose key was seen before, or whose dead letters are events already.
    fn repeated(&mut self, append: &Append, round: &mut Round) -> Option<Result<Appended, AppendError>> {
        for id in &append.settled {
            match self.log.is_open(*id) {
                Ok(true) if round.settled.insert(*id) => {}
                Ok(_) => return Some(Err(AppendError::Settled)),
                Err(error) => return Some(Err(refusal(&error))),
            }
        }
        let key = append.key.as_ref()?;
        if !round.keys.insert((append.stream, key.key.clone())) {
            return Some(Err(AppendError::InFlight));
        }
        let stream = &self.streams[append.stream].name;
        match self.log.key(stream, ANYONE, &key.key) {
            Ok(None) => None,
            Ok(Some(record)) if record.body_hash == key.body_hash => Some(Ok(Appended::Replayed(record.answer.into()))),
            Ok(Some(_)) => Some(Err(AppendError::Mismatch)),
            Err(error) => Some(Err(refusal(&error))),
        }
    }

    /// Commits a round, acknowledges it and hands it on. False if the engine is gone.
    fn commit(&mut self, round: Round) -> bool {
        let Round { appends, reads, consumed, arrived, stop, .. } = round;
        match self.write(&appends, &reads) {
            Ok(tick) => {
                let alive = self.hand_on(tick, appends, arrived);
                read_on(&consumed);
                alive
            }
            Err(error) => {
                self.failed(&error, appends);
                // What a source has read is in memory only here: it must not be lost.
                reads.is_empty() || (!stop && self.commit_reads_again(reads, consumed, arrived))
            }
        }
    }

    fn hand_on(&mut self, mut tick: Tick, appends: Vec<Waiting>, arrived: Option<Instant>) -> bool {
        if self.status.failing.swap(false, Ordering::Relaxed) {
            metrics::gauge!(metric::LOG_FAILING).set(0.0);
            tracing::info!("the log can be written again; events are taken");
        }
        tick.arrived = arrived.unwrap_or_else(Instant::now);
        // The engine first, then the producers: the viewers are waiting.
        let rest = match self.ticks.try_send(tick) {
            Ok(()) => None,
            Err(TrySendError::Full(tick)) => Some(tick),
            Err(TrySendError::Disconnected(_)) => return false,
        };
        for waiting in appends {
            let _ = waiting.reply.send(Ok(Appended::Done));
        }
        rest.is_none_or(|tick| self.ticks.send(tick).is_ok())
    }

    fn failed(&mut self, error: &StoreError, appends: Vec<Waiting>) {
        let full = matches!(error, StoreError::DiskFull { .. });
        self.status.disk_full.store(full, Ordering::Relaxed);
        if !self.status.failing.swap(true, Ordering::Relaxed) {
            metrics::gauge!(metric::LOG_FAILING).set(1.0);
            tracing::error!("{error}; events are refused until the log can be written again");
        }
        for waiting in appends {
            let _ = waiting.reply.send(Err(refusal(error)));
        }
    }

    fn commit_reads_again(
        &mut self,
        mut reads: Vec<(usize, sources::Read)>,
        mut waiting: Vec<Sender<()>>,
        arrived: Option<Instant>,
    ) -> bool {
        loop {
            std::thread::sleep(RETRY);
            let error = match self.write(&[], &reads) {
                Ok(tick) => {
                    let alive = self.hand_on(tick, Vec::new(), arrived);
                    read_on(&waiting);
                    return alive;
                }
                Err(error) => error,
            };
            // Producers hear of it too, instead of waiting in line. Sources wait by
            // themselves: they are at most two reads ahead.
            while let Ok(input) = self.inputs.try_recv() {
                match input {
                    Input::Append { reply, .. } => {
                        let _ = reply.send(Err(refusal(&error)));
                    }
                    Input::Read { stream, read, consumed } => {
                        reads.push((stream, read));
                        waiting.push(consumed);
                    }
                    Input::Letters(_) | Input::Reach { .. } | Input::Past { .. } => self.answer(input),
                    Input::Stop => return false,
                }
            }
        }
    }

    /// One transaction: events, what was refused of them, keys and the cut.
    fn write(&mut self, appends: &[Waiting], reads: &[(usize, sources::Read)]) -> Result<Tick, StoreError> {
        let reading = self.clock.read();
        let mut pieces: Vec<Vec<&RecordBatch>> = vec![Vec::new(); self.streams.len()];
        let mut dead = Vec::new();
        let mut posted = Vec::new();
        let mut settled = Vec::new();
        let mut keys = Vec::new();
        for Waiting { append, .. } in appends {
            let stream = &self.streams[append.stream].name;
            pieces[append.stream].extend(&append.batches);
            dead.extend(append.dead.iter().map(|d| (stream.clone(), d.clone())));
            posted.extend(append.dead.iter().map(|d| (append.stream, d.clone())));
            settled.extend_from_slice(&append.settled);
            keys.extend(append.key.as_ref().map(|key| KeyRecord {
                stream: stream.clone(),
                principal: ANYONE.to_owned(),
                key: key.key.clone(),
                body_hash: key.body_hash,
                answer: append.answer.to_vec(),
                at: reading.clock,
            }));
        }
        let logged = self.concat(&pieces)?;
        let entries: Vec<(String, RecordBatch)> =
            logged.iter().map(|(stream, batch)| (self.streams[*stream].name.clone(), batch.clone())).collect();

        for (stream, state) in self.streams.iter_mut().enumerate() {
            let Some(until) = state.awaited_until else { continue };
            let came = appends.iter().any(|waiting| waiting.append.stream == stream);
            state.cut.caught_up = came || reading.elapsed >= until;
            state.awaited_until = state.awaited_until.filter(|_| !state.cut.caught_up);
        }
        let mut cuts: Vec<StreamCut> = self.streams.iter().map(|s| s.cut.clone()).collect();
        let mut pieces: Vec<Vec<&RecordBatch>> = vec![Vec::new(); self.streams.len()];
        let mut refused = Vec::new();
        for (stream, read) in reads {
            pieces[*stream].extend(&read.batches);
            refused.extend(read.dead.iter().map(|d| (*stream, d.clone())));
            cuts[*stream] = StreamCut { position: Some(read.position.clone()), caught_up: read.caught_up };
        }
        let read = self.concat(&pieces)?;

        let cut = Cut { tick: self.last_tick + 1, reading, streams: cuts };
        let encoded = cut.encode(self.streams.iter().map(|s| s.name.as_str()));
        self.log.commit(&Commit { cut: &encoded, entries: &entries, dead: &dead, keys: &keys, settled: &settled })?;

        self.last_tick += 1;
        for (stream, said) in self.streams.iter_mut().zip(&cut.streams) {
            stream.cut = said.clone();
        }
        self.count(&dead, &logged, &read, &refused, reads);
        for Waiting { append: Append { stream, dead, unkept, .. }, .. } in appends {
            if let Some(last) = dead.last().filter(|_| *unkept > 0) {
                self.status.streams[*stream].refused.fetch_add(*unkept, Ordering::Relaxed);
                count_dead(&self.streams[*stream].name, last.reason, *unkept);
            }
        }
        let batches = logged.into_iter().chain(read).collect();
        Ok(Tick { cut, batches, posted, dead: refused, settled, arrived: Instant::now() })
    }

    /// One batch for each stream that has any.
    fn concat(&self, pieces: &[Vec<&RecordBatch>]) -> Result<Vec<(usize, RecordBatch)>, StoreError> {
        let mut batches = Vec::new();
        for (stream, pieces) in pieces.iter().enumerate().filter(|(_, p)| !p.is_empty()) {
            let batch = match pieces.as_slice() {
                [one] => (*one).clone(),
                many => {
                    arrow_select::concat::concat_batches(&self.streams[stream].schema, many.iter().copied()).map_err(
                        |e| StoreError::Unstorable { name: self.streams[stream].name.clone(), what: e.to_string() },
                    )?
                }
            };
            if batch.num_rows() > 0 {
                batches.push((stream, batch));
            }
        }
        Ok(batches)
    }

    fn count(
        &self,
        dead: &[(String, DeadLetter)],
        logged: &[(usize, RecordBatch)],
        read: &[(usize, RecordBatch)],
        refused: &[(usize, DeadLetter)],
        reads: &[(usize, sources::Read)],
    ) {
        for (stream, batch) in logged.iter().chain(read) {
            let rows = batch.num_rows() as u64;
            self.status.streams[*stream].accepted.fetch_add(rows, Ordering::Relaxed);
            metrics::counter!(metric::EVENTS_ACCEPTED, "stream" => self.streams[*stream].name.clone()).increment(rows);
        }
        for (name, letter) in dead {
            if let Some(stream) = self.streams.iter().position(|s| &s.name == name) {
                self.status.streams[stream].refused.fetch_add(1, Ordering::Relaxed);
            }
            count_dead(name, letter.reason, 1);
        }
        for (stream, letter) in refused {
            self.status.streams[*stream].refused.fetch_add(1, Ordering::Relaxed);
            count_dead(&self.streams[*stream].name, letter.reason, 1);
        }
        for (stream, read) in reads {
            self.status.streams[*stream].caught_up.store(read.caught_up, Ordering::Relaxed);
            self.status.streams[*stream].ended.store(read.ended, Ordering::Relaxed);
        }
    }

    /// Removes what the policy no longer keeps, some at a time. True if there is more to remove.
    fn retain(&mut self, now: i64) -> bool {
        let policy: Vec<Retention> = self
            .streams
            .iter()
            .map(|s| Retention { stream: s.name.clone(), max_age_ms: s.max_age_ms, max_bytes: s.max_bytes })
            .collect();
        let checkpointed = self.checkpointed.load(Ordering::Relaxed);
        match self.log.retain(&policy, now, checkpointed, RETAIN_BUDGET) {
            Ok(done) => done.more,
            Err(error) => {
                tracing::warn!("old events could not be removed: {error}");
                false
            }
        }
    }
}

/// Lets sources read on.
fn read_on(consumed: &[Sender<()>]) {
    for consumed in consumed {
        // A source that has ended waits for nothing.
        let _ = consumed.try_send(());
    }
}

/// Counts dead letters (INV-6).
pub(crate) fn count_dead(stream: &str, reason: Reason, count: u64) {
    let labels = [("stream", stream.to_owned()), ("reason", reason.as_str().to_owned())];
    metrics::counter!(metric::DEAD_LETTERS, &labels).increment(count);
}

fn refusal(error: &StoreError) -> AppendError {
    match error {
        StoreError::DiskFull { .. } => AppendError::DiskFull,
        other => AppendError::Failed(other.to_string()),
    }
}
