//! `POST /v1/query`: one SELECT over the rows of one feed as they are on screen, in the form
//! that the client takes.

use std::{sync::Arc, time::Instant};

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use model::Code;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;

use crate::{
    backend::QueryError,
    encode::{answer, body::Representation, compress},
    http::{App, accept, body},
    problem::Problem,
};

/// Bytes of a request: SQL that a person could read.
const MAX_BODY: usize = 64 << 10;

/// How many answers to queries may wait for slow readers (INV-4), each a form of rows of at
/// most `query_memory`. Smaller ones than this fit into a socket's buffer, and do not count.
pub(super) const MAX_ANSWERS: usize = 8;
const SMALL_ANSWER: usize = 64 << 10;

/// When a query may come again whose answer found no room, in milliseconds.
const RETRY_AFTER_MS: u64 = 1_000;

/// An answer that keeps its room until all of it was sent, or nobody is there to read it.
struct Answer {
    body: Bytes,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Answer {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

/// Whether rows are missing. Forms that are only rows have no other place for it.
const TRUNCATED: HeaderName = HeaderName::from_static("tidewire-truncated");

/// What is asked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Query)]
pub struct Asked {
    /// One SELECT over one feed.
    sql: String,
}

/// `POST /v1/query`.
pub async fn query(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    let form = accept::answer(&headers)?;
    let coding = accept::coding(&headers);
    check_media(&headers)?;
    let current = app.shared.current();
    let limits = &current.limits;
    let mut held = current.budget.share();
    let body = body::read(&headers, body, MAX_BODY.min(limits.max_body), limits.body_timeout, &mut held).await?;
    let Asked { sql } = serde_json::from_slice(&body).map_err(|e| {
        let detail = format!("the body is no query: {e}; expected {{\"sql\":\"SELECT …\"}}");
        Problem::new(Code::BadRequest, detail)
    })?;
    drop((body, held));
    let began = Instant::now();
    let answered = app.shared.backend.query(sql, limits).await;
    app.shared.metrics.query_seconds.record(began.elapsed());
    let found = answered?;
    let truncated = found.truncated;
    let encode = move || {
        let plain = answer::body(&found, form)?;
        match coding.filter(|_| plain.len() >= compress::LEAST) {
            Some(coding) => Ok((coding.pack(&[plain])?, Some(coding))),
            None => Ok((plain, None)),
        }
    };
    // Beside the runtime: an answer may have as many rows as a limit says, and not few.
    let encoded = tokio::task::spawn_blocking(encode).await.map_err(|e| std::io::Error::other(e.to_string()));
    let (body, coding) = encoded.flatten().map_err(|error| {
        tracing::error!(%error, "an answer could not be written");
        Problem::new(Code::Internal, "the answer could not be written; the server's log says why")
    })?;
    let body = if body.len() > SMALL_ANSWER {
        let room = Arc::clone(&app.answers).try_acquire_owned().map_err(|_| {
            let detail = format!("{MAX_ANSWERS} large answers to queries are being read already; ask for less");
            Problem::new(Code::Unavailable, detail).retry_after(RETRY_AFTER_MS)
        })?;
        Bytes::from_owner(Answer { body, _room: room })
    } else {
        body
    };
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(form.media_type()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(TRUNCATED, HeaderValue::from_static(if truncated { "true" } else { "false" }));
    if let Some(coding) = coding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    }
    Ok(response)
}

fn check_media(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE).map_or("none", |t| t.to_str().unwrap_or("?"));
    let media = given.split(';').next().unwrap_or_default().trim();
    // A page of another origin can send what it likes only in types that forms have.
    if !media.eq_ignore_ascii_case("application/json") {
        let shown: String = media.chars().take(80).collect();
        let detail = format!("Content-Type: found {shown}, expected application/json");
        return Err(Problem::new(Code::UnsupportedMedia, detail));
    }
    match headers.get(header::CONTENT_ENCODING) {
        Some(coding) if coding != "identity" => {
            Err(Problem::new(Code::UnsupportedMedia, "Content-Encoding: a query comes as it is, not packed"))
        }
        _ => Ok(()),
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        let code = match &error {
            QueryError::Refused(_) => Code::BadQuery,
            QueryError::TimedOut { .. } => Code::QueryTimeout,
            QueryError::TooLarge { .. } => Code::QueryTooLarge,
            QueryError::Failed(_) => Code::QueryFailed,
            QueryError::Busy { .. } => Code::Unavailable,
            QueryError::Stopping => Code::Shutdown,
            QueryError::Fault => Code::Internal,
        };
        let problem = Self::new(code, error.to_string());
        match error {
            QueryError::Busy { retry_after_ms } => problem.retry_after(retry_after_ms),
            _ => problem,
        }
    }
}

/// The forms of an answer: all that have an end.
pub const FORMS: [Representation; 5] = [
    Representation::Json,
    Representation::MessagePack,
    Representation::Ndjson,
    Representation::Csv,
    Representation::Arrow,
];
