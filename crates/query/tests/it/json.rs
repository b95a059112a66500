//! Access to what is inside json.

use model::DataType;
use query::FeedDef;

use crate::common::{Driver, Event, event, feed, key};

/// The one row of `SELECT {expression} AS x` over an event with this json.
fn value(expression: &str, json: &str) -> (DataType, String) {
    let sql = format!("SELECT b, {expression} AS x FROM events");
    let mut d = Driver::new(&FeedDef { key: Some(key(&["b"])), ..feed(&sql) });
    let output = d.tick(0, &[Event { j: Some(json.to_owned()), ..event(1, "a", 1) }], i64::MIN);
    assert!(output.dead.is_empty(), "{expression}: {:?}", output.dead);
    (d.plan.output().schema.columns[1].data_type, d.rows()[0].strip_prefix("1 ").unwrap().to_owned())
}

#[test]
fn parts_of_json_are_json_and_their_text_is_text() {
    let json = r#"{"host": "a\"b", "up": true, "n": 3, "big": 9007199254740993, "x": 0.5, "none": null, "tags": ["p", {"q": [1, 2]}], "": 7, "ü": "é"}"#;
    use DataType::{BigInt, Boolean, Double, Json, Text};
    #[rustfmt::skip]
    let cases = [
        ("j ->> 'host'", Text, "a\"b"),
        ("j -> 'host'", Json, r#""a\"b""#),
        ("j -> 'tags'", Json, r#"["p", {"q": [1, 2]}]"#),
        ("j -> 'tags' -> 1", Json, r#"{"q": [1, 2]}"#),
        ("j -> 'tags' -> 1 -> 'q' ->> 1", Text, "2"),
        ("j -> 'tags' ->> 0", Text, "p"),
        ("j ->> 'n'", Text, "3"),
        ("j ->> 'up'", Text, "true"),
        ("j ->> 'none'", Text, "NULL"),
        ("j ->> 'missing'", Text, "NULL"),
        ("j -> 'missing' ->> 'more'", Text, "NULL"),
        ("j -> 'n' ->> 'not an object'", Text, "NULL"),
        ("j ->> ''", Text, "7"),
        ("j ->> 'ü'", Text, "é"),
        ("upper(j ->> 'host') || '!'", Text, "A\"B!"),
        ("cast(j ->> 'x' AS double) * 2", Double, "1"),
        ("j ->> 'n' = '3' AND j ->> 'x' <> j ->> 'n'", Boolean, "true"),
        ("json_get_str(j, 'tags', 0)", Text, "p"),
        ("json_get_int(j, 'big')", BigInt, "9007199254740993"),
        ("json_get_int(j, 'host')", BigInt, "NULL"),
        ("json_get_float(j, 'x')", Double, "0.5"),
        ("json_get_bool(j, 'up')", Boolean, "true"),
        ("json_get_json(j, 'tags', 1, 'q')", Json, "[1, 2]"),
        ("json_as_text(j, 'tags', 0)", Text, "p"),
        ("json_contains(j, 'none')", Boolean, "true"),
        ("json_contains(j, 'tags', 2)", Boolean, "false"),
        ("json_length(j)", BigInt, "9"),
        ("json_length(j, 'tags')", BigInt, "2"),
        ("json_length(j, 'n')", BigInt, "NULL"),
    ];
    let mut wrong = Vec::new();
    for (expression, data_type, expected) in cases {
        let found = value(expression, json);
        if found != (data_type, expected.to_owned()) {
            wrong.push(format!("{expression}: found {found:?}, expected {data_type:?} {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn json_in_a_text_column_is_read_and_what_is_none_is_null() {
    for (text, expected) in
        [(r#"{"a": "b"}"#, "b"), ("{", "NULL"), ("", "NULL"), ("7", "NULL"), (r#"{"a": "\ud800"}"#, "NULL")]
    {
        let mut d = Driver::new(&FeedDef { key: Some(key(&["b"])), ..feed("SELECT b, h ->> 'a' AS x FROM events") });
        let output = d.tick(0, &[Event { h: text.to_owned(), ..event(1, "k", 1) }], i64::MIN);
        assert!(output.dead.is_empty());
        assert_eq!(d.rows(), [format!("1 {expected}")], "{text}");
    }
}

#[test]
fn parts_of_json_can_be_grouped_by_and_collected() {
    let sql = "SELECT j -> 'at' AS at, j ->> 'host' AS host, array_agg(j -> 'n') AS ns, array_agg(j ->> 'n') AS texts FROM events GROUP BY j -> 'at', j ->> 'host'";
    let mut d = Driver::new(&feed(sql));
    let types: Vec<DataType> = d.plan.output().schema.columns.iter().map(|column| column.data_type).collect();
    assert_eq!(types, [DataType::Json, DataType::Text, DataType::Json, DataType::Json]);
    let json = |text: &str| Event { j: Some(text.to_owned()), ..event(1, "k", 1) };
    let events = [r#"{"at":[1],"host":"a","n":1}"#, r#"{"at":[1],"host":"a","n":"x"}"#, r#"{"host":"a"}"#];
    d.tick(0, &events.map(json), i64::MIN);
    assert_eq!(d.rows(), [r#"NULL a [null] [null]"#, r#"[1] a [1,"x"] ["1","x"]"#]);
}

#[test]
fn delete_when_reads_json_too() {
    let definition = FeedDef {
        key: Some(key(&["b"])),
        delete_when: Some("j ->> 'gone' = 'true'".to_owned()),
        ..feed("SELECT b, j FROM events")
    };
    let mut d = Driver::new(&definition);
    let json = |b: i64, text: &str| Event { j: Some(text.to_owned()), ..event(1, "k", b) };
    d.tick(0, &[json(1, "{}"), json(2, "{}"), json(1, r#"{"gone":true}"#)], i64::MIN);
    assert_eq!(d.rows(), ["2 {}"]);
}
