//! Work is proportional to what a tick touches, never to what is kept.

use datafusion::arrow::array::Array;
use query::{Counters, FeedDef};

use crate::common::{Driver, Event, event, feed};

fn difference(after: Counters, before: Counters) -> Counters {
    Counters {
        rows: after.rows - before.rows,
        groups_touched: after.groups_touched - before.groups_touched,
        groups_shown: after.groups_shown - before.groups_shown,
        groups_released: after.groups_released - before.groups_released,
        panes_visited: after.panes_visited - before.panes_visited,
        blocks_written: after.blocks_written - before.blocks_written,
    }
}

/// What a tick of ten groups costs beside `others` groups in `windows` further windows.
fn cost(sql: &str, others: i64, windows: i64, refresh_ms: i64) -> Counters {
    let mut d = Driver::new(&FeedDef { refresh_ms, ..feed(sql) });
    for window in 1..=windows {
        let events: Vec<Event> = (0..others).map(|i| event(window * 10, "a", 100 + i)).collect();
        d.tick(0, &events, i64::MIN);
    }
    d.tick(10, &(0..10).map(|i| event(1, "a", i)).collect::<Vec<_>>(), i64::MIN);
    d.tick(20_000, &[], i64::MIN);
    d.checkpoint();
    let before = d.query.counters();
    d.tick(40_000, &(0..10).map(|i| event(2, "a", i)).collect::<Vec<_>>(), i64::MIN);
    d.tick(60_000, &[], i64::MIN);
    d.checkpoint();
    difference(d.query.counters(), before)
}

#[test]
fn a_tick_costs_what_it_touches() {
    let window = "SELECT b, window_start, count(*) AS n, avg(v) AS a FROM TUMBLE(events, ts, INTERVAL '10 ms') GROUP BY b, window_start";
    let no_window = "SELECT b, count(*) AS n, avg(v) AS a FROM events GROUP BY b";
    for refresh_ms in [0, 10_000] {
        let small = cost(window, 10, 1, refresh_ms);
        assert_eq!(
            small,
            Counters {
                rows: 10,
                groups_touched: 10,
                groups_shown: 10,
                groups_released: 0,
                panes_visited: 2,
                blocks_written: 1
            }
        );
        assert_eq!(cost(window, 3000, 1, refresh_ms), small);
        assert_eq!(cost(window, 10, 300, refresh_ms), small);
        assert_eq!(cost(no_window, 10, 1, refresh_ms), cost(no_window, 5000, 1, refresh_ms));
    }
}

#[test]
fn a_closed_pane_costs_its_own_groups_and_leaves_no_block() {
    let mut d = Driver::new(&feed(
        "SELECT b, window_start, count(*) AS n FROM TUMBLE(events, ts, INTERVAL '10 ms') GROUP BY b, window_start",
    ));
    d.tick(0, &(0..600).map(|i| event(1, "a", i)).collect::<Vec<_>>(), i64::MIN);
    d.tick(1, &(0..400).map(|i| event(11, "a", i)).collect::<Vec<_>>(), i64::MIN);
    d.checkpoint();
    assert_eq!(d.blocks.len(), 3 + 3 + 2);
    let before = d.query.counters();
    d.tick(2, &[], 10);
    d.checkpoint();
    assert_eq!(difference(d.query.counters(), before).groups_released, 600);
    assert_eq!(d.blocks.len(), 2 + 2, "keys that no pane holds are gone as well");
    d.tick(3, &[], 20);
    d.checkpoint();
    assert_eq!((d.blocks.len(), d.query.groups()), (0, 0));
    d.tick(4, &[event(35, "a", 1)], 20);
    d.tick(5, &[], 100);
    assert!(d.checkpoint().iter().all(|b| b.data.is_none()), "a pane that came and went was never written");
}

#[test]
fn a_group_of_a_number_and_three_aggregates_takes_at_most_120_bytes() {
    for sql in [
        "SELECT b, count(*) AS n, avg(v) AS a, max(v) AS m FROM events GROUP BY b",
        "SELECT b, window_start, count(*) AS n, avg(v) AS a, max(v) AS m FROM TUMBLE(events, ts, INTERVAL '1 day') GROUP BY b, window_start",
    ] {
        let emit = if sql.contains("TUMBLE") { query::Emit::Final } else { query::Emit::Changes };
        let mut d = Driver::new(&FeedDef { emit, ..feed(sql) });
        let mut worst = 0.0_f64;
        for part in 0..20_i64 {
            let events: Vec<Event> =
                (0..8192).map(|i| Event { v: Some(i as f64), ..event(1, "a", part * 8192 + i) }).collect();
            // The table of the test would take more than what is measured.
            let batch = crate::common::batch(&events);
            let tick = query::Tick {
                number: part as u64,
                clock: 0,
                batch: Some(&batch),
                watermark_before: i64::MIN,
                watermark: i64::MIN,
                letters: 100_000,
            };
            let output = d.query.tick(&tick);
            assert!(output.dead.is_empty());
            assert!(output.changes.is_none_or(|c| c.upserts.column(0).null_count() == 0));
            if part > 3 {
                worst = worst.max(d.query.heap_bytes() as f64 / d.query.groups() as f64);
            }
        }
        assert!(worst <= 120.0, "{worst:.0} bytes a group: {sql}");
    }
}
