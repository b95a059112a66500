//! A power cut takes what was not synced, and nothing that was promised.

use std::path::{Path, PathBuf};

use store::{Checkpoint, Commit, Durability, Opened, Options};

use crate::{commit, cut, entry, key, letter, newest, open, open::another_boot};

struct Bench {
    temp: tempfile::TempDir,
    disk: powercut::Disk,
    opened: Opened,
}

impl Bench {
    fn new(name: &str, durability: Durability) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let disk = powercut::register(name, &temp.path().join("durable")).unwrap();
        let options = Options { dir: Some(temp.path().join("data")), durability, vfs: Some(name.to_owned()) };
        let opened = store::open(&options).unwrap();
        Self { temp, disk, opened }
    }

    /// The disk as a power cut at this moment would leave it.
    fn cut(&self) -> PathBuf {
        let after = self.temp.path().join("after");
        powercut::power_cut(&self.temp.path().join("durable"), &after).unwrap();
        another_boot(&after);
        after
    }
}

fn last_tick(dir: &Path) -> u64 {
    open(dir).start.last_tick
}

#[test]
fn fsync_loses_no_entry_and_no_cut_before_it() {
    let mut bench = Bench::new("store-fsync", Durability::Fsync);
    let before = bench.opened.start.epoch;
    for tick in 1..=40 {
        if tick % 4 == 0 {
            commit(&mut bench.opened.log, tick, &[entry("a", tick, 3)]).unwrap();
            let after = bench.cut();
            let mut opened = open(&after);
            assert_eq!(opened.start.last_tick, tick);
            assert!(opened.start.power_cut && opened.start.epoch != before, "{:?}", opened.start);
            let cuts = opened.log.cuts(0, 1000).unwrap();
            assert_eq!(cuts, (1..=tick).map(cut).collect::<Vec<_>>());
            for tick in (4..=tick).step_by(4) {
                assert_eq!(opened.log.entries(tick).unwrap(), [entry("a", tick, 3)]);
            }
        } else {
            let syncs = bench.disk.syncs();
            commit(&mut bench.opened.log, tick, &[]).unwrap();
            assert_eq!(bench.disk.syncs(), syncs, "the cut of tick {tick} waited for the disk");
        }
        if tick % 10 == 0 {
            bench.opened.log.retain(&[], 0, tick - 5, 0).unwrap();
            bench.opened.log.tidy();
        }
    }
}

#[test]
fn dead_letters_and_keys_are_synced_like_entries() {
    let mut bench = Bench::new("store-letters", Durability::Fsync);
    let dead = [("events".to_owned(), letter("bad"))];
    bench.opened.log.commit(&Commit { cut: &cut(1), entries: &[], dead: &dead, keys: &[], settled: &[] }).unwrap();
    assert_eq!(last_tick(&bench.cut()), 1);
    bench
        .opened
        .log
        .commit(&Commit { cut: &cut(2), entries: &[], dead: &[], keys: &[key("k", 1)], settled: &[] })
        .unwrap();
    let mut opened = open(&bench.cut());
    assert_eq!(opened.log.key("events", "alice", "k").unwrap(), Some(key("k", 1)));
    assert_eq!(opened.log.dead_letters("events", &newest(9)).unwrap().len(), 1);
}

#[test]
fn process_may_lose_the_tail_and_then_the_epoch_is_new() {
    let mut bench = Bench::new("store-process", Durability::Process);
    let before = bench.opened.start.epoch;
    let syncs = bench.disk.syncs();
    for tick in 1..=20 {
        commit(&mut bench.opened.log, tick, &[entry("a", tick, 3)]).unwrap();
    }
    assert_eq!(bench.disk.syncs(), syncs);
    let mut opened = open(&bench.cut());
    assert!(opened.start.power_cut && opened.start.epoch != before, "{:?}", opened.start);
    assert!(opened.start.last_tick < 20);
    let last = opened.start.last_tick;
    assert_eq!(opened.log.cuts(0, 100).unwrap(), (1..=last).map(cut).collect::<Vec<_>>());
    // The same files after a kill alone have all of it.
    let killed = bench.temp.path().join("killed");
    crate::copy(&bench.temp.path().join("data"), &killed);
    let opened = open(&killed);
    assert_eq!((opened.start.last_tick, opened.start.epoch), (20, before));
}

#[test]
fn a_checkpoint_is_synced_whatever_the_durability() {
    // The log removes what it covers.
    for (name, durability) in [("store-state-f", Durability::Fsync), ("store-state-p", Durability::Process)] {
        let mut bench = Bench::new(name, durability);
        for tick in 1..=3 {
            commit(&mut bench.opened.log, tick, &[]).unwrap();
        }
        bench.opened.state.write(&Checkpoint { tick: 3, ..Checkpoint::default() }).unwrap();
        let mut opened = open(&bench.cut());
        assert_eq!(opened.state.load().unwrap().unwrap().tick, 3);
        // The cuts alone were not: the engine is told, and viewers start anew.
        assert!(opened.start.log_behind && opened.start.power_cut);
    }
}

#[test]
fn a_cut_at_any_moment_of_moving_the_wal_leaves_a_sound_file() {
    let mut bench = Bench::new("store-move", Durability::Process);
    let mut promised = 0;
    for tick in 1..=60 {
        commit(&mut bench.opened.log, tick, &[entry("a", tick, 2_000)]).unwrap();
        let syncs = bench.disk.syncs();
        bench.opened.log.tidy();
        if bench.disk.syncs() > syncs {
            // Moving it syncs it, so that it is never half in the file.
            promised = tick;
        }
        if tick % 5 == 0 {
            let mut opened = open(&bench.cut());
            assert!(opened.start.last_tick >= promised);
            for cut in opened.log.cuts(0, 1000).unwrap() {
                assert_eq!(opened.log.entries(cut.tick).unwrap(), [entry("a", cut.tick, 2_000)]);
            }
        }
    }
    assert!(promised > 0, "the WAL was never moved");
}
