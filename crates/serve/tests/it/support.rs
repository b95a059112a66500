//! Starts the server, and speaks to it as clients do.

use std::{
    collections::HashMap,
    net::SocketAddr,
    num::NonZeroUsize,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::{Value, json};
use serve::Options;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    sync::{Mutex, mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use crate::memory::Memory;

/// Longer than anything takes here; a test that waits for it has failed.
pub const LONG: Duration = Duration::from_secs(20);

pub fn prometheus() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| PrometheusBuilder::new().install_recorder().unwrap()).clone()
}

/// How often something was refused with a code.
pub fn refusals(code: &str) -> i64 {
    metric("tidewire_requests_refused_total", &format!("code=\"{code}\""))
}

/// Held by tests that are refused as `too_large`: counts are the whole process's.
pub static TOO_LARGE: Mutex<()> = Mutex::const_new(());

/// The value of a metric; `label` is as it stands in the text format.
pub fn metric(name: &str, label: &str) -> i64 {
    let text = prometheus().render();
    let line = text.lines().find(|l| l.starts_with(name) && l.contains(label) && !l.starts_with('#'));
    line.and_then(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or(0.0) as i64
}

/// Waits until something is so.
pub async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let waiting = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(LONG, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

pub struct Server {
    pub address: SocketAddr,
    pub memory: Arc<Memory>,
    /// What the server is told while it runs.
    pub changes: mpsc::Sender<serve::Settings>,
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<std::io::Result<()>>>,
}

pub fn options() -> Options {
    Options {
        listen: "127.0.0.1:0".to_owned(),
        insecure: false,
        limits: config::Limits::default(),
        cors: vec!["https://ops.example".to_owned()],
        shards: NonZeroUsize::new(2),
    }
}

pub async fn start(feeds: &[&str]) -> Server {
    start_with(feeds, |_| {}).await
}

pub async fn start_with(feeds: &[&str], change: impl FnOnce(&mut Options)) -> Server {
    start_over(Memory::new(feeds), change).await
}

/// Starts a server over a backend that may have served before.
pub async fn start_over(memory: Arc<Memory>, change: impl FnOnce(&mut Options)) -> Server {
    let prometheus = prometheus();
    let mut options = options();
    change(&mut options);
    let bound = serve::bind(options).await.unwrap();
    let address = bound.local_addr();
    let (stop, stopped) = oneshot::channel();
    let backend = Arc::clone(&memory);
    let (changes, changed) = mpsc::channel(1);
    let running = tokio::spawn(bound.run(backend, prometheus, changed, async {
        let _ = stopped.await;
    }));
    Server { address, memory, changes, stop: Some(stop), running: Some(running) }
}

impl Server {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Asks the server to stop, and waits until it did.
    pub async fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
        timeout(LONG, self.running.take().unwrap()).await.expect("never stopped").unwrap().unwrap();
    }

    pub fn begin_stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    pub async fn client(&self) -> Client {
        let (socket, _) = connect_async(format!("ws://{}/v1/ws", self.address)).await.unwrap();
        Client { socket, tables: HashMap::new(), frames: 0 }
    }

    /// A socket after the handshake, for clients that do not behave.
    pub async fn raw(&self, receive_buffer: Option<u32>) -> TcpStream {
        let mut socket = connect(self.address, receive_buffer).await;
        let request = format!(
            "GET /v1/ws HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.address
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        let head = read_head(&mut socket).await;
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "the accept key of RFC 6455: {head}");
        socket
    }
}

pub async fn connect(address: SocketAddr, receive_buffer: Option<u32>) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    if let Some(size) = receive_buffer {
        socket.set_recv_buffer_size(size).unwrap();
    }
    socket.connect(address).await.unwrap()
}

/// The head of a response.
pub async fn read_head(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(LONG, socket.read_u8()).await.expect("no head").unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// A masked frame, as clients send.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        n if n < 126 => out.push(0x80 | n as u8),
        n if n < 65_536 => {
            out.push(0xFE);
            out.extend((n as u16).to_be_bytes());
        }
        n => {
            out.push(0xFF);
            out.extend((n as u64).to_be_bytes());
        }
    }
    let mask = [7, 11, 13, 17];
    out.extend(mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
    out
}

/// The next frame of the server: its first byte and its payload; `None` at the end.
pub async fn read_frame(socket: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let read = async {
        let first = socket.read_u8().await.ok()?;
        let length = match socket.read_u8().await.ok()? {
            126 => u64::from(socket.read_u16().await.ok()?),
            127 => socket.read_u64().await.ok()?,
            short => u64::from(short),
        };
        let mut payload = vec![0; length as usize];
        socket.read_exact(&mut payload).await.ok()?;
        Some((first, payload))
    };
    timeout(LONG, read).await.expect("no frame")
}

