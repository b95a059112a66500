//! The engine's thread: it alone owns queries and feeds, runs the ticks, answers
//! readers between them, and fills the shards' boxes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, select, tick as every};
use feed::Changes;
use model::{Offset, metric};

use crate::{
    checkpoint::{self, Writer},
    core::{Core, TickInput},
    handle::{Request, Status},
    inbox::{Delivery, Mailbox},
    journal::Tick,
    rebuild::{Exchange, Present},
    recover::input,
};

/// How often a checkpoint is taken while there are ticks.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);

/// How often the log hears of what became dead letters and what had no room: the first at
/// once, what follows together.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// How long the engine waits until the checkpoint that has a rebuilt feed is written: no tick
/// runs meanwhile.
const WRITE_WITHIN: Duration = Duration::from_secs(5);

/// A shard: a cursor for each feed it follows, and its box.
struct Shard {
    mailbox: Arc<Mailbox>,
    cursors: Vec<Option<Offset>>,
}

pub(crate) struct Runner {
    pub core: Core,
    /// The tick of the checkpoint that is on disk.
    pub saved: Offset,
    /// Where replayable sources stand, in the order of the core's streams.
    pub positions: Vec<Option<String>>,
    pub ticks: Receiver<Tick>,
    pub requests: Receiver<Request>,
    pub due: Arc<AtomicI64>,
    pub writer: Writer,
    /// Owners of state that the configuration no longer has.
    pub drop_owners: Vec<String>,
    pub status: Arc<Status>,
}

