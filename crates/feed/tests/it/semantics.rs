//! The rules of a feed, one by one.

use std::sync::Arc;

use bytes::Bytes;
use feed::{ApplyError, Changes, Feed, KeepBy, Options};
use model::{FeedKind, Schema};

use crate::rows::{Cell, apply_delta, batch, changes, delta, key, options, row, rows, schema, table_of};

fn at(time: i64, numbers: impl IntoIterator<Item = u32>, variant: u8) -> Vec<(Vec<Cell>, i64)> {
    numbers.into_iter().map(|n| (row(n, variant), time)).collect()
}

#[test]
fn an_equal_row_is_no_change_but_keeps_its_row_alive() {
    for keep_by in [KeepBy::Time, KeepBy::Clock] {
        let schema = schema(FeedKind::Upsert);
        let mut feed = Feed::new(schema.clone(), Options { keep_ms: Some(100), keep_by, ..options(10) });
        feed.apply(1, &changes(&schema, &at(1_000, [1, 2], 0), &[])).unwrap();
        feed.apply(2, &changes(&schema, &at(1_050, [1], 0), &[])).unwrap();
        assert_eq!((feed.last_change(), feed.offset()), (1, 2));
        assert!(delta(&mut feed, 1).is_empty());
        assert_eq!(feed.next_expiry(), Some(1_100));
        assert_eq!(feed.expire(3, 1_099), 0);
        assert_eq!(feed.expire(4, 1_100), 1);
        assert_eq!(rows(&delta(&mut feed, 3).deletes), [key(2)]);
        assert_eq!(feed.next_expiry(), Some(1_150));
    }
}

#[test]
fn doubles_are_equal_bit_by_bit() {
    let schema = schema(FeedKind::Upsert);
    let mut feed = Feed::new(schema.clone(), options(10));
    let mut last_change = |tick, value: f64| {
        let mut row = row(1, 0);
        row[2] = Cell::Double(value.to_bits());
        feed.apply(tick, &changes(&schema, &[(row, 0)], &[])).unwrap();
        feed.last_change()
    };
    assert_eq!((last_change(1, f64::NAN), last_change(2, f64::NAN)), (1, 1));
    assert_eq!((last_change(3, 0.0), last_change(4, 0.0), last_change(5, -0.0)), (3, 3, 5));
}

#[test]
fn a_quiet_tick_moves_cursors() {
    let schema = schema(FeedKind::Upsert);
    let mut feed = Feed::new(schema.clone(), options(10));
    feed.apply(1, &changes(&schema, &at(0, [1], 0), &[])).unwrap();
    feed.advance(9);
    feed.advance(4);
    let delta = delta(&mut feed, 1);
    assert_eq!((delta.from, delta.to, delta.is_empty()), (1, 9, true));
    assert_eq!(feed.last_change(), 1);
}

#[test]
fn what_nobody_could_know_is_a_snapshot() {
    let schema = schema(FeedKind::Upsert);
    let mut feed = Feed::new(schema.clone(), options(2));
    feed.apply(1, &changes(&schema, &at(0, 0..5, 0), &[])).unwrap();
    for (tick, number) in (2..).zip(0..4) {
        feed.apply(tick, &changes(&schema, &[], &[key(number)])).unwrap();
    }
    // The deletes of ticks 4 and 5 are left.
    assert_eq!((feed.floor(), feed.tombstones()), (3, 2));
    assert!(matches!(feed.changes_since(Some(2)), Changes::Snapshot(_)));
    assert!(matches!(feed.changes_since(Some(3)), Changes::Delta(_)));
    assert!(matches!(feed.changes_since(Some(5)), Changes::Delta(_)));
    assert!(matches!(feed.changes_since(Some(6)), Changes::Snapshot(_)), "a cursor of the future");
}

