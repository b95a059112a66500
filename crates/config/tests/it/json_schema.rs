//! The JSON Schema accepts what loads, and refuses what has another shape.

use jsonschema::Validator;
use serde_json::Value;

pub(crate) fn validator() -> Validator {
    let schema = config::json_schema();
    jsonschema::draft202012::meta::validate(&schema).expect("the schema is a schema");
    jsonschema::draft202012::new(&schema).expect("the schema compiles")
}

/// As an editor sees a file.
pub(crate) fn json(text: &str) -> Value {
    serde_saphyr::from_str(text).expect(text)
}

const FEED: &str = "feeds: { f: { sql: SELECT 1 } }\n";

#[test]
fn accepts_what_loads() {
    let validator = validator();
    for text in [
        "{}",
        "listen: 127.0.0.1:8080\ninsecure: false\ncors: [https://example.org]\n",
        "limits: { max_body: 65536, max_record: 1KiB, body_timeout: 500ms }\nstreams:\n",
        "limits: { max_connections: '${N:-5}', max_body: '${BODY:-64KiB}' }\n",
        "streams: { s: { source: { type: http }, schema: { a: text, b: { type: int, from: 'B b', not_null: true } } } }",
        "streams: { s: { source: { type: http }, schema: { a: 'decimal(38,38)', b: { type: 'decimal( 01 , 1 )' }, \
         c: decimal(5), d: date, e: bytes, f: 'text[]', g: '${T:-int}' } } }",
        "streams: { s: { source: { type: file, path: a.csv, follow: true }, format: csv, schema: { a: text } } }",
        "streams: { s: { source: { type: http }, schema: { t: timestamp }, \
         event_time: { column: t, max_ahead: off, max_lateness: 5 s } } }",
        "streams: { s: { source: { type: generator, rate: 0.5, columns: { a: { choice: [x, 1, true] }, \
         b: { walk: { start: 0, step: 1, low: -1, high: 1 } }, c: now, d: { sequence: 1 }, \
         e: { wave: { low: 0, high: 1, period: 1m } }, f: { uniform: [0, 1] } } }, \
         schema: { a: text, b: double, c: timestamp, d: int, e: double, f: double } } }",
        "feeds: { f: { sql: SELECT 1, key: a, delete_when: true, keep: '${K:-1h}' } }",
        "feeds: { f: { sql: SELECT 1, key: [a, b], keep_rows: 5, refresh: 0s } }",
        "feeds: { f: { sql: SELECT 1 } }\ndashboards: { d-1: { title: 2024, panels: [{ feed: f, type: table }, \
         { feed: f, type: line, x: a, y: [b, c], unit: '%' }, { feed: '${F:-f}', type: line, x: a, y: b, span: 1 }] } }",
    ] {
        crate::load(text).unwrap_or_else(|problems| panic!("{text}\n{}", crate::lines(&problems)));
        let errors: Vec<String> = validator.iter_errors(&json(text)).map(|e| format!("{e}")).collect();
        assert!(errors.is_empty(), "{text}\n{errors:?}");
    }
}

#[test]
fn refuses_another_shape() {
    let validator = validator();
    for text in [
        "listn: x",
        "listen: [a]",
        "durability: never",
        "limits: { max_connections: 0 }",
        "limits: { max_connections: '5' }",
        "limits: { max_body: 64KB }",
        "streams: []",
        "streams: { s: { source: { type: kafka }, schema: { a: text } } }",
        "streams: { s: { source: { type: http, path: x }, schema: { a: text } } }",
        "streams: { s: { source: { type: http }, schema: { a: string } } }",
        "streams: { s: { source: { type: http }, schema: { a: decimal } } }",
        "streams: { s: { source: { type: http }, schema: { a: decimal(39) } } }",
        "streams: { s-1: { source: { type: http }, schema: { a: text } } }",
        "streams: { s: { source: { type: http }, schema: { a: text }, retention: 7 } }",
        "streams: { s: { source: { type: generator, rate: 1, columns: { a: { walk: { start: 1 } } } }, schema: { a: int } } }",
        "feeds: { f: { key: a } }",
        "feeds: { f: { sql: SELECT 1, emit: sometimes } }",
        "feeds: { f: { sql: SELECT 1, key: [] } }",
        "dashboards: { d: { panels: [] } }",
        "dashboards: { d: { panels: [{ feed: f, type: line, x: a }] } }",
        "dashboards: { d: { panels: [{ feed: f, type: table, span: 13 }] } }",
        "dashboards: { d: { panels: [{ feed: f, type: pie }] } }",
    ] {
        assert!(!validator.is_valid(&json(text)), "{text}");
        assert!(
            crate::load(&format!("{text}\n{}", if text.starts_with("feeds") { "" } else { FEED })).is_err(),
            "{text}"
        );
    }
}
