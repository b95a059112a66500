//! The fast way: a scan of flat records, driven by the schema and by the last record.
//!
//! ```text
//! {"metric":"m1","value":2.5,"ts":17}      the last record taught three leads:
//! └───lead──┘    └─lead──┘   └lead┘        what stands between two values
//! ```
//!
//! Records of one producer look alike, so what stands between two values is the same
//! bytes each time. One comparison of a lead finds the comma, the name, the colon and
//! the blanks at once, and says which column comes next. Where the bytes differ, the
//! names are read one by one, and become the leads of the next record.
//!
//! The scan takes only what it understands in full. Anything else (a type that does not
//! fit, an escape in a name, a duplicate, a long number) makes it give up on the record,
//! and [`super::record`] decides. So it never refuses anything, and what it takes must
//! mean the same to both; tests hold them against each other.

use std::collections::HashMap;

use model::DataType;

use super::{
    Limits,
    columns::{Column, TextLists, Values},
    number, text, time,
    value::plain_number,
};

/// Marks the lead of a field that no column reads.
const IGNORED: u16 = u16::MAX;
/// Longer leads are read name by name each time.
const MAX_LEAD: usize = 64;
/// How many leads are kept; fields behind them are read name by name.
const MAX_LEADS: usize = 1024;
/// How deep ignored and JSON values may nest here: one bit of a word each.
const MAX_NESTED: usize = 64;

/// What stood between two values of the last record.
#[derive(Debug)]
struct Lead {
    bytes: [u8; MAX_LEAD],
    len: usize,
    column: u16,
}

impl Lead {
    /// Whether the input goes on with this lead at `pos`.
    #[inline]
    fn matches(&self, bytes: &[u8], pos: usize) -> bool {
        let expected = &self.bytes[..self.len];
        // Names are short: two overlapping words settle most leads without a call.
        if let (Some(first), Some(wanted)) = (word(bytes, pos), word(&self.bytes, 0)) {
            if self.len <= 8 {
                let shift = 64 - 8 * self.len as u32;
                return self.len > 0 && (first ^ wanted) << shift == 0;
            }
            if self.len <= 16 {
                let last = word(bytes, pos + self.len - 8);
                return first == wanted && last == word(&self.bytes, self.len - 8);
            }
        }
        !expected.is_empty() && bytes.get(pos..pos + self.len) == Some(expected)
    }
}

