//! A type and a name for each field; which of them is the time, and which is counted by.

use std::{
    collections::{BTreeSet, HashSet},
    time::{SystemTime, UNIX_EPOCH},
};

use config::StreamColumn;
use model::DataType;
use serde_json::Value;

use super::sample::{Field, Sample};

/// A column that is counted by has at most so many values.
const MANY: usize = 50;

/// Numbers that are averaged.
const NUMBERS: usize = 3;

/// Milliseconds since 1970 that are a time of our days: from 2001-09-09 to 2096-10-02. Seconds
/// are a thousandth of it.
const MILLIS: std::ops::RangeInclusive<i64> = 1_000_000_000_000..=4_000_000_000_000;
const SECONDS: std::ops::RangeInclusive<i64> = 1_000_000_000..=4_000_000_000;

/// Windows that the sample's time makes, about.
const WINDOWS: i64 = 60;

/// Names that are taken: by windows, by append feeds, and by YAML's words for other things.
const TAKEN: [&str; 6] = ["window_start", "window_end", "_seq", "true", "false", "null"];

/// A column, with what is to be said of it.
pub(super) struct Column {
    pub(super) column: StreamColumn,
    pub(super) note: Option<&'static str>,
}

/// What is made of a file.
pub(super) struct Guess {
    pub(super) stream: String,
    pub(super) columns: Vec<Column>,
    /// The column of the event time.
    pub(super) time: Option<Time>,
    /// What is counted by, and what names the rows of the latest.
    pub(super) category: Option<String>,
    /// What is averaged and added up.
    pub(super) numbers: Vec<String>,
}

/// The event time.
pub(super) struct Time {
    pub(super) column: String,
    /// How wide a window is, as SQL and as a duration.
    pub(super) window: (&'static str, &'static str),
    /// How much older than the newest before it an event of the sample is, at most, in seconds.
    pub(super) disorder: i64,
    /// Seconds that a thousand windows are.
    pub(super) keep: i64,
    /// Whether the sample has times that are not yet.
    pub(super) ahead: bool,
}

impl Guess {
    pub(super) fn feeds(&self) -> usize {
        1 + usize::from(self.time.is_some()) + usize::from(self.category.is_some())
    }
}

pub(super) fn guess(sample: &Sample, stem: &str) -> Guess {
    let mut taken: HashSet<String> = TAKEN.iter().map(|&name| name.to_owned()).collect();
    let mut columns: Vec<Column> = sample.fields.iter().map(|field| column(field, sample, &mut taken)).collect();
    let all: Vec<StreamColumn> = columns.iter().map(|c| c.column.clone()).collect();
    if !sample.fits(&all, None) {
        // Something is not as it looked: each is tried alone.
        for found in &mut columns {
            if !sample.fits(std::slice::from_ref(&found.column), None) {
                found.column.data_type = if sample.is_csv() { DataType::Text } else { DataType::Json };
            }
        }
    }
    let time = time(sample, &columns);
    let category = category(sample, &columns);
    let numbers = sample.fields.iter().zip(&columns).filter(|(field, c)| is_measure(field, c)).take(NUMBERS);
    let numbers = numbers.map(|(_, c)| c.column.name.clone()).collect();
    Guess { stream: stream(stem), columns, time, category, numbers }
}

/// The stream is called as its file.
fn stream(stem: &str) -> String {
    let name: String = identifier(stem).chars().take(40).collect();
    let name = name.trim_matches('_');
    // A file without a name of letters, and names that mean something else.
    if stem.chars().any(|c| c.is_ascii_alphanumeric()) && !TAKEN.contains(&name) {
        name.to_owned()
    } else {
        "events".to_owned()
    }
}

fn column(field: &Field, sample: &Sample, taken: &mut HashSet<String>) -> Column {
    let name = free(&identifier(&field.name), taken);
    let (data_type, note) = type_of(field, sample);
    let from = field.name.clone();
    Column { column: StreamColumn { name, from, data_type, not_null: false }, note }
}

