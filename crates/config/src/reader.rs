//! Walks trees, section by section, and collects what is wrong with them.

use std::{collections::HashMap, path::PathBuf};

use crate::{
    nearest::advice,
    place::{Place, Problem},
    shape::{Absent, Key as KeyOf, Naming, Section},
    variables::{self, Wrong},
    yaml::{Key, Node, Scalar, Spot, Value},
};

/// Longest part of a file that a message repeats, in characters.
const QUOTE: usize = 60;

/// A file and what stands in it.
#[derive(Debug)]
pub(crate) struct File {
    pub path: PathBuf,
    pub text: String,
}

/// Reads nodes and keeps the problems.
pub(crate) struct Reader<'e> {
    files: &'e [File],
    env: &'e dyn Fn(&str) -> Option<String>,
    /// Whether every file and section could be read; where not, what seems to be missing may be there.
    pub whole: bool,
    pub problems: Vec<Problem>,
}

/// A scalar with its variables put in.
pub(crate) struct Filled {
    pub text: String,
    /// Whether it may be a number or a flag: written without quotes, or taken from the environment.
    pub bare: bool,
}

/// The keys that a section of the file gives; each at most once, except those whose
/// values add up over files.
pub(crate) struct Fields<'n> {
    section: &'static Section,
    given: Vec<(&'n Key, &'n Node)>,
    /// Unknown keys whose place is elsewhere.
    misplaced: Vec<&'n str>,
    /// Keys that were meant by unknown ones. That they are missing says nothing more.
    meant: Vec<&'static str>,
    /// Where the section begins.
    pub spot: Spot,
}

impl<'n> Fields<'n> {
    /// The value of a key, if it is given.
    pub fn get(&self, name: &str) -> Option<&'n Node> {
        self.all(name).next()
    }

    /// The values of a key that add up over files.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &'n Node> {
        self.given.iter().filter(move |(key, _)| key.text == name).map(|(_, node)| *node)
    }

    /// Whether the section has a key of this name, given or not.
    pub fn offers(&self, name: &str) -> bool {
        self.section.keys.iter().any(|key| key.name == name)
    }

    /// Whether a key is given here whose place is elsewhere.
    pub fn misplaced(&self, name: &str) -> bool {
        self.misplaced.contains(&name)
    }

    /// Whether a key is not given because it was misspelt.
    pub fn misspelt(&self, name: &str) -> bool {
        self.meant.contains(&name) && self.get(name).is_none()
    }

    /// What the table of keys says of one.
    pub fn key(&self, name: &str) -> &'static KeyOf {
        let key = self.section.keys.iter().find(|key| key.name == name);
        key.expect("the readers ask a section only for keys of its own")
    }
}

impl<'e> Reader<'e> {
    pub fn new(files: &'e [File], env: &'e dyn Fn(&str) -> Option<String>) -> Self {
        Self { files, env, whole: true, problems: Vec::new() }
    }

    pub fn place(&self, spot: Spot) -> Place {
        Place { file: self.files[spot.file].path.clone(), line: spot.line, column: spot.column }
    }

