//! `tidewire run-query`: the process of one query.

use std::{
    fs::File,
    io::{self, BufReader, Write},
    os::fd::FromRawFd,
    panic::{AssertUnwindSafe, catch_unwind},
};

use arrow_ipc::{reader::StreamReader, writer::StreamWriter};
use model::Schema;
use query::{Select, SelectError, SelectLimits, Selected};

use super::wire::{self, Asked, Done, Planned, Said, Why};
use crate::report::Failure;

/// Planning recurses with the depth of the SQL, in a debug build by some 20 KiB a level.
const STACK: usize = 32 << 20;

/// What the process may take beyond twice `query_memory`: once for what its operators
/// remember, once for the answer, and this for the batches between them.
const BESIDE: u64 = 32 << 20;

/// How much less this process matters than those that serve.
const NICENESS: i32 = 10;

pub(crate) fn run() -> Result<(), Failure> {
    one_arena();
    let thread = std::thread::Builder::new().name("query".to_owned()).stack_size(STACK).spawn(answer);
    let thread = thread.map_err(|e| Failure::new(format!("a thread cannot be started: {e}")))?;
    match thread.join() {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Failure::new(format!("`run-query` is for the server alone: {error}"))),
        Err(_) => Err(Failure::new("the query's thread ended early")),
    }
}

fn answer() -> io::Result<()> {
    // SAFETY: descriptor 0 is open from the start, and nothing else in this process reads it.
    // A file of its own, because it is closed when the query has read enough: the server then
    // stops writing, and reads.
    let mut input = BufReader::new(unsafe { File::from_raw_fd(0) });
    let mut out = io::stdout().lock();
    let asked: Asked = wire::read(&mut input)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    confine(&asked)?;
    let feeds: Vec<_> = asked.feeds.iter().map(wire::Feed::described).collect();
    let select = match caught(|| Select::plan(&asked.sql, &feeds).map_err(SelectError::from)) {
        Ok(select) => select,
        Err(error) => return wire::write(&mut out, &Said::<Planned>::Failed(error.into())),
    };
    let columns = select.columns().to_vec();
    let named = columns.iter().map(|c| (c.name.clone(), c.data_type)).collect();
    wire::write(&mut out, &Said::Done(Planned { feed: select.feed(), columns: named }))?;
    out.flush()?;
    let rows = StreamReader::try_new(input, None).map_err(io::Error::other)?;
    let limits = SelectLimits { memory: asked.memory, rows: asked.rows };
    match caught(|| runtime.block_on(select.run(rows, limits))) {
        Ok(Selected { batches, truncated, .. }) => {
            wire::write(&mut out, &Said::Done(Done { truncated }))?;
            let schema = Schema::new(columns).to_arrow();
            let mut writer = StreamWriter::try_new(&mut out, &schema).map_err(io::Error::other)?;
            batches.iter().try_for_each(|batch| writer.write(batch)).map_err(io::Error::other)?;
            writer.finish().map_err(io::Error::other)?;
        }
        Err(error) => wire::write(&mut out, &Said::<Done>::Failed(Why::from(error)))?,
    }
    out.flush()
}

/// A function that panics on a value fails on it.
fn caught<T>(work: impl FnOnce() -> Result<T, SelectError>) -> Result<T, SelectError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let why = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        let why = why.and_then(|why| why.lines().next()).unwrap_or("it says no more");
        Err(SelectError::Failed(format!("a function cannot take one of the values: {why}")))
    })
}

/// From here on the process has its time, its memory, and no way to a file.
fn confine(asked: &Asked) -> io::Result<()> {
    // SAFETY: nice(2) takes a number and changes this process alone.
    unsafe { libc::nice(NICENESS) };
    limit(libc::RLIMIT_CORE, 0)?;
    limit(libc::RLIMIT_FSIZE, 0)?;
    // Should the server be gone that would end it.
    limit(libc::RLIMIT_CPU, asked.timeout().as_secs() + 1)?;
    if let Some(now) = address_space() {
        limit(libc::RLIMIT_AS, now.saturating_add(2 * asked.memory as u64).saturating_add(BESIDE))?;
    }
    // Those that are open stay so; none is opened.
    limit(libc::RLIMIT_NOFILE, 0)
}

/// What type a resource has differs between libraries of C.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
type Resource = libc::c_int;

fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let most = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: setrlimit(2) reads the struct that it is given.
    if unsafe { libc::setrlimit(resource, &raw const most) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The address space of this process now, in bytes, where the system says so.
fn address_space() -> Option<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    // SAFETY: sysconf(3) takes a number.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    Some(pages.split(' ').next()?.parse::<u64>().ok()? * u64::try_from(page).ok()?)
}

/// One heap for all threads: another reserves 64 MiB of address space, which is counted.
fn one_arena() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt(3) takes two numbers, before there is another thread.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}
