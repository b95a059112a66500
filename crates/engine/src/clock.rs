//! The two readings of a cut's clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// What a cut says of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading {
    /// Wall time, milliseconds since 1970; never falls.
    pub clock: i64,
    /// Milliseconds that the engine has been running, over all its starts. Waiting is
    /// measured by it: an outage or a jump of the wall clock closes no window.
    pub elapsed: i64,
}

/// Continues the readings of the last cut.
///
/// Where the system's clock was set back, the wall time goes on at half its pace until the
/// system's has caught up: it never falls, and nothing that waits for it waits for ever.
#[derive(Debug)]
pub struct Clock {
    last: Reading,
    base: i64,
    started: Instant,
    /// Half a millisecond that the slowed wall time has not made use of yet.
    half: i64,
}

impl Clock {
    /// Goes on from the reading of the last cut.
    pub fn resume(last: Reading) -> Self {
        Self { last, base: last.elapsed, started: Instant::now(), half: 0 }
    }

    /// The time now; neither part falls, whatever the system's clock does.
    pub fn read(&mut self) -> Reading {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
        self.advance(wall, self.base + self.started.elapsed().as_millis() as i64)
    }

    fn advance(&mut self, wall: i64, elapsed: i64) -> Reading {
        let elapsed = elapsed.max(self.last.elapsed);
        let halves = elapsed - self.last.elapsed + self.half;
        self.half = halves % 2;
        self.last = Reading { clock: wall.max(self.last.clock + halves / 2), elapsed };
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_goes_on_at_half_its_pace_until_the_systems_has_caught_up() {
        let mut clock = Clock::resume(Reading { clock: 1_000_000, elapsed: 500 });
        let mut read = |wall, elapsed| clock.advance(wall, elapsed).clock;
        assert_eq!(read(2_000_000, 500), 2_000_000, "it follows the system's ahead");
        assert_eq!(read(1_000_000, 501), 2_000_000);
        assert_eq!(read(1_000_001, 502), 2_000_001);
        assert_eq!(read(1_000_099, 600), 2_000_050);
        assert_eq!(read(2_000_051, 601), 2_000_051, "and again once that has caught up");
    }
}
