//! `GET /v1/streams` and `POST /v1/streams/{stream}`: events in.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use model::{Code, DataType};
use serde::Serialize;
use sources::decode::Format;
use utoipa::ToSchema;

use crate::{
    backend::{Appended, IdempotencyKey, StreamInfo, StreamStatus},
    http::{App, body, json, openapi::shapes::ColumnType},
    ingest::Receipt,
    problem::{self, Problem},
};

/// The longest `Idempotency-Key`.
const MAX_KEY: usize = 255;

/// The streams.
#[derive(Serialize, ToSchema)]
pub struct Streams<'a> {
    streams: Vec<Stream<'a>>,
}

/// A stream.
#[derive(Serialize, ToSchema)]
struct Stream<'a> {
    /// Its name in paths.
    name: &'a str,
    /// Whether clients may send events.
    writable: bool,
    /// The column of event time.
    #[schema(required)]
    event_time: Option<&'a str>,
    /// Its columns.
    columns: Vec<Column<'a>>,
    /// Events accepted since the start.
    accepted: u64,
    /// Records refused since the start.
    refused: u64,
    /// Dead letters since the start: what the stream refused, and what its feeds did (late events).
    dead_letters: u64,
    /// Its watermark, in milliseconds since 1970.
    #[schema(required)]
    watermark: Option<i64>,
    /// Whether all that its source has was read.
    caught_up: bool,
    /// Whether its source will yield nothing more.
    ended: bool,
    /// Why its source cannot be read, if it cannot.
    #[schema(required)]
    failure: Option<&'a str>,
}

/// A column of a stream.
#[derive(Serialize, ToSchema)]
#[schema(as = StreamColumn)]
struct Column<'a> {
    /// Its name.
    name: &'a str,
    /// The field of an event that it is read from.
    from: &'a str,
    #[schema(value_type = ColumnType)]
    r#type: DataType,
    /// Whether an event must have it.
    not_null: bool,
}

impl<'a> Stream<'a> {
    fn new(info: &'a StreamInfo, status: &'a StreamStatus) -> Self {
        let columns = info.columns.iter().map(|c| Column {
            name: &c.name,
            from: &c.from,
            r#type: c.data_type,
            not_null: c.not_null || info.event_time.as_deref() == Some(&c.name),
        });
        Self {
            name: &info.name,
            writable: info.writable,
            event_time: info.event_time.as_deref(),
            columns: columns.collect(),
            accepted: status.accepted,
            refused: status.refused,
            dead_letters: status.dead_letters,
            watermark: status.watermark,
            caught_up: status.caught_up,
            ended: status.ended,
            failure: status.failure.as_deref(),
        }
    }
}

/// `GET /v1/streams`.
pub async fn list(State(app): State<Arc<App>>) -> Response {
    let backend = &app.shared.backend;
    let status = backend.status();
    let written = backend.streams().iter().zip(&status.streams).filter(|(info, _)| !info.implied);
    let streams = written.map(|(info, status)| Stream::new(info, status));
    json(&Streams { streams: streams.collect() })
}

/// `POST /v1/streams/{stream}`. Answered when the events are kept (INV-1).
pub async fn push(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let ingest = &app.shared.ingest;
    let current = app.shared.current();
    let limits = &current.limits;
    let stream = ingest.stream(&name)?;
    let format = format_of(&headers)?;
    let key = key_of(&headers)?;
    let mut held = current.budget.share();
    let raw = body::read(&headers, body, limits.max_body, limits.body_timeout, &mut held).await?;
    let key = key.map(|key| IdempotencyKey { key, body_hash: blake3::hash(&raw).into() });
    let bytes = body::unpacked(&headers, raw, limits.max_unpacked_body, &mut held).await?;
    let body = bytes.len();
    let prepared = ingest.decode(stream, format, bytes).await?;
    // The body is gone, and what it came to may be more.
    held.grow(prepared.bytes().saturating_sub(body))?;
    let answer = Answer::to(prepared.receipt.clone())?;
    let stored = if key.is_some() { answer.pack() } else { Bytes::new() };
    match ingest.append(prepared, key, stored).await? {
        Appended::Done => Ok(answer.into_response()),
        Appended::Replayed(stored) => {
            let answer = Answer::unpack(&stored);
            answer.map(IntoResponse::into_response).ok_or_else(|| {
                tracing::error!("an answer that was kept with an Idempotency-Key cannot be read");
                Problem::new(Code::Internal, "the answer of the first request cannot be read")
            })
        }
    }
}

fn format_of(headers: &HeaderMap) -> Result<Format, Problem> {
    let given = headers.get(header::CONTENT_TYPE).map(|t| t.to_str().unwrap_or("?"));
    let media = given.unwrap_or("none").split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    match media.as_str() {
        "application/json" => Ok(Format::Json),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Format::Ndjson),
        "text/csv" => Ok(Format::Csv),
        "application/msgpack" | "application/vnd.msgpack" | "application/x-msgpack" => Ok(Format::MsgPack),
        _ => {
            let shown: String = media.chars().take(80).collect();
            let expected = "application/json, application/x-ndjson, application/jsonl, text/csv or application/msgpack";
            Err(Problem::new(Code::UnsupportedMedia, format!("Content-Type: found {shown}, expected {expected}")))
        }
    }
}

fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    match value.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= MAX_KEY => Ok(Some(key.to_owned())),
        _ => {
            let detail = format!("`Idempotency-Key` is 1 to {MAX_KEY} visible ASCII characters");
            Err(Problem::new(Code::BadRequest, detail))
        }
    }
}

/// An answer as it can be stored with a key: its status and its body.
struct Answer {
    status: StatusCode,
    body: Bytes,
}

impl Answer {
    fn to(receipt: Receipt) -> Result<Self, Problem> {
        if receipt.is_refusal() {
            let body = Problem::none_accepted(receipt).body();
            return Ok(Self { status: StatusCode::UNPROCESSABLE_ENTITY, body: body.into() });
        }
        let body = serde_json::to_vec(&receipt)
            .map_err(|e| Problem::new(Code::Internal, format!("the answer could not be written: {e}")))?;
        Ok(Self { status: StatusCode::OK, body: body.into() })
    }

    /// The status in three digits, then the body.
    fn pack(&self) -> Bytes {
        [self.status.as_str().as_bytes(), &self.body].concat().into()
    }

    fn unpack(stored: &Bytes) -> Option<Self> {
        let status = StatusCode::from_bytes(stored.get(..3)?).ok()?;
        Some(Self { status, body: stored.slice(3..) })
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        if self.status == StatusCode::OK {
            return ([(header::CONTENT_TYPE, "application/json")], self.body).into_response();
        }
        let mut response = problem::response(self.status, self.body);
        response.extensions_mut().insert(Code::NoneAccepted);
        response
    }
}
