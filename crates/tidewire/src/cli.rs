//! The command line as a type.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::log::LogOptions;

/// Real-time feeds for dashboards: events in, SQL windows kept up to date, every change
/// pushed to every watching browser.
#[derive(Debug, Parser)]
#[command(name = "tidewire", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show a live page with nothing to set up.
    #[command(after_help = "Example:\n  tidewire demo\n  then open http://127.0.0.1:8080/dashboard/demo")]
    Demo(DemoOptions),
    /// Run a configuration.
    #[command(
        after_help = "Examples:\n  tidewire serve -c tidewire.yaml\n  tidewire serve -c conf.d --data-dir /var/lib/tidewire"
    )]
    Serve(ServeOptions),
    /// Validate a configuration, SQL included, without starting anything.
    #[command(
        after_help = "Prints every problem as file:line:column and exits with 1, or says that all is well and exits with 0."
    )]
    Check(CheckOptions),
    /// Send events from a file or a pipe to a running server.
    #[command(
        after_help = "Examples:\n  tidewire push events events.ndjson\n  tidewire push orders orders.csv --rate 500 --retime\n  tail -f app.log.json | tidewire push logs -"
    )]
    Push(PushOptions),
    /// Follow a feed of a running server in the terminal.
    #[command(after_help = "Examples:\n  tidewire tail load_10s\n  tidewire tail load_10s --format json | jq .upsert")]
    Tail(TailOptions),
    /// Show what a stream of a running server refused, the newest first.
    #[command(
        after_help = "Examples:\n  tidewire dead-letters events\n  tidewire dead-letters events --reason wrong_type --json | jq -r .raw"
    )]
    DeadLetters(DeadLettersOptions),
    /// Send a stream's dead letters again, once the schema or the records' meaning was mended.
    #[command(
        after_help = "Each becomes an event once. What a feed refused (`late`, `query_failed`, …) was accepted by the stream and is not sent again.\n\nExamples:\n  tidewire replay events\n  tidewire replay events --reason wrong_type"
    )]
    Replay(ReplayOptions),
    /// Make a feed of a running server anew from the log, while the old rows are served.
    #[command(after_help = "Example:\n  tidewire rebuild load_10s")]
    Rebuild(RebuildOptions),
    /// Print the JSON Schema of the configuration, for editors.
    Schema,
}

/// Options of `demo`.
#[derive(Debug, Args)]
pub struct DemoOptions {
    /// Address and port to listen on.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: String,
    /// Keep events and state in this directory; without it nothing is kept.
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
    /// What is logged, and how.
    #[command(flatten)]
    pub log: LogOptions,
}

/// Options of `serve`.
#[derive(Debug, Args)]
pub struct ServeOptions {
    /// The configuration: a YAML file, or a directory of them.
    #[arg(short, long, default_value = "tidewire.yaml", env = "TIDEWIRE_CONFIG")]
    pub config: PathBuf,
    /// Address and port to listen on, instead of the configuration's `listen:`.
    #[arg(long)]
    pub listen: Option<String>,
    /// Directory of log and state, instead of the configuration's `data_dir:`.
    #[arg(long, conflicts_with = "memory")]
    pub data_dir: Option<PathBuf>,
    /// Keep nothing: events and state are gone at the end.
    #[arg(long)]
    pub memory: bool,
    /// What is logged, and how.
    #[command(flatten)]
    pub log: LogOptions,
}

/// Options of `check`.
#[derive(Debug, Args)]
pub struct CheckOptions {
    /// The configuration: a YAML file, or a directory of them.
    #[arg(short, long, default_value = "tidewire.yaml", env = "TIDEWIRE_CONFIG")]
    pub config: PathBuf,
}

/// Options of `push`.
#[derive(Debug, Args)]
pub struct PushOptions {
    /// The stream.
    pub stream: String,
    /// The file; `-` is standard input.
    #[arg(default_value = "-")]
    pub file: PathBuf,
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:8080", env = "TIDEWIRE_URL")]
    pub url: String,
    /// How the records are written; by the file's ending unless said, NDJSON for a pipe.
    #[arg(long)]
    pub format: Option<PushFormat>,
    /// Events a second; as fast as the server takes them unless said.
    #[arg(long)]
    pub rate: Option<f64>,
    /// Move the event times so that the first event happens now, in the file's own rhythm
    /// (or in that of --rate).
    #[arg(long)]
    pub retime: bool,
    /// Events a request.
    #[arg(long, default_value_t = 1000)]
    pub batch: usize,
}

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PushFormat {
    /// One JSON object a line.
    Ndjson,
    /// RFC 4180 with a header line.
    Csv,
    /// One array of objects.
    Json,
}

/// Options of `tail`.
#[derive(Debug, Args)]
pub struct TailOptions {
    /// The feed.
    pub feed: String,
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:8080", env = "TIDEWIRE_URL")]
    pub url: String,
    /// How to print.
    #[arg(long, default_value = "table")]
    pub format: TailFormat,
    /// End after the first snapshot.
    #[arg(long)]
    pub once: bool,
}

/// Options of `dead-letters`.
#[derive(Debug, Args)]
pub struct DeadLettersOptions {
    /// The stream.
    pub stream: String,
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:8080", env = "TIDEWIRE_URL")]
    pub url: String,
    /// Only those of this reason.
    #[arg(long)]
    pub reason: Option<String>,
    /// How many at most.
    #[arg(long, default_value_t = 20)]
    pub limit: usize,
    /// Each as a line of JSON, whole.
    #[arg(long)]
    pub json: bool,
}

/// Options of `replay`.
#[derive(Debug, Args)]
pub struct ReplayOptions {
    /// The stream.
    pub stream: String,
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:8080", env = "TIDEWIRE_URL")]
    pub url: String,
    /// Only those of this reason.
    #[arg(long)]
    pub reason: Option<String>,
    /// What became of them as a line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of `rebuild`.
#[derive(Debug, Args)]
pub struct RebuildOptions {
    /// The feed.
    pub feed: String,
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:8080", env = "TIDEWIRE_URL")]
    pub url: String,
}

/// How `tail` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TailFormat {
    /// Each changed row as a line of columns.
    Table,
    /// Each frame as a line of JSON.
    Json,
}