/// The close code that the server sends, whatever comes before it.
pub async fn close_code(socket: &mut TcpStream) -> Option<u16> {
    while let Some((first, payload)) = read_frame(socket).await {
        if first == 0x88 {
            return Some(u16::from_be_bytes([payload[0], payload[1]]));
        }
    }
    None
}

/// A table as a client builds it from frames.
#[derive(Default)]
pub struct Table {
    pub rows: HashMap<i64, (f64, String)>,
    coming: HashMap<i64, (f64, String)>,
    pub cursor: String,
    pub resets: usize,
    pub snapshots: usize,
}

fn row(values: &[Value]) -> (i64, (f64, String)) {
    (values[0].as_i64().unwrap(), (values[1].as_f64().unwrap(), values[2].as_str().unwrap().to_owned()))
}

impl Table {
    /// The socket was lost in the middle of a snapshot.
    pub fn forget_pieces(&mut self) {
        self.coming.clear();
    }

    /// Applies a snapshot, a piece of one, or a delta.
    pub fn apply(&mut self, frame: &Value) {
        if frame["reset"] != true && !self.cursor.is_empty() && frame.get("cursor").is_some() {
            assert!(
                offset(&frame["cursor"]) >= offset(&json!(self.cursor)),
                "back to {} from {}",
                frame["cursor"],
                self.cursor
            );
        }
        if frame["type"] == "snapshot" {
            let columns = frame["data"].as_array().unwrap().iter().map(|c| c.as_array().unwrap());
            let columns: Vec<&Vec<Value>> = columns.collect();
            for ((k, value), note) in columns[0].iter().zip(columns[1]).zip(columns[2]) {
                let (k, values) = row(&[k.clone(), value.clone(), note.clone()]);
                self.coming.insert(k, values);
            }
            if frame.get("more").is_some() {
                assert!(frame.get("cursor").is_none(), "a cursor before the last piece");
                return;
            }
            self.rows = std::mem::take(&mut self.coming);
            self.snapshots += 1;
            self.resets += usize::from(frame["reset"] == true);
        } else {
            assert!(
                offset(&frame["from"]) <= offset(&json!(self.cursor)),
                "a gap: {} after {}",
                frame["from"],
                self.cursor
            );
            for upsert in frame["upsert"].as_array().unwrap() {
                let (k, v) = row(upsert.as_array().unwrap());
                self.rows.insert(k, v);
            }
            for delete in frame["delete"].as_array().unwrap() {
                self.rows.remove(&delete[0].as_i64().unwrap());
            }
        }
        frame["cursor"].as_str().unwrap().clone_into(&mut self.cursor);
    }
}

pub fn offset(cursor: &Value) -> u64 {
    cursor.as_str().unwrap().rsplit('-').next().unwrap().parse().unwrap()
}

pub struct Client {
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub tables: HashMap<String, Table>,
    /// How many frames of feeds came.
    pub frames: usize,
}

impl Client {
    pub async fn say(&mut self, message: &Value) {
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    /// The next message, whatever it is; `None` when the server closed.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            match timeout(LONG, self.socket.next()).await.expect("no message") {
                Some(Ok(Message::Text(text))) => {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    if let Some(view) = message["view"].as_str().filter(|_| message["type"] != "subscribed") {
                        self.frames += 1;
                        self.tables.entry(view.to_owned()).or_default().apply(&message);
                    }
                    return Some(message);
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// The next message; it must be of this type.
    pub async fn expect(&mut self, kind: &str) -> Value {
        let message = self.next().await.unwrap_or_else(|| panic!("the end, not {kind}"));
        assert_eq!(message["type"], kind, "{message}");
        message
    }

    /// Subscribes, and takes `subscribed` and the first frame, which is returned.
    pub async fn subscribe(&mut self, reference: u64, feed: &str, since: Option<&str>) -> Value {
        let mut message = json!({"op": "subscribe", "ref": reference, "feed": feed});
        if let Some(since) = since {
            message["since"] = json!(since);
            since.clone_into(&mut self.tables.entry(feed.to_owned()).or_default().cursor);
        }
        self.say(&message).await;
        let subscribed = self.expect("subscribed").await;
        assert_eq!((&subscribed["ref"], &subscribed["view"]), (&json!(reference), &json!(feed)));
        self.next().await.unwrap()
    }

    /// Reads until the table of a feed stands at an offset.
    pub async fn reach(&mut self, feed: &str, target: u64) -> &Table {
        while self.tables.get(feed).is_none_or(|t| t.cursor.is_empty() || offset(&json!(t.cursor)) < target) {
            self.next().await.expect("the end before the offset");
        }
        &self.tables[feed]
    }
}
