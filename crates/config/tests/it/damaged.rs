//! Damaged files: each loads or says why not, and what loads fits the JSON Schema.

use crate::{good::EVERYTHING, json_schema};

/// Loads a text; if it does load, holds it against the schema. Answers whether it loaded.
fn try_one(text: &str, validator: &jsonschema::Validator) -> bool {
    match crate::load(text) {
        Ok(config) => {
            for feed in &config.feeds {
                assert_eq!(feed.sql.text.lines().count(), feed.sql.lines.len(), "{text}");
            }
            let json = json_schema::json(text);
            let errors: Vec<String> =
                validator.iter_errors(&json).map(|e| format!("{}: {e}", e.instance_path())).collect();
            assert!(errors.is_empty(), "{text}\n{errors:#?}");
            true
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "{text}");
            assert!(problems.iter().all(|problem| !problem.message.contains('\n')), "{problems:#?}");
            false
        }
    }
}

#[test]
fn one_character_is_another() {
    let validator = json_schema::validator();
    let mut loaded = 0;
    for (index, old) in EVERYTHING.char_indices() {
        // Three of nine at each place, so that the test stays short.
        for turn in 0..3 {
            let new = ["", " ", "\n", ":", "0", "x", "[", "\"", "$"][(index * 7 + turn * 2) % 9];
            let rest = &EVERYTHING[index + old.len_utf8()..];
            let text = format!("{}{new}{rest}", &EVERYTHING[..index]);
            loaded += usize::from(try_one(&text, &validator));
        }
    }
    // Many names and numbers are as good as others; else this would try nothing of the schema.
    assert!(loaded > 300, "{loaded}");
}

#[test]
fn the_end_is_missing() {
    let validator = json_schema::validator();
    for (index, _) in EVERYTHING.char_indices() {
        try_one(&EVERYTHING[..index], &validator);
    }
}

#[test]
fn a_line_is_missing_or_twice() {
    let validator = json_schema::validator();
    let lines: Vec<&str> = EVERYTHING.lines().collect();
    for index in 0..lines.len() {
        for times in [0, 2] {
            let mut changed: Vec<&str> = lines[..index].to_vec();
            changed.extend(std::iter::repeat_n(lines[index], times));
            changed.extend(&lines[index + 1..]);
            try_one(&changed.join("\n"), &validator);
        }
    }
}
