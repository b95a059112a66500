//! Rows as CSV (RFC 4180). A null is an empty field, an empty text a quoted one: so the
//! two stay apart, as PostgreSQL keeps them.

use arrow_array::{Array, RecordBatch};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use model::Column;

use crate::encode::json::{Cells, date, list};

/// The line of names.
pub fn header(columns: &[Column], out: &mut Vec<u8>) {
    for (i, column) in columns.iter().enumerate() {
        comma(i, out);
        field(&column.name, out);
    }
    out.extend_from_slice(b"\r\n");
}

/// A line a row.
pub fn records(batch: &RecordBatch, out: &mut Vec<u8>) {
    let columns = Cells::of(batch);
    for row in 0..batch.num_rows() {
        for (i, cells) in columns.iter().enumerate() {
            comma(i, out);
            cell(cells, row, out);
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn cell(cells: &Cells, row: usize, out: &mut Vec<u8>) {
    match cells {
        Cells::Text(a) | Cells::Json(a) if a.is_valid(row) => field(a.value(row), out),
        Cells::BigInt(a) if a.is_valid(row) => number(itoa::Buffer::new().format(a.value(row)), out),
        Cells::Int(a) if a.is_valid(row) => number(itoa::Buffer::new().format(a.value(row)), out),
        // Also NaN, inf and -inf, which most readers know.
        Cells::Double(a) if a.is_valid(row) => number(ryu::Buffer::new().format(a.value(row)), out),
        Cells::Boolean(a) if a.is_valid(row) => number(if a.value(row) { "true" } else { "false" }, out),
        Cells::Timestamp(a) if a.is_valid(row) => match Timestamp::from_millisecond(a.value(row)) {
            Ok(time) => number(&format!("{time:.3}"), out),
            // Beyond the years that RFC 3339 can write.
            Err(_) => number(itoa::Buffer::new().format(a.value(row)), out),
        },
        Cells::Date(a) if a.is_valid(row) => number(&date(a, row), out),
        Cells::Decimal(a) if a.is_valid(row) => number(&a.value_as_string(row), out),
        Cells::Bytes(a) if a.is_valid(row) => field(&STANDARD.encode(a.value(row)), out),
        Cells::TextList(a) if a.is_valid(row) => {
            let mut items = Vec::new();
            list(&a.value(row), &mut items);
            field(&String::from_utf8_lossy(&items), out);
        }
        _ => {}
    }
}

fn number(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(text.as_bytes());
}

fn field(text: &str, out: &mut Vec<u8>) {
    let plain = !text.is_empty() && !text.bytes().any(|b| matches!(b, b'"' | b',' | b'\r' | b'\n'));
    if plain {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    for (i, part) in text.split('"').enumerate() {
        if i > 0 {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(part.as_bytes());
    }
    out.push(b'"');
}

fn comma(index: usize, out: &mut Vec<u8>) {
    if index > 0 {
        out.push(b',');
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Float64Array, StringArray, TimestampMillisecondArray};
    use model::{DataType, Schema};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_written_as_documented() {
        let columns = vec![
            Column::new("a,b", DataType::Text),
            Column::new("x", DataType::Double),
            Column::new("t", DataType::Timestamp),
        ];
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(vec![Some(""), None, Some("say \"hi\"")])),
            Arc::new(Float64Array::from(vec![Some(1.5), Some(f64::NAN), None])),
            Arc::new(TimestampMillisecondArray::from(vec![1_700_000_000_005, -1, i64::MAX])),
        ];
        let batch = RecordBatch::try_new(Schema::new(columns.clone()).to_arrow(), arrays).unwrap();
        let mut out = Vec::new();
        header(&columns, &mut out);
        records(&batch, &mut out);
        let expected = "\"a,b\",x,t\r\n\"\",1.5,2023-11-14T22:13:20.005Z\r\n,NaN,1969-12-31T23:59:59.999Z\r\n\
                        \"say \"\"hi\"\"\",,9223372036854775807\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    proptest! {
        #[test]
        fn another_reader_reads_the_same_texts(texts in prop::collection::vec("[a-c\",\r\n é]*", 1..10)) {
            let columns = vec![Column::new("a", DataType::Text), Column::new("b", DataType::Text)];
            let column: ArrayRef = Arc::new(StringArray::from(texts.clone()));
            let batch =
                RecordBatch::try_new(Schema::new(columns.clone()).to_arrow(), vec![column.clone(), column]).unwrap();
            let mut out = Vec::new();
            records(&batch, &mut out);
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&out[..]);
            let found: Vec<_> = reader.records().map(|r| r.unwrap()).collect();
            prop_assert_eq!(found.len(), texts.len());
            for (record, text) in found.iter().zip(&texts) {
                prop_assert_eq!((&record[0], &record[1]), (text.as_str(), text.as_str()));
            }
        }
    }
}
