//! Who may open a directory, and which epoch it is.

use std::path::Path;

use store::{Checkpoint, StoreError};

use crate::{commit, copy, entry, open, refused};

/// As if the machine had been started again since.
pub fn another_boot(dir: &Path) {
    let file = rusqlite::Connection::open(dir.join("log.sqlite")).unwrap();
    assert_eq!(file.execute("UPDATE meta SET value = 'another' WHERE key = 'boot'", []).unwrap(), 1);
}

#[test]
fn a_second_process_is_refused_and_told_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path());
    let error = refused(dir.path());
    let pid = std::process::id();
    assert!(matches!(error, StoreError::Locked { pid: Some(other), .. } if other == pid), "{error}");
    let line = error.to_string();
    assert!(line.contains(&dir.path().display().to_string()) && line.contains(&pid.to_string()), "{line}");
    // The directory is free when both halves are gone.
    let store::Opened { log, state, .. } = opened;
    log.shutdown().unwrap();
    assert!(matches!(refused(dir.path()), StoreError::Locked { .. }));
    state.shutdown().unwrap();
    open(dir.path());
}

#[test]
fn the_epoch_stays_over_clean_stops_and_kills_and_changes_after_a_power_cut() {
    let temp = tempfile::tempdir().unwrap();
    let (dir, killed, cut) = (temp.path().join("a"), temp.path().join("killed"), temp.path().join("cut"));
    let mut opened = open(&dir);
    let epoch = opened.start.epoch;
    assert_ne!(epoch, 0);
    assert!(opened.start.fresh && !opened.start.unclean && !opened.start.power_cut);
    commit(&mut opened.log, 1, &[entry("s", 1, 1)]).unwrap();
    copy(&dir, &killed);
    copy(&dir, &cut);
    opened.log.shutdown().unwrap();
    opened.state.shutdown().unwrap();
    assert!(!dir.join("log.sqlite-wal").exists() && !dir.join("state.sqlite-wal").exists());

    another_boot(&dir);
    let start = open(&dir).start;
    assert!(!start.fresh && !start.unclean && !start.power_cut && start.epoch == epoch, "{start:?}");

    let start = open(&killed).start;
    assert!(start.unclean && !start.power_cut && start.epoch == epoch && start.last_tick == 1, "{start:?}");

    another_boot(&cut);
    let start = open(&cut).start;
    assert!(start.unclean && start.power_cut && start.epoch != epoch && start.last_tick == 1, "{start:?}");
}

#[test]
fn a_log_behind_its_checkpoint_is_told() {
    let temp = tempfile::tempdir().unwrap();
    let (dir, old) = (temp.path().join("a"), temp.path().join("old"));
    let mut opened = open(&dir);
    commit(&mut opened.log, 1, &[entry("s", 1, 1)]).unwrap();
    copy(&dir, &old);
    commit(&mut opened.log, 2, &[entry("s", 2, 1)]).unwrap();
    opened.state.write(&Checkpoint { tick: 2, ..Checkpoint::default() }).unwrap();
    let epoch = opened.start.epoch;
    drop(opened);
    for file in ["log.sqlite", "log.sqlite-wal"] {
        if old.join(file).exists() {
            std::fs::copy(old.join(file), dir.join(file)).unwrap();
        }
    }
    let mut opened = open(&dir);
    let start = opened.start;
    assert!(start.log_behind && start.epoch != epoch && start.last_tick == 1, "{start:?}");
    // It goes on behind the checkpoint, and the hole is not taken for a lost cut.
    commit(&mut opened.log, 3, &[]).unwrap();
    assert_eq!(opened.log.cuts(2, 10).unwrap().len(), 1);
    drop(opened);
    let start = open(&dir).start;
    assert!(!start.log_behind, "{start:?}");
}

#[test]
fn a_file_of_another_version_or_program_is_refused_by_name() {
    for file in ["log.sqlite", "state.sqlite"] {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path()));
        let edit = |sql: &str| rusqlite::Connection::open(dir.path().join(file)).unwrap().execute_batch(sql).unwrap();
        edit("PRAGMA user_version = 9");
        let error = refused(dir.path());
        assert!(matches!(error, StoreError::WrongVersion { found: 9, expected: 2, .. }), "{error}");
        assert!(error.to_string().contains(file), "{error}");
        edit("PRAGMA user_version = 2; PRAGMA application_id = 5");
        let error = refused(dir.path());
        assert!(matches!(&error, StoreError::Damaged { what, .. } if what.contains("another program")), "{error}");
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_one_line() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = refused(&file.path().join("data"));
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
}
