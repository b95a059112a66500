//! The bytes of one file, by their offset in what it unpacks to.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use flate2::read::MultiGzDecoder;

use super::position::hash;
use crate::replay::SourceError;

/// How many bytes at the file's beginning tell it from another.
const HEAD: u64 = 1024;

/// The largest window that a frame of zstd may ask for, as a power of two: 128 MiB, what the
/// `zstd` program itself unpacks without being told to.
const WINDOW_LOG: u32 = 27;

/// How a file is packed; its ending tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// An open file.
pub(super) struct Input {
    path: PathBuf,
    file: Arc<File>,
    packing: Packing,
    /// Whether more may come: a packed file that breaks off is then one that is being written.
    follow: bool,
    unpacker: Option<Unpacker>,
}

/// What a packed file is read through, from its start to its end.
struct Unpacker {
    reader: Box<dyn Read + Send>,
    /// How much it has unpacked.
    at: u64,
    /// The packed file's length when its end was met.
    ended: Option<u64>,
}

/// Which file it is, while it is open.
pub(super) type Id = (u64, u64);

impl Input {
    pub fn open(path: &Path, follow: bool) -> Result<Self, SourceError> {
        let failed = |source| SourceError::Open { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(failed(io::Error::other("not a regular file")));
        }
        let packing = match path.extension().and_then(|e| e.to_str()) {
            Some("gz") => Packing::Gzip,
            Some("zst") => Packing::Zstd,
            _ => Packing::Plain,
        };
        Ok(Self { path: path.to_owned(), file: Arc::new(file), packing, follow, unpacker: None })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file itself, as it is on the disk.
    pub fn file(&self) -> &File {
        &self.file
    }

    pub fn id(&self) -> Result<Id, SourceError> {
        let metadata = self.file.metadata().map_err(|e| self.failed(e))?;
        Ok((metadata.dev(), metadata.ino()))
    }

    pub fn modified(&self) -> Result<SystemTime, SourceError> {
        self.file.metadata().and_then(|m| m.modified()).map_err(|e| self.failed(e))
    }

    /// How many bytes it has on the disk.
    pub fn disk_len(&self) -> Result<u64, SourceError> {
        self.file.metadata().map(|m| m.len()).map_err(|e| self.failed(e))
    }

    /// The length of what it holds, if that is known without unpacking it.
    pub fn known_len(&self) -> Result<Option<u64>, SourceError> {
        (self.packing == Packing::Plain).then(|| self.disk_len()).transpose()
    }

    /// Reads once, from an offset; no bytes are the end for now.
    pub fn read_at(&mut self, into: &mut [u8], at: u64) -> Result<usize, SourceError> {
        let read = match self.packing {
            Packing::Plain => pread(&self.file, into, at),
            Packing::Gzip | Packing::Zstd => self.unpack_at(into, at),
        };
        read.map_err(|e| self.failed(e))
    }

    fn unpack_at(&mut self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let len = self.file.metadata()?.len();
        let usable = self.unpacker.take().filter(|unpacker| match unpacker.ended {
            // A decoder does not go on behind what it took for the end.
            Some(ended) => ended == len && at == unpacker.at,
            None => at >= unpacker.at,
        });
        let mut unpacker = match usable {
            Some(unpacker) => unpacker,
            None => Unpacker { reader: self.unpacking()?, at: 0, ended: None },
        };
        let mut skipped = [0; 16 << 10];
        let read = loop {
            if unpacker.ended.is_some() {
                break 0;
            }
            let ahead = at - unpacker.at;
            let most = usize::try_from(ahead).unwrap_or(usize::MAX).min(skipped.len());
            let room = if ahead == 0 { &mut into[..] } else { &mut skipped[..most] };
            let read = match unpacker.reader.read(room) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) if self.follow && e.kind() == io::ErrorKind::UnexpectedEof => 0,
                result => result?,
            };
            unpacker.at += read as u64;
            if read == 0 {
                unpacker.ended = Some(len);
            } else if ahead == 0 {
                break read;
            }
        };
        self.unpacker = Some(unpacker);
        Ok(read)
    }

    fn unpacking(&self) -> io::Result<Box<dyn Read + Send>> {
        let file = BufReader::with_capacity(128 << 10, FromStart { file: Arc::clone(&self.file), at: 0 });
        Ok(match self.packing {
            Packing::Plain => Box::new(file),
            Packing::Gzip => Box::new(MultiGzDecoder::new(file)),
            Packing::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(file)?;
                decoder.window_log_max(WINDOW_LOG)?;
                Box::new(decoder)
            }
        })
    }

    /// Length and hash of the beginning of the first `offset` bytes; `None` if there are fewer.
    pub fn head(&self, offset: u64) -> Result<Option<(u64, u64)>, SourceError> {
        let len = offset.min(HEAD);
        let mut head = vec![0; len as usize];
        let read = self.unpacking().and_then(|mut reader| reader.read_exact(&mut head));
        match read {
            Ok(()) => Ok(Some((len, hash(&head)))),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(e) => Err(self.failed(e)),
        }
    }

    pub fn changed(&self, what: &str) -> SourceError {
        SourceError::Changed { path: self.path.clone(), what: what.to_owned() }
    }

    pub fn failed(&self, source: io::Error) -> SourceError {
        SourceError::Read { path: self.path.clone(), source }
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("path", &self.path).field("packing", &self.packing).finish_non_exhaustive()
    }
}

/// Reads a file that others read, too: with an offset of its own.
struct FromStart {
    file: Arc<File>,
    at: u64,
}

impl Read for FromStart {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = pread(&self.file, into, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

fn pread(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    loop {
        match file.read_at(into, at) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
