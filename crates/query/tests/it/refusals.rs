//! What cannot be kept up to date is refused, with the reason, the place and what to
//! write instead; never run wrongly.

use query::{Emit, FeedDef, Part};

use crate::common::{Driver, event, feed, key, plan, refused};

const TUMBLE: &str = "TUMBLE(events, ts, INTERVAL '10 seconds')";

/// SQL (`{}` is a window), a part of the message, a part of the hint, line and column.
type Refusal = (&'static str, &'static str, &'static str, Option<(u32, u32)>);

#[rustfmt::skip]
const REFUSALS: &[Refusal] = &[
    // What does not parse or is no SELECT.
    ("SELECT k FROM events WHERE", "does not parse", "", None),
    ("SELECT k FROM events WHERE k = )", "does not parse", "", Some((1, 32))),
    ("SELECT k,\n  count(* FROM events", "does not parse", "", Some((2, 11))),
    ("SELEC k FROM events", "does not parse", "did you mean `SELECT` instead of `SELEC`?", Some((1, 1))),
    ("SELECT k FORM events", "does not parse", "did you mean `FROM` instead of `FORM`?", Some((1, 15))),
    ("SELECT k from events wehre k > 1", "does not parse", "did you mean `WHERE` instead of `wehre`?", Some((1, 28))),
    ("SELECT k FROM events\nGRUOP BY k", "does not parse", "did you mean `GROUP` instead of `GRUOP`?", Some((2, 7))),
    ("SELECT k FROM events GROUP BY k HAVNG k > 1", "does not parse", "`HAVING`", Some((1, 33))),
    ("INSERT INTO events VALUES (1)", "found another statement", "SELECT", None),
    ("SELECT 1; SELECT 2", "found 2 statements", "SELECT", None),
    ("", "found 0 statements", "SELECT", None),
    ("SELECT 1", "reads no stream", "FROM", Some((1, 1))),
    // Names.
    ("SELECT k FROM event", "no stream `event`", "did you mean `events`?", Some((1, 15))),
    ("SELECT k FROM a.b", "`a.b` is not a stream", "streams: events, raw", Some((1, 15))),
    ("SELECT kk FROM events", "no column `kk`", "did you mean `k`?", Some((1, 8))),
    ("SELECT k,\n  valeu FROM events", "no column `valeu`", "columns: ts, k", Some((2, 3))),
    ("SELECT k FROM events WHERE MixedCas > 1", "no column `MixedCas`", "did you mean `mixedCase`?", Some((1, 28))),
    ("SELECT x.k FROM events", "reads no `x`", "events", Some((1, 8))),
    ("SELECT window_start FROM events", "no column `window_start`", "FROM TUMBLE(events", Some((1, 8))),
    ("SELECT uper(k) AS u FROM events", "no function `uper`", "did you mean `upper`?", Some((1, 8))),
    ("SELECT smu(b) FROM {} GROUP BY window_start", "no function `smu`", "did you mean `sum`?", Some((1, 8))),
    ("SELECT tumble(ts) FROM events", "no function `tumble`", "FROM TUMBLE", Some((1, 8))),
    ("SELECT cast(k AS strng) FROM events", "no type `strng`", "types: text", Some((1, 18))),
    ("SELECT cast(k AS bigit) FROM events", "no type `bigit`", "did you mean `bigint`?", Some((1, 18))),
    ("SELECT cast(k AS json) FROM events", "no type `json`", "stays json", Some((1, 13))),
    ("SELECT k, sum(h) AS s FROM events GROUP BY k", "sum() does not take values of type text", "cast(… AS double)", None),
    ("SELECT k FROM events WHERE h > 1 AND v > 'high'", "'high' is no double", "cast(… AS text)", Some((1, 38))),
    ("SELECT upper(v) AS u FROM events", "upper() does not take values of type double", "cast(… AS text)", Some((1, 8))),
    ("SELECT h + h AS n FROM events", "text + text cannot be computed", "||", Some((1, 8))),
    ("SELECT v * 2 AS twice FROM events WHERE twice > 1", "`twice` is a name that SELECT gives", "before AS twice", Some((1, 41))),
    ("SELECT k FROM events WHERE count(*) > 1 GROUP BY k", "stands in WHERE", "HAVING", Some((1, 28))),
    ("SELECT k,\nFROM events", "found: FROM", "comma before FROM", Some((2, 1))),
    ("SELECT k, avg(k) AS s FROM events GROUP BY k", "avg() does not take values of type text", "cast(… AS double)", None),
    // Clauses.
    ("SELECT k FROM events ORDER BY k", "ORDER BY", "leave it out", Some((1, 31))),
    ("SELECT k FROM events LIMIT 5", "LIMIT", "keep_rows", Some((1, 28))),
    ("SELECT DISTINCT k FROM events", "DISTINCT", "GROUP BY", Some((1, 1))),
    ("SELECT k FROM events UNION SELECT k FROM events", "UNION", "a feed for each SELECT", Some((1, 1))),
    ("WITH x AS (SELECT 1) SELECT k FROM events", "WITH is not here yet", "one SELECT", Some((1, 1))),
    ("SELECT e.k FROM events e JOIN raw r ON e.ts = r.at", "joins are not here yet", "one stream", Some((1, 31))),
    ("SELECT 1 AS x FROM events, raw", "joins are not here yet", "one stream", Some((1, 28))),
    ("SELECT k FROM (SELECT k FROM events)", "not another SELECT", "one SELECT", Some((1, 16))),
    ("SELECT k FROM events WHERE b = (SELECT 1)", "within an expression", "one SELECT", None),
    ("SELECT k FROM events WHERE EXISTS (SELECT 1)", "within an expression", "one SELECT", None),
    ("SELECT k FROM events WHERE 1 = 0", "never have a row", "always false", None),
    // Windows.
    ("SELECT count(*) FROM HOP(events, ts, INTERVAL '1 second', INTERVAL '5 seconds') GROUP BY window_start", "HOP windows are not here yet", "TUMBLE", Some((1, 22))),
    ("SELECT count(*) FROM SESSION(events, ts, INTERVAL '1 second') GROUP BY k", "SESSION windows are not here yet", "TUMBLE", Some((1, 22))),
    ("SELECT count(*) FROM COUNT_WINDOW(events, 10) GROUP BY k", "COUNT_WINDOW windows are not here yet", "TUMBLE", Some((1, 22))),
    ("SELECT count(*) FROM TUMBEL(events, ts, INTERVAL '1 second') GROUP BY window_start", "not a window function", "TUMBLE(", Some((1, 22))),
    ("SELECT count(*) FROM TUMBLE(events, ts) GROUP BY window_start", "takes 3 arguments, found 2", "TUMBLE(stream", Some((1, 22))),
    ("SELECT count(*) FROM TUMBLE(events, ts, 10) GROUP BY window_start", "is an interval, found `10`", "INTERVAL", Some((1, 41))),
    ("SELECT count(*) FROM TUMBLE(events, ts, INTERVAL '1 month') GROUP BY window_start", "a month has no fixed length", "days or weeks", Some((1, 50))),
    ("SELECT count(*) FROM TUMBLE(events, ts, INTERVAL '0 seconds') GROUP BY window_start", "wider than nothing", "INTERVAL", Some((1, 50))),
    ("SELECT count(*) FROM TUMBLE(events, ts, INTERVAL '-5 seconds') GROUP BY window_start", "wider than nothing", "INTERVAL", Some((1, 50))),
    ("SELECT count(*) FROM TUMBLE(event, ts, INTERVAL '1 second') GROUP BY window_start", "no stream `event`", "`events`", Some((1, 29))),
    ("SELECT count(*) FROM TUMBLE(events, tss, INTERVAL '1 second') GROUP BY window_start", "no column `tss`", "`ts`", Some((1, 37))),
    ("SELECT count(*) FROM TUMBLE(events, u, INTERVAL '1 second') GROUP BY window_start", "event time, `ts`, found `u`", "write `ts`", Some((1, 37))),
    ("SELECT count(*) FROM TUMBLE(raw, at, INTERVAL '1 second') GROUP BY window_start", "no event time", "event_time: { column: at }", Some((1, 34))),
    ("SELECT k FROM {}", "needs a GROUP BY", "window_start", Some((1, 15))),
    ("SELECT k, count(*) FROM {} GROUP BY k", "needs window_start or window_end", "add window_start, window_end", Some((1, 76))),
    ("SELECT count(*) FROM {}", "no key", "GROUP BY window_start", Some((1, 1))),
    // Groups.
    ("SELECT count(*) FROM events", "no key", "GROUP BY", Some((1, 1))),
    ("SELECT k, b FROM events HAVING b > 1", "no key", "GROUP BY", Some((1, 1))),
    ("SELECT count(*) AS n FROM events GROUP BY k", "is part of the key, but is not selected", "add it to SELECT", Some((1, 43))),
    ("SELECT k, count(*) AS n FROM {} GROUP BY k, window_start", "is part of the key", "add it to SELECT", None),
    ("SELECT k, count(*) FROM events GROUP BY ALL", "GROUP BY ALL", "name each column", None),
    ("SELECT k, h, count(*) FROM events GROUP BY ROLLUP(k, h)", "ROLLUP", "a feed for each grouping", None),
    ("SELECT k, b, count(*) FROM events GROUP BY k", "b", "", None),
    ("SELECT k, sum(sum(b)) FROM events GROUP BY k", "", "", None),
    // Functions.
    ("SELECT k, row_number() OVER (ORDER BY ts) FROM events", "window functions (OVER)", "TUMBLE", Some((1, 11))),
    ("SELECT k, sum(b) OVER () FROM events", "window functions (OVER)", "TUMBLE", Some((1, 11))),
    ("SELECT now() AS n FROM events", "without any event", "event's time", Some((1, 8))),
    ("SELECT k FROM events WHERE ts > current_timestamp", "without any event", "event's time", Some((1, 33))),
    ("SELECT random() AS r FROM events", "another value each time", "columns of the event", Some((1, 8))),
    ("SELECT uuid() AS r FROM events", "another value each time", "columns of the event", Some((1, 8))),
    ("SELECT k, stddev(DISTINCT v) FROM events GROUP BY k", "stddev(DISTINCT …)", "these take it: count, sum", Some((1, 11))),
    ("SELECT k, approx_distinct(DISTINCT v) FROM events GROUP BY k", "approx_distinct(DISTINCT …)", "write approx_distinct(v)", Some((1, 11))),
    ("SELECT k, mode(DISTINCT v) FROM events GROUP BY k", "mode(DISTINCT …)", "leave DISTINCT out", Some((1, 11))),
    ("SELECT k, count(DISTINCT b, v) FROM events GROUP BY k", "takes one value, found 2", "concat_ws", None),
    ("SELECT k, cast(sum(DISTINCT cast(v AS decimal(10, 2))) AS double) FROM events GROUP BY k", "cannot add values of type Decimal", "AS double", None),
    ("SELECT k, count(DISTINCT INTERVAL '1 day') FROM events GROUP BY k", "cannot tell values of type Interval", "AS text", None),
    ("SELECT k, percentile_cont(v, 95) FROM events GROUP BY k", "a number from 0 to 1", "percentile_cont(value, 0.95)", None),
    ("SELECT k, approx_percentile_cont(v, b) FROM events GROUP BY k", "a number from 0 to 1", "approx_percentile_cont(value, 0.95)", None),
    ("SELECT k, approx_percentile_cont(v, 0.5, 1000000) FROM events GROUP BY k", "from 10 to 10000", "leave them out", None),
    ("SELECT k, approx_percentile_cont_with_weight(v, b, 0.5) FROM events GROUP BY k", "not here yet", "approx_percentile_cont(value, 0.95)", Some((1, 11))),
    ("SELECT k, nth_value(v, 2 ORDER BY ts) FROM events GROUP BY k", "nth_value() is not here yet", "aggregates: count", Some((1, 11))),
    ("SELECT k, string_agg(h, k) FROM events GROUP BY k", "not a constant text", "string_agg(value, ', ')", None),
    ("SELECT k, string_agg(DISTINCT h, ',' ORDER BY ts) FROM events GROUP BY k", "ordered by its own value alone", "leave DISTINCT or ORDER BY out", None),
    ("SELECT k, histogram(v) FROM events GROUP BY k", "a number and its edges", "", None),
    ("SELECT k, histogram(h, 1) FROM events GROUP BY k", "a number and its edges", "", None),
    ("SELECT k, histogram(v, 1, 1) FROM events GROUP BY k", "do not rise", "constants that rise", None),
    ("SELECT k, histogram(v, 1, b) FROM events GROUP BY k", "not a constant number", "constants that rise", None),
    ("SELECT json_get(j, 'a') AS x FROM events", "no function `json_get`", "json_get_", Some((1, 8))),
    ("SELECT b ->> 'a' AS x FROM events", "expected a string, got Int64", "", None),
    ("SELECT k, corr(v, b) FROM events GROUP BY k", "corr() is not here yet", "aggregates: count", Some((1, 11))),
    ("SELECT k, first_value(v) FROM events GROUP BY k", "depends on how events arrive", "first_value(v ORDER BY time_column)", Some((1, 11))),
    ("SELECT k, last_value(v) FROM events GROUP BY k", "depends on how events arrive", "last_value(v ORDER BY time_column)", Some((1, 11))),
    ("SELECT k, sum(h) FROM events GROUP BY k", "sum", "", None),
    // The feed's columns.
    ("SELECT k, v, k FROM events", "two columns are called `k`", "AS", Some((1, 14))),
    ("SELECT k, h AS k FROM events", "two columns are called `k`", "AS", Some((1, 16))),
    ("SELECT INTERVAL '1 day' AS d FROM events", "which feeds do not have", "text", None),
    ("SELECT NULL AS d FROM events", "which feeds do not have", "cast(NULL", None),
    ("SELECT k AS _seq FROM events", "`_seq` is the key", "AS", None),
];

#[test]
fn what_is_refused_says_why_where_and_what_to_write() {
    let mut wrong = Vec::new();
    for (sql, message, hint, at) in REFUSALS {
        let sql = sql.replace("{}", TUMBLE);
        let Err(found) = query::plan(&crate::common::streams(), &feed(&sql)) else {
            wrong.push(format!("{sql}\n  was planned"));
            continue;
        };
        let fits = found.iter().any(|e| {
            e.message.contains(message)
                && e.hint.as_deref().unwrap_or_default().contains(hint)
                && (at.is_none() || e.at == *at)
                && e.part == Part::Sql
        });
        if !fits {
            wrong.push(format!("{sql}\n  {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_problem_of_the_text_is_said_at_once() {
    let errors = refused(&feed("SELECT kk, uper(h), corr(v, b) FROM events WHERE bb > 1 ORDER BY k LIMIT 1"));
    let places: Vec<_> = errors.iter().filter_map(|e| e.at).collect();
    assert!(errors.len() >= 6, "{errors:?}");
    assert!(
        places.contains(&(1, 8)) && places.contains(&(1, 12)) && places.contains(&(1, 21)) && places.contains(&(1, 50))
    );
}

#[test]
fn keys_are_checked() {
    #[rustfmt::skip]
    let cases = [
        ("SELECT k, v FROM events", vec!["kk"], "does not select", "did you mean `k`?"),
        ("SELECT k, v FROM events", vec!["k", "k"], "names `k` twice", ""),
        ("SELECT k, v FROM events", vec![], "no columns", "leave `key:` out"),
        ("SELECT k, h, count(*) AS n FROM events GROUP BY k, h", vec!["k"], "leaves out GROUP BY `h`", "add it to the key"),
        ("SELECT k, count(*) AS n FROM events GROUP BY k", vec!["k", "n"], "`n` is an aggregate", "GROUP BY"),
        ("SELECT k, window_start, date_trunc('hour', window_start) AS hour, count(*) AS n FROM {} GROUP BY k, window_start", vec!["k", "hour"], "`hour` is computed from the window", "add window_start"),
    ];
    for (sql, names, message, hint) in cases {
        let feed = FeedDef { key: Some(key(&names)), ..feed(&sql.replace("{}", TUMBLE)) };
        let errors = refused(&feed);
        let fits = |e: &query::QueryError| {
            e.part == Part::Key && e.message.contains(message) && e.hint.as_deref().unwrap_or_default().contains(hint)
        };
        assert!(errors.iter().any(fits), "{sql} {names:?}: {errors:?}");
    }
}

#[test]
fn having_that_could_uncover_an_older_window_needs_final() {
    let sql =
        format!("SELECT k, window_start, count(*) AS n FROM {TUMBLE} GROUP BY k, window_start HAVING count(*) > 1");
    let feed = FeedDef { key: Some(key(&["k"])), ..feed(&sql) };
    assert!(refused(&feed)[0].message.contains("emit: final"));
    plan(&FeedDef { emit: Emit::Final, ..feed });
}

#[test]
fn final_without_windows_never_comes() {
    for sql in ["SELECT k, count(*) AS n FROM events GROUP BY k", "SELECT k, b FROM events"] {
        let errors = refused(&FeedDef { emit: Emit::Final, ..feed(sql) });
        assert!(errors[0].message.contains("`emit: final`"), "{errors:?}");
    }
}

#[test]
fn a_column_may_have_the_name_of_a_function_without_parentheses() {
    let streams = [query::StreamDef {
        name: "events".to_owned(),
        schema: model::Schema::new(vec![model::Column::new("user", model::DataType::Text)]),
        event_time: None,
    }];
    let feed = feed("SELECT user, count(*) AS n FROM events WHERE USER <> 'x' GROUP BY user");
    assert_eq!(query::plan(&streams, &feed).unwrap().output().schema.columns[0].name, "user");
}

#[test]
fn delete_when_is_checked() {
    let keyed =
        |sql: &str, when: &str| FeedDef { key: Some(key(&["k"])), delete_when: Some(when.to_owned()), ..feed(sql) };
    plan(&keyed("SELECT k, v FROM events", "v < 0 OR v IS NULL"));
    for (feed, message) in [
        (keyed("SELECT k, v FROM events", "w < 0"), "w"),
        (keyed("SELECT k, v FROM events", "v +"), ""),
        (keyed("SELECT k, v FROM events", "v + 1"), "true or false"),
        (keyed("SELECT k, v FROM events", "v > random()"), "another answer each time"),
        (keyed("SELECT k, count(*) AS n FROM events GROUP BY k", "n > 3"), "without GROUP BY"),
        (FeedDef { key: None, ..keyed("SELECT k, v FROM events", "v < 0") }, "needs a key"),
    ] {
        let errors = refused(&feed);
        assert!(errors.iter().any(|e| e.part == Part::DeleteWhen && e.message.contains(message)), "{errors:?}");
    }
}

#[test]
fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
    for depth in [100, 10_000] {
        let sql = format!("SELECT {}b{} AS x FROM events", "(".repeat(depth), ")".repeat(depth));
        assert!(refused(&feed(&sql))[0].message.contains("nests too deeply"));
    }
    for length in [200, 1500, 100_000] {
        let sql = format!("SELECT b{} AS x FROM events", " + b".repeat(length));
        assert!(refused(&feed(&sql))[0].message.contains("nests too deeply"), "{length}");
    }
    let mut d = Driver::new(&feed(&format!("SELECT b{} AS x FROM events", " + b".repeat(90))));
    d.tick(0, &[event(1, "a", 2)], i64::MIN);
    assert_eq!(d.rows(), ["0 182"]);
}

#[test]
fn the_fingerprint_follows_what_state_depends_on() {
    let base = feed("SELECT k, count(*) AS n FROM events GROUP BY k");
    let print = |feed: &FeedDef| plan(feed).fingerprint().to_owned();
    assert_eq!(
        print(&base),
        print(&FeedDef { sql: "select k,\n count(*) as n from events group by k".to_owned(), ..base.clone() })
    );
    assert_eq!(print(&base), print(&FeedDef { max_groups: 5, max_group_state: 9, refresh_ms: 9, ..base.clone() }));
    let window = |width: &str| {
        feed(&format!(
            "SELECT window_start, count(*) AS n FROM TUMBLE(events, ts, INTERVAL '{width}') GROUP BY window_start"
        ))
    };
    assert_ne!(print(&window("1 second")), print(&window("2 seconds")));
    assert_ne!(print(&window("1 second")), print(&FeedDef { emit: Emit::Final, ..window("1 second") }));
    assert_ne!(print(&base), print(&feed("SELECT k, count(b) AS n FROM events GROUP BY k")));
}
