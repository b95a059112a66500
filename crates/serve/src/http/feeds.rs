//! `GET /v1/feeds`: which feeds there are; `POST /v1/feeds/{feed}/rebuild`.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use model::{Code, DataType, FeedKind, Offset};
use serde::Serialize;

use crate::{
    backend::{FeedInfo, FeedStatus, RebuildError},
    http::{App, json},
    problem::Problem,
};

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
    rebuilding: Option<f64>,
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
            rebuilding: status.rebuilding,
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

/// `POST /v1/feeds/{feed}/rebuild`. Answered when it has begun; `GET /v1/feeds` says how far it is.
pub async fn rebuild(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Response, Problem> {
    let index = app.shared.known_feed(&name)?;
    app.shared.backend.rebuild(index).await.map_err(|error| match error {
        RebuildError::Refused(why) => Problem::new(Code::CannotRebuild, why),
        RebuildError::Failed(why) => {
            tracing::error!("feed `{name}` cannot be rebuilt: {why}");
            Problem::new(Code::Internal, "the feed cannot be rebuilt; the server's log says why")
        }
        RebuildError::Stopping => Problem::new(Code::Shutdown, error.to_string()).retry_after(1000),
    })?;
    let mut response = json(&Rebuilding { feed: &name });
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(response)
}

#[derive(Serialize)]
struct Rebuilding<'a> {
    feed: &'a str,
}
