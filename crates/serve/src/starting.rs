//! While the server starts: it has its port, and its feeds are not there yet.
//!
//! Most starts take no longer than a connection may wait, so clients just wait. After that,
//! those who look after the server are told how far it is, and everybody else to come again.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{Request, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use model::Code;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
    time::sleep,
};

use crate::{
    backend::Reason,
    http::{guard, ops},
    problem::Problem,
    server::Options,
};

/// How long clients wait before anybody is answered.
const PATIENCE: Duration = Duration::from_millis(300);

/// How many are answered at once; further ones wait.
const AT_ONCE: usize = 64;

/// How far the start is, for a person.
pub type Progress = Arc<dyn Fn() -> String + Send + Sync>;

/// Answers until it is dropped.
pub struct Starting(JoinHandle<()>);

impl Drop for Starting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Answers {
    progress: Progress,
    prometheus: PrometheusHandle,
    cors: Vec<String>,
    loopback: bool,
    header_timeout: Duration,
}

impl Starting {
    pub(crate) fn begin(
        listener: Arc<TcpListener>,
        address: SocketAddr,
        options: &Options,
        prometheus: PrometheusHandle,
        progress: Progress,
    ) -> Self {
        let answers = Arc::new(Answers {
            progress,
            prometheus,
            cors: options.cors.clone(),
            loopback: address.ip().is_loopback(),
            header_timeout: options.limits.header_timeout,
        });
        Self(tokio::spawn(async move {
            sleep(PATIENCE).await;
            let turns = Arc::new(Semaphore::new(AT_ONCE));
            // The gate is never closed.
            while let Ok(turn) = Arc::clone(&turns).acquire_owned().await {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let answers = Arc::clone(&answers);
                        // It ends by itself, also when the start has: one answer, within a time.
                        tokio::spawn(async move {
                            answers.converse(stream).await;
                            drop(turn);
                        });
                    }
                    Err(_) => sleep(PATIENCE).await,
                }
            }
        }))
    }
}

impl Answers {
    /// One request and its answer.
    async fn converse(self: Arc<Self>, stream: TcpStream) {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(self.header_timeout).keep_alive(false);
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = self.answer(&request);
            async move { Ok::<_, Infallible>(answer) }
        });
        // Who breaks off has no answer.
        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Body> {
        if self.loopback && !guard::is_local(request.headers(), &self.cors) {
            return guard::foreign_host().into_response();
        }
        match request.uri().path() {
            "/livez" => ops::alive(),
            "/metrics" => ops::text(&self.prometheus),
            _ => {
                let reason = Reason { code: "recovering", message: (self.progress)() };
                let mut answer = Problem::not_ready(Code::Unavailable, vec![reason]).retry_after(1000).into_response();
                answer.headers_mut().insert(header::CONNECTION, http::HeaderValue::from_static("close"));
                answer
            }
        }
    }
}
