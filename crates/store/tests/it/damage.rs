//! A damaged file is said, and never started over or misread.

use std::{
    fs,
    path::{Path, PathBuf},
};

use model::StateBlock;
use store::{Checkpoint, OwnerBlocks, StoreError};

use crate::{commit, entry, letter, open, refused};

/// A closed store: five ticks with entries, a checkpoint.
fn stored() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path());
    for tick in 1..=5 {
        commit(&mut opened.log, tick, &[entry("events", tick, 400)]).unwrap();
    }
    let blocks = (0..5).map(|id| StateBlock { id: vec![id], data: Some(vec![b'A' + id; 9_000]) }).collect();
    let owner = OwnerBlocks { name: "query".into(), fingerprint: vec![1], reset: false, blocks };
    let late = store::LateRow { tick: 3, number: 0, stream: "events".into(), letter: letter("late") };
    let checkpoint = Checkpoint { tick: 3, owners: vec![owner], dead: vec![late], ..Checkpoint::default() };
    opened.state.write(&checkpoint).unwrap();
    opened.log.shutdown().unwrap();
    opened.state.shutdown().unwrap();
    dir
}

/// Opens and reads everything.
fn read_all(dir: &Path) -> Result<(), StoreError> {
    let mut opened = store::open(&crate::options(dir))?;
    opened.state.load()?;
    for cut in opened.log.cuts(0, 100)? {
        opened.log.entries(cut.tick)?;
    }
    Ok(())
}

fn says_damaged(error: &StoreError, file: &Path) {
    assert!(matches!(error, StoreError::Damaged { file: of, .. } if of == file), "{error}");
    assert!(error.to_string().contains(&file.display().to_string()), "{error}");
}

fn files(dir: &Path) -> [PathBuf; 2] {
    [dir.join("log.sqlite"), dir.join("state.sqlite")]
}

#[test]
fn a_flipped_byte_in_content_is_found() {
    for (file, needle) in [("log.sqlite", &b"metric-3100"[..]), ("state.sqlite", &[b'C'; 64][..])] {
        let dir = stored();
        let file = dir.path().join(file);
        let mut bytes = fs::read(&file).unwrap();
        let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
        bytes[at + 3] ^= 0x20;
        fs::write(&file, bytes).unwrap();
        says_damaged(&read_all(dir.path()).unwrap_err(), &file);
    }
}

#[test]
fn an_overwritten_header_is_found_and_left_alone() {
    let dir = stored();
    for file in files(dir.path()) {
        let good = fs::read(&file).unwrap();
        let mut bytes = good.clone();
        bytes[..16].copy_from_slice(b"not a database!!");
        fs::write(&file, &bytes).unwrap();
        says_damaged(&refused(dir.path()), &file);
        assert_eq!(fs::read(&file).unwrap(), bytes, "it was changed");
        fs::write(&file, good).unwrap();
        read_all(dir.path()).unwrap();
    }
}

#[test]
fn a_file_cut_short_is_found() {
    let dir = stored();
    for file in files(dir.path()) {
        let good = fs::read(&file).unwrap();
        for len in [good.len() / 2, 8_192, 4_096, 1_000, 50] {
            fs::write(&file, &good[..len]).unwrap();
            let error = read_all(dir.path()).expect_err(&format!("{} cut to {len}", file.display()));
            says_damaged(&error, &file);
        }
        fs::write(&file, good).unwrap();
        read_all(dir.path()).unwrap();
    }
}

#[test]
fn a_log_that_is_gone_beside_a_checkpoint_is_not_started_over() {
    for empty in [true, false] {
        let dir = stored();
        let [log, _] = files(dir.path());
        if empty {
            fs::write(&log, b"").unwrap();
        } else {
            fs::remove_file(&log).unwrap();
        }
        for _ in 0..2 {
            says_damaged(&refused(dir.path()), &log);
        }
    }
}

