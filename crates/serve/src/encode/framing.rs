//! What goes around a frame on its way to a socket.

use bytes::Bytes;
use model::Cursor;

use crate::ws::codec;

/// How frames go to a viewer. Viewers of one framing get the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// `tidewire.v1.json`: text messages of a WebSocket.
    Json,
    /// `tidewire.v1.msgpack`: binary messages of a WebSocket.
    MessagePack,
    /// `text/event-stream`: JSON as the data of an event.
    EventStream,
    /// A dashboard's updates, one object a WebSocket message.
    Updates {
        /// The dashboard.
        dashboard: usize,
        /// As MessagePack, gzipped where it is large, instead of JSON.
        packed: bool,
    },
}

impl Framing {
    /// Whether it is a WebSocket, with pings and close frames.
    pub fn is_websocket(self) -> bool {
        self != Self::EventStream
    }
}

/// An event of SSE with this JSON as its data. With a cursor it has an `id`, which the
/// browser sends back as `Last-Event-ID`.
pub fn event(json: &[u8], cursor: Option<Cursor>) -> Bytes {
    let id = cursor.map(|c| format!("id: {c}\n")).unwrap_or_default();
    Bytes::from([id.as_bytes(), b"data: ", json, b"\n\n"].concat())
}

/// A comment of SSE, which keeps proxies from closing what is quiet, and finds out
/// whether somebody is still there.
pub fn heartbeat() -> Bytes {
    Bytes::from_static(b":\n\n")
}

/// How long the client is to wait before it connects again, should this connection end.
pub fn retry(ms: u64) -> Bytes {
    Bytes::from(format!("retry: {ms}\n\n"))
}

/// A message to one client, from its JSON; `None` where the framing has no messages.
pub fn message(framing: Framing, json: &[u8]) -> Option<Bytes> {
    match framing {
        Framing::Json => Some(codec::text(|out| out.extend_from_slice(json))),
        Framing::MessagePack => Some(codec::binary(|out| {
            // It is JSON that we wrote ourselves.
            let _ = crate::encode::pack::from_json(json, out);
        })),
        Framing::EventStream => Some(event(json, None)),
        Framing::Updates { .. } => None,
    }
}