#[test]
fn a_key_that_comes_back_is_no_tombstone() {
    let schema = schema(FeedKind::Upsert);
    let mut feed = Feed::new(schema.clone(), options(10));
    feed.apply(1, &changes(&schema, &at(0, [1], 0), &[])).unwrap();
    feed.apply(2, &changes(&schema, &[], &[key(1)])).unwrap();
    feed.apply(3, &changes(&schema, &[], &[key(1), key(77)])).unwrap();
    assert_eq!((feed.last_change(), feed.tombstones(), feed.len()), (2, 1, 0));
    feed.apply(4, &changes(&schema, &at(0, [1], 0), &[])).unwrap();
    assert_eq!((feed.tombstones(), feed.len()), (0, 1));
    let delta = delta(&mut feed, 1);
    assert_eq!((rows(&delta.upserts), delta.deletes.num_rows()), (vec![row(1, 0)], 0));
}

#[test]
fn an_append_feed_holds_its_last_rows() {
    let schema = schema(FeedKind::Append);
    let mut feed = Feed::new(schema.clone(), Options { keep_rows: Some(10), ..options(1_000) });
    for tick in 1..=20_u32 {
        feed.apply(tick.into(), &changes(&schema, &at(0, tick * 3..tick * 3 + 3, 0), &[])).unwrap();
    }
    assert_eq!(table_of(&mut feed).into_keys().collect::<Vec<_>>(), {
        let mut keys: Vec<_> = (53..63).map(key).collect();
        keys.sort();
        keys
    });
    let last = delta(&mut feed, 19);
    assert_eq!(rows(&last.upserts), (60..63).map(|n| row(n, 0)).collect::<Vec<_>>(), "in their order");
    assert_eq!(rows(&last.deletes), (50..53).map(key).collect::<Vec<_>>());

    // Rows that a tick brings and drops at once leave nothing behind.
    let before = feed.tombstones();
    feed.apply(21, &changes(&schema, &at(0, 100..600, 0), &[])).unwrap();
    assert_eq!((feed.len(), feed.tombstones()), (10, before + 10));
    let mut table = std::collections::BTreeMap::new();
    apply_delta(&mut table, &delta(&mut feed, 20));
    assert_eq!(table, table_of(&mut feed));
}

#[test]
fn beyond_its_bytes_a_feed_deletes_its_oldest_rows_and_counts_them() {
    let schema = schema(FeedKind::Upsert);
    let mut feed = Feed::new(schema.clone(), Options { max_bytes: 10_000, ..options(1_000) });
    feed.apply(1, &changes(&schema, &at(0, 0..40, 0), &[])).unwrap();
    assert_eq!((feed.len(), feed.evicted()), (40, 0));
    feed.apply(2, &changes(&schema, &at(0, 40..200, 0), &[])).unwrap();
    let (rows, evicted) = (feed.len(), feed.evicted());
    assert!(rows < 90 && rows as u64 + evicted == 200, "{rows} rows, {evicted} evicted");
    let kept: Vec<_> = table_of(&mut feed).into_keys().collect();
    let mut newest: Vec<_> = (200 - rows as u32..200).map(key).collect();
    newest.sort();
    assert_eq!(kept, newest);
}

#[test]
fn a_snapshot_stays_as_it_was() {
    let schema = schema(FeedKind::Upsert);
    let mut feed = Feed::new(schema.clone(), options(5));
    feed.apply(1, &changes(&schema, &at(0, 0..600, 1), &[])).unwrap();
    let Changes::Snapshot(held) = feed.changes_since(None) else { panic!() };
    let seen: Vec<_> = held.batches().collect();
    feed.apply(2, &changes(&schema, &at(0, 0..300, 2), &[key(400)])).unwrap();
    let all: Vec<_> = (0..600).map(key).collect();
    feed.apply(3, &changes(&schema, &[], &all)).unwrap();
    feed.apply(4, &changes(&schema, &at(0, 600..700, 3), &[])).unwrap();
    assert_eq!((held.offset, held.len()), (1, 600));
    assert!(held.batches().eq(seen));
    assert!(held.batches().all(|batch| batch.num_rows() <= 256));
}

