//! Pull queries of a server, each run in a process of its own.
//!
//! A thread that computes cannot be stopped, and SQL can be written that computes for hours or
//! asks for all memory in one call (`repeat`, `lpad`, `replace` in `replace`). So a query runs
//! where the kernel can hold it to its limits, and where nothing is to be found: the process
//! has the SQL, the rows that the caller may see, and two pipes. What it does to itself, it
//! does to itself alone.
//!
//! ```text
//!   server                               tidewire run-query
//!   the SQL, the feeds' columns  ──►  plans
//!                 which feed it reads  ◄──  or why not
//!   its rows as an Arrow stream  ──►  runs, reading as it goes
//!                the rows, an Arrow stream  ◄──  or why not
//! ```
//!
//! - [`wire`]: what is said over the pipes
//! - [`worker`]: the process

mod wire;
pub(crate) mod worker;

use std::{
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
};

use arrow_array::RecordBatch;
use arrow_ipc::{reader::StreamReader, writer::StreamWriter};
use engine::Handle;
use feed::Changes;
use model::Column;
use serve::backend::{FeedInfo, QueryAnswer, QueryError};
use tokio::{runtime, sync::Semaphore, task::spawn_blocking, time::timeout};

use self::wire::{Asked, Done, Planned, Said};

/// Queries that run at once; each holds a snapshot and may use a core for its whole time.
const AT_ONCE: usize = 4;

/// Queries that wait for their turn, within their time.
const WAITING: usize = 64;

/// When a query that found too many before it may come again, in milliseconds.
const RETRY_AFTER_MS: u64 = 1_000;

/// How much of what a process says of its own failure is read.
const MAX_COMPLAINT: u64 = 4 << 10;

/// Runs queries.
pub(crate) struct Pull {
    handle: Handle,
    feeds: Vec<wire::Feed>,
    turns: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

/// Where a query's process is found, to be ended when nobody waits for it any longer.
#[derive(Default)]
struct Running(Mutex<Process>);

#[derive(Default)]
struct Process {
    child: Option<Child>,
    unwanted: bool,
}

impl Running {
    /// Takes a process in; one that nobody waits for any longer is ended at once.
    fn begin(&self, child: Child) {
        let mut process = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        process.child = Some(child);
        if process.unwanted {
            process.end();
        }
    }

    fn end(&self) {
        let mut process = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        process.unwanted = true;
        process.end();
    }

    /// How it ended, and whether nobody wanted it any longer. It has closed its pipes: the wait is
    /// short.
    fn wait(&self) -> io::Result<(ExitStatus, bool)> {
        let mut process = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unwanted = process.unwanted;
        let status = process.child.as_mut().map_or(Err(io::ErrorKind::NotFound.into()), Child::wait)?;
        Ok((status, unwanted))
    }
}

impl Process {
    fn end(&mut self) {
        if let Some(child) = &mut self.child {
            // One that has ended already needs no end.
            let _ = child.kill();
        }
    }
}

/// Ends the process of a query that is dropped.
struct Leash(Arc<Running>);

impl Drop for Leash {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Pull {
    pub(crate) fn new(handle: Handle, feeds: &[FeedInfo]) -> Self {
        Self {
            handle,
            feeds: feeds.iter().map(wire::Feed::of).collect(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Arc::new(Semaphore::new(AT_ONCE + WAITING)),
        }
    }

    /// Runs a query within limits that may be others for the next one.
    pub(crate) fn query(
        &self,
        sql: String,
        limits: &config::Limits,
    ) -> impl Future<Output = Result<QueryAnswer, QueryError>> + use<> {
        let (handle, limit) = (self.handle.clone(), limits.query_timeout);
        let asked = Asked {
            sql,
            feeds: self.feeds.clone(),
            timeout_ms: limits.query_timeout.as_millis() as u64,
            memory: limits.query_memory,
            rows: limits.query_rows,
        };
        let (turns, waiting) = (Arc::clone(&self.turns), Arc::clone(&self.waiting));
        async move {
            let busy = QueryError::Busy { retry_after_ms: RETRY_AFTER_MS };
            let _place = waiting.try_acquire_owned().map_err(|_| busy.clone())?;
            let work = async {
                // Semaphores of ours are never closed.
                let turn = turns.acquire_owned().await.map_err(|_| QueryError::Stopping)?;
                let leash = Leash(Arc::default());
                let (running, runtime) = (Arc::clone(&leash.0), runtime::Handle::current());
                let run = move || {
                    // Given back when the process is gone, not when nobody waits any longer.
                    let _turn = turn;
                    Talk { running, handle, runtime }.run(&asked)
                };
                spawn_blocking(run).await.unwrap_or_else(|error| fault("its thread", &error))
            };
            timeout(limit, work).await.unwrap_or(Err(QueryError::TimedOut { limit }))
        }
    }
}

fn fault<T>(what: &str, error: &dyn std::fmt::Display) -> Result<T, QueryError> {
    tracing::error!("a query could not be run: {what}: {error}");
    Err(QueryError::Fault)
}

/// One query with its process. Blocks.
struct Talk {
    running: Arc<Running>,
    handle: Handle,
    runtime: runtime::Handle,
}

impl Talk {
    fn run(self, asked: &Asked) -> Result<QueryAnswer, QueryError> {
        let mut child = match start() {
            Ok(child) => child,
            Err(error) => return fault("its process", &error),
        };
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        self.running.begin(child);
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return fault("its process", &"it has no pipes");
        };
        let (mut input, mut output) = (BufWriter::new(stdin), BufReader::new(stdout));
        let answer = self.talk(asked, &mut input, &mut output);
        if answer.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::UnexpectedEof) {
            self.running.end();
        }
        // What it still says has nobody to read it; it ends by that.
        drop((input, output));
        let mut complaint = String::new();
        let _ = stderr.take(MAX_COMPLAINT).read_to_string(&mut complaint);
        match (answer, self.running.wait()) {
            (Ok(answer), _) => answer,
            (Err(error), Ok(ended)) => died(asked, ended, &complaint, &error),
            (Err(_), Err(error)) => fault("its process", &error),
        }
    }

