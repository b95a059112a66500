//! How errors are told: one clear line each, with the place and what to do.

use std::fmt;

use client::{Error, Http, Options};
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

/// What a command that needs a server says when the client failed.
pub fn unreachable(error: Error) -> Failure {
    match error {
        Error::Unreachable { .. } => {
            Failure::new(format!("{error}\n  start it with `tidewire serve`, or say where it is with --url"))
        }
        other => Failure::new(other.to_string()),
    }
}

/// A client for a server, and what its requests run on.
pub fn connect(url: &str) -> Result<(Http, tokio::runtime::Runtime), Failure> {
    let http = Http::new(&Options::new(url)).map_err(unreachable)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(format!("the runtime cannot be started: {e}")))?;
    Ok((http, runtime))
}

/// Milliseconds since 1970 as RFC 3339.
pub fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}

/// Text for a terminal: control characters are replaced, so that no event can command it.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
