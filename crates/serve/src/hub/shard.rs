//! A shard's thread: one runtime, one loop that hears of changes, new sockets and the
//! passing of time, and the tasks of its viewers.

use std::{
    cell::RefCell,
    io,
    rc::Rc,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use feed::Changes;
use tokio::{
    net::TcpStream,
    runtime,
    sync::{Notify, mpsc::UnboundedReceiver},
    task::LocalSet,
    time::{Interval, MissedTickBehavior, interval, timeout},
};

use crate::{
    encode::framing::Framing,
    hub::{
        Command, NewViewer,
        arena::Key,
        core::{Ask, Core},
        rate::{self, CLASSES, Class},
        ride,
    },
    shared::Shared,
};

/// Answers with more rows than this are encoded beside the shard.
const INLINE_ROWS: usize = 2048;

/// How much is read from a socket at once.
const READ_BYTES: usize = 64 << 10;

/// How long viewers have to take their last frames when the server stops.
const FAREWELL: Duration = Duration::from_secs(3);

/// What the tasks of a shard share. Nothing is borrowed across an await.
pub struct Shard {
    pub core: RefCell<Core>,
    pub shared: Arc<Shared>,
    /// All viewers read into this; what they keep, they copy.
    pub read_buffer: RefCell<Box<[u8]>>,
    clocks: RefCell<[bool; CLASSES]>,
    wake: Arc<Notify>,
}

/// Starts a shard's thread.
pub fn spawn(
    index: usize,
    shared: Arc<Shared>,
    commands: UnboundedReceiver<Command>,
) -> io::Result<thread::JoinHandle<()>> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name(format!("hub-{index}")).spawn(move || {
        let wake = Arc::new(Notify::new());
        let inbox = {
            let wake = Arc::clone(&wake);
            shared.backend.inbox(Arc::new(move || wake.notify_one()))
        };
        let shard = Rc::new(Shard {
            core: RefCell::new(Core::new(Arc::clone(&shared), inbox)),
            shared,
            read_buffer: RefCell::new(vec![0; READ_BYTES].into_boxed_slice()),
            clocks: RefCell::new([false; CLASSES]),
            wake,
        });
        let tasks = LocalSet::new();
        tasks.block_on(&runtime, shard.run(commands));
    })
}

/// When viewers are looked after, and when quiet cursors move.
fn clocks(ping: Duration) -> (Interval, Interval) {
    let sweep = interval((ping / 8).clamp(Duration::from_millis(5), Duration::from_secs(5)));
    // As often as a ping: a cursor moves though its feed is quiet, so that it does not
    // fall behind the floor while only other feeds change.
    let quiet = interval(ping.max(Duration::from_millis(5)));
    let mut clocks = (sweep, quiet);
    clocks.0.set_missed_tick_behavior(MissedTickBehavior::Delay);
    clocks.1.set_missed_tick_behavior(MissedTickBehavior::Delay);
    clocks
}

impl Shard {
    async fn run(self: Rc<Self>, mut commands: UnboundedReceiver<Command>) {
        let mut ping = self.shared.current().limits.ping_interval;
        let (mut sweep, mut quiet) = clocks(ping);
        let mut stopping = false;
        while !stopping {
            tokio::select! {
                () = self.wake.notified() => self.deliver(),
                command = commands.recv() => match command {
                    Some(Command::Admit(viewer)) => self.admit(viewer),
                    Some(Command::Stop) | None => stopping = true,
                },
                _ = sweep.tick() => {
                    self.core.borrow_mut().sweep(Instant::now(), ping);
                    let now = self.shared.current().limits.ping_interval;
                    if std::mem::replace(&mut ping, now) != now {
                        (sweep, quiet) = clocks(now);
                    }
                },
                _ = quiet.tick() => self.move_quiet_cursors(),
            }
            self.settle();
            // The next wake may be here already; viewers have their turn in between.
            tokio::task::yield_now().await;
        }
        self.core.borrow_mut().stop();
        let farewell = async {
            while !self.core.borrow().viewers.is_empty() {
                self.wake.notified().await;
            }
        };
        // Whoever takes no bytes by then is dropped with the runtime.
        let _ = timeout(FAREWELL, farewell).await;
    }

    fn deliver(&self) {
        let mut core = self.core.borrow_mut();
        let deltas = core.inbox.take();
        core.deliver(&deltas);
    }

