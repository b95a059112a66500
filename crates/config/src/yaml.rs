//! YAML text to a tree in which every key and value knows its place.
//!
//! Typed deserialisation stops at the first thing that does not fit, and its errors
//! speak of types rather than of keys. So the text becomes a tree first, and the rest
//! of the crate walks that tree and collects everything that is wrong with it.
//!
//! What a file may cost is bounded here: its nesting, and the number of values that
//! remain once its aliases are replaced by what they stand for.

use std::collections::HashMap;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span, Tag};

/// Most values within values.
const MAX_DEPTH: u16 = 64;
/// Most values of a file, those behind aliases counted at each use.
const MAX_VALUES: u32 = 100_000;

/// A place, with the file as its number; lines and columns count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot {
    pub file: usize,
    pub line: u32,
    pub column: u32,
}

/// A value.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Where it begins; behind an alias, where the anchor's value begins.
    pub spot: Spot,
    pub value: Value,
    /// How many values it holds, itself counted.
    values: u32,
    /// How deep it nests, itself counted.
    depth: u16,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    /// In the order of the file, repeated keys included.
    Map(Vec<(Key, Node)>),
}

/// Text as the file gives it, before variables are put in.
#[derive(Debug, Clone)]
pub(crate) struct Scalar {
    pub text: String,
    pub style: ScalarStyle,
}

impl Scalar {
    /// Whether this is written without quotes and so may be a number, `true` or nothing.
    pub fn plain(&self) -> bool {
        self.style == ScalarStyle::Plain
    }

    /// Whether nothing is given: `key:`, `key: ~`, `key: null`.
    pub fn is_null(&self) -> bool {
        self.plain() && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}

impl Node {
    /// Whether nothing is given.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.is_null())
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub text: String,
    pub spot: Spot,
}

/// Why a text is not a tree.
#[derive(Debug)]
pub(crate) struct Fault {
    pub spot: Spot,
    pub message: String,
    pub hint: Option<String>,
}

impl Fault {
    fn new(spot: Spot, message: impl Into<String>, hint: impl Into<Option<&'static str>>) -> Self {
        Self { spot, message: message.into(), hint: hint.into().map(str::to_owned) }
    }
}

/// Reads one document; `None` if the text holds nothing but comments.
pub(crate) fn parse(file: usize, text: &str) -> Result<Option<Node>, Fault> {
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: usize::from(MAX_DEPTH),
        block_nesting_limit: usize::from(MAX_DEPTH),
    };
    let mut tree = Tree { file, open: Vec::new(), anchors: HashMap::new(), values: 0, root: None };
    let mut documents = 0;
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| syntax(file, &error))?;
        if matches!(event, Event::DocumentStart(..)) {
            documents += 1;
            if documents > 1 {
                return Err(Fault::new(
                    spot(file, span),
                    "a second document begins here",
                    "a file holds one document; put the other into a file of its own",
                ));
            }
        }
        tree.take(event, span)?;
    }
    Ok(tree.root)
}

fn spot(file: usize, span: Span) -> Spot {
    let (line, column) = (span.start.line(), span.start.col());
    Spot { file, line: u32::try_from(line).unwrap_or(u32::MAX), column: u32::try_from(column + 1).unwrap_or(u32::MAX) }
}

