//! What the server tells of itself: lines for people on a terminal, JSON for programs
//! elsewhere. Logs go to standard error; they never hold events, their values or secrets.

use std::io::IsTerminal;

use clap::{Args, ValueEnum};
use tracing_subscriber::{EnvFilter, fmt, util::SubscriberInitExt};

use crate::report::Failure;

/// Options of what is logged.
#[derive(Debug, Clone, Args)]
pub struct LogOptions {
    /// What is logged: error, warn, info, debug, trace or off; or several of them for parts of
    /// the program, as in warn,engine=debug.
    #[arg(long = "log", env = "TIDEWIRE_LOG", default_value = "info", value_name = "LEVEL")]
    pub level: String,
    /// How it is logged: `auto` is text on a terminal and JSON elsewhere.
    #[arg(long = "log-format", env = "TIDEWIRE_LOG_FORMAT", default_value = "auto", value_name = "FORMAT")]
    pub format: LogFormat,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// An object a line.
    Json,
    /// Text on a terminal, JSON elsewhere.
    Auto,
}

/// The levels by their names.
const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// Where the line of the start goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    /// To standard output, for people and for scripts that wait for it; not where somebody
    /// asked for JSON, whose reader may take both outputs for one.
    pub on_stdout: bool,
    /// To the log, with a field for each part.
    pub in_log: bool,
}

/// Starts logging for the rest of the process.
pub(crate) fn start(options: &LogOptions) -> Result<Told, Failure> {
    let filter = filter(&options.level)?;
    let terminal = std::io::stderr().is_terminal();
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let json = match options.format {
        LogFormat::Text => false,
        LogFormat::Json => true,
        LogFormat::Auto => !terminal,
    };
    // A second start in one process keeps the first one's logging.
    let _ = if json {
        builder.json().flatten_event(true).with_current_span(false).with_span_list(false).finish().try_init()
    } else {
        let color = terminal && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
        builder.with_target(false).with_ansi(color).finish().try_init()
    };
    Ok(Told { on_stdout: options.format != LogFormat::Json, in_log: json })
}

/// Levels as they are written. The library takes a misspelt level for the name of a part of
/// the program, and then logs nothing.
fn filter(written: &str) -> Result<EnvFilter, Failure> {
    let written = if written.trim().is_empty() { "info" } else { written };
    for part in written.split(',').map(str::trim) {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level.trim());
        if !LEVELS.iter().any(|known| level.eq_ignore_ascii_case(known)) {
            return Err(Failure::new(format!(
                "--log (or TIDEWIRE_LOG): `{level}` is no level; write one of {}",
                LEVELS.join(", ")
            )));
        }
    }
    EnvFilter::try_new(written).map_err(|e| Failure::new(format!("--log (or TIDEWIRE_LOG): `{written}`: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_that_is_none_is_told() {
        for good in ["info", "WARN", "off", "warn,engine=debug", ""] {
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in ["inf", "warn,engine=loud", "engine"] {
            let said = filter(bad).unwrap_err().to_string();
            assert!(said.contains("error, warn, info") && said.lines().count() == 1, "{said}");
        }
    }
}
