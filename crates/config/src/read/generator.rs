//! What a generator makes.

use model::DataType;

use crate::{
    keys,
    reader::{Fields, Reader, clip, found},
    shape::{Naming, Section},
    types::{Generated, GeneratorSource, StreamColumn},
    yaml::{Node, Value},
};

/// More events a second than one machine takes in.
const MAX_RATE: f64 = 1e6;
/// Most walks of a generator, each of which remembers where it is.
const MAX_WALKS: u64 = 1_000_000;

/// What each kind is called, and its section.
static KINDS: [(&str, &Section); 5] = [
    ("choice", &keys::CHOICE),
    ("uniform", &keys::UNIFORM),
    ("walk", &keys::WALK),
    ("wave", &keys::WAVE),
    ("sequence", &keys::SEQUENCE),
];

/// `columns` are the stream's, if they are known.
pub(super) fn generator(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    columns: Option<&[StreamColumn]>,
) -> Option<GeneratorSource> {
    let rate = reader.number(fields, "rate");
    if let (Some(rate), Some(node)) = (rate, fields.get("rate"))
        && !(rate > 0.0 && rate <= MAX_RATE)
    {
        reader.problem(node.spot, format!("`rate`: expected more than 0 and at most {MAX_RATE}, found {rate}"), None);
    }
    let seed = reader.count(fields, "seed");
    let nodes: Vec<&Node> = fields.get("columns").into_iter().collect();
    let given = reader.named(&nodes, Naming::Identifier, "column");
    let known = columns.is_some();
    let columns = columns.unwrap_or_default();
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    for (key, node) in &given {
        if !names.contains(&key.text.as_str()) {
            if known {
                let hint = crate::nearest::advice(&key.text, "columns", &names);
                let message = format!("`columns`: the stream has no column `{}`", clip(&key.text));
                reader.problem(key.spot, message, hint);
            }
            // Its value is still worth checking.
            generated(reader, node, &key.text);
        }
    }
    let mut made = Vec::with_capacity(columns.len());
    for column in columns {
        match given.iter().find(|(key, _)| key.text == column.name) {
            Some((_, node)) => {
                if let Some(generated) = generated(reader, node, &column.name) {
                    check_type(reader, node, column, &generated);
                    made.push(generated);
                }
            }
            None if matches!(column.data_type, DataType::Timestamp | DataType::Date) => made.push(Generated::Now),
            None => {
                let spot = fields.get("columns").map_or(fields.spot, |node| node.spot);
                let message = format!("`columns`: nothing says what `{}` gets", column.name);
                let hint = match example(column.data_type) {
                    Some(example) => format!("for example `{}: {example}`", column.name),
                    None => format!("a generator makes no {}: leave the column out", column.data_type),
                };
                reader.problem(spot, message, hint);
            }
        }
    }
    check_walks(reader, fields, &made);
    Some(GeneratorSource { rate: rate?, seed: seed?, columns: made })
}

/// There is a walk for each combination of choices; they multiply quickly.
fn check_walks(reader: &mut Reader<'_>, fields: &Fields<'_>, made: &[Generated]) {
    let choices = made.iter().map(|generated| match generated {
        Generated::Choice(texts) => texts.len() as u64,
        _ => 1,
    });
    let combinations = choices.fold(1, u64::saturating_mul);
    if combinations > MAX_WALKS && made.iter().any(|generated| matches!(generated, Generated::Walk { .. })) {
        let message =
            format!("`columns`: {combinations} combinations of choices, each with a walk; the most is {MAX_WALKS}");
        let spot = fields.get("columns").map_or(fields.spot, |node| node.spot);
        reader.problem(spot, message, "use `uniform` or `wave`, or fewer choices".to_owned());
    }
}

/// A value for a column of a type; `None` if a generator makes none.
fn example(data_type: DataType) -> Option<&'static str> {
    Some(match data_type {
        DataType::Text | DataType::Json => "{ choice: [a, b, c] }",
        DataType::BigInt | DataType::Int => "{ sequence: 1 }",
        DataType::Timestamp | DataType::Date => "now",
        DataType::Double | DataType::Decimal { .. } | DataType::Boolean => "{ uniform: [0, 100] }",
        DataType::Bytes | DataType::TextList => return None,
    })
}

