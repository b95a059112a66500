//! Recovery: the last checkpoint, then the cuts after it, to identical rows and offsets.

use std::collections::{BTreeMap, HashMap};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use config::Config;
use feed::{Feed, KeepBy};
use model::{DeadLetter, FeedKind, StateBlock};
use query::{Plan, TimeOptions, Watermarks};
use sources::Replayable;
use store::{Log, Owner, Start, State};

use crate::{
    StartError,
    checkpoint::{Meta, feed_owner, query_owner, stream_owner},
    clock::Reading,
    core::{Core, FeedState, StreamState, TickInput},
    cut::Cut,
    plan::{millis, stream_schema},
};

/// How many rows an append feed holds unless its configuration says otherwise.
const APPEND_ROWS: u64 = 1_000;

/// How many deleted keys a feed remembers, for cursors that are behind.
const MAX_TOMBSTONES: usize = 100_000;

/// How many cuts are read at once.
const CUTS_A_PAGE: usize = 256;

/// A replayable source, opened, by the index of its stream.
pub(crate) type Sources = Vec<Option<Box<dyn Replayable>>>;

/// Where a start stands after recovery.
pub(crate) struct Recovered {
    pub core: Core,
    pub positions: Vec<Option<String>>,
    /// State whose stream or feed the configuration no longer has.
    pub drop_owners: Vec<String>,
    /// What was rebuilt or starts empty, for a person.
    pub notes: Vec<String>,
}

/// Brings streams and feeds to where the last cut left them.
pub(crate) fn recover(
    config: &Config,
    plans: &[Plan],
    log: &mut Log,
    state: &mut State,
    start: &Start,
    sources: &mut Sources,
) -> Result<Recovered, StartError> {
    let schemas: Vec<(String, SchemaRef)> =
        config.streams.iter().map(|s| (s.name.clone(), stream_schema(s).to_arrow())).collect();
    log.set_schemas(&schemas)?;

    let mut notes = Vec::new();
    let loaded = state.load()?;
    let (tick, clock, meta, owners) = match loaded {
        Some(l) => (l.tick, l.clock, read_meta(&l.meta)?, l.owners),
        None => (0, 0, Meta::default(), Vec::new()),
    };
    let mut owners: HashMap<String, Owner> = owners.into_iter().map(|o| (o.name.clone(), o)).collect();
    let reading = Reading { clock, elapsed: meta.elapsed };
    let mut positions: Vec<Option<String>> =
        config.streams.iter().map(|s| meta.positions.get(&s.name).cloned()).collect();
    for (source, position) in sources.iter_mut().zip(&positions) {
        if let (Some(source), Some(position)) = (source, position) {
            source.seek(Some(position))?;
        }
    }

    let streams = config.streams.iter().map(|s| restore_stream(s, &mut owners)).collect::<Result<Vec<_>, _>>()?;
    let mut core =
        Core { streams, feeds: Vec::new(), dead: Vec::new(), untold: BTreeMap::new(), counting: false, tick, reading };
    let mut missing = Vec::new();
    for (index, (plan, feed)) in plans.iter().zip(&config.feeds).enumerate() {
        let name = &plan.output().name;
        let kept = (take_kept(&mut owners, &query_owner(name), plan), take_kept(&mut owners, &feed_owner(name), plan));
        let stream = stream_index(config, plan);
        let fresh = |generation| new_feed(plan, feed, stream, generation);
        core.feeds.push(match kept {
            (Some(query), Some(rows)) => FeedState {
                query: plan.restore(query).map_err(|e| StartError::State(name.clone(), e.to_string()))?,
                feed: Feed::restore(plan.output().clone(), options(plan, feed), rows)
                    .map_err(|e| StartError::State(name.clone(), e.to_string()))?,
                generation: meta.generations.get(name).copied().unwrap_or(0),
                reset: false,
                ..fresh(0)
            },
            _ => {
                if tick > 0 {
                    missing.push(index);
                }
                fresh(tick)
            }
        });
    }
    if !missing.is_empty() {
        rebuild(config, plans, log, &mut core, &missing, &positions, &mut notes)?;
    }
    replay(config, log, &mut core, &mut positions, sources)?;
    core.tick = core.tick.max(start.last_tick);
    core.counting = true;
    let drop_owners = owners.into_keys().collect();
    Ok(Recovered { core, positions, drop_owners, notes })
}

