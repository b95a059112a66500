//! A viewer's task. It reads what the client says, waits for the socket when it was
//! full, and ends the connection. Frames of feeds do not come through here.
//!
//! Publishes are taken as they come and answered in their order. While many wait for the
//! log, the client is not read from: it waits as the log makes it wait.

use std::{
    collections::VecDeque,
    io,
    net::Shutdown,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::LocalBoxFuture, stream::FuturesOrdered};
use model::Code;
use socket2::SockRef;
use sources::decode::Format;
use tokio::{
    io::{Interest, Ready},
    net::TcpStream,
    sync::Notify,
    time::timeout,
};

use crate::{
    encode::{framing::Framing, pack},
    hub::{arena::Key, core::Phase, shard::Shard},
    ingest,
    ws::{
        close::Close,
        codec::{self, Incoming, Reader, Takes},
        message::{self, Ref, Refused, Request},
    },
};

/// A client that does not take its answers is not read from while more than this waits.
const MAX_UNSENT: usize = 64 << 10;

/// How long a client may take to close after our close frame.
const LINGER: Duration = Duration::from_secs(1);

/// How many publishes of one client may wait for the log: several share a commit.
const MAX_PUBLISHING: usize = 32;

/// How many bytes of messages they may hold together. One that is larger is taken when
/// nothing else waits, and nothing is taken beside it: so it is decoded in its turn.
const MAX_PUBLISHING_BYTES: usize = 128 << 10;

/// A publish on its way: how large its message was, and the answer to it.
type Publishing = LocalBoxFuture<'static, (usize, Result<Vec<u8>, Refused>)>;

/// What happened to a viewer.
enum Event {
    Woken,
    Ready(io::Result<Ready>),
    Published(usize, Result<Vec<u8>, Refused>),
}

struct Ride<'a> {
    shard: &'a Rc<Shard>,
    key: Key,
    io: &'a Rc<TcpStream>,
    framing: Framing,
    reader: Reader,
    /// What was read and waits for publishes before it; at most what one read yields.
    heard: VecDeque<Incoming>,
    /// Publishes under way, answered in their order.
    publishing: FuturesOrdered<Publishing>,
    publishing_bytes: usize,
    ended: bool,
}

/// Lives as long as the connection.
pub async fn ride(shard: &Rc<Shard>, key: Key, framing: Framing, io: &Rc<TcpStream>, wake: &Notify, first: Bytes) {
    let takes = match framing {
        Framing::Json => Takes::Text,
        Framing::MessagePack => Takes::Binary,
        // Nobody listens there.
        Framing::EventStream | Framing::Updates { .. } => Takes::Anything,
    };
    let mut ride = Ride {
        shard,
        key,
        io,
        framing,
        reader: Reader::new(takes),
        heard: VecDeque::new(),
        publishing: FuturesOrdered::new(),
        publishing_bytes: 0,
        ended: false,
    };
    ride.hear(&first);
    while let Some(interest) = ride.prepare() {
        let event = tokio::select! {
            () = wake.notified() => Event::Woken,
            ready = ready(io, interest) => Event::Ready(ready),
            Some((bytes, answer)) = ride.publishing.next() => Event::Published(bytes, answer),
        };
        ride.on(event);
    }
    if shard.core.borrow().viewers.get(key).is_some_and(|v| v.phase != Phase::Gone) {
        linger(io).await;
    }
}

async fn ready(io: &TcpStream, interest: Option<Interest>) -> io::Result<Ready> {
    match interest {
        Some(interest) => io.ready(interest).await,
        None => std::future::pending().await,
    }
}

/// A close frame is lost if the socket is closed while the client's bytes are unread.
async fn linger(io: &TcpStream) {
    if SockRef::from(io).shutdown(Shutdown::Write).is_err() {
        return;
    }
    let drain = async {
        let mut scrap = [0; 1024];
        while io.readable().await.is_ok() {
            match io.try_read(&mut scrap) {
                Ok(0) => break,
                Err(e) if e.kind() != io::ErrorKind::WouldBlock => break,
                _ => {}
            }
        }
    };
    // The time being over is as good an end.
    let _ = timeout(LINGER, drain).await;
}

