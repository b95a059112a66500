//! What each column type takes, and what is said about the rest.
//!
//! This is the careful way that [`super::record`] and [`super::csv`] share. The scan of
//! [`super::scan`] takes a part of the same values faster.

use model::{DataType, Reason};
use serde_json::value::RawValue;

use super::{
    Limits,
    columns::{Column, TextLists, Values},
    number::{NotInteger, exact_decimal, exact_integer, floor_integer, number_end},
    text::{append_base64, append_compact, depth, shortened},
    time::{self, TimeError},
};

/// Why a record is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub reason: Reason,
    pub message: String,
}

impl Fault {
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(Reason::Malformed, message)
    }
}

/// Appends the value of a JSON record's field, or null where it has none.
pub(super) fn push_json(column: &mut Column, raw: Option<&RawValue>) -> Result<(), Fault> {
    let Some(raw) = raw.map(RawValue::get).filter(|raw| *raw != "null") else {
        return push_missing(column, raw.is_some());
    };
    let wrong = || wrong_type(&column.from, column.data_type, &described(raw));
    let is_number = raw.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    let string = |from: &str| -> Result<Option<String>, Fault> {
        if !raw.starts_with('"') {
            return Ok(None);
        }
        let text = serde_json::from_str(raw);
        text.map(Some).map_err(|e| Fault::malformed(format!("field \"{from}\": {}", without_place(&e))))
    };
    match &mut column.values {
        Values::Text(texts) => texts.push(string(&column.from)?.ok_or_else(wrong)?.as_bytes()),
        Values::Json(texts) => {
            append_compact(&mut texts.bytes, raw.as_bytes());
            texts.close();
        }
        Values::BigInt(values) => {
            let value = if is_number {
                exact_integer(raw)
            } else {
                // Integers beyond 2^53 are strings in JSON that has passed through JavaScript.
                let text = string(&column.from)?.filter(|t| is_integer_text(t)).ok_or_else(wrong)?;
                exact_integer(&text)
            };
            values.push(value.map_err(|e| not_integer(&column.from, column.data_type, e, raw))?);
        }
        Values::Int(values) => {
            let value = if is_number { exact_integer(raw) } else { return Err(wrong()) };
            values.push(as_int(value).map_err(|e| not_integer(&column.from, column.data_type, e, raw))?);
        }
        Values::Double(values) => {
            let value: f64 = if is_number { raw.parse().map_err(|_| wrong())? } else { return Err(wrong()) };
            values.push(if value.is_finite() { value } else { return Err(beyond_double(&column.from, raw)) });
        }
        Values::Decimal(values) => {
            let text;
            let number = if is_number {
                raw
            } else {
                text = string(&column.from)?.ok_or_else(wrong)?;
                plain_number(&text).ok_or_else(wrong)?
            };
            values.push(as_decimal(&column.from, column.data_type, number)?);
        }
        Values::Boolean(values) => values.push(match raw {
            "true" => true,
            "false" => false,
            _ => return Err(wrong()),
        }),
        Values::Timestamp(values) => {
            let time =
                if is_number { from_millis(raw) } else { time::parse(&string(&column.from)?.ok_or_else(wrong)?) };
            values.push(time.map_err(|e| not_a_time(&column.from, e, raw))?);
        }
        Values::Date(values) => {
            let date = time::parse_date(&string(&column.from)?.ok_or_else(wrong)?);
            values.push(date.map_err(|e| not_a_date(&column.from, e, raw))?);
        }
        Values::Bytes(texts) => {
            append_base64(&mut texts.bytes, &string(&column.from)?.ok_or_else(wrong)?).ok_or_else(wrong)?;
            texts.close();
        }
        Values::TextList(lists) => {
            if !raw.starts_with('[') {
                return Err(wrong());
            }
            push_items(&column.from, lists, raw)?;
        }
    }
    Ok(())
}

/// Appends a JSON array of texts and nulls.
fn push_items(from: &str, lists: &mut TextLists, array: &str) -> Result<(), Fault> {
    let malformed = |e: serde_json::Error| Fault::malformed(format!("field \"{from}\": {}", without_place(&e)));
    let items: Vec<&RawValue> = serde_json::from_str(array).map_err(malformed)?;
    for item in items {
        match item.get() {
            "null" => lists.push_null_item(),
            text if text.starts_with('"') => {
                lists.items.push(serde_json::from_str::<String>(text).map_err(malformed)?.as_bytes());
            }
            other => {
                let found = format!("an array with {} in it", described(other));
                return Err(wrong_type(from, DataType::TextList, &found));
            }
        }
    }
    lists.close();
    Ok(())
}

