//! `GET /v1/feeds`: which feeds there are.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use model::{DataType, FeedKind, Offset};
use serde::Serialize;

use crate::{
    backend::{FeedInfo, FeedStatus},
    http::{App, json},
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
