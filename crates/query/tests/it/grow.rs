//! Aggregates whose state grows: how far, what is written of it, and how far estimates are off.

use model::{DataType, Reason};
use proptest::prelude::*;
use query::FeedDef;

use crate::common::{Driver, Event, event, feed};

const TUMBLE: &str = "TUMBLE(events, ts, INTERVAL '10 ms')";

fn text(ts: i64, k: &str, h: &str) -> Event {
    Event { h: h.to_owned(), ..event(ts, k, 0) }
}

fn limited(sql: &str, max_group_state: u64) -> Driver {
    Driver::new(&FeedDef { max_group_state, ..feed(sql) })
}

#[test]
fn a_row_too_much_is_a_dead_letter_and_its_group_goes_on() {
    let mut d = limited("SELECT k, count(*) AS n, sum(b) AS s, string_agg(h, ',') AS all FROM events GROUP BY k", 1000);
    let long = "x".repeat(600);
    let output =
        d.tick(0, &[text(1, "a", "first"), text(2, "a", &long), text(3, "b", &long), text(4, "a", "y")], i64::MIN);
    assert!(output.dead.is_empty());
    let output = d.tick(1, &[text(5, "a", &long), text(6, "a", "z"), text(7, "b", "z"), text(8, "b", &long)], i64::MIN);
    let reasons: Vec<_> = output.dead.iter().map(|letter| letter.reason).collect();
    assert_eq!(reasons, [Reason::GroupTooLarge; 2]);
    assert!(output.dead[0].message.contains("1000 bytes: `max_group_state`"), "{}", output.dead[0].message);
    assert!(std::str::from_utf8(&output.dead[0].raw).unwrap().contains("\"ts\":5,"));
    assert_eq!(d.rows(), [format!("a 4 0 first,{long},y,z"), format!("b 2 0 {long},z")]);
}

#[test]
fn a_group_without_room_for_its_first_row_does_not_come_to_be() {
    for from in ["events", TUMBLE] {
        let window = if from == "events" { "" } else { ", window_start" };
        let sql = format!("SELECT k{window}, max(ts) AS last, array_agg(h) AS all FROM {from} GROUP BY k{window}");
        let mut d = Driver::new(&FeedDef { max_group_state: 1000, max_groups: 2, ..feed(&sql) });
        let long = "x".repeat(2000);
        let events = [
            text(1, "new", &long),
            text(2, "a", "1"),
            text(3, "b", "2"),
            text(4, "c", "3"),
            text(5, "a", &long),
            text(6, "a", "4"),
        ];
        let output = d.tick(0, &events, i64::MIN);
        let reasons: Vec<_> = output.dead.iter().map(|letter| letter.reason).collect();
        // The first group took a place of the two before its row turned out too large.
        assert_eq!(
            reasons,
            [Reason::TooManyGroups, Reason::TooManyGroups, Reason::GroupTooLarge, Reason::GroupTooLarge]
        );
        assert_eq!(d.query.groups(), 1);
        assert_eq!(d.rows().len(), 1);
        assert!(d.rows()[0].ends_with("6 [\"1\",\"4\"]"), "{:?}", d.rows());
        d.tick(1, &[text(7, "b", "5")], i64::MIN);
        assert_eq!(d.query.groups(), 2);
    }
}

#[test]
fn groups_after_one_that_does_not_come_to_be_get_their_own_state() {
    let mut d = limited("SELECT k, count(*) AS n, array_agg(h) AS all FROM events GROUP BY k", 1000);
    let long = "x".repeat(2000);
    let output = d.tick(0, &[text(1, "a", &long), text(2, "b", "1"), text(3, "c", "2"), text(4, "b", "3")], i64::MIN);
    assert_eq!(output.dead.len(), 1);
    assert_eq!(d.rows(), ["b 2 [\"1\",\"3\"]", "c 1 [\"2\"]"]);
}

