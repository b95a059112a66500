//! Streams: source, columns and time.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use model::{DataType, TypeError};

use crate::{
    keys,
    nearest::{list, nearest},
    reader::{Fields, Reader, clip},
    shape::Naming,
    types::{EventTime, FileFormat, FileSource, HostSource, Source, Stream, StreamColumn},
    values::default_duration,
    yaml::{Key, Node, Value},
};

/// The kinds of sources of this version.
const KINDS: [&str; 4] = ["http", "file", "generator", "host"];
/// Kinds that are described and not here yet.
const LATER: [&str; 14] = [
    "kafka",
    "redis_stream",
    "redis_pubsub",
    "pulsar",
    "nats",
    "mqtt",
    "postgres",
    "mysql",
    "sqlite",
    "mongodb",
    "websocket",
    "sse",
    "rss",
    "html",
];

pub(super) fn stream(reader: &mut Reader<'_>, name: &Key, node: &Node) -> Option<Stream> {
    let label = format!("stream `{}`", clip(&name.text));
    let fields = reader.section(node, &keys::STREAM, &label)?;
    let given = fields.get("schema");
    let knows_its_own = kind_of(&fields) == Some("host");
    if given.is_none() && !knows_its_own && !fields.misspelt("schema") {
        let about = "`schema:` its columns: a type each, or a map of `type`, `from` and `not_null`".to_owned();
        reader.problem(node.spot, format!("{label}: `schema` is missing"), about);
    }
    let columns = match given {
        Some(node) => columns(reader, node),
        None if knows_its_own => Some(host_columns()),
        None => None,
    };
    let mut event_time = fields.get("event_time").and_then(|node| event_time(reader, node, columns.as_deref()));
    if given.is_none() && knows_its_own && fields.get("event_time").is_none() {
        event_time = Some(host_time());
    }
    let source = source(reader, &fields, columns.as_deref());
    let retention = reader.duration(&fields, "retention");
    let retention_bytes = reader.size(&fields, "retention_bytes");
    let max_events_per_second = super::server::count(reader, &fields, "max_events_per_second");
    let max_pending = fields.get("max_pending").map(|_| super::server::size(reader, &fields, "max_pending"));
    Some(Stream {
        name: name.text.clone(),
        place: reader.place(name.spot),
        source: source?,
        columns: columns?,
        event_time,
        retention,
        retention_bytes,
        max_events_per_second,
        max_pending,
    })
}

/// The kind of the stream's source, where it can be told.
fn kind_of<'n>(stream: &Fields<'n>) -> Option<&'n str> {
    let Value::Map(entries) = &stream.get("source")?.value else { return None };
    let (_, kind) = entries.iter().find(|(key, _)| key.text == "type")?;
    match &kind.value {
        Value::Scalar(scalar) => Some(&scalar.text),
        _ => None,
    }
}

/// All that a host source tells.
fn host_columns() -> Vec<StreamColumn> {
    let column = |(name, data_type): (&str, DataType)| StreamColumn {
        name: name.to_owned(),
        from: name.to_owned(),
        data_type,
        not_null: false,
    };
    keys::HOST_FIELDS.into_iter().map(column).collect()
}

/// The time of a host source's events, unless the stream says otherwise.
fn host_time() -> EventTime {
    let default = |name| default_duration(&keys::EVENT_TIME, name);
    EventTime {
        column: keys::HOST_TIME.to_owned(),
        max_lateness: default("max_lateness"),
        idle_timeout: default("idle_timeout"),
        max_ahead: Some(default("max_ahead")),
    }
}

