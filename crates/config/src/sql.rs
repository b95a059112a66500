//! SQL with the place of each of its lines.

use granit_parser::ScalarStyle;

use crate::{
    place::{Place, Sql},
    reader::{Fields, Reader},
    yaml::{Node, Scalar, Spot, Value},
};

impl Reader<'_> {
    /// The SQL of a key, with its variables put in line by line, so that places stay.
    pub fn sql(&mut self, fields: &Fields<'_>, name: &str) -> Option<Sql> {
        let node = fields.get(name)?;
        let scalar = match &node.value {
            Value::Scalar(scalar) if !scalar.is_null() => scalar,
            _ => {
                let hint = matches!(node.value, Value::Map(_) | Value::List(_))
                    .then(|| format!("write `{name}: |` and the SQL below it, so that YAML takes it as it is"));
                self.expected(node, name, "SQL", hint);
                return None;
            }
        };
        let spots = line_spots(self.source(node.spot), node, scalar);
        let mut sql: Vec<(String, Place)> = Vec::new();
        let mut whole = true;
        for (line, spot) in scalar.text.lines().zip(spots) {
            match self.fill(line, spot) {
                // A variable may bring lines of its own; they stand where it stands.
                Some(filled) => sql.extend(filled.split('\n').map(|part| (part.to_owned(), self.place(spot)))),
                None => whole = false,
            }
        }
        while sql.last().is_some_and(|(line, _)| line.trim().is_empty()) {
            sql.pop();
        }
        if !whole {
            return None;
        }
        if sql.is_empty() {
            self.problem(node.spot, format!("`{name}`: expected SQL, found nothing"), None);
            return None;
        }
        let (text, lines): (Vec<String>, Vec<Place>) = sql.into_iter().unzip();
        Some(Sql { text: text.join("\n"), lines })
    }
}

/// Where each line of a scalar's text begins in the file: exact for `|`, and for the first
/// line of all others; the lines of folded and quoted text are found by what they begin with.
fn line_spots(source: &str, node: &Node, scalar: &Scalar) -> Vec<Spot> {
    let begin = node.spot;
    let block = matches!(scalar.style, ScalarStyle::Literal | ScalarStyle::Folded);
    // A block's place is that of its first line that is not empty.
    let empty = if block { scalar.text.lines().take_while(|line| line.is_empty()).count() } else { 0 };
    let quoted = matches!(scalar.style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted);
    let first =
        Spot { line: begin.line.saturating_sub(empty as u32), column: begin.column + u32::from(quoted), ..begin };
    if scalar.style == ScalarStyle::Literal {
        let line = |i: usize| Spot { line: first.line + i as u32, ..first };
        return (0..scalar.text.lines().count()).map(line).collect();
    }
    // Most SQL that is not a block is one line; thousands of those must not each read the file.
    if scalar.text.lines().count() == 1 {
        return vec![first];
    }
    let file: Vec<&str> = source.lines().collect();
    let mut spots: Vec<Spot> = Vec::new();
    let mut at = first;
    for (i, line) in scalar.text.lines().enumerate() {
        if i > empty && !line.trim().is_empty() {
            at = find(&file, at, line).unwrap_or(at);
        } else if i == empty {
            at = Spot { line: begin.line, ..first };
        }
        spots.push(at);
    }
    spots
}

/// The next line of the file, after a spot, with which a line of text begins.
fn find(file: &[&str], after: Spot, text: &str) -> Option<Spot> {
    let wanted = text.trim_start();
    // The last line of a quoted text ends with the quote.
    let begins = |line: &&str| {
        let line = line.trim().trim_end_matches(['"', '\'']);
        !line.is_empty() && wanted.trim_end_matches(['"', '\'']).starts_with(line)
    };
    let skip = after.line as usize;
    let index = skip + file.iter().skip(skip).position(begins)?;
    let indent = |line: &str| line.chars().take_while(|c| c.is_whitespace()).count();
    let column = indent(file[index]).saturating_sub(indent(text)) + 1;
    Some(Spot { file: after.file, line: index as u32 + 1, column: column as u32 })
}
