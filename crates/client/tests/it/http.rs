//! Posts and snapshots against a scripted HTTP server.

use std::time::Duration;

use bytes::Bytes;
use client::{Error, Http, Options};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Reads one request: its head, and its body by `Content-Length`.
async fn request(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&all).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|l| l.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
            if body.len() >= length.map_or(0, |l| l.parse().unwrap()) {
                return text;
            }
        }
        assert_ne!(stream.read_buf(&mut all).await.unwrap(), 0, "cut off: {text}");
    }
}

/// Answers each request in turn on a connection of its own; an empty answer hangs up.
/// Gives the requests back.
async fn serve(listener: TcpListener, answers: Vec<String>) -> Vec<String> {
    let mut seen = Vec::new();
    for answer in answers {
        let (mut stream, _) = listener.accept().await.unwrap();
        seen.push(request(&mut stream).await);
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
    seen
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

async fn client() -> (TcpListener, Http) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut options = Options::new(format!("http://{}", listener.local_addr().unwrap()));
    options.backoff.first = Duration::from_millis(1);
    (listener, Http::new(&options).unwrap())
}

const BODY: &str = "{\"n\":1}\n";
const NDJSON: &str = "application/x-ndjson";

#[tokio::test]
async fn a_post_is_tried_again_with_the_same_key_until_it_is_acknowledged() {
    let (listener, http) = client().await;
    let busy = answer("503 Service Unavailable", "retry-after: 0\r\n", r#"{"code":"unavailable","detail":"busy"}"#);
    let limit = answer("429 Too Many Requests", "", "");
    let flight = answer("409 Conflict", "", r#"{"code":"idempotency_in_flight","detail":"d"}"#);
    let done = answer(
        "200 OK",
        "",
        r#"{"accepted":1,"rejected":[{"index":1,"code":"late","message":"m"}],"rejected_total":7}"#,
    );
    let answers = vec![busy, String::new(), limit, flight, done];
    let (seen, posted) = tokio::join!(serve(listener, answers), http.post("events", BODY.into(), NDJSON, Some("k-1")));
    let posted = posted.unwrap();
    assert_eq!((posted.accepted, posted.rejected_total, posted.retries), (1, 7, 4));
    assert_eq!((posted.rejected[0].index, posted.rejected[0].code.as_str()), (1, "late"));
    assert_eq!(seen.len(), 5);
    for request in seen {
        assert!(request.starts_with("POST /v1/streams/events HTTP/1.1\r\n"), "{request}");
        assert!(request.to_lowercase().contains("idempotency-key: k-1\r\n") && request.ends_with(BODY), "{request}");
    }
}

#[tokio::test]
async fn without_a_key_a_broken_post_is_not_repeated() {
    let (listener, http) = client().await;
    let (seen, posted) =
        tokio::join!(serve(listener, vec![String::new()]), http.post("events", BODY.into(), NDJSON, None));
    assert_eq!(posted, Err(Error::Unacknowledged));
    assert_eq!(seen.len(), 1);
}

#[tokio::test]
async fn a_refusal_is_told_and_not_repeated() {
    let (listener, http) = client().await;
    let refusal =
        answer("413 Payload Too Large", "", r#"{"code":"too_large","title":"Too large","detail":"at most 16 MiB"}"#);
    let (_, posted) = tokio::join!(serve(listener, vec![refusal]), http.post("events", BODY.into(), NDJSON, Some("k")));
    assert_eq!(posted.unwrap_err().to_string(), "at most 16 MiB (too_large)");

    let (listener, http) = client().await;
    let none = answer(
        "422 Unprocessable Content",
        "",
        r#"{"code":"none_accepted","title":"t","rejected":[{"index":0,"code":"malformed","message":"m"}]}"#,
    );
    let (_, posted) = tokio::join!(serve(listener, vec![none]), http.post("events", BODY.into(), NDJSON, Some("k")));
    assert_eq!(posted.map(|p| (p.accepted, p.rejected_total)), Ok((0, 1)));

    let (listener, http) = client().await;
    let page = answer("200 OK", "content-type: text/html\r\n", "<html>");
    let (_, posted) = tokio::join!(serve(listener, vec![page]), http.post("events", BODY.into(), NDJSON, Some("k")));
    assert!(posted.unwrap_err().to_string().contains("not Tidewire's"));
}

#[tokio::test]
async fn after_long_enough_a_post_gives_up_and_says_why() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut options = Options::new(format!("http://{}", listener.local_addr().unwrap()));
    drop(listener);
    options.backoff.first = Duration::from_millis(1);
    options.retry_for = Duration::from_millis(20);
    let posted = Http::new(&options).unwrap().post("events", Bytes::new(), NDJSON, Some("k")).await;
    let Err(Error::GaveUp { reason, .. }) = posted else { panic!("{posted:?}") };
    assert!(reason.contains("refused"), "{reason}");
}

#[tokio::test]
async fn a_snapshot_is_a_table() {
    let (listener, http) = client().await;
    let whole = r#"{"type":"snapshot","view":"load","key":["k"],"columns":[{"name":"k","type":"text"}],"cursor":"1-a-4","data":[["a","b"]]}"#;
    let (seen, table) = tokio::join!(serve(listener, vec![answer("200 OK", "", whole)]), http.snapshot("load"));
    let table = table.unwrap();
    assert_eq!((table.len(), table.cursor()), (2, Some("1-a-4")));
    assert!(seen[0].starts_with("GET /v1/feeds/load "));

    let (listener, http) = client().await;
    let missing = answer("404 Not Found", "", r#"{"code":"unknown_feed","title":"t","detail":"no feed `load`"}"#);
    let (_, table) = tokio::join!(serve(listener, vec![missing]), http.snapshot("load"));
    assert_eq!(table.unwrap_err().to_string(), "no feed `load` (unknown_feed)");
}
