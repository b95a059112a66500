//! What was refused, why, and where (INV-6).

use bytes::Bytes;

/// How many bytes of a refused record are kept.
pub const MAX_RAW: usize = 4096;

/// Why a record was refused. The text is the metric's `reason` and the `code` of a rejection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Not valid JSON, CSV or UTF-8.
    Malformed,
    /// A field's value does not fit its column's type.
    WrongType,
    /// A number or time outside of what its column can hold.
    OutOfRange,
    /// Null or missing where the column is `not_null`, or the event time's column.
    Missing,
    /// Larger than the limit on one record.
    TooLarge,
    /// All its windows were closed.
    Late,
    /// Its event time was further ahead of its arrival than `max_ahead`.
    Ahead,
    /// The feed's key was null.
    NullKey,
    /// The feed held as many groups as `max_groups` allows.
    TooManyGroups,
    /// Its group would remember more than `max_group_state` allows.
    GroupTooLarge,
    /// The query failed on it: overflow, division by zero, a failed cast.
    QueryFailed,
}

impl Reason {
    /// Every reason, in the order the documentation lists them.
    pub const ALL: [Self; 11] = [
        Self::Malformed,
        Self::WrongType,
        Self::OutOfRange,
        Self::Missing,
        Self::TooLarge,
        Self::Late,
        Self::Ahead,
        Self::NullKey,
        Self::TooManyGroups,
        Self::GroupTooLarge,
        Self::QueryFailed,
    ];

    /// The stable text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::WrongType => "wrong_type",
            Self::OutOfRange => "out_of_range",
            Self::Missing => "missing",
            Self::TooLarge => "too_large",
            Self::Late => "late",
            Self::Ahead => "ahead",
            Self::NullKey => "null_key",
            Self::TooManyGroups => "too_many_groups",
            Self::GroupTooLarge => "group_too_large",
            Self::QueryFailed => "query_failed",
        }
    }
}

/// A refused record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Why.
    pub reason: Reason,
    /// Where: the feed that refused it, or empty if the stream did.
    pub feed: String,
    /// One line for a person.
    pub message: String,
    /// The record as it came, or as JSON where only columns were left; at most [`MAX_RAW`] bytes.
    pub raw: Bytes,
}
