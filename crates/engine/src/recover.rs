//! Recovery: the last checkpoint, then the cuts after it, to identical rows and offsets.
//!
//! Where a source can no longer be read (its file is gone, or another), its stream stands
//! still and says so; everything else goes on.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::atomic::Ordering,
};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use config::{Config, Source};
use feed::{Feed, KeepBy};
use model::{DeadLetter, FeedKind, StateBlock, metric};
use query::{Plan, TimeOptions, Watermarks};
use sources::{Replayable, SourceError};
use store::{Log, Owner, Start, State};

use crate::{
    Progress, StartError,
    checkpoint::{Meta, feed_owner, query_owner, stream_owner},
    clock::Reading,
    core::{Core, FeedState, StreamState, TickInput},
    cut::Cut,
    plan::{FIFTHS, millis, row_bytes, stream_schema},
    rebuild::lacks,
};

/// How many rows an append feed holds unless its configuration says otherwise.
const APPEND_ROWS: u64 = 1_000;

/// How many deleted keys a feed remembers, for cursors that are behind.
const MAX_TOMBSTONES: usize = 100_000;

/// How many cuts are read at once.
const CUTS_A_PAGE: usize = 256;

/// The replayable source of each stream that has one, or why it cannot be read.
pub(crate) type Sources = Vec<Option<Result<Box<dyn Replayable>, SourceError>>>;

/// Where a start stands after recovery.
pub(crate) struct Recovered {
    pub core: Core,
    pub positions: Vec<Option<String>>,
    /// State whose stream or feed the configuration no longer has.
    pub drop_owners: Vec<String>,
    /// What was rebuilt or starts empty, for a person.
    pub notes: Vec<String>,
    /// Whether the cuts after the checkpoint could not all be replayed: what stands now must
    /// be written before the next cut, or a later start would replay them otherwise.
    pub torn: bool,
}

/// What recovery begins with: the last checkpoint.
#[derive(Default)]
struct Base {
    tick: u64,
    reading: Reading,
    positions: Vec<Option<String>>,
    generations: BTreeMap<String, u64>,
    building: BTreeSet<String>,
    owners: HashMap<String, Owner>,
    /// The state is gone, and with it what the log no longer holds.
    lost: bool,
}

impl Base {
    fn load(config: &Config, log: &mut Log, state: &mut State, last: Option<&Cut>) -> Result<Self, StartError> {
        let Some(loaded) = state.load()? else { return Ok(Self::without_state(config, log, last)) };
        let meta: Meta = serde_json::from_slice(&loaded.meta)
            .map_err(|e| StartError::State("checkpoint".to_owned(), e.to_string()))?;
        Ok(Self {
            tick: loaded.tick,
            reading: Reading { clock: loaded.clock, elapsed: meta.elapsed },
            positions: config.streams.iter().map(|s| meta.positions.get(&s.name).cloned()).collect(),
            generations: meta.generations,
            building: meta.building,
            owners: loaded.owners.into_iter().map(|o| (o.name.clone(), o)).collect(),
            lost: false,
        })
    }

    /// A log with all its cuts is replayed from the first one. Where some are gone, feeds
    /// are rebuilt from what is left, as after a change of their query.
    fn without_state(config: &Config, log: &Log, last: Option<&Cut>) -> Self {
        match last.filter(|_| !log.has_all_cuts()) {
            None => Self { positions: vec![None; config.streams.len()], ..Self::default() },
            Some(cut) => Self {
                tick: cut.tick,
                reading: cut.reading,
                positions: cut.streams.iter().map(|s| s.position.clone()).collect(),
                lost: true,
                ..Self::default()
            },
        }
    }
}

