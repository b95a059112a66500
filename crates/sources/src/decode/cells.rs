//! Rows that come as typed values already, as from columns of another system.

use bytes::Bytes;
use model::DataType;

use super::{
    Decoded, Decoder, Fault,
    columns::{Column, Values},
    json_text,
    msgpack::push_scalar,
    pack::Head,
    value::{push_missing, push_text, wrong_type},
};

/// One value of a row.
pub(crate) enum Cell<'a> {
    /// A plain value, or null.
    Value(Head<'a>),
    /// An exact number, as text.
    Number(String),
    /// A day, as text.
    Day(String),
    /// A list of texts and nulls.
    Texts(Vec<Option<&'a str>>),
    /// Something that no column holds, and what to call it.
    Other(String),
    /// The row has no such field.
    Missing,
}

impl Decoder {
    /// Begins a batch of rows.
    pub(crate) fn begin_rows(&mut self) {
        self.table.begin(0);
    }

    /// Appends a row of one cell for each column, or refuses it; `raw` is what is kept of it
    /// then. `taken` is how many bytes the rows so far have taken.
    pub(crate) fn push_row<'a>(
        &mut self,
        cells: impl Iterator<Item = Cell<'a>>,
        taken: usize,
        raw: impl FnOnce() -> Bytes,
    ) {
        for (column, cell) in self.table.columns.iter_mut().zip(cells) {
            if let Err(fault) = push_cell(column, &self.limits, cell) {
                return self.table.reject(fault, &raw());
            }
        }
        self.table.accept(taken);
    }

    /// What came of the rows.
    pub(crate) fn end_rows(&mut self, taken: usize) -> Decoded {
        self.table.end(taken)
    }
}

fn push_cell(column: &mut Column, limits: &super::Limits, cell: Cell<'_>) -> Result<(), Fault> {
    let too_large = |len: usize| if len > limits.max_record { Err(limits.too_large()) } else { Ok(()) };
    match cell {
        Cell::Missing => push_missing(column, false),
        Cell::Value(Head::Nil) => push_missing(column, true),
        Cell::Value(value) => {
            if let Head::Text(bytes) | Head::Bytes(bytes) = value {
                too_large(bytes.len())?;
            }
            match (&mut column.values, value) {
                // As in CSV, the text is the document.
                (Values::Json(_), Head::Text(text)) => match std::str::from_utf8(text) {
                    Ok("") => Err(Fault::malformed(format!("field \"{}\": not JSON: it is empty", column.from))),
                    Ok(text) => push_text(column, limits, text),
                    Err(_) => Err(Fault::malformed(format!("field \"{}\": not valid UTF-8", column.from))),
                },
                (Values::Json(texts), value) => {
                    json_text::append_scalar(&mut texts.bytes, value)
                        .map_err(|what| wrong_type(&column.from, DataType::Json, what))?;
                    texts.close();
                    Ok(())
                }
                _ => push_scalar(column, value),
            }
        }
        Cell::Number(_) if matches!(column.values, Values::Text(_)) => {
            Err(wrong_type(&column.from, column.data_type, "a decimal"))
        }
        Cell::Day(day) => match &mut column.values {
            Values::Date(_) => push_text(column, limits, &day),
            Values::Json(_) => push_text(column, limits, &format!("\"{day}\"")),
            _ => Err(wrong_type(&column.from, column.data_type, &format!("the day {day}"))),
        },
        Cell::Number(number) => push_text(column, limits, &number),
        Cell::Texts(items) => {
            too_large(items.iter().map(|item| item.map_or(1, str::len)).sum())?;
            let Values::TextList(lists) = &mut column.values else {
                return Err(wrong_type(&column.from, column.data_type, "an array"));
            };
            for item in items {
                match item {
                    Some(text) => lists.items.push(text.as_bytes()),
                    None => lists.push_null_item(),
                }
            }
            lists.close();
            Ok(())
        }
        Cell::Other(found) => Err(wrong_type(&column.from, column.data_type, &found)),
    }
}
