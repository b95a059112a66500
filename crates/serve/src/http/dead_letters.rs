//! `/v1/streams/{stream}/dead-letters`: what was refused, to be read and, once mended, to be
//! sent again.

use std::sync::Arc;

use axum::{
    extract::{Path, Query, State, rejection::QueryRejection},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use model::{Code, Edge, KeptLetter, LetterId, Letters, Reason};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use utoipa::ToSchema;

use crate::{
    http::{App, json},
    problem::Problem,
};

/// Letters of a page unless `limit` says otherwise, and at most.
const PAGE: usize = 100;
pub const MAX_PAGE: usize = 1_000;

/// Letters that one replay looks at, at most; the answer says where to go on.
const MAX_REPLAY: usize = 10_000;

/// Parameters of a page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    #[serde(default, deserialize_with = "letter_id")]
    before: Option<LetterId>,
    reason: Option<Reason>,
    limit: Option<usize>,
}

/// Parameters of a replay.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    #[serde(default, deserialize_with = "letter_id")]
    after: Option<LetterId>,
    reason: Option<Reason>,
}

fn letter_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<LetterId>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(|()| D::Error::custom("expected the `id` of a dead letter"))
}

/// A page of dead letters.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetters)]
pub struct Found<'a> {
    dead_letters: Vec<Shown<'a>>,
    /// The `before` of the next page, if there may be one.
    #[schema(required)]
    next: Option<String>,
}

/// A record that was refused.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetter)]
struct Shown<'a> {
    /// Its place among those of the stream.
    id: String,
    /// When it was refused, in milliseconds since 1970.
    at: i64,
    /// Why.
    #[schema(value_type = String)]
    reason: Reason,
    /// The feed that refused it; null if the stream did.
    #[schema(required)]
    feed: Option<&'a str>,
    /// Why, for a person.
    message: &'a str,
    /// How `raw` is to be read: `json`, `csv` (a header line, then the record) or `msgpack`.
    #[schema(pattern = "^(json|csv|msgpack)$")]
    format: &'static str,
    /// The record as it came, if that is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    raw: Option<&'a str>,
    /// The record as it came, if that is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    raw_base64: Option<String>,
    /// Whether its end may be missing.
    cut: bool,
}

impl<'a> Shown<'a> {
    fn new(kept: &'a KeptLetter) -> Self {
        let letter = &kept.letter;
        let raw = std::str::from_utf8(&letter.raw).ok();
        Self {
            id: kept.id.to_string(),
            at: kept.at,
            reason: letter.reason,
            feed: (!letter.feed.is_empty()).then_some(letter.feed.as_str()),
            message: &letter.message,
            format: letter.format.as_str(),
            raw,
            raw_base64: raw.is_none().then(|| STANDARD.encode(&letter.raw)),
            cut: letter.is_cut(),
        }
    }
}

/// `GET /v1/streams/{stream}/dead-letters`: the newest first.
pub async fn list(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Response, Problem> {
    let stream = app.shared.ingest.known(&name)?;
    let Query(page) = page.map_err(|e| bad_parameter(&e))?;
    let limit = page.limit.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(Problem::new(Code::BadRequest, format!("`limit`: expected 1 to {MAX_PAGE}, found {limit}")));
    }
    let from = page.before.map_or(Edge::Newest, Edge::Before);
    let found = app.shared.backend.dead_letters(stream, Letters { from, reason: page.reason, limit }).await?;
    let next = found.last().filter(|_| found.len() == limit).map(|kept| kept.id.to_string());
    Ok(json(&Found { dead_letters: found.iter().map(Shown::new).collect(), next }))
}

/// What became of the letters that a replay looked at.
#[derive(Debug, Default, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the answer has this field")]
pub struct Replayed {
    /// They are events now.
    replayed: u64,
    /// They are refused as before.
    refused: u64,
    /// Why the first of these is.
    #[schema(required)]
    first_refusal: Option<String>,
    /// They were refused after they had been accepted: they are events already, in the log, and
    /// a rebuild counts them once the configuration lets it.
    counted: u64,
    /// They were kept in part only.
    cut: u64,
    /// The `after` of the next request, if there may be more.
    #[schema(required)]
    next: Option<String>,
}

/// `POST /v1/streams/{stream}/dead-letters/replay`: decodes them anew by the schema of today,
/// the oldest first. Those that are good become events, each once.
pub async fn replay(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    parameters: Result<Query<Replay>, QueryRejection>,
) -> Result<Response, Problem> {
    let stream = app.shared.ingest.known(&name)?;
    if !app.shared.backend.streams()[stream].writable {
        let detail = format!(
            "`{name}` reads its own source, and a rebuild of its feeds reads that again: an event here would count twice"
        );
        return Err(Problem::new(Code::NotWritable, detail));
    }
    let Query(Replay { after, reason }) = parameters.map_err(|e| bad_parameter(&e))?;
    // One at a time: what a replay has read, no other has made an event meanwhile.
    let _alone = app.replaying.lock().await;
    let mut done = Replayed::default();
    let mut after = after.unwrap_or(LetterId { tick: 0, counted: false, number: 0 });
    for _ in 0..MAX_REPLAY / MAX_PAGE {
        let wanted = Letters { from: Edge::After(after), reason, limit: MAX_PAGE };
        let found = app.shared.backend.dead_letters(stream, wanted).await?;
        let Some(last) = found.last() else { return Ok(json(&done)) };
        after = last.id;
        let full = found.len() == MAX_PAGE;
        let good: Vec<KeptLetter> = found.into_iter().filter(|kept| done.may_be_mended(kept)).collect();
        let outcome = app.shared.ingest.replay(stream, good).await?;
        done.replayed += outcome.replayed;
        done.refused += outcome.refused;
        done.first_refusal = done.first_refusal.or(outcome.first_refusal);
        if !full {
            return Ok(json(&done));
        }
    }
    done.next = Some(after.to_string());
    Ok(json(&done))
}

impl Replayed {
    /// Counts the letter if sending it again would be wrong.
    fn may_be_mended(&mut self, kept: &KeptLetter) -> bool {
        if kept.id.counted {
            self.counted += 1;
        } else if kept.letter.is_cut() {
            self.cut += 1;
        } else {
            return true;
        }
        false
    }
}

fn bad_parameter(error: &QueryRejection) -> Problem {
    Problem::new(Code::BadRequest, error.body_text())
}
