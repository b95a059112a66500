//! `tidewire init`: a configuration for a file, from its first records.
//!
//! - [`sample`]: the first records, field by field
//! - [`guess`]: a type and a name for each field; which is the time, which is counted by
//! - [`text`]: the configuration as text, with comments
//!
//! What is guessed is tried before it is written: the sample is decoded by the columns, and the
//! text is read and planned as `tidewire check` would. So the file that is written is fine.

mod guess;
mod sample;
mod text;

use std::{fs, io::Write as _, path::Path};

use serde_json::json;

use crate::{
    check,
    cli::InitOptions,
    report::{Failure, count, print, print_json, printable},
};

pub(crate) fn init(options: &InitOptions) -> Result<(), Failure> {
    let to_stdout = options.output.as_os_str() == "-";
    if !to_stdout && !options.force && options.output.exists() {
        return Err(Failure::new(format!(
            "{0}: is there already, and is kept; name another with -o, or replace it with --force",
            options.output.display()
        )));
    }
    let sample = sample::read(&options.file, options.format)?;
    let guessed = guess::guess(&sample, stem(&options.file));
    let text = written(&options.file, &sample, &guessed)?;
    for note in sample.notes() {
        eprintln!("{}", printable(&note));
    }
    if to_stdout {
        return print(text.trim_end());
    }
    let failed = |e: std::io::Error| Failure::new(format!("{}: cannot be written: {e}", options.output.display()));
    let mut open = fs::OpenOptions::new();
    // Without --force the file is made here or not at all: another may have been made meanwhile.
    let open =
        if options.force { open.write(true).create(true).truncate(true) } else { open.write(true).create_new(true) };
    open.open(&options.output).and_then(|mut file| file.write_all(text.as_bytes())).map_err(failed)?;
    let output = options.output.display();
    if options.json {
        let columns: Vec<_> = guessed.columns.iter().map(|c| &c.column).collect();
        let columns: Vec<_> =
            columns.iter().map(|c| json!({ "name": c.name, "from": c.from, "type": c.data_type })).collect();
        return print_json(&json!({
            "config": options.output,
            "stream": guessed.stream,
            "columns": columns,
            "feeds": guessed.feeds(),
            "dashboard": guessed.stream,
        }));
    }
    let feeds = count(guessed.feeds(), "feed");
    let config = if options.output == Path::new("tidewire.yaml") { String::new() } else { format!(" -c {output}") };
    print(format!(
        "{output}: {} of {}, {feeds}, a page; the comments in it say why\n\nnext:\n  tidewire serve{config}\n  open \
         http://127.0.0.1:8080/dashboard/{}",
        count(guessed.columns.len(), "column"),
        options.file.display(),
        guessed.stream,
    ))
}

/// A file's name without its endings.
fn stem(file: &Path) -> &str {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.split('.').find(|part| !part.is_empty()).unwrap_or_default()
}

/// The text, tried. SQL has more reserved words than anybody remembers: where a plain name
/// is one, all are quoted.
fn written(file: &Path, sample: &sample::Sample, guessed: &guess::Guess) -> Result<String, Failure> {
    let mut why = Vec::new();
    for quoted in [false, true] {
        let text = text::configuration(file, sample, guessed, quoted);
        let checked = config::load_str(Path::new("tidewire.yaml"), &text, &|_| None);
        match checked.and_then(check::plan).map_err(|p| Failure::problems(&p)) {
            Ok(_) => return Ok(text),
            Err(failure) => why.push(failure.to_string()),
        }
    }
    let why = why.pop().unwrap_or_default();
    Err(Failure::new(format!("what was made of the file is no configuration, which is a fault of tidewire:\n{why}")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    /// What a configuration for these bytes is, or why there is none.
    fn made(name: &str, bytes: &[u8]) -> Result<String, String> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join(name);
        fs::write(&file, bytes).expect("a file");
        let sample = sample::read(&file, None).map_err(|e| e.to_string())?;
        let text = written(Path::new(name), &sample, &guess::guess(&sample, stem(&file))).map_err(|e| e.to_string())?;
        Ok(text)
    }

    /// Names of fields as they are found in the wild.
    fn name() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-zA-Z_][a-zA-Z0-9_]{0,8}",
            ".{0,12}",
            prop::sample::select(vec![
                "select",
                "Order",
                "group by",
                "ts",
                "Time",
                "user",
                "order-id",
                "a.b",
                "$x",
                "${HOME}",
                "\"q\"",
                "null",
                "true",
                "window_start",
                "_seq",
                "n",
                "1st",
                "",
                " ",
                "#c",
                "é",
                "table",
                "END",
                "count",
                "interval",
            ])
            .prop_map(str::to_owned),
        ]
    }

    /// Values likewise.
    fn cell() -> impl Strategy<Value = String> {
        prop_oneof![
            Just(String::new()),
            "-?[0-9]{1,20}",
            "-?[0-9]{1,5}\\.[0-9]{1,5}",
            "(true|false|null|NaN|north|south)",
            "20[0-9]{2}-[01][0-9]-[0-3][0-9]( |T)[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z?",
            "20[0-9]{2}-[01][0-9]-[0-3][0-9]",
            "1[67][0-9]{8}",
            "1[67][0-9]{11}",
            ".{0,20}",
        ]
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1e9..1e9).prop_map(Value::from),
            cell().prop_map(Value::from),
        ];
        leaf.prop_recursive(2, 6, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::vec((name(), inner), 0..3)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

        /// A file may be refused, with one clear line; what is written for it passes `check`.
        #[test]
        fn whatever_csv_there_is_the_configuration_is_fine(
            header in prop::collection::vec(name(), 1..8),
            rows in prop::collection::vec(prop::collection::vec(cell(), 8), 0..12),
            bom in any::<bool>(),
        ) {
            let mut bytes = if bom { b"\xEF\xBB\xBF".to_vec() } else { Vec::new() };
            let mut writer = csv::Writer::from_writer(&mut bytes);
            writer.write_record(&header).expect("memory");
            for row in &rows {
                writer.write_record(&row[..header.len()]).expect("memory");
            }
            drop(writer);
            if let Err(why) = made("d.csv", &bytes) {
                prop_assert!(!why.contains("fault of tidewire") && !why.contains('\n'), "{why}");
            }
        }

        #[test]
        fn whatever_ndjson_there_is_the_configuration_is_fine(
            rows in prop::collection::vec(prop::collection::vec((name(), json()), 0..6), 1..12),
        ) {
            let line = |row: &Vec<(String, Value)>| Value::Object(row.iter().cloned().collect::<Map<_, _>>()).to_string();
            let text = rows.iter().map(line).collect::<Vec<_>>().join("\n");
            if let Err(why) = made("d.ndjson", text.as_bytes()) {
                prop_assert!(!why.contains("fault of tidewire") && !why.contains('\n'), "{why}");
            }
        }

        #[test]
        fn bytes_that_are_nothing_are_refused_in_a_line(bytes in prop::collection::vec(any::<u8>(), 0..200), csv in any::<bool>()) {
            if let Err(why) = made(if csv { "d.csv" } else { "d.ndjson" }, &bytes) {
                prop_assert!(!why.contains("fault of tidewire") && !why.contains('\n'), "{why}");
            }
        }
    }
}
