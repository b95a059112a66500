//! Dashboards and their panels.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    keys,
    nearest::{list, nearest},
    reader::{Fields, Reader, clip},
    shape::{Naming, Section},
    types::{Combine, Dashboard, Named, Panel, PanelKind},
    yaml::{Key, Node, Value},
};

/// What each kind of panel is called, and its section.
static KINDS: [(&str, PanelKind, &Section); 6] = [
    ("line", PanelKind::Line, &keys::PANEL_LINE),
    ("area", PanelKind::Area, &keys::PANEL_LINE),
    ("bar", PanelKind::Bar, &keys::PANEL_BAR),
    ("stat", PanelKind::Stat, &keys::PANEL_STAT),
    ("gauge", PanelKind::Gauge, &keys::PANEL_GAUGE),
    ("table", PanelKind::Table, &keys::PANEL_TABLE),
];

pub(super) fn dashboard(reader: &mut Reader<'_>, name: &Key, node: &Node, feeds: &[&str]) -> Option<Dashboard> {
    let label = format!("dashboard `{}`", clip(&name.text));
    let fields = reader.section(node, &keys::DASHBOARD, &label)?;
    let title = reader.text(&fields, "title").unwrap_or_else(|| name.text.clone());
    let range = reader.duration(&fields, "range");
    let mut panels = Vec::new();
    if let Some(node) = fields.get("panels") {
        for item in reader.items(node, &fields.key("panels").shape, "panels") {
            panels.extend(panel(reader, item, feeds));
        }
    }
    Some(Dashboard { name: name.text.clone(), title, range, place: reader.place(name.spot), panels })
}

fn panel(reader: &mut Reader<'_>, node: &Node, feeds: &[&str]) -> Option<Panel> {
    let names = KINDS.map(|(name, ..)| name);
    let Value::Map(entries) = &node.value else {
        let hint = "write `- { feed: load, type: table }`".to_owned();
        reader.expected(node, "panels", "a map for each panel", Some(hint));
        return None;
    };
    let kind = entries.iter().find(|(key, _)| key.text == "type").map(|(_, node)| node);
    let Some(kind) = kind else {
        reader.problem(node.spot, "the panel: `type` is missing", format!("the types are {}", list(&names)));
        return None;
    };
    let expected = format!("one of {}", list(&names));
    let word = reader.scalar(kind, "type", &expected)?.text;
    let Some((_, kind, section)) = KINDS.iter().find(|(name, ..)| *name == word) else {
        let meant = nearest(&word, names).or_else(|| called_elsewhere(&word));
        let hint = meant.map(|word| format!("did you mean `{word}`?"));
        reader.problem(kind.spot, format!("`type`: expected {expected}, found `{}`", clip(&word)), hint);
        return None;
    };
    let fields = reader.section(node, section, &format!("the {word} panel"))?;
    let feed = reader.identifier(&fields, "feed");
    if let (Some(name), Some(node)) = (&feed, fields.get("feed"))
        && reader.whole
        && !feeds.contains(&name.as_str())
    {
        reader.no_such(node, "feed", ("feed", "feeds"), name, feeds);
    }
    let title = match fields.get("title") {
        Some(_) => reader.text(&fields, "title"),
        None => feed.clone(),
    };
    let span = reader.count(&fields, "span").and_then(|span| u8::try_from(span).ok());
    let mut named = Vec::new();
    let x = columns(reader, &fields, "x", &mut named).pop();
    let y = columns(reader, &fields, "y", &mut named);
    let series = columns(reader, &fields, "series", &mut named).pop();
    let columns_shown = columns(reader, &fields, "columns", &mut named);
    let bars = columns(reader, &fields, "bars", &mut named);
    let only = only(reader, &fields, &mut named);
    let sort = sort(reader, &fields, &mut named);
    let compare = duration(reader, &fields, "compare");
    if let (Some(_), None, Some(node)) = (compare, &x, fields.get("compare")) {
        let hint = "name the column of its time: `x: window_start`".to_owned();
        reader.problem(node.spot, "`compare` needs `x`: without a time there is no past".to_owned(), hint);
    }
    let (min, max) = (number(reader, &fields, "min"), number(reader, &fields, "max"));
    if let (Some(low), Some(high)) = (min, max)
        && low >= high
    {
        let at = fields.get("max").or(fields.get("min")).unwrap_or(node);
        reader.problem(at.spot, format!("`max` ({high}) is not more than `min` ({low})"), None);
    }
    Some(Panel {
        title: title?,
        feed: feed?,
        kind: *kind,
        x,
        y,
        series,
        columns: columns_shown,
        bars,
        only,
        combine: combine(reader, &fields),
        compare,
        min,
        max,
        warn: number(reader, &fields, "warn"),
        bad: number(reader, &fields, "bad"),
        expect: duration(reader, &fields, "expect"),
        sort,
        rows: fields.get("rows").and_then(|_| reader.count(&fields, "rows")),
        unit: fields.get("unit").and_then(|_| reader.text(&fields, "unit")),
        span: span?,
        place: reader.place(node.spot),
        named,
    })
}

