//! Bodies of requests: within their size, their time, and what all may hold together.

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use model::Code;
use sources::unpack::{Encoding, UnpackError, unpack};
use tokio::{sync::Semaphore, time::timeout};

use crate::problem::Problem;

/// How many bodies are unpacked at once.
const UNPACKING: usize = 4;

/// What all bodies may hold together, in bytes (INV-4).
pub struct Budget {
    max: usize,
    held: AtomicUsize,
    /// What a body unpacks to is known only afterwards, so few are unpacked at once.
    unpacking: Semaphore,
}

/// A share of the budget; dropping it gives it back.
pub struct Held {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    /// Of this many bytes.
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, held: AtomicUsize::new(0), unpacking: Semaphore::new(UNPACKING) })
    }

    /// A share that is empty yet.
    pub fn share(self: &Arc<Self>) -> Held {
        Held { budget: Arc::clone(self), bytes: 0 }
    }
}

impl Held {
    /// Takes more.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Problem> {
        let before = self.budget.held.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > self.budget.max {
            self.budget.held.fetch_sub(bytes, Ordering::Relaxed);
            let detail = "other requests hold all the memory that bodies may take";
            return Err(Problem::new(Code::Unavailable, detail).retry_after(1000));
        }
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Reads a body of at most `max` bytes within `limit`.
pub async fn read(
    headers: &HeaderMap,
    body: Body,
    max: usize,
    limit: Duration,
    held: &mut Held,
) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(Code::TooLarge, format!("the body is larger than {max} bytes (limits.max_body)"));
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|l| l.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > max) {
        return Err(too_large());
    }
    let reading = collect(body, max, &too_large, held);
    let late =
        || Problem::new(Code::RequestTimeout, format!("the body took longer than {limit:?} (limits.body_timeout)"));
    timeout(limit, reading).await.map_err(|_| late())?
}

async fn collect(
    mut body: Body,
    max: usize,
    too_large: &(dyn Fn() -> Problem + Sync),
    held: &mut Held,
) -> Result<Bytes, Problem> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| Problem::new(Code::BadRequest, format!("the body broke off: {e}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.len() > max {
            return Err(too_large());
        }
        held.grow(data.len())?;
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// Unpacks a body by its `Content-Encoding`, to at most `max` bytes.
pub async fn unpacked(headers: &HeaderMap, body: Bytes, max: usize, held: &mut Held) -> Result<Bytes, Problem> {
    let encoding = match headers.get(header::CONTENT_ENCODING).map(|e| e.to_str().unwrap_or("").trim()) {
        None | Some("identity") => return Ok(body),
        Some(gzip) if gzip.eq_ignore_ascii_case("gzip") => Encoding::Gzip,
        Some(zstd) if zstd.eq_ignore_ascii_case("zstd") => Encoding::Zstd,
        Some(other) => {
            let shown: String = other.chars().take(40).collect();
            let detail = format!("Content-Encoding `{shown}` is not read: expected gzip, zstd or none");
            return Err(Problem::new(Code::UnsupportedMedia, detail));
        }
    };
    // The gate is never closed.
    let turn = Arc::clone(&held.budget);
    let turn = turn.unpacking.acquire().await;
    let work = move || unpack(encoding, &body, max).map(Cow::into_owned);
    let unpacked = tokio::task::spawn_blocking(work).await;
    let unpacked = unpacked.map_err(|_| Problem::new(Code::Internal, "the body could not be unpacked"))?;
    let unpacked = unpacked.map_err(|e| match e {
        UnpackError::TooLarge { .. } => {
            let detail = format!("the body unpacks to more than {max} bytes (limits.max_unpacked_body)");
            Problem::new(Code::TooLarge, detail)
        }
        error @ UnpackError::Malformed(_) => Problem::new(Code::BadRequest, error.to_string()),
    })?;
    held.grow(unpacked.len())?;
    drop(turn);
    Ok(Bytes::from(unpacked))
}