fn syntax(file: usize, error: &ScanError) -> Fault {
    let message = match error.kind() {
        ErrorKind::ExpectedBlockMappingKey => "not YAML: this fits no indentation above".to_owned(),
        ErrorKind::ExpectedDocumentStart => "not YAML: something stands behind the end of the whole".to_owned(),
        ErrorKind::RecursionLimitExceeded => format!("more than {MAX_DEPTH} levels of values within values"),
        _ => format!("not YAML: {}", error.info()),
    };
    let hint = match error.kind() {
        ErrorKind::ExpectedBlockMappingKey => Some(
            "keys that belong together are indented by the same number of spaces; a text in quotes ends with its quote",
        ),
        ErrorKind::ExpectedDocumentStart => {
            Some("a configuration is YAML: lines such as `streams:`, and indented below each what it has")
        }
        ErrorKind::UnexpectedCharacter { character } if character.is_control() => {
            Some("is this a text file, saved as UTF-8?")
        }
        ErrorKind::MappingValueNotAllowed => {
            Some("look at the indentation; a text with a colon and a space in it goes in quotes, or below `|`")
        }
        ErrorKind::UnknownAnchor | ErrorKind::UnexpectedCharacter { .. } | ErrorKind::MissingAnchorOrAliasName => {
            Some("a text that begins with a sign such as `*`, `&`, `%` or `@` goes in quotes")
        }
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart => Some("indent with spaces"),
        ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::ExpectedFlowSequenceSeparator
        | ErrorKind::UnclosedFlowCollection { .. } => Some("look for a bracket that is not closed, here or above"),
        ErrorKind::RecursionLimitExceeded => {
            Some("that is more than any configuration needs: look for brackets that are not closed")
        }
        ErrorKind::UnclosedQuotedScalar
        | ErrorKind::InvalidTrailingDoubleQuotedScalar
        | ErrorKind::InvalidTrailingSingleQuotedScalar => Some("look for a quote that is not closed, here or above"),
        _ => Some("look for a bracket, a comma or a quote too many or too few, here or in the line above"),
    };
    Fault::new(spot(file, Span::empty(*error.marker())), message, hint)
}

/// A list or a map whose end has not come yet.
struct Open {
    spot: Spot,
    anchor: usize,
    held: Held,
    values: u32,
    depth: u16,
}

enum Held {
    List(Vec<Node>),
    /// With the key whose value comes next.
    Map(Vec<(Key, Node)>, Option<Key>),
}

struct Tree {
    file: usize,
    open: Vec<Open>,
    /// Finished values by the number of their anchor.
    anchors: HashMap<usize, Node>,
    values: u32,
    root: Option<Node>,
}

impl Tree {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        let spot = spot(self.file, span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                no_tag(tag.as_deref(), spot)?;
                let value = Value::Scalar(Scalar { text: text.into_owned(), style });
                self.finish(Node { spot, value, values: 1, depth: 1 }, anchor, 1)
            }
            Event::SequenceStart(_, anchor, tag) => {
                no_tag(tag.as_deref(), spot)?;
                self.begin(spot, anchor, Held::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                no_tag(tag.as_deref(), spot)?;
                self.begin(spot, anchor, Held::Map(Vec::new(), None))
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Ok(()) };
                let value = match open.held {
                    Held::List(items) => Value::List(items),
                    Held::Map(entries, _) => Value::Map(entries),
                };
                let node = Node { spot: open.spot, value, values: open.values, depth: open.depth };
                // Its parts were counted as they came; the value itself when it began.
                self.finish(node, open.anchor, 0)
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    return Err(Fault::new(spot, "this alias stands within what it stands for", None));
                };
                let count = node.values;
                self.count(spot, count)?;
                let node = self.anchors[&anchor].clone();
                self.finish(node, 0, 0)
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, spot: Spot, anchor: usize, held: Held) -> Result<(), Fault> {
        if let Some(Open { held: Held::Map(_, None), .. }) = self.open.last() {
            return Err(Fault::new(spot, "a key is a list or a map here", "a key is a name, followed by a colon"));
        }
        self.count(spot, 1)?;
        self.open.push(Open { spot, anchor, held, values: 1, depth: 1 });
        Ok(())
    }

    /// Counts values before anything is copied, so that aliases of aliases cost nothing.
    fn count(&mut self, spot: Spot, values: u32) -> Result<(), Fault> {
        self.values = self.values.saturating_add(values);
        if self.values > MAX_VALUES {
            return Err(Fault::new(
                spot,
                format!("more than {MAX_VALUES} values, counting what stands behind aliases"),
                "divide the configuration into several files, or use fewer aliases",
            ));
        }
        Ok(())
    }

    /// Puts a finished value where it belongs.
    fn finish(&mut self, node: Node, anchor: usize, count: u32) -> Result<(), Fault> {
        self.count(node.spot, count)?;
        let depth = node.depth.saturating_add(1);
        if usize::from(node.depth) + self.open.len() > usize::from(MAX_DEPTH) {
            return Err(Fault::new(node.spot, format!("more than {MAX_DEPTH} levels of values within values"), None));
        }
        if anchor != 0 {
            // Kept a second time, and so counted a second time.
            self.count(node.spot, node.values)?;
            self.anchors.insert(anchor, node.clone());
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node).filter(|n| !n.is_null());
            return Ok(());
        };
        match &mut parent.held {
            Held::List(items) => {
                parent.values += node.values;
                parent.depth = parent.depth.max(depth);
                items.push(node);
            }
            Held::Map(entries, key) => {
                if let Some(key) = key.take() {
                    parent.values += node.values;
                    parent.depth = parent.depth.max(depth);
                    entries.push((key, node));
                } else if let Value::Scalar(scalar) = node.value {
                    *key = Some(Key { text: scalar.text, spot: node.spot });
                } else {
                    return Err(Fault::new(
                        node.spot,
                        "a key is a list or a map here",
                        "a key is a name, followed by a colon",
                    ));
                }
            }
        }
        Ok(())
    }
}

