//! Another configuration while the server runs.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use client::{Client, Event, Options};
use serde_json::{Value, json};

use super::{
    life::{runtime, stream},
    logs::{said, wait_until_said},
    server::Server,
};

/// How long something may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

const DASHBOARD: &str = "
dashboards:
  ops:
    title: TITLE
    panels: [{ title: Load, feed: load, type: table }]
";

fn with_title(title: &str) -> String {
    stream(DASHBOARD).replace("TITLE", title)
}

/// As editors do it: a new file takes the old one's place.
fn write(dir: &Path, config: &str) {
    let (new, path) = (dir.join("new"), dir.join("tidewire.yaml"));
    std::fs::write(&new, config).expect("a file");
    std::fs::rename(&new, &path).expect("the same directory");
}

fn get(server: &Server, path: &str) -> (u16, String) {
    let answer = reqwest::blocking::get(format!("{}{path}", server.url())).expect("it answers");
    (answer.status().as_u16(), answer.text().expect("a body"))
}

fn title(server: &Server) -> Value {
    let described: Value = serde_json::from_str(&get(server, "/v1/dashboards/ops").1).expect("JSON");
    described["title"].clone()
}

fn wait_for_title(server: &Server, wanted: &str) {
    let began = Instant::now();
    while title(server) != wanted {
        assert!(began.elapsed() < PATIENCE, "the title stays {}", title(server));
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn metric(server: &Server, name: &str) -> String {
    let metrics = get(server, "/metrics").1;
    let line = metrics.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}"));
    line.rsplit(' ').next().unwrap_or_default().to_owned()
}

#[test]
fn dashboards_change_and_no_socket_closes() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (server, log) = Server::start_logging(dir.path(), &with_title("Before"));
    let runtime = runtime();
    let mut feed = runtime.block_on(async {
        let client = Client::connect(Options::new(server.url())).await.expect("it listens");
        client.subscribe("load", None).await.expect("the feed exists")
    });
    assert_eq!(title(&server), "Before");
    assert_eq!(metric(&server, "tidewire_config_last_reload_ok"), "1");

    // Lines that only move change no stream and no feed.
    write(dir.path(), &format!("# A line more.\n{}", with_title("After")));
    wait_for_title(&server, "After");
    assert_eq!(wait_until_said(&log, &["loaded again", "dashboard `ops`"])["level"], "INFO");
    assert!(!std::fs::read_to_string(&log).expect("the log").contains("restart"));

    server.hang_up();
    wait_until_said(&log, &["nothing has changed"]);
    assert_eq!(metric(&server, "tidewire_config_reloads_total{result=\"applied\"}"), "2");

    // Not by SIGHUP alone: limits hold, too, and the socket is the same.
    write(dir.path(), &format!("{}limits: {{ max_body: 1KiB }}\n", with_title("After")));
    wait_until_said(&log, &["loaded again", "`limits`"]);
    let http = reqwest::blocking::Client::new();
    let post = |body: String| {
        let request = http.post(format!("{}/v1/streams/events", server.url()));
        request.header("content-type", "application/json").body(body).send().expect("it answers").status()
    };
    assert_eq!(post(json!({"metric": "a".repeat(2_000), "value": 1, "ts": 1}).to_string()), 413);
    assert_eq!(post(json!({"metric": "a", "value": 1, "ts": 1}).to_string()), 200);
    runtime.block_on(async {
        while feed.table().is_empty() {
            let event = tokio::time::timeout(PATIENCE, feed.next()).await.expect("a row").expect("an event");
            assert!(!matches!(event, Event::Disconnected { .. }), "{event:?}");
        }
    });
}

