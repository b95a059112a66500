//! Costs are those of what changed, whatever the table holds; nothing grows without bound.

use feed::{Changes, Costs, Feed, KeepBy, Options};
use model::{FeedKind, FeedSchema};

use crate::rows::{changes, delta, key, options, row, schema};

fn filled(rows: u32, options: Options) -> (FeedSchema, Feed) {
    let schema = schema(FeedKind::Upsert);
    let mut feed = Feed::new(schema.clone(), options);
    let all: Vec<_> = (0..rows).map(|n| (row(n, 1), 1_000)).collect();
    feed.apply(1, &changes(&schema, &all, &[])).unwrap();
    (schema, feed)
}

fn since(feed: &Feed, before: Costs) -> Costs {
    let now = feed.costs();
    Costs {
        walked: now.walked - before.walked,
        touched: now.touched - before.touched,
        copied: now.copied - before.copied,
    }
}

#[test]
fn a_tick_and_its_delta_cost_what_changed() {
    let cost = |rows: u32| {
        let options = Options { keep_ms: Some(100), keep_by: KeepBy::Clock, ..options(1_000) };
        let (schema, mut feed) = filled(rows, options);
        let before = feed.costs();
        let upserts: Vec<_> = (0..40).map(|n| (row(n, 2), 1_010)).collect();
        let deletes: Vec<_> = (40..50).map(key).collect();
        feed.apply(2, &changes(&schema, &upserts, &deletes)).unwrap();
        assert_eq!(feed.expire(2, 1_050), 0);
        assert_eq!(delta(&mut feed, 1).upserts.num_rows(), 40);
        delta(&mut feed, 1);
        since(&feed, before)
    };
    let expected = Costs { walked: 50, touched: 50, copied: 0 };
    assert_eq!(cost(1_000), expected);
    assert_eq!(cost(100_000), expected);
}

#[test]
fn expiry_costs_what_expires() {
    let cost = |rows: u32, keep_by| {
        let schema = schema(FeedKind::Upsert);
        let mut feed = Feed::new(schema.clone(), Options { keep_ms: Some(100), keep_by, ..options(1_000_000) });
        let old: Vec<_> = (0..30).map(|n| (row(n, 1), 1_000)).collect();
        let young: Vec<_> = (30..rows).map(|n| (row(n, 1), 1_050)).collect();
        feed.apply(1, &changes(&schema, &old, &[])).unwrap();
        feed.apply(2, &changes(&schema, &young, &[])).unwrap();
        let before = feed.costs();
        assert_eq!(feed.expire(3, 1_100), 30);
        since(&feed, before).touched
    };
    for keep_by in [KeepBy::Time, KeepBy::Clock] {
        assert_eq!((cost(1_000, keep_by), cost(50_000, keep_by)), (30, 30));
    }
}

#[test]
fn a_held_snapshot_costs_a_copy_of_each_chunk_that_changes_once() {
    let (schema, mut feed) = filled(10_000, options(1_000));
    let Changes::Snapshot(held) = feed.changes_since(None) else { panic!() };
    for tick in 2..6 {
        let upserts: Vec<_> = (0..300).map(|n| (row(n, tick as u8), 0)).collect();
        feed.apply(tick, &changes(&schema, &upserts, &[])).unwrap();
    }
    assert_eq!(feed.costs().copied, 2);
    drop(held);
    // One that nobody holds costs nothing, though it was asked for.
    feed.changes_since(None);
    feed.apply(6, &changes(&schema, &[(row(5_000, 9), 0)], &[])).unwrap();
    assert_eq!(feed.costs().copied, 2);
}

#[test]
fn tombstones_and_checkpoints_are_bounded() {
    let schema = schema(FeedKind::Upsert);
    let options = Options { keep_ms: Some(100), ..options(500) };
    let mut feed = Feed::new(schema.clone(), options);
    let mut store = std::collections::BTreeMap::new();
    for tick in 1..200_u32 {
        // Each tick is a window of new keys.
        let time = i64::from(tick) * 100;
        let rows: Vec<_> = (tick * 200..tick * 200 + 200).map(|n| (row(n, 1), time)).collect();
        feed.apply(tick.into(), &changes(&schema, &rows, &[])).unwrap();
        feed.expire(tick.into(), time);
        assert!(feed.len() <= 200 && feed.tombstones() <= 500);
        for block in feed.checkpoint() {
            match block.data {
                Some(data) => drop(store.insert(block.id, data)),
                None => drop(store.remove(&block.id)),
            }
        }
        // A head, and the chunks of 200 rows, 200 that go, and 500 tombstones.
        assert!(store.len() <= 1 + 4, "{} blocks", store.len());
    }
    assert_eq!(feed.floor(), 197);
}

#[test]
fn a_checkpoint_holds_what_changed() {
    let (schema, mut feed) = filled(10_000, options(1_000));
    assert_eq!(feed.checkpoint().len(), 1 + 40);
    feed.apply(2, &changes(&schema, &[(row(300, 5), 0)], &[])).unwrap();
    assert_eq!(feed.checkpoint().len(), 1 + 1);
    feed.advance(3);
    assert_eq!(feed.checkpoint().len(), 1);
    assert!(feed.checkpoint().is_empty());
}
