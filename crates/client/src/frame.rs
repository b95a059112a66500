//! The messages of the protocol, parsed. `docs/protocol.md` describes them.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

/// A row, or a key: one value for each column. Shared, because the table holds the
/// same row that an event shows.
pub type Row = Arc<[Value]>;

/// A column of a feed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type: `text`, `bigint`, `int`, `double`, `boolean`, `timestamp` or `json`.
    #[serde(rename = "type")]
    pub data_type: String,
}

/// An event that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Rejected {
    /// Its place in what was sent, from 0.
    pub index: u64,
    /// The stable reason.
    pub code: String,
    /// One line for a person.
    pub message: String,
}

/// What a feed looks like: the answer to a subscribe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribed {
    /// The subscriber's number.
    pub reference: u64,
    /// The name that the frames will carry.
    pub view: String,
    /// Names of the key's columns, which stand first.
    pub key: Vec<String>,
    /// All columns.
    pub columns: Vec<Column>,
}

/// A snapshot, or a piece of one.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The view.
    pub view: String,
    /// Where the table then stands; only the last piece has it.
    pub cursor: Option<String>,
    /// Whether the `since` that was asked for could not be resumed.
    pub reset: bool,
    /// Whether more pieces follow.
    pub more: bool,
    /// One array for each column, all of one length.
    pub data: Vec<Vec<Value>>,
    /// The columns, where one object carries it all (over HTTP).
    pub columns: Option<Vec<Column>>,
    /// The key, likewise.
    pub key: Option<Vec<String>>,
}

/// The newest change of each key between two cursors.
#[derive(Debug, Clone, PartialEq)]
pub struct Delta {
    /// The view.
    pub view: String,
    /// The least cursor it is right for.
    pub from: String,
    /// Where the table then stands.
    pub cursor: String,
    /// Rows that are new or replaced.
    pub upsert: Vec<Row>,
    /// Keys whose rows are gone.
    pub delete: Vec<Row>,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Of which message, if it had a number.
    pub reference: Option<u64>,
    /// The stable code.
    pub code: String,
    /// One line for a person.
    pub message: String,
}

/// A message of the server.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    /// The answer to a subscribe.
    Subscribed(Subscribed),
    /// A snapshot, or a piece of one.
    Snapshot(Snapshot),
    /// A change.
    Delta(Delta),
    /// The answer to a publish.
    Published {
        /// The publisher's number.
        reference: u64,
        /// How many events are kept.
        accepted: u64,
        /// Which are not; at most 100 of them.
        rejected: Vec<Rejected>,
        /// How many are not.
        rejected_total: u64,
    },
    /// A refusal.
    Error(Refusal),
    /// The server is about to close the socket.
    Closing {
        /// The stable code.
        code: String,
        /// One line for a person.
        message: String,
        /// When to come again, in milliseconds; the server has spread it at random.
        retry_after_ms: Option<u64>,
    },
    /// A type that this version does not know: to be ignored.
    Unknown(String),
}

/// A text that is no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Not JSON, or not of the form.
    #[error("the server sent what is no message: {0}")]
    Malformed(String),
    /// A field is missing.
    #[error("the server sent a `{kind}` without `{field}`")]
    Missing {
        /// The message's type.
        kind: String,
        /// The field.
        field: &'static str,
    },
}

/// Every field of every message. Parsing one flat struct is faster than an enum tagged
/// from within, which serde has to buffer first.
#[derive(Deserialize)]
struct Flat {
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "ref")]
    reference: Option<u64>,
    view: Option<String>,
    key: Option<Vec<String>>,
    columns: Option<Vec<Column>>,
    from: Option<String>,
    cursor: Option<String>,
    #[serde(default)]
    reset: bool,
    #[serde(default)]
    more: bool,
    data: Option<Vec<Vec<Value>>>,
    #[serde(default)]
    upsert: Vec<Row>,
    #[serde(default)]
    delete: Vec<Row>,
    code: Option<String>,
    message: Option<String>,
    retry_after_ms: Option<u64>,
    accepted: Option<u64>,
    #[serde(default)]
    rejected: Vec<Rejected>,
    rejected_total: Option<u64>,
}

