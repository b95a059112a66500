//! A socket that is read while what is written to it waits: a server that has much to say
//! may not listen until it is heard.

use std::{
    collections::VecDeque,
    future::poll_fn,
    task::{Context, Poll, ready},
};

use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error, Message},
};

/// A socket, and what waits to be written to it.
pub(crate) struct Wire<S> {
    socket: WebSocketStream<S>,
    /// A few: nothing is published while something waits (INV-4).
    outgoing: VecDeque<Message>,
    /// Since when the server has taken nothing of what waits.
    stuck_since: Option<Instant>,
}

/// What happened on a wire.
pub(crate) enum Moved {
    /// The server said something; `None` is the end.
    Heard(Option<Result<Message, Error>>),
    /// All that waited is written.
    Written,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub fn new(socket: WebSocketStream<S>) -> Self {
        Self { socket, outgoing: VecDeque::new(), stuck_since: None }
    }

    /// Puts a message behind those that wait.
    pub fn write(&mut self, message: Message) {
        self.outgoing.push_back(message);
        self.stuck_since.get_or_insert_with(Instant::now);
    }

    /// Since when the server has taken nothing of what waits; `None` if nothing does.
    pub fn stuck_since(&self) -> Option<Instant> {
        self.stuck_since
    }

    /// Writes and reads until something happened. Nothing is lost if the caller stops waiting.
    pub async fn step(&mut self) -> Moved {
        poll_fn(|context| self.poll_step(context)).await
    }

    /// Says that nobody is missing.
    pub async fn close(&mut self) -> Result<(), Error> {
        self.socket.close(None).await
    }

    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Moved> {
        let waited = self.stuck_since.is_some();
        if let Poll::Ready(Err(error)) = self.poll_write(context) {
            return Poll::Ready(Moved::Heard(Some(Err(error))));
        }
        // What has come goes first, so that it is heard however much there is to write.
        match self.socket.poll_next_unpin(context) {
            Poll::Ready(heard) => Poll::Ready(Moved::Heard(heard)),
            Poll::Pending if waited && self.stuck_since.is_none() => Poll::Ready(Moved::Written),
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while !self.outgoing.is_empty() {
            ready!(self.socket.poll_ready_unpin(context))?;
            if let Some(message) = self.outgoing.pop_front() {
                self.socket.start_send_unpin(message)?;
                self.stuck_since = Some(Instant::now());
            }
        }
        if self.stuck_since.is_some() {
            ready!(self.socket.poll_flush_unpin(context))?;
            self.stuck_since = None;
        }
        Poll::Ready(Ok(()))
    }
}
