//! A long run under load: memory stays flat, viewers stay current, no cursor is refused.
//!
//! `steady [--seconds 600] [--rate 300000] [--viewers 100]`: posts in batches of 1,000 events of
//! 1,000 metrics, on the disk before they are acknowledged; each viewer watches the aggregate,
//! at most 10 frames a second, and a feed of one row that says when the newest event was sent.
//! Ends with 1 if memory has grown, a cursor was refused or a viewer was behind.

use std::{
    net::SocketAddr,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bench::{
    Outcome,
    args::option,
    poster::{Poster, request},
    process,
    server::{Server, get},
    viewers::{Viewers, Way},
};

/// Events in one post.
const BATCH: u64 = 1_000;
const CONNECTIONS: usize = 8;
/// How old the newest event that a viewer knows may be.
const CURRENT: Duration = Duration::from_millis(100);
/// How much more memory the second half of the run may take than the first did.
const FLAT: f64 = 1.05;

const CONFIGURATION: &str = "streams:
  events:
    source: { type: http }
    schema: { metric: text, value: double, ts: timestamp, sent: bigint }
    event_time: { column: ts, max_lateness: 2s }
    retention_bytes: 1GiB
feeds:
  load_10s:
    sql: |
      SELECT metric, window_start, count(*) AS n, avg(value) AS average, max(value) AS maximum
      FROM TUMBLE(events, ts, INTERVAL '10 seconds')
      GROUP BY metric, window_start
    keep: 1m
  clock:
    sql: SELECT 'x' AS k, sent FROM events WHERE sent > 0
    key: [k]
";

/// Posts at a fixed rate until `stop`.
async fn produce(address: SocketAddr, began: Instant, rate: u64, stop: Arc<AtomicBool>) -> Outcome<u64> {
    let mut tasks = Vec::new();
    for connection in 0..CONNECTIONS as u64 {
        let mut poster = Poster::connect(address).await?;
        let stop = stop.clone();
        tasks.push(tokio::spawn(async move {
            let mut posts = connection;
            while !stop.load(Ordering::Relaxed) {
                let due = Duration::from_micros(posts * BATCH * 1_000_000 / rate);
                tokio::time::sleep_until((began + due).into()).await;
                let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis();
                let mut body = Vec::with_capacity(64 * BATCH as usize);
                for i in 0..BATCH {
                    // The last event of a post tells when it was meant to be sent.
                    let sent = if i + 1 == BATCH { due.as_micros() as u64 + 1 } else { 0 };
                    let line = format!("{{\"metric\":\"m{i}\",\"value\":{}.5,\"ts\":{now},\"sent\":{sent}}}\n", i % 97);
                    body.extend_from_slice(line.as_bytes());
                }
                poster.post(&request(address, "events", &body)).await?;
                posts += CONNECTIONS as u64;
            }
            Outcome::Ok(posts / CONNECTIONS as u64)
        }));
    }
    let mut posts = 0;
    for task in tasks {
        posts += task.await??;
    }
    Ok(posts * BATCH)
}

/// The sum of a counter over its labels.
fn counter(address: SocketAddr, name: &str) -> Outcome<f64> {
    let (_, text) = get(address, "/metrics")?;
    let lines = text.lines().filter(|l| l.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
    Ok(lines.filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum())
}

fn main() -> Outcome<ExitCode> {
    let (seconds, rate): (u64, u64) = (option("seconds", 600)?, option("rate", 300_000)?);
    let viewers: usize = option("viewers", 100)?;
    println!("steady: {rate} events/s for {seconds} s, {viewers} viewers; {}", process::machine());
    let dir = tempfile::tempdir()?;
    let server = Server::tidewire(dir.path(), CONFIGURATION)?;
    let subscribe = [
        r#"{"op":"subscribe","ref":1,"feed":"load_10s","max_rate":10}"#,
        r#"{"op":"subscribe","ref":2,"feed":"clock"}"#,
    ];
    let watching = Viewers::marked(server.address, viewers, Way::Socket(&subscribe), r#"[["x","#)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (stop, began, cpu) = (Arc::new(AtomicBool::new(false)), Instant::now(), server.cpu()?);
    let producing = runtime.spawn(produce(server.address, began, rate, stop.clone()));

    // The first seconds fill buffers and caches.
    let warm = Duration::from_secs((seconds / 10).clamp(2, 60));
    let (mut memory, mut ages) = (Vec::new(), Vec::new());
    while began.elapsed() < Duration::from_secs(seconds) {
        std::thread::sleep(Duration::from_millis(97));
        if began.elapsed() < warm {
            continue;
        }
        let now = began.elapsed().as_micros() as u64;
        ages.extend(watching.received.marks.iter().map(|m| now.saturating_sub(m.load(Ordering::Relaxed))));
        memory.push(process::resident(server.pid())?);
    }
    let cores = server.cpu()?.saturating_sub(cpu).as_secs_f64() / began.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    let events = runtime.block_on(producing)??;
    let resets = counter(server.address, "tidewire_resets_total")?;
    ages.sort_unstable();
    let age = |share: f64| ages[((ages.len() as f64 * share) as usize).min(ages.len() - 1)] as f64 / 1000.0;
    let most = |part: &[u64]| part.iter().copied().max().unwrap_or(0) as f64 / 1e6;
    let (first, second) = memory.split_at(memory.len() / 2);
    println!(
        "{:.0} events/s, server {cores:.2} cores; memory at most {:.0} MB, then {:.0} MB; \
         a viewer's newest event: p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms old; resets {resets}",
        events as f64 / seconds as f64,
        most(first),
        most(second),
        age(0.5),
        age(0.99),
        age(1.0),
    );
    let behind = ages.iter().filter(|us| **us > CURRENT.as_micros() as u64).count();
    if behind > 0 {
        println!("{behind} of {} looks found a viewer more than {} ms behind", ages.len(), CURRENT.as_millis());
    }
    let good = resets == 0.0 && behind == 0 && most(second) <= most(first) * FLAT;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
