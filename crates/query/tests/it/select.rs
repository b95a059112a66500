//! Pull queries: what is answered, what is refused, and what one may take.

use std::sync::Arc;

use datafusion::arrow::{
    array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray},
    util::pretty::pretty_format_batches,
};
use model::{Column, DataType, FeedKind, FeedSchema, Schema};
use query::{Select, SelectError, SelectLimits, Selected};

const LIMITS: SelectLimits = SelectLimits { memory: 64 << 20, rows: 10_000 };

fn feed(name: &str) -> FeedSchema {
    let columns = vec![
        Column::new("metric", DataType::Text),
        Column::new("at", DataType::Timestamp),
        Column::new("maxValue", DataType::Double),
        Column::new("meta", DataType::Json),
    ];
    FeedSchema { name: name.to_owned(), schema: Schema::new(columns), key_len: 1, kind: FeedKind::Upsert }
}

/// `rows` of them, in batches of 256 as a snapshot has them.
fn batches(rows: usize) -> Vec<RecordBatch> {
    let schema = feed("load").schema.to_arrow();
    let all: Vec<usize> = (0..rows).collect();
    let batch = |rows: &[usize]| {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(rows.iter().map(|i| Some(format!("m{}", i % 10))).collect::<StringArray>()),
            Arc::new(TimestampMillisecondArray::from_iter_values(rows.iter().map(|i| *i as i64 * 1000))),
            Arc::new(Float64Array::from_iter_values(rows.iter().map(|i| *i as f64))),
            Arc::new(rows.iter().map(|i| Some(format!("{{\"n\":{i}}}"))).collect::<StringArray>()),
        ];
        RecordBatch::try_new(Arc::clone(&schema), columns).unwrap()
    };
    all.chunks(256).map(batch).collect()
}

fn run(sql: &str, rows: usize, limits: SelectLimits) -> Result<(Vec<Column>, Selected), SelectError> {
    let select = Select::plan(sql, &[feed("load"), feed("other")])?;
    let columns = select.columns().to_vec();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let selected = runtime.block_on(select.run(batches(rows).into_iter().map(Ok), limits))?;
    Ok((columns, selected))
}

fn table(sql: &str, rows: usize) -> Vec<String> {
    let (_, selected) = run(sql, rows, LIMITS).unwrap_or_else(|e| panic!("{sql}: {e}"));
    let text = pretty_format_batches(&selected.batches).unwrap().to_string();
    let cells = |line: &str| line.split('|').map(str::trim).filter(|c| !c.is_empty()).collect::<Vec<_>>().join(" ");
    text.lines().filter(|l| l.starts_with('|')).map(cells).collect()
}

#[test]
fn one_select_over_one_feed_is_answered() {
    for (sql, expected) in [
        ("SELECT count(*) FROM load", &["count(*)", "1000"][..]),
        (
            "SELECT metric, max(maxValue) FROM load WHERE maxValue < 500 GROUP BY metric ORDER BY 2 DESC LIMIT 2",
            &["metric max(\"maxValue\")", "m9 499.0", "m8 498.0"],
        ),
        ("SELECT DISTINCT metric FROM load ORDER BY metric LIMIT 2 OFFSET 1", &["metric", "m1", "m2"]),
        (
            "WITH big AS (SELECT * FROM load WHERE maxValue > 997) SELECT metric FROM big ORDER BY maxValue",
            &["metric", "m8", "m9"],
        ),
        (
            "SELECT sum(n) AS n FROM (SELECT metric, count(*) AS n FROM load GROUP BY metric) x HAVING sum(n) > 1",
            &["n", "1000"],
        ),
        ("SELECT meta->>'n' AS n, row_number() OVER (ORDER BY at) AS r FROM load WHERE maxValue = 7", &["n r", "7 1"]),
        ("SELECT at + INTERVAL '1 second' AS at FROM load ORDER BY at LIMIT 1", &["at", "1970-01-01T00:00:01"]),
        ("SELECT at - at AS nothing FROM load LIMIT 1", &["nothing", "P0D"]),
        ("SELECT 1 AS one FROM load WHERE false", &["one"]),
    ] {
        let found = table(sql, 1000);
        // An answer without rows has no batch to print.
        assert!(found == expected || (found.is_empty() && expected.len() == 1), "{sql}: {found:?}");
    }
}

#[test]
fn columns_have_types_that_feeds_have() {
    let sql = "SELECT meta, at, count(*) AS n, NULL AS nothing, avg(\"maxValue\") AS a FROM load GROUP BY meta, at";
    let (columns, _) = run(sql, 3, LIMITS).unwrap();
    let types: Vec<DataType> = columns.iter().map(|c| c.data_type).collect();
    assert_eq!(types, [DataType::Json, DataType::Timestamp, DataType::BigInt, DataType::Text, DataType::Double]);
}

