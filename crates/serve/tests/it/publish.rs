//! Publishing over a WebSocket: answered in order, and no faster than the log.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use serve::backend::AppendError;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    support::{LONG, close_code, frame, read_frame, start, until},
    ways::{Follower, Way},
};

#[tokio::test(flavor = "multi_thread")]
async fn several_wait_for_the_log_and_no_more_are_read() {
    let server = start(&["pressed"]).await;
    server.memory.held.send_replace(true);
    let client = server.client().await;
    let (mut to, mut from) = client.socket.split();
    let sending = tokio::spawn(async move {
        for reference in 0..500 {
            let events = json!({"op": "publish", "ref": reference, "stream": "events", "events": [{"k": reference}]});
            to.send(Message::text(events.to_string())).await.unwrap();
        }
        to
    });
    let appended = || server.memory.appends.lock().len();
    until("several wait", || appended() == 32).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(appended(), 32, "more than may wait were taken");
    server.memory.held.send_replace(false);
    for reference in 0..500 {
        let Some(Ok(Message::Text(answer))) = from.next().await else { panic!("no answer") };
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!((&answer["type"], &answer["ref"]), (&json!("published"), &json!(reference)));
    }
    // The log has them in the order in which they were sent.
    let keys: Vec<i64> = server
        .memory
        .appends
        .lock()
        .iter()
        .map(|a| {
            let k: &arrow_array::Int64Array = a.batches[0].column(0).as_any().downcast_ref().unwrap();
            k.value(0)
        })
        .collect();
    assert_eq!(keys, (0..500).collect::<Vec<_>>());
    drop(sending.await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn large_ones_wait_by_their_bytes_and_feeds_go_on_meanwhile() {
    let server = start(&["beside"]).await;
    server.memory.held.send_replace(true);
    let mut client = server.client().await;
    client.subscribe(100, "beside", None).await;
    let events: Vec<_> = (0..2500).map(|k| json!({"k": k, "value": 0.5})).collect();
    for reference in 0..5 {
        client.say(&json!({"op": "publish", "ref": reference, "stream": "events", "events": events})).await;
    }
    until("as many as 128 KiB wait", || server.memory.appends.lock().len() == 3).await;
    server.memory.put(0, 1, 1.0, "not held up");
    client.expect("delta").await;
    assert_eq!(server.memory.appends.lock().len(), 3);
    server.memory.held.send_replace(false);
    for reference in 0..5 {
        let published = client.expect("published").await;
        assert_eq!((&published["ref"], &published["accepted"]), (&json!(reference), &json!(2500)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_keep_their_place_and_say_when_to_come_again() {
    let server = start(&["placed"]).await;
    let mut client = server.client().await;
    *server.memory.failure.lock() = Some(AppendError::Busy { retry_after_ms: 1200 });
    server.memory.held.send_replace(true);
    let publish = |reference: u64, stream: &str, events: Value| json!({"op": "publish", "ref": reference, "stream": stream, "events": events});
    client.say(&publish(1, "events", json!([{"k": 1}]))).await;
    client.say(&publish(2, "none", json!([{"k": 1}]))).await;
    client.say(&publish(3, "events", json!([{"k": "x"}, {"k": 3}, 7]))).await;
    client.say(&publish(4, "events", json!([{"k": "x"}]))).await;
    server.memory.held.send_replace(false);
    let busy = client.expect("error").await;
    assert_eq!(
        (&busy["ref"], &busy["code"], &busy["retry_after_ms"]),
        (&json!(1), &json!("unavailable"), &json!(1200))
    );
    let unknown = client.expect("error").await;
    assert_eq!((&unknown["ref"], &unknown["code"]), (&json!(2), &json!("unknown_stream")));
    let partly = client.expect("published").await;
    assert_eq!((&partly["ref"], &partly["accepted"], &partly["rejected_total"]), (&json!(3), &json!(1), &json!(2)));
    assert_eq!((&partly["rejected"][1]["index"], &partly["rejected"][1]["code"]), (&json!(2), &json!("wrong_type")));
    let none = client.expect("published").await;
    assert_eq!((&none["ref"], &none["accepted"], &none["rejected_total"]), (&json!(4), &json!(0), &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_messagepack_socket_takes_the_same_messages() {
    let server = start(&["packed"]).await;
    let mut request = tokio_tungstenite::tungstenite::client::IntoClientRequest::into_client_request(format!(
        "ws://{}/v1/ws",
        server.address
    ))
    .unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "tidewire.v1.msgpack".parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let message =
        json!({"op": "publish", "ref": 7, "stream": "events", "events": [{"k": 1, "value": 0.5}, {"k": "x"}]});
    socket.send(Message::binary(rmp_serde::to_vec_named(&message).unwrap())).await.unwrap();
    socket.send(Message::binary(vec![0xC1])).await.unwrap();
    let mut answers: Vec<Value> = Vec::new();
    while answers.len() < 2 {
        if let Some(Ok(Message::Binary(packed))) = socket.next().await {
            answers.push(rmp_serde::from_slice(&packed).unwrap());
        }
    }
    answers.sort_by_key(|a| a["type"].to_string());
    assert_eq!((&answers[0]["type"], &answers[0]["code"]), (&json!("error"), &json!("bad_message")));
    assert_eq!(
        (&answers[1]["ref"], &answers[1]["accepted"], &answers[1]["rejected"][0]["code"]),
        (&json!(7), &json!(1), &json!("wrong_type"))
    );
    socket.send(Message::text("{}")).await.unwrap();
    while let Some(message) = timeout(LONG, socket.next()).await.expect("a text was taken") {
        if let Ok(Message::Close(Some(close))) = message {
            assert_eq!(u16::from(close.code), 1003);
            return;
        }
    }
    panic!("no close code");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_behind_publishes_is_answered_after_them() {
    let server = start(&["closing"]).await;
    let mut socket = server.raw(None).await;
    let message = json!({"op": "publish", "ref": 1, "stream": "events", "events": [{"k": 1}]}).to_string();
    let bytes = [frame(0x81, message.as_bytes()), frame(0x89, b"?")].concat();
    tokio::io::AsyncWriteExt::write_all(&mut socket, &bytes).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..2 {
        seen.push(read_frame(&mut socket).await.unwrap().0);
    }
    seen.sort_unstable();
    assert_eq!(seen, [0x81, 0x8A]);
    tokio::io::AsyncWriteExt::write_all(&mut socket, &frame(0x88, &1000_u16.to_be_bytes())).await.unwrap();
    assert_eq!(close_code(&mut socket).await, Some(1000));
    let mut follower = Follower::new(Way::SocketJson, server.address, "closing");
    follower.begin().await;
    follower.reach(0).await;
}