/// A host source has only fields of its own.
fn check_host_columns(reader: &mut Reader<'_>, stream: &Fields<'_>, columns: &[StreamColumn]) {
    let names = keys::HOST_FIELDS.map(|(name, _)| name);
    let Some(node) = stream.get("schema") else { return };
    for column in columns {
        let wrong = match keys::HOST_FIELDS.iter().find(|(name, _)| *name == column.from) {
            Some((_, data_type)) if *data_type == column.data_type => continue,
            Some((name, data_type)) => {
                (format!("`schema`: `{name}` of a host source is {data_type}"), format!("write `{name}: {data_type}`"))
            }
            None => {
                let message = format!("`schema`: a host source tells no `{}`", clip(&column.from));
                (message, format!("it tells {}; leave `schema` out for all of them", list(&names)))
            }
        };
        reader.problem(node.spot, wrong.0, wrong.1);
    }
}

/// `None` if there are none: what names a column is then right or wrong with what will be there.
fn columns(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<StreamColumn>> {
    let entries = reader.named(&[node], Naming::Identifier, "column");
    if entries.is_empty() {
        if node.is_null() || matches!(node.value, Value::Map(_)) {
            reader.problem(node.spot, "`schema`: expected columns, found none", "write `value: double`".to_owned());
        }
        return None;
    }
    // A wrong column stays in the list, as text, so that nothing else misses it.
    Some(entries.into_iter().map(|(name, node)| column(reader, name, node)).collect())
}

fn column(reader: &mut Reader<'_>, name: &Key, node: &Node) -> StreamColumn {
    let mut column =
        StreamColumn { name: name.text.clone(), from: name.text.clone(), data_type: DataType::Text, not_null: false };
    if !matches!(node.value, Value::Map(_)) {
        column.data_type = data_type(reader, node, &name.text).unwrap_or(DataType::Text);
        return column;
    }
    let label = format!("column `{}`", clip(&name.text));
    let Some(fields) = reader.section(node, &keys::COLUMN, &label) else { return column };
    if let Some(node) = fields.get("type") {
        column.data_type = data_type(reader, node, "type").unwrap_or(DataType::Text);
    }
    if let Some(from) = reader.text(&fields, "from") {
        column.from = from;
    }
    column.not_null = reader.flag(&fields, "not_null");
    column
}

fn data_type(reader: &mut Reader<'_>, node: &Node, label: &str) -> Option<DataType> {
    let filled = reader.scalar(node, label, "a type")?;
    let error = match filled.text.parse() {
        Ok(data_type) => return Some(data_type),
        Err(error) => error,
    };
    let (message, hint) = match error {
        // In braces a comma ends a value, and the bracket never closes.
        TypeError::Digits if filled.text.contains('(') && !filled.text.contains(')') => {
            let hint = "a comma in braces needs quotes: `\"decimal(18,2)\"`".to_owned();
            (format!("`{}` is no type", clip(&filled.text)), hint)
        }
        TypeError::Digits => (format!("`{}` does not say its digits", clip(&filled.text)), error.to_string()),
        TypeError::Precision => (format!("there is no `{}`", clip(&filled.text)), error.to_string()),
        TypeError::Unknown(text) => {
            let hint = match meant(&text) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("the types are {}", list(&keys::TYPES)),
            };
            (format!("there is no type `{}`", clip(&text)), hint)
        }
    };
    reader.problem(node.spot, format!("`{label}`: {message}"), hint);
    None
}

/// The type that is called otherwise elsewhere.
fn meant(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    // `numeric(10, 2)` is a decimal by another name, and `varchar(20)` a text with a length.
    let (word, digits) = name.find('(').map_or((name.as_str(), ""), |at| name.split_at(at));
    let known = match word.trim_end() {
        "string" | "str" | "varchar" | "char" | "character varying" | "utf8" | "keyword" | "uuid" => "text",
        "long" | "int64" | "int8" | "i64" | "uint64" | "u64" => "bigint",
        "integer" | "int32" | "int4" | "i32" | "smallint" | "short" => "int",
        "float" | "float64" | "float8" | "real" | "f64" | "number" if digits.is_empty() => "double",
        "numeric" | "number" | "dec" | "decimal" | "money" | "decimal128" => {
            let decimal = format!("decimal{digits}").parse::<DataType>();
            return Some(decimal.map_or_else(|_| keys::DECIMAL.to_owned(), |d| d.to_string()));
        }
        "datetime" | "time" | "timestamptz" => "timestamp",
        "bool" => "boolean",
        "day" | "date32" => "date",
        "bytea" | "blob" | "binary" | "varbinary" | "base64" => "bytes",
        "string[]" | "str[]" | "varchar[]" | "text array" | "list" | "texts" | "strings" => "text[]",
        "object" | "jsonb" | "map" | "struct" | "array" | "any" => "json",
        _ => nearest(&name, keys::TYPES)?,
    };
    Some(known.to_owned())
}

