//! Exact quantiles: the median, and the percentile between two values.
//!
//! ```text
//!            low                 high          n values, in order
//!   [ 1  1  2 ... lower ]  [ upper ... 9 ]     low holds the first ⌊at · (n − 1)⌋ + 1
//! ```
//!
//! A value more moves that border by at most one, so a row and a reading cost a few steps in
//! the trees, however many values there are.

use std::collections::BTreeMap;

use datafusion::common::{Result, ScalarValue};

use super::{Growing, Input, read::double};
use crate::state::block::Reader;

/// What a value takes in a tree, with its share of the nodes.
const VALUE: usize = 32;

/// How often each value is there.
type Half = BTreeMap<u64, u64>;

/// The values of a group, in order.
#[derive(Debug)]
pub(crate) struct Quantile {
    low: Half,
    high: Half,
    /// How many values `low` holds, with their repetitions.
    below: u64,
    total: u64,
    at: f64,
    distinct: bool,
}

impl Quantile {
    pub(crate) fn new(at: f64, distinct: bool) -> Self {
        Self { low: Half::new(), high: Half::new(), below: 0, total: 0, at, distinct }
    }

    pub(crate) fn decode(at: f64, distinct: bool, input: &mut Reader<'_>) -> Option<Self> {
        let mut all = Self::new(at, distinct);
        for _ in 0..input.u32()? {
            let bits = input.u64()?;
            let count = input.u64().filter(|count| *count > 0)?;
            all.total = all.total.checked_add(count)?;
            if all.high.insert(bits, count).is_some() {
                return None;
            }
        }
        all.balance();
        Some(all)
    }

    /// The place of the value, from 0, between the whole numbers.
    fn place(&self) -> f64 {
        self.at * self.total.saturating_sub(1) as f64
    }

    /// Moves the border where it belongs.
    fn balance(&mut self) {
        let wanted = (self.place() as u64 + 1).min(self.total);
        while self.below < wanted {
            let Some((bits, count)) = self.high.pop_first() else { return };
            let moved = count.min(wanted - self.below);
            if moved < count {
                self.high.insert(bits, count - moved);
            }
            *self.low.entry(bits).or_default() += moved;
            self.below += moved;
        }
        while self.below > wanted {
            let Some((bits, count)) = self.low.pop_last() else { return };
            let moved = count.min(self.below - wanted);
            if moved < count {
                self.low.insert(bits, count - moved);
            }
            *self.high.entry(bits).or_default() += moved;
            self.below -= moved;
        }
    }

    fn holds(&self, bits: u64) -> bool {
        self.low.contains_key(&bits) || self.high.contains_key(&bits)
    }

    /// Values that differ; one on both sides of the border is one.
    fn different(&self) -> usize {
        self.low.len() + self.high.len() - usize::from(self.is_split())
    }

    fn is_split(&self) -> bool {
        self.high.first_key_value().is_some_and(|(bits, _)| self.low.contains_key(bits))
    }
}

impl Growing for Quantile {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.different() * VALUE
    }

    fn more(&self, input: &Input, row: usize) -> usize {
        if self.holds(input.bits(row)) { 0 } else { VALUE }
    }

    fn add(&mut self, input: &Input, row: usize) {
        let bits = input.bits(row);
        if self.distinct && self.holds(bits) {
            return;
        }
        self.total += 1;
        if self.low.last_key_value().is_some_and(|(last, _)| bits <= *last) {
            *self.low.entry(bits).or_default() += 1;
            self.below += 1;
        } else {
            *self.high.entry(bits).or_default() += 1;
        }
        self.balance();
    }

    fn value(&self) -> Result<ScalarValue> {
        let Some((lower, _)) = self.low.last_key_value() else { return Ok(ScalarValue::Float64(None)) };
        let part = self.place().fract();
        let upper = self.high.first_key_value().map(|(upper, _)| upper).filter(|upper| part > 0.0 && *upper != lower);
        let value = double(*lower) + upper.map_or(0.0, |upper| (double(*upper) - double(*lower)) * part);
        Ok(ScalarValue::Float64(Some(value)))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.different() as u32).to_le_bytes());
        let split = if self.is_split() { self.high.first_key_value() } else { None };
        let over = |bits: u64| split.filter(|(same, _)| **same == bits).map_or(0, |(_, count)| *count);
        let high = self.high.iter().skip(usize::from(split.is_some()));
        for (bits, count) in
            self.low.iter().map(|(bits, count)| (bits, count + over(*bits))).chain(high.map(|(b, c)| (b, *c)))
        {
            out.extend_from_slice(&bits.to_le_bytes());
            out.extend_from_slice(&count.to_le_bytes());
        }
    }
}
