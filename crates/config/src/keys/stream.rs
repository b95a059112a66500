//! The keys of a stream, of its sources and of its columns.

use std::time::Duration;

use model::DataType;

use super::{CENTURY, DAY, KIB, MIB, MILLISECOND, TIB, ZERO, generator::SOURCE_GENERATOR, may, must, or, secs};
use crate::shape::{Naming, Section, Shape};

/// A stream.
pub(crate) static STREAM: Section = Section {
    name: "stream",
    about: "A stream of events.",
    keys: &[
        must("source", Shape::Either(&SOURCES), "Where its events come from."),
        // Only a source that knows its own columns can do without.
        may(
            "schema",
            Shape::Named { name: Naming::Identifier, of: &Shape::Either(&COLUMN_FORMS) },
            "Its columns: a type each, or a map of `type`, `from` and `not_null`.",
        ),
        may("event_time", Shape::Section(&EVENT_TIME), "What its time is; windows need it."),
        may(
            "format",
            Shape::Word(&["ndjson", "csv", "parquet"]),
            "How the records of a file are written; told by the file's ending unless said.",
        ),
        or(
            "retention",
            Shape::Duration { low: secs(1), high: CENTURY },
            "7d",
            "How long events stay in the log; whichever of this and `retention_bytes` is less.",
        ),
        or(
            "retention_bytes",
            Shape::Size { low: MIB, high: 1024 * TIB },
            "10GiB",
            "How many bytes of events stay in the log; whichever of this and `retention` is less.",
        ),
        or(
            "max_events_per_second",
            Shape::Count { low: 1, high: 1_000_000_000 },
            "10000000",
            "Events that it takes a second, of all clients together.",
        ),
        may(
            "max_pending",
            Shape::Size { low: 64 * KIB, high: TIB },
            "Events accepted and not yet in the log; the server's `limits.max_pending` unless said.",
        ),
    ],
    elsewhere: &[
        ("columns", "the columns of a stream stand under `schema:`"),
        ("type", "the type of a source stands under `source:`, as `source: { type: http }`"),
        ("watermark", "write `event_time: { column: …, max_lateness: … }`"),
        ("timestamp", "write `event_time: { column: … }`"),
        ("name", "the stream's name is the key before it: `events:`"),
        ("key", "`key:` belongs to a feed, whose rows have one"),
    ],
};

static SOURCES: [Shape; 4] = [
    Shape::Section(&SOURCE_HTTP),
    Shape::Section(&SOURCE_FILE),
    Shape::Section(&SOURCE_GENERATOR),
    Shape::Section(&SOURCE_HOST),
];

pub(super) const FORMAT_IS_BESIDE: (&str, &str) = ("format", "`format:` stands in the stream, beside `source:`");

/// `type: http`.
pub(crate) static SOURCE_HTTP: Section = Section {
    name: "source_http",
    about: "Events that are posted to `/v1/streams/NAME` or published over a WebSocket.",
    keys: &[must("type", Shape::Word(&["http"]), "The kind of source.")],
    elsewhere: &[FORMAT_IS_BESIDE],
};

/// `type: file`.
pub(crate) static SOURCE_FILE: Section = Section {
    name: "source_file",
    about: "A file that is read once, or followed as it grows; or the files of a pattern.",
    keys: &[
        must("type", Shape::Word(&["file"]), "The kind of source."),
        must(
            "path",
            Shape::Text,
            "The file, relative to the working directory; with `*`, `?` or `[` in it all files that match.",
        ),
        or("follow", Shape::Flag, "false", "Whether to wait for more at its end, and for more files of a pattern."),
    ],
    elsewhere: &[FORMAT_IS_BESIDE],
};

/// What a host source tells, in the order of its columns.
pub(crate) static HOST_FIELDS: [(&str, DataType); 5] = [
    ("host", DataType::Text),
    ("metric", DataType::Text),
    ("name", DataType::Text),
    ("value", DataType::Double),
    (HOST_TIME, DataType::Timestamp),
];

/// The field of a host source that is the time of an event.
pub(crate) const HOST_TIME: &str = "ts";

/// `type: host`.
pub(crate) static SOURCE_HOST: Section = Section {
    name: "source_host",
    about: "The vitals of the machine that Tidewire runs on.",
    keys: &[
        must("type", Shape::Word(&["host"]), "The kind of source."),
        or(
            "every",
            Shape::Duration { low: Duration::from_millis(250), high: secs(DAY) },
            "1s",
            "How often they are read.",
        ),
        or(
            "processes",
            Shape::DurationOrOff { low: secs(1), high: secs(DAY) },
            "5s",
            "How often processes are listed, which costs more than all the rest; `off` for never.",
        ),
        or("top", Shape::Count { low: 1, high: 100 }, "10", "How many of the busiest processes are told of."),
    ],
    elsewhere: &[FORMAT_IS_BESIDE, ("interval", "write `every`")],
};

/// The names of the column types, in the order of the documentation.
pub(crate) static TYPES: [&str; 11] =
    ["text", "bigint", "int", "double", DECIMAL, "boolean", "timestamp", "date", "bytes", "text[]", "json"];

/// How the type that has numbers in it is listed.
pub(crate) const DECIMAL: &str = "decimal(p,s)";

static COLUMN_FORMS: [Shape; 2] = [Shape::Type, Shape::Section(&COLUMN)];

/// A column of a stream.
pub(crate) static COLUMN: Section = Section {
    name: "column",
    about: "A column of a stream.",
    keys: &[
        must("type", Shape::Type, "Its type."),
        may("from", Shape::Text, "The field's name in the record; the column's name unless said."),
        or("not_null", Shape::Flag, "false", "Whether a record without it is refused."),
    ],
    elsewhere: &[("nullable", "columns may be null unless `not_null: true`"), ("required", "write `not_null: true`")],
};

/// `event_time:`.
pub(crate) static EVENT_TIME: Section = Section {
    name: "event_time",
    about: "What a stream's time is.",
    keys: &[
        must("column", Shape::Identifier, "The column of the event's time, a timestamp."),
        or(
            "max_lateness",
            Shape::Duration { low: ZERO, high: CENTURY },
            "5s",
            "How far behind the newest event an event may come; delays only what is final.",
        ),
        or(
            "idle_timeout",
            Shape::Duration { low: MILLISECOND, high: CENTURY },
            "30s",
            "A partition silent for this long stops holding back the others.",
        ),
        or(
            "max_ahead",
            Shape::DurationOrOff { low: ZERO, high: CENTURY },
            "1m",
            "How far ahead of its arrival an event may be, or `off`; one further ahead is a dead letter.",
        ),
    ],
    elsewhere: &[("lateness", "write `max_lateness`"), ("watermark", "write `max_lateness`")],
};
