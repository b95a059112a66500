//! A tick's arguments, in the form that states take them.

use std::{borrow::Borrow, hash::Hasher};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, BooleanArray, StringArray},
        buffer::{BooleanBuffer, NullBuffer, ScalarBuffer},
        compute::cast,
        datatypes::{DataType, Float64Type, Int64Type, UInt64Type},
        row::Rows,
    },
    common::{Result, ScalarValue, internal_err},
};
use hashbrown::Equivalent;
use siphasher::sip::SipHasher13;

use crate::state::block::Reader;

const SIGN: u64 = 1 << 63;

/// How values are told apart: those of each kind are 64 bits in the order of the values, or
/// text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Signed,
    Unsigned,
    Double,
    Text,
}

impl Kind {
    /// The kind of an Arrow type; `None` for one without.
    pub(crate) fn of(data_type: &DataType) -> Option<Self> {
        use DataType as D;
        Some(match data_type {
            D::Boolean
            | D::Int8
            | D::Int16
            | D::Int32
            | D::Int64
            | D::UInt8
            | D::UInt16
            | D::UInt32
            | D::Date32
            | D::Date64
            | D::Timestamp(..)
            | D::Duration(_) => Self::Signed,
            D::UInt64 => Self::Unsigned,
            D::Float16 | D::Float32 | D::Float64 => Self::Double,
            D::Utf8 | D::LargeUtf8 | D::Utf8View => Self::Text,
            _ => return None,
        })
    }

    /// The value that `bits` stand for.
    pub(crate) fn scalar(self, bits: u64) -> ScalarValue {
        match self {
            Self::Signed => ScalarValue::Int64(Some((bits ^ SIGN) as i64)),
            Self::Double => ScalarValue::Float64(Some(double(bits))),
            Self::Unsigned | Self::Text => ScalarValue::UInt64(Some(bits)),
        }
    }
}

/// The bits of a number, in the order of the numbers: NaN is one and the largest, and both
/// zeros are one.
pub(crate) fn bits(number: f64) -> u64 {
    let bits = if number.is_nan() { f64::NAN.to_bits() } else { (number + 0.0).to_bits() };
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

/// The inverse of [`bits`].
pub(crate) fn double(bits: u64) -> f64 {
    f64::from_bits(if bits & SIGN == 0 { !bits } else { bits & !SIGN })
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Item {
    Bits(u64),
    Text(Box<str>),
}

/// A value where it stands in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ItemRef<'a> {
    Bits(u64),
    Text(&'a str),
}

impl Equivalent<Item> for ItemRef<'_> {
    fn equivalent(&self, item: &Item) -> bool {
        match (self, item) {
            (Self::Bits(a), Item::Bits(b)) => a == b,
            (Self::Text(a), Item::Text(b)) => **a == **b,
            _ => false,
        }
    }
}

impl ItemRef<'_> {
    pub(crate) fn owned(self) -> Item {
        match self {
            Self::Bits(bits) => Item::Bits(bits),
            Self::Text(text) => Item::Text(text.into()),
        }
    }
}

impl Item {
    /// What it takes in a hash table with room to grow, beside `extra` bytes of its own.
    pub(crate) fn bytes(item: ItemRef<'_>, extra: usize) -> usize {
        let own = size_of::<Self>() + extra;
        own * 2 + if let ItemRef::Text(text) = item { text.len() } else { 0 }
    }

    pub(crate) fn as_ref(&self) -> ItemRef<'_> {
        match self {
            Self::Bits(bits) => ItemRef::Bits(*bits),
            Self::Text(text) => ItemRef::Text(text.borrow()),
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Bits(bits) => out.extend_from_slice(&bits.to_le_bytes()),
            Self::Text(text) => encode_bytes(text.as_bytes(), out),
        }
    }

    pub(crate) fn decode(kind: Kind, input: &mut Reader<'_>) -> Option<Self> {
        Some(match kind {
            Kind::Text => Self::Text(decode_text(input)?.into()),
            _ => Self::Bits(input.u64()?),
        })
    }
}

/// Bytes with their length. No state is as long as the length can say.
pub(crate) fn encode_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// The inverse of [`encode_bytes`].
pub(crate) fn decode_bytes<'a>(input: &mut Reader<'a>) -> Option<&'a [u8]> {
    let len = input.u32()? as usize;
    input.bytes(len)
}

/// The inverse of [`encode_bytes`] for text.
pub(crate) fn decode_text<'a>(input: &mut Reader<'a>) -> Option<&'a str> {
    std::str::from_utf8(decode_bytes(input)?).ok()
}

/// The arguments of a tick's rows.
pub(crate) struct Input {
    values: Values,
    /// Which rows count; all unless said.
    counted: Option<BooleanBuffer>,
    /// What lists are ordered by.
    order: Option<Rows>,
}

enum Values {
    Bits(Vec<u64>),
    Numbers(ScalarBuffer<f64>),
    Texts(StringArray),
}

