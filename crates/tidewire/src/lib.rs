//! The binary: command line and wiring, nothing else.
//!
//! # Layout
//!
//! - [`cli`]: the command line as a type
//! - one module a command: `serve` (also `demo`), `init`, `check` (also `schema`), `push`, `tail`,
//!   `ask` (`query`), `rebuild`, `dead_letters` (also `replay`), `manual` (`completions`, `man`)
//! - `table`: rows for people
//! - `backend`: the engine, as `serve` sees it
//! - `counts`: what metrics there are
//! - [`log`]: what the server tells of itself, and how
//! - `reload`: another configuration while the server runs
//! - `pull`: queries over feeds, each in a process of its own
//! - `report`: how errors and progress are told

mod ask;
mod backend;
mod check;
pub mod cli;
mod counts;
mod dead_letters;
mod init;
pub mod log;
mod manual;
mod pull;
mod push;
mod rebuild;
mod reload;
mod report;
mod serve;
mod table;
mod tail;

use std::{ffi::OsString, process::ExitCode};

use clap::Parser;
use cli::{Cli, Command};

/// Runs the command line. 0: it went well; 1: it did not, and said why; 2: the command
/// line itself was wrong.
pub fn run<I: IntoIterator<Item = OsString>>(args: I) -> ExitCode {
    run_on(args, None)
}

/// The same, with the store on a SQLite VFS that the caller has registered: tests have one
/// under which the power can be cut.
pub fn run_on<I: IntoIterator<Item = OsString>>(args: I, vfs: Option<&str>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output with 0, mistakes to standard error with 2.
            let _ = error.print();
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    let done = match cli.command {
        Command::Demo(options) => serve::demo(&options, vfs),
        Command::Serve(options) => serve::serve(&options, vfs),
        Command::Init(options) => init::init(&options),
        Command::Check(options) => check::check(&options),
        Command::Push(options) => push::push(&options),
        Command::Tail(options) => tail::tail(&options),
        Command::Query(options) => ask::query(&options),
        Command::DeadLetters(options) => dead_letters::list(&options),
        Command::Replay(options) => dead_letters::replay(&options),
        Command::Rebuild(options) => rebuild::rebuild(&options),
        Command::Schema => check::schema(),
        Command::Completions(options) => manual::completions(&options),
        Command::Man(options) => manual::man(&options),
        Command::RunQuery => pull::worker::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