#[inline]
fn word(bytes: &[u8], pos: usize) -> Option<u64> {
    bytes.get(pos..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

/// Whether records stand one a line, so that a line's end is no blank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Every record ends its line.
    Lines,
    /// Records stand in a JSON text; any blank is one.
    Text,
}

/// What the last record taught.
#[derive(Debug)]
pub(super) struct Scan {
    leads: Vec<Lead>,
    /// A column's number by the name of its field.
    by_name: HashMap<Vec<u8>, u16>,
    /// How deep a value within a record may nest.
    max_nested: usize,
    /// How many fields a record may have.
    max_fields: usize,
    layout: Layout,
}

impl Scan {
    /// A scan for columns of distinct fields.
    pub fn new(columns: &[Column], limits: &Limits) -> Self {
        let by_name = columns.iter().enumerate().map(|(i, c)| (c.from.clone().into_bytes(), i as u16)).collect();
        Self {
            leads: Vec::new(),
            by_name,
            // The limit counts the record itself.
            max_nested: limits.max_depth.saturating_sub(1).min(MAX_NESTED),
            max_fields: limits.max_fields,
            layout: Layout::Lines,
        }
    }

    /// Forgets leads learned from another layout: they may hold line ends.
    pub fn set_layout(&mut self, layout: Layout) {
        if self.layout != layout {
            self.layout = layout;
            self.leads.clear();
        }
    }

    /// Appends the record that starts at `start` as row `row`, and returns where it ends.
    /// After `None` the columns may hold a part of the row.
    #[inline]
    pub fn record(&mut self, columns: &mut [Column], row: usize, bytes: &[u8], start: usize) -> Option<usize> {
        let (mut pos, mut at, mut filled) = (start, 0, 0);
        while let Some(lead) = self.leads.get(at)
            && lead.matches(bytes, pos)
        {
            pos += lead.len;
            if lead.column == IGNORED {
                pos = self.skip(bytes, pos)?;
            } else {
                let column = columns.get_mut(usize::from(lead.column))?;
                pos = self.value(column, row, bytes, pos)?;
                filled += 1;
            }
            at += 1;
        }
        if at == 0 || bytes.get(pos) != Some(&b'}') {
            (pos, filled) = self.by_names(columns, row, bytes, (pos, at, filled))?;
        }
        // No column was filled twice, so as many as there are means each of them.
        if filled < columns.len() {
            for column in columns.iter_mut().filter(|c| c.len() == row) {
                if column.required {
                    return None;
                }
                column.push_null();
            }
        }
        Some(pos + 1)
    }

    /// Reads the record's fields from number `at` on by their names, and learns their leads.
    /// Returns where the closing bracket stands, and how many columns are filled.
    fn by_names(
        &mut self,
        columns: &mut [Column],
        row: usize,
        bytes: &[u8],
        (mut pos, mut at, mut filled): (usize, usize, usize),
    ) -> Option<(usize, usize)> {
        loop {
            let lead = pos;
            pos = self.blanks(bytes, pos);
            match *bytes.get(pos)? {
                b'{' if at == 0 => {
                    pos = self.blanks(bytes, pos + 1);
                    if bytes.get(pos) == Some(&b'}') {
                        return Some((pos, filled));
                    }
                }
                b',' if at > 0 => pos = self.blanks(bytes, pos + 1),
                b'}' if at > 0 => return Some((pos, filled)),
                _ => return None,
            }
            // Leads are learned here alone, so that no record has more of them either.
            if at == self.max_fields {
                return None;
            }
            let (name, end) = plain_string(bytes, pos)?;
            pos = self.colon(bytes, end)?;
            let column = self.by_name.get(name).copied();
            self.learn(at, &bytes[lead..pos], column.unwrap_or(IGNORED));
            pos = match column {
                Some(column) => {
                    filled += 1;
                    self.value(columns.get_mut(usize::from(column))?, row, bytes, pos)?
                }
                None => self.skip(bytes, pos)?,
            };
            at += 1;
        }
    }

    fn learn(&mut self, at: usize, lead: &[u8], column: u16) {
        if at >= MAX_LEADS || at > self.leads.len() {
            return;
        }
        let mut learned = Lead { bytes: [0; MAX_LEAD], len: 0, column };
        if let Some(place) = learned.bytes.get_mut(..lead.len()) {
            place.copy_from_slice(lead);
            learned.len = lead.len();
        }
        if at == self.leads.len() {
            self.leads.push(learned);
        } else {
            self.leads[at] = learned;
        }
    }

    /// Appends the value at `pos` to its column, and returns where it ends.
    #[inline]
    fn value(&self, column: &mut Column, row: usize, bytes: &[u8], pos: usize) -> Option<usize> {
        let first = *bytes.get(pos)?;
        if column.len() != row {
            return None; // The second of two equal names.
        }
        if first == b'n' {
            let end = literal(bytes, pos, b"null")?;
            if column.required {
                return None;
            }
            column.push_null();
            return Some(end);
        }
        match &mut column.values {
            Values::Text(texts) => {
                if first != b'"' {
                    return None;
                }
                let end = text::plain_end(bytes, pos + 1)?;
                if bytes[end] == b'"' {
                    texts.push(&bytes[pos + 1..end]);
                    return Some(end + 1);
                }
                let end = text::unescape(bytes, pos + 1, &mut texts.bytes)?;
                texts.close();
                Some(end)
            }
            Values::Json(texts) => {
                let end = self.skip(bytes, pos)?;
                text::append_compact(&mut texts.bytes, &bytes[pos..end]);
                texts.close();
                Some(end)
            }
            Values::BigInt(values) => {
                let (value, end) = number::integer(bytes, pos)?;
                values.push(value);
                Some(end)
            }
            Values::Int(values) => {
                let (value, end) = number::integer(bytes, pos)?;
                values.push(i32::try_from(value).ok()?);
                Some(end)
            }
            Values::Double(values) => {
                let (value, end) = number::double(bytes, pos)?;
                values.push(value);
                Some(end)
            }
            Values::Boolean(values) => {
                let value = first == b't';
                let end = literal(bytes, pos, if value { b"true" } else { b"false" })?;
                values.push(value);
                Some(end)
            }
            Values::Timestamp(values) => {
                let (value, end) = if first == b'"' {
                    let (text, end) = plain_string(bytes, pos)?;
                    (time::parse(std::str::from_utf8(text).ok()?).ok()?, end)
                } else {
                    let (value, end) = number::integer(bytes, pos)?;
                    (time::checked(value).ok()?, end)
                };
                values.push(value);
                Some(end)
            }
            Values::Decimal(values) => {
                let DataType::Decimal { precision, scale } = column.data_type else { return None };
                let (value, end) = if first == b'"' {
                    let (text, end) = plain_string(bytes, pos)?;
                    let number = plain_number(std::str::from_utf8(text).ok()?)?;
                    (number::exact_decimal(number, precision, scale)?, end)
                } else {
                    number::decimal(bytes, pos, precision, scale)?
                };
                values.push(value);
                Some(end)
            }
            Values::Date(values) => {
                let (text, end) = plain_string(bytes, pos)?;
                values.push(time::parse_date(std::str::from_utf8(text).ok()?).ok()?);
                Some(end)
            }
            Values::Bytes(texts) => {
                let (text, end) = plain_string(bytes, pos)?;
                text::append_base64(&mut texts.bytes, std::str::from_utf8(text).ok()?)?;
                texts.close();
                Some(end)
            }
            Values::TextList(lists) => self.texts(lists, bytes, pos),
        }
    }

    /// Appends the array of texts and nulls at `pos`, and returns where it ends.
    fn texts(&self, lists: &mut TextLists, bytes: &[u8], pos: usize) -> Option<usize> {
        if bytes.get(pos) != Some(&b'[') || self.max_nested == 0 {
            return None;
        }
        let mut pos = self.blanks(bytes, pos + 1);
        if bytes.get(pos) == Some(&b']') {
            lists.close();
            return Some(pos + 1);
        }
        loop {
            if bytes.get(pos) == Some(&b'"') {
                pos = text::unescape(bytes, pos + 1, &mut lists.items.bytes)?;
                lists.items.close();
            } else {
                pos = literal(bytes, pos, b"null")?;
                lists.push_null_item();
            }
            pos = self.blanks(bytes, pos);
            match bytes.get(pos)? {
                b',' => pos = self.blanks(bytes, pos + 1),
                b']' => break,
                _ => return None,
            }
        }
        lists.close();
        Some(pos + 1)
    }

    #[inline]
    fn blanks(&self, bytes: &[u8], mut pos: usize) -> usize {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(pos) {
            if self.layout == Layout::Lines && matches!(bytes[pos], b'\n' | b'\r') {
                break;
            }
            pos += 1;
        }
        pos
    }

    /// Where the value behind a colon at `pos` starts.
    #[inline]
    fn colon(&self, bytes: &[u8], pos: usize) -> Option<usize> {
        let pos = self.blanks(bytes, pos);
        (bytes.get(pos) == Some(&b':')).then(|| self.blanks(bytes, pos + 1))
    }

    /// Where the value at `pos`, of any kind and nesting, ends.
    fn skip(&self, bytes: &[u8], mut pos: usize) -> Option<usize> {
        // One bit for each open bracket, the innermost lowest: 1 is an object.
        let (mut open, mut depth) = (0_u64, 0);
        loop {
            match *bytes.get(pos)? {
                b'"' => pos = text::skip_string(bytes, pos + 1)?,
                b'-' | b'0'..=b'9' => pos = number::number_end(bytes, pos)?,
                b't' => pos = literal(bytes, pos, b"true")?,
                b'f' => pos = literal(bytes, pos, b"false")?,
                b'n' => pos = literal(bytes, pos, b"null")?,
                bracket @ (b'{' | b'[') => {
                    if depth == self.max_nested {
                        return None;
                    }
                    let is_object = bracket == b'{';
                    (open, depth) = (open << 1 | u64::from(is_object), depth + 1);
                    pos = self.blanks(bytes, pos + 1);
                    if bytes.get(pos) != Some(&if is_object { b'}' } else { b']' }) {
                        if is_object {
                            pos = self.name(bytes, pos)?;
                        }
                        continue;
                    }
                    (open, depth, pos) = (open >> 1, depth - 1, pos + 1);
                }
                _ => return None,
            }
            // Behind a value: close what ends here, until another value follows.
            loop {
                if depth == 0 {
                    return Some(pos);
                }
                pos = self.blanks(bytes, pos);
                let is_object = open & 1 == 1;
                match *bytes.get(pos)? {
                    b',' => {
                        pos = self.blanks(bytes, pos + 1);
                        if is_object {
                            pos = self.name(bytes, pos)?;
                        }
                        break;
                    }
                    b'}' if is_object => {}
                    b']' if !is_object => {}
                    _ => return None,
                }
                (open, depth, pos) = (open >> 1, depth - 1, pos + 1);
            }
        }
    }

    /// Where the value behind the name at `pos` starts.
    fn name(&self, bytes: &[u8], pos: usize) -> Option<usize> {
        if bytes.get(pos) != Some(&b'"') {
            return None;
        }
        self.colon(bytes, text::skip_string(bytes, pos + 1)?)
    }
}

/// What stands in the string at `pos`, if it has no escapes, and where it ends.
#[inline]
fn plain_string(bytes: &[u8], pos: usize) -> Option<(&[u8], usize)> {
    if bytes.get(pos) != Some(&b'"') {
        return None;
    }
    let end = text::plain_end(bytes, pos + 1)?;
    (bytes[end] == b'"').then(|| (&bytes[pos + 1..end], end + 1))
}

#[inline]
fn literal(bytes: &[u8], pos: usize, expected: &[u8]) -> Option<usize> {
    bytes.get(pos..)?.starts_with(expected).then_some(pos + expected.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<Column> {
        vec![Column::new("metric", DataType::Text, false), Column::new("value", DataType::Double, true)]
    }

    /// What of the lines the scan takes by itself.
    fn taken(lines: &[&str]) -> Vec<bool> {
        let mut columns = columns();
        let mut scan = Scan::new(&columns, &Limits::default());
        let mut rows = 0;
        let mut one = |line: &str| {
            let end = scan.record(&mut columns, rows, line.as_bytes(), 0);
            super::super::columns::rollback(&mut columns, rows + usize::from(end.is_some()));
            rows += usize::from(end.is_some());
            end == Some(line.len())
        };
        lines.iter().map(|line| one(line)).collect()
    }

    #[test]
    fn ordinary_records_are_taken_in_any_order_of_fields() {
        let lines = [
            r#"{"metric":"a","value":1}"#,
            r#"{ "value" : -1.5e3 , "metric" : "\u00fc\n" }"#,
            r#"{"x":{"y":[1,{"z":"\""}],"w":{}},"value":0}"#,
            r#"{"value":2,"metric":null}"#,
            r#"{"metric":"a","value":1}"#,
        ];
        assert_eq!(taken(&lines), [true; 5]);
    }

    #[test]
    fn what_needs_a_verdict_is_left_to_the_careful_way() {
        let lines = [
            r#"{"metric":"a"}"#,
            r#"{"metric":1,"value":1}"#,
            r#"{"value":1,"value":2}"#,
            r#"{"v\u0061lue":1}"#,
            r#"{"value":1,}"#,
            r#"{"value":1 2}"#,
            r#"{"value":01}"#,
            r#"{"value":1e999}"#,
            "{\"value\":1,\n\"x\":1}",
            r#"{"value":1,"x":[}"#,
            r#"{"value":1"#,
            "",
        ];
        assert_eq!(taken(&lines), [false; 12]);
    }
}
