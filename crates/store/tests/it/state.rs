//! Checkpoints.

use model::StateBlock;
use store::{Checkpoint, LateRow, Loaded, Owner, OwnerBlocks, StoreError};

use crate::{letter, newest, open};

fn put(id: u8, data: &[u8]) -> StateBlock {
    StateBlock { id: vec![id], data: Some(data.to_vec()) }
}

fn remove(id: u8) -> StateBlock {
    StateBlock { id: vec![id], data: None }
}

fn changed(name: &str, fingerprint: u8, reset: bool, blocks: Vec<StateBlock>) -> OwnerBlocks {
    OwnerBlocks { name: name.into(), fingerprint: vec![fingerprint], reset, blocks }
}

fn owner(name: &str, fingerprint: u8, blocks: Vec<StateBlock>) -> Owner {
    Owner { name: name.into(), fingerprint: vec![fingerprint], blocks }
}

#[test]
fn only_what_changed_is_written_and_all_of_it_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path());
    assert_eq!(opened.state.load().unwrap(), None);
    let steps = [
        (
            vec![
                changed("query", 1, false, vec![put(1, b"one"), put(2, b"two"), put(3, b"three")]),
                changed("feed", 1, false, vec![put(1, b"row")]),
            ],
            vec![],
            vec![
                owner("query", 1, vec![put(1, b"one"), put(2, b"two"), put(3, b"three")]),
                owner("feed", 1, vec![put(1, b"row")]),
            ],
        ),
        (
            vec![changed("query", 1, false, vec![put(2, b"zwei"), remove(3), remove(9), put(4, b"")])],
            vec![],
            vec![
                owner("query", 1, vec![put(1, b"one"), put(2, b"zwei"), put(4, b"")]),
                owner("feed", 1, vec![put(1, b"row")]),
            ],
        ),
        (
            vec![changed("query", 2, true, vec![put(7, b"new")])],
            vec![],
            vec![owner("query", 2, vec![put(7, b"new")]), owner("feed", 1, vec![put(1, b"row")])],
        ),
        (
            vec![changed("next", 3, false, vec![put(1, b"n")])],
            vec!["feed".to_owned(), "never there".to_owned()],
            vec![owner("query", 2, vec![put(7, b"new")]), owner("next", 3, vec![put(1, b"n")])],
        ),
    ];
    for (tick, (owners, drop_owners, expected)) in (1..).zip(steps) {
        let meta = vec![tick as u8; 3];
        let checkpoint =
            Checkpoint { tick, clock: -5, meta: meta.clone(), owners, drop_owners, ..Checkpoint::default() };
        opened.state.write(&checkpoint).unwrap();
        drop(opened);
        opened = open(dir.path());
        assert_eq!(opened.state.load().unwrap(), Some(Loaded { tick, clock: -5, meta, owners: expected }));
    }
}

#[test]
fn the_bytes_written_are_those_of_what_changed() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path());
    let blocks = (0..100).map(|id| put(id, &[0; 1000])).collect();
    let all = Checkpoint { tick: 1, owners: vec![changed("q", 1, false, blocks)], ..Checkpoint::default() };
    assert_eq!(opened.state.write(&all).unwrap().bytes, 100 * 1001);
    let one = Checkpoint { tick: 2, owners: vec![changed("q", 1, false, vec![put(5, b"x")])], ..Checkpoint::default() };
    assert_eq!(opened.state.write(&one).unwrap().bytes, 2);
}

#[test]
fn a_replayed_late_row_is_not_doubled() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path());
    let late = |tick, number, message: &str| LateRow { tick, number, stream: "s".into(), letter: letter(message) };
    let first = vec![late(3, 0, "a"), late(3, 1, "b")];
    opened.state.write(&Checkpoint { tick: 3, dead: first, ..Checkpoint::default() }).unwrap();
    drop(opened);
    let mut opened = open(dir.path());
    let again = vec![late(3, 1, "b"), late(4, 0, "c")];
    opened.state.write(&Checkpoint { tick: 4, clock: 9, dead: again, ..Checkpoint::default() }).unwrap();
    let letters = opened.state.dead_letters("s", &newest(10)).unwrap();
    let letters: Vec<_> = letters.iter().map(|l| (l.id.tick, l.id.number, l.at, l.letter.message.as_str())).collect();
    assert_eq!(letters, [(4, 0, 9, "c"), (3, 1, 0, "b"), (3, 0, 0, "a")]);
    assert_eq!(opened.state.dead_letters("other", &newest(10)).unwrap(), []);
}

#[test]
fn checkpoints_do_not_go_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path());
    opened.state.write(&Checkpoint { tick: 5, ..Checkpoint::default() }).unwrap();
    opened.state.write(&Checkpoint { tick: 5, ..Checkpoint::default() }).unwrap();
    let error = opened.state.write(&Checkpoint { tick: 4, ..Checkpoint::default() }).unwrap_err();
    assert!(matches!(error, StoreError::OutOfOrder { tick: 4, last: 5 }), "{error}");
    assert_eq!(opened.state.tick(), Some(5));
}
