//! `GET /openapi.json`: what this interface takes and answers, for programs (OpenAPI 3.1).
//!
//! - [`paths`]: every path, in the order of [`routes`](super::routes)
//! - [`operation`]: how one is described in few words
//! - [`shapes`]: what frames, values and problems look like; the other answers stand beside
//!   the handlers that give them
//!
//! The document is made once, at the start, and says nothing of this server's own streams and
//! feeds: those who may see them ask `/v1/streams` and `/v1/feeds`.

mod operation;
mod paths;
pub mod shapes;

use std::sync::{Arc, LazyLock};

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use utoipa::openapi::{InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, tag::TagBuilder};

use crate::http::App;

/// What the whole interface has in common.
const ABOUT: &str = "Events in, SQL over them kept up to date, every change out.\n\n\
    Every error is a problem document (RFC 9457) whose `code` is stable. Fields and codes may be \
    added, none is changed or given another meaning. `GET` is answered to `HEAD` as well, without \
    the body; another method is 405 `method_not_allowed`, with `Allow`. A head that is larger than \
    `limits.max_header` is 431, one that is no HTTP 400, both without a body. While the server \
    listens on loopback, it answers to its own hosts and those in `cors:` alone.";

/// The groups of paths.
const TAGS: [(&str, &str); 5] = [
    ("streams", "Events in, and what was refused of them"),
    ("feeds", "Tables that are kept up to date"),
    ("dashboards", "Pages of panels over feeds"),
    ("sockets", "WebSockets"),
    ("operations", "For those who look after the server"),
];

/// The document as it is served.
pub struct Document {
    body: Bytes,
    tag: HeaderValue,
}

impl Document {
    /// Made on the first use, which is the server's start.
    pub fn get() -> Option<&'static Self> {
        static DOCUMENT: LazyLock<Option<Document>> = LazyLock::new(|| {
            let body = serde_json::to_vec(&describe()).ok()?;
            let tag = HeaderValue::try_from(format!("\"{}\"", blake3::hash(&body).to_hex())).ok()?;
            Some(Document { body: body.into(), tag })
        });
        DOCUMENT.as_ref()
    }
}

/// The document.
fn describe() -> OpenApi {
    let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
    let info = InfoBuilder::new().title("Tidewire").version(env!("CARGO_PKG_VERSION")).description(Some(ABOUT));
    let tags = TAGS.map(|(name, about)| TagBuilder::new().name(name).description(Some(about)).build());
    OpenApiBuilder::new()
        .info(info.license(Some(license)).build())
        .tags(Some(tags))
        .paths(paths::all())
        .components(Some(shapes::all()))
        .build()
}

/// `GET /openapi.json`.
pub async fn get(State(_): State<Arc<App>>, headers: HeaderMap) -> Response {
    let Some(document) = Document::get() else {
        let detail = "the description could not be made";
        return crate::problem::Problem::new(model::Code::Internal, detail).into_response();
    };
    let held = headers.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|v| v.to_str().ok());
    let mut tags = held.flat_map(|v| v.split(',')).map(|t| t.trim().trim_start_matches("W/"));
    let unchanged = tags.any(|tag| tag.as_bytes() == document.tag.as_bytes());
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, "application/json")], document.body.clone()).into_response()
    };
    response.headers_mut().insert(header::ETAG, document.tag.clone());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use model::Code;
    use serde_json::Value;

    use super::*;
    use crate::http::routes;

    /// Codes that only messages of a WebSocket are answered with.
    const OF_SOCKETS: [Code; 3] = [Code::BadMessage, Code::UnknownRef, Code::DuplicateRef];

    /// What any path answers to a method that it does not take: no method that is described.
    const OF_METHODS: [Code; 1] = [Code::MethodNotAllowed];

    fn document() -> Value {
        serde_json::from_slice(&Document::get().expect("a document").body).expect("JSON")
    }

    /// Every value under a key, however deep.
    fn under<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
        match value {
            Value::Object(map) => map.iter().for_each(|(name, inner)| {
                if name == key {
                    found.push(inner);
                }
                under(inner, key, found);
            }),
            Value::Array(items) => items.iter().for_each(|inner| under(inner, key, found)),
            _ => {}
        }
    }

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let document = document();
        let paths = document["paths"].as_object().expect("paths").iter();
        let described: BTreeSet<(String, String)> = paths
            .flat_map(|(path, item)| {
                item.as_object().expect("methods").keys().map(|method| (path.clone(), method.to_uppercase()))
            })
            .collect();
        let routed = routes().paths.into_iter().map(|(path, method)| (path.replace("{*", "{"), method.to_string()));
        assert_eq!(described, routed.collect());
    }

    #[test]
    fn every_code_is_described_where_it_is_answered() {
        let document = document();
        let mut lists = Vec::new();
        under(&document["paths"], "x-codes", &mut lists);
        let listed = lists.into_iter().flat_map(|l| l.as_array().expect("a list")).map(|c| c.as_str().expect("a text"));
        let elsewhere = OF_SOCKETS.iter().chain(&OF_METHODS).map(|c| c.as_str());
        let described: Vec<&str> = listed.collect();
        assert!(elsewhere.clone().all(|code| !described.contains(&code)));
        let all: BTreeSet<&str> = described.into_iter().chain(elsewhere).collect();
        assert_eq!(all, Code::ALL.iter().map(|c| c.as_str()).collect());
    }

    #[test]
    fn every_shape_that_is_named_is_there() {
        let document = document();
        let mut names = Vec::new();
        under(&document, "$ref", &mut names);
        assert!(!names.is_empty());
        for name in names {
            let pointer = name.as_str().expect("a text").trim_start_matches('#');
            assert!(document.pointer(pointer).is_some(), "{name}");
        }
    }

    #[test]
    fn every_part_of_a_path_is_a_parameter() {
        for (path, item) in document()["paths"].as_object().expect("paths") {
            let parts = path.matches('{').count();
            for operation in item.as_object().expect("methods").values() {
                let parameters = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
                let named = parameters.iter().filter(|p| p["in"] == "path");
                let named = named.filter(|p| path.contains(&format!("{{{}}}", p["name"].as_str().expect("a name"))));
                assert_eq!(named.count(), parts, "{path}");
            }
        }
    }
}
