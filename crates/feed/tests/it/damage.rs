//! Blocks that no checkpoint wrote are refused in words, never misread, never a panic.

use feed::{Changes, Feed};
use model::{Column, DataType, FeedKind, StateBlock};
use proptest::prelude::*;

use crate::rows::{changes, key, options, row, schema};

fn blocks() -> Vec<StateBlock> {
    let schema = schema(FeedKind::Upsert);
    let mut feed = Feed::new(schema.clone(), options(100));
    let all: Vec<_> = (0..300).map(|n| (row(n, (n % 12) as u8), 1)).collect();
    feed.apply(1, &changes(&schema, &all, &[])).unwrap();
    feed.apply(2, &changes(&schema, &[], &[key(3), key(280)])).unwrap();
    let blocks = feed.checkpoint();
    assert_eq!(blocks.len(), 3);
    blocks
}

fn restore(blocks: Vec<StateBlock>) -> Result<Feed, String> {
    Feed::restore(schema(FeedKind::Upsert), options(100), blocks).map_err(|e| e.to_string())
}

#[test]
fn what_is_missing_or_foreign_is_said() {
    let all = blocks();
    assert_eq!(restore(all.clone()).unwrap().len(), 298);
    for missing in 0..all.len() {
        let mut some = all.clone();
        some.remove(missing);
        let error = restore(some).err().unwrap();
        assert!(error.starts_with("the kept state of feed `f` cannot be read: it"), "{error}");
    }
    let mut twice = all.clone();
    twice.push(all[0].clone());
    assert!(restore(twice).is_err());
    let mut same = all.clone();
    same[1].data.clone_from(&all[0].data);
    assert!(restore(same).is_err(), "a chunk in two places");
    let mut foreign = all.clone();
    foreign[0].id = b"query".to_vec();
    assert!(restore(foreign).err().unwrap().contains("unknown name"));
    assert!(restore(Vec::new()).is_err());

    let mut other = schema(FeedKind::Upsert);
    other.schema.columns[5] = Column::new("n", DataType::BigInt);
    let error = Feed::restore(other, options(100), all.clone()).err().unwrap().to_string();
    assert!(error.ends_with("in its head, its columns are not the feed's"), "{error}");

    let mut older = all;
    let head = older.iter_mut().find(|b| b.id == b"h").and_then(|b| b.data.as_mut()).unwrap();
    head[0] = 0;
    assert!(restore(older).err().unwrap().contains("another version"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn damage_is_refused_or_harmless(block in 0..3_usize, at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in 0..3_u8) {
        let mut damaged = blocks();
        let data = damaged[block].data.as_mut().unwrap();
        // Two of three fall into the first half, where the structure stands.
        let at = if cut == 0 { at.index(data.len()) } else { at.index(data.len().min(200)) };
        match cut {
            2 => data.truncate(at),
            _ => data[at] = byte,
        }
        let cut_off = cut == 2;
        match restore(damaged) {
            Err(_) => {}
            Ok(mut feed) => {
                prop_assert!(!cut_off);
                // Another value than was written cannot be told from it; it must still be whole.
                let Changes::Snapshot(snapshot) = feed.changes_since(None) else { panic!() };
                prop_assert_eq!(snapshot.batches().map(|b| b.num_rows()).sum::<usize>(), feed.len());
                feed.changes_since(Some(0));
                feed.apply(9, &changes(&schema(FeedKind::Upsert), &[(row(3, 1), 0)], &[key(4)])).ok();
            }
        }
    }
}
