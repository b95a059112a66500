//! `/dashboard/{id}` over WebSocket: plain updates for clients that know no protocol.

use std::{collections::BTreeMap, io::Read};

use config::{Combine, Panel, PanelKind, Place};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use crate::{
    memory::{Memory, Row},
    support::{LONG, Server, metric, start_over, until},
};

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub fn panel(feed: &str, kind: PanelKind, x: Option<&str>, y: &[&str], series: Option<&str>) -> Panel {
    Panel {
        title: "A panel".to_owned(),
        feed: feed.to_owned(),
        kind,
        x: x.map(str::to_owned),
        y: y.iter().map(|y| (*y).to_owned()).collect(),
        series: series.map(str::to_owned),
        columns: vec![],
        bars: vec![],
        only: BTreeMap::new(),
        combine: Combine::Last,
        compare: None,
        min: None,
        max: None,
        warn: None,
        bad: None,
        expect: None,
        sort: None,
        rows: None,
        unit: None,
        span: 6,
        place: Place { file: "test.yaml".into(), line: 1, column: 1 },
        named: vec![],
    }
}

async fn serve(feed: &str, panels: Vec<Panel>) -> Server {
    start_over(Memory::with_panels(&[feed], panels), |_| {}).await
}

pub async fn open(server: &Server, path: &str) -> Socket {
    connect_async(format!("ws://{}{path}", server.address)).await.unwrap().0
}

/// An update in MessagePack, gzipped or not.
pub fn unpacked(packed: &[u8]) -> Value {
    if !packed.starts_with(&[0x1F, 0x8B]) {
        assert!(packed.len() <= 1024, "a large update was not packed");
        return rmp_serde::from_slice(packed).unwrap();
    }
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
    rmp_serde::from_slice(&bytes).unwrap()
}

