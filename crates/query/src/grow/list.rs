//! `array_agg` and `string_agg`: every value, in the log's order or another.

use std::collections::BTreeMap;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, BooleanArray, StringArray},
        compute::cast,
        datatypes::{DataType, FieldRef},
        row::{RowConverter, SortField},
    },
    common::{Result, ScalarValue},
};

use super::{
    Growing, Input,
    read::{decode_bytes, decode_text, encode_bytes},
};
use crate::{letter::json_value, state::block::Reader};

/// How a list is made.
#[derive(Debug)]
pub(crate) struct ListRule {
    /// The values as JSON, in brackets, for `array_agg`; else they are text.
    pub(crate) json: Option<FieldRef>,
    pub(crate) separator: String,
    pub(crate) ignore_nulls: bool,
    /// Each value once, in its own order.
    pub(crate) distinct: bool,
    /// What values are ordered by, if not the log's order.
    pub(crate) order: Vec<SortField>,
    /// The first of the arguments that they are ordered by.
    pub(crate) order_from: usize,
    /// The type of the aggregate.
    pub(crate) output: DataType,
}

impl ListRule {
    /// A tick's values as the texts that the list will hold.
    pub(crate) fn read(&self, args: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Input> {
        let texts = match &self.json {
            None => cast(&args[0], &DataType::Utf8)?.as_string::<i32>().clone(),
            Some(field) => {
                let values = cast(&args[0], field.data_type())?;
                let json = |row: usize| {
                    let null = values.is_null(row);
                    (!null || !self.ignore_nulls).then(|| {
                        let mut text = String::new();
                        if null {
                            text.push_str("null");
                        } else {
                            json_value(field, &values, row, &mut text);
                        }
                        text
                    })
                };
                (0..values.len()).map(json).collect::<StringArray>()
            }
        };
        let order = if self.order.is_empty() {
            None
        } else {
            let columns = &args[self.order_from..self.order_from + self.order.len()];
            Some(RowConverter::new(self.order.clone())?.convert_columns(columns)?)
        };
        Ok(Input::texts(texts, order, filter))
    }
}

/// What an element takes in a tree, beside its bytes.
const ELEMENT: usize = 96;

/// The values of a group.
#[derive(Debug)]
pub(crate) struct List {
    rule: std::sync::Arc<ListRule>,
    /// How many values came.
    count: u64,
    /// All of them in the log's order, with separators.
    text: String,
    /// Or each by what it is ordered by, then its number.
    ordered: BTreeMap<(Box<[u8]>, u64), Box<str>>,
    bytes: usize,
}

impl List {
    pub(crate) fn new(rule: std::sync::Arc<ListRule>) -> Self {
        Self { rule, count: 0, text: String::new(), ordered: BTreeMap::new(), bytes: size_of::<Self>() }
    }

    pub(crate) fn decode(rule: std::sync::Arc<ListRule>, input: &mut Reader<'_>) -> Option<Self> {
        let mut list = Self::new(rule);
        list.count = input.u64()?;
        decode_text(input)?.clone_into(&mut list.text);
        list.bytes += list.text.len();
        for _ in 0..input.u32()? {
            let order = decode_bytes(input)?;
            let number = input.u64()?;
            let text = decode_text(input)?;
            list.bytes += element(order, text);
            if list.ordered.insert((order.into(), number), text.into()).is_some() {
                return None;
            }
        }
        Some(list)
    }

    /// The number that tells equal places apart.
    fn number(&self) -> u64 {
        if self.rule.distinct { 0 } else { self.count }
    }

    fn holds(&self, order: &[u8]) -> bool {
        self.rule.distinct && self.ordered.contains_key(&(order.into(), 0))
    }
}

fn element(order: &[u8], text: &str) -> usize {
    ELEMENT + order.len() + text.len()
}

impl Growing for List {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn more(&self, input: &Input, row: usize) -> usize {
        let text = input.text(row);
        if self.rule.order.is_empty() {
            text.len() + if self.count > 0 { self.rule.separator.len() } else { 0 }
        } else if self.holds(input.order(row)) {
            0
        } else {
            element(input.order(row), text)
        }
    }

    fn add(&mut self, input: &Input, row: usize) {
        self.bytes += self.more(input, row);
        let text = input.text(row);
        if self.rule.order.is_empty() {
            if self.count > 0 {
                self.text.push_str(&self.rule.separator);
            }
            self.text.push_str(text);
        } else {
            self.ordered.entry((input.order(row).into(), self.number())).or_insert_with(|| text.into());
        }
        self.count += 1;
    }

    fn value(&self) -> Result<ScalarValue> {
        if self.count == 0 {
            return ScalarValue::try_from(&self.rule.output);
        }
        let mut text = String::with_capacity(self.bytes);
        let brackets = self.rule.json.is_some();
        if brackets {
            text.push('[');
        }
        text.push_str(&self.text);
        for (place, element) in self.ordered.values().enumerate() {
            if place > 0 {
                text.push_str(&self.rule.separator);
            }
            text.push_str(element);
        }
        if brackets {
            text.push(']');
        }
        match self.rule.output {
            DataType::LargeUtf8 => Ok(ScalarValue::LargeUtf8(Some(text))),
            _ => ScalarValue::from(text).cast_to(&self.rule.output),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.count.to_le_bytes());
        encode_bytes(self.text.as_bytes(), out);
        out.extend_from_slice(&(self.ordered.len() as u32).to_le_bytes());
        for ((order, number), text) in &self.ordered {
            encode_bytes(order, out);
            out.extend_from_slice(&number.to_le_bytes());
            encode_bytes(text.as_bytes(), out);
        }
    }
}
