//! Who may ask. Without authentication the server listens on loopback, where browsers
//! are the danger: any page they show may send requests here. A page of another origin
//! cannot read answers (CORS), nor write or open sockets (`Origin`), and a name that an
//! attacker points to 127.0.0.1 is not served (`Host`).

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use model::Code;
use percent_encoding::percent_decode_str;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::{http::App, problem::Problem, rates::TooFast, shared::Shared};

/// Answers for the origins in `cors:` alone.
pub fn cors(shared: &Arc<Shared>) -> CorsLayer {
    let shared = Arc::clone(shared);
    let listed = move |origin: &HeaderValue, _: &_| {
        shared.current().cors.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes())
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(listed))
        .allow_methods([Method::GET, Method::HEAD, Method::POST])
        .allow_headers([
            header::CONTENT_TYPE,
            header::CONTENT_ENCODING,
            header::IF_NONE_MATCH,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("last-event-id"),
        ])
        .expose_headers([header::ETAG, header::RETRY_AFTER, HeaderName::from_static("tidewire-cursor")])
}

/// Refuses a `Host` that is not this machine, while only this machine can connect.
pub async fn check_host(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if !app.loopback || is_local(request.headers(), &app.shared.current().cors) {
        return next.run(request).await;
    }
    foreign_host().into_response()
}

/// The answer to a `Host` that is not this machine.
pub fn foreign_host() -> Problem {
    let detail = "this server listens on loopback and answers to localhost; list other origins in `cors:`";
    Problem::new(Code::ForbiddenOrigin, detail)
}

/// Whether `Host` is this machine, or one of a listed origin.
pub fn is_local(headers: &HeaderMap, cors: &[String]) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|h| h.to_str().ok()) else { return false };
    let name = without_port(host);
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|local| name.eq_ignore_ascii_case(local))
        || cors.iter().any(|origin| host_of(origin).is_some_and(|h| without_port(h).eq_ignore_ascii_case(name)))
}

/// Refuses a path that is no UTF-8: the names of streams, feeds and dashboards are.
pub async fn check_path(request: Request, next: Next) -> Response {
    if percent_decode_str(request.uri().path()).decode_utf8().is_ok() {
        return next.run(request).await;
    }
    Problem::new(Code::BadRequest, "the path is no UTF-8 once its percent signs are read").into_response()
}

/// Refuses what a page of another origin would write. A browser asks first only for some
/// posts: one without a body, or with plain text, it just sends.
pub async fn check_writer(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS)
        && let Err(problem) = check_origin(request.headers(), &app.shared.current().cors)
    {
        return problem.into_response();
    }
    next.run(request).await
}

/// Refuses a page of another origin. Programs that are no browsers send no `Origin`.
pub fn check_origin(headers: &HeaderMap, cors: &[String]) -> Result<(), Problem> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or("");
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok());
    let same = host.is_some() && host_of(origin).zip(host).is_some_and(|(o, h)| o.eq_ignore_ascii_case(h));
    if same || cors.iter().any(|allowed| allowed == origin) {
        return Ok(());
    }
    let shown: String = origin.chars().take(100).collect();
    let detail = format!("pages of `{shown}` may neither write here nor open sockets; list it in `cors:`");
    Err(Problem::new(Code::ForbiddenOrigin, detail))
}

/// The host and port of an origin.
fn host_of(origin: &str) -> Option<&str> {
    origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // The colons inside of [::1] are none.
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Paths that are always answered, for those who look after the server.
const FOR_OPERATORS: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// Refuses more requests a second than there may be. The connection has put the client's
/// address into the request.
pub async fn check_rate(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let address = request.extensions().get::<IpAddr>().copied();
    if let Some(address) = address.filter(|_| !FOR_OPERATORS.contains(&request.uri().path()))
        && let Err(TooFast(wait)) = app.shared.rates.request(address)
    {
        let problem = Problem::new(Code::LimitReached, "more requests a second than this server takes; come again");
        return problem.retry_after(wait.as_millis() as u64 + 1).into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(host: &str, origin: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        headers
    }

    #[test]
    fn only_this_machine_and_listed_hosts_are_local() {
        let cors = ["https://ops.example:8443".to_owned()];
        for host in ["localhost", "LOCALHOST:1", "127.0.0.1:8080", "[::1]", "[::1]:80", "ops.example"] {
            assert!(is_local(&headers(host, None), &cors), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "1.2.3.4", ""] {
            assert!(!is_local(&headers(host, None), &cors), "{host}");
        }
        assert!(!is_local(&HeaderMap::new(), &cors));
    }

    #[test]
    fn a_page_of_another_origin_opens_no_socket() {
        let cors = ["https://ops.example".to_owned()];
        let ok = |host, origin| check_origin(&headers(host, origin), &cors).is_ok();
        assert!(ok("localhost:80", None) && ok("localhost:80", Some("http://localhost:80")));
        assert!(ok("localhost:80", Some("https://ops.example")));
        for origin in
            ["http://localhost:81", "null", "", "https://ops.example.evil", "http://ops.example", "localhost:80"]
        {
            assert!(!ok("localhost:80", Some(origin)), "{origin}");
        }
    }
}
