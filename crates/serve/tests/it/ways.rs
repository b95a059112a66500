//! A client for each way of following a feed, all with one face.

use std::{net::SocketAddr, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

use crate::{
    memory::Memory,
    support::{LONG, Table, connect, offset, read_head},
    updates,
};

/// How a feed is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    SocketJson,
    SocketMessagePack,
    EventStream,
    LongPoll,
    LongPollMessagePack,
    Poll,
    PollMessagePack,
    /// Plain updates of a dashboard, whose panel shows the feed.
    Updates,
    UpdatesMessagePack,
}

impl Way {
    pub const ALL: [Self; 9] = [
        Self::SocketJson,
        Self::SocketMessagePack,
        Self::EventStream,
        Self::LongPoll,
        Self::LongPollMessagePack,
        Self::Poll,
        Self::PollMessagePack,
        Self::Updates,
        Self::UpdatesMessagePack,
    ];

    /// Whether the server pushes, over a connection that stays.
    pub fn is_pushed(self) -> bool {
        !self.is_long_poll() && !self.is_poll()
    }

    pub fn is_long_poll(self) -> bool {
        matches!(self, Self::LongPoll | Self::LongPollMessagePack)
    }

    /// Whether it reads the whole again.
    pub fn is_poll(self) -> bool {
        matches!(self, Self::Poll | Self::PollMessagePack)
    }

    /// Whether it is told of rows alone: of no deletes, and of no cursor.
    pub fn is_plain(self) -> bool {
        matches!(self, Self::Updates | Self::UpdatesMessagePack)
    }

    /// Whether it hears of changes and goes on from a cursor.
    pub fn has_deltas(self) -> bool {
        !self.is_poll() && !self.is_plain()
    }

    fn is_packed(self) -> bool {
        use Way::{LongPollMessagePack, PollMessagePack, SocketMessagePack, UpdatesMessagePack};
        matches!(self, SocketMessagePack | LongPollMessagePack | PollMessagePack | UpdatesMessagePack)
    }
}

enum Link {
    None,
    Socket(Box<WebSocketStream<TcpStream>>),
    Events(BufReader<TcpStream>),
}

/// Follows one feed.
pub struct Follower {
    pub way: Way,
    pub table: Table,
    /// Frames that were applied.
    pub frames: usize,
    /// Of `closing` or `Retry-After`, in milliseconds.
    pub come_again: Option<u64>,
    /// Of the server's close frame.
    pub close_code: Option<u16>,
    /// How long a long poll waits.
    pub wait: Duration,
    address: SocketAddr,
    feed: String,
    receive_buffer: Option<u32>,
    http: reqwest::Client,
    link: Link,
    tag: Option<String>,
}

/// What one step came to.
#[derive(Debug)]
pub enum Step {
    /// A frame was applied.
    Frame(Value),
    /// Nothing is new.
    Same,
    /// The connection ended, or the server would not answer.
    End,
}

impl Follower {
    pub fn new(way: Way, address: SocketAddr, feed: &str) -> Self {
        Self {
            way,
            table: Table::default(),
            frames: 0,
            come_again: None,
            close_code: None,
            wait: Duration::from_secs(25),
            address,
            feed: feed.to_owned(),
            receive_buffer: None,
            http: reqwest::Client::new(),
            link: Link::None,
            tag: None,
        }
    }

    /// With so small a buffer that whoever does not read is soon noticed.
    pub fn with_small_buffer(mut self) -> Self {
        self.receive_buffer = Some(8 << 10);
        self
    }

