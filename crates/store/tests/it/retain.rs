//! What leaves the log, and what must not.

use store::{Commit, KEY_AGE_MS, Log, MAX_DEAD_LETTERS, ORPHAN_AGE_MS, Retention, StoreError};

use crate::{commit, copy, cut, entry, key, letter, newest, open, ticks};

fn keep(stream: &str, max_age_ms: i64, max_bytes: u64) -> Retention {
    Retention { stream: stream.into(), max_age_ms, max_bytes }
}

/// Ticks 1 to 10 with an entry of `a` each, of `b` in even ones; 11 to 15 without.
fn history(log: &mut Log) {
    for tick in 1..=15 {
        let mut entries = Vec::new();
        if tick <= 10 {
            entries.push(entry("a", tick, 3));
            if tick % 2 == 0 {
                entries.push(entry("b", tick, 3));
            }
        }
        commit(log, tick, &entries).unwrap();
    }
}

fn streams(log: &mut Log, tick: u64) -> String {
    log.entries(tick).unwrap().iter().map(|(stream, _)| stream.as_str()).collect()
}

#[test]
fn entries_leave_by_age_each_stream_by_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path());
    history(&mut opened.log);
    let before = opened.log.bytes();
    // At 11 s: `a` older than 4 s is that of ticks 1 to 6, `b` older than 8 s that of tick 2.
    let policy = [keep("a", 4_000, u64::MAX), keep("b", 8_000, u64::MAX)];
    let done = opened.log.retain(&policy, 11_000, 15, 1000).unwrap();
    assert_eq!((done.entries, done.more), (7, false));
    assert_eq!(opened.log.bytes(), before - done.bytes);
    // Cuts stay with their entries; those without are covered by the checkpoint, but the last one.
    assert_eq!(ticks(&mut opened.log, 0), [4, 6, 7, 8, 9, 10, 15]);
    let found: Vec<_> = [2, 4, 6, 7, 8].map(|tick| streams(&mut opened.log, tick)).into();
    assert_eq!(found, ["", "b", "b", "a", "ab"]);
    assert_eq!(opened.log.first_tick().unwrap(), Some(4));
    let reach = opened.log.reach("a").unwrap();
    assert_eq!((reach.first, reach.clock, reach.complete), (Some(7), Some(7000), false));
    assert!(opened.log.reach("unknown").unwrap().complete);

    // The same after a restart, and new entries do not take the place of the removed.
    let bytes = opened.log.bytes();
    drop(opened);
    let mut opened = open(dir.path());
    assert_eq!(opened.log.bytes(), bytes);
    assert_eq!(opened.log.retain(&policy, 99_000, 15, 1000).unwrap().entries, 8);
    assert_eq!(opened.log.bytes(), 0);
    drop(opened);
    let mut opened = open(dir.path());
    commit(&mut opened.log, 16, &[entry("a", 16, 1)]).unwrap();
    assert_eq!(ticks(&mut opened.log, 0), [15, 16]);
    assert_eq!(opened.log.entries(16).unwrap(), [entry("a", 16, 1)]);
    assert_eq!(opened.log.reach("a").unwrap().first, Some(16));
}

#[test]
fn entries_leave_by_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path());
    history(&mut opened.log);
    let each = opened.log.bytes() / 15;
    let policy = [keep("a", i64::MAX, each * 4), keep("b", i64::MAX, u64::MAX)];
    opened.log.retain(&policy, 20_000, 15, 1000).unwrap();
    let reach = opened.log.reach("a").unwrap();
    assert!((7..=8).contains(&reach.first.unwrap()), "{reach:?}");
    assert_eq!(opened.log.reach("b").unwrap().first, Some(2));
}

#[test]
fn what_no_checkpoint_covers_is_never_touched() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path());
    history(&mut opened.log);
    let policy = [keep("a", 0, 0), keep("b", 0, 0)];
    opened.log.retain(&policy, i64::MAX, 0, 1000).unwrap();
    assert_eq!(ticks(&mut opened.log, 0), (1..=15).collect::<Vec<_>>());
    for checkpointed in [5, 9, 12] {
        opened.log.retain(&policy, i64::MAX, checkpointed, 1000).unwrap();
        let left = ticks(&mut opened.log, 0);
        assert_eq!(left, (checkpointed..=15).collect::<Vec<_>>());
        for tick in checkpointed + 1..=10 {
            assert_eq!(streams(&mut opened.log, tick), if tick % 2 == 0 { "ab" } else { "a" });
        }
    }
    // A checkpoint ahead of the log, which lost its tail: its end must stay known.
    opened.log.retain(&policy, i64::MAX, 99, 1000).unwrap();
    assert_eq!(ticks(&mut opened.log, 0), [15]);
    drop(opened);
    assert_eq!(open(dir.path()).start.last_tick, 15);
}

