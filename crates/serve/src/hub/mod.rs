//! The hub: who watches what, and how changes get to them.
//!
//! ```text
//!  engine ──wake──► shard (a thread a core, owns its sockets)
//!                     │ inbox: at most one delta a feed
//!                     ├─ encode once ──► one writev a viewer that can take it
//!                     └─ a viewer that cannot: when its socket is writable again,
//!                        changes_since(its own cursor), shared with others like it
//! ```
//!
//! A shard is single-threaded, so nothing in it is locked; the engine wakes shards and
//! never viewers. A viewer is one small task that sleeps unless its client says
//! something or its socket was full. Nothing queues for a slow viewer (INV-4).
//!
//! - [`core`]: a shard's state; with [`subscribe`], [`round`] and [`send`] all that
//!   happens to it
//! - [`shard`]: its thread, and what wakes it
//! - [`ride`]: a viewer's task
//! - [`rate`]: classes of `max_rate`
//! - [`arena`]: slots with keys

mod arena;
mod core;
mod rate;
mod ride;
mod round;
mod send;
mod shard;
mod subscribe;

use std::{
    io,
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use bytes::Bytes;
use model::Cursor;
use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::{dashboards::DashboardEntry, encode::framing::Framing, limits::ConnectionGuard, shared::Shared};

pub use rate::{Class, class_of};
pub use send::rounded;

/// A socket after its handshake.
pub struct NewViewer {
    /// The socket, non-blocking.
    pub socket: TcpStream,
    /// What the client sent behind the handshake.
    pub read: Bytes,
    /// How frames go to it, and what it watches.
    pub opening: Opening,
    /// Counts the connection as long as it is open.
    pub connection: Arc<ConnectionGuard>,
}

/// How a viewer begins. The response that opens it carries this out of the router, to
/// whoever takes the socket from HTTP.
#[derive(Debug, Clone)]
pub struct Opening {
    /// How frames go to it.
    pub framing: Framing,
    /// What it watches from the beginning; on `/v1/ws` it says so later.
    pub watches: Vec<Wish>,
    /// The dashboard whose updates it gets; held until the viewer holds it.
    pub dashboard: Option<Arc<DashboardEntry>>,
}

/// A feed to be watched from the beginning.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The feed.
    pub feed: usize,
    /// Where the client stands.
    pub since: Option<Cursor>,
    /// How often it wants to hear; `None` is as it comes.
    pub class: Option<Class>,
}

/// What a shard is told from outside.
enum Command {
    Admit(NewViewer),
    Stop,
}

struct Shard {
    // Bounded by `limits.max_connections`: every entry holds a connection's guard.
    commands: UnboundedSender<Command>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

/// All shards.
pub struct Hub {
    shards: Vec<Shard>,
    next: AtomicUsize,
}

impl Hub {
    /// Starts this many shards, a thread each.
    pub fn start(shared: &Arc<Shared>, shards: usize) -> io::Result<Self> {
        let start = |index| {
            let (commands, receiver) = unbounded_channel();
            let thread = shard::spawn(index, Arc::clone(shared), receiver)?;
            Ok(Shard { commands, thread: Mutex::new(Some(thread)) })
        };
        let shards = (0..shards.max(1)).map(start).collect::<io::Result<_>>()?;
        Ok(Self { shards, next: AtomicUsize::new(0) })
    }

    /// Gives a socket to the next shard in turn.
    pub fn admit(&self, viewer: NewViewer) {
        let shard = &self.shards[self.next.fetch_add(1, Ordering::Relaxed) % self.shards.len()];
        // A stopped shard drops the socket, which closes it.
        let _ = shard.commands.send(Command::Admit(viewer));
    }

    /// Tells every viewer `closing`, and waits until they are gone or their time is over.
    pub async fn stop(&self) {
        for shard in &self.shards {
            let _ = shard.commands.send(Command::Stop);
        }
        let threads: Vec<_> = self.shards.iter().filter_map(|s| s.thread.lock().take()).collect();
        let joined = tokio::task::spawn_blocking(move || threads.into_iter().try_for_each(thread::JoinHandle::join));
        if !matches!(joined.await, Ok(Ok(()))) {
            tracing::error!("a shard of the hub failed");
        }
    }
}
