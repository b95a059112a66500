//! The Rust client: follows feeds over one WebSocket that mends itself, publishes
//! events with acknowledgements, and posts them with retries.
//!
//! # Layout
//!
//! - [`client`]: [`Client`] and [`Subscription`], what a program holds
//! - `link`: the task behind a client; owns the socket, reconnects, resumes
//! - `wire`: its socket, read and written at once
//! - `connect`: how the task comes by a socket
//! - [`table`]: the rows of a feed by key, from frames (pure)
//! - [`frame`]: the messages of the protocol, parsed (pure)
//! - [`http`]: posts with retries, and snapshots, over plain HTTP
//! - [`backoff`]: how long to wait before the next attempt (pure)
//! - `address`: the server's address and the paths under it
//! - [`error`]: what can go wrong
//!
//! A subscription is a cursor, as everything that watches a feed. A program that
//! takes its events too slowly is unsubscribed and later resumed from its cursor, so
//! its queue stays short and it never holds up the other subscriptions (INV-4).
//!
//! ```no_run
//! # async fn run() -> Result<(), client::Error> {
//! let client = client::Client::connect(client::Options::new("http://127.0.0.1:8080")).await?;
//! let mut load = client.subscribe("load_10s", None).await?;
//! loop {
//!     let event = load.next().await?;
//!     println!("{event:?}, {} rows", load.table().len());
//! }
//! # }
//! ```

mod address;
pub mod backoff;
pub mod client;
mod connect;
pub mod error;
pub mod frame;
pub mod http;
mod link;
pub mod table;
mod wire;

pub use backoff::Backoff;
pub use client::{Client, Event, Options, Published, Subscription};
pub use error::Error;
pub use frame::{Column, Frame, Rejected, Row};
pub use http::{DeadLetter, DeadLetters, Feed, Http, Posted, Replayed, Stream, StreamColumn};
pub use table::Table;