fn read_meta(bytes: &[u8]) -> Result<Meta, StartError> {
    serde_json::from_slice(bytes).map_err(|e| StartError::State("checkpoint".to_owned(), e.to_string()))
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

fn new_stream(stream: &config::Stream) -> StreamState {
    let options = time_options(stream);
    let column = stream.event_time.as_ref().and_then(|t| stream.columns.iter().position(|c| c.name == t.column));
    StreamState {
        name: stream.name.clone(),
        // Other options apply from here on; starting the watermark anew would reopen windows.
        fingerprint: format!("{:?}", stream.event_time.as_ref().map(|t| &t.column)),
        time: column.map(|column| (column, Watermarks::new(options))),
    }
}

fn options(plan: &Plan, feed: &config::Feed) -> feed::Options {
    feed::Options {
        keep_ms: Some(millis(feed.keep)),
        keep_by: if plan.windowed() { KeepBy::Time } else { KeepBy::Clock },
        keep_rows: feed.keep_rows.or((plan.output().kind == FeedKind::Append).then_some(APPEND_ROWS)),
        max_tombstones: MAX_TOMBSTONES,
    }
}

fn new_feed(plan: &Plan, feed: &config::Feed, stream: usize, generation: u64) -> FeedState {
    FeedState {
        plan: plan.clone(),
        stream,
        query: plan.start(),
        feed: Feed::new(plan.output().clone(), options(plan, feed)),
        generation,
        reset: true,
    }
}

/// Runs the kept log up to the checkpoint through feeds that have no state of their own,
/// where it reaches back over what they keep.
fn rebuild(
    config: &Config,
    plans: &[Plan],
    log: &mut Log,
    core: &mut Core,
    missing: &[usize],
    positions: &[Option<String>],
    notes: &mut Vec<String>,
) -> Result<(), StartError> {
    let until = core.tick;
    let mut past = Core {
        streams: config.streams.iter().map(new_stream).collect(),
        feeds: Vec::new(),
        dead: Vec::new(),
        untold: BTreeMap::new(),
        counting: false,
        tick: 0,
        reading: Reading { clock: 0, elapsed: 0 },
    };
    let mut rebuilt = Vec::new();
    for &index in missing {
        let (plan, feed) = (&plans[index], &config.feeds[index]);
        let reach = log.reach(plan.stream())?;
        let kept_since = core.reading.clock.saturating_sub(millis(feed.keep));
        // Without a window a row counts from the first event on, however old. With one, the
        // oldest kept window must be whole: the log reaches back twice as far as is kept.
        let kept_since = kept_since.saturating_sub(millis(feed.keep));
        let whole = plan.windowed() && reach.clock.is_some_and(|first| first <= kept_since);
        if reach.complete || whole {
            notes.push(format!("feed `{}` is new or its query changed: rebuilt from the log", feed.name));
            past.feeds.push(new_feed(plan, feed, core.feeds[index].stream, until));
            rebuilt.push(index);
        } else {
            notes.push(format!(
                "feed `{}` is new or its query changed, and the log does not reach back over `keep`: it starts empty",
                feed.name
            ));
        }
    }
    if rebuilt.is_empty() {
        return Ok(());
    }
    let mut after = 0;
    loop {
        let cuts = log.cuts(after, CUTS_A_PAGE)?;
        let Some(last) = cuts.last() else { break };
        after = last.tick;
        for stored in cuts.iter().filter(|c| c.tick <= until) {
            let cut = decode(stored, config)?;
            let batches = logged(config, log, cut.tick)?;
            run(&mut past, &cut, &batches, &[]);
        }
        if after >= until {
            break;
        }
    }
    replay_sources(config, &mut past, core.tick, core.reading, positions)?;
    for (index, mut state) in rebuilt.into_iter().zip(past.feeds) {
        state.feed.advance(until);
        core.feeds[index] = state;
    }
    Ok(())
}

/// What the log does not hold is read again from its source, from the start.
fn replay_sources(
    config: &Config,
    past: &mut Core,
    tick: u64,
    reading: Reading,
    positions: &[Option<String>],
) -> Result<(), StartError> {
    for (index, (stream, position)) in config.streams.iter().zip(positions).enumerate() {
        let wanted = past.feeds.iter().any(|f| f.stream == index);
        let (true, Some(end), Some(mut source)) = (wanted, position, crate::pump::open(stream, &config.limits)?) else {
            continue;
        };
        source.seek(None)?;
        loop {
            let read = source.read_until(end)?;
            for batch in read.batches {
                let cut = Cut {
                    tick,
                    reading,
                    streams: vec![crate::cut::StreamCut { position: None, caught_up: false }; config.streams.len()],
                };
                run(past, &cut, &[(index, batch)], &[]);
            }
            if read.position == *end {
                break;
            }
        }
    }
    Ok(())
}

/// Replays the cuts after the checkpoint.
fn replay(
    config: &Config,
    log: &mut Log,
    core: &mut Core,
    positions: &mut [Option<String>],
    sources: &mut Sources,
) -> Result<(), StartError> {
    loop {
        let cuts = log.cuts(core.tick, CUTS_A_PAGE)?;
        if cuts.is_empty() {
            return Ok(());
        }
        for stored in &cuts {
            let cut = decode(stored, config)?;
            let mut batches = logged(config, log, cut.tick)?;
            let mut dead = Vec::new();
            for (index, source) in sources.iter_mut().enumerate() {
                let (Some(source), Some(end)) = (source, &cut.streams[index].position) else { continue };
                if positions[index].as_ref() == Some(end) {
                    continue;
                }
                let (batch, letters) = read_again(config, index, source.as_mut(), end)?;
                batches.extend(batch.map(|b| (index, b)));
                dead.extend(letters.into_iter().map(|l| (index, l)));
                positions[index] = Some(end.clone());
            }
            run(core, &cut, &batches, &dead);
        }
    }
}

/// All that a source yielded in one tick, as one batch.
fn read_again(
    config: &Config,
    index: usize,
    source: &mut dyn Replayable,
    end: &str,
) -> Result<(Option<RecordBatch>, Vec<DeadLetter>), StartError> {
    let mut batches = Vec::new();
    let mut dead = Vec::new();
    loop {
        let read = source.read_until(end)?;
        batches.extend(read.batches);
        dead.extend(read.dead);
        if read.position == end {
            break;
        }
    }
    let schema = stream_schema(&config.streams[index]).to_arrow();
    let batch = arrow_select::concat::concat_batches(&schema, &batches)
        .map_err(|e| StartError::State(config.streams[index].name.clone(), e.to_string()))?;
    Ok(((batch.num_rows() > 0).then_some(batch), dead))
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

fn run(core: &mut Core, cut: &Cut, batches: &[(usize, RecordBatch)], dead: &[(usize, DeadLetter)]) {
    core.run(&TickInput {
        tick: cut.tick,
        reading: cut.reading,
        batches,
        dead,
        caught_up: cut.streams.iter().map(|s| s.caught_up).collect(),
    });
}
