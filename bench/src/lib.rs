//! Measurements of Tidewire, each beside a reference measured in the same run.
//!
//! # Layout
//!
//! - `bin/fanout`: CPU a delivery, beside a bare loop
//! - `bin/ingest_to_aggregate`: CPU from a file's line to its aggregate, beside DuckDB
//! - `bin/posts`: events over HTTP a second, beside a loop that syncs as many bytes
//! - `bin/delivery`: time from a post to its frame at a viewer
//! - `bin/steady`: a long run: memory, currency, resets
//! - `bin/recovery`: time to ready after `kill -9`
//! - `bin/size`: the program's size
//! - `bin/rawcast`: the bare loop, a floor for `fanout`
//! - [`server`]: starts and stops the program that is measured
//! - [`process`]: what the operating system says of a process
//! - [`viewers`]: many WebSocket viewers that cost little
//! - [`poster`]: a client that posts and costs little
//! - [`lines`]: the input
//! - [`args`]: the programs' arguments
//!
//! Figures come from the operating system's accounts of the measured process, so that
//! the load generator on the same machine does not count.

pub mod args;
pub mod lines;
pub mod poster;
pub mod process;
pub mod server;
pub mod viewers;

/// What a program here ends with: one line for whoever runs it.
pub type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A feed that nothing bounds but the state of a group.
pub fn unbounded(name: &str, sql: &str) -> query::FeedDef {
    query::FeedDef {
        name: name.to_owned(),
        sql: sql.to_owned(),
        key: None,
        delete_when: None,
        emit: query::Emit::Changes,
        refresh_ms: 0,
        max_groups: u64::MAX,
        max_group_state: 1 << 20,
        max_memory: u64::MAX,
        idle_ttl_ms: i64::MAX,
    }
}
