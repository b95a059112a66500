//! One set of scenarios for every way of following a feed: they all read one log, so they
//! all end with the same table (INV-3).

use std::{collections::HashSet, sync::Arc, time::Duration};

use config::PanelKind;
use serde_json::json;
use tokio::time::timeout;

use crate::{
    memory::{Memory, Row},
    support::{Server, metric, offset, start, start_over, until},
    updates::panel,
    ways::{Follower, Step, Way},
};

/// A server whose dashboard shows each row of the first feed.
async fn begin(feeds: &[&str], change: impl FnOnce(&mut serve::Options)) -> Server {
    let rows = panel(feeds[0], PanelKind::Table, None, &[], None);
    start_over(Memory::with_panels(feeds, vec![rows]), change).await
}

async fn following(server: &Server, way: Way, feed: &str) -> Follower {
    let mut follower = Follower::new(way, server.address, feed);
    follower.begin().await;
    follower
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_then_every_change() {
    for way in Way::ALL {
        let server = begin(&["ways"], |_| {}).await;
        let rows: Vec<Row> = (0..5000).map(|k| (k, k as f64 / 4.0, "a note \"of\" some length")).collect();
        server.memory.tick(&[(0, &rows, &[])]);
        let mut follower = following(&server, way, "ways").await;
        follower.hold(&server.memory, 0).await;
        assert_eq!((follower.table.snapshots, follower.table.resets), (usize::from(!way.is_plain()), 0), "{way:?}");
        for i in 0..20 {
            let rows = [(i, -1.0, "changed"), (5000 + i, 1.0, "new")];
            server.memory.tick(&[(0, &rows, &[100 + i])]);
            follower.hold(&server.memory, 0).await;
        }
        let snapshots = if way.is_poll() { 21 } else { usize::from(!way.is_plain()) };
        assert_eq!(follower.table.snapshots, snapshots, "{way:?}");
        if way.is_plain() {
            assert_eq!(follower.table.rows.len(), server.memory.table(0).len() + 20, "it was told of a delete");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_slow_gets_the_newest_and_not_every_change() {
    for way in Way::ALL {
        let server = begin(&["slowly"], |o| o.limits.send_buffer = 16 << 10).await;
        let mut follower = Follower::new(way, server.address, "slowly").with_small_buffer();
        follower.begin().await;
        let mut first = following(&server, Way::SocketJson, "slowly").await;
        first.reach(0).await;
        // Not to be packed into almost nothing.
        let digits = (1_u64..=250).map(|i| format!("{:08x}", i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32));
        let note: String = digits.collect();
        for i in 0..1000 {
            server.memory.put(0, i % 50, i as f64, &note);
            if i % 50 == 0 {
                first.reach(i as u64 + 1).await;
            }
        }
        follower.hold(&server.memory, 0).await;
        assert!(follower.frames < 300, "{way:?}: {} frames for 1000 ticks", follower.frames);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_lost_goes_on_from_its_cursor() {
    for way in Way::ALL {
        let server = begin(&["lost"], |_| {}).await;
        server.memory.tick(&[(0, &[(1, 1.0, "a"), (2, 2.0, "b")], &[])]);
        let mut follower = following(&server, way, "lost").await;
        follower.hold(&server.memory, 0).await;
        follower.lose();
        server.memory.tick(&[(0, &[(3, 3.0, "c")], &[1])]);
        follower.begin().await;
        if way.is_plain() {
            follower.hold(&server.memory, 0).await;
        } else {
            let frame = follower.frame().await;
            assert_eq!(frame["type"], if way.has_deltas() { "delta" } else { "snapshot" }, "{way:?}");
        }
        assert_eq!((follower.table.resets, &follower.table.rows), (0, &server.memory.table(0)), "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_lost_in_the_middle_of_a_snapshot_begins_anew() {
    for way in [Way::SocketJson, Way::SocketMessagePack, Way::EventStream] {
        let server = start(&["halves"]).await;
        let rows: Vec<Row> = (0..20_000).map(|k| (k, k as f64, "a note of some length")).collect();
        server.memory.tick(&[(0, &rows, &[])]);
        let mut follower = following(&server, way, "halves").await;
        assert_eq!(follower.frame().await["more"], true, "{way:?}");
        assert!(follower.table.cursor.is_empty());
        follower.lose();
        follower.begin().await;
        follower.reach(1).await;
        assert_eq!(follower.table.rows, server.memory.table(0), "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_cursor_is_a_reset() {
    for way in Way::ALL.into_iter().filter(|w| w.has_deltas()) {
        let server = start(&["reset", "other"]).await;
        server.memory.put(0, 1, 1.0, "a");
        let label = "feed=\"reset\"";
        let before = metric("tidewire_resets_total", label);
        for foreign in ["8-64-1", "9-65-1", "9-64-999"] {
            let mut follower = Follower::new(way, server.address, "reset");
            foreign.clone_into(&mut follower.table.cursor);
            follower.begin().await;
            let frame = follower.frame().await;
            assert_eq!((&frame["type"], &frame["reset"]), (&json!("snapshot"), &json!(true)), "{way:?} {foreign}");
            assert_eq!(follower.table.rows, server.memory.table(0), "{way:?}");
        }
        assert_eq!(metric("tidewire_resets_total", label), before + 3, "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_feed_moves_its_cursors_and_brings_no_rows() {
    for way in Way::ALL {
        let server = begin(&["still", "busy"], |o| o.limits.ping_interval = Duration::from_millis(200)).await;
        server.memory.put(0, 1, 1.0, "a");
        let mut follower = following(&server, way, "still").await;
        follower.wait = Duration::from_millis(200);
        follower.hold(&server.memory, 0).await;
        server.memory.put(1, 1, 1.0, "elsewhere");
        if way.is_plain() {
            let said = timeout(Duration::from_millis(500), follower.step()).await;
            assert!(said.is_err(), "{way:?}: {said:?} of a quiet feed");
            continue;
        }
        match follower.step().await {
            Step::Frame(frame) => {
                assert_eq!(
                    (&frame["type"], &frame["upsert"], &frame["delete"]),
                    (&json!("delta"), &json!([]), &json!([]))
                );
                assert_eq!(offset(&frame["cursor"]), 2, "{way:?}");
            }
            Step::Same => assert!(way.is_poll(), "{way:?}"),
            Step::End => panic!("{way:?}: the end"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_says_so_and_goes_on_where_it_was() {
    for way in Way::ALL {
        let mut server = begin(&["restarted"], |_| {}).await;
        server.memory.put(0, 1, 1.0, "a");
        let mut follower = following(&server, way, "restarted").await;
        follower.hold(&server.memory, 0).await;
        follower.come_again = None;
        let (memory, address) = (Arc::clone(&server.memory), server.address);
        let ending = tokio::spawn(async move {
            while !matches!(follower.step().await, Step::End) {}
            follower
        });
        if way.is_long_poll() {
            until("it waits", || memory.follows(0)).await;
        }
        server.stop().await;
        let mut follower = ending.await.unwrap();
        if way.is_plain() {
            assert_eq!(follower.close_code, Some(1001), "{way:?}");
        } else if !way.is_poll() {
            // One that is between two polls finds nobody.
            let wait = follower.come_again.unwrap_or_else(|| panic!("{way:?}: not told when to come again"));
            assert!((500..=3000).contains(&wait), "{way:?}: {wait} ms");
        }
        memory.put(0, 2, 2.0, "meanwhile");
        let server = start_over(memory, |o| o.listen = address.to_string()).await;
        follower.lose();
        follower.begin().await;
        server.memory.put(0, 3, 3.0, "afterwards");
        follower.hold(&server.memory, 0).await;
        assert_eq!((follower.table.resets, &follower.table.rows), (0, &server.memory.table(0)), "{way:?}");
        assert_eq!(follower.table.snapshots, if way.has_deltas() { 1 } else { follower.table.snapshots });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_ways_at_once_share_what_is_encoded() {
    let server = begin(&["crowded"], |_| {}).await;
    server.memory.put(0, 0, 0.0, "start");
    let mut followers = Vec::new();
    for way in Way::ALL {
        for _ in 0..10 {
            let mut follower = following(&server, way, "crowded").await;
            follower.hold(&server.memory, 0).await;
            followers.push(follower);
        }
    }
    let encoded = || metric("tidewire_frames_encoded_total", "feed=\"crowded\"");
    // In JSON and in MessagePack: pieces, of which SSE frames the former anew, a body, and updates.
    assert_eq!(encoded(), 2 * 3, "snapshots");
    for tick in 2..=6 {
        server.memory.put(0, tick, 1.0, "next");
        for follower in &mut followers {
            follower.hold(&server.memory, 0).await;
        }
        let ways: HashSet<_> = followers.iter().map(|f| f.table.rows.len()).collect();
        assert_eq!(ways.len(), 1);
    }
    // Each tick in both: a frame and updates for those who are pushed to, a delta for long
    // polls, a snapshot for polls.
    assert_eq!(encoded(), 2 * 3 + 5 * 2 * 4);
    assert!(followers.iter().all(|f| f.table.rows == server.memory.table(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_ask_together_when_something_changes() {
    let server = start(&["awaited", "else"]).await;
    server.memory.put(0, 1, 1.0, "a");
    let mut waiting = Vec::new();
    for _ in 0..200 {
        let mut follower = following(&server, Way::LongPoll, "awaited").await;
        follower.reach(1).await;
        waiting.push(tokio::spawn(async move {
            let frame = follower.frame().await;
            assert_eq!(frame["upsert"], json!([[2, 2.0, "b"]]));
            follower
        }));
    }
    until("all of them wait", || server.memory.asked(0) >= 400).await;
    let before = server.memory.asked(0);
    for i in 0..50 {
        server.memory.put(1, i, 1.0, "of no interest");
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(server.memory.asked(0), before, "a tick that changes another feed cost something");
    server.memory.put(0, 2, 2.0, "b");
    for follower in waiting {
        assert_eq!(follower.await.unwrap().table.rows, server.memory.table(0));
    }
    let asked = server.memory.asked(0) - before;
    assert!(asked < 100, "{asked} questions for 200 who asked the same");
    assert_eq!(metric("tidewire_frames_encoded_total", "feed=\"awaited\""), 2);
}
