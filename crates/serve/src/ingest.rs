//! Events from clients: decoded, kept, and answered for. Posts and WebSocket publishes
//! come through here, so they cannot disagree.

use std::sync::Arc;

use arrow_array::RecordBatch;
use bytes::Bytes;
use model::{Code, DeadLetter, KeptLetter, RawFormat};
use parking_lot::Mutex;
use serde::Serialize;
use sources::decode::{Decoded, Decoder, Format, Limits as DecodeLimits};
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use crate::{
    backend::{Append, AppendError, Appended, Backend, IdempotencyKey},
    rates::{Rates, Refused},
};

/// How many rejections an answer lists.
const LISTED: usize = 100;

/// How many decoders of a stream are kept for the next requests.
const IDLE: usize = 8;

/// Bodies above this are decoded beside the runtime, so that they delay nobody.
const INLINE_BYTES: usize = 128 << 10;

/// How many bodies are decoded beside the runtime at once.
const DECODING: usize = 4;

/// One refused record of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Rejected {
    /// Its number in the request, from 0.
    pub index: u64,
    /// Why: [`model::Reason`]'s text.
    pub code: &'static str,
    /// Why, for a person.
    pub message: String,
}

/// What became of a request's events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Receipt {
    /// How many are kept.
    pub accepted: u64,
    /// The first refused ones, at most 100.
    pub rejected: Vec<Rejected>,
    /// How many were refused in all.
    pub rejected_total: u64,
}

impl Receipt {
    /// Whether something was sent and nothing of it was good.
    pub fn is_refusal(&self) -> bool {
        self.accepted == 0 && self.rejected_total > 0
    }
}

/// Decoded events on their way to the log.
pub struct Prepared {
    stream: usize,
    decoded: Decoded,
    bytes: usize,
    /// What became of them, once they are kept.
    pub receipt: Receipt,
}

impl Prepared {
    /// How much memory they hold.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The streams that clients write to, with their decoders.
pub struct Ingest {
    backend: Arc<dyn Backend>,
    limits: DecodeLimits,
    rates: Arc<Rates>,
    /// Decoders that are not in use, by stream. They learn the order of keys, so a few
    /// are kept.
    idle: Vec<Mutex<Vec<Decoder>>>,
    /// How much a body comes to is known only afterwards, so few are decoded at once.
    decoding: Semaphore,
}

impl Ingest {
    /// For the backend's streams.
    pub fn new(backend: Arc<dyn Backend>, rates: Arc<Rates>, limits: &config::Limits) -> Self {
        let idle = backend.streams().iter().map(|_| Mutex::default()).collect();
        let limits =
            DecodeLimits { max_record: limits.max_record, max_decoded: limits.max_pending, ..DecodeLimits::default() };
        Self { backend, limits, rates, idle, decoding: Semaphore::new(DECODING) }
    }

    /// The stream of this name.
    pub fn known(&self, name: &str) -> Result<usize, (Code, String)> {
        self.backend.streams().iter().position(|s| s.name == name).ok_or_else(|| {
            let shown: String = name.chars().take(80).collect();
            (Code::UnknownStream, format!("there is no stream `{shown}`; GET /v1/streams lists them"))
        })
    }

    /// The stream of this name, if clients may write to it.
    pub fn stream(&self, name: &str) -> Result<usize, (Code, String)> {
        let index = self.known(name)?;
        if self.backend.streams()[index].writable {
            Ok(index)
        } else {
            Err((Code::NotWritable, format!("`{name}` reads its own source; only streams of type http take events")))
        }
    }

    /// Decodes; large inputs beside the runtime.
    pub async fn decode(
        self: &Arc<Self>,
        stream: usize,
        format: Format,
        bytes: Bytes,
    ) -> Result<Prepared, AppendError> {
        if bytes.len() <= INLINE_BYTES {
            return self.decode_now(stream, format, &bytes);
        }
        // The gate is never closed.
        let _turn = self.decoding.acquire().await;
        let this = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || this.decode_now(stream, format, &bytes));
        task.await.map_err(|e| AppendError::Failed(format!("decoding: {e}")))?
    }

    fn decoder(&self, stream: usize) -> Decoder {
        let idle = self.idle[stream].lock().pop();
        idle.unwrap_or_else(|| {
            let info = &self.backend.streams()[stream];
            Decoder::new(&info.columns, info.event_time.as_deref(), self.limits)
        })
    }

    fn give_back(&self, stream: usize, decoder: Decoder) {
        let mut idle = self.idle[stream].lock();
        if idle.len() < IDLE {
            idle.push(decoder);
        }
    }

