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
    /// The feed's groups hold as much as `max_memory` allows.
    FeedTooLarge,
    /// The query failed on it: overflow, division by zero, a failed cast.
    QueryFailed,
}

impl Reason {
    /// Every reason, in the order the documentation lists them.
    pub const ALL: [Self; 12] = [
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
        Self::FeedTooLarge,
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
            Self::FeedTooLarge => "feed_too_large",
            Self::QueryFailed => "query_failed",
        }
    }
}

/// How the bytes of a refused record are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawFormat {
    /// One JSON value, or what was meant to be one.
    #[default]
    Json,
    /// A header line, then one record.
    Csv,
    /// One MessagePack value.
    Msgpack,
}

impl RawFormat {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Json, Self::Csv, Self::Msgpack];

    /// The stable text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Msgpack => "msgpack",
        }
    }
}

/// The place of a dead letter among those of its stream: when, by whom, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LetterId {
    /// The tick that it belongs to.
    pub tick: u64,
    /// Whether it was found in the tick, in what had been accepted; else on the way in.
    pub counted: bool,
    /// Its number within the tick.
    pub number: u32,
}

impl std::fmt::Display for LetterId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}-{}", self.tick, u8::from(self.counted), self.number)
    }
}

impl std::str::FromStr for LetterId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.splitn(3, '-');
        let mut next = || parts.next().ok_or(());
        let tick = next()?.parse().map_err(drop)?;
        let counted = match next()? {
            "0" => false,
            "1" => true,
            _ => return Err(()),
        };
        Ok(Self { tick, counted, number: next()?.parse().map_err(drop)? })
    }
}

/// Which dead letters of a stream to read.
#[derive(Debug, Clone, Copy)]
pub struct Letters {
    /// From where on, and which way.
    pub from: Edge,
    /// Only those of one reason.
    pub reason: Option<Reason>,
    /// How many at most.
    pub limit: usize,
}

/// Where a read of dead letters begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// The newest first.
    Newest,
    /// The newest first, older than this one.
    Before(LetterId),
    /// The oldest first, newer than this one.
    After(LetterId),
}

/// A dead letter as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptLetter {
    /// Which one it is.
    pub id: LetterId,
    /// When it was written, in milliseconds since 1970.
    pub at: i64,
    /// The refused record.
    pub letter: DeadLetter,
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
    /// How to read `raw`.
    pub format: RawFormat,
}

impl DeadLetter {
    /// Whether `raw` may lack the record's end.
    pub fn is_cut(&self) -> bool {
        // A cut never splits a character.
        self.raw.len() > MAX_RAW - 4
    }
}
