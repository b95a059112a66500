//! The queries that are held to DataFusion's own answer.

use query::FeedDef;

use crate::common::{feed, key};

/// How a feed's rows follow from those of the batch.
pub enum Rows {
    /// They are the same.
    Same,
    /// The last of each key, without those that `delete_when` removes.
    LastOfKey,
    /// That of the newest window of each key.
    NewestWindow,
}

pub struct Case {
    pub feed: FeedDef,
    pub rows: Rows,
    /// How wide its windows are.
    pub width: Option<i64>,
    /// What the batch runs, where it is not the same SQL.
    pub batch: Option<String>,
    /// How far numbers may be apart, beside rounding.
    pub error: f64,
}

/// Windows of ten seconds; `{}` stands for FROM.
fn tumble(sql: &str) -> Case {
    wide(sql, "INTERVAL '10 seconds'", 10_000)
}

fn wide(sql: &str, interval: &str, width: i64) -> Case {
    let sql = sql.replace("{}", &format!("TUMBLE(events, ts, {interval})"));
    Case { feed: feed(&sql), rows: Rows::Same, width: Some(width), batch: None, error: 0.0 }
}

fn grouped(sql: &str) -> Case {
    Case { feed: feed(sql), rows: Rows::Same, width: None, batch: None, error: 0.0 }
}

fn keyed(sql: &str, names: &[&str]) -> Case {
    let feed = FeedDef { key: Some(key(names)), ..feed(sql) };
    Case { feed, rows: Rows::LastOfKey, width: None, batch: None, error: 0.0 }
}

fn deleting(sql: &str, names: &[&str], when: &str) -> Case {
    let mut case = keyed(sql, names);
    case.feed.delete_when = Some(when.to_owned());
    case
}

fn newest(sql: &str, names: &[&str]) -> Case {
    let mut case = tumble(sql);
    case.feed.key = Some(key(names));
    case.rows = Rows::NewestWindow;
    case
}

fn against(case: Case, batch: &str) -> Case {
    Case { batch: Some(batch.to_owned()), ..case }
}

/// An estimate; the batch estimates in its own way.
fn close(case: Case, error: f64) -> Case {
    Case { error, ..case }
}

/// The most frequent value of a column, the smallest of equals.
fn mode(column: &str) -> Case {
    let counts = format!(
        "SELECT h, window_start, {column}, count({column}) AS n FROM events GROUP BY h, window_start, {column}"
    );
    against(
        tumble(&format!("SELECT h, window_start, mode({column}) AS m FROM {{}} GROUP BY h, window_start")),
        &format!(
            "SELECT h, window_start, first_value({column} ORDER BY n DESC, {column}) AS m FROM ({counts}) GROUP BY h, window_start"
        ),
    )
}

