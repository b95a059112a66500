//! A row of a batch as JSON, for dead letters of which only columns are left.

use arrow_array::{
    Array, RecordBatch,
    cast::AsArray,
    types::{Date32Type, Decimal128Type, DecimalType, Float64Type, Int32Type, Int64Type, TimestampMillisecondType},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use model::{Column, DataType, dead_letter::MAX_RAW};

use crate::decode::date_text;

/// 2^53: integers beyond it are strings in JSON, because readers in JavaScript round them.
const SAFE_INTEGER: u64 = 1 << 53;

/// The row as a JSON object by column names, cut at [`MAX_RAW`] bytes. A row that the
/// batch does not have gives nothing; a column of a type that streams do not have is null.
pub fn row_as_json(batch: &RecordBatch, row: usize) -> Bytes {
    if row >= batch.num_rows() {
        return Bytes::new();
    }
    let mut out = Vec::with_capacity(256);
    for (i, (field, array)) in batch.schema_ref().fields().iter().zip(batch.columns()).enumerate() {
        out.push(if i == 0 { b'{' } else { b',' });
        text(&mut out, field.name());
        out.push(b':');
        let data_type = Column::from_field(field).map(|c| c.data_type);
        value(&mut out, data_type.filter(|_| array.is_valid(row)), array.as_ref(), row);
        if out.len() > MAX_RAW {
            break;
        }
    }
    out.extend_from_slice(if batch.num_columns() == 0 { b"{}" } else { b"}" });
    if out.len() > MAX_RAW {
        out.truncate(super::decode::char_boundary(&out, MAX_RAW));
    }
    Bytes::from(out)
}

fn value(out: &mut Vec<u8>, data_type: Option<DataType>, array: &dyn Array, row: usize) {
    match data_type {
        None => out.extend_from_slice(b"null"),
        Some(DataType::Text) => text(out, array.as_string::<i32>().value(row)),
        Some(DataType::Json) => {
            let json = array.as_string::<i32>().value(row).as_bytes();
            out.extend_from_slice(&json[..json.len().min(MAX_RAW + 1)]);
        }
        Some(DataType::BigInt) => {
            let value = array.as_primitive::<Int64Type>().value(row);
            if value.unsigned_abs() > SAFE_INTEGER {
                text(out, itoa::Buffer::new().format(value));
            } else {
                out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
            }
        }
        Some(DataType::Timestamp) => {
            let value = array.as_primitive::<TimestampMillisecondType>().value(row);
            out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        }
        Some(DataType::Int) => {
            let value = array.as_primitive::<Int32Type>().value(row);
            out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        }
        Some(DataType::Double) => {
            // serde_json writes NaN and infinities as null, as the protocol has it.
            let value = serde_json::Value::from(array.as_primitive::<Float64Type>().value(row));
            out.extend_from_slice(value.to_string().as_bytes());
        }
        Some(DataType::Decimal { precision, scale }) => {
            let value = array.as_primitive::<Decimal128Type>().value(row);
            text(out, &Decimal128Type::format_decimal(value, precision, scale as i8));
        }
        Some(DataType::Date) => match date_text(array.as_primitive::<Date32Type>().value(row)) {
            Some(date) => text(out, &date),
            None => out.extend_from_slice(b"null"),
        },
        Some(DataType::Bytes) => {
            // Three bytes are four letters.
            let bytes = array.as_binary::<i32>().value(row);
            text(out, &STANDARD.encode(&bytes[..bytes.len().min(MAX_RAW)]));
        }
        Some(DataType::TextList) => {
            let list = array.as_list::<i32>().value(row);
            let items = list.as_string::<i32>();
            for i in 0..items.len() {
                if out.len() > MAX_RAW {
                    return;
                }
                out.push(if i == 0 { b'[' } else { b',' });
                if items.is_valid(i) {
                    text(out, items.value(i));
                } else {
                    out.extend_from_slice(b"null");
                }
            }
            out.extend_from_slice(if items.is_empty() { b"[]" } else { b"]" });
        }
        Some(DataType::Boolean) => {
            out.extend_from_slice(if array.as_boolean().value(row) { b"true" } else { b"false" });
        }
    }
}

/// Text as a JSON string; of long text only as much as can be kept.
fn text(out: &mut Vec<u8>, text: &str) {
    let kept = text.get(..super::decode::char_boundary(text.as_bytes(), MAX_RAW + 1)).unwrap_or_default();
    out.extend_from_slice(serde_json::Value::from(kept).to_string().as_bytes());
}

#[cfg(test)]
mod tests {
    use config::StreamColumn;

    use super::*;
    use crate::{Decoder, Format, Limits};

    fn columns() -> Vec<StreamColumn> {
        DataType::ALL
            .iter()
            .map(|&data_type| StreamColumn {
                name: data_type.name().to_owned(),
                from: data_type.name().to_owned(),
                data_type,
                not_null: false,
            })
            .collect()
    }

    #[test]
    fn a_row_of_every_type_reads_back_as_it_was() {
        let line = concat!(
            r#"{"text":"a \"quote\" and ü","bigint":"9007199254740993","int":-7,"double":1.5,"#,
            r#""decimal":"-0.05","boolean":true,"timestamp":-1,"date":"2024-02-29","bytes":"AP8=","#,
            r#""text[]":["a \"b\"",null,""],"json":{"a":[1,null]}}"#
        );
        let mut decoder = Decoder::new(&columns(), None, Limits::default());
        let decoded = decoder.decode(Format::Ndjson, format!("{line}\n{{}}").as_bytes());
        assert_eq!(row_as_json(&decoded.batches[0], 0), line);
        let nulls: serde_json::Value =
            serde_json::from_slice(&row_as_json(&decoded.batches[0], 1)).expect("valid JSON");
        assert!(nulls.as_object().expect("an object").values().all(serde_json::Value::is_null));
        assert!(row_as_json(&decoded.batches[0], 2).is_empty());
    }

    #[test]
    fn a_long_list_is_cut_too() {
        let items = vec!["\"ü\""; 5000].join(",");
        let line = format!(r#"{{"text[]":[{items}],"bytes":"{}"}}"#, "AAAA".repeat(5000));
        let mut decoder = Decoder::new(&columns(), None, Limits::default());
        let decoded = decoder.decode(Format::Ndjson, line.as_bytes());
        let json = row_as_json(&decoded.batches[0], 0);
        assert!((MAX_RAW - 1..=MAX_RAW).contains(&json.len()), "{} bytes", json.len());
        assert!(std::str::from_utf8(&json).is_ok());
    }

    #[test]
    fn a_long_row_is_cut_at_a_character() {
        let line = format!(r#"{{"text":"{}"}}"#, "ü".repeat(5000));
        let mut decoder = Decoder::new(&columns(), None, Limits::default());
        let decoded = decoder.decode(Format::Ndjson, line.as_bytes());
        let json = row_as_json(&decoded.batches[0], 0);
        assert!((MAX_RAW - 1..=MAX_RAW).contains(&json.len()), "{} bytes", json.len());
        assert!(std::str::from_utf8(&json).is_ok());
    }
}
