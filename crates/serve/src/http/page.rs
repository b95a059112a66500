//! The dashboards: their descriptions, and the page that draws them, which is part of
//! the program.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, Query, Request, State},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use model::Code;
use rust_embed::{EmbeddedFile, RustEmbed};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    http::{App, json},
    problem::Problem,
    ws::handshake,
};

/// The built page, or a sentence that says how to build it; see `build.rs`.
#[derive(RustEmbed)]
#[folder = "$OUT_DIR/page"]
struct Page;

/// Scripts, fonts and connections of this server alone. Style attributes are set by the
/// drawing code, so they are allowed.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// The dashboards.
#[derive(Serialize, ToSchema)]
pub struct Dashboards<'a> {
    dashboards: Vec<Dashboard<'a>>,
}

/// A dashboard.
#[derive(Serialize, ToSchema)]
struct Dashboard<'a> {
    /// Its name in paths.
    name: &'a str,
    /// Its title.
    title: &'a str,
}

/// `GET /v1/dashboards`.
pub async fn list(State(app): State<Arc<App>>) -> Response {
    let dashboards = app.shared.dashboards.list();
    let dashboards = dashboards.iter().map(|d| Dashboard { name: &d.name, title: &d.title });
    json(&Dashboards { dashboards: dashboards.collect() })
}

/// `GET /v1/dashboards/{dashboard}`. Its tag says whether it has changed.
pub async fn describe(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Some(dashboard) = app.shared.dashboards.get(&name) else { return Err(unknown(&name)) };
    let tag = format!("\"{}\"", &blake3::hash(dashboard.json.as_bytes()).to_hex()[..32]);
    let mut response = Response::new(Body::empty());
    if holds(&headers, &tag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        *response.body_mut() = Body::from(dashboard.json.clone());
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}

/// Whether the client holds what has this tag.
fn holds(headers: &HeaderMap, tag: &str) -> bool {
    let held = headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok());
    held.is_some_and(|v| v.split(',').any(|t| t.trim().trim_start_matches("W/") == tag))
}

fn unknown(name: &str) -> Problem {
    let shown: String = name.chars().take(80).collect();
    Problem::new(Code::UnknownDashboard, format!("there is no dashboard `{shown}`; GET /v1/dashboards lists them"))
}

/// `GET /`: the page, which lists the dashboards.
pub async fn index(headers: HeaderMap) -> Response {
    document(&headers)
}

/// `GET /dashboard/{dashboard}`: with an upgrade to WebSocket, its updates; else the page.
/// That says itself that there is no such dashboard; the status says it to everybody else.
pub async fn dashboard(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let known = app.shared.dashboards.get(&name);
    let packed = is_packed(&uri)?;
    if method == Method::GET && handshake::asks_for_websocket(&headers) {
        let Some(dashboard) = known else { return Err(unknown(&name)) };
        return Ok(handshake::open_updates(&app, &headers, dashboard, packed));
    }
    let mut response = document(&headers);
    if known.is_none() && response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    Ok(response)
}

/// Whether updates are asked for in MessagePack.
fn is_packed(uri: &Uri) -> Result<bool, Problem> {
    let bad = |detail: String| Problem::new(Code::BadRequest, detail);
    let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|e| bad(e.to_string()))?;
    match pairs.0.iter().find(|(name, _)| name == "format").map(|(_, value)| value.as_str()) {
        None | Some("json") => Ok(false),
        Some("msgpack") => Ok(true),
        Some(other) => {
            let shown: String = other.chars().take(40).collect();
            Err(bad(format!("`format` is json or msgpack, found `{shown}`")))
        }
    }
}

/// `GET /assets/…`: parts of the page, named by their content.
pub async fn asset(uri: Uri, headers: HeaderMap) -> Response {
    match file(&uri) {
        Some((path, file)) => embedded(path, &file, "public, max-age=31536000, immutable", &headers),
        None => not_found(&uri),
    }
}

/// Every other path: files that stand beside the page (its icon), or nothing.
pub async fn other(request: Request) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    match file(request.uri()).filter(|_| reads) {
        Some((path, file)) => embedded(path, &file, "no-cache", request.headers()),
        None => not_found(request.uri()),
    }
}

fn file(uri: &Uri) -> Option<(&str, EmbeddedFile)> {
    let path = uri.path().trim_start_matches('/');
    Page::get(path).map(|file| (path, file))
}

fn document(headers: &HeaderMap) -> Response {
    match Page::get("index.html") {
        Some(file) => embedded("index.html", &file, "no-cache", headers),
        None => Problem::new(Code::Internal, "the page is missing from the program").into_response(),
    }
}

fn not_found(uri: &Uri) -> Response {
    let shown: String = uri.path().chars().take(100).collect();
    Problem::new(Code::NotFound, format!("there is nothing at {shown}")).into_response()
}

fn embedded(path: &str, file: &EmbeddedFile, caching: &'static str, headers: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", STANDARD.encode(file.metadata.sha256_hash()));
    let unchanged = holds(headers, &tag);
    let mut response = Response::new(if unchanged { Body::empty() } else { Body::from(file.data.to_vec()) });
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let out = response.headers_mut();
    if let Ok(tag) = HeaderValue::try_from(tag) {
        out.insert(header::ETAG, tag);
    }
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(path)));
    if media_type(path).starts_with("text/html") {
        out.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        out.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    }
    response
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
