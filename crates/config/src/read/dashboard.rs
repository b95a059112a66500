//! Dashboards and their panels.

use crate::{
    keys,
    nearest::nearest,
    reader::{Fields, Reader, clip},
    types::{Dashboard, Named, Panel, PanelKind},
    yaml::{Key, Node, Value},
};

pub(super) fn dashboard(reader: &mut Reader<'_>, name: &Key, node: &Node, feeds: &[&str]) -> Option<Dashboard> {
    let label = format!("dashboard `{}`", clip(&name.text));
    let fields = reader.section(node, &keys::DASHBOARD, &label)?;
    let title = reader.text(&fields, "title").unwrap_or_else(|| name.text.clone());
    let mut panels = Vec::new();
    if let Some(node) = fields.get("panels") {
        for item in reader.items(node, &fields.key("panels").shape, "panels") {
            panels.extend(panel(reader, item, feeds));
        }
    }
    Some(Dashboard { name: name.text.clone(), title, place: reader.place(name.spot), panels })
}

fn panel(reader: &mut Reader<'_>, node: &Node, feeds: &[&str]) -> Option<Panel> {
    let Value::Map(entries) = &node.value else {
        let hint = "write `- { feed: load, type: table }`".to_owned();
        reader.expected(node, "panels", "a map for each panel", Some(hint));
        return None;
    };
    let kind = entries.iter().find(|(key, _)| key.text == "type").map(|(_, node)| node);
    let Some(kind) = kind else {
        reader.problem(node.spot, "the panel: `type` is missing", "write `type: line` or `type: table`".to_owned());
        return None;
    };
    let word = reader.scalar(kind, "type", "`line` or `table`")?.text;
    let (kind, section) = match word.as_str() {
        "line" => (PanelKind::Line, &keys::PANEL_LINE),
        "table" => (PanelKind::Table, &keys::PANEL_TABLE),
        other => {
            let hint = nearest(other, ["line", "table"]).map(|word| format!("did you mean `{word}`?"));
            let message = format!("`type`: expected `line` or `table`, found `{}`", clip(other));
            reader.problem(kind.spot, message, hint);
            return None;
        }
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
    let line = kind == PanelKind::Line;
    let mut of = |key: &'static str, wanted: bool| {
        if wanted { columns(reader, &fields, key, &mut named) } else { Vec::new() }
    };
    let x = of("x", line).pop();
    let y = of("y", line);
    let series = of("series", line).pop();
    let columns = of("columns", !line);
    let unit = if line { reader.text(&fields, "unit") } else { None };
    Some(Panel {
        title: title?,
        feed: feed?,
        kind,
        x,
        y,
        series,
        columns,
        unit,
        span: span?,
        place: reader.place(node.spot),
        named,
    })
}

/// The columns under a key, each also kept with its place.
fn columns(reader: &mut Reader<'_>, fields: &Fields<'_>, key: &'static str, named: &mut Vec<Named>) -> Vec<String> {
    let Some(node) = fields.get(key) else { return Vec::new() };
    let items = match (key, &node.value) {
        ("x" | "series", _) => std::slice::from_ref(node),
        _ => reader.items(node, &fields.key(key).shape, key),
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