#[test]
fn one_call_does_a_bounded_part_and_says_that_there_is_more() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path());
    history(&mut opened.log);
    let policy = [keep("a", 0, 0), keep("b", 0, 0)];
    let mut calls = 0;
    loop {
        let done = opened.log.retain(&policy, i64::MAX, 15, 4).unwrap();
        calls += 1;
        assert!(done.entries <= 4, "{done:?}");
        if !done.more {
            break;
        }
    }
    assert!(calls >= 4, "{calls}");
    assert_eq!((opened.log.bytes(), ticks(&mut opened.log, 0)), (0, vec![15]));
}

#[test]
fn a_stream_that_left_the_configuration_goes_after_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path());
    history(&mut opened.log);
    opened.log.retain(&[], 15_000, 15, 1000).unwrap();
    assert_eq!(opened.log.reach("a").unwrap().first, Some(1));
    opened.log.retain(&[], 20_000 + ORPHAN_AGE_MS, 15, 1000).unwrap();
    assert_eq!(opened.log.reach("a").unwrap().first, None);
}

#[test]
fn keys_last_a_day() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path());
    for (tick, name) in [(1, "old"), (2, "young")] {
        let keys = [key(name, tick as i64 * 1000)];
        opened.log.commit(&Commit { cut: &cut(tick), entries: &[], dead: &[], keys: &keys, settled: &[] }).unwrap();
    }
    drop(opened);
    let mut opened = open(dir.path());
    assert_eq!(opened.log.retain(&[], 1_500 + KEY_AGE_MS, 2, 1000).unwrap().keys, 1);
    assert_eq!(opened.log.key("events", "alice", "old").unwrap(), None);
    assert_eq!(opened.log.key("events", "alice", "young").unwrap(), Some(key("young", 2000)));
}

#[test]
fn dead_letters_are_bounded_the_oldest_go() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path());
    let dead: Vec<_> = (0..20_000).map(|_| ("events".to_owned(), letter("x"))).collect();
    let few = [("few".to_owned(), letter("kept"))];
    opened.log.commit(&Commit { cut: &cut(1), entries: &[], dead: &few, keys: &[], settled: &[] }).unwrap();
    for tick in 2..=8 {
        opened.log.commit(&Commit { cut: &cut(tick), entries: &[], dead: &dead, keys: &[], settled: &[] }).unwrap();
    }
    let count = |log: &Log| log.dead_letters("events", &newest(1_000_000)).unwrap().len();
    let bound = MAX_DEAD_LETTERS as usize;
    opened.log.retain(&[], 0, 3, 1_000_000).unwrap();
    assert_eq!(count(&opened.log), 140_000 - 40_000, "what no checkpoint covers is needed for a replay");
    for tick in 9..=11 {
        opened.log.commit(&Commit { cut: &cut(tick), entries: &[], dead: &dead, keys: &[], settled: &[] }).unwrap();
    }
    opened.log.retain(&[], 0, 4, 1_000_000).unwrap();
    assert_eq!(count(&opened.log), 140_000);
    while opened.log.retain(&[], 0, 11, 1_000).unwrap().more {}
    let letters = opened.log.dead_letters("events", &newest(1_000_000)).unwrap();
    assert_eq!(letters.len(), bound);
    assert_eq!((letters[0].id.tick, letters[letters.len() - 1].id.tick), (11, 7));
    assert_eq!(opened.log.dead_letters("few", &newest(10)).unwrap().len(), 1);
}

#[test]
fn a_state_that_does_not_reach_to_what_is_left_of_the_log_is_said() {
    let temp = tempfile::tempdir().unwrap();
    let (dir, other) = (temp.path().join("a"), temp.path().join("b"));
    let mut opened = open(&dir);
    let epoch = opened.start.epoch;
    history(&mut opened.log);
    opened.state.write(&store::Checkpoint { tick: 12, ..store::Checkpoint::default() }).unwrap();
    copy(&dir, &other);
    opened.log.retain(&[], 15_000, 12, 1000).unwrap();
    drop(opened);

    let opened = open(&dir);
    assert!(!opened.start.state_behind && opened.start.epoch == epoch);
    drop(opened);
    std::fs::remove_file(dir.join("state.sqlite")).unwrap();
    let start = open(&dir).start;
    assert!(start.state_behind && start.epoch != epoch, "{start:?}");

    // Where nothing was removed, the log alone makes the same rows and offsets again.
    std::fs::remove_file(other.join("state.sqlite")).unwrap();
    std::fs::remove_file(other.join("state.sqlite-wal")).unwrap();
    let start = open(&other).start;
    assert!(!start.state_behind && start.epoch == epoch, "{start:?}");
}

#[test]
fn a_lost_cut_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path());
    history(&mut opened.log);
    opened.log.retain(&[], 15_000, 12, 1000).unwrap();
    drop(opened);
    let file = rusqlite::Connection::open(dir.path().join("log.sqlite")).unwrap();
    assert_eq!(file.execute("DELETE FROM bare_cuts WHERE tick = 14", []).unwrap(), 1);
    drop(file);
    let mut opened = open(dir.path());
    let error = opened.log.cuts(12, 100).unwrap_err();
    assert!(matches!(&error, StoreError::Damaged { what, .. } if what.contains("tick 14 is missing")), "{error}");
}
