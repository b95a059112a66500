//! Feeds to bytes. What a frame says is written once, over a [`notation`]; how it goes
//! out (a WebSocket message, an event of SSE, a body) is put around it.
//!
//! - [`notation`]: JSON and MessagePack, written by the same calls; [`json`], [`pack`]:
//!   their cells
//! - [`frame`]: the deltas and snapshots of one feed, for sockets and streams of events
//! - [`pieces`]: a snapshot in pieces
//! - [`framing`]: what goes around a frame
//! - [`body`], [`csv`]: the bodies of responses, [`answer`] those of queries; [`compress`] packs them
//! - [`updates`]: a dashboard's plain updates

pub mod answer;
pub mod body;
pub mod compress;
mod csv;
pub mod frame;
pub mod framing;
pub mod json;
pub mod notation;
pub mod pack;
mod pieces;
pub mod updates;
