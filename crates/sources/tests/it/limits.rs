//! Each limit of a record, reached by one more than it allows.

use model::{DataType, Reason};
use sources::{Decoder, Format, Limits};

use super::{column, rejection, rows};

fn decoder(limits: Limits) -> Decoder {
    Decoder::new(&[column("c", DataType::Json)], None, limits)
}

/// Decodes what is just within a limit, then what is just beyond it.
#[track_caller]
fn edge(limits: Limits, format: Format, within: &[u8], beyond: &[u8]) -> (Reason, String) {
    for mut decoder in [decoder(limits), decoder(limits).without_scan()] {
        let decoded = decoder.decode(format, within);
        assert_eq!((decoded.accepted, decoded.total), (1, 1), "{format:?}: {:?}", decoded.rejected);
    }
    let scanned = decoder(limits).decode(format, beyond);
    let careful = decoder(limits).without_scan().decode(format, beyond);
    assert_eq!(scanned.rejected, careful.rejected);
    let (reason, message) = rejection(&scanned);
    (reason, message.to_owned())
}

#[test]
fn depth() {
    let limits = Limits { max_depth: 4, ..Limits::default() };
    let json = |depth: usize| format!("{{\"c\":{}1{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1)).into_bytes();
    let csv = |depth: usize| format!("c\n{}1{}\n", "[".repeat(depth - 1), "]".repeat(depth - 1)).into_bytes();
    let packed = |depth: usize| [b"\x81\xa1c".to_vec(), vec![0x91; depth - 1], vec![1]].concat();
    let said = (Reason::Malformed, "nested deeper than 4 levels".to_owned());
    assert_eq!(edge(limits, Format::Ndjson, &json(4), &json(5)), said);
    assert_eq!(edge(limits, Format::Json, &json(4), &json(5)), said);
    assert_eq!(edge(limits, Format::Csv, &csv(4), &csv(5)), said);
    assert_eq!(edge(limits, Format::MsgPack, &packed(4), &packed(5)), said);
    // It counts in fields that no column reads, too.
    let ignored = |depth: usize| json(depth).iter().map(|b| if *b == b'c' { b'x' } else { *b }).collect::<Vec<u8>>();
    assert_eq!(edge(limits, Format::Ndjson, &ignored(4), &ignored(5)), said);
    // The stack is no limit that input can reach.
    let deep = Limits { max_depth: usize::MAX, ..Limits::default() };
    let (_, message) = edge(deep, Format::MsgPack, &packed(1024), &packed(100_000));
    assert_eq!(message, "nested deeper than 1024 levels");
}

#[test]
fn fields() {
    let limits = Limits { max_fields: 3, ..Limits::default() };
    let json = |fields: usize| {
        let fields: Vec<String> =
            (0..fields).map(|i| format!("\"f{i}\":{{\"a\":1,\"b\":2,\"c\":3,\"d\":4}}")).collect();
        format!("{{{}}}", fields.join(",")).into_bytes()
    };
    let packed = |fields: u8| {
        let fields: Vec<u8> = (0..fields).flat_map(|i| [0xa1, b'f' + i, 0x80]).collect();
        [vec![0x80 + fields.len() as u8 / 3], fields].concat()
    };
    let said = (Reason::TooLarge, "more than the 3 fields that a record may have".to_owned());
    assert_eq!(edge(limits, Format::Ndjson, &json(3), &json(4)), said);
    assert_eq!(edge(limits, Format::Json, &json(3), &json(4)), said);
    assert_eq!(edge(limits, Format::MsgPack, &packed(3), &packed(4)), said);
    let csv = (Reason::Malformed, "the header line names 4 fields; a record may have 3".to_owned());
    assert_eq!(edge(limits, Format::Csv, b"a,b,d\n1,2,3\n", b"a,b,d,e\n1,2,3,4\n"), csv);
}

#[test]
fn bytes() {
    let limits = Limits { max_record: 20, ..Limits::default() };
    let json = |len: usize| format!("{{\"c\":\"{}\"}}", "x".repeat(len - 8)).into_bytes();
    let csv = |len: usize| format!("c\n\"\"\"{}\"\"\"\n", "x".repeat(len - 6)).into_bytes();
    let packed = |len: usize| [&b"\x81\xa1c"[..], &[0xa0 + len as u8 - 4], &vec![b'x'; len - 4]].concat();
    let said = (Reason::TooLarge, "longer than the 20 bytes that a record may have".to_owned());
    // A line's end is no part of the record, but the scan may count it.
    let line = |len: usize| [json(len), b"\n".to_vec()].concat();
    assert_eq!(edge(limits, Format::Ndjson, &line(20), &line(21)), said);
    assert_eq!(edge(limits, Format::Json, &json(20), &json(21)), said);
    assert_eq!(edge(limits, Format::Csv, &csv(20), &csv(21)), said);
    assert_eq!(edge(limits, Format::MsgPack, &packed(20), &packed(21)), said);
}

#[test]
fn what_is_within_the_limits_of_a_stream_by_default() {
    let defaults = Limits::default();
    assert_eq!((defaults.max_record, defaults.max_depth, defaults.max_fields), (1 << 20, 64, 4096));
    let fields: Vec<String> = (0..4095).map(|i| format!("\"f{i}\":{i}")).collect();
    let line = format!("{{{},\"c\":7}}", fields.join(","));
    let decoded = decoder(defaults).decode(Format::Ndjson, format!("{line}\n{line}\n").as_bytes());
    assert_eq!(rows(&decoded.batches), [r#"{"c":7}"#; 2]);
}
