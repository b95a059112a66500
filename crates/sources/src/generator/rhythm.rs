//! When events are left out.

use std::{f64::consts::TAU, time::Duration};

use config::{Rhythm, Silent, Spell};

/// What share of the rate there is at a time, 0 to 1.
pub(super) fn share_at(rhythm: &Rhythm, time_ms: i64) -> f64 {
    if rhythm.outage.is_some_and(|spell| covers(spell, time_ms)) {
        return 0.0;
    }
    if rhythm.spike.is_some_and(|spell| covers(spell, time_ms)) {
        return 1.0;
    }
    rhythm.wave.map_or(1.0, |wave| {
        let period_ms = millis(wave.period) as f64;
        let phase = (time_ms as f64).rem_euclid(period_ms) / period_ms;
        wave.low + (wave.high - wave.low) * (0.5 + 0.5 * (phase * TAU).sin())
    })
}

/// Spells are counted from 1970, so that they come at the same times after a restart. A
/// spell ends where the next would begin: the first seconds of a day are quiet.
fn covers(spell: Spell, time_ms: i64) -> bool {
    time_ms.rem_euclid(millis(spell.every)) >= millis(spell.every) - millis(spell.lasts)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).max(1)
}

/// Values of a choice that are silent for a while.
#[derive(Debug)]
pub(super) struct Hush {
    /// The choice's column.
    pub column: usize,
    share: f64,
    lasts_ms: i64,
    seed: u64,
}

impl Hush {
    pub fn new(silent: Silent, seed: u64) -> Self {
        Self { column: silent.column, share: silent.share, lasts_ms: millis(silent.lasts), seed }
    }

    /// Whether the value number `pick` is silent at a time. Time is cut into turns, for each
    /// value elsewhere, and each turn of each value is drawn anew.
    pub fn covers(&self, pick: usize, time_ms: i64) -> bool {
        let own = mixed(self.seed ^ (pick as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let offset = (own % self.lasts_ms.unsigned_abs()) as i64;
        let turn = time_ms.saturating_add(offset).div_euclid(self.lasts_ms);
        // 53 bits are what a double holds.
        (mixed(own ^ turn as u64) >> 11) as f64 / (1_u64 << 53) as f64 <= self.share && self.share > 0.0
    }
}

/// The output function of `SplitMix64` (Steele, Lea and Flood 2014): every bit depends on every bit.
fn mixed(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}
