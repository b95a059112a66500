//! Dead letters: read by page and reason, and settled once.

use model::{DeadLetter, Edge, KeptLetter, LetterId, Letters, RawFormat, Reason};
use store::{Checkpoint, Commit, LateRow};

use crate::{cut, entry, newest, open};

fn letter(reason: Reason) -> DeadLetter {
    DeadLetter {
        reason,
        feed: "f".into(),
        message: reason.as_str().into(),
        raw: vec![0, 255].into(),
        format: RawFormat::Csv,
    }
}

fn ids(letters: &[KeptLetter]) -> Vec<(u64, u32)> {
    letters.iter().map(|l| (l.id.tick, l.id.number)).collect()
}

fn id(tick: u64, counted: bool, number: u32) -> LetterId {
    LetterId { tick, counted, number }
}

#[test]
fn letters_are_read_by_page_both_ways_and_by_reason() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path());
    let reasons = [Reason::Malformed, Reason::WrongType, Reason::Malformed];
    for tick in 1..=4 {
        let dead = reasons.map(|reason| ("s".to_owned(), letter(reason)));
        opened.log.commit(&Commit { cut: &cut(tick), entries: &[], dead: &dead, keys: &[], settled: &[] }).unwrap();
    }
    let read = |from, reason, limit| ids(&opened.log.dead_letters("s", &Letters { from, reason, limit }).unwrap());
    assert_eq!(read(Edge::Newest, None, 4), [(4, 2), (4, 1), (4, 0), (3, 2)]);
    assert_eq!(read(Edge::Before(id(3, false, 1)), None, 2), [(3, 0), (2, 2)]);
    // Counted letters of a tick stand behind the others of it.
    assert_eq!(read(Edge::Before(id(3, true, 1)), None, 2), [(3, 2), (3, 1)]);
    assert_eq!(read(Edge::After(id(3, false, 1)), None, 2), [(3, 2), (4, 0)]);
    assert_eq!(read(Edge::After(id(3, true, 1)), None, 9), [(4, 0), (4, 1), (4, 2)]);
    assert_eq!(read(Edge::Newest, Some(Reason::WrongType), 9), [(4, 1), (3, 1), (2, 1), (1, 1)]);
    assert_eq!(read(Edge::After(id(0, false, 0)), Some(Reason::WrongType), 1), [(1, 1)]);
    assert_eq!(read(Edge::Newest, Some(Reason::Late), 9), []);
    let found = opened.log.dead_letters_of(2).unwrap();
    assert_eq!(found, reasons.map(|reason| ("s".to_owned(), letter(reason))));
}

#[test]
fn a_letter_is_settled_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path());
    let dead = [("s".to_owned(), letter(Reason::Malformed))];
    opened.log.commit(&Commit { cut: &cut(1), entries: &[], dead: &dead, keys: &[], settled: &[] }).unwrap();
    let late = LateRow { tick: 1, number: 7, stream: "s".into(), letter: letter(Reason::Ahead) };
    opened.state.write(&Checkpoint { tick: 1, dead: vec![late], ..Checkpoint::default() }).unwrap();
    let (posted, counted) = (id(1, false, 0), id(1, true, 7));
    assert!(opened.log.is_open(posted).unwrap() && opened.log.is_open(counted).unwrap());
    assert!(!opened.log.is_open(id(1, false, 9)).unwrap(), "there is none");

    let settled = [posted, counted];
    let entries = [entry("s", 1, 2)];
    opened.log.commit(&Commit { cut: &cut(2), entries: &entries, dead: &[], keys: &[], settled: &settled }).unwrap();
    drop(opened);
    let mut opened = open(dir.path());
    assert!(!opened.log.is_open(posted).unwrap() && !opened.log.is_open(counted).unwrap());
    assert_eq!(opened.log.dead_letters("s", &newest(9)).unwrap(), []);
    assert_eq!(opened.log.settled_by(2).unwrap(), settled, "a replay of the tick knows");
    assert_eq!(opened.state.dead_letters("s", &newest(9)).unwrap().len(), 1, "until the next checkpoint");

    opened.state.write(&Checkpoint { tick: 2, settled: settled.into(), ..Checkpoint::default() }).unwrap();
    assert_eq!(opened.state.dead_letters("s", &newest(9)).unwrap(), []);
    opened.log.retain(&[], 2_000 + 61_000, 2, 1_000).unwrap();
    assert_eq!(opened.log.settled_by(2).unwrap(), []);
}