    fn admit(self: &Rc<Self>, viewer: NewViewer) {
        let io = match TcpStream::from_std(viewer.socket) {
            Ok(io) => Rc::new(io),
            Err(error) => {
                tracing::warn!(%error, "a socket could not be taken");
                return;
            }
        };
        let wake = Rc::new(Notify::new());
        let NewViewer { read, opening, connection, .. } = viewer;
        let key = {
            let mut core = self.core.borrow_mut();
            let key = core.admit(Rc::clone(&io), Rc::clone(&wake), opening.framing, connection, Instant::now());
            core.open(key, &opening);
            key
        };
        let shard = Rc::clone(self);
        tokio::task::spawn_local(async move {
            ride::ride(&shard, key, opening.framing, &io, &wake, read).await;
            shard.dismiss(key);
        });
    }

    fn dismiss(&self, key: Key) {
        self.core.borrow_mut().dismiss(key);
        self.wake.notify_one();
    }

    /// Puts the questions and starts the clocks that came up. To be called after the core
    /// was changed.
    pub fn settle(self: &Rc<Self>) {
        let (asks, classes_changed) = {
            let mut core = self.core.borrow_mut();
            (std::mem::take(&mut core.new_asks), std::mem::take(&mut core.classes_changed))
        };
        for ask in asks {
            tokio::task::spawn_local(Rc::clone(self).ask(ask));
        }
        if classes_changed {
            self.start_clocks();
        }
    }

    async fn ask(self: Rc<Self>, ask: Ask) {
        let (feed, since) = ask;
        let mut answer = self.shared.backend.changes_since(feed, since).await;
        match &mut answer {
            Ok(Changes::Snapshot(snapshot)) => {
                let mut core = self.core.borrow_mut();
                core.heard_of(feed, snapshot.offset);
                *snapshot = self.shared.feeds[feed].snapshots.share(Arc::clone(snapshot), core.beyond(&ask));
            }
            Ok(Changes::Delta(_)) | Err(_) => {}
        }
        let rows = match &answer {
            Ok(Changes::Snapshot(snapshot)) => snapshot.len(),
            Ok(Changes::Delta(delta)) => delta.upserts.num_rows() + delta.deletes.num_rows(),
            Err(_) => 0,
        };
        if rows > INLINE_ROWS
            && let Ok(changes) = &answer
        {
            let variants = self.core.borrow().variants(&ask);
            self.encode(feed, changes.clone(), variants).await;
        }
        self.core.borrow_mut().answer(&ask, &answer);
        self.settle();
    }

    async fn encode(&self, feed: usize, changes: Changes, variants: Vec<(Framing, bool)>) {
        let shared = Arc::clone(&self.shared);
        beside(move || {
            for (framing, reset) in variants {
                match &changes {
                    Changes::Snapshot(snapshot) => drop(shared.snapshot_frames(feed, snapshot, framing, reset)),
                    Changes::Delta(delta) => drop(shared.delta_frame(feed, delta, framing)),
                }
            }
        })
        .await;
    }

    /// Moves the cursors of feeds in which nothing happens, by an empty delta.
    fn move_quiet_cursors(self: &Rc<Self>) {
        let watched: Vec<_> = {
            let core = self.core.borrow();
            let newest = |feed: usize| {
                let cursors = core.feeds[feed].watchers.iter().filter_map(|w| core.watches.get(*w)).map(|w| w.cursor);
                cursors.max().map(|newest| (feed, newest.max(core.feeds[feed].latest)))
            };
            (0..core.feeds.len()).filter_map(newest).collect()
        };
        for (feed, newest) in watched {
            let shard = Rc::clone(self);
            tokio::task::spawn_local(async move {
                if let Ok(Changes::Delta(delta)) = shard.shared.backend.changes_since(feed, Some(newest)).await
                    && delta.to > newest
                {
                    shard.core.borrow_mut().deliver(&[(feed, delta)]);
                    shard.settle();
                }
            });
        }
    }

    fn start_clocks(self: &Rc<Self>) {
        for class in 0..CLASSES {
            let used = self.core.borrow().class_sizes[class] > 0;
            if used && !std::mem::replace(&mut self.clocks.borrow_mut()[class], true) {
                tokio::task::spawn_local(Rc::clone(self).tick(class));
            }
        }
    }

    /// Strikes for a class as long as it is used.
    async fn tick(self: Rc<Self>, class: Class) {
        let mut clock = interval(rate::period(class));
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.core.borrow().class_sizes[class] > 0 {
            clock.tick().await;
            self.core.borrow_mut().strike(class);
            self.settle();
        }
        self.clocks.borrow_mut()[class] = false;
    }
}

/// Runs what takes long beside the shard. If it failed, the shard does it itself.
async fn beside(work: impl FnOnce() + Send + 'static) {
    if tokio::task::spawn_blocking(work).await.is_err() {
        tracing::error!("an encoding failed");
    }
}
