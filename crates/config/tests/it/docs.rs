//! The guide's examples load, and it leaves out no key.

use std::{fs, path::Path};

fn guide() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    fs::read_to_string(&path).expect("docs/configuration.md")
}

/// The fenced blocks of YAML, each with the line it begins at.
fn blocks(guide: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut block: Option<(usize, String)> = None;
    for (number, line) in guide.lines().enumerate() {
        match (&mut block, line) {
            (None, "```yaml") => block = Some((number + 2, String::new())),
            (Some(_), "```") => blocks.extend(block.take()),
            (Some((_, text)), line) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, _) => {}
        }
    }
    blocks
}

#[test]
fn complete_examples_load_and_fit_the_schema() {
    let guide = guide();
    let validator = crate::json_schema::validator();
    let complete: Vec<_> = blocks(&guide).into_iter().filter(|(_, text)| text.starts_with("# complete")).collect();
    assert!(complete.len() >= 5, "only {} complete examples", complete.len());
    for (line, text) in complete {
        if let Err(problems) = crate::load(&text) {
            panic!("the example at line {line} does not load:\n{}", crate::lines(&problems));
        }
        let json = crate::json_schema::json(&text);
        let errors: Vec<String> = validator.iter_errors(&json).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "the example at line {line} does not fit the schema: {errors:#?}");
    }
}

#[test]
fn every_key_and_default_stands_in_the_guide() {
    let guide = guide();
    let schema = config::json_schema();
    let sections = schema["$defs"].as_object().unwrap().values().chain([&schema]);
    let mut seen = 0;
    for section in sections {
        for (key, about) in section["properties"].as_object().into_iter().flatten() {
            seen += 1;
            let default = about.get("default").map(|d| d.as_str().map_or_else(|| d.to_string(), str::to_owned));
            let rows = guide.lines().filter(|line| line.starts_with(&format!("| `{key}` |")));
            let told = match &default {
                // The row's third cell is the default.
                Some(default) => rows.map(|row| row.split(" | ").nth(2)).any(|d| d == Some(&format!("`{default}`"))),
                None => rows.count() > 0,
            };
            assert!(told, "the guide has no row for `{key}` with its default {default:?}");
        }
    }
    assert!(seen > 50, "{seen}");
}