impl Ride<'_> {
    /// What to wait for next (besides being woken); `None` ends the ride.
    #[allow(clippy::option_option)]
    fn prepare(&mut self) -> Option<Option<Interest>> {
        if self.ended {
            return None;
        }
        let stops = {
            let core = self.shard.core.borrow();
            let viewer = core.viewers.get(self.key)?;
            viewer.phase == Phase::Stopping && self.publishing.is_empty()
        };
        if stops {
            self.shard.core.borrow_mut().close(self.key, Close::Shutdown);
        }
        let core = self.shard.core.borrow();
        let viewer = core.viewers.get(self.key)?;
        if viewer.phase == Phase::Gone || (viewer.phase == Phase::Closed && !viewer.slow) {
            return None;
        }
        let reads = viewer.takes_messages() && self.takes_publishes() && viewer.unsent_bytes <= MAX_UNSENT;
        Some(match (reads, viewer.slow) {
            (true, true) => Some(Interest::READABLE | Interest::WRITABLE),
            (true, false) => Some(Interest::READABLE),
            (false, true) => Some(Interest::WRITABLE),
            (false, false) => None,
        })
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Woken => {}
            Event::Ready(Err(_)) => self.ended = true,
            Event::Ready(Ok(ready)) => {
                if ready.is_writable() {
                    self.go_on_writing();
                }
                if ready.is_readable() {
                    self.read();
                }
            }
            Event::Published(bytes, answer) => {
                self.publishing_bytes -= bytes;
                {
                    let mut core = self.shard.core.borrow_mut();
                    match answer {
                        Ok(published) => core.say(self.key, &published),
                        Err(refused) => core.refuse(self.key, &refused),
                    }
                }
                self.obey();
            }
        }
        self.shard.settle();
    }

    /// Whether another publish may be taken.
    fn takes_publishes(&self) -> bool {
        self.publishing.len() < MAX_PUBLISHING && self.publishing_bytes < MAX_PUBLISHING_BYTES
    }

    fn go_on_writing(&mut self) {
        let mut core = self.shard.core.borrow_mut();
        if core.viewers.get(self.key).is_some_and(|v| v.slow && v.phase != Phase::Gone) {
            core.pump(self.key);
        }
    }

    fn read(&mut self) {
        let mut buffer = self.shard.read_buffer.borrow_mut();
        match self.io.try_read(&mut buffer) {
            Ok(0) => self.ended = true,
            Ok(read) => self.hear(&buffer[..read]),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.ended = true,
        }
    }

    /// Takes bytes of the client.
    fn hear(&mut self, bytes: &[u8]) {
        if let Some(viewer) = self.shard.core.borrow_mut().viewers.get_mut(self.key) {
            viewer.heard = Instant::now();
        }
        if !self.framing.is_websocket() {
            return;
        }
        let max = self.shard.shared.current().limits.max_message;
        let heard = &mut self.heard;
        let result = self.reader.read(bytes, max, &mut |frame| heard.push_back(frame));
        self.obey();
        if let Err(reason) = result {
            self.shard.shared.metrics.refuse(Code::BadMessage);
            self.shard.core.borrow_mut().close(self.key, reason);
        }
    }

    /// Does what the client said, until too many publishes wait.
    fn obey(&mut self) {
        while self.takes_publishes() {
            let Some(frame) = self.heard.pop_front() else { break };
            match frame {
                Incoming::Text(text) => self.obey_message(&text),
                Incoming::Binary(packed) => match pack::to_json(&packed) {
                    Ok(text) => self.obey_message(&text),
                    Err(e) => self.refuse(&Refused::new(None, Code::BadMessage, format!("not a message: {e}"))),
                },
                Incoming::Ping(payload) => self.shard.core.borrow_mut().send(self.key, codec::pong(&payload)),
                Incoming::Pong => {}
                Incoming::Close(_) => self.shard.core.borrow_mut().close(self.key, Close::Normal),
            }
        }
        self.shard.settle();
    }

    fn refuse(&self, refused: &Refused) {
        self.shard.core.borrow_mut().refuse(self.key, refused);
    }

    fn obey_message(&mut self, text: &str) {
        if matches!(self.framing, Framing::Updates { .. }) {
            return;
        }
        match message::parse(text) {
            Err(refused) => self.refuse(&refused),
            Ok(Request::Subscribe(wish)) => self.shard.core.borrow_mut().subscribe(self.key, &wish),
            Ok(Request::Unsubscribe { reference }) => self.shard.core.borrow_mut().unsubscribe(self.key, reference),
            Ok(Request::Ping { reference }) => self.shard.core.borrow_mut().say(self.key, &message::pong(reference)),
            Ok(Request::Publish { reference, stream, events }) => {
                let bytes = text.len();
                let publishing = match self.shard.shared.ingest.stream(&stream) {
                    Ok(stream) => self.publish(reference, stream, events),
                    Err((code, message)) => {
                        std::future::ready(Err(Refused::new(Some(reference), code, message))).boxed_local()
                    }
                };
                self.publishing_bytes += bytes;
                self.publishing.push_back(publishing.map(move |answer| (bytes, answer)).boxed_local());
            }
        }
    }

    fn publish(
        &self,
        reference: Ref,
        stream: usize,
        events: &str,
    ) -> LocalBoxFuture<'static, Result<Vec<u8>, Refused>> {
        let ingest = std::sync::Arc::clone(&self.shard.shared.ingest);
        let events = Bytes::copy_from_slice(events.as_bytes());
        Box::pin(async move {
            let refuse = |error| {
                let (code, message, retry_after_ms) = ingest::refusal(&error);
                Refused { retry_after_ms, ..Refused::new(Some(reference), code, message) }
            };
            let prepared = ingest.decode(stream, Format::Json, events).await.map_err(refuse)?;
            let answer = message::published(reference, &prepared.receipt);
            ingest.append(prepared, None, Bytes::new()).await.map_err(refuse)?;
            Ok(answer)
        })
    }
}
