//! Opening a data directory: which epoch is it?

use std::{path::PathBuf, sync::Arc};

use crate::{
    Log, State, StoreError,
    db::{Db, has_content},
    lock::DirLock,
    log, state,
};

/// What a commit with entries has survived when it returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A power cut: it is on the disk.
    Fsync,
    /// `kill -9`: the operating system has it, and writes it in its own time.
    Process,
}

/// Where and how to store.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data directory, made if it is missing; `None` keeps everything in memory.
    pub dir: Option<PathBuf>,
    /// What an acknowledgement promises.
    pub durability: Durability,
    /// The name of a registered SQLite VFS to use instead of the system's, for tests.
    pub vfs: Option<String>,
}

/// An open store.
pub struct Opened {
    /// The stream log.
    pub log: Log,
    /// The checkpoints.
    pub state: State,
    /// What was found.
    pub start: Start,
}

/// What was found at opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent findings, each with a message of its own")]
pub struct Start {
    /// The epoch of all cursors given out from now on; never 0.
    pub epoch: u32,
    /// The tick of the log's last cut; 0 if there is none.
    pub last_tick: u64,
    /// The clock of that cut, in milliseconds since 1970.
    pub clock: i64,
    /// The store is new.
    pub fresh: bool,
    /// The last process did not stop cleanly.
    pub unclean: bool,
    /// It ended with the machine: cuts that were shown may be lost, so the epoch is new.
    pub power_cut: bool,
    /// The checkpoint is newer than the log's last cut: the log lost its tail. The epoch is
    /// new; the next tick must be greater than both.
    pub log_behind: bool,
    /// The checkpoint is gone, or older than what the log removed because a newer one
    /// covered it. The epoch is new; what the log lacks is lost.
    pub state_behind: bool,
}

/// Opens the store and takes its directory, until [`Log`] and [`State`] are both gone.
///
/// # Errors
/// [`StoreError::Locked`] if another process has it, [`StoreError::Damaged`] and
/// [`StoreError::WrongVersion`] if a file is not what this version wrote. Nothing is ever
/// started over in silence.
pub fn open(options: &Options) -> Result<Opened, StoreError> {
    let mut lock = None;
    if let Some(dir) = &options.dir {
        std::fs::create_dir_all(dir).map_err(|error| StoreError::io(dir, &error))?;
        lock = Some(Arc::new(DirLock::take(dir)?));
    }
    let state = State::load_file(Db::open(options, &state::FORM)?, lock.clone())?;
    if let (Some(dir), Some(tick)) = (&options.dir, state.tick()) {
        let file = dir.join(log::FORM.name);
        // Before it is created: the next start would take the new one for the real one.
        if !has_content(&file) {
            let what = format!("it is missing or empty, though {} has a checkpoint of tick {tick}", state::FORM.name);
            return Err(StoreError::Damaged { file, what });
        }
    }
    let mut log = Log::load(Db::open(options, &log::FORM)?, lock, options.durability)?;
    let start = start(&mut log, &state)?;
    Ok(Opened { log, state, start })
}

fn start(log: &mut Log, state: &State) -> Result<Start, StoreError> {
    let before: Option<u32> = log.db.meta("epoch")?;
    let clean: Option<u8> = log.db.meta("clean")?;
    let boot_before: Option<String> = log.db.meta("boot")?;
    let boot = boot_id();
    let fresh = before.is_none();
    let unclean = !fresh && clean != Some(1);
    // A machine that does not tell its boots apart may have lost power each time.
    let power_cut = unclean && (boot.is_none() || boot != boot_before);
    let checkpoint = state.tick().unwrap_or(0);
    let log_behind = checkpoint > log.last_tick();
    let state_behind = checkpoint < log.pruned;
    let epoch = match before {
        Some(epoch) if !(power_cut || log_behind || state_behind) => epoch,
        _ => loop {
            let new = rand::random();
            if new != 0 && Some(new) != before {
                break new;
            }
        },
    };
    // Synced before the first tick: a mark that a power cut takes back would hide it.
    log.db.write(true, |db| {
        db.set_meta("epoch", &epoch)?;
        db.set_meta("clean", &0)?;
        db.set_meta("boot", &boot.unwrap_or_default())
    })?;
    Ok(Start {
        epoch,
        last_tick: log.last_tick(),
        clock: log.last_clock(),
        fresh,
        unclean,
        power_cut,
        log_behind,
        state_behind,
    })
}

/// Which boot of the machine this is, where the system says it.
fn boot_id() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}
