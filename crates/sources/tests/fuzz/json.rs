//! The scan of JSON against `serde_json`, which reads each record on the careful way.

use sources::{Decoded, Decoder, Format, Limits};

use super::{
    Outcome, columns,
    made::{Made, Value},
    run,
};

const LIMITS: Limits =
    Limits { max_record: 2000, max_depth: 6, max_fields: 16, batch_rows: 3, max_decoded: usize::MAX };
const LIKELY: &[u8] = b"{}[],:\"\\ \n\r\t0123456789.eE-+tfnul\xEF\xFF";

/// Writes a value with blanks and escapes where they may be.
fn write(made: &mut Made, value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::List(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                comma(made, i, out);
                write(made, item, out);
            }
            blank(made, out);
            out.push(b']');
        }
        Value::Map(entries) => object(made, entries, out),
        Value::Text(text) => string(made, text, out),
        Value::Integer(_) if made.once_in(12) => out.extend_from_slice(made.number_text().as_bytes()),
        other => out.extend_from_slice(&serde_json::to_vec(other).expect("JSON")),
    }
}

fn object(made: &mut Made, entries: &[(String, Value)], out: &mut Vec<u8>) {
    out.push(b'{');
    for (i, (name, value)) in entries.iter().enumerate() {
        comma(made, i, out);
        string(made, name, out);
        blank(made, out);
        out.push(b':');
        blank(made, out);
        write(made, value, out);
    }
    blank(made, out);
    out.push(b'}');
}

fn comma(made: &mut Made, i: usize, out: &mut Vec<u8>) {
    if i > 0 {
        blank(made, out);
        out.push(b',');
    }
    blank(made, out);
}

fn blank(made: &mut Made, out: &mut Vec<u8>) {
    if made.once_in(40) {
        out.push(made.pick(b" \t \t\r\n"));
    }
}

fn string(made: &mut Made, text: &str, out: &mut Vec<u8>) {
    if !made.once_in(10) {
        return out.extend_from_slice(&serde_json::to_vec(text).expect("JSON"));
    }
    out.push(b'"');
    for unit in text.encode_utf16() {
        out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
    }
    out.push(b'"');
}

fn input(made: &mut Made) -> Vec<u8> {
    let records = made.below(4);
    let mut input = Vec::new();
    for _ in 0..=records {
        let record = made.record();
        object(made, &record, &mut input);
        input.extend_from_slice(made.pick(&[&b"\n"[..], b"\n", b"\n", b"\r\n", b" \n\n"]));
    }
    if made.once_in(2) {
        made.breakage(&mut input, LIKELY);
    }
    input
}

fn array(made: &mut Made) -> Vec<u8> {
    let mut input = vec![b'['];
    for i in 0..made.below(4) {
        comma(made, i, &mut input);
        let record = made.record();
        object(made, &record, &mut input);
    }
    input.push(b']');
    if made.once_in(3) {
        made.breakage(&mut input, LIKELY);
    }
    input
}

fn same(scanned: &Decoded, expected: &Decoded) -> Result<Outcome, String> {
    if scanned.batches != expected.batches {
        return Err(format!("rows differ: {:?} and {:?}", scanned.batches, expected.batches));
    }
    if scanned.rejected != expected.rejected {
        return Err(format!("refusals differ: {:?} and {:?}", scanned.rejected, expected.rejected));
    }
    if (scanned.accepted, scanned.total) != (expected.accepted, expected.total) {
        return Err("counts differ".to_owned());
    }
    Ok(Outcome { accepted: scanned.accepted, refused: scanned.total - scanned.accepted, whole: 0 })
}

/// What the library says of a line, by itself: it must be an object to become a row.
fn library_agrees(input: &[u8], decoded: &Decoded) -> Result<(), String> {
    let is_object = |line: &[u8]| {
        let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        std::str::from_utf8(line).is_ok_and(|line| {
            line.trim_ascii().starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok()
        })
    };
    let objects = input.split(|b| *b == b'\n').filter(|line| is_object(line)).count() as u64;
    if decoded.accepted > objects {
        return Err(format!("{} rows of {objects} objects", decoded.accepted));
    }
    Ok(())
}

#[test]
fn lines() {
    let mut scanning = Decoder::new(columns(), None, LIMITS);
    let mut careful = Decoder::new(columns(), None, LIMITS).without_scan();
    run("JSON lines", input, |input| {
        let scanned = scanning.decode(Format::Ndjson, input);
        library_agrees(input, &scanned)?;
        same(&scanned, &careful.decode(Format::Ndjson, input))
    });
}

#[test]
fn texts() {
    let mut scanning = Decoder::new(columns(), None, LIMITS);
    let mut careful = Decoder::new(columns(), None, LIMITS).without_scan();
    run("JSON texts", array, |input| {
        let scanned = scanning.decode(Format::Json, input);
        let is_json =
            serde_json::from_slice::<serde::de::IgnoredAny>(input.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(input));
        if scanned.accepted > 0 && is_json.is_err() {
            return Err(format!("accepted what is no JSON: {is_json:?}"));
        }
        let mut outcome = same(&scanned, &careful.decode(Format::Json, input))?;
        outcome.whole = u64::from(is_json.is_err());
        Ok(outcome)
    });
}
