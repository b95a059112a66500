//! Clients that mean no good, or are not there any more: each is rid of within a limit, and
//! holds no more than a stated part until then (INV-4). `docs/configuration.md` says what
//! each costs.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{
    memory::Row,
    support::{LONG, Server, connect, read_head, start_with, until},
};

const POST: &str = "POST /v1/streams/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";

/// What the server says until it closes.
async fn rest(socket: &mut TcpStream) -> String {
    let mut said = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match timeout(LONG, socket.read(&mut piece)).await.expect("it is still open") {
            Ok(0) | Err(_) => return String::from_utf8_lossy(&said).into_owned(),
            Ok(n) => said.extend(&piece[..n]),
        }
    }
}

/// Sends a byte now and then, for ever, and gives what the server says until it closes.
async fn drip(server: &Server, begin: &str) -> String {
    let (mut read, mut write) = connect(server.address, None).await.into_split();
    write.write_all(begin.as_bytes()).await.unwrap();
    let dripping = tokio::spawn(async move {
        while write.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    });
    let mut said = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match timeout(LONG, read.read(&mut piece)).await.expect("it is still open") {
            Ok(0) | Err(_) => break,
            Ok(n) => said.extend(&piece[..n]),
        }
    }
    dripping.abort();
    String::from_utf8_lossy(&said).into_owned()
}

async fn answers(server: &Server) -> bool {
    let mut socket = connect(server.address, None).await;
    let _ = socket.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    rest(&mut socket).await.starts_with("HTTP/1.1 200")
}

/// The only place there is becomes free.
async fn place_is_free(server: &Server) {
    let begun = Instant::now();
    while !answers(server).await {
        assert!(begun.elapsed() < LONG, "its place is never free");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_or_drips_a_head_is_gone_in_time() {
    let server = start_with(&["mute"], |o| {
        o.limits.header_timeout = Duration::from_millis(200);
        o.limits.max_connections = 1;
    })
    .await;
    let mut mute = connect(server.address, None).await;
    assert_eq!(rest(&mut mute).await, "");
    place_is_free(&server).await;
    // Every byte is progress, and the time is for the whole head.
    let said = drip(&server, "GET /livez HTTP/1.1\r\nHost: localhost\r\nX: ").await;
    assert!(!said.contains(" 200 "), "{said}");
    place_is_free(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_drips_a_body_is_told_and_gone_in_time() {
    let server = start_with(&["dripped"], |o| {
        o.limits.body_timeout = Duration::from_millis(200);
        o.limits.max_connections = 1;
    })
    .await;
    let said = drip(&server, &format!("{POST}Content-Length: 100000\r\n\r\n[")).await;
    assert!(said.starts_with("HTTP/1.1 408") && said.contains("\"request_timeout\""), "{said}");
    place_is_free(&server).await;
    assert!(server.memory.appends.lock().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_bodies_together_hold_no_more_than_may_be_pending() {
    let server = start_with(&["held"], |o| {
        o.limits.max_body = 1000;
        o.limits.max_unpacked_body = 1000;
        o.limits.max_pending = 2000;
    })
    .await;
    let begin = async || {
        let mut socket = connect(server.address, None).await;
        let head = format!("{POST}Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        assert!(read_head(&mut socket).await.starts_with("HTTP/1.1 100"));
        socket.write_all(&[b' '; 900]).await.unwrap();
        socket
    };
    let (first, _second) = (begin().await, begin().await);
    let refused = async || {
        let mut third = begin().await;
        let mut status = [0; 12];
        let read = timeout(Duration::from_millis(300), third.read_exact(&mut status)).await;
        read.is_ok_and(|r| r.is_ok()).then(|| String::from_utf8_lossy(&status).into_owned())
    };
    let begun = Instant::now();
    // What the first two sent is read in the background.
    while refused().await.as_deref() != Some("HTTP/1.1 503") {
        assert!(begun.elapsed() < LONG, "a third body is held as well");
    }
    drop(first);
    while refused().await.is_some() {
        assert!(begun.elapsed() < LONG, "what is gone still counts");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_has_no_more_than_its_share_of_connections() {
    let server = start_with(&["shares"], |o| o.limits.max_connections_per_address = 1).await;
    let first = server.raw(None).await;
    let mut second = connect(server.address, None).await;
    let said = rest(&mut second).await;
    assert!(said.starts_with("HTTP/1.1 429") && said.contains("\"limit_reached\""), "{said}");
    drop(first);
    place_is_free(&server).await;
}

/// Who asked for a stream of events, and takes none of them.
#[tokio::test(flavor = "multi_thread")]
async fn who_never_reads_its_events_is_gone_in_time() {
    let server = start_with(&["unread_events"], |o| {
        o.limits.send_buffer = 16 << 10;
        o.limits.ping_interval = Duration::from_millis(300);
        o.limits.max_connections = 1;
    })
    .await;
    let rows: Vec<Row> = (0..50_000).map(|k| (k, k as f64, "a note of some length")).collect();
    server.memory.tick(&[(0, &rows, &[])]);
    let mut unread = connect(server.address, Some(8 << 10)).await;
    let ask = "GET /v1/feeds/unread_events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
    unread.write_all(ask.as_bytes()).await.unwrap();
    assert!(read_head(&mut unread).await.contains("text/event-stream"));
    until("it is a viewer", || server.memory.follows(0)).await;
    place_is_free(&server).await;
    until("nobody follows", || !server.memory.follows(0)).await;
    drop(unread);
}
