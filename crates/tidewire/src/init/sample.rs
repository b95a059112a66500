//! The first records of a file, field by field.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::Path,
};

use config::StreamColumn;
use model::DataType;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::Value;
use sources::{Decoder, Format, Limits};

use crate::{
    cli::InitFormat,
    report::{Failure, count},
};

/// Records that are looked at.
pub(super) const RECORDS: usize = 10_000;

/// Bytes that are looked at.
const BYTES: u64 = 16 << 20;

/// Fields that become columns; what is beyond them is left out, and said.
const FIELDS: usize = 200;

/// What the first records of a file say.
pub(super) struct Sample {
    pub(super) format: Format,
    /// The fields by the order of their first appearance.
    pub(super) fields: Vec<Field>,
    pub(super) records: usize,
    /// Whether the file has more.
    pub(super) more: bool,
    /// Fields that cannot be columns, and why.
    pub(super) left_out: Vec<String>,
    /// The sampled bytes, whole records alone.
    bytes: Vec<u8>,
    /// Records that no columns could read.
    bad: u64,
}

/// A field and its values in the sample; of records that lack it, null.
#[derive(Debug, Default)]
pub(super) struct Field {
    pub(super) name: String,
    /// Where it is there and not null, in order; texts of CSV are texts.
    pub(super) values: Vec<Value>,
}

impl Sample {
    pub(super) fn is_csv(&self) -> bool {
        self.format == Format::Csv
    }

    /// Whether columns take every record of the sample that can be read at all.
    pub(super) fn fits(&self, columns: &[StreamColumn], event_time: Option<&str>) -> bool {
        self.refused(columns, event_time) <= self.bad
    }

    fn refused(&self, columns: &[StreamColumn], event_time: Option<&str>) -> u64 {
        let decoded = Decoder::new(columns, event_time, Limits::default()).decode(self.format, &self.bytes);
        decoded.total - decoded.accepted
    }

    /// What the user should know.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.left_out.iter().map(|why| format!("left out: {why}")).collect();
        if self.bad > 0 {
            let bad = count(self.bad as usize, "record");
            notes.push(format!("{bad} of the first {} cannot be read, and will be dead letters", self.records));
        }
        notes
    }

    fn new(format: Format, bytes: Vec<u8>, more: bool) -> Self {
        Self { format, fields: Vec::new(), records: 0, more, left_out: Vec::new(), bytes, bad: 0 }
    }
}

/// Reads the beginning of a file.
pub(super) fn read(path: &Path, format: Option<InitFormat>) -> Result<Sample, Failure> {
    let refuse = |why: String| Failure::new(format!("{}: {why}", path.display()));
    let format = format_of(path, format).map_err(&refuse)?;
    let (mut bytes, more) = beginning(path).map_err(|e| refuse(e.to_string()))?;
    check(&bytes, more).map_err(&refuse)?;
    if more {
        // The last record may be cut in two.
        let end = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        bytes.truncate(end);
    }
    let mut sample = match format {
        InitFormat::Csv => csv(bytes, more),
        InitFormat::Ndjson => ndjson(bytes, more),
    }
    .map_err(&refuse)?;
    // By a column that no record has.
    let none =
        StreamColumn { name: "none".to_owned(), from: "\0".to_owned(), data_type: DataType::Text, not_null: false };
    sample.bad = sample.refused(&[none], None);
    if sample.fields.is_empty() {
        return Err(refuse("no field of it can be a column".to_owned()));
    }
    Ok(sample)
}

fn format_of(path: &Path, said: Option<InitFormat>) -> Result<InitFormat, String> {
    if let Some(format) = said {
        return Ok(format);
    }
    let ending = |path: &Path| path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    let unpacked = match ending(path).as_deref() {
        Some("gz" | "zst") => path.with_extension(""),
        _ => path.to_owned(),
    };
    match ending(&unpacked).as_deref() {
        Some("csv") => Ok(InitFormat::Csv),
        Some("ndjson" | "jsonl" | "json" | "log") => Ok(InitFormat::Ndjson),
        Some("parquet") => Err("Parquet says its types itself; init reads CSV and NDJSON".to_owned()),
        Some("tsv" | "tab") => {
            Err("its fields are separated by tabs, and CSV here by commas; export it with commas".to_owned())
        }
        _ => Err("its ending does not tell how it is written; say --format csv or --format ndjson".to_owned()),
    }
}

/// The beginning of a file, unpacked, and whether there is more of it.
fn beginning(path: &Path) -> io::Result<(Vec<u8>, bool)> {
    if path.as_os_str() == "-" {
        return Err(io::Error::other("a stream reads a file by its name; name one"));
    }
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a file; name one file with records"));
    }
    let mut reader: Box<dyn Read> = match path.extension().and_then(|e| e.to_str()) {
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(file)),
        Some("zst") => Box::new(zstd::Decoder::new(file)?),
        _ => Box::new(file),
    };
    let mut bytes = Vec::new();
    reader.by_ref().take(BYTES + 1).read_to_end(&mut bytes)?;
    let more = bytes.len() as u64 > BYTES;
    bytes.truncate(BYTES as usize);
    Ok((bytes, more))
}

/// What is no text, or none with records.
fn check(bytes: &[u8], more: bool) -> Result<(), String> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err("it is empty: there is nothing to tell columns from".to_owned());
    }
    if bytes.contains(&0) {
        return Err("it is no text: it has bytes that are zero; init reads CSV and NDJSON in UTF-8".to_owned());
    }
    match std::str::from_utf8(bytes) {
        // A character may be cut in two where the sample ends.
        Err(error) if !(more && error.error_len().is_none()) => {
            Err(format!("not UTF-8 at byte {}; convert it, as with `iconv -f latin1 -t utf-8`", error.valid_up_to()))
        }
        _ => Ok(()),
    }
}

