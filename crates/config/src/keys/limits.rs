//! The keys of `limits:`.

use std::time::Duration;

use super::{DAY, GIB, HOUR, KIB, MIB, TIB, or, secs};
use crate::shape::{Section, Shape};

/// `limits:`.
pub(crate) static LIMITS: Section = Section {
    name: "limits",
    about: "Limits of the server.",
    keys: &[
        or("max_connections", Shape::Count { low: 1, high: 10_000_000 }, "20000", "Open connections in all."),
        or(
            "max_connections_per_address",
            Shape::Count { low: 1, high: 10_000_000 },
            "20000",
            "Open connections of one address.",
        ),
        or(
            "max_requests_per_second",
            Shape::Count { low: 1, high: 1_000_000_000 },
            "100000",
            "Requests a second in all.",
        ),
        or(
            "max_requests_per_second_per_address",
            Shape::Count { low: 1, high: 1_000_000_000 },
            "100000",
            "Requests a second of one address.",
        ),
        or("max_subscriptions", Shape::Count { low: 1, high: 100_000 }, "64", "Subscriptions of one socket."),
        or(
            "max_message",
            Shape::Size { low: KIB, high: 64 * MIB },
            "64KiB",
            "Bytes of one message from a WebSocket client.",
        ),
        or("max_body", Shape::Size { low: KIB, high: 4 * GIB }, "16MiB", "Bytes of a request's body as it comes."),
        or(
            "max_unpacked_body",
            Shape::Size { low: KIB, high: 4 * GIB },
            "64MiB",
            "Bytes of a request's body after unpacking.",
        ),
        or("max_record", Shape::Size { low: 64, high: GIB }, "1MiB", "Bytes of one record."),
        or("max_header", Shape::Size { low: KIB, high: MIB }, "16KiB", "Bytes of a request's head."),
        or(
            "header_timeout",
            Shape::Duration { low: Duration::from_millis(100), high: secs(HOUR) },
            "10s",
            "Time for a request's head.",
        ),
        or(
            "body_timeout",
            Shape::Duration { low: Duration::from_millis(100), high: secs(DAY) },
            "30s",
            "Time for a request's body.",
        ),
        or(
            "ping_interval",
            Shape::Duration { low: Duration::from_millis(100), high: secs(HOUR) },
            "25s",
            "Time between two pings to a WebSocket client; one that is silent for twice as long is gone.",
        ),
        or(
            "max_pending",
            Shape::Size { low: KIB, high: TIB },
            "64MiB",
            "Bytes of events accepted and not yet in the log.",
        ),
        or(
            "send_buffer",
            Shape::Size { low: 4 * KIB, high: 64 * MIB },
            "64KiB",
            "Bytes of the socket's send buffer for a WebSocket viewer.",
        ),
        or(
            "query_timeout",
            Shape::Duration { low: Duration::from_millis(10), high: secs(HOUR) },
            "5s",
            "Time of a query over a feed, with the wait for its turn.",
        ),
        or(
            "query_memory",
            Shape::Size { low: MIB, high: TIB },
            "64MiB",
            "Bytes that a query over a feed may remember, and bytes of its answer.",
        ),
        or(
            "query_rows",
            Shape::Count { low: 1, high: 10_000_000 },
            "10000",
            "Rows of the answer to a query over a feed; what is beyond them is left out.",
        ),
    ],
    elsewhere: &[],
};