#[test]
fn values_that_a_full_group_knows_still_count() {
    let mut d = limited("SELECT k, count(*) AS n, count(DISTINCT b) AS d, mode(b) AS m FROM events GROUP BY k", 4000);
    let output = d.tick(0, &(0..1000).map(|b| event(1, "a", b)).collect::<Vec<_>>(), i64::MIN);
    let kept = 1000 - output.dead.len();
    assert!((20..60).contains(&kept), "{kept} values in 4000 bytes");
    assert_eq!(d.rows(), [format!("a {kept} {kept} 0")]);
    let output = d.tick(1, &[event(2, "a", 7), event(3, "a", 7), event(4, "a", 5000)], i64::MIN);
    assert_eq!((output.dead.len(), d.rows()), (1, vec![format!("a {} {kept} 7", kept + 2)]));
    // A state that was read back has just as much room.
    d.checkpoint();
    d.query = d.restored();
    let output = d.tick(2, &[event(5, "a", 8), event(6, "a", 5000)], i64::MIN);
    assert_eq!((output.dead.len(), d.rows()), (1, vec![format!("a {} {kept} 7", kept + 3)]));
}

#[test]
fn every_state_says_how_much_it_holds() {
    let aggregates = [
        "count(DISTINCT v)",
        "count(DISTINCT h)",
        "median(v)",
        "mode(h)",
        "array_agg(v)",
        "string_agg(h, ',')",
        "array_agg(h ORDER BY v)",
        "string_agg(DISTINCT h, ',')",
        "approx_percentile_cont(v, 0.5, 10000)",
    ];
    for aggregate in aggregates {
        let mut d = limited(&format!("SELECT k, {aggregate} AS x, count(*) AS n FROM events GROUP BY k"), 65_536);
        let value = |i: i64| Event { v: Some(i as f64), h: format!("text {i}"), ..event(i, "a", i) };
        let empty = d.query.heap_bytes();
        let output = d.tick(0, &(0..20_000).map(value).collect::<Vec<_>>(), i64::MIN);
        assert!(!output.dead.is_empty(), "{aggregate} has no limit");
        assert!(output.dead.len() < 19_700, "{aggregate} has room for {} values in 64 KiB", 20_000 - output.dead.len());
        let held = d.query.heap_bytes() - empty;
        assert!((60_000..80_000).contains(&held), "{aggregate} holds {held} bytes");
    }
}

#[test]
fn a_checkpoint_holds_the_groups_that_changed() {
    let mut d = Driver::new(&feed("SELECT b, string_agg(h, ',') AS all FROM events GROUP BY b"));
    let large = "x".repeat(5000);
    let size = |blocks: &[model::StateBlock]| {
        let grown = blocks.iter().filter(|block| matches!(block.id[0], b'G' | b'L'));
        grown.map(|block| (block.id[0] as char, block.data.as_ref().map_or(0, Vec::len))).collect::<Vec<_>>()
    };
    let events: Vec<Event> = (0..64)
        .map(|b| Event { h: if b % 2 == 0 { large.clone() } else { "s".to_owned() }, ..event(1, "k", b) })
        .collect();
    d.tick(0, &events, i64::MIN);
    let blocks = d.checkpoint();
    assert_eq!(
        (size(&blocks).iter().filter(|b| b.0 == 'G').count(), size(&blocks).iter().filter(|b| b.0 == 'L').count()),
        (4, 32)
    );
    assert!(d.checkpoint().is_empty(), "nothing changed");
    d.tick(1, &[Event { h: "more".to_owned(), ..event(2, "k", 3) }], i64::MIN);
    let blocks = size(&d.checkpoint());
    assert!(matches!(blocks[..], [('G', bytes)] if bytes < 500), "{blocks:?}");
    d.tick(2, &[Event { h: "more".to_owned(), ..event(3, "k", 4) }], i64::MIN);
    let blocks = size(&d.checkpoint());
    assert!(matches!(blocks[..], [('L', bytes)] if (5000..5200).contains(&bytes)), "{blocks:?}");
    // One that becomes large leaves the block that it shared.
    d.tick(3, &[Event { h: large, ..event(4, "k", 3) }], i64::MIN);
    let blocks = size(&d.checkpoint());
    assert!(matches!(blocks[..], [('G', shared), ('L', own)] if shared < 500 && own > 5000), "{blocks:?}");
    let rows = d.rows();
    d.query = d.restored();
    d.tick(4, &(0..64).map(|b| event(5, "k", b)).collect::<Vec<_>>(), i64::MIN);
    assert!(d.rows().iter().zip(&rows).all(|(after, before)| *after == format!("{before},k")));
}

