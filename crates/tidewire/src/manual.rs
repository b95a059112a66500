//! `tidewire completions` and `tidewire man`: both are made from the command line's own type.

use std::{fs, io};

use clap::CommandFactory;

use crate::{
    cli::{Cli, CompletionsOptions, ManOptions},
    report::{Failure, print, written},
};

pub(crate) fn completions(options: &CompletionsOptions) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "tidewire", &mut text);
    written(io::Write::write_all(&mut io::stdout().lock(), &text))
}

pub(crate) fn man(options: &ManOptions) -> Result<(), Failure> {
    if let Some(dir) = &options.dir {
        let made = fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(Cli::command(), dir));
        made.map_err(|e| Failure::new(format!("{}: the pages cannot be written: {e}", dir.display())))?;
        return print(format!("written into {}: tidewire.1 and a page for each command", dir.display()));
    }
    let mut page = Vec::new();
    let made = clap_mangen::Man::new(Cli::command().disable_help_subcommand(true)).render(&mut page);
    made.map_err(|e| Failure::new(format!("the page cannot be made: {e}")))?;
    written(io::Write::write_all(&mut io::stdout().lock(), &page))
}
