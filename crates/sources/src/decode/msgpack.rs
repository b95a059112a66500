//! MessagePack: one map, an array of maps, or several of these one behind the other.
//!
//! A record's map is walked once, to find its end and where the values of its columns lie;
//! then they go straight into the columns, in the columns' order, so that a record is
//! refused for the same reason as the same record in JSON.

use model::{DataType, Reason};

use super::{
    Decoder,
    columns::{Column, TextLists, Values},
    json_text,
    number::{NotInteger, exact_integer},
    pack::{Broken, Head, head, skip},
    text::{append_base64, shortened},
    time::{self, TimeError},
    value::{
        Fault, as_decimal, beyond_double, is_integer_text, not_a_date, not_a_time, not_integer, plain_number,
        push_missing, wrong_type,
    },
};

/// Room to work in, kept from one record to the next.
#[derive(Debug, Default)]
pub(super) struct Pack {
    /// For each field that a column reads, where its value lies.
    values: Vec<Option<(usize, usize)>>,
    /// The names of the last record's map, and the field that each of them is. Records of
    /// one producer look alike, so the next record's names are looked for here first.
    names: Vec<(Vec<u8>, Option<usize>)>,
    open: Vec<u64>,
}

/// How many names are kept; those behind them are looked up each time.
const MAX_NAMES: usize = 1024;
/// Longer names are looked up each time.
const MAX_NAME: usize = 64;

impl Decoder {
    pub(super) fn decode_msgpack(&mut self, bytes: &[u8]) {
        if let Err(Broken { at, what }) = self.packed(bytes) {
            let message = format!("the MessagePack cannot be read at byte {at}: {what}");
            self.table.reject_all(Fault::malformed(message), bytes);
        }
    }

    fn packed(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        if bytes.is_empty() {
            return Err(Broken { at: 0, what: "nothing is there, expected a map or an array of maps" });
        }
        let mut pos = 0;
        while pos < bytes.len() {
            if let (Head::List(records), first) = head(bytes, pos)? {
                pos = first;
                for _ in 0..records {
                    pos = self.packed_record(bytes, pos)?;
                }
            } else {
                pos = self.packed_record(bytes, pos)?;
            }
        }
        Ok(())
    }

    /// Decodes the record that starts at `pos`; returns where it ends.
    fn packed_record(&mut self, bytes: &[u8], pos: usize) -> Result<usize, Broken> {
        let max_nested = self.limits.max_depth.saturating_sub(1);
        let (found, first) = head(bytes, pos)?;
        let Head::Map(entries) = found else {
            let end = skip(bytes, pos, max_nested, &mut self.pack.open)?.end;
            let message = format!("expected a map, found {}", described(found));
            self.table.reject(Fault::new(Reason::WrongType, message), &bytes[pos..end]);
            return Ok(end);
        };
        self.pack.values.clear();
        self.pack.values.resize(self.fields.len(), None);
        let (mut end, mut deep) = (first, false);
        for entry in 0..entries as usize {
            let (name, after) = head(bytes, end)?;
            let (field, value) = match name {
                Head::Text(name) => (self.field(entry, name), after),
                // Names of other kinds are no column's.
                _ => (None, skip(bytes, end, max_nested, &mut self.pack.open)?.end),
            };
            let skipped = skip(bytes, value, max_nested, &mut self.pack.open)?;
            (end, deep) = (skipped.end, deep || skipped.deep);
            if let Some(field) = field {
                self.pack.values[field] = Some((value, end));
            }
        }
        let result = if end - pos > self.limits.max_record {
            Err(self.too_large())
        } else if deep {
            Err(self.too_deep())
        } else if entries as usize > self.limits.max_fields {
            Err(self.too_many_fields())
        } else {
            self.push_packed(bytes)
        };
        match result {
            Ok(()) => self.table.accept(end),
            Err(fault) => self.table.reject(fault, &bytes[pos..end]),
        }
        Ok(end)
    }

    /// The field of this name, if a column reads it.
    #[inline]
    fn field(&mut self, entry: usize, name: &[u8]) -> Option<usize> {
        if let Some((known, field)) = self.pack.names.get(entry)
            && known == name
        {
            return *field;
        }
        let field = std::str::from_utf8(name).ok().and_then(|name| self.fields.number(name));
        let names = &mut self.pack.names;
        if entry == names.len() && entry < MAX_NAMES {
            names.push((Vec::new(), None));
        }
        if let Some(known) = names.get_mut(entry).filter(|_| name.len() <= MAX_NAME) {
            known.0.clear();
            known.0.extend_from_slice(name);
            known.1 = field;
        }
        field
    }

