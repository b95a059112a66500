//! The server: binds, accepts, and stops in order.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    num::NonZeroUsize,
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use config::Limits;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use model::Code;
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
    http::{self, App},
    hub::Hub,
    limits::{ConnectionGuard, Connections},
    metrics::ServerMetrics,
    problem::{self, Problem},
    shared::Shared,
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
    listener: TcpListener,
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
                return Ok(Bound { listener, address, options });
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

    /// Serves until `shutdown`. Then accepts no more, tells viewers `closing`, and gives
    /// requests under way at most 5 s. Fails only if threads cannot be started.
    pub async fn run(
        self,
        backend: Arc<dyn Backend>,
        prometheus: PrometheusHandle,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let Options { limits, cors, shards, .. } = self.options;
        let shards = shards.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        let upkeep = Upkeep(tokio::spawn(keep_up(prometheus.clone())));
        let shared = Arc::new(Shared::new(backend, limits, cors, prometheus));
        let hub = Hub::start(&shared, shards)?;
        let app = Arc::new(App::new(shared, hub, self.address.ip().is_loopback()));
        let (stop, stopping) = watch::channel(false);
        let (alive, mut all_gone) = mpsc::channel::<()>(1);
        let acceptor = Acceptor::new(&app, stopping, alive);
        tokio::select! {
            () = acceptor.accept_all(&self.listener) => {}
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
        drop(upkeep);
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
    builder: http1::Builder,
    connections: Arc<Connections>,
    stopping: watch::Receiver<bool>,
    /// Held by every connection: when all are dropped, all are gone.
    alive: mpsc::Sender<()>,
}

impl Acceptor {
    fn new(app: &Arc<App>, stopping: watch::Receiver<bool>, alive: mpsc::Sender<()>) -> Self {
        let limits = &app.shared.limits;
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_buf_size(limits.max_header.max(MIN_HEADER));
        Self {
            app: Arc::clone(app),
            router: http::router(app),
            builder,
            connections: Connections::new(limits.max_connections, limits.max_connections_per_address),
            stopping,
            alive,
        }
    }

    async fn accept_all(&self, listener: &TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => self.accept(stream, peer.ip()),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
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

    /// One connection, until it closes, becomes a WebSocket, or the server stops.
    fn converse(&self, stream: TcpStream, guard: Arc<ConnectionGuard>) -> impl Future<Output = ()> + use<> {
        let socket = Socket::new(stream, self.app.shared.limits.body_timeout);
        let idle = socket.idle();
        let router = self.router.clone();
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(Arc::clone(&guard));
            router.clone().oneshot(request.map(axum::body::Body::new))
        });
        let connection = self.builder.serve_connection(TokioIo::new(socket), service).with_upgrades();
        let (mut stopping, alive) = (self.stopping.clone(), self.alive.clone());
        let app = Arc::clone(&self.app);
        async move {
            let metrics = &app.shared.metrics;
            metrics.http_connections.increment(1);
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => Some(ended),
                _ = stopping.wait_for(|stop| *stop) => None,
            };
            let ended = if let Some(ended) = ended {
                ended
            } else {
                connection.as_mut().graceful_shutdown();
                connection.await
            };
            if let Err(error) = ended {
                count_broken(metrics, &error, idle.load(Ordering::Relaxed));
            }
            metrics.http_connections.decrement(1);
            drop(alive);
        }
    }
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
