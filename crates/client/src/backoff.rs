//! How long to wait before the next attempt.

use std::time::Duration;

/// Exponential back-off with full jitter: attempt `n` waits a random time between zero
/// and `first * 2^n`, at most `max`. Many clients that lost one server at one moment
/// then come back spread out, not together. Source: "Exponential Backoff And Jitter",
/// AWS Architecture Blog, 2015.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The longest first wait.
    pub first: Duration,
    /// The longest wait of all.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(250), max: Duration::from_secs(15) }
    }
}

impl Backoff {
    /// The longest wait before attempt `attempt`, which counts from 0.
    pub fn ceiling(&self, attempt: u32) -> Duration {
        self.first.saturating_mul(1 << attempt.min(20)).min(self.max)
    }

    /// The wait before attempt `attempt`, where `unit` is a random number from 0 to 1.
    pub fn delay(&self, attempt: u32, unit: f64) -> Duration {
        self.ceiling(attempt).mul_f64(unit.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_jitter_covers_all_of_them() {
        let backoff = Backoff::default();
        let ceilings: Vec<_> = (0..8).map(|n| backoff.ceiling(n).as_millis()).collect();
        assert_eq!(ceilings, [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000]);
        assert_eq!(backoff.ceiling(u32::MAX), backoff.max);
        assert_eq!(backoff.delay(2, 0.0), Duration::ZERO);
        assert_eq!(backoff.delay(2, 0.5), Duration::from_millis(500));
        assert_eq!(backoff.delay(2, 1.0), backoff.ceiling(2));
    }
}