/// Brings streams and feeds to where the last cut left them.
pub(crate) fn recover(
    config: &Config,
    plans: &[Plan],
    log: &mut Log,
    state: &mut State,
    start: &Start,
    sources: &mut Sources,
    progress: &Progress,
) -> Result<Recovered, StartError> {
    let schemas: Vec<(String, SchemaRef)> =
        config.streams.iter().map(|s| (s.name.clone(), stream_schema(s).to_arrow())).collect();
    log.set_schemas(&schemas)?;
    let last = log.cuts(log.last_tick().saturating_sub(1), 1)?.pop().map(|cut| decode(&cut, config)).transpose()?;
    let Base { tick, reading, mut positions, generations, building, mut owners, lost } =
        Base::load(config, log, state, last.as_ref())?;
    seek(sources, &positions, last.as_ref())?;

    let streams = config.streams.iter().map(|s| restore_stream(s, &mut owners)).collect::<Result<Vec<_>, _>>()?;
    let mut core = Core { tick, reading, ..Core::new(streams) };
    let mut notes = Vec::new();
    for (plan, feed) in plans.iter().zip(&config.feeds) {
        let name = &plan.output().name;
        let kept = (take_kept(&mut owners, &query_owner(name), plan), take_kept(&mut owners, &feed_owner(name), plan));
        let stream = stream_index(config, plan);
        let fresh = |generation| new_feed(plan, feed, stream, generation);
        core.feeds.push(match kept {
            (Some(query), Some(rows)) => FeedState {
                query: plan.restore(query).map_err(|e| StartError::State(name.clone(), e.to_string()))?,
                feed: Feed::restore(plan.output().clone(), options(plan, feed), rows)
                    .map_err(|e| StartError::State(name.clone(), e.to_string()))?,
                generation: generations.get(name).copied().unwrap_or(0),
                reset: false,
                building: building.contains(name),
                ..fresh(0)
            },
            _ if tick == 0 => fresh(0),
            _ => {
                let why = if lost { "its state is gone" } else { "it is new or its query changed" };
                let lack = lacks(plan, feed, &config.streams[stream], log.reach(plan.stream())?, reading.clock);
                notes.push(match lack {
                    None => format!("feed `{name}`: {why}: it is being rebuilt from the past"),
                    Some(lack) => format!("feed `{name}`: {why}, and {lack}: it starts empty"),
                });
                FeedState { building: lack.is_none(), ..fresh(tick) }
            }
        });
    }
    let torn = replay(config, log, &mut core, &mut positions, sources, progress)?;
    core.tick = core.tick.max(start.last_tick);
    core.counting = true;
    for stream in torn.iter().enumerate().filter_map(|(index, torn)| torn.then_some(index)) {
        // What its viewers saw last cannot be shown again: they start from what there is.
        let tick = core.tick;
        core.feeds.iter_mut().filter(|f| f.stream == stream).for_each(|f| f.generation = tick);
    }
    let left_out: u64 = config.streams.iter().map(|stream| log.left_out(&stream.name)).sum();
    if left_out > 0 {
        metrics::counter!(metric::EVENTS_LEFT_OUT).increment(left_out);
        notes.push(format!("{left_out} logged events were left out: their stream would refuse them today"));
    }
    let drop_owners = owners.into_keys().collect();
    Ok(Recovered { core, positions, drop_owners, notes, torn: torn.contains(&true) })
}

/// Brings sources to their positions. One that cannot go there stands still; one that was
/// never read is the configuration's fault.
fn seek(sources: &mut Sources, positions: &[Option<String>], last: Option<&Cut>) -> Result<(), StartError> {
    for (index, (source, position)) in sources.iter_mut().zip(positions).enumerate() {
        let Some(opened) = source.take() else { continue };
        let was_read = position.is_some() || last.is_some_and(|cut| cut.streams[index].position.is_some());
        *source = Some(match opened {
            Err(error) if !was_read => return Err(error.into()),
            Ok(mut opened) if position.is_some() => opened.seek(position.as_deref()).map(|()| opened),
            opened => opened,
        });
    }
    Ok(())
}

fn stream_index(config: &Config, plan: &Plan) -> usize {
    // The plan was made from this configuration.
    config.streams.iter().position(|s| s.name == plan.stream()).unwrap_or_default()
}

/// The blocks of an owner, if they were written by the same query.
fn take_kept(owners: &mut HashMap<String, Owner>, name: &str, plan: &Plan) -> Option<Vec<StateBlock>> {
    owners.remove(name).filter(|o| o.fingerprint == plan.fingerprint().as_bytes()).map(|o| o.blocks)
}

fn restore_stream(stream: &config::Stream, owners: &mut HashMap<String, Owner>) -> Result<StreamState, StartError> {
    let mut state = new_stream(stream);
    let kept = owners.remove(&stream_owner(&stream.name)).filter(|o| o.fingerprint == state.fingerprint.as_bytes());
    if let (Some((_, marks)), Some(owner)) = (&mut state.time, kept)
        && let Some(bytes) = owner.blocks.into_iter().find_map(|b| b.data)
    {
        *marks = Watermarks::restore(time_options(stream), &bytes)
            .map_err(|e| StartError::State(stream.name.clone(), e.to_string()))?;
    }
    Ok(state)
}

fn time_options(stream: &config::Stream) -> TimeOptions {
    let time = stream.event_time.as_ref();
    TimeOptions {
        max_lateness_ms: time.map_or(0, |t| millis(t.max_lateness)),
        idle_timeout_ms: time.map_or(0, |t| millis(t.idle_timeout)),
        max_ahead_ms: time.and_then(|t| t.max_ahead).map(millis),
    }
}

pub(crate) fn new_stream(stream: &config::Stream) -> StreamState {
    let options = time_options(stream);
    let column = stream.event_time.as_ref().and_then(|t| stream.columns.iter().position(|c| c.name == t.column));
    StreamState {
        name: stream.name.clone(),
        // Other options apply from here on; starting the watermark anew would reopen windows.
        fingerprint: format!("{:?}", stream.event_time.as_ref().map(|t| &t.column)),
        time: column.map(|column| (column, Watermarks::new(options))),
        letters_of: match stream.source {
            Source::DeadLetters { of } => Some(of),
            _ => None,
        },
        refused: 0,
    }
}

