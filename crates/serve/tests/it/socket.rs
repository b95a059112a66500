//! WebSocket: subscriptions, resume, what is refused, the end.

use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    memory::{FeedChanges, Row},
    support::{close_code, frame, metric, offset, read_frame, start, start_with, until},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_gets_the_description_then_the_table_then_every_change() {
    let server = start(&["plain"]).await;
    server.memory.tick(&[(0, &[(1, 1.5, "one"), (2, 2.0, "two")], &[])]);
    let mut client = server.client().await;
    client.say(&json!({"op": "subscribe", "ref": 7, "feed": "plain"})).await;
    assert_eq!(
        client.next().await.unwrap(),
        json!({"type": "subscribed", "ref": 7, "view": "plain", "key": ["k"], "columns": [
            {"name": "k", "type": "bigint"}, {"name": "value", "type": "double"}, {"name": "note", "type": "text"}]})
    );
    assert_eq!(
        client.next().await.unwrap(),
        json!({"type": "snapshot", "view": "plain", "cursor": "9-64-1", "reset": false,
            "data": [[1, 2], [1.5, 2.0], ["one", "two"]]})
    );
    server.memory.tick(&[(0, &[(1, 3.0, "new")], &[2])]);
    assert_eq!(
        client.next().await.unwrap(),
        json!({"type": "delta", "view": "plain", "from": "9-64-1", "cursor": "9-64-2",
            "upsert": [[1, 3.0, "new"]], "delete": [[2]]})
    );
    assert_eq!(client.tables["plain"].rows, server.memory.table(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_resumes_and_what_cannot_be_resumed_is_a_reset() {
    let server = start(&["resumed", "other"]).await;
    server.memory.put(0, 1, 1.0, "a");
    let mut first = server.client().await;
    first.subscribe(1, "resumed", None).await;
    let cursor = first.tables["resumed"].cursor.clone();
    drop(first);
    server.memory.put(0, 2, 2.0, "b");

    let mut again = server.client().await;
    let delta = again.subscribe(1, "resumed", Some(&cursor)).await;
    assert_eq!((&delta["type"], &delta["upsert"]), (&json!("delta"), &json!([[2, 2.0, "b"]])));
    // A cursor at the present is confirmed by an empty delta.
    let now = delta["cursor"].as_str().unwrap().to_owned();
    let mut current = server.client().await;
    let delta = current.subscribe(1, "resumed", Some(&now)).await;
    assert_eq!((&delta["type"], &delta["upsert"], &delta["delete"]), (&json!("delta"), &json!([]), &json!([])));

    let resets = metric("tidewire_resets_total", "resumed");
    for foreign in ["8-64-1", "9-65-1", "9-64-999"] {
        let mut client = server.client().await;
        let snapshot = client.subscribe(1, "resumed", Some(foreign)).await;
        assert_eq!((&snapshot["type"], &snapshot["reset"]), (&json!("snapshot"), &json!(true)), "{foreign}");
        assert_eq!(client.tables["resumed"].rows, server.memory.table(0));
    }
    assert_eq!(metric("tidewire_resets_total", "resumed"), resets + 3);

    again.say(&json!({"op": "subscribe", "ref": 2, "feed": "other", "since": "no cursor"})).await;
    let error = again.expect("error").await;
    assert_eq!((&error["ref"], &error["code"]), (&json!(2), &json!("malformed_cursor")));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_feeds_share_a_socket_and_two_refs_share_a_view() {
    let server = start(&["left", "right"]).await;
    let mut client = server.client().await;
    client.subscribe(1, "left", None).await;
    client.subscribe(2, "right", None).await;
    // The second ref of a view is given its rows, and then one frame serves both.
    let snapshot = client.subscribe(3, "left", None).await;
    assert_eq!(snapshot["type"], "snapshot");
    server.memory.tick(&[(0, &[(1, 1.0, "l")], &[]), (1, &[(1, 2.0, "r")], &[])]);
    let mut views =
        [client.next().await.unwrap(), client.next().await.unwrap()].map(|f| f["view"].as_str().unwrap().to_owned());
    views.sort();
    assert_eq!(views, ["left", "right"]);

    for reference in [1, 3] {
        client.say(&json!({"op": "unsubscribe", "ref": reference})).await;
    }
    client.say(&json!({"op": "unsubscribe", "ref": 1})).await;
    assert_eq!(client.expect("error").await["code"], "unknown_ref");
    server.memory.tick(&[(0, &[(2, 1.0, "l")], &[]), (1, &[(2, 2.0, "r")], &[])]);
    assert_eq!(client.next().await.unwrap()["view"], "right");
    assert_eq!(metric("tidewire_subscriptions", "left"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ping_is_answered_under_its_number() {
    let server = start(&["pinged"]).await;
    let mut client = server.client().await;
    client.say(&json!({"op": "ping", "ref": 7})).await;
    assert_eq!(client.expect("pong").await, json!({"type": "pong", "ref": 7}));
    client.say(&json!({"op": "ping"})).await;
    assert_eq!(client.expect("error").await["code"], "bad_message");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_said_and_the_socket_goes_on() {
    let server = start(&["spoken"]).await;
    let mut client = server.client().await;
    client.subscribe(1, "spoken", None).await;
    for (message, code) in [
        (json!("text"), "bad_message"),
        (json!({"op": "dance", "ref": 2}), "bad_message"),
        (json!({"op": "subscribe", "ref": 1, "feed": "spoken"}), "duplicate_ref"),
        (json!({"op": "subscribe", "ref": 2, "feed": "none"}), "unknown_feed"),
        (json!({"op": "subscribe", "ref": 2, "feed": "spoken", "where": "k = 1"}), "bad_message"),
        (json!({"op": "subscribe", "ref": 2, "feed": "spoken", "dashboard": "none"}), "unknown_dashboard"),
        (json!({"op": "publish", "ref": 2, "stream": "none", "events": []}), "unknown_stream"),
        (json!({"op": "publish", "ref": 2, "stream": "file", "events": []}), "not_writable"),
    ] {
        client.say(&message).await;
        let error = client.expect("error").await;
        assert_eq!(error["code"], code, "{message}: {error}");
    }
    client.socket.send(Message::text("{ garbage")).await.unwrap();
    assert_eq!(client.expect("error").await["code"], "bad_message");
    server.memory.put(0, 1, 1.0, "still here");
    client.expect("delta").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_subscriptions_are_refused_beyond_the_limit() {
    let server = start(&["many"]).await;
    let mut client = server.client().await;
    let (mut subscribed, mut refused) = (0, 0);
    for part in 0..100 {
        for i in 0..100 {
            client.say(&json!({"op": "subscribe", "ref": part * 100 + i, "feed": "many"})).await;
        }
        let mut answers = 0;
        while answers < 100 {
            let message = client.next().await.unwrap();
            match message["type"].as_str().unwrap() {
                "subscribed" => subscribed += 1,
                "error" => {
                    assert_eq!(message["code"], "limit_reached");
                    refused += 1;
                }
                _ => continue,
            }
            answers += 1;
        }
    }
    assert_eq!((subscribed, refused), (64, 9936));
    server.memory.put(0, 1, 1.0, "works");
    client.reach("many", 1).await;
    assert_eq!(client.tables["many"].rows, server.memory.table(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_closes_a_socket_with_the_code_that_fits() {
    let server = start(&["garbage"]).await;
    for (bytes, code) in [
        (vec![0xFF; 100], 1002),
        (vec![0x81, 0x01, b'x'], 1002),
        (frame(0x81, b"\xff\xfe"), 1007),
        (frame(0x82, b"binary"), 1003),
        (frame(0x81, &vec![b'x'; (64 << 10) + 1]), 1009),
        (frame(0x88, &1000_u16.to_be_bytes()), 1000),
    ] {
        let mut socket = server.raw(None).await;
        // The server may close before all is written.
        let _ = socket.write_all(&bytes).await;
        assert_eq!(close_code(&mut socket).await, Some(code));
        assert!(read_frame(&mut socket).await.is_none(), "frames behind the close frame");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_in_the_middle_of_a_frame_leaves_nothing_behind() {
    let server = start(&["gone"]).await;
    let mut socket = server.raw(None).await;
    let subscribe = frame(0x81, json!({"op": "subscribe", "ref": 1, "feed": "gone"}).to_string().as_bytes());
    socket.write_all(&subscribe).await.unwrap();
    socket.write_all(&subscribe[..subscribe.len() / 2]).await.unwrap();
    read_frame(&mut socket).await.unwrap();
    assert_eq!(metric("tidewire_subscriptions", "gone"), 1);
    drop(socket);
    until("the subscription ends", || metric("tidewire_subscriptions", "gone") == 0).await;
    server.memory.put(0, 1, 1.0, "nobody there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_in_fragments_with_a_ping_between_is_kept_and_answered() {
    let server = start(&["published"]).await;
    let mut socket = server.raw(None).await;
    let message = json!({"op": "publish", "ref": 5, "stream": "events",
        "events": [{"k": 1, "value": 0.5}, {"k": "wrong"}, {"k": 2, "value": 1}]});
    let text = message.to_string();
    let (start, rest) = text.as_bytes().split_at(10);
    let (middle, end) = rest.split_at(20);
    let bytes = [frame(0x01, start), frame(0x89, b"alive?"), frame(0x00, middle), frame(0x80, end)].concat();
    // Byte by byte: a frame may come in any pieces.
    for byte in bytes {
        socket.write_all(&[byte]).await.unwrap();
    }
    assert_eq!(read_frame(&mut socket).await, Some((0x8A, b"alive?".to_vec())));
    let (first, payload) = read_frame(&mut socket).await.unwrap();
    let answer: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(
        (first, &answer["type"], &answer["ref"], &answer["accepted"]),
        (0x81, &json!("published"), &json!(5), &json!(2))
    );
    assert_eq!((&answer["rejected"][0]["index"], &answer["rejected"][0]["code"]), (&json!(1), &json!("wrong_type")));
    let appends = server.memory.appends.lock();
    let rows: usize = appends.iter().flat_map(|a| &a.batches).map(arrow_array::RecordBatch::num_rows).sum();
    assert_eq!((rows, appends[0].dead.len()), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn publishes_are_answered_in_order_and_a_failure_says_why() {
    let server = start(&["ordered"]).await;
    *server.memory.failure.lock() = Some(serve::backend::AppendError::DiskFull);
    let mut client = server.client().await;
    for reference in 0..20 {
        client.say(&json!({"op": "publish", "ref": reference, "stream": "events", "events": [{"k": reference}]})).await;
    }
    let error = client.expect("error").await;
    assert_eq!((&error["ref"], &error["code"]), (&json!(0), &json!("disk_full")));
    for reference in 1..20 {
        assert_eq!(client.expect("published").await["ref"], reference);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_answers_no_ping_is_gone_and_who_does_stays() {
    let server = start_with(&["pinged"], |o| o.limits.ping_interval = std::time::Duration::from_millis(150)).await;
    let mut mute = server.raw(None).await;
    let mut client = server.client().await;
    client.subscribe(1, "pinged", None).await;
    let alive = tokio::spawn(async move {
        // Reading answers pings.
        client.expect("delta").await
    });
    let mut pings = 0;
    while let Some((first, _)) = read_frame(&mut mute).await {
        assert_eq!(first, 0x89);
        pings += 1;
    }
    assert!(pings >= 1, "dropped without a ping");
    server.memory.put(0, 1, 1.0, "still here");
    assert_eq!(alive.await.unwrap()["upsert"], json!([[1, 1.0, "still here"]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_is_encoded_once_for_a_hundred_viewers() {
    let server = start(&["shared"]).await;
    server.memory.put(0, 0, 0.0, "start");
    let mut clients = Vec::new();
    for _ in 0..100 {
        let mut client = server.client().await;
        client.subscribe(1, "shared", None).await;
        clients.push(client);
    }
    let encoded = || metric("tidewire_frames_encoded_total", "feed=\"shared\"");
    assert_eq!(encoded(), 1, "snapshots");
    for i in 1..=10 {
        server.memory.put(0, i, 1.0, "next");
        for client in &mut clients {
            client.reach("shared", 1 + i as u64).await;
        }
        assert_eq!(encoded(), 1 + i);
    }
    assert!(clients.iter().all(|c| c.tables["shared"].rows == server.memory.table(0)));
    until("all frames are counted", || metric("tidewire_frames_sent_total", "feed=\"shared\"") == 1100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slower_rate_merges_changes_and_ends_with_the_table() {
    let server = start(&["rated"]).await;
    let mut client = server.client().await;
    client.say(&json!({"op": "subscribe", "ref": 1, "feed": "rated", "max_rate": 11})).await;
    client.expect("subscribed").await;
    client.expect("snapshot").await;
    for i in 0..300 {
        server.memory.put(0, i % 7, i as f64, "rated");
    }
    client.reach("rated", 300).await;
    assert_eq!(client.tables["rated"].rows, server.memory.table(0));
    assert!(client.frames < 50, "{} frames for 300 ticks", client.frames);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_end_viewers_are_told_and_when_to_come_again() {
    let mut server = start(&["ending"]).await;
    let mut client = server.client().await;
    client.subscribe(1, "ending", None).await;
    let mut raw = server.raw(None).await;
    server.begin_stop();
    let closing = client.expect("closing").await;
    assert_eq!(closing["code"], "shutdown");
    assert!((500..3000).contains(&closing["retry_after_ms"].as_u64().unwrap()));
    assert!(client.next().await.is_none());
    assert_eq!(close_code(&mut raw).await, Some(1001));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dashboard_counts_its_sockets_and_their_frames() {
    let server = start(&["counted"]).await;
    let mut client = server.client().await;
    client.say(&json!({"op": "subscribe", "ref": 1, "feed": "counted", "dashboard": "counted"})).await;
    client.expect("subscribed").await;
    client.expect("snapshot").await;
    server.memory.put(0, 1, 1.0, "x");
    client.expect("delta").await;
    let label = "dashboard_id=\"counted\"";
    assert_eq!(metric("dashboard_active_connections", label), 1);
    until("both frames are counted", || metric("dashboard_messages_processed_total", label) == 2).await;
    drop(client);
    until("the socket is gone", || metric("dashboard_active_connections", label) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_snapshot_comes_in_pieces() {
    let server = start(&["large"]).await;
    let rows: Vec<Row> = (0..20_000).map(|k| (k, k as f64, "a note of some length")).collect();
    server.memory.tick(&[(0, &rows, &[])]);
    let mut client = server.client().await;
    client.say(&json!({"op": "subscribe", "ref": 1, "feed": "large"})).await;
    client.expect("subscribed").await;
    let mut pieces = 0;
    loop {
        let piece = client.expect("snapshot").await;
        pieces += 1;
        assert!(piece.to_string().len() <= 64 << 10);
        if piece.get("more").is_none() {
            break;
        }
    }
    assert!(pieces > 5, "{pieces}");
    assert_eq!(client.tables["large"].rows, server.memory.table(0));
    assert_eq!(offset(&json!(client.tables["large"].cursor)), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_that_changes_sixty_feeds_reaches_a_viewer_of_all() {
    let names: Vec<String> = (0..60).map(|i| format!("wide{i}")).collect();
    let server = start(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut client = server.client().await;
    for (i, name) in names.iter().enumerate() {
        client.subscribe(i as u64, name, None).await;
    }
    for tick in 1..=3 {
        let rows = [(1, f64::from(tick), "wide")];
        let changes: Vec<FeedChanges> = (0..60).map(|f| (f, &rows[..], &[][..])).collect();
        server.memory.tick(&changes);
        for (i, name) in names.iter().enumerate() {
            client.reach(name, tick as u64).await;
            assert_eq!(client.tables[name].rows, server.memory.table(i));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_cursor_moves_by_an_empty_delta() {
    let server =
        start_with(&["quiet", "busy"], |o| o.limits.ping_interval = std::time::Duration::from_millis(200)).await;
    let mut client = server.client().await;
    client.subscribe(1, "quiet", None).await;
    server.memory.put(1, 1, 1.0, "elsewhere");
    let delta = client.expect("delta").await;
    assert_eq!((&delta["upsert"], &delta["delete"]), (&json!([]), &json!([])));
    assert_eq!(offset(&delta["cursor"]), 1);
}