#[test]
fn a_file_emptied_beside_its_wal_is_not_started_over() {
    let temp = tempfile::tempdir().unwrap();
    let (dir, killed) = (temp.path().join("a"), temp.path().join("b"));
    let mut opened = open(&dir);
    commit(&mut opened.log, 1, &[entry("events", 1, 1)]).unwrap();
    crate::copy(&dir, &killed);
    let [log, _] = files(&killed);
    fs::write(&log, b"").unwrap();
    says_damaged(&refused(&killed), &log);
    assert!(killed.join("log.sqlite-wal").metadata().unwrap().len() > 0);
}

#[test]
fn rows_that_are_missing_or_stand_elsewhere_are_found() {
    for (file, sql, what) in [
        ("log.sqlite", "DELETE FROM entries WHERE tick = 2", "missing"),
        (
            "log.sqlite",
            "UPDATE entries SET tick = 3, data = (SELECT data FROM entries WHERE tick = 3) WHERE tick = 2",
            "checksum",
        ),
        ("log.sqlite", "UPDATE cuts SET data = (SELECT data FROM cuts WHERE tick = 3) WHERE tick = 2", "checksum"),
        ("log.sqlite", "DELETE FROM cuts WHERE tick = 2", "missing"),
        ("log.sqlite", "UPDATE schemas SET ipc = x'00'", "checksum"),
        ("log.sqlite", "DELETE FROM schemas", "missing"),
        ("log.sqlite", "UPDATE meta SET value = 'x' WHERE key = 'epoch'", "epoch"),
        ("state.sqlite", "DELETE FROM blocks WHERE no = 2", "4 blocks of state, 5 were written"),
        ("state.sqlite", "UPDATE blocks SET id = x'09' WHERE no = 2", "checksum"),
        ("state.sqlite", "UPDATE checkpoint SET data = x'00'", "checksum"),
        ("state.sqlite", "UPDATE blocks SET data = 'text' WHERE no = 2", "Invalid column type"),
    ] {
        let dir = stored();
        let file = dir.path().join(file);
        assert!(rusqlite::Connection::open(&file).unwrap().execute(sql, []).unwrap() > 0, "{sql}");
        let error = read_all(dir.path()).expect_err(sql);
        says_damaged(&error, &file);
        assert!(error.to_string().contains(what), "{sql}: {error}");
    }
}

/// Whatever byte is wrong, the answer is what was written, or that the file is damaged.
#[test]
fn no_flipped_byte_is_misread() {
    let dir = stored();
    let mut opened = open(dir.path());
    let mut expected: Vec<_> = (1..=5).map(|tick| opened.log.entries(tick).unwrap()).collect();
    let state = opened.state.load().unwrap();
    opened.log.shutdown().unwrap();
    opened.state.shutdown().unwrap();
    expected.insert(0, Vec::new());
    let originals = files(dir.path()).map(|file| fs::read(file).unwrap());
    for (which, original) in originals.iter().enumerate() {
        for at in (0..original.len()).step_by(original.len() / 120) {
            for (file, bytes) in files(dir.path()).iter().zip(&originals) {
                fs::write(file, bytes).unwrap();
            }
            let mut bytes = original.clone();
            bytes[at] ^= 0x11;
            fs::write(&files(dir.path())[which], bytes).unwrap();
            // Refusing is right in any form; what is given must be right.
            let Ok(mut opened) = store::open(&crate::options(dir.path())) else { continue };
            if let Ok(loaded) = opened.state.load() {
                assert_eq!(loaded, state, "byte {at} of file {which}");
            }
            let Ok(cuts) = opened.log.cuts(0, 100) else { continue };
            assert_eq!(cuts.len(), 5, "byte {at} of file {which}");
            for cut in cuts {
                if let Ok(entries) = opened.log.entries(cut.tick) {
                    assert_eq!(entries, expected[cut.tick as usize], "byte {at} of file {which}");
                }
            }
        }
    }
}