    /// Connects where there is something to connect, and asks from the table's cursor on.
    pub async fn begin(&mut self) {
        self.table.forget_pieces();
        let since = Some(self.table.cursor.clone()).filter(|c| !c.is_empty());
        match self.way {
            Way::SocketJson | Way::SocketMessagePack => {
                let stream = connect(self.address, self.receive_buffer).await;
                let mut request = format!("ws://{}/v1/ws", self.address).into_client_request().unwrap();
                if self.way == Way::SocketMessagePack {
                    let protocols = HeaderValue::from_static("tidewire.v1.msgpack, tidewire.v1.json");
                    request.headers_mut().insert("sec-websocket-protocol", protocols);
                }
                let (mut socket, response) = client_async(request, stream).await.unwrap();
                let spoken = response.headers().get("sec-websocket-protocol").map(|p| p.to_str().unwrap());
                assert_eq!(spoken, (self.way == Way::SocketMessagePack).then_some("tidewire.v1.msgpack"));
                let mut message = json!({"op": "subscribe", "ref": 1, "feed": self.feed});
                if let Some(since) = since {
                    message["since"] = json!(since);
                }
                socket.send(self.packed(&message)).await.unwrap();
                self.link = Link::Socket(Box::new(socket));
            }
            Way::EventStream => {
                let mut stream = connect(self.address, self.receive_buffer).await;
                let last = since.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
                let request = format!(
                    "GET /v1/feeds/{} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n{last}\r\n",
                    self.feed, self.address
                );
                stream.write_all(request.as_bytes()).await.unwrap();
                let head = read_head(&mut stream).await.to_ascii_lowercase();
                assert!(head.contains(" 200 ok") && head.contains("content-type: text/event-stream"), "{head}");
                assert!(!head.contains("content-length") && !head.contains("content-encoding"), "{head}");
                self.link = Link::Events(BufReader::new(stream));
            }
            Way::Updates | Way::UpdatesMessagePack => {
                // The state comes anew.
                self.table.rows.clear();
                let stream = connect(self.address, self.receive_buffer).await;
                let format = if self.way.is_packed() { "msgpack" } else { "json" };
                let path = format!("ws://{}/dashboard/{}?format={format}", self.address, self.feed);
                let (socket, _) = client_async(path, stream).await.unwrap();
                self.link = Link::Socket(Box::new(socket));
            }
            Way::LongPoll | Way::LongPollMessagePack | Way::Poll | Way::PollMessagePack => {}
        }
    }

    /// The connection is lost without a word.
    pub fn lose(&mut self) {
        self.link = Link::None;
        self.http = reqwest::Client::new();
    }

    fn packed(&self, message: &Value) -> Message {
        match self.way {
            Way::SocketMessagePack => Message::binary(rmp_serde::to_vec(message).unwrap()),
            _ => Message::text(message.to_string()),
        }
    }

    /// The next frame.
    pub async fn step(&mut self) -> Step {
        timeout(LONG, self.try_step()).await.unwrap_or_else(|_| panic!("{:?}: no frame", self.way))
    }

    /// Reads until the table stands at an offset.
    pub async fn reach(&mut self, target: u64) {
        while self.table.cursor.is_empty() || offset(&json!(self.table.cursor)) < target {
            if let Step::End = self.step().await {
                panic!("{:?}: the end before {target}, at {:?}", self.way, self.table.cursor);
            }
        }
    }

    /// Reads until its table is the feed's as it is now; who is told of no deletes may hold more.
    pub async fn hold(&mut self, memory: &Memory, feed: usize) {
        let table = memory.table(feed);
        if !self.way.is_plain() {
            self.reach(memory.offset()).await;
            assert_eq!(self.table.rows, table, "{:?}", self.way);
            return;
        }
        let mut missing = table;
        missing.retain(|k, row| self.table.rows.get(k) != Some(row));
        while !missing.is_empty() {
            let k = key_of(&self.frame().await);
            if missing.get(&k) == self.table.rows.get(&k) {
                missing.remove(&k);
            }
        }
    }

    /// The next frame of the feed, applied; it must be one.
    pub async fn frame(&mut self) -> Value {
        match self.step().await {
            Step::Frame(frame) => frame,
            other => panic!("{:?}: {other:?} instead of a frame", self.way),
        }
    }

    async fn try_step(&mut self) -> Step {
        match &self.link {
            Link::Socket(_) => self.read_message().await,
            Link::Events(_) => self.read_event().await,
            Link::None if self.way.is_pushed() => Step::End,
            Link::None => self.poll().await,
        }
    }

    fn take(&mut self, frame: Value) -> Option<Step> {
        if self.way.is_plain() {
            let row = (frame["value"].as_f64().unwrap(), frame["metadata"]["note"].as_str().unwrap().to_owned());
            self.table.rows.insert(key_of(&frame), row);
            self.frames += 1;
            return Some(Step::Frame(frame));
        }
        match frame["type"].as_str().unwrap() {
            "subscribed" => {
                assert_eq!((&frame["view"], &frame["key"]), (&json!(self.feed), &json!(["k"])));
                None
            }
            "closing" => {
                self.come_again = frame["retry_after_ms"].as_u64();
                None
            }
            _ => {
                assert_eq!(frame["view"], json!(self.feed));
                self.table.apply(&frame);
                self.frames += 1;
                Some(Step::Frame(frame))
            }
        }
    }

