//! Files, directories, and what the command line says instead.

use std::{fs, path::Path};

use config::{Options, load, load_with};
use tempfile::TempDir;

use crate::{lines, no_env};

fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = TempDir::new().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

/// What is wrong with a directory, its path written as `D`.
fn wrong(directory: &Path) -> String {
    let problems = load(directory, &no_env).unwrap_err();
    lines(&problems).replace(&directory.display().to_string(), "D")
}

const STREAM: &str = "{ source: { type: http }, schema: { a: text } }";

#[test]
fn files_of_a_directory_are_one_configuration() {
    let directory = directory(&[
        ("b.yml", &format!("streams: {{ two: {STREAM} }}\nlimits: {{ max_header: 2KiB }}\n")),
        ("a.yaml", &format!("listen: 127.0.0.1:1\nstreams: {{ one: {STREAM} }}\nlimits: {{ max_connections: 5 }}\n")),
        ("c.yaml", "# nothing yet\n"),
        ("notes.txt", "not: [yaml"),
        (".hidden.yaml", "not: [yaml"),
    ]);
    fs::create_dir(directory.path().join("d.yaml")).unwrap();
    let config = load(directory.path(), &no_env).unwrap();
    let names: Vec<&str> = config.streams.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["one", "two"]);
    assert_eq!((config.limits.max_connections, config.limits.max_header), (5, 2048));
    assert!(config.streams[1].place.file.ends_with("b.yml"));
}

#[test]
fn two_of_a_name_are_named_with_both_places() {
    let directory = directory(&[
        ("a.yaml", "listen: 127.0.0.1:1\nfeeds:\n  f: { sql: SELECT 1 }\nlimits: { max_connections: 1 }\n"),
        ("b.yaml", "feeds:\n  f: { sql: SELECT 2 }\nlisten: 127.0.0.1:2\nlimits: { max_connections: 2 }\n"),
    ]);
    assert_eq!(
        wrong(directory.path()),
        "D/b.yaml:2:3: feed `f` is defined twice; first at D/a.yaml:3:3\n  give one of them another name, or take it out\n\
         D/b.yaml:3:1: `listen` is given twice; first at D/a.yaml:1:1\n  only one of the two can hold: take the other out\n\
         D/b.yaml:4:11: `max_connections` is given twice; first at D/a.yaml:4:11\n  only one of the two can hold: take the other out\n"
    );
}

#[test]
fn problems_of_all_files_come_together() {
    let directory = directory(&[("a.yaml", "listn: x\n"), ("b.yaml", "durability: maybe\n")]);
    assert_eq!(
        wrong(directory.path()),
        "D/a.yaml:1:1: unknown key `listn` in the configuration\n  did you mean `listen`?\n\
         D/b.yaml:1:13: `durability`: expected one of `fsync`, `process`, found `maybe`\n"
    );
}

#[test]
fn files_that_cannot_be_read() {
    let directory = TempDir::new().unwrap();
    let hint = "name a file or a directory of *.yaml files with -c";
    assert_eq!(wrong(directory.path()), format!("D: no *.yaml or *.yml file in this directory\n  {hint}\n"));
    let path = directory.path().join("none.yaml");
    assert_eq!(
        lines(&load(&path, &no_env).unwrap_err()),
        format!(
            "{}: no such file or directory\n  name a file or a directory of *.yaml files with -c\n",
            path.display()
        )
    );
    fs::write(directory.path().join("a.yaml"), b"listen: x\ntitle: \xff\n").unwrap();
    fs::write(directory.path().join("b.yaml"), "# much\n".repeat(200_000)).unwrap();
    fs::write(directory.path().join("c.yaml"), "a: [\n").unwrap();
    let wrong = wrong(directory.path());
    // What has no place comes first.
    let [b, b_hint, a, a_hint, c, _] = &wrong.lines().collect::<Vec<_>>()[..] else { panic!("{wrong}") };
    assert_eq!((*a, *a_hint), ("D/a.yaml:2:8: not UTF-8", "  save the file as UTF-8"));
    assert_eq!((*b, *b_hint), ("D/b.yaml: more than 1MiB", "  divide it into a directory of files"));
    assert_eq!(*c, "D/c.yaml:1:4: not YAML: unclosed bracket '['");
}

/// What an editor left of a file must not be taken for the wish to have nothing.
#[test]
fn files_that_say_nothing() {
    for text in ["", "\n", "# All of it\n# is gone.\n"] {
        let directory = directory(&[("a.yaml", text)]);
        assert_eq!(
            wrong(directory.path()),
            "D/a.yaml: says nothing\n  a configuration has `streams:` and `feeds:`; `tidewire demo` needs none\n"
        );
    }
}

#[test]
fn the_command_line_stands_in() {
    let directory = directory(&[("a.yaml", "listen: nonsense\n")]);
    let mut options = Options::of(directory.path());
    options.listen = Some("127.0.0.1:7".to_owned());
    options.data_dir = Some("here".into());
    let config = load_with(&options, &no_env).unwrap();
    assert_eq!((config.listen.as_str(), config.data_dir.as_deref()), ("127.0.0.1:7", Some(Path::new("here"))));
    options.memory = true;
    assert_eq!(load_with(&options, &no_env).unwrap().data_dir, None);
    options.listen = Some("8080".to_owned());
    assert_eq!(
        lines(&load_with(&options, &no_env).unwrap_err()),
        "--listen: expected an IP address and a port, found `8080`\n  write `127.0.0.1:8080` for this machine \
         alone, `0.0.0.0:8080` for all addresses of this machine\n"
    );
}

#[test]
fn several_paths_are_read_in_the_order_given() {
    let directory = directory(&[
        ("a.yaml", &format!("streams: {{ a: {STREAM} }}\n")),
        ("b.yaml", &format!("streams: {{ b: {STREAM} }}\n")),
    ]);
    let paths = ["b.yaml", "a.yaml"].map(|name| directory.path().join(name)).to_vec();
    let config = load_with(&Options { paths, ..Options::default() }, &no_env).unwrap();
    let names: Vec<&str> = config.streams.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["b", "a"]);
}

#[test]
fn a_broken_file_does_not_hide_the_others() {
    let directory = directory(&[
        ("a.yaml", "feeds: { load: { sql: SELECT 1 }\n"),
        (
            "b.yaml",
            "listen: 0.0.0.0:1\ndashboards: { d: { panels: [{ feed: load, type: table }] } }\ndurability: never\n",
        ),
    ]);
    let wrong = wrong(directory.path());
    let [broken, other] = &wrong.lines().filter(|line| line.starts_with('D')).collect::<Vec<_>>()[..] else {
        panic!("{wrong}")
    };
    assert!(broken.starts_with("D/a.yaml:1:"), "{broken}");
    assert!(other.starts_with("D/b.yaml:3:13: `durability`"), "{other}");
}
