//! Single values: names, numbers, durations, sizes, flags, words and lists of them.

use std::time::Duration;

use crate::{
    nearest::advice,
    reader::{Fields, Reader, clip},
    shape::{Absent, Naming, Section, Shape},
    units::{self, Wrong, write_duration, write_size},
    yaml::{Node, Value},
};

impl Reader<'_> {
    /// The text of a key, or its default.
    pub fn text(&mut self, fields: &Fields<'_>, name: &str) -> Option<String> {
        match fields.get(name) {
            Some(node) => self.text_of(node, name),
            None => default(fields, name).map(str::to_owned),
        }
    }

    pub fn text_of(&mut self, node: &Node, label: &str) -> Option<String> {
        let text = self.scalar(node, label, "a text")?.text;
        if text.trim().is_empty() {
            self.problem(node.spot, format!("`{label}`: expected a text, found an empty one"), None);
            return None;
        }
        Some(text)
    }

    /// The items of a list, or one item that stands without a list where that is allowed.
    pub fn items<'n>(&mut self, node: &'n Node, shape: &Shape, label: &str) -> &'n [Node] {
        let (low, high, alone) = match shape {
            Shape::List { low, high, .. } => (*low, *high, false),
            Shape::OneOrList { high, .. } => (1, *high, true),
            _ => (0, usize::MAX, false),
        };
        match &node.value {
            Value::List(items) if (low..=high).contains(&items.len()) => items,
            Value::List(items) => {
                let expected = if low == high { low.to_string() } else { format!("{low} to {high}") };
                let message = format!("`{label}`: expected a list of {expected}, found one of {}", items.len());
                self.problem(node.spot, message, None);
                &[]
            }
            Value::Scalar(scalar) if alone && !scalar.is_null() => std::slice::from_ref(node),
            Value::Scalar(scalar) if !scalar.is_null() => {
                let hint = format!("write `[{}]`", clip(&scalar.text));
                self.expected(node, label, "a list", Some(hint));
                &[]
            }
            _ => {
                let hint = matches!(node.value, Value::Map(_)).then(|| "begin each item with `- `".to_owned());
                self.expected(node, label, "a list", hint);
                &[]
            }
        }
    }

    /// The name of a column or feed.
    pub fn identifier(&mut self, fields: &Fields<'_>, name: &str) -> Option<String> {
        self.identifier_of(fields.get(name)?, name)
    }

    pub fn identifier_of(&mut self, node: &Node, label: &str) -> Option<String> {
        let filled = self.scalar(node, label, "a name")?;
        let word = filled.bare && flag(&filled.text).is_some();
        if word || !Naming::Identifier.fits(&filled.text) {
            let rule = Naming::Identifier.rule();
            let hint = match Naming::Identifier.near(&filled.text).filter(|_| !word) {
                Some(near) => format!("write `{}`; {rule}", clip(&near)),
                None => rule.to_owned(),
            };
            self.expected(node, label, "a name", Some(hint));
            return None;
        }
        Some(filled.text)
    }

    /// `true` or `false`.
    pub fn flag(&mut self, fields: &Fields<'_>, name: &str) -> bool {
        let Some(node) = fields.get(name) else { return default(fields, name).and_then(flag).unwrap_or(false) };
        let Some(filled) = self.scalar(node, name, "true or false") else { return false };
        if let Some(flag) = flag(&filled.text).filter(|_| filled.bare) {
            return flag;
        }
        let hint = match filled.text.to_ascii_lowercase().as_str() {
            "yes" | "on" | "1" => Some("write `true`".to_owned()),
            "no" | "off" | "0" => Some("write `false`".to_owned()),
            _ => unquote(&filled.text, filled.bare),
        };
        self.expected(node, name, "true or false", hint);
        false
    }

    /// One of the words of the key.
    pub fn word(&mut self, fields: &Fields<'_>, name: &str) -> Option<&'static str> {
        let Shape::Word(words) = fields.key(name).shape else { return None };
        match fields.get(name) {
            Some(node) => self.word_of(node, words, name),
            None => words.iter().copied().find(|word| default(fields, name) == Some(word)),
        }
    }

    pub fn word_of(&mut self, node: &Node, words: &'static [&'static str], label: &str) -> Option<&'static str> {
        let expected = match words {
            [word] => format!("`{word}`"),
            _ => format!("one of {}", crate::nearest::list(words)),
        };
        let filled = self.scalar(node, label, &expected)?;
        let word = words.iter().copied().find(|word| *word == filled.text);
        if word.is_none() {
            let hint = crate::nearest::nearest(&filled.text, words.iter().copied());
            self.expected(node, label, &expected, hint.map(|word| format!("did you mean `{word}`?")));
        }
        word
    }

    /// A whole number within the bounds of the key.
    pub fn count(&mut self, fields: &Fields<'_>, name: &str) -> Option<u64> {
        let Some(node) = fields.get(name) else { return default(fields, name).and_then(|d| d.parse().ok()) };
        let filled = self.scalar(node, name, "a whole number")?;
        let (low, high) = match fields.key(name).shape {
            Shape::Count { low, high } => (low, high),
            _ => (0, u64::MAX),
        };
        let digits = filled.bare && !filled.text.is_empty() && filled.text.bytes().all(|b| b.is_ascii_digit());
        if !digits {
            let hint = unquote(&filled.text, filled.bare).unwrap_or_else(|| bare_number(&filled.text));
            self.expected(node, name, &format!("a whole number from {low}"), Some(hint));
            return None;
        }
        let count = filled.text.parse::<u64>().ok();
        if count.is_none_or(|n| n > high) {
            self.problem(node.spot, format!("`{name}`: {} is too much; the most is {high}", clip(&filled.text)), None);
            return None;
        }
        if count.is_some_and(|n| n < low) {
            self.problem(node.spot, format!("`{name}`: {} is too little; the least is {low}", filled.text), None);
            return None;
        }
        count
    }

    /// A whole number that may be negative.
    pub fn integer(&mut self, node: &Node, label: &str) -> Option<i64> {
        let filled = self.scalar(node, label, "a whole number")?;
        let number = filled.text.parse::<i64>().ok().filter(|_| filled.bare);
        if number.is_none() {
            self.expected(node, label, "a whole number of 64 bits", unquote(&filled.text, filled.bare));
        }
        number
    }

    /// A finite number, or its default.
    pub fn number(&mut self, fields: &Fields<'_>, name: &str) -> Option<f64> {
        match fields.get(name) {
            Some(node) => self.number_of(node, name),
            None => default(fields, name).and_then(|d| d.parse().ok()),
        }
    }

    pub fn number_of(&mut self, node: &Node, label: &str) -> Option<f64> {
        let filled = self.scalar(node, label, "a number")?;
        // Rust also reads `inf` and `nan`, which are texts in YAML.
        let figures = filled.text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
        let number = filled.text.parse::<f64>().ok().filter(|n| figures && filled.bare && n.is_finite());
        if number.is_none() {
            let hint = unquote(&filled.text, filled.bare).unwrap_or_else(|| bare_number(&filled.text));
            self.expected(node, label, "a number", Some(hint));
        }
        number
    }

    /// A duration within the bounds of the key, or its default.
    pub fn duration(&mut self, fields: &Fields<'_>, name: &str) -> Duration {
        match fields.get(name) {
            Some(node) => self.duration_of(node, name, &fields.key(name).shape).unwrap_or_default(),
            None => default(fields, name).and_then(|d| units::duration(d).ok()).unwrap_or_default(),
        }
    }

    /// A duration, or `None` for `off`.
    pub fn duration_or_off(&mut self, fields: &Fields<'_>, name: &str) -> Option<Duration> {
        let off = |node: &Node| {
            // A reader of YAML 1.1, on whose screen this may have been written, calls `off` false.
            matches!(&node.value, Value::Scalar(s) if s.text == "off" || (s.plain() && s.text == "false"))
        };
        if fields.get(name).is_some_and(off) {
            return None;
        }
        Some(self.duration(fields, name))
    }

    fn duration_of(&mut self, node: &Node, label: &str, shape: &Shape) -> Option<Duration> {
        let (low, high, expected) = match shape {
            Shape::Duration { low, high } => (*low, *high, "a duration such as `10s`"),
            Shape::DurationOrOff { low, high } => (*low, *high, "a duration such as `10s`, or `off`"),
            _ => (Duration::ZERO, Duration::MAX, "a duration such as `10s`"),
        };
        let filled = self.scalar(node, label, expected)?;
        let text = filled.text.trim();
        let hint = match units::duration(text) {
            Ok(duration) if duration < low => {
                let message = format!("`{label}`: {text} is too little; the least is {}", write_duration(low));
                self.problem(node.spot, message, None);
                return None;
            }
            Ok(duration) if duration <= high => return Some(duration),
            Ok(_) | Err(Wrong::TooLarge) => {
                let message = format!("`{label}`: {} is too much; the most is {}", clip(text), write_duration(high));
                self.problem(node.spot, message, None);
                return None;
            }
            Err(Wrong::NoUnit) => {
                let n = clip(text);
                format!("a duration has a unit: `{n}ms`, `{n}s`, `{n}m`, `{n}h` or `{n}d`")
            }
            Err(Wrong::Unit(unit)) => match units::meant(&unit, true) {
                Some(meant) => format!("the unit is written `{meant}`"),
                None => "the units are `ms`, `s`, `m`, `h` and `d`".to_owned(),
            },
            Err(Wrong::NoNumber) => "a whole number and one of the units `ms`, `s`, `m`, `h` and `d`".to_owned(),
        };
        self.expected(node, label, expected, Some(hint));
        None
    }

    /// A size in bytes within the bounds of the key, or its default.
    pub fn size(&mut self, fields: &Fields<'_>, name: &str) -> u64 {
        let Some(node) = fields.get(name) else {
            return default(fields, name).and_then(|d| units::size(d).ok()).unwrap_or_default();
        };
        let (low, high) = match fields.key(name).shape {
            Shape::Size { low, high } => (low, high),
            _ => (0, u64::MAX),
        };
        let expected = "a size such as `64MiB`";
        let Some(filled) = self.scalar(node, name, expected) else { return low };
        let text = filled.text.trim();
        let hint = match units::size(text) {
            Ok(_) if !filled.bare && text.bytes().all(|b| b.is_ascii_digit()) => "leave the quotes out".to_owned(),
            Ok(size) if size < low => {
                let message = format!("`{name}`: {text} is too little; the least is {}", write_size(low));
                self.problem(node.spot, message, None);
                return low;
            }
            Ok(size) if size <= high => return size,
            Ok(_) | Err(Wrong::TooLarge) => {
                let message = format!("`{name}`: {} is too much; the most is {}", clip(text), write_size(high));
                self.problem(node.spot, message, None);
                return low;
            }
            Err(Wrong::Unit(unit)) => match units::meant(&unit, false) {
                Some(meant) => format!("the unit is written `{meant}`"),
                None => "the units are `B`, `KiB`, `MiB`, `GiB` and `TiB`".to_owned(),
            },
            Err(_) => "a whole number, with or without one of the units `B`, `KiB`, `MiB`, `GiB` and `TiB`".to_owned(),
        };
        self.expected(node, name, expected, Some(hint));
        low
    }

    /// That a name is none of those that exist.
    pub fn no_such(&mut self, node: &Node, label: &str, what: (&str, &str), name: &str, names: &[&str]) {
        let hint = advice(name, what.1, names);
        self.problem(node.spot, format!("`{label}`: there is no {} `{}`", what.0, clip(name)), hint);
    }
}

