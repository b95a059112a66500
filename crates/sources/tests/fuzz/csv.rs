//! CSV against the `csv` crate.

use config::StreamColumn;
use model::{DataType, Reason};
use sources::{Decoder, Format, Limits, row_as_json};

use super::{Outcome, made::Made, run};

const LIKELY: &[u8] = b",,\"\"\n\r\r\n ab\xC3\xFF";
const NAMES: [&str; 3] = ["a", "b", "c"];

fn columns() -> Vec<StreamColumn> {
    let column = |name: &str| StreamColumn {
        name: name.to_owned(),
        from: name.to_owned(),
        data_type: DataType::Text,
        not_null: false,
    };
    NAMES.map(column).to_vec()
}

fn input(made: &mut Made) -> Vec<u8> {
    let (header, fields) = made.pick(&[(&b"a,b,c\n"[..], 3), (b"c,x,a,b\r\n", 4), (b"\"a\",b\n", 2)]);
    let mut records = Vec::new();
    for _ in 0..made.below(6) {
        let count = if made.once_in(8) { made.below(5) + 1 } else { fields };
        for field in 0..count {
            if field > 0 {
                records.push(b',');
            }
            let text = if made.once_in(3) { made.text() } else { made.telling_text() };
            let needs_quotes = text.contains(['"', ',', '\n', '\r']);
            if (needs_quotes && !made.once_in(20)) || made.once_in(4) {
                records.push(b'"');
                records.extend_from_slice(text.replace('"', "\"\"").as_bytes());
                records.push(b'"');
            } else {
                records.extend_from_slice(text.as_bytes());
            }
        }
        records.extend_from_slice(made.pick(&[&b"\n"[..], b"\r\n", b"\n\n", b"\r"]));
    }
    if made.once_in(2) {
        made.breakage(&mut records, LIKELY);
    }
    [header, &records].concat()
}

#[derive(Debug, PartialEq)]
enum Record {
    Row(Vec<Option<String>>),
    Refused,
}

/// What the crate makes of it.
fn expected(input: &[u8]) -> Vec<Record> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(input);
    let header = reader.byte_headers().expect("memory can be read").clone();
    let place = NAMES.map(|name| header.iter().position(|field| field == name.as_bytes()));
    let record = |record: csv::ByteRecord| {
        if record.len() != header.len() || record.iter().any(|field| std::str::from_utf8(field).is_err()) {
            return Record::Refused;
        }
        let text = |field: &[u8]| String::from_utf8(field.to_vec()).ok().filter(|text| !text.is_empty());
        Record::Row(place.map(|place| place.and_then(|i| text(&record[i]))).to_vec())
    };
    let mut records: Vec<Record> = reader.byte_records().map(|r| record(r.expect("memory can be read"))).collect();
    // Where nothing closes its quotes, the last record would swallow another line.
    let longer = [input, b"\nanother"].concat();
    let more = csv::ReaderBuilder::new().flexible(true).from_reader(longer.as_slice()).into_byte_records().count();
    if more == records.len()
        && let Some(last) = records.last_mut()
    {
        *last = Record::Refused;
    }
    records
}

#[test]
fn records() {
    let mut decoder = Decoder::new(&columns(), None, Limits { batch_rows: 3, ..Limits::default() });
    run("CSV", input, |input| {
        let decoded = decoder.decode(Format::Csv, input);
        let mut rows = decoded.batches.iter().flat_map(|batch| {
            (0..batch.num_rows()).map(move |row| {
                let json: serde_json::Value = serde_json::from_slice(&row_as_json(batch, row)).expect("JSON");
                Record::Row(NAMES.map(|name| json[name].as_str().map(str::to_owned)).to_vec())
            })
        });
        let mut refused = decoded.rejected.iter().map(|r| r.index).peekable();
        if let Some(other) = decoded.rejected.iter().find(|r| r.letter.reason != Reason::Malformed) {
            return Err(format!("refused for another reason: {other:?}"));
        }
        let mut found = Vec::new();
        for index in 0..decoded.total {
            if refused.next_if_eq(&index).is_some() {
                found.push(Record::Refused);
            } else {
                found.push(rows.next().ok_or("fewer rows than accepted")?);
            }
        }
        let expected = expected(input);
        // A quote may part the bytes of a character. The crate puts them together again; here
        // what comes must be text, and the record is refused.
        let is_text = std::str::from_utf8(input).is_ok();
        let same = |(ours, theirs): (&Record, &Record)| ours == theirs || (!is_text && *ours == Record::Refused);
        if found.len() != expected.len() || !found.iter().zip(&expected).all(same) {
            return Err(format!("found {found:?}\nexpected {expected:?}"));
        }
        Ok(Outcome { accepted: decoded.accepted, refused: decoded.total - decoded.accepted, whole: 0 })
    });
}
