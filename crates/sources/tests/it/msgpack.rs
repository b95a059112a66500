//! MessagePack: the same rows and reasons as JSON.

use config::StreamColumn;
use model::{DataType, Reason};
use sources::{Decoder, Format, Limits};

use super::{column, decode, events, rejection, rejections, rows};

/// A map of `metric`, `value` and `ts`.
fn event(metric: &str, value: f64, ts: i64) -> Vec<u8> {
    rmp_serde::to_vec_named(&serde_json::json!({ "metric": metric, "value": value, "ts": ts })).expect("packs")
}

fn row(metric: &str, value: &str, ts: i64) -> String {
    format!("{{\"metric\":\"{metric}\",\"value\":{value},\"ts\":{ts}}}")
}

#[test]
fn one_map_an_array_or_several_one_behind_the_other() {
    let (a, b) = (event("a", 1.5, 1), event("b", 2.5, 2));
    let (row_a, row_b) = (row("a", "1.5", 1), row("b", "2.5", 2));
    let array = [&b"\x92"[..], &a, &b].concat();
    for (input, expected) in [
        (a.clone(), vec![&row_a]),
        (array.clone(), vec![&row_a, &row_b]),
        ([&a[..], &b].concat(), vec![&row_a, &row_b]),
        ([&array[..], &b, b"\x90"].concat(), vec![&row_a, &row_b, &row_b]),
        (b"\x90".to_vec(), vec![]),
    ] {
        let decoded = decode(Format::MsgPack, &input);
        assert_eq!(rows(&decoded.batches).iter().collect::<Vec<_>>(), expected);
        assert_eq!(decoded.total, expected.len() as u64);
    }
}

#[test]
fn a_bad_record_is_refused_alone_and_with_jsons_reasons() {
    let bad = rmp_serde::to_vec(&serde_json::json!({ "value": "abc", "ts": 1 })).expect("packs");
    let input = [&b"\x94"[..], &event("a", 1.0, 1), &bad, b"\x07", b"\x81\xa2ts\xc0"].concat();
    let decoded = decode(Format::MsgPack, &input);
    assert_eq!(rows(&decoded.batches), [row("a", "1.0", 1)]);
    assert_eq!(
        rejections(&decoded),
        [
            (1, Reason::WrongType, "field \"value\": expected double, found text \"abc\""),
            (2, Reason::WrongType, "expected a map, found number 7"),
            (3, Reason::Missing, "field \"ts\" is null: every record needs its timestamp"),
        ]
    );
    assert_eq!(decoded.rejected[0].letter.raw, bad);
}

#[test]
fn what_is_cut_off_or_no_messagepack_accepts_nothing_and_says_where() {
    let whole = [&b"\x92"[..], &event("a", 1.0, 1), &event("b", 2.0, 2)].concat();
    for cut in 1..whole.len() {
        let decoded = decode(Format::MsgPack, &whole[..cut]);
        assert_eq!((decoded.accepted, decoded.total, decoded.batches.len()), (0, 1, 0), "cut at {cut}");
        let expected = format!("the MessagePack cannot be read at byte {cut}: it is cut off");
        assert_eq!(rejection(&decoded), (Reason::Malformed, expected.as_str()));
    }
    let decoded = decode(Format::MsgPack, &[&event("a", 1.0, 1)[..], b"\x81\xa1x\xc1"].concat());
    let (reason, message) = rejection(&decoded);
    assert_eq!((reason, decoded.accepted), (Reason::Malformed, 0));
    assert!(message.ends_with("the byte c1 begins no value"), "{message}");
    assert!(rejection(&decode(Format::MsgPack, b"")).1.contains("nothing is there"));
}

#[track_caller]
fn one(data_type: DataType, value: &[u8]) -> Result<String, (Reason, String)> {
    let mut decoder = Decoder::new(&[column("c", data_type)], None, Limits::default());
    let decoded = decoder.decode(Format::MsgPack, &[b"\x81\xa1c", value].concat());
    match decoded.rejected.into_iter().next() {
        Some(r) => Err((r.letter.reason, r.letter.message)),
        None => {
            Ok(rows(&decoded.batches)[0].strip_prefix("{\"c\":").unwrap_or_default().trim_end_matches('}').to_owned())
        }
    }
}

