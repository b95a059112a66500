//! SQLite's C interface: a VFS, and files that pass on to those of the system's VFS.
//!
//! All `unsafe` of the crate stands here. What makes it sound:
//!
//! - SQLite gives each method a pointer that it got from this module: a VFS from
//!   [`register`], never freed, or a file that [`open`] filled in.
//! - A file is `szOsFile` bytes of SQLite's: our [`File`], and right behind it the wrapped
//!   VFS's own file. Both are aligned to a pointer.
//! - SQLite calls a file's methods only between `open` and `close`, from one thread at a time.
//! - A method of the wrapped file is there if the wrapped file's version says so; the system's
//!   files are of version 3, which `open` checks.

use std::{
    ffi::{CStr, CString, OsStr, c_char, c_int, c_void},
    io,
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    ptr,
    sync::atomic::Ordering,
};

use rusqlite::ffi::{
    SQLITE_CANTOPEN, SQLITE_FULL, SQLITE_IOERR, SQLITE_IOERR_FSYNC, SQLITE_IOERR_WRITE, SQLITE_OK, SQLITE_OPEN_CREATE,
    SQLITE_OPEN_MAIN_JOURNAL, SQLITE_OPEN_SUPER_JOURNAL, SQLITE_OPEN_WAL, sqlite3_file, sqlite3_int64,
    sqlite3_io_methods, sqlite3_vfs, sqlite3_vfs_find, sqlite3_vfs_register,
};

use crate::Shared;

/// What a VFS's `pAppData` points to.
struct App {
    base: *mut sqlite3_vfs,
    shared: Shared,
}

/// An open file; the wrapped one stands right behind it.
#[repr(C)]
struct File {
    methods: *const sqlite3_io_methods,
    shared: *const Shared,
    /// The file's path, made by `Box`; null for a temporary file, which no power cut brings back.
    path: *mut PathBuf,
    /// Whether its first sync syncs the directory too, as the system's VFS does.
    syncs_dir: bool,
}

/// Registers a VFS and leaks it: SQLite may use it as long as the process lives.
pub(crate) fn register(name: &str, shared: Shared) -> io::Result<&'static Shared> {
    let name = CString::new(name)?;
    // SAFETY: null asks for the default VFS; SQLite returns null or one that is never freed.
    let base = unsafe { sqlite3_vfs_find(ptr::null()) };
    if base.is_null() {
        return Err(io::Error::other("SQLite has no VFS on this system"));
    }
    let app = Box::leak(Box::new(App { base, shared }));
    // SAFETY: `base` is not null, see above. A VFS is plain data.
    let base = unsafe { *base };
    let vfs = Box::leak(Box::new(sqlite3_vfs {
        // Version 3 adds only the replacing of system calls, for SQLite's own tests.
        iVersion: base.iVersion.min(2),
        szOsFile: size_of::<File>() as c_int + base.szOsFile,
        pNext: ptr::null_mut(),
        zName: name.into_raw(),
        pAppData: ptr::from_mut(app).cast(),
        xOpen: Some(open),
        xDelete: Some(delete),
        xAccess: Some(access),
        xFullPathname: Some(full_pathname),
        // Extensions are loaded through the default VFS; the rest takes no VFS's own data.
        xDlOpen: None,
        xDlError: None,
        xDlSym: None,
        xDlClose: None,
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
        ..base
    }));
    // SAFETY: `vfs` and all that it points to are leaked above, so valid for ever.
    match unsafe { sqlite3_vfs_register(vfs, 0) } {
        SQLITE_OK => Ok(&app.shared),
        code => Err(io::Error::other(format!("SQLite refused the VFS: code {code}"))),
    }
}

/// The wrapped VFS and our data.
///
/// # Safety
/// `vfs` must come from [`register`].
unsafe fn app<'a>(vfs: *mut sqlite3_vfs) -> &'a App {
    // SAFETY: `pAppData` is the leaked `App` of this VFS.
    unsafe { &*(*vfs).pAppData.cast::<App>() }
}