    fn push_packed(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        for (column, &field) in self.table.columns.iter_mut().zip(self.fields.of_column()) {
            match self.pack.values.get(field).copied().flatten() {
                Some((start, end)) => push_value(column, &bytes[start..end])?,
                None => push_missing(column, false)?,
            }
        }
        Ok(())
    }
}

/// Appends one whole value to its column.
fn push_value(column: &mut Column, value: &[u8]) -> Result<(), Fault> {
    // The value was walked over before, so it has a head.
    let Ok((found, _)) = head(value, 0) else { return Err(Fault::malformed("it is cut off")) };
    match (&mut column.values, found) {
        (Values::Json(texts), found) if found != Head::Nil => {
            json_text::append(&mut texts.bytes, value)
                .map_err(|what| wrong_type(&column.from, DataType::Json, what))?;
            texts.close();
            Ok(())
        }
        (Values::TextList(lists), Head::List(items)) => push_items(&column.from, lists, value, items),
        _ => push_scalar(column, found),
    }
}

/// Appends a value that holds no others to its column.
pub(super) fn push_scalar(column: &mut Column, found: Head<'_>) -> Result<(), Fault> {
    let Column { from, data_type, values, .. } = column;
    let (from, data_type) = (from.as_str(), *data_type);
    let wrong = || wrong_type(from, data_type, &described(found));
    if found == Head::Nil {
        return push_missing(column, true);
    }
    match values {
        Values::Text(texts) => texts.push(text(from, found)?.ok_or_else(wrong)?.as_bytes()),
        Values::BigInt(values) => {
            let value = match text(from, found)? {
                Some(text) if is_integer_text(text) => exact_integer(text),
                _ => integer(found).ok_or_else(wrong)?,
            };
            values.push(value.map_err(|e| not_integer(from, data_type, e, &number_text(found)))?);
        }
        Values::Int(values) => {
            let value = integer(found).ok_or_else(wrong)?;
            let value = value.and_then(|value| i32::try_from(value).map_err(|_| NotInteger::Range));
            values.push(value.map_err(|e| not_integer(from, data_type, e, &number_text(found)))?);
        }
        Values::Double(values) => {
            let value = match found {
                Head::Integer(value) => value as f64,
                Head::Large(value) => value as f64,
                Head::Single(value) => f64::from(value),
                Head::Double(value) => value,
                _ => return Err(wrong()),
            };
            values.push(if value.is_finite() { value } else { return Err(beyond_double(from, &number_text(found))) });
        }
        Values::Decimal(values) => {
            let number = match text(from, found)? {
                Some(text) => plain_number(text).ok_or_else(wrong)?.to_owned(),
                None if is_finite(found) => number_text(found),
                None => return Err(wrong()),
            };
            values.push(as_decimal(from, data_type, &number)?);
        }
        Values::Boolean(values) => match found {
            Head::Boolean(value) => values.push(value),
            _ => return Err(wrong()),
        },
        Values::Timestamp(values) => {
            let time = match found {
                Head::Integer(millis) | Head::Time(millis) => time::checked(millis),
                Head::Large(_) => Err(TimeError::Range),
                // A cast takes what is beyond an i64 to its end.
                Head::Single(_) | Head::Double(_) if is_finite(found) => time::checked(float(found).floor() as i64),
                _ => time::parse(text(from, found)?.ok_or_else(wrong)?),
            };
            values.push(time.map_err(|e| not_a_time(from, e, &number_text(found)))?);
        }
        Values::Date(values) => {
            let date = time::parse_date(text(from, found)?.ok_or_else(wrong)?);
            values.push(date.map_err(|e| not_a_date(from, e, &number_text(found)))?);
        }
        Values::Bytes(texts) => {
            if let Head::Bytes(bytes) = found {
                texts.push(bytes);
            } else {
                append_base64(&mut texts.bytes, text(from, found)?.ok_or_else(wrong)?).ok_or_else(wrong)?;
                texts.close();
            }
        }
        Values::Json(_) | Values::TextList(_) => return Err(wrong()),
    }
    Ok(())
}

