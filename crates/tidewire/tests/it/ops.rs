//! What stands under `ops/` names metrics that exist, and the unit starts the program as it is.

use std::{collections::BTreeSet, path::Path, process::Command};

use super::server::{launch, tidewire};

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ops").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The words that name a metric of ours, without what a histogram adds to its name.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| word.starts_with("tidewire_") || word.starts_with("dashboard_"));
    let plain = |word: &str| {
        let parts = ["_bucket", "_sum", "_count"];
        parts.iter().find_map(|part| word.strip_suffix(part)).unwrap_or(word).to_owned()
    };
    ours.filter(|word| *word != "dashboard_id").map(plain).collect()
}

#[test]
fn dashboard_and_rules_name_metrics_that_the_demo_has_from_the_start() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidewire"));
    command.args(["demo", "--listen", "127.0.0.1:0", "--log", "warn"]);
    let (mut demo, address) = launch(command);
    let metrics = || {
        let answer = reqwest::blocking::get(format!("http://{address}/metrics")).expect("it answers");
        let text = answer.text().expect("text");
        text.lines().filter(|l| !l.starts_with('#')).map(ToOwned::to_owned).collect::<Vec<_>>().join("\n")
    };
    let all: BTreeSet<String> = model::metric::ALL.iter().map(|metric| metric.name.to_owned()).collect();
    // A watermark begins with the first event, and gauges of feeds are set once a second.
    let mut missing: Vec<String> = Vec::new();
    for _ in 0..100 {
        let there = named(&metrics());
        missing = all.difference(&there).cloned().collect();
        if missing.is_empty() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let _ = demo.kill();
    let _ = demo.wait();
    assert!(missing.is_empty(), "never there: {missing:?}");

    let (drawn, watched) = (named(&file("grafana/tidewire.json")), named(&file("prometheus/rules.yml")));
    assert!(watched.len() > 5 && watched.is_subset(&all), "{:?}", watched.difference(&all));
    assert_eq!(drawn, all, "the dashboard draws each metric, and no other");
}

#[test]
fn the_unit_gives_the_program_options_that_it_has() {
    let unit = file("systemd/tidewire.service");
    for (key, command) in [("ExecStart=", "serve"), ("ExecStartPre=", "check")] {
        let line = unit.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_else(|| panic!("no {key}"));
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[1], command);
        let help = tidewire(&[command, "--help"]).stdout;
        for option in words.iter().filter(|word| word.starts_with("--")) {
            assert!(help.contains(option), "{command} has no {option}");
        }
    }
}