fn generated(reader: &mut Reader<'_>, node: &Node, label: &str) -> Option<Generated> {
    const EXPECTED: &str = "`now` or a map of `choice`, `uniform`, `walk`, `wave` or `sequence`";
    let entries = match &node.value {
        Value::Map(entries) => entries,
        Value::Scalar(scalar) if scalar.text == "now" => return Some(Generated::Now),
        _ => {
            reader.expected(node, label, EXPECTED, None);
            return None;
        }
    };
    let kind = entries.iter().find_map(|(key, _)| KINDS.iter().find(|(name, _)| *name == key.text));
    let Some((kind, section)) = kind else {
        let named = entries.first().map_or("", |(key, _)| key.text.as_str());
        let kinds: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
        let hint = crate::nearest::advice(named, "ways", &kinds);
        reader.problem(node.spot, format!("`{label}`: expected {EXPECTED}, found {}", found(node)), hint);
        return None;
    };
    let fields = reader.section(node, section, &format!("column `{}`", clip(label)))?;
    let node = fields.get(kind)?;
    match *kind {
        "choice" => {
            let texts = reader.texts(&fields, kind);
            (!texts.is_empty()).then_some(Generated::Choice(texts))
        }
        "uniform" => {
            let items = reader.items(node, &fields.key(kind).shape, kind);
            let [low, high] = items else { return None };
            let (low, high) = (reader.number_of(low, kind), reader.number_of(high, kind));
            let (low, high) = (low?, high?);
            ordered(reader, node, kind, low, high).then_some(Generated::Uniform(low, high))
        }
        "walk" => walk(reader, node),
        "wave" => wave(reader, node),
        _ => reader.integer(node, kind).map(Generated::Sequence),
    }
}

fn walk(reader: &mut Reader<'_>, node: &Node) -> Option<Generated> {
    let fields = reader.section(node, &keys::WALK_OPTIONS, "`walk`")?;
    let start = reader.number(&fields, "start");
    let step = reader.number(&fields, "step");
    let low = reader.number(&fields, "low");
    let high = reader.number(&fields, "high");
    let (start, step, low, high) = (start?, step?, low?, high?);
    if step <= 0.0 {
        reader.problem(node.spot, format!("`walk`: `step` is {step}; it must be more than 0"), None);
        return None;
    }
    if !ordered(reader, node, "walk", low, high) {
        return None;
    }
    if !(low..=high).contains(&start) {
        reader.problem(node.spot, format!("`walk`: `start` ({start}) is not between {low} and {high}"), None);
        return None;
    }
    Some(Generated::Walk { start, step, low, high })
}

fn wave(reader: &mut Reader<'_>, node: &Node) -> Option<Generated> {
    let fields = reader.section(node, &keys::WAVE_OPTIONS, "`wave`")?;
    let low = reader.number(&fields, "low");
    let high = reader.number(&fields, "high");
    let period = reader.duration(&fields, "period");
    let (low, high) = (low?, high?);
    (fields.get("period").is_some() && ordered(reader, node, "wave", low, high)).then_some(Generated::Wave {
        low,
        high,
        period,
    })
}

fn ordered(reader: &mut Reader<'_>, node: &Node, label: &str, low: f64, high: f64) -> bool {
    if low <= high {
        return true;
    }
    reader.problem(node.spot, format!("`{label}`: the least ({low}) is more than the most ({high})"), None);
    false
}

/// Whether values of a kind can stand in a column of a type.
fn check_type(reader: &mut Reader<'_>, node: &Node, column: &StreamColumn, generated: &Generated) {
    // A number from a half up is true.
    const NUMBERS: &[&str] = &["double", "bigint", "int", "decimal", "boolean"];
    let (kind, types): (&str, &[&str]) = match generated {
        Generated::Now => ("now", &["timestamp", "date"]),
        Generated::Choice(_) => ("choice", &["text", "json"]),
        Generated::Uniform(..) => ("uniform", NUMBERS),
        Generated::Walk { .. } => ("walk", NUMBERS),
        Generated::Wave { .. } => ("wave", NUMBERS),
        Generated::Sequence(_) => ("sequence", &["bigint", "int", "decimal"]),
    };
    if !types.contains(&column.data_type.name()) {
        reader.problem(
            node.spot,
            format!("`{}`: `{kind}` makes no {}", column.name, column.data_type),
            format!("`{kind}` fills columns of type {}", crate::nearest::list(types)),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn walks_are_bounded() {
        let load = |choices: usize| {
            let texts: Vec<String> = (0..choices).map(|i| i.to_string()).collect();
            let text = format!(
                "streams:\n  s:\n    schema: {{ a: text, b: json, v: double, o: boolean }}\n    source:\n      \
                 type: generator\n      rate: 1\n      columns:\n        a: &many {{ choice: [{}] }}\n        \
                 b: *many\n        v: {{ walk: {{ start: 1, step: 1, low: 0, high: 2 }} }}\n        \
                 o: {{ uniform: [0, 1] }}\n",
                texts.join(", ")
            );
            crate::load_str(Path::new("t.yaml"), &text, &|_| None)
        };
        assert!(load(1_000).is_ok());
        let problems = load(1_001).unwrap_err();
        assert!(problems[0].message.contains("1002001 combinations of choices"), "{problems:?}");
    }
}