/// Appends the value of a CSV record's field; an empty field is null.
pub(super) fn push_text(column: &mut Column, limits: &Limits, field: &str) -> Result<(), Fault> {
    if field.is_empty() {
        return push_missing(column, true);
    }
    let trimmed = field.trim_ascii();
    let wrong = || wrong_type(&column.from, column.data_type, &found_text(field));
    match &mut column.values {
        Values::Text(texts) => texts.push(field.as_bytes()),
        Values::Json(texts) => {
            let raw: &RawValue = serde_json::from_str(field)
                .map_err(|e| Fault::malformed(format!("field \"{}\": not JSON: {}", column.from, without_place(&e))))?;
            // The record itself is a level, as in JSON.
            if depth(field.as_bytes()) >= limits.max_depth {
                return Err(limits.too_deep());
            }
            append_compact(&mut texts.bytes, raw.get().as_bytes());
            texts.close();
        }
        Values::BigInt(values) => {
            let value = exact_integer(plain_number(trimmed).ok_or_else(wrong)?);
            values.push(value.map_err(|e| not_integer(&column.from, column.data_type, e, field))?);
        }
        Values::Int(values) => {
            let value = as_int(exact_integer(plain_number(trimmed).ok_or_else(wrong)?));
            values.push(value.map_err(|e| not_integer(&column.from, column.data_type, e, field))?);
        }
        Values::Double(values) => {
            let value: f64 = plain_number(trimmed).ok_or_else(wrong)?.parse().map_err(|_| wrong())?;
            values.push(if value.is_finite() { value } else { return Err(beyond_double(&column.from, field)) });
        }
        Values::Decimal(values) => {
            values.push(as_decimal(&column.from, column.data_type, plain_number(trimmed).ok_or_else(wrong)?)?);
        }
        Values::Boolean(values) => {
            let value = if trimmed.eq_ignore_ascii_case("true") {
                true
            } else if trimmed.eq_ignore_ascii_case("false") {
                false
            } else {
                return Err(wrong());
            };
            values.push(value);
        }
        Values::Timestamp(values) => {
            let time = match plain_number(trimmed) {
                Some(number) => from_millis(number),
                None => time::parse(trimmed),
            };
            values.push(time.map_err(|e| not_a_time(&column.from, e, &format!("\"{field}\"")))?);
        }
        Values::Date(values) => {
            let date = time::parse_date(trimmed);
            values.push(date.map_err(|e| not_a_date(&column.from, e, &format!("\"{field}\"")))?);
        }
        Values::Bytes(texts) => {
            append_base64(&mut texts.bytes, trimmed).ok_or_else(wrong)?;
            texts.close();
        }
        Values::TextList(lists) => {
            if serde_json::from_str::<&RawValue>(field).is_err() || !trimmed.starts_with('[') {
                return Err(wrong());
            }
            push_items(&column.from, lists, field)?;
        }
    }
    Ok(())
}

pub(super) fn push_missing(column: &mut Column, is_null: bool) -> Result<(), Fault> {
    if column.required {
        let what = if is_null { "is null" } else { "is missing" };
        let message = format!("field \"{}\" {what}: every record needs its {}", column.from, column.data_type);
        return Err(Fault::new(Reason::Missing, message));
    }
    column.push_null();
    Ok(())
}

pub(super) fn as_decimal(from: &str, data_type: DataType, number: &str) -> Result<i128, Fault> {
    let DataType::Decimal { precision, scale } = data_type else {
        return Err(wrong_type(from, data_type, "a decimal"));
    };
    exact_decimal(number, precision, scale).ok_or_else(|| {
        let message = format!("field \"{from}\": {} has more digits than {data_type} holds", shortened(number));
        Fault::new(Reason::OutOfRange, message)
    })
}

fn from_millis(number: &str) -> Result<i64, TimeError> {
    time::checked(floor_integer(number).map_err(|_| TimeError::Range)?)
}

