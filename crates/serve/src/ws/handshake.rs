//! The opening handshake of RFC 6455. Behind it the socket leaves HTTP for the hub.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Parts, Upgraded};
use hyper_util::rt::TokioIo;
use model::Code;
use sha1::{Digest, Sha1};
use socket2::SockRef;
use tokio::time::timeout;

use crate::{
    connection::Socket,
    http::{App, guard},
    hub::NewViewer,
    limits::ConnectionGuard,
    problem::Problem,
    ws::message::PROTOCOL,
};

/// RFC 6455, 1.3.
const MAGIC: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The kernel reports a socket as writable only when it holds fewer unsent bytes than
/// this: stale frames do not pile up where nobody can merge them.
const NOTSENT_LOWAT: u32 = 16 << 10;

/// How long the response of the handshake may take to leave.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);

/// `GET /v1/ws`.
pub async fn open(State(app): State<Arc<App>>, mut request: Request) -> Response {
    match accept(&app, &mut request) {
        Ok(response) => response,
        Err(problem) => {
            let mut response = problem.into_response();
            response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            response
        }
    }
}

fn accept(app: &Arc<App>, request: &mut Request) -> Result<Response, Problem> {
    let headers = request.headers();
    let bad = |detail: &str| Problem::new(Code::BadRequest, detail);
    if !has_token(headers, &header::UPGRADE, "websocket") || !has_token(headers, &header::CONNECTION, "upgrade") {
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
    guard::check_origin(headers, &app.shared.cors)?;
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
    if has_token(headers, &header::SEC_WEBSOCKET_PROTOCOL, PROTOCOL) {
        out.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    }
    let Some(connection) = request.extensions().get::<Arc<ConnectionGuard>>().cloned() else {
        return Err(Problem::new(Code::Internal, "the handshake came over no connection"));
    };
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(hand_over(Arc::clone(app), upgrade, connection));
    Ok(response)
}

async fn hand_over(app: Arc<App>, upgrade: OnUpgrade, connection: Arc<ConnectionGuard>) {
    // A client that went away in the middle of its handshake is no news.
    let Ok(Ok(upgraded)) = timeout(UPGRADE_TIMEOUT, upgrade).await else { return };
    match viewer_of(upgraded, app.shared.limits.send_buffer, connection) {
        Ok(viewer) => app.hub.admit(viewer),
        Err(error) => tracing::warn!(%error, "a socket could not leave HTTP"),
    }
}

fn viewer_of(upgraded: Upgraded, send_buffer: usize, connection: Arc<ConnectionGuard>) -> std::io::Result<NewViewer> {
    let parts = upgraded.downcast::<TokioIo<Socket>>().map_err(|_| std::io::Error::other("not a socket of ours"))?;
    let Parts { io, read_buf, .. } = parts;
    let socket = io.into_inner().into_inner().into_std()?;
    let options = SockRef::from(&socket);
    options.set_send_buffer_size(send_buffer)?;
    #[cfg(target_os = "linux")]
    options.set_tcp_notsent_lowat(NOTSENT_LOWAT)?;
    Ok(NewViewer { socket, read: read_buf, connection })
}

/// Whether a header that lists tokens has this one.
fn has_token(headers: &HeaderMap, name: &header::HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|v| v.to_str().ok());
    values.flat_map(|v| v.split(',')).any(|t| t.trim().eq_ignore_ascii_case(token))
}
