//! The two readings of a cut's clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// What a cut says of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Wall time, milliseconds since 1970; never falls.
    pub clock: i64,
    /// Milliseconds that the engine has been running, over all its starts. Waiting is
    /// measured by it: an outage or a jump of the wall clock closes no window.
    pub elapsed: i64,
}

/// Continues the readings of the last cut.
#[derive(Debug)]
pub struct Clock {
    last: Reading,
    base: i64,
    started: Instant,
}

impl Clock {
    /// Goes on from the reading of the last cut.
    pub fn resume(last: Reading) -> Self {
        Self { last, base: last.elapsed, started: Instant::now() }
    }

    /// The time now; neither part falls, whatever the system's clock does.
    pub fn read(&mut self) -> Reading {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
        let elapsed = self.base + self.started.elapsed().as_millis() as i64;
        self.last = Reading { clock: wall.max(self.last.clock), elapsed: elapsed.max(self.last.elapsed) };
        self.last
    }
}
