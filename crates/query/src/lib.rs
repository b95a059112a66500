//! From SQL to queries that keep their answer up to date.
//!
//! A query is planned by DataFusion and split at its aggregate. Each tick runs the parts
//! over what arrived, and says which rows of the feed changed:
//!
//! ```text
//!   batch ─► pre ────────► aggregate ─────────────► post ───────────► changes of rows
//!            filters,      groups of this tick,     HAVING,
//!            projections   merged into their        arithmetic,
//!                          state; by window         for touched groups
//! ```
//!
//! # Layout
//!
//! - [`plan`]: SQL to a [`Plan`], or every reason why not
//!   - `plan/sql`, `plan/expressions`, `plan/window`, `plan/names`: what is refused in the
//!     text, and where it stands
//!   - `plan/growth`: aggregates whose state grows
//!   - `plan/json`: `->`, `->>` and functions of json
//!   - `plan/session`, `plan/split`: DataFusion, and its plan cut at the aggregate
//!   - `plan/planner`, `plan/output`: the feed's columns and key, and the rest put together
//! - `stage`, `aggregate`, `wide_sum`: what a plan is made of, ready to run
//! - `run`: a [`Query`] ticks: `run/stateless` without groups, `run/grouped` with
//!   them, `run/grow` where states grow
//! - `grow`: aggregates whose state grows with what they have seen
//! - `state`: where groups live between ticks, and how they are written
//! - `watermark`: how far a stream's time has come
//! - [`Select`] (`select`): a SELECT over the rows of a feed, run once
//! - `letter`: rows that could not go on
//!
//! Pure (INV-10): time and input are passed in.

mod aggregate;
mod define;
mod grow;
mod letter;
mod plan;
mod run;
mod select;
mod stage;
mod state;
mod watermark;
mod wide_sum;

pub use define::{Emit, FeedDef, Part, QueryError, StreamDef};
pub use letter::Refused;
pub use plan::{Plan, plan};
pub use run::{Counters, Output, Query, Tick};
pub use select::{Select, SelectError, SelectLimits, Selected};
pub use state::block::StateError;
pub use watermark::{TimeOptions, Watermarks};
