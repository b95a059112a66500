//! Which files a source has, and in which order.

use std::{
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::input::{Id, Input};
use crate::replay::SourceError;

/// The most files that one source may have.
pub const MAX_FILES: usize = 10_000;

/// The files of a source.
#[derive(Debug)]
pub(super) enum Series {
    /// One file, read once.
    One(PathBuf),
    /// One file that is followed, with those that it was rotated to.
    Rotated(PathBuf),
    /// The files of a pattern, in the order of their names.
    Pattern(String),
}

/// A file that is there now.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub path: PathBuf,
    pub id: Id,
    modified: SystemTime,
    len: u64,
}

impl Series {
    pub fn new(path: &Path, follow: bool) -> Self {
        let text = path.to_string_lossy();
        if text.contains(['*', '?', '[']) {
            Self::Pattern(text.into_owned())
        } else if follow {
            Self::Rotated(path.to_owned())
        } else {
            Self::One(path.to_owned())
        }
    }

    /// The path, or the pattern, as it was written.
    pub fn path(&self) -> &Path {
        match self {
            Self::One(path) | Self::Rotated(path) => path,
            Self::Pattern(pattern) => Path::new(pattern),
        }
    }

    /// What a position calls this file: nothing, where there is but one.
    pub fn name_of(&self, path: &Path) -> String {
        match self {
            Self::One(_) | Self::Rotated(_) => String::new(),
            Self::Pattern(_) => path.to_string_lossy().into_owned(),
        }
    }

    /// The file to begin with.
    pub fn first(&self) -> Result<Option<PathBuf>, SourceError> {
        match self {
            Self::One(path) | Self::Rotated(path) => Ok(Some(path.clone())),
            Self::Pattern(pattern) => Ok(matches(pattern)?.into_iter().next()),
        }
    }

    /// The files that come behind this one, in order.
    pub fn behind(&self, current: &Input) -> Result<Vec<Found>, SourceError> {
        match self {
            Self::One(_) => Ok(Vec::new()),
            Self::Pattern(pattern) => {
                let matches = matches(pattern)?;
                let behind = matches.into_iter().skip_while(|path| path.as_path() <= current.path());
                Ok(behind.filter_map(|path| found(path).ok()).collect())
            }
            Self::Rotated(path) => {
                let id = current.id()?;
                // The common case: nothing has happened.
                if found(path.clone()).is_ok_and(|found| found.id == id) {
                    return Ok(Vec::new());
                }
                let all = rotated(path)?;
                match all.iter().position(|found| found.id == id) {
                    Some(at) => Ok(all[at + 1..].to_vec()),
                    // It was removed, or packed: its time still tells its place.
                    None => {
                        let modified = current.modified()?;
                        let behind = all.into_iter().filter(|found| found.modified > modified || &found.path == path);
                        Ok(behind.collect())
                    }
                }
            }
        }
    }

    /// Every file that a followed one may have been rotated to, the newest first.
    pub fn rotations(&self) -> Result<Vec<Found>, SourceError> {
        let Self::Rotated(path) = self else { return Ok(Vec::new()) };
        Ok(rotated(path)?.into_iter().rev().collect())
    }
}

impl Found {
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

fn found(path: PathBuf) -> io::Result<Found> {
    let metadata = std::fs::metadata(&path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    Ok(Found { id: (metadata.dev(), metadata.ino()), modified: metadata.modified()?, len: metadata.len(), path })
}

fn matches(pattern: &str) -> Result<Vec<PathBuf>, SourceError> {
    let failed = |source| SourceError::Open { path: pattern.into(), source };
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let paths = glob::glob_with(pattern, options).map_err(|e| failed(io::Error::other(e)))?;
    let mut found = Vec::new();
    for path in paths {
        let path = path.map_err(|e| failed(e.into()))?;
        // A name that is no text could not be told in a position.
        if path.to_str().is_some() && path.is_file() {
            found.push(path);
        }
        if found.len() > MAX_FILES {
            let message = format!("more than {MAX_FILES} files match; move those that were read away");
            return Err(failed(io::Error::other(message)));
        }
    }
    found.sort();
    Ok(found)
}

/// A followed file and what it was rotated to, the oldest first.
fn rotated(path: &Path) -> Result<Vec<Found>, SourceError> {
    let failed = |source| SourceError::Open { path: path.to_owned(), source };
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(base) = path.file_name().and_then(|n| n.to_str()) else { return Ok(Vec::new()) };
    let mut all: Vec<(Option<u64>, Found)> = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let Some(number) = name.to_str().and_then(|name| rotation(base, name)) else { continue };
        // One that went away meanwhile is none.
        if let Ok(found) = found(directory.join(&name)) {
            all.push((number, found));
        }
        if all.len() > MAX_FILES {
            return Err(failed(io::Error::other(format!("it was rotated to more than {MAX_FILES} files"))));
        }
    }
    // While a file is being packed, both are there for a moment.
    let names: Vec<PathBuf> = all.iter().map(|(_, found)| found.path.clone()).collect();
    all.retain(|(_, found)| {
        let is_packed = matches!(found.path.extension().and_then(|e| e.to_str()), Some("gz" | "zst"));
        !is_packed || !names.contains(&found.path.with_extension(""))
    });
    // Renaming and packing keep a file's time. Of equal times, the higher number is older.
    all.sort_by(|(a_number, a), (b_number, b)| {
        a.modified.cmp(&b.modified).then(b_number.cmp(a_number)).then_with(|| a.path.cmp(&b.path))
    });
    let mut all: Vec<Found> = all.into_iter().map(|(_, found)| found).collect();
    all.extend(found(path.to_owned()).ok());
    Ok(all)
}

/// Whether `name` is what `base` is rotated to, as logrotate and logging libraries do it:
/// `app.log.1`, `app.log.2.gz`, `app.log-20240131`, `app-2024-01-31.log`, `app.1.log`.
/// Its number, if it is numbered.
#[expect(clippy::option_option, reason = "no rotation, one by date, one by number")]
fn rotation(base: &str, name: &str) -> Option<Option<u64>> {
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(name);
    let between = name.strip_prefix(base).or_else(|| {
        let (stem, ending) = base.rsplit_once('.')?;
        name.strip_prefix(stem)?.strip_suffix(ending)?.strip_suffix('.')
    })?;
    let digits = between.strip_prefix(['.', '-', '_'])?;
    let is_rotation = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '_' | ':' | 'T' | 'Z'));
    // Longer numbers are dates.
    is_rotation.then(|| digits.parse().ok().filter(|_| digits.len() < 6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotations_are_told_from_neighbours() {
        for (name, expected) in [
            ("app.log.1", Some(Some(1))),
            ("app.log.12.gz", Some(Some(12))),
            ("app.log.3.zst", Some(Some(3))),
            ("app.log-20240131", Some(None)),
            ("app.log-20240131.gz", Some(None)),
            ("app-2024-01-31.log", Some(None)),
            ("app.2.log", Some(Some(2))),
            ("app.log.2024-01-31T10:00:00", Some(None)),
            ("app.log", None),
            ("app.log.bak", None),
            ("app.log.1.bak", None),
            ("app.log.gz", None),
            ("app2.log", None),
            ("app.log~", None),
            ("other.log.1", None),
        ] {
            assert_eq!(rotation("app.log", name), expected, "{name}");
        }
    }
}
