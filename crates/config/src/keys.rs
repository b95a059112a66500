//! Every key of a configuration: its shape, bounds, default and meaning, in one table.
//!
//! The readers take bounds and defaults from here, messages about unknown keys list what
//! stands here, and the JSON Schema is made of it, so that the three cannot disagree.

use std::time::Duration;

use model::DataType;

use crate::shape::{Absent, Key, Naming, Section, Shape};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// Long enough for everyone, and far from the end of 64-bit milliseconds.
const CENTURY: Duration = secs(36_500 * DAY);
const ZERO: Duration = Duration::ZERO;
const MILLISECOND: Duration = Duration::from_millis(1);

/// Longest list of columns, and most columns of a stream.
const COLUMNS: usize = 1_000;

const fn key(name: &'static str, shape: Shape, absent: Absent, about: &'static str) -> Key {
    Key { name, shape, absent, about }
}

const fn must(name: &'static str, shape: Shape, about: &'static str) -> Key {
    key(name, shape, Absent::Refused, about)
}

const fn may(name: &'static str, shape: Shape, about: &'static str) -> Key {
    key(name, shape, Absent::Nothing, about)
}

const fn or(name: &'static str, shape: Shape, default: &'static str, about: &'static str) -> Key {
    key(name, shape, Absent::Means(default), about)
}

const LATER: &str = "not in this version: take it out";

/// A whole configuration.
pub(crate) static ROOT: Section = Section {
    name: "configuration",
    about: "A Tidewire configuration.",
    keys: &[
        or("listen", Shape::Text, "127.0.0.1:8080", "Address and port to listen on; port 0 takes a free one."),
        or("data_dir", Shape::Text, "./data", "Directory of log and state, relative to the working directory."),
        or(
            "durability",
            Shape::Word(&["fsync", "process"]),
            "fsync",
            "When an event counts as kept: `fsync` survives a power cut, `process` a crash of the process only.",
        ),
        or("insecure", Shape::Flag, "false", "Allows listening beyond this machine without authentication."),
        may(
            "cors",
            Shape::List { of: &Shape::Text, low: 0, high: 1_000 },
            "Origins of other sites whose pages may read and open sockets, exact: `https://example.org`.",
        ),
        may("limits", Shape::Section(&LIMITS), "Limits of the server."),
        may("streams", Shape::Named { name: Naming::Identifier, of: &Shape::Section(&STREAM) }, "Streams of events."),
        may(
            "feeds",
            Shape::Named { name: Naming::Identifier, of: &Shape::Section(&FEED) },
            "Feeds: SQL queries that are kept up to date.",
        ),
        may(
            "dashboards",
            Shape::Named { name: Naming::Page, of: &Shape::Section(&DASHBOARD) },
            "Pages of panels, at `/dashboard/NAME`.",
        ),
    ],
    elsewhere: &[("sinks", LATER), ("tables", LATER), ("alerts", LATER), ("auth", LATER), ("role", LATER)],
};

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

const FORMAT_IS_BESIDE: (&str, &str) = ("format", "`format:` stands in the stream, beside `source:`");

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

/// `type: generator`.
pub(crate) static SOURCE_GENERATOR: Section = Section {
    name: "source_generator",
    about: "Random data for demonstrations and tests.",
    keys: &[
        must("type", Shape::Word(&["generator"]), "The kind of source."),
        must("rate", Shape::Number, "Events a second: more than 0, at most 1000000."),
        or("seed", Shape::Count { low: 0, high: u64::MAX }, "0", "Equal seeds give equal values."),
        may(
            "columns",
            Shape::Named { name: Naming::Identifier, of: &Shape::Either(&GENERATED) },
            "What each column gets; timestamp columns get the event's time unless said.",
        ),
        may("rhythm", Shape::Section(&RHYTHM), "How the rate goes up and down; steady unless said."),
        may("late", Shape::Section(&LATE), "Events that are older than they should be; none unless said."),
        or(
            "history",
            Shape::Duration { low: ZERO, high: secs(30 * DAY) },
            "0s",
            "How much of the past is made at the first start of a data directory.",
        ),
        may("silent", Shape::Section(&SILENT), "Values of a choice that send nothing for a while; none unless said."),
    ],
    elsewhere: &[FORMAT_IS_BESIDE],
};

