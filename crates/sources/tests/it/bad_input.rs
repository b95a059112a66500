//! Input that must get one clear line and harm nothing.

use model::{DataType, Reason, dead_letter::MAX_RAW};
use sources::{Decoder, Format, Limits, decode::MAX_REJECTIONS};

use super::{column, decode, decoder, events, rejection, rejections, rows};

const GOOD: &str = r#"{"metric":"a","value":1.5,"ts":17}"#;
const GOOD_ROW: &str = r#"{"metric":"a","value":1.5,"ts":17}"#;

#[test]
fn a_bad_line_is_refused_alone() {
    let input = format!("{GOOD}\n\n  \r\n{{\"ts\":\n{GOOD}\r\nnonsense\n{GOOD}");
    let decoded = decode(Format::Ndjson, input.as_bytes());
    assert_eq!((decoded.accepted, decoded.total), (3, 5));
    assert_eq!(rows(&decoded.batches), [GOOD_ROW; 3]);
    assert_eq!(
        rejections(&decoded),
        [
            (1, Reason::Malformed, "not JSON at column 6: it breaks off: an object stands on one line"),
            (3, Reason::Malformed, "not JSON at column 2: a text stands between double quotes"),
        ]
    );
    assert_eq!(decoded.rejected[0].letter.raw, r#"{"ts":"#);
}

#[test]
fn what_other_languages_write_is_told_in_their_words() {
    for (line, message) in [
        (r#"{"ts": 1,}"#, "a comma too many"),
        (r#"{"ts": 1} {"ts": 2}"#, "one object a line"),
        ("{'ts': 1}", "between double quotes"),
        ("{ts: 1}", "names stand between double quotes"),
        (r#"{"metric": cpu, "ts": 1}"#, "a text stands between double quotes"),
        (r#"{"metric": 'cpu', "ts": 1}"#, "between double quotes"),
        (r#"{"metric": None, "ts": 1}"#, "true, false or null"),
        (r#"{"value": NaN, "ts": 1}"#, "send null"),
        (r#"{"value": -Infinity, "ts": 1}"#, "send null"),
        ("{\"metric\": \"a\tb\", \"ts\": 1}", r"a tab is written \t"),
        (r#"{"metric": "cpu" "ts": 1}"#, "expected `,` or `}`"),
        (r#"{"metric": "cpu", "ts": 1"#, "breaks off"),
        (r#"{"metric": , "ts": 1}"#, "expected value"),
    ] {
        let decoded = decode(Format::Ndjson, line.as_bytes());
        let (reason, told) = rejection(&decoded);
        assert_eq!(reason, Reason::Malformed, "{line}");
        assert!(told.starts_with("not JSON at column ") && told.contains(message), "{line}: {told}");
    }
}

#[test]
fn json_that_is_cut_off_accepts_nothing_and_says_where() {
    for cut in [1, 20, GOOD.len() + 3, GOOD.len() * 2] {
        let whole = format!("[{GOOD},\n{GOOD}]");
        let decoded = decode(Format::Json, &whole.as_bytes()[..cut]);
        assert_eq!((decoded.accepted, decoded.total, decoded.batches.len()), (0, 1, 0), "cut at {cut}");
        let (reason, message) = rejection(&decoded);
        assert_eq!(reason, Reason::Malformed);
        assert!(message.starts_with("the JSON cannot be read at line "), "{message}");
    }
    let decoded = decode(Format::Json, format!("[{GOOD},\n  {{\"ts\": 1x}}]").as_bytes());
    let expected = "the JSON cannot be read at line 2, column 11 (byte 47): expected `,` or `}`";
    assert_eq!(rejection(&decoded), (Reason::Malformed, expected));
}

#[test]
fn an_array_accepts_what_is_good_in_it() {
    let input = format!(" [ {GOOD} , {{\"value\":1}},\n5, {GOOD} ] \n");
    let decoded = decode(Format::Json, input.as_bytes());
    assert_eq!((decoded.accepted, decoded.total), (2, 4));
    assert_eq!(
        rejections(&decoded),
        [
            (1, Reason::Missing, "field \"ts\" is missing: every record needs its timestamp"),
            (2, Reason::WrongType, "expected a JSON object, found number 5"),
        ]
    );
    assert_eq!(decode(Format::Json, b"[]").total, 0);
    assert_eq!(decode(Format::Json, GOOD.as_bytes()).accepted, 1);
}

#[test]
fn text_behind_the_json_is_said_with_the_way_out() {
    let decoded = decode(Format::Json, format!("{GOOD}\n{GOOD}").as_bytes());
    let (reason, message) = rejection(&decoded);
    assert_eq!((reason, decoded.accepted), (Reason::Malformed, 0));
    assert!(message.contains("application/x-ndjson"), "{message}");
    assert!(rejection(&decode(Format::Json, b" \n")).1.contains("nothing is there"));
}

#[test]
fn nesting_of_ten_thousand_is_refused_without_recursion() {
    let columns = [column("j", DataType::Json), column("n", DataType::BigInt)];
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = |depth: usize| format!(r#"{{"j":{}1{},"n":1}}"#, open.repeat(depth), close.repeat(depth));
        for (format, wrap) in [(Format::Ndjson, false), (Format::Json, true)] {
            let input = if wrap {
                format!("[{},{}]", deep(10_000), deep(63))
            } else {
                format!("{}\n{}", deep(10_000), deep(63))
            };
            let decoded = Decoder::new(&columns, None, Limits::default()).decode(format, input.as_bytes());
            assert_eq!(rejection(&decoded), (Reason::Malformed, "nested deeper than 64 levels"));
            assert_eq!(decoded.accepted, 1);
        }
    }
    // Never closed.
    let decoded = decode(Format::Json, "[".repeat(10_000).as_bytes());
    assert_eq!((rejection(&decoded).0, decoded.accepted), (Reason::Malformed, 0));
    assert_eq!(rejection(&decode(Format::Ndjson, "{\"a\":[".repeat(10_000).as_bytes())).0, Reason::Malformed);
}

#[test]
fn a_record_over_the_limit_is_refused_and_only_its_beginning_kept() {
    let limits = Limits { max_record: 100_000, ..Limits::default() };
    let long = format!(r#"{{"metric":"{}","ts":1}}"#, "ü".repeat(60_000));
    for (format, input) in [
        (Format::Ndjson, format!("{long}\n{GOOD}\n")),
        (Format::Json, format!("[{long},{GOOD}]")),
        (Format::Csv, format!("metric,ts,value\n{},1,1\na,17,1.5\n", "x".repeat(100_000))),
    ] {
        let decoded = Decoder::new(&events(), Some("ts"), limits).decode(format, input.as_bytes());
        let expected = "longer than the 100000 bytes that a record may have";
        assert_eq!(rejection(&decoded), (Reason::TooLarge, expected));
        assert_eq!(rows(&decoded.batches), [GOOD_ROW]);
        let raw = &decoded.rejected[0].letter.raw;
        assert!((MAX_RAW - 1..=MAX_RAW).contains(&raw.len()), "{} bytes kept", raw.len());
        assert!(std::str::from_utf8(raw).is_ok(), "cut within a character");
    }
}

#[test]
fn a_text_of_one_megabyte_below_the_limit_is_taken() {
    let text = "k".repeat((1 << 20) - 40);
    let decoded = decode(Format::Ndjson, format!(r#"{{"metric":"{text}","ts":1}}"#).as_bytes());
    assert_eq!(decoded.accepted, 1);
}

#[test]
fn nan_and_infinity_are_not_json() {
    for value in ["NaN", "Infinity", "-Infinity"] {
        let decoded = decode(Format::Ndjson, format!(r#"{{"metric":"a","value":{value},"ts":1}}"#).as_bytes());
        let (reason, message) = rejection(&decoded);
        assert_eq!(reason, Reason::Malformed);
        assert!(message.ends_with(": NaN and infinities are not JSON, send null"), "{message}");
    }
    let csv = decode(Format::Csv, b"metric,value,ts\na,NaN,1\na,inf,1\n");
    let expected = [
        (0, Reason::WrongType, "field \"value\": expected double, found text \"NaN\""),
        (1, Reason::WrongType, "field \"value\": expected double, found text \"inf\""),
    ];
    assert_eq!(rejections(&csv), expected);
}

#[test]
fn numbers_beyond_64_bits_are_out_of_range() {
    let columns = [column("b", DataType::BigInt), column("i", DataType::Int), column("d", DataType::Double)];
    let input = [
        r#"{"b":9223372036854775807}"#,
        r#"{"b":9223372036854775808}"#,
        r#"{"b":"-9223372036854775809"}"#,
        r#"{"b":1e30}"#,
        r#"{"i":2147483648}"#,
        r#"{"d":1e999}"#,
        r#"{"d":123456789012345678901234567890}"#,
    ];
    let decoded = Decoder::new(&columns, None, Limits::default()).decode(Format::Ndjson, input.join("\n").as_bytes());
    assert_eq!(
        rows(&decoded.batches),
        [r#"{"b":"9223372036854775807","i":null,"d":null}"#, r#"{"b":null,"i":null,"d":1.2345678901234568e+29}"#]
    );
    let found: Vec<_> = rejections(&decoded).into_iter().map(|(i, reason, _)| (i, reason)).collect();
    assert_eq!(found, [1, 2, 3, 4, 5].map(|i| (i, Reason::OutOfRange)));
    assert_eq!(
        decoded.rejected[0].letter.message,
        "field \"b\": 9223372036854775808 is beyond what bigint holds (-9223372036854775808 to 9223372036854775807)"
    );
}

#[test]
fn invalid_utf8_is_refused_and_the_other_lines_go_on() {
    let mut input = format!("{GOOD}\n").into_bytes();
    input.extend_from_slice(b"{\"metric\":\"\xFF\",\"ts\":1}\n");
    input.extend_from_slice(GOOD.as_bytes());
    let decoded = decode(Format::Ndjson, &input);
    assert_eq!(rows(&decoded.batches), [GOOD_ROW; 2]);
    assert_eq!(rejection(&decoded), (Reason::Malformed, "not valid UTF-8 at byte 11 of the record"));

    let decoded = decode(Format::Json, &input);
    let expected = "the JSON cannot be read at line 2, column 12 (byte 46): not valid UTF-8";
    assert_eq!((rejection(&decoded), decoded.accepted), ((Reason::Malformed, expected), 0));

    let decoded = decode(Format::Csv, b"metric,value,ts\n\xFF,1,1\na,1.5,17\n");
    assert_eq!((rejection(&decoded).0, decoded.accepted), (Reason::Malformed, 1));
}

#[test]
fn times_in_the_year_294_000_are_out_of_range_and_others_pass() {
    let line = |ts: &str| format!(r#"{{"ts":{ts}}}"#);
    let outside = ["9223372036854775", "-62135596800001", "1e300", r#""+294000-01-01T00:00:00Z""#];
    for ts in outside {
        let decoded = decode(Format::Ndjson, line(ts).as_bytes());
        let (reason, message) = rejection(&decoded);
        assert_eq!(reason, Reason::OutOfRange, "{ts}");
        assert!(message.contains("lies outside of the years 0001 to 9999"), "{message}");
    }
    // Before 1970, and far ahead of now: what is ahead is the stream's `max_ahead` to judge.
    for ts in ["-1", r#""1969-07-20T20:17:40Z""#, "4102444800000", "253402300799999", "17.9"] {
        assert_eq!(decode(Format::Ndjson, line(ts).as_bytes()).accepted, 1, "{ts}");
    }
}

#[test]
fn a_flood_of_bad_records_is_counted_and_not_kept() {
    let decoded = decode(Format::Ndjson, "x\n".repeat(MAX_REJECTIONS + 50).as_bytes());
    assert_eq!((decoded.accepted, decoded.total), (0, MAX_REJECTIONS as u64 + 50));
    assert_eq!(decoded.rejected.len(), MAX_REJECTIONS + 1);
    let last = &decoded.rejected[MAX_REJECTIONS].letter.message;
    assert!(last.starts_with("50 more records of this input were refused"), "{last}");
}

#[test]
fn a_decoder_goes_on_after_any_of_it() {
    let mut decoder = decoder();
    for bad in ["[", "{\"a\":[", "\u{0}", "[[[[", "\"", "{\"ts\":1}}"] {
        for format in [Format::Json, Format::Ndjson, Format::Csv] {
            decoder.decode(format, bad.as_bytes());
        }
        assert_eq!(rows(&decoder.decode(Format::Json, GOOD.as_bytes()).batches), [GOOD_ROW]);
        assert_eq!(rows(&decoder.decode(Format::Ndjson, GOOD.as_bytes()).batches), [GOOD_ROW]);
    }
}

#[test]
fn a_form_feed_is_no_blank_of_json() {
    for line in [format!("{GOOD}\u{c}"), format!("\u{c}{GOOD}")] {
        assert_eq!(rejection(&decode(Format::Ndjson, line.as_bytes())).0, Reason::Malformed);
    }
    assert_eq!(decode(Format::Ndjson, format!("\t {GOOD} \r\n").as_bytes()).accepted, 1);
}
