//! The messages of `tidewire.v1`: what clients say, and our answers to one client, as
//! JSON. On a MessagePack socket the same messages are turned over at its edge. Frames
//! that many clients get are made in `encode`.

use std::borrow::Cow;

use model::Code;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    encode::{
        frame::FrameEncoder,
        notation::{Json, Notation},
    },
    ingest::Receipt,
};

/// The subprotocol in JSON, which is spoken if none is asked for.
pub const JSON: &str = "tidewire.v1.json";

/// The subprotocol in MessagePack.
pub const MESSAGE_PACK: &str = "tidewire.v1.msgpack";

/// A client's own number for a subscription or a publish; given back in answers.
pub type Ref = u64;

/// What a client asks.
#[derive(Debug)]
pub enum Request<'a> {
    /// `subscribe`
    Subscribe(Subscribe<'a>),
    /// `unsubscribe`
    Unsubscribe {
        /// The subscription's `ref`.
        reference: Ref,
    },
    /// `publish`
    Publish {
        /// To be given back with the answer.
        reference: Ref,
        /// The stream's name.
        stream: Cow<'a, str>,
        /// A JSON array of events.
        events: &'a str,
    },
    /// `ping`: a browser cannot send a WebSocket's own.
    Ping {
        /// To be given back with the answer.
        reference: Ref,
    },
}

/// A wish to watch a feed.
#[derive(Debug)]
pub struct Subscribe<'a> {
    /// The client's number for it.
    pub reference: Ref,
    /// The feed's name.
    pub feed: Cow<'a, str>,
    /// The cursor of the last frame, to go on from it.
    pub since: Option<Cow<'a, str>>,
    /// At most so many frames a second.
    pub max_rate: Option<f64>,
    /// The dashboard it is for; counted in the metrics.
    pub dashboard: Option<Cow<'a, str>>,
}

/// A message that is refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// The message's `ref`, where it could be read.
    pub reference: Option<Ref>,
    /// Why.
    pub code: Code,
    /// Why, for a person.
    pub message: String,
    /// When to come again, where that makes sense.
    pub retry_after_ms: Option<u64>,
}

impl Refused {
    /// A refusal.
    pub fn new(reference: Option<Ref>, code: Code, message: impl Into<String>) -> Self {
        Self { reference, code, message: message.into(), retry_after_ms: None }
    }
}

/// Every field that any message has. Fields beyond these are ignored: newer clients may
/// send them. Those which would change what rows are sent are known here, to be refused.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    op: Option<Cow<'a, str>>,
    #[serde(rename = "ref")]
    reference: Option<Ref>,
    #[serde(borrow)]
    feed: Option<Cow<'a, str>>,
    #[serde(borrow)]
    since: Option<Cow<'a, str>>,
    max_rate: Option<f64>,
    #[serde(borrow)]
    dashboard: Option<Cow<'a, str>>,
    #[serde(borrow)]
    stream: Option<Cow<'a, str>>,
    #[serde(borrow)]
    events: Option<&'a RawValue>,
    #[serde(borrow, rename = "where")]
    condition: Option<&'a RawValue>,
    #[serde(borrow)]
    columns: Option<&'a RawValue>,
}

/// Understands a client's message.
pub fn parse(text: &str) -> Result<Request<'_>, Refused> {
    let fields: Fields =
        serde_json::from_str(text).map_err(|e| Refused::new(None, Code::BadMessage, format!("not a message: {e}")))?;
    let refuse = |message: &str| Refused::new(fields.reference, Code::BadMessage, message);
    let reference =
        fields.reference.ok_or_else(|| refuse("`ref` is missing: a whole number that the answer gives back"));
    match fields.op.as_deref() {
        Some("subscribe") => {
            if fields.condition.is_some() || fields.columns.is_some() {
                return Err(refuse("`where` and `columns` are not served by this version"));
            }
            if fields.max_rate.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
                return Err(refuse("`max_rate` is a number of frames a second above 0"));
            }
            Ok(Request::Subscribe(Subscribe {
                reference: reference?,
                feed: fields.feed.ok_or_else(|| refuse("`feed` is missing: the name of a feed"))?,
                since: fields.since,
                max_rate: fields.max_rate,
                dashboard: fields.dashboard,
            }))
        }
        Some("unsubscribe") => Ok(Request::Unsubscribe { reference: reference? }),
        Some("ping") => Ok(Request::Ping { reference: reference? }),
        Some("publish") => {
            let stream = fields.stream.ok_or_else(|| refuse("`stream` is missing: the name of a stream"))?;
            let events = fields.events.map(RawValue::get).filter(|e| e.starts_with('['));
            let events = events.ok_or_else(|| refuse("`events` is missing: an array of events"))?;
            Ok(Request::Publish { reference: reference?, stream, events })
        }
        Some(other) => {
            let other: String = other.chars().take(40).collect();
            Err(refuse(&format!("unknown `op` `{other}`: expected subscribe, unsubscribe, publish or ping")))
        }
        None => Err(refuse("`op` is missing: subscribe, unsubscribe, publish or ping")),
    }
}

