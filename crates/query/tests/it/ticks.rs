//! What a query does with time, limits and failures.

use model::{DataType, FeedKind, Reason};
use query::{Emit, FeedDef};

use crate::common::{Driver, Event, event, feed, key, plan};

const NEVER: i64 = i64::MIN;

fn windowed() -> FeedDef {
    feed(
        "SELECT k, window_start, window_end, count(*) AS n, sum(b) AS s FROM TUMBLE(events, ts, INTERVAL '10 ms') GROUP BY k, window_start, window_end",
    )
}

fn per_key() -> FeedDef {
    feed("SELECT k, count(*) AS n, sum(b) AS s FROM events GROUP BY k")
}

fn reasons(output: &query::Output) -> Vec<Reason> {
    output.dead.iter().map(|d| d.reason).collect()
}

#[test]
fn the_output_has_the_key_first_and_keeps_json() {
    let names = |feed: &FeedDef| {
        let output = plan(feed).output().clone();
        (output.schema.columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>(), output.key_len, output.kind)
    };
    let select = |sql: &str| names(&feed(sql));
    let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&windowed()), (owned(&["k", "window_start", "window_end", "n", "s"]), 2, FeedKind::Upsert));
    assert_eq!(
        select("SELECT avg(v), h AS host, k FROM events GROUP BY k, h"),
        (owned(&["k", "host", "avg(v)"]), 2, FeedKind::Upsert)
    );
    assert_eq!(select("SELECT v, j FROM events"), (owned(&["_seq", "v", "j"]), 1, FeedKind::Append));
    let keyed = FeedDef {
        key: Some(key(&["j"])),
        ..feed("SELECT v, j, mixedCase, arrow_cast(i, 'Int16') AS small FROM events")
    };
    let output = plan(&keyed).output().clone();
    let types: Vec<_> = output.schema.columns.iter().map(|c| (c.name.as_str(), c.data_type, c.nullable)).collect();
    assert_eq!(
        types,
        [
            ("j", DataType::Json, false),
            ("v", DataType::Double, true),
            ("mixedCase", DataType::BigInt, true),
            ("small", DataType::Int, true)
        ]
    );
    let output = plan(&feed("SELECT j AS doc, max(j) AS m FROM events GROUP BY j")).output().clone();
    assert_eq!(
        (output.schema.columns[0].data_type, output.schema.columns[1].data_type),
        (DataType::Json, DataType::Text)
    );
}

