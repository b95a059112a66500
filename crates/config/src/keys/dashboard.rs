//! The keys of a dashboard and of its panels.

use super::{CENTURY, COLUMNS, MILLISECOND, may, must, or, secs};
use crate::shape::{Key, Naming, Section, Shape};

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

static PANELS: [Shape; 5] = [
    Shape::Section(&PANEL_LINE),
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

/// `type: line`, and `type: area`, which is filled below.
pub(crate) static PANEL_LINE: Section = Section {
    name: "panel_line",
    about: "Lines over x; an area is filled below.",
    keys: &[
        must("type", Shape::Word(&["line", "area"]), "How it is drawn."),
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
