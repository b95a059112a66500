//! Where in which file something was said, and what is wrong with it.

use std::{fmt, path::PathBuf};

/// A place in a configuration file; lines and columns count from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, as it was given.
    pub file: PathBuf,
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// One thing that is wrong: `place: message`, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where; `None` if the whole configuration is meant.
    pub place: Option<Place>,
    /// What was found and what was expected, in one line.
    pub message: String,
    /// What to do, in one line: the nearest valid name, what to write instead.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  {hint}"),
            None => Ok(()),
        }
    }
}

/// SQL text that knows where each of its lines stands in the YAML file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sql {
    /// The SQL.
    pub text: String,
    /// For each line of `text`, where its first character stands.
    pub lines: Vec<Place>,
}

impl Sql {
    /// The place of a line and column of the SQL (both from 1) in the YAML file.
    pub fn at(&self, line: u32, column: u32) -> Option<Place> {
        let mut place = self.lines.get((line as usize).checked_sub(1)?).or(self.lines.last())?.clone();
        place.column += column.saturating_sub(1);
        Some(place)
    }
}
