//! `max_rate`: a viewer's wish for fewer frames, rounded down to a few classes, so that
//! all viewers of a class and view share a clock and its frames.

use std::time::Duration;

/// Frames a second of each class, fastest first.
const RATES: [f64; 7] = [30.0, 20.0, 10.0, 5.0, 2.0, 1.0, 0.2];

/// How many classes there are.
pub const CLASSES: usize = RATES.len();

/// A class, as an index into [`RATES`]; a smaller one is faster.
pub type Class = usize;

/// The class of a wish. What is slower than the slowest class gets that.
pub fn class_of(max_rate: f64) -> Class {
    RATES.iter().position(|rate| *rate <= max_rate).unwrap_or(CLASSES - 1)
}

/// The time between two frames of a class.
pub fn period(class: Class) -> Duration {
    Duration::from_secs_f64(1.0 / RATES[class])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_rounded_down() {
        let rates: Vec<f64> = [1e9, 30.0, 29.0, 1.5, 0.3, 0.01].into_iter().map(|r| RATES[class_of(r)]).collect();
        assert_eq!(rates, [30.0, 30.0, 20.0, 1.0, 0.2, 0.2]);
    }
}