fn json(message: &impl Serialize) -> Vec<u8> {
    // The messages below have text keys and plain values; they cannot fail.
    serde_json::to_vec(message).unwrap_or_default()
}

/// `subscribed`: what comes, and the view that its frames will name. `reference` is
/// `None` where there is one subscription: on a stream of events.
pub fn subscribed(reference: Option<Ref>, feed: &FrameEncoder) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    let mut out = Json::new(&mut bytes);
    out.map(5);
    out.entry("type", "subscribed");
    if let Some(reference) = reference {
        out.key("ref");
        out.integer(reference);
    }
    out.entry("view", feed.name());
    feed.describe(&mut out);
    out.end_map();
    bytes
}

/// `pong`: the answer to a ping, behind what was sent before it.
pub fn pong(reference: Ref) -> Vec<u8> {
    #[derive(Serialize)]
    struct Pong {
        r#type: &'static str,
        r#ref: Ref,
    }
    json(&Pong { r#type: "pong", r#ref: reference })
}

/// `published`: what became of a publish.
pub fn published(reference: Ref, receipt: &Receipt) -> Vec<u8> {
    #[derive(Serialize)]
    struct Published<'a> {
        r#type: &'static str,
        r#ref: Ref,
        #[serde(flatten)]
        receipt: &'a Receipt,
    }
    json(&Published { r#type: "published", r#ref: reference, receipt })
}

/// `error`: a message was refused.
pub fn error(refused: &Refused) -> Vec<u8> {
    #[derive(Serialize)]
    struct Error<'a> {
        r#type: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        r#ref: Option<Ref>,
        code: &'static str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    }
    json(&Error {
        r#type: "error",
        r#ref: refused.reference,
        code: refused.code.as_str(),
        message: &refused.message,
        retry_after_ms: refused.retry_after_ms,
    })
}

/// `closing`: the server stops; when to come again.
pub fn closing(retry_after_ms: u64) -> Vec<u8> {
    #[derive(Serialize)]
    struct Closing {
        r#type: &'static str,
        code: &'static str,
        message: &'static str,
        retry_after_ms: u64,
    }
    json(&Closing {
        r#type: "closing",
        code: Code::Shutdown.as_str(),
        message: "the server is stopping; connect again and go on from your cursors",
        retry_after_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_message_is_refused_with_its_ref_where_there_is_one() {
        for (text, reference) in [
            ("", None),
            ("nonsense", None),
            ("[]", None),
            ("{}", None),
            (r#"{"op":"subscribe","feed":"f"}"#, None),
            (r#"{"op":"subscribe","ref":-1,"feed":"f"}"#, None),
            (r#"{"op":"subscribe","ref":1}"#, Some(1)),
            (r#"{"op":"subscribe","ref":1,"feed":"f","where":"a = 1"}"#, Some(1)),
            (r#"{"op":"subscribe","ref":1,"feed":"f","max_rate":0}"#, Some(1)),
            (r#"{"op":"explode","ref":2}"#, Some(2)),
            (r#"{"op":"publish","ref":3,"stream":"s"}"#, Some(3)),
            (r#"{"op":"publish","ref":3,"stream":"s","events":{}}"#, Some(3)),
        ] {
            let refused = parse(text).expect_err(text);
            assert_eq!((refused.code, refused.reference), (Code::BadMessage, reference), "{text}");
        }
    }

    #[test]
    fn fields_of_a_later_version_are_ignored() {
        let text = r#"{"op":"subscribe","ref":1,"feed":"f\u0041","later":{"a":1}}"#;
        assert!(matches!(parse(text), Ok(Request::Subscribe(s)) if s.feed == "fA"));
    }
}
