//! `count`, `sum` and `avg` of the values that differ.

use datafusion::common::{Result, ScalarValue, exec_err};
use foldhash::fast::FixedState;
use hashbrown::HashSet;

use super::{
    Growing, Input, Kind,
    read::{Item, ItemRef, double},
};
use crate::state::block::Reader;

/// What is made of the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sum {
    /// `count`.
    Count,
    /// `sum` of `bigint`, without overflow on the way.
    Signed,
    /// `sum` of unsigned integers.
    Unsigned,
    /// `sum` of `double`.
    Double,
    /// `avg`.
    Avg,
}

/// The values of a group, each once.
#[derive(Debug)]
pub(crate) struct Distinct {
    values: HashSet<Item, FixedState>,
    bytes: usize,
    rule: Sum,
    whole: i128,
    /// In the order in which values came, so it is kept, not computed again.
    double: f64,
}

impl Distinct {
    pub(crate) fn new(rule: Sum) -> Self {
        let values = HashSet::with_hasher(FixedState::with_seed(0));
        Self { values, bytes: size_of::<Self>(), rule, whole: 0, double: 0.0 }
    }

    pub(crate) fn decode(kind: Kind, rule: Sum, input: &mut Reader<'_>) -> Option<Self> {
        let mut all = Self::new(rule);
        all.whole = input.i128()?;
        all.double = f64::from_bits(input.u64()?);
        for _ in 0..input.u32()? {
            let item = Item::decode(kind, input)?;
            all.bytes += Item::bytes(item.as_ref(), 0);
            if !all.values.insert(item) {
                return None;
            }
        }
        Some(all)
    }
}

impl Growing for Distinct {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn more(&self, input: &Input, row: usize) -> usize {
        let item = input.item(row);
        if self.values.contains(&item) { 0 } else { Item::bytes(item, 0) }
    }

    fn add(&mut self, input: &Input, row: usize) {
        let item = input.item(row);
        if self.values.contains(&item) {
            return;
        }
        self.bytes += Item::bytes(item, 0);
        if let ItemRef::Bits(bits) = item {
            match self.rule {
                Sum::Count => {}
                Sum::Signed => self.whole += i128::from((bits ^ 1 << 63) as i64),
                Sum::Unsigned => self.whole += i128::from(bits),
                Sum::Double | Sum::Avg => self.double += double(bits),
            }
        }
        self.values.insert(item.owned());
    }

    fn value(&self) -> Result<ScalarValue> {
        let some = !self.values.is_empty();
        let outside = || exec_err!("the sum {} is outside of what a bigint can hold", self.whole);
        Ok(match self.rule {
            Sum::Count => ScalarValue::Int64(Some(self.values.len() as i64)),
            Sum::Signed => match i64::try_from(self.whole) {
                Ok(sum) => ScalarValue::Int64(some.then_some(sum)),
                Err(_) => return outside(),
            },
            Sum::Unsigned => match u64::try_from(self.whole) {
                Ok(sum) => ScalarValue::UInt64(some.then_some(sum)),
                Err(_) => return outside(),
            },
            Sum::Double => ScalarValue::Float64(some.then_some(self.double)),
            Sum::Avg => ScalarValue::Float64(some.then(|| self.double / self.values.len() as f64)),
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.whole.to_le_bytes());
        out.extend_from_slice(&self.double.to_bits().to_le_bytes());
        out.extend_from_slice(&(self.values.len() as u32).to_le_bytes());
        for item in &self.values {
            item.encode(out);
        }
    }
}