    /// Asks and answers. Outside, that the process was lost; inside, what it said.
    fn talk(
        &self,
        asked: &Asked,
        input: &mut impl Write,
        output: &mut impl BufRead,
    ) -> io::Result<Result<QueryAnswer, QueryError>> {
        wire::write(input, asked)?;
        input.flush()?;
        let planned: Planned = match wire::read(output)? {
            Said::Done(planned) => planned,
            Said::Failed(why) => return Ok(Err(why.into_error(asked))),
        };
        let read = self.runtime.block_on(self.handle.changes_since(planned.feed, None));
        let Ok(Changes::Snapshot(snapshot)) = read else { return Ok(Err(QueryError::Stopping)) };
        let feed = asked.feeds.get(planned.feed).ok_or_else(|| io::Error::other("it reads a feed that is none"))?;
        match write_rows(feed, snapshot.batches(), input) {
            // It has all that it needs, as with LIMIT.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            other => other?,
        }
        drop(snapshot);
        let done: Done = match wire::read(output)? {
            Said::Done(done) => done,
            Said::Failed(why) => return Ok(Err(why.into_error(asked))),
        };
        let batches = StreamReader::try_new(output, None).and_then(Iterator::collect).map_err(io::Error::other)?;
        let columns = planned.columns.into_iter().map(|(name, data_type)| Column::new(name, data_type)).collect();
        Ok(Ok(QueryAnswer { columns, batches, truncated: done.truncated }))
    }
}

/// Why there is no process any longer.
fn died(
    asked: &Asked,
    (status, unwanted): (ExitStatus, bool),
    complaint: &str,
    error: &io::Error,
) -> Result<QueryAnswer, QueryError> {
    match status.signal() {
        // Out of memory, or of stack: an allocation that fails is the end of a program.
        Some(libc::SIGABRT | libc::SIGSEGV | libc::SIGBUS) => {
            tracing::info!("a query was ended: {}", complaint.trim().lines().next().unwrap_or("it says no more"));
            Err(QueryError::TooLarge { limit: asked.memory })
        }
        Some(libc::SIGXCPU) => Err(QueryError::TimedOut { limit: asked.timeout() }),
        // Who asked has gone, or has heard already that it took too long.
        Some(libc::SIGKILL) if unwanted => Err(QueryError::TimedOut { limit: asked.timeout() }),
        Some(libc::SIGKILL) => {
            tracing::warn!("a query was killed from outside: the system may have no memory left");
            Err(QueryError::TooLarge { limit: asked.memory })
        }
        _ => fault("its process", &format!("{error}, {status}: {}", complaint.trim())),
    }
}

fn start() -> io::Result<Child> {
    // This very program, also where a newer one has taken its place on the disk meanwhile.
    let program = if cfg!(target_os = "linux") { "/proc/self/exe".into() } else { std::env::current_exe()? };
    // Without the environment: there may be secrets in it.
    let mut command = Command::new(program);
    command.arg("run-query").env_clear().current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

fn write_rows(feed: &wire::Feed, batches: impl Iterator<Item = RecordBatch>, out: &mut impl Write) -> io::Result<()> {
    let fail = |error| match error {
        arrow_schema::ArrowError::IoError(_, error) => error,
        other => io::Error::other(other),
    };
    let mut writer = StreamWriter::try_new(&mut *out, &feed.schema().to_arrow()).map_err(fail)?;
    for batch in batches {
        writer.write(&batch).map_err(fail)?;
    }
    writer.finish().map_err(fail)?;
    drop(writer);
    out.flush()
}
