//! Feeds without a state of their own: their query is new or another, or the state is gone.
//!
//! What they would hold is made anew from the past, where the log and the sources still
//! have all of it that counts.

use config::Config;
use model::Offset;
use query::Plan;
use sources::{Replayable, SourceError};
use store::Log;

use crate::{
    StartError,
    core::Core,
    cut::{Cut, StreamCut},
    plan::millis,
    pump,
    recover::{CUTS_A_PAGE, decode, input, logged, new_feed, new_stream},
};

/// Runs the past up to the core's tick through the feeds `missing`; what came of each, for a
/// person. Streams follow if their state is `lost` too.
pub(crate) fn rebuild(
    config: &Config,
    plans: &[Plan],
    log: &mut Log,
    core: &mut Core,
    missing: &[usize],
    positions: &[Option<String>],
    lost: bool,
) -> Result<Vec<String>, StartError> {
    let until = core.tick;
    let why = if lost { "its state is gone" } else { "is new or its query changed" };
    let mut notes = Vec::new();
    let mut past = Core::new(config.streams.iter().map(new_stream).collect());
    let mut rebuilt = Vec::new();
    for &index in missing {
        let feed = &config.feeds[index];
        let stream = core.feeds[index].stream;
        match lacks(&plans[index], feed, &config.streams[stream], log, core.reading.clock)? {
            None => {
                past.feeds.push(new_feed(&plans[index], feed, stream, until));
                rebuilt.push(index);
            }
            Some(lack) => notes.push(format!("feed `{}`: {why}, and {lack}: it starts empty", feed.name)),
        }
    }
    if !rebuilt.is_empty() || lost {
        replay_log(config, log, &mut past, until)?;
    }
    let unreadable = replay_sources(config, &mut past, core, positions);
    for (index, mut state) in rebuilt.into_iter().zip(past.feeds) {
        let feed = &config.feeds[index];
        match &unreadable[state.stream] {
            None => {
                notes.push(format!("feed `{}`: {why}: rebuilt from the past", feed.name));
                state.feed.advance(until);
                core.feeds[index] = state;
            }
            Some(error) => notes.push(format!("feed `{}`: {why}, and {error}: it starts empty", feed.name)),
        }
    }
    if lost {
        core.streams = past.streams;
    }
    Ok(notes)
}

/// Why the log has not all that the feed would hold, if so.
fn lacks(
    plan: &Plan,
    feed: &config::Feed,
    stream: &config::Stream,
    log: &mut Log,
    now: i64,
) -> Result<Option<&'static str>, StartError> {
    if stream.is_implied() {
        return Ok(Some("dead letters are counted from now on"));
    }
    let reach = log.reach(plan.stream())?;
    // A group without a window counts its first event, however old. A row that one event
    // made is kept for `keep`; the oldest kept window must be whole, so that the log has to
    // reach back twice as far.
    let bounded = plan.windowed() || plan.stateless();
    let since = now.saturating_sub(millis(feed.keep)).saturating_sub(millis(feed.keep));
    let whole = reach.complete || (bounded && reach.clock.is_some_and(|first| first <= since));
    Ok((!whole).then_some("the log does not reach back over `keep`"))
}

fn replay_log(config: &Config, log: &mut Log, past: &mut Core, until: Offset) -> Result<(), StartError> {
    let mut after = 0;
    while after < until {
        let cuts = log.cuts(after, CUTS_A_PAGE)?;
        let Some(last) = cuts.last() else { break };
        after = last.tick;
        for stored in cuts.iter().filter(|c| c.tick <= until) {
            let cut = decode(stored, config)?;
            let batches = logged(config, log, cut.tick)?;
            past.run(&input(&cut, &batches, &[]));
            // They were told and kept when it was the present.
            past.dead.clear();
        }
    }
    Ok(())
}

/// What the log does not hold is read again from its source, from the start. For each
/// stream, why that was not possible.
fn replay_sources(
    config: &Config,
    past: &mut Core,
    core: &Core,
    positions: &[Option<String>],
) -> Vec<Option<SourceError>> {
    let mut unreadable = Vec::new();
    for (index, (stream, position)) in config.streams.iter().zip(positions).enumerate() {
        let wanted = past.feeds.iter().any(|f| f.stream == index);
        let source = position.as_ref().filter(|_| wanted).zip(pump::open(stream, &config.limits));
        let read = source.map(|(end, source)| source.and_then(|s| replay_source(s, end, index, past, core)));
        unreadable.push(read.and_then(Result::err));
    }
    unreadable
}

fn replay_source(
    mut source: Box<dyn Replayable>,
    end: &str,
    index: usize,
    past: &mut Core,
    core: &Core,
) -> Result<(), SourceError> {
    let streams = vec![StreamCut { position: None, caught_up: false }; past.streams.len()];
    let cut = Cut { tick: core.tick, reading: core.reading, streams };
    source.seek(None)?;
    loop {
        let read = source.read_until(end)?;
        for batch in read.batches {
            past.run(&input(&cut, &[(index, batch)], &[]));
            past.dead.clear();
        }
        if read.position == end {
            return Ok(());
        }
    }
}