fn options(plan: &Plan, feed: &config::Feed) -> feed::Options {
    feed::Options {
        keep_ms: Some(millis(feed.keep)),
        keep_by: if plan.windowed() { KeepBy::Time } else { KeepBy::Clock },
        keep_rows: feed.keep_rows.or((plan.output().kind == FeedKind::Append).then_some(APPEND_ROWS)),
        max_bytes: row_bytes(plan, feed),
        max_tombstone_bytes: feed.max_memory / FIFTHS,
        max_tombstones: MAX_TOMBSTONES,
    }
}

pub(crate) fn new_feed(plan: &Plan, feed: &config::Feed, stream: usize, generation: u64) -> FeedState {
    FeedState {
        plan: plan.clone(),
        stream,
        query: plan.start(),
        feed: Feed::new(plan.output().clone(), options(plan, feed)),
        generation,
        reset: true,
        building: false,
        evicted: 0,
    }
}

/// Replays the cuts after the checkpoint. For each stream, whether its source could not be
/// read again as far as its last cut says.
fn replay(
    config: &Config,
    log: &mut Log,
    core: &mut Core,
    positions: &mut [Option<String>],
    sources: &mut Sources,
    progress: &Progress,
) -> Result<Vec<bool>, StartError> {
    progress.ticks.store(log.last_tick().saturating_sub(core.tick), Ordering::Relaxed);
    let mut torn = vec![false; config.streams.len()];
    loop {
        let cuts = log.cuts(core.tick, CUTS_A_PAGE)?;
        if cuts.is_empty() {
            return Ok(torn);
        }
        for stored in &cuts {
            let cut = decode(stored, config)?;
            let mut batches = logged(config, log, cut.tick)?;
            let mut dead = Vec::new();
            for (index, source) in sources.iter_mut().enumerate() {
                let (Some(opened), Some(end)) = (source.as_mut(), &cut.streams[index].position) else { continue };
                if positions[index].as_ref() == Some(end) {
                    continue;
                }
                match opened.as_mut().map(|source| read_again(source.as_mut(), end)) {
                    Ok(Ok(pieces)) => {
                        batches.extend(join(config, index, &pieces.batches)?.map(|b| (index, b)));
                        dead.extend(pieces.dead.into_iter().map(|l| (index, l)));
                        positions[index] = Some(end.clone());
                    }
                    Ok(Err(error)) => {
                        torn[index] = true;
                        *source = Some(Err(error));
                    }
                    Err(_) => torn[index] = true,
                }
            }
            let posted = posted(config, log, cut.tick)?;
            let settled = log.settled_by(cut.tick)?;
            core.run(&TickInput { posted: &posted, settled: &settled, ..input(&cut, &batches, &dead) });
            progress.replayed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[derive(Default)]
struct Pieces {
    batches: Vec<RecordBatch>,
    dead: Vec<DeadLetter>,
}

/// All that a source yielded in one tick: as little as it was then.
fn read_again(source: &mut dyn Replayable, end: &str) -> Result<Pieces, SourceError> {
    let mut pieces = Pieces::default();
    loop {
        let read = source.read_until(end)?;
        pieces.batches.extend(read.batches);
        pieces.dead.extend(read.dead);
        if read.position == end {
            return Ok(pieces);
        }
    }
}

/// A tick has one batch of a stream.
fn join(config: &Config, index: usize, batches: &[RecordBatch]) -> Result<Option<RecordBatch>, StartError> {
    let schema = stream_schema(&config.streams[index]).to_arrow();
    let batch = arrow_select::concat::concat_batches(&schema, batches)
        .map_err(|e| StartError::State(config.streams[index].name.clone(), e.to_string()))?;
    Ok((batch.num_rows() > 0).then_some(batch))
}

fn decode(stored: &store::Cut, config: &Config) -> Result<Cut, StartError> {
    Cut::decode(stored, config.streams.iter().map(|s| s.name.as_str()))
        .map_err(|e| StartError::State("log".to_owned(), e.to_string()))
}

/// The logged events of a tick, of streams that the configuration still has.
fn logged(config: &Config, log: &mut Log, tick: u64) -> Result<Vec<(usize, RecordBatch)>, StartError> {
    let entries = log.entries(tick)?;
    let index = |name: &str| config.streams.iter().position(|s| s.name == name);
    Ok(entries.into_iter().filter_map(|(name, batch)| Some((index(&name)?, batch))).collect())
}

/// The dead letters that a tick's posts brought.
fn posted(config: &Config, log: &Log, tick: u64) -> Result<Vec<(usize, DeadLetter)>, StartError> {
    let index = |name: &str| config.streams.iter().position(|s| s.name == name);
    Ok(log.dead_letters_of(tick)?.into_iter().filter_map(|(name, letter)| Some((index(&name)?, letter))).collect())
}

/// What a tick takes of a cut and its events.
pub(crate) fn input<'a>(
    cut: &Cut,
    batches: &'a [(usize, RecordBatch)],
    dead: &'a [(usize, DeadLetter)],
) -> TickInput<'a> {
    TickInput {
        tick: cut.tick,
        reading: cut.reading,
        batches,
        posted: &[],
        dead,
        settled: &[],
        caught_up: cut.streams.iter().map(|s| s.caught_up).collect(),
    }
}
