//! What the columns of made events hold.

use std::{collections::HashMap, f64::consts::TAU, mem, sync::Arc};

use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, StringArray,
    TimestampMillisecondArray, new_null_array,
};
use config::Generated;
use model::DataType;
use rand::{RngExt, rngs::Xoshiro256PlusPlus};

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// Events to be made.
pub(super) struct Rows {
    /// When each is, in milliseconds since 1970.
    pub times: Vec<i64>,
    /// For each column that is a choice, which of its texts each event has.
    pub picks: Vec<Vec<usize>>,
    /// A number for each event's combination of choices.
    pub numbers: Vec<u64>,
}

/// A column and what it gets.
#[derive(Debug)]
pub(super) struct Made {
    data_type: DataType,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Now,
    Choice {
        texts: Vec<String>,
        /// Each text's weight and those before it, together; empty if all are alike.
        upto: Vec<f64>,
    },
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
    Lognormal {
        median: f64,
        spread: f64,
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

impl Values {
    fn new(generated: &Generated) -> Self {
        match generated {
            Generated::Now => Self::Now,
            Generated::Choice { texts, weights } => {
                let sum = |upto: &mut f64, weight: &f64| {
                    *upto += weight;
                    Some(*upto)
                };
                Self::Choice { texts: texts.clone(), upto: weights.iter().scan(0.0, sum).collect() }
            }
            &Generated::Lognormal { median, spread } => Self::Lognormal { median, spread },
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
    pub fn new(data_type: DataType, generated: Option<&Generated>) -> Self {
        Self { data_type, values: generated.map_or(Values::Now, Values::new) }
    }

    /// For a choice: which of its texts, and of how many.
    pub fn pick(&self, rng: &mut Xoshiro256PlusPlus) -> Option<(usize, usize)> {
        let Values::Choice { texts, upto } = &self.values else { return None };
        let last = texts.len().saturating_sub(1);
        let pick = match upto.last() {
            None if texts.is_empty() => 0,
            None => rng.random_range(0..texts.len()),
            Some(all) => {
                let at = all * rng.random::<f64>();
                upto.partition_point(|upto| *upto <= at).min(last)
            }
        };
        Some((pick, texts.len()))
    }

    /// The column's values; `number` is the column's own, `total` counts the events before.
    pub fn array(&mut self, rng: &mut Xoshiro256PlusPlus, events: &Rows, number: usize, total: u64) -> ArrayRef {
        let Rows { times, picks, numbers } = events;
        let mut values = mem::replace(&mut self.values, Values::Now);
        let rows = 0..times.len();
        let array = match &mut values {
            Values::Now => self.collect(rows.map(|i| Value::Integer(times[i]))),
            Values::Choice { texts, .. } => {
                let text = |i: usize| texts.get(picks[number][i]).map_or("", String::as_str);
                self.collect(rows.map(|i| Value::Text(text(i))))
            }
            &mut Values::Lognormal { median, spread } => self.collect(rows.map(|_| {
                // A normal deviate by Box and Muller; the first number is never 0.
                let (u, v) = (1.0 - rng.random::<f64>(), rng.random::<f64>());
                Value::Number(median * (spread * (-2.0 * u.ln()).sqrt() * (TAU * v).cos()).exp())
            })),
            &mut Values::Uniform { low, high } => {
                self.collect(rows.map(|_| Value::Number(low + (high - low) * rng.random::<f64>())))
            }
            Values::Walk { start, step, low, high, at } => self.collect(rows.map(|i| {
                let position = at.entry(numbers[i]).and_modify(|p| *p += *step * (2.0 * rng.random::<f64>() - 1.0));
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
