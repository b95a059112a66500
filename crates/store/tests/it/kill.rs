//! INV-1: what was acknowledged survives `kill -9`.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use store::{Durability, Options};

use crate::{commit, entry, open};

const DIR: &str = "STORE_KILL_TEST_DIR";

/// The process that is killed: commits until then, and says each tick once it is committed.
#[test]
fn writer() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let options = Options { dir: Some(dir.into()), durability: Durability::Process, vfs: None };
    let mut opened = store::open(&options).unwrap();
    for tick in opened.start.last_tick + 1.. {
        let entries = if tick % 3 == 0 { vec![] } else { vec![entry("a", tick, 1 + tick as usize % 500)] };
        commit(&mut opened.log, tick, &entries).unwrap();
        println!("\nacknowledged {tick}");
    }
}

#[test]
fn what_was_acknowledged_survives_a_kill_at_any_moment() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    let mut epoch = None;
    for round in 0..6 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::writer", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = |line: Option<std::io::Result<String>>| {
            let line = line?.ok()?;
            let tick = line.strip_prefix("acknowledged ").and_then(|tick| tick.parse::<u64>().ok());
            acknowledged = tick.unwrap_or(acknowledged);
            Some(tick.is_some())
        };
        // After another number of acknowledgements each time: at another place in the work.
        let mut left = 20 + 37 * round;
        while left > 0 {
            left -= i32::from(said(lines.next()).expect("the writer ended by itself"));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        while said(lines.next()).is_some() {}

        let mut opened = open(dir.path());
        assert!(opened.start.last_tick >= acknowledged, "{} < {acknowledged}", opened.start.last_tick);
        assert!(!opened.start.power_cut);
        assert_eq!(*epoch.get_or_insert(opened.start.epoch), opened.start.epoch);
        let cuts = opened.log.cuts(0, 1_000_000).unwrap();
        assert_eq!(cuts.len() as u64, opened.start.last_tick);
        for tick in 1..=acknowledged {
            let rows = 1 + tick as usize % 500;
            let expected = if tick % 3 == 0 { vec![] } else { vec![entry("a", tick, rows)] };
            assert_eq!(opened.log.entries(tick).unwrap(), expected);
        }
    }
}
