//! The opening handshake of RFC 6455. Behind it the socket leaves HTTP for the hub.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use model::Code;
use sha1::{Digest, Sha1};

use crate::{
    dashboards::DashboardEntry,
    encode::framing::Framing,
    http::{App, guard},
    hub::{Opening, Wish},
    problem::Problem,
    ws::message::{JSON, MESSAGE_PACK},
};

/// RFC 6455, 1.3.
const MAGIC: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// `GET /v1/ws`.
pub async fn open(State(app): State<Arc<App>>, request: Request) -> Response {
    let offered = request.headers();
    // The first that we speak in the client's order; JSON if it offers none.
    let spoken = [(JSON, Framing::Json), (MESSAGE_PACK, Framing::MessagePack)];
    let chosen = tokens(offered, &header::SEC_WEBSOCKET_PROTOCOL)
        .find_map(|token| spoken.iter().find(|(name, _)| token.eq_ignore_ascii_case(name)));
    let framing = chosen.map_or(Framing::Json, |(_, framing)| *framing);
    let mut response = accept(&app, offered, Opening { framing, watches: Vec::new(), dashboard: None });
    if let (StatusCode::SWITCHING_PROTOCOLS, Some((name, _))) = (response.status(), chosen) {
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
    }
    response
}

/// `GET /dashboard/{dashboard}` with an upgrade: plain updates. `packed` as MessagePack.
pub fn open_updates(app: &App, headers: &HeaderMap, dashboard: Arc<DashboardEntry>, packed: bool) -> Response {
    let watches = dashboard.updates.feeds().map(|feed| Wish { feed, since: None, class: None }).collect();
    let framing = Framing::Updates { dashboard: dashboard.slot, packed };
    accept(app, headers, Opening { framing, watches, dashboard: Some(dashboard) })
}

/// Whether a request asks for a WebSocket.
pub fn asks_for_websocket(headers: &HeaderMap) -> bool {
    has_token(headers, &header::UPGRADE, "websocket") && has_token(headers, &header::CONNECTION, "upgrade")
}

fn accept(app: &App, headers: &HeaderMap, opening: Opening) -> Response {
    try_accept(app, headers, opening).unwrap_or_else(|problem| {
        let mut response = problem.into_response();
        response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        response
    })
}

fn try_accept(app: &App, headers: &HeaderMap, opening: Opening) -> Result<Response, Problem> {
    let bad = |detail: &str| Problem::new(Code::BadRequest, detail);
    if !asks_for_websocket(headers) {
        return Err(bad(
            "this path speaks WebSocket: the headers `Connection: Upgrade` and `Upgrade: websocket` are missing",
        ));
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|v| v != "13") {
        return Err(bad("`Sec-WebSocket-Version` is not 13"));
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes).unwrap_or_default();
    if STANDARD.decode(key).map_or(0, |k| k.len()) != 16 {
        return Err(bad("`Sec-WebSocket-Key` is not 16 bytes in base64"));
    }
    guard::check_origin(headers, &app.shared.current().cors)?;
    if app.is_stopping() {
        return Err(Problem::new(Code::Shutdown, "the server is stopping").retry_after(1000));
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let out = response.headers_mut();
    out.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    out.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    let digest = STANDARD.encode(Sha1::new().chain_update(key).chain_update(MAGIC).finalize());
    let digest = HeaderValue::try_from(digest).map_err(|_| Problem::new(Code::Internal, "the handshake failed"))?;
    out.insert(header::SEC_WEBSOCKET_ACCEPT, digest);
    // Whoever drives the connection takes the socket out of HTTP with it.
    response.extensions_mut().insert(opening);
    Ok(response)
}

/// Whether a header that lists tokens has this one.
fn has_token(headers: &HeaderMap, name: &header::HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|t| t.eq_ignore_ascii_case(token))
}

fn tokens<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|v| v.to_str().ok());
    values.flat_map(|v| v.split(',')).map(str::trim)
}
