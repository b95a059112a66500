//! `GET /v1/feeds`: which feeds there are; `POST /v1/feeds/{feed}/rebuild`.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use model::{Code, DataType, FeedKind, Offset};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    backend::{FeedInfo, FeedStatus, RebuildError},
    http::{App, json, openapi::shapes::ColumnType},
    problem::Problem,
};

/// The feeds.
#[derive(Serialize, ToSchema)]
pub struct Feeds<'a> {
    feeds: Vec<Feed<'a>>,
}

/// A feed.
#[derive(Serialize, ToSchema)]
struct Feed<'a> {
    /// Its name in paths.
    name: &'a str,
    /// Whether rows are replaced by their key (`upsert`) or only added (`append`).
    #[schema(pattern = "^(upsert|append)$")]
    kind: &'static str,
    /// The stream that it reads.
    stream: &'a str,
    /// Its query.
    sql: &'a str,
    /// The columns that name a row.
    key: Vec<&'a str>,
    /// Its columns, those of the key first.
    columns: Vec<Column<'a>>,
    /// Rows now.
    rows: u64,
    /// Groups that its query holds.
    groups: u64,
    /// The tick of its last change.
    #[schema(value_type = u64)]
    offset: Offset,
    /// Milliseconds since its last change; null if it never changed.
    #[schema(required)]
    silent_ms: Option<u64>,
    /// How much of its past has been made anew, while that goes on.
    #[schema(required, minimum = 0, maximum = 1)]
    rebuilding: Option<f64>,
    /// Why its past could not be made anew, if that was tried last: some of it may be missing.
    #[schema(required)]
    failure: Option<&'a str>,
}

/// A column of a feed.
#[derive(Serialize, ToSchema)]
#[schema(as = FeedColumn)]
struct Column<'a> {
    /// Its name.
    name: &'a str,
    #[schema(value_type = ColumnType)]
    r#type: DataType,
}

impl<'a> Feed<'a> {
    fn new(info: &'a FeedInfo, status: &'a FeedStatus) -> Self {
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
            silent_ms: status.silent_ms,
            rebuilding: status.rebuilding,
            failure: status.failure.as_deref(),
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

/// A feed that is being made anew.
#[derive(Serialize, ToSchema)]
pub struct Rebuilding<'a> {
    /// Its name.
    feed: &'a str,
}
