//! A shard's state: its viewers, what they watch, and the questions under way. No
//! method waits; sockets are written as far as they take it.
//!
//! - `core`: admission, questions, answers, the end
//! - `subscribe`: who watches what
//! - `round`: one delivery of deltas to everybody who watches
//! - `send`: writing to one viewer, pieces of snapshots, catching up

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    rc::Rc,
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use feed::{Changes, Snapshot};
use model::Offset;
use tokio::{net::TcpStream, sync::Notify};

use crate::{
    backend::{Inbox, Unavailable},
    dashboards::DashboardEntry,
    encode::framing::{self, Framing},
    hub::{
        arena::{Arena, Key},
        rate::{CLASSES, Class},
        round::Round,
    },
    limits::ConnectionGuard,
    shared::Shared,
    ws::{
        close::Close,
        codec,
        message::{self, Ref, Refused},
    },
};

/// What is asked of the backend: a feed, and since when. Viewers that ask the same share
/// the answer.
pub type Ask = (usize, Option<Offset>);

/// A socket.
pub struct Viewer {
    pub io: Rc<TcpStream>,
    /// Wakes the viewer's task: to wait for writability, or to end.
    pub wake: Rc<Notify>,
    pub framing: Framing,
    pub watches: Vec<Key>,
    pub refs: Vec<Subscription>,
    /// What the socket would not take yet: the rest of the frames under way and answers
    /// to the client itself, never a backlog of deltas.
    pub unsent: VecDeque<Bytes>,
    pub unsent_bytes: usize,
    /// Whether its task waits for the socket to be writable. While not, `unsent` is empty.
    pub slow: bool,
    /// Frames of the round under way, with their watches.
    pub staged: Vec<(u32, Key)>,
    /// Where the next piece of a snapshot is looked for, so that feeds take turns.
    pub turn: usize,
    pub dashboard: Option<Arc<DashboardEntry>>,
    pub phase: Phase,
    pub heard: Instant,
    pub pinged: Instant,
    _connection: Arc<ConnectionGuard>,
}

/// How far a socket is on its way; it only goes forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// In use.
    Open,
    /// The server stops: to be closed once a publish under way is answered.
    Stopping,
    /// A close frame was queued; nothing follows it.
    Closed,
    /// The socket failed, or answers no ping.
    Gone,
}

impl Viewer {
    /// Whether messages may still be sent.
    pub fn takes_messages(&self) -> bool {
        self.phase < Phase::Closed
    }
}

/// A client's name for a watch.
pub struct Subscription {
    pub reference: Ref,
    pub watch: Key,
    pub class: Option<Class>,
}

/// A viewer's cursor into one feed.
pub struct Watch {
    pub viewer: Key,
    pub feed: usize,
    /// Its place among the feed's watchers.
    pub position: usize,
    /// The fastest of its subscriptions; `None` is as it comes.
    pub class: Option<Class>,
    /// The client has, or is being sent, everything up to here.
    pub cursor: Offset,
    pub state: State,
    /// Nothing was sent yet.
    pub fresh: bool,
    /// The client gave a cursor: a snapshot instead of what it asked for is a reset.
    pub resumes: bool,
    /// Another subscription of the view wants the whole of it once more.
    pub again: bool,
}

impl Watch {
    /// Whether a snapshot that is sent now refuses the client's cursor.
    fn is_reset(&self) -> bool {
        self.fresh && self.resumes
    }
}

/// What a watch does.
pub enum State {
    /// Takes deltas.
    Live,
    /// Waits for the answer to a question.
    Asked,
    /// Is being sent a snapshot.
    Sending {
        /// Held until its last piece is sent, so that it counts as being read
        /// ([`crate::shared::Snapshots`]). Its pieces are its encoding.
        snapshot: Arc<Snapshot>,
        /// It refuses the client's cursor.
        reset: bool,
        /// The piece to go next.
        next: usize,
    },
}

/// One feed in this shard.
#[derive(Default)]
pub struct FeedState {
    pub watchers: Vec<Key>,
    /// The end of the newest delta that the shard has heard of.
    pub latest: Offset,
    /// Classes that have something to send, as bits.
    pub dirty: u8,
}

