//! Seeded random events, for demonstrations and for trying a configuration out.

mod rhythm;
mod values;

use std::{sync::Arc, time::Duration};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use config::{GeneratorSource, Late, Rhythm, StreamColumn};
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

use self::{
    rhythm::{Hush, share_at},
    values::{Made, Rows},
};
use crate::{Sampled, decode::stream_column};

/// How often what is due is made.
const EVERY: Duration = Duration::from_millis(50);

/// How many events are made at once, at most.
const AT_ONCE: usize = 8_192;

/// More than this is never owed: after a pause (a machine that slept) the events of the
/// time before are left out.
const MAX_OWED_MS: i64 = 60_000;

/// Makes events at a rate.
///
/// Event number `k` has the time `start + k / rate`, whenever it is asked for, so times lie
/// evenly between one call and the next. Where the rate goes up and down, or a value is
/// silent, some of these events are left out. Equal seeds and equal calls give equal events.
#[derive(Debug)]
pub struct Generator {
    rate: f64,
    schema: SchemaRef,
    columns: Vec<Made>,
    rhythm: Rhythm,
    late: Option<Late>,
    hush: Option<Hush>,
    rng: Xoshiro256PlusPlus,
    /// The time from which events are counted, in milliseconds since 1970.
    origin_ms: i64,
    /// When it was started: what is before is made however long ago it was.
    started_ms: i64,
    /// How many events were due since then and are done with.
    made: u64,
    /// How many events were made in all.
    total: u64,
    /// Whether more was due at the last sample than was made.
    behind: bool,
}

impl Generator {
    /// A generator that starts at `start_clock_ms`: its first event has that time, or with a
    /// past (`with_past`) one `history` before. `event_time` names the column of the stream's
    /// time, which is never null.
    pub fn new(
        source: &GeneratorSource,
        columns: &[StreamColumn],
        event_time: Option<&str>,
        start_clock_ms: i64,
        with_past: bool,
    ) -> Self {
        let past = if with_past { source.history.as_millis() as i64 } else { 0 };
        let schema = model::Schema::new(columns.iter().map(|c| stream_column(c, event_time)).collect());
        let columns =
            columns.iter().enumerate().map(|(i, column)| Made::new(column.data_type, source.columns.get(i))).collect();
        Self {
            rate: if source.rate.is_finite() { source.rate.max(0.0) } else { 0.0 },
            schema: schema.to_arrow(),
            columns,
            rhythm: source.rhythm,
            late: source.late,
            hush: source.silent.map(|silent| Hush::new(silent, source.seed)),
            rng: Xoshiro256PlusPlus::seed_from_u64(source.seed),
            origin_ms: start_clock_ms - past,
            started_ms: start_clock_ms,
            made: 0,
            total: 0,
            behind: false,
        }
    }

    /// How many events are due at `now_ms`.
    pub fn due(&self, now_ms: i64) -> usize {
        let elapsed = now_ms.saturating_sub(self.origin_ms);
        if elapsed < 0 {
            return 0;
        }
        let by_now = (elapsed as f64 * self.rate / 1000.0).floor() as u64 + 1;
        let owed = by_now.saturating_sub(self.made);
        let most = (MAX_OWED_MS as f64 * self.rate / 1000.0).ceil();
        (owed as f64).min(most) as usize
    }

    /// The next events due at `now_ms`, at most `max`; `None` if there are none.
    pub fn batch(&mut self, now_ms: i64, max: usize) -> Option<RecordBatch> {
        self.follow_clock(now_ms);
        let rows = self.due(now_ms).min(max);
        if rows == 0 {
            return None;
        }
        let events = self.events(rows);
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (number, column) in self.columns.iter_mut().enumerate() {
            arrays.push(column.array(&mut self.rng, &events, number, self.total));
        }
        self.made += rows as u64;
        self.total += events.times.len() as u64;
        if events.times.is_empty() {
            return None;
        }
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays);
        Some(batch.expect("each array is of its column's type and has no nulls"))
    }

    /// The next `rows` events without those that are left out: when each is, and which text of
    /// each choice it has.
    fn events(&mut self, rows: usize) -> Rows {
        let mut events = Rows { times: Vec::new(), picks: vec![Vec::new(); self.columns.len()], numbers: Vec::new() };
        let mut picks = vec![0; self.columns.len()];
        for i in 0..rows as u64 {
            let time = self.time_of(self.made + i);
            let share = share_at(&self.rhythm, time);
            let left_out = share < 1.0 && self.rng.random::<f64>() >= share;
            // A number for each combination of choices.
            let mut number = 0_u64;
            for (column, pick) in self.columns.iter().zip(&mut picks) {
                if let Some((choice, count)) = column.pick(&mut self.rng) {
                    *pick = choice;
                    number = number.wrapping_mul(count as u64).wrapping_add(choice as u64);
                }
            }
            if left_out || self.hush.as_ref().is_some_and(|hush| hush.covers(picks[hush.column], time)) {
                continue;
            }
            let late = self.late.is_some_and(|late| self.rng.random::<f64>() < late.share);
            let behind = if late { self.late.map_or(0, |late| late.by.as_millis() as i64) } else { 0 };
            events.times.push(time.saturating_sub(behind));
            events.numbers.push(number);
            for (all, pick) in events.picks.iter_mut().zip(&picks) {
                all.push(*pick);
            }
        }
        events
    }

    /// Counts anew from `now_ms` where the clock has jumped: back, or so far ahead that
    /// more is owed than is worth making.
    fn follow_clock(&mut self, now_ms: i64) {
        let next = self.time_of(self.made);
        let behind = now_ms.saturating_sub(next);
        let interval_ms = if self.rate > 0.0 { 1000.0 / self.rate } else { return };
        let slept = behind > MAX_OWED_MS && next >= self.started_ms;
        if slept || ((-behind) as f64) > interval_ms + 1000.0 {
            (self.origin_ms, self.made) = (now_ms, 0);
        }
    }

    fn time_of(&self, event: u64) -> i64 {
        self.origin_ms.saturating_add((event as f64 * 1000.0 / self.rate).ceil() as i64)
    }
}

impl Sampled for Generator {
    fn every(&self) -> Duration {
        // More is due than was made at once: a high rate, or a past.
        if self.behind { Duration::ZERO } else { EVERY }
    }

    fn sample(&mut self, now_ms: i64) -> Option<RecordBatch> {
        let batch = self.batch(now_ms, AT_ONCE);
        self.behind = self.due(now_ms) > 0;
        batch
    }
}