    /// The text of the file in which a spot lies.
    pub fn source(&self, spot: Spot) -> &'e str {
        &self.files[spot.file].text
    }

    pub fn problem(&mut self, spot: Spot, message: impl Into<String>, hint: impl Into<Option<String>>) {
        let place = Some(self.place(spot));
        self.problems.push(Problem { place, message: message.into(), hint: hint.into() });
    }

    /// `label` should have been something else.
    pub fn expected(&mut self, node: &Node, label: &str, expected: &str, hint: Option<String>) {
        let found = found(node);
        self.problem(node.spot, format!("`{label}`: expected {expected}, found {found}"), hint);
    }

    /// A scalar with its variables put in.
    pub fn scalar(&mut self, node: &Node, label: &str, expected: &str) -> Option<Filled> {
        match &node.value {
            Value::Scalar(scalar) if !scalar.is_null() => {
                let text = self.fill(&scalar.text, node.spot)?;
                Some(Filled { bare: scalar.plain() || scalar.text.contains("${"), text })
            }
            _ => {
                self.expected(node, label, expected, None);
                None
            }
        }
    }

    /// Puts variables into a text.
    pub fn fill(&mut self, text: &str, spot: Spot) -> Option<String> {
        match variables::fill(text, self.env) {
            Ok(text) => Some(text),
            Err(wrong) => {
                for wrong in wrong {
                    let (message, hint) = match wrong {
                        Wrong::Unset(name) => (
                            format!("the environment variable `{name}` is not set"),
                            format!("set it, or give a default: `${{{name}:-default}}`"),
                        ),
                        Wrong::Open => ("`${` without its `}`".to_owned(), "a dollar sign is written `$$`".to_owned()),
                        Wrong::Name(name) => (
                            format!("`{}` is no name of an environment variable", clip(&name)),
                            "a variable is written `${NAME}`, and a dollar sign before a brace `$$`".to_owned(),
                        ),
                    };
                    self.problem(spot, message, hint);
                }
                None
            }
        }
    }

    /// The keys of a map, checked against the section's: unknown, repeated and missing
    /// ones are problems. `label` names the map in messages: "stream `events`".
    pub fn section<'n>(&mut self, node: &'n Node, section: &'static Section, label: &str) -> Option<Fields<'n>> {
        if !matches!(node.value, Value::Map(_)) {
            let expected = format!("a map of {}", known(section));
            let hint = not_a_map(node).or_else(|| {
                node.is_null().then(|| "indent below it what belongs to it, by two more spaces".to_owned())
            });
            self.problem(node.spot, format!("{label}: expected {expected}, found {}", found(node)), hint);
            return None;
        }
        Some(self.merged(&[node], section, label, &[]))
    }

    /// Like [`Reader::section`] over several maps, one a file, as if they were one map.
    /// Values of the keys in `adding` add up instead of standing against each other.
    pub fn merged<'n>(
        &mut self,
        nodes: &[&'n Node],
        section: &'static Section,
        label: &str,
        adding: &[&str],
    ) -> Fields<'n> {
        let spot = nodes.first().map_or(Spot { file: 0, line: 1, column: 1 }, |n| n.spot);
        let mut fields = Fields { section, given: Vec::new(), misplaced: Vec::new(), meant: Vec::new(), spot };
        let names: Vec<&'static str> = section.keys.iter().map(|key| key.name).collect();
        for node in nodes {
            let Value::Map(entries) = &node.value else {
                if !node.is_null() {
                    let found = found(node);
                    let hint = not_a_map(node).unwrap_or_else(|| {
                        "it has lines such as `streams:`, and indented below each what belongs to it".to_owned()
                    });
                    self.problem(node.spot, format!("{label}: expected a map, found {found}"), hint);
                }
                continue;
            };
            for (key, value) in entries {
                if !names.contains(&key.text.as_str()) {
                    if section.elsewhere.iter().any(|(name, _)| *name == key.text) {
                        fields.misplaced.push(&key.text);
                    }
                    fields.meant.extend(self.unknown(key, section, label, &names));
                } else if let Some(first) = first_of(&fields, key, adding) {
                    let first = self.place(first);
                    self.problem(
                        key.spot,
                        format!("`{}` is given twice; first at {first}", key.text),
                        KEEP_ONE.to_owned(),
                    );
                } else {
                    fields.given.push((key, value));
                }
            }
        }
        for key in section.keys.iter().filter(|key| key.absent == Absent::Refused) {
            if fields.get(key.name).is_none() && !fields.misspelt(key.name) {
                let about = key.about.trim_end_matches('.');
                self.problem(
                    spot,
                    format!("{label}: `{}` is missing", key.name),
                    format!("`{}:` {}", key.name, lower(about)),
                );
            }
        }
        fields
    }

    /// Reports an unknown key and says which ones its hint names in its place.
    fn unknown(
        &mut self,
        key: &Key,
        section: &'static Section,
        label: &str,
        names: &[&'static str],
    ) -> Vec<&'static str> {
        let message = format!("unknown key `{}` in {label}", clip(&key.text));
        if let Some((_, note)) = section.elsewhere.iter().find(|(name, _)| *name == key.text) {
            self.problem(key.spot, message, (*note).to_owned());
            let quoted = |name: &&str| note.contains(&format!("`{name}`")) || note.contains(&format!("`{name}:"));
            return names.iter().copied().filter(quoted).collect();
        }
        if key.text == "<<" {
            let hint = "write the whole as an alias, `name: *base`, or give each key".to_owned();
            self.problem(key.spot, "YAML's merge key `<<` is not read", hint);
            // What it would have brought is not missing.
            return names.to_vec();
        }
        if let Some((name, value)) = key.text.split_once(':').filter(|(name, _)| names.contains(name)) {
            let hint = format!("a space goes behind the colon: `{name}: {}`", clip(value));
            self.problem(key.spot, message, hint);
            return names.iter().copied().filter(|known| *known == name).collect();
        }
        // No key has a space: this is what stands behind a comma of the value before.
        if key.text.contains(' ') {
            let hint = "in braces a comma ends a value: quote the whole value, or write it below `|`".to_owned();
            self.problem(key.spot, message, hint);
            return Vec::new();
        }
        self.problem(key.spot, message, advice(&key.text, "keys here", names));
        crate::nearest::nearest(&key.text, names.iter().copied()).into_iter().collect()
    }

    /// Takes out keys of a section that stand beside an empty name instead of below it.
    pub fn below<'n>(
        &mut self,
        entries: Vec<(&'n Key, &'n Node)>,
        section: &'static Section,
        what: &str,
    ) -> Vec<(&'n Key, &'n Node)> {
        let mut kept: Vec<(&Key, &Node)> = Vec::new();
        let mut owner: Option<&Key> = None;
        for (key, node) in entries {
            let belongs = section.keys.iter().any(|known| known.name == key.text);
            if belongs && owner.is_none() && kept.last().is_some_and(|(_, node)| node.is_null()) {
                owner = kept.pop().map(|(key, _)| key);
                let name = owner.map_or_else(String::new, |key| clip(&key.text));
                let message = format!("`{}` stands beside {what} `{name}`, not below it", key.text);
                self.problem(key.spot, message, format!("indent what belongs to `{name}` by two more spaces"));
                self.whole = false;
            }
            if !belongs {
                owner = None;
            }
            if owner.is_none() {
                kept.push((key, node));
            }
        }
        kept
    }

    /// Names of the user's choice with their values, over several maps, in order.
    /// `what` says what has the names, in the singular: "stream".
    pub fn named<'n>(&mut self, nodes: &[&'n Node], naming: Naming, what: &str) -> Vec<(&'n Key, &'n Node)> {
        let mut all: Vec<(&'n Key, &'n Node)> = Vec::new();
        let mut seen: HashMap<&str, Spot> = HashMap::new();
        for node in nodes {
            let Value::Map(entries) = &node.value else {
                if !node.is_null() {
                    let message = format!("expected a map of {what} names, found {}", found(node));
                    self.problem(node.spot, message, not_a_map(node));
                }
                continue;
            };
            for (key, value) in entries {
                if let Some(first) = seen.get(key.text.as_str()) {
                    let first = self.place(*first);
                    let message = format!("{what} `{}` is defined twice; first at {first}", clip(&key.text));
                    self.problem(key.spot, message, "give one of them another name, or take it out".to_owned());
                    continue;
                }
                // The rest of `decimal(18,2)`: the value before it has been told to want quotes.
                if key.text.ends_with(')') && value.is_null() {
                    continue;
                }
                seen.insert(&key.text, key.spot);
                if !naming.fits(&key.text) {
                    let message = format!("`{}` cannot be the name of a {what}", clip(&key.text));
                    let hint = match naming.near(&key.text) {
                        Some(near) if what == "column" => {
                            let (near, from) = (clip(&near), clip(&key.text));
                            format!("write `{near}: {{ type: …, from: '{from}' }}`; {}", naming.rule())
                        }
                        Some(near) => format!("write `{}`; {}", clip(&near), naming.rule()),
                        None => naming.rule().to_owned(),
                    };
                    self.problem(key.spot, message, hint);
                }
                all.push((key, value));
            }
        }
        all
    }
}

