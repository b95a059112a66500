//! Where state lives between ticks.
//!
//! ```text
//!                 keys (one table for all panes)            pane (one for each open window)
//!   index: hash ─► key id                                   index: key id ─► slot
//!   rows: the GROUP BY columns                              key ids, flags
//!   how many panes use it                                   rows: the states of aggregates
//! ```
//!
//! A tick touches the slots of the groups that its rows belong to, whatever else a pane
//! holds. Columns grow in chunks of 256 slots ([`chunked`]); a chunk is what a checkpoint
//! writes when anything in it changed. Key ids are shared by all panes, so that panes
//! can be merged by id; an id is used again once no pane holds it. Without a window
//! there is one pane, and its slots are the key ids themselves.
//!
//! State that grows with what it has seen does not fit into columns. It lives beside them,
//! an object for each group ([`grown`]), written group by group.

pub(crate) mod block;
pub(crate) mod chunked;
pub(crate) mod column;
pub(crate) mod dirty;
pub(crate) mod grown;
pub(crate) mod idle;
pub(crate) mod index;
pub(crate) mod keys;
pub(crate) mod pane;
mod rows;
