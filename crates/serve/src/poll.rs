//! Polls, short and long. Who waits costs nothing while nothing changes: one inbox hears
//! of all feeds that are waited for, and rings for those who wait when theirs changed.
//! What they then ask, they ask together.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use feed::{Changes, Delta};
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};
use model::Offset;
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use crate::{
    backend::{Backend, Inbox, Unavailable},
    hub::rounded,
};

/// So many rows more than are needed matter to nobody.
const FEW_ROWS: usize = 64;

type Asked = BoxFuture<'static, Result<Changes, Unavailable>>;

/// What is asked: a feed, and since when.
type Ask = (usize, Offset);

/// All who poll.
pub struct Polls {
    backend: Arc<dyn Backend>,
    bells: Vec<Bell>,
    inbox: Mutex<Box<dyn Inbox>>,
    /// Questions under way; those who ask the same share the answer.
    asked: Mutex<HashMap<Ask, WeakShared<Asked>>>,
    stopping: AtomicBool,
}

/// Rings when a feed changed.
#[derive(Default)]
struct Bell {
    /// How many wait; the inbox follows the feed while it is not 0.
    waiting: Mutex<usize>,
    rung: Notify,
    /// The newest offset that was heard of.
    latest: AtomicU64,
    /// What the first who was woken was answered, for the others, until it rings again.
    answer: Mutex<Option<Arc<Delta>>>,
}

/// Somebody waits for a feed.
struct Waiting<'a> {
    polls: &'a Polls,
    feed: usize,
}

/// Ends with the server.
pub struct Ringer(JoinHandle<()>);

impl Drop for Ringer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Polls {
    /// Starts to listen.
    pub fn start(backend: &Arc<dyn Backend>) -> (Arc<Self>, Ringer) {
        let wake = Arc::new(Notify::new());
        let inbox = {
            let wake = Arc::clone(&wake);
            backend.inbox(Arc::new(move || wake.notify_one()))
        };
        let polls = Arc::new(Self {
            backend: Arc::clone(backend),
            bells: backend.feeds().iter().map(|_| Bell::default()).collect(),
            inbox: Mutex::new(inbox),
            asked: Mutex::default(),
            stopping: AtomicBool::new(false),
        });
        let ringing = {
            let polls = Arc::clone(&polls);
            async move {
                loop {
                    wake.notified().await;
                    polls.ring();
                }
            }
        };
        let ringer = Ringer(tokio::spawn(ringing));
        (polls, ringer)
    }

    fn ring(&self) {
        let deltas = self.inbox.lock().take();
        for (feed, delta) in deltas {
            let bell = &self.bells[feed];
            bell.latest.fetch_max(delta.to, Ordering::SeqCst);
            *bell.answer.lock() = None;
            bell.rung.notify_waiters();
        }
    }

    /// The server stops: nobody waits any longer.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        for bell in &self.bells {
            bell.rung.notify_waiters();
        }
    }

    /// What changed in a feed since an offset; waits for so long if nothing did.
    pub async fn changes_since(&self, feed: usize, since: Offset, wait: Duration) -> Result<Changes, Unavailable> {
        let bell = &self.bells[feed];
        let until = Instant::now() + wait;
        // Followed before it is asked: what changes between rings.
        let mut waited = false;
        let _waiting = (!wait.is_zero()).then(|| self.wait_for(feed));
        loop {
            let mut rung = std::pin::pin!(bell.rung.notified());
            rung.as_mut().enable();
            if self.stopping.load(Ordering::SeqCst) {
                return Err(Unavailable);
            }
            let over = Instant::now() >= until;
            let heard_of = bell.latest.load(Ordering::SeqCst);
            let known = bell.answer.lock().clone();
            if let Some(known) = known.filter(|known| waited && known.from == since && known.to >= heard_of) {
                return Ok(Changes::Delta(known));
            }
            let changes = self.ask(feed, since).await?;
            bell.latest.fetch_max(changes.offset(), Ordering::SeqCst);
            match changes {
                Changes::Delta(delta) if delta.is_empty() => {
                    if delta.to < heard_of {
                        // The answer to a question that was under way before the bell rang.
                        continue;
                    }
                    if over {
                        return Ok(Changes::Delta(delta));
                    }
                }
                // Those who waited stand at the same cursor, mostly.
                Changes::Delta(delta) if waited => {
                    *bell.answer.lock() = Some(Arc::clone(&delta));
                    return Ok(Changes::Delta(delta));
                }
                Changes::Delta(delta) => return self.widened(feed, since, delta).await.map(Changes::Delta),
                snapshot @ Changes::Snapshot(_) => return Ok(snapshot),
            }
            waited = true;
            tokio::select! {
                () = rung => {}
                () = sleep_until(until) => {}
            }
        }
    }

    /// Laggards share an encoding: instead of exactly what one has missed, a little more,
    /// which is what others have missed too (INV-7).
    async fn widened(&self, feed: usize, since: Offset, exact: Arc<Delta>) -> Result<Arc<Delta>, Unavailable> {
        let from = rounded(since, exact.to);
        if from == since {
            return Ok(exact);
        }
        let rows = |delta: &Delta| delta.upserts.num_rows() + delta.deletes.num_rows();
        match self.ask(feed, from).await? {
            Changes::Delta(wider) if rows(&wider) <= 2 * rows(&exact) + FEW_ROWS => Ok(wider),
            // The feed was quiet for long, or it reaches back beyond the tombstones.
            Changes::Delta(_) | Changes::Snapshot(_) => Ok(exact),
        }
    }

    fn ask(&self, feed: usize, since: Offset) -> Shared<Asked> {
        let mut asked = self.asked.lock();
        let under_way = |weak: &WeakShared<Asked>| weak.upgrade().filter(|a| a.peek().is_none());
        if let Some(known) = asked.get(&(feed, since)).and_then(under_way) {
            return known;
        }
        asked.retain(|_, weak| under_way(weak).is_some());
        let question = self.backend.changes_since(feed, Some(since)).shared();
        if let Some(weak) = question.downgrade() {
            asked.insert((feed, since), weak);
        }
        question
    }

    fn wait_for(&self, feed: usize) -> Waiting<'_> {
        let mut waiting = self.bells[feed].waiting.lock();
        if *waiting == 0 {
            self.inbox.lock().follow(feed);
        }
        *waiting += 1;
        Waiting { polls: self, feed }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiting = self.polls.bells[self.feed].waiting.lock();
        *waiting -= 1;
        if *waiting == 0 {
            self.polls.inbox.lock().unfollow(self.feed);
        }
    }
}
