//! Aligned columns for a terminal.

use std::io::{self, Write};

use client::frame::Column;

/// A longer cell moves what stands right of it, instead of moving every other row.
const WIDEST: usize = 40;

/// A line: what stands before it, and its cells.
pub(super) type Line = (&'static str, Vec<String>);

/// How wide each column is: as its widest cell so far, so that rows stand under the header
/// that was printed last.
#[derive(Debug, Default)]
pub(super) struct Columns {
    widths: Vec<usize>,
}

impl Columns {
    /// Writes a batch of lines, under a header where a column is new or became wider.
    pub(super) fn write(&mut self, out: &mut impl Write, columns: &[Column], lines: &[Line]) -> io::Result<()> {
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
            self.line(out, columns, "", &names)?;
        }
        lines.iter().try_for_each(|(mark, cells)| self.line(out, columns, mark, cells))
    }

    /// A line of cells. Numbers stand at the right of their column.
    fn line(&self, out: &mut impl Write, columns: &[Column], mark: &str, cells: &[String]) -> io::Result<()> {
        let padded = cells.iter().zip(columns).zip(&self.widths).map(|((cell, column), &width)| {
            match column.data_type.as_str() {
                "bigint" | "int" | "double" => format!("{cell:>width$}"),
                _ => format!("{cell:<width$}"),
            }
        });
        writeln!(out, "{mark:2}{}", padded.collect::<Vec<_>>().join("  ").trim_end())
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
    use super::*;

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
