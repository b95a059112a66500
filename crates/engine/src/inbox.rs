//! How a shard of the hub hears of changes: a box that holds one delivery.
//!
//! A shard is a cursor like any other. When its box is empty, the engine puts in what
//! changed since the shard's cursor; while it is full, the engine only remembers that
//! there is more, so a slow shard costs nothing and gets one merged delta later. The
//! engine never waits for a shard: the lock is held for a pointer's exchange.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crossbeam_channel::Sender;
use feed::Delta;
use parking_lot::Mutex;

use crate::handle::Request;

/// The deltas of one delivery, at most one a feed.
pub type Delivery = Vec<(usize, Arc<Delta>)>;

/// What engine and shard share.
pub(crate) struct Mailbox {
    delivery: Mutex<Delivery>,
    full: AtomicBool,
    missed: AtomicBool,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Mailbox {
    pub(crate) fn new(wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        Self { delivery: Mutex::default(), full: AtomicBool::new(false), missed: AtomicBool::new(false), wake }
    }

    /// Whether a delivery can be put in. If not, the shard will ask again.
    pub(crate) fn is_free(&self) -> bool {
        if !self.full.load(Ordering::SeqCst) {
            return true;
        }
        self.missed.store(true, Ordering::SeqCst);
        // The shard may have emptied it between the two lines above and seen no `missed`.
        !self.full.load(Ordering::SeqCst)
    }

    pub(crate) fn deliver(&self, delivery: Delivery) {
        *self.delivery.lock() = delivery;
        self.full.store(true, Ordering::SeqCst);
        (self.wake)();
    }

    fn take(&self) -> (Delivery, bool) {
        if !self.full.load(Ordering::SeqCst) {
            return (Delivery::new(), false);
        }
        let delivery = std::mem::take(&mut *self.delivery.lock());
        self.full.store(false, Ordering::SeqCst);
        (delivery, self.missed.swap(false, Ordering::SeqCst))
    }
}

/// A shard's end of its box.
pub struct Inbox {
    pub(crate) shard: usize,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) requests: Sender<Request>,
}

impl Inbox {
    /// From now on deliver the changes of this feed.
    pub fn follow(&self, feed: usize) {
        let _ = self.requests.send(Request::Follow { shard: self.shard, feed, on: true });
    }

    /// No longer deliver the changes of this feed.
    pub fn unfollow(&self, feed: usize) {
        let _ = self.requests.send(Request::Follow { shard: self.shard, feed, on: false });
    }

    /// What changed since the last take.
    pub fn take(&self) -> Delivery {
        let (delivery, missed) = self.mailbox.take();
        if missed {
            let _ = self.requests.send(Request::Refresh { shard: self.shard });
        }
        delivery
    }
}
