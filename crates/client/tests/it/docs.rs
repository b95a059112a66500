//! The pages that promise stable names say what the code says (INV-9).

use std::{collections::BTreeSet, fs, path::Path};

use client::Frame;
use model::{Code, Reason};

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)).unwrap()
}

/// Rows of the table under this heading line: their cells, without backticks.
fn table(page: &str, header: &str) -> BTreeSet<Vec<String>> {
    let rows = page.lines().skip_while(|l| *l != header).skip(2).take_while(|l| l.starts_with('|'));
    rows.map(|l| l.split('|').map(|c| c.trim().trim_matches('`').to_owned()).collect()).collect()
}

#[test]
fn the_protocol_page_lists_every_code() {
    let page = page("protocol.md");
    let listed: BTreeSet<_> = table(&page, "| code | status | when | what to do |")
        .iter()
        .map(|row| (row[1].clone(), row[2].clone()))
        .collect();
    let codes = Code::ALL.iter().map(|c| (c.as_str().to_owned(), c.status().to_string())).collect();
    assert_eq!(listed, codes);
    for row in table(&page, "| code | status | when | what to do |") {
        assert!(!row[3].is_empty() && !row[4].is_empty(), "{row:?} says nothing");
    }
    let listed: BTreeSet<_> = table(&page, "| reason | when |").iter().map(|row| row[1].clone()).collect();
    assert_eq!(listed, Reason::ALL.iter().map(|r| r.as_str().to_owned()).collect());
}

#[test]
fn the_metrics_page_lists_every_metric() {
    let listed: BTreeSet<_> =
        table(&page("metrics.md"), "| name | labels | what |").iter().map(|row| row[1].clone()).collect();
    assert_eq!(listed, model::metric::ALL.iter().map(|m| m.name.to_owned()).collect());
}

#[test]
fn the_messages_of_the_protocol_page_are_understood() {
    let page = page("protocol.md");
    let messages: Vec<_> = page.lines().filter(|l| l.starts_with(r#"{"type":"#)).map(Frame::parse).collect();
    assert_eq!(messages.len(), 11);
    for message in messages {
        // This client asks for no pong: the server's own pings show it a lost connection.
        if matches!(&message, Ok(Frame::Unknown(kind)) if kind == "pong") {
            continue;
        }
        assert!(!matches!(message, Ok(Frame::Unknown(_)) | Err(_)), "{message:?}");
    }
}