/// The next update, unpacked where it is packed.
pub async fn next(socket: &mut Socket) -> Value {
    loop {
        match timeout(LONG, socket.next()).await.expect("no update") {
            Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
            Some(Ok(Message::Binary(packed))) => return unpacked(&packed),
            Some(Ok(Message::Ping(_))) => {}
            other => panic!("{other:?} instead of an update"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_initial_state_then_an_update_for_each_changed_row() {
    let lines = panel("drawn", PanelKind::Line, Some("k"), &["value"], Some("note"));
    let server = serve("drawn", vec![lines.clone(), lines]).await;
    server.memory.put(0, 1_700_000_000_000, 41.5, "cpu");
    let mut socket = open(&server, "/dashboard/drawn").await;
    assert_eq!(
        next(&mut socket).await,
        json!({"timestamp": 1_700_000_000_000_u64, "metric": "cpu", "column": "value", "value": 41.5, "metadata": {}})
    );
    // A delete is not told of, and not an empty message either.
    server.memory.tick(&[(0, &[], &[1_700_000_000_000])]);
    server.memory.tick(&[(0, &[(5, 1.0, "mem"), (6, 2.0, "cpu")], &[])]);
    assert_eq!(next(&mut socket).await["metric"], "mem");
    assert_eq!(next(&mut socket).await["timestamp"], 6);
    // What it says is nobody's to hear, and its pings are answered.
    socket.send(Message::text("hello")).await.unwrap();
    socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    server.memory.put(0, 7, 3.0, "cpu");
    // A row that the client has may be told again before.
    let mut update = next(&mut socket).await;
    while update["timestamp"] != 7 {
        assert!(update["timestamp"] == 5 || update["timestamp"] == 6, "{update}");
        update = next(&mut socket).await;
    }
    assert_eq!(update["value"], 3.0);
    let label = "dashboard_id=\"drawn\"";
    assert_eq!(metric("dashboard_active_connections", label), 1);
    drop(socket);
    until("it is gone", || metric("dashboard_active_connections", label) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panel_without_y_gives_a_message_a_row() {
    let mut table = panel("tabled", PanelKind::Table, None, &[], None);
    table.columns = vec!["k".to_owned(), "note".to_owned()];
    let two = panel("tabled", PanelKind::Line, Some("k"), &["value", "k"], None);
    let server = serve("tabled", vec![table, two]).await;
    server.memory.put(0, 7, 1.5, "seven");
    let mut socket = open(&server, "/dashboard/tabled").await;
    assert_eq!(
        [next(&mut socket).await, next(&mut socket).await, next(&mut socket).await],
        [
            json!({"timestamp": null, "metric": "7", "value": 1.5, "metadata": {"k": 7, "note": "seven"}}),
            json!({"timestamp": 7, "metric": "value", "column": "value", "value": 1.5, "metadata": {"note": "seven"}}),
            json!({"timestamp": 7, "metric": "k", "column": "k", "value": 7,
                "metadata": {"value": 1.5, "note": "seven"}}),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panel_of_some_rows_tells_of_those_once() {
    let of = |note: &[&str]| {
        let mut stat = panel("chosen", PanelKind::Stat, Some("k"), &["value"], None);
        stat.only = BTreeMap::from([("note".to_owned(), note.iter().map(|n| (*n).to_owned()).collect())]);
        stat
    };
    let server = serve("chosen", vec![of(&["a"]), of(&["a", "b"])]).await;
    server.memory.tick(&[(0, &[(1, 1.0, "c"), (2, 2.0, "a"), (3, 3.0, "c"), (4, 4.0, "b")], &[])]);
    let mut socket = open(&server, "/dashboard/chosen").await;
    assert_eq!(next(&mut socket).await["timestamp"], 2);
    assert_eq!(next(&mut socket).await["timestamp"], 4);
    server.memory.tick(&[(0, &[(5, 5.0, "c"), (6, 6.0, "a")], &[])]);
    assert_eq!(next(&mut socket).await["timestamp"], 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn messagepack_is_gzipped_where_it_is_large() {
    let server = serve("gzipped", vec![panel("gzipped", PanelKind::Line, Some("k"), &["value"], None)]).await;
    let note = "a long note ".repeat(500);
    server.memory.tick(&[(0, &[(1, 0.5, "short"), (2, 1.5, &note)], &[])]);
    let mut socket = open(&server, "/dashboard/gzipped?format=msgpack").await;
    assert_eq!(next(&mut socket).await["metadata"]["note"], "short");
    assert_eq!(next(&mut socket).await["metadata"]["note"], note.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_state_comes_whole_and_is_encoded_once() {
    let server = serve("vast", vec![panel("vast", PanelKind::Line, Some("k"), &["value"], None)]).await;
    let rows: Vec<Row> = (0..20_000).map(|k| (k, k as f64, "a note")).collect();
    server.memory.tick(&[(0, &rows, &[])]);
    for _ in 0..3 {
        let mut socket = open(&server, "/dashboard/vast").await;
        let mut sum = 0.0;
        for _ in 0..20_000 {
            sum += next(&mut socket).await["value"].as_f64().unwrap();
        }
        assert!((sum - 199_990_000.0).abs() < 1e-6);
    }
    assert_eq!(metric("tidewire_frames_encoded_total", "feed=\"vast\""), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_refused_and_a_browser_gets_the_page() {
    let mut server = serve("paths", vec![]).await;
    for (path, status) in [("/dashboard/none", 404), ("/dashboard/paths?format=xml", 400)] {
        let refused = connect_async(format!("ws://{}{path}", server.address)).await.unwrap_err();
        let tokio_tungstenite::tungstenite::Error::Http(response) = refused else { panic!("{refused}") };
        assert_eq!(response.status().as_u16(), status, "{path}");
    }
    let page = reqwest::get(server.url("/dashboard/paths")).await.unwrap();
    assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    let mut socket = open(&server, "/dashboard/paths").await;
    server.begin_stop();
    let Some(Ok(Message::Close(Some(close)))) = timeout(LONG, socket.next()).await.unwrap() else { panic!("no close") };
    assert_eq!(u16::from(close.code), 1001);
}
