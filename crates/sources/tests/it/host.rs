//! The vitals of the machine that the tests run on.

use std::{collections::HashMap, time::Duration};

use config::{HostSource, StreamColumn};
use model::DataType;
use serde_json::Value;
use sources::{Host, Sampled};

use super::{column, rows};

fn columns() -> Vec<StreamColumn> {
    vec![
        column("metric", DataType::Text),
        column("name", DataType::Text),
        column("value", DataType::Double),
        column("ts", DataType::Timestamp),
    ]
}

/// Values by metric and name.
fn sample(host: &mut Host) -> HashMap<(String, String), Value> {
    let batch = host.sample(1_700_000_000_000).expect("a machine has vitals");
    let of = |row: &String| {
        let row: Value = serde_json::from_str(row).unwrap();
        assert_eq!(row["ts"], 1_700_000_000_000_i64);
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        ((text("metric"), text("name")), row["value"].clone())
    };
    rows(&[batch]).iter().map(of).collect()
}

#[test]
fn this_machine_has_vitals() {
    let source = HostSource { every: Duration::from_millis(250), processes: Some(Duration::from_millis(1)), top: 3 };
    let mut host = Host::new(&source, &columns(), Some("ts")).unwrap();
    sample(&mut host);
    // Something to see.
    let until = std::time::Instant::now() + Duration::from_millis(300);
    let mut n = 0_u64;
    while std::time::Instant::now() < until {
        n = std::hint::black_box(n.wrapping_add(1));
    }
    let vitals = sample(&mut host);
    let value = |metric: &str, name: &str| vitals[&(metric.to_owned(), name.to_owned())].as_f64().unwrap();
    assert!((0.0..=100.0).contains(&value("cpu", "all")) && (0.0..=100.0).contains(&value("cpu", "0")));
    assert!(value("memory", "used") > 1e6 && value("memory", "used") < value("memory", "total"));
    assert!((0.0..=100.0).contains(&value("memory_percent", "used")));
    assert!(value("uptime", "all") > 0.0 && value("processes", "all") >= 1.0 && value("load", "1m") >= 0.0);
    assert!(value("net_in", "lo") >= 0.0);
    let busiest: Vec<_> = vitals.iter().filter(|((metric, _), _)| metric == "process_cpu").collect();
    let told: Vec<_> = busiest.iter().filter(|(_, value)| !value.is_null()).collect();
    assert_eq!(told.len(), 3, "{busiest:?}");
    // This very process is among them: it was busy for the whole time.
    let own = format!("({})", std::process::id());
    let (_, cpu) = told.iter().find(|((_, name), _)| name.ends_with(&own)).expect("this process is busy");
    assert!(cpu.as_f64().unwrap() > 10.0, "{cpu}");
}

#[test]
fn a_process_that_left_the_list_is_told_of_once_more() {
    let source = HostSource { every: Duration::from_secs(1), processes: Some(Duration::from_millis(1)), top: 100 };
    let mut host = Host::new(&source, &columns(), Some("ts")).unwrap();
    let mut child = std::process::Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
    let own = format!("({})", child.id());
    sample(&mut host);
    std::thread::sleep(Duration::from_millis(250));
    let of_child = |vitals: &HashMap<(String, String), Value>| {
        vitals
            .iter()
            .find(|((metric, name), _)| metric == "process_cpu" && name.ends_with(&own))
            .map(|(_, v)| v.clone())
    };
    let seen = of_child(&sample(&mut host));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(seen.is_some_and(|value| value.is_number()));
    assert_eq!(of_child(&sample(&mut host)), Some(Value::Null));
    assert_eq!(of_child(&sample(&mut host)), None);
}

#[test]
fn without_processes_there_are_none() {
    let source = HostSource { every: Duration::from_secs(1), processes: None, top: 5 };
    let mut host = Host::new(&source, &columns(), Some("ts")).unwrap();
    sample(&mut host);
    assert!(sample(&mut host).keys().all(|(metric, _)| !metric.starts_with("process")));
}