fn event_time(reader: &mut Reader<'_>, node: &Node, columns: Option<&[StreamColumn]>) -> Option<EventTime> {
    if let Value::Scalar(scalar) = &node.value
        && !scalar.is_null()
    {
        let hint = format!("write `event_time: {{ column: {} }}`", clip(&scalar.text));
        reader.expected(node, "event_time", "a map", Some(hint));
        return None;
    }
    let fields = reader.section(node, &keys::EVENT_TIME, "`event_time`")?;
    let column = reader.identifier(&fields, "column");
    if let (Some(columns), Some(name), Some(node)) = (columns, &column, fields.get("column")) {
        check_time_column(reader, node, name, columns);
    }
    let max_lateness = reader.duration(&fields, "max_lateness");
    let idle_timeout = reader.duration(&fields, "idle_timeout");
    let max_ahead: Option<Duration> = reader.duration_or_off(&fields, "max_ahead");
    Some(EventTime { column: column?, max_lateness, idle_timeout, max_ahead })
}

fn check_time_column(reader: &mut Reader<'_>, node: &Node, name: &str, columns: &[StreamColumn]) {
    match columns.iter().find(|column| column.name == name) {
        Some(column) if column.data_type != DataType::Timestamp => {
            reader.problem(
                node.spot,
                format!("`column`: `{name}` is {}, and an event's time is a timestamp", column.data_type),
                format!("write `{name}: timestamp` under `schema:`"),
            );
        }
        Some(_) => {}
        None => {
            let timestamps = columns.iter().filter(|column| column.data_type == DataType::Timestamp);
            let names: Vec<&str> = timestamps.map(|column| column.name.as_str()).collect();
            reader.no_such(node, "column", ("column", "timestamp columns"), name, &names);
        }
    }
}

