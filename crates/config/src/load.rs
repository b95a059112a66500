//! Files in, a configuration or everything that is wrong with it out.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use crate::{
    place::{Place, Problem},
    read,
    reader::{File, Reader},
    types::Config,
    yaml::{self, Node},
};

/// Most bytes of one file; a configuration of a thousand feeds has fewer.
const MAX_FILE: u64 = 1 << 20;
const NAME_ONE: &str = "name a file or a directory of *.yaml files with -c";
/// Most files of a directory.
const MAX_FILES: usize = 1_000;

/// What to load, and what the command line says instead of the files.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Files, and directories whose `*.yaml` and `*.yml` files are read in the order of
    /// their names. All of them together are one configuration.
    pub paths: Vec<PathBuf>,
    /// Stands in for `listen:`.
    pub listen: Option<String>,
    /// Stands in for `data_dir:`.
    pub data_dir: Option<PathBuf>,
    /// Keeps nothing on disk, whatever `data_dir:` says.
    pub memory: bool,
}

impl Options {
    /// Loads a file or a directory as it is.
    pub fn of(path: impl Into<PathBuf>) -> Self {
        Self { paths: vec![path.into()], ..Self::default() }
    }
}

/// Loads a file or a directory. `env` looks up a variable of the environment.
///
/// # Errors
///
/// Every problem at once, in the order of the files.
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Vec<Problem>> {
    load_with(&Options::of(path), env)
}

/// Loads what the options say.
///
/// # Errors
///
/// Every problem at once, in the order of the files.
pub fn load_with(options: &Options, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut files = Vec::new();
    for path in options.paths.iter().flat_map(|path| list(path, &mut problems)).collect::<Vec<_>>() {
        match text(&path) {
            Ok(text) => files.push(File { path, text }),
            Err(problem) => problems.push(problem),
        }
    }
    read_files(&files, options, env, problems)
}

/// Loads a text as if it were the file of this name.
///
/// # Errors
///
/// Every problem at once, in the order of the text.
pub fn load_str(name: &Path, text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Vec<Problem>> {
    let files = [File { path: name.to_owned(), text: text.to_owned() }];
    read_files(&files, &Options::default(), env, Vec::new())
}

fn read_files(
    files: &[File],
    options: &Options,
    env: &dyn Fn(&str) -> Option<String>,
    mut problems: Vec<Problem>,
) -> Result<Config, Vec<Problem>> {
    let mut reader = Reader::new(files, env);
    let mut roots: Vec<Node> = Vec::new();
    for (number, file) in files.iter().enumerate() {
        match yaml::parse(number, &file.text) {
            Ok(root) => roots.extend(root),
            Err(fault) => problems.push(Problem {
                place: Some(reader.place(fault.spot)),
                message: fault.message,
                hint: fault.hint,
            }),
        }
    }
    // A file that an editor has emptied is no wish to have nothing.
    if let (true, true, [file, ..]) = (roots.is_empty() && problems.is_empty(), !options.paths.is_empty(), files) {
        let named = file.path.display();
        problems.push(whole(
            format!("{named}: says nothing"),
            Some("a configuration has `streams:` and `feeds:`; `tidewire demo` needs none".to_owned()),
        ));
        return Err(problems);
    }
    // The other files are checked all the same, except for what a broken one may hold.
    reader.whole = problems.is_empty();
    let config = read::config(&mut reader, &roots, options);
    problems.append(&mut reader.problems);
    if problems.is_empty() {
        return Ok(config);
    }
    // In the order of the files, which is not always that of their names.
    let file = |place: &Place| files.iter().position(|file| file.path == place.file);
    problems.sort_by_key(|problem| problem.place.as_ref().map(|place| (file(place), place.line, place.column)));
    // What is wrong behind an alias is wrong once.
    problems.dedup();
    Err(problems)
}

/// The files that a path stands for, as they are now; none for a directory that cannot be read.
pub fn files(path: &Path) -> Vec<PathBuf> {
    list(path, &mut Vec::new())
}

/// The files that a path stands for.
fn list(path: &Path, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    let mut files: Vec<PathBuf> = match fs::read_dir(path) {
        Ok(entries) => entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|p| is_yaml(p)).collect(),
        Err(error) => {
            problems.push(whole(format!("{}: {}", path.display(), said(&error)), None));
            return Vec::new();
        }
    };
    files.sort();
    if files.is_empty() {
        problems.push(whole(
            format!("{}: no *.yaml or *.yml file in this directory", path.display()),
            Some(NAME_ONE.to_owned()),
        ));
    }
    if files.len() > MAX_FILES {
        problems.push(whole(format!("{}: more than {MAX_FILES} files in this directory", path.display()), None));
        files.clear();
    }
    files
}

/// Whether a file of a directory belongs to the configuration; those that editors hide do not.
fn is_yaml(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
    let ending = path.extension().and_then(|ending| ending.to_str());
    !hidden && matches!(ending, Some("yaml" | "yml")) && path.is_file()
}

fn text(path: &Path) -> Result<String, Problem> {
    let fail = |error: &io::Error| {
        let hint = match error.kind() {
            io::ErrorKind::NotFound => Some(NAME_ONE.to_owned()),
            io::ErrorKind::PermissionDenied => {
                Some(format!("let the user who runs tidewire read it: `chmod a+r {}`", path.display()))
            }
            _ => None,
        };
        whole(format!("{}: {}", path.display(), said(error)), hint)
    };
    let file = fs::File::open(path).map_err(|e| fail(&e))?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|e| fail(&e))?;
    if bytes.len() as u64 > MAX_FILE {
        let hint = Some("divide it into a directory of files".to_owned());
        return Err(whole(format!("{}: more than 1MiB", path.display()), hint));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let (valid, wide) = (error.utf8_error().valid_up_to(), is_utf16(error.as_bytes()));
        let message = if wide { "the file is in UTF-16, not UTF-8" } else { "not UTF-8" };
        at(path, &error.as_bytes()[..valid], message, "save the file as UTF-8")
    })?;
    match text.find('\0') {
        None => Ok(text),
        Some(_) if is_utf16(text.as_bytes()) => {
            Err(at(path, b"", "the file is in UTF-16, not UTF-8", "save the file as UTF-8"))
        }
        Some(end) => {
            Err(at(path, &text.as_bytes()[..end], "this is no text file: it has a byte 0", "name a YAML file with -c"))
        }
    }
}

/// What is wrong behind these bytes of a file.
fn at(path: &Path, before: &[u8], message: &str, hint: &str) -> Problem {
    let before = String::from_utf8_lossy(before);
    let line = before.matches('\n').count() as u32 + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) as u32 + 1;
    Problem {
        place: Some(Place { file: path.to_owned(), line, column }),
        message: message.to_owned(),
        hint: Some(hint.to_owned()),
    }
}

/// With the mark of UTF-16, or with every second byte 0, as Latin letters are in it.
fn is_utf16(bytes: &[u8]) -> bool {
    let every_second = |first: usize| bytes.len() > 1 && bytes[first..].iter().step_by(2).take(64).all(|b| *b == 0);
    bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) || every_second(0) || every_second(1)
}

/// What a user calls an error of the file system.
fn said(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => "may not be read".to_owned(),
        io::ErrorKind::IsADirectory => "is a directory".to_owned(),
        _ => error.to_string(),
    }
}

fn whole(message: String, hint: Option<String>) -> Problem {
    Problem { place: None, message, hint }
}