#[test]
fn a_broken_configuration_is_told_with_its_place_and_the_old_one_goes_on() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (server, log) = Server::start_logging(dir.path(), &with_title("Good"));
    write(dir.path(), &with_title("Bad").replace("avg(value)", "avrage(value)").replace("keep: 365d", "keeep: 365d"));
    wait_until_said(&log, &["the configuration is refused", "the old one goes on"]);
    let place = format!("{}:", dir.path().join("tidewire.yaml").display());
    let problem = wait_until_said(&log, &[&place, "keeep"]);
    assert_eq!(problem["level"], "ERROR");
    assert_eq!(metric(&server, "tidewire_config_last_reload_ok"), "0");
    assert_eq!(metric(&server, "tidewire_config_reloads_total{result=\"refused\"}"), "1");
    assert_eq!(title(&server), "Good");

    // Gone is no configuration either; neither is an empty one.
    std::fs::remove_file(dir.path().join("tidewire.yaml")).expect("it goes");
    wait_until_said(&log, &["no such file"]);
    write(dir.path(), "");
    let refused = |text: &str| said(&log).iter().filter(|l| l.to_string().contains(text)).count();
    let began = Instant::now();
    while refused("the configuration is refused") < 3 {
        assert!(began.elapsed() < PATIENCE, "an empty file is refused");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!((title(&server), get(&server, "/readyz").0), ("Good".into(), 200));

    write(dir.path(), &with_title("Mended"));
    wait_for_title(&server, "Mended");
    assert_eq!(metric(&server, "tidewire_config_last_reload_ok"), "1");
}

#[test]
fn what_needs_a_restart_is_named_and_the_rest_holds() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (mut server, log) = Server::start_logging(dir.path(), &with_title("Before"));
    let more = "
  more:
    source: { type: http }
    schema: { a: text }
";
    let config = with_title("After")
        .replace("\nfeeds:", &format!("{more}feeds:"))
        .replace("avg(value) AS value", "avg(value) AS value, max(value) AS most")
        .replace("365d", "1d");
    let new =
        format!("{config}  new:\n    panels: [{{ feed: fresh, type: table }}]\nlimits: {{ max_pending: 512MiB }}\n")
            .replace("dashboards:", "  fresh: { sql: SELECT metric FROM events }\ndashboards:")
            + "cors: [\"https://ops.example\"]\n";
    write(dir.path(), &new);
    let told = wait_until_said(&log, &["needs a restart"]);
    assert_eq!(told["level"], "WARN");
    let told = told["message"].as_str().unwrap_or_default();
    for name in [
        "stream `more` (new)",
        "feed `load`",
        "feed `fresh` (new)",
        "dashboard `ops`",
        "dashboard `new`",
        "`limits.max_pending`",
    ] {
        assert!(told.contains(name), "{name}: {told}");
    }
    assert!(!told.contains("`events`"), "{told}");
    wait_until_said(&log, &["loaded again", "`cors`"]);
    assert_eq!(metric(&server, "tidewire_config_restart_needed"), "1");
    assert_eq!((title(&server), get(&server, "/v1/dashboards/new").0), ("Before".into(), 404));
    assert_eq!(get(&server, "/v1/streams/more/dead-letters").0, 404);

    assert_eq!(server.terminate().0, Some(0));
    server.restart();
    assert_eq!((title(&server), get(&server, "/v1/dashboards/new").0), ("After".into(), 200));
    assert_eq!(metric(&server, "tidewire_config_restart_needed"), "0");
}

#[test]
fn the_limits_of_queries_hold_for_the_next_one() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(dir.path(), &with_title("One"));
    let client = reqwest::blocking::Client::new();
    let events: Vec<Value> = (0..20).map(|i| json!({ "metric": format!("m{i}"), "value": 1, "ts": i })).collect();
    let post = client.post(format!("{}/v1/streams/events", server.url())).json(&events);
    let answer = post.send().expect("it answers");
    assert!(answer.status().is_success(), "{:?}", answer.text());
    let rows = || {
        let request = client.post(format!("{}/v1/query", server.url())).json(&json!({ "sql": "SELECT * FROM load" }));
        let answer: Value = request.send().expect("it answers").json().expect("JSON");
        (answer["rows"].clone(), answer["truncated"].clone())
    };
    let wait_for_rows = |wanted: (Value, Value)| {
        let began = Instant::now();
        while rows() != wanted {
            assert!(began.elapsed() < PATIENCE, "{:?}", rows());
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    wait_for_rows((json!(20), json!(false)));
    write(dir.path(), &format!("limits: {{ query_rows: 7 }}\n{}", with_title("One")));
    wait_for_rows((json!(7), json!(true)));
}
