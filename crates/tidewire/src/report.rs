//! How errors are told: one clear line each, with the place and what to do.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
};

use client::{Error, Http, Options};
use config::{Problem, advice};
use model::Code;
use serde::Serialize;

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

/// The same, of a command that named a feed or a stream: one that is not there is told with
/// the nearest that is.
pub async fn refused(http: &Http, error: Error, name: &str) -> Failure {
    let Error::Refused { code, .. } = &error else { return unreachable(error) };
    let (what, plural, names) = if code == Code::UnknownFeed.as_str() {
        ("feed", "feeds", http.feeds().await.map(|all| all.into_iter().map(|f| f.name).collect::<Vec<_>>()))
    } else if code == Code::UnknownStream.as_str() {
        ("stream", "streams", http.streams().await.map(|all| all.into_iter().map(|s| s.name).collect::<Vec<_>>()))
    } else {
        return unreachable(error);
    };
    match names {
        Ok(names) => missing(what, plural, name, &names),
        Err(_) => unreachable(error),
    }
}

/// There is nothing of this name.
pub fn missing(what: &str, plural: &str, name: &str, names: &[String]) -> Failure {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let hint = advice(name, plural, &names).unwrap_or_else(|| format!("the server has {}", count(names.len(), what)));
    Failure::new(format!("the server has no {what} `{}`\n  {hint}", printable(name)))
}

/// Prints what a command came to. That the reader of a pipe has gone is no failure: so ends
/// `| head`.
pub fn print(text: impl fmt::Display) -> Result<(), Failure> {
    written(writeln!(io::stdout().lock(), "{text}"))
}

/// The same as a line of JSON.
pub fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(|e| Failure::new(format!("cannot be written as JSON: {e}")))?;
    print(text)
}

/// What became of writing to standard output.
pub fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(format!("cannot write: {error}"))),
        _ => Ok(()),
    }
}

/// Whether text may stand out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style(bool);

impl Style {
    /// On a terminal, unless `NO_COLOR` is set to something (<https://no-color.org>) or the
    /// terminal can do nothing.
    pub fn of_stdout() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let dumb = set("TERM").is_some_and(|term| term == "dumb");
        Self(io::stdout().is_terminal() && set("NO_COLOR").is_none() && !dumb)
    }

    /// Whether it may.
    pub fn is_on(self) -> bool {
        self.0
    }

    /// A line that stands out.
    pub fn bold(self, text: &str) -> String {
        if self.0 { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
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