#[test]
fn what_a_group_remembered_goes_with_it() {
    let large = "x".repeat(5000);
    let events: Vec<Event> = (0..40)
        .map(|b| Event { h: if b % 3 == 0 { large.clone() } else { "s".to_owned() }, ..event(1, "k", b) })
        .collect();
    let window = format!("SELECT b, window_start, string_agg(h, ',') AS all FROM {TUMBLE} GROUP BY b, window_start");
    let mut d = Driver::new(&feed(&window));
    let empty = d.query.heap_bytes();
    d.tick(0, &events, i64::MIN);
    d.checkpoint();
    assert!(d.query.heap_bytes() > empty + 14 * 5000);
    d.tick(1, &[], 10);
    d.checkpoint();
    assert!(d.blocks.is_empty() && d.query.heap_bytes() < empty + 20_000, "{} bytes", d.query.heap_bytes());

    let idle = FeedDef { idle_ttl_ms: 100, ..feed("SELECT b, string_agg(h, ',') AS all FROM events GROUP BY b") };
    let mut d = Driver::new(&idle);
    d.tick(0, &events, i64::MIN);
    d.tick(90, &[event(2, "k", 5)], i64::MIN);
    d.checkpoint();
    d.tick(110, &[], i64::MIN);
    d.checkpoint();
    assert_eq!((d.rows(), d.query.groups()), (vec!["5 s,k".to_owned()], 1));
    assert_eq!(d.blocks.keys().filter(|id| matches!(id[0], b'G' | b'L')).count(), 1);
    // Its place is free for one that knows nothing of it.
    d.query = d.restored();
    d.tick(120, &[event(3, "new", 0)], i64::MIN);
    assert_eq!(d.rows(), ["0 new", "5 s,k"]);
}

/// A number of a row, by its place.
fn number(row: &str, at: usize) -> f64 {
    row.split(' ').nth(at).unwrap().parse().unwrap()
}

#[test]
fn estimates_are_within_their_stated_error() {
    let mut d = Driver::new(&feed(
        "SELECT k, approx_percentile_cont(v, 0.01) AS low, approx_median(v) AS mid, approx_percentile_cont(v, 0.99) AS high, approx_distinct(h) AS h, approx_distinct(b) AS b FROM events GROUP BY k",
    ));
    let mut random = 88_172_645_463_325_252_u64;
    let mut next = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let mut values = Vec::new();
    for tick in 0..60 {
        let events: Vec<Event> = (0..next(2000))
            .map(|i| {
                let n = values.len() as i64;
                values.push(((1.0 + next(1_000_000) as f64).ln() * 1000.0).round());
                Event { v: values.last().copied(), h: format!("user {n}"), ..event(i as i64, "a", n % 700) }
            })
            .collect();
        d.tick(tick, &events, i64::MIN);
        d.checkpoint();
        d.query = d.restored();
    }
    values.sort_by(f64::total_cmp);
    let rows = d.rows();
    // A t-digest of 100 centroids is within 0.1 % of the rank at its ends and 1 % in the middle.
    for (at, quantile, error) in [(1, 0.01, 0.002), (2, 0.5, 0.01), (3, 0.99, 0.002)] {
        let found = number(&rows[0], at);
        let rank = values.partition_point(|v| *v < found) as f64 / values.len() as f64;
        assert!((rank - quantile).abs() <= error, "the {quantile} is at {rank}");
    }
    // Three standard errors of 0.81 %.
    for (at, exact) in [(4, values.len() as f64), (5, 700.0)] {
        let found = number(&rows[0], at);
        assert!((found / exact - 1.0).abs() < 0.0244, "{found} of {exact}");
    }
}

