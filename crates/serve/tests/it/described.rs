//! `/openapi.json` against what is answered: every code is provoked, where it is described.

use std::{collections::BTreeSet, time::Duration};

use futures_util::{StreamExt, stream};
use model::Code;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use serve::backend::{AppendError, QueryError};

use crate::support::{Server, start, start_with};

async fn document(server: &Server) -> Value {
    reqwest::get(server.url("/openapi.json")).await.unwrap().json().await.unwrap()
}

/// A body that never ends.
fn endless() -> reqwest::Body {
    let begun = stream::iter([Ok::<_, std::io::Error>(bytes::Bytes::from_static(b"["))]);
    reqwest::Body::wrap_stream(begun.chain(stream::pending()))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_code_can_be_reached_where_it_is_described() {
    let server = start_with(&["load"], |o| {
        o.limits.max_body = 1000;
        o.limits.body_timeout = Duration::from_millis(100);
    })
    .await;
    let document = document(&server).await;
    let client = Client::new();
    let get = |path: &str| client.get(server.url(path));
    let post = |path: &str, body: &'static str| {
        client.post(server.url(path)).header("content-type", "application/json").body(body)
    };
    let events = "/v1/streams/{stream}";
    let push = || post("/v1/streams/events", "{\"k\":1}");
    let fails = |error: AppendError| Some(error);
    let none = None::<AppendError>;
    let cases: Vec<(Code, &str, RequestBuilder, Option<AppendError>)> = vec![
        (Code::BadRequest, "/v1/feeds/{feed}", get("/v1/feeds/load?where=k"), none.clone()),
        (Code::BadRequest, "/v1/feeds/{feed}", get("/v1/feeds/%FF"), none.clone()),
        (Code::BadRequest, "/dashboard/{dashboard}", get("/dashboard/load?format=xml"), none.clone()),
        (Code::BadRequest, "/v1/ws", get("/v1/ws"), none.clone()),
        (Code::MalformedCursor, "/v1/feeds/{feed}", get("/v1/feeds/load?since=x"), none.clone()),
        (Code::ForbiddenOrigin, "/v1/feeds", get("/v1/feeds").header("host", "evil.example"), none.clone()),
        (Code::NotFound, "/assets/{path}", get("/assets/none.js"), none.clone()),
        (Code::UnknownStream, events, post("/v1/streams/none", "{}"), none.clone()),
        (Code::UnknownFeed, "/v1/feeds/{feed}", get("/v1/feeds/none"), none.clone()),
        (Code::UnknownDashboard, "/v1/dashboards/{dashboard}", get("/v1/dashboards/none"), none.clone()),
        (Code::MethodNotAllowed, "", client.request(Method::DELETE, server.url("/v1/feeds")), none.clone()),
        (Code::NotAcceptable, "/v1/feeds/{feed}", get("/v1/feeds/load").header("accept", "text/html"), none.clone()),
        (Code::RequestTimeout, events, push().body(endless()), none.clone()),
        (Code::IdempotencyInFlight, events, push(), fails(AppendError::InFlight)),
        (Code::IdempotencyMismatch, events, push(), fails(AppendError::Mismatch)),
        (Code::CannotRebuild, "/v1/feeds/{feed}/rebuild", post("/v1/feeds/load/rebuild", ""), none.clone()),
        (Code::TooLarge, events, push().body("x".repeat(1001)), none.clone()),
        (Code::UnsupportedMedia, events, client.post(server.url("/v1/streams/events")).body("{}"), none.clone()),
        (Code::NoneAccepted, events, post("/v1/streams/events", "{\"k\":\"x\"}"), none.clone()),
        (Code::NotWritable, events, post("/v1/streams/file", "{}"), none.clone()),
        (
            Code::LimitReached,
            events,
            push(),
            fails(AppendError::TooFast { stream: "events".into(), retry_after_ms: 9 }),
        ),
        (Code::Internal, events, push(), fails(AppendError::Failed("why".into()))),
        (Code::Unavailable, events, push(), fails(AppendError::Busy { retry_after_ms: 1 })),
        (Code::Shutdown, events, push(), fails(AppendError::Stopping)),
        (Code::DiskFull, events, push(), fails(AppendError::DiskFull)),
    ];
    let mut reached = BTreeSet::new();
    for (code, path, request, failure) in cases {
        *server.memory.failure.lock() = failure;
        let request = request.build().unwrap();
        let method = request.method().to_string().to_lowercase();
        let response = client.execute(request).await.unwrap();
        assert_eq!(response.status().as_u16(), code.status(), "{code:?}");
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{code:?}");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["code"], code.as_str(), "{problem}");
        if !path.is_empty() {
            let answer = &document["paths"][path][&method]["responses"][code.status().to_string()];
            let codes = answer["x-codes"].as_array().unwrap_or_else(|| panic!("{method} {path}: no {code:?}"));
            assert!(codes.contains(&json!(code.as_str())), "{method} {path}: {code:?}");
        }
        reached.insert(code.as_str());
    }
    for failure in [
        QueryError::Refused("why".into()),
        QueryError::TimedOut { limit: Duration::from_secs(5) },
        QueryError::TooLarge { limit: 1 << 20 },
        QueryError::Failed("why".into()),
        QueryError::Busy { retry_after_ms: 1 },
        QueryError::Stopping,
        QueryError::Fault,
    ] {
        *server.memory.query_failure.lock() = Some(failure.clone());
        let response = post("/v1/query", r#"{"sql":"SELECT 1"}"#).send().await.unwrap();
        let status = response.status().as_u16().to_string();
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["detail"], failure.to_string());
        let codes = document["paths"]["/v1/query"]["post"]["responses"][&status]["x-codes"].as_array();
        assert!(codes.is_some_and(|codes| codes.contains(&problem["code"])), "{problem}");
        reached.extend(Code::ALL.iter().map(|c| c.as_str()).filter(|c| problem["code"] == *c));
    }
    let mut socket = server.client().await;
    socket.subscribe(1, "load", None).await;
    for (code, message) in [
        (Code::BadMessage, json!({"op": "dance"})),
        (Code::UnknownRef, json!({"op": "unsubscribe", "ref": 9})),
        (Code::DuplicateRef, json!({"op": "subscribe", "ref": 1, "feed": "load"})),
    ] {
        socket.say(&message).await;
        assert_eq!(socket.expect("error").await["code"], code.as_str());
        reached.insert(code.as_str());
    }
    assert_eq!(reached, Code::ALL.iter().map(|c| c.as_str()).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_not_sent_twice() {
    let server = start(&["described"]).await;
    let response = reqwest::get(server.url("/openapi.json")).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    let tag = response.headers()["etag"].clone();
    let described: Value = response.json().await.unwrap();
    assert_eq!(described["openapi"], "3.1.0");
    assert!(described.to_string().find("described\"").is_none(), "it names a feed of this server");
    let ask = async |tag: &str| {
        Client::new().get(server.url("/openapi.json")).header("if-none-match", tag).send().await.unwrap().status()
    };
    assert_eq!(ask(tag.to_str().unwrap()).await, 304);
    assert_eq!(ask("\"another\"").await, 200);
}
