//! What is committed comes back.

use proptest::prelude::*;
use store::{Commit, StoreError};

use crate::{commit, cut, entry, events, key, letter, newest, open, ticks};

#[test]
fn a_commit_comes_back_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let entries = [entry("events", 1, 2), entry("events", 2, 1), entry("other", 3, 4), entry("events", 4, 1)];
    let dead = [("events".to_owned(), letter("first")), ("events".to_owned(), letter("second"))];
    let keys = [key("a", 5)];
    let mut opened = open(dir.path());
    opened.log.commit(&Commit { cut: &cut(1), entries: &entries, dead: &dead, keys: &keys, settled: &[] }).unwrap();
    commit(&mut opened.log, 2, &[]).unwrap();
    opened.log.shutdown().unwrap();
    opened.state.shutdown().unwrap();

    let mut opened = open(dir.path());
    assert_eq!((opened.start.last_tick, opened.start.clock), (2, 2000));
    assert_eq!(opened.log.cuts(0, 10).unwrap(), [cut(1), cut(2)]);
    assert_eq!(opened.log.cuts(1, 10).unwrap(), [cut(2)]);
    assert_eq!(opened.log.entries(1).unwrap(), entries);
    assert_eq!(opened.log.entries(2).unwrap(), []);
    assert_eq!(opened.log.entries(9).unwrap(), []);
    assert_eq!(opened.log.first_tick().unwrap(), Some(1));
    let letters = opened.log.dead_letters("events", &newest(10)).unwrap();
    let letters: Vec<_> = letters.iter().map(|l| (l.id.tick, l.id.number, l.at, l.letter.message.as_str())).collect();
    assert_eq!(letters, [(1, 1, 1000, "second"), (1, 0, 1000, "first")]);
    assert_eq!(opened.log.key("events", "alice", "a").unwrap(), Some(key("a", 5)));
    for (stream, principal, text) in [("other", "alice", "a"), ("events", "bob", "a"), ("events", "alice", "b")] {
        assert_eq!(opened.log.key(stream, principal, text).unwrap(), None);
    }
}

#[test]
fn a_group_commit_of_many_streams_keeps_order_and_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path());
    let entries: Vec<_> = (0..200).map(|n| entry(&format!("s{}", n / 10 % 7), n, 1 + n as usize % 5)).collect();
    commit(&mut opened.log, 1, &entries).unwrap();
    assert_eq!(opened.log.entries(1).unwrap(), entries);
}

#[test]
fn ticks_only_grow() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path());
    commit(&mut opened.log, 5, &[]).unwrap();
    for tick in [0, 4, 5] {
        let error = commit(&mut opened.log, tick, &[]).unwrap_err();
        assert!(matches!(error, StoreError::OutOfOrder { last: 5, .. }), "{error}");
    }
    // Ticks may be left out: what was skipped is not taken for lost.
    commit(&mut opened.log, 9, &[]).unwrap();
    assert_eq!(ticks(&mut opened.log, 0), [5, 9]);
}

#[test]
fn small_events_stay_small() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path());
    commit(&mut opened.log, 1, &[entry("events", 1, 1)]).unwrap();
    let alone = opened.log.bytes();
    let many: Vec<_> = (0..100).map(|n| entry("events", n, 1)).collect();
    commit(&mut opened.log, 2, &many).unwrap();
    let together = (opened.log.bytes() - alone) / 100;
    println!("bytes of an entry with one event: {alone}; a hundred such posts in one tick: {together} each");
    assert!(alone < 600, "{alone}");
    assert!(together < 60, "{together}");
}

#[test]
fn memory_keeps_the_same_promises_while_it_lasts() {
    let options = store::Options { dir: None, durability: store::Durability::Fsync, vfs: None };
    let mut opened = store::open(&options).unwrap();
    assert!(opened.start.fresh);
    commit(&mut opened.log, 1, &[entry("events", 1, 3)]).unwrap();
    opened.log.tidy();
    assert_eq!(opened.log.entries(1).unwrap(), [entry("events", 1, 3)]);
    opened.log.shutdown().unwrap();
    opened.state.shutdown().unwrap();
}

#[test]
fn a_key_that_comes_again_holds_the_new_answer() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path());
    for (tick, at) in [(1, 10), (2, 20)] {
        opened
            .log
            .commit(&Commit { cut: &cut(tick), entries: &[], dead: &[], keys: &[key("a", at)], settled: &[] })
            .unwrap();
    }
    assert_eq!(opened.log.key("events", "alice", "a").unwrap(), Some(key("a", 20)));
}

#[test]
fn the_log_goes_on_while_its_wal_is_moved() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path());
    let wal = dir.path().join("log.sqlite-wal");
    let big = events(1, 40_000);
    for tick in 1..=60 {
        commit(&mut opened.log, tick, &[("events".to_owned(), big.clone())]).unwrap();
        if tick > 50 {
            opened.log.tidy();
        }
    }
    // Without a bound the WAL would hold all of it.
    assert!(opened.log.bytes() > 90 << 20, "{}", opened.log.bytes());
    let wal = wal.metadata().unwrap().len();
    assert!(wal < 40 << 20, "{wal}");
    assert_eq!(opened.log.entries(60).unwrap()[0].1, big);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever goes in comes back, whatever restarts lie between.
    #[test]
    fn any_history_comes_back(
        history in prop::collection::vec((prop::collection::vec((0..3_u8, 0..5_usize), 0..6), any::<bool>()), 1..12)
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut opened = open(dir.path());
        let mut expected = Vec::new();
        for (tick, (batches, restart)) in history.into_iter().enumerate() {
            let tick = tick as u64 + 1;
            let entries: Vec<_> = batches
                .iter()
                .enumerate()
                .map(|(n, (stream, rows))| entry(&format!("s{stream}"), tick * 10 + n as u64, *rows))
                .collect();
            commit(&mut opened.log, tick, &entries).unwrap();
            expected.push(entries);
            if restart {
                drop(opened);
                opened = open(dir.path());
            }
        }
        prop_assert_eq!(ticks(&mut opened.log, 0).len(), expected.len());
        for (tick, entries) in expected.into_iter().enumerate() {
            prop_assert_eq!(opened.log.entries(tick as u64 + 1).unwrap(), entries);
        }
    }
}
