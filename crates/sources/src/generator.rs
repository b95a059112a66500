//! Seeded random events, for demonstrations and for trying a configuration out.

use std::{collections::HashMap, f64::consts::TAU, mem, sync::Arc};

use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMillisecondArray, new_null_array,
};
use arrow_schema::SchemaRef;
use config::{Generated, GeneratorSource, StreamColumn};
use model::DataType;
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

use crate::decode::stream_column;

/// More than this is never owed: after a pause (a machine that slept) the events of the
/// time before are left out.
const MAX_OWED_MS: i64 = 60_000;

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// Makes events at a steady rate.
///
/// Event number `k` has the time `start + k / rate`, whenever it is asked for, so times lie
/// evenly between one call and the next. Equal seeds and equal calls give equal events.
#[derive(Debug)]
pub struct Generator {
    rate: f64,
    schema: SchemaRef,
    columns: Vec<Made>,
    rng: Xoshiro256PlusPlus,
    /// The time from which events are counted, in milliseconds since 1970.
    origin_ms: i64,
    /// How many events were made since then.
    made: u64,
    /// How many events were made in all.
    total: u64,
}

/// A column and what it gets.
#[derive(Debug)]
struct Made {
    data_type: DataType,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Now,
    Choice(Vec<String>),
    Uniform {
        low: f64,
        high: f64,
    },
    /// A position for each combination of the event's choices.
    Walk {
        start: f64,
        step: f64,
        low: f64,
        high: f64,
        at: HashMap<u64, f64>,
    },
    Wave {
        low: f64,
        high: f64,
        period_ms: f64,
    },
    Sequence(i64),
}

/// What one event has in one column.
#[derive(Debug, Clone, Copy)]
enum Value<'a> {
    Text(&'a str),
    Number(f64),
    Integer(i64),
}

impl Generator {
    /// A generator whose first event has the time `start_clock_ms`. `event_time` names the
    /// column of the stream's time, which is never null.
    pub fn new(
        source: &GeneratorSource,
        columns: &[StreamColumn],
        event_time: Option<&str>,
        start_clock_ms: i64,
    ) -> Self {
        let schema = model::Schema::new(columns.iter().map(|c| stream_column(c, event_time)).collect());
        let columns = columns
            .iter()
            .enumerate()
            .map(|(i, column)| Made {
                data_type: column.data_type,
                values: source.columns.get(i).map_or(Values::Now, Values::new),
            })
            .collect();
        Self {
            rate: if source.rate.is_finite() { source.rate.max(0.0) } else { 0.0 },
            schema: schema.to_arrow(),
            columns,
            rng: Xoshiro256PlusPlus::seed_from_u64(source.seed),
            origin_ms: start_clock_ms,
            made: 0,
            total: 0,
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
        let times: Vec<i64> = (0..rows as u64).map(|i| self.time_of(self.made + i)).collect();
        let picks = self.pick(rows);
        let combinations = self.combinations(&picks, rows);
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (column, picks) in self.columns.iter_mut().zip(&picks) {
            arrays.push(column.array(&mut self.rng, &times, picks, &combinations, self.total));
        }
        self.made += rows as u64;
        self.total += rows as u64;
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays);
        Some(batch.expect("each array is of its column's type and has no nulls"))
    }

    /// Counts anew from `now_ms` where the clock has jumped: back, or so far ahead that
    /// more is owed than is worth making.
    fn follow_clock(&mut self, now_ms: i64) {
        let next = self.time_of(self.made);
        let behind = now_ms.saturating_sub(next);
        let interval_ms = if self.rate > 0.0 { 1000.0 / self.rate } else { return };
        if behind > MAX_OWED_MS || ((-behind) as f64) > interval_ms + 1000.0 {
            (self.origin_ms, self.made) = (now_ms, 0);
        }
    }

    fn time_of(&self, event: u64) -> i64 {
        self.origin_ms.saturating_add((event as f64 * 1000.0 / self.rate).ceil() as i64)
    }

    /// For each choice column, which of its texts each event gets.
    fn pick(&mut self, rows: usize) -> Vec<Vec<usize>> {
        let mut picks = vec![Vec::new(); self.columns.len()];
        for _ in 0..rows {
            for (column, picks) in self.columns.iter().zip(&mut picks) {
                if let Values::Choice(texts) = &column.values {
                    picks.push(if texts.is_empty() { 0 } else { self.rng.random_range(0..texts.len()) });
                }
            }
        }
        picks
    }

    /// A number for each event's combination of choices.
    fn combinations(&self, picks: &[Vec<usize>], rows: usize) -> Vec<u64> {
        let mut numbers = vec![0_u64; rows];
        for (column, picks) in self.columns.iter().zip(picks) {
            if let Values::Choice(texts) = &column.values {
                for (number, &pick) in numbers.iter_mut().zip(picks) {
                    *number = number.wrapping_mul(texts.len() as u64).wrapping_add(pick as u64);
                }
            }
        }
        numbers
    }
}

