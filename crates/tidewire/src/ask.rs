//! `tidewire query`.

use std::io::{self, IsTerminal, Read, Write};

use client::frame::Column;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    cli::QueryOptions,
    report::{Failure, Style, connect, count, unreachable, written},
    table::{Columns, cells},
};

/// The answer in JSON: an array of values for each column.
#[derive(Deserialize)]
struct Answer {
    columns: Vec<Column>,
    data: Vec<Vec<Value>>,
    rows: usize,
}

pub(crate) fn query(options: &QueryOptions) -> Result<(), Failure> {
    let sql = if options.sql == "-" { from_stdin()? } else { options.sql.clone() };
    let (http, runtime) = connect(&options.url)?;
    let form = match (options.json, options.csv) {
        (true, _) => "application/x-ndjson",
        (_, true) => "text/csv",
        _ => "application/json",
    };
    let answer = runtime.block_on(http.query(&sql, form)).map_err(unreachable)?;
    let mut out = io::stdout().lock();
    if options.json || options.csv {
        written(out.write_all(answer.body.as_bytes()))?;
    } else {
        let found: Answer = serde_json::from_str(&answer.body)
            .map_err(|e| Failure::new(format!("the answer is not Tidewire's: {e}; is the address right?")))?;
        written(table(&found, &mut out))?;
        if found.rows == 0 {
            eprintln!("no rows");
        }
    }
    if answer.truncated {
        eprintln!("there are more rows: the server answers no more at once (limits.query_rows); add WHERE or LIMIT");
    }
    Ok(())
}

fn table(answer: &Answer, out: &mut impl Write) -> io::Result<()> {
    let row = |at: usize| answer.data.iter().map(|column| column.get(at).cloned().unwrap_or_default()).collect();
    let rows: Vec<Vec<Value>> = (0..answer.rows).map(row).collect();
    let lines: Vec<_> = rows.iter().map(|row| ("", cells(row, &answer.columns))).collect();
    Columns::styled(Style::of_stdout()).write(out, &answer.columns, &lines)
}

fn from_stdin() -> Result<String, Failure> {
    let mut sql = String::new();
    let mut input = io::stdin().lock();
    if input.is_terminal() {
        eprintln!("reading SQL from the terminal; end it with Ctrl-D");
    }
    input.read_to_string(&mut sql).map_err(|e| Failure::new(format!("standard input cannot be read: {e}")))?;
    if sql.trim().is_empty() {
        return Err(Failure::new(format!("standard input has no SQL: {} read", count(sql.len(), "byte"))));
    }
    Ok(sql)
}
