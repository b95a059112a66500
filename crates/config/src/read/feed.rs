//! Feeds.

use std::time::Duration;

use crate::{
    keys,
    reader::{Fields, Reader, clip},
    types::{Emit, Feed},
    yaml::{Key, Node, Value},
};

pub(super) fn feed(reader: &mut Reader<'_>, name: &Key, node: &Node) -> Option<Feed> {
    let label = format!("feed `{}`", clip(&name.text));
    if let Value::Scalar(scalar) = &node.value
        && !scalar.is_null()
    {
        let hint = "write the query under `sql:`".to_owned();
        reader.problem(node.spot, format!("{label}: expected a map, found a text"), hint);
        return None;
    }
    let fields = reader.section(node, &keys::FEED, &label)?;
    let sql = reader.sql(&fields, "sql");
    let delete_when = reader.sql(&fields, "delete_when");
    let key = fields.get("key").map(|node| key(reader, &fields, node));
    let emit = match reader.word(&fields, "emit") {
        Some("final") => Emit::Final,
        _ => Emit::Changes,
    };
    let feed = Feed {
        name: name.text.clone(),
        place: reader.place(name.spot),
        key,
        key_place: fields.get("key").map(|node| reader.place(node.spot)),
        delete_when,
        emit,
        refresh: reader.duration(&fields, "refresh"),
        keep: reader.duration(&fields, "keep"),
        keep_rows: reader.count(&fields, "keep_rows"),
        max_groups: reader.count(&fields, "max_groups").unwrap_or(0),
        max_group_state: reader.size(&fields, "max_group_state"),
        max_memory: reader.size(&fields, "max_memory"),
        idle_ttl: reader.duration(&fields, "idle_ttl"),
        sql: sql?,
    };
    together(reader, &fields, &feed);
    Some(feed)
}

fn key(reader: &mut Reader<'_>, fields: &Fields<'_>, node: &Node) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for item in reader.items(node, &fields.key("key").shape, "key") {
        let Some(name) = reader.identifier_of(item, "key") else { continue };
        if names.contains(&name) {
            reader.problem(item.spot, format!("`key`: `{name}` is named twice"), None);
            continue;
        }
        names.push(name);
    }
    names
}

/// Keys that say nothing, or the opposite, beside each other.
fn together(reader: &mut Reader<'_>, fields: &Fields<'_>, feed: &Feed) {
    if let (Some(node), None) = (fields.get("delete_when"), &feed.key) {
        reader.problem(
            node.spot,
            "`delete_when` removes keys, and this feed names none",
            "add `key:` with the columns that name a row".to_owned(),
        );
    }
    if let (Some(node), Emit::Final) = (fields.get("refresh"), feed.emit)
        && feed.refresh > Duration::ZERO
    {
        reader.problem(
            node.spot,
            "`refresh` has no effect with `emit: final`, which shows each window once",
            "leave one of the two out".to_owned(),
        );
    }
    if let (Some(node), Emit::Final) = (fields.get("delete_when"), feed.emit) {
        reader.problem(
            node.spot,
            "`delete_when` has no effect with `emit: final`, which shows each window once",
            "leave one of the two out".to_owned(),
        );
    }
}