/// A name in SQL: small letters, digits and `_`.
fn identifier(name: &str) -> String {
    let mut out = String::new();
    let mut small = false;
    for c in name.chars() {
        let plain = c.is_ascii_alphanumeric();
        // `hostName` is `host_name`.
        if (!plain || (small && c.is_ascii_uppercase())) && !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
        if plain {
            out.push(c.to_ascii_lowercase());
        }
        small = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    let mut out: String = out.trim_end_matches('_').chars().take(48).collect();
    if out.is_empty() {
        "column".clone_into(&mut out);
    }
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert_str(0, "c_");
    }
    out
}

fn free(name: &str, taken: &mut HashSet<String>) -> String {
    let numbered = (2..).map(|n| format!("{name}_{n}"));
    let found = std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken.contains(name));
    let found = found.unwrap_or_default();
    taken.insert(found.clone());
    found
}

const SECONDS_NOTE: &str = "seconds since 1970: a timestamp here is milliseconds. For windows over it, write milliseconds \
                            into the file, or RFC 3339 text";
const ZONELESS_NOTE: &str = "times without a zone: they are read as UTC";
const DAY_NOTE: &str = "days: each is read as its midnight in UTC";

/// Its type, and what is to be said of it.
fn type_of(field: &Field, sample: &Sample) -> (DataType, Option<&'static str>) {
    let values = &field.values;
    let any = if sample.is_csv() { DataType::Text } else { DataType::Json };
    if values.is_empty() {
        return (any, Some("empty in the records that were looked at"));
    }
    let all = |is: &dyn Fn(&Value) -> bool| values.iter().all(is);
    let named_time = is_time_name(&field.name);
    let integer = |value: &Value| integer(value);
    if all(&|v| integer(v).is_some()) {
        let within = |range: &std::ops::RangeInclusive<i64>| all(&|v| integer(v).is_some_and(|n| range.contains(&n)));
        if within(&MILLIS) && named_time {
            return (DataType::Timestamp, None);
        }
        let seconds = within(&SECONDS) && named_time;
        return (DataType::BigInt, seconds.then_some(SECONDS_NOTE));
    }
    if all(&|v| number(v)) {
        return (DataType::Double, None);
    }
    if all(&|v| boolean(v, sample.is_csv())) {
        return (DataType::Boolean, None);
    }
    let Some(texts) = values.iter().map(Value::as_str).collect::<Option<Vec<&str>>>() else {
        let nested = values.iter().any(|v| v.is_object() || v.is_array());
        return (any, (!nested).then_some("values of several types: `json` takes them all"));
    };
    let every = |is: &dyn Fn(&str) -> bool| texts.iter().all(|text| is(text));
    if every(&|text| timestamp(text).is_some()) {
        return (DataType::Timestamp, None);
    }
    if every(&|text| text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()) {
        return if named_time { (DataType::Timestamp, Some(DAY_NOTE)) } else { (DataType::Date, None) };
    }
    if every(&|text| text.len() > 10 && text.as_bytes()[4] == b'-' && text.parse::<jiff::civil::DateTime>().is_ok()) {
        return (DataType::Timestamp, Some(ZONELESS_NOTE));
    }
    (DataType::Text, None)
}

/// A whole number; not one with a zero in front, which is a name.
fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            let plain = digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
            text.parse().ok().filter(|_| plain)
        }
        _ => None,
    }
}

fn number(value: &Value) -> bool {
    match value {
        Value::Number(_) => true,
        Value::String(text) => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            let plain = digits.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
            let named = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
            plain && !named && text.parse::<f64>().is_ok_and(f64::is_finite)
        }
        _ => false,
    }
}

fn boolean(value: &Value, csv: bool) -> bool {
    match value {
        Value::Bool(_) => true,
        Value::String(text) => csv && (text == "true" || text == "false"),
        _ => false,
    }
}