pub fn cases() -> Vec<Case> {
    let mut named_key = tumble("SELECT k, h, window_start, min(v) AS low FROM {} GROUP BY k, h, window_start");
    named_key.feed.key = Some(key(&["window_start", "h", "k"]));
    let mut upper_key = grouped("SELECT h, upper(h) AS big, count(*) AS n FROM events GROUP BY h");
    upper_key.feed.key = Some(key(&["big", "h"]));
    vec![
        // (b) Windows.
        tumble(
            "SELECT k, window_start, window_end, count(*) AS n, avg(v) AS a, max(v) AS m FROM {} GROUP BY k, window_start, window_end",
        ),
        tumble("SELECT window_start, count(*) AS n FROM {} GROUP BY window_start"),
        tumble("SELECT window_end, sum(b) AS s, sum(i) AS t, sum(v) AS w FROM {} GROUP BY window_end"),
        tumble("SELECT window_end, k, h, f, count(b) AS n FROM {} GROUP BY k, h, f, window_end"),
        tumble(
            "SELECT b, window_start, min(b), max(b), min(i), max(i), min(v), max(v) FROM {} GROUP BY b, window_start",
        ),
        tumble("SELECT i, window_start, min(k), max(k), min(ts), max(u) FROM {} GROUP BY i, window_start"),
        tumble("SELECT f, window_start, bool_and(f), bool_or(i > 0), min(f), max(f) FROM {} GROUP BY f, window_start"),
        tumble("SELECT v, window_start, count(*) AS n FROM {} GROUP BY v, window_start"),
        tumble("SELECT u, window_start, count(*) AS n, avg(b) AS a FROM {} GROUP BY u, window_start"),
        tumble("SELECT h, window_start, stddev(v), stddev_pop(v), var(v), var_pop(b) FROM {} GROUP BY h, window_start"),
        tumble(
            "SELECT h, window_start, first_value(v ORDER BY ts) AS a, last_value(v ORDER BY ts) AS z FROM {} GROUP BY h, window_start",
        ),
        tumble(
            "SELECT h, window_start, first_value(k ORDER BY ts, b DESC) AS a, last_value(f ORDER BY ts) AS z, last_value(b ORDER BY u) AS b FROM {} GROUP BY h, window_start",
        ),
        tumble(
            "SELECT h, window_start, count(*) FILTER (WHERE v > 0) AS up, sum(b) FILTER (WHERE f) AS fb, avg(v) FILTER (WHERE k = 'a') AS ka FROM {} GROUP BY h, window_start",
        ),
        tumble("SELECT k, window_start, count(*) AS n FROM {} WHERE v > 0 AND k IS NOT NULL GROUP BY k, window_start"),
        tumble("SELECT k, window_start, count(*) AS n FROM {} GROUP BY k, window_start HAVING count(*) > 2"),
        tumble(
            "SELECT k, window_start, count(*) AS n FROM {} GROUP BY k, window_start HAVING count(*) < 3 OR avg(v) > 0",
        ),
        tumble(
            "SELECT h, window_start, count(*) AS n FROM {} GROUP BY h, window_start HAVING h <> 'x' AND min(b) IS NOT NULL",
        ),
        tumble(
            "SELECT h, window_start, sum(v) / count(*) AS mean, max(v) - min(v) AS spread, round(avg(v), 2) AS r FROM {} GROUP BY h, window_start",
        ),
        tumble("SELECT upper(h) AS big, window_start, count(*) AS n FROM {} GROUP BY upper(h), window_start"),
        tumble(
            "SELECT b % 3 AS m, coalesce(k, '?') AS kk, window_start, sum(b + i) AS s FROM {} GROUP BY b % 3, coalesce(k, '?'), window_start",
        ),
        tumble(
            "SELECT CASE WHEN v > 0 THEN 'up' WHEN v < 0 THEN 'down' END AS dir, window_start, count(*) AS n FROM {} GROUP BY 1, 2",
        ),
        tumble("SELECT h AS name, window_start AS at, count(*) FROM {} e WHERE e.b > -50 GROUP BY name, at"),
        tumble(
            "SELECT h, window_start, max(abs(b)) AS m, sum(length(h)) AS l, avg(i * 2.5) AS d FROM {} GROUP BY h, window_start",
        ),
        tumble(
            "SELECT date_trunc('minute', window_start) AS minute, h, window_start, count(*) AS n FROM {} GROUP BY minute, h, window_start",
        ),
        tumble("SELECT h, window_start, window_end FROM {} GROUP BY h, window_start, window_end"),
        tumble("SELECT j, window_start, count(*) AS n FROM {} GROUP BY j, window_start"),
        tumble(
            "SELECT h, window_start, count(*) AS n, count(k) AS c, sum(CASE WHEN f THEN 1 ELSE 0 END) AS t FROM {} GROUP BY h, window_start",
        ),
        wide(
            "SELECT h, window_start, window_end, avg(v) AS a FROM {} GROUP BY h, window_start, window_end",
            "INTERVAL '1' SECOND",
            1000,
        ),
        wide(
            "SELECT k, f, window_start, sum(b) AS s FROM {} GROUP BY k, f, window_start",
            "INTERVAL '1 minute 30 seconds'",
            90_000,
        ),
        wide("SELECT window_start, max(v) AS m FROM {} WHERE f GROUP BY window_start", "INTERVAL '7 ms'", 7),
        named_key,
        newest("SELECT h, window_start, count(*) AS n, avg(v) AS a FROM {} GROUP BY h, window_start", &["h"]),
        newest("SELECT k, f, window_end, max(b) AS m FROM {} GROUP BY k, f, window_end", &["f", "k"]),
        // (c) Groups without a window.
        grouped("SELECT k, count(*) AS n, avg(v) AS a, max(v) AS m FROM events GROUP BY k"),
        grouped("SELECT b, count(*) AS n, min(ts) AS first, max(ts) AS last FROM events GROUP BY b"),
        grouped("SELECT h, f, sum(b) AS s, stddev(v) AS d FROM events WHERE i >= 0 GROUP BY h, f"),
        grouped("SELECT h, count(*) AS n FROM events GROUP BY h HAVING sum(b) > 0"),
        grouped("SELECT h, last_value(k ORDER BY ts) AS k, last_value(v ORDER BY ts) AS v FROM events GROUP BY h"),
        grouped("SELECT date_bin(INTERVAL '20 seconds', ts) AS bin, h, count(*) AS n FROM events GROUP BY bin, h"),
        grouped(
            "SELECT i / 2 AS half, bool_and(f) AS both, var_pop(v) AS vp FROM events WHERE i IS NOT NULL GROUP BY i / 2",
        ),
        upper_key,
        // Aggregates whose state grows.
        tumble(
            "SELECT h, window_start, count(DISTINCT b) AS cb, count(DISTINCT k) AS ck, sum(DISTINCT b) AS sb, avg(DISTINCT v) AS av, sum(DISTINCT v) AS sv, count(*) AS n FROM {} GROUP BY h, window_start",
        ),
        grouped(
            "SELECT h, count(DISTINCT f) AS cf, count(DISTINCT u) AS cu, sum(DISTINCT i) AS si, count(DISTINCT k) FILTER (WHERE v > 0) AS up, max(DISTINCT v) AS mv FROM events GROUP BY h",
        ),
        tumble(
            "SELECT k, window_start, median(v) AS mv, median(b) AS mb, median(DISTINCT b) AS md, avg(v) AS a FROM {} GROUP BY k, window_start",
        ),
        // DataFusion cuts the place between two values off after six digits.
        close(
            grouped(
                "SELECT k, median(i) FILTER (WHERE f) AS mi, percentile_cont(v, 0.3) AS p3, percentile_cont(0.9) WITHIN GROUP (ORDER BY b DESC) AS p1, quantile_cont(v, 0.99) AS p99, percentile_cont(v, 1.0) AS p100 FROM events GROUP BY k",
            ),
            1e-4,
        ),
        tumble("SELECT h, window_start, string_agg(k, ', ') AS names, count(k) AS n FROM {} GROUP BY h, window_start"),
        grouped("SELECT h, string_agg(k, '') FILTER (WHERE b > 0) AS names FROM events GROUP BY h"),
        grouped("SELECT h, string_agg(DISTINCT k, '|' ORDER BY k DESC) AS names FROM events GROUP BY h"),
        tumble(
            "SELECT h, window_start, string_agg(k, ',' ORDER BY k DESC, b) AS names FROM {} GROUP BY h, window_start",
        ),
        grouped(
            "SELECT f, array_agg(b) AS bs, array_agg(v) FILTER (WHERE v > 0) AS vs, array_agg(k) AS ks FROM events GROUP BY f",
        ),
        tumble(
            "SELECT f, window_start, array_agg(DISTINCT b ORDER BY b) AS bs, array_agg(k ORDER BY k, b) AS ks FROM {} GROUP BY f, window_start",
        ),
        grouped(
            "SELECT h, array_agg(u) IGNORE NULLS AS us, array_agg(j) AS js, array_agg(f) AS fs, min(v) AS low FROM events GROUP BY h",
        ),
        // What DataFusion lacks is computed in another way.
        against(
            tumble(
                "SELECT h, window_start, histogram(v, -5, 0, 2.5, 5) AS hv, histogram(i, 0) FILTER (WHERE f) AS hi, count(*) AS n FROM {} GROUP BY h, window_start",
            ),
            "SELECT h, window_start, concat('[', count(*) FILTER (WHERE v < -5), ',', count(*) FILTER (WHERE v >= -5 AND v < 0), ',', count(*) FILTER (WHERE v >= 0 AND v < 2.5), ',', count(*) FILTER (WHERE v >= 2.5 AND v < 5), ',', count(*) FILTER (WHERE v >= 5), ']') AS hv, concat('[', count(*) FILTER (WHERE f AND i < 0), ',', count(*) FILTER (WHERE f AND i >= 0), ']') AS hi, count(*) AS n FROM events GROUP BY h, window_start",
        ),
        mode("k"),
        mode("b"),
        mode("v"),
        mode("u"),
        mode("f"),
        close(
            tumble(
                "SELECT h, window_start, approx_percentile_cont(v, 0.9) AS p, approx_median(b) AS m, approx_percentile_cont(0.25, 50) WITHIN GROUP (ORDER BY i) AS q, max(v) AS top FROM {} GROUP BY h, window_start",
            ),
            1.5,
        ),
        close(
            grouped("SELECT f, approx_percentile_cont(v, 0.5) FILTER (WHERE v > 0) AS p FROM events GROUP BY f"),
            1.5,
        ),
        close(
            grouped(
                "SELECT h, approx_distinct(b) AS nb, approx_distinct(k) AS nk, approx_distinct(u) AS nu FROM events GROUP BY h",
            ),
            1.0,
        ),
        // The json of an event is of its number `b`.
        against(
            grouped(
                "SELECT j ->> 'b' AS jb, count(*) AS n, count(DISTINCT j -> 'b') AS d FROM events WHERE j ->> 'b' <> '2' OR b = 6 OR j IS NULL GROUP BY j ->> 'b'",
            ),
            "SELECT CASE WHEN b % 2 = 0 THEN cast(b % 4 AS varchar) END AS jb, count(*) AS n, count(DISTINCT CASE WHEN b % 2 = 0 THEN b % 4 END) AS d FROM events WHERE (b % 2 = 0 AND b % 4 <> 2) OR b = 6 OR b % 2 <> 0 OR b IS NULL GROUP BY jb",
        ),
        against(
            tumble(
                "SELECT h, window_start, sum(json_get_int(j, 'b')) AS s, avg(cast(j ->> 'b' AS double)) AS a FROM {} GROUP BY h, window_start",
            ),
            "SELECT h, window_start, sum(b % 4) FILTER (WHERE b % 2 = 0) AS s, avg(b % 4) FILTER (WHERE b % 2 = 0) AS a FROM events GROUP BY h, window_start",
        ),
        // (a) Rows.
        keyed("SELECT k, v, ts FROM events", &["k"]),
        keyed("SELECT v * 2 AS double, h, f, b FROM events WHERE b IS NOT NULL", &["h", "f"]),
        keyed("SELECT b, i, u, j FROM events", &["b"]),
        deleting("SELECT h, v, k FROM events", &["h"], "v < 0"),
        deleting("SELECT h, f AS gone, b + 1 AS n FROM events", &["h"], "gone AND n > 0"),
        grouped("SELECT ts, k, v + 1 AS w, lower(h) AS h FROM events WHERE f"),
        grouped("SELECT * FROM events WHERE k = 'a' OR b > 10"),
    ]
}
