//! For those who run the server: is it alive, is it ready, what does it do.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::header;
use model::Code;

use crate::{http::App, problem::Problem};

const TEXT: &str = "text/plain; charset=utf-8";

/// `GET /livez`: the process answers.
pub async fn live() -> Response {
    ([(header::CONTENT_TYPE, TEXT), (header::CACHE_CONTROL, "no-store")], "alive\n").into_response()
}

/// `GET /readyz`: requests can be served.
pub async fn ready(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    if app.is_stopping() {
        return Err(Problem::new(Code::Shutdown, "the server is stopping").retry_after(1000));
    }
    match app.shared.backend.ready() {
        Ok(()) => Ok(([(header::CONTENT_TYPE, TEXT), (header::CACHE_CONTROL, "no-store")], "ready\n").into_response()),
        Err(reason) => Err(Problem::new(Code::Unavailable, reason).retry_after(1000)),
    }
}

/// `GET /metrics`: the text format of Prometheus.
pub async fn metrics(State(app): State<Arc<App>>) -> Response {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], app.shared.prometheus.render()).into_response()
}
