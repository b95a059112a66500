//! Room for events that are accepted and not yet in the log: in all, and of each stream, so
//! that one that floods leaves the others theirs.

use std::{sync::Arc, time::Duration};

use metrics::Gauge;
use model::metric;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::handle::AppendError;

/// How long an append waits for room before it is told to come again.
const PATIENCE: Duration = Duration::from_secs(5);

/// The unit in which waiting bytes are counted.
const PERMIT_BYTES: usize = 1024;

/// So many bytes at a time.
#[derive(Clone)]
struct Room {
    free: Arc<Semaphore>,
    permits: u32,
}

impl Room {
    fn new(bytes: usize) -> Self {
        let permits = permits(bytes);
        Self { free: Arc::new(Semaphore::new(permits as usize)), permits }
    }

    /// What is larger than all of it takes all of it.
    async fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, AppendError> {
        let acquired = self.free.clone().acquire_many_owned(permits(bytes).min(self.permits));
        acquired.await.map_err(|_| AppendError::Stopping)
    }

    fn try_take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        self.free.clone().try_acquire_many_owned(permits(bytes).min(self.permits)).ok()
    }
}

fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes / PERMIT_BYTES + 1).unwrap_or(u32::MAX)
}

/// The room of all streams.
#[derive(Clone)]
pub(crate) struct Rooms {
    all: Room,
    streams: Arc<[(Room, Gauge)]>,
}

impl Rooms {
    pub(crate) fn new(config: &config::Config) -> Self {
        let most = config.limits.max_pending;
        let of = |stream: &config::Stream| {
            let gauge = metrics::gauge!(metric::PENDING_BYTES, "stream" => stream.name.clone());
            (Room::new(stream.max_pending.unwrap_or(most)), gauge)
        };
        Self { all: Room::new(most), streams: config.streams.iter().map(of).collect() }
    }

    /// Waits for room, and not for long.
    pub(crate) async fn take(&self, stream: usize, bytes: usize) -> Result<Taken, AppendError> {
        let (room, gauge) = &self.streams[stream];
        let both = async {
            // Its own first: while it waits for that, the room of all is everyone's.
            let own = room.take(bytes).await?;
            Ok(Taken::new(own, self.all.take(bytes).await?, gauge, bytes))
        };
        tokio::time::timeout(PATIENCE, both).await.unwrap_or(Err(AppendError::Busy))
    }

    /// Takes room if there is some at the moment.
    pub(crate) fn try_take(&self, stream: usize, bytes: usize) -> Option<Taken> {
        let (room, gauge) = &self.streams[stream];
        Some(Taken::new(room.try_take(bytes)?, self.all.try_take(bytes)?, gauge, bytes))
    }
}

/// Room that is free again when this is dropped.
pub(crate) struct Taken {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
    gauge: Gauge,
    bytes: f64,
}

impl Taken {
    fn new(own: OwnedSemaphorePermit, all: OwnedSemaphorePermit, gauge: &Gauge, bytes: usize) -> Self {
        let bytes = bytes as f64;
        gauge.increment(bytes);
        Self { _own: own, _all: all, gauge: gauge.clone(), bytes }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.gauge.decrement(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_floods_leaves_the_others_theirs() {
        let text = "
limits: { max_pending: 64MiB }
streams:
  flood: { source: { type: http }, schema: { n: bigint }, max_pending: 1MiB }
  other: { source: { type: http }, schema: { n: bigint } }
";
        let config = config::load_str(std::path::Path::new("test.yaml"), text, &|_| None).unwrap();
        let rooms = Rooms::new(&config);
        let held = rooms.take(0, 1 << 20).await.unwrap();
        assert!(matches!(rooms.take(0, 1000).await, Err(AppendError::Busy)));
        assert!(rooms.try_take(0, 1000).is_none());
        let other = rooms.take(1, 32 << 20).await.unwrap();
        assert!(rooms.try_take(1, 40 << 20).is_none(), "more than there is in all");
        drop(held);
        // What is larger than all of it is taken alone.
        let all = rooms.take(0, 20 << 20).await.unwrap();
        assert!(rooms.try_take(0, 1000).is_none());
        drop((other, all));
        assert!(rooms.try_take(1, 64 << 20).is_some());
    }
}
