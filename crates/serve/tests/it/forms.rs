//! The forms in which a feed can be had, and how they are packed.

use std::io::Read;

use arrow_array::{Array, Float64Array, Int64Array, StringArray};
use arrow_ipc::reader::StreamReader;
use reqwest::{Client, Response};
use serde_json::{Value, json};

use crate::{
    memory::Row,
    support::{Server, metric, start},
};

async fn get(server: &Server, path: &str, headers: &[(&str, &str)]) -> Response {
    let request = headers.iter().fold(Client::new().get(server.url(path)), |r, (name, value)| r.header(*name, *value));
    request.send().await.unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |v| v.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_holds_the_same_rows() {
    let server = start(&["formed"]).await;
    server.memory.tick(&[(0, &[(1, 1.5, "a,\"b\""), (2, -0.25, "")], &[])]);
    let form = async |accept: &str| {
        let response = get(&server, "/v1/feeds/formed", &[("accept", accept)]).await;
        assert_eq!((response.status().as_u16(), header(&response, "tidewire-cursor")), (200, "9-64-1"), "{accept}");
        assert_eq!(header(&response, "vary"), "Accept, Accept-Encoding, Authorization, Cookie");
        assert_eq!(header(&response, "content-encoding"), "", "a small body was packed");
        let described = (header(&response, "content-type").to_owned(), header(&response, "etag").to_owned());
        (described.0, described.1, response.bytes().await.unwrap())
    };
    let (kind, tag, body) = form("application/x-ndjson").await;
    assert_eq!((kind.as_str(), tag.as_str()), ("application/x-ndjson", "W/\"9-64-1;ndjson\""));
    assert_eq!(body, "{\"k\":1,\"value\":1.5,\"note\":\"a,\\\"b\\\"\"}\n{\"k\":2,\"value\":-0.25,\"note\":\"\"}\n");
    let (kind, tag, body) = form("text/csv").await;
    assert_eq!((kind.as_str(), tag.as_str()), ("text/csv; charset=utf-8; header=present", "W/\"9-64-1;csv\""));
    assert_eq!(body, "k,value,note\r\n1,1.5,\"a,\"\"b\"\"\"\r\n2,-0.25,\"\"\r\n");
    let (kind, tag, packed) = form("application/msgpack").await;
    assert_eq!((kind.as_str(), tag.as_str()), ("application/msgpack", "W/\"9-64-1;msgpack\""));
    let (kind, tag, body) = form("*/*").await;
    assert_eq!((kind.as_str(), tag.as_str()), ("application/json", "W/\"9-64-1\""));
    let json: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(rmp_serde::from_slice::<Value>(&packed).unwrap(), json);
    let (kind, tag, body) = form("application/vnd.apache.arrow.stream").await;
    assert_eq!((kind.as_str(), tag.as_str()), ("application/vnd.apache.arrow.stream", "W/\"9-64-1;arrow\""));
    let batches: Vec<_> = StreamReader::try_new(&body[..], None).unwrap().map(Result::unwrap).collect();
    let k: &Int64Array = batches[0].column(0).as_any().downcast_ref().unwrap();
    let value: &Float64Array = batches[0].column(1).as_any().downcast_ref().unwrap();
    let note: &StringArray = batches[0].column(2).as_any().downcast_ref().unwrap();
    assert_eq!((&k.values()[..], &value.values()[..], note.value(0)), (&[1, 2][..], &[1.5, -0.25][..], "a,\"b\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_feed_is_empty_in_every_form() {
    let server = start(&["empty"]).await;
    for (accept, length) in [("application/x-ndjson", 0), ("text/csv", "k,value,note\r\n".len())] {
        let response = get(&server, "/v1/feeds/empty", &[("accept", accept)]).await;
        assert_eq!((response.status().as_u16(), response.bytes().await.unwrap().len()), (200, length), "{accept}");
    }
    let response = get(&server, "/v1/feeds/empty", &[("accept", "application/vnd.apache.arrow.stream")]).await;
    let body = response.bytes().await.unwrap();
    let reader = StreamReader::try_new(&body[..], None).unwrap();
    assert_eq!(reader.schema().fields().len(), 3);
    assert_eq!(reader.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn deltas_come_in_json_and_messagepack() {
    let server = start(&["changed"]).await;
    server.memory.put(0, 1, 1.0, "a");
    server.memory.tick(&[(0, &[(2, 2.0, "b")], &[1])]);
    let path = "/v1/feeds/changed?since=9-64-1";
    let json: Value = get(&server, path, &[]).await.json().await.unwrap();
    assert_eq!(
        json,
        json!({"type": "delta", "view": "changed", "key": ["k"], "columns": [
            {"name": "k", "type": "bigint"}, {"name": "value", "type": "double"}, {"name": "note", "type": "text"}],
            "from": "9-64-1", "cursor": "9-64-2", "upsert": [[2, 2.0, "b"]], "delete": [[1]]})
    );
    let packed = get(&server, path, &[("accept", "application/x-msgpack")]).await.bytes().await.unwrap();
    assert_eq!(rmp_serde::from_slice::<Value>(&packed).unwrap(), json);
    for (path, accept) in [(path, "text/csv"), (path, "application/x-ndjson"), ("/v1/feeds/changed", "text/html")] {
        let response = get(&server, path, &[("accept", accept)]).await;
        assert_eq!(response.status().as_u16(), 406, "{accept}");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["code"], "not_acceptable");
        assert!(problem["detail"].as_str().unwrap().contains("application/json"), "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_packed_once_for_all_who_ask() {
    let server = start(&["dense"]).await;
    let rows: Vec<Row> = (0..20_000).map(|k| (k, k as f64, "a note of some length")).collect();
    server.memory.tick(&[(0, &rows, &[])]);
    let plain = get(&server, "/v1/feeds/dense", &[]).await.bytes().await.unwrap();
    for coding in ["gzip", "br", "zstd"] {
        let mut sizes = Vec::new();
        for _ in 0..3 {
            let response = get(&server, "/v1/feeds/dense", &[("accept-encoding", coding)]).await;
            assert_eq!((header(&response, "content-encoding"), header(&response, "etag")), (coding, "W/\"9-64-1\""));
            let length: usize = header(&response, "content-length").parse().unwrap();
            let packed = response.bytes().await.unwrap();
            assert_eq!(packed.len(), length);
            let mut body = Vec::new();
            let mut reader: Box<dyn Read> = match coding {
                "gzip" => Box::new(flate2::read::GzDecoder::new(&packed[..])),
                "br" => Box::new(brotli::Decompressor::new(&packed[..], 4096)),
                _ => Box::new(zstd::Decoder::new(&packed[..]).unwrap()),
            };
            reader.read_to_end(&mut body).unwrap();
            assert!(body == plain, "{coding}: unpacks to something else");
            sizes.push(packed.len());
        }
        assert!(sizes[0] < plain.len() / 4, "{coding}: {sizes:?} of {}", plain.len());
    }
    // The body, and each way of packing it.
    assert_eq!(metric("tidewire_frames_encoded_total", "feed=\"dense\""), 1 + 3);
    let stale = get(&server, "/v1/feeds/dense", &[("accept-encoding", "br"), ("if-none-match", "W/\"9-64-1\"")]).await;
    assert_eq!(stale.status().as_u16(), 304);
    // The tag of another form is not this one's.
    let csv = [("accept", "text/csv"), ("if-none-match", "W/\"9-64-1\"")];
    assert_eq!(get(&server, "/v1/feeds/dense", &csv).await.status().as_u16(), 200);
    let csv = [("accept", "text/csv"), ("if-none-match", "W/\"9-64-1;csv\"")];
    assert_eq!(get(&server, "/v1/feeds/dense", &csv).await.status().as_u16(), 304);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_is_bounded_and_says_what_is_wrong_with_it() {
    let server = start(&["polled"]).await;
    for (query, code) in [
        ("since=nonsense", "malformed_cursor"),
        ("since=9-64-0&wait=25", "bad_request"),
        ("since=9-64-0&wait=-1s", "bad_request"),
        ("since=9-64-0&wait=1h", "bad_request"),
        ("since=9-64-0&limit=5", "bad_request"),
        ("columns=k", "bad_request"),
    ] {
        let response = get(&server, &format!("/v1/feeds/polled?{query}"), &[]).await;
        assert_eq!(response.status().as_u16(), 400, "{query}");
        assert_eq!(response.json::<Value>().await.unwrap()["code"], code, "{query}");
    }
    let began = std::time::Instant::now();
    let delta: Value = get(&server, "/v1/feeds/polled?since=9-64-0&wait=150ms", &[]).await.json().await.unwrap();
    assert_eq!((&delta["type"], &delta["upsert"]), (&json!("delta"), &json!([])));
    assert!((150..5000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    // Without a cursor there is something new at once.
    let whole: Value = get(&server, "/v1/feeds/polled?wait=25s", &[]).await.json().await.unwrap();
    assert_eq!((&whole["type"], &whole["reset"]), (&json!("snapshot"), &json!(false)));
}
