//! `tidewire init` on data as it is found, up to the running page.

use std::{fmt::Write as _, fs, path::Path, process::Command, time::Duration};

use serde_json::{Value, json};

use super::{
    life::{count, wait_for},
    server::{Ended, Server, tidewire},
};

/// Runs the program in a directory, as a user would.
fn in_dir(dir: &Path, args: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_tidewire")).args(args).current_dir(dir).output().expect("it runs");
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The configuration of a file of these bytes, and what was said beside it.
fn made(name: &str, bytes: &[u8]) -> (String, String) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::write(dir.path().join(name), bytes).expect("a file");
    let ended = in_dir(dir.path(), &["init", name]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let checked = in_dir(dir.path(), &["check"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    (fs::read_to_string(dir.path().join("tidewire.yaml")).expect("a configuration"), ended.stderr)
}

fn refused(name: &str, bytes: &[u8]) -> String {
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::write(dir.path().join(name), bytes).expect("a file");
    let ended = in_dir(dir.path(), &["init", name]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{}", ended.stderr);
    assert!(!dir.path().join("tidewire.yaml").exists(), "something was written");
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    ended.stderr
}

#[test]
fn a_file_becomes_a_page_that_runs_at_once() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut text = "Order ID,Region,soldAt,Unit Price,select\r\n".to_owned();
    for i in 0..3_000 {
        let (hour, minute) = (i / 60 % 24, i % 60);
        let region = ["north", "south", "east \"1\""][i % 3].replace('"', "\"\"");
        let day = 1 + i / 1440;
        writeln!(text, "{i},\"{region}\",2024-03-{day:02}T{hour:02}:{minute:02}:00Z,{}.5,x\r", i % 10).expect("memory");
    }
    let file = dir.path().join("sales 2024.csv");
    fs::write(&file, text).expect("a file");
    let config = dir.path().join("made.yaml");
    let (file, config) = (file.display().to_string(), config.display().to_string());
    let ended = in_dir(dir.path(), &["init", &file, "-o", &config]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("tidewire serve -c") && ended.stdout.contains("/dashboard/sales_2024"),
        "{}",
        ended.stdout
    );
    let made = fs::read_to_string(&config).expect("a configuration");
    let server = Server::start(dir.path(), &made);
    let totals = wait_for(&server, "sales_2024_totals", |rows| count(rows, 1) == 3_000);
    assert_eq!(totals.len(), 3);
    let latest = wait_for(&server, "sales_2024_latest", |rows| rows.len() == 3);
    assert!(latest.iter().any(|row| row[0] == "east \"1\"" && row[1] == 2_999), "{latest:?}");
    // Every window of a file whose time is long gone is shown.
    wait_for(&server, "sales_2024_over_time", |rows| count(rows, 3) == 3_000);
    let page = reqwest::blocking::get(format!("{}/v1/dashboards/sales_2024", server.url())).expect("it answers");
    let page: Value = page.json().expect("JSON");
    assert_eq!(page["panels"].as_array().map(Vec::len), Some(3), "{page}");
}

#[test]
fn a_configuration_that_is_there_is_kept_unless_it_shall_go() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::write(dir.path().join("a.ndjson"), "{\"a\":1}\n").expect("a file");
    fs::write(dir.path().join("tidewire.yaml"), "mine").expect("a file");
    let ended = in_dir(dir.path(), &["init", "a.ndjson"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("--force"), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(dir.path().join("tidewire.yaml")).expect("it is there"), "mine");
    let shown = in_dir(dir.path(), &["init", "a.ndjson", "-o", "-"]);
    assert!(shown.stdout.contains("a: bigint"), "{}", shown.stdout);
    assert_eq!(in_dir(dir.path(), &["init", "a.ndjson", "--force"]).code, Some(0));
    let written = fs::read_to_string(dir.path().join("tidewire.yaml")).expect("it is there");
    assert_eq!(written, shown.stdout);
}

#[test]
fn types_are_those_that_take_every_value_of_the_sample() {
    let lines = [
        json!({"id": 1, "big": 9_007_199_254_740_993_i64, "x": 1, "mixed": 1, "paid": true, "day": "2024-03-01",
            "created_at": 1_700_000_000_000_i64, "when": "2024-03-01T10:00:00+01:00", "tags": ["a"], "zip": "01234", "none": null}),
        json!({"id": 2, "big": 1, "x": 1.5, "mixed": "two", "paid": false, "day": "2024-03-02",
            "created_at": 1_700_000_000_500_i64, "when": "2024-03-01T10:00:01+01:00", "tags": {}, "zip": "99", "late": 1}),
    ];
    let (config, _) = made("d.ndjson", lines.map(|l| l.to_string()).join("\n").as_bytes());
    for expected in [
        "id: bigint",
        "big: bigint",
        "x: double",
        "mixed: json",
        "paid: boolean",
        "day: date",
        "created_at: timestamp",
        "when: timestamp",
        "tags: json",
        "zip: text",
        "none: json",
        "late: bigint",
    ] {
        assert!(config.contains(&format!("      {expected}\n")), "{expected}\n{config}");
    }
    assert!(config.contains("event_time: { column: created_at }"), "{config}");
    let (config, _) = made(
        "d.csv",
        b"zip,n,when,flag,big\n01234,1,2024-03-01,true,99999999999999999999\n99999,,2024-03-02,false,1\n",
    );
    for expected in ["zip: text", "n: bigint", "when: date", "flag: boolean", "big: double"] {
        assert!(config.contains(&format!("      {expected}\n")), "{expected}\n{config}");
    }
}

#[test]
fn what_was_made_is_told_as_json() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (data, config) = (dir.path().join("d.csv"), dir.path().join("c.yaml"));
    std::fs::write(&data, "ts,Host Name,load\n2026-03-01 10:00:00,a,1.5\n2026-03-01 10:00:05,a,2.5\n").expect("a file");
    let (data, config) = (data.to_string_lossy().into_owned(), config.to_string_lossy().into_owned());
    let ended = tidewire(&["init", &data, "-o", &config, "--json"]);
    let told: serde_json::Value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {}", ended.stdout));
    assert_eq!(told["config"], config.as_str());
    assert_eq!(told["columns"][1], json!({"name": "host_name", "from": "Host Name", "type": "text"}));
    assert_eq!((&told["columns"][0]["type"], &told["feeds"]), (&"timestamp".into(), &3.into()));
}

#[test]
fn times_that_are_no_timestamps_are_explained() {
    let (config, _) = made("s.ndjson", b"{\"ts\":1700000000,\"v\":1}\n{\"ts\":1700000060,\"v\":2}\n");
    assert!(config.contains("seconds since 1970") && config.contains("ts: bigint"), "{config}");
    assert!(config.contains("no windows"), "{config}");
    let (config, _) = made("z.csv", b"at,v\n2024-03-01 10:00:00,1\n2024-03-01 10:00:05,2\n");
    assert!(config.contains("they are read as UTC") && config.contains("event_time: { column: at"), "{config}");
    // Out of order by an hour, and not yet.
    let text = "at,v\n2124-03-01T11:00:00Z,1\n2124-03-01T10:00:00Z,2\n2124-03-01T12:00:00Z,2\n";
    let (config, _) = made("o.csv", text.as_bytes());
    assert!(config.contains("{ column: at, max_lateness: 1h, max_ahead: off }"), "{config}");
}

#[test]
fn names_are_made_for_sql_and_fields_without_one_are_left_out() {
    let header = "Größe,a.b,order-id,order id,a,a,,window_start,${HOME},\"say \"\"hi\"\"\",null,1st";
    let (config, said) = made("n.csv", format!("\u{feff}{header}\n1,2,3,4,5,6,7,8,9,10,11,12\n").as_bytes());
    for expected in [
        "gr_e: { type: bigint, from: \"Größe\" }",
        "a_b: { type: bigint, from: \"a.b\" }",
        "order_id: { type: bigint, from: \"order-id\" }",
        "order_id_2: { type: bigint, from: \"order id\" }",
        "window_start_2: { type: bigint, from: \"window_start\" }",
        "home: { type: bigint, from: \"$${HOME}\" }",
        "say_hi: { type: bigint, from: \"say \\\"hi\\\"\" }",
        "null_2: { type: bigint, from: \"null\" }",
        "c_1st: { type: bigint, from: \"1st\" }",
    ] {
        assert!(config.contains(&format!("      {expected}\n")), "{expected}\n{config}");
    }
    assert!(said.contains("names \"a\" twice") && said.contains("place 7, which has no name"), "{said}");
}

#[test]
fn what_cannot_be_read_is_refused_in_a_line_that_says_what_to_do() {
    for (name, bytes, expected) in [
        ("e.csv", &b""[..], "it is empty"),
        ("b.csv", b" \n\n", "it is empty"),
        ("s.csv", b"a;b\n1;2\n", "separated by `;`"),
        ("t.csv", b"a\tb\n1\t2\n", "separated by tabs"),
        ("h.csv", b"1.5,x\n2.5,y\n", "names the fields"),
        ("l.csv", b"name\nM\xfcller\n", "iconv"),
        ("z.csv", b"PK\x03\x04\0\0", "it is no text"),
        ("a.json", b"[{\"a\":1}]", "jq -c '.[]'"),
        ("x.ndjson", b"hello\n", "no line is a JSON object"),
        ("e.ndjson", b"{}\n", "no field of it can be a column"),
        ("p.parquet", b"PAR1", "Parquet"),
        ("d.xlsx", b"x", "--format csv"),
    ] {
        let said = refused(name, bytes);
        assert!(said.contains(expected) && said.contains(name), "{name}: {said}");
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let gone = in_dir(dir.path(), &["init", "gone.csv"]);
    assert_eq!(gone.code, Some(1));
    assert!(gone.stderr.contains("gone.csv: No such file"), "{}", gone.stderr);
}

#[test]
fn a_large_or_packed_file_is_looked_at_from_its_beginning() {
    let mut text = "k,v\n".to_owned();
    for i in 0..20_000 {
        writeln!(text, "a{},{i}", i % 3).expect("memory");
    }
    text.push_str("b,not a number\n");
    let (config, _) = made("l.csv", text.as_bytes());
    assert!(config.contains("from the first 10000 records") && config.contains("v: bigint"), "{config}");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, text.as_bytes()).expect("memory");
    let began = std::time::Instant::now();
    let (config, _) = made("l.csv.gz", &packed.finish().expect("memory"));
    assert!(config.contains("v: bigint"), "{config}");
    assert!(began.elapsed() < Duration::from_secs(30));
}