fn source(reader: &mut Reader<'_>, stream: &Fields<'_>, columns: Option<&[StreamColumn]>) -> Option<Source> {
    let node = stream.get("source")?;
    let kind = match &node.value {
        Value::Map(entries) => entries.iter().find(|(key, _)| key.text == "type").map(|(_, node)| node),
        Value::Scalar(scalar) if !scalar.is_null() => {
            let hint = format!("write `source: {{ type: {} }}`", clip(&scalar.text));
            reader.expected(node, "source", "a map", Some(hint));
            return None;
        }
        _ => {
            reader.expected(node, "source", "a map", Some("write `source: { type: http }`".to_owned()));
            return None;
        }
    };
    let Some(kind) = kind else {
        let glued = match &node.value {
            Value::Map(entries) => entries.iter().find_map(|(key, _)| key.text.strip_prefix("type:")),
            _ => None,
        };
        let hint = match glued {
            Some(kind) => format!("a space goes behind the colon: `type: {}`", clip(kind)),
            None => format!("the types are {}", list(&KINDS)),
        };
        reader.problem(node.spot, "`source`: `type` is missing", hint);
        return None;
    };
    let name = reader.scalar(kind, "type", "the kind of source")?.text;
    if name != "file"
        && let Some(format) = stream.get("format")
    {
        let hint = "an http stream takes it from each request's Content-Type; a generator has none";
        reader.problem(format.spot, "`format` belongs to streams of files", hint.to_owned());
    }
    match name.as_str() {
        "http" => {
            reader.section(node, &keys::SOURCE_HTTP, "the source")?;
            Some(Source::Http)
        }
        "file" => {
            let fields = reader.section(node, &keys::SOURCE_FILE, "the source")?;
            file(reader, &fields, stream).map(Source::File)
        }
        "generator" => {
            let fields = reader.section(node, &keys::SOURCE_GENERATOR, "the source")?;
            super::generator::generator(reader, &fields, columns).map(Source::Generator)
        }
        "host" => {
            let fields = reader.section(node, &keys::SOURCE_HOST, "the source")?;
            check_host_columns(reader, stream, columns.unwrap_or_default());
            let every = reader.duration(&fields, "every");
            let processes = reader.duration_or_off(&fields, "processes");
            let top = reader.count(&fields, "top").and_then(|top| usize::try_from(top).ok());
            Some(Source::Host(HostSource { every, processes, top: top? }))
        }
        _ => {
            let (message, hint) = if LATER.contains(&name.as_str()) {
                let message = format!("`type`: sources of type `{name}` are not in this version");
                (message, format!("the types are {}", list(&KINDS)))
            } else {
                let message = format!("`type`: there is no source of type `{}`", clip(&name));
                let hint = match nearest(&name, KINDS) {
                    Some(kind) => format!("did you mean `{kind}`?"),
                    None => format!("the types are {}", list(&KINDS)),
                };
                (message, hint)
            };
            reader.problem(kind.spot, message, hint);
            None
        }
    }
}

fn file(reader: &mut Reader<'_>, fields: &Fields<'_>, stream: &Fields<'_>) -> Option<FileSource> {
    let path = reader.text(fields, "path");
    let follow = reader.flag(fields, "follow");
    let said = stream.get("format").map(|_| reader.word(stream, "format"));
    let path = path?;
    let spot = fields.get("path").map_or(fields.spot, |node| node.spot);
    let is_pattern = path.contains(['*', '?', '[']);
    if is_pattern && let Err(error) = glob::Pattern::new(&path) {
        let message = format!("`path`: `{}` is no pattern: {}", clip(&path), error.msg);
        let hint = "`*` is any text, `?` any letter, `[ab]` one of these, `**` any folders".to_owned();
        reader.problem(spot, message, hint);
    }
    let name = path.to_ascii_lowercase();
    let packed = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst"));
    let unpacked = Path::new(packed.unwrap_or(&name));
    let format = match (said, unpacked.extension().and_then(|e| e.to_str())) {
        (Some(said), _) => said?,
        (None, Some("csv")) => "csv",
        (None, Some("ndjson" | "jsonl")) => "ndjson",
        (None, Some("parquet")) => "parquet",
        // It stands in the wrong place, which has been told.
        (None, _) if fields.misplaced("format") => return None,
        (None, _) => {
            reader.problem(
                spot,
                format!("`path`: the ending of `{}` does not tell its format", clip(&path)),
                "write `format: ndjson`, `format: csv` or `format: parquet` beside `source:`".to_owned(),
            );
            return None;
        }
    };
    let format = match format {
        "csv" => FileFormat::Csv,
        "parquet" => FileFormat::Parquet,
        _ => FileFormat::Ndjson,
    };
    if format == FileFormat::Parquet {
        if packed.is_some() {
            let hint = "Parquet packs its own pages; write `compression: zstd` where the file is made".to_owned();
            reader.problem(spot, "`path`: a Parquet file is not read packed", hint);
        }
        if follow && !is_pattern {
            let spot = fields.get("follow").map_or(fields.spot, |node| node.spot);
            let hint = "follow a pattern, whose files come one by one: `path: events/*.parquet`".to_owned();
            reader.problem(spot, "`follow`: a Parquet file does not grow", hint);
        }
    }
    Some(FileSource { path: PathBuf::from(path), format, follow })
}
