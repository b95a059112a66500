//! `tidewire push`: events from a file or a pipe to a running server.
//!
//! Each request carries an `Idempotency-Key`, so that one that is repeated after a lost
//! answer counts once (INV-2).

mod records;
mod retime;

use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    path::Path,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use client::{Http, Options, Posted, Stream};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use self::{
    records::{Batch, Records},
    retime::Retime,
};
use crate::{
    cli::{PushFormat, PushOptions},
    report::{Failure, count, missing, print, print_json},
};

/// How many refusals are printed; all are counted.
const SHOWN_REFUSALS: usize = 10;

/// How long to wait for an answer before that is said.
const SILENCE: Duration = Duration::from_secs(2);

/// How long the events of one request may lie apart when they are sent in their own rhythm.
const RHYTHM: Duration = Duration::from_millis(100);

pub(crate) fn push(options: &PushOptions) -> Result<(), Failure> {
    if options.batch == 0 {
        return Err(Failure::new("--batch 0: at least one event goes in a request"));
    }
    if options.rate.is_some_and(|rate| !(rate > 0.0 && rate.is_finite())) {
        return Err(Failure::new("--rate: expected a number of events a second above 0"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(format!("the runtime cannot be started: {e}")))?;
    runtime.block_on(send(options))
}

async fn send(options: &PushOptions) -> Result<(), Failure> {
    let http = Http::new(&Options::new(&options.url)).map_err(|e| Failure::new(e.to_string()))?;
    let format = format(options)?;
    let (input, size) = open(&options.file)?;
    let stream = find_stream(&http, options).await?;
    let retime = if options.retime { Some(find_event_time(&stream)?) } else { None };
    let mut records = Records::new(input, format, retime, options.batch, options.file.as_os_str() == "-")
        .map_err(|e| Failure::new(format!("{}: {e}", options.file.display())))?;
    for field in records.header() {
        if stream.columns.iter().all(|column| column.from != field) {
            let known: Vec<&str> = stream.columns.iter().map(|column| column.from.as_str()).collect();
            eprintln!("the stream has no field `{field}`, it is left out; its fields are {}", known.join(", "));
        }
    }
    let progress = progress(size);
    let began = Instant::now();
    let run = format!("{:x}-{:x}", now_ms(), std::process::id());
    let mut totals = Totals::default();
    loop {
        let sent = totals.sent;
        let limit = match options.rate {
            // Small requests, so that the events come evenly.
            Some(rate) => options.batch.min((rate * RHYTHM.as_secs_f64()).ceil() as usize).max(1),
            None => options.batch,
        };
        let due = options.rate.map(|rate| began + Duration::from_secs_f64(sent as f64 / rate));
        if let Some(due) = due {
            tokio::time::sleep_until(due.into()).await;
        }
        let batch = records
            .next_batch(limit, now_ms(), options.rate.is_some())
            .map_err(|e| Failure::new(format!("{}: {e}; {}", options.file.display(), totals.kept())))?;
        let Some(Batch { body, events, read, at }) = batch else { break };
        if let Some(at) = at {
            let wait = at.saturating_sub(now_ms()).max(0);
            tokio::time::sleep(Duration::from_millis(wait as u64)).await;
        }
        let key = format!("push-{run}-{}", totals.requests);
        let posted = patiently(http.post(&options.stream, body, records.content_type(), Some(&key)), options)
            .await
            .map_err(|e| Failure::new(format!("{e}; {}", totals.kept())))?;
        totals.add(events, &posted);
        progress.set_position(read);
        progress.set_message(format!("{} events", totals.sent));
    }
    progress.finish_and_clear();
    totals.tell(began.elapsed(), options.json)?;
    if totals.accepted == 0 && totals.sent > 0 {
        return Err(Failure::new("no event was accepted"));
    }
    Ok(())
}

#[derive(Default)]
struct Totals {
    requests: u64,
    sent: u64,
    accepted: u64,
    rejected: u64,
    shown: usize,
}

impl Totals {
    fn add(&mut self, events: usize, posted: &Posted) {
        for refusal in posted.rejected.iter().take(SHOWN_REFUSALS.saturating_sub(self.shown)) {
            eprintln!("event {}: {} ({})", self.sent + refusal.index + 1, refusal.message, refusal.code);
            self.shown += 1;
        }
        self.requests += 1;
        self.sent += events as u64;
        self.accepted += posted.accepted;
        self.rejected += posted.rejected_total;
    }

    fn kept(&self) -> String {
        format!("{} were kept before", count(self.accepted as usize, "event"))
    }

    fn tell(&self, took: Duration, json: bool) -> Result<(), Failure> {
        if json {
            let (accepted, rejected) = (self.accepted, self.rejected);
            return print_json(&json!({ "accepted": accepted, "rejected": rejected, "seconds": took.as_secs_f64() }));
        }
        let rate = self.accepted as f64 / took.as_secs_f64().max(1e-9);
        print(format!(
            "{} accepted, {} rejected in {:.1} s ({rate:.0} events/s)",
            self.accepted,
            self.rejected,
            took.as_secs_f64()
        ))?;
        if self.rejected as usize > self.shown {
            print(format!("the first {} of them stand above; all are dead letters of the stream", self.shown))?;
        }
        Ok(())
    }
}

fn format(options: &PushOptions) -> Result<PushFormat, Failure> {
    if let Some(format) = options.format {
        return Ok(format);
    }
    let ending = options.file.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    match ending.as_deref() {
        Some("csv") => Ok(PushFormat::Csv),
        Some("json") => Ok(PushFormat::Json),
        Some("ndjson" | "jsonl" | "log") | None => Ok(PushFormat::Ndjson),
        Some("gz" | "zst") => Err(Failure::new(format!(
            "{0}: it is packed; unpack it on the way: `{1} {0} | tidewire push {2} -`",
            options.file.display(),
            if ending.as_deref() == Some("gz") { "gunzip -c" } else { "zstd -dc" },
            options.stream
        ))),
        Some(other) => Err(Failure::new(format!(
            "{}: `.{other}` says nothing of its format; say --format ndjson, csv or json",
            options.file.display()
        ))),
    }
}

fn open(path: &Path) -> Result<(Box<dyn Read>, Option<u64>), Failure> {
    if path.as_os_str() == "-" {
        if io::stdin().is_terminal() {
            return Err(Failure::new("nothing to send: name a file, or pipe events in"));
        }
        return Ok((Box::new(io::stdin()), None));
    }
    let file = File::open(path).map_err(|e| Failure::new(format!("{}: {e}", path.display())))?;
    let size = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|m| m.len());
    Ok((Box::new(file), size))
}

/// Waits for an answer; one that takes long is because the server is not there or busy, and
/// the client tries again meanwhile: that is said once.
async fn patiently<T>(answer: impl Future<Output = T>, options: &PushOptions) -> T {
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        answer = &mut answer => return answer,
        () = tokio::time::sleep(SILENCE) => {}
    }
    eprintln!("no answer from {} yet; trying again, nothing is lost", options.url);
    let answer = answer.await;
    eprintln!("going on");
    answer
}

async fn find_stream(http: &Http, options: &PushOptions) -> Result<Stream, Failure> {
    let streams = http
        .streams()
        .await
        .map_err(|e| Failure::new(format!("{e}\n  start it with `tidewire serve`, or say where it is with --url")))?;
    let names: Vec<String> = streams.iter().map(|s| s.name.clone()).collect();
    let found = streams.into_iter().find(|s| s.name == options.stream);
    found.ok_or_else(|| missing("stream", "streams", &options.stream, &names))
}

/// Which field holds the event time.
fn find_event_time(stream: &Stream) -> Result<Retime, Failure> {
    match stream.event_time_field() {
        Some(field) => Ok(Retime::new(field.to_owned())),
        None => Err(Failure::new(format!("--retime: stream `{}` has no event_time", stream.name))),
    }
}

fn progress(size: Option<u64>) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match size {
        Some(size) => (ProgressBar::new(size), "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {msg}, {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {bytes} {bytes_per_sec} {msg}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}
