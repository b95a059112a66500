//! For those who run the server: is it alive, is it ready, what does it do.

use std::sync::Arc;

use axum::{
    extract::{Query, State},
    http::Uri,
    response::{IntoResponse, Response},
};
use http::header;
use metrics_exporter_prometheus::PrometheusHandle;
use model::Code;

use crate::{backend::Reason, http::App, problem::Problem};

const TEXT: &str = "text/plain; charset=utf-8";

/// `GET /livez`: the process answers.
pub async fn live() -> Response {
    alive()
}

/// The process answers.
pub fn alive() -> Response {
    ([(header::CONTENT_TYPE, TEXT), (header::CACHE_CONTROL, "no-store")], "alive\n").into_response()
}

/// `GET /readyz`: requests can be served, or else all that stands against it. With
/// `?exclude=CODE` a reason does not count; it may come several times.
pub async fn ready(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Problem> {
    if app.is_stopping() {
        let reason = Reason { code: "stopping", message: "the server is stopping".to_owned() };
        return Err(Problem::not_ready(Code::Shutdown, vec![reason]).retry_after(1000));
    }
    let pairs = Query::<Vec<(String, String)>>::try_from_uri(&uri)
        .map_err(|e| Problem::new(Code::BadRequest, e.to_string()))?;
    let excluded = |code: &str| pairs.0.iter().any(|(name, value)| name == "exclude" && value == code);
    let reasons: Vec<Reason> = app.shared.backend.not_ready().into_iter().filter(|r| !excluded(r.code)).collect();
    if reasons.is_empty() {
        return Ok(([(header::CONTENT_TYPE, TEXT), (header::CACHE_CONTROL, "no-store")], "ready\n").into_response());
    }
    Err(Problem::not_ready(Code::Unavailable, reasons).retry_after(1000))
}

/// `GET /metrics`: the text format of Prometheus.
pub async fn metrics(State(app): State<Arc<App>>) -> Response {
    text(&app.shared.prometheus)
}

/// All metrics as they stand.
pub fn text(prometheus: &PrometheusHandle) -> Response {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], prometheus.render()).into_response()
}
