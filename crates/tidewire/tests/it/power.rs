//! A power cut takes what was not synced: with `fsync` nothing that was acknowledged,
//! with `process` perhaps the tail; viewers start anew, because what they saw may be gone.
//!
//! The server runs in this test's own program, started once more, on a SQLite VFS that
//! keeps beside the files what was synced of them.

use std::{
    path::Path,
    process::{Child, Command},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use client::{Http, Table};

use super::{
    crash::{CONFIG, options, produce},
    server::launch,
};

/// Tells the program that it is the server: where it listens, and the test's directory.
const SERVER: &str = "TIDEWIRE_TEST_SERVER";

/// While a file of this name is there, the server's disk is full.
const FULL: &str = "full";

const POWER_CUTS: usize = 4;

/// Not a test of its own: the body of the server process that the tests below start.
#[test]
fn server_process() {
    let Ok(arguments) = std::env::var(SERVER) else { return };
    let (listen, dir) = arguments.split_once(' ').expect("an address and a directory");
    let dir = Path::new(dir);
    let disk = powercut::register("power", &dir.join("durable")).expect("the VFS registers");
    let full = dir.join(FULL);
    std::thread::spawn(move || {
        loop {
            disk.fail_writes_with_full(full.exists());
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let (config, data) = (dir.join("tidewire.yaml"), dir.join("data"));
    let args = ["tidewire", "serve", "--listen", listen, "-c"].map(Into::into);
    let more = [config.into_os_string(), "--data-dir".into(), data.into_os_string()];
    let code = tidewire::run_on(args.into_iter().chain(more), Some("power"));
    assert_eq!(code, std::process::ExitCode::SUCCESS);
}

fn start(dir: &Path, listen: &str) -> (Child, String) {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "power::server_process", "--nocapture"]);
    command.env("TIDEWIRE_LOG", "warn").env(SERVER, format!("{listen} {}", dir.display()));
    launch(command)
}

/// The machine starts again: with what was synced, and another boot id.
fn cut_power(dir: &Path, server: &mut Child) {
    let _ = server.kill();
    let _ = server.wait();
    let data = dir.join("data");
    powercut::power_cut(&dir.join("durable"), &data).expect("the copies are there");
    let log = rusqlite::Connection::open(data.join("log.sqlite")).expect("the log");
    let changed = log.execute("UPDATE meta SET value = 'another boot' WHERE key = 'boot'", []).expect("its meta");
    assert_eq!(changed, 1, "the log remembers the boot it ran in");
}

/// Runs producers over power cuts. Gives back how many events were acknowledged and how
/// many the totals hold at the end, with every epoch that was seen.
fn over_power_cuts(durability: &str) -> (u64, u64, Vec<String>) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(dir.path().join("tidewire.yaml"), format!("durability: {durability}\n{CONFIG}")).expect("a file");
    let (mut server, address) = start(dir.path(), "127.0.0.1:0");
    let url = format!("http://{address}");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(AtomicU64::new(0));
    let producers: Vec<_> =
        (0..2).map(|p| runtime.spawn(produce(p, url.clone(), 7, stop.clone(), acknowledged.clone()))).collect();
    let http = Http::new(&options(&url)).expect("a good address");
    let totals = || runtime.block_on(http.snapshot("totals")).expect("the feed is served");
    let mut epochs = vec![epoch(&totals())];
    for round in 0..POWER_CUTS {
        std::thread::sleep(Duration::from_millis(300 + 700 * round as u64));
        cut_power(dir.path(), &mut server);
        (server, _) = start(dir.path(), &address);
        epochs.push(epoch(&totals()));
    }
    stop.store(true, Ordering::Relaxed);
    runtime.block_on(async {
        for producer in producers {
            producer.await.expect("a producer ends well");
        }
    });
    let acknowledged = acknowledged.load(Ordering::Relaxed);
    let held = held(acknowledged, totals);
    let _ = server.kill();
    let _ = server.wait();
    (acknowledged, held, epochs)
}

/// How many events the totals hold: the last acknowledged ones show within a tick.
fn held(acknowledged: u64, totals: impl Fn() -> Table) -> u64 {
    let mut held = 0;
    for _ in 0..250 {
        held = totals().rows().map(|row| row[1].as_u64().unwrap_or(0)).sum();
        if held >= acknowledged {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    held
}

/// The part of a cursor that names the epoch.
fn epoch(table: &Table) -> String {
    let cursor = table.cursor().expect("a snapshot has a cursor");
    let epoch = cursor.split('-').next().unwrap_or_default().to_owned();
    assert!(!epoch.is_empty());
    epoch
}

fn all_differ(epochs: &[String]) {
    let mut sorted = epochs.to_vec();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), epochs.len(), "a new epoch after each power cut: {epochs:?}");
}

#[test]
fn fsync_loses_nothing_that_was_acknowledged() {
    let (acknowledged, held, epochs) = over_power_cuts("fsync");
    assert!(acknowledged > 0);
    assert_eq!(held, acknowledged);
    all_differ(&epochs);
}

#[test]
fn process_may_lose_the_tail_and_says_so_with_a_new_epoch() {
    let (acknowledged, held, epochs) = over_power_cuts("process");
    assert!(held <= acknowledged, "{held} of {acknowledged}: nothing counts twice");
    all_differ(&epochs);
}

#[test]
fn a_full_disk_refuses_events_serves_on_and_takes_them_again() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(dir.path().join("tidewire.yaml"), CONFIG).expect("a file");
    let (mut server, address) = start(dir.path(), "127.0.0.1:0");
    let url = format!("http://{address}");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let producer = runtime.spawn(produce(0, url.clone(), 7, stop.clone(), acknowledged.clone()));
    let http = Http::new(&options(&url)).expect("a good address");
    let totals = || runtime.block_on(http.snapshot("totals")).expect("the feed is served");
    let get = |path: &str| reqwest::blocking::get(format!("{url}{path}")).expect("it answers");
    std::thread::sleep(Duration::from_millis(500));

    std::fs::write(dir.path().join(FULL), "").expect("a file");
    std::thread::sleep(Duration::from_millis(100));
    let before = acknowledged.load(Ordering::Relaxed);
    assert!(before > 0);
    let client = reqwest::blocking::Client::new();
    let request = client.post(format!("{url}/v1/streams/events")).header("content-type", "application/json");
    let refused = request.body("{\"metric\":\"m0\",\"ts\":1}").send().expect("it answers");
    assert_eq!(refused.status().as_u16(), 507);
    assert!(refused.text().expect("a body").contains("\"code\":\"disk_full\""));
    assert_eq!(get("/readyz").status().as_u16(), 503);
    assert_eq!(get("/livez").status().as_u16(), 200);
    // Longer than a checkpoint: that waits too, and nothing of it is lost.
    std::thread::sleep(Duration::from_millis(2_500));
    assert_eq!(acknowledged.load(Ordering::Relaxed), before, "nothing is acknowledged that is not kept");
    assert_eq!(held(before, totals), before);
    assert!(get("/metrics").text().expect("a body").contains("tidewire_checkpoint_failing 1"));

    std::fs::remove_file(dir.path().join(FULL)).expect("it goes");
    std::thread::sleep(Duration::from_secs(2));
    assert!(acknowledged.load(Ordering::Relaxed) > before, "it takes events again by itself");
    assert_eq!(get("/readyz").status().as_u16(), 200);
    cut_power(dir.path(), &mut server);
    (server, _) = start(dir.path(), &address);
    stop.store(true, Ordering::Relaxed);
    runtime.block_on(producer).expect("the producer ends well");
    let acknowledged = acknowledged.load(Ordering::Relaxed);
    assert_eq!(held(acknowledged, totals), acknowledged);
    let _ = server.kill();
    let _ = server.wait();
}
