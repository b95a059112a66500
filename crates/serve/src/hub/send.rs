//! Writing to one viewer: what is under way, then the pieces of snapshots, then catching
//! up from its own cursor. A slow viewer costs one unfinished write and its cursors.

use std::{
    io::{self, IoSlice},
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes};
use model::Offset;

use crate::{
    encode::framing,
    hub::{
        arena::Key,
        core::{Core, Phase, State, Viewer},
    },
    ws::codec,
};

/// How many pieces of snapshots one viewer is written before others have their turn.
const PIECES_PER_TURN: usize = 16;

/// How many buffers one call writes.
const SLICES: usize = 16;

/// What writing came to.
enum Written {
    /// Nothing is left.
    Drained,
    /// The socket takes no more at the moment.
    Blocked,
    /// The socket failed.
    Lost,
}

impl Viewer {
    /// Writes what is under way; the second is how many bytes.
    fn write_unsent(&mut self) -> (Written, u64) {
        let mut total = 0;
        while !self.unsent.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut used = 0;
            for (slice, bytes) in slices.iter_mut().zip(&self.unsent) {
                *slice = IoSlice::new(bytes);
                used += 1;
            }
            match self.io.try_write_vectored(&slices[..used]) {
                Ok(written) => {
                    total += written as u64;
                    self.advance(written);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return (Written::Blocked, total),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return (Written::Lost, total),
            }
        }
        // A burst's room is given back.
        if self.unsent.capacity() > 64 {
            self.unsent = std::collections::VecDeque::new();
        }
        (Written::Drained, total)
    }

    fn advance(&mut self, mut written: usize) {
        self.unsent_bytes -= written;
        while let Some(front) = self.unsent.front_mut() {
            if written < front.len() {
                front.advance(written);
                return;
            }
            written -= front.len();
            self.unsent.pop_front();
        }
    }
}

/// Rounds a laggard's cursor down, so that laggards share questions and encodings: at a
/// given `latest` there are at most two points for each doubling of the lag, and a delta
/// covers at most twice what was asked for. A delta is right for every cursor behind its
/// `from`.
pub fn rounded(cursor: Offset, latest: Offset) -> Offset {
    match latest.saturating_sub(cursor).checked_ilog2() {
        Some(log) => cursor & !((1 << log) - 1),
        None => cursor,
    }
}

impl Core {
    /// Queues a message to one viewer and writes what the socket takes.
    pub fn send(&mut self, key: Key, bytes: Bytes) {
        let Some(viewer) = self.viewers.get_mut(key).filter(|v| v.takes_messages()) else { return };
        viewer.unsent_bytes += bytes.len();
        if !bytes.is_empty() {
            viewer.unsent.push_back(bytes);
        }
        if !viewer.slow {
            self.pump(key);
        }
    }

    /// Writes until the socket takes no more, nothing is left, or others have their turn.
    pub fn pump(&mut self, key: Key) {
        for _ in 0..PIECES_PER_TURN {
            let Some(viewer) = self.viewers.get_mut(key) else { return };
            let (outcome, bytes) = viewer.write_unsent();
            if viewer.slow && bytes > 0 {
                // A full socket takes more only if the client reads: a sign of life, though
                // its answer to a ping may be far behind in a large frame.
                viewer.heard = Instant::now();
            }
            self.shared.metrics.bytes_sent.increment(bytes);
            match outcome {
                Written::Drained => self.set_slow(key, false),
                Written::Blocked => return self.set_slow(key, true),
                Written::Lost => return self.lose(key),
            }
            self.catch_up(key);
            if !self.next_piece(key) {
                return;
            }
        }
        // A piece is left; the viewer's task goes on with it when others had their turn.
        self.set_slow(key, true);
    }

    /// Queues the next piece of a snapshot; `false` if no watch has one.
    fn next_piece(&mut self, key: Key) -> bool {
        let Some(viewer) = self.viewers.get_mut(key).filter(|v| v.takes_messages()) else { return false };
        let count = viewer.watches.len();
        for step in 1..=count {
            let at = (viewer.turn + step) % count;
            let Some(watch) = self.watches.get_mut(viewer.watches[at]) else { continue };
            let State::Sending { snapshot, reset, next } = &mut watch.state else { continue };
            let pieces = self.shared.snapshot_frames(watch.feed, snapshot, viewer.framing, *reset);
            let piece = pieces[*next].clone();
            *next += 1;
            if *next == pieces.len() {
                watch.state = State::Live;
            }
            viewer.turn = at;
            viewer.unsent_bytes += piece.len();
            if !piece.is_empty() {
                viewer.unsent.push_back(piece);
            }
            let feed = watch.feed;
            self.count_frame(key, feed);
            return true;
        }
        false
    }

