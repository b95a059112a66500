//! Events over HTTP, kept on the disk before they are acknowledged.
//!
//! `posts [--seconds 10]`: batches of 1,000 events on 4 connections, then one event a request
//! on 64; beside each a bare loop that writes the same bytes to a file and syncs it.

use std::{
    fs::File,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bench::{
    Outcome,
    args::option,
    lines::{Form, Lines},
    poster::{Poster, request},
    process,
    server::Server,
};

const CONFIGURATION: &str = "streams:
  events:
    source: { type: http }
    schema: { metric: text, value: double, ts: timestamp }
    event_time: { column: ts, max_lateness: 1h, max_ahead: off }
    max_events_per_second: 1000000000
limits: { max_requests_per_second: 1000000000, max_requests_per_second_per_address: 1000000000 }
feeds:
  load_10s:
    sql: |
      SELECT metric, window_start, count(*) AS n, avg(value) AS average, max(value) AS maximum
      FROM TUMBLE(events, ts, INTERVAL '10 seconds')
      GROUP BY metric, window_start
    keep: 15m
";

/// What one run came to.
struct Ran {
    requests: u64,
    seconds: f64,
    cpu: Duration,
}

fn run(connections: usize, events: usize, seconds: u64) -> Outcome<Ran> {
    let dir = tempfile::tempdir()?;
    let server = Server::tidewire(dir.path(), CONFIGURATION)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let requests = Arc::new(AtomicU64::new(0));
    let before = server.cpu()?;
    let began = Instant::now();
    runtime.block_on(async {
        let mut tasks = Vec::new();
        for _ in 0..connections {
            let mut lines = Lines::new(Form::Bytes52);
            let mut body = Vec::new();
            for _ in 0..events {
                lines.write(&mut body)?;
            }
            let (request, requests) = (request(server.address, "events", &body), requests.clone());
            let mut poster = Poster::connect(server.address).await?;
            tasks.push(tokio::spawn(async move {
                while began.elapsed() < Duration::from_secs(seconds) {
                    poster.post(&request).await?;
                    requests.fetch_add(1, Ordering::Relaxed);
                }
                Outcome::Ok(())
            }));
        }
        for task in tasks {
            task.await??;
        }
        Outcome::Ok(())
    })?;
    let seconds = began.elapsed().as_secs_f64();
    Ok(Ran { requests: requests.load(Ordering::Relaxed), seconds, cpu: server.cpu()?.saturating_sub(before) })
}

/// Writes and syncs pieces of so many events; how many a second.
fn floor(events: usize, seconds: u64) -> Outcome<f64> {
    let dir = tempfile::tempdir()?;
    let mut file = File::create(dir.path().join("floor"))?;
    let piece = vec![b'x'; events * Form::Bytes52.len()];
    let (began, mut pieces) = (Instant::now(), 0_u64);
    while began.elapsed() < Duration::from_secs(seconds) {
        file.write_all(&piece)?;
        file.sync_data()?;
        pieces += 1;
    }
    Ok(pieces as f64 / began.elapsed().as_secs_f64())
}

fn main() -> Outcome {
    let seconds: u64 = option("seconds", 10)?;
    println!("posts: durability fsync, 52-byte events, {seconds} s each; {}", process::machine());
    for (connections, events) in [(4, 1_000), (64, 1)] {
        let ran = run(connections, events, seconds)?;
        let floor = floor(events, seconds.min(5))?;
        let rate = ran.requests as f64 / ran.seconds;
        println!(
            "{connections} connections, {events} events a request: {rate:.0} requests/s, {:.3} M events/s, \
             server {:.2} cores; a bare loop that syncs as many bytes: {floor:.0} a second, {:.2} x",
            rate * events as f64 / 1e6,
            ran.cpu.as_secs_f64() / ran.seconds,
            rate / floor,
        );
    }
    Ok(())
}
