//! How far a stream's event time has come.
//!
//! The watermark says: nothing older is expected. It follows the newest event time of each
//! partition at a distance of `max_lateness`, the slowest partition deciding; a partition
//! that is silent for `idle_timeout` no longer decides. While the source has nothing more to
//! read and nothing arrives, the watermark moves on with the time that goes by, so that
//! the last windows close; never during an outage or a backfill.

use std::collections::BTreeMap;

use datafusion::arrow::{
    array::{Array, AsArray, BooleanArray, RecordBatch},
    compute::{filter_record_batch, max},
    datatypes::TimestampMillisecondType,
};
use model::Reason;

use crate::{
    letter::Refused,
    state::block::{self, Reader, StateError},
};

/// How a stream's time is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeOptions {
    /// How many milliseconds behind the newest event an event may come.
    pub max_lateness_ms: i64,
    /// A partition silent for so many milliseconds stops holding the watermark back.
    pub idle_timeout_ms: i64,
    /// How many milliseconds ahead of its arrival an event may be; `None` is any.
    pub max_ahead_ms: Option<i64>,
}

/// The least time between two advances without events, in milliseconds: how exactly the
/// last window of a stream that falls silent is closed.
const STEP_LEAST: i64 = 250;

/// The most time between two advances without events, in milliseconds.
const STEP_MOST: i64 = 60_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Partition {
    /// Its newest event time.
    newest: i64,
    /// When its last event came.
    seen: i64,
}

/// The watermark of one stream. `clock` is wall time, `elapsed` the running time of the
/// engine: waiting is measured by the latter, so that neither an outage nor a jump of
/// the wall clock closes a window. Both are milliseconds and never fall.
#[derive(Debug)]
pub struct Watermarks {
    options: TimeOptions,
    partitions: BTreeMap<u32, Partition>,
    current: i64,
    /// When the watermark was last advanced.
    advanced: i64,
    /// When the last event came.
    arrived: i64,
    /// How long nothing has come while there was nothing more to read.
    quiet: i64,
    /// Whether an event came since the last advance.
    fresh: bool,
}

impl Watermarks {
    /// No event yet.
    pub fn new(options: TimeOptions) -> Self {
        Self {
            options,
            partitions: BTreeMap::new(),
            current: i64::MIN,
            advanced: 0,
            arrived: 0,
            quiet: 0,
            fresh: false,
        }
    }

    /// Takes note of the event times of a batch of one partition, in the column at index
    /// `column`. Returns the rows that may go on; the others are dead letters: those
    /// without a time, and those further ahead of `clock` than allowed, which could
    /// close everyone's windows. There is room for `room` letters.
    pub fn admit(
        &mut self,
        partition: u32,
        clock: i64,
        elapsed: i64,
        batch: &RecordBatch,
        column: usize,
        room: usize,
    ) -> (RecordBatch, Refused) {
        let mut dead = Refused::new(room);
        let Some(times) = batch.columns().get(column).and_then(|c| c.as_primitive_opt::<TimestampMillisecondType>())
        else {
            // The caller's schema says which column is the time; without one no time passes.
            debug_assert!(false, "column {column} is no timestamp");
            return (batch.clone(), dead);
        };
        let limit = self.options.max_ahead_ms.map_or(i64::MAX, |ahead| clock.saturating_add(ahead));
        let mut newest = max(times);
        let mut kept = batch.clone();
        if times.null_count() > 0 || newest.is_some_and(|t| t > limit) {
            let good = |row: usize| times.is_valid(row) && times.value(row) <= limit;
            for row in (0..times.len()).filter(|row| !good(*row)) {
                if times.is_null(row) {
                    dead.push(Reason::Missing, || "the event has no time".to_owned(), batch, row);
                    continue;
                }
                let ahead = times.value(row).saturating_sub(clock);
                let most = self.options.max_ahead_ms.unwrap_or_default();
                let unit = other_unit(times.value(row), clock);
                let message =
                    || format!("its time is {ahead} ms ahead of its arrival, `max_ahead` allows {most} ms{unit}");
                dead.push(Reason::Ahead, message, batch, row);
            }
            let mask: BooleanArray = (0..times.len()).map(|row| Some(good(row))).collect();
            newest = (0..times.len()).filter(|row| good(*row)).map(|row| times.value(row)).max();
            // A mask of the batch's own length fits it.
            kept = filter_record_batch(batch, &mask).unwrap_or_else(|_| batch.slice(0, 0));
        }
        if let Some(newest) = newest {
            let known = self.partitions.entry(partition).or_insert(Partition { newest, seen: elapsed });
            known.newest = known.newest.max(newest);
            known.seen = elapsed;
            self.arrived = elapsed;
            self.fresh = true;
        }
        (kept, dead)
    }

