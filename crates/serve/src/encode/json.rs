//! Arrow columns to JSON text, a column's type looked at once a batch and not once a cell.

use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array,
    ListArray, RecordBatch, StringArray, TimestampMillisecondArray, cast::AsArray,
};
use arrow_schema::{DataType, TimeUnit};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::de::IgnoredAny;

/// The largest integer up to which every integer is a double: beyond it, JavaScript
/// would round, so integers are written as strings.
const MAX_SAFE: u64 = 1 << 53;

/// The typed view of one column of a batch.
pub enum Cells<'a> {
    Text(&'a StringArray),
    Json(&'a StringArray),
    BigInt(&'a Int64Array),
    Int(&'a Int32Array),
    Double(&'a Float64Array),
    Boolean(&'a BooleanArray),
    Timestamp(&'a TimestampMillisecondArray),
    Date(&'a Date32Array),
    Decimal(&'a Decimal128Array),
    Bytes(&'a BinaryArray),
    /// Lists of texts.
    TextList(&'a ListArray),
    /// A type that no feed has ([`model::DataType`] names them all); written as null.
    Unknown,
}

impl<'a> Cells<'a> {
    /// The columns of a batch.
    pub fn of(batch: &'a RecordBatch) -> Vec<Self> {
        (0..batch.num_columns()).map(|i| Self::of_column(batch, i)).collect()
    }

    /// One column of a batch.
    pub fn of_column(batch: &'a RecordBatch, index: usize) -> Self {
        let any = batch.column(index).as_any();
        let schema = batch.schema_ref();
        let field = schema.field(index);
        let cells = match field.data_type() {
            DataType::Utf8 if model::schema::is_json(field) => any.downcast_ref().map(Self::Json),
            DataType::Utf8 => any.downcast_ref().map(Self::Text),
            DataType::Int64 => any.downcast_ref().map(Self::BigInt),
            DataType::Int32 => any.downcast_ref().map(Self::Int),
            DataType::Float64 => any.downcast_ref().map(Self::Double),
            DataType::Boolean => any.downcast_ref().map(Self::Boolean),
            DataType::Timestamp(TimeUnit::Millisecond, _) => any.downcast_ref().map(Self::Timestamp),
            DataType::Date32 => any.downcast_ref().map(Self::Date),
            DataType::Decimal128(..) => any.downcast_ref().map(Self::Decimal),
            DataType::Binary => any.downcast_ref().map(Self::Bytes),
            DataType::List(item) if item.data_type() == &DataType::Utf8 => any.downcast_ref().map(Self::TextList),
            _ => None,
        };
        cells.unwrap_or(Self::Unknown)
    }

    /// Writes one cell.
    pub fn write(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            Self::Text(a) if a.is_valid(row) => text(a.value(row), out),
            Self::Json(a) if a.is_valid(row) => embedded(a.value(row), out),
            Self::BigInt(a) if a.is_valid(row) => bigint(a.value(row), out),
            Self::Int(a) if a.is_valid(row) => integer(i64::from(a.value(row)), out),
            Self::Double(a) if a.is_valid(row) => double(a.value(row), out),
            Self::Boolean(a) if a.is_valid(row) => {
                out.extend_from_slice(if a.value(row) { b"true" } else { b"false" });
            }
            Self::Timestamp(a) if a.is_valid(row) => integer(a.value(row), out),
            Self::Date(a) if a.is_valid(row) => text(&date(a, row), out),
            Self::Decimal(a) if a.is_valid(row) => text(&a.value_as_string(row), out),
            Self::Bytes(a) if a.is_valid(row) => text(&STANDARD.encode(a.value(row)), out),
            Self::TextList(a) if a.is_valid(row) => list(&a.value(row), out),
            _ => out.extend_from_slice(b"null"),
        }
    }
}

/// A day as `2024-12-31`.
pub fn date(days: &Date32Array, row: usize) -> String {
    days.value_as_date(row).map_or_else(String::new, |date| date.to_string())
}

/// The texts of a list.
pub fn texts(items: &ArrayRef) -> impl ExactSizeIterator<Item = Option<&str>> {
    items.as_string::<i32>().iter()
}

/// A list of texts.
pub fn list(items: &ArrayRef, out: &mut Vec<u8>) {
    out.push(b'[');
    for (i, item) in texts(items).enumerate() {
        if i > 0 {
            out.push(b',');
        }
        match item {
            Some(item) => text(item, out),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b']');
}

/// An integer, as a string where a double would round it.
pub fn bigint(value: i64, out: &mut Vec<u8>) {
    if value.unsigned_abs() > MAX_SAFE {
        out.push(b'"');
        integer(value, out);
        out.push(b'"');
    } else {
        integer(value, out);
    }
}

fn integer(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn double(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
}

/// A JSON document as it is; what is none (a query may have made it) becomes a string,
/// because one bad cell must not spoil a frame for everybody.
fn embedded(value: &str, out: &mut Vec<u8>) {
    if serde_json::from_str::<IgnoredAny>(value).is_ok() {
        out.extend_from_slice(value.as_bytes());
    } else {
        text(value, out);
    }
}

/// A quoted string. Runs without a special character are copied whole.
pub fn text(value: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = value.as_bytes();
    out.push(b'"');
    let mut copied = 0;
    for (i, &b) in bytes.iter().enumerate() {
        if b >= b' ' && b != b'"' && b != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[copied..i]);
        copied = i + 1;
        match b {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', b]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
            }
        }
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::{ListBuilder, StringBuilder};
    use model::{Column, DataType, Schema};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::encode::notation::{Json, Notation};

    fn batch_of(columns: Vec<(DataType, ArrayRef)>) -> RecordBatch {
        let names = columns.iter().enumerate().map(|(i, (t, _))| Column::new(format!("c{i}"), *t)).collect();
        RecordBatch::try_new(Schema::new(names).to_arrow(), columns.into_iter().map(|c| c.1).collect()).unwrap()
    }

    fn cells(batch: &RecordBatch) -> Vec<Value> {
        Cells::of(batch)
            .iter()
            .map(|c| {
                let mut out = Vec::new();
                let mut list = Json::new(&mut out);
                list.array(batch.num_rows());
                (0..batch.num_rows()).for_each(|row| list.cell(c, row));
                list.end_array();
                serde_json::from_slice(&out).unwrap()
            })
            .collect()
    }

    #[test]
    fn what_json_cannot_say_is_written_as_agreed() {
        let batch = batch_of(vec![
            (
                DataType::BigInt,
                Arc::new(Int64Array::from(vec![Some(1 << 53), Some((1 << 53) + 1), Some(i64::MIN), None])),
            ),
            (DataType::Double, Arc::new(Float64Array::from(vec![f64::NAN, f64::INFINITY, 1e300, -0.5]))),
            (
                DataType::Json,
                Arc::new(StringArray::from(vec![Some(r#"{"a":[1]}"#), Some("{broken"), Some("\"t\""), None])),
            ),
            (DataType::Timestamp, Arc::new(TimestampMillisecondArray::from(vec![0, -1, 1_700_000_000_000, 5]))),
        ]);
        assert_eq!(
            cells(&batch),
            vec![
                json!([9_007_199_254_740_992_i64, "9007199254740993", "-9223372036854775808", null]),
                json!([null, null, 1e300, -0.5]),
                json!([{"a": [1]}, "{broken", "t", null]),
                json!([0, -1, 1_700_000_000_000_i64, 5]),
            ]
        );
    }

    #[test]
    fn exact_numbers_days_bytes_and_lists_are_written_as_documented() {
        let decimals = Decimal128Array::from(vec![Some(-1_250), None]).with_precision_and_scale(18, 2).unwrap();
        let mut lists = ListBuilder::new(StringBuilder::new());
        lists.append_value([Some("a\"b"), None]);
        lists.append_null();
        let batch = batch_of(vec![
            (DataType::Decimal { precision: 18, scale: 2 }, Arc::new(decimals)),
            (DataType::Date, Arc::new(Date32Array::from(vec![Some(19_675), None]))),
            (DataType::Bytes, Arc::new(BinaryArray::from(vec![Some(&[0, 255][..]), None]))),
            (DataType::TextList, Arc::new(lists.finish())),
        ]);
        let expected = [
            json!(["-12.50", null]),
            json!(["2023-11-14", null]),
            json!(["AP8=", null]),
            json!([["a\"b", null], null]),
        ];
        assert_eq!(cells(&batch), expected);
        let mut csv = Vec::new();
        crate::encode::csv::records(&batch, &mut csv);
        assert_eq!(String::from_utf8(csv).unwrap(), "-12.50,2023-11-14,AP8=,\"[\"\"a\\\"\"b\"\",null]\"\r\n,,,\r\n");
    }

    proptest! {
        #[test]
        fn a_parser_reads_back_what_was_written(
            texts in prop::collection::vec(prop::option::of(".*|[\\x00-\\x1f\"\\\\]*"), 1..20),
            seed in any::<[i32; 4]>(),
            doubles in prop::collection::vec(prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::SUBNORMAL, 1..20),
        ) {
            let rows = texts.len().min(doubles.len());
            let ints: Vec<i32> = (0..rows).map(|i| seed[i % 4]).collect();
            let batch = batch_of(vec![
                (DataType::Text, Arc::new(StringArray::from(texts[..rows].to_vec()))),
                (DataType::Double, Arc::new(Float64Array::from(doubles[..rows].to_vec()))),
                (DataType::Int, Arc::new(Int32Array::from(ints.clone()))),
                (DataType::Boolean, Arc::new(ints.iter().map(|i| Some(i % 2 == 0)).collect::<BooleanArray>())),
            ]);
            let found = cells(&batch);
            for i in 0..rows {
                prop_assert_eq!(&found[0][i], &json!(texts[i]));
                let mut text = Vec::new();
                Cells::of_column(&batch, 1).write(i, &mut text);
                // serde_json's own parser is not exact in the last bit.
                prop_assert_eq!(String::from_utf8(text).unwrap().parse(), Ok(doubles[i]));
                prop_assert_eq!(&found[2][i], &json!(ints[i]));
                prop_assert_eq!(&found[3][i], &json!(ints[i] % 2 == 0));
            }
        }
    }
}
