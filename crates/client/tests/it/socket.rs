//! A WebSocket over TCP, from opening to resume.

use client::{Client, Error, Event, Options};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{Request, Response},
    },
};

async fn accept(listener: &TcpListener) -> WebSocketStream<TcpStream> {
    let (stream, _) = listener.accept().await.unwrap();
    #[expect(clippy::result_large_err, reason = "the callback's form is given")]
    let agree = |request: &Request, mut response: Response| {
        assert_eq!(request.uri().path(), "/v1/ws");
        let asked = request.headers()["sec-websocket-protocol"].clone();
        assert_eq!(asked, "tidewire.v1.json");
        response.headers_mut().insert("sec-websocket-protocol", asked);
        Ok(response)
    };
    accept_hdr_async(stream, agree).await.unwrap()
}

async fn subscribe(socket: &mut WebSocketStream<TcpStream>) -> Value {
    let Message::Text(text) = socket.next().await.unwrap().unwrap() else { panic!() };
    let message: Value = serde_json::from_str(&text).unwrap();
    let columns = json!([{"name": "k", "type": "text"}]);
    let answer = json!({"type": "subscribed", "ref": message["ref"], "view": "load", "key": ["k"], "columns": columns});
    socket.send(Message::text(answer.to_string())).await.unwrap();
    message
}

#[tokio::test]
async fn a_feed_is_followed_across_a_lost_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut options = Options::new(format!("http://{}", listener.local_addr().unwrap()));
    options.backoff.first = std::time::Duration::from_millis(1);
    let server = async {
        let mut socket = accept(&listener).await;
        assert_eq!(subscribe(&mut socket).await.get("since"), None);
        let snapshot = json!({"type": "snapshot", "view": "load", "cursor": "1-a-1", "reset": false, "data": [["a"]]});
        socket.send(Message::text(snapshot.to_string())).await.unwrap();
        socket.close(None).await.unwrap();
        let mut socket = accept(&listener).await;
        assert_eq!(subscribe(&mut socket).await["since"], "1-a-1");
        let delta = json!({"type": "delta", "view": "load", "from": "1-a-1", "cursor": "1-a-2", "upsert": [["b"]], "delete": [["a"]]});
        socket.send(Message::text(delta.to_string())).await.unwrap();
        socket
    };
    let viewer = async {
        let client = Client::connect(options).await.unwrap();
        let mut load = client.subscribe("load", None).await.unwrap();
        while !matches!(load.next().await.unwrap(), Event::Delta { .. }) {}
        load
    };
    let (_socket, load) = tokio::join!(server, viewer);
    assert_eq!(load.table().by_key().keys().collect::<Vec<_>>(), [r#"["b"]"#]);
}

#[tokio::test]
async fn nobody_there_is_one_clear_line() {
    // Bound and closed again: nothing listens on this port.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = Client::connect(Options::new(format!("http://{address}"))).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }));
    let line = error.to_string();
    assert!(line.contains("refused") && line.contains(&address.to_string()) && !line.contains('\n'), "{line}");
}
