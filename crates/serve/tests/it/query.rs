//! Queries over HTTP: what is taken, and the forms of an answer.

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{Server, start};

fn post(server: &Server, body: &str) -> RequestBuilder {
    let request = Client::new().post(server.url("/v1/query")).header("content-type", "application/json");
    request.body(body.to_owned())
}

async fn problem(request: RequestBuilder) -> (u16, String) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let problem: Value = response.json().await.unwrap();
    (status, problem["code"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_comes_in_the_form_that_is_liked_best() {
    let server = start(&["load"]).await;
    let ask = r#"{"sql":"SELECT 'a,b'"}"#;
    let response = post(&server, ask).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["tidewire-truncated"], "true");
    let columns = json!([{"name": "sql", "type": "text"}, {"name": "n", "type": "bigint"}]);
    let expected =
        json!({"columns": columns, "data": [["SELECT 'a,b'"], ["9223372036854775807"]], "rows": 1, "truncated": true});
    assert_eq!(response.json::<Value>().await.unwrap(), expected);
    let text =
        async |accept: &str| post(&server, ask).header("accept", accept).send().await.unwrap().text().await.unwrap();
    assert_eq!(text("text/csv").await, "sql,n\r\n\"SELECT 'a,b'\",9223372036854775807\r\n");
    assert_eq!(text("application/x-ndjson").await, "{\"sql\":\"SELECT 'a,b'\",\"n\":\"9223372036854775807\"}\n");
    let long = json!({"sql": "x".repeat(5000)}).to_string();
    let packed = post(&server, &long).header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    assert!(packed.bytes().await.unwrap().starts_with(&[0x1f, 0x8b]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_query_is_refused() {
    let server = start(&["load"]).await;
    for body in ["", "{}", "[]", "SELECT 1", r#"{"sql":1}"#, r#"{"sql":"SELECT 1","limit":1}"#] {
        assert_eq!(problem(post(&server, body)).await, (400, "bad_request".to_owned()), "{body}");
    }
    let ask = r#"{"sql":"SELECT 1"}"#;
    let plain = Client::new().post(server.url("/v1/query")).body(ask);
    assert_eq!(problem(plain).await, (415, "unsupported_media".to_owned()));
    let packed = post(&server, ask).header("content-encoding", "gzip");
    assert_eq!(problem(packed).await, (415, "unsupported_media".to_owned()));
    let events = post(&server, ask).header("accept", "text/event-stream");
    assert_eq!(problem(events).await, (406, "not_acceptable".to_owned()));
    let foreign = post(&server, ask).header("origin", "https://evil.example");
    assert_eq!(problem(foreign).await, (403, "forbidden_origin".to_owned()));
}
