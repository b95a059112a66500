//! The flights example, as its README says: three million real events pushed through the
//! binary, and every feed held against DuckDB over the original file.

use std::{path::Path, process::Command};

use client::{Http, Options};
use serde_json::Value;

use super::server::{Server, tidewire};

fn run(command: &mut Command, what: &str) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|e| panic!("{what}: {e}"));
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What DuckDB says of the original file: flights and mean delay by day, by airport, and by
/// day at four hubs, in the order of the feeds' keys.
const ORACLE: &str = "
import duckdb, json, sys
c = duckdb.connect()
c.execute(f\"CREATE VIEW flights AS SELECT *, epoch_ms(date) // 86400000 * 86400000 AS day FROM '{sys.argv[1]}'\")
rows = lambda sql: [list(r) for r in c.execute(sql).fetchall()]
print(json.dumps({
    'delay_by_day': rows('SELECT day, count(*), avg(delay), max(delay) FROM flights GROUP BY day ORDER BY day'),
    'busiest_airports': rows('''SELECT origin, count(*), avg(delay), 100.0 * count(*) FILTER (WHERE delay > 15) / count(*)
        FROM flights GROUP BY origin ORDER BY origin'''),
    'hubs_by_day': rows('''SELECT origin, day, avg(delay) FROM flights WHERE origin IN ('ATL', 'ORD', 'DFW', 'LAX')
        GROUP BY origin, day ORDER BY origin, day'''),
}))
";

#[test]
fn three_million_flights_are_counted_as_duckdb_counts_them() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/flights");
    let dir = tempfile::tempdir().expect("a temporary directory");
    for file in ["package.json", "package-lock.json", "prepare.py", "tidewire.yaml"] {
        std::fs::copy(example.join(file), dir.path().join(file)).expect("the example's files");
    }
    run(Command::new("npm").args(["ci", "--silent", "--no-audit", "--no-fund"]).current_dir(&dir), "npm ci");
    let python = std::env::var("TIDEWIRE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let events = run(Command::new(&python).arg(dir.path().join("prepare.py")), "prepare.py");
    let file = dir.path().join("flights.ndjson");
    std::fs::write(&file, &events).expect("a file");
    drop(events);

    let config = std::fs::read_to_string(dir.path().join("tidewire.yaml")).expect("the example's configuration");
    let server = Server::start(dir.path(), &config);
    let pushed = tidewire(&["push", "flights", &file.to_string_lossy(), "--url", &server.url()]);
    assert_eq!(pushed.code, Some(0), "{}", pushed.stderr);
    assert!(pushed.stdout.contains("3000000 accepted, 0 rejected"), "{}", pushed.stdout);

    let data = dir.path().join("node_modules/vega-datasets/data/flights-3m.parquet");
    let oracle: Value =
        serde_json::from_slice(&run(Command::new(&python).args(["-c", ORACLE]).arg(data), "DuckDB")).expect("JSON");
    let http = Http::new(&Options::new(server.url())).expect("a good address");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for (feed, expected) in oracle.as_object().expect("an object") {
        let expected = expected.as_array().expect("rows");
        let mut found = Vec::new();
        // The last events show within a tick of being accepted.
        for _ in 0..200 {
            let table = runtime.block_on(http.snapshot(feed)).expect("the feed is served");
            found = table.rows().map(|row| row.to_vec()).collect();
            found.sort_by_key(|row: &Vec<Value>| (row[0].to_string(), row.get(1).and_then(Value::as_i64)));
            if same(&found, expected) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        assert!(same(&found, expected), "{feed}: {} rows, DuckDB has {}", found.len(), expected.len());
    }
}

/// Whether the rows are the oracle's, doubles to 1e-9.
fn same(found: &[Vec<Value>], expected: &[Value]) -> bool {
    found.len() == expected.len()
        && found.iter().zip(expected).all(|(row, wanted)| {
            row.iter().zip(wanted.as_array().into_iter().flatten()).all(|(a, b)| match (a.as_f64(), b.as_f64()) {
                (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()),
                _ => a == b,
            })
        })
}
