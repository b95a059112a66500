//! A configuration as text, with comments that say why.

use std::{fmt::Write as _, path::Path};

use config::StreamColumn;

use super::{
    guess::{Column, Guess, Time},
    sample::{RECORDS, Sample},
};

/// Writes SQL with its names in quotes or without.
struct Names(bool);

impl Names {
    fn sql(&self, name: &str) -> String {
        if self.0 { format!("\"{name}\"") } else { name.to_owned() }
    }

    fn list(&self, names: &[&str]) -> String {
        names.iter().map(|name| self.sql(name)).collect::<Vec<_>>().join(", ")
    }
}

pub(super) fn configuration(file: &Path, sample: &Sample, guess: &Guess, quoted: bool) -> String {
    let names = Names(quoted);
    let mut out = String::new();
    let records = if sample.more { format!("the first {RECORDS} records") } else { "all records".to_owned() };
    let stream = &guess.stream;
    line(&mut out, &format!("# Made by `tidewire init` from {records} of {}.", comment(&file.display().to_string())));
    line(&mut out, "# `tidewire check` validates it, `tidewire serve` runs it; then open");
    line(&mut out, &format!("# http://127.0.0.1:8080/dashboard/{stream}"));
    line(&mut out, "\nstreams:");
    line(&mut out, &format!("  {stream}:"));
    line(&mut out, "    # Read once from its start, relative to the directory where `tidewire serve` runs.");
    line(&mut out, "    # `follow: true` beside `path` waits for more at its end.");
    line(&mut out, &format!("    source: {{ type: file, path: {} }}", yaml(&glob(&file.display().to_string()))));
    line(&mut out, &format!("    format: {}", if sample.is_csv() { "csv" } else { "ndjson" }));
    line(&mut out, "    # A value that does not fit makes its record a dead letter: `tidewire dead-letters`.");
    line(&mut out, "    schema:");
    for column in &guess.columns {
        schema(&mut out, column);
    }
    for why in &sample.left_out {
        line(&mut out, &format!("      # left out: {}", comment(why)));
    }
    match &guess.time {
        Some(time) => event_time(&mut out, time),
        None => {
            line(&mut out, "    # No column is a time that every record has, so there are no windows. With one:");
            line(&mut out, "    # event_time: { column: NAME }");
        }
    }
    line(&mut out, "\nfeeds:");
    latest(&mut out, guess, &names);
    if let Some(time) = &guess.time {
        over_time(&mut out, guess, time, &names);
    }
    match &guess.category {
        Some(category) => totals(&mut out, guess, category, &names),
        None => line(&mut out, "  # No column has few texts that come again, so there are no totals by one."),
    }
    dashboard(&mut out, guess);
    out
}

fn schema(out: &mut String, Column { column, note }: &Column) {
    let StreamColumn { name, from, data_type, .. } = column;
    if let Some(note) = note {
        line(out, &format!("      # {note}"));
    }
    if name == from {
        line(out, &format!("      {name}: {data_type}"));
    } else {
        line(out, &format!("      {name}: {{ type: {data_type}, from: {} }}", yaml(from)));
    }
}

fn event_time(out: &mut String, time: &Time) {
    // What is default is not written.
    let lateness =
        if time.disorder > 5 { format!(", max_lateness: {}", duration(time.disorder)) } else { String::new() };
    let ahead = if time.ahead { ", max_ahead: off" } else { "" };
    if !lateness.is_empty() {
        line(
            out,
            "    # As far as the records looked at are out of order; what comes later than this is a dead letter.",
        );
    }
    if time.ahead {
        line(out, "    # Some times are not yet, so events may be ahead of the clock.");
    }
    line(out, &format!("    event_time: {{ column: {}{lateness}{ahead} }}", time.column));
}

/// How long rows stay that no window removes: a file does not write them again.
const STAYS: &str = "365d";

fn latest(out: &mut String, guess: &Guess, names: &Names) {
    let columns: Vec<&str> = guess.columns.iter().map(|c| c.column.name.as_str()).collect();
    match &guess.category {
        Some(key) => line(out, &format!("  # The last record of each `{key}`.")),
        None => line(out, "  # The last 1000 records. With `key: NAME` it holds the last record of each NAME."),
    }
    line(out, &format!("  {}_latest:", guess.stream));
    line(out, "    sql: |");
    line(out, &format!("      SELECT {}", names.list(&columns)));
    line(out, &format!("      FROM {}", names.sql(&guess.stream)));
    if let Some(key) = &guess.category {
        line(out, &format!("    key: {key}"));
    }
    line(out, &format!("    keep: {STAYS}"));
}

