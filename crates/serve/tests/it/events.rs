//! Server-sent events beyond what every way of following does.

use std::time::Duration;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    memory::Row,
    support::{LONG, Server, connect, metric, read_head, start, start_with, until},
    ways::{Follower, Step, Way},
};

/// Opens a stream of events, and reads its head.
async fn open(server: &Server, path: &str, headers: &str, receive_buffer: Option<u32>) -> (String, TcpStream) {
    let mut socket = connect(server.address, receive_buffer).await;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{headers}\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    (read_head(&mut socket).await.to_ascii_lowercase(), socket)
}

async fn rest(socket: &mut TcpStream) -> String {
    let mut text = String::new();
    // A reset is an end too.
    let _ = timeout(LONG, socket.read_to_string(&mut text)).await.expect("no end");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn the_head_keeps_proxies_from_holding_events_back() {
    let server = start(&["headed"]).await;
    let (head, mut socket) = open(&server, "/v1/feeds/headed", "Accept-Encoding: gzip, br, zstd\r\n", None).await;
    for line in ["content-type: text/event-stream", "x-accel-buffering: no", "connection: close", "no-store"] {
        assert!(head.contains(line), "{line}: {head}");
    }
    for never in ["content-encoding", "transfer-encoding", "content-length"] {
        assert!(!head.contains(never), "{never}: {head}");
    }
    let mut first = [0; 6];
    socket.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"retry:", "no word of when to come again");
    assert!(metric("tidewire_connections", "transport=\"sse\"") >= 1);
    drop(socket);
    until("it is gone", || metric("tidewire_subscriptions", "feed=\"headed\"") == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_event_goes_before_the_address() {
    let server = start(&["lasting"]).await;
    server.memory.put(0, 1, 1.0, "a");
    server.memory.put(0, 2, 2.0, "b");
    let (_, mut socket) = open(&server, "/v1/feeds/lasting?since=9-64-1", "Last-Event-ID: 9-64-2\r\n", None).await;
    server.memory.put(0, 3, 3.0, "c");
    let mut text = String::new();
    while !text.contains("[3,3.0,\"c\"]") {
        text.push(char::from(socket.read_u8().await.unwrap()));
    }
    assert!(!text.contains("[2,2.0,\"b\"]"), "what the client has came again: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_an_answer_and_no_stream() {
    let server = start(&["wrong"]).await;
    for (path, headers, expected) in [
        ("/v1/feeds/none", "", " 404 "),
        ("/v1/feeds/wrong?since=x", "", " 400 "),
        ("/v1/feeds/wrong", "Last-Event-ID: nonsense\r\n", " 400 "),
        ("/v1/feeds/wrong?max_rate=0", "", " 400 "),
        ("/v1/feeds/wrong?where=k", "", " 400 "),
    ] {
        let (head, _) = open(&server, path, headers, None).await;
        assert!(head.contains(expected) && head.contains("application/problem+json"), "{path}: {head}");
    }
    let head = reqwest::Client::new().head(server.url("/v1/feeds/wrong")).header("accept", "text/event-stream");
    let response = head.send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), response.headers()["content-type"].to_str().unwrap()),
        (200, "text/event-stream")
    );
    assert_eq!(metric("tidewire_subscriptions", "feed=\"wrong\""), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_stream_has_heartbeats() {
    let server = start_with(&["beating"], |o| o.limits.ping_interval = Duration::from_millis(100)).await;
    let (_, mut socket) = open(&server, "/v1/feeds/beating", "", None).await;
    let mut text = String::new();
    // Longer than a WebSocket would be left without an answer to its pings.
    while text.matches("\n:\n").count() < 6 {
        text.push(char::from(timeout(LONG, socket.read_u8()).await.expect("no heartbeat").unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_nothing_is_given_up() {
    let server = start_with(&["taken"], |o| {
        o.limits.ping_interval = Duration::from_millis(200);
        o.limits.send_buffer = 16 << 10;
    })
    .await;
    let rows: Vec<Row> = (0..60_000).map(|k| (k, k as f64, "a note of some length")).collect();
    server.memory.tick(&[(0, &rows, &[])]);
    let (_, socket) = open(&server, "/v1/feeds/taken", "", Some(8 << 10)).await;
    let label = "feed=\"taken\"";
    until("it watches", || metric("tidewire_subscriptions", label) == 1).await;
    until("it is given up", || metric("tidewire_subscriptions", label) == 0).await;
    drop(socket);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slower_rate_merges_changes() {
    let server = start(&["paced"]).await;
    let (_, mut socket) = open(&server, "/v1/feeds/paced?max_rate=10", "", None).await;
    until("it watches", || metric("tidewire_subscriptions", "feed=\"paced\"") == 1).await;
    for i in 0..300 {
        server.memory.put(0, i % 7, i as f64, "paced");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut text = String::new();
    while !text.contains("id: 9-64-300\n") {
        text.push(char::from(timeout(LONG, socket.read_u8()).await.expect("never at the end").unwrap()));
    }
    let frames = text.matches("data: ").count();
    assert!(frames < 50, "{frames} events for 300 ticks");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_is_an_event_that_says_when_to_come_again() {
    let mut server = start(&["ended"]).await;
    let (_, mut socket) = open(&server, "/v1/feeds/ended", "", None).await;
    server.stop().await;
    let text = rest(&mut socket).await;
    let last = text.trim_end().rsplit("data: ").next().unwrap();
    let closing: Value = serde_json::from_str(last).unwrap();
    assert_eq!((closing["type"].as_str(), closing["code"].as_str()), (Some("closing"), Some("shutdown")));
    let retry = text.rsplit("retry: ").next().unwrap().lines().next().unwrap();
    assert_eq!(retry.parse::<u64>().unwrap(), closing["retry_after_ms"].as_u64().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_streams_and_sockets_share_a_frame() {
    let server = start(&["mixed"]).await;
    server.memory.put(0, 0, 0.0, "start");
    let mut followers = Vec::new();
    for i in 0..100 {
        let way = if i % 2 == 0 { Way::EventStream } else { Way::SocketJson };
        let mut follower = Follower::new(way, server.address, "mixed");
        follower.begin().await;
        follower.reach(1).await;
        followers.push(follower);
    }
    let encoded = || metric("tidewire_frames_encoded_total", "feed=\"mixed\"");
    for i in 1..=10 {
        server.memory.put(0, i, 1.0, "next");
        for follower in &mut followers {
            assert!(matches!(follower.step().await, Step::Frame(_)));
        }
        assert_eq!(encoded(), 1 + i);
    }
    assert!(followers.iter().all(|f| f.table.rows == server.memory.table(0)));
}
