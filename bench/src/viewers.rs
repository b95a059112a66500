//! Many viewers that cost little: one thread, one `epoll`, and of each frame only where it
//! ends is read.

use std::{
    io::{ErrorKind, Read, Write},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use mio::{Events, Interest, Poll, Token, net::TcpStream};

use crate::Outcome;

/// What all viewers together have received.
#[derive(Debug, Default)]
pub struct Received {
    /// Frames.
    pub frames: AtomicU64,
    /// Their bytes, headers included.
    pub bytes: AtomicU64,
    /// For each viewer the last number behind the mark in a small frame.
    pub marks: Vec<AtomicU64>,
}

/// Viewers on a thread of their own; they leave when this is dropped.
#[derive(Debug)]
pub struct Viewers {
    /// What they have received.
    pub received: Arc<Received>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// How a viewer watches.
#[derive(Debug, Clone, Copy)]
pub enum Way<'a> {
    /// Over WebSocket, with these messages first.
    Socket(&'a [&'a str]),
    /// As server-sent events of this path.
    Events(&'a str),
}

/// One viewer: its socket and how far into a frame it is.
struct Viewer {
    number: usize,
    stream: TcpStream,
    ends: Ends,
}

/// Counts the ends of what comes, which may be cut anywhere.
enum Ends {
    Frames(Frames),
    /// Empty lines; whether a line has just ended.
    Events(bool),
}

impl Ends {
    fn take(&mut self, bytes: &[u8]) -> u64 {
        match self {
            Self::Frames(frames) => frames.take(bytes),
            Self::Events(ended) => {
                let empty = |byte: &&u8| std::mem::replace(ended, **byte == b'\n') && **byte == b'\n';
                bytes.iter().filter(empty).count() as u64
            }
        }
    }
}

/// The opcode of a ping, and an empty pong with a mask of zero: RFC 6455, 5.5.
const PING: u8 = 0x9;
const PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];

/// Frames up to this many bytes are looked into for the mark.
const SMALL: u64 = 512;

/// Counts the frames of a WebSocket.
#[derive(Debug, Default)]
struct Frames {
    /// The header's bytes that have come, at most 10.
    head: Vec<u8>,
    /// Bytes of the payload still to come.
    rest: u64,
    is_small: bool,
    /// The payload so far, if it is a small one.
    small: Vec<u8>,
    /// The last whole small payload.
    last_small: Option<Vec<u8>>,
    /// Whether the server has asked for a sign of life.
    pinged: bool,
}

impl Frames {
    /// Takes bytes and says how many frames ended within them.
    fn take(&mut self, mut bytes: &[u8]) -> u64 {
        let mut ended = 0;
        while !bytes.is_empty() {
            if self.rest > 0 {
                let skip = self.rest.min(bytes.len() as u64);
                if self.is_small {
                    self.small.extend_from_slice(&bytes[..skip as usize]);
                }
                bytes = &bytes[skip as usize..];
                self.rest -= skip;
                if self.rest == 0 {
                    ended += 1;
                    if self.is_small {
                        self.last_small = Some(std::mem::take(&mut self.small));
                    }
                }
                continue;
            }
            self.head.push(bytes[0]);
            bytes = &bytes[1..];
            // RFC 6455, 5.2; a server does not mask.
            let short = self.head.get(1).map(|b| u64::from(b & 0x7f));
            let length = match (short, self.head.len()) {
                (Some(126), 4) => u64::from(u16::from_be_bytes([self.head[2], self.head[3]])),
                (Some(127), 10) => self.head[2..].iter().fold(0, |n, b| n << 8 | u64::from(*b)),
                (Some(n), 2) if n < 126 => n,
                _ => continue,
            };
            self.pinged |= self.head[0] & 0x0f == PING;
            self.head.clear();
            self.rest = length;
            self.is_small = length <= SMALL;
            ended += u64::from(length == 0);
        }
        ended
    }
}

