//! The HTTP interface: one router.
//!
//! - [`streams`]: events in
//! - [`dead_letters`]: what was refused of them
//! - [`body`]: bodies, within their limits
//! - [`feeds`], [`read`]: which feeds there are; reading one; [`accept`]: in which form
//! - [`page`]: the dashboards and their page
//! - [`ops`]: liveness, readiness, metrics
//! - [`guard`]: who may ask: `Host`, `Origin`, CORS

mod accept;
mod body;
mod dead_letters;
mod feeds;
pub mod guard;
mod ops;
mod page;
mod read;
mod streams;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    Router,
    extract::{Request, State},
    handler::Handler,
    http::{HeaderValue, Method, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use model::Code;
use serde::Serialize;

use crate::{hub::Hub, poll::Polls, problem::Problem, shared::Shared, ws::handshake};

/// What handlers work with.
pub struct App {
    /// What every part of the server holds.
    pub shared: Arc<Shared>,
    /// Takes viewers.
    pub hub: Hub,
    /// Answers polls.
    polls: Arc<Polls>,
    /// Bounds the bodies that are held at once.
    budget: Arc<body::Budget>,
    /// Whether only this machine can connect, so that a foreign `Host` is an attack.
    loopback: bool,
    stopping: AtomicBool,
    /// Held by the replay of dead letters that is under way.
    replaying: tokio::sync::Mutex<()>,
}

impl App {
    /// For a started hub.
    pub fn new(shared: Arc<Shared>, hub: Hub, polls: Arc<Polls>, loopback: bool) -> Self {
        let limits = &shared.limits;
        let budget = body::Budget::new(limits.max_pending.max(limits.max_body + limits.max_unpacked_body));
        let (stopping, replaying) = (AtomicBool::new(false), tokio::sync::Mutex::new(()));
        Self { shared, hub, polls, budget, loopback, stopping, replaying }
    }

    /// From now on nothing new is begun.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.polls.stop();
    }

    /// Whether the server is stopping.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

/// Every path of the server.
pub fn router(app: &Arc<App>) -> Router {
    Router::new()
        .route("/v1/streams", read(streams::list))
        .route("/v1/streams/{stream}", write(streams::push))
        .route("/v1/streams/{stream}/dead-letters", read(dead_letters::list))
        .route("/v1/streams/{stream}/dead-letters/replay", write(dead_letters::replay))
        .route("/v1/feeds", read(feeds::list))
        .route("/v1/feeds/{feed}", read(read::read))
        .route("/v1/feeds/{feed}/rebuild", write(feeds::rebuild))
        .route("/v1/dashboards", read(page::list))
        .route("/v1/dashboards/{dashboard}", read(page::describe))
        .route("/v1/ws", read(handshake::open))
        .route("/livez", read(ops::live))
        .route("/readyz", read(ops::ready))
        .route("/metrics", read(ops::metrics))
        .route("/", read(page::index))
        .route("/dashboard/{dashboard}", read(page::dashboard))
        .route("/assets/{*path}", read(page::asset))
        .fallback(page::other)
        .with_state(Arc::clone(app))
        .layer(guard::cors(&app.shared.cors))
        .layer(middleware::from_fn_with_state(Arc::clone(app), guard::check_host))
        .layer(middleware::from_fn_with_state(Arc::clone(app), guard::check_rate))
        .layer(middleware::from_fn_with_state(Arc::clone(app), finish))
}

/// A path that is read.
fn read<H: Handler<T, Arc<App>>, T: 'static>(handler: H) -> MethodRouter<Arc<App>> {
    get(handler).fallback(async |method: Method, uri: Uri| not_allowed(&method, &uri, "GET and HEAD"))
}

/// A path that is written to.
fn write<H: Handler<T, Arc<App>>, T: 'static>(handler: H) -> MethodRouter<Arc<App>> {
    post(handler).fallback(async |method: Method, uri: Uri| not_allowed(&method, &uri, "POST"))
}

/// Another method than those that a path takes; the router lists them in `Allow`.
fn not_allowed(method: &Method, uri: &Uri, taken: &str) -> Problem {
    let shown: String = uri.path().chars().take(100).collect();
    Problem::new(Code::MethodNotAllowed, format!("{shown} takes {taken}, not {method}"))
}

/// Counts refusals (INV-6), and says to browsers that types are as they are named.
async fn finish(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Some(code) = response.extensions().get::<Code>() {
        app.shared.metrics.refuse(*code);
    }
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// An answer that changes all the time.
fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => {
            let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "private, no-cache")];
            (headers, body).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            Problem::new(Code::Internal, "the answer could not be written").into_response()
        }
    }
}
