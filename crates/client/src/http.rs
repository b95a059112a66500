//! Posts with retries, and snapshots, over plain HTTP.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{
    StatusCode,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, RETRY_AFTER},
};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::{Backoff, Error, Options, Table, address::Address, frame::Frame, frame::Rejected};

/// What a post came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// How many events are kept.
    pub accepted: u64,
    /// Which are not, and why; at most 100 of them.
    pub rejected: Vec<Rejected>,
    /// How many are not.
    pub rejected_total: u64,
    /// How many attempts failed before this answer.
    pub retries: u32,
}

/// An HTTP client for one server. Keeps connections open; cheap to clone.
#[derive(Debug, Clone)]
pub struct Http {
    client: reqwest::Client,
    address: Address,
    backoff: Backoff,
    retry_for: Duration,
}

/// The body of an answer: an acknowledgement, or a problem document.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    accepted: u64,
    rejected: Vec<Rejected>,
    rejected_total: Option<u64>,
    code: Option<String>,
    title: Option<String>,
    detail: Option<String>,
}

/// What one attempt came to, if not an acknowledgement.
enum Failure {
    /// Another attempt may succeed, after this wait if the server named one.
    Again { reason: String, after: Option<Duration> },
    /// None will.
    Final(Error),
}

impl Http {
    /// A client for `options.url`. Of the options, `backoff`, `connect_timeout`, `silence`
    /// (for a whole request) and `retry_for` apply.
    pub fn new(options: &Options) -> Result<Self, Error> {
        let address = Address::parse(&options.url)?;
        let client = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(options.connect_timeout)
            .timeout(options.silence)
            .build()
            .map_err(|e| Error::Unreachable { url: options.url.clone(), reason: cause(&e) })?;
        Ok(Self { client, address, backoff: options.backoff, retry_for: options.retry_for })
    }

