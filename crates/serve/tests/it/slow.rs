//! Clients that do not read: they cost others nothing, and end with the right table.

use std::collections::HashMap;

use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    memory::Row,
    support::{Server, Table, connect, frame, metric, offset, read_frame, read_head, start_with, until},
};

/// A client with small buffers, so that it is slow as soon as it does not read.
async fn slow_client(server: &Server, feeds: &[&str]) -> TcpStream {
    let mut socket = server.raw(Some(8 << 10)).await;
    for (i, feed) in feeds.iter().enumerate() {
        let message = json!({"op": "subscribe", "ref": i, "feed": feed}).to_string();
        socket.write_all(&frame(0x81, message.as_bytes())).await.unwrap();
    }
    socket
}

async fn read_json(socket: &mut TcpStream) -> Value {
    loop {
        let (first, payload) = read_frame(socket).await.expect("the end");
        if first == 0x81 {
            return serde_json::from_slice(&payload).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_reads_harms_nobody_and_catches_up_with_the_newest() {
    let server = start_with(&["stuck"], |o| o.limits.send_buffer = 16 << 10).await;
    let mut slow = slow_client(&server, &["stuck"]).await;
    let mut fast = server.client().await;
    fast.subscribe(1, "stuck", None).await;
    let note = "x".repeat(2000);
    for i in 0..2000_i64 {
        server.memory.put(0, i % 50, i as f64, &note);
        // The fast one sees every tick, though the slow one takes none of them.
        fast.reach("stuck", i as u64 + 1).await;
    }
    assert!(metric("tidewire_lagging_viewers", "") >= 1);
    // 4 MB were sent to the fast one; of the slow one's share, little was even begun.
    let sent = metric("tidewire_frames_sent_total", "feed=\"stuck\"");
    assert!(sent < 2002 + 300, "{sent} frames");

    let (mut table, mut frames) = (Table::default(), 0);
    while table.cursor.is_empty() || offset(&json!(table.cursor)) < server.memory.offset() {
        let message = read_json(&mut slow).await;
        if message["type"] != "subscribed" {
            frames += 1;
            table.apply(&message);
        }
    }
    assert_eq!(table.rows, server.memory.table(0));
    assert!(frames < 300, "{frames} frames for 2000 ticks: nothing was merged");
    // At the present nothing more comes: the next frame answers a ping.
    slow.write_all(&frame(0x89, b"more?")).await.unwrap();
    assert_eq!(read_frame(&mut slow).await, Some((0x8A, b"more?".to_vec())));
}

#[tokio::test(flavor = "multi_thread")]
async fn laggards_share_encodings() {
    let server = start_with(&["lagging"], |o| o.limits.send_buffer = 16 << 10).await;
    let note = "x".repeat(2000);
    let mut slow = Vec::new();
    for i in 0..40_i64 {
        // Each joins at another tick, and is stuck somewhere else.
        slow.push(slow_client(&server, &["lagging"]).await);
        until("it subscribed", || metric("tidewire_subscriptions", "feed=\"lagging\"") > i).await;
        for k in 0..30 {
            server.memory.put(0, k, (i * 30 + k) as f64, &note);
        }
    }
    until("all are stuck", || metric("tidewire_lagging_viewers", "") >= 40).await;
    let target = server.memory.offset();
    let before = metric("tidewire_frames_encoded_total", "feed=\"lagging\"");
    for socket in &mut slow {
        let mut table = Table::default();
        while table.cursor.is_empty() || offset(&json!(table.cursor)) < target {
            let message = read_json(socket).await;
            if message["type"] != "subscribed" {
                table.apply(&message);
            }
        }
        assert_eq!(table.rows, server.memory.table(0));
    }
    let encoded = metric("tidewire_frames_encoded_total", "feed=\"lagging\"") - before;
    assert!(encoded <= 2 * 12, "{encoded} encodings for 40 laggards");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_feeds_go_between_the_pieces_of_a_snapshot() {
    let server = start_with(&["big", "small"], |o| o.limits.send_buffer = 16 << 10).await;
    let rows: Vec<Row> = (0..60_000).map(|k| (k, k as f64, "a note of some length")).collect();
    server.memory.tick(&[(0, &rows, &[])]);
    let mut socket = slow_client(&server, &["small", "big"]).await;
    let mut order = Vec::new();
    let mut tables: HashMap<String, Table> = HashMap::new();
    let mut changed = false;
    while tables.get("big").is_none_or(|t| t.snapshots == 0) || tables["small"].rows.is_empty() {
        let message = read_json(&mut socket).await;
        if message["type"] == "subscribed" {
            continue;
        }
        let view = message["view"].as_str().unwrap().to_owned();
        tables.entry(view.clone()).or_default().apply(&message);
        if view == "big" && !changed {
            // While the large snapshot is under way.
            server.memory.put(1, 1, 1.0, "in between");
            changed = true;
        }
        order.push((view, message["type"].as_str().unwrap().to_owned(), message.get("more").is_some()));
    }
    let delta = order.iter().position(|o| o.0 == "small" && o.1 == "delta").unwrap();
    let last = order.iter().rposition(|o| o.0 == "big" && o.1 == "snapshot").unwrap();
    assert!(delta < last, "{order:?}");
    assert_eq!(tables["big"].rows, server.memory.table(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_share_old_snapshots_when_slow_ones_hold_many() {
    // A shard for each viewer, so that none has heard of the feed from another.
    let server = start_with(&["pinned"], |o| {
        o.limits.send_buffer = 16 << 10;
        o.shards = std::num::NonZeroUsize::new(5);
    })
    .await;
    let rows: Vec<Row> = (0..60_000).map(|k| (k, k as f64, "a note of some length")).collect();
    server.memory.tick(&[(0, &rows, &[])]);
    let mut slow = Vec::new();
    for k in 0..4 {
        let mut socket = slow_client(&server, &["pinned"]).await;
        let mut table = Table::default();
        read_json(&mut socket).await;
        table.apply(&read_json(&mut socket).await);
        slow.push((socket, table));
        server.memory.put(0, k, -1.0, "changed");
    }
    let mut client = server.client().await;
    client.subscribe(1, "pinned", None).await;
    client.reach("pinned", 1).await;
    assert_eq!(offset(&json!(client.tables["pinned"].cursor)), 4, "a fifth snapshot was made");
    // Nothing changes any more, and still it comes to the present.
    client.reach("pinned", 5).await;
    assert_eq!(client.tables["pinned"].rows, server.memory.table(0));
    for (socket, table) in &mut slow {
        while table.cursor.is_empty() || offset(&json!(table.cursor)) < 5 {
            table.apply(&read_json(socket).await);
        }
        assert_eq!(table.rows, server.memory.table(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_over_http_is_never_an_old_one() {
    let server = start_with(&["stale"], |o| o.limits.send_buffer = 16 << 10).await;
    let rows: Vec<Row> = (0..200_000).map(|k| (k, k as f64, "a note of some length")).collect();
    server.memory.tick(&[(0, &rows, &[])]);
    let get = async || {
        let response = reqwest::get(server.url("/v1/feeds/stale")).await.unwrap();
        let cursor = response.headers().get("tidewire-cursor").map(|c| json!(c.to_str().unwrap()));
        (response.status().as_u16(), cursor.map(|c| offset(&c)), response.headers().get("retry-after").cloned())
    };
    let mut unread = Vec::new();
    for k in 0..8 {
        let mut socket = connect(server.address, Some(8 << 10)).await;
        socket.write_all(b"GET /v1/feeds/stale HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        assert!(read_head(&mut socket).await.starts_with("HTTP/1.1 200"));
        unread.push(socket);
        server.memory.put(0, k, -1.0, "changed");
        if k < 7 {
            assert_eq!(get().await.1, Some(server.memory.offset()), "{k}");
        }
    }
    // What the last of them reads is as good, as long as it is of this moment.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let (status, _, retry) = get().await;
    assert_eq!((status, retry.unwrap().to_str().unwrap()), (503, "1"));
    unread.pop();
    let mut answer = get().await;
    while answer.0 == 503 {
        answer = get().await;
    }
    assert_eq!((answer.0, answer.1), (200, Some(server.memory.offset())));
}
