//! The server: binds, accepts, and stops in order.

use std::{
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr},
    num::NonZeroUsize,
    pin::Pin,
    sync::{Arc, OnceLock, atomic::Ordering},
    thread,
    time::Duration,
};

use bytes::Bytes;
use config::{Dashboard, Limits};
use http::Method;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use model::Code;
use socket2::SockRef;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{interval, sleep, timeout},
};
use tower::ServiceExt;

use crate::{
    backend::Backend,
    connection::Socket,
    http::{App, router},
    hub::{Hub, NewViewer, Opening},
    limits::{ConnectionGuard, Connections, address_of},
    metrics::ServerMetrics,
    poll::Polls,
    problem::{self, Problem},
    shared::Shared,
    starting::{Progress, Starting},
};

/// Connections that the kernel holds until they are accepted.
const BACKLOG: u32 = 4096;

/// The least that hyper takes as the limit of a head.
const MIN_HEADER: usize = 8 << 10;

/// How long requests under way have when the server stops.
const DRAIN: Duration = Duration::from_secs(5);

/// How long to wait before accepting again when the process has no file descriptors left.
const PAUSE: Duration = Duration::from_millis(50);

/// How often old samples of histograms are folded.
const UPKEEP: Duration = Duration::from_secs(5);

/// The kernel reports a viewer's socket as writable only when it holds fewer unsent bytes
/// than this: stale frames do not pile up where nobody can merge them.
const NOTSENT_LOWAT: u32 = 16 << 10;

/// What the server is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address and port; port 0 takes a free one.
    pub listen: String,
    /// Allows listening beyond loopback though nobody has to say who they are.
    pub insecure: bool,
    /// Limits.
    pub limits: Limits,
    /// Origins of other sites that may read and open sockets, exact.
    pub cors: Vec<String>,
    /// Shards of the hub; `None` is one a core.
    pub shards: Option<NonZeroUsize>,
}

/// What may change while the server runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Limits; `max_pending` and `max_record` are as at the start.
    pub limits: Limits,
    /// Origins of other sites that may read and open sockets, exact.
    pub cors: Vec<String>,
    /// The dashboards, of feeds that the backend has.
    pub dashboards: Vec<Dashboard>,
}

/// Why the server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address is none.
    #[error("cannot listen on `{listen}`: {source}; expected an address and a port, as in 127.0.0.1:8080")]
    Address {
        /// What was given.
        listen: String,
        /// What is wrong with it.
        source: io::Error,
    },
    /// Something else listens there.
    #[error("cannot listen on {listen}: the port is in use; stop what uses it or choose another with --listen")]
    InUse {
        /// What was given.
        listen: String,
    },
    /// Anybody could connect.
    #[error(
        "refusing to listen on {listen}: it can be reached from other machines and nothing asks who they are; \
         listen on 127.0.0.1, or set `insecure: true`"
    )]
    Exposed {
        /// What was given.
        listen: String,
    },
    /// Any other reason.
    #[error("cannot listen on {listen}: {source}")]
    Other {
        /// What was given.
        listen: String,
        /// The reason.
        source: io::Error,
    },
}

/// A server that has its port. Clients that connect now wait until it runs.
pub struct Bound {
    listener: Arc<TcpListener>,
    address: SocketAddr,
    options: Options,
}

