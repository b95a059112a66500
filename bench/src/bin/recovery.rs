//! Time to ready after `kill -9` with a large log.
//!
//! `recovery [--bytes 1000000000]`: posts events until the data directory has this many
//! bytes, kills the server in the middle of a post, and starts it again.

use std::{fs, path::Path, time::Instant};

use bench::{
    Outcome,
    args::option,
    lines::{Form, Lines},
    process,
    server::Server,
};
use client::{Http, Options};

/// Events in one post: about 4 MiB.
const EVENTS: usize = 50_000;

const CONFIGURATION: &str = "durability: process
streams:
  events:
    source: { type: http }
    schema: { metric: text, value: double, ts: timestamp, dashboard: text, host: text }
    event_time: { column: ts, max_lateness: 2s }
feeds:
  load_10s:
    sql: |
      SELECT metric, window_start, window_end, count(*) AS n, avg(value) AS average, max(value) AS maximum
      FROM TUMBLE(events, ts, INTERVAL '10 seconds')
      GROUP BY metric, window_start, window_end
    keep: 15m
";

/// Bytes of all files in a directory.
fn bytes(dir: &Path) -> Outcome<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(dir)? {
        sum += entry?.metadata()?.len();
    }
    Ok(sum)
}

/// The next post.
fn body(lines: &mut Lines) -> Outcome<bytes::Bytes> {
    let mut body = Vec::with_capacity(EVENTS * 90);
    for _ in 0..EVENTS {
        lines.write(&mut body)?;
    }
    Ok(body.into())
}

fn main() -> Outcome {
    let wanted: u64 = option("bytes", 1_000_000_000)?;
    println!("recovery: {} MB in the data directory, kill -9; {}", wanted / 1_000_000, process::machine());
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let server = Server::tidewire(dir.path(), CONFIGURATION)?;
    let http = Http::new(&Options::new(server.url()))?;
    let (mut lines, mut events, began) = (Lines::new(Form::Bytes86), 0, Instant::now());
    while bytes(&data)? < wanted {
        let posted = runtime.block_on(http.post("events", body(&mut lines)?, "application/x-ndjson", None))?;
        events += posted.accepted;
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{events} events acknowledged in {seconds:.1} s, {:.2} M/s", events as f64 / seconds / 1e6);
    // One post is under way while the server dies; what becomes of it is not measured.
    let under_way = body(&mut lines)?;
    let post = runtime.spawn(async move { http.post("events", under_way, "application/x-ndjson", None).await });
    std::thread::sleep(std::time::Duration::from_millis(20));
    let first = server.ready_after;
    server.kill()?;
    post.abort();
    let size = bytes(&data)?;
    let server = Server::tidewire(dir.path(), CONFIGURATION)?;
    println!(
        "ready {:.2} s after the start with {} MB (an empty directory: {:.2} s); CPU {:.2} s",
        server.ready_after.as_secs_f64(),
        size / 1_000_000,
        first.as_secs_f64(),
        server.cpu()?.as_secs_f64(),
    );
    Ok(())
}