impl Runner {
    /// Runs until the journal ends; then writes the last checkpoint.
    pub(crate) fn run(mut self) {
        let mut shards: Vec<Option<Shard>> = Vec::new();
        let mut checkpointed = self.saved;
        let mut exchange: Option<Exchange> = None;
        let timer = every(CHECKPOINT_EVERY);
        let mut told: Option<Instant> = None;
        let ticks_run = metrics::counter!(metric::TICKS);
        let tick_seconds = metrics::histogram!(metric::TICK_SECONDS);
        let processing_seconds = metrics::histogram!(metric::PROCESSING_SECONDS);
        self.show();
        loop {
            select! {
                recv(self.ticks) -> tick => {
                    let Ok(tick) = tick else { break };
                    let began = Instant::now();
                    self.tick(&tick);
                    if let Some(exchange) = exchange.take() {
                        self.exchange(exchange, &mut checkpointed);
                    }
                    for shard in shards.iter_mut().flatten() {
                        self.fill(shard);
                    }
                    ticks_run.increment(1);
                    tick_seconds.record(began.elapsed().as_secs_f64());
                    processing_seconds.record(tick.arrived.elapsed().as_secs_f64());
                }
                recv(self.requests) -> request => match request {
                    Ok(Request::Exchange(wanted)) => {
                        exchange = Some(wanted);
                        // It needs a tick of its own: cursors of the last one are of the old feed.
                        self.due.store(0, Ordering::Relaxed);
                    }
                    Ok(request) => self.answer(request, &mut shards),
                    Err(_) => break,
                },
                recv(timer) -> _ => {
                    self.core.report();
                    if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) && self.core.tell() {
                        told = Some(Instant::now());
                    }
                    let changed = self.core.tick > checkpointed;
                    if changed && self.writer.is_idle() {
                        checkpointed = self.core.tick;
                        self.writer.write(checkpoint::capture(&mut self.core, &self.positions, &mut self.drop_owners));
                    }
                }
            }
        }
        self.core.tell();
        let Self { mut core, positions, writer, mut drop_owners, .. } = self;
        writer.finish(|| {
            let changed = core.tick > checkpointed || !drop_owners.is_empty();
            changed.then(|| checkpoint::capture(&mut core, &positions, &mut drop_owners))
        });
    }

    fn tick(&mut self, tick: &Tick) {
        for (position, cut) in self.positions.iter_mut().zip(&tick.cut.streams) {
            position.clone_from(&cut.position);
        }
        let input = input(&tick.cut, &tick.batches, &tick.dead);
        self.core.run(&TickInput { posted: &tick.posted, settled: &tick.settled, ..input });
        self.show();
    }

    /// Puts rebuilt feeds in the place of those that were served, and has that written before
    /// anyone sees it: a crash must not bring the old ones back.
    fn exchange(&mut self, Exchange { feeds, watermarks, done }: Exchange, checkpointed: &mut Offset) {
        let exchanged = self.core.exchange(feeds, &watermarks);
        if exchanged {
            self.show();
            let until = Instant::now() + WRITE_WITHIN;
            if self.wait_for_writer(until) {
                *checkpointed = self.core.tick;
                self.writer.write(checkpoint::capture(&mut self.core, &self.positions, &mut self.drop_owners));
            }
            if !self.wait_for_writer(until) {
                tracing::warn!("a rebuilt feed is shown before the checkpoint that has it could be written");
            }
        }
        let _ = done.send(exchanged);
    }

    /// False if it takes too long.
    fn wait_for_writer(&self, until: Instant) -> bool {
        while !self.writer.is_idle() {
            if Instant::now() > until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }

    /// Publishes what is read without asking this thread.
    fn show(&self) {
        self.due.store(self.core.due(), Ordering::Relaxed);
        self.status.tick.store(self.core.tick, Ordering::Relaxed);
        for (shown, state) in self.status.feeds.iter().zip(&self.core.feeds) {
            shown.rows.store(state.feed.len() as u64, Ordering::Relaxed);
            // After a start this is the clock of the last cut: it changed then, or before.
            if shown.last_change.swap(state.feed.last_change(), Ordering::Relaxed) != state.feed.last_change() {
                shown.changed_ms.store(self.core.reading.clock, Ordering::Relaxed);
            }
            shown.groups.store(state.query.groups(), Ordering::Relaxed);
        }
        for (shown, state) in self.status.streams.iter().zip(&self.core.streams) {
            shown.dead_letters.store(state.refused, Ordering::Relaxed);
            if let Some((_, marks)) = &state.time {
                shown.watermark.store(marks.current(), Ordering::Relaxed);
            }
            if let Some(of) = state.letters_of {
                shown.accepted.store(self.core.streams[of].refused, Ordering::Relaxed);
            }
        }
    }

    fn answer(&mut self, request: Request, shards: &mut Vec<Option<Shard>>) {
        match request {
            Request::ChangesSince { feed, since, reply } => {
                // A reader that is gone needs no answer.
                let _ = reply.send(self.core.feeds[feed].feed.changes_since(since));
            }
            Request::Join { mailbox, reply } => {
                let shard = Shard { mailbox, cursors: vec![None; self.core.feeds.len()] };
                let free = shards.iter().position(Option::is_none).unwrap_or(shards.len());
                shards.resize_with(shards.len().max(free + 1), || None);
                shards[free] = Some(shard);
                let _ = reply.send(free);
            }
            Request::Leave { shard } => shards[shard] = None,
            Request::Follow { shard, feed, on } => {
                if let Some(shard) = &mut shards[shard] {
                    shard.cursors[feed] = on.then(|| self.core.feeds[feed].feed.offset());
                }
            }
            Request::Present { record, reply } => {
                if let Some(feeds) = record {
                    self.core.record(feeds);
                }
                let Core { tick, reading, .. } = self.core;
                let _ = reply.send(Present { tick, reading, positions: self.positions.clone() });
            }
            // It waits for a tick: the loop has taken it.
            Request::Exchange(exchange) => drop(exchange),
            Request::Refresh { shard } => {
                if let Some(shard) = &mut shards[shard] {
                    self.fill(shard);
                }
            }
        }
    }

    /// Puts what changed since the shard's cursors into its box, if it is empty.
    fn fill(&mut self, shard: &mut Shard) {
        let feeds = &mut self.core.feeds;
        let changed = |feed: usize, cursor: Option<Offset>, feeds: &[crate::core::FeedState]| {
            cursor.is_some_and(|cursor| feeds[feed].feed.last_change() > cursor)
        };
        if !shard.cursors.iter().enumerate().any(|(feed, cursor)| changed(feed, *cursor, feeds))
            || !shard.mailbox.is_free()
        {
            return;
        }
        let mut delivery = Delivery::new();
        for (feed, cursor) in shard.cursors.iter_mut().enumerate() {
            if !changed(feed, *cursor, feeds) {
                continue;
            }
            let state = &mut feeds[feed].feed;
            match state.changes_since(*cursor) {
                Changes::Delta(delta) => delivery.push((feed, delta)),
                // The shard slept so long that the tombstones are gone. An empty delta
                // from here on shows it: its viewers find themselves behind, and ask.
                Changes::Snapshot(_) => {
                    if let Changes::Delta(delta) = state.changes_since(Some(state.offset())) {
                        delivery.push((feed, delta));
                    }
                }
            }
            *cursor = Some(state.offset());
        }
        shard.mailbox.deliver(delivery);
    }
}
