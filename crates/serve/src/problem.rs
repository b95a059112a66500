//! Errors over HTTP: problem documents (RFC 9457) with a stable `code`.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use model::Code;
use serde::Serialize;

use crate::{
    backend::{AppendError, Reason, Unavailable},
    ingest::{self, Receipt},
};

/// The media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// A request that is refused.
#[derive(Debug)]
pub struct Problem {
    code: Code,
    detail: String,
    retry_after_ms: Option<u64>,
    receipt: Option<Receipt>,
    reasons: Vec<Reason>,
}

impl Problem {
    /// With a text for a person.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), retry_after_ms: None, receipt: None, reasons: Vec::new() }
    }

    /// With the time after which to come again, in milliseconds.
    #[must_use]
    pub fn retry_after(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }

    /// None of a request's events was accepted: the document lists them as an answer would.
    pub fn none_accepted(receipt: Receipt) -> Self {
        let first = receipt.rejected.first().map_or("", |r| r.message.as_str());
        let detail = format!("none of {} events was accepted; the first: {first}", receipt.rejected_total);
        Self { receipt: Some(receipt), ..Self::new(Code::NoneAccepted, detail) }
    }

    /// Requests cannot be served: the document lists why.
    pub fn not_ready(code: Code, reasons: Vec<Reason>) -> Self {
        let all: Vec<&str> = reasons.iter().map(|r| r.message.as_str()).collect();
        let detail = all.join("; ");
        Self { reasons, ..Self::new(code, detail) }
    }

    /// The document.
    pub fn body(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Document<'a> {
            title: String,
            status: u16,
            code: &'static str,
            detail: &'a str,
            #[serde(flatten)]
            receipt: Option<&'a Receipt>,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            reasons: &'a [Reason],
        }
        let document = Document {
            title: title(self.code),
            status: self.code.status(),
            code: self.code.as_str(),
            detail: &self.detail,
            receipt: self.receipt.as_ref(),
            reasons: &self.reasons,
        };
        // Text keys and plain values: it cannot fail.
        serde_json::to_vec(&document).unwrap_or_default()
    }
}

/// The code in words.
fn title(code: Code) -> String {
    let mut words = code.as_str().replace('_', " ");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}

/// A problem document that was made before.
pub fn response(status: StatusCode, body: impl Into<axum::body::Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = response(status, self.body());
        if let Some(ms) = self.retry_after_ms {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1000).max(1)));
        }
        // Counted on the way out, see `http::count`.
        response.extensions_mut().insert(self.code);
        response
    }
}

impl From<AppendError> for Problem {
    fn from(error: AppendError) -> Self {
        let (code, detail, retry_after_ms) = ingest::refusal(&error);
        Self { retry_after_ms, ..Self::new(code, detail) }
    }
}

impl From<Unavailable> for Problem {
    fn from(error: Unavailable) -> Self {
        // Not all who poll in the same moment.
        Self::new(Code::Shutdown, error.to_string()).retry_after(rand::random_range(500..3000))
    }
}

impl From<(Code, String)> for Problem {
    fn from((code, detail): (Code, String)) -> Self {
        Self::new(code, detail)
    }
}
