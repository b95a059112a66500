//! CPU a delivery, over WebSocket and as server-sent events, beside a bare loop in the
//! same run.
//!
//! `fanout [--viewers 1000] [--rate 50] [--seconds 10]`: one event a post at `--rate`,
//! each changing one row that every viewer watches. The server's CPU is the operating
//! system's account of its whole process: the post, the commit, the tick and the sends.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::Command,
    sync::atomic::Ordering,
    thread::sleep,
    time::{Duration, Instant},
};

use bench::{
    Outcome,
    args::option,
    process,
    server::{Server, free_address, sibling},
    viewers::{Viewers, Way},
};

const CONFIGURATION: &str = "durability: process
streams:
  events:
    source: { type: http }
    schema: { metric: text, value: double, ts: timestamp }
feeds:
  latest:
    sql: SELECT metric, value, ts FROM events
    key: [metric]
";

/// What one server did.
struct Measured {
    posts: u64,
    frames: u64,
    bytes: u64,
    cpu: Duration,
    wall: Duration,
    resident: u64,
}

impl Measured {
    fn micros(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.frames.max(1) as f64
    }

    fn print(&self, name: &str) {
        println!(
            "{name:10} {:>8.0} deliveries/s  {:>6.2} µs CPU a delivery  {:>4} bytes each  {} posts  {} MiB resident",
            self.frames as f64 / self.wall.as_secs_f64(),
            self.micros(),
            self.bytes / self.frames.max(1),
            self.posts,
            self.resident >> 20,
        );
    }
}

/// A connection that posts, one after the other.
struct Publisher {
    reader: BufReader<TcpStream>,
    head: String,
}

impl Publisher {
    fn new(address: SocketAddr, path: &str) -> Outcome<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n");
        Ok(Self { reader: BufReader::new(stream), head })
    }

    fn post(&mut self, body: &str) -> Outcome {
        let request = format!("{}content-length: {}\r\n\r\n{body}", self.head, body.len());
        self.reader.get_mut().write_all(request.as_bytes())?;
        let (mut first, mut length) = (String::new(), 0);
        self.reader.read_line(&mut first)?;
        if !first.contains(" 200 ") {
            return Err(format!("the server answered {}", first.trim()).into());
        }
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line)? <= 2 {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        self.reader.read_exact(&mut vec![0; length])?;
        Ok(())
    }
}

const SOCKET: Way<'static> = Way::Socket(&[r#"{"op":"subscribe","ref":1,"feed":"latest"}"#]);
const EVENTS: Way<'static> = Way::Events("/v1/feeds/latest");

/// Posts at a rate while viewers watch.
fn measure(
    server: &Server,
    viewers: usize,
    way: Way,
    path: &str,
    rate: u32,
    seconds: u64,
    body: impl Fn(u64) -> String,
) -> Outcome<Measured> {
    let watch = Viewers::open(server.address, viewers, way)?;
    watch.settle();
    let mut publisher = Publisher::new(server.address, path)?;
    let counts = || (watch.received.frames.load(Ordering::Relaxed), watch.received.bytes.load(Ordering::Relaxed));
    let (before, cpu, began) = (counts(), server.cpu()?, Instant::now());
    let mut posts = 0;
    while began.elapsed() < Duration::from_secs(seconds) {
        publisher.post(&body(posts))?;
        posts += 1;
        let next = began + Duration::from_secs(1) * posts as u32 / rate;
        sleep(next.saturating_duration_since(Instant::now()));
    }
    let (wall, resident) = (began.elapsed(), process::resident(server.pid())?);
    watch.settle();
    let (after, cpu) = (counts(), server.cpu()?.saturating_sub(cpu));
    Ok(Measured { posts, frames: after.0 - before.0, bytes: after.1 - before.1, cpu, wall, resident })
}

fn main() -> Outcome {
    let (viewers, rate, seconds) = (option("viewers", 1000)?, option("rate", 50)?, option("seconds", 10)?);
    println!("fanout: {viewers} viewers, {rate} updates/s, {seconds} s; {}", process::machine());
    let event = |n: u64| format!(r#"{{"metric":"m{}","value":{}.5,"ts":{}}}"#, n % 10, n % 100, 1_700_000_000_000 + n);

    let dir = tempfile::tempdir()?;
    let server = Server::tidewire(dir.path(), CONFIGURATION)?;
    let path = "/v1/streams/events";
    let alone = measure(&server, 0, SOCKET, path, rate, seconds.min(5), event)?;
    let tidewire = measure(&server, viewers, SOCKET, path, rate, seconds, event)?;
    let events = measure(&server, viewers, EVENTS, path, rate, seconds, event)?;
    drop(server);

    let address = free_address()?;
    let mut command = Command::new(sibling("rawcast")?);
    command.arg(address.to_string());
    let server = Server::start(command, address, "/ready")?;
    // A frame of the same size: two or four bytes of it are the frame's head.
    let size = (tidewire.bytes / tidewire.frames.max(1)) as usize;
    let body = "x".repeat(size.saturating_sub(if size > 127 { 4 } else { 2 }).max(1));
    let floor = measure(&server, viewers, SOCKET, "/", rate, seconds, |_| body.clone())?;

    tidewire.print("tidewire");
    events.print("its events");
    floor.print("floor");
    let per_post = alone.cpu.as_secs_f64() * 1e6 / alone.posts.max(1) as f64;
    println!("without viewers a post, its commit and its tick take {per_post:.0} µs CPU (contained above)");
    println!("ratio to the floor: {:.2}", tidewire.micros() / floor.micros());
    println!("ratio of events to WebSocket: {:.2}", events.micros() / tidewire.micros());
    Ok(())
}
