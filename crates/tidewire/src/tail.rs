//! `tidewire tail`: a feed in the terminal.

mod screen;

use std::io::{self, IsTerminal, Write};

use client::{Client, Error, Event, Options, Row, Table};
use serde_json::{Value, json};

use crate::{
    cli::{TailFormat, TailOptions},
    report::{Failure, Style, connect, refused},
    table::{Columns, Line, cells},
};

pub(crate) fn tail(options: &TailOptions) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(format!("the runtime cannot be started: {e}")))?;
    match runtime.block_on(follow(options)) {
        Ok(()) => Ok(()),
        // The reader of the pipe has gone: that is how `| head` ends.
        Err(Ended::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(Ended::Output(error)) => Err(Failure::new(format!("cannot write: {error}"))),
        Err(Ended::Client(error)) => {
            let (http, runtime) = connect(&options.url)?;
            Err(runtime.block_on(refused(&http, error, &options.feed)))
        }
    }
}

enum Ended {
    Output(io::Error),
    Client(Error),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Client(error)
    }
}

async fn follow(options: &TailOptions) -> Result<(), Ended> {
    let client = Client::connect(Options::new(&options.url)).await?;
    let mut feed = client.subscribe(&options.feed, None).await?;
    let format = if options.json { TailFormat::Json } else { options.format };
    let style = Style::of_stdout();
    if format == TailFormat::Table && !options.once && moves() {
        let view = screen::View::new(options.feed.clone(), style.is_on());
        return screen::follow(&mut feed, view).await;
    }
    let mut out = io::stdout().lock();
    let mut aligned = out.is_terminal().then(|| Columns::styled(style));
    loop {
        let event = feed.next().await?;
        match (&event, format) {
            (Event::Disconnected { reason, retry_in }, _) => {
                eprintln!("not connected: {reason}; trying again in {:.1} s", retry_in.as_secs_f64());
            }
            (Event::Reconnected, _) => eprintln!("connected again"),
            (event, TailFormat::Table) => match &mut aligned {
                Some(aligned) => write_aligned(&mut out, aligned, event, feed.table())?,
                None => write_plain(&mut out, event, feed.table())?,
            },
            (Event::Subscribed { columns, key }, TailFormat::Json) => {
                let columns: Vec<Value> =
                    columns.iter().map(|c| json!({"name": c.name, "type": c.data_type})).collect();
                writeln!(out, "{}", json!({"type": "subscribed", "key": key, "columns": columns}))?;
            }
            (Event::Snapshot { reset }, TailFormat::Json) => {
                let rows: Vec<&[Value]> = feed.table().rows().map(AsRef::as_ref).collect();
                let frame = json!({"type": "snapshot", "reset": reset, "cursor": feed.table().cursor(), "rows": rows});
                writeln!(out, "{frame}")?;
            }
            (Event::Delta { upserts, deletes }, TailFormat::Json) => {
                let upserts: Vec<&[Value]> = upserts.iter().map(AsRef::as_ref).collect();
                let deletes: Vec<&[Value]> = deletes.iter().map(AsRef::as_ref).collect();
                let frame =
                    json!({"type": "delta", "cursor": feed.table().cursor(), "upsert": upserts, "delete": deletes});
                writeln!(out, "{frame}")?;
            }
        }
        out.flush()?;
        if options.once && matches!(event, Event::Snapshot { .. }) {
            return Ok(());
        }
    }
}

/// Whether this is a terminal where a table can update in place. It is read from, too: in raw
/// mode Ctrl-C is a key like others.
fn moves() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    io::stdout().is_terminal() && io::stdin().is_terminal() && !dumb
}

/// For pipes: a header at the start, and lines that do not depend on each other.
fn write_plain(out: &mut impl Write, event: &Event, table: &Table) -> io::Result<()> {
    if let Event::Subscribed { columns, .. } = event {
        writeln!(out, "{}", columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join("  "))?;
    }
    for (mark, cells) in lines(event, table) {
        let gap = if mark.is_empty() { "" } else { " " };
        writeln!(out, "{mark}{gap}{}", cells.join("  "))?;
    }
    Ok(())
}

/// For people: columns under a header.
fn write_aligned(out: &mut impl Write, aligned: &mut Columns, event: &Event, table: &Table) -> io::Result<()> {
    match event {
        Event::Subscribed { .. } => *aligned = Columns::styled(Style::of_stdout()),
        _ => aligned.write(out, table.columns(), &lines(event, table).collect::<Vec<_>>())?,
    }
    Ok(())
}

/// The rows of an event, and with a dash the keys whose rows went.
fn lines<'a>(event: &'a Event, table: &'a Table) -> Box<dyn Iterator<Item = Line> + 'a> {
    let line = |mark, row: &Row| (mark, cells(row, table.columns()));
    match event {
        Event::Snapshot { .. } => Box::new(table.rows().map(move |row| line("", row))),
        Event::Delta { upserts, deletes } => {
            let upserts = upserts.iter().map(move |row| line("", row));
            Box::new(upserts.chain(deletes.iter().map(move |key| line("-", key))))
        }
        _ => Box::new(std::iter::empty()),
    }
}
