//! One delivery of deltas to everybody who watches. This is the hot path: for each
//! viewer a few comparisons and one system call, nothing allocated, encoded, looked up
//! by name or woken.

use std::{
    io::{self, IoSlice},
    sync::Arc,
};

use bytes::Bytes;
use feed::Delta;
use model::Offset;

use crate::{
    encode::framing::Framing,
    hub::{
        arena::Key,
        core::{Core, State},
        rate::Class,
    },
};

/// How many frames one call writes; further ones take a second call.
const SLICES: usize = 32;

/// One encoded delta of the round.
struct Frame {
    feed: usize,
    framing: Framing,
    to: Offset,
    bytes: Bytes,
    sent: u64,
}

/// What a round needs, kept from one to the next so that nothing is allocated.
#[derive(Default)]
pub struct Round {
    frames: Vec<Frame>,
    touched: Vec<Key>,
    behind: Vec<Key>,
    bytes_sent: u64,
    /// Frames sent to viewers of the dashboard in each slot.
    by_dashboard: Vec<u64>,
}

impl Round {
    /// Makes room to count for a slot; before a viewer counts for it.
    pub fn make_room(&mut self, slot: usize) {
        if self.by_dashboard.len() <= slot {
            self.by_dashboard.resize(slot + 1, 0);
        }
    }
}

impl Core {
    /// Sends deltas, at most one a feed, to all viewers that can take them now. Frames of
    /// several feeds leave in one call. Slow viewers keep their cursors and read
    /// `changes_since` when their sockets are writable again.
    pub fn deliver(&mut self, deltas: &[(usize, Arc<Delta>)]) {
        for (feed, delta) in deltas {
            self.stage(*feed, delta);
        }
        let mut touched = std::mem::take(&mut self.round.touched);
        for key in touched.drain(..) {
            self.write_staged(key);
        }
        self.round.touched = touched;
        let mut behind = std::mem::take(&mut self.round.behind);
        for key in behind.drain(..) {
            self.ask_rounded(key);
        }
        self.round.behind = behind;
        self.count_round();
    }

    fn stage(&mut self, feed: usize, delta: &Delta) {
        let Self { feeds, watches, viewers, round, shared, .. } = self;
        let state = &mut feeds[feed];
        state.latest = state.latest.max(delta.to);
        state.dirty = u8::MAX;
        let first = round.frames.len();
        for &key in &state.watchers {
            let Some(watch) = watches.get_mut(key) else { continue };
            if watch.class.is_some() || watch.cursor >= delta.to || !matches!(watch.state, State::Live) {
                continue;
            }
            let Some(viewer) = viewers.get_mut(watch.viewer).filter(|v| !v.slow && v.takes_messages()) else {
                continue;
            };
            if watch.cursor < delta.from {
                round.behind.push(key);
                continue;
            }
            // A feed is watched in few framings at once.
            let known = round.frames[first..].iter().position(|f| f.framing == viewer.framing);
            let frame = known.map_or(round.frames.len(), |i| first + i);
            if known.is_none() {
                let bytes = shared.delta_frame(feed, delta, viewer.framing);
                round.frames.push(Frame { feed, framing: viewer.framing, to: delta.to, bytes, sent: 0 });
            }
            if round.frames[frame].bytes.is_empty() {
                // A dashboard's updates do not tell of deletes.
                watch.cursor = delta.to;
                continue;
            }
            if viewer.staged.is_empty() {
                round.touched.push(watch.viewer);
            }
            viewer.staged.push((frame as u32, key));
        }
    }

    fn write_staged(&mut self, key: Key) {
        let Self { watches, viewers, round, .. } = self;
        let Some(viewer) = viewers.get_mut(key) else { return };
        let mut done = 0;
        let mut outcome = Ok(());
        while done < viewer.staged.len() {
            let part = &viewer.staged[done..viewer.staged.len().min(done + SLICES)];
            let mut slices = [IoSlice::new(&[]); SLICES];
            for (slice, (frame, _)) in slices.iter_mut().zip(part) {
                *slice = IoSlice::new(&round.frames[*frame as usize].bytes);
            }
            let mut written = match viewer.io.try_write_vectored(&slices[..part.len()]) {
                Ok(n) => n,
                Err(e) => {
                    outcome = Err(e);
                    break;
                }
            };
            round.bytes_sent += written as u64;
            let mut started = 0;
            for (frame, watch) in part {
                if written == 0 {
                    break;
                }
                let frame = &mut round.frames[*frame as usize];
                frame.sent += 1;
                started += 1;
                if let Some(watch) = watches.get_mut(*watch) {
                    watch.cursor = frame.to;
                }
                if written < frame.bytes.len() {
                    viewer.unsent_bytes += frame.bytes.len() - written;
                    viewer.unsent.push_back(frame.bytes.slice(written..));
                }
                written -= written.min(frame.bytes.len());
            }
            if let Some(dashboard) = &viewer.dashboard {
                round.by_dashboard[dashboard.slot] += started as u64;
            }
            done += started;
            if started < part.len() || !viewer.unsent.is_empty() {
                outcome = Err(io::ErrorKind::WouldBlock.into());
                break;
            }
        }
        viewer.staged.clear();
        match outcome {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.set_slow(key, true),
            Err(_) => self.lose(key),
        }
    }

    fn count_round(&mut self) {
        for frame in self.round.frames.drain(..) {
            self.shared.feeds[frame.feed].metrics.frames_sent.increment(frame.sent);
        }
        self.shared.metrics.bytes_sent.increment(std::mem::take(&mut self.round.bytes_sent));
        for (slot, sent) in self.round.by_dashboard.iter_mut().enumerate().filter(|(_, sent)| **sent > 0) {
            let sent = std::mem::take(sent);
            if let Some(dashboard) = self.shared.dashboards.at(slot) {
                dashboard.metrics.processed.increment(sent);
            }
        }
    }

    /// The clock of a class struck: its watches hear what is new to them, once each.
    pub fn strike(&mut self, class: Class) {
        let bit = 1_u8 << class;
        for feed in 0..self.feeds.len() {
            if self.feeds[feed].dirty & bit == 0 {
                continue;
            }
            let latest = self.feeds[feed].latest;
            let mut waiting = false;
            for at in 0..self.feeds[feed].watchers.len() {
                let key = self.feeds[feed].watchers[at];
                let Some(watch) = self.watches.get(key) else { continue };
                if watch.class != Some(class) || watch.cursor >= latest {
                    continue;
                }
                let ready = self.viewers.get(watch.viewer).is_some_and(|v| !v.slow && v.takes_messages());
                if ready && matches!(watch.state, State::Live) {
                    let since = watch.cursor;
                    self.ask(key, Some(since));
                } else {
                    waiting = true;
                }
            }
            if !waiting {
                self.feeds[feed].dirty &= !bit;
            }
        }
    }
}
