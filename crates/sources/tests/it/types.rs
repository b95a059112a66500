//! What each column type takes, by both ways of decoding.

use config::StreamColumn;
use model::{DataType, Reason};
use sources::{Decoder, Format, Limits};

use super::{column, rejections, rows};

/// Decodes `{"c": value}` for a column of a type, by the scan and without it, which must agree.
#[track_caller]
fn one(data_type: DataType, value: &str) -> Result<String, (Reason, String)> {
    let decode = |decoder: Decoder| {
        let mut decoder = decoder;
        let decoded = decoder.decode(Format::Ndjson, format!("{{\"c\":{value}}}").as_bytes());
        match decoded.rejected.into_iter().next() {
            Some(r) => Err((r.letter.reason, r.letter.message)),
            None => Ok(rows(&decoded.batches)[0]
                .strip_prefix("{\"c\":")
                .unwrap_or_default()
                .trim_end_matches('}')
                .to_owned()),
        }
    };
    let new = || Decoder::new(&[column("c", data_type)], None, Limits::default());
    let scanned = decode(new());
    assert_eq!(scanned, decode(new().without_scan()), "{data_type} {value}");
    scanned
}

#[track_caller]
fn refused(data_type: DataType, value: &str, message: &str) {
    assert_eq!(one(data_type, value), Err((Reason::WrongType, format!("field \"c\": {message}"))));
}