#[test]
fn readers_of_one_cursor_share_one_encoding() {
    let schema = schema(FeedKind::Upsert);
    let mut feed = Feed::new(schema.clone(), options(10));
    feed.apply(1, &changes(&schema, &at(0, 0..3, 0), &[])).unwrap();
    let (a, b) = (delta(&mut feed, 0), delta(&mut feed, 0));
    assert!(Arc::ptr_eq(&a, &b));
    let made = a.encoded(2, |_| Arc::from([Bytes::from_static(b"once")]));
    assert!(Arc::ptr_eq(&made, &b.encoded(2, |_| unreachable!("encoded twice"))));
    let (Changes::Snapshot(a), Changes::Snapshot(b)) = (feed.changes_since(None), feed.changes_since(Some(9))) else {
        panic!()
    };
    assert!(Arc::ptr_eq(&a, &b));
    // Not across a tick.
    feed.advance(2);
    let Changes::Snapshot(c) = feed.changes_since(None) else { panic!() };
    assert_eq!((c.offset, Arc::ptr_eq(&a, &c)), (2, false));
}

#[test]
fn changes_that_do_not_fit_change_nothing() {
    let schema = schema(FeedKind::Upsert);
    let mut feed = Feed::new(schema.clone(), options(10));
    let good = changes(&schema, &at(0, 0..3, 0), &[]);
    feed.apply(5, &good).unwrap();
    assert_eq!(feed.apply(4, &good), Err(ApplyError::OffsetFell { held: 5, given: 4 }));

    let mut bad = good.clone();
    bad.times.pop();
    assert_eq!(feed.apply(6, &bad), Err(ApplyError::Times { rows: 3, times: 2 }));

    bad = good.clone();
    bad.deletes = good.upserts.clone();
    assert_eq!(feed.apply(6, &bad), Err(ApplyError::Columns { expected: 2, found: 8 }));

    let mut columns = schema.schema.columns.clone();
    for column in &mut columns {
        column.nullable = true;
    }
    let mut without = row(9, 1);
    without[1] = Cell::Null;
    bad = good.clone();
    bad.upserts = batch(&columns, Schema::new(columns.clone()).to_arrow(), &[without]);
    bad.times = vec![0];
    assert_eq!(feed.apply(6, &bad), Err(ApplyError::Null("part".to_owned())));

    columns.swap(1, 2);
    bad.upserts = good.upserts.project(&[0, 2, 1, 3, 4, 5, 6, 7]).unwrap();
    bad.times = good.times.clone();
    let error = feed.apply(6, &bad).unwrap_err().to_string();
    assert_eq!(error, "column `part`: expected bigint, found Float64");
    assert_eq!((feed.offset(), feed.len()), (5, 3));
}

#[test]
fn what_is_due_is_deleted_and_nothing_else_however_extreme() {
    for keep_by in [KeepBy::Time, KeepBy::Clock] {
        let schema = schema(FeedKind::Upsert);
        let mut feed = Feed::new(schema.clone(), Options { keep_ms: Some(i64::MAX), keep_by, ..options(10) });
        feed.apply(1, &changes(&schema, &at(i64::MIN, [0], 0), &[])).unwrap();
        feed.apply(2, &changes(&schema, &at(i64::MAX, [1], 0), &[])).unwrap();
        assert_eq!(feed.next_expiry(), Some(-1));
        assert_eq!((feed.expire(3, i64::MIN), feed.expire(3, -2), feed.expire(3, -1)), (0, 0, 1));
        // Never is as far as time goes; were it reached, what is due must go.
        assert_eq!(feed.next_expiry(), Some(i64::MAX));
        assert_eq!((feed.expire(4, i64::MAX - 1), feed.expire(4, i64::MAX)), (0, 1));
        assert_eq!(feed.next_expiry(), None);
    }
}

#[test]
fn a_clock_that_falls_counts_as_the_latest() {
    let schema = schema(FeedKind::Upsert);
    let mut feed = Feed::new(schema.clone(), Options { keep_ms: Some(10), keep_by: KeepBy::Clock, ..options(10) });
    feed.apply(1, &changes(&schema, &at(100, [0], 0), &[])).unwrap();
    feed.apply(2, &changes(&schema, &at(50, [1], 0), &[])).unwrap();
    assert_eq!(feed.expire(3, 109), 0);
    assert_eq!(feed.expire(4, 110), 2);
}