impl Input {
    /// Values to be told apart.
    pub(crate) fn items(array: &ArrayRef, kind: Kind, filter: Option<&BooleanArray>) -> Result<Self> {
        let values = match kind {
            Kind::Text => Values::Texts(cast(array, &DataType::Utf8)?.as_string::<i32>().clone()),
            Kind::Signed => {
                let numbers = cast(array, &DataType::Int64)?;
                Values::Bits(numbers.as_primitive::<Int64Type>().values().iter().map(|n| *n as u64 ^ SIGN).collect())
            }
            Kind::Unsigned => match array.as_primitive_opt::<UInt64Type>() {
                Some(numbers) => Values::Bits(numbers.values().to_vec()),
                None => return internal_err!("an argument of type {}", array.data_type()),
            },
            Kind::Double => {
                let numbers = cast(array, &DataType::Float64)?;
                Values::Bits(numbers.as_primitive::<Float64Type>().values().iter().map(|n| bits(*n)).collect())
            }
        };
        Ok(Self { values, counted: counted(array.nulls().cloned(), filter), order: None })
    }

    /// Hashes of values.
    pub(crate) fn hashes(array: &ArrayRef, kind: Kind, filter: Option<&BooleanArray>) -> Result<Self> {
        let items = Self::items(array, kind, filter)?;
        // The hash is part of the state, so it must be the same in every version.
        let hash = |bytes: &[u8]| {
            let mut hasher = SipHasher13::new();
            hasher.write(bytes);
            hasher.finish()
        };
        let hashes = match &items.values {
            Values::Texts(texts) => (0..texts.len()).map(|row| hash(texts.value(row).as_bytes())).collect(),
            Values::Bits(bits) => bits.iter().map(|bits| hash(&bits.to_le_bytes())).collect(),
            Values::Numbers(_) => return internal_err!("numbers where values are told apart"),
        };
        Ok(Self { values: Values::Bits(hashes), ..items })
    }

    /// Numbers; without NaN unless said.
    pub(crate) fn numbers(array: &ArrayRef, nan: bool, filter: Option<&BooleanArray>) -> Result<Self> {
        let numbers = cast(array, &DataType::Float64)?;
        let values = numbers.as_primitive::<Float64Type>().values().clone();
        let mut nulls = numbers.nulls().cloned();
        if !nan && values.iter().any(|n| n.is_nan()) {
            let real = NullBuffer::new(values.iter().map(|n| !n.is_nan()).collect());
            nulls = NullBuffer::union(nulls.as_ref(), Some(&real));
        }
        Ok(Self { values: Values::Numbers(values), counted: counted(nulls, filter), order: None })
    }

    /// Texts, with what they are ordered by.
    pub(crate) fn texts(texts: StringArray, order: Option<Rows>, filter: Option<&BooleanArray>) -> Self {
        Self { counted: counted(texts.nulls().cloned(), filter), values: Values::Texts(texts), order }
    }

    /// Whether the aggregate takes the row.
    #[inline]
    pub(crate) fn counts(&self, row: usize) -> bool {
        self.counted.as_ref().is_none_or(|counted| counted.value(row))
    }

    /// The value of a row.
    #[inline]
    pub(crate) fn item(&self, row: usize) -> ItemRef<'_> {
        match &self.values {
            Values::Bits(bits) => ItemRef::Bits(bits[row]),
            Values::Texts(texts) => ItemRef::Text(texts.value(row)),
            Values::Numbers(numbers) => ItemRef::Bits(bits(numbers[row])),
        }
    }

    /// The 64 bits of a row's value, or its hash; 0 for text.
    #[inline]
    pub(crate) fn bits(&self, row: usize) -> u64 {
        match self.item(row) {
            ItemRef::Bits(bits) => bits,
            ItemRef::Text(_) => 0,
        }
    }

    /// The number of a row; NaN for what is none.
    #[inline]
    pub(crate) fn number(&self, row: usize) -> f64 {
        match &self.values {
            Values::Numbers(numbers) => numbers[row],
            _ => f64::NAN,
        }
    }

    /// The text of a row; empty for what is none.
    #[inline]
    pub(crate) fn text(&self, row: usize) -> &str {
        match &self.values {
            Values::Texts(texts) => texts.value(row),
            _ => "",
        }
    }

    /// What a row is ordered by; nothing where the log's order counts.
    #[inline]
    pub(crate) fn order(&self, row: usize) -> &[u8] {
        self.order.as_ref().map_or(&[], |order| order.row(row).data())
    }
}

/// Rows that are neither null nor left out.
fn counted(nulls: Option<NullBuffer>, filter: Option<&BooleanArray>) -> Option<BooleanBuffer> {
    let filter = filter.map(|f| match f.nulls() {
        Some(nulls) => f.values() & nulls.inner(),
        None => f.values().clone(),
    });
    match (nulls, filter) {
        (None, filter) => filter,
        (Some(nulls), None) => Some(nulls.inner().clone()),
        (Some(nulls), Some(filter)) => Some(nulls.inner() & &filter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_in_the_order_of_numbers() {
        let numbers = [f64::NEG_INFINITY, -1e300, -2.5, -1e-310, 0.0, 1e-310, 2.5, 1e300, f64::INFINITY, f64::NAN];
        let all: Vec<u64> = numbers.iter().map(|n| bits(*n)).collect();
        assert!(all.is_sorted_by(|a, b| a < b));
        assert!(numbers.iter().zip(&all).all(|(n, b)| double(*b).to_bits() == n.to_bits()));
        assert_eq!((bits(-0.0), bits(-f64::NAN)), (bits(0.0), bits(f64::NAN)));
        assert_eq!(Kind::Signed.scalar((-7_i64) as u64 ^ SIGN), ScalarValue::Int64(Some(-7)));
    }
}
