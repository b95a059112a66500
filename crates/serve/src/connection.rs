//! A client's TCP socket while it speaks HTTP. hyper limits the time for a request's
//! head; the time that a client may leave a response unread is limited here. What it is
//! made of is held until then, so a client that takes it byte by byte must end too.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};

/// For so many bytes that a client takes, it is waited for a second longer.
const BYTES_A_SECOND: f64 = 32.0 * 1024.0;

/// A socket whose writes fail when the client takes nothing, or too little, for a time.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    limit: Duration,
    /// How much longer writes may wait; what the client takes brings it back to the limit.
    patience: Duration,
    /// Runs while a write waits, and when that began.
    stalled: Option<(Instant, Pin<Box<Sleep>>)>,
    /// Whether nothing was read since the last write: the client has begun no request.
    idle: Arc<AtomicBool>,
}

impl Socket {
    /// `limit` is how long writes may wait for a client that takes nothing.
    pub fn new(stream: TcpStream, limit: Duration) -> Self {
        Self { stream, limit, patience: limit, stalled: None, idle: Arc::new(AtomicBool::new(true)) }
    }

    /// Whether the client has begun no request since the last answer, now and later.
    pub fn idle(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.idle)
    }

    /// The socket itself, if nothing is on its way to the client.
    pub fn into_idle(self) -> Option<TcpStream> {
        self.stalled.is_none().then_some(self.stream)
    }

    fn watched(&mut self, context: &mut Context<'_>, write: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = &write {
            self.idle.store(true, Ordering::Relaxed);
            let waited = self.stalled.take().map_or(Duration::ZERO, |(since, _)| since.elapsed());
            let taken = *written.as_ref().unwrap_or(&0) as f64 / BYTES_A_SECOND;
            self.patience = (self.patience.saturating_sub(waited) + Duration::from_secs_f64(taken)).min(self.limit);
            return write;
        }
        let patience = self.patience;
        let (_, stalled) = self.stalled.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(patience))));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.idle.store(false, Ordering::Relaxed);
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watched(context, write)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watched(context, write)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::{net::TcpListener, time::timeout};

    use super::*;

    /// How writing ends to a client that takes so many bytes every 100 ms, where it is waited
    /// for half a second; `None` if it does not within two.
    async fn write_to(taken: usize) -> Option<io::ErrorKind> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut socket = Socket::new(stream, Duration::from_millis(500));
        let writing = async {
            loop {
                let waiting = std::future::poll_fn(|context| socket.watched(context, Poll::Pending));
                if let Ok(ended) = timeout(Duration::from_millis(100), waiting).await {
                    return ended.unwrap_err().kind();
                }
                let mut context = Context::from_waker(Waker::noop());
                assert!(socket.watched(&mut context, Poll::Ready(Ok(taken))).is_ready());
            }
        };
        timeout(Duration::from_secs(2), writing).await.ok()
    }

    #[tokio::test]
    async fn who_takes_an_answer_byte_by_byte_is_not_waited_for() {
        assert_eq!(write_to(1).await, Some(io::ErrorKind::TimedOut));
    }

    #[tokio::test]
    async fn who_takes_an_answer_steadily_is_waited_for() {
        assert_eq!(write_to(16 << 10).await, None);
    }
}
