//! Rows that could not go on, as dead letters (INV-6).

use base64::{Engine, engine::general_purpose::STANDARD};
use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    datatypes::{DataType, Field, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMillisecondType},
    util::display::array_value_to_string,
};
use model::{DeadLetter, RawFormat, Reason, dead_letter::MAX_RAW, schema::is_json};

/// Integers beyond this are text in JSON: JavaScript would round them.
const EXACT: u64 = 1 << 53;

/// What a tick refuses: the first of it as dead letters, the rest as numbers, so that a tick
/// of nothing but refused rows takes no more memory than any other (INV-4).
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Refused {
    letters: Vec<DeadLetter>,
    more: Vec<(Reason, u64)>,
    room: usize,
}

impl Refused {
    /// Nothing yet, and room for so many letters.
    pub fn new(room: usize) -> Self {
        Self { letters: Vec::new(), more: Vec::new(), room }
    }

    /// Says which feed refused it all.
    pub fn name(&mut self, feed: &str) {
        self.letters.iter_mut().for_each(|letter| feed.clone_into(&mut letter.feed));
    }

    /// How many letters there is still room for.
    pub fn room(&self) -> usize {
        self.room - self.letters.len().min(self.room)
    }

    /// Refuses a row of a batch. The message is made if there is room for it.
    pub(crate) fn push(&mut self, reason: Reason, message: impl FnOnce() -> String, batch: &RecordBatch, row: usize) {
        if self.room() > 0 {
            self.letters.push(letter(reason, message(), batch, row));
        } else {
            self.count(reason, 1);
        }
    }

    /// Takes in what was refused elsewhere.
    pub fn append(&mut self, other: Self) {
        let fits = self.room().min(other.letters.len());
        let mut letters = other.letters.into_iter();
        self.letters.extend(letters.by_ref().take(fits));
        letters.for_each(|letter| self.count(letter.reason, 1));
        other.more.into_iter().for_each(|(reason, more)| self.count(reason, more));
    }

    fn count(&mut self, reason: Reason, more: u64) {
        match self.more.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += more,
            None => self.more.push((reason, more)),
        }
    }

    /// The letters, and how many more rows were refused, by reason.
    pub fn into_parts(self) -> (Vec<DeadLetter>, Vec<(Reason, u64)>) {
        (self.letters, self.more)
    }
}

impl std::ops::Deref for Refused {
    type Target = [DeadLetter];

    fn deref(&self) -> &[DeadLetter] {
        &self.letters
    }
}

/// A dead letter for a row of a batch. The feed's name is left to the engine, which
/// knows it.
pub(crate) fn letter(reason: Reason, message: String, batch: &RecordBatch, row: usize) -> DeadLetter {
    let mut raw = row_json(batch, row);
    if raw.len() > MAX_RAW {
        let mut end = MAX_RAW;
        while !raw.is_char_boundary(end) {
            end -= 1;
        }
        raw.truncate(end);
    }
    DeadLetter { reason, feed: String::new(), message, raw: raw.into(), format: RawFormat::Json }
}

/// A row as a JSON object; nulls are left out.
fn row_json(batch: &RecordBatch, row: usize) -> String {
    let mut json = String::from("{");
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        if array.is_null(row) {
            continue;
        }
        if json.len() > 1 {
            json.push(',');
        }
        json.push_str(&quoted(field.name()));
        json.push(':');
        json_value(field, array, row, &mut json);
    }
    json.push('}');
    json
}

/// Appends a value that is not null as JSON.
pub(crate) fn json_value(field: &Field, array: &ArrayRef, row: usize, json: &mut String) {
    match field.data_type() {
        DataType::Utf8 if is_json(field) => json.push_str(array.as_string::<i32>().value(row)),
        DataType::Utf8 => json.push_str(&quoted(array.as_string::<i32>().value(row))),
        DataType::Int32 => json.push_str(&array.as_primitive::<Int32Type>().value(row).to_string()),
        DataType::Int64 => {
            let number = array.as_primitive::<Int64Type>().value(row);
            let text = number.to_string();
            json.push_str(&if number.unsigned_abs() > EXACT { quoted(&text) } else { text });
        }
        DataType::Float64 => {
            let number = array.as_primitive::<Float64Type>().value(row);
            json.push_str(&serde_json::to_string(&number).unwrap_or_else(|_| "null".to_owned()));
        }
        DataType::Boolean => json.push_str(if array.as_boolean().value(row) { "true" } else { "false" }),
        DataType::Timestamp(TimeUnit::Millisecond, None) => {
            json.push_str(&array.as_primitive::<TimestampMillisecondType>().value(row).to_string());
        }
        DataType::Binary => json.push_str(&quoted(&STANDARD.encode(array.as_binary::<i32>().value(row)))),
        DataType::List(_) => json.push_str(&list(&array.as_list::<i32>().value(row))),
        _ => json.push_str(&quoted(&array_value_to_string(array, row).unwrap_or_default())),
    }
}

/// A list of texts.
fn list(items: &ArrayRef) -> String {
    let Some(items) = items.as_string_opt::<i32>() else { return "[]".to_owned() };
    let items: Vec<String> = items.iter().map(|item| item.map_or_else(|| "null".to_owned(), quoted)).collect();
    format!("[{}]", items.join(","))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{Float64Array, Int64Array, StringArray};
    use model::{Column, Schema};

    use super::*;

    #[test]
    fn a_row_is_json_and_a_long_one_is_cut_between_characters() {
        let schema = Schema::new(vec![
            Column::new("text", model::DataType::Text),
            Column::new("big", model::DataType::BigInt),
            Column::new("nan", model::DataType::Double),
            Column::new("doc", model::DataType::Json),
        ]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(vec![Some("a\"b".to_owned()), Some("é".repeat(5000))])),
            Arc::new(Int64Array::from(vec![Some(i64::MAX), None])),
            Arc::new(Float64Array::from(vec![f64::NAN, 0.5])),
            Arc::new(StringArray::from(vec![Some("{\"x\":1}"), None])),
        ];
        let batch = RecordBatch::try_new(schema.to_arrow(), columns).unwrap();
        let raw = letter(Reason::Late, String::new(), &batch, 0).raw;
        assert_eq!(raw, r#"{"text":"a\"b","big":"9223372036854775807","nan":null,"doc":{"x":1}}"#);
        let raw = letter(Reason::Late, String::new(), &batch, 1).raw;
        assert!(raw.len() <= MAX_RAW && raw.len() > MAX_RAW - 4 && std::str::from_utf8(&raw).is_ok());
    }
}
