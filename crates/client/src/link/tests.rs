//! The task against a scripted server over pipes in memory, in paused time.

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::DuplexStream;
use tokio_tungstenite::{
    accept_hdr_async,
    tungstenite::{
        handshake::server::{Request, Response},
        http::{HeaderValue, header::SEC_WEBSOCKET_PROTOCOL},
    },
};

use super::*;
use crate::{Client, Event, Subscription, connect::handshake};

/// Offers the far end of a new pipe to the test at each attempt.
struct Pipe {
    offers: mpsc::UnboundedSender<DuplexStream>,
}

impl Connect for Pipe {
    type Stream = DuplexStream;

    async fn connect(&self) -> Result<WebSocketStream<DuplexStream>, String> {
        let (near, far) = tokio::io::duplex(1 << 20);
        self.offers.send(far).map_err(|_| "no server".to_owned())?;
        handshake("ws://test/v1/ws", near, 1 << 20).await
    }
}

/// The server's side: the pipes that clients offer.
struct Server {
    offers: mpsc::UnboundedReceiver<DuplexStream>,
}

/// One connection as the server sees it.
struct Peer(WebSocketStream<DuplexStream>);

impl Server {
    async fn accept(&mut self) -> Peer {
        let pipe = self.offers.recv().await.unwrap();
        #[expect(clippy::result_large_err, reason = "the callback's form is given")]
        let agree = |_: &Request, mut response: Response| {
            response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("tidewire.v1.json"));
            Ok(response)
        };
        Peer(accept_hdr_async(pipe, agree).await.unwrap())
    }

    /// Takes an attempt and hangs up before the opening is done.
    async fn refuse(&mut self) {
        drop(self.offers.recv().await.unwrap());
    }
}

