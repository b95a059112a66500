//! Memory: what feeds may hold, and what they do when it is full.

use serde_json::{Value, json};

use super::{
    life::wait_for,
    server::{Server, lines},
};

const CONFIG: &str = "
streams:
  events:
    source: { type: http }
    schema: { user: text, note: text }
feeds:
  users:
    sql: SELECT user, count(*) AS n FROM events GROUP BY user
    max_memory: 1MiB
  last:
    sql: SELECT user, note FROM events
    key: [user]
    max_memory: 1MiB
  refused:
    sql: SELECT reason, feed, count(*) AS n FROM events_dead_letters GROUP BY reason, feed
";

fn post(server: &Server, users: std::ops::Range<u32>) {
    let events: Vec<Value> =
        users.map(|n| json!({ "user": format!("a user with the number {n:06}"), "note": "n".repeat(100) })).collect();
    let request = reqwest::blocking::Client::new().post(format!("{}/v1/streams/events", server.url()));
    let answer =
        request.header("content-type", "application/x-ndjson").body(lines(&events)).send().expect("it answers");
    assert_eq!(answer.status(), 200, "{answer:?}");
}

fn metric(server: &Server, name: &str) -> u64 {
    let text = reqwest::blocking::get(format!("{}/metrics", server.url())).expect("it answers").text().expect("text");
    // What was never counted is not there.
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or("0");
    line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).expect("a number") as u64
}

/// A tick of nothing but refused rows keeps letters of some, and counts all.
#[test]
fn more_than_there_are_letters_for_is_counted() {
    let config = "
streams:
  events:
    source: { type: http }
    schema: { ts: timestamp }
    event_time: { column: ts, max_lateness: 0s, max_ahead: off }
feeds:
  windows:
    sql: SELECT window_start, count(*) AS n FROM TUMBLE(events, ts, INTERVAL '1 second') GROUP BY window_start
  refused: { sql: 'SELECT reason, count(*) AS n FROM events_dead_letters GROUP BY reason' }
";
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(dir.path(), config);
    let post = |body: String| {
        let request = reqwest::blocking::Client::new().post(format!("{}/v1/streams/events", server.url()));
        request.header("content-type", "text/csv").body(body).send().expect("it answers")
    };
    assert_eq!(post("ts\n1000000\n".to_owned()).status(), 200);
    assert_eq!(post(format!("ts\n{}", "1\n".repeat(250_000))).status(), 200);
    let began = std::time::Instant::now();
    while metric(&server, "tidewire_dead_letters_total{stream=\"events\",reason=\"late\"}") < 250_000 {
        assert!(began.elapsed().as_secs() < 30);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let refused = wait_for(&server, "refused", |rows| !rows.is_empty());
    assert_eq!(refused, [[json!("late"), json!(100_000)]]);
}

#[test]
fn a_full_feed_refuses_new_groups_or_lets_its_oldest_rows_go() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut server = Server::start(dir.path(), CONFIG);
    for step in 0..20 {
        post(&server, step * 1000..(step + 1) * 1000);
    }
    // Whoever was there first is counted on; the others are told.
    let full = |rows: &[Vec<Value>]| rows.iter().filter_map(|row| row[2].as_u64()).sum::<u64>() > 15_000;
    let refused = wait_for(&server, "refused", full);
    assert_eq!(refused[0][..2], [json!("feed_too_large"), json!("users")], "{refused:?}");
    wait_for(&server, "last", |rows| rows.iter().any(|row| row[0] == "a user with the number 019999"));
    let users = wait_for(&server, "users", |_| true);
    let refused = wait_for(&server, "refused", |_| true)[0][2].as_u64().expect("a count");
    assert_eq!(users.len() as u64 + refused, 20_000);

    // The newest rows are there.
    let last = wait_for(&server, "last", |rows| !rows.is_empty());
    assert!((2_000..10_000).contains(&last.len()), "{}", last.len());
    assert!(last.iter().any(|row| row[0] == "a user with the number 019999"));

    // A restart comes to the same, and goes on alike.
    server.kill();
    server.restart();
    assert_eq!(wait_for(&server, "users", |_| true), users);
    assert_eq!(wait_for(&server, "last", |_| true), last);
    post(&server, 0..1);
    wait_for(&server, "users", |rows| rows[0][1] == 2);
    post(&server, 20_000..20_100);
    let began = std::time::Instant::now();
    while metric(&server, "tidewire_rows_evicted_total{feed=\"last\"}") < 100 {
        assert!(began.elapsed().as_secs() < 20);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    for feed in ["users", "last"] {
        let held = metric(&server, &format!("tidewire_feed_memory_bytes{{feed=\"{feed}\"}}"));
        // Groups may go beyond their part by what one tick brings.
        assert!((300 << 10..1200 << 10).contains(&held), "{feed}: {held}");
    }
    assert_eq!(metric(&server, "tidewire_pending_bytes{stream=\"events\"}"), 0);
}
