//! For tests: a SQLite VFS under which a power cut can be had.
//!
//! It passes everything on to the system's own VFS and keeps, in a directory beside, a
//! *durable copy* of each file: what was synced, and nothing else.
//!
//! ```text
//! xWrite     live file                       remembers which bytes are dirty
//! xSync      copies the dirty bytes    ──►   durable copy
//! xDelete    live file                 ──►   durable copy, once the directory is synced
//! power cut  live directory            ◄──   durable copies
//! ```
//!
//! It is pessimistic: of what was not synced, nothing survives. A real disk may keep any part
//! of it. Files that existed before the process opened them count as not synced. A file's
//! name becomes durable with the file's first sync. A deletion becomes durable when the
//! directory is synced, which SQLite does where `xDelete` is told to, and with the
//! first sync of a journal or WAL that it created. The real fsync is left out: the
//! copy stands for it.
//!
//! [`register`] it in the process that stores; [`power_cut`] works from any process, also after the
//! first was killed. Use one VFS for each data directory: copies are told apart by file name.
//!
//! # Layout
//!
//! - this file: the durable copies, and what tests call
//! - `vfs`: SQLite's C interface, and all of the `unsafe` code

mod vfs;

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// A registered VFS.
#[derive(Clone, Copy)]
pub struct Disk(&'static Shared);

/// Registers the VFS `name` for this process, for as long as it lives. `durable` is the
/// directory of the durable copies; it is made if it is missing, and must lie outside of
/// the data directory.
///
/// # Errors
/// If the directory cannot be made, or SQLite refuses the name.
pub fn register(name: &str, durable: &Path) -> io::Result<Disk> {
    fs::create_dir_all(durable)?;
    let shared = Shared {
        durable: durable.to_owned(),
        full: AtomicBool::new(false),
        syncs: AtomicU64::new(0),
        files: Mutex::default(),
        deleted: Mutex::default(),
    };
    vfs::register(name, shared).map(Disk)
}

impl Disk {
    /// Whether writes fail from now on as on a full disk.
    pub fn fail_writes_with_full(&self, full: bool) {
        self.0.full.store(full, Ordering::SeqCst);
    }

    /// How many syncs there were.
    pub fn syncs(&self) -> u64 {
        self.0.syncs.load(Ordering::SeqCst)
    }
}

/// Makes `dir` hold what was synced, and nothing else: what a power cut leaves. With another
/// directory than the live one, it makes a picture of the disk at this moment.
///
/// # Errors
/// If files cannot be removed or copied.
pub fn power_cut(durable: &Path, dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    for entry in fs::read_dir(durable)? {
        let entry = entry?;
        fs::copy(entry.path(), dir.join(entry.file_name()))?;
    }
    Ok(())
}

/// What the calls of one VFS share.
struct Shared {
    durable: PathBuf,
    full: AtomicBool,
    syncs: AtomicU64,
    /// What is not synced of each file that was opened.
    files: Mutex<HashMap<PathBuf, Vec<Range<u64>>>>,
    /// Files that are gone, while the directory is not synced: a power cut brings them back.
    deleted: Mutex<HashSet<PathBuf>>,
}

/// Every byte, however many there are.
const ALL: Range<u64> = 0..u64::MAX;

impl Shared {
    fn copy_of(&self, path: &Path) -> PathBuf {
        self.durable.join(path.file_name().unwrap_or(path.as_os_str()))
    }

    fn with<T>(&self, path: &Path, work: impl FnOnce(&mut Vec<Range<u64>>) -> T) -> T {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if !files.contains_key(path) {
            // Not known yet: what stands there may never have been synced.
            files.insert(path.to_owned(), vec![ALL]);
        }
        work(files.entry(path.to_owned()).or_default())
    }

    /// Bytes of the file changed.
    fn dirty(&self, path: &Path, range: Range<u64>) {
        self.with(path, |ranges| match ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => ranges.push(range),
        });
    }

    /// The file is gone.
    fn delete(&self, path: &Path) {
        self.with(path, |ranges| *ranges = vec![ALL]);
        self.deleted.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned());
    }

    /// The directory is synced: what was deleted stays so.
    fn sync_dir(&self) {
        for path in self.deleted.lock().unwrap_or_else(PoisonError::into_inner).drain() {
            // It may never have been synced, so that there is no copy.
            let _ = fs::remove_file(self.copy_of(&path));
        }
    }

    /// Brings the durable copy up to date; `read` reads the live file, which has `size` bytes.
    fn sync(&self, path: &Path, size: u64, mut read: impl FnMut(&mut [u8], u64) -> io::Result<()>) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        // Made again and synced: it is there, whatever becomes of the deletion before.
        self.deleted.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
        let copy = fs::OpenOptions::new().write(true).create(true).truncate(false).open(self.copy_of(path))?;
        self.with(path, |ranges| {
            let mut buffer = vec![0; 1 << 16];
            for range in ranges.iter() {
                let mut at = range.start;
                while at < range.end.min(size) {
                    let len = (range.end.min(size) - at).min(buffer.len() as u64) as usize;
                    read(&mut buffer[..len], at)?;
                    copy.write_all_at(&buffer[..len], at)?;
                    at += len as u64;
                }
            }
            ranges.clear();
            copy.set_len(size)
        })
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::{Connection, OpenFlags};

    use super::*;

    fn rows(dir: &Path) -> Vec<i64> {
        let conn = Connection::open(dir.join("t.sqlite")).unwrap();
        let mut statement = conn.prepare("SELECT n FROM t ORDER BY n").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn what_was_synced_survives_and_nothing_else() {
        let temp = tempfile::tempdir().unwrap();
        let (live, durable, after) = (temp.path().join("live"), temp.path().join("durable"), temp.path().join("after"));
        fs::create_dir(&live).unwrap();
        let disk = register("powercut-unit", &durable).unwrap();
        let open = || {
            Connection::open_with_flags_and_vfs(live.join("t.sqlite"), OpenFlags::default(), "powercut-unit").unwrap()
        };
        // Without a WAL, only EXTRA syncs the directory after the journal is deleted.
        for (mode, level) in [("DELETE", "EXTRA"), ("WAL", "FULL")] {
            let conn = open();
            conn.execute_batch(&format!("PRAGMA journal_mode = {mode}; PRAGMA synchronous = {level}")).unwrap();
            conn.execute_batch("DROP TABLE IF EXISTS t; CREATE TABLE t (n); INSERT INTO t VALUES (1)").unwrap();
            power_cut(&durable, &after).unwrap();
            assert_eq!(rows(&after), [1], "{mode}");

            conn.execute_batch("PRAGMA synchronous = OFF; INSERT INTO t VALUES (2)").unwrap();
            power_cut(&durable, &after).unwrap();
            assert_eq!(rows(&after), [1], "{mode}: an unsynced row survived");

            if mode == "WAL" {
                // A synced commit carries the unsynced one before it along.
                let before = disk.syncs();
                conn.execute_batch("PRAGMA synchronous = FULL; INSERT INTO t VALUES (3)").unwrap();
                assert!(disk.syncs() > before);
                power_cut(&durable, &after).unwrap();
                assert_eq!(rows(&after), [1, 2, 3]);
            }
        }
    }

    #[test]
    fn a_full_disk_refuses_writes_until_there_is_room() {
        let temp = tempfile::tempdir().unwrap();
        let disk = register("powercut-full", &temp.path().join("durable")).unwrap();
        let file = temp.path().join("t.sqlite");
        let conn = Connection::open_with_flags_and_vfs(&file, OpenFlags::default(), "powercut-full").unwrap();
        conn.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (n)").unwrap();
        disk.fail_writes_with_full(true);
        let error = conn.execute_batch("INSERT INTO t VALUES (1)").unwrap_err();
        assert_eq!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::DiskFull));
        disk.fail_writes_with_full(false);
        conn.execute_batch("INSERT INTO t VALUES (2)").unwrap();
        assert_eq!(conn.query_row("SELECT max(n) || '/' || count(*) FROM t", [], |r| r.get(0)), Ok("2/1".to_owned()));
    }
}
