//! What the configuration promises: see each module.

mod bad;
mod bad_sections;
mod damaged;
mod docs;
mod files;
mod good;
mod json_schema;

use std::path::Path;

use config::{Config, Problem};

/// No variable of the environment is set.
fn no_env(_: &str) -> Option<String> {
    None
}

fn load(text: &str) -> Result<Config, Vec<Problem>> {
    config::load_str(Path::new("t.yaml"), text, &no_env)
}

/// Every problem of a text, as `tidewire check` prints them.
fn problems(text: &str) -> String {
    match load(text) {
        Ok(_) => String::new(),
        Err(problems) => lines(&problems),
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().fold(String::new(), |lines, problem| lines + &problem.to_string() + "\n")
}
