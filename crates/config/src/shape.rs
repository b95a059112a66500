//! What a table of keys is made of: sections, keys, and what their values look like.

use std::time::Duration;

/// A map with known keys.
#[derive(Debug)]
pub(crate) struct Section {
    /// Its name in the JSON Schema.
    pub name: &'static str,
    pub about: &'static str,
    pub keys: &'static [Key],
    /// Keys that people look for here, and what to tell them.
    pub elsewhere: &'static [(&'static str, &'static str)],
}

/// A key of a section.
#[derive(Debug)]
pub(crate) struct Key {
    pub name: &'static str,
    pub shape: Shape,
    /// What holds if it is not given.
    pub absent: Absent,
    pub about: &'static str,
}

/// What holds if a key is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absent {
    /// It must be given.
    Refused,
    /// This, written as in a file.
    Means(&'static str),
    /// Nothing, or something that depends on the rest, which `about` says.
    Nothing,
}

/// What a value looks like.
#[derive(Debug)]
pub(crate) enum Shape {
    /// Any text.
    Text,
    /// SQL.
    Sql,
    /// `true` or `false`.
    Flag,
    /// The name of a stream, feed or column.
    Identifier,
    /// A whole number.
    Count { low: u64, high: u64 },
    /// A whole number that may be negative.
    Integer,
    /// A number.
    Number,
    /// A time with its unit.
    Duration { low: Duration, high: Duration },
    /// A time with its unit, or `off`.
    DurationOrOff { low: Duration, high: Duration },
    /// Bytes, with a unit or without.
    Size { low: u64, high: u64 },
    /// One of these words.
    Word(&'static [&'static str]),
    /// The type of a column.
    Type,
    /// A list of so many.
    List { of: &'static Shape, low: usize, high: usize },
    /// One without a list, or a list.
    OneOrList { of: &'static Shape, high: usize },
    /// Names of the user's choice, each with a value.
    Named { name: Naming, of: &'static Shape },
    /// Any texts, each with a value.
    Weights { of: &'static Shape },
    /// A map with known keys.
    Section(&'static Section),
    /// One of several shapes.
    Either(&'static [Shape]),
}

/// What names may look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// A name in SQL.
    Identifier,
    /// A name in a path.
    Page,
}

impl Naming {
    /// As a regular expression, for the JSON Schema.
    pub fn pattern(self) -> &'static str {
        match self {
            Self::Identifier => "^[A-Za-z_][A-Za-z0-9_]{0,63}$",
            Self::Page => "^[A-Za-z0-9_-]{1,64}$",
        }
    }

    /// Whether a text is such a name.
    pub fn fits(self, text: &str) -> bool {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        (1..=64).contains(&text.len())
            && match self {
                Self::Identifier => text.chars().all(word) && !text.starts_with(|c: char| c.is_ascii_digit()),
                Self::Page => text.chars().all(|c| word(c) || c == '-'),
            }
    }

    /// A name made of a text that is none.
    pub fn near(self, text: &str) -> Option<String> {
        let near: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let digit_first = self == Self::Identifier && near.starts_with(|c: char| c.is_ascii_digit());
        let near = if digit_first { format!("_{near}") } else { near };
        (self.fits(&near) && near.contains(|c: char| c.is_ascii_alphanumeric())).then_some(near)
    }

    /// What it may look like, for people.
    pub fn rule(self) -> &'static str {
        match self {
            Self::Identifier => "a name has 1 to 64 letters a to z, digits and `_`, and no digit first",
            Self::Page => "a dashboard's name has 1 to 64 letters a to z, digits, `_` and `-`",
        }
    }
}
