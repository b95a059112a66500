//! What the crate promises, seen from outside.

mod batch_equal;
mod common;
mod cost;
mod damage;
mod refusals;
mod ticks;
