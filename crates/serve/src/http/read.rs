//! `GET /v1/feeds/{feed}`: what changed since a cursor, or the snapshot, in the form that
//! the client takes; at once, when something changed, or as long as the client stays.

use std::{convert::Infallible, str::FromStr, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use feed::Changes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, Version, header};
use model::{Code, Cursor, Offset};
use tokio::time::sleep;

use crate::{
    encode::{
        body::Representation,
        compress::{self, Coding},
        framing::{self, Framing},
    },
    http::{App, accept},
    hub::{self, Opening, Wish},
    problem::Problem,
    shared::FeedEntry,
    ws::message,
};

/// What has more rows is encoded beside the runtime.
const INLINE_ROWS: usize = 2048;

/// A long poll waits at most so long; most proxies give up after a minute.
const MAX_WAIT: Duration = Duration::from_mins(1);

/// How often a snapshot is asked for while there is no room for it, and how long after one
/// another: most readers are done in less.
const ATTEMPTS: usize = 10;
const PAUSE: Duration = Duration::from_millis(50);

/// The cursor behind an answer. Forms that are only rows have no other place for it.
const CURSOR: HeaderName = HeaderName::from_static("tidewire-cursor");

/// What SSE sends when it is connected again: the last `id`.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The parameters of a read.
#[derive(Default)]
struct Parameters {
    since: Option<Cursor>,
    wait: Option<Duration>,
    max_rate: Option<f64>,
}

impl Parameters {
    fn of(uri: &Uri) -> Result<Self, Problem> {
        let bad = |detail: String| Problem::new(Code::BadRequest, detail);
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|e| bad(e.to_string()))?;
        let mut parameters = Self::default();
        for (name, value) in &pairs.0 {
            let shown: String = value.chars().take(40).collect();
            match name.as_str() {
                "since" => parameters.since = Some(cursor(value)?),
                "wait" => {
                    let wait = duration(value)
                        .ok_or_else(|| bad(format!("`wait` is a duration as in 25s, found `{shown}`")))?;
                    parameters.wait = Some(wait.min(MAX_WAIT));
                }
                "max_rate" => {
                    let rate = value.parse::<f64>().ok().filter(|r| r.is_finite() && *r > 0.0);
                    let refuse = || bad(format!("`max_rate` is a number of frames a second above 0, found `{shown}`"));
                    parameters.max_rate = Some(rate.ok_or_else(refuse)?);
                }
                // An answer that ignores a condition would be a wrong one.
                other => {
                    let name: String = other.chars().take(40).collect();
                    let detail = format!(
                        "the parameter `{name}` is not served by this version: expected since, wait or max_rate"
                    );
                    return Err(bad(detail));
                }
            }
        }
        Ok(parameters)
    }
}

fn cursor(text: &str) -> Result<Cursor, Problem> {
    Cursor::from_str(text).map_err(|e| Problem::new(Code::MalformedCursor, e.to_string()))
}

/// Whole milliseconds, seconds or minutes.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u32 = text[..digits].parse().ok()?;
    match &text[digits..] {
        "ms" => Some(Duration::from_millis(number.into())),
        "s" => Some(Duration::from_secs(number.into())),
        "m" => Some(Duration::from_secs(u64::from(number) * 60)),
        _ => None,
    }
}

/// `GET /v1/feeds/{feed}`.
pub async fn read(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let feed = app.shared.known_feed(&name)?;
    let parameters = Parameters::of(&uri)?;
    let form = accept::representation(&headers, parameters.since.is_some())?;
    if form == Representation::EventStream {
        return follow(&app, feed, parameters, &headers);
    }
    let coding = accept::coding(&headers);
    let entry = &app.shared.feeds[feed];
    if let Some(cursor) = parameters.since {
        let wait = parameters.wait.unwrap_or_default();
        let since = entry.encoder.offset_of(cursor);
        let changes = match since {
            Some(since) => app.polls.changes_since(feed, since, wait).await?,
            None => app.shared.backend.changes_since(feed, None).await?,
        };
        let changes = match changes {
            Changes::Snapshot(s) => Changes::Snapshot(entry.snapshots.share_with_poll(&s, since).ok_or_else(no_room)?),
            delta @ Changes::Delta(_) => delta,
        };
        let reset = matches!(changes, Changes::Snapshot(_));
        if reset {
            entry.metrics.resets.increment(1);
        }
        return respond(&app, feed, changes, form, reset, coding).await;
    }
    let held = held_by_client(&headers, entry, form);
    if let Some(since) = held
        && let Changes::Delta(delta) = app.shared.backend.changes_since(feed, Some(since)).await?
        && delta.is_empty()
    {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        describe(response.headers_mut(), entry.encoder.cursor(since), form);
        return Ok(response);
    }
    let changes = table_of_now(&app, feed).await?;
    respond(&app, feed, changes, form, false, coding).await
}

/// The snapshot. While many older ones are being read this one is not added to them (INV-4):
/// it waits a little for one of them to end.
async fn table_of_now(app: &App, feed: usize) -> Result<Changes, Problem> {
    for _ in 0..ATTEMPTS {
        let changes = app.shared.backend.changes_since(feed, None).await?;
        let Changes::Snapshot(snapshot) = &changes else { return Ok(changes) };
        if let Some(admitted) = app.shared.feeds[feed].snapshots.admit(snapshot) {
            return Ok(Changes::Snapshot(admitted));
        }
        drop(changes);
        sleep(PAUSE).await;
    }
    Err(no_room())
}