/// Takes the port.
pub async fn bind(options: Options) -> Result<Bound, BindError> {
    let listen = options.listen.clone();
    let addresses = tokio::net::lookup_host(&options.listen)
        .await
        .map_err(|source| BindError::Address { listen: listen.clone(), source })?;
    let mut failure = io::Error::other("the name has no address");
    let addresses: Vec<_> = addresses.collect();
    for address in addresses {
        if !address.ip().is_loopback() && !options.insecure {
            return Err(BindError::Exposed { listen });
        }
        match listen_on(address) {
            Ok(listener) => {
                let address =
                    listener.local_addr().map_err(|source| BindError::Other { listen: listen.clone(), source })?;
                return Ok(Bound { listener: Arc::new(listener), address, options });
            }
            Err(e) => failure = e,
        }
    }
    if failure.kind() == io::ErrorKind::AddrInUse {
        return Err(BindError::InUse { listen });
    }
    Err(BindError::Other { listen, source: failure })
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A port whose old connections still time out can be taken again at once.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl Bound {
    /// Where the server listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Until what this gives back is dropped, tells who comes how far the start is. Clients that
    /// come in the first moments wait instead.
    pub fn answer_while_starting(&self, prometheus: PrometheusHandle, progress: Progress) -> Starting {
        Starting::begin(Arc::clone(&self.listener), self.address, &self.options, prometheus, progress)
    }

    /// Serves until `shutdown`. Then accepts no more, tells viewers `closing`, and gives
    /// requests under way at most 5 s. What comes from `changes` holds from then on, and
    /// closes no connection. Fails only if threads cannot be started.
    pub async fn run(
        self,
        backend: Arc<dyn Backend>,
        prometheus: PrometheusHandle,
        mut changes: mpsc::Receiver<Settings>,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let Options { limits, cors, shards, .. } = self.options;
        let shards = shards.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        let upkeep = Upkeep(tokio::spawn(keep_up(prometheus.clone())));
        let shared = Arc::new(Shared::new(backend, limits, cors, prometheus));
        let hub = Hub::start(&shared, shards)?;
        let (polls, ringer) = Polls::start(&shared.backend);
        let app = Arc::new(App::new(shared, hub, polls, self.address.ip().is_loopback()));
        let (stop, stopping) = watch::channel(false);
        let (alive, mut all_gone) = mpsc::channel::<()>(1);
        let acceptor = Acceptor::new(&app, stopping, alive);
        let change = async {
            while let Some(settings) = changes.recv().await {
                acceptor.change(settings);
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = acceptor.accept_all(&self.listener) => {}
            () = change => {}
            () = shutdown => {}
        }
        app.stop();
        drop(self.listener);
        drop(acceptor);
        // Nobody reads from the channel's other end but connections.
        let _ = stop.send(true);
        let drained = timeout(DRAIN, all_gone.recv());
        let ((), drained) = tokio::join!(app.hub.stop(), drained);
        if drained.is_err() {
            tracing::warn!("requests were still under way after {DRAIN:?}; they are cut off");
        }
        drop((upkeep, ringer));
        Ok(())
    }
}

/// Ends with the server.
struct Upkeep(JoinHandle<()>);

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn keep_up(prometheus: PrometheusHandle) {
    let mut clock = interval(UPKEEP);
    loop {
        clock.tick().await;
        prometheus.run_upkeep();
    }
}

/// Takes connections and starts a task for each.
struct Acceptor {
    app: Arc<App>,
    router: axum::Router,
    connections: Arc<Connections>,
    stopping: watch::Receiver<bool>,
    /// Held by every connection: when all are dropped, all are gone.
    alive: mpsc::Sender<()>,
}

impl Acceptor {
    fn new(app: &Arc<App>, stopping: watch::Receiver<bool>, alive: mpsc::Sender<()>) -> Self {
        let limits = &app.shared.current().limits;
        Self {
            app: Arc::clone(app),
            router: router(app),
            connections: Connections::new(limits.max_connections, limits.max_connections_per_address),
            stopping,
            alive,
        }
    }

    fn change(&self, settings: Settings) {
        self.connections.change(settings.limits.max_connections, settings.limits.max_connections_per_address);
        self.app.shared.change(settings);
    }

    async fn accept_all(&self, listener: &TcpListener) {
        let mut failing = false;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    if std::mem::take(&mut failing) {
                        tracing::info!("connections are accepted again");
                    }
                    self.accept(stream, address_of(peer.ip()));
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "connections cannot be accepted at the moment");
                    }
                    sleep(PAUSE).await;
                }
            }
        }
    }

    fn accept(&self, stream: TcpStream, address: IpAddr) {
        // Small frames leave at once.
        if stream.set_nodelay(true).is_err() {
            return;
        }
        if let Some(guard) = self.connections.admit(address) {
            let connection = self.converse(stream, Arc::new(guard));
            tokio::spawn(connection);
        } else {
            self.app.shared.metrics.refuse(Code::LimitReached);
            turn_away(stream);
        }
    }

    /// One connection, until it closes, becomes a viewer's, or the server stops.
    fn converse(&self, stream: TcpStream, guard: Arc<ConnectionGuard>) -> impl Future<Output = ()> + use<> {
        let current = self.app.shared.current();
        let socket = Socket::new(stream, current.limits.body_timeout);
        let idle = socket.idle();
        let router = self.router.clone();
        let leaving = Arc::new(OnceLock::new());
        let service = {
            let leaving = Arc::clone(&leaving);
            let address = guard.address();
            service_fn(move |mut request: hyper::Request<Incoming>| {
                request.extensions_mut().insert(address);
                let head_only = request.method() == Method::HEAD;
                let answering = router.clone().oneshot(request.map(axum::body::Body::new));
                let leaving = Arc::clone(&leaving);
                Box::pin(async move {
                    let mut response = answering.await;
                    let opening = response.as_mut().ok().and_then(|r| r.extensions_mut().remove::<Opening>());
                    if let Some(opening) = opening.filter(|_| !head_only) {
                        // The last response of this connection; none was set before.
                        let _ = leaving.set(opening);
                    }
                    response
                })
            })
        };
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(current.limits.header_timeout)
            .max_buf_size(current.limits.max_header.max(MIN_HEADER))
            .serve_connection(TokioIo::new(socket), service);
        let (mut stopping, alive) = (self.stopping.clone(), self.alive.clone());
        let app = Arc::clone(&self.app);
        async move {
            let metrics = &app.shared.metrics;
            metrics.http_connections.increment(1);
            let ended = tokio::select! {
                // Without closing the socket, which may go on as a viewer's.
                ended = poll_fn(|context| connection.poll_without_shutdown(context)) => Some(ended),
                _ = stopping.wait_for(|stop| *stop) => None,
            };
            let ended = match (ended, leaving.get()) {
                (Some(Ok(())), Some(opening)) => {
                    let hyper::server::conn::http1::Parts { io, read_buf, .. } = connection.into_parts();
                    let viewer =
                        viewer_of(io.into_inner(), read_buf, opening.clone(), guard, &app.shared.current().limits);
                    match viewer {
                        Ok(Some(viewer)) => app.hub.admit(viewer),
                        // A client that pipelined, and did not read what it asked for before.
                        Ok(None) => {}
                        Err(error) => tracing::debug!(%error, "a socket could not leave HTTP"),
                    }
                    Ok(())
                }
                (Some(Err(error)), _) => {
                    if error.is_parse()
                        && let Some(stream) = connection.into_parts().io.into_inner().into_idle()
                    {
                        // hyper has said what is wrong; a reset would take that back.
                        part(stream).await;
                    }
                    Err(error)
                }
                // Closes the socket, after what is still on its way.
                (Some(Ok(())), None) => connection.await,
                (None, _) => {
                    Pin::new(&mut connection).graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                count_broken(metrics, &error, idle.load(Ordering::Relaxed));
            }
            metrics.http_connections.decrement(1);
            drop(alive);
        }
    }
}