#[test]
fn a_window_fills_and_late_rows_are_refused() {
    let mut d = Driver::new(&windowed());
    d.tick(100, &[event(1, "a", 1), event(12, "a", 5), event(-1, "b", 2)], NEVER);
    assert_eq!(d.rows(), ["a 0 10 1 1", "a 10 20 1 5", "b -10 0 1 2"]);
    let output = d.tick(101, &[event(3, "a", 2)], 10);
    assert!(output.dead.is_empty(), "its window was open before the tick");
    assert_eq!(d.rows()[0], "a 0 10 2 3");
    assert_eq!(d.query.groups(), 1, "closed windows are released, their rows stay");
    let output = d.tick(102, &[event(9, "a", 2), event(10, "a", 3), event(-5, "c", 1)], 10);
    assert_eq!(reasons(&output), [Reason::Late, Reason::Late]);
    assert_eq!(
        output.dead[0].message,
        "its time is 1970-01-01T00:00:00.009Z; the window 1970-01-01T00:00:00.000Z to 1970-01-01T00:00:00.010Z \
         is closed: the watermark is 1970-01-01T00:00:00.010Z"
    );
    assert_eq!(output.dead[0].raw, r#"{"ts":9,"k":"a","h":"a","b":2,"i":2,"mixedCase":2}"#);
    assert_eq!(d.rows(), ["a 0 10 2 3", "a 10 20 2 8", "b -10 0 1 2"]);
    let times: Vec<i64> = d.table.values().map(|(_, time)| *time).collect();
    assert_eq!(times, [10, 20, 0], "`keep` counts from the window's end");
}

#[test]
fn a_row_that_where_leaves_out_is_not_late() {
    let mut d = Driver::new(&feed(
        "SELECT window_start, count(*) AS n FROM TUMBLE(events, ts, INTERVAL '10 ms') WHERE b > 0 GROUP BY window_start",
    ));
    d.tick(0, &[event(50, "a", 1)], 40);
    assert_eq!(d.tick(1, &[event(1, "a", 0), event(2, "a", 1)], 40).dead.len(), 1);
}

#[test]
fn final_shows_a_window_once_when_it_is_closed() {
    let mut d = Driver::new(&FeedDef { emit: Emit::Final, ..windowed() });
    d.tick(0, &[event(1, "a", 1), event(11, "a", 1)], NEVER);
    d.tick(1, &[event(2, "b", 4)], 9);
    assert!(d.rows().is_empty());
    d.tick(2, &[event(3, "a", 5)], 10);
    assert_eq!(d.rows(), ["a 0 10 2 6", "b 0 10 1 4"]);
    d.tick(3, &[], 1000);
    assert_eq!(d.rows(), ["a 0 10 2 6", "a 10 20 1 1", "b 0 10 1 4"]);
    assert_eq!((d.query.groups(), d.query.due()), (0, None));
}

#[test]
fn refresh_shows_the_first_change_at_once_and_the_others_when_due() {
    let mut d = Driver::new(&FeedDef { refresh_ms: 100, ..per_key() });
    d.tick(1000, &[event(1, "a", 1)], NEVER);
    assert_eq!(d.rows(), ["a 1 1"]);
    assert_eq!(d.query.due(), Some(1000 + 86_400_000), "only `idle_ttl` is waiting");
    assert!(d.tick(1050, &[event(1, "b", 1), event(1, "a", 1)], NEVER).changes.is_none());
    assert!(d.tick(1060, &[event(1, "b", 1)], NEVER).changes.is_none());
    assert_eq!(d.query.due(), Some(1100));
    d.checkpoint();
    d.query = d.restored();
    assert_eq!(d.query.due(), Some(1100), "what waits survives a restart");
    assert!(d.tick(1099, &[], NEVER).changes.is_none());
    d.tick(1100, &[], NEVER);
    assert_eq!(d.rows(), ["a 2 2", "b 2 2"]);
    assert!(d.tick(1199, &[event(1, "a", 1)], NEVER).changes.is_none());
}

#[test]
fn a_closing_window_does_not_wait_for_refresh() {
    let mut d = Driver::new(&FeedDef { refresh_ms: 1000, ..windowed() });
    d.tick(0, &[event(1, "a", 1)], NEVER);
    d.tick(1, &[event(2, "a", 1), event(12, "a", 7)], NEVER);
    assert_eq!(d.rows(), ["a 0 10 1 1"]);
    d.tick(2, &[], 10);
    assert_eq!(d.rows(), ["a 0 10 2 2"]);
    d.tick(1000, &[], 10);
    assert_eq!(d.rows(), ["a 0 10 2 2", "a 10 20 1 7"]);
}

#[test]
fn idle_groups_are_dropped_and_start_anew() {
    let mut d = Driver::new(&FeedDef { idle_ttl_ms: 100, ..per_key() });
    d.tick(0, &[event(1, "a", 1), event(1, "b", 1)], NEVER);
    d.tick(50, &[event(1, "a", 1)], NEVER);
    assert_eq!(d.query.due(), Some(100));
    d.tick(99, &[], NEVER);
    assert_eq!(d.query.groups(), 2);
    d.checkpoint();
    d.query = d.restored();
    d.tick(100, &[], NEVER);
    assert_eq!(d.rows(), ["a 2 2"]);
    assert_eq!((d.query.groups(), d.query.due()), (1, Some(150)));
    let output = d.tick(150, &[event(1, "a", 9), event(1, "c", 1)], NEVER);
    assert_eq!(d.rows(), ["a 1 9", "c 1 1"], "a group that is gone counts from the start");
    assert_eq!(output.changes.unwrap().deletes.num_rows(), 0, "a row that is replaced is not deleted as well");
    d.tick(1000, &[], NEVER);
    assert_eq!((d.rows().len(), d.query.groups(), d.query.due()), (0, 0, None));
    let written = d.checkpoint();
    assert!(written.iter().all(|b| b.data.is_none()), "nothing is left to keep");
}

#[test]
fn a_dropped_group_that_waited_to_be_shown_is_not_shown() {
    let mut d = Driver::new(&FeedDef { idle_ttl_ms: 100, refresh_ms: 500, ..per_key() });
    d.tick(0, &[event(1, "a", 1)], NEVER);
    d.tick(10, &[event(1, "b", 1), event(1, "a", 1)], NEVER);
    d.tick(300, &[event(1, "c", 3)], NEVER);
    assert_eq!(d.rows().len(), 0);
    d.tick(390, &[event(1, "c", 3)], NEVER);
    d.tick(489, &[event(1, "c", 3)], NEVER);
    d.tick(500, &[], NEVER);
    assert_eq!(d.rows(), ["c 3 9"]);
}

#[test]
fn groups_beyond_the_limit_are_refused_until_there_is_room() {
    let mut d = Driver::new(&FeedDef { max_groups: 2, ..windowed() });
    let output =
        d.tick(0, &[event(1, "a", 1), event(1, "b", 1), event(1, "c", 1), event(11, "a", 1), event(2, "a", 1)], NEVER);
    assert_eq!(reasons(&output), [Reason::TooManyGroups, Reason::TooManyGroups]);
    assert_eq!(d.rows(), ["a 0 10 2 2", "b 0 10 1 1"]);
    assert!(output.dead[0].raw.starts_with(br#"{"ts":1,"k":"c""#));
    d.tick(1, &[], 10);
    d.tick(2, &[event(11, "c", 1)], 10);
    assert_eq!(d.rows().len(), 3);
    let mut d = Driver::new(&FeedDef { max_groups: 1, ..per_key() });
    let output = d.tick(0, &[event(1, "a", 1), event(1, "b", 1)], NEVER);
    assert_eq!((reasons(&output), d.rows()), (vec![Reason::TooManyGroups], vec!["a 1 1".to_owned()]));
}

#[test]
fn a_null_key_is_refused_without_group_by_and_is_a_group_with_it() {
    let null = Event { h: "h".to_owned(), b: Some(3), ..Event::default() };
    let mut d = Driver::new(&FeedDef { key: Some(key(&["k"])), ..feed("SELECT k, b FROM events") });
    let output = d.tick(7, &[event(1, "a", 1), null.clone(), event(1, "a", 2)], NEVER);
    assert_eq!((reasons(&output), d.rows()), (vec![Reason::NullKey], vec!["a 2".to_owned()]));
    assert_eq!(output.dead[0].message, "the key column `k` is null");
    assert_eq!(d.table.values().next().unwrap().1, 7, "`keep` counts from the cut's clock");
    let mut d = Driver::new(&per_key());
    d.tick(0, &[null], NEVER);
    assert_eq!(d.rows(), ["NULL 1 3"]);
}

#[test]
fn the_last_row_of_a_key_decides_whether_it_is_deleted() {
    let deleting =
        FeedDef { key: Some(key(&["k"])), delete_when: Some("b < 0".to_owned()), ..feed("SELECT b, k FROM events") };
    let mut d = Driver::new(&deleting);
    d.tick(0, &[event(1, "a", 1), event(1, "b", -1), event(1, "b", 2), event(1, "c", 1), event(1, "c", -1)], NEVER);
    assert_eq!(d.rows(), ["a 1", "b 2"]);
    let output = d.tick(1, &[event(1, "a", -1)], NEVER);
    assert_eq!((d.rows(), output.changes.unwrap().deletes.num_rows()), (vec!["b 2".to_owned()], 1));
}

#[test]
fn an_append_feed_numbers_its_rows_across_restarts() {
    let mut d = Driver::new(&feed("SELECT k, b FROM events WHERE b > 0"));
    d.tick(0, &[event(1, "a", 1), event(1, "b", 0), event(1, "c", 2)], NEVER);
    d.checkpoint();
    assert!(d.checkpoint().is_empty());
    d.query = d.restored();
    assert!(d.tick(1, &[event(1, "d", 0)], NEVER).changes.is_none());
    d.tick(2, &[event(1, "e", 5)], NEVER);
    assert_eq!(d.rows(), ["0 a 1", "1 c 2", "2 e 5"]);
}

#[test]
fn rows_on_which_the_query_fails_are_refused_and_the_others_go_on() {
    let mut d = Driver::new(&feed("SELECT k, sum(100 / b) AS s FROM events GROUP BY k"));
    let output = d.tick(0, &[event(1, "a", 5), event(1, "a", 0), event(1, "b", 10), event(1, "b", 0)], NEVER);
    assert_eq!(reasons(&output), [Reason::QueryFailed; 2]);
    assert!(output.dead[0].message.contains("ivide by zero"), "{}", output.dead[0].message);
    assert_eq!(d.rows(), ["a 20", "b 10"]);
    let mut d = Driver::new(&FeedDef {
        key: Some(key(&["k"])),
        ..feed("SELECT k, b * 2 AS d, cast(h AS bigint) AS n FROM events")
    });
    let output = d.tick(0, &[event(1, "7", i64::MAX), event(1, "x", 1), event(1, "8", 4)], NEVER);
    assert_eq!((reasons(&output), d.rows()), (vec![Reason::QueryFailed; 2], vec!["8 8 8".to_owned()]));
    assert_eq!(output.dead[1].raw, r#"{"ts":1,"k":"x","h":"x","b":1,"i":1,"mixedCase":1}"#);
    let window = "SELECT window_start, sum(b + 1) AS s FROM TUMBLE(events, ts, INTERVAL '10 ms') GROUP BY window_start";
    let mut d = Driver::new(&feed(window));
    let output = d.tick(0, &[event(1, "a", i64::MAX), event(2, "a", 3), event(12, "a", 4)], NEVER);
    assert_eq!((reasons(&output), d.rows()), (vec![Reason::QueryFailed], vec!["0 4".to_owned(), "10 5".to_owned()]));
    assert!(!std::str::from_utf8(&output.dead[0].raw).unwrap().contains("window_start"), "the event as it came");
}

#[test]
fn a_function_that_panics_fails_on_its_row_alone() {
    let mut d = Driver::new(&FeedDef { key: Some(key(&["k"])), ..feed("SELECT k, lpad('x', b) AS p FROM events") });
    let output = d.tick(0, &[event(1, "a", 3), event(1, "b", -1)], NEVER);
    assert_eq!((reasons(&output), d.rows()), (vec![Reason::QueryFailed], vec!["a   x".to_owned()]));
    let mut d = Driver::new(&feed("SELECT k, lpad('x', sum(b)) AS p FROM events GROUP BY k"));
    let output = d.tick(0, &[event(1, "a", 3), event(1, "b", -1)], NEVER);
    assert_eq!((reasons(&output), d.rows()), (vec![Reason::QueryFailed], vec!["a   x".to_owned()]));
}

#[test]
fn where_protects_what_comes_after_it() {
    let mut d = Driver::new(&feed("SELECT k, sum(100 / b) AS s FROM events WHERE b <> 0 GROUP BY k"));
    let output = d.tick(0, &[event(1, "a", 5), event(1, "a", 0)], NEVER);
    assert_eq!((output.dead.len(), d.rows()), (0, vec!["a 20".to_owned()]));
}

#[test]
fn a_sum_outside_of_bigint_is_never_shown_wrong() {
    let mut d = Driver::new(&feed("SELECT k, sum(b) AS s, count(*) AS n FROM events GROUP BY k"));
    d.tick(0, &[event(1, "a", i64::MAX), event(1, "b", 1)], NEVER);
    assert_eq!(d.rows(), [format!("a {} 1", i64::MAX), "b 1 1".to_owned()]);
    let output = d.tick(1, &[event(1, "a", 1), event(1, "b", 1)], NEVER);
    assert_eq!(reasons(&output), [Reason::QueryFailed]);
    assert_eq!(output.dead[0].raw, r#"{"k":"a"}"#);
    assert_eq!(d.rows(), ["b 2 2"], "no row is better than a wrong one");
    assert!(d.tick(2, &[event(1, "a", 1)], NEVER).dead.is_empty(), "it is said once");
    d.tick(3, &[event(1, "a", -5)], NEVER);
    assert_eq!(d.rows(), [format!("a {} 4", i64::MAX - 3), "b 2 2".to_owned()]);
}

#[test]
fn a_group_that_no_longer_meets_having_is_deleted() {
    let mut d = Driver::new(&feed("SELECT k, sum(b) AS s FROM events GROUP BY k HAVING sum(b) > 0"));
    d.tick(0, &[event(1, "a", 1), event(1, "b", -1)], NEVER);
    assert_eq!(d.rows(), ["a 1"]);
    d.checkpoint();
    d.query = d.restored();
    d.tick(1, &[event(1, "a", -1), event(1, "b", 5)], NEVER);
    assert_eq!(d.rows(), ["b 4"]);
    assert!(d.tick(2, &[event(1, "a", -1)], NEVER).changes.is_none(), "what is not shown is not deleted again");
}

#[test]
fn a_key_without_the_window_shows_the_newest() {
    let sql = "SELECT k, window_start, sum(b) AS s FROM TUMBLE(events, ts, INTERVAL '10 ms') GROUP BY k, window_start";
    let mut d = Driver::new(&FeedDef { key: Some(key(&["k"])), ..feed(sql) });
    d.tick(0, &[event(11, "a", 1), event(1, "a", 5), event(1, "b", 2)], NEVER);
    assert_eq!(d.rows(), ["a 10 1", "b 0 2"]);
    d.checkpoint();
    d.query = d.restored();
    assert!(d.tick(1, &[event(2, "a", 5)], NEVER).changes.is_none(), "an older window does not come back");
    d.tick(2, &[event(12, "a", 1), event(21, "b", 7)], 20);
    assert_eq!(d.rows(), ["a 10 2", "b 20 7"]);
    let mut d = Driver::new(&FeedDef { key: Some(key(&["k"])), emit: Emit::Final, ..feed(sql) });
    d.tick(0, &[event(11, "a", 1), event(1, "a", 5)], 20);
    assert_eq!(d.rows(), ["a 10 1"], "two windows that close at once");
}

#[test]
fn times_that_no_window_can_hold_are_refused() {
    let mut d = Driver::new(&windowed());
    let output = d.tick(0, &[event(i64::MAX, "a", 1), event(i64::MIN, "a", 1), event(5, "a", 1)], NEVER);
    assert_eq!(reasons(&output), [Reason::OutOfRange; 2]);
    assert_eq!(d.rows(), ["a 0 10 1 1"]);
}

#[test]
fn many_windows_in_one_tick_find_their_groups() {
    let mut d = Driver::new(&windowed());
    // More windows than rows for each would fill a table: groups are found by hash as well.
    let events: Vec<Event> =
        (0..3000).map(|i| event((i * 7919) % 20_000, ["a", "b", "c"][i as usize % 3], 1)).collect();
    d.tick(0, &events, NEVER);
    d.tick(1, &events, NEVER);
    let mut expected = std::collections::BTreeMap::new();
    for e in &events {
        *expected.entry((e.k.clone().unwrap(), e.ts / 10 * 10)).or_insert(0) += 2;
    }
    let expected: Vec<String> =
        expected.iter().map(|((k, start), n)| format!("{k} {start} {} {n} {n}", start + 10)).collect();
    let mut rows = d.rows();
    rows.sort();
    let mut sorted = expected;
    sorted.sort();
    assert_eq!(rows, sorted);
}
