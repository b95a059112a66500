//! A feed: a keyed table and the numbered log of its changes, read through one
//! operation, [`Feed::changes_since`].
//!
//! ```text
//!  key ──► index ──► slot ──► chunk of 256 rows (shared with snapshots)
//!                       └───► meta: last change, row time, links
//!
//!  live rows   oldest change ◄─► … ◄─► newest      a delta walks both lists
//!  tombstones  oldest change ◄─► … ◄─► newest      back from their tails
//!                    └─ dropped first; raises the floor
//! ```
//!
//! A slot holds a key from its first row until its tombstone is dropped, and stands in
//! exactly one of the two lists, ordered by last change. So a delta costs what changed
//! since its cursor, whatever the table holds, and has each key at most once.
//!
//! # Layout
//!
//! - [`Feed`] (`feed`): applies ticks, expires, trims
//! - [`Changes`], [`Delta`], [`Snapshot`] (`read`): what readers get, immutable and shared
//! - `changes`: `changes_since` and the memo of what was read at the present offset
//! - `table`: slots, chunks, the index from key to slot
//! - `chunk`, `text`: 256 rows; their texts
//! - `as_text`: types whose values stand in a feed as texts
//! - `source`: the columns of a record batch, checked and typed
//! - `hash`: hashes of keys, from record batches and from chunks alike
//! - `order`: lists through the slots
//! - `age`: which rows `keep` removes next
//! - `gather`: rows back to Arrow arrays
//! - `state`, `block`: checkpoint and restore; the bytes of a block
//! - `error`: what can be wrong with a tick's changes or with blocks
//!
//! Pure (INV-10): no socket, no clock, no runtime. Time and offsets are passed in, and
//! the same calls give the same rows, offsets and order, also across
//! [`Feed::checkpoint`] and [`Feed::restore`].

mod age;
mod as_text;
mod block;
mod changes;
mod chunk;
mod error;
mod feed;
mod gather;
mod hash;
mod order;
mod read;
mod source;
mod state;
mod table;
mod text;

pub use error::{ApplyError, StateError};
pub use feed::{Costs, Feed, KeepBy, Options};
pub use read::{Changes, Delta, Snapshot};
