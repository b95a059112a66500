//! One JSON record, the careful way: by `serde_json`, with a message for every fault.
//!
//! It decides what is right. The scan of [`super::scan`] takes what it can prove to mean
//! the same, and leaves everything else to this.

use std::{collections::HashMap, fmt};

use model::Reason;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{
    Limits,
    columns::Column,
    text::depth,
    value::{BREAKS_OFF, Fault, not_an_object, push_json, without_place},
};

/// Which columns a record's fields fill.
#[derive(Debug)]
pub(super) struct Fields {
    /// A field's number by its name.
    numbers: HashMap<String, usize>,
    /// For each column, the number of its field. Several columns may read one field.
    of_column: Vec<usize>,
}

impl Fields {
    pub fn new(columns: &[Column]) -> Self {
        let mut numbers = HashMap::new();
        let of_column = columns
            .iter()
            .map(|column| {
                let next = numbers.len();
                *numbers.entry(column.from.clone()).or_insert(next)
            })
            .collect();
        Self { numbers, of_column }
    }

    /// How many fields columns read.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// The number of the field of this name, if a column reads it.
    pub fn number(&self, name: &str) -> Option<usize> {
        self.numbers.get(name).copied()
    }

    /// For each column, the number of its field.
    pub fn of_column(&self) -> &[usize] {
        &self.of_column
    }

    /// Whether each column has a field of its own.
    pub fn are_distinct(&self) -> bool {
        self.numbers.len() == self.of_column.len()
    }
}

/// Appends one record as a row. After a fault the columns may hold a part of the row.
///
/// `record` is one JSON text without blanks around it, at most as long as allowed.
pub(super) fn push_record(
    columns: &mut [Column],
    fields: &Fields,
    limits: &Limits,
    record: &[u8],
) -> Result<(), Fault> {
    let text = std::str::from_utf8(record)
        .map_err(|e| Fault::malformed(format!("not valid UTF-8 at byte {} of the record", e.valid_up_to())))?;
    if depth(record) > limits.max_depth {
        return Err(limits.too_deep());
    }
    let malformed = |e: &serde_json::Error| Fault::new(Reason::Malformed, message(text, e));
    if !text.starts_with('{') {
        let raw: &RawValue = serde_json::from_str(text).map_err(|e| malformed(&e))?;
        return Err(not_an_object(raw.get()));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let (values, count) = Object(fields).deserialize(&mut deserializer).map_err(|e| malformed(&e))?;
    deserializer.end().map_err(|e| malformed(&e))?;
    if count > limits.max_fields {
        return Err(limits.too_many_fields());
    }
    for (column, &field) in columns.iter_mut().zip(&fields.of_column) {
        push_json(column, values[field])?;
    }
    Ok(())
}

fn message(text: &str, error: &serde_json::Error) -> String {
    format!("not JSON at column {}: {}", error.column(), meant(text, error))
}

/// What is wrong, and where it can be told, what was meant: parsers speak of tokens.
fn meant(text: &str, error: &serde_json::Error) -> String {
    let told = without_place(error);
    let bytes = text.as_bytes();
    // The column counts from 1 and is that of the last byte read.
    let at = error.column().saturating_sub(1).min(bytes.len());
    let begin = bytes[..at].iter().rposition(|b| !b.is_ascii_alphabetic()).map_or(0, |before| before + 1);
    let word = bytes[begin..].split(|b| !b.is_ascii_alphabetic()).next().unwrap_or_default();
    let here = bytes.get(at).copied();
    let said = if told == BREAKS_OFF {
        "it breaks off: an object stands on one line"
    } else if told == "trailing comma" || (told == "key must be a string" && here == Some(b'}')) {
        "there is a comma too many"
    } else if told == "trailing characters" {
        "more follows behind the end: one object a line"
    } else if told.starts_with("control character") {
        r"within a text a tab is written \t and a line break \n"
    } else if here == Some(b'\'') {
        "names and texts stand between double quotes"
    } else if matches!(word, b"NaN" | b"Infinity") {
        "NaN and infinities are not JSON, send null"
    } else if matches!(word, b"True" | b"False" | b"None" | b"TRUE" | b"FALSE" | b"NULL" | b"undefined" | b"nil") {
        "it is written true, false or null"
    } else if told == "key must be a string" {
        "names stand between double quotes"
    } else if matches!(told.as_str(), "expected ident" | "expected value") && !word.is_empty() {
        "a text stands between double quotes"
    } else {
        return told;
    };
    said.to_owned()
}

/// Reads an object into one raw value for each field, of equal names the last, and counts
/// all its fields.
struct Object<'f>(&'f Fields);

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = (Vec<Option<&'de RawValue>>, usize);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = (Vec<Option<&'de RawValue>>, usize);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut values, mut count) = (vec![None; self.0.numbers.len()], 0);
        while let Some(field) = map.next_key_seed(Name(self.0))? {
            count += 1;
            match field {
                Some(number) => values[number] = Some(map.next_value()?),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok((values, count))
    }
}

/// Reads a field's name, escapes and all, into its number.
struct Name<'f>(&'f Fields);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.numbers.get(name).copied())
    }
}
