//! A full disk loses nothing that was there, and the store goes on when there is room.

use store::{Checkpoint, Durability, Options, OwnerBlocks, StoreError};

use crate::{commit, cut, entry, open};

#[test]
fn the_log_and_the_state_go_on_when_there_is_room_again() {
    let temp = tempfile::tempdir().unwrap();
    let disk = powercut::register("store-full", &temp.path().join("durable")).unwrap();
    let dir = temp.path().join("data");
    let options = Options { dir: Some(dir.clone()), durability: Durability::Fsync, vfs: Some("store-full".to_owned()) };
    let mut opened = store::open(&options).unwrap();
    commit(&mut opened.log, 1, &[entry("a", 1, 2)]).unwrap();

    let block = model::StateBlock { id: vec![1], data: Some(vec![5; 50_000]) };
    let owner = OwnerBlocks { name: "q".into(), fingerprint: vec![], reset: false, blocks: vec![block] };
    let checkpoint = Checkpoint { tick: 1, owners: vec![owner], ..Checkpoint::default() };
    disk.fail_writes_with_full(true);
    for entries in [vec![entry("a", 2, 2)], vec![entry("a", 2, 50_000)], vec![entry("new", 2, 1)], vec![]] {
        let error = commit(&mut opened.log, 2, &entries).unwrap_err();
        assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
    }
    let error = opened.state.write(&checkpoint).unwrap_err();
    assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
    // What is there can be read meanwhile.
    assert_eq!(opened.log.entries(1).unwrap(), [entry("a", 1, 2)]);

    disk.fail_writes_with_full(false);
    commit(&mut opened.log, 2, &[entry("a", 2, 2), entry("new", 3, 1)]).unwrap();
    opened.state.write(&checkpoint).unwrap();
    let loaded = opened.state.load().unwrap();
    drop(opened);
    let mut opened = open(&dir);
    assert_eq!(opened.log.cuts(0, 9).unwrap(), [cut(1), cut(2)]);
    assert_eq!(opened.log.entries(2).unwrap(), [entry("a", 2, 2), entry("new", 3, 1)]);
    assert_eq!(opened.state.load().unwrap(), loaded);
    assert_eq!(loaded.unwrap().owners[0].blocks.len(), 1);
}