    fn decode_now(&self, stream: usize, format: Format, bytes: &[u8]) -> Result<Prepared, AppendError> {
        let mut decoder = self.decoder(stream);
        let decoded = decoder.decode(format, bytes);
        self.give_back(stream, decoder);
        if decoded.too_much {
            return Err(AppendError::TooMuch { max: self.limits.max_decoded });
        }
        let rejected = decoded.rejected.iter().take(LISTED).map(|r| Rejected {
            index: r.index,
            code: r.letter.reason.as_str(),
            message: r.letter.message.clone(),
        });
        let receipt = Receipt {
            accepted: decoded.accepted,
            rejected: rejected.collect(),
            rejected_total: decoded.total - decoded.accepted,
        };
        let columns: usize = decoded.batches.iter().map(RecordBatch::get_array_memory_size).sum();
        let refused: usize = decoded.rejected.iter().map(|r| r.letter.raw.len() + r.letter.message.len()).sum();
        Ok(Prepared { stream, bytes: columns + refused, decoded, receipt })
    }

    /// Keeps them, refused ones as dead letters. `answer` is stored with the key.
    pub async fn append(
        &self,
        prepared: Prepared,
        key: Option<IdempotencyKey>,
        answer: Bytes,
    ) -> Result<Appended, AppendError> {
        let Receipt { accepted, rejected_total, .. } = prepared.receipt;
        let stream = || self.backend.streams()[prepared.stream].name.clone();
        self.rates.events(prepared.stream, accepted + rejected_total).map_err(|refused| match refused {
            Refused::TooFast(wait) => {
                AppendError::TooFast { stream: stream(), retry_after_ms: wait.as_millis() as u64 + 1 }
            }
            Refused::TooMany { most } => AppendError::TooMany { stream: stream(), most },
        })?;
        let dead: Vec<DeadLetter> = prepared.decoded.rejected.into_iter().map(|r| r.letter).collect();
        if prepared.decoded.batches.is_empty() && dead.is_empty() && key.is_none() {
            return Ok(Appended::Done);
        }
        let append = Append {
            stream: prepared.stream,
            batches: prepared.decoded.batches,
            unkept: rejected_total - dead.len() as u64,
            dead,
            bytes: prepared.bytes,
            key,
            answer,
            settled: Vec::new(),
        };
        self.backend.append(append).await
    }

    /// Decodes dead letters anew and keeps those that are good as events.
    pub async fn replay(self: &Arc<Self>, stream: usize, letters: Vec<KeptLetter>) -> Result<Replayed, AppendError> {
        let this = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || this.decode_letters(stream, &letters));
        let (append, outcome) = task.await.map_err(|e| AppendError::Failed(format!("decoding: {e}")))?;
        if !append.settled.is_empty() {
            self.backend.append(append).await?;
        }
        Ok(outcome)
    }

    fn decode_letters(&self, stream: usize, letters: &[KeptLetter]) -> (Append, Replayed) {
        let mut decoder = self.decoder(stream);
        let mut outcome = Replayed::default();
        let (mut batches, mut settled) = (Vec::new(), Vec::new());
        for KeptLetter { id, letter, .. } in letters {
            let mut decoded = decoder.decode(Format::from(letter.format), &letter.raw);
            // An array of one event was refused as an event, and is none now.
            let one = letter.format != RawFormat::Json || letter.raw.trim_ascii_start().starts_with(b"{");
            if one && decoded.rejected.is_empty() && decoded.accepted == 1 {
                batches.append(&mut decoded.batches);
                settled.push(*id);
                outcome.replayed += 1;
            } else {
                outcome.refused += 1;
                let why = decoded.rejected.into_iter().next().map(|r| r.letter.message);
                outcome.first_refusal = outcome.first_refusal.or(why);
            }
        }
        self.give_back(stream, decoder);
        let bytes = batches.iter().map(RecordBatch::get_array_memory_size).sum();
        let answer = Bytes::new();
        (Append { stream, batches, dead: Vec::new(), unkept: 0, bytes, key: None, answer, settled }, outcome)
    }
}

/// What became of dead letters that were decoded anew.
#[derive(Debug, Default)]
#[expect(clippy::struct_field_names, reason = "the answer has this field")]
pub struct Replayed {
    /// Events now.
    pub replayed: u64,
    /// Refused as before.
    pub refused: u64,
    /// Why the first of these is.
    pub first_refusal: Option<String>,
}

/// The code, the text and, where it makes sense, when to come again (milliseconds).
pub fn refusal(error: &AppendError) -> (Code, String, Option<u64>) {
    let (code, retry) = match error {
        AppendError::Busy { retry_after_ms } => (Code::Unavailable, Some(*retry_after_ms)),
        AppendError::TooFast { retry_after_ms, .. } => (Code::LimitReached, Some(*retry_after_ms)),
        AppendError::TooMuch { .. } | AppendError::TooMany { .. } => (Code::TooLarge, None),
        AppendError::DiskFull => (Code::DiskFull, None),
        AppendError::InFlight => (Code::IdempotencyInFlight, None),
        AppendError::Mismatch => (Code::IdempotencyMismatch, None),
        AppendError::Settled => (Code::Internal, None),
        AppendError::Stopping => (Code::Shutdown, Some(1000)),
        AppendError::Failed(reason) => {
            tracing::error!(reason, "events could not be kept");
            return (Code::Internal, "the events could not be kept; the server's log says why".to_owned(), None);
        }
    };
    (code, error.to_string(), retry)
}