impl Values {
    fn new(generated: &Generated) -> Self {
        match generated {
            Generated::Now => Self::Now,
            Generated::Choice(texts) => Self::Choice(texts.clone()),
            &Generated::Uniform(low, high) => Self::Uniform { low, high },
            &Generated::Walk { start, step, low, high } => Self::Walk { start, step, low, high, at: HashMap::new() },
            &Generated::Wave { low, high, period } => {
                Self::Wave { low, high, period_ms: (period.as_secs_f64() * 1000.0).max(1.0) }
            }
            &Generated::Sequence(start) => Self::Sequence(start),
        }
    }
}

impl Made {
    fn array(
        &mut self,
        rng: &mut Xoshiro256PlusPlus,
        times: &[i64],
        picks: &[usize],
        combinations: &[u64],
        total: u64,
    ) -> ArrayRef {
        let mut values = mem::replace(&mut self.values, Values::Now);
        let rows = 0..times.len();
        let array = match &mut values {
            Values::Now => self.collect(rows.map(|i| Value::Integer(times[i]))),
            Values::Choice(texts) => {
                self.collect(rows.map(|i| Value::Text(texts.get(picks[i]).map_or("", String::as_str))))
            }
            &mut Values::Uniform { low, high } => {
                self.collect(rows.map(|_| Value::Number(low + (high - low) * rng.random::<f64>())))
            }
            Values::Walk { start, step, low, high, at } => self.collect(rows.map(|i| {
                let position =
                    at.entry(combinations[i]).and_modify(|p| *p += *step * (2.0 * rng.random::<f64>() - 1.0));
                let position = position.or_insert(*start);
                *position = position.max(*low).min(*high);
                Value::Number(*position)
            })),
            &mut Values::Wave { low, high, period_ms } => self.collect(rows.map(|i| {
                // The rest before the division keeps the fraction exact for times of today.
                let phase = (times[i] as f64).rem_euclid(period_ms) / period_ms;
                let noise = 0.04 * (rng.random::<f64>() - 0.5);
                let share = (0.5 + 0.5 * (phase * TAU).sin() + noise).clamp(0.0, 1.0);
                Value::Number(low + (high - low) * share)
            })),
            &mut Values::Sequence(start) => {
                self.collect(rows.map(|i| Value::Integer(start.wrapping_add((total + i as u64) as i64))))
            }
        };
        self.values = values;
        array
    }

    /// An array of the column's type.
    fn collect<'a>(&self, values: impl ExactSizeIterator<Item = Value<'a>>) -> ArrayRef {
        match self.data_type {
            DataType::Text => Arc::new(StringArray::from_iter_values(values.map(Value::text))),
            DataType::Json => Arc::new(StringArray::from_iter_values(values.map(Value::json))),
            DataType::BigInt => Arc::new(Int64Array::from_iter_values(values.map(Value::integer))),
            DataType::Timestamp => Arc::new(TimestampMillisecondArray::from_iter_values(values.map(Value::integer))),
            DataType::Int => {
                let clamp = |v: i64| v.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32;
                Arc::new(Int32Array::from_iter_values(values.map(|v| clamp(v.integer()))))
            }
            DataType::Double => Arc::new(Float64Array::from_iter_values(values.map(Value::number))),
            DataType::Decimal { precision, scale } => {
                let values = Decimal128Array::from_iter_values(values.map(|v| v.decimal(precision, scale)));
                Arc::new(values.with_data_type(self.data_type.arrow()))
            }
            DataType::Boolean => Arc::new(values.map(|v| Some(v.number() >= 0.5)).collect::<BooleanArray>()),
            DataType::Date => {
                Arc::new(Date32Array::from_iter_values(values.map(|v| v.integer().div_euclid(DAY_MS) as i32)))
            }
            // The configuration gives a generator no columns of these types.
            DataType::Bytes | DataType::TextList => new_null_array(&self.data_type.arrow(), values.len()),
        }
    }
}

impl Value<'_> {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text.to_owned(),
            Self::Number(number) => number.to_string(),
            Self::Integer(integer) => integer.to_string(),
        }
    }

    /// A choice that is JSON stays as it is; other text becomes a string.
    fn json(self) -> String {
        match self {
            Self::Text(text) => match serde_json::from_str::<&serde_json::value::RawValue>(text) {
                Ok(raw) => raw.get().to_owned(),
                Err(_) => serde_json::Value::from(text).to_string(),
            },
            other => other.text(),
        }
    }

    fn integer(self) -> i64 {
        match self {
            Self::Text(text) => text.parse().unwrap_or(0),
            Self::Number(number) => number.round() as i64,
            Self::Integer(integer) => integer,
        }
    }

    /// The nearest decimal with these digits.
    fn decimal(self, precision: u8, scale: u8) -> i128 {
        let unit = 10_i128.pow(scale.into());
        let value = match self {
            Self::Integer(integer) => i128::from(integer).saturating_mul(unit),
            other => (other.number() * unit as f64).round() as i128,
        };
        let most = 10_i128.pow(precision.into()) - 1;
        value.clamp(-most, most)
    }

    fn number(self) -> f64 {
        match self {
            Self::Text(text) if text.eq_ignore_ascii_case("true") => 1.0,
            Self::Text(text) => text.parse().unwrap_or(0.0),
            Self::Number(number) => number,
            Self::Integer(integer) => integer as f64,
        }
    }
}
