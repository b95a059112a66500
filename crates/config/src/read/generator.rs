//! What a generator makes.

use model::DataType;

use crate::{
    keys,
    reader::{Fields, Reader, clip, found},
    shape::{Naming, Section, Shape},
    types::{Generated, GeneratorSource, Late, Rhythm, RhythmWave, Silent, Spell, StreamColumn},
    yaml::{Node, Value},
};

/// More events a second than one machine takes in.
const MAX_RATE: f64 = 1e6;
/// Most walks of a generator, each of which remembers where it is.
const MAX_WALKS: u64 = 1_000_000;

/// What each kind is called, and its section.
static KINDS: [(&str, &Section); 6] = [
    ("choice", &keys::CHOICE),
    ("uniform", &keys::UNIFORM),
    ("walk", &keys::WALK),
    ("wave", &keys::WAVE),
    ("lognormal", &keys::LOGNORMAL),
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
    let rhythm = fields.get("rhythm").map(|node| rhythm(reader, node)).unwrap_or_default();
    let late = fields.get("late").and_then(|node| late(reader, node));
    let silent = fields.get("silent").and_then(|node| silent(reader, node, columns, &made));
    Some(GeneratorSource {
        rate: rate?,
        seed: seed?,
        columns: made,
        rhythm,
        late,
        silent,
        history: reader.duration(fields, "history"),
    })
}

fn rhythm(reader: &mut Reader<'_>, node: &Node) -> Rhythm {
    let Some(fields) = reader.section(node, &keys::RHYTHM, "`rhythm`") else { return Rhythm::default() };
    let wave = fields.get("wave").and_then(|node| {
        let fields = reader.section(node, &keys::RHYTHM_WAVE, "`wave`")?;
        let (low, high) = (share(reader, &fields, "low"), share(reader, &fields, "high"));
        let period = reader.duration(&fields, "period");
        let (low, high) = (low?, high?);
        (fields.get("period").is_some() && ordered(reader, node, "wave", low, high)).then_some(RhythmWave {
            low,
            high,
            period,
        })
    });
    let mut spell = |key: &str| {
        let node = fields.get(key)?;
        let fields = reader.section(node, &keys::SPELL, &format!("`{key}`"))?;
        let (every, lasts) = (reader.duration(&fields, "every"), reader.duration(&fields, "for"));
        let (Some(_), Some(at)) = (fields.get("every"), fields.get("for")) else { return None };
        if lasts >= every {
            reader.problem(at.spot, format!("`{key}`: `for` is not less than `every`: it would never end"), None);
        }
        Some(Spell { every, lasts })
    };
    let (spike, outage) = (spell("spike"), spell("outage"));
    if let (Some(at), None) = (fields.get("spike"), fields.get("wave")) {
        let hint = "say how much there is between the spikes: `wave: { low: 0.2, high: 0.2, period: 1m }`".to_owned();
        reader.problem(at.spot, "`spike` needs `wave`: without it there is all of the rate already", hint);
    }
    Rhythm { wave, spike, outage }
}

fn late(reader: &mut Reader<'_>, node: &Node) -> Option<Late> {
    let fields = reader.section(node, &keys::LATE, "`late`")?;
    let by = reader.duration(&fields, "by");
    Some(Late { share: share(reader, &fields, "share")?, by })
}

fn silent(reader: &mut Reader<'_>, node: &Node, columns: &[StreamColumn], made: &[Generated]) -> Option<Silent> {
    let fields = reader.section(node, &keys::SILENT, "`silent`")?;
    let lasts = reader.duration(&fields, "for");
    let share = share(reader, &fields, "share");
    let name = reader.identifier(&fields, "column")?;
    let chosen = |i: usize| matches!(made.get(i), Some(Generated::Choice { .. }));
    // Where a column before it is wrong, that is said already.
    let whole = made.len() == columns.len();
    let column = columns.iter().position(|column| column.name == name);
    if whole && !column.is_some_and(chosen) {
        let choices: Vec<&str> =
            columns.iter().enumerate().filter(|(i, _)| chosen(*i)).map(|(_, column)| column.name.as_str()).collect();
        let node = fields.get("column").unwrap_or(node);
        reader.no_such(node, "column", ("column with a `choice`", "columns with a `choice`"), &name, &choices);
        return None;
    }
    Some(Silent { column: column?, share: share?, lasts })
}

/// A number from 0 to 1.
fn share(reader: &mut Reader<'_>, fields: &Fields<'_>, key: &str) -> Option<f64> {
    let share = reader.number(fields, key)?;
    if !(0.0..=1.0).contains(&share) {
        let spot = fields.get(key).map_or(fields.spot, |node| node.spot);
        let hint = "1 is all, 0.25 a quarter".to_owned();
        reader.problem(spot, format!("`{key}`: expected a share from 0 to 1, found {share}"), hint);
        return None;
    }
    Some(share)
}

/// There is a walk for each combination of choices; they multiply quickly.
fn check_walks(reader: &mut Reader<'_>, fields: &Fields<'_>, made: &[Generated]) {
    let choices = made.iter().map(|generated| match generated {
        Generated::Choice { texts, .. } => texts.len() as u64,
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
    const EXPECTED: &str = "`now` or a map of `choice`, `uniform`, `walk`, `wave`, `lognormal` or `sequence`";
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
        "choice" => choice(reader, node),
        "lognormal" => lognormal(reader, node),
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

/// A list of texts, or a map of texts and how often each comes.
fn choice(reader: &mut Reader<'_>, node: &Node) -> Option<Generated> {
    const MOST: usize = 100_000;
    let Value::Map(entries) = &node.value else {
        let shape = Shape::List { of: &Shape::Text, low: 1, high: MOST };
        let items = reader.items(node, &shape, "choice");
        let texts: Vec<String> = items.iter().filter_map(|item| reader.text_of(item, "choice")).collect();
        return (!texts.is_empty()).then_some(Generated::Choice { texts, weights: Vec::new() });
    };
    let (mut texts, mut weights) = (Vec::new(), Vec::new());
    for (key, node) in entries {
        let weight = reader.number_of(node, &key.text)?;
        if weight < 0.0 {
            let hint = "a number beside each text says how often it comes beside the others".to_owned();
            reader.problem(node.spot, format!("`choice`: `{}` comes {weight} times", clip(&key.text)), hint);
            return None;
        }
        texts.push(key.text.clone());
        weights.push(weight);
    }
    if entries.len() > MOST || weights.iter().sum::<f64>() <= 0.0 {
        reader.expected(node, "choice", &format!("1 to {MOST} texts, one at least more than 0 times"), None);
        return None;
    }
    Some(Generated::Choice { texts, weights })
}

fn lognormal(reader: &mut Reader<'_>, node: &Node) -> Option<Generated> {
    let fields = reader.section(node, &keys::LOGNORMAL_OPTIONS, "`lognormal`")?;
    let (median, spread) = (reader.number(&fields, "median"), reader.number(&fields, "spread"));
    let (median, spread) = (median?, spread?);
    if median <= 0.0 || !(0.0..=5.0).contains(&spread) {
        let message = format!("`lognormal`: `median` ({median}) is more than 0, `spread` ({spread}) from 0 to 5");
        reader.problem(node.spot, message, None);
        return None;
    }
    Some(Generated::Lognormal { median, spread })
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
        Generated::Choice { .. } => ("choice", &["text", "json"]),
        Generated::Lognormal { .. } => ("lognormal", NUMBERS),
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