/// The path of a file name, or `None` for a temporary file.
///
/// # Safety
/// `name` must be null or a C string.
unsafe fn path_of(name: *const c_char) -> Option<PathBuf> {
    if name.is_null() {
        return None;
    }
    // SAFETY: by this function's contract.
    let bytes = unsafe { CStr::from_ptr(name) }.to_bytes();
    Some(PathBuf::from(OsStr::from_bytes(bytes)))
}

/// The wrapped file of a file.
///
/// # Safety
/// `file` must have the room that `szOsFile` asks for.
unsafe fn real(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: the wrapped file stands right behind ours, in the same allocation.
    unsafe { file.cast::<File>().add(1).cast() }
}

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite's contract for `xOpen`; see the module's doc. Ours is only read once
    // `methods` is set, which is last.
    unsafe {
        (*file).pMethods = ptr::null();
        let app = app(vfs);
        let wrapped = real(file);
        (*wrapped).pMethods = ptr::null();
        let Some(open) = (*app.base).xOpen else { return SQLITE_CANTOPEN };
        let code = open(app.base, name, wrapped, flags, out_flags);
        let methods = (*wrapped).pMethods;
        if code != SQLITE_OK || methods.is_null() || (*methods).iVersion < 3 {
            if !methods.is_null()
                && let Some(close) = (*methods).xClose
            {
                close(wrapped);
            }
            return if code == SQLITE_OK { SQLITE_CANTOPEN } else { code };
        }
        let path = path_of(name).map_or(ptr::null_mut(), |path| {
            // From now on it is known, with all that stands in it as not synced.
            app.shared.with(&path, |_| ());
            Box::into_raw(Box::new(path))
        });
        let journal = flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL) != 0;
        let syncs_dir = journal && flags & SQLITE_OPEN_CREATE != 0;
        let methods = &raw const METHODS;
        file.cast::<File>().write(File { methods, shared: &raw const app.shared, path, syncs_dir });
        SQLITE_OK
    }
}

unsafe extern "C" fn delete(vfs: *mut sqlite3_vfs, name: *const c_char, sync_dir: c_int) -> c_int {
    // SAFETY: SQLite's contract for `xDelete`.
    unsafe {
        let app = app(vfs);
        let Some(delete) = (*app.base).xDelete else { return SQLITE_IOERR };
        let code = delete(app.base, name, 0);
        if code == SQLITE_OK
            && let Some(path) = path_of(name)
        {
            app.shared.delete(&path);
            if sync_dir != 0 {
                app.shared.sync_dir();
            }
        }
        code
    }
}

unsafe extern "C" fn access(vfs: *mut sqlite3_vfs, name: *const c_char, flags: c_int, out: *mut c_int) -> c_int {
    // SAFETY: SQLite's contract for `xAccess`.
    unsafe {
        let base = app(vfs).base;
        (*base).xAccess.map_or(SQLITE_IOERR, |access| access(base, name, flags, out))
    }
}

unsafe extern "C" fn full_pathname(vfs: *mut sqlite3_vfs, name: *const c_char, len: c_int, out: *mut c_char) -> c_int {
    // SAFETY: SQLite's contract for `xFullPathname`.
    unsafe {
        let base = app(vfs).base;
        (*base).xFullPathname.map_or(SQLITE_IOERR, |full| full(base, name, len, out))
    }
}

/// Our part of a file: the shared data, and its path unless it is temporary.
///
/// # Safety
/// `file` must be open.
unsafe fn ours<'a>(file: *mut sqlite3_file) -> (&'a Shared, Option<&'a PathBuf>) {
    // SAFETY: `open` filled it in; the shared data lives for ever, the path until `close`.
    unsafe {
        let file = &*file.cast::<File>();
        (&*file.shared, file.path.as_ref())
    }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite's contract for `xClose`: the last call, so the path is freed once.
    unsafe {
        let wrapped = real(file);
        let code = (*(*wrapped).pMethods).xClose.map_or(SQLITE_OK, |close| close(wrapped));
        let path = (*file.cast::<File>()).path;
        if !path.is_null() {
            drop(Box::from_raw(path));
        }
        (*file).pMethods = ptr::null();
        code
    }
}