#[test]
fn each_type_takes_what_messagepack_has_for_it() {
    let price = DataType::Decimal { precision: 6, scale: 2 };
    let f64_of = |value: f64| [&b"\xcb"[..], &value.to_be_bytes()].concat();
    let f32_of = |value: f32| [&b"\xca"[..], &value.to_be_bytes()].concat();
    for (data_type, value, expected) in [
        (DataType::Text, &b"\xa2\xc3\xbc"[..], "\"ü\""),
        (DataType::BigInt, b"\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", "\"9223372036854775807\""),
        (DataType::BigInt, b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00", "\"-9223372036854775808\""),
        (DataType::BigInt, b"\xa2-7", "-7"),
        (DataType::BigInt, &f64_of(1000.0), "1000"),
        (DataType::Int, b"\xff", "-1"),
        (DataType::Int, b"\xd1\x80\x00", "-32768"),
        (DataType::Double, b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "1.8446744073709552e+19"),
        (DataType::Double, &f32_of(0.5), "0.5"),
        (price, &f64_of(12.34), "\"12.34\""),
        (price, &f32_of(0.1), "\"0.10\""),
        (price, b"\xa5-1.50", "\"-1.50\""),
        (price, b"\xcd\x04\xd2", "\"1234.00\""),
        (DataType::Boolean, b"\xc3", "true"),
        (DataType::Timestamp, b"\xd6\xff\x00\x00\x00\x01", "1000"),
        (DataType::Timestamp, b"\xd7\xff\x77\x35\x94\x00\x00\x00\x00\x02", "2500"),
        (DataType::Timestamp, b"\xc7\x0c\xff\x00\x0f\x42\x40\xff\xff\xff\xff\xff\xff\xff\xff", "-999"),
        (DataType::Timestamp, &f64_of(-0.5), "-1"),
        (DataType::Timestamp, b"\xb41970-01-01T00:00:01Z", "1000"),
        (DataType::Date, b"\xaa2024-02-29", "\"2024-02-29\""),
        (DataType::Bytes, b"\xc4\x02\x00\xff", "\"AP8=\""),
        (DataType::Bytes, b"\xa3AP8", "\"AP8=\""),
        (DataType::TextList, b"\x93\xa1a\xc0\xa0", "[\"a\",null,\"\"]"),
        (
            DataType::Json,
            b"\x82\xa1a\x92\x01\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00\xa1b\xc0",
            "{\"a\":[1,1.0],\"b\":null",
        ),
        (DataType::Json, b"\x92\xc4\x01\x00\xd6\xff\x00\x00\x00\x01", "[\"AA==\",1000]"),
        (DataType::Json, b"\xc0", "null"),
    ] {
        assert_eq!(one(data_type, value), Ok(expected.to_owned()), "{data_type} {value:?}");
    }
}

#[test]
fn what_does_not_fit_has_its_reason() {
    let price = DataType::Decimal { precision: 6, scale: 2 };
    let nan = [&b"\xcb"[..], &f64::NAN.to_be_bytes()].concat();
    for (data_type, value, reason, message) in [
        (DataType::Text, &b"\x01"[..], Reason::WrongType, "expected text, found number 1"),
        (DataType::Text, b"\xa2a\xff", Reason::Malformed, "not valid UTF-8 at its byte 1"),
        (
            DataType::BigInt,
            b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
            Reason::OutOfRange,
            "18446744073709551615 is beyond",
        ),
        (DataType::Int, b"\xce\x80\x00\x00\x00", Reason::OutOfRange, "2147483648 is beyond what int holds"),
        (DataType::Int, b"\xca\x3f\x00\x00\x00", Reason::WrongType, "expected int, found number 0.5"),
        (DataType::Double, &nan, Reason::OutOfRange, "NaN is beyond what double holds"),
        (price, &nan, Reason::WrongType, "found number NaN"),
        (price, b"\xce\x00\x0f\x42\x40", Reason::OutOfRange, "1000000 has more digits than decimal(6,2) holds"),
        (DataType::Boolean, b"\x01", Reason::WrongType, "expected boolean, found number 1"),
        (DataType::Timestamp, b"\xd4\x05\x00", Reason::WrongType, "found an extension of type 5"),
        (DataType::Timestamp, b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", Reason::OutOfRange, "outside of the years"),
        (DataType::Date, b"\xd6\xff\x00\x00\x00\x01", Reason::WrongType, "found a time"),
        (DataType::TextList, b"\x92\xa1a\x80", Reason::WrongType, "found an array with an object in it"),
        (DataType::Json, b"\x81\x01\x02", Reason::WrongType, "found a map with a name that is no text"),
        (DataType::Json, &nan, Reason::WrongType, "found NaN or an infinity, which JSON does not have"),
    ] {
        let (found, said) = one(data_type, value).expect_err("it does not fit");
        assert_eq!(found, reason, "{said}");
        assert!(said.starts_with("field \"c\": ") && said.contains(message), "{said}");
    }
}

#[test]
fn names_are_found_whatever_order_and_shape_the_records_before_had() {
    let columns =
        [StreamColumn { from: "metricName".to_owned(), ..column("m", DataType::Text) }, column("n", DataType::BigInt)];
    let mut decoder = Decoder::new(&columns, None, Limits::default());
    let records = [
        serde_json::json!([["metricName", "a"], ["n", 1]]),
        serde_json::json!([["n", 2], ["x", {"n": 9}], ["metricName", "b"]]),
        serde_json::json!([["n", 3], ["n", 4]]),
        serde_json::json!([["metricName", "c"], ["n", 5]]),
    ];
    let mut input = Vec::new();
    for record in &records {
        let entries = record.as_array().expect("entries");
        input.push(0x80 + entries.len() as u8);
        for entry in entries {
            input.extend(rmp_serde::to_vec(&entry[0]).expect("packs"));
            input.extend(rmp_serde::to_vec(&entry[1]).expect("packs"));
        }
    }
    // A name that is a number is no column's.
    input.extend(b"\x82\x05\x91\x01\xa1n\x06");
    let decoded = decoder.decode(Format::MsgPack, &input);
    assert_eq!(
        rows(&decoded.batches),
        [
            r#"{"m":"a","n":1}"#,
            r#"{"m":"b","n":2}"#,
            r#"{"m":null,"n":4}"#,
            r#"{"m":"c","n":5}"#,
            r#"{"m":null,"n":6}"#
        ]
    );
}

#[test]
fn a_record_over_the_limit_is_refused_alone() {
    let limits = Limits { max_record: 100, ..Limits::default() };
    let input = [event(&"x".repeat(100), 1.0, 1), event("a", 1.0, 1)].concat();
    let decoded = Decoder::new(&events(), Some("ts"), limits).decode(Format::MsgPack, &input);
    assert_eq!(rejection(&decoded).0, Reason::TooLarge);
    assert_eq!(rows(&decoded.batches), [row("a", "1.0", 1)]);
}
