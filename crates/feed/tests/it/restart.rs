//! What a checkpoint must not forget.

use std::collections::BTreeMap;

use feed::{Feed, KeepBy, Options};
use model::{FeedKind, StateBlock};

use crate::rows::{changes, key, options, row, schema, table_of};

/// Blocks as a store keeps them.
#[derive(Default)]
struct Store(BTreeMap<Vec<u8>, Vec<u8>>);

impl Store {
    fn write(&mut self, feed: &mut Feed) {
        for StateBlock { id, data } in feed.checkpoint() {
            match data {
                Some(data) => self.0.insert(id, data),
                None => self.0.remove(&id),
            };
        }
    }

    fn restore(&self, options: Options) -> Feed {
        let blocks = self.0.iter().map(|(id, data)| StateBlock { id: id.clone(), data: Some(data.clone()) });
        Feed::restore(schema(FeedKind::Upsert), options, blocks.collect()).unwrap()
    }
}

#[test]
fn a_time_that_moved_under_an_equal_row_is_kept() {
    for keep_by in [KeepBy::Time, KeepBy::Clock] {
        let options = Options { keep_ms: Some(100), keep_by, ..options(10) };
        let schema = schema(FeedKind::Upsert);
        let mut feed = Feed::new(schema.clone(), options.clone());
        let mut store = Store::default();
        for (tick, time) in [(1, 1_000), (2, 1_060)] {
            feed.apply(tick, &changes(&schema, &[(row(1, 1), time)], &[])).unwrap();
            store.write(&mut feed);
        }
        let restored = store.restore(options);
        assert_eq!((restored.next_expiry(), restored.last_change(), restored.offset()), (Some(1_160), 1, 2));
    }
}

#[test]
fn a_table_that_shrank_leaves_no_blocks_behind() {
    let schema = schema(FeedKind::Upsert);
    let mut feed = Feed::new(schema.clone(), options(1));
    let mut store = Store::default();
    let all: Vec<_> = (0..2_000).map(|n| (row(n, 1), 0)).collect();
    feed.apply(1, &changes(&schema, &all, &[])).unwrap();
    store.write(&mut feed);
    assert_eq!(store.0.len(), 1 + 8);
    // All but one row, in a chunk of the middle, and the last tombstone beside it.
    let gone: Vec<_> = (0..2_000).filter(|n| !(1_000..1_002).contains(n)).chain([1_001]).map(key).collect();
    feed.apply(2, &changes(&schema, &[], &gone)).unwrap();
    store.write(&mut feed);
    assert_eq!(store.0.len(), 1 + 4);
    let mut restored = store.restore(options(1));
    assert_eq!((restored.len(), restored.tombstones(), restored.floor()), (1, 1, 2));
    assert_eq!(table_of(&mut restored), table_of(&mut feed));
    // It grows again, from the first free place on, as the other does.
    for feed in [&mut feed, &mut restored] {
        feed.apply(3, &changes(&schema, &all, &[])).unwrap();
        assert_eq!((feed.len(), feed.tombstones()), (2_000, 0));
    }
    assert_eq!(table_of(&mut restored), table_of(&mut feed));
    store.write(&mut restored);
    assert_eq!(table_of(&mut store.restore(options(1))), table_of(&mut feed));
}

#[test]
fn other_options_count_from_the_next_tick() {
    let schema = schema(FeedKind::Upsert);
    let mut feed = Feed::new(schema.clone(), options(1_000));
    let mut store = Store::default();
    let all: Vec<_> = (0..600).map(|n| (row(n, 1), i64::from(n))).collect();
    feed.apply(1, &changes(&schema, &all, &[])).unwrap();
    store.write(&mut feed);
    let narrow = Options { keep_ms: Some(100), keep_rows: Some(50), ..options(20) };
    let mut restored = store.restore(narrow);
    assert_eq!((restored.len(), restored.next_expiry()), (600, Some(100)));
    assert_eq!(restored.expire(2, 599), 500);
    restored.apply(3, &changes(&schema, &[(row(700, 1), 700)], &[])).unwrap();
    assert_eq!((restored.len(), restored.tombstones(), restored.floor()), (50, 20, 3));
}
