//! Sources that make their events when they are asked: they have no past to read again.

use std::time::Duration;

use arrow_array::RecordBatch;

/// A source that makes its events. What it made is logged like a post; what it would have
/// made while nobody asked is left out.
pub trait Sampled: Send {
    /// How long to wait until the next sample.
    fn every(&self) -> Duration;

    /// The events of now, `now_ms` in milliseconds since 1970; `None` if there are none.
    fn sample(&mut self, now_ms: i64) -> Option<RecordBatch>;
}