fn csv(bytes: Vec<u8>, more: bool) -> Result<Sample, String> {
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    let mut records = reader.records().map_while(Result::ok);
    let header = records.next().ok_or("the first line cannot be read: it should name the fields")?;
    if let (1, Some(line)) = (header.len(), header.get(0))
        && let Some(separator) = [';', '\t', '|'].into_iter().find(|c| line.contains(*c))
    {
        let shown = if separator == '\t' { "tabs".to_owned() } else { format!("`{separator}`") };
        return Err(format!(
            "its fields are separated by {shown}, and CSV here by commas; export it with commas, and decimals with a point"
        ));
    }
    let names: Vec<&str> = header.iter().map(str::trim_ascii).collect();
    let mut sample = Sample::new(Format::Csv, Vec::new(), more);
    let mut values: Vec<Vec<Value>> = vec![Vec::new(); names.len()];
    for record in records.by_ref().take(RECORDS) {
        sample.records += 1;
        // An empty field is null.
        for (values, cell) in values.iter_mut().zip(&record).filter(|(_, cell)| !cell.is_empty()) {
            values.push(Value::from(cell));
        }
    }
    sample.more |= records.next().is_some();
    drop(records);
    if let Some(cell) = data_in(&names, &values) {
        return Err(format!(
            "the first line of CSV names the fields, and this one looks like a record: it has `{}`; add a line with names",
            super::guess::shown(cell)
        ));
    }
    for (at, (name, values)) in names.iter().zip(values).enumerate() {
        let place = at + 1;
        if name.trim().is_empty() {
            sample.left_out.push(format!("the field at place {place}, which has no name"));
        } else if names.iter().filter(|other| *other == name).count() > 1 {
            sample.left_out.push(format!("the field at place {place}: the header names \"{name}\" twice"));
        } else {
            sample.fields.push(Field { name: (*name).to_owned(), values });
        }
    }
    sample.cut_fields();
    sample.bytes = first_lines(&bytes, sample.records + 1);
    Ok(sample)
}

/// A cell of the first line that is a value like those below it, and no name. Years are
/// names, too: of tables that have a column for each.
fn data_in<'a>(names: &[&'a str], values: &[Vec<Value>]) -> Option<&'a str> {
    let is_value = |text: &str| {
        let year = text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit());
        !year && (text.parse::<f64>().is_ok_and(f64::is_finite) || text.parse::<jiff::civil::DateTime>().is_ok())
    };
    let like = |values: &Vec<Value>| {
        !values.is_empty() && values.iter().all(|value| value.as_str().is_some_and(|v| is_value(v) || v.len() == 4))
    };
    names.iter().zip(values).find(|(name, values)| is_value(name) && like(values)).map(|(name, _)| *name)
}

/// So many records of CSV from the start; a record that has line ends in it counts as more,
/// so that there may be fewer.
fn first_lines(bytes: &[u8], lines: usize) -> Vec<u8> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let mut record = csv::ByteRecord::new();
    for _ in 0..lines {
        if !reader.read_byte_record(&mut record).unwrap_or(false) {
            return bytes.to_vec();
        }
    }
    bytes[..(reader.position().byte() as usize).min(bytes.len())].to_vec()
}

/// The fields of one object, in order.
struct Fields(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Visit)
    }
}

fn ndjson(bytes: Vec<u8>, more: bool) -> Result<Sample, String> {
    let mut sample = Sample::new(Format::Ndjson, Vec::new(), more);
    let mut places = std::collections::HashMap::<String, usize>::new();
    let mut first_fault = None;
    let (mut end, mut good) = (0, 0);
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
    let bom = bytes.len() - text.len();
    if text.trim_ascii_start().starts_with(b"[") {
        return Err("it is one array; a stream reads one object a line: `jq -c '.[]' FILE > FILE.ndjson`".to_owned());
    }
    for line in text.split_inclusive(|b| *b == b'\n') {
        if sample.records == RECORDS {
            sample.more = true;
            break;
        }
        end += line.len();
        if line.trim_ascii().is_empty() {
            continue;
        }
        sample.records += 1;
        let fields = match serde_json::from_slice::<Fields>(line) {
            Ok(Fields(fields)) => fields,
            Err(error) => {
                first_fault.get_or_insert_with(|| format!("line {}: {error}", sample.records));
                continue;
            }
        };
        good += 1;
        for (name, value) in fields {
            let at = *places.entry(name.clone()).or_insert_with(|| {
                sample.fields.push(Field { name, values: Vec::new() });
                sample.fields.len() - 1
            });
            if !value.is_null() {
                sample.fields[at].values.push(value);
            }
        }
    }
    if good == 0 {
        let why = first_fault.unwrap_or_else(|| "there is none".to_owned());
        return Err(format!("no line is a JSON object: {why}"));
    }
    sample.bytes = bytes[..bom + end].to_vec();
    let (named, unnamed): (Vec<_>, Vec<_>) = sample.fields.drain(..).partition(|f| !f.name.trim().is_empty());
    sample.fields = named;
    sample.left_out.extend(unnamed.iter().map(|_| "a field that has no name".to_owned()));
    sample.cut_fields();
    Ok(sample)
}

impl Sample {
    fn cut_fields(&mut self) {
        if self.fields.len() > FIELDS {
            self.left_out.push(format!("all but the first {FIELDS} of {} fields", self.fields.len()));
            self.fields.truncate(FIELDS);
        }
    }
}
