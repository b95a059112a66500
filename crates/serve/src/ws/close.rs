//! Why sockets are closed: every close code that this server sends (RFC 6455, 7.4).
//!
//! | code | name | when | come again? |
//! | --- | --- | --- | --- |
//! | 1000 | normal | the client closed | as it likes |
//! | 1001 | shutdown | the server is stopping | yes, after `retry_after_ms` of `closing` |
//! | 1002 | protocol | a frame that breaks RFC 6455 | not before the client is mended |
//! | 1003 | unsupported | a binary message on a JSON socket, a text on a MessagePack one | not before the client is mended |
//! | 1007 | bad text | a text that is not UTF-8 | not before the client is mended |
//! | 1009 | too large | a message above `limits.max_message` | with smaller messages |
//!
//! A client that answers no ping is dropped without a close frame: nobody would read it.

/// A reason to close a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// The client closed.
    Normal,
    /// The server is stopping.
    Shutdown,
    /// A frame that breaks the protocol.
    Protocol(&'static str),
    /// A binary message where text is spoken.
    TakesText,
    /// A text message where MessagePack is spoken.
    TakesBinary,
    /// A text that is not UTF-8.
    BadText,
    /// A message above the limit.
    TooLarge,
}

impl Close {
    /// The code on the wire.
    pub const fn code(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::Shutdown => 1001,
            Self::Protocol(_) => 1002,
            Self::TakesText | Self::TakesBinary => 1003,
            Self::BadText => 1007,
            Self::TooLarge => 1009,
        }
    }

    /// The reason on the wire, for a person.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Normal => "",
            Self::Shutdown => "the server is stopping",
            Self::Protocol(what) => what,
            Self::TakesText => "this socket speaks JSON in text messages",
            Self::TakesBinary => "this socket speaks MessagePack in binary messages",
            Self::BadText => "a text message was not UTF-8",
            Self::TooLarge => "a message was larger than limits.max_message",
        }
    }
}