/// The default of a key of a section that is not in the file.
pub(crate) fn default_duration(section: &Section, name: &str) -> Duration {
    let key = section.keys.iter().find(|key| key.name == name);
    match key.map(|key| key.absent) {
        Some(Absent::Means(text)) => units::duration(text).unwrap_or_default(),
        _ => Duration::default(),
    }
}

/// The default of a key, as it would be written.
fn default(fields: &Fields<'_>, name: &str) -> Option<&'static str> {
    match fields.key(name).absent {
        Absent::Means(text) => Some(text),
        Absent::Refused | Absent::Nothing => None,
    }
}

/// A flag of YAML's core schema.
fn flag(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// The advice for what should be a number and is none: the figures that it begins with.
fn bare_number(text: &str) -> String {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    match text[..end].parse::<f64>() {
        Ok(_) if text[..end].bytes().all(|b| b.is_ascii_digit()) => {
            format!("write `{}`, without a unit", clip(&text[..end]))
        }
        _ => "write figures alone, such as `80`".to_owned(),
    }
}

/// The advice for a number or flag that stands in quotes.
fn unquote(text: &str, bare: bool) -> Option<String> {
    let value = flag(text).is_some() || text.parse::<f64>().is_ok();
    (!bare && value).then(|| "leave the quotes out".to_owned())
}
