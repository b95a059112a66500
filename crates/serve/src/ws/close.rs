//! Why sockets are closed: every close code that this server sends (RFC 6455, 7.4).
//! `docs/protocol.md` says of each when it comes and what to do.
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Close::{self, BadText, Normal, Protocol, Shutdown, TakesBinary, TakesText, TooLarge};

    #[test]
    fn the_protocol_page_lists_every_close_code() {
        let all = [Normal, Shutdown, Protocol("a frame"), TakesText, TakesBinary, BadText, TooLarge];
        // A reason that is added does not compile until it stands above as well.
        let place = |close: &Close| match close {
            Normal => 0,
            Shutdown => 1,
            Protocol(_) => 2,
            TakesText => 3,
            TakesBinary => 4,
            BadText => 5,
            TooLarge => 6,
        };
        assert!(all.iter().enumerate().all(|(i, close)| place(close) == i));
        let page = include_str!("../../../../docs/protocol.md");
        let rows = page.lines().skip_while(|l| !l.starts_with("### Close codes")).skip(4);
        let rows = rows.take_while(|l| l.starts_with('|'));
        let listed: BTreeSet<u16> = rows.map(|l| l.split('|').nth(1).unwrap().trim().parse().unwrap()).collect();
        assert_eq!(listed, all.iter().map(|c| c.code()).collect());
    }
}
