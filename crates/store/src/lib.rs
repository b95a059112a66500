//! The embedded store: stream log, cuts and checkpoints, in SQLite.
//!
//! A data directory holds two files, each with a writer of its own, so that an
//! acknowledgement never waits for a checkpoint:
//!
//! ```text
//! log.sqlite     entries · cuts · dead letters of posts · idempotency keys      Log
//! state.sqlite   blocks of state · the checkpoint · dead letters of queries     State
//! lock           held by the process that has the directory
//! ```
//!
//! Synchronous: no threads, no clock, no runtime. The engine gives [`Log`] and [`State`]
//! a thread each and passes the time in.
//!
//! What is kept, and when (INV-1, INV-2):
//!
//! - Every commit survives `kill -9`: it is in the system's hands when [`Log::commit`] returns.
//! - With [`Durability::Fsync`] a commit with entries, dead letters or keys also survives a
//!   power cut, and so does every cut before it. A cut alone is not synced: the next
//!   such commit carries it along.
//! - A lost tail of cuts cannot be seen in the file. So an unclean stop *and* another boot
//!   of the machine gives a new epoch ([`Start::power_cut`]), and viewers start anew.
//!
//! # Layout
//!
//! - [`open`](open()): both files, the lock, and which epoch it is
//! - `log`: committing ticks, reading them again
//! - `retain`: what leaves the log, and when
//! - `state`: checkpoints
//! - `cut`: cuts and their bytes
//! - `entry`: batches as Arrow IPC without the schema, cast to today's schema
//! - `dead`: the table of dead letters, in both files
//! - `db`: one SQLite file: header, pragmas, transactions, what a failure means
//! - `lock`: one process a directory
//! - `wire`: integers, lengths and checksums inside blobs

mod cut;
mod db;
mod dead;
mod entry;
mod error;
mod lock;
mod log;
mod open;
mod retain;
mod state;
mod wire;

pub use cut::{Cut, Position};
pub use db::MAX_BLOB;
pub use dead::MAX_DEAD_LETTERS;
pub use error::StoreError;
pub use log::{Commit, Entry, KeyRecord, Log, Reach};
pub use open::{Durability, Opened, Options, Start, open};
pub use retain::{KEY_AGE_MS, MAX_KEYS, ORPHAN_AGE_MS, Retained, Retention};
pub use state::{Checkpoint, LateRow, Loaded, Owner, OwnerBlocks, State, WriteStats};
