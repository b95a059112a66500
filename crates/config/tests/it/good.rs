//! Files that load, and what they become.

use std::{path::PathBuf, time::Duration};

use config::{Durability, Emit, FileFormat, Generated, Limits, PanelKind, Source};
use model::DataType;

use crate::load;

const SECOND: Duration = Duration::from_secs(1);

/// Every key, and every kind of source, generator and panel.
pub(crate) const EVERYTHING: &str = r#"
listen: "[::1]:9000"
data_dir: /var/lib/tidewire
durability: process
cors: [https://example.org, "http://localhost:5173"]
limits:
  max_connections: 100
  max_message: 4096
  ping_interval: 1s
streams:
  events:
    source: { type: http }
    schema:
      metric: { type: text, from: metricName, not_null: true }
      value: double
      ts: timestamp
      extra: { type: json }
    event_time: { column: ts, max_lateness: 250ms, idle_timeout: 1m, max_ahead: off }
    retention: 1d
    retention_bytes: 1GiB
  lines:
    source: { type: file, path: data.log, follow: true }
    format: ndjson
    schema: { n: bigint }
  made:
    source:
      type: generator
      rate: 20
      seed: 7
      columns:
        metric: { choice: [a, b] }
        value: { walk: { start: 50, step: 2, low: 0, high: 100 } }
        even: { uniform: [-1, 1.5] }
        tide: { wave: { low: 0, high: 10, period: 1h } }
        n: { sequence: -5 }
    schema: { metric: text, value: double, even: double, tide: double, n: bigint, ts: timestamp }
feeds:
  latest:
    sql: SELECT metric, value FROM events
    key: metric
    delete_when: value IS NULL
    keep_rows: 5
  closed:
    sql: SELECT 1
    emit: final
    keep: 15m
    max_groups: 10
    max_group_state: 64KiB
    idle_ttl: 1h
  slow: { sql: SELECT 1, refresh: 1s, key: [a, b] }
dashboards:
  ops-1:
    title: Operations
    panels:
      - { title: Load, feed: closed, type: line, x: window_start, y: [a, b], series: metric, unit: "%", span: 12 }
      - { feed: latest, type: table, columns: [metric] }
"#;

#[test]
fn everything_at_once() {
    let config = load(EVERYTHING).unwrap();
    assert_eq!(config.listen, "[::1]:9000");
    assert_eq!(config.data_dir, Some(PathBuf::from("/var/lib/tidewire")));
    assert_eq!(config.durability, Durability::Process);
    assert_eq!(config.cors, ["https://example.org", "http://localhost:5173"]);
    assert_eq!(
        config.limits,
        Limits { max_connections: 100, max_message: 4096, ping_interval: SECOND, ..Limits::default() }
    );

    let [events, lines, made] = &config.streams[..] else { panic!("{:?}", config.streams) };
    assert_eq!(events.columns[0].from, "metricName");
    assert!(events.columns[0].not_null && !events.columns[1].not_null);
    let types: Vec<DataType> = events.columns.iter().map(|c| c.data_type).collect();
    assert_eq!(types, [DataType::Text, DataType::Double, DataType::Timestamp, DataType::Json]);
    let time = events.event_time.as_ref().unwrap();
    assert_eq!((time.column.as_str(), time.max_lateness, time.max_ahead), ("ts", SECOND / 4, None));
    assert_eq!(time.idle_timeout, 60 * SECOND);
    assert_eq!((events.retention, events.retention_bytes), (86_400 * SECOND, 1 << 30));
    assert_eq!((events.place.line, events.place.column), (11, 3));
    let Source::File(file) = &lines.source else { panic!("{lines:?}") };
    assert_eq!((file.format, file.follow), (FileFormat::Ndjson, true));
    let Source::Generator(generator) = &made.source else { panic!("{made:?}") };
    assert_eq!((generator.rate.to_bits(), generator.seed), (20f64.to_bits(), 7));
    assert_eq!(
        generator.columns,
        [
            Generated::Choice { texts: vec!["a".into(), "b".into()], weights: vec![] },
            Generated::Walk { start: 50.0, step: 2.0, low: 0.0, high: 100.0 },
            Generated::Uniform(-1.0, 1.5),
            Generated::Wave { low: 0.0, high: 10.0, period: 3600 * SECOND },
            Generated::Sequence(-5),
            Generated::Now,
        ]
    );

    let [latest, closed, slow] = &config.feeds[..] else { panic!("{:?}", config.feeds) };
    assert_eq!(latest.key.as_deref(), Some(&["metric".to_owned()][..]));
    assert_eq!(latest.key_place.as_ref().map(|p| (p.line, p.column)), Some((40, 10)));
    assert_eq!(latest.delete_when.as_ref().unwrap().text, "value IS NULL");
    assert_eq!((latest.emit, latest.keep_rows, latest.keep), (Emit::Changes, Some(5), 3600 * SECOND));
    assert_eq!(
        (closed.emit, closed.keep, closed.max_groups, closed.max_group_state),
        (Emit::Final, 900 * SECOND, 10, 65_536)
    );
    assert_eq!((slow.refresh, slow.idle_ttl, slow.keep_rows), (SECOND, 86_400 * SECOND, None));

    let dashboard = &config.dashboards[0];
    assert_eq!((dashboard.name.as_str(), dashboard.title.as_str()), ("ops-1", "Operations"));
    let [load, latest] = &dashboard.panels[..] else { panic!("{dashboard:?}") };
    assert_eq!((load.kind, load.span, load.unit.as_deref()), (PanelKind::Line, 12, Some("%")));
    assert_eq!((load.x.as_deref(), &load.y[..]), (Some("window_start"), &["a".to_owned(), "b".to_owned()][..]));
    let named: Vec<(&str, &str, u32)> = load.named.iter().map(|n| (n.key, n.column.as_str(), n.place.column)).collect();
    assert_eq!(named, [("x", "window_start", 53), ("y", "a", 71), ("y", "b", 74), ("series", "metric", 86)]);
    assert_eq!((latest.title.as_str(), latest.span, &latest.columns[..]), ("latest", 6, &["metric".to_owned()][..]));
    assert_eq!((latest.place.line, latest.place.column), (56, 9));
    let json = serde_json::to_value(dashboard).unwrap();
    assert!(json.get("place").is_none() && json["panels"][0].get("named").is_none(), "{json}");
}

#[test]
fn defaults() {
    for text in ["", "# nothing\n", "limits:\nstreams:\nfeeds: ~\n"] {
        let config = load(text).unwrap();
        assert_eq!(config.listen, "127.0.0.1:8080");
        assert_eq!(config.data_dir, Some(PathBuf::from("./data")));
        assert_eq!(config.durability, Durability::Fsync);
        assert_eq!(config.limits, Limits::default());
        assert!(!config.insecure && config.streams.is_empty() && config.cors.is_empty());
    }
    let config =
        load("streams: { s: { source: { type: http }, schema: { t: timestamp }, event_time: { column: t } } }");
    let stream = config.unwrap().streams.remove(0);
    assert_eq!((stream.retention, stream.retention_bytes), (7 * 86_400 * SECOND, 10 << 30));
    let time = stream.event_time.unwrap();
    assert_eq!((time.max_lateness, time.idle_timeout, time.max_ahead), (5 * SECOND, 30 * SECOND, Some(60 * SECOND)));
    let feed = load("feeds: { f: { sql: SELECT 1 } }").unwrap().feeds.remove(0);
    assert_eq!(
        (feed.max_groups, feed.max_group_state, feed.refresh, feed.key),
        (1_000_000, 1 << 20, Duration::ZERO, None)
    );
}

#[test]
fn formats_by_ending() {
    for (path, format) in
        [("a.csv", FileFormat::Csv), ("a.NDJSON", FileFormat::Ndjson), ("a.b.jsonl", FileFormat::Ndjson)]
    {
        let text = format!("streams: {{ s: {{ source: {{ type: file, path: {path} }}, schema: {{ a: text }} }} }}");
        let config = load(&text).unwrap();
        let Source::File(file) = &config.streams[0].source else { panic!("{config:?}") };
        assert_eq!(file.format, format, "{path}");
    }
}

/// The place that a word of the SQL is said to have, beside the place that it has in the file.
fn check_places(text: &str, exact: &[&str]) {
    let config = load(text).unwrap();
    let sql = &config.feeds[0].sql;
    assert_eq!(sql.text.lines().count(), sql.lines.len(), "{text}");
    for word in exact {
        let (line, column) = position(&sql.text, word);
        let place = sql.at(line, column).unwrap();
        assert_eq!((place.line, place.column), position(text, word), "{word} in {text}");
    }
}

fn position(text: &str, word: &str) -> (u32, u32) {
    let (index, line) = text.lines().enumerate().find(|(_, line)| line.contains(word)).expect(word);
    let column = line[..line.find(word).unwrap()].chars().count();
    (u32::try_from(index).unwrap() + 1, u32::try_from(column).unwrap() + 1)
}

#[test]
fn sql_knows_its_lines() {
    let all = ["SELECT", "größe", "FROM", "WHERE", "x1"];
    let body = "      SELECT 'größe', größe,\n        x1\n\n      FROM t\n        WHERE y\n";
    check_places(&format!("feeds:\n  f:\n    sql: |\n{body}"), &all);
    check_places(&format!("feeds:\n  f:\n    sql: |-\n\n\n{body}\n\n    keep: 1h\n"), &all);
    check_places(&format!("feeds:\r\n  f:\r\n    sql: |\r\n{}", body.replace('\n', "\r\n")), &all);
    check_places(&format!("feeds:\n  f:\n    sql:\n      |\n{body}"), &all);
    check_places("feeds:\n  f:\n    sql: |2\n        SELECT a\n      FROM t\n", &["SELECT", "FROM"]);
    check_places("feeds: { f: { sql: SELECT a FROM t } }", &["SELECT", "FROM"]);
    check_places("feeds: { f: { sql: 'SELECT a FROM t' } }", &["SELECT", "FROM"]);
    check_places("feeds:\n  f:\n    sql: \"SELECT a\n      FROM t\n\n      WHERE y\"\n", &["SELECT", "WHERE"]);
    check_places(
        "feeds:\n  f:\n    sql: >\n\n      SELECT a,\n      b\n\n      FROM t\n        WHERE y\n",
        &["SELECT", "FROM", "WHERE"],
    );
    check_places("feeds:\n  f:\n    sql:\n      SELECT a\n      , b\n", &["SELECT"]);
}

#[test]
fn variables_keep_the_lines_of_sql() {
    let env = |name: &str| (name == "LIST").then(|| "a,\nb".to_owned());
    let text = "feeds:\n  f:\n    sql: |\n      SELECT ${LIST}\n      FROM ${TABLE:-t} -- $$5\n";
    let config = config::load_str(std::path::Path::new("t.yaml"), text, &env).unwrap();
    let sql = &config.feeds[0].sql;
    assert_eq!(sql.text, "SELECT a,\nb\nFROM t -- $5");
    assert_eq!(sql.lines.iter().map(|p| p.line).collect::<Vec<_>>(), [4, 4, 5]);
}

#[test]
fn variables_in_values() {
    let env = |name: &str| match name {
        "PORT" => Some("9001".to_owned()),
        "INSECURE" => Some("true".to_owned()),
        "KEEP" => Some("5m".to_owned()),
        "SPAN" => Some("3".to_owned()),
        _ => None,
    };
    let text = "
listen: 0.0.0.0:${PORT}
insecure: ${INSECURE}
limits: { max_body: '${BODY:-1MiB}' }
feeds: { f: { sql: SELECT 1, keep: '${KEEP}' } }
dashboards: { d: { panels: [{ feed: f, type: table, span: '${SPAN}' }] } }
";
    let config = config::load_str(std::path::Path::new("t.yaml"), text, &env).unwrap();
    assert_eq!(config.listen, "0.0.0.0:9001");
    assert_eq!(config.limits.max_body, 1 << 20);
    assert_eq!(config.feeds[0].keep, 300 * SECOND);
    assert_eq!(config.dashboards[0].panels[0].span, 3);
}

#[test]
fn addresses() {
    for (listen, insecure) in [
        ("127.0.0.1:0", false),
        ("localhost:80", false),
        ("127.9.9.9:1", false),
        ("'[::ffff:127.0.0.1]:80'", false),
        ("0.0.0.0:8080", true),
        ("'[::]:8080'", true),
        ("192.168.1.4:8080", true),
    ] {
        assert!(load(&format!("listen: {listen}\ninsecure: true\n")).is_ok(), "{listen}");
        assert_eq!(load(&format!("listen: {listen}\n")).is_err(), insecure, "{listen}");
    }
}

#[test]
fn the_format_of_files_is_told_by_their_endings_packed_or_not() {
    for (path, expected) in [
        ("a.NDJSON", FileFormat::Ndjson),
        ("a.jsonl.gz", FileFormat::Ndjson),
        ("logs/*.csv.zst", FileFormat::Csv),
        ("logs/**/[ab]?.parquet", FileFormat::Parquet),
    ] {
        let text = format!("streams: {{ s: {{ source: {{ type: file, path: '{path}' }}, schema: {{ a: text }} }} }}");
        let config = load(&text).unwrap();
        let Source::File(file) = &config.streams[0].source else { panic!("{config:?}") };
        assert_eq!((file.format, file.path.to_str()), (expected, Some(path)));
    }
}
