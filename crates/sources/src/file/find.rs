//! To find a file again: under another name, in a copy, or packed.

use std::path::{Path, PathBuf};

use config::FileFormat;

use super::{
    Current, FileSource, Reader,
    input::Input,
    position::{Done, Position},
    series::{Found, Series},
};
use crate::replay::SourceError;

impl FileSource {
    /// The file that a position is in.
    pub(super) fn find(&self, position: &Position) -> Result<Option<Current>, SourceError> {
        let wanted = |input: &Input| -> Result<bool, SourceError> {
            let is_long = input.known_len()?.is_none_or(|len| len >= position.offset);
            Ok(is_long && input.head(position.offset)?.is_some_and(|(_, head)| head == position.head))
        };
        let path = match &self.series {
            Series::One(path) | Series::Rotated(path) => path.clone(),
            Series::Pattern(_) if position.name.is_empty() => return Ok(None),
            Series::Pattern(_) => PathBuf::from(&position.name),
        };
        if self.format == FileFormat::Parquet {
            let current = self.open_at(&path, position.offset)?;
            let Current { reader: Reader::Parquet(file), .. } = &current else { return Ok(None) };
            return if file.head() == position.head { Ok(Some(current)) } else { Err(file.changed()) };
        }
        if matches!(self.series, Series::One(_) | Series::Pattern(_)) {
            let input = Input::open(&path, self.follow)?;
            return if wanted(&input)? {
                self.reading(input, position.offset).map(Some)
            } else {
                Err(unlike(&input, position)?)
            };
        }
        // Nothing of the file was read: it is the one behind the last that was.
        let rotations = self.rotations()?;
        let last = position.passed.files.checked_sub(1).and_then(|number| position.passed.file(number));
        let behind_last = last.and_then(|last| last_passed(&rotations, last)?.checked_sub(1));
        if position.offset == 0 {
            let same = rotations.iter().find(|found| found.id.1 == position.inode);
            let found = same.or_else(|| rotations.get(behind_last?)).map_or(&path, |found| &found.path);
            return self.open_at(found, 0).map(Some);
        }
        // Several may begin alike: first the very same file, then the one behind the last.
        let mut candidates: Vec<&Found> = rotations.iter().filter(|found| found.id.1 == position.inode).collect();
        candidates.extend(behind_last.and_then(|at| rotations.get(at)));
        candidates.extend(&rotations);
        for found in candidates {
            let input = Input::open(&found.path, self.follow)?;
            if wanted(&input)? {
                return self.reading(input, position.offset).map(Some);
            }
        }
        Err(unlike(&Input::open(&path, self.follow)?, position)?)
    }

    /// To read a followed file from its start again: what it was called then has other names
    /// now. The last file that was left behind is found by its beginning, and the first is so
    /// many before it.
    pub(super) fn go_back(&mut self, end: &Position) -> Result<(), SourceError> {
        if self.current.as_ref().is_some_and(|current| current.reader.read_to() > 0) {
            return Ok(());
        }
        let first = match end.passed.files.checked_sub(1) {
            Some(last) => {
                let rotations = self.rotations()?;
                let last_at = end.passed.file(last).and_then(|done| last_passed(&rotations, done));
                let first_at = last_at.and_then(|at| at.checked_add(usize::try_from(last).ok()?));
                first_at.and_then(|at| rotations.get(at)).map(|found| found.path.clone())
            }
            None if end.offset == 0 => return Ok(()),
            None => self.find(end)?.map(|current| current.reader.input().path().to_owned()),
        };
        let Some(first) = first else { return Err(self.gone("what it was rotated to is gone")) };
        self.current = Some(self.open_at(&first, 0)?);
        Ok(())
    }

    /// What a followed file was rotated to, with something in it, the newest first.
    fn rotations(&self) -> Result<Vec<Found>, SourceError> {
        Ok(self.series.rotations()?.into_iter().filter(|found| !found.is_empty()).collect())
    }

    /// Whether a file that a followed one was rotated to is that one itself, packed meanwhile.
    pub(super) fn is_twin(&self, path: &Path) -> Result<bool, SourceError> {
        let (Series::Rotated(_), Some(Current { reader: Reader::Text(file), .. })) = (&self.series, &self.current)
        else {
            return Ok(false);
        };
        let mut other = Input::open(path, true)?;
        let (len, head) = file.known_head();
        let is_plain = other.known_len()?.is_some();
        if is_plain || len == 0 || other.head(len)? != Some((len, head)) {
            return Ok(false);
        }
        let mut byte = [0];
        Ok(other.read_at(&mut byte, file.offset() - 1)? == 1 && other.read_at(&mut byte, file.offset())? == 0)
    }

    /// A followed file was cut to nothing and is written anew (`copytruncate`): goes on in
    /// the copy that was made of it, if there is one, and then at its start.
    pub(super) fn truncated(&mut self, error: SourceError) -> Result<(), SourceError> {
        let (Series::Rotated(base), Some(Current { reader: Reader::Text(file), .. })) = (&self.series, &self.current)
        else {
            return Err(error);
        };
        let base = base.clone();
        let (len, head) = file.known_head();
        let (id, offset) = (file.input.id()?, file.offset());
        for copy in self.series.rotations()?.into_iter().filter(|found| found.id != id) {
            if len > 0 && has_head(&copy.path, len, head) {
                let input = Input::open(&copy.path, true)?;
                if input.known_len()?.is_none_or(|len| len >= offset) {
                    self.current = Some(self.reading(input, offset)?);
                    self.idle = false;
                    return Ok(());
                }
            }
        }
        tracing::warn!(
            "{error}; it is read on from its start. No copy of what it was is beside it, so what was written to it \
             in the moment before it was cut may be lost"
        );
        self.pass_to(&base)
    }
}

/// Why a file is not the one of a position.
fn unlike(input: &Input, position: &Position) -> Result<SourceError, SourceError> {
    let offset = position.offset;
    Ok(match input.known_len()?.filter(|len| *len < offset) {
        Some(len) => input.changed(&format!("it has {len} bytes, and was read up to byte {offset}")),
        None => input.changed("its beginning is another"),
    })
}

/// Which of the rotations is a file that was read to its end.
fn last_passed(rotations: &[Found], done: &Done) -> Option<usize> {
    let is = |found: &Found| has_head(&found.path, done.end.min(1024), done.head);
    let same = rotations.iter().position(|found| found.id.1 == done.inode && is(found));
    same.or_else(|| rotations.iter().position(is))
}

/// Whether a file begins with so many bytes of this hash.
fn has_head(path: &Path, len: u64, head: u64) -> bool {
    let found = Input::open(path, true).and_then(|input| input.head(len));
    matches!(found, Ok(Some(found)) if found == (len, head))
}
