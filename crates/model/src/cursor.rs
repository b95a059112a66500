//! Where a watcher of a feed stands.

use std::{fmt, str::FromStr};

/// The number of a tick. A feed's changes of one tick share it, and a delta
/// never splits a tick.
pub type Offset = u64;

/// What a watcher sees of a feed: the feed, its schema, filter and columns, as one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ViewId(pub u64);

/// A position in the change log of a view. Opaque to clients: they store the text
/// and give it back.
///
/// ```
/// # use model::{Cursor, ViewId};
/// let cursor = Cursor { epoch: 7, view: ViewId(255), offset: 42 };
/// assert_eq!(cursor.to_string(), "7-ff-42");
/// assert_eq!("7-ff-42".parse(), Ok(cursor));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// Changes when offsets start anew: shown ticks may be lost, or the query changed.
    pub epoch: u32,
    /// The view it belongs to.
    pub view: ViewId,
    /// The tick it stands behind.
    pub offset: Offset,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}-{}", self.epoch, self.view.0, self.offset)
    }
}

/// The text is no cursor of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a cursor: give back the `cursor` of the last frame as it came")]
pub struct MalformedCursor(pub String);

impl FromStr for Cursor {
    type Err = MalformedCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || MalformedCursor(text.chars().take(80).collect());
        let mut parts = text.split('-');
        let mut next = || parts.next().filter(|p| p.bytes().all(|b| b.is_ascii_hexdigit())).ok_or_else(malformed);
        let epoch = u32::from_str_radix(next()?, 16).map_err(|_| malformed())?;
        let view = u64::from_str_radix(next()?, 16).map_err(|_| malformed())?;
        let offset = next()?.parse().map_err(|_| malformed())?;
        if parts.next().is_some() {
            return Err(malformed());
        }
        Ok(Self { epoch, view: ViewId(view), offset })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in ["", "7", "7-f", "7-f-", "7-f-1-2", "7-f--1", "g-f-1", "7-f-x", "+7-f-1", "1ffffffff-f-1"] {
            assert!(text.parse::<Cursor>().is_err(), "{text:?} was taken");
        }
    }
}