/// A text frame as a client sends it. The mask is zero: it need not hide anything here.
fn masked(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match text.len() {
        n if n < 126 => frame.push(0x80 | n as u8),
        n => {
            frame.push(0x80 | 0x7e);
            frame.extend_from_slice(&(n as u16).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(text.as_bytes());
    frame
}

/// The number behind `mark`.
fn behind(payload: &[u8], mark: &str) -> Option<u64> {
    let text = std::str::from_utf8(payload).ok().filter(|_| !mark.is_empty())?;
    let (_, rest) = text.split_once(mark)?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

/// Opens a WebSocket and sends messages, or asks for events.
fn open(address: SocketAddr, way: Way) -> Outcome<std::net::TcpStream> {
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    match way {
        Way::Socket(_) => write!(
            stream,
            "GET /v1/ws HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
             sec-websocket-protocol: tidewire.v1.json\r\n\r\n"
        )?,
        Way::Events(path) => {
            write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\n\r\n")?;
        }
    }
    let mut head = Vec::new();
    let mut byte = [0];
    // Byte by byte, so that no frame behind the head is taken with it.
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 || head.len() > 8192 {
            return Err("the server closed before it answered".into());
        }
        head.push(byte[0]);
    }
    if ![b"HTTP/1.1 101", b"HTTP/1.0 200"].iter().any(|status| head.starts_with(*status)) {
        return Err(format!("the server answered: {}", String::from_utf8_lossy(&head)).into());
    }
    let messages = if let Way::Socket(messages) = way { messages } else { &[] };
    for message in messages {
        stream.write_all(&masked(message))?;
    }
    stream.set_nonblocking(true)?;
    Ok(stream)
}

impl Viewers {
    /// `count` viewers.
    pub fn open(address: SocketAddr, count: usize, way: Way) -> Outcome<Self> {
        Self::marked(address, count, way, "")
    }

    /// The same; in small frames of a WebSocket the number behind the text `mark` is taken
    /// note of.
    pub fn marked(address: SocketAddr, count: usize, way: Way, mark: &'static str) -> Outcome<Self> {
        let mut poll = Poll::new()?;
        let mut viewers = Vec::with_capacity(count);
        for number in 0..count {
            let mut stream = TcpStream::from_std(open(address, way)?);
            poll.registry().register(&mut stream, Token(number), Interest::READABLE)?;
            let ends = match way {
                Way::Socket(_) => Ends::Frames(Frames::default()),
                Way::Events(_) => Ends::Events(false),
            };
            viewers.push(Viewer { number, stream, ends });
        }
        let marks = (0..count).map(|_| AtomicU64::new(0)).collect();
        let received = Received { marks, ..Received::default() };
        let (received, stop) = (Arc::new(received), Arc::new(AtomicBool::new(false)));
        let (counts, stopped) = (received.clone(), stop.clone());
        let thread = thread::spawn(move || {
            let mut events = Events::with_capacity(1024);
            let mut buffer = vec![0; 64 << 10];
            while !stopped.load(Ordering::Relaxed) {
                if poll.poll(&mut events, Some(Duration::from_millis(50))).is_err() {
                    continue;
                }
                for event in &events {
                    viewers[event.token().0].read(&mut buffer, &counts, mark);
                }
            }
        });
        Ok(Self { received, stop, thread: Some(thread) })
    }

    /// Waits until nothing has come for 300 ms: the first snapshots are through.
    pub fn settle(&self) {
        let mut before = u64::MAX;
        loop {
            let now = self.received.frames.load(Ordering::Relaxed);
            if now == before {
                return;
            }
            before = now;
            thread::sleep(Duration::from_millis(300));
        }
    }
}

impl Viewer {
    /// Reads until the socket has no more, as edge-triggered readiness asks for.
    fn read(&mut self, buffer: &mut [u8], counts: &Received, mark: &str) {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return,
                Ok(n) => {
                    counts.bytes.fetch_add(n as u64, Ordering::Relaxed);
                    counts.frames.fetch_add(self.ends.take(&buffer[..n]), Ordering::Relaxed);
                    if let Ends::Frames(frames) = &mut self.ends
                        && let Some(number) = frames.last_small.take().and_then(|payload| behind(&payload, mark))
                    {
                        counts.marks[self.number].store(number, Ordering::Relaxed);
                    }
                    if let Ends::Frames(frames) = &mut self.ends
                        && std::mem::take(&mut frames.pinged)
                        && self.stream.write_all(&PONG).is_err()
                    {
                        return;
                    }
                    if n < buffer.len() {
                        // Most often all there is; a further frame is a further event.
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }
}

impl Drop for Viewers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_however_they_are_cut() {
        let bytes = b"retry: 1000\n\ndata: {}\n\nid: 1\ndata: {}\n\n:\n\n";
        for step in [1, 2, 3, 7, bytes.len()] {
            let mut ends = Ends::Events(false);
            let ended: u64 = bytes.chunks(step).map(|part| ends.take(part)).sum();
            assert_eq!(ended, 4, "in steps of {step}");
        }
    }

    #[test]
    fn frames_are_counted_however_they_are_cut() {
        let mut bytes = Vec::new();
        for length in [0_usize, 1, 125, 126, 300, 65_535, 65_536] {
            bytes.push(0x81);
            match length {
                n if n < 126 => bytes.push(n as u8),
                n if n < 65_536 => {
                    bytes.push(126);
                    bytes.extend_from_slice(&(n as u16).to_be_bytes());
                }
                n => {
                    bytes.push(127);
                    bytes.extend_from_slice(&(n as u64).to_be_bytes());
                }
            }
            bytes.resize(bytes.len() + length, b'x');
        }
        for step in [1, 2, 3, 7, 1000, bytes.len()] {
            let mut frames = Frames::default();
            let ended: u64 = bytes.chunks(step).map(|part| frames.take(part)).sum();
            assert_eq!(ended, 7, "in steps of {step}");
        }
    }
}
