//! How errors are told: one clear line each, with the place and what to do.

use std::fmt;

use config::Problem;

/// Why a command failed, ready to be printed.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// One line, without a trailing full stop.
    pub fn new(message: impl Into<String>) -> Self {
        Self(format!("error: {}", message.into()))
    }

    /// Every problem of a configuration.
    pub fn problems(problems: &[Problem]) -> Self {
        let mut text: Vec<String> = problems.iter().map(ToString::to_string).collect();
        text.push(count(problems.len(), "problem"));
        Self(text.join("\n"))
    }
}

/// `1 feed`, `2 feeds`.
pub fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
