//! How fast NDJSON, and the same records in MessagePack, become columns, in CPU time of one thread:
//! `cargo run --release -p sources --example decode_speed`.
//!
//! Two kinds of lines: short ones with a name, a number and a time, and longer ones with
//! a field that the stream does not read.

use std::io::Write;

use config::StreamColumn;
use model::DataType;
use sources::{Decoder, Format, Limits};

const LINES: usize = 2_000_000;
/// What a file source reads at once.
const PIECE: usize = 1 << 20;

fn main() {
    for padding in ["", r#""host":"web-01.zonea.example.org","#] {
        let lines = lines(padding);
        let bytes = lines.len() as f64 / LINES as f64;
        for (way, scan) in [("scan", true), ("careful", false)] {
            let best = (0..5).map(|_| nanoseconds(scan, &lines)).fold(f64::MAX, f64::min);
            println!("{bytes:.1} bytes a line, {way}: {best:.1} ns/line, {:.2} M events/s", 1000.0 / best);
        }
        let packed = packed(&lines);
        let bytes = packed.iter().map(Vec::len).sum::<usize>() as f64 / LINES as f64;
        let best = (0..5).map(|_| nanoseconds_packed(&packed)).fold(f64::MAX, f64::min);
        println!("{bytes:.1} bytes a map, MessagePack: {best:.1} ns/map, {:.2} M events/s", 1000.0 / best);
    }
}

fn decoder(scan: bool) -> Decoder {
    let column = |name: &str, data_type| StreamColumn {
        name: name.to_owned(),
        from: name.to_owned(),
        data_type,
        not_null: false,
    };
    let columns =
        [column("metric", DataType::Text), column("value", DataType::Double), column("ts", DataType::Timestamp)];
    let decoder = Decoder::new(&columns, Some("ts"), Limits::default());
    if scan { decoder } else { decoder.without_scan() }
}

fn lines(padding: &str) -> Vec<u8> {
    let mut lines = Vec::new();
    let mut x: u64 = 9;
    for i in 0..LINES as u64 {
        // xorshift64
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        let (metric, value, ts) = (x % 1000, (x % 100_000) as f64 / 1000.0, 1_700_000_000_000 + i / 20);
        writeln!(lines, r#"{{"metric":"m{metric:03}",{padding}"value":{value:.3},"ts":{ts}}}"#).expect("memory");
    }
    lines
}

/// Nanoseconds of CPU time a line, in pieces of whole lines as a file source has them.
fn nanoseconds(scan: bool, lines: &[u8]) -> f64 {
    let mut decoder = decoder(scan);
    let (mut rest, mut rows) = (lines, 0);
    let start = cpu_seconds();
    while !rest.is_empty() {
        let most = rest.len().min(PIECE);
        let end = memchr::memrchr(b'\n', &rest[..most]).map_or(most, |i| i + 1);
        rows += decoder.decode(Format::Ndjson, &rest[..end]).accepted;
        rest = &rest[end..];
    }
    let seconds = cpu_seconds() - start;
    assert_eq!(rows, LINES as u64, "every line is a record");
    seconds * 1e9 / LINES as f64
}

/// The same records in MessagePack, in pieces of 1,000.
fn packed(lines: &[u8]) -> Vec<Vec<u8>> {
    let lines: Vec<&[u8]> = lines.split(|b| *b == b'\n').filter(|line| !line.is_empty()).collect();
    let pack = |line: &&[u8]| {
        let record: serde_json::Value = serde_json::from_slice(line).expect("JSON");
        rmp_serde::to_vec(&record).expect("packs")
    };
    lines.chunks(1_000).map(|piece| piece.iter().flat_map(pack).collect()).collect()
}

/// Nanoseconds of CPU time a map.
fn nanoseconds_packed(pieces: &[Vec<u8>]) -> f64 {
    let mut decoder = decoder(true);
    let start = cpu_seconds();
    let rows: u64 = pieces.iter().map(|piece| decoder.decode(Format::MsgPack, piece).accepted).sum();
    let seconds = cpu_seconds() - start;
    assert_eq!(rows, LINES as u64, "every map is a record");
    seconds * 1e9 / LINES as f64
}

fn cpu_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of ours, for the time of the call.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    assert_eq!(result, 0, "the process has a CPU clock");
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
