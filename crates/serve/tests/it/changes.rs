//! Another configuration while the server runs: dashboards, limits and origins hold at once,
//! and nobody is cut off.

use config::{Dashboard, Limits, PanelKind, Place};
use reqwest::{Client, Response};
use serve::Settings;
use tokio::io::AsyncWriteExt;

use crate::{
    memory::Memory,
    support::{Server, connect, metric, options, read_head, start_over, until},
    updates::{next, open, panel},
};

fn dashboard(name: &str, feed: &str, y: &str) -> Dashboard {
    let place = Place { file: "test.yaml".into(), line: 1, column: 1 };
    let panels = vec![panel(feed, PanelKind::Line, Some("k"), &[y], Some("note"))];
    Dashboard {
        name: name.to_owned(),
        title: "Another".to_owned(),
        range: std::time::Duration::from_mins(15),
        place,
        panels,
    }
}

fn settings(dashboards: Vec<Dashboard>) -> Settings {
    Settings { limits: options().limits, cors: options().cors, dashboards }
}

async fn described(server: &Server, name: &str, held: &str) -> Response {
    let request = Client::new().get(server.url(&format!("/v1/dashboards/{name}")));
    request.header("if-none-match", held).send().await.unwrap()
}

fn tag(answer: &Response) -> String {
    answer.headers()["etag"].to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_dashboard_holds_for_who_comes_and_its_tag_tells_the_others() {
    let panels = vec![panel("changed", PanelKind::Line, Some("k"), &["value"], Some("note"))];
    let server = start_over(Memory::with_panels(&["changed"], panels), |_| {}).await;
    let mut old = open(&server, "/dashboard/changed").await;
    let before = tag(&described(&server, "changed", "").await);
    assert_eq!(described(&server, "changed", &before).await.status(), 304);

    let two = vec![dashboard("added", "changed", "value"), dashboard("changed", "changed", "k")];
    server.changes.send(settings(two)).await.unwrap();
    let mut answer = described(&server, "changed", &before).await;
    while answer.status() == 304 {
        answer = described(&server, "changed", &before).await;
    }
    assert_ne!(tag(&answer), before);
    assert!(answer.text().await.unwrap().contains(r#""title":"Another""#));
    assert_eq!(described(&server, "added", "").await.status(), 200);

    let mut new = open(&server, "/dashboard/changed").await;
    let label = "dashboard_id=\"changed\"";
    until("both are counted", || metric("dashboard_active_connections", label) == 2).await;
    server.memory.put(0, 3, 1.5, "cpu");
    let (old_update, new_update) = (next(&mut old).await, next(&mut new).await);
    assert_eq!((&old_update["column"], &old_update["value"]), (&"value".into(), &1.5.into()));
    assert_eq!((&new_update["column"], &new_update["value"]), (&"k".into(), &3.into()));

    server.changes.send(settings(vec![])).await.unwrap();
    while described(&server, "changed", "").await.status() == 200 {}
    server.memory.put(0, 4, 2.5, "cpu");
    let mut update = next(&mut old).await;
    while update["timestamp"] != 4 {
        update = next(&mut old).await;
    }
    drop((old, new));
    until("both are gone", || metric("dashboard_active_connections", label) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_origins_hold_at_once() {
    let server = start_over(Memory::new(&["limited"]), |_| {}).await;
    let post = |origin: &'static str| {
        let request = Client::new().post(server.url("/v1/streams/events")).header("content-type", "application/json");
        async move { request.header("origin", origin).body(r#"{"k":1}"#).send().await.unwrap() }
    };
    let (new, old) = ("https://new.example", "https://ops.example");
    assert_eq!((post(new).await.status().as_u16(), post(old).await.status().as_u16()), (403, 200));
    let limits = Limits { max_body: 5, ..options().limits };
    let cors = vec![new.to_owned()];
    server.changes.send(Settings { limits, cors, dashboards: vec![] }).await.unwrap();
    while post(old).await.status() != 403 {}
    let refused = post(new).await;
    assert_eq!(refused.status(), 413);
    assert_eq!(refused.headers()["access-control-allow-origin"], new);
    let mut socket = server.client().await;
    let limits = Limits { max_connections: 1, ..options().limits };
    server.changes.send(Settings { limits, cors: vec![], dashboards: vec![] }).await.unwrap();
    loop {
        let mut other = connect(server.address, None).await;
        other.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        if read_head(&mut other).await.starts_with("HTTP/1.1 429") {
            break;
        }
    }
    // Who is connected stays.
    socket.subscribe(1, "limited", None).await;
}
