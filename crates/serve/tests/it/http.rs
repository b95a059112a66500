//! HTTP: events in, snapshots out, errors.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use serve::backend::AppendError;

use crate::{
    memory::{Memory, Row},
    support::{Server, TOO_LARGE, metric, options, prometheus, refusals, start, start_with},
};

fn post(server: &Server, media: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
    Client::new().post(server.url("/v1/streams/events")).header("content-type", media).body(body)
}

async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// The status, and the code of a problem document that is whole.
async fn problem(request: RequestBuilder) -> (u16, String) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["status"], status, "{body}");
    assert!(body["title"].is_string() && body["detail"].is_string(), "{body}");
    (status, body["code"].as_str().unwrap().to_owned())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_taken_in_every_form() {
    let server = start(&["forms"]).await;
    let ndjson = "{\"k\":1}\n\n{\"k\":2,\"value\":0.5}\r\n";
    for (media, body, accepted) in [
        ("application/json", "{\"k\":1}", 1),
        ("application/json; charset=utf-8", "[{\"k\":1},{\"k\":2}]", 2),
        ("application/x-ndjson", ndjson, 2),
        ("application/jsonl", ndjson, 2),
        ("text/csv", "k,value\n1,2.5\n2,\n3,1\n", 3),
        ("application/json", "[]", 0),
    ] {
        let expected = json!({"accepted": accepted, "rejected": [], "rejected_total": 0});
        assert_eq!(answer(post(&server, media, body)).await, (200, expected), "{media}: {body}");
    }
    let packed = post(&server, "application/x-ndjson", gzip(ndjson.as_bytes())).header("content-encoding", "gzip");
    assert_eq!(answer(packed).await.1["accepted"], 2);
    let packed = zstd::encode_all(ndjson.as_bytes(), 3).unwrap();
    let packed = post(&server, "application/x-ndjson", packed).header("content-encoding", "zstd");
    assert_eq!(answer(packed).await.1["accepted"], 2);
    for media in ["application/msgpack", "application/vnd.msgpack", "application/x-msgpack"] {
        let body = &b"\x92\x81\xa1k\x01\x82\xa1k\x02\xa5value\xca\x3f\x00\x00\x00"[..];
        assert_eq!(answer(post(&server, media, body)).await.1["accepted"], 2, "{media}");
    }
    let appends = server.memory.appends.lock();
    let rows: usize = appends.iter().flat_map(|a| &a.batches).map(arrow_array::RecordBatch::num_rows).sum();
    assert_eq!(rows, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_events_are_listed_and_kept_and_good_ones_accepted() {
    let server = start(&["partial"]).await;
    let (status, body) = answer(post(&server, "application/x-ndjson", "{\"k\":1}\n{\"k\":\"x\"}\nnonsense\n")).await;
    assert_eq!((status, &body["accepted"], &body["rejected_total"]), (200, &json!(1), &json!(2)));
    assert_eq!((&body["rejected"][0]["index"], &body["rejected"][0]["code"]), (&json!(1), &json!("wrong_type")));
    assert_eq!((&body["rejected"][1]["index"], &body["rejected"][1]["code"]), (&json!(2), &json!("malformed")));
    assert_eq!(server.memory.appends.lock()[0].dead.len(), 2);

    let many = "nonsense\n".repeat(500);
    let (status, body) = answer(post(&server, "application/x-ndjson", many)).await;
    assert_eq!((status, &body["code"], &body["rejected_total"]), (422, &json!("none_accepted"), &json!(500)));
    assert_eq!(body["rejected"].as_array().unwrap().len(), 100);
    assert_eq!(server.memory.appends.lock()[1].dead.len(), 500, "refused events are kept as dead letters");
    let (status, code) = problem(post(&server, "application/json", "[{\"k\":1},")).await;
    assert_eq!((status, code.as_str()), (422, "none_accepted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_says_why_by_a_code() {
    let server = start_with(&["refused"], |o| {
        o.limits.max_body = 1000;
        o.limits.max_unpacked_body = 100_000;
    })
    .await;
    let client = Client::new();
    let get = |path: &str| client.get(server.url(path));
    let large = "x".repeat(1001);
    let chunked = reqwest::Body::wrap_stream(futures_util::stream::iter(
        (0..10).map(|_| Ok::<_, std::io::Error>(bytes::Bytes::from(vec![b' '; 200]))),
    ));
    let bomb = gzip(&vec![b' '; 900_000]);
    assert!(bomb.len() < 1000, "the bomb is too large to be let in");
    let _alone = TOO_LARGE.lock().await;
    let before = refusals("too_large");
    for (request, status, code) in [
        (
            client.post(server.url("/v1/query")).header("content-type", "application/json").body(large.clone()),
            413,
            "too_large",
        ),
        (post(&server, "application/json", large), 413, "too_large"),
        (post(&server, "application/json", chunked), 413, "too_large"),
        (post(&server, "application/json", bomb).header("content-encoding", "gzip"), 413, "too_large"),
        (post(&server, "application/json", "x").header("content-encoding", "gzip"), 400, "bad_request"),
        (post(&server, "application/json", "x").header("content-encoding", "zstd"), 400, "bad_request"),
        (post(&server, "application/json", "x").header("content-encoding", "br"), 415, "unsupported_media"),
        (post(&server, "image/png", "x"), 415, "unsupported_media"),
        (client.post(server.url("/v1/streams/events")).body("x"), 415, "unsupported_media"),
        (post(&server, "application/json", "{}").header("idempotency-key", ""), 400, "bad_request"),
        (client.post(server.url("/v1/streams/none")), 404, "unknown_stream"),
        (client.post(server.url("/v1/streams/file")), 422, "not_writable"),
        (get("/v1/feeds/none"), 404, "unknown_feed"),
        (get("/v1/feeds/refused?where=k"), 400, "bad_request"),
        (get("/v1/dashboards/none"), 404, "unknown_dashboard"),
        (get("/nowhere"), 404, "not_found"),
        (get("/assets/none.js"), 404, "not_found"),
        (get("/assets/..%2F..%2Fetc%2Fpasswd"), 404, "not_found"),
        (get("/v1/streams/events"), 405, "method_not_allowed"),
        (client.delete(server.url("/v1/feeds")), 405, "method_not_allowed"),
    ] {
        let shown = format!("{request:?}");
        assert_eq!(problem(request).await, (status, code.to_owned()), "{shown}");
    }
    assert_eq!(refusals("too_large"), before + 4);
    assert!(server.memory.appends.lock().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_is_not_taken_is_told_which_are() {
    let server = start(&["methods"]).await;
    let client = Client::new();
    for (request, allow, detail) in [
        (client.get(server.url("/v1/streams/events")), "POST", "/v1/streams/events takes POST, not GET"),
        (client.head(server.url("/v1/streams/events")), "POST", ""),
        (client.delete(server.url("/v1/feeds")), "GET,HEAD", "/v1/feeds takes GET and HEAD, not DELETE"),
        (client.post(server.url("/dashboard/ops")), "GET,HEAD", "/dashboard/ops takes GET and HEAD, not POST"),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.headers()["allow"].to_str().unwrap()), (405, allow));
        let body = response.text().await.unwrap();
        assert!(body.contains(detail), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_key_gives_the_first_answer_and_appends_once() {
    let server = start(&["keys"]).await;
    let send = |key: &'static str, body: &'static str| {
        post(&server, "application/x-ndjson", body).header("idempotency-key", key)
    };
    let first = answer(send("a", "{\"k\":1}\nbad\n")).await;
    assert_eq!((first.0, &first.1["accepted"]), (200, &json!(1)));
    assert_eq!(answer(send("a", "{\"k\":1}\nbad\n")).await, first);
    assert_eq!(problem(send("a", "{\"k\":2}\n")).await, (422, "idempotency_mismatch".to_owned()));
    let refused = answer(send("b", "bad\n")).await;
    assert_eq!((refused.0, &refused.1["code"]), (422, &json!("none_accepted")));
    assert_eq!(answer(send("b", "bad\n")).await, refused);
    assert_eq!(server.memory.appends.lock().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_kept_is_not_acknowledged() {
    let server = start(&["failing"]).await;
    for (failure, status, code, retry) in [
        (AppendError::Busy { retry_after_ms: 1200 }, 503, "unavailable", Some("2")),
        (AppendError::DiskFull, 507, "disk_full", None),
        (AppendError::InFlight, 409, "idempotency_in_flight", None),
        (AppendError::Stopping, 503, "shutdown", Some("1")),
        (AppendError::Failed("secret path".to_owned()), 500, "internal", None),
    ] {
        *server.memory.failure.lock() = Some(failure);
        let response = post(&server, "application/json", "{\"k\":1}").send().await.unwrap();
        assert_eq!(response.headers().get("retry-after").map(|v| v.to_str().unwrap()), retry);
        assert_eq!(response.status().as_u16(), status);
        let body = response.text().await.unwrap();
        assert!(body.contains(&format!("\"code\":\"{code}\"")) && !body.contains("secret"), "{body}");
    }
}

async fn conditional(server: &Server, feed: &str, tag: &str) -> Response {
    Client::new().get(server.url(&format!("/v1/feeds/{feed}"))).header("if-none-match", tag).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_has_its_cursor_as_tag_and_is_not_sent_twice() {
    let server = start(&["tagged", "beside"]).await;
    server.memory.put(0, 1, 1.5, "a");
    let response = reqwest::get(server.url("/v1/feeds/tagged")).await.unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    let tag = header("etag");
    assert_eq!(tag, "W/\"9-64-1\"");
    assert_eq!(header("vary"), "Accept, Accept-Encoding, Authorization, Cookie");
    assert_eq!(header("cache-control"), "private, no-cache");
    assert_eq!(
        response.json::<Value>().await.unwrap(),
        json!({"type": "snapshot", "view": "tagged", "key": ["k"], "columns": [
            {"name": "k", "type": "bigint"}, {"name": "value", "type": "double"}, {"name": "note", "type": "text"}],
            "cursor": "9-64-1", "reset": false, "data": [[1], [1.5], ["a"]]})
    );
    // Ticks pass that do not change this feed: what the client has is still right.
    server.memory.put(1, 1, 1.0, "elsewhere");
    let same = conditional(&server, "tagged", &format!("\"x\", {tag}")).await;
    assert_eq!((same.status(), same.headers()["etag"].to_str().unwrap()), (StatusCode::NOT_MODIFIED, tag.as_str()));
    server.memory.put(0, 1, 2.0, "a");
    for stale in [tag.as_str(), "W/\"8-64-9\"", "W/\"9-64-99\"", "nonsense", "*"] {
        let response = conditional(&server, "tagged", stale).await;
        assert_eq!((response.status(), response.headers()["etag"].to_str().unwrap()), (StatusCode::OK, "W/\"9-64-3\""));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_snapshot_is_whole_and_encoded_once() {
    let server = start(&["whole"]).await;
    let rows: Vec<Row> = (0..50_000).map(|k| (k, k as f64, "a \"note\"")).collect();
    server.memory.tick(&[(0, &rows, &[])]);
    for _ in 0..3 {
        let body: Value = reqwest::get(server.url("/v1/feeds/whole")).await.unwrap().json().await.unwrap();
        for column in body["data"].as_array().unwrap() {
            assert_eq!(column.as_array().unwrap().len(), 50_000);
        }
        assert_eq!(body["data"][2][49_999], "a \"note\"");
    }
    assert_eq!(metric("tidewire_frames_encoded_total", "feed=\"whole\""), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_feeds_and_dashboards_are_listed() {
    let server = start(&["listed"]).await;
    server.memory.put(0, 1, 1.0, "a");
    let get = async |path: &str| reqwest::get(server.url(path)).await.unwrap().json::<Value>().await.unwrap();
    let feeds = get("/v1/feeds").await;
    assert_eq!((&feeds["feeds"][0]["name"], &feeds["feeds"][0]["rows"]), (&json!("listed"), &json!(1)));
    assert_eq!(feeds["feeds"][0]["columns"][0], json!({"name": "k", "type": "bigint"}));
    let streams = get("/v1/streams").await;
    assert_eq!((&streams["streams"][0]["name"], &streams["streams"][0]["writable"]), (&json!("events"), &json!(true)));
    assert_eq!(streams["streams"][1]["writable"], false);
    assert_eq!(get("/v1/dashboards").await, json!({"dashboards": [{"name": "listed", "title": "All"}]}));
    assert_eq!(
        get("/v1/dashboards/listed").await,
        json!({"name": "listed", "title": "All", "range": 900_000, "panels": []})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_part_of_the_program() {
    let server = start(&["paged"]).await;
    for (path, status) in [("/", 200), ("/dashboard/paged", 200), ("/dashboard/none", 404)] {
        let response = reqwest::get(server.url(path)).await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        assert!(response.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'self'"));
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert!(response.text().await.unwrap().contains("Tidewire"));
    }
    let tag = reqwest::get(server.url("/")).await.unwrap().headers()["etag"].clone();
    let again = Client::new().get(server.url("/")).header("if-none-match", tag).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
}

#[tokio::test(flavor = "multi_thread")]
async fn liveness_readiness_and_metrics() {
    let server = start(&["healthy"]).await;
    let status = async |path: &str| reqwest::get(server.url(path)).await.unwrap().status().as_u16();
    assert_eq!((status("/livez").await, status("/readyz").await), (200, 200));
    server.memory.ready.store(false, Ordering::Relaxed);
    assert_eq!(status("/livez").await, 200);
    let refused = problem(Client::new().get(server.url("/readyz"))).await;
    assert_eq!(refused, (503, "unavailable".to_owned()));
    let (_, problem) = answer(Client::new().get(server.url("/readyz"))).await;
    assert_eq!(problem["detail"], "stream `a` has no file; the disk is full");
    assert_eq!(problem["reasons"][1], json!({"code": "disk_full", "message": "the disk is full"}));
    let (_, problem) = answer(Client::new().get(server.url("/readyz?exclude=source_failed"))).await;
    assert_eq!(problem["detail"], "the disk is full");
    assert_eq!(status("/readyz?exclude=source_failed&exclude=disk_full").await, 200);
    let metrics = reqwest::get(server.url("/metrics")).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("tidewire_subscriptions{feed=\"healthy\"} 0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_start_says_how_far_it_is_and_a_short_one_just_answers() {
    let bound = serve::bind(options()).await.unwrap();
    let url = format!("http://{}", bound.local_addr());
    let done = Arc::new(AtomicUsize::new(0));
    let progress = {
        let done = Arc::clone(&done);
        Arc::new(move || format!("{} of 20 ticks", done.fetch_add(1, Ordering::Relaxed)))
    };
    let starting = bound.answer_while_starting(prometheus(), progress);
    assert_eq!(reqwest::get(format!("{url}/livez")).await.unwrap().status(), 200);
    assert!(reqwest::get(format!("{url}/metrics")).await.unwrap().text().await.unwrap().contains("# TYPE"));
    for ticks in 0..3 {
        let response = reqwest::get(format!("{url}/readyz")).await.unwrap();
        assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (503, &"1".parse().unwrap()));
        let problem: Value = response.json().await.unwrap();
        let message = format!("{ticks} of 20 ticks");
        assert_eq!(problem["reasons"], json!([{"code": "recovering", "message": message}]));
    }
    let post = Client::new().post(format!("{url}/v1/streams/events")).body("{}");
    assert_eq!(problem(post).await, (503, "unavailable".to_owned()));
    let foreign = Client::new().get(format!("{url}/metrics")).header("host", "evil.example");
    assert_eq!(problem(foreign).await, (403, "forbidden_origin".to_owned()));
    drop(starting);

    // In the first moments of a start, requests wait for it.
    drop(bound.answer_while_starting(prometheus(), Arc::new(String::new)));
    let waiting = tokio::spawn(reqwest::get(format!("{url}/readyz")));
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let (_changes, changed) = tokio::sync::mpsc::channel(1);
    let (_stop, stopped) = tokio::sync::oneshot::channel::<()>();
    tokio::spawn(bound.run(Memory::new(&["started"]), prometheus(), changed, async {
        let _ = stopped.await;
    }));
    assert_eq!(waiting.await.unwrap().unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_listed_origins_may_read_answers() {
    let server = start(&["crossed"]).await;
    let from = async |origin: &str| {
        let request = Client::new().get(server.url("/v1/feeds")).header("origin", origin);
        request.send().await.unwrap().headers().get("access-control-allow-origin").cloned()
    };
    assert_eq!(from("https://ops.example").await.unwrap(), "https://ops.example");
    assert_eq!(from("https://evil.example").await, None);
    let preflight = Client::new()
        .request(reqwest::Method::OPTIONS, server.url("/v1/streams/events"))
        .header("origin", "https://ops.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type,idempotency-key");
    let response = preflight.send().await.unwrap();
    assert!(response.status().is_success());
    assert!(response.headers()["access-control-allow-headers"].to_str().unwrap().contains("idempotency-key"));
}
