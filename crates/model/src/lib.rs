//! The words that every other crate speaks: types of columns, changes of rows,
//! cursors, dead letters, and the one home of every metric name and error code.
//!
//! # Layout
//!
//! - [`schema`]: the column types, and the schemas of streams and feeds
//! - [`cursor`]: where a watcher of a feed stands
//! - [`change`]: what a query makes of one tick, and state as blocks of bytes
//! - [`dead_letter`]: what was refused, why, and where
//! - [`code`]: every error code (INV-9)
//! - [`metric`]: every metric name (INV-9)
//!
//! Pure (INV-10): no socket, no clock, no runtime.

pub mod change;
pub mod code;
pub mod cursor;
pub mod dead_letter;
pub mod metric;
pub mod schema;

pub use change::{RowChanges, StateBlock};
pub use code::Code;
pub use cursor::{Cursor, Offset, ViewId};
pub use dead_letter::{DeadLetter, Edge, KeptLetter, LetterId, Letters, RawFormat, Reason};
pub use schema::{Column, DataType, FeedKind, FeedSchema, Schema, TypeError};