/// A shard's state.
pub struct Core {
    pub shared: Arc<Shared>,
    pub inbox: Box<dyn Inbox>,
    pub viewers: Arena<Viewer>,
    pub watches: Arena<Watch>,
    pub feeds: Vec<FeedState>,
    pub round: Round,
    asks: HashMap<Ask, Vec<Key>>,
    /// Questions that nobody has put yet; the shard does, see `Shard::settle`.
    pub new_asks: Vec<Ask>,
    /// Watches of each class.
    pub class_sizes: [usize; CLASSES],
    /// Whether the shard must see to it that every class that is used has a clock.
    pub classes_changed: bool,
    /// Bytes that wait for sockets, as last told.
    pub unsent_told: usize,
}

impl Core {
    pub fn new(shared: Arc<Shared>, inbox: Box<dyn Inbox>) -> Self {
        let feeds = shared.feeds.iter().map(|_| FeedState::default()).collect();
        Self {
            round: Round::default(),
            shared,
            inbox,
            viewers: Arena::default(),
            watches: Arena::default(),
            feeds,
            asks: HashMap::new(),
            new_asks: Vec::new(),
            class_sizes: [0; CLASSES],
            classes_changed: false,
            unsent_told: 0,
        }
    }

    /// Takes a socket.
    pub fn admit(
        &mut self,
        io: Rc<TcpStream>,
        wake: Rc<Notify>,
        framing: Framing,
        connection: Arc<ConnectionGuard>,
        now: Instant,
    ) -> Key {
        self.shared.metrics.viewers(framing).increment(1);
        self.viewers.insert(Viewer {
            io,
            wake,
            framing,
            watches: Vec::new(),
            refs: Vec::new(),
            unsent: VecDeque::new(),
            unsent_bytes: 0,
            slow: false,
            staged: Vec::new(),
            turn: 0,
            dashboard: None,
            phase: Phase::Open,
            heard: now,
            pinged: now,
            _connection: connection,
        })
    }

    /// Forgets a socket and all that it watched.
    pub fn dismiss(&mut self, key: Key) {
        self.set_slow(key, false);
        let Some(viewer) = self.viewers.remove(key) else { return };
        for subscription in &viewer.refs {
            if let Some(watch) = self.watches.get(subscription.watch) {
                self.shared.feeds[watch.feed].metrics.subscriptions.decrement(1);
            }
        }
        for watch in &viewer.watches {
            self.unwatch(*watch);
        }
        if let Some(dashboard) = viewer.dashboard {
            dashboard.metrics.connections.decrement(1);
        }
        self.shared.metrics.viewers(viewer.framing).decrement(1);
    }

    /// Answers a message that is refused.
    pub fn refuse(&mut self, key: Key, refused: &Refused) {
        self.shared.metrics.refuse(refused.code);
        self.say(key, &message::error(refused));
    }

    /// Says something to one viewer, in its framing.
    pub fn say(&mut self, key: Key, json: &[u8]) {
        let framing = self.viewers.get(key).map(|v| v.framing);
        if let Some(bytes) = framing.and_then(|f| framing::message(f, json)) {
            self.send(key, bytes);
        }
    }

    /// Puts a question, or joins one that is under way.
    pub fn ask(&mut self, key: Key, since: Option<Offset>) {
        let Some(watch) = self.watches.get_mut(key) else { return };
        watch.state = State::Asked;
        let ask = (watch.feed, since);
        match self.asks.entry(ask) {
            Entry::Occupied(mut waiting) => waiting.get_mut().push(key),
            Entry::Vacant(entry) => {
                entry.insert(vec![key]);
                self.new_asks.push(ask);
            }
        }
    }

    /// In which framings those who wait need the answer, and whether as a reset.
    pub fn variants(&self, ask: &Ask) -> Vec<(Framing, bool)> {
        let mut variants = Vec::new();
        for watch in self.asks.get(ask).into_iter().flatten().filter_map(|w| self.watches.get(*w)) {
            let Some(viewer) = self.viewers.get(watch.viewer) else { continue };
            let variant = (viewer.framing, watch.is_reset());
            if !variants.contains(&variant) {
                variants.push(variant);
            }
        }
        variants
    }