fn timestamp(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// The same, and a time without a zone, which is read as UTC.
fn moment(text: &str) -> Option<i64> {
    let utc = || jiff::tz::Offset::UTC.to_timestamp(text.parse::<jiff::civil::DateTime>().ok()?).ok();
    timestamp(text).or_else(|| utc().map(jiff::Timestamp::as_millisecond))
}

/// Names that times have; the best first.
const TIME_NAMES: [&str; 10] =
    ["event_time", "timestamp", "ts", "time", "datetime", "date_time", "at", "created_at", "updated_at", "date"];

fn is_time_name(name: &str) -> bool {
    let name = identifier(name);
    let ends = ["_at", "_time", "_ts", "_timestamp", "_date", "_ms", "_on"];
    TIME_NAMES.contains(&name.as_str()) || ends.iter().any(|end| name.ends_with(end)) || name.starts_with("time")
}

/// The timestamp that every record has, by its name; of others the first.
fn time(sample: &Sample, columns: &[Column]) -> Option<Time> {
    let rank = |name: &str| TIME_NAMES.iter().position(|known| *known == name).unwrap_or(TIME_NAMES.len());
    let is_time = |c: &Column| c.column.data_type == DataType::Timestamp;
    let candidates = sample.fields.iter().zip(columns).filter(|(_, c)| is_time(c));
    let every = |c: &Column| sample.fits(std::slice::from_ref(&c.column), Some(&c.column.name));
    let (field, found) = candidates.filter(|(_, c)| every(c)).min_by_key(|(_, c)| rank(&c.column.name))?;
    let millis = |value: &Value| value.as_str().and_then(moment).or_else(|| integer(value));
    let times: Vec<i64> = field.values.iter().filter_map(millis).collect();
    let (first, last) = (*times.iter().min()?, *times.iter().max()?);
    let mut newest = i64::MIN;
    let behind = times.iter().map(|time| {
        newest = newest.max(*time);
        newest - time
    });
    let disorder = behind.max().unwrap_or(0);
    let widths = [
        (1, "1 second", "1s"),
        (10, "10 seconds", "10s"),
        (60, "1 minute", "1m"),
        (600, "10 minutes", "10m"),
        (3_600, "1 hour", "1h"),
        (86_400, "1 day", "1d"),
    ];
    let fits = |(seconds, _, _): &&(i64, &str, &str)| last.saturating_sub(first) / 1_000 / seconds <= WINDOWS;
    let (seconds, sql, short) = *widths.iter().find(fits).unwrap_or(&widths[widths.len() - 1]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
    let span = (last - first) / 1_000;
    Some(Time {
        column: found.column.name.clone(),
        window: (sql, short),
        disorder: disorder.div_euclid(1_000) + i64::from(disorder % 1_000 > 0),
        keep: (seconds * 1_000).max(span.saturating_mul(2)),
        ahead: last > now,
    })
}

/// A text that says which of a few something is, and that every record has.
fn category(sample: &Sample, columns: &[Column]) -> Option<String> {
    let different = |(field, column): (&Field, &Column)| {
        let fits =
            column.column.data_type == DataType::Text && column.note.is_none() && field.values.len() == sample.records;
        let values: BTreeSet<&str> = field.values.iter().filter_map(Value::as_str).take(sample.records).collect();
        let short = values.iter().all(|value| (1..=64).contains(&value.len()));
        // Where every record has its own, it names the record.
        let repeats = values.len() < sample.records;
        (fits && short && repeats && values.len() <= MANY).then(|| (values.len() == 1, column.column.name.clone()))
    };
    // One value in all records tells nothing, but is better than none.
    let mut found: Vec<(bool, String)> = sample.fields.iter().zip(columns).filter_map(different).collect();
    found.sort_by_key(|(single, _)| *single);
    found.into_iter().map(|(_, name)| name).next()
}

/// A number that is measured or counted, not one that names something.
fn is_measure(field: &Field, column: &Column) -> bool {
    let name = &column.column.name;
    let number = matches!(column.column.data_type, DataType::Double | DataType::BigInt) && column.note.is_none();
    let names = name == "id" || name.ends_with("_id") || name.ends_with("_no") || name == "zip" || name == "year";
    number && !names && !field.values.is_empty()
}

/// A value for a message.
pub(super) fn shown(text: &str) -> String {
    crate::report::printable(&text.chars().take(40).collect::<String>())
}