#[test]
fn lists_and_histograms_are_json() {
    let d = Driver::new(&feed(
        "SELECT k, array_agg(b) AS l, histogram(b, 1) AS h, mode(h) AS m, string_agg(h, ',') AS s FROM events GROUP BY k",
    ));
    let types: Vec<_> = d.plan.output().schema.columns.iter().map(|column| column.data_type).collect();
    assert_eq!(types, [DataType::Text, DataType::Json, DataType::Json, DataType::Text, DataType::Text]);
}

#[test]
fn sums_of_distinct_numbers_do_not_wrap() {
    let mut d = Driver::new(&feed("SELECT k, sum(DISTINCT b) AS s FROM events GROUP BY k"));
    let output = d.tick(0, &[event(1, "a", i64::MAX), event(2, "a", i64::MAX), event(3, "a", 5)], i64::MIN);
    assert_eq!(output.dead[0].reason, Reason::QueryFailed);
    assert!(output.dead[0].message.contains("outside of what a bigint can hold"), "{}", output.dead[0].message);
    d.tick(1, &[event(4, "a", -6)], i64::MIN);
    assert_eq!(d.rows(), [format!("a {}", i64::MAX - 1)]);
}

/// Every growing aggregate, with one that counts every row that was taken.
const ALL: &str = "SELECT k, count(*) AS n, array_agg(b) AS list, histogram(coalesce(v, 0), 0) AS h, \
    count(DISTINCT b) AS d, sum(DISTINCT v) AS s, median(v) AS med, mode(h) AS mo, string_agg(h, ',' ORDER BY b DESC) AS o, \
    string_agg(DISTINCT k, '') AS u, approx_percentile_cont(v, 0.7) AS p, approx_distinct(b) AS a";

/// How many elements a list of numbers and nulls has.
fn length(list: &str) -> usize {
    serde_json::from_str::<Vec<serde_json::Value>>(list).unwrap().len()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// INV-2 at the limit: rows, dead letters and estimates of a query that was restored now and
    /// then are those of one that never was; and a refused row is in no aggregate (INV-6).
    #[test]
    fn a_restored_query_goes_on_as_the_live_one(
        ticks in prop::collection::vec((prop::collection::vec((0_u8..3, 0_i64..200, 0_usize..80), 1..120), any::<bool>(), any::<bool>()), 1..10),
        window in any::<bool>(),
    ) {
        let from = if window { format!(", window_start FROM {TUMBLE} GROUP BY k, window_start") } else { " FROM events GROUP BY k".to_owned() };
        let mut live = limited(&format!("{ALL}{from}"), 20_000);
        let mut twin = limited(&format!("{ALL}{from}"), 20_000);
        let (mut sent, mut refused) = (0, 0);
        for (clock, (rows, checkpoint, restart)) in ticks.iter().enumerate() {
            let events: Vec<Event> = rows
                .iter()
                .map(|(k, b, len)| Event { h: "h".repeat(*len), v: (b % 5 > 0).then_some((*b * 37 % 101) as f64), ..event(7, ["a", "b", "c"][*k as usize], *b) })
                .collect();
            let (output, again) = (live.tick(clock as i64, &events, i64::MIN), twin.tick(clock as i64, &events, i64::MIN));
            sent += events.len();
            refused += output.dead.len();
            prop_assert_eq!(&output.dead, &again.dead);
            prop_assert!(output.dead.iter().all(|letter| letter.reason == Reason::GroupTooLarge));
            // None where every row was refused.
            let rows = |output: query::Output| output.changes.map(|changes| changes.upserts);
            prop_assert_eq!(rows(output), rows(again));
            if *checkpoint {
                live.checkpoint();
            }
            if *restart {
                twin.checkpoint();
                twin.query = twin.restored();
            }
        }
        let mut counted = 0;
        for (row, _) in live.table.values() {
            let text = |name: &str| {
                let at = live.plan.output().schema.index_of(name).unwrap();
                row[at].to_string()
            };
            let n: usize = text("n").parse().unwrap();
            counted += n;
            prop_assert_eq!(length(&text("list")), n);
            let buckets: Vec<usize> = serde_json::from_str(&text("h")).unwrap();
            prop_assert_eq!(buckets.iter().sum::<usize>(), n);
        }
        prop_assert_eq!(counted + refused, sent);
    }
}