#[test]
fn text_is_text_and_nothing_turned_into_it() {
    assert_eq!(one(DataType::Text, r#""\u0076a\n\ud83d\ude00""#), Ok("\"va\\n😀\"".to_owned()));
    refused(DataType::Text, "1", "expected text, found number 1");
    refused(DataType::Text, "true", "expected text, found boolean true");
    refused(DataType::Text, "[]", "expected text, found an array");
    let (reason, _) = one(DataType::Text, r#""\ud800""#).expect_err("half a pair");
    assert_eq!(reason, Reason::Malformed);
}

#[test]
fn integers_may_be_written_as_whole_numbers() {
    for data_type in [DataType::BigInt, DataType::Int] {
        assert_eq!(one(data_type, "-7"), Ok("-7".to_owned()));
        assert_eq!(one(data_type, "1.0"), Ok("1".to_owned()));
        assert_eq!(one(data_type, "1e3"), Ok("1000".to_owned()));
        refused(data_type, "1.5", &format!("expected {data_type}, found number 1.5"));
        refused(data_type, "true", &format!("expected {data_type}, found boolean true"));
    }
    assert_eq!(one(DataType::BigInt, r#""9007199254740993""#), Ok("\"9007199254740993\"".to_owned()));
    refused(DataType::BigInt, r#""1.0""#, "expected bigint, found text \"1.0\"");
    refused(DataType::Int, r#""1""#, "expected int, found text \"1\"");
}

#[test]
fn doubles_and_booleans_take_no_text() {
    assert_eq!(one(DataType::Double, "3"), Ok("3.0".to_owned()));
    assert_eq!(one(DataType::Double, "-0.0"), Ok("-0.0".to_owned()));
    assert_eq!(one(DataType::Boolean, "false"), Ok("false".to_owned()));
    refused(DataType::Double, r#""abc""#, "expected double, found text \"abc\"");
    refused(DataType::Boolean, r#""true""#, "expected boolean, found text \"true\"");
    refused(DataType::Boolean, "1", "expected boolean, found number 1");
    let long = format!("\"{}\"", "x".repeat(500));
    let (_, message) = one(DataType::Double, &long).expect_err("text");
    assert!(message.len() < 120 && message.ends_with('…'), "{message}");
}

#[test]
fn timestamps_are_milliseconds_or_rfc_3339() {
    assert_eq!(one(DataType::Timestamp, "1700000000000"), Ok("1700000000000".to_owned()));
    assert_eq!(one(DataType::Timestamp, "1700000000000.75"), Ok("1700000000000".to_owned()));
    assert_eq!(one(DataType::Timestamp, "-0.5"), Ok("-1".to_owned()));
    assert_eq!(one(DataType::Timestamp, r#""2023-11-14T23:13:20+01:00""#), Ok("1700000000000".to_owned()));
    let expected = "expected timestamp (milliseconds since 1970, or RFC 3339 text), found text \"now\"";
    refused(DataType::Timestamp, r#""now""#, expected);
}

#[test]
fn decimals_are_exact_from_numbers_and_text() {
    let price = DataType::Decimal { precision: 6, scale: 2 };
    for (value, expected) in [
        ("12.5", "12.50"),
        ("-0.05", "-0.05"),
        ("1e3", "1000.00"),
        ("0.1000", "0.10"),
        (r#""12.5""#, "12.50"),
        (r#""-9999.99""#, "-9999.99"),
        ("0", "0.00"),
    ] {
        assert_eq!(one(price, value), Ok(format!("\"{expected}\"")), "{value}");
    }
    for value in ["10000", "0.001", "1e99", "\"1234567\"", "99999999999999999999999999999999999999999"] {
        let (reason, message) = one(price, value).expect_err(value);
        assert_eq!(reason, Reason::OutOfRange);
        assert!(message.ends_with("has more digits than decimal(6,2) holds"), "{message}");
    }
    // No double holds this, and nothing goes through one.
    let widest = DataType::Decimal { precision: 38, scale: 18 };
    let value = "12345678901234567890.123456789012345678";
    assert_eq!(one(widest, value), Ok(format!("\"{value}\"")));
    refused(price, "true", "expected decimal(6,2), found boolean true");
    refused(price, "\"12,5\"", "expected decimal(6,2), found text \"12,5\"");
}

#[test]
fn dates_are_text_of_one_form() {
    assert_eq!(one(DataType::Date, "\"2024-02-29\""), Ok("\"2024-02-29\"".to_owned()));
    refused(DataType::Date, "19782", "expected date (text like 2024-12-31), found number 19782");
    refused(DataType::Date, "\"2023-02-29\"", "expected date (text like 2024-12-31), found text \"2023-02-29\"");
    let (reason, message) = one(DataType::Date, "\"12024-01-01\"").expect_err("too late");
    assert_eq!(reason, Reason::OutOfRange);
    assert_eq!(message, "field \"c\": \"12024-01-01\" lies outside of the years 0001 to 9999");
}

#[test]
fn bytes_are_base64_of_either_alphabet_with_padding_or_without() {
    for value in ["\"-_8=\"", "\"-_8\"", "\"+/8=\"", "\"+\\/8\""] {
        assert_eq!(one(DataType::Bytes, value), Ok("\"+/8=\"".to_owned()), "{value}");
    }
    assert_eq!(one(DataType::Bytes, "\"\""), Ok("\"\"".to_owned()));
    for value in ["\"+_8=\"", "\"A\"", "\"AB==C\"", "\"+/9=\"", "\" \""] {
        refused(DataType::Bytes, value, &format!("expected bytes (base64 text), found text {value}"));
    }
    refused(DataType::Bytes, "[1]", "expected bytes (base64 text), found an array");
}

#[test]
fn lists_hold_texts_and_nulls() {
    let list = DataType::TextList;
    for (value, expected) in [
        (r#"[ "a" , null,"\u00fc" ]"#, r#"["a",null,"ü"]"#),
        ("[]", "[]"),
        ("[ ]", "[]"),
        (r#"[""]"#, r#"[""]"#),
        ("null", "null"),
    ] {
        assert_eq!(one(list, value), Ok(expected.to_owned()), "{value}");
    }
    refused(list, "\"a\"", "expected text[] (an array of texts), found text \"a\"");
    refused(list, "{}", "expected text[] (an array of texts), found an object");
    refused(list, "[\"a\",[]]", "expected text[] (an array of texts), found an array with an array in it");
    let (reason, _) = one(list, r#"["a","\ud800"]"#).expect_err("half a pair");
    assert_eq!(reason, Reason::Malformed);
    // What was written of a refused list is taken back.
    let mut decoder = Decoder::new(&[column("c", list)], None, Limits::default());
    let decoded = decoder.decode(Format::Ndjson, b"{\"c\":[\"a\",null]}\n{\"c\":[\"b\",null,1]}\n{}\n{\"c\":[\"d\"]}");
    assert_eq!(rows(&decoded.batches), [r#"{"c":["a",null]}"#, r#"{"c":null}"#, r#"{"c":["d"]}"#]);
}

#[test]
fn json_is_kept_as_it_is_without_blanks() {
    assert_eq!(
        one(DataType::Json, r#"{ "b" : [1.0, "x y"], "a":null }"#),
        Ok(r#"{"b":[1.0,"x y"],"a":null"#.to_owned())
    );
    assert_eq!(one(DataType::Json, "null"), Ok("null".to_owned()));
}

#[test]
fn null_and_missing_are_null_unless_refused() {
    let required = StreamColumn { not_null: true, ..column("c", DataType::Text) };
    for decoder in [
        Decoder::new(&[required], None, Limits::default()),
        Decoder::new(&[column("c", DataType::Text)], Some("c"), Limits::default()),
    ] {
        let mut decoder = decoder;
        let decoded = decoder.decode(Format::Ndjson, b"{\"c\":null}\n{}\n{\"c\":\"x\"}");
        assert_eq!(
            rejections(&decoded),
            [
                (0, Reason::Missing, "field \"c\" is null: every record needs its text"),
                (1, Reason::Missing, "field \"c\" is missing: every record needs its text"),
            ]
        );
        assert!(!decoder.schema().field(0).is_nullable());
    }
    assert_eq!(one(DataType::Text, "null"), Ok("null".to_owned()));
}

#[test]
fn fields_are_found_by_their_from_names_escapes_and_all() {
    let column = StreamColumn { from: "metricName".to_owned(), ..column("metric_name", DataType::Text) };
    let mut decoder = Decoder::new(std::slice::from_ref(&column), None, Limits::default());
    let input = b"{\"metric\\u004eame\":\"a\",\"metric_name\":5}\n{\"x\":{\"metricName\":1},\"metricName\":\"b\"}";
    let decoded = decoder.decode(Format::Ndjson, input);
    assert_eq!(rows(&decoded.batches), [r#"{"metric_name":"a"}"#, r#"{"metric_name":"b"}"#]);
    // Two columns may read one field.
    let both = [column.clone(), StreamColumn { name: "again".to_owned(), ..column }];
    let decoded = Decoder::new(&both, None, Limits::default()).decode(Format::Ndjson, b"{\"metricName\":\"a\"}");
    assert_eq!(rows(&decoded.batches), [r#"{"metric_name":"a","again":"a"}"#]);
}

#[test]
fn of_equal_names_the_last_wins() {
    let mut decoder = Decoder::new(&[column("c", DataType::BigInt)], None, Limits::default());
    let decoded = decoder.decode(Format::Ndjson, b"{\"c\":1,\"c\":2}\n{\"c\":\"bad\",\"c\":3}\n{\"c\":4}");
    assert_eq!(rows(&decoded.batches), [r#"{"c":2}"#, r#"{"c":3}"#, r#"{"c":4}"#]);
}

#[test]
fn a_byte_order_mark_is_skipped() {
    let mut decoder = Decoder::new(&[column("c", DataType::BigInt)], None, Limits::default());
    for format in [Format::Json, Format::Ndjson] {
        assert_eq!(decoder.decode(format, b"\xEF\xBB\xBF{\"c\":1}").accepted, 1);
    }
    assert_eq!(decoder.decode(Format::Csv, b"\xEF\xBB\xBFc\n1\n").accepted, 1);
}

#[test]
fn batches_hold_at_most_their_rows_and_keep_the_order() {
    let limits = Limits { batch_rows: 3, ..Limits::default() };
    let mut decoder = Decoder::new(&[column("c", DataType::BigInt)], None, limits);
    let lines: Vec<String> = (0..8).map(|i| format!("{{\"c\":{i}}}")).collect();
    let decoded = decoder.decode(Format::Ndjson, lines.join("\n").as_bytes());
    assert_eq!(decoded.batches.iter().map(arrow_array::RecordBatch::num_rows).collect::<Vec<_>>(), [3, 3, 2]);
    assert_eq!(rows(&decoded.batches), lines);
}