    /// Asks for what this viewer's watches have missed.
    fn catch_up(&mut self, key: Key) {
        let Some(viewer) = self.viewers.get(key).filter(|v| v.takes_messages()) else { return };
        for at in 0..viewer.watches.len() {
            let Some(viewer) = self.viewers.get(key) else { return };
            let key = viewer.watches[at];
            let Some(watch) = self.watches.get_mut(key) else { continue };
            if !matches!(watch.state, State::Live) {
                continue;
            }
            if std::mem::take(&mut watch.again) {
                self.ask(key, None);
            } else if watch.class.is_none() && watch.cursor < self.feeds[watch.feed].latest {
                self.ask_rounded(key);
            }
        }
    }

    /// Asks what a watch has missed, together with others that are about as far behind.
    pub fn ask_rounded(&mut self, key: Key) {
        let Some(watch) = self.watches.get(key) else { return };
        let since = rounded(watch.cursor, self.feeds[watch.feed].latest);
        self.ask(key, Some(since));
    }

    /// Notes whether a viewer waits for its socket, and wakes its task to do so.
    pub fn set_slow(&mut self, key: Key, slow: bool) {
        let Some(viewer) = self.viewers.get_mut(key) else { return };
        if viewer.slow == slow {
            return;
        }
        viewer.slow = slow;
        if slow {
            self.shared.metrics.lagging.increment(1);
            viewer.wake.notify_one();
        } else {
            self.shared.metrics.lagging.decrement(1);
        }
    }

    /// A socket failed: its task takes it away.
    pub fn lose(&mut self, key: Key) {
        if let Some(viewer) = self.viewers.get_mut(key) {
            viewer.phase = Phase::Gone;
            viewer.unsent.clear();
            viewer.unsent_bytes = 0;
            viewer.wake.notify_one();
        }
    }

    /// Counts a frame that is not part of a round.
    pub fn count_frame(&mut self, viewer: Key, feed: usize) {
        self.shared.feeds[feed].metrics.frames_sent.increment(1);
        if let Some(dashboard) = self.viewers.get(viewer).and_then(|v| v.dashboard.as_ref()) {
            dashboard.metrics.processed.increment(1);
        }
    }

    /// Pings who was not pinged for long, and gives up on who was not heard of for twice
    /// as long. A stream of events has no answer to a ping: there, who takes no bytes is
    /// not heard of, and the kernel finds out who acknowledges none.
    pub fn sweep(&mut self, now: Instant, interval: Duration) {
        for key in self.viewers.keys().collect::<Vec<_>>() {
            let Some(viewer) = self.viewers.get_mut(key) else { continue };
            let websocket = viewer.framing.is_websocket();
            if !websocket && !viewer.slow {
                viewer.heard = now;
            }
            if now.duration_since(viewer.heard) >= interval * 2 {
                self.lose(key);
            } else if now.duration_since(viewer.pinged) >= interval {
                viewer.pinged = now;
                // It would only stand behind what a slow reader does not take.
                if websocket || !viewer.slow {
                    self.send(key, if websocket { codec::ping() } else { framing::heartbeat() });
                }
            }
        }
        self.tell_unsent();
    }

    /// Shows how much waits for sockets.
    pub fn tell_unsent(&mut self) {
        let waits: usize = self.viewers.keys().filter_map(|key| Some(self.viewers.get(key)?.unsent_bytes)).sum();
        let told = std::mem::replace(&mut self.unsent_told, waits);
        self.shared.metrics.unsent_bytes.increment(waits as f64 - told as f64);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn laggards_share_a_few_points_and_read_at_most_twice_what_they_need() {
        let latest = 1_000_003;
        let points: BTreeSet<_> = (0..latest).map(|c| rounded(c, latest)).collect();
        assert!(points.len() <= 2 * 20, "{} points", points.len());
        for cursor in 0..latest {
            let from = rounded(cursor, latest);
            assert!(from <= cursor && latest - from <= 2 * (latest - cursor));
        }
        assert_eq!(rounded(7, 7), 7);
    }
}