    /// Ends a tick. `caught_up` says that the source is connected and had nothing more.
    /// Returns the watermark, which never falls.
    pub fn advance(&mut self, elapsed: i64, caught_up: bool) -> i64 {
        if self.fresh {
            self.quiet = 0;
        } else if caught_up {
            self.quiet += (elapsed - self.advanced.max(self.arrived)).max(0);
        }
        self.fresh = false;
        self.advanced = elapsed;
        let active = self.partitions.values().filter(|p| elapsed - p.seen < self.options.idle_timeout_ms);
        // With all partitions silent, none holds back what the newest of them has seen.
        let reached = active.map(|p| p.newest).min().or_else(|| self.partitions.values().map(|p| p.newest).max());
        if let Some(reached) = reached {
            let moved = reached.saturating_add(self.quiet).saturating_sub(self.options.max_lateness_ms);
            self.current = self.current.max(moved);
        }
        self.current
    }

    /// It is known from elsewhere that time has come this far.
    pub fn raise(&mut self, watermark: i64) {
        self.current = self.current.max(watermark);
    }

    /// The watermark after the last [`Watermarks::advance`]; `i64::MIN` before any event.
    pub fn current(&self) -> i64 {
        self.current
    }

    /// The elapsed time at which an advance without events would move the watermark by
    /// something worth a tick: the longer the silence, the coarser. `None` before any event.
    pub fn due(&self) -> Option<i64> {
        if self.partitions.is_empty() {
            return None;
        }
        let silence = self.advanced - self.arrived;
        Some(self.advanced.saturating_add((silence / 16).clamp(STEP_LEAST, STEP_MOST)))
    }

    /// Everything that an advance depends on.
    pub fn checkpoint(&self) -> Vec<u8> {
        let block = block::seal(Vec::new(), |out| {
            for number in [self.current, self.advanced, self.arrived, self.quiet] {
                out.extend_from_slice(&number.to_le_bytes());
            }
            out.push(u8::from(self.fresh));
            for (number, partition) in &self.partitions {
                out.extend_from_slice(&number.to_le_bytes());
                out.extend_from_slice(&partition.newest.to_le_bytes());
                out.extend_from_slice(&partition.seen.to_le_bytes());
            }
        });
        block.data.unwrap_or_default()
    }

    /// As a checkpoint left it; the options may be others.
    pub fn restore(options: TimeOptions, bytes: &[u8]) -> Result<Self, StateError> {
        let mut input = block::open(bytes)?;
        Self::read(options, &mut input).ok_or(StateError::Damaged("a watermark"))
    }

    fn read(options: TimeOptions, input: &mut Reader<'_>) -> Option<Self> {
        let mut marks = Self::new(options);
        marks.current = input.i64()?;
        marks.advanced = input.i64()?;
        marks.arrived = input.i64()?;
        marks.quiet = input.i64()?;
        marks.fresh = input.u8()? != 0;
        while !input.is_empty() {
            let number = input.u32()?;
            marks.partitions.insert(number, Partition { newest: input.i64()?, seen: input.i64()? });
        }
        Some(marks)
    }
}

