//! YAML to a typed configuration, with places.
//!
//! A configuration is read in three steps: text to a tree in which everything knows its
//! place, the tree to typed values, and the values against each other. Every problem is
//! collected on the way, so that a user sees all of them at once.
//!
//! # Layout
//!
//! - [`types`]: the configuration as the rest of the program sees it
//! - [`place`]: where in which file something was said, and what is wrong with it
//! - `load`: files and directories to a configuration, or to all of its problems
//! - `yaml`: text to a tree with places, bounded in size and depth
//! - `shape`, `keys`: every key with its bounds, default and meaning, in one table
//! - `schema`: that table as a JSON Schema
//! - `reader`, `values`, `sql`: sections, single values and SQL out of a tree
//! - `read`: one module for each section of the file
//! - `variables`, `units`, `nearest`: `${VAR}`, `10s` and `64MiB`, "did you mean"
//!
//! ```
//! use std::path::Path;
//!
//! let text = "
//! streams:
//!   events:
//!     source: { type: http }
//!     schema: { metric: text, value: double, ts: timestamp }
//!     event_time: { column: tss }
//! ";
//! let problems = config::load_str(Path::new("tidewire.yaml"), text, &|_| None).unwrap_err();
//! assert_eq!(
//!     problems[0].to_string(),
//!     "tidewire.yaml:6:27: `column`: there is no column `tss`\n  did you mean `ts`?"
//! );
//! ```
mod keys;
mod load;
mod nearest;
pub mod place;
mod read;
mod reader;
mod schema;
mod shape;
mod sql;
pub mod types;
mod units;
mod values;
mod variables;
mod yaml;

pub use load::{Options, files, load, load_str, load_with};
pub use nearest::advice;
pub use place::{Place, Problem, Sql};
pub use schema::json_schema;
pub use types::*;
