//! Dead letters: read over HTTP and on the command line, watched by SQL, sent again once.

use serde_json::{Value, json};

use super::{
    life::wait_for,
    server::{Server, tidewire},
};

const CONFIG: &str = "
streams:
  orders:
    source: { type: http }
    schema: { id: { type: bigint, not_null: true }, amount: AMOUNT, ts: timestamp }
    event_time: { column: ts, max_lateness: 1s, max_ahead: off }
feeds:
  total: { sql: 'SELECT id > 0 AS ok, count(*) AS n, count(amount) AS amounts FROM orders GROUP BY id > 0' }
  per_window:
    sql: SELECT window_start, count(*) AS n FROM TUMBLE(orders, ts, INTERVAL '10 seconds') GROUP BY window_start
    keep: 365d
  refused: { sql: 'SELECT reason, feed, count(*) AS n FROM orders_dead_letters GROUP BY reason, feed' }
";

fn post(server: &Server, body: &str) -> reqwest::blocking::Response {
    post_as(server, "application/x-ndjson", body)
}

fn post_as(server: &Server, content_type: &str, body: &str) -> reqwest::blocking::Response {
    let client = reqwest::blocking::Client::new();
    let request = client.post(format!("{}/v1/streams/orders", server.url()));
    request.header("content-type", content_type).body(body.to_owned()).send().expect("it answers")
}

fn page(server: &Server, query: &str) -> Value {
    let url = format!("{}/v1/streams/orders/dead-letters{query}", server.url());
    reqwest::blocking::get(url).expect("it answers").json().expect("JSON")
}

/// The reasons of a page, in order.
fn reasons(page: &Value) -> Vec<&str> {
    page["dead_letters"].as_array().expect("a list").iter().filter_map(|l| l["reason"].as_str()).collect()
}

/// What ticks found is there with the next checkpoint.
fn wait_for_page(server: &Server, expected: &[&str]) -> Value {
    let began = std::time::Instant::now();
    loop {
        let found = page(server, "");
        if reasons(&found) == expected {
            return found;
        }
        assert!(began.elapsed().as_secs() < 20, "{found}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn dead_letters_are_read_watched_and_replayed_once() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut server = Server::start(dir.path(), &CONFIG.replace("AMOUNT", "bigint"));
    post(
        &server,
        "{\"id\":1,\"amount\":5,\"ts\":1000}\n{\"id\":2,\"amount\":1.5,\"ts\":1000}\n{\"id\":3,\"amount\":2.5,\"ts\":99000}\nnonsense\n",
    );
    post(&server, "{\"id\":4,\"amount\":5,\"ts\":99000}\n");
    post(&server, "{\"id\":5,\"amount\":5,\"ts\":1000}\n");

    post_as(&server, "text/csv", "ts,amount,id\n99000,3.5,6\n");

    // By SQL, in the same tick as everything else.
    let counted = |rows: &[Vec<Value>]| rows.iter().filter_map(|row| row[2].as_u64()).sum::<u64>();
    let refused = wait_for(&server, "refused", |rows| counted(rows) == 5);
    let expected = [
        [json!("late"), json!("per_window"), json!(1)],
        [json!("malformed"), Value::Null, json!(1)],
        [json!("wrong_type"), Value::Null, json!(3)],
    ];
    assert_eq!(refused, expected);

    // Over HTTP, by page and reason.
    let all = wait_for_page(&server, &["wrong_type", "late", "malformed", "wrong_type", "wrong_type"]);
    assert_eq!(all["dead_letters"][1]["feed"], "per_window");
    assert_eq!(all["dead_letters"][4]["raw"], "{\"id\":2,\"amount\":1.5,\"ts\":1000}");
    assert_eq!(all["next"], Value::Null);
    let csv = &all["dead_letters"][0];
    assert_eq!((&csv["format"], &csv["raw"]), (&json!("csv"), &json!("ts,amount,id\n99000,3.5,6")));
    let before = csv["id"].as_str().expect("an id");
    let first = page(&server, &format!("?limit=1&reason=wrong_type&before={before}"));
    assert_eq!(first["dead_letters"][0]["raw"], "{\"id\":3,\"amount\":2.5,\"ts\":99000}");
    let next = first["next"].as_str().expect("there is more");
    let second = page(&server, &format!("?limit=1&reason=wrong_type&before={next}"));
    assert_eq!(second["dead_letters"][0]["raw"], "{\"id\":2,\"amount\":1.5,\"ts\":1000}");
    assert_eq!(page(&server, "?reason=oops")["code"], "bad_request");
    assert_eq!(page(&server, "?before=oops")["code"], "bad_request");

    let shown = tidewire(&["dead-letters", "orders", "--reason", "malformed", "--url", &server.url()]);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    assert!(shown.stdout.contains("malformed") && shown.stdout.contains("    nonsense"), "{}", shown.stdout);

    // The schema is mended; what was refused for it is sent again.
    assert_eq!(server.terminate().0, Some(0));
    std::fs::write(dir.path().join("tidewire.yaml"), CONFIG.replace("AMOUNT", "double")).expect("a file");
    server.restart();
    let replay = || tidewire(&["replay", "orders", "--json", "--url", &server.url()]);
    let replayed: Value = serde_json::from_str(&replay().stdout).expect("JSON");
    assert_eq!((&replayed["replayed"], &replayed["refused"], &replayed["counted"]), (&json!(3), &json!(1), &json!(1)));
    assert!(replayed["first_refusal"].as_str().is_some_and(|why| why.contains("JSON")), "{replayed}");
    let rows = wait_for(&server, "total", |rows| rows.iter().any(|row| row[1] == 6));
    assert_eq!(rows, [[json!(true), json!(6), json!(6)]]);
    let again: Value = serde_json::from_str(&replay().stdout).expect("JSON");
    assert_eq!(again["replayed"], 0);

    // Also over a crash, before and behind a checkpoint.
    for pause in [0, 1_500] {
        std::thread::sleep(std::time::Duration::from_millis(pause));
        server.kill();
        server.restart();
        assert_eq!(wait_for(&server, "total", |_| true), [[json!(true), json!(6), json!(6)]]);
        let again = tidewire(&["replay", "orders", "--url", &server.url()]);
        assert!(again.stdout.starts_with("0 dead letters became events"), "{}", again.stdout);
        // One of the two is late by now.
        wait_for_page(&server, &["late", "late", "malformed"]);
    }
}
