//! The command line as a type.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, builder::PossibleValuesParser};
use model::Reason;

mod help;

use crate::log::LogOptions;

/// Real-time feeds for dashboards: events in, SQL windows kept up to date, every change
/// pushed to every watching browser.
#[derive(Debug, Parser)]
#[command(name = "tidewire", version, about, max_term_width = 100, after_help = help::ALL)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show a live page with nothing to set up.
    #[command(after_help = help::DEMO)]
    Demo(DemoOptions),
    /// Write a configuration for a CSV or NDJSON file: types, event time, feeds and a page.
    #[command(after_help = help::INIT)]
    Init(InitOptions),
    /// Run a configuration.
    #[command(after_help = help::SERVE)]
    Serve(ServeOptions),
    /// Validate a configuration, SQL included, without starting anything.
    #[command(after_help = help::CHECK)]
    Check(CheckOptions),
    /// Send events from a file or a pipe to a running server.
    #[command(after_help = help::PUSH)]
    Push(PushOptions),
    /// Follow a feed of a running server in the terminal.
    #[command(after_help = help::TAIL)]
    Tail(TailOptions),
    /// Ask a running server one SELECT over the rows of a feed.
    #[command(after_help = help::QUERY)]
    Query(QueryOptions),
    /// Show what a stream of a running server refused, the newest first.
    #[command(after_help = help::DEAD_LETTERS)]
    DeadLetters(DeadLettersOptions),
    /// Send a stream's dead letters again, once the schema or the records' meaning was mended.
    #[command(after_help = help::REPLAY)]
    Replay(ReplayOptions),
    /// Make a feed of a running server anew from the log, while the old rows are served.
    #[command(after_help = help::REBUILD)]
    Rebuild(RebuildOptions),
    /// Print the JSON Schema of the configuration, for editors.
    #[command(after_help = help::SCHEMA)]
    Schema,
    /// Print completions for a shell.
    #[command(after_help = help::COMPLETIONS)]
    Completions(CompletionsOptions),
    /// Print the manual page, or write one a command into a directory.
    #[command(after_help = help::MAN)]
    Man(ManOptions),
    /// Run one query for the server that started this process.
    #[command(hide = true)]
    RunQuery,
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
    /// Write the demo's configuration into this directory, to start your own from, and end.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["listen", "data_dir"])]
    pub write: Option<PathBuf>,
    /// What is logged, and how.
    #[command(flatten)]
    pub log: LogOptions,
}

/// Options of `serve`.
#[derive(Debug, Args)]
pub struct ServeOptions {
    /// The configuration: a YAML file, or a directory of them.
    #[arg(short, long, default_value = "tidewire.yaml", env = "TIDEWIRE_CONFIG", hide_env_values = true)]
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
    #[arg(short, long, default_value = "tidewire.yaml", env = "TIDEWIRE_CONFIG", hide_env_values = true)]
    pub config: PathBuf,
    /// What it comes to as one line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of `init`.
#[derive(Debug, Args)]
pub struct InitOptions {
    /// The data: CSV with a header line, or NDJSON.
    pub file: PathBuf,
    /// Where the configuration goes; `-` is standard output.
    #[arg(short, long, default_value = "tidewire.yaml")]
    pub output: PathBuf,
    /// How the records are written; by the file's ending unless said.
    #[arg(long)]
    pub format: Option<InitFormat>,
    /// Replace a configuration that is there.
    #[arg(long)]
    pub force: bool,
    /// What was made as a line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// How the records of a file are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InitFormat {
    /// One JSON object a line.
    Ndjson,
    /// RFC 4180 with a header line.
    Csv,
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
    #[arg(long, default_value = "http://127.0.0.1:8080", env = "TIDEWIRE_URL", hide_env_values = true)]
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
    /// What it comes to as one line of JSON.
    #[arg(long)]
    pub json: bool,
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
    #[arg(long, default_value = "http://127.0.0.1:8080", env = "TIDEWIRE_URL", hide_env_values = true)]
    pub url: String,
    /// How to print.
    #[arg(long, default_value = "table")]
    pub format: TailFormat,
    /// Each frame as a line of JSON: the same as `--format json`.
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// End after the first snapshot.
    #[arg(long)]
    pub once: bool,
}

/// Options of `query`.
#[derive(Debug, Args)]
pub struct QueryOptions {
    /// One SELECT over one feed; `-` reads it from standard input.
    pub sql: String,
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:8080", env = "TIDEWIRE_URL", hide_env_values = true)]
    pub url: String,
    /// Each row as a line of JSON.
    #[arg(long)]
    pub json: bool,
    /// The rows as CSV with a header line.
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

/// Options of `dead-letters`.
#[derive(Debug, Args)]
pub struct DeadLettersOptions {
    /// The stream.
    pub stream: String,
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:8080", env = "TIDEWIRE_URL", hide_env_values = true)]
    pub url: String,
    /// Only those of this reason.
    #[arg(long, value_parser = reasons())]
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
    #[arg(long, default_value = "http://127.0.0.1:8080", env = "TIDEWIRE_URL", hide_env_values = true)]
    pub url: String,
    /// Only those of this reason.
    #[arg(long, value_parser = reasons())]
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
    #[arg(long, default_value = "http://127.0.0.1:8080", env = "TIDEWIRE_URL", hide_env_values = true)]
    pub url: String,
    /// What it comes to as one line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsOptions {
    /// The shell.
    pub shell: clap_complete::Shell,
}

/// Options of `man`.
#[derive(Debug, Args)]
pub struct ManOptions {
    /// Write `tidewire.1` and a page for each command into this directory.
    #[arg(long)]
    pub dir: Option<PathBuf>,
}

fn reasons() -> PossibleValuesParser {
    PossibleValuesParser::new(Reason::ALL.map(Reason::as_str))
}

/// How `tail` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TailFormat {
    /// A table that updates in place; in a pipe each changed row as a line of columns.
    Table,
    /// Each frame as a line of JSON.
    Json,
}