    /// The newest cursor among those who wait.
    pub fn beyond(&self, ask: &Ask) -> Option<Offset> {
        self.asks.get(ask).into_iter().flatten().filter_map(|w| self.watches.get(*w)).map(|w| w.cursor).max()
    }

    /// The feed has come at least this far, whatever the inbox said.
    pub fn heard_of(&mut self, feed: usize, offset: Offset) {
        let state = &mut self.feeds[feed];
        state.latest = state.latest.max(offset);
        state.dirty = u8::MAX;
    }

    /// The answer to a question goes to all who wait for it.
    pub fn answer(&mut self, ask: &Ask, answer: &Result<Changes, Unavailable>) {
        let Some(waiting) = self.asks.remove(ask) else { return };
        for key in waiting {
            match answer {
                Ok(Changes::Delta(delta)) => self.answer_delta(key, delta),
                Ok(Changes::Snapshot(snapshot)) => self.answer_snapshot(key, snapshot),
                // The server stops; `closing` is on its way to everybody.
                Err(Unavailable) => {}
            }
        }
    }

    fn answer_delta(&mut self, key: Key, delta: &feed::Delta) {
        let Some(watch) = self.watches.get_mut(key) else { return };
        if delta.from > watch.cursor {
            // Never the answer to what was asked; a snapshot is right for everybody.
            return self.ask(key, None);
        }
        watch.state = State::Live;
        let (viewer, feed) = (watch.viewer, watch.feed);
        let news = delta.to > watch.cursor || std::mem::take(&mut watch.fresh);
        watch.fresh = false;
        watch.cursor = watch.cursor.max(delta.to);
        if std::mem::take(&mut watch.again) {
            self.ask(key, None);
        }
        let Some(state) = self.viewers.get(viewer).filter(|v| v.takes_messages()) else { return };
        if news {
            let frame = self.shared.delta_frame(feed, delta, state.framing);
            self.count_frame(viewer, feed);
            self.send(viewer, frame);
        } else if !state.slow {
            self.pump(viewer);
        }
    }

    fn answer_snapshot(&mut self, key: Key, snapshot: &Arc<Snapshot>) {
        let Some(watch) = self.watches.get_mut(key) else { return };
        let entry = &self.shared.feeds[watch.feed];
        let reset = watch.is_reset();
        if reset {
            entry.metrics.resets.increment(1);
        }
        watch.fresh = false;
        watch.cursor = snapshot.offset;
        watch.state = State::Sending { snapshot: Arc::clone(snapshot), reset, next: 0 };
        let viewer = watch.viewer;
        if self.viewers.get(viewer).is_some_and(|v| !v.slow) {
            self.pump(viewer);
        }
    }

    /// Sends a close frame; nothing follows it.
    pub fn close(&mut self, key: Key, reason: Close) {
        let Some(viewer) = self.viewers.get_mut(key) else { return };
        if !viewer.takes_messages() {
            return;
        }
        // A snapshot under way, or a question, is of no use any more.
        let watches = viewer.watches.clone();
        let framing = viewer.framing;
        if reason == Close::Shutdown {
            // Between 0.5 and 3 s, so that not all come back in the same moment.
            self.say_closing(key, framing, rand::random_range(500..3000));
        }
        if framing.is_websocket() {
            self.send(key, codec::close(reason));
        }
        if let Some(viewer) = self.viewers.get_mut(key) {
            viewer.phase = viewer.phase.max(Phase::Closed);
            viewer.wake.notify_one();
        }
        for watch in watches {
            if let Some(watch) = self.watches.get_mut(watch) {
                watch.state = State::Live;
            }
        }
    }

    fn say_closing(&mut self, key: Key, framing: Framing, retry_after_ms: u64) {
        if framing == Framing::EventStream {
            self.send(key, framing::retry(retry_after_ms));
        }
        self.say(key, &message::closing(retry_after_ms));
    }

    /// Tells everybody that the server stops; their tasks say good-bye.
    pub fn stop(&mut self) {
        for key in self.viewers.keys().collect::<Vec<_>>() {
            if let Some(viewer) = self.viewers.get_mut(key) {
                viewer.phase = viewer.phase.max(Phase::Stopping);
                viewer.wake.notify_one();
            }
        }
    }
}
