//! Every error code (INV-9). Codes are part of the protocol: they may be added, never
//! changed or given another meaning.

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal, $status:literal;)*) => {
        /// A stable error code, with the HTTP status that carries it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[doc = $doc])* $name,)* }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The text in `code`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// When it is answered, in a sentence.
            pub const fn summary(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),*).trim_ascii(),)* }
            }

            /// The HTTP status of a response with this code.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }
        }
    };
}

codes! {
    /// The request is not of the form that the operation takes.
    BadRequest = "bad_request", 400;
    /// A cursor that is no cursor.
    MalformedCursor = "malformed_cursor", 400;
    /// A WebSocket message that is not JSON or lacks a field.
    BadMessage = "bad_message", 400;
    /// An SQL query that cannot be asked: it is more than one SELECT over one feed, or wrong.
    BadQuery = "bad_query", 400;
    /// A page of another origin would write or open a socket.
    ForbiddenOrigin = "forbidden_origin", 403;
    /// No such path.
    NotFound = "not_found", 404;
    /// No stream of this name.
    UnknownStream = "unknown_stream", 404;
    /// No feed of this name.
    UnknownFeed = "unknown_feed", 404;
    /// No dashboard of this name.
    UnknownDashboard = "unknown_dashboard", 404;
    /// No subscription of this `ref` on this socket.
    UnknownRef = "unknown_ref", 404;
    /// The path exists, the method does not.
    MethodNotAllowed = "method_not_allowed", 405;
    /// `Accept` takes none of the forms that there are.
    NotAcceptable = "not_acceptable", 406;
    /// Head or body took longer than allowed.
    RequestTimeout = "request_timeout", 408;
    /// A `ref` that is in use on this socket.
    DuplicateRef = "duplicate_ref", 409;
    /// A request with this `Idempotency-Key` is under way.
    IdempotencyInFlight = "idempotency_in_flight", 409;
    /// The past that a feed would be rebuilt from is not all there, or other feeds come first.
    CannotRebuild = "cannot_rebuild", 409;
    /// The body, or what it unpacks to, is larger than allowed.
    TooLarge = "too_large", 413;
    /// A `Content-Type` or `Content-Encoding` that is not read.
    UnsupportedMedia = "unsupported_media", 415;
    /// No event of the request was accepted.
    NoneAccepted = "none_accepted", 422;
    /// The `Idempotency-Key` was used with another body.
    IdempotencyMismatch = "idempotency_mismatch", 422;
    /// The stream reads its source and takes no events from clients.
    NotWritable = "not_writable", 422;
    /// The query took longer than a query may.
    QueryTimeout = "query_timeout", 422;
    /// The query needs more memory than a query may have.
    QueryTooLarge = "query_too_large", 422;
    /// The query failed on a value: a division by zero, or a cast.
    QueryFailed = "query_failed", 422;
    /// More than the limit of connections, subscriptions or requests.
    LimitReached = "limit_reached", 429;
    /// A fault of ours; the log has more.
    Internal = "internal", 500;
    /// Too busy at the moment, or starting or stopping: come again after `Retry-After`.
    Unavailable = "unavailable", 503;
    /// The server is stopping.
    Shutdown = "shutdown", 503;
    /// The disk is full.
    DiskFull = "disk_full", 507;
}
