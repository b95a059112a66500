//! `GET /v1/feeds` and `GET /v1/feeds/{feed}`: the snapshot, with its cursor as ETag.

use std::{convert::Infallible, sync::Arc};

use axum::{
    body::Body,
    extract::{Path, State},
    response::Response,
};
use bytes::Bytes;
use feed::{Changes, Snapshot};
use futures_util::stream;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use model::{Code, Cursor, DataType, FeedKind, Offset};
use serde::Serialize;

use crate::{
    backend::{FeedInfo, FeedStatus},
    http::{App, json},
    problem::Problem,
    shared::FeedEntry,
};

/// Snapshots with more rows are encoded beside the runtime.
const INLINE_ROWS: usize = 2048;

#[derive(Serialize)]
struct Feeds<'a> {
    feeds: Vec<Feed<'a>>,
}

#[derive(Serialize)]
struct Feed<'a> {
    name: &'a str,
    kind: &'static str,
    stream: &'a str,
    sql: &'a str,
    key: Vec<&'a str>,
    columns: Vec<Column<'a>>,
    rows: u64,
    groups: u64,
    offset: Offset,
}

#[derive(Serialize)]
struct Column<'a> {
    name: &'a str,
    r#type: DataType,
}

impl<'a> Feed<'a> {
    fn new(info: &'a FeedInfo, status: &FeedStatus) -> Self {
        Self {
            name: &info.name,
            kind: match info.schema.kind {
                FeedKind::Upsert => "upsert",
                FeedKind::Append => "append",
            },
            stream: &info.stream,
            sql: &info.sql,
            key: info.schema.key().iter().map(|c| c.name.as_str()).collect(),
            columns: info.schema.schema.columns.iter().map(|c| Column { name: &c.name, r#type: c.data_type }).collect(),
            rows: status.rows,
            groups: status.groups,
            offset: status.offset,
        }
    }
}

/// `GET /v1/feeds`.
pub async fn list(State(app): State<Arc<App>>) -> Response {
    let backend = &app.shared.backend;
    let status = backend.status();
    let feeds = backend.feeds().iter().zip(&status.feeds).map(|(info, status)| Feed::new(info, status));
    json(&Feeds { feeds: feeds.collect() })
}

/// `GET /v1/feeds/{feed}`.
pub async fn snapshot(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Some(index) = app.shared.feed(&name) else {
        let shown: String = name.chars().take(80).collect();
        let detail = format!("there is no feed `{shown}`; GET /v1/feeds lists them");
        return Err(Problem::new(Code::UnknownFeed, detail));
    };
    // An answer that ignores a condition would be a wrong one.
    if let Some(query) = uri.query().filter(|q| !q.is_empty()) {
        let name: String = query.split(['=', '&']).next().unwrap_or("").chars().take(40).collect();
        return Err(Problem::new(Code::BadRequest, format!("the parameter `{name}` is not served by this version")));
    }
    let entry = &app.shared.feeds[index];
    let backend = &app.shared.backend;
    if let Some(since) = held_by_client(&headers, entry)
        && let Changes::Delta(delta) = backend.changes_since(index, Some(since)).await?
        && delta.upserts.num_rows() + delta.deletes.num_rows() == 0
    {
        return Ok(respond(StatusCode::NOT_MODIFIED, entry.encoder.cursor(since), Body::empty()));
    }
    let Changes::Snapshot(snapshot) = backend.changes_since(index, None).await? else {
        tracing::error!(feed = name, "a delta came where a snapshot was asked for");
        return Err(Problem::new(Code::Internal, "the snapshot could not be made"));
    };
    let cursor = entry.encoder.cursor(snapshot.offset);
    let chunks = chunks_of(&app, index, snapshot).await?;
    let length = chunks.iter().map(Bytes::len).sum::<usize>();
    // The chunks are shared by all who ask for this snapshot; none is copied.
    let parts = (0..chunks.len()).map(move |i| Ok::<_, Infallible>(chunks[i].clone()));
    let mut response = respond(StatusCode::OK, cursor, Body::from_stream(stream::iter(parts)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    Ok(response)
}

async fn chunks_of(app: &Arc<App>, index: usize, snapshot: Arc<Snapshot>) -> Result<Arc<[Bytes]>, Problem> {
    let encoder = &app.shared.feeds[index].encoder;
    if snapshot.len() <= INLINE_ROWS {
        return Ok(Arc::clone(encoder.body(&snapshot)));
    }
    let app = Arc::clone(app);
    let work = move || Arc::clone(app.shared.feeds[index].encoder.body(&snapshot));
    let chunks = tokio::task::spawn_blocking(work).await;
    chunks.map_err(|_| Problem::new(Code::Internal, "the snapshot could not be encoded"))
}

/// The newest cursor of ours in `If-None-Match`.
fn held_by_client(headers: &HeaderMap, entry: &FeedEntry) -> Option<Offset> {
    let values = headers.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|v| v.to_str().ok());
    let tags = values.flat_map(|v| v.split(',')).map(|t| t.trim().trim_start_matches("W/").trim_matches('"'));
    let cursors = tags.filter_map(|t| t.parse::<Cursor>().ok());
    cursors.filter(|c| *c == entry.encoder.cursor(c.offset)).map(|c| c.offset).max()
}

fn respond(status: StatusCode, cursor: Cursor, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::try_from(format!("W/\"{cursor}\"")) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding, Authorization, Cookie"));
    response
}