/// `count(*)`, then an aggregate of each number.
fn aggregates(guess: &Guess, names: &Names, function: &str) -> String {
    let mut text = format!("count(*) AS {}", names.sql(&count_name(guess)));
    for number in &guess.numbers {
        // Writing into a String cannot fail.
        let _ = write!(text, ", {function}({0}) AS {0}", names.sql(number));
    }
    text
}

/// A name for the count that no column has.
fn count_name(guess: &Guess) -> String {
    let free = |name: &String| guess.columns.iter().all(|c| c.column.name != *name);
    let names = std::iter::once("records".to_owned()).chain((2..).map(|n| format!("records_{n}")));
    names.into_iter().find(free).unwrap_or_default()
}

fn over_time(out: &mut String, guess: &Guess, time: &Time, names: &Names) {
    let (sql, short) = time.window;
    let by = guess.category.as_ref().map(|c| format!(" of each `{c}`")).unwrap_or_default();
    line(out, &format!("  # Counts and averages{by} in windows of {short}."));
    line(out, &format!("  {}_over_time:", guess.stream));
    let category = guess.category.as_ref().map(|c| format!("{}, ", names.sql(c))).unwrap_or_default();
    line(out, "    sql: |");
    line(out, &format!("      SELECT {category}window_start, window_end, {}", aggregates(guess, names, "avg")));
    line(
        out,
        &format!("      FROM TUMBLE({}, {}, INTERVAL '{sql}')", names.sql(&guess.stream), names.sql(&time.column)),
    );
    line(out, &format!("      GROUP BY {category}window_start, window_end"));
    line(out, &format!("    keep: {}      # of event time", duration(time.keep)));
}

fn totals(out: &mut String, guess: &Guess, category: &str, names: &Names) {
    line(out, &format!("  # Totals of each `{category}`, from the first record on."));
    line(out, &format!("  {}_totals:", guess.stream));
    line(out, "    sql: |");
    line(out, &format!("      SELECT {}, {}", names.sql(category), aggregates(guess, names, "sum")));
    line(out, &format!("      FROM {}", names.sql(&guess.stream)));
    line(out, &format!("      GROUP BY {}", names.sql(category)));
    line(out, &format!("    keep: {STAYS}"));
    line(out, &format!("    idle_ttl: {STAYS}"));
}

fn dashboard(out: &mut String, guess: &Guess) {
    let stream = &guess.stream;
    line(out, "\ndashboards:");
    line(out, &format!("  {stream}:"));
    line(out, "    panels:");
    if guess.time.is_some() {
        let y = guess.numbers.first().cloned().unwrap_or_else(|| count_name(guess));
        let series = guess.category.as_ref().map(|c| format!(", series: {c}")).unwrap_or_default();
        line(
            out,
            &format!(
                "      - {{ title: Over time, feed: {stream}_over_time, type: line, x: window_start, y: {y}{series} }}"
            ),
        );
    }
    if guess.category.is_some() {
        line(out, &format!("      - {{ title: Totals, feed: {stream}_totals, type: table }}"));
    }
    line(out, &format!("      - {{ title: Latest, feed: {stream}_latest, type: table, span: 12 }}"));
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

/// Seconds in the largest unit that has no rest.
fn duration(seconds: i64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let fits = units.into_iter().find(|(unit, _)| seconds % unit == 0);
    let (unit, name) = fits.unwrap_or((1, "s"));
    format!("{}{name}", seconds / unit)
}

/// Text for a comment: one line, that cannot end it.
fn comment(text: &str) -> String {
    crate::report::printable(text)
}

/// A text in double quotes. What is no letter, digit or sign of ASCII is escaped, so that the
/// file shows what it has; `$` is doubled, because `${…}` is a variable.
fn yaml(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '$' => out.push_str("$$"),
            ' '..='~' => out.push(c),
            _ if c.is_alphanumeric() => out.push(c),
            _ => {
                let _ = write!(out, "\\U{:08X}", c as u32);
            }
        }
    }
    out.push('"');
    out
}

/// A path in which `*`, `?` and `[` are themselves and no pattern.
fn glob(path: &str) -> String {
    path.chars().fold(String::new(), |mut out, c| {
        if matches!(c, '*' | '?' | '[' | ']') {
            out.extend(['[', c, ']']);
        } else {
            out.push(c);
        }
        out
    })
}
