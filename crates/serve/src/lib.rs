//! The server: HTTP, WebSocket, and the hub that carries every change to every viewer.
//! It knows neither engine nor store; both stand behind [`Backend`].
//!
//! # Layout
//!
//! - [`backend`]: the traits that whoever wires the program implements
//! - `server`: binds, accepts, stops in order; `connection`, `limits`, `rates`: what it accepts
//! - `starting`: what is answered until the feeds are there
//! - `http`: the router and its handlers; `problem`: errors as RFC 9457 documents
//! - `ingest`: events from clients, decoded, kept and answered for
//! - `ws`: RFC 6455 and the messages of `tidewire.v1`
//! - `hub`: shards, viewers and their cursors, the fan-out
//! - `poll`: polls, short and long
//! - `encode`: deltas and snapshots to bytes, once for all (INV-7)
//! - `dashboards`: as they are, and as those who watch them began
//! - `metrics`, `shared`: handles and tables made once at the start

pub mod backend;
mod connection;
mod dashboards;
mod encode;
mod http;
mod hub;
mod ingest;
mod limits;
mod metrics;
mod poll;
mod problem;
mod rates;
mod server;
mod shared;
mod starting;
mod ws;

pub use backend::Backend;
pub use server::{BindError, Bound, Options, Settings, bind};
pub use starting::{Progress, Starting};