fn push_items(from: &str, lists: &mut TextLists, value: &[u8], items: u32) -> Result<(), Fault> {
    let cut_off = |_| Fault::malformed("it is cut off");
    let (_, mut pos) = head(value, 0).map_err(cut_off)?;
    for _ in 0..items {
        let (item, next) = head(value, pos).map_err(cut_off)?;
        match text(from, item)? {
            Some(text) => lists.items.push(text.as_bytes()),
            None if item == Head::Nil => lists.push_null_item(),
            None => {
                let found = format!("an array with {} in it", described(item));
                return Err(wrong_type(from, DataType::TextList, &found));
            }
        }
        pos = next;
    }
    lists.close();
    Ok(())
}

fn text<'a>(from: &str, found: Head<'a>) -> Result<Option<&'a str>, Fault> {
    let Head::Text(text) = found else { return Ok(None) };
    let message = |e: std::str::Utf8Error| format!("field \"{from}\": not valid UTF-8 at its byte {}", e.valid_up_to());
    std::str::from_utf8(text).map(Some).map_err(|e| Fault::malformed(message(e)))
}

/// A number as an integer; `None` if it is no number.
fn integer(found: Head<'_>) -> Option<Result<i64, NotInteger>> {
    match found {
        Head::Integer(value) => Some(Ok(value)),
        Head::Large(_) => Some(Err(NotInteger::Range)),
        Head::Single(_) | Head::Double(_) if is_finite(found) => Some(exact_integer(&number_text(found))),
        _ => None,
    }
}

fn float(found: Head<'_>) -> f64 {
    match found {
        Head::Single(value) => f64::from(value),
        Head::Double(value) => value,
        _ => 0.0,
    }
}

/// Whether it is a number, and no infinity or NaN.
fn is_finite(found: Head<'_>) -> bool {
    match found {
        Head::Integer(_) | Head::Large(_) => true,
        Head::Single(_) | Head::Double(_) => float(found).is_finite(),
        _ => false,
    }
}

/// A number as JSON writes it, a float as the shortest decimal that means it; text quoted.
fn number_text(found: Head<'_>) -> String {
    // By the library that writes JSON: of two decimals that are as short and as near, the
    // standard library takes the other.
    match found {
        Head::Single(value) if value.is_finite() => serde_json::to_string(&value).unwrap_or_default(),
        Head::Double(value) if value.is_finite() => serde_json::to_string(&value).unwrap_or_default(),
        Head::Integer(value) | Head::Time(value) => value.to_string(),
        Head::Large(value) => value.to_string(),
        Head::Single(value) => value.to_string(),
        Head::Double(value) => value.to_string(),
        Head::Text(text) => format!("\"{}\"", String::from_utf8_lossy(text)),
        _ => String::new(),
    }
}

/// A value in a message.
fn described(found: Head<'_>) -> String {
    match found {
        Head::Nil => "null".to_owned(),
        Head::Boolean(value) => format!("boolean {value}"),
        Head::Text(_) => format!("text {}", shortened(&number_text(found))),
        Head::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Head::Time(_) => "a time".to_owned(),
        Head::Extension(kind) => format!("an extension of type {kind}"),
        Head::List(_) => "an array".to_owned(),
        Head::Map(_) => "an object".to_owned(),
        _ => format!("number {}", shortened(&number_text(found))),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::number::exact_decimal, *};

    #[test]
    fn floats_are_the_shortest_decimals_that_mean_them() {
        assert_eq!(exact_decimal(&number_text(Head::Single(0.1)), 3, 2), Some(10));
        assert_eq!(exact_decimal(&number_text(Head::Double(12.34)), 4, 2), Some(1234));
        // Half way between two.
        let value = -2_098_043_374_029_721.0 / 8.0;
        let half = number_text(Head::Double(value));
        assert_eq!(half, serde_json::Value::from(value).to_string());
        assert_eq!(exact_decimal(&half, 18, 2), Some(-26_225_542_175_371_512));
        assert_eq!(exact_decimal(&number_text(Head::Double(-1e-7)), 7, 7), Some(-1));
        assert_eq!(integer(Head::Double(1e18)), Some(Ok(1_000_000_000_000_000_000)));
        assert_eq!(integer(Head::Double(1e19)), Some(Err(NotInteger::Range)));
        assert_eq!(integer(Head::Double(0.5)), Some(Err(NotInteger::Fraction)));
        assert_eq!(integer(Head::Double(f64::NAN)), None);
    }
}