/// What a query holds is counted alike however it came to be, and is about what it takes.
#[test]
fn beyond_its_memory_a_query_takes_no_new_groups_until_old_ones_close() {
    let sql = format!(
        "SELECT k, window_start, count(*) AS n, max(h) AS last, array_agg(h) AS all FROM {TUMBLE} GROUP BY k, window_start"
    );
    let max_memory = 20_000;
    let mut d = Driver::new(&FeedDef { max_memory, ..feed(&sql) });
    let long = "x".repeat(100);
    let events = |from: i64, count: i64| -> Vec<_> {
        (0..count).map(|n| text(from + n % 10, &format!("{from} {n}"), &long)).collect()
    };
    let mut refused = 0;
    for round in 0..8 {
        let output = d.tick(round, &events(0, 20 * (round + 1)), i64::MIN);
        refused += output.dead.len();
        assert!(output.dead.iter().all(|letter| letter.reason == Reason::FeedTooLarge), "{:?}", output.dead);
        // One tick goes beyond by what it brings at most.
        assert!(d.query.held_bytes() < 2 * max_memory as usize, "{}", d.query.held_bytes());
        let held = d.query.held_bytes();
        d.checkpoint();
        assert_eq!(d.restored().held_bytes(), held);
    }
    assert!(refused > 100, "{refused}");
    let groups = d.query.groups();
    // A group that is there may hold no more either.
    let output = d.tick(8, &[text(0, "0 0", &"y".repeat(2000))], i64::MIN);
    assert_eq!(output.dead.len(), 1);
    assert!(output.dead[0].message.contains("`max_memory`"), "{}", output.dead[0].message);
    // The window closes, and there is room again.
    d.tick(9, &[], 10);
    assert_eq!((d.query.groups(), d.query.held_bytes()), (0, 0), "of {groups}");
    assert!(d.tick(10, &events(10, 20), 10).dead.is_empty());
}

/// What is counted is near what is taken, whatever the query keeps.
#[test]
fn what_groups_count_for_is_near_what_they_take() {
    for sql in [
        format!("SELECT k, window_start, count(*) AS n, avg(v) AS a FROM {TUMBLE} GROUP BY k, window_start"),
        "SELECT b, count(*) AS n, max(i) AS m, min(v) AS a FROM events GROUP BY b".to_owned(),
        "SELECT k, count(*) AS n FROM events GROUP BY k".to_owned(),
    ] {
        let mut d = Driver::new(&feed(&sql));
        let events: Vec<_> = (0..50_000_i64).map(|n| event(n % 10, &format!("{n:08}"), n)).collect();
        d.tick(0, &events, i64::MIN);
        // Without the keys' texts, of 8 bytes each where there are any.
        let taken = d.query.heap_bytes();
        let texts = if sql.contains("SELECT k") { 8 * 50_000 } else { 0 };
        let counted = d.query.held_bytes() - texts;
        assert!(counted > taken / 2 && counted < 2 * taken, "{sql}: {counted} counted, {taken} taken");
    }
}
