//! Values and Arrow cells in MessagePack. Where JSON has to compromise, it does not:
//! integers of 64 bits are integers, NaN and infinities are floats.

use arrow_array::Array;
use rmp::encode;
use rmp_serde::Serializer;

use crate::encode::json::{Cells, date, texts};

/// How deep a message may be nested: an event with its own depth, and what is around it.
const MAX_DEPTH: usize = 100;

// Writing to a `Vec` cannot fail, so the results below say nothing.

/// Begins a map.
pub fn map(entries: usize, out: &mut Vec<u8>) {
    let _ = encode::write_map_len(out, entries as u32);
}

/// Begins an array.
pub fn array(values: usize, out: &mut Vec<u8>) {
    let _ = encode::write_array_len(out, values as u32);
}

/// A text.
pub fn text(value: &str, out: &mut Vec<u8>) {
    let _ = encode::write_str(out, value);
}

/// True or false.
pub fn boolean(value: bool, out: &mut Vec<u8>) {
    let _ = encode::write_bool(out, value);
}

/// No value.
pub fn null(out: &mut Vec<u8>) {
    let _ = encode::write_nil(out);
}

/// A whole number.
pub fn unsigned(value: u64, out: &mut Vec<u8>) {
    let _ = encode::write_uint(out, value);
}

fn integer(value: i64, out: &mut Vec<u8>) {
    let _ = encode::write_sint(out, value);
}

/// One cell of a column.
pub fn cell(cells: &Cells, row: usize, out: &mut Vec<u8>) {
    match cells {
        Cells::Text(a) if a.is_valid(row) => text(a.value(row), out),
        Cells::Json(a) if a.is_valid(row) => embedded(a.value(row), out),
        Cells::BigInt(a) if a.is_valid(row) => integer(a.value(row), out),
        Cells::Int(a) if a.is_valid(row) => integer(i64::from(a.value(row)), out),
        Cells::Double(a) if a.is_valid(row) => {
            let _ = encode::write_f64(out, a.value(row));
        }
        Cells::Boolean(a) if a.is_valid(row) => boolean(a.value(row), out),
        Cells::Timestamp(a) if a.is_valid(row) => integer(a.value(row), out),
        Cells::Date(a) if a.is_valid(row) => text(&date(a, row), out),
        Cells::Decimal(a) if a.is_valid(row) => text(&a.value_as_string(row), out),
        Cells::Bytes(a) if a.is_valid(row) => {
            let _ = encode::write_bin(out, a.value(row));
        }
        Cells::TextList(a) if a.is_valid(row) => {
            let items = a.value(row);
            let items = texts(&items);
            array(items.len(), out);
            for item in items {
                match item {
                    Some(item) => text(item, out),
                    None => null(out),
                }
            }
        }
        _ => null(out),
    }
}

/// A JSON document as the value that it is; what is none (a query may have made it)
/// becomes a text, because one bad cell must not spoil a frame for everybody.
fn embedded(value: &str, out: &mut Vec<u8>) {
    let start = out.len();
    if from_json(value.as_bytes(), out).is_err() {
        out.truncate(start);
        text(value, out);
    }
}

/// JSON text as MessagePack.
pub fn from_json(json: &[u8], out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    use serde::ser::Error as _;
    // Beyond i64 and u64 the number is a double, as every JSON number may be.
    let mut reader = serde_json::Deserializer::from_slice(json);
    serde_transcode::transcode(&mut reader, &mut Serializer::new(&mut *out)).map_err(serde_json::Error::custom)?;
    reader.end()
}

/// MessagePack as JSON text; the error says what JSON has no word for.
pub fn to_json(packed: &[u8]) -> Result<String, String> {
    let mut out = Vec::with_capacity(packed.len() * 2);
    let mut reader = rmp_serde::Deserializer::new(std::io::Cursor::new(packed));
    reader.set_max_depth(MAX_DEPTH);
    serde_transcode::transcode(&mut reader, &mut serde_json::Serializer::new(&mut out)).map_err(|e| e.to_string())?;
    let rest = reader.position() as usize;
    if rest < packed.len() {
        return Err(format!("{} bytes behind the message", packed.len() - rest));
    }
    String::from_utf8(out).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
    use model::{Column, DataType, Schema};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn cells_of(data_type: DataType, array: ArrayRef) -> Vec<u8> {
        let rows = array.len();
        let schema = Schema::new(vec![Column::new("c", data_type)]).to_arrow();
        let batch = RecordBatch::try_new(schema, vec![array]).unwrap();
        let mut out = Vec::new();
        super::array(rows, &mut out);
        for row in 0..rows {
            cell(&Cells::of_column(&batch, 0), row, &mut out);
        }
        out
    }

    #[test]
    fn values_keep_what_json_would_lose() {
        let ints = cells_of(DataType::BigInt, Arc::new(Int64Array::from(vec![Some(i64::MIN), Some(i64::MAX), None])));
        assert_eq!(rmp_serde::from_slice::<Vec<Option<i64>>>(&ints).unwrap(), [Some(i64::MIN), Some(i64::MAX), None]);
        let doubles = cells_of(DataType::Double, Arc::new(Float64Array::from(vec![f64::INFINITY, f64::NAN, -0.5])));
        let doubles: Vec<f64> = rmp_serde::from_slice(&doubles).unwrap();
        assert!(doubles[0] > f64::MAX && doubles[1].is_nan());
        assert_eq!(doubles[2].to_bits(), (-0.5_f64).to_bits());
        let times = cells_of(DataType::Timestamp, Arc::new(TimestampMillisecondArray::from(vec![-1, 1 << 41])));
        assert_eq!(rmp_serde::from_slice::<Vec<i64>>(&times).unwrap(), [-1, 1 << 41]);
        let texts = vec![Some(r#"{"a":[1,null,"x"]}"#), Some("{broken"), Some("1 2"), None];
        let documents = cells_of(DataType::Json, Arc::new(StringArray::from(texts)));
        let documents: Value = rmp_serde::from_slice(&documents).unwrap();
        assert_eq!(documents, json!([{"a": [1, null, "x"]}, "{broken", "1 2", null]));
    }

    #[test]
    fn what_json_has_no_word_for_is_refused() {
        for packed in [&[0x81, 0x91, 0x01, 0x02][..], &[0xC1], &[0x92, 0x01], &[0x01, 0x02], &[]] {
            assert!(to_json(packed).is_err(), "{packed:?}");
        }
        assert!(to_json(&[0x91; 2000]).is_err(), "nested without bound");
    }

    proptest! {
        #[test]
        fn json_survives_the_way_there_and_back(text in ".*", number in any::<i64>(), flag in any::<bool>()) {
            let value = json!({"op": text, "list": [number, flag, null, {"deep": [text]}]});
            let mut packed = Vec::new();
            from_json(value.to_string().as_bytes(), &mut packed).unwrap();
            prop_assert_eq!(serde_json::from_str::<Value>(&to_json(&packed).unwrap()).unwrap(), value);
        }

        #[test]
        fn garbage_is_never_a_panic(packed in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = to_json(&packed);
        }
    }
}
