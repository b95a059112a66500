//! One set of scenarios for every way of following a feed: they all read one log, so they
//! all end with the same table (INV-3).

use std::{collections::HashSet, sync::Arc, time::Duration};

use serde_json::json;

use crate::{
    memory::Row,
    support::{Server, metric, offset, start, start_over, start_with, until},
    ways::{Follower, Step, Way},
};

async fn following(server: &Server, way: Way, feed: &str) -> Follower {
    let mut follower = Follower::new(way, server.address, feed);
    follower.begin().await;
    follower
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_then_every_change() {
    for way in Way::ALL {
        let server = start(&["ways"]).await;
        let rows: Vec<Row> = (0..5000).map(|k| (k, k as f64 / 4.0, "a note \"of\" some length")).collect();
        server.memory.tick(&[(0, &rows, &[])]);
        let mut follower = following(&server, way, "ways").await;
        follower.reach(1).await;
        assert_eq!(follower.table.rows, server.memory.table(0), "{way:?}");
        assert_eq!((follower.table.snapshots, follower.table.resets), (1, 0), "{way:?}");
        for i in 0..20 {
            let rows = [(i, -1.0, "changed"), (5000 + i, 1.0, "new")];
            server.memory.tick(&[(0, &rows, &[100 + i])]);
            follower.reach(2 + i as u64).await;
            assert_eq!(follower.table.rows, server.memory.table(0), "{way:?}");
        }
        assert_eq!(follower.table.snapshots, if way.has_deltas() { 1 } else { 21 }, "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_slow_gets_the_newest_and_not_every_change() {
    for way in Way::ALL {
        let server = start_with(&["slowly"], |o| o.limits.send_buffer = 16 << 10).await;
        let mut follower = Follower::new(way, server.address, "slowly").with_small_buffer();
        follower.begin().await;
        let mut first = following(&server, Way::SocketJson, "slowly").await;
        first.reach(0).await;
        let note = "x".repeat(2000);
        for i in 0..1000 {
            server.memory.put(0, i % 50, i as f64, &note);
            if i % 50 == 0 {
                first.reach(i as u64 + 1).await;
            }
        }
        follower.reach(1000).await;
        assert_eq!(follower.table.rows, server.memory.table(0), "{way:?}");
        assert!(follower.frames < 300, "{way:?}: {} frames for 1000 ticks", follower.frames);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_lost_goes_on_from_its_cursor() {
    for way in Way::ALL {
        let server = start(&["lost"]).await;
        server.memory.tick(&[(0, &[(1, 1.0, "a"), (2, 2.0, "b")], &[])]);
        let mut follower = following(&server, way, "lost").await;
        follower.reach(1).await;
        follower.lose();
        server.memory.tick(&[(0, &[(3, 3.0, "c")], &[1])]);
        follower.begin().await;
        let frame = follower.frame().await;
        assert_eq!(frame["type"], if way.has_deltas() { "delta" } else { "snapshot" }, "{way:?}");
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
        let server = start_with(&["still", "busy"], |o| o.limits.ping_interval = Duration::from_millis(200)).await;
        server.memory.put(0, 1, 1.0, "a");
        let mut follower = following(&server, way, "still").await;
        follower.wait = Duration::from_millis(200);
        follower.reach(1).await;
        server.memory.put(1, 1, 1.0, "elsewhere");
        match follower.step().await {
            Step::Frame(frame) => {
                assert_eq!(
                    (&frame["type"], &frame["upsert"], &frame["delete"]),
                    (&json!("delta"), &json!([]), &json!([]))
                );
                assert_eq!(offset(&frame["cursor"]), 2, "{way:?}");
            }
            Step::Same => assert_eq!(way, Way::Poll),
            Step::End => panic!("{way:?}: the end"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_says_so_and_goes_on_where_it_was() {
    for way in Way::ALL {
        let mut server = start(&["restarted"]).await;
        server.memory.put(0, 1, 1.0, "a");
        let mut follower = following(&server, way, "restarted").await;
        follower.reach(1).await;
        follower.come_again = None;
        let (memory, address) = (Arc::clone(&server.memory), server.address);
        let ending = tokio::spawn(async move {
            while !matches!(follower.step().await, Step::End) {}
            follower
        });
        if way == Way::LongPoll {
            until("it waits", || memory.follows(0)).await;
        }
        server.stop().await;
        let mut follower = ending.await.unwrap();
        if way != Way::Poll {
            // One that is between two polls finds nobody.
            let wait = follower.come_again.unwrap_or_else(|| panic!("{way:?}: not told when to come again"));
            assert!((500..=3000).contains(&wait), "{way:?}: {wait} ms");
        }
        memory.put(0, 2, 2.0, "meanwhile");
        let server = start_over(memory, |o| o.listen = address.to_string()).await;
        follower.lose();
        follower.begin().await;
        server.memory.put(0, 3, 3.0, "afterwards");
        follower.reach(3).await;
        assert_eq!((follower.table.resets, &follower.table.rows), (0, &server.memory.table(0)), "{way:?}");
        assert_eq!(follower.table.snapshots, if way.has_deltas() { 1 } else { follower.table.snapshots });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_ways_at_once_share_what_is_encoded() {
    let server = start(&["crowded"]).await;
    server.memory.put(0, 0, 0.0, "start");
    let mut followers = Vec::new();
    for way in Way::ALL {
        for _ in 0..10 {
            let mut follower = following(&server, way, "crowded").await;
            follower.reach(1).await;
            followers.push(follower);
        }
    }
    let encoded = || metric("tidewire_frames_encoded_total", "feed=\"crowded\"");
    // Pieces in JSON, which SSE frames anew, and in MessagePack; and a body.
    assert_eq!(encoded(), 3, "snapshots");
    for tick in 2..=6 {
        server.memory.put(0, tick as i64, 1.0, "next");
        for follower in &mut followers {
            follower.reach(tick).await;
        }
        let ways: HashSet<_> = followers.iter().map(|f| f.table.rows.len()).collect();
        assert_eq!(ways.len(), 1);
    }
    // Each tick: JSON and MessagePack for those who are pushed to, a delta for long polls,
    // a snapshot for polls.
    assert_eq!(encoded(), 3 + 5 * 4);
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
