//! From the moment an event is meant to be sent to its frame at a viewer.
//!
//! `delivery [--rate 1000] [--seconds 20]`: single posts at a fixed rate, whatever the server
//! does, kept on the disk (fsync) before they are acknowledged; a viewer by WebSocket, and one
//! by SSE. Beside them what writing and syncing one such event takes.

use std::{
    fs::File,
    io::Write,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bench::{
    Outcome,
    args::option,
    poster::{Poster, request},
    process,
    server::Server,
};
use client::{Client, Event, Options};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    sync::mpsc,
};

/// Connections that post in turn, so that one slow answer does not hold up the next event.
const CONNECTIONS: usize = 64;

const CONFIGURATION: &str = "streams:
  events:
    source: { type: http }
    schema: { k: bigint, sent: bigint }
feeds:
  latest: { sql: 'SELECT k, sent FROM events', key: [k] }
";

/// Microseconds since the run began, sorted.
struct Times(Vec<u64>);

impl Times {
    fn new(mut micros: Vec<u64>) -> Self {
        micros.sort_unstable();
        Self(micros)
    }

    fn at(&self, share: f64) -> f64 {
        let index = ((self.0.len() as f64 * share) as usize).min(self.0.len().saturating_sub(1));
        self.0.get(index).map_or(f64::NAN, |us| *us as f64 / 1000.0)
    }

    fn print(&self, what: &str) {
        println!(
            "{what}: {} events, p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, most {:.2} ms",
            self.0.len(),
            self.at(0.5),
            self.at(0.99),
            self.at(0.999),
            self.at(1.0)
        );
    }
}

/// Posts event after event, each at its time.
async fn produce(address: SocketAddr, began: Instant, rate: u64, count: u64) -> Outcome {
    let mut queues = Vec::new();
    let mut tasks = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut poster = Poster::connect(address).await?;
        let (queue, mut due) = mpsc::unbounded_channel::<Vec<u8>>();
        queues.push(queue);
        tasks.push(tokio::spawn(async move {
            while let Some(request) = due.recv().await {
                poster.post(&request).await?;
            }
            Outcome::Ok(())
        }));
    }
    // A thread's sleep ends within tens of microseconds; the runtime's timers tick by the millisecond.
    let clock = std::thread::spawn(move || {
        for i in 0..count {
            let sent = Duration::from_micros(i * 1_000_000 / rate);
            std::thread::sleep((began + sent).saturating_duration_since(Instant::now()));
            let body = format!("{{\"k\":{i},\"sent\":{}}}\n", sent.as_micros());
            let due = request(address, "events", body.as_bytes());
            if queues[i as usize % CONNECTIONS].send(due).is_err() {
                return; // The connection's task failed, and says so.
            }
        }
    });
    for task in tasks {
        task.await??;
    }
    clock.join().map_err(|_| "the clock's thread panicked")?;
    Ok(())
}

/// The delays of a WebSocket viewer.
async fn watch(address: SocketAddr, began: Instant, count: u64) -> Outcome<Vec<u64>> {
    let client = Client::connect(Options::new(format!("http://{address}"))).await?;
    let mut feed = client.subscribe("latest", None).await?;
    let mut delays = Vec::new();
    while (delays.len() as u64) < count {
        if let Event::Delta { upserts, .. } = feed.next().await? {
            let now = began.elapsed().as_micros() as u64;
            delays.extend(upserts.iter().filter_map(|row| Some(now.saturating_sub(row[1].as_u64()?))));
        }
    }
    Ok(delays)
}

/// The delays of a viewer by SSE.
async fn listen(address: SocketAddr, began: Instant, count: u64) -> Outcome<Vec<u64>> {
    let mut stream = TcpStream::connect(address).await?;
    let ask = format!("GET /v1/feeds/latest HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\n\r\n");
    stream.write_all(ask.as_bytes()).await?;
    let mut lines = BufReader::new(stream).lines();
    let mut delays = Vec::new();
    while (delays.len() as u64) < count {
        let line = lines.next_line().await?.ok_or("the server ended the events")?;
        let Some(data) = line.strip_prefix("data:") else { continue };
        let frame: serde_json::Value = serde_json::from_str(data)?;
        let now = began.elapsed().as_micros() as u64;
        let rows = frame["upsert"].as_array().map_or(&[][..], Vec::as_slice);
        delays.extend(rows.iter().filter_map(|row| Some(now.saturating_sub(row[1].as_u64()?))));
    }
    Ok(delays)
}

/// What writing and syncing one event takes.
fn floor(count: u64) -> Outcome<Times> {
    let dir = tempfile::tempdir()?;
    let mut file = File::create(dir.path().join("floor"))?;
    let mut times = Vec::new();
    for _ in 0..count {
        let began = Instant::now();
        file.write_all(&[b'x'; 52])?;
        file.sync_data()?;
        times.push(began.elapsed().as_micros() as u64);
    }
    Ok(Times::new(times))
}

fn main() -> Outcome {
    let (rate, seconds): (u64, u64) = (option("rate", 1_000)?, option("seconds", 20)?);
    let count = rate * seconds;
    println!("delivery: {rate} posts a second for {seconds} s, durability fsync; {}", process::machine());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for by in ["WebSocket", "SSE"] {
        let dir = tempfile::tempdir()?;
        let server = Server::tidewire(dir.path(), CONFIGURATION)?;
        let delays = runtime.block_on(async {
            // The viewer is there before the first event.
            let began = Instant::now() + Duration::from_millis(500);
            let address = server.address;
            let viewer = tokio::spawn(async move {
                if by == "SSE" { listen(address, began, count).await } else { watch(address, began, count).await }
            });
            produce(address, began, rate, count).await?;
            viewer.await?
        })?;
        Times::new(delays).print(by);
    }
    floor(2_000)?.print("writing and syncing one such event alone");
    Ok(())
}
