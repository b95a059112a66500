//! Damaged state is found, and never makes a panic or a wrong row.

use model::StateBlock;
use query::{FeedDef, Plan, StateError};

use crate::common::{Driver, Event, event, feed, key};

fn blocks(feed: &FeedDef) -> (Plan, Vec<StateBlock>) {
    let mut d = Driver::new(feed);
    let events: Vec<Event> = (0..600).map(|i| event(1 + i % 20, ["a", "b", ""][i as usize % 3], i)).collect();
    d.tick(0, &events, i64::MIN);
    d.tick(1, &[event(3, "a", 1)], i64::MIN);
    let mut blocks = d.checkpoint();
    blocks.retain(|block| block.data.is_some());
    assert!(!blocks.is_empty());
    (d.plan, blocks)
}

fn feeds() -> Vec<FeedDef> {
    let window = "SELECT k, b, window_start, count(*) AS n, max(h) AS m FROM TUMBLE(events, ts, INTERVAL '10 ms') GROUP BY k, b, window_start";
    vec![
        FeedDef { refresh_ms: 100, ..feed(window) },
        FeedDef { key: Some(key(&["k", "b"])), ..feed(window) },
        feed("SELECT b, last_value(h ORDER BY ts) AS h FROM events GROUP BY b"),
        feed("SELECT b FROM events"),
        feed(
            "SELECT k, count(*) AS n, count(DISTINCT b) AS d, median(b) AS m, mode(h) AS o, array_agg(b) AS l, string_agg(h, ',' ORDER BY b) AS s, approx_distinct(b) AS a, approx_percentile_cont(b, 0.9) AS p, histogram(b, 5) AS g FROM events GROUP BY k",
        ),
    ]
}

#[test]
fn a_changed_byte_and_a_cut_block_are_found() {
    for feed in feeds() {
        let (plan, blocks) = blocks(&feed);
        assert!(plan.restore(blocks.clone()).is_ok());
        for at in 0..blocks.len() {
            let data = blocks[at].data.clone().unwrap();
            for byte in (0..data.len()).step_by(1 + data.len() / 37) {
                let mut damaged = blocks.clone();
                damaged[at].data.as_mut().unwrap()[byte] ^= 0x55;
                assert!(plan.restore(damaged).is_err(), "byte {byte} of block {at}");
                let mut cut = blocks.clone();
                cut[at].data.as_mut().unwrap().truncate(byte);
                assert!(plan.restore(cut).is_err(), "block {at} cut at {byte}");
            }
        }
    }
}

#[test]
fn lost_misplaced_and_foreign_blocks_are_found_or_harmless() {
    for feed in feeds() {
        let (plan, blocks) = blocks(&feed);
        for at in 0..blocks.len() {
            let mut lost = blocks.clone();
            lost.remove(at);
            // A lost block may leave a smaller state that is whole; it must not be a panic.
            let _ = plan.restore(lost);
            let mut foreign = blocks.clone();
            foreign[at].id = b"nonsense".to_vec();
            assert!(plan.restore(foreign).is_err());
            for other in 0..blocks.len() {
                let mut moved = blocks.clone();
                moved[at].data = blocks[other].data.clone();
                let _ = plan.restore(moved);
                let mut elsewhere = blocks.clone();
                elsewhere[at].id[1 + other % 12] ^= 0x81;
                let _ = plan.restore(elsewhere);
            }
        }
    }
    let (first, second) = (blocks(&feeds()[0]), blocks(&feeds()[2]));
    assert!(second.0.restore(first.1).is_err());
}

#[test]
fn another_version_is_not_misread() {
    let (plan, mut blocks) = blocks(&feeds()[3]);
    let data = blocks[0].data.as_mut().unwrap();
    data[0] += 1;
    let body = data.len() - 8;
    let sum = blake3::hash(&data[..body]);
    data[body..].copy_from_slice(&sum.as_bytes()[..8]);
    assert_eq!(plan.restore(blocks).unwrap_err(), StateError::Version { found: 2 });
}
