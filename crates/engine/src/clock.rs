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
        self.advance(wall(), self.base + self.started.elapsed().as_millis() as i64)
    }

    fn advance(&mut self, wall: i64, elapsed: i64) -> Reading {
        let elapsed = elapsed.max(self.last.elapsed);
        let halves = elapsed - self.last.elapsed + self.half;
        self.half = halves % 2;
        self.last = Reading { clock: wall.max(self.last.clock + halves / 2), elapsed };
        self.last
    }
}

/// How long the system's clock must say another time before it is believed.
const BELIEVED_AFTER_MS: i64 = 60_000;

/// Less than this is no jump.
const JUMP_MS: i64 = 1_000;

/// The time of events that are made here. A clock that jumps and comes back, as one that is set
/// by hand or by a broken time server, would put them into another day, and all that come after
/// would be late.
#[derive(Debug)]
pub struct Steady {
    started: Instant,
    /// What is added to the running time.
    base: i64,
    /// The running time at which the system's clock began to say another time.
    doubted: Option<i64>,
}

impl Steady {
    /// Begins with what the system says.
    pub fn new() -> Self {
        Self { started: Instant::now(), base: wall(), doubted: None }
    }

    /// Milliseconds since 1970.
    pub fn read(&mut self) -> i64 {
        self.advance(wall(), self.started.elapsed().as_millis() as i64)
    }

    fn advance(&mut self, wall: i64, running: i64) -> i64 {
        let apart = wall - (self.base + running);
        if apart.abs() < JUMP_MS {
            // It drifts, and is followed.
            (self.base, self.doubted) = (self.base + apart, None);
        } else if running - *self.doubted.get_or_insert(running) >= BELIEVED_AFTER_MS {
            tracing::warn!("the system's clock has jumped by {} s, and is believed from now on", apart / 1_000);
            (self.base, self.doubted) = (self.base + apart, None);
        }
        self.base + running
    }
}

fn wall() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumps_is_believed_after_a_minute_only() {
        let mut steady = Steady { started: Instant::now(), base: 1_000_000, doubted: None };
        let day = 86_400_000;
        assert_eq!(steady.advance(1_000_100, 100), 1_000_100);
        assert_eq!(steady.advance(1_000_900, 200), 1_000_900, "it drifts, and is followed");
        assert_eq!(steady.advance(1_001_000 + day, 300), 1_001_000, "it jumps");
        assert_eq!(steady.advance(1_031_000 + day, 30_300), 1_031_000);
        assert_eq!(steady.advance(1_032_000, 31_300), 1_032_000, "it is back");
        assert_eq!(steady.advance(1_033_000 + day, 32_300), 1_033_000, "it jumps again");
        assert_eq!(steady.advance(1_092_999 + day, 92_299), 1_092_999);
        assert_eq!(steady.advance(1_093_000 + day, 92_300), 1_093_000 + day, "and stays");
    }

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