    async fn read_message(&mut self) -> Step {
        loop {
            let Link::Socket(socket) = &mut self.link else { return Step::End };
            let frame = match socket.next().await {
                Some(Ok(Message::Text(text))) if !self.way.is_packed() => serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Binary(packed))) if self.way == Way::UpdatesMessagePack => updates::unpacked(&packed),
                Some(Ok(Message::Binary(packed))) if self.way.is_packed() => rmp_serde::from_slice(&packed).unwrap(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Close(close))) => {
                    self.close_code = close.map(|close| close.code.into());
                    self.link = Link::None;
                    return Step::End;
                }
                Some(Err(_)) | None => {
                    self.link = Link::None;
                    return Step::End;
                }
                Some(Ok(other)) => panic!("{:?}: {other:?}", self.way),
            };
            if let Some(step) = self.take(frame) {
                return step;
            }
        }
    }

    async fn read_event(&mut self) -> Step {
        let (mut id, mut data) = (None, String::new());
        loop {
            let Link::Events(reader) = &mut self.link else { return Step::End };
            let mut line = String::new();
            if reader.read_line(&mut line).await.unwrap_or(0) == 0 {
                self.link = Link::None;
                return Step::End;
            }
            let line = line.trim_end_matches('\n');
            match line.split_once(": ") {
                None if line.is_empty() && !data.is_empty() => {
                    let frame: Value = serde_json::from_str(&std::mem::take(&mut data)).unwrap();
                    // The browser would come back with an id: it has to be that of a whole frame.
                    assert_eq!(json!(id.take()), frame.get("cursor").cloned().unwrap_or_default(), "{frame}");
                    if let Some(step) = self.take(frame) {
                        return step;
                    }
                }
                None if line.is_empty() || line.starts_with(':') => {}
                Some(("id", value)) => id = Some(value.to_owned()),
                Some(("data", value)) => data.push_str(value),
                Some(("retry", ms)) => self.come_again = Some(ms.parse().unwrap()),
                _ => panic!("not of an event: {line:?}"),
            }
        }
    }

    async fn poll(&mut self) -> Step {
        let mut url = format!("http://{}/v1/feeds/{}", self.address, self.feed);
        let mut request = None;
        if self.way.is_long_poll() && !self.table.cursor.is_empty() {
            url = format!("{url}?since={}&wait={}ms", self.table.cursor, self.wait.as_millis());
        } else if let Some(tag) = &self.tag {
            request = Some(self.http.get(&url).header("if-none-match", tag));
        }
        let request = request.unwrap_or_else(|| self.http.get(&url));
        let form = if self.way.is_packed() { "application/msgpack" } else { "application/json" };
        let Ok(response) = request.header("accept", form).send().await else { return Step::End };
        match response.status().as_u16() {
            304 => {
                tokio::time::sleep(Duration::from_millis(3)).await;
                Step::Same
            }
            200 => {
                if self.way.is_poll() {
                    self.tag = Some(response.headers()["etag"].to_str().unwrap().to_owned());
                }
                let cursor = response.headers()["tidewire-cursor"].to_str().unwrap().to_owned();
                assert_eq!(response.headers()["content-type"], form);
                let body = response.bytes().await.unwrap();
                let frame: Value = if self.way.is_packed() {
                    rmp_serde::from_slice(&body).unwrap()
                } else {
                    serde_json::from_slice(&body).unwrap()
                };
                assert_eq!((&frame["key"], &frame["cursor"]), (&json!(["k"]), &json!(cursor)));
                self.take(frame).unwrap()
            }
            503 => {
                let seconds: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
                self.come_again = Some(seconds * 1000);
                Step::End
            }
            status => panic!("{status}: {}", response.text().await.unwrap()),
        }
    }
}

/// The row that a plain update is of: the panel shows the key.
fn key_of(update: &Value) -> i64 {
    update["metric"].as_str().unwrap().parse().unwrap()
}
