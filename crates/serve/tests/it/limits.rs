//! Limits, and who may ask.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    memory::{Memory, Row},
    support::{TOO_LARGE, connect, options, read_head, refusals, start, start_over, start_with, until},
};

async fn ask(server: &crate::support::Server, request: &str) -> String {
    let mut socket = connect(server.address, None).await;
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(crate::support::LONG, socket.read_to_string(&mut answer)).await.expect("no end").unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_or_body_that_does_not_come_ends_the_connection() {
    let server = start_with(&["waiting"], |o| {
        o.limits.header_timeout = Duration::from_millis(100);
        o.limits.body_timeout = Duration::from_millis(100);
    })
    .await;
    let answer = ask(&server, "GET /livez HTTP/1.1\r\nHost: localhost\r\nSlow").await;
    assert!(!answer.contains(" 200 "), "{answer}");
    let post = "POST /v1/streams/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                Content-Length: 100\r\n\r\n[";
    let answer = ask(&server, post).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("\"request_timeout\""), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_too_large_is_refused() {
    let _alone = TOO_LARGE.lock().await;
    let server = start(&["heads"]).await;
    let request = format!("GET /livez HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(20 << 10));
    let answer = ask(&server, &request).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_ends_without_a_document() {
    let server = start_with(&["ends"], |o| o.limits.header_timeout = Duration::from_millis(100)).await;
    let _alone = TOO_LARGE.lock().await;
    let large = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(20 << 10));
    for (said, status, code) in [
        (large.as_str(), "HTTP/1.1 431 ", "too_large"),
        ("nonsense\r\n\r\n", "HTTP/1.1 400 ", "bad_request"),
        ("GET / HTTP/1.1\r\nSlow", "", "request_timeout"),
    ] {
        let before = refusals(code);
        let answer = ask(&server, said).await;
        let ends_with_head = answer.is_empty() || answer.ends_with("\r\n\r\n");
        assert!(answer.starts_with(status) && ends_with_head, "{code}: {answer}");
        assert_eq!(answer.is_empty(), status.is_empty(), "{code}: {answer}");
        until(code, || refusals(code) > before).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_are_told_so() {
    let server = start_with(&["crowd"], |o| o.limits.max_connections = 2).await;
    let first = server.raw(None).await;
    let _second = server.raw(None).await;
    let answer = ask(&server, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 429") && answer.contains("\"limit_reached\""), "{answer}");
    drop(first);
    let mut answered = false;
    while !answered {
        let answer = ask(&server, "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
        answered = answer.starts_with("HTTP/1.1 200");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_only_points_here_is_not_served() {
    let server = start(&["rebound"]).await;
    for (host, status) in [("localhost:1", 200), ("127.0.0.1", 200), ("ops.example", 200), ("evil.example", 403)] {
        let answer = ask(&server, &format!("GET /livez HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{host}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_opens_no_socket() {
    let server = start(&["origins"]).await;
    for (origin, status) in
        [("https://ops.example", 101), ("http://localhost:1", 101), ("https://evil.example", 403), ("null", 403)]
    {
        let mut socket = connect(server.address, None).await;
        let request = format!(
            "GET /v1/ws HTTP/1.1\r\nHost: localhost:1\r\nOrigin: {origin}\r\nConnection: keep-alive, Upgrade\r\n\
             Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: other, tidewire.v1.json\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        let head = read_head(&mut socket).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{origin}: {head}");
        assert_eq!(status == 101, head.contains("sec-websocket-protocol: tidewire.v1.json"), "{head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_writes_nothing() {
    let server = start(&["written"]).await;
    // None of these makes a browser ask first.
    let event = "Content-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"k\":1}";
    let rebuild = "/v1/feeds/written/rebuild";
    let posts = [
        (rebuild, "Content-Length: 0\r\n\r\n"),
        (rebuild, "Content-Type: text/plain\r\nContent-Length: 1\r\n\r\nx"),
        ("/v1/streams/events/dead-letters/replay", "Content-Length: 0\r\n\r\n"),
        ("/v1/streams/events", event),
    ];
    for (path, rest) in posts {
        for (origin, may) in [
            ("", true),
            ("Origin: http://localhost:1\r\n", true),
            ("Origin: https://ops.example\r\n", true),
            ("Origin: https://evil.example\r\n", false),
            ("Origin: null\r\n", false),
        ] {
            let head = format!("POST {path} HTTP/1.1\r\nHost: localhost:1\r\nConnection: close\r\n");
            let answer = ask(&server, &format!("{head}{origin}{rest}")).await;
            let refused = answer.starts_with("HTTP/1.1 403") && answer.contains("\"forbidden_origin\"");
            assert_eq!(refused, !may, "{path} {origin}: {answer}");
        }
    }
    assert_eq!(server.memory.appends.lock().len(), 3);
    let get = "GET /v1/feeds HTTP/1.1\r\nHost: localhost:1\r\nConnection: close\r\n";
    let answer = ask(&server, &format!("{get}Origin: https://evil.example\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200") && !answer.contains("access-control-allow-origin"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_handshake_is_a_bad_request() {
    let server = start(&["handshake"]).await;
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    for rest in [
        String::new(),
        format!("{upgrade}Sec-WebSocket-Version: 12\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
        format!("{upgrade}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n"),
        format!("{upgrade}Sec-WebSocket-Version: 13\r\n"),
    ] {
        let mut socket = connect(server.address, None).await;
        socket.write_all(format!("GET /v1/ws HTTP/1.1\r\nHost: localhost\r\n{rest}\r\n").as_bytes()).await.unwrap();
        let head = read_head(&mut socket).await;
        assert!(head.starts_with("HTTP/1.1 400") && head.contains("sec-websocket-version: 13"), "{head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_is_opened_by_get_alone() {
    let server = start(&["headed"]).await;
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (request, rest, status, allow) in [
        ("HEAD /v1/ws", upgrade, 405, Some("GET")),
        ("HEAD /v1/ws", "", 405, Some("GET")),
        ("POST /v1/ws", upgrade, 405, Some("GET")),
        // The page that a browser would get.
        ("HEAD /dashboard/headed", upgrade, 200, None),
    ] {
        let mut socket = connect(server.address, None).await;
        let request = format!("{request} HTTP/1.1\r\nHost: localhost\r\n{rest}\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let head = read_head(&mut socket).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{request}{head}");
        let allowed = head.lines().find_map(|line| line.strip_prefix("allow: "));
        assert_eq!(allowed, allow, "{request}{head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_and_an_open_address_are_one_clear_line() {
    let server = start(&["ports"]).await;
    let listen = server.address.to_string();
    let said = async |listen: &str| {
        let result = serve::bind(serve::Options { listen: listen.to_owned(), ..options() }).await;
        result.err().expect("it was bound").to_string()
    };
    assert_eq!(
        said(&listen).await,
        format!("cannot listen on {listen}: the port is in use; stop what uses it or choose another with --listen")
    );
    assert!(said("0.0.0.0:0").await.contains("insecure: true"));
    assert!(said("nonsense").await.contains("expected an address and a port"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_under_way_is_finished_and_idle_connections_do_not_hold_the_end() {
    let mut server = start(&["finishing"]).await;
    let _idle = connect(server.address, None).await;
    let mut socket = connect(server.address, None).await;
    let head = "POST /v1/streams/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                Content-Length: 9\r\nExpect: 100-continue\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    // The handler has begun: it asks for the body.
    assert!(read_head(&mut socket).await.starts_with("HTTP/1.1 100"));
    let (mut read, mut write) = socket.into_split();
    let stopping = tokio::spawn(async move {
        server.stop().await;
        server
    });
    write.write_all(b"{\"k\": 12}").await.unwrap();
    let mut answer = String::new();
    read.read_to_string(&mut answer).await.unwrap();
    let server = stopping.await.unwrap();
    assert!(answer.contains("\"accepted\":1"), "{answer}");
    assert_eq!(server.memory.appends.lock().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_nobody_reads_ends_its_connection() {
    let server = start_with(&["unread"], |o| {
        o.limits.body_timeout = Duration::from_millis(100);
        o.limits.max_connections = 1;
    })
    .await;
    let rows: Vec<Row> = (0..200_000).map(|k| (k, k as f64, "a note of some length")).collect();
    server.memory.tick(&[(0, &rows, &[])]);
    let mut unread = connect(server.address, Some(8 << 10)).await;
    unread.write_all(b"GET /v1/feeds/unread HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert!(read_head(&mut unread).await.starts_with("HTTP/1.1 200"));
    // Its place becomes free, though it is still open on this side.
    let mut answered = false;
    while !answered {
        let answer = ask(&server, "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
        answered = answer.starts_with("HTTP/1.1 200");
    }
    drop(unread);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_requests_a_second_than_allowed_are_told_when_to_come_again() {
    let server = start_with(&["rates"], |o| o.limits.max_requests_per_second_per_address = 2).await;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let mut refused = String::new();
    for _ in 0..10 {
        let answer = ask(&server, &get("/v1/feeds")).await;
        if answer.starts_with("HTTP/1.1 429") {
            refused = answer;
            break;
        }
    }
    assert!(refused.contains("\"limit_reached\"") && refused.to_lowercase().contains("retry-after: 1"), "{refused}");
    for _ in 0..5 {
        assert!(ask(&server, &get("/livez")).await.starts_with("HTTP/1.1 200"), "it is always answered");
    }
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert!(ask(&server, &get("/v1/feeds")).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_events_a_second_than_a_stream_takes_are_refused_whole() {
    let memory = Memory::with_rate(&["events_rate"], 10);
    let server = start_over(memory, |_| {}).await;
    let post = |rows: usize| {
        let body = "{\"k\":1}\n".repeat(rows);
        let length = body.len();
        format!(
            "POST /v1/streams/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/x-ndjson\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    };
    assert!(ask(&server, &post(8)).await.starts_with("HTTP/1.1 200"));
    let refused = ask(&server, &post(8)).await;
    assert!(refused.starts_with("HTTP/1.1 429") && refused.contains("max_events_per_second"), "{refused}");
    // More than a second ever has room for is not told to come again.
    let refused = ask(&server, &post(11)).await;
    assert!(refused.starts_with("HTTP/1.1 413") && refused.contains("send fewer at a time"), "{refused}");
    assert_eq!(server.memory.appends.lock().len(), 1, "nothing of it is kept");
}