/// What to add to the refusal of a time that is plainly not in milliseconds: one that comes
/// near the time it was compared with if it is taken for another unit. Empty if there is none.
pub(crate) fn other_unit(time: i64, near: i64) -> &'static str {
    /// Ten years.
    const NEAR: i64 = 315_576_000_000;
    let is_near = |time: i64| time > 0 && time.saturating_sub(near).saturating_abs() < NEAR;
    if is_near(time) {
        ""
    } else if is_near(time.saturating_mul(1_000)) {
        "; it seems to be in seconds, and a timestamp is in milliseconds"
    } else if is_near(time / 1_000) {
        "; it seems to be in microseconds, and a timestamp is in milliseconds"
    } else if is_near(time / 1_000_000) {
        "; it seems to be in nanoseconds, and a timestamp is in milliseconds"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::TimestampMillisecondArray;
    use model::{Column, DataType, Schema};

    use super::*;

    const OPTIONS: TimeOptions = TimeOptions { max_lateness_ms: 100, idle_timeout_ms: 1000, max_ahead_ms: Some(500) };

    fn batch(times: &[Option<i64>]) -> RecordBatch {
        let schema = Schema::new(vec![Column::new("ts", DataType::Timestamp)]);
        let times = TimestampMillisecondArray::from(times.to_vec());
        RecordBatch::try_new(schema.to_arrow(), vec![Arc::new(times)]).unwrap()
    }

    fn arrive(marks: &mut Watermarks, partition: u32, at: i64, time: i64) {
        let (kept, dead) = marks.admit(partition, i64::MAX - 1000, at, &batch(&[Some(time)]), 0, 10);
        assert_eq!((kept.num_rows(), dead.len()), (1, 0));
    }

    #[test]
    fn the_slowest_partition_decides_until_it_is_idle() {
        let mut marks = Watermarks::new(OPTIONS);
        assert_eq!((marks.advance(0, true), marks.due()), (i64::MIN, None));
        arrive(&mut marks, 0, 10, 5000);
        arrive(&mut marks, 1, 10, 2000);
        assert_eq!(marks.advance(10, false), 1900);
        arrive(&mut marks, 0, 1009, 6000);
        assert_eq!(marks.advance(1009, false), 1900);
        arrive(&mut marks, 0, 1010, 6001);
        assert_eq!(marks.advance(1010, false), 5901);
        arrive(&mut marks, 1, 1020, 2001);
        assert_eq!(marks.advance(1020, false), 5901, "it never falls");
    }

    #[test]
    fn it_moves_on_only_while_there_is_nothing_more_to_read() {
        let mut marks = Watermarks::new(OPTIONS);
        arrive(&mut marks, 0, 0, 5000);
        assert_eq!(marks.advance(0, true), 4900);
        assert_eq!(marks.advance(300, true), 5200);
        assert_eq!(marks.advance(900, false), 5200, "an outage");
        assert_eq!(marks.advance(1000, true), 5300);
        assert_eq!(marks.advance(50_000, true), 54_300, "with every partition idle it still moves");
        arrive(&mut marks, 0, 50_001, 6000);
        assert_eq!(marks.advance(50_001, true), 54_300);
    }

    #[test]
    fn steps_grow_with_the_silence() {
        let mut marks = Watermarks::new(OPTIONS);
        arrive(&mut marks, 0, 0, 5000);
        let mut at = 0;
        let mut advances = 0;
        while at < 86_400_000 {
            marks.advance(at, true);
            at = marks.due().unwrap();
            advances += 1;
        }
        assert!(advances < 1700, "{advances} ticks in a silent day");
    }

    #[test]
    fn what_has_no_time_or_is_far_ahead_is_refused_and_moves_nothing() {
        let mut marks = Watermarks::new(OPTIONS);
        let (kept, dead) = marks.admit(0, 1000, 0, &batch(&[Some(1500), None, Some(1501), Some(-7)]), 0, 10);
        assert_eq!(kept, batch(&[Some(1500), Some(-7)]));
        assert_eq!(dead.iter().map(|d| d.reason).collect::<Vec<_>>(), [Reason::Missing, Reason::Ahead]);
        assert_eq!(marks.advance(0, true), 1400);
        let (kept, _) = marks.admit(1, 1000, 1, &batch(&[None]), 0, 10);
        assert_eq!(kept.num_rows(), 0);
        assert_eq!(marks.advance(1, false), 1400);
    }

    #[test]
    fn it_survives_a_checkpoint_and_damage_is_found() {
        let mut marks = Watermarks::new(OPTIONS);
        arrive(&mut marks, 0, 5, 5000);
        arrive(&mut marks, 7, 6, 4000);
        marks.advance(10, true);
        marks.advance(400, true);
        let bytes = marks.checkpoint();
        let mut again = Watermarks::restore(OPTIONS, &bytes).unwrap();
        assert_eq!((again.current(), again.due()), (marks.current(), marks.due()));
        for at in [500, 1200, 9000] {
            assert_eq!(again.advance(at, true), marks.advance(at, true));
        }
        assert!(Watermarks::restore(OPTIONS, &bytes[1..]).is_err());
        assert!(Watermarks::restore(OPTIONS, &[]).is_err());
    }

    #[test]
    fn times_in_other_units_are_told() {
        let now = 1_769_860_800_000;
        for (time, unit) in [
            (now, ""),
            (now - 86_400_000, ""),
            (now / 1_000, "in seconds"),
            (now * 1_000, "in microseconds"),
            (now * 1_000_000, "in nanoseconds"),
            (0, ""),
            (i64::MIN, ""),
            (i64::MAX, ""),
        ] {
            let told = other_unit(time, now);
            assert!(if unit.is_empty() { told.is_empty() } else { told.contains(unit) }, "{time}: {told}");
        }
        assert_eq!(other_unit(1_000, i64::MIN), "");
    }
}