fn no_tag(tag: Option<&Tag>, spot: Spot) -> Result<(), Fault> {
    match tag {
        None => Ok(()),
        Some(tag) => Err(Fault::new(
            spot,
            format!("the tag `{}` is not understood", tag.original()),
            "leave it out; a text that looks like a number goes in quotes",
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn fault(text: &str) -> String {
        let fault = parse(0, text).expect_err(text);
        format!("{}:{} {}", fault.spot.line, fault.spot.column, fault.message)
    }

    #[test]
    fn keys_and_values_know_their_places() {
        let root = parse(0, "a:\n  b: [x, {c: d}]\n").unwrap().unwrap();
        let Value::Map(entries) = &root.value else { panic!("{root:?}") };
        let Value::Map(entries) = &entries[0].1.value else { panic!("{root:?}") };
        assert_eq!((entries[0].0.spot.line, entries[0].0.spot.column), (2, 3));
        let Value::List(items) = &entries[0].1.value else { panic!("{root:?}") };
        assert_eq!((items[1].spot.line, items[1].spot.column), (2, 10));
    }

    #[test]
    fn nothing_is_nothing() {
        for text in ["", "# only this\n", "---\n", "~\n", "\u{feff}"] {
            assert!(parse(0, text).unwrap().is_none(), "{text:?}");
        }
    }

    #[test]
    fn aliases_stand_for_their_anchors() {
        let root = parse(0, "a: &x {k: v}\nb: *x\n").unwrap().unwrap();
        let Value::Map(entries) = &root.value else { panic!("{root:?}") };
        assert_eq!(entries[1].1.spot.line, 1);
        assert!(matches!(&entries[1].1.value, Value::Map(inner) if inner[0].0.text == "k"));
        assert_eq!(fault("a: &x [*x]\n"), "1:8 this alias stands within what it stands for");
        assert_eq!(fault("a: *x\n"), "1:4 not YAML: while parsing node, found unknown anchor");
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..30 {
            let aliases = vec![format!("*a{}", i - 1); 10].join(", ");
            writeln!(bomb, "a{i}: &a{i} [{aliases}]").unwrap();
        }
        assert!(fault(&bomb).contains("more than 100000 values"), "{}", fault(&bomb));
    }

    #[test]
    fn nesting_is_bounded_also_through_aliases() {
        assert!(fault(&format!("a: {}{}", "[".repeat(10_000), "]".repeat(10_000))).starts_with("1:"));
        let blocks = (0..10_000).map(|i| format!("{}a:", " ".repeat(i % 200))).collect::<Vec<_>>().join("\n");
        assert!(parse(0, &blocks).is_err());
        let mut chain = "a0: &a0 [x]\n".to_owned();
        for i in 1..100 {
            writeln!(chain, "a{i}: &a{i} [*a{}]", i - 1).unwrap();
        }
        assert!(fault(&chain).contains("more than 64 levels"), "{}", fault(&chain));
    }

    #[test]
    fn what_a_configuration_has_no_use_for_is_refused() {
        assert_eq!(fault("a: !!str 5\n"), "1:10 the tag `!!str` is not understood");
        assert_eq!(fault("? [a]\n: b\n"), "1:3 a key is a list or a map here");
        assert_eq!(fault("a: 1\n---\nb: 2\n"), "2:1 a second document begins here");
        assert_eq!(fault("a: {x: 1\n"), "1:4 not YAML: unclosed bracket '{'");
    }
}