const SPELL_LASTS: &str = "How long it lasts; less than `every`.";

/// What stands under `rhythm:`.
pub(crate) static RHYTHM: Section = Section {
    name: "rhythm",
    about: "How the rate goes up and down.",
    keys: &[
        may("wave", Shape::Section(&RHYTHM_WAVE), "Up and down between two shares of the rate."),
        may("spike", Shape::Section(&SPELL), "All of the rate, now and then."),
        may("outage", Shape::Section(&SPELL), "Nothing at all, now and then."),
    ],
    elsewhere: &[],
};

/// A rhythm's wave.
pub(crate) static RHYTHM_WAVE: Section = Section {
    name: "rhythm_wave",
    about: "Up and down between two shares of the rate.",
    keys: &[
        must("low", Shape::Number, "The least share of the rate, 0 to 1."),
        must("high", Shape::Number, "The greatest share of the rate, 0 to 1."),
        must("period", Shape::Duration { low: MILLISECOND, high: CENTURY }, "From crest to crest."),
    ],
    elsewhere: &[],
};

/// Something that comes again.
pub(crate) static SPELL: Section = Section {
    name: "spell",
    about: "Something that lasts a while and comes again.",
    keys: &[
        must("every", Shape::Duration { low: MILLISECOND, high: CENTURY }, "From one beginning to the next."),
        must("for", Shape::Duration { low: MILLISECOND, high: CENTURY }, SPELL_LASTS),
    ],
    elsewhere: &[],
};

/// What stands under `late:`.
pub(crate) static LATE: Section = Section {
    name: "late",
    about: "Events that are older than they should be.",
    keys: &[
        must("share", Shape::Number, "How many, 0 to 1."),
        must("by", Shape::Duration { low: MILLISECOND, high: CENTURY }, "By how much."),
    ],
    elsewhere: &[],
};