/// What two places that say the same, or different things, come to.
const KEEP_ONE: &str = "only one of the two can hold: take the other out";

/// Why something that should be a map may be none.
fn not_a_map(node: &Node) -> Option<String> {
    match &node.value {
        Value::List(_) => Some("begin each with its name, `name:`, instead of `-`".to_owned()),
        Value::Scalar(scalar) if !scalar.is_null() => {
            let text = scalar.text.lines().next().unwrap_or_default();
            if let Some((name, value)) = text.split_once('=') {
                let (name, value) = (clip(name.trim()), clip(value.trim()));
                return name.chars().all(word).then(|| format!("write `{name}: {value}`"));
            }
            let (name, value) = text.split_once(':').filter(|(name, value)| {
                let name = name.trim();
                !name.is_empty() && name.chars().all(word) && !value.is_empty()
            })?;
            Some(format!("a space goes behind the colon: `{}: {}`", clip(name), clip(value.trim())))
        }
        _ => None,
    }
}

fn word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Where a key was given before: in this map, or in another file whose value it does not add to.
fn first_of(fields: &Fields<'_>, key: &Key, adding: &[&str]) -> Option<Spot> {
    let adds = adding.contains(&key.text.as_str());
    let same = |other: &&Key| other.text == key.text && (!adds || other.spot.file == key.spot.file);
    fields.given.iter().map(|(other, _)| *other).find(same).map(|first| first.spot)
}

fn known(section: &Section) -> String {
    let names: Vec<&str> = section.keys.iter().map(|key| key.name).collect();
    crate::nearest::list(&names)
}

/// What a value is, for messages.
pub(crate) fn found(node: &Node) -> String {
    match &node.value {
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a map".to_owned(),
        Value::Scalar(scalar) if scalar.is_null() => "nothing".to_owned(),
        Value::Scalar(Scalar { text, .. }) if text.is_empty() => "an empty text".to_owned(),
        Value::Scalar(Scalar { text, .. }) => format!("`{}`", clip(text)),
    }
}

/// A text for a message: one line, no control characters, not too long.
pub(crate) fn clip(text: &str) -> String {
    let mut clipped: String = text.chars().take(QUOTE).flat_map(char::escape_debug).collect();
    // Quotes need no escape between backticks.
    clipped = clipped.replace("\\\"", "\"").replace("\\'", "'");
    if text.chars().nth(QUOTE).is_some() {
        clipped.push('…');
    }
    clipped
}

/// With a small first letter, unless a whole word is in capitals.
fn lower(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if !text.starts_with("SQL") => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}
