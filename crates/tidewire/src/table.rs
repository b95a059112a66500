//! Rows for people: values as cells, and aligned columns.

use std::io::{self, Write};

use client::frame::Column;
use serde_json::Value;

use crate::report::{Style, printable, time};

/// A longer cell moves what stands right of it, instead of moving every other row.
const WIDEST: usize = 40;

/// A line: what stands before it, and its cells.
pub(crate) type Line = (&'static str, Vec<String>);

/// How wide each column is: as its widest cell so far, so that rows stand under the header
/// that was printed last.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    widths: Vec<usize>,
    style: Style,
}

/// A row's cells.
pub(crate) fn cells(row: &[Value], columns: &[Column]) -> Vec<String> {
    row.iter().zip(columns).map(|(value, column)| cell(value, &column.data_type)).collect()
}

/// A cell for people: text without quotes, times as RFC 3339. Control characters are
/// replaced, so that no event can command the terminal.
pub(crate) fn cell(value: &Value, data_type: &str) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::Number(ms) if data_type == "timestamp" => ms.as_i64().map_or_else(|| ms.to_string(), time),
        Value::Number(number) if data_type == "double" => number.as_f64().map_or_else(|| number.to_string(), short),
        Value::String(text) => printable(text),
        other => printable(&other.to_string()),
    }
}

/// A double with six decimals at most: what stands behind them is seldom meant. Small ones are
/// written whole.
fn short(number: f64) -> String {
    let whole = serde_json::Value::from(number).to_string();
    let decimals = whole.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    if decimals <= 6 || number.abs() < 0.001 || whole.contains('e') {
        return whole;
    }
    let rounded = format!("{number:.6}");
    rounded.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Whether values of a type stand at the right of their column.
pub(crate) fn is_number(data_type: &str) -> bool {
    matches!(data_type, "bigint" | "int" | "double") || data_type.starts_with("decimal")
}

impl Columns {
    /// With a header that stands out, where the terminal can show that.
    pub(crate) fn styled(style: Style) -> Self {
        Self { widths: Vec::new(), style }
    }

    /// Writes a batch of lines, under a header where a column is new or became wider.
    pub(crate) fn write(&mut self, out: &mut impl Write, columns: &[Column], lines: &[Line]) -> io::Result<()> {
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        let before = self.widths.clone();
        if before.is_empty() {
            self.widths = columns.iter().map(|column| room(&column.data_type)).collect();
        }
        for cells in lines.iter().map(|(_, cells)| cells).chain([&names]) {
            for (width, cell) in self.widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.chars().count().min(WIDEST));
            }
        }
        if self.widths != before {
            writeln!(out, "{}", self.style.bold(&self.line(columns, "", &names)))?;
        }
        lines.iter().try_for_each(|(mark, cells)| writeln!(out, "{}", self.line(columns, mark, cells)))
    }

    /// A line of cells. Numbers stand at the right of their column.
    fn line(&self, columns: &[Column], mark: &str, cells: &[String]) -> String {
        let padded = cells.iter().zip(columns).zip(&self.widths).map(|((cell, column), &width)| {
            if is_number(&column.data_type) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        format!("{mark:2}{}", padded.collect::<Vec<_>>().join("  ")).trim_end().to_owned()
    }
}

/// The room that a column has from the start, so that its header seldom comes again.
fn room(data_type: &str) -> usize {
    match data_type {
        "timestamp" => "2023-11-14T22:13:20Z".len(),
        "text" => 12,
        "bigint" | "int" | "double" => 8,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_are_for_people_and_cannot_command_the_terminal() {
        assert_eq!(cell(&json!(1_700_000_000_000_i64), "timestamp"), "2023-11-14T22:13:20Z");
        assert_eq!(cell(&json!("a\u{1b}[2Jb"), "text"), "a\u{fffd}[2Jb");
        assert_eq!(cell(&json!({"a": "\u{85}\u{1b}"}), "json"), "{\"a\":\"\u{fffd}\\u001b\"}");
        assert_eq!(cell(&Value::Null, "double"), "–");
        for (number, expected) in [
            (1.5, "1.5"),
            (53.648_884_121_600_496, "53.648884"),
            (0.1 + 0.2, "0.3"),
            (-2.000_000_000_1, "-2"),
            (0.000_012_345_678_9, "0.0000123456789"),
            (1e300, "1e+300"),
            (27.0, "27.0"),
        ] {
            assert_eq!(cell(&json!(number), "double"), expected);
        }
    }

    fn written(columns: &mut Columns, lines: &[Line]) -> String {
        let described = [("name", "text"), ("n", "bigint"), ("note", "json")];
        let described = described.map(|(name, data_type)| Column { name: name.into(), data_type: data_type.into() });
        let mut out = Vec::new();
        columns.write(&mut out, &described, lines).expect("a write to memory");
        String::from_utf8(out).expect("text")
    }

    fn line(cells: &[&str]) -> Line {
        ("", cells.iter().map(|&cell| cell.to_owned()).collect())
    }

    #[test]
    fn rows_stand_under_their_header_and_it_comes_again_when_a_column_grows() {
        let mut columns = Columns::default();
        let long = "x".repeat(WIDEST + 1);
        assert_eq!(written(&mut columns, &[]), "  name                 n  note\n");
        assert_eq!(
            written(&mut columns, &[line(&["a", "7", "{}"]), line(&["Köln", "120", &long])]),
            format!(
                "  name                 n  note\n  a                    7  {{}}\n  Köln               120  {long}\n"
            ),
        );
        let removed = ("-", vec!["a".to_owned()]);
        assert_eq!(written(&mut columns, &[line(&["b", "8", "1"]), removed]), "  b                    8  1\n- a\n");
    }
}