/// What stands under `silent:`.
pub(crate) static SILENT: Section = Section {
    name: "silent",
    about: "Values of a choice that send nothing for a while.",
    keys: &[
        must("column", Shape::Identifier, "The column, which gets a `choice`."),
        must("share", Shape::Number, "How many of its values at a time, 0 to 1."),
        must("for", Shape::Duration { low: MILLISECOND, high: CENTURY }, "For how long; then others are silent."),
    ],
    elsewhere: &[],
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

static GENERATED: [Shape; 7] = [
    Shape::Word(&["now"]),
    Shape::Section(&CHOICE),
    Shape::Section(&UNIFORM),
    Shape::Section(&WALK),
    Shape::Section(&WAVE),
    Shape::Section(&LOGNORMAL),
    Shape::Section(&SEQUENCE),
];

/// `{ choice: [a, b] }`.
pub(crate) static CHOICE: Section = Section {
    name: "generated_choice",
    about: "One of these texts.",
    keys: &[must("choice", Shape::Either(&CHOICES), "The texts; with a number each, some come more often.")],
    elsewhere: &[],
};

static CHOICES: [Shape; 2] =
    [Shape::List { of: &Shape::Text, low: 1, high: 100_000 }, Shape::Weights { of: &Shape::Number }];

/// `{ uniform: [low, high] }`.
pub(crate) static UNIFORM: Section = Section {
    name: "generated_uniform",
    about: "A number evenly between two.",
    keys: &[must("uniform", Shape::List { of: &Shape::Number, low: 2, high: 2 }, "The least and the most.")],
    elsewhere: &[],
};

/// `{ walk: … }`.
pub(crate) static WALK: Section = Section {
    name: "generated_walk",
    about: "A random walk within bounds, one for each combination of the event's `choice` columns.",
    keys: &[must("walk", Shape::Section(&WALK_OPTIONS), "The walk.")],
    elsewhere: &[],
};

/// What stands under `walk:`.
pub(crate) static WALK_OPTIONS: Section = Section {
    name: "walk",
    about: "A random walk within bounds.",
    keys: &[
        must("start", Shape::Number, "Where it begins."),
        must("step", Shape::Number, "The most that it moves from one event to the next; more than 0."),
        must("low", Shape::Number, "The least."),
        must("high", Shape::Number, "The most."),
    ],
    elsewhere: &[],
};

/// `{ wave: … }`.
pub(crate) static WAVE: Section = Section {
    name: "generated_wave",
    about: "A sine over time with a little noise.",
    keys: &[must("wave", Shape::Section(&WAVE_OPTIONS), "The wave.")],
    elsewhere: &[],
};

/// What stands under `wave:`.
pub(crate) static WAVE_OPTIONS: Section = Section {
    name: "wave",
    about: "A sine over time.",
    keys: &[
        must("low", Shape::Number, "The least."),
        must("high", Shape::Number, "The most."),
        must("period", Shape::Duration { low: MILLISECOND, high: CENTURY }, "From crest to crest."),
    ],
    elsewhere: &[],
};

/// `{ lognormal: … }`.
pub(crate) static LOGNORMAL: Section = Section {
    name: "generated_lognormal",
    about: "A number mostly around the median, now and then far above it: times and amounts are so.",
    keys: &[must("lognormal", Shape::Section(&LOGNORMAL_OPTIONS), "The distribution.")],
    elsewhere: &[],
};

/// What stands under `lognormal:`.
pub(crate) static LOGNORMAL_OPTIONS: Section = Section {
    name: "lognormal",
    about: "A lognormal distribution.",
    keys: &[
        must("median", Shape::Number, "Half of the values are less; more than 0."),
        must("spread", Shape::Number, "The standard deviation of the logarithm, 0 to 5: 0.5 is moderate."),
    ],
    elsewhere: &[],
};

/// `{ sequence: 1 }`.
pub(crate) static SEQUENCE: Section = Section {
    name: "generated_sequence",
    about: "A number one more than that of the event before.",
    keys: &[must("sequence", Shape::Integer, "The first.")],
    elsewhere: &[],
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

/// A feed.
pub(crate) static FEED: Section = Section {
    name: "feed",
    about: "An SQL query that is kept up to date.",
    keys: &[
        must("sql", Shape::Sql, "The query."),
        may(
            "key",
            Shape::OneOrList { of: &Shape::Identifier, high: COLUMNS },
            "The columns that name a row; with GROUP BY its columns without `window_end` unless said.",
        ),
        may("delete_when", Shape::Sql, "A condition over the query's columns; a row that meets it removes its key."),
        or(
            "emit",
            Shape::Word(&["changes", "final"]),
            "changes",
            "`changes` shows a window as it fills, `final` once, when it closes.",
        ),
        or(
            "refresh",
            Shape::Duration { low: ZERO, high: secs(DAY) },
            "0s",
            "The least time between two changes; `0s` shows every change at once.",
        ),
        or(
            "keep",
            Shape::Duration { low: MILLISECOND, high: CENTURY },
            "1h",
            "How much of the past the feed holds, and so what a newly opened dashboard shows at once.",
        ),
        may(
            "keep_rows",
            Shape::Count { low: 1, high: 1_000_000_000 },
            "How many rows the feed holds, the newest; a feed without key and GROUP BY holds 1000 unless said.",
        ),
        or(
            "max_groups",
            Shape::Count { low: 1, high: 1_000_000_000 },
            "1000000",
            "How many groups the query may hold; the rows of one more are dead letters.",
        ),
        or(
            "max_group_state",
            Shape::Size { low: 64 * KIB, high: 64 * MIB },
            "1MiB",
            "How much the aggregates of one group may remember; a row that needs more is a dead letter.",
        ),
        or(
            "max_memory",
            Shape::Size { low: MIB, high: TIB },
            "1GiB",
            "How much the query's groups, the feed's rows and its deleted keys may hold together.",
        ),
        or(
            "idle_ttl",
            Shape::Duration { low: MILLISECOND, high: CENTURY },
            "24h",
            "A group without a window is dropped after this long without an event.",
        ),
    ],
    elsewhere: &[
        ("query", "write `sql`"),
        ("select", "write `sql`"),
        ("primary_key", "write `key: […]` with the columns that name a row"),
        ("name", "the feed's name is the key before it: `load:`"),
        ("group_by", "GROUP BY is a part of `sql`"),
        ("window", "windows are a part of `sql`: FROM TUMBLE(stream, time_column, INTERVAL '10 seconds')"),
        ("retention", "write `keep`; `retention` belongs to streams"),
        ("source", "a feed reads the stream that its SQL names after FROM"),
    ],
};

/// A dashboard.
pub(crate) static DASHBOARD: Section = Section {
    name: "dashboard",
    about: "A page of panels.",
    keys: &[
        may("title", Shape::Text, "Its title; its name unless said."),
        or(
            "range",
            Shape::Duration { low: secs(1), high: CENTURY },
            "15m",
            "How much of the past its charts show until a viewer chooses otherwise.",
        ),
        must(
            "panels",
            Shape::List { of: &Shape::Either(&PANELS), low: 1, high: 200 },
            "Its panels, in order, from left to right and from top to bottom.",
        ),
    ],
    elsewhere: &[
        ("refresh", "leave it out: a page shows each change as it comes"),
        ("time", "write `range`"),
        ("rows", "panels stand in `panels`, from left to right; `span` is the width of one"),
        ("name", "the dashboard's name is the key before it; `title` is what the page shows"),
    ],
};

static PANELS: [Shape; 6] = [
    Shape::Section(&PANEL_LINE),
    Shape::Section(&PANEL_AREA),
    Shape::Section(&PANEL_BAR),
    Shape::Section(&PANEL_STAT),
    Shape::Section(&PANEL_GAUGE),
    Shape::Section(&PANEL_TABLE),
];

const PANEL_TITLE: Key = may("title", Shape::Text, "Its title; the feed's name unless said.");
const PANEL_FEED: Key = must("feed", Shape::Identifier, "The feed that it shows.");
const PANEL_SPAN: Key = or("span", Shape::Count { low: 1, high: 12 }, "6", "Its width in twelfths of the page.");
const PANEL_UNIT: Key = may("unit", Shape::Text, "The unit of y: `%`, `ms`, `bytes`, `EUR`, …");
const PANEL_ONLY: Key = may(
    "only",
    Shape::Named { name: Naming::Identifier, of: &Shape::OneOrList { of: &Shape::Text, high: 100 } },
    "Columns, each with the value or values that a row must have to be shown.",
);
const PANEL_EXPECT: Key = may(
    "expect",
    Shape::Duration { low: MILLISECOND, high: CENTURY },
    "How often the feed changes at least: later the panel says how old it is. Learned from the feed unless said.",
);
const PANEL_MIN: Key = may("min", Shape::Number, "The least of the y axis; from the values unless said.");
const PANEL_MAX: Key = may("max", Shape::Number, "The most of the y axis; from the values unless said.");
const PANEL_WARN: Key = may("warn", Shape::Number, "From here on a value is a warning.");
const PANEL_BAD: Key = may("bad", Shape::Number, "From here on a value is bad; if less than `warn`, low values are.");
const PANEL_X: Key = must("x", Shape::Identifier, "The column along the x axis.");
const PANEL_Y: Key =
    must("y", Shape::OneOrList { of: &Shape::Identifier, high: 50 }, "The column or columns along the y axis.");
const PANEL_SERIES: Key =
    may("series", Shape::Identifier, "The column whose values make the lines; one line a y column unless said.");
const PANEL_SORT: Key =
    may("sort", Shape::Text, "The column to sort by, with `-` before it from the greatest down: `-load`.");
const PANEL_ROWS: Key = may("rows", Shape::Count { low: 1, high: 10_000 }, "How many rows are shown at most.");
const PANEL_VALUE: Key = must("y", Shape::Identifier, "The column of the number.");
const PANEL_COMBINE: Key = or(
    "combine",
    Shape::Word(&["last", "sum", "mean", "min", "max", "count"]),
    "last",
    "How the rows of the newest x (without `x`: all rows) become one number.",
);

const THRESHOLDS: (&str, &str) = ("thresholds", "write `warn` and `bad`, a number each");
const WIDTH: (&str, &str) = ("width", "write `span`: of 12 parts of the page, so many");
const LEGEND: (&str, &str) = ("legend", "leave it out: where there are several series, their names are shown");
const QUERY: (&str, &str) = ("query", "a panel shows a feed, whose `sql` is the query: write `feed`");
const SQL_IS_A_FEEDS: (&str, &str) = ("sql", "a panel shows a feed, whose `sql` is the query: write `feed`");
const HAS_NO_COLUMNS: (&str, &str) =
    ("columns", "columns are a table's; this panel names its own under `x`, `y` and `series`");
const HAS_ONE_NUMBER: (&str, &str) =
    ("series", "this panel shows one number: `only` chooses rows, `combine` makes one number of several");

/// `type: line`.
pub(crate) static PANEL_LINE: Section = Section {
    name: "panel_line",
    about: "Lines over x.",
    keys: &[
        must("type", Shape::Word(&["line"]), "How it is drawn."),
        PANEL_TITLE,
        PANEL_FEED,
        PANEL_X,
        PANEL_Y,
        PANEL_SERIES,
        PANEL_UNIT,
        PANEL_ONLY,
        PANEL_MIN,
        PANEL_MAX,
        PANEL_WARN,
        PANEL_BAD,
        PANEL_EXPECT,
        PANEL_SPAN,
    ],
    elsewhere: &[
        THRESHOLDS,
        WIDTH,
        LEGEND,
        QUERY,
        SQL_IS_A_FEEDS,
        ("columns", "a line panel names its columns under `x`, `y` and `series`"),
    ],
};

/// `type: area`.
pub(crate) static PANEL_AREA: Section = Section {
    name: "panel_area",
    about: "Lines over x, filled below.",
    keys: &[
        must("type", Shape::Word(&["area"]), "How it is drawn."),
        PANEL_TITLE,
        PANEL_FEED,
        PANEL_X,
        PANEL_Y,
        PANEL_SERIES,
        PANEL_UNIT,
        PANEL_ONLY,
        PANEL_MIN,
        PANEL_MAX,
        PANEL_WARN,
        PANEL_BAD,
        PANEL_EXPECT,
        PANEL_SPAN,
    ],
    elsewhere: &[THRESHOLDS, WIDTH, LEGEND, QUERY, SQL_IS_A_FEEDS, HAS_NO_COLUMNS],
};

/// `type: bar`.
pub(crate) static PANEL_BAR: Section = Section {
    name: "panel_bar",
    about: "Bars: over time where x is a timestamp, else a ranking with a bar for each x.",
    keys: &[
        must("type", Shape::Word(&["bar"]), "How it is drawn."),
        PANEL_TITLE,
        PANEL_FEED,
        PANEL_X,
        PANEL_Y,
        PANEL_SERIES,
        PANEL_UNIT,
        PANEL_ONLY,
        PANEL_MAX,
        PANEL_SORT,
        PANEL_ROWS,
        PANEL_EXPECT,
        PANEL_SPAN,
    ],
    elsewhere: &[THRESHOLDS, WIDTH, LEGEND, QUERY, SQL_IS_A_FEEDS, HAS_NO_COLUMNS, ("min", "bars start at zero")],
};

/// `type: stat`.
pub(crate) static PANEL_STAT: Section = Section {
    name: "panel_stat",
    about: "One number, with the line that it draws over x.",
    keys: &[
        must("type", Shape::Word(&["stat"]), "How it is drawn."),
        PANEL_TITLE,
        PANEL_FEED,
        may("x", Shape::Identifier, "The column of its time: with it, the past is drawn as a small line."),
        PANEL_VALUE,
        PANEL_UNIT,
        PANEL_ONLY,
        PANEL_COMBINE,
        may(
            "compare",
            Shape::Duration { low: MILLISECOND, high: CENTURY },
            "Shows the change against the number of that long ago; needs `x`.",
        ),
        PANEL_WARN,
        PANEL_BAD,
        PANEL_EXPECT,
        PANEL_SPAN,
    ],
    elsewhere: &[THRESHOLDS, WIDTH, LEGEND, QUERY, SQL_IS_A_FEEDS, HAS_NO_COLUMNS, HAS_ONE_NUMBER],
};

/// `type: gauge`.
pub(crate) static PANEL_GAUGE: Section = Section {
    name: "panel_gauge",
    about: "One number between two ends.",
    keys: &[
        must("type", Shape::Word(&["gauge"]), "How it is drawn."),
        PANEL_TITLE,
        PANEL_FEED,
        may("x", Shape::Identifier, "The column of its time: the number is that of the newest."),
        PANEL_VALUE,
        PANEL_UNIT,
        PANEL_ONLY,
        PANEL_COMBINE,
        or("min", Shape::Number, "0", "Its lower end."),
        may("max", Shape::Number, "Its upper end; 100 for `%`, else from the values unless said."),
        PANEL_WARN,
        PANEL_BAD,
        PANEL_EXPECT,
        PANEL_SPAN,
    ],
    elsewhere: &[
        THRESHOLDS,
        WIDTH,
        LEGEND,
        QUERY,
        SQL_IS_A_FEEDS,
        HAS_NO_COLUMNS,
        HAS_ONE_NUMBER,
        ("compare", "`compare` is a stat's"),
    ],
};

/// `type: table`.
pub(crate) static PANEL_TABLE: Section = Section {
    name: "panel_table",
    about: "Rows and columns.",
    keys: &[
        must("type", Shape::Word(&["table"]), "How it is drawn."),
        PANEL_TITLE,
        PANEL_FEED,
        may(
            "columns",
            Shape::List { of: &Shape::Identifier, low: 1, high: COLUMNS },
            "The columns to show, in order; all unless said.",
        ),
        may(
            "bars",
            Shape::OneOrList { of: &Shape::Identifier, high: 50 },
            "Columns of numbers that are drawn as bars beside the number.",
        ),
        PANEL_ONLY,
        PANEL_SORT,
        PANEL_ROWS,
        PANEL_EXPECT,
        PANEL_SPAN,
    ],
    elsewhere: &[
        ("x", "a table panel names its columns under `columns`"),
        ("y", "a table panel names its columns under `columns`"),
        ("series", "a table panel names its columns under `columns`"),
        ("unit", "a unit belongs to a panel with `y`"),
    ],
};

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

/// Every section, for the JSON Schema and tests.
pub(crate) static SECTIONS: [&Section; 31] = [
    &ROOT,
    &LIMITS,
    &STREAM,
    &SOURCE_HTTP,
    &SOURCE_FILE,
    &SOURCE_GENERATOR,
    &SOURCE_HOST,
    &RHYTHM,
    &RHYTHM_WAVE,
    &SPELL,
    &LATE,
    &SILENT,
    &CHOICE,
    &UNIFORM,
    &WALK,
    &WALK_OPTIONS,
    &WAVE,
    &WAVE_OPTIONS,
    &LOGNORMAL,
    &LOGNORMAL_OPTIONS,
    &SEQUENCE,
    &COLUMN,
    &EVENT_TIME,
    &FEED,
    &DASHBOARD,
    &PANEL_LINE,
    &PANEL_AREA,
    &PANEL_BAR,
    &PANEL_STAT,
    &PANEL_GAUGE,
    &PANEL_TABLE,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units;

    #[test]
    fn every_default_is_within_its_bounds() {
        for key in SECTIONS.iter().flat_map(|section| section.keys) {
            let Absent::Means(text) = key.absent else { continue };
            let fits = match &key.shape {
                Shape::Text => !text.is_empty(),
                Shape::Number => text.parse::<f64>().is_ok_and(f64::is_finite),
                Shape::Flag => ["true", "false"].contains(&text),
                Shape::Word(words) => words.contains(&text),
                Shape::Count { low, high } => text.parse().is_ok_and(|n: u64| (*low..=*high).contains(&n)),
                Shape::Size { low, high } => units::size(text).is_ok_and(|n| (*low..=*high).contains(&n)),
                Shape::Duration { low, high } | Shape::DurationOrOff { low, high } => {
                    units::duration(text).is_ok_and(|d| (*low..=*high).contains(&d))
                }
                _ => false,
            };
            assert!(fits, "{}: {text}", key.name);
        }
    }

    #[test]
    fn the_types_are_those_of_the_model() {
        let names = model::DataType::ALL.map(model::DataType::name);
        assert_eq!(TYPES.map(|name| if name == DECIMAL { "decimal" } else { name }), names);
    }

    #[test]
    fn names_are_unique() {
        for section in SECTIONS {
            let mut names: Vec<&str> = section.keys.iter().map(|key| key.name).collect();
            // Advice is for keys that do not exist.
            names.extend(section.elsewhere.iter().map(|(name, _)| *name));
            names.sort_unstable();
            assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{}: {names:?}", section.name);
        }
    }
}