/// The kind of panel that has another name in other programs.
fn called_elsewhere(word: &str) -> Option<&'static str> {
    Some(match word.to_ascii_lowercase().as_str() {
        "graph" | "chart" | "timeseries" | "time_series" | "spline" => "line",
        "column" | "columns" | "histogram" | "pie" | "piechart" | "donut" | "barchart" | "ranking" | "top" => "bar",
        "number" | "value" | "singlestat" | "single_stat" | "counter" | "kpi" | "metric" => "stat",
        "dial" | "meter" | "progress" => "gauge",
        "list" | "grid" | "rows" | "logs" => "table",
        _ => return None,
    })
}

/// The columns under a key, each also kept with its place.
fn columns(reader: &mut Reader<'_>, fields: &Fields<'_>, key: &'static str, named: &mut Vec<Named>) -> Vec<String> {
    let Some(node) = fields.get(key) else { return Vec::new() };
    let items = match &fields.key(key).shape {
        crate::shape::Shape::Identifier => std::slice::from_ref(node),
        shape => reader.items(node, shape, key),
    };
    let mut columns: Vec<String> = Vec::new();
    for item in items {
        let Some(column) = reader.identifier_of(item, key) else { continue };
        if columns.contains(&column) {
            reader.problem(item.spot, format!("`{key}`: `{column}` is named twice"), None);
            continue;
        }
        named.push(Named { key, column: column.clone(), place: reader.place(item.spot) });
        columns.push(column);
    }
    columns
}

fn only(reader: &mut Reader<'_>, fields: &Fields<'_>, named: &mut Vec<Named>) -> BTreeMap<String, Vec<String>> {
    let mut only = BTreeMap::new();
    let Some(node) = fields.get("only") else { return only };
    if let Value::Scalar(scalar) = &node.value {
        let hint = format!("write `only: {{ column: {} }}`", clip(&scalar.text));
        reader.expected(node, "only", "a map of columns and values", Some(hint));
        return only;
    }
    for (key, node) in reader.named(&[node], Naming::Identifier, "feed column") {
        let shape = crate::shape::Shape::OneOrList { of: &crate::shape::Shape::Text, high: 100 };
        let items = reader.items(node, &shape, &key.text);
        let values = items.iter().filter_map(|item| reader.text_of(item, &key.text)).collect();
        named.push(Named { key: "only", column: key.text.clone(), place: reader.place(key.spot) });
        only.insert(key.text.clone(), values);
    }
    only
}

fn sort(reader: &mut Reader<'_>, fields: &Fields<'_>, named: &mut Vec<Named>) -> Option<String> {
    let node = fields.get("sort")?;
    let text = reader.text_of(node, "sort")?;
    let column = text.strip_prefix('-').unwrap_or(&text).trim();
    if !Naming::Identifier.fits(column) {
        let hint = "a column's name; with `-` before it the greatest comes first: `sort: -load`".to_owned();
        reader.expected(node, "sort", "a column", Some(hint));
        return None;
    }
    named.push(Named { key: "sort", column: column.to_owned(), place: reader.place(node.spot) });
    Some(if text.starts_with('-') { format!("-{column}") } else { column.to_owned() })
}

fn combine(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Combine {
    let word = if fields.offers("combine") { reader.word(fields, "combine") } else { None };
    match word {
        Some("sum") => Combine::Sum,
        Some("mean") => Combine::Mean,
        Some("min") => Combine::Min,
        Some("max") => Combine::Max,
        Some("count") => Combine::Count,
        _ => Combine::Last,
    }
}

fn number(reader: &mut Reader<'_>, fields: &Fields<'_>, key: &str) -> Option<f64> {
    if fields.offers(key) { reader.number(fields, key) } else { None }
}

fn duration(reader: &mut Reader<'_>, fields: &Fields<'_>, key: &str) -> Option<Duration> {
    fields.get(key).map(|_| reader.duration(fields, key))
}