unsafe extern "C" fn write(file: *mut sqlite3_file, data: *const c_void, len: c_int, at: sqlite3_int64) -> c_int {
    // SAFETY: SQLite's contract for `xWrite`.
    unsafe {
        let (shared, path) = ours(file);
        if shared.full.load(Ordering::SeqCst) {
            return SQLITE_FULL;
        }
        if let Some(path) = path {
            shared.dirty(path, at as u64..at as u64 + len as u64);
        }
        let wrapped = real(file);
        (*(*wrapped).pMethods).xWrite.map_or(SQLITE_IOERR_WRITE, |write| write(wrapped, data, len, at))
    }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    // SAFETY: SQLite's contract for `xTruncate`.
    unsafe {
        let (shared, path) = ours(file);
        if let Some(path) = path {
            // Should it grow again, what was there before must not come back.
            shared.dirty(path, size as u64..u64::MAX);
        }
        let wrapped = real(file);
        (*(*wrapped).pMethods).xTruncate.map_or(SQLITE_IOERR, |truncate| truncate(wrapped, size))
    }
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: SQLite's contract for `xSync`; the buffer's length is what `xRead` may fill.
    unsafe {
        let (shared, Some(path)) = ours(file) else { return SQLITE_OK };
        let wrapped = real(file);
        let methods = &*(*wrapped).pMethods;
        let (Some(file_size), Some(read)) = (methods.xFileSize, methods.xRead) else { return SQLITE_IOERR_FSYNC };
        let mut size = 0;
        if file_size(wrapped, &raw mut size) != SQLITE_OK {
            return SQLITE_IOERR_FSYNC;
        }
        let synced = shared.sync(path, size as u64, |buffer, at| {
            match read(wrapped, buffer.as_mut_ptr().cast(), buffer.len() as c_int, at as i64) {
                SQLITE_OK => Ok(()),
                code => Err(io::Error::other(format!("read: code {code}"))),
            }
        });
        if synced.is_err() {
            return SQLITE_IOERR_FSYNC;
        }
        let syncs_dir = &raw mut (*file.cast::<File>()).syncs_dir;
        if syncs_dir.replace(false) {
            shared.sync_dir();
        }
        SQLITE_OK
    }
}

/// Methods that only pass on to the wrapped file's.
macro_rules! pass_on {
    ($($name:ident = $method:ident($($arg:ident: $type:ty),*) -> $result:ty, or $missing:expr;)*) => {$(
        unsafe extern "C" fn $name(file: *mut sqlite3_file $(, $arg: $type)*) -> $result {
            // SAFETY: SQLite's contract for the method; the wrapped file is open as long as ours.
            unsafe {
                let wrapped = real(file);
                (*(*wrapped).pMethods).$method.map_or($missing, |method| method(wrapped $(, $arg)*))
            }
        }
    )*};
}

pass_on! {
    read = xRead(data: *mut c_void, len: c_int, at: sqlite3_int64) -> c_int, or SQLITE_IOERR;
    file_size = xFileSize(size: *mut sqlite3_int64) -> c_int, or SQLITE_IOERR;
    lock = xLock(level: c_int) -> c_int, or SQLITE_IOERR;
    unlock = xUnlock(level: c_int) -> c_int, or SQLITE_IOERR;
    check_reserved_lock = xCheckReservedLock(out: *mut c_int) -> c_int, or SQLITE_IOERR;
    file_control = xFileControl(op: c_int, arg: *mut c_void) -> c_int, or SQLITE_IOERR;
    sector_size = xSectorSize() -> c_int, or 4096;
    device_characteristics = xDeviceCharacteristics() -> c_int, or 0;
    shm_map = xShmMap(page: c_int, size: c_int, extend: c_int, out: *mut *mut c_void) -> c_int, or SQLITE_IOERR;
    shm_lock = xShmLock(offset: c_int, n: c_int, flags: c_int) -> c_int, or SQLITE_IOERR;
    shm_barrier = xShmBarrier() -> (), or ();
    shm_unmap = xShmUnmap(delete: c_int) -> c_int, or SQLITE_IOERR;
    fetch = xFetch(at: sqlite3_int64, len: c_int, out: *mut *mut c_void) -> c_int, or SQLITE_IOERR;
    unfetch = xUnfetch(at: sqlite3_int64, page: *mut c_void) -> c_int, or SQLITE_IOERR;
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 3,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: Some(fetch),
    xUnfetch: Some(unfetch),
};