impl Peer {
    /// The next message of the client, pings aside.
    async fn hear(&mut self) -> Value {
        loop {
            match self.0.next().await.unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn say(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    /// Takes a subscribe and answers with the columns; gives back `since`.
    async fn subscribed(&mut self, feed: &str) -> Option<String> {
        let message = self.hear().await;
        assert_eq!((message["op"].as_str(), message["feed"].as_str()), (Some("subscribe"), Some(feed)), "{message}");
        let columns = json!([{"name": "k", "type": "text"}, {"name": "n", "type": "bigint"}]);
        let answer =
            json!({"type": "subscribed", "ref": message["ref"], "view": feed, "key": ["k"], "columns": columns});
        self.say(answer).await;
        message["since"].as_str().map(str::to_owned)
    }

    async fn snapshot(&mut self, feed: &str, keys: &[&str], at: u64) {
        let numbers: Vec<u64> = keys.iter().map(|_| at).collect();
        let data = json!([keys, numbers]);
        self.say(json!({"type": "snapshot", "view": feed, "cursor": cursor(at), "reset": false, "data": data})).await;
    }

    async fn delta(&mut self, feed: &str, from: u64, to: u64) {
        let upsert = json!([[format!("k{to}"), to]]);
        let (from, to) = (cursor(from), cursor(to));
        self.say(json!({"type": "delta", "view": feed, "from": from, "cursor": to, "upsert": upsert, "delete": []}))
            .await;
    }
}

fn cursor(offset: u64) -> String {
    format!("1-a-{offset}")
}

async fn pair() -> (Client, Server, Peer) {
    let (offers, receiver) = mpsc::unbounded_channel();
    let mut server = Server { offers: receiver };
    let options = Options::new("http://test");
    let (client, peer) = tokio::join!(Client::over(Pipe { offers }, options), server.accept());
    (client.unwrap(), server, peer)
}

/// Events up to and with the first of which `wanted` is true.
async fn until(subscription: &mut Subscription, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
    let mut seen = Vec::new();
    loop {
        let event = subscription.next().await.unwrap();
        let last = wanted(&event);
        seen.push(event);
        if last {
            return seen;
        }
    }
}

fn keys(subscription: &Subscription) -> Vec<&str> {
    subscription.table().rows().map(|r| r[0].as_str().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_resumed_from_the_last_cursor() {
    let (client, mut server, mut peer) = pair().await;
    let mut load = client.subscribe("load", None).await.unwrap();
    assert_eq!(peer.subscribed("load").await, None);
    peer.snapshot("load", &["a"], 3).await;
    peer.delta("load", 3, 5).await;
    until(&mut load, |e| matches!(e, Event::Delta { .. })).await;
    drop(peer);
    server.refuse().await;
    let mut peer = server.accept().await;
    assert_eq!(peer.subscribed("load").await, Some(cursor(5)));
    peer.delta("load", 5, 8).await;
    let seen = until(&mut load, |e| matches!(e, Event::Delta { .. })).await;
    let lost = seen.iter().filter(|e| matches!(e, Event::Disconnected { .. })).count();
    assert_eq!(lost, 2, "{seen:?}");
    assert!(seen.contains(&Event::Reconnected));
    assert_eq!(keys(&load), ["a", "k5", "k8"]);
    assert_eq!(load.table().cursor(), Some(cursor(8).as_str()));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_cut_off_in_its_middle_leaves_nothing_in_the_next() {
    let (client, mut server, mut peer) = pair().await;
    let mut load = client.subscribe("load", None).await.unwrap();
    peer.subscribed("load").await;
    peer.say(json!({"type": "snapshot", "view": "load", "more": true, "data": [["ghost"], [0]]})).await;
    drop(peer);
    let mut peer = server.accept().await;
    assert_eq!(peer.subscribed("load").await, None);
    peer.snapshot("load", &["a"], 3).await;
    until(&mut load, |e| matches!(e, Event::Snapshot { .. })).await;
    assert_eq!(keys(&load), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn attempts_back_off_and_start_anew_after_a_good_connection() {
    let (client, mut server, peer) = pair().await;
    let mut load = client.subscribe("load", None).await.unwrap();
    drop(peer);
    let backoff = Options::new("").backoff;
    let mut longest = Duration::ZERO;
    for attempt in 0..12 {
        let seen = until(&mut load, |e| matches!(e, Event::Disconnected { .. })).await;
        let Some(Event::Disconnected { retry_in, .. }) = seen.last() else { panic!() };
        assert!(*retry_in <= backoff.ceiling(attempt), "attempt {attempt} waits {retry_in:?}");
        longest = longest.max(*retry_in);
        let before = Instant::now();
        match attempt {
            11 => break,
            // A server that opens a socket and brings nothing is no success.
            odd if odd % 2 == 1 => drop(server.accept().await),
            _ => server.refuse().await,
        }
        // The clock of tokio counts whole milliseconds.
        assert!(before.elapsed() + Duration::from_millis(2) >= *retry_in, "attempt {attempt} came too soon");
    }
    // Ten waits at random up to 1 s, 2 s, … 15 s are not all below 500 ms.
    assert!(longest > backoff.ceiling(1), "{longest:?}");
    let mut peer = server.accept().await;
    peer.subscribed("load").await;
    peer.snapshot("load", &["a"], 1).await;
    until(&mut load, |e| matches!(e, Event::Snapshot { .. })).await;
    drop(peer);
    let Event::Disconnected { retry_in, .. } = load.next().await.unwrap() else { panic!() };
    assert!(retry_in <= backoff.first, "{retry_in:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_closes_says_when_to_come_again() {
    let (client, mut server, mut peer) = pair().await;
    let mut load = client.subscribe("load", None).await.unwrap();
    peer.subscribed("load").await;
    peer.say(json!({"type": "closing", "code": "shutdown", "message": "stopping", "retry_after_ms": 1234})).await;
    let seen = until(&mut load, |e| matches!(e, Event::Disconnected { .. })).await;
    let Some(Event::Disconnected { retry_in, reason }) = seen.last() else { panic!() };
    assert_eq!((*retry_in, reason.as_str()), (Duration::from_millis(1234), "stopping (shutdown)"));
    let before = Instant::now();
    server.refuse().await;
    assert!(before.elapsed() >= Duration::from_millis(1233));
}

#[tokio::test(start_paused = true)]
async fn silence_is_pinged_and_then_counts_as_a_loss() {
    let (client, _server, mut peer) = pair().await;
    let mut load = client.subscribe("load", None).await.unwrap();
    peer.subscribed("load").await;
    until(&mut load, |e| matches!(e, Event::Subscribed { .. })).await;
    let before = Instant::now();
    // The pipe stays open and nobody reads it: only the clock can tell.
    let Event::Disconnected { reason, .. } = load.next().await.unwrap() else { panic!() };
    assert_eq!(before.elapsed().as_secs(), 60);
    assert!(reason.contains("60 s"), "{reason}");
    assert!(matches!(peer.0.next().await, Some(Ok(Message::Ping(_)))));
}

#[tokio::test(start_paused = true)]
async fn a_gap_is_never_shown_but_resumed() {
    let (client, _server, mut peer) = pair().await;
    let mut load = client.subscribe("load", None).await.unwrap();
    peer.subscribed("load").await;
    peer.snapshot("load", &["a"], 3).await;
    peer.delta("load", 4, 6).await;
    assert_eq!(peer.hear().await["op"], "unsubscribe");
    assert_eq!(peer.subscribed("load").await, Some(cursor(3)));
    peer.delta("load", 3, 6).await;
    let seen = until(&mut load, |e| matches!(e, Event::Delta { .. })).await;
    assert!(!seen.iter().any(|e| matches!(e, Event::Disconnected { .. })), "{seen:?}");
    assert_eq!(keys(&load), ["a", "k6"]);
    // A server that cannot do better is left alone for a while.
    peer.delta("load", 7, 8).await;
    assert_eq!(peer.hear().await["op"], "unsubscribe");
    peer.subscribed("load").await;
    peer.delta("load", 7, 8).await;
    until(&mut load, |e| matches!(e, Event::Disconnected { reason, .. } if reason == TWO_GAPS)).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_subscriber_is_resumed_and_holds_up_nobody() {
    let (client, _server, mut peer) = pair().await;
    let mut slow = client.subscribe("slow", None).await.unwrap();
    peer.subscribed("slow").await;
    let mut quick = client.subscribe("quick", None).await.unwrap();
    peer.subscribed("quick").await;
    peer.snapshot("slow", &["a"], 1).await;
    peer.snapshot("quick", &["a"], 1).await;
    // More than the queue of the slow one takes.
    let mut at = 1;
    for to in 2..40 {
        peer.delta("slow", to - 1, to).await;
        at = to;
    }
    let unsubscribe = peer.hear().await;
    assert_eq!(unsubscribe["op"], "unsubscribe");
    peer.delta("quick", 1, 2).await;
    until(&mut quick, |e| matches!(e, Event::Delta { .. })).await;
    // A publish is acknowledged although the slow one's frames stand before the answer.
    let events = [json!({"n": 1})];
    let publish = client.publish("events", &events);
    let acknowledge = async {
        let message = peer.hear().await;
        assert_eq!((&message["op"], &message["events"]), (&json!("publish"), &json!([{"n": 1}])));
        peer.say(json!({"type": "published", "ref": message["ref"], "accepted": 1, "rejected": []})).await;
    };
    let (published, ()) = tokio::join!(publish, acknowledge);
    assert_eq!(published, Ok(Published { accepted: 1, rejected: vec![], rejected_total: 0 }));
    // Now it reads on; what it missed comes as one delta.
    let server = async {
        let since = peer.subscribed("slow").await.unwrap();
        let from = since.rsplit('-').next().unwrap().parse().unwrap();
        assert!(from < at, "{since}");
        peer.delta("slow", from, at).await;
    };
    let client_side = async {
        while slow.table().cursor() != Some(cursor(at).as_str()) {
            slow.next().await.unwrap();
        }
    };
    tokio::join!(server, client_side);
    assert!(keys(&slow).contains(&"k39"));
}

#[tokio::test(start_paused = true)]
async fn what_the_server_says_is_heard_while_it_does_not_listen() {
    let (client, _server, mut peer) = pair().await;
    let mut load = client.subscribe("load", None).await.unwrap();
    peer.subscribed("load").await;
    // Each side says more than fits between them; the server listens when it was heard.
    let events = [json!({"note": "x".repeat(60_000)})];
    let publishing = futures_util::future::join_all((0..40).map(|_| client.publish("events", &events)));
    let answering = async {
        let keys: Vec<String> = (0..10_000).map(|k| format!("a key of some length {k}")).collect();
        for _ in 0..20 {
            let data = json!([keys, vec![0; keys.len()]]);
            peer.say(json!({"type": "snapshot", "view": "load", "more": true, "data": data})).await;
            tokio::task::yield_now().await;
        }
        peer.snapshot("load", &["a"], 3).await;
        for _ in 0..40 {
            let message = peer.hear().await;
            peer.say(json!({"type": "published", "ref": message["ref"], "accepted": 1, "rejected": []})).await;
        }
    };
    let (published, ()) = tokio::join!(publishing, answering);
    assert!(published.iter().all(|p| p.as_ref().is_ok_and(|p| p.accepted == 1)), "{published:?}");
    let seen = until(&mut load, |e| matches!(e, Event::Snapshot { .. })).await;
    assert!(!seen.iter().any(|e| matches!(e, Event::Disconnected { .. })), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_nothing_is_left() {
    let (client, _server, mut peer) = pair().await;
    let mut load = client.subscribe("load", None).await.unwrap();
    peer.subscribed("load").await;
    let events = [json!({"note": "x".repeat(60_000)})];
    let publishing = futures_util::future::join_all((0..40).map(|_| client.publish("events", &events)));
    // It talks all the while, so it is not silence that ends it.
    let talking = async {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            if peer.0.send(Message::Ping(Bytes::new())).await.is_err() {
                break;
            }
        }
    };
    let (published, ()) = tokio::join!(publishing, talking);
    assert!(published.iter().all(Result::is_err), "{published:?}");
    let seen = until(&mut load, |e| matches!(e, Event::Disconnected { .. })).await;
    let Some(Event::Disconnected { reason, .. }) = seen.last() else { panic!() };
    assert!(reason.contains("took nothing for 60 s"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_is_unsubscribed_and_may_be_followed_again() {
    let (client, _server, mut peer) = pair().await;
    let load = client.subscribe("load", None).await.unwrap();
    peer.subscribed("load").await;
    assert_eq!(client.subscribe("load", None).await.unwrap_err(), Error::AlreadySubscribed("load".into()));
    drop(load);
    assert_eq!(peer.hear().await["op"], "unsubscribe");
    let _again = client.subscribe("load", Some(cursor(9))).await.unwrap();
    assert_eq!(peer.subscribed("load").await, Some(cursor(9)));
    assert!(matches!(client.subscribe("other", Some("x".into())).await, Err(Error::Table(_))));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_ends_one_subscription_and_no_other() {
    let (client, _server, mut peer) = pair().await;
    let mut wrong = client.subscribe("laod", None).await.unwrap();
    let message = peer.hear().await;
    let mut right = client.subscribe("load", None).await.unwrap();
    peer.subscribed("load").await;
    peer.say(json!({"type": "error", "ref": message["ref"], "code": "unknown_feed", "message": "no feed `laod`"}))
        .await;
    peer.snapshot("load", &["a"], 1).await;
    let refused = Error::Refused { code: "unknown_feed".into(), message: "no feed `laod`".into() };
    assert_eq!(wrong.next().await, Err(refused.clone()));
    assert_eq!(wrong.next().await, Err(refused));
    until(&mut right, |e| matches!(e, Event::Snapshot { .. })).await;
}

#[tokio::test(start_paused = true)]
async fn a_publish_says_what_is_known_of_it() {
    let (client, mut server, mut peer) = pair().await;
    let events = [json!({"n": 1})];
    let refuse = async {
        let message = peer.hear().await;
        let reference = &message["ref"];
        peer.say(json!({"type": "error", "ref": reference, "code": "unknown_stream", "message": "m"})).await;
    };
    let (answer, ()) = tokio::join!(client.publish("evnets", &events), refuse);
    assert_eq!(answer, Err(Error::Refused { code: "unknown_stream".into(), message: "m".into() }));
    let lose = async move {
        peer.hear().await;
        drop(peer);
    };
    let (answer, ()) = tokio::join!(client.publish("events", &events), lose);
    assert_eq!(answer, Err(Error::Unacknowledged));
    server.refuse().await;
    assert_eq!(client.publish("events", &events).await, Err(Error::Disconnected));
    let large = ["x".repeat(70_000)];
    assert!(matches!(client.publish("events", &large).await, Err(Error::TooLarge { .. })));
}

#[tokio::test(start_paused = true)]
async fn garbage_from_the_server_is_a_loss_and_no_panic() {
    for garbage in
        ["", "{", "[]", r#"{"type":"delta"}"#, r#"{"type":"snapshot","view":"load","cursor":"1-a-1","data":[[1],[]]}"#]
    {
        let (client, _server, mut peer) = pair().await;
        let mut load = client.subscribe("load", None).await.unwrap();
        peer.subscribed("load").await;
        peer.0.send(Message::text(garbage)).await.unwrap();
        until(&mut load, |e| matches!(e, Event::Disconnected { .. })).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_with_its_last_owner() {
    let (client, _server, mut peer) = pair().await;
    let load = client.subscribe("load", None).await.unwrap();
    drop(client);
    peer.subscribed("load").await;
    drop(load);
    while let Some(Ok(message)) = peer.0.next().await {
        if message.is_close() {
            return;
        }
    }
    panic!("the socket was not closed in order");
}

/// A server takes nothing from a client that does not read: the two would wait for each other.
#[tokio::test(start_paused = true)]
async fn a_client_that_publishes_much_reads_meanwhile() {
    let (client, _server, mut peer) = pair().await;
    let mut load = client.subscribe("load", None).await.unwrap();
    peer.subscribed("load").await;
    peer.snapshot("load", &["a"], 3).await;
    let events = vec![json!({"note": "much"}); 3_000];
    let mut publishing = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let (client, events) = (client.clone(), events.clone());
        publishing.spawn(async move { client.publish("events", &events).await });
    }
    tokio::task::yield_now().await;
    // Far more than the pipe holds, before a word of the client is read.
    for at in 3..12_000 {
        peer.delta("load", at, at + 1).await;
    }
    let mut heard = 0;
    while heard < 40 {
        // It may say as well that it has more than it can read.
        let message = peer.hear().await;
        if message["op"] == "publish" {
            heard += 1;
            let reference = &message["ref"];
            peer.say(
                json!({"type": "published", "ref": reference, "accepted": 3000, "rejected": [], "rejected_total": 0}),
            )
            .await;
        }
    }
    assert!(publishing.join_all().await.iter().all(Result::is_ok));
    drop(load.next().await.unwrap());
}
