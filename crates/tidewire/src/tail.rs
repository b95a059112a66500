//! `tidewire tail`: a feed in the terminal.

use std::io::{self, Write};

use client::{Client, Error, Event, Options, Row, frame::Column};
use serde_json::{Value, json};

use crate::{
    cli::{TailFormat, TailOptions},
    report::Failure,
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
        Err(Ended::Client(error @ Error::Unreachable { .. })) => {
            Err(Failure::new(format!("{error}\n  start it with `tidewire serve`, or say where it is with --url")))
        }
        Err(Ended::Client(error)) => Err(Failure::new(error.to_string())),
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
    let mut out = io::stdout().lock();
    loop {
        let event = feed.next().await?;
        match (&event, options.format) {
            (Event::Disconnected { reason, retry_in }, _) => {
                eprintln!("not connected: {reason}; trying again in {:.1} s", retry_in.as_secs_f64());
            }
            (Event::Reconnected, _) => eprintln!("connected again"),
            (Event::Subscribed { columns, .. }, TailFormat::Table) => {
                writeln!(out, "{}", columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join("  "))?;
            }
            (Event::Snapshot { .. }, TailFormat::Table) => {
                for row in feed.table().rows() {
                    write_row(&mut out, feed.table().columns(), row)?;
                }
            }
            (Event::Delta { upserts, deletes }, TailFormat::Table) => {
                for row in upserts {
                    write_row(&mut out, feed.table().columns(), row)?;
                }
                for key in deletes {
                    write!(out, "- ")?;
                    write_row(&mut out, feed.table().columns(), key)?;
                }
            }
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

fn write_row(out: &mut impl Write, columns: &[Column], row: &Row) -> io::Result<()> {
    let cells: Vec<String> = row.iter().zip(columns).map(|(value, column)| cell(value, &column.data_type)).collect();
    writeln!(out, "{}", cells.join("  "))
}

/// A cell for people: text without quotes, times as RFC 3339. Control characters are
/// replaced, so that no event can command the terminal.
fn cell(value: &Value, data_type: &str) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::Number(ms) if data_type == "timestamp" => ms
            .as_i64()
            .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
            .map_or_else(|| ms.to_string(), |time| time.to_string()),
        Value::String(text) => text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_for_people_and_cannot_command_the_terminal() {
        assert_eq!(cell(&json!(1_700_000_000_000_i64), "timestamp"), "2023-11-14T22:13:20Z");
        assert_eq!(cell(&json!("a\u{1b}[2Jb"), "text"), "a\u{fffd}[2Jb");
        assert_eq!(cell(&Value::Null, "double"), "–");
        assert_eq!(cell(&json!(2.5), "double"), "2.5");
    }
}
