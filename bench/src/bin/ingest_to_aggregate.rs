//! CPU from a file's line to its aggregate, beside DuckDB's batch on one thread.
//!
//! `ingest_to_aggregate [--events 5000000] [--python PYTHON] [--pathway yes]`: count,
//! avg and max of a value for each of 1,000 metrics per 10 s. Tidewire's CPU is that of its
//! whole process, from its start; a peer's is that of the query alone. The results are
//! compared.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use bench::{
    Outcome,
    args::option,
    lines::{Form, Lines},
    process,
    server::Server,
};
use client::{Http, Options, Table};
use serde_json::Value;

/// What a run came to.
#[derive(Debug, Clone, Copy)]
struct Run {
    cpu: f64,
    wall: f64,
    sums: Sums,
}

/// Sums over all groups: equal results have equal sums.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    groups: u64,
    count: u64,
    average: f64,
    maximum: f64,
}

impl Sums {
    fn of(table: &Table) -> Self {
        let position = |name: &str| table.columns().iter().position(|c| c.name == name);
        let (Some(n), Some(average), Some(maximum)) = (position("n"), position("average"), position("maximum")) else {
            return Self::default();
        };
        table.rows().fold(Self::default(), |sums, row| {
            let number = |at: usize| row[at].as_f64().unwrap_or_default();
            Self {
                groups: sums.groups + 1,
                count: sums.count + row[n].as_u64().unwrap_or_default(),
                average: sums.average + number(average),
                maximum: sums.maximum + number(maximum),
            }
        })
    }

    fn agree(self, other: Self) -> bool {
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(b.abs());
        self.groups == other.groups
            && self.count == other.count
            && close(self.average, other.average)
            && close(self.maximum, other.maximum)
    }
}

fn tidewire(file: &Path, form: Form, events: u64) -> Outcome<Run> {
    let dir = tempfile::tempdir()?;
    let configuration = format!(
        "streams:
  events:
    source: {{ type: file, path: {} }}
    schema: {}
    event_time: {{ column: ts, max_lateness: 2s }}
feeds:
  load_10s:
    sql: |
      SELECT metric, window_start, window_end, count(*) AS n, avg(value) AS average, max(value) AS maximum
      FROM TUMBLE(events, ts, INTERVAL '10 seconds')
      GROUP BY metric, window_start, window_end
    keep: 24h
",
        file.display(),
        form.schema(),
    );
    let began = Instant::now();
    let server = Server::tidewire(dir.path(), &configuration)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let http = Http::new(&Options::new(server.url()))?;
    loop {
        // The snapshot is some thousand rows; to ask for it four times a second costs the
        // server about a thousandth of its time.
        std::thread::sleep(Duration::from_millis(250));
        let table = runtime.block_on(http.snapshot("load_10s"))?;
        let sums = Sums::of(&table);
        if sums.count >= events {
            return Ok(Run { cpu: server.cpu()?.as_secs_f64(), wall: began.elapsed().as_secs_f64(), sums });
        }
        if began.elapsed() > Duration::from_mins(10) {
            return Err(format!("after 600 s the feed counts {} of {events} events", sums.count).into());
        }
    }
}

/// Runs a peer's script, which prints one line of JSON.
fn peer(python: &str, script: &str, file: &Path) -> Outcome<Run> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(script);
    let began = Instant::now();
    let output = Command::new(python).arg(&script).arg(file).output()?;
    if !output.status.success() {
        return Err(format!("{}: {}", script.display(), String::from_utf8_lossy(&output.stderr)).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let value: Value = serde_json::from_str(text.lines().last().unwrap_or_default())?;
    let missing = |name: &str| format!("{} prints no `{name}`", script.display());
    let number = |name: &str| value[name].as_f64().ok_or_else(|| missing(name));
    let whole = |name: &str| value[name].as_u64().ok_or_else(|| missing(name));
    let sums = Sums {
        groups: whole("groups")?,
        count: whole("count")?,
        average: number("average")?,
        maximum: number("maximum")?,
    };
    Ok(Run { cpu: number("cpu_s")?, wall: began.elapsed().as_secs_f64(), sums })
}

fn main() -> Outcome {
    let events: u64 = option("events", 5_000_000)?;
    let python = option("python", "python3".to_owned())?;
    let pathway = option("pathway", "no".to_owned())? == "yes";
    println!("ingest_to_aggregate: {events} events, 1,000 metrics, 10 s windows; {}", process::machine());
    let dir = tempfile::tempdir()?;
    for form in [Form::Bytes52, Form::Bytes86] {
        let file = dir.path().join("events.ndjson");
        Lines::file(form, events, &file)?;
        let mut runs = vec![("tidewire", tidewire(&file, form, events)?)];
        runs.push(("duckdb", peer(&python, "duckdb_aggregate.py", &file)?));
        if pathway {
            runs.push(("pathway", peer(&python, "pathway_aggregate.py", &file)?));
        }
        println!("{} bytes a line:", form.len());
        let own = runs[0].1;
        for (name, run) in runs {
            println!(
                "  {name:10} {:>6.2} s CPU  {:>6.1} ns/event  {:>5.2} M events/CPU-s  {:>6.2} s wall  CPU × tidewire: {:.2}",
                run.cpu,
                run.cpu * 1e9 / events as f64,
                events as f64 / run.cpu / 1e6,
                run.wall,
                run.cpu / own.cpu,
            );
            if !run.sums.agree(own.sums) {
                return Err(format!("{name} found {:?}, tidewire {:?}", run.sums, own.sums).into());
            }
        }
    }
    Ok(())
}
