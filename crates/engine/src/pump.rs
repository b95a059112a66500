//! The threads that bring a source's events to the journal.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use bytes::Bytes;
use config::{Source, Stream};
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use model::metric;
use sources::{FileSource, Generator, Host, Replayable, Sampled, SourceError};
use tokio::sync::oneshot;

use crate::{
    clock::Steady,
    handle::{Append, Handle, Status},
    journal::Input,
};

/// How many reads a source may be ahead of the journal.
const READS_AHEAD: usize = 2;

/// How often a waiting source looks whether it is to stop.
const LOOK_UP: Duration = Duration::from_millis(100);

/// Opens a stream's source, if it is one that can be read again.
pub(crate) fn open(stream: &Stream, limits: &config::Limits) -> Option<Result<Box<dyn Replayable>, SourceError>> {
    match &stream.source {
        Source::File(file) => {
            let time = stream.event_time.as_ref().map(|t| t.column.as_str());
            let limits = sources::Limits { max_record: limits.max_record, ..sources::Limits::default() };
            let opened = FileSource::open(file, &stream.columns, time, limits);
            Some(opened.map(|source| Box::new(source) as Box<dyn Replayable>))
        }
        Source::Http | Source::Generator(_) | Source::Host(_) | Source::DeadLetters { .. } => None,
    }
}

/// Reads a source on from `position` until it ends, fails or `stop` is set.
pub(crate) fn start_reading(
    index: usize,
    name: &str,
    mut source: Box<dyn Replayable>,
    position: Option<String>,
    handle: Handle,
    stop: Arc<AtomicBool>,
) -> std::io::Result<JoinHandle<()>> {
    let name = name.to_owned();
    thread::Builder::new().name(format!("source {name}")).spawn(move || {
        let (consumed, room) = bounded(READS_AHEAD);
        for _ in 0..READS_AHEAD {
            // The channel was made for as many.
            let _ = consumed.send(());
        }
        let mut position = position;
        while !stop.load(Ordering::Relaxed) {
            let read = match source.read() {
                Ok(read) => read,
                Err(error) => {
                    failed(index, &name, &handle.status, &error);
                    // It may lag from here on: its time stands still.
                    let Some(position) = position else { return };
                    standstill(position)
                }
            };
            position = Some(read.position.clone());
            let ended = read.ended;
            if read.batches.is_empty() && read.dead.is_empty() && !ended && !turned(index, &handle, &read) {
                continue;
            }
            if !wait_for_room(&room, &stop)
                || handle.inputs.send(Input::Read { stream: index, read, consumed: consumed.clone() }).is_err()
                || ended
            {
                return;
            }
        }
    })
}

/// False if `stop` was set while waiting.
fn wait_for_room(room: &Receiver<()>, stop: &AtomicBool) -> bool {
    loop {
        match room.recv_timeout(LOOK_UP) {
            Ok(()) => return true,
            Err(RecvTimeoutError::Timeout) if !stop.load(Ordering::Relaxed) => {}
            Err(_) => return false,
        }
    }
}

/// Whether an empty read says something new: that the source was caught up with, or no longer is.
fn turned(index: usize, handle: &Handle, read: &sources::Read) -> bool {
    handle.status.streams[index].caught_up.load(Ordering::Relaxed) != read.caught_up
}

/// The last read of a source that failed.
fn standstill(position: String) -> sources::Read {
    sources::Read { batches: Vec::new(), dead: Vec::new(), position, caught_up: false, ended: true }
}

/// Tells that a source cannot be read.
pub(crate) fn failed(index: usize, name: &str, status: &Status, error: &dyn std::fmt::Display) {
    tracing::error!("stream `{name}` is read no further until a restart: {error}");
    metrics::gauge!(metric::SOURCE_FAILED, "stream" => name.to_owned()).set(1.0);
    *status.streams[index].failure.lock() = Some(error.to_string());
}

/// Opens a stream's source, if it is one that makes its events; at the first start it may
/// make some of the past.
pub(crate) fn open_sampled(stream: &Stream, now_ms: i64, first: bool) -> Option<Result<Box<dyn Sampled>, String>> {
    let time = stream.event_time.as_ref().map(|t| t.column.as_str());
    match &stream.source {
        Source::Generator(options) => Some(Ok(Box::new(Generator::new(options, &stream.columns, time, now_ms, first)))),
        Source::Host(options) => Some(match Host::new(options, &stream.columns, time) {
            Ok(host) => Ok(Box::new(host)),
            Err(error) => Err(format!("the system does not tell its vitals: {error}")),
        }),
        Source::Http | Source::File(_) | Source::DeadLetters { .. } => None,
    }
}

/// Makes a source's events until `stop` is set. They are logged like posts.
pub(crate) fn start_sampling(
    index: usize,
    name: &str,
    mut source: Box<dyn Sampled>,
    mut clock: Steady,
    handle: Handle,
    stop: Arc<AtomicBool>,
) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name(format!("source {name}")).spawn(move || {
        let mut due = Instant::now() + source.every();
        loop {
            if !wait_until(due, &stop) {
                return;
            }
            // After a pause the rhythm begins anew.
            due = (due + source.every()).max(Instant::now());
            let Some(batch) = source.sample(clock.read()) else { continue };
            let bytes = batch.get_array_memory_size();
            // No room: these events are not made. There is no past to catch up with.
            let Some(taken) = handle.rooms.try_take(index, bytes) else { continue };
            let append = Append {
                stream: index,
                batches: vec![batch],
                dead: Vec::new(),
                unkept: 0,
                bytes,
                key: None,
                answer: Bytes::new(),
                settled: Vec::new(),
            };
            let (reply, answer) = oneshot::channel();
            if handle.inputs.send(Input::Append { append, taken, reply }).is_err() {
                return;
            }
            let _ = answer.blocking_recv();
        }
    })
}

/// False if `stop` was set while waiting.
fn wait_until(due: Instant, stop: &AtomicBool) -> bool {
    loop {
        if stop.load(Ordering::Relaxed) {
            return false;
        }
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        thread::sleep(left.min(LOOK_UP));
    }
}
