//! YAML to a typed configuration, with places.
//!
//! # Layout
//!
//! - [`types`]: the configuration as the rest of the program sees it
//! - [`place`]: where in which file something was said
pub mod place;
pub mod types;

pub use place::{Place, Problem, Sql};
pub use types::*;