#[test]
fn what_is_more_than_reading_one_feed_is_refused() {
    for (sql, expected) in [
        ("SELECT * FROM laod", "there is no feed `laod`"),
        ("SELECT * FROM load, other", "a join"),
        ("SELECT * FROM load JOIN load AS b USING (metric)", "a join"),
        ("SELECT * FROM load UNION ALL SELECT * FROM load", "a UNION"),
        ("SELECT * FROM load WHERE metric IN (SELECT metric FROM other)", "a SELECT within an expression"),
        ("SELECT (SELECT max(metric) FROM other) FROM load", "a SELECT within an expression"),
        ("WITH RECURSIVE r AS (SELECT 1 AS n FROM load UNION ALL SELECT n + 1 FROM r) SELECT * FROM r", "recursive"),
        ("SELECT 1", "reads no feed"),
        ("VALUES (1)", "VALUES"),
        ("SELECT * FROM (VALUES (1)) x", "VALUES"),
        ("EXPLAIN SELECT * FROM load", "found another statement"),
        ("CREATE TABLE t AS SELECT * FROM load", "found another statement"),
        ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", "does not parse"),
        ("COPY load TO '/tmp/x.csv'", "found another statement"),
        ("INSERT INTO load SELECT * FROM load", "found another statement"),
        ("DELETE FROM load", "found another statement"),
        ("DROP TABLE load", "found another statement"),
        ("SET datafusion.execution.batch_size = 1", "found another statement"),
        ("SHOW TABLES", "found another statement"),
        ("SELECT * FROM information_schema.tables", "there is no feed `tables`"),
        ("SELECT * FROM '/etc/passwd'", "there is no feed"),
        ("SELECT * FROM \"/etc/passwd\"", "there is no feed"),
        ("SELECT * FROM read_csv('/etc/passwd')", "there is no function read_csv()"),
        ("SELECT * FROM generate_series(1, 1000000000000)", "there is no function generate_series()"),
        ("SELECT * INTO t FROM load", "not"),
        ("SELECT * FROM load; SELECT * FROM load", "found 2 statements"),
        ("SELEC * FROM load", "does not parse"),
        ("SELECT nosuch FROM load", "nosuch"),
        ("SELECT metric, count(*) FROM load", "`metric` is neither in GROUP BY"),
        ("SELECT * FROM load TABLESAMPLE SYSTEM (10)", "TABLESAMPLE"),
        ("SELECT * FROM load FOR UPDATE", "FOR UPDATE"),
        ("SELECT * FROM (SELECT * FROM load FOR SHARE) x", "FOR UPDATE or FOR SHARE"),
        ("SELECT named_struct('a', metric) AS s FROM load", "column `s` has a type"),
        ("SELECT mode(metric) FROM load", "mode"),
        ("", "found 0 statements"),
    ] {
        let error = Select::plan(sql, &[feed("load"), feed("other")]).map(drop).expect_err(sql);
        assert!(error.message.contains(expected), "{sql}: {}", error.message);
        assert!(!error.message.contains('\n'), "{sql}: {}", error.message);
    }
    let error = Select::plan("SELECT * FROM laod", &[feed("load")]).expect_err("no such feed");
    assert_eq!(error.hint.as_deref(), Some("did you mean `load`?"));
    let deep = format!("SELECT {}1{} FROM load", "(".repeat(5_000), ")".repeat(5_000));
    let error = Select::plan(&deep, &[feed("load")]).expect_err("too deep");
    assert!(error.message.contains("too deeply"), "{}", error.message);
}

#[test]
fn an_answer_counts_for_what_it_holds_however_much_was_looked_at() {
    let limits = SelectLimits { memory: 64 << 20, rows: 10_000 };
    let (_, selected) = run("SELECT at, count(*) AS n FROM load GROUP BY at", 250_000, limits).unwrap();
    assert_eq!((selected.rows, selected.truncated), (10_000, true));
    // Lists have a text.
    assert_eq!(table("SELECT array_agg(metric) AS all FROM load", 2)[1], "[m0, m1]");
}

#[test]
fn an_answer_has_as_many_rows_as_it_may_have() {
    let few = |rows| SelectLimits { rows, ..LIMITS };
    let (_, selected) = run("SELECT * FROM load", 1000, few(999)).unwrap();
    assert_eq!((selected.rows, selected.truncated), (999, true));
    let (_, selected) = run("SELECT * FROM load", 1000, few(1000)).unwrap();
    assert_eq!((selected.rows, selected.truncated), (1000, false));
    let (_, selected) = run("SELECT count(*) FROM load", 1000, few(1)).unwrap();
    assert_eq!((selected.rows, selected.truncated), (1, false));
}

#[test]
fn a_query_remembers_as_much_as_it_may() {
    let small = SelectLimits { memory: 200 << 10, ..LIMITS };
    for sql in [
        "SELECT meta, count(*) FROM load GROUP BY meta",
        "SELECT * FROM load ORDER BY meta",
        "SELECT count(distinct meta) FROM load",
        "SELECT length(string_agg(meta, ',')) FROM load",
        "SELECT * FROM load",
    ] {
        let error = run(sql, 50_000, small).map(drop).expect_err(sql);
        assert_eq!(error, SelectError::TooLarge { limit: 200 << 10 }, "{sql}");
    }
    // What it only passes over does not count.
    let (_, selected) = run("SELECT metric, count(*) FROM load GROUP BY metric", 50_000, small).unwrap();
    assert_eq!(selected.rows, 10);
}

#[test]
fn a_value_that_cannot_be_computed_is_an_error_of_the_query() {
    for sql in ["SELECT cast(metric AS bigint) FROM load", "SELECT 1 / cast(\"maxValue\" AS bigint) FROM load"] {
        let error = run(sql, 10, LIMITS).map(drop).expect_err(sql);
        assert!(matches!(&error, SelectError::Failed(why) if !why.contains('\n')), "{sql}: {error}");
    }
}
