//! Every key of a configuration: its shape, bounds, default and meaning, in one table.
//!
//! The readers take bounds and defaults from here, messages about unknown keys list what
//! stands here, and the JSON Schema is made of it, so that the three cannot disagree.

mod dashboard;
mod generator;
mod limits;
mod stream;

use std::time::Duration;

pub(crate) use self::{dashboard::*, generator::*, limits::*, stream::*};
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

/// Every section, for the JSON Schema and tests.
pub(crate) static SECTIONS: [&Section; 30] = [
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