/// A viewer's socket, out of HTTP; `None` if not all of HTTP has left it.
fn viewer_of(
    socket: Socket,
    read: Bytes,
    opening: Opening,
    connection: Arc<ConnectionGuard>,
    limits: &Limits,
) -> io::Result<Option<NewViewer>> {
    let Some(socket) = socket.into_idle() else { return Ok(None) };
    let socket = socket.into_std()?;
    let options = SockRef::from(&socket);
    options.set_send_buffer_size(limits.send_buffer)?;
    #[cfg(target_os = "linux")]
    {
        options.set_tcp_notsent_lowat(NOTSENT_LOWAT)?;
        // Who acknowledges nothing for so long is gone, also where it answers no pings.
        options.set_tcp_user_timeout(Some(limits.ping_interval * 2))?;
    }
    Ok(Some(NewViewer { socket, read, opening, connection }))
}

/// Counts what hyper refused by itself (INV-6). Other ends are no refusals: clients break
/// off all the time, and browsers keep connections open on which they ask nothing more.
fn count_broken(metrics: &ServerMetrics, error: &hyper::Error, idle: bool) {
    if error.is_parse_too_large() {
        metrics.refuse(Code::TooLarge);
    } else if error.is_parse() {
        metrics.refuse(Code::BadRequest);
    } else if error.is_timeout() && !idle {
        metrics.refuse(Code::RequestTimeout);
    } else {
        tracing::debug!(%error, idle, "a connection broke off");
    }
}

/// Says in one answer that there are too many connections. Nothing waits for the
/// client: the answer fits into the socket's empty buffer.
fn turn_away(stream: TcpStream) {
    let body = Problem::new(Code::LimitReached, "too many connections are open; come again later").body();
    let head = format!(
        "HTTP/1.1 429 Too Many Requests\r\nContent-Type: {}\r\nContent-Length: {}\r\nRetry-After: 1\r\n\
         Connection: close\r\n\r\n",
        problem::MEDIA_TYPE,
        body.len()
    );
    let answer = [head.as_bytes(), &body].concat();
    if matches!(stream.try_write(&answer), Ok(n) if n == answer.len()) {
        tokio::spawn(part(stream));
    }
}

/// Closes without a reset, which would take the answer back.
async fn part(mut stream: TcpStream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut scrap = [0; 512];
    let gone = async {
        while stream.readable().await.is_ok() {
            match stream.try_read(&mut scrap) {
                Ok(0) => break,
                Err(e) if e.kind() != io::ErrorKind::WouldBlock => break,
                _ => {}
            }
        }
    };
    // A client that does not go is left.
    let _ = timeout(Duration::from_secs(1), gone).await;
}
