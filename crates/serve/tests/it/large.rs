//! Requests that come to much more than they look like.

use arrow_array::RecordBatch;
use reqwest::Client;
use serde_json::Value;

use crate::support::{TOO_LARGE, start, start_with};

/// `{}` is two bytes, and a row of every column.
#[tokio::test(flavor = "multi_thread")]
async fn events_that_take_more_than_may_be_pending_are_refused_whole() {
    let _alone = TOO_LARGE.lock().await;
    let server = start_with(&["wide"], |o| {
        o.limits.max_body = 1 << 20;
        o.limits.max_unpacked_body = 1 << 20;
        o.limits.max_pending = 1 << 20;
    })
    .await;
    for (media, body) in [
        ("application/x-ndjson", "{}\n".repeat(300_000).into_bytes()),
        ("application/json", format!("[{}{{}}]", "{},".repeat(300_000)).into_bytes()),
        ("application/msgpack", vec![0x80; 300_000]),
        ("text/csv", format!("k\n{}", "1\n".repeat(300_000)).into_bytes()),
    ] {
        let request = Client::new().post(server.url("/v1/streams/events")).header("content-type", media).body(body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 413, "{media}");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["code"], "too_large");
        assert!(problem["detail"].as_str().unwrap().contains("send fewer"), "{problem}");
    }
    assert!(server.memory.appends.lock().is_empty());
    let few = Client::new().post(server.url("/v1/streams/events")).header("content-type", "application/x-ndjson");
    assert_eq!(few.body("{}\n".repeat(10_000)).send().await.unwrap().status(), 200);
    let rows: usize = server.memory.appends.lock()[0].batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_counted_beyond_what_is_kept_of_it() {
    let server = start(&["many"]).await;
    let body = format!("{}{{}}\n", "x\n".repeat(150_000));
    let post = Client::new().post(server.url("/v1/streams/events")).header("content-type", "application/x-ndjson");
    let answer: Value = post.body(body).send().await.unwrap().json().await.unwrap();
    assert_eq!((&answer["accepted"], &answer["rejected_total"]), (&1.into(), &150_000.into()));
    let appends = server.memory.appends.lock();
    assert_eq!(appends[0].dead.len() as u64 + appends[0].unkept, 150_000);
    assert!(appends[0].dead.last().unwrap().message.contains("50000 more"), "{:?}", appends[0].dead.last());
}
