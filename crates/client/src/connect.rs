//! How the task behind a client comes by a socket.

use std::{future::Future, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Error as WsError, client::IntoClientRequest, http::HeaderValue, http::header::SEC_WEBSOCKET_PROTOCOL,
        protocol::WebSocketConfig,
    },
};

use crate::address::Address;

/// The subprotocol this client speaks.
const SUBPROTOCOL: &str = "tidewire.v1.json";

/// A way to a socket. The real one is TCP; tests use pipes in memory, with which
/// paused time is exact.
pub(crate) trait Connect: Send + Sync + 'static {
    /// What carries the bytes.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// One attempt; the error is a sentence for a person.
    fn connect(&self) -> impl Future<Output = Result<WebSocketStream<Self::Stream>, String>> + Send;
}

/// A WebSocket over plain TCP.
#[derive(Debug)]
pub(crate) struct Tcp {
    /// The server.
    pub address: Address,
    /// The largest message taken.
    pub max_frame: usize,
    /// How long an attempt may take.
    pub timeout: Duration,
}

impl Connect for Tcp {
    type Stream = TcpStream;

    async fn connect(&self) -> Result<WebSocketStream<TcpStream>, String> {
        let attempt = async {
            let stream = TcpStream::connect(self.address.host_and_port()).await.map_err(|e| e.to_string())?;
            // Small messages that wait for an answer must not wait for each other.
            stream.set_nodelay(true).map_err(|e| e.to_string())?;
            handshake(&self.address.socket(), stream, self.max_frame).await
        };
        tokio::time::timeout(self.timeout, attempt)
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} s", self.timeout.as_secs())))
    }
}

/// The WebSocket's opening over bytes that are already carried.
pub(crate) async fn handshake<S>(url: &str, stream: S, max_frame: usize) -> Result<WebSocketStream<S>, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = url.into_client_request().map_err(|e| e.to_string())?;
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    let config = WebSocketConfig::default().max_message_size(Some(max_frame)).max_frame_size(Some(max_frame));
    match client_async_with_config(request, stream, Some(config)).await {
        Ok((socket, _)) => Ok(socket),
        Err(WsError::Http(response)) => Err(format!("the server answered {}, not a WebSocket", response.status())),
        Err(error) => Err(error.to_string()),
    }
}