    /// Posts events to a stream and waits until the server says that they are kept.
    ///
    /// Tries again after 429, 503 and 507, and where the server could not be reached. With an
    /// idempotency key it also does so where a connection broke in the middle: all attempts
    /// carry the same key, so the events are kept once. Without one that is an error,
    /// [`Error::Unacknowledged`].
    pub async fn post(
        &self,
        stream: &str,
        body: Bytes,
        content_type: &str,
        idempotency_key: Option<&str>,
    ) -> Result<Posted, Error> {
        let began = Instant::now();
        let mut retries = 0;
        loop {
            let (reason, after) = match self.attempt(stream, &body, content_type, idempotency_key).await {
                Ok(posted) => return Ok(Posted { retries, ..posted }),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Again { reason, after }) => (reason, after),
            };
            let wait = after.unwrap_or_default() + self.backoff.delay(retries, rand::random());
            if began.elapsed() + wait > self.retry_for {
                return Err(Error::GaveUp { waited: began.elapsed(), reason });
            }
            tracing::debug!(%reason, ?wait, "posting again");
            retries += 1;
            sleep(wait).await;
        }
    }

    async fn attempt(&self, stream: &str, body: &Bytes, kind: &str, key: Option<&str>) -> Result<Posted, Failure> {
        let mut request = self.client.post(self.address.path(&["v1", "streams", stream])).header(CONTENT_TYPE, kind);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let broken = |error: &reqwest::Error| {
            if key.is_some() || error.is_connect() {
                Failure::Again { reason: cause(error), after: None }
            } else {
                Failure::Final(Error::Unacknowledged)
            }
        };
        let response = request.body(body.clone()).send().await.map_err(|e| broken(&e))?;
        let status = response.status();
        let after = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse().ok());
        let text = response.bytes().await.map_err(|e| broken(&e))?;
        let answer: Answer = match serde_json::from_slice(&text) {
            Ok(answer) => answer,
            Err(_) if status.is_success() => return Err(Failure::Final(not_ours(status))),
            Err(_) => Answer::default(),
        };
        let none_accepted = answer.code.as_deref() == Some(model::Code::NoneAccepted.as_str());
        if status.is_success() || none_accepted {
            let rejected_total = answer.rejected_total.unwrap_or(answer.rejected.len() as u64);
            return Ok(Posted { accepted: answer.accepted, rejected: answer.rejected, rejected_total, retries: 0 });
        }
        // An attempt whose connection broke may still be under way at the server.
        let in_flight = answer.code.as_deref() == Some(model::Code::IdempotencyInFlight.as_str());
        let error = refused(status, answer);
        let passes = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE | StatusCode::INSUFFICIENT_STORAGE
        );
        if in_flight || passes {
            return Err(Failure::Again { reason: error.to_string(), after: after.map(Duration::from_secs) });
        }
        Err(Failure::Final(error))
    }

    /// The feed as it is now. One attempt.
    pub async fn snapshot(&self, feed: &str) -> Result<Table, Error> {
        let text = self.get(&["v1", "feeds", feed]).await?;
        let mut table = Table::new();
        table.apply(Frame::parse(&text)?)?;
        Ok(table)
    }

    /// The server's streams. One attempt.
    pub async fn streams(&self) -> Result<Vec<Stream>, Error> {
        let text = self.get(&["v1", "streams"]).await?;
        let Streams { streams } = serde_json::from_str(&text).map_err(|_| not_ours(StatusCode::OK))?;
        Ok(streams)
    }

    /// A page of a stream's dead letters, the newest first; those before the letter `before`.
    /// One attempt.
    pub async fn dead_letters(
        &self,
        stream: &str,
        reason: Option<&str>,
        before: Option<&str>,
        limit: usize,
    ) -> Result<DeadLetters, Error> {
        let limit = limit.to_string();
        let query = [("reason", reason), ("before", before), ("limit", Some(&limit))];
        let url = with_query(self.address.path(&["v1", "streams", stream, "dead-letters"]), &query);
        let text = self.ask(self.client.get(url)).await?;
        serde_json::from_str(&text).map_err(|_| not_ours(StatusCode::OK))
    }

    /// Has the server decode dead letters anew, from the letter `after` on. One attempt; what
    /// it made events stays so.
    pub async fn replay(&self, stream: &str, reason: Option<&str>, after: Option<&str>) -> Result<Replayed, Error> {
        let path = self.address.path(&["v1", "streams", stream, "dead-letters", "replay"]);
        let url = with_query(path, &[("reason", reason), ("after", after)]);
        let text = self.ask(self.client.post(url)).await?;
        serde_json::from_str(&text).map_err(|_| not_ours(StatusCode::OK))
    }

    /// The answer to one SELECT over one feed, in the media type `accept`; one attempt.
    pub async fn query(&self, sql: &str, accept: &str) -> Result<Queried, Error> {
        let body = serde_json::json!({ "sql": sql }).to_string();
        let request = self.client.post(self.address.path(&["v1", "query"])).body(body);
        let request = request.header(CONTENT_TYPE, "application/json").header(ACCEPT, accept);
        let (headers, body) = self.exchange(request).await?;
        let truncated = headers.get("tidewire-truncated").is_some_and(|value| value == "true");
        Ok(Queried { body, truncated })
    }

    /// Has the server make a feed anew from the log. Returns when that has begun.
    pub async fn rebuild(&self, feed: &str) -> Result<(), Error> {
        let url = self.address.path(&["v1", "feeds", feed, "rebuild"]);
        self.ask(self.client.post(url)).await.map(drop)
    }

    /// The server's feeds. One attempt.
    pub async fn feeds(&self) -> Result<Vec<Feed>, Error> {
        let text = self.get(&["v1", "feeds"]).await?;
        let Feeds { feeds } = serde_json::from_str(&text).map_err(|_| not_ours(StatusCode::OK))?;
        Ok(feeds)
    }

    async fn get(&self, path: &[&str]) -> Result<String, Error> {
        self.ask(self.client.get(self.address.path(path))).await
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Result<String, Error> {
        self.exchange(request).await.map(|(_, text)| text)
    }

    async fn exchange(&self, request: reqwest::RequestBuilder) -> Result<(HeaderMap, String), Error> {
        let url = self.address.base().to_owned();
        let unreachable = |e: &reqwest::Error| Error::Unreachable { url: url.clone(), reason: cause(e) };
        let response = request.send().await.map_err(|e| unreachable(&e))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.map_err(|e| unreachable(&e))?;
        if status.is_success() {
            Ok((headers, text))
        } else {
            Err(refused(status, serde_json::from_str(&text).unwrap_or_default()))
        }
    }
}