impl Frame {
    /// Parses one message.
    pub fn parse(text: &str) -> Result<Self, FrameError> {
        let flat: Flat = serde_json::from_str(text).map_err(|e| FrameError::Malformed(e.to_string()))?;
        let kind = flat.kind;
        let missing = |field| FrameError::Missing { kind: kind.clone(), field };
        Ok(match kind.as_str() {
            "subscribed" => Self::Subscribed(Subscribed {
                reference: flat.reference.ok_or_else(|| missing("ref"))?,
                view: flat.view.ok_or_else(|| missing("view"))?,
                key: flat.key.ok_or_else(|| missing("key"))?,
                columns: flat.columns.ok_or_else(|| missing("columns"))?,
            }),
            "snapshot" => Self::Snapshot(Snapshot {
                view: flat.view.ok_or_else(|| missing("view"))?,
                cursor: if flat.more { None } else { Some(flat.cursor.ok_or_else(|| missing("cursor"))?) },
                reset: flat.reset,
                more: flat.more,
                data: flat.data.ok_or_else(|| missing("data"))?,
                columns: flat.columns,
                key: flat.key,
            }),
            "delta" => Self::Delta(Delta {
                view: flat.view.ok_or_else(|| missing("view"))?,
                from: flat.from.ok_or_else(|| missing("from"))?,
                cursor: flat.cursor.ok_or_else(|| missing("cursor"))?,
                upsert: flat.upsert,
                delete: flat.delete,
            }),
            "published" => Self::Published {
                reference: flat.reference.ok_or_else(|| missing("ref"))?,
                accepted: flat.accepted.ok_or_else(|| missing("accepted"))?,
                rejected_total: flat.rejected_total.unwrap_or(flat.rejected.len() as u64),
                rejected: flat.rejected,
            },
            "error" => Self::Error(Refusal {
                reference: flat.reference,
                code: flat.code.ok_or_else(|| missing("code"))?,
                message: flat.message.unwrap_or_default(),
            }),
            "closing" => Self::Closing {
                code: flat.code.ok_or_else(|| missing("code"))?,
                message: flat.message.unwrap_or_default(),
                retry_after_ms: flat.retry_after_ms,
            },
            _ => Self::Unknown(kind),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_messages_of_the_protocol_are_read() {
        let delta = Frame::parse(
            r#"{"type":"delta","view":"load","from":"1-a-7","cursor":"1-a-9","upsert":[["cpu",1.5]],"delete":[["mem"]],"later":1}"#,
        );
        assert_eq!(
            delta,
            Ok(Frame::Delta(Delta {
                view: "load".into(),
                from: "1-a-7".into(),
                cursor: "1-a-9".into(),
                upsert: vec![[json!("cpu"), json!(1.5)].into()],
                delete: vec![[json!("mem")].into()],
            }))
        );
        let closing = Frame::parse(r#"{"type":"closing","code":"shutdown","message":"m","retry_after_ms":1200}"#);
        assert_eq!(
            closing,
            Ok(Frame::Closing { code: "shutdown".into(), message: "m".into(), retry_after_ms: Some(1200) })
        );
        assert_eq!(Frame::parse(r#"{"type":"later","x":[1]}"#), Ok(Frame::Unknown("later".into())));
    }

    #[test]
    fn a_message_without_its_fields_is_refused() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"type":1}"#,
            r#"{"type":"delta","view":"v","cursor":"1-a-1"}"#,
            r#"{"type":"snapshot","view":"v","data":[]}"#,
            r#"{"type":"snapshot","view":"v","more":true}"#,
            r#"{"type":"subscribed","view":"v","key":[],"columns":[]}"#,
        ] {
            assert!(Frame::parse(text).is_err(), "{text} was taken");
        }
    }
}