fn no_room() -> Problem {
    let detail = "slow readers hold all the memory that older snapshots of this feed may take";
    Problem::new(Code::Unavailable, detail).retry_after(1000)
}

async fn respond(
    app: &Arc<App>,
    feed: usize,
    changes: Changes,
    form: Representation,
    reset: bool,
    coding: Option<Coding>,
) -> Result<Response, Problem> {
    let cursor = app.shared.feeds[feed].encoder.cursor(changes.offset());
    let (chunks, coding) = body_of(app, feed, changes.clone(), form, reset, coding).await?;
    let length = chunks.iter().map(Bytes::len).sum::<usize>();
    // The chunks are shared by all who ask for the same; none is copied. What they were
    // made of is held with them, so that it counts as being read.
    let parts = (0..chunks.len()).map(move |i| {
        let _held = &changes;
        Ok::<_, Infallible>(chunks[i].clone())
    });
    let mut response = Response::new(Body::from_stream(stream::iter(parts)));
    let headers = response.headers_mut();
    describe(headers, cursor, form);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(form.media_type()));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    if let Some(coding) = coding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    }
    Ok(response)
}

/// The chunks of a body, and the coding in which they are.
async fn body_of(
    app: &Arc<App>,
    feed: usize,
    changes: Changes,
    form: Representation,
    reset: bool,
    coding: Option<Coding>,
) -> Result<(Arc<[Bytes]>, Option<Coding>), Problem> {
    let rows = match &changes {
        Changes::Snapshot(snapshot) => snapshot.len(),
        Changes::Delta(delta) => delta.upserts.num_rows() + delta.deletes.num_rows(),
    };
    let app = Arc::clone(app);
    let work = move || {
        let encoder = &app.shared.feeds[feed].encoder;
        let plain = encoder.body(&changes, form, reset);
        let length: usize = plain.iter().map(Bytes::len).sum();
        match coding.filter(|_| length >= compress::LEAST) {
            Some(coding) => (encoder.packed_body(&changes, form, reset, coding), Some(coding)),
            None => (plain, None),
        }
    };
    let (chunks, coding) = if rows <= INLINE_ROWS {
        work()
    } else {
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|_| Problem::new(Code::Internal, "the body could not be made"))?
    };
    if chunks.is_empty() {
        return Err(Problem::new(Code::Internal, "the body could not be made; the server's log says why"));
    }
    Ok((chunks, coding))
}

/// SSE: the socket leaves HTTP for the hub, which writes events as it writes frames. The
/// response ends where the connection does, which every client and proxy reads; hyper
/// writes such a body only for HTTP/1.0, so that is what the response says.
fn follow(app: &App, feed: usize, parameters: Parameters, headers: &HeaderMap) -> Result<Response, Problem> {
    let last = headers.get(LAST_EVENT_ID).map(|id| id.to_str().unwrap_or("?")).filter(|id| !id.is_empty());
    // The browser sends it with an address that names an older one.
    let since = last.map(cursor).transpose()?.or(parameters.since);
    let mut response = Response::new(Body::empty());
    if app.is_stopping() {
        // To an error a browser would not come again.
        let events = [framing::retry(1000), framing::event(&message::closing(1000), None)].concat();
        *response.body_mut() = Body::from(events);
    } else {
        let class = parameters.max_rate.map(hub::class_of);
        let watches = vec![Wish { feed, since, class }];
        response.extensions_mut().insert(Opening { framing: Framing::EventStream, watches, dashboard: None });
        // Its length is not known.
        *response.body_mut() = Body::from_stream(stream::empty::<Result<Bytes, Infallible>>());
        *response.version_mut() = Version::HTTP_10;
    }
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(Representation::EventStream.media_type()));
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    out.insert(header::VARY, HeaderValue::from_static(VARY));
    out.insert(header::CONNECTION, HeaderValue::from_static("close"));
    // nginx, and who learnt from it, would keep events back until they fill a buffer.
    out.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

const VARY: &str = "Accept, Accept-Encoding, Authorization, Cookie";

/// The newest cursor of ours in `If-None-Match`, of this form.
fn held_by_client(headers: &HeaderMap, entry: &FeedEntry, form: Representation) -> Option<Offset> {
    let values = headers.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|v| v.to_str().ok());
    let tags = values.flat_map(|v| v.split(',')).map(|t| t.trim().trim_start_matches("W/").trim_matches('"'));
    let cursors = tags.filter_map(|t| t.strip_suffix(form.tag_suffix())?.parse::<Cursor>().ok());
    cursors.filter_map(|c| entry.encoder.offset_of(c)).max()
}

fn describe(headers: &mut HeaderMap, cursor: Cursor, form: Representation) {
    if let Ok(tag) = HeaderValue::try_from(format!("W/\"{cursor}{}\"", form.tag_suffix())) {
        headers.insert(header::ETAG, tag);
    }
    if let Ok(cursor) = HeaderValue::try_from(cursor.to_string()) {
        headers.insert(CURSOR, cursor);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static(VARY));
}