/// The answer to a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queried {
    /// In the media type that was asked for.
    pub body: String,
    /// Whether there were more rows than an answer may have.
    pub truncated: bool,
}

#[derive(Deserialize)]
struct Streams {
    streams: Vec<Stream>,
}

fn with_query(mut url: reqwest::Url, parameters: &[(&str, Option<&str>)]) -> reqwest::Url {
    for (name, value) in parameters {
        if let Some(value) = value {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    url
}

/// A page of dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DeadLetters {
    /// The letters.
    pub dead_letters: Vec<DeadLetter>,
    /// The `before` of the next page, if there may be one.
    pub next: Option<String>,
}

/// A refused record.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct DeadLetter {
    /// Which one.
    pub id: String,
    /// When it was written, in milliseconds since 1970.
    pub at: i64,
    /// Why: the stable text.
    pub reason: String,
    /// The feed that refused it, if the stream did not.
    pub feed: Option<String>,
    /// Why, for a person.
    pub message: String,
    /// How it is written.
    pub format: String,
    /// The record, if it is text.
    pub raw: Option<String>,
    /// The record as base64, if it is not.
    pub raw_base64: Option<String>,
    /// Whether its end may be missing.
    pub cut: bool,
}

/// What became of the dead letters that a replay looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
pub struct Replayed {
    /// Events now.
    pub replayed: u64,
    /// Refused as before.
    pub refused: u64,
    /// Why the first of these is.
    pub first_refusal: Option<String>,
    /// Refused by a feed after they had been accepted: not to be sent again.
    pub counted: u64,
    /// Kept in part only.
    pub cut: u64,
    /// The `after` of the next request, if there may be more.
    pub next: Option<String>,
}

#[derive(Deserialize)]
struct Feeds {
    feeds: Vec<Feed>,
}

/// What the server says of a feed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Feed {
    /// Its name.
    pub name: String,
    /// Its rows now.
    pub rows: u64,
    /// How much of its past has been made anew, from 0 to 1, while that goes on.
    pub rebuilding: Option<f64>,
    /// Why that could not be done, if it was tried last.
    #[serde(default)]
    pub failure: Option<String>,
}

/// What the server says of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Stream {
    /// Its name.
    pub name: String,
    /// Its column of event time, if it has one.
    pub event_time: Option<String>,
    /// Its columns.
    pub columns: Vec<StreamColumn>,
    /// Events accepted since the server's start.
    pub accepted: u64,
    /// Whether the source will yield nothing more.
    pub ended: bool,
}

/// A column of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StreamColumn {
    /// Its name in SQL.
    pub name: String,
    /// The name of the field in a record.
    pub from: String,
}

impl Stream {
    /// The field of a record that holds the event time.
    pub fn event_time_field(&self) -> Option<&str> {
        let time = self.event_time.as_ref()?;
        self.columns.iter().find(|column| &column.name == time).map(|column| column.from.as_str())
    }
}

/// The problem document as an error. An answer without one came from something in between.
fn refused(status: StatusCode, answer: Answer) -> Error {
    let Some(code) = answer.code else { return not_ours(status) };
    let message = answer.detail.or(answer.title).unwrap_or_else(|| status.to_string());
    Error::Refused { code, message }
}

fn not_ours(status: StatusCode) -> Error {
    Error::Refused {
        code: status.as_u16().to_string(),
        message: format!("the answer is not Tidewire's: {status}; is the address right?"),
    }
}

/// Why there is no connection or no answer: the cause of all, for reqwest's own text and those
/// between tell of layers that its user does not see.
fn cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
