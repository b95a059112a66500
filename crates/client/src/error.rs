//! What can go wrong.

use std::time::Duration;

use crate::{frame::FrameError, table::TableError};

/// What can go wrong. A lost connection is no error of a subscription: it is mended,
/// and told as an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The address is none that this client can use.
    #[error("`{url}` is no server's address: {why}")]
    Address {
        /// What was given.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// No connection, or none that answers, after as many attempts as were allowed.
    #[error("cannot reach {url}: {reason}")]
    Unreachable {
        /// The address.
        url: String,
        /// What the last attempt met.
        reason: String,
    },
    /// The server refused.
    #[error("{message} ({code})")]
    Refused {
        /// The stable code of the protocol.
        code: String,
        /// The server's sentence.
        message: String,
    },
    /// The connection was lost between a publish and its acknowledgement.
    #[error("the connection was lost before the answer came: the events may be kept or not")]
    Unacknowledged,
    /// There is no connection at the moment.
    #[error("not connected at the moment: nothing was sent")]
    Disconnected,
    /// A client follows a feed once.
    #[error("this client already follows `{0}`: drop that subscription or open another client")]
    AlreadySubscribed(String),
    /// A message larger than the server takes.
    #[error("a message of {len} bytes, at most {max} are allowed: publish fewer events at once")]
    TooLarge {
        /// Its bytes.
        len: usize,
        /// The limit, [`crate::Options::max_message`].
        max: usize,
    },
    /// A feed of more rows than [`crate::Options::max_rows`].
    #[error("the feed `{feed}` has more than {max} rows: raise `max_rows` to follow it")]
    TooManyRows {
        /// The feed.
        feed: String,
        /// The limit.
        max: usize,
    },
    /// The server refused for longer than [`crate::Options::retry_for`].
    #[error("gave up after {} s: {reason}", waited.as_secs())]
    GaveUp {
        /// The time that the attempts took together.
        waited: Duration,
        /// What the last attempt met.
        reason: String,
    },
    /// A frame that is none.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A frame that does not fit the table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The client's task has ended, because the runtime is shutting down.
    #[error("the client was closed")]
    Closed,
}
