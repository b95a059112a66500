//! The HTTP interface: one router.
//!
//! - [`streams`]: events in
//! - [`dead_letters`]: what was refused of them
//! - [`body`]: bodies, within their limits
//! - [`feeds`], [`read`]: which feeds there are; reading one; [`accept`]: in which form
//! - [`query`]: SQL over one
//! - [`page`]: the dashboards and their page
//! - [`ops`]: liveness, readiness, metrics
//! - [`openapi`]: all of it, described for programs
//! - [`guard`]: who may ask: `Host`, `Origin`, CORS

mod accept;
pub mod body;
mod dead_letters;
mod feeds;
pub mod guard;
mod openapi;
pub mod ops;
mod page;
mod query;
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
    /// Whether only this machine can connect, so that a foreign `Host` is an attack.
    loopback: bool,
    stopping: AtomicBool,
    /// Held by the replay of dead letters that is under way.
    replaying: tokio::sync::Mutex<()>,
    /// Large answers to queries that may be on their way to clients at once.
    answers: Arc<tokio::sync::Semaphore>,
}

impl App {
    /// For a started hub.
    pub fn new(shared: Arc<Shared>, hub: Hub, polls: Arc<Polls>, loopback: bool) -> Self {
        let (stopping, replaying) = (AtomicBool::new(false), tokio::sync::Mutex::new(()));
        let answers = Arc::new(tokio::sync::Semaphore::new(query::MAX_ANSWERS));
        Self { shared, hub, polls, loopback, stopping, replaying, answers }
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
    routes()
        .router
        .fallback(page::other)
        .with_state(Arc::clone(app))
        .layer(guard::cors(&app.shared))
        .layer(middleware::from_fn(guard::check_path))
        .layer(middleware::from_fn_with_state(Arc::clone(app), guard::check_writer))
        .layer(middleware::from_fn_with_state(Arc::clone(app), guard::check_host))
        .layer(middleware::from_fn_with_state(Arc::clone(app), guard::check_rate))
        .layer(middleware::from_fn_with_state(Arc::clone(app), finish))
}

fn routes() -> Routes {
    Routes::default()
        .read("/v1/streams", streams::list)
        .write("/v1/streams/{stream}", streams::push)
        .read("/v1/streams/{stream}/dead-letters", dead_letters::list)
        .write("/v1/streams/{stream}/dead-letters/replay", dead_letters::replay)
        .read("/v1/feeds", feeds::list)
        .read("/v1/feeds/{feed}", read::read)
        .write("/v1/feeds/{feed}/rebuild", feeds::rebuild)
        .write("/v1/query", query::query)
        .read("/v1/dashboards", page::list)
        .read("/v1/dashboards/{dashboard}", page::describe)
        .socket("/v1/ws", handshake::open)
        .read("/livez", ops::live)
        .read("/readyz", ops::ready)
        .read("/metrics", ops::metrics)
        .read("/openapi.json", openapi::get)
        .read("/", page::index)
        .read("/dashboard/{dashboard}", page::dashboard)
        .read("/assets/{*path}", page::asset)
}

/// Paths with their methods, which the router alone would not tell: each is described.
#[derive(Default)]
struct Routes {
    router: Router<Arc<App>>,
    paths: Vec<(&'static str, Method)>,
}

impl Routes {
    /// A path that is read.
    fn read<H: Handler<T, Arc<App>>, T: 'static>(self, path: &'static str, handler: H) -> Self {
        let refuse = async |method: Method, uri: Uri| not_allowed(&method, &uri, "GET and HEAD");
        self.route(path, Method::GET, get(handler).fallback(refuse))
    }

    /// A path that is written to.
    fn write<H: Handler<T, Arc<App>>, T: 'static>(self, path: &'static str, handler: H) -> Self {
        let refuse = async |method: Method, uri: Uri| not_allowed(&method, &uri, "POST");
        self.route(path, Method::POST, post(handler).fallback(refuse))
    }

    /// A path that is a WebSocket: without its body a read of it means nothing.
    fn socket<H: Handler<T, Arc<App>>, T: 'static>(self, path: &'static str, handler: H) -> Self {
        let refuse = async |method: Method, uri: Uri| ([(header::ALLOW, "GET")], not_allowed(&method, &uri, "GET"));
        self.route(path, Method::GET, get(handler).head(refuse).fallback(refuse))
    }

    fn route(mut self, path: &'static str, method: Method, handler: MethodRouter<Arc<App>>) -> Self {
        self.router = self.router.route(path, handler);
        self.paths.push((path, method));
        self
    }
}

/// Another method than those that a path takes; `Allow` lists them.
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