fn as_int(value: Result<i64, NotInteger>) -> Result<i32, NotInteger> {
    i32::try_from(value?).map_err(|_| NotInteger::Range)
}

/// The number, if the text is one by JSON's grammar but for a plus sign and leading zeros,
/// which programs that write CSV put there.
pub(super) fn plain_number(text: &str) -> Option<&str> {
    let text = text.strip_prefix('+').filter(|t| !t.starts_with('-')).unwrap_or(text);
    let unsigned = text.strip_prefix('-').unwrap_or(text).as_bytes();
    // The last zero stays if no digit follows it.
    let zeros = unsigned.iter().take_while(|b| **b == b'0').count();
    let kept = zeros - usize::from(zeros > 0 && !unsigned.get(zeros).is_some_and(u8::is_ascii_digit));
    (number_end(unsigned, kept) == Some(unsigned.len()) && unsigned[0] != b'-').then_some(text)
}

pub(super) fn is_integer_text(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

pub(super) fn wrong_type(from: &str, expected: DataType, found: &str) -> Fault {
    let form = match expected {
        DataType::Timestamp => " (milliseconds since 1970, or RFC 3339 text)",
        DataType::Date => " (text like 2024-12-31)",
        DataType::Bytes => " (base64 text)",
        DataType::TextList => " (an array of texts)",
        _ => "",
    };
    Fault::new(Reason::WrongType, format!("field \"{from}\": expected {expected}{form}, found {found}"))
}

pub(super) fn not_integer(from: &str, data_type: DataType, error: NotInteger, raw: &str) -> Fault {
    let (low, high) = match data_type {
        DataType::Int => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    };
    match error {
        NotInteger::Fraction => wrong_type(from, data_type, &format!("number {}", shortened(raw))),
        NotInteger::Range => Fault::new(
            Reason::OutOfRange,
            format!("field \"{from}\": {} is beyond what {data_type} holds ({low} to {high})", shortened(raw)),
        ),
    }
}

pub(super) fn beyond_double(from: &str, raw: &str) -> Fault {
    let message = format!("field \"{from}\": {} is beyond what double holds (about ±1.8e308)", shortened(raw));
    Fault::new(Reason::OutOfRange, message)
}

pub(super) fn not_a_time(from: &str, error: TimeError, raw: &str) -> Fault {
    match error {
        TimeError::Text => wrong_type(from, DataType::Timestamp, &format!("text {}", shortened(raw))),
        TimeError::Range => {
            let unit = if raw.starts_with('"') { "" } else { " ms" };
            let message = format!(
                "field \"{from}\": {}{unit} lies outside of the years 0001 to 9999; \
                 a number is read as milliseconds since 1970",
                shortened(raw)
            );
            Fault::new(Reason::OutOfRange, message)
        }
    }
}

pub(super) fn not_a_date(from: &str, error: TimeError, raw: &str) -> Fault {
    match error {
        TimeError::Text => wrong_type(from, DataType::Date, &format!("text {}", shortened(raw))),
        TimeError::Range => {
            let message = format!("field \"{from}\": {} lies outside of the years 0001 to 9999", shortened(raw));
            Fault::new(Reason::OutOfRange, message)
        }
    }
}

/// A JSON value in a message.
fn described(raw: &str) -> String {
    match raw.as_bytes().first() {
        Some(b'"') => format!("text {}", shortened(raw)),
        Some(b'{') => "an object".to_owned(),
        Some(b'[') => "an array".to_owned(),
        Some(b't' | b'f') => format!("boolean {raw}"),
        Some(b'n') => "null".to_owned(),
        _ => format!("number {}", shortened(raw)),
    }
}

fn found_text(field: &str) -> String {
    format!("text {}", shortened(&format!("\"{field}\"")))
}

/// What is said of a text that ends too early.
pub(super) const BREAKS_OFF: &str = "it breaks off";

/// The parser's message without its " at line L column C", which counts within a fragment.
pub(super) fn without_place(error: &serde_json::Error) -> String {
    if error.is_eof() {
        return BREAKS_OFF.to_owned();
    }
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// What a record that is valid JSON but no object is called.
pub(super) fn not_an_object(raw: &str) -> Fault {
    Fault::new(Reason::WrongType, format!("expected a JSON object, found {}", described(raw)))
}
